"""Every operation that changes the kernel, each with what has to be there before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netctl.controller import Controller
from netctl.definitions.endpoint import EndpointOptions
from netctl.record import replace
from tests.fake_kernel import FakeKernel

Action = Callable[[Controller], object]


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    prepare: Action
    act: Action
    imagined: bool = False
    """Whether it needs the fake kernel: ``tests/system`` has a test of its own for it."""


def _nothing(controller: Controller) -> None:
    pass


def _network(controller: Controller) -> None:
    controller.networks.create("web", ipv6=True)


def _hardened(controller: Controller) -> None:
    """Settings of the operator's that the kernel changes with forwarding, and an uplink whose IPv6
    default route a router advertises."""
    kernel = controller.kernel
    assert isinstance(kernel, FakeKernel)
    routes = [replace(r, advertised=r.destination == "::/0") for r in kernel.host.routes]
    kernel.host.routes = routes
    kernel.host.settings |= {
        "net/ipv4/conf/all/accept_redirects": "0",
        "net/ipv4/conf/uplink/forwarding": "1",
        "net/ipv6/conf/uplink/forwarding": "1",
    }


def _network_on_hardened(controller: Controller) -> None:
    _hardened(controller)
    _network(controller)


def _endpoint(controller: Controller) -> None:
    _network(controller)
    controller.endpoints.create("web", "web1")
    controller.sandboxes.create("c1", hostname="c1")


def _joined(controller: Controller) -> None:
    _endpoint(controller)
    controller.endpoints.join("web1", "c1")


def _two_filled(controller: Controller) -> None:
    _published(controller)
    controller.sandboxes.create("c2")
    controller.endpoints.connect("web", "c2", rate_out="10mbit", ports=["80/udp"])
    controller.networks.create("db")
    controller.endpoints.connect("db", "c2")


def _two_networks(controller: Controller) -> None:
    _joined(controller)
    controller.networks.create("db")
    controller.endpoints.create("db", "db1")


def _two_joined(controller: Controller) -> None:
    _two_networks(controller)
    controller.endpoints.join("db1", "c1", priority=1)


def _connected(controller: Controller) -> None:
    _endpoint(controller)
    controller.endpoints.connect("web", "c1")


def _published(controller: Controller) -> None:
    _joined(controller)
    controller.endpoints.publish("web1", ["8080:80", "9000-9003:9000-9003"])


def _published_beside(controller: Controller) -> None:
    _published(controller)
    controller.networks.create("db")
    controller.endpoints.create("db", "db1", ports=["8082:80"])


def _closed(controller: Controller) -> None:
    options = {"bridge.enable_icc": "false"}
    controller.networks.create("web", ipv6=True, options=options)
    controller.endpoints.create("web", "web1")
    controller.sandboxes.create("c1")


def _closed_joined(controller: Controller) -> None:
    _closed(controller)
    controller.endpoints.join("web1", "c1")


def _closed_published(controller: Controller) -> None:
    _closed_joined(controller)
    controller.endpoints.publish("web1", ["8080:80"])


def _two_closed(controller: Controller) -> None:
    _closed_published(controller)
    controller.networks.create("db", options={"bridge.enable_icc": "false"})


DETAILS: EndpointOptions = {
    "sysctls": {
        "net.ipv4.conf.IFNAME.rp_filter": "2",
        "net.ipv6.conf.IFNAME.mtu": "1400",
        "net.ipv6.neigh.IFNAME.gc_stale_time": "50",
    },
    "routes": [
        *("10.50.0.0/16,172.17.0.1", "10.51.0.0/16,7", "fd50::/64,fe80::1", "fd51::/64"),
        *("10.52.0.0/16,blackhole,9", "10.53.0.0/16,prohibit", "fd52::/64,unreachable"),
    ],
}


def _detailed(controller: Controller) -> None:
    _network(controller)
    controller.sandboxes.create("c1")
    controller.endpoints.create("web", "web1", **DETAILS)


def _detailed_beside_foreign(controller: Controller) -> None:
    _foreign(controller)
    _detailed(controller)
    controller.endpoints.join("web1", "c1")


def _detailed_joined(controller: Controller) -> None:
    _detailed(controller)
    controller.endpoints.join("web1", "c1")


def _routed(controller: Controller) -> None:
    options = {
        "bridge.gateway_mode_ipv4": "routed",
        "bridge.allow_direct_routing": "true",
        "bridge.trusted_host_interfaces": "lan",
    }
    controller.networks.create("web", ipv6=True, options=options)
    controller.sandboxes.create("c1")


def _open(controller: Controller) -> None:
    _routed(controller)
    controller.endpoints.connect("web", "c1", ports=["8080:80", "81/udp"])


def _limited(controller: Controller) -> None:
    _network(controller)
    controller.sandboxes.create("c1")
    controller.endpoints.create("web", "web1", rate_in="10mbit", rate_out="20mbit")


def _limited_joined(controller: Controller) -> None:
    _limited(controller)
    controller.endpoints.join("web1", "c1")


def _limited_beside_foreign(controller: Controller) -> None:
    _foreign(controller)
    _limited_joined(controller)


def _foreign(controller: Controller) -> None:
    """Namespaces to stand for somebody else's: their names begin with ``their``."""
    for name in ("theirs", "their-other"):
        controller.sandboxes.create(name)


