"""What netctl stands on: privileges, the kernel's features and tables, other programs."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from shlex import quote

from netctl.backends.access import ALL
from netctl.doctor.configuring import added
from netctl.doctor.finding import Finding, note, problem, warning
from netctl.doctor.machine import Machine, Published
from netctl.ports import outside, spec

_LIBRARY = (1, 0, 2)
"""The oldest libnftables that is known to work (Ubuntu 22.04)."""
_FULL, _NEARLY = 1.0, 0.9
_NEIGHBOURS = {4: ("/proc/net/stat/arp_cache", "ipv4"), 6: ("/proc/net/stat/ndisc_cache", "ipv6")}
_NETWORKD = ("/etc/systemd/network", "/run/systemd/network", "/usr/lib/systemd/network")
_OURS = "netctl.network"
_NM_CONF = "/etc/NetworkManager/conf.d/netctl.conf"
_DHCPCD_CONF = "/etc/dhcpcd.conf"
_SLOW = 2.0
"""Seconds that a name server may take."""


def privileges(machine: Machine) -> Iterator[Finding]:
    """What this process may not do."""
    if lacking := machine.vitals.lacking():
        yield note(
            "privileges",
            "this is not run with all the rights that netctl needs: some things were not looked at",
            f"missing: {', '.join(lacking)}",
            "sudo netctl doctor",
        )


def features(machine: Machine) -> Iterator[Finding]:
    """What the kernel does not have."""
    if not machine.vitals.lacking():
        for feature, answer in machine.vitals.missing():
            yield problem(
                "kernel-feature",
                f"the kernel has no {feature}, which networks of driver bridge need",
                f"tried in a namespace of its own: {answer}",
                "modprobe -a bridge veth nf_tables nft_fib_inet nft_nat nft_masq"
                "  # or another kernel",
            )
    if machine.sysctl("net/ipv6/conf/all/disable_ipv6") is None:
        wanting = [network.name for network in machine.networks if network.enable_ipv6]
        if wanting:
            yield problem(
                "kernel-feature",
                f"the kernel has no IPv6, which networks ({', '.join(wanting)}) have",
                "/proc/sys/net/ipv6: no such directory",
                "boot without ipv6.disable=1",
            )


def library(machine: Machine) -> Iterator[Finding]:
    """libnftables: missing or old."""
    version = machine.vitals.library()
    if version is None:
        yield problem(
            "libnftables",
            "libnftables cannot be loaded: no network of driver bridge can be made or removed",
            "libnftables.so.1 is missing, or has no JSON",
            "apt-get install libnftables1",
        )
        return
    numbers = tuple(int(part) for part in version.split(".") if part.isdecimal())
    oldest = ".".join(map(str, _LIBRARY))
    if numbers and numbers < _LIBRARY:
        yield warning(
            "libnftables",
            "libnftables is older than what netctl was tried with",
            f"version {version}; the oldest that is known to work is {oldest}",
            "apt-get install --only-upgrade libnftables1",
        )


def connections(machine: Machine) -> Iterator[Finding]:
    """The table of tracked connections: without room in it, packets are dropped."""
    count, limit = (
        int(machine.sysctl(f"net/netfilter/nf_conntrack_{name}") or 0) for name in ("count", "max")
    )
    if limit and count >= limit * _NEARLY:
        say = problem if count >= limit * _FULL else warning
        yield say(
            "conntrack-full",
            "the table of tracked connections is full, or nearly: new connections are dropped",
            f"net.netfilter.nf_conntrack_count = {count}, nf_conntrack_max = {limit}",
            f"sysctl -w net.netfilter.nf_conntrack_max={limit * 2}",
        )


def neighbours(machine: Machine) -> Iterator[Finding]:
    """The tables of neighbours, which all namespaces share."""
    for version, (path, family) in _NEIGHBOURS.items():
        lines = (machine.kernel.file_read(path) or "").splitlines()
        limit = int(machine.sysctl(f"net/{family}/neigh/default/gc_thresh3") or 0)
        if len(lines) < 2 or not limit:
            continue
        count = int(lines[1].split()[0], 16)
        if count >= limit * _NEARLY:
            say = problem if count >= limit * _FULL else warning
            yield say(
                "neighbours-full",
                f"the table of IPv{version} neighbours is full, or nearly: new ones are not found",
                f"{count} entries in {path}, net.{family}.neigh.default.gc_thresh3 = {limit}",
                f"sysctl -w net.{family}.neigh.default.gc_thresh3={limit * 4}",
            )


def managers(machine: Machine) -> Iterator[Finding]:
    """Other programs that manage interfaces, and may take ours."""
    if not machine.networks:
        return
    running = {name: pid for pid, name in machine.vitals.processes().items()}
    remedy = "netctl system install  # then reload the manager"
    if "NetworkManager" in running and machine.kernel.file_read(_NM_CONF) is None:
        yield warning(
            "network-manager",
            "NetworkManager runs and is not configured to ignore netctl's interfaces",
            f"process {running['NetworkManager']}; no {_NM_CONF}",
            remedy,
        )
    if "systemd-network" in running:
        yield from _networkd(machine, running["systemd-network"], remedy)
    if "dhcpcd" in running and "denyinterfaces" not in (
        machine.kernel.file_read(_DHCPCD_CONF) or ""
    ):
        yield warning(
            "dhcpcd",
            "dhcpcd runs on every interface, netctl's too, and gives them addresses and routes",
            f"process {running['dhcpcd']}; no denyinterfaces in {_DHCPCD_CONF}",
            f"echo 'denyinterfaces br-* nc*' >> {_DHCPCD_CONF}",
        )


def _networkd(machine: Machine, pid: int, remedy: str) -> Iterator[Finding]:
    """Yield the file of systemd-networkd by which it takes one of our interfaces: the first in the
    order of names that matches counts (systemd.network(5))."""
    names = [network.facts["bridge"] for network in machine.networks]
    names += [place.host_ifname for _, _, place in machine.joined if place.host_ifname]
    files = {
        name: f"{directory}/{name}"
        for directory in reversed(_NETWORKD)
        for name in machine.kernel.directory_list(directory)
        if name.endswith(".network")
    }
    for name in sorted(files):
        globs = _matched(machine.kernel.file_read(files[name]) or "")
        taken = [link for link in names if any(fnmatchcase(link, glob) for glob in globs)]
        if name.endswith(_OURS):
            return
        if not taken:
            continue
        yield warning(
            "networkd",
            f"systemd-networkd runs and takes interfaces of netctl, such as {taken[0]}",
            f"process {pid}; {files[name]}: Name={' '.join(globs)}",
            remedy,
            *(() if name > _OURS else (_before(name),)),
        )
        return


def _before(name: str) -> str:
    """Return the line that gives our file a name which comes before another's."""
    ours = f"00-{_OURS}" if f"00-{_OURS}" < name else f"!{_OURS}"
    return f"ln -sf {_OURS} {quote(f'{_NETWORKD[0]}/{ours}')}"


