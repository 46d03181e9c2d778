"""Who reaches the endpoints of a bridge network: gateway modes, trusted interfaces, direct routes.

The words are libnetwork's (moby 2026). A network that says nothing is ``nat``: its endpoints hide
behind the host, and what is published is reached through the host's addresses alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address

from netctl.backends.options import PREFIX, Option, boolean, is_nobodys, switch
from netctl.errors import InvalidInput
from netctl.models import EVERYWHERE, LOOPBACK6, Endpoint, Network, Port
from netctl.names import check_ifname

MODE = {4: PREFIX + "bridge.gateway_mode_ipv4", 6: PREFIX + "bridge.gateway_mode_ipv6"}
TRUSTED = PREFIX + "bridge.trusted_host_interfaces"
DIRECT = PREFIX + "bridge.allow_direct_routing"
BINDING = PREFIX + "bridge.host_binding_ipv4"
DEFAULT_BRIDGE = PREFIX + "bridge.default_bridge"

NAT, UNPROTECTED, ROUTED, ISOLATED = MODES = ("nat", "nat-unprotected", "routed", "isolated")
OPTIONS = {
    MODE[4]: Option(form="|".join(MODES), help="How endpoints are reached by IPv4.", default=NAT),
    MODE[6]: Option(form="|".join(MODES), help="How endpoints are reached by IPv6.", default=NAT),
    BINDING: Option(
        form="IP",
        help="Host address that ports are published on by default.",
        default="all of them",
    ),
    DIRECT: switch("Let published ports be reached on the endpoints' addresses.", default=False),
    TRUSTED: Option(
        form="IFNAME[:IFNAME]", help="Host interfaces that allow_direct_routing is limited to."
    ),
    DEFAULT_BRIDGE: Option(
        form="false", help="Only false: the configuration names the default network."
    ),
}
ALL = EVERYWHERE


def facts(network: Network, options: Mapping[str, str], bridge: str) -> dict[str, str]:
    """Return what the options come to, on a bridge of that name. Raises ``InvalidInput``."""
    if boolean(options, DEFAULT_BRIDGE, default=False):
        raise InvalidInput(
            f"option {DEFAULT_BRIDGE}: a network is the default one by its name",
            hint="leave the option out; the configuration key default_network holds the name",
        )
    found = {"binding": _binding(options), "trusted": " ".join(_trusted(options, bridge))}
    if boolean(options, DIRECT, default=False):
        found["direct"] = "true"
    for version in (4, 6):
        found[f"mode{version}"] = _mode(network, options, version)
    return found


def _mode(network: Network, options: Mapping[str, str], version: int) -> str:
    label = MODE[version]
    mode = options.get(label, NAT)
    if mode not in MODES:
        raise InvalidInput(f"option {label}: {mode[:40]!r} is not a mode", hint=", ".join(MODES))
    if mode == ISOLATED and not network.internal:
        raise InvalidInput(
            f"option {label}: only an internal network is isolated from its host too",
            hint="add --internal",
        )
    return mode


def _trusted(options: Mapping[str, str], bridge: str) -> Iterable[str]:
    if not (text := options.get(TRUSTED)):
        return ()
    names = {check_ifname(f"option {TRUSTED}:", name) for name in text.split(":")}
    if bridge in names:
        raise InvalidInput(
            f"option {TRUSTED}: {bridge} is the network's own bridge",
            hint="leave it out: what is on it reaches the endpoints anyway",
        )
    return sorted(names)


def _binding(options: Mapping[str, str]) -> str:
    """Return the address of publications that name none, empty for all of both families."""
    text = options.get(BINDING)
    if not text:
        return ""
    try:
        value = ip_address(text)
    except ValueError:
        value = None
    if value is None or is_nobodys(value) or "%" in text:
        raise InvalidInput(
            f"option {BINDING}: {text[:60]!r} is not an address of a host",
            hint="'ip address' lists those of this host; 0.0.0.0 is all of them",
        )
    # libnetwork's default is written so, and has meant both families since there are two.
    return "" if str(value) == ALL[4] else str(value)


def mode(network: Network, version: int) -> str:
    """Return a family's gateway mode."""
    return network.facts.get(f"mode{version}", NAT)


def is_isolated(network: Network, version: int) -> bool:
    """Whether a network and its host are kept apart in a family: by its mode, or because the
    network has no subnet of that family and is kept apart in the other."""
    modes = {mode(network, pool.version) for pool in network.pools}
    alone = not network.pool(version) and modes == {ISOLATED}
    return alone or mode(network, version) == ISOLATED


def is_filtered(network: Network) -> bool:
    """Whether rules keep the network's endpoints apart, beside the flag of their ports: see
    ``netctl.backends.apart``."""
    return network.facts.get("frames") == "true"


def is_port_isolated(network: Network, endpoint: Endpoint) -> bool:
    """Whether the endpoint's port on the bridge has the flag ``isolated``."""
    if network.facts["icc"] == "true":
        return False
    # An internal network is never a way out, so the host lends it no port.
    outward = is_filtered(network) and not network.internal
    lent = translated(network, endpoint, (4, 6)) if outward else {}
    return not any(is_lent(port, version) for version in lent for port in endpoint.ports)


def binding(network: Network) -> str:
    """Return the host's address for publications that name none, empty for all."""
    return network.facts.get("binding", "")


def trusted(network: Network) -> list[str]:
    """Return the host's interfaces that may reach published ports directly."""
    return network.facts.get("trusted", "").split()


def is_direct(network: Network) -> bool:
    """Whether everybody may reach published ports directly, by option."""
    return network.facts.get("direct") == "true"


def addresses(endpoint: Endpoint, versions: Sequence[int] = (4, 6)) -> dict[int, str]:
    """Return those of an endpoint's addresses that the host forwards to, by family and without
    prefix length."""
    there = {6 if ":" in a else 4: a.partition("/")[0] for a in endpoint.routed_addresses}
    return {version: there[version] for version in versions if version in there}


def translated(network: Network, endpoint: Endpoint, versions: Sequence[int]) -> dict[int, str]:
    """Return the endpoint's addresses in those of the families whose ports the host lends."""
    there = addresses(endpoint, versions)
    return {v: there[v] for v in there if mode(network, v) in (NAT, UNPROTECTED)}


def is_lent(port: Port, version: int) -> bool:
    """Whether the host lends a port of its own for a publication, in that family (4, 6)."""
    # Those of ::1 are relayed: see netctl.naming.
    return bool(port.host_first) and port.on(version) and port.host_ip != LOOPBACK6


def opened(network: Network, endpoint: Endpoint) -> dict[int, tuple[Port, ...]]:
    """Return by family which of the endpoint's ports are open on its own address, while it is
    joined. What is published on a loopback address is for the host alone, and open nowhere."""
    result = {}
    for version in addresses(endpoint):
        if opens(network, version):
            ports = tuple(p for p in endpoint.ports if p.on(version) and not is_loopback(p.host_ip))
            if ports:
                result[version] = ports
    return result


def opens(network: Network, version: int) -> bool:
    """Whether published ports are reached on the endpoint's own address by somebody outside."""
    kind = mode(network, version)
    asked = kind == NAT and (is_direct(network) or bool(trusted(network)))
    return not network.internal and (kind == ROUTED or asked)


def is_loopback(address: str) -> bool:
    """Whether an address, of which there may be none, is one of the host's loopback."""
    return address.startswith("127.") or address == LOOPBACK6


def loopback_key(network: Network) -> str:
    """Return the sysctl that lets the host send from 127.0.0.0/8 into the network."""
    return f"net/ipv4/conf/{network.facts['bridge']}/route_localnet"