def _own_beside_foreign(controller: Controller) -> None:
    _foreign(controller)
    _two_joined(controller)


def _external(controller: Controller) -> None:
    _foreign(controller)
    _network(controller)
    controller.sandboxes.create("c1", netns_path="/run/netns/theirs")
    controller.endpoints.connect("web", "c1")


def _alike(controller: Controller) -> None:
    """Two networks in a sandbox, of which the name alone decides which is the way out."""
    _published(controller)
    controller.networks.create("zoo", ipv6=True)
    controller.endpoints.connect("zoo", "c1", ports=["8082:80"], aliases=["animals"])
    controller.notices.clear()  # That of the ports is no part of what follows.


def _two_sandboxes(controller: Controller) -> None:
    _connected(controller)
    controller.sandboxes.create("c2")
    controller.endpoints.connect("web", "c2", local_aliases={"database": "c1"})


SCENARIOS = (
    Scenario("network create", _nothing, lambda c: c.networks.create("web")),
    Scenario("network create ipv6", _nothing, _network),
    Scenario(
        "network create internal", _nothing, lambda c: c.networks.create("web", internal=True)
    ),
    Scenario("second network create", _network, lambda c: c.networks.create("db")),
    Scenario("network rm", _network, lambda c: c.networks.remove("web")),
    Scenario("network rm of two", _two_networks, lambda c: c.networks.remove("db", force=True)),
    Scenario("network rm of all in it", _published, lambda c: c.networks.remove("web", force=True)),
    Scenario("network rename", _two_sandboxes, lambda c: c.networks.rename("web", "front")),
    Scenario("rename of an empty network", _network, lambda c: c.networks.rename("web", "front")),
    Scenario(
        "network rename that moves the way out", _alike, lambda c: c.networks.rename("zoo", "a")
    ),
    Scenario("network set", _network, lambda c: c.networks.update("web", labels={"a": "b"})),
    Scenario("sandbox set", _endpoint, lambda c: c.sandboxes.update("c1", labels={"a": "b"})),
    Scenario("endpoint rename", _two_sandboxes, lambda c: c.endpoints.rename("web/c1", "front")),
    Scenario("rename of a joined endpoint", _joined, lambda c: c.endpoints.rename("web1", "web2")),
    Scenario("rename of an endpoint", _endpoint, lambda c: c.endpoints.rename("web1", "web2")),
    Scenario(
        "endpoint set",
        _alike,
        lambda c: c.endpoints.update(
            "zoo/c1", aliases=["beasts"], aliases_gone=["animals"], labels={"a": "b"}
        ),
    ),
    Scenario("network create on a hardened host", _hardened, _network, imagined=True),
    Scenario(
        "network rm on a hardened host",
        _network_on_hardened,
        lambda c: c.networks.remove("web"),
        imagined=True,
    ),
    Scenario(
        "network rm of all in two sandboxes",
        _two_filled,
        lambda c: c.networks.remove("web", force=True),
    ),
    Scenario("network prune", _network, lambda c: c.networks.prune()),
    Scenario("sandbox prune", _endpoint, lambda c: c.sandboxes.prune()),
    Scenario("endpoint prune", _two_networks, lambda c: c.endpoints.prune()),
    Scenario("sandbox create", _nothing, lambda c: c.sandboxes.create("c1")),
    Scenario("sandbox rm", _endpoint, lambda c: c.sandboxes.remove("c1")),
    Scenario("sandbox rm force", _two_joined, lambda c: c.sandboxes.remove("c1", force=True)),
    Scenario("sandbox rename", _joined, lambda c: c.sandboxes.rename("c1", "c2")),
    Scenario("sandbox refresh", _two_joined, lambda c: c.sandboxes.refresh("c1")),
    Scenario(
        "sandbox create external",
        _foreign,
        lambda c: c.sandboxes.create("c1", netns_path="/run/netns/theirs"),
    ),
    Scenario(
        "set-key of an own sandbox",
        _own_beside_foreign,
        lambda c: c.sandboxes.set_key("c1", "/run/netns/theirs"),
    ),
    Scenario(
        "set-key of an external sandbox",
        _external,
        lambda c: c.sandboxes.set_key("c1", "/run/netns/their-other"),
    ),
    Scenario("sandbox rm external", _external, lambda c: c.sandboxes.remove("c1", force=True)),
    Scenario("endpoint create", _network, lambda c: c.endpoints.create("web", "web1")),
    Scenario("endpoint create default", _nothing, lambda c: c.endpoints.create("bridge", "web1")),
    Scenario(
        "network connect default",
        lambda c: c.sandboxes.create("c1"),
        lambda c: c.endpoints.connect("bridge", "c1", ports=["8080:80"]),
    ),
    Scenario("endpoint join", _endpoint, lambda c: c.endpoints.join("web1", "c1")),
    Scenario(
        "join that takes the gateway",
        _two_networks,
        lambda c: c.endpoints.join("db1", "c1", priority=1),
    ),
    Scenario("endpoint leave", _joined, lambda c: c.endpoints.leave("web1")),
    Scenario("leave that gives the gateway", _two_joined, lambda c: c.endpoints.leave("db1")),
    Scenario("endpoint rm force", _joined, lambda c: c.endpoints.remove("web1", force=True)),
    Scenario(
        "endpoint publish", _joined, lambda c: c.endpoints.publish("web1", ["8080:80", "81/udp"])
    ),
    Scenario(
        "publish on ::1",
        _joined,
        lambda c: c.endpoints.publish("web1", ["[::1]:8080:80", "[::1]:53:53/udp"]),
    ),
    Scenario("endpoint unpublish", _published, lambda c: c.endpoints.unpublish("web1", ["80"])),
    Scenario("leave of a published one", _published, lambda c: c.endpoints.leave("web1")),
    Scenario(
        "join that takes the publications along",
        _published_beside,
        lambda c: c.endpoints.join("db1", "c1", priority=1),
    ),
    Scenario(
        "connect and publish",
        _endpoint,
        lambda c: c.endpoints.connect("web", "c1", ports=["8080:80", "[2001:db8::1]:8081:81"]),
    ),
    Scenario(
        "network create closed",
        _network,
        lambda c: c.networks.create("db", options={"bridge.enable_icc": "false"}),
    ),
    Scenario("join of a closed one", _closed, lambda c: c.endpoints.join("web1", "c1")),
    Scenario("leave of a closed one", _closed_joined, lambda c: c.endpoints.leave("web1")),
    Scenario(
        "publish of a closed one", _closed_joined, lambda c: c.endpoints.publish("web1", ["80:80"])
    ),
    Scenario(
        "unpublish of a closed one",
        _closed_published,
        lambda c: c.endpoints.unpublish("web1", ["80"]),
    ),
    Scenario("reload what is closed", _closed_published, lambda c: c.reload()),
    Scenario(
        "network rm force closed",
        _closed_published,
        lambda c: c.networks.remove("web", force=True),
    ),
    Scenario(
        "network rm force of two closed",
        _two_closed,
        lambda c: c.networks.remove("web", force=True),
    ),
    Scenario("join with details", _detailed, lambda c: c.endpoints.join("web1", "c1")),
    Scenario("leave with details", _detailed_joined, lambda c: c.endpoints.leave("web1")),
    Scenario("refresh with details", _detailed_joined, lambda c: c.sandboxes.refresh("c1")),
    Scenario(
        "sandbox rm with details", _detailed_joined, lambda c: c.sandboxes.remove("c1", force=True)
    ),
    Scenario(
        "set-key with details",
        _detailed_beside_foreign,
        lambda c: c.sandboxes.set_key("c1", "/run/netns/theirs"),
    ),
    Scenario(
        "connect and open",
        _routed,
        lambda c: c.endpoints.connect("web", "c1", ports=["8080:80", "81/udp"]),
    ),
    Scenario("open more", _open, lambda c: c.endpoints.publish("web/c1", ["90-99", "82"])),
    Scenario("close one", _open, lambda c: c.endpoints.unpublish("web/c1", ["80"])),
    Scenario("leave of an open one", _open, lambda c: c.endpoints.disconnect("web", "c1")),
    Scenario("reload what is open", _open, lambda c: c.reload()),
    Scenario(
        "network create isolated",
        _nothing,
        lambda c: c.networks.create(
            "web",
            ipv6=True,
            internal=True,
            options={
                "bridge.gateway_mode_ipv4": "isolated",
                "bridge.gateway_mode_ipv6": "isolated",
            },
        ),
    ),
    Scenario("join with limits", _limited, lambda c: c.endpoints.join("web1", "c1")),
    Scenario("leave with limits", _limited_joined, lambda c: c.endpoints.leave("web1")),
    Scenario(
        "set-key with limits",
        _limited_beside_foreign,
        lambda c: c.sandboxes.set_key("c1", "/run/netns/theirs"),
    ),
    Scenario(
        "limit both ways",
        _joined,
        lambda c: c.endpoints.limit("web1", rate_in="10mbit", rate_out="1gbit"),
    ),
    Scenario(
        "limit otherwise",
        _limited_joined,
        lambda c: c.endpoints.limit("web1", rate_in="none", rate_out="30mbit", burst="64k"),
    ),
    Scenario(
        "limit no more",
        _limited_joined,
        lambda c: c.endpoints.limit("web1", rate_in="none", rate_out="none"),
    ),
    Scenario("reload", _published, lambda c: c.reload()),
    Scenario("network connect", _endpoint, lambda c: c.endpoints.connect("web", "c1")),
    Scenario("network disconnect", _connected, lambda c: c.endpoints.disconnect("web", "c1")),
)