def _matched(text: str) -> list[str]:
    """Return the globs by which a file of systemd-networkd matches names."""
    section, globs = "", []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line
        elif section == "[Match]" and line.startswith("Name="):
            globs += line.removeprefix("Name=").split()
    return globs


def listeners(machine: Machine) -> Iterator[Finding]:
    """Published ports that a process of the host serves too, which is hidden by them."""
    for item in machine.published:
        for number in item.port.host_ports[:1]:
            if holder := machine.vitals.listener(item.port.protocol, number):
                yield _hidden(item, number, holder)


def lost_addresses(machine: Machine) -> Iterator[Finding]:
    """Ports that are published on an address that the host had, and has no more."""
    for item in machine.published:
        address = item.port.host_ip
        if address not in ("", *ALL.values()) and machine.way(address).kind != "local":
            yield warning(
                "published-address-gone",
                f"port {outside(item.port)}/{item.port.protocol} of {item.name} is published on"
                f" {address}, which is no longer an address of this host: it is unreachable",
                f"ip route get {address}: {machine.way(address).kind}",
                f"netctl endpoint unpublish {item.name} {spec(item.port)}",
            )


def _hidden(item: Published, number: int, holder: str) -> Finding:
    port = f"{number}/{item.port.protocol}"
    return warning(
        "port-served-twice",
        f"port {port} is published by {item.name}, and {holder} of the host serves it too: from"
        " outside only the sandbox is reached",
        f"{holder} has a socket at port {port}",
        f"netctl endpoint unpublish {item.name} {spec(item.port)}",
    )


def name_servers(machine: Machine) -> Iterator[Finding]:
    """The name servers that sandboxes are given: none, or silent ones. These are only asked where
    that was allowed."""
    servers = [
        words[1]
        for words in map(str.split, machine.resolv_conf.splitlines())
        if len(words) > 1 and words[0] == "nameserver"
    ]
    usable = [s for s in servers if not s.startswith("127.") and s != "::1"]
    if machine.rooms and not usable and not machine.config.dns:
        yield warning(
            "no-name-server",
            "sandboxes get no name server: those of the host are on its loopback, which they do not"
            " reach",
            f"resolv.conf: {', '.join(servers) or 'no nameserver'}",
            f"{added(machine, 'dns', ['ADDRESS'])}  # of a name server that they reach",
        )
    for server in dict.fromkeys((*machine.config.dns, *usable)) if machine.probe else ():
        if machine.vitals.dns_delay(server.partition("%")[0], _SLOW) is None:
            yield problem(
                "name-server-silent",
                f"name server {server} does not answer: names cannot be resolved, or late",
                f"asked {server} on port 53 for the root's name servers: nothing in {_SLOW:g} s",
                f"dig @{server} . NS  # shows it again",
            )
