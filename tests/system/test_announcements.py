"""Who knew an address with another MAC reaches its new owner at once."""

from __future__ import annotations

import json
from functools import partial

import pytest

from netctl.controller import Controller
from tests.kernel.host import ANSWER, Host
from tests.system.library import act, clear
from tests.waiting import PATIENCE, QUIET

C1, C2, C3 = (f"/run/netns/{name}" for name in ("c1", "c2", "c3"))
ADDRESS4, ADDRESS6 = "10.7.0.77", "fd07::77"


def network(options: dict[str, str], c: Controller) -> None:
    subnets = ["10.7.0.0/24", "fd07::/64"]
    c.networks.create("web", subnets=subnets, ipv6=True, options=options)
    for name in ("c1", "c2", "c3"):
        c.sandboxes.create(name)
    c.endpoints.connect("web", "c1")


def owner(c: Controller, sandbox: str) -> None:
    c.endpoints.connect("web", sandbox, ip=ADDRESS4, ip6=ADDRESS6)


def moved(c: Controller) -> None:
    """Let the addresses go, and come again with another MAC."""
    c.endpoints.disconnect("web", "c2")
    owner(c, "c3")


def known(host: Host, netns: str, address: str) -> list[str]:
    """Return the MAC addresses by which a stack knows an address."""
    inside = f"ip netns exec {netns}" if netns else ""
    found = host.json(f"{inside} ip -j neighbour show to {address}")
    return [item["lladdr"] for item in found if "lladdr" in item]


def reached(host: Host, netns: str, address: str, seconds: float = ANSWER) -> bool:
    """Whether one packet is answered."""
    inside = ["ip", "netns", "exec", netns] if netns else []
    return host.run(*inside, "ping", "-n", "-q", "-c1", f"-W{seconds:g}", address).returncode == 0


def mac_in(host: Host, netns: str) -> str:
    [link] = host.json(f"ip -n {netns} -j link show eth0")
    return str(link["address"])


@pytest.mark.parametrize("icc", ["true", "false"])
def test_a_new_owner_is_reached_at_once(host: Host, icc: str) -> None:
    clean = host.snapshot()
    host.call(act, partial(network, {"bridge.enable_icc": icc}), lambda c: owner(c, "c2"))
    # Endpoints that may not talk to each other do not know each other either.
    peers = ("c1", "") if icc == "true" else ("",)
    for peer in peers:
        assert reached(host, peer, ADDRESS4) and reached(host, peer, ADDRESS6)
    before = mac_in(host, "c2")
    assert known(host, "c1", ADDRESS4) == ([before] if icc == "true" else [])
    host.call(act, moved)
    after = mac_in(host, "c3")
    assert after != before
    for address in (ADDRESS4, ADDRESS6):
        for peer in peers:
            assert known(host, peer, address) in ([after], []), (peer, address)
            assert reached(host, peer, address), (peer, address)
            assert known(host, peer, address) == [after]
    host.call(act, lambda c: c.endpoints.disconnect("web", "c3"))
    assert known(host, "", ADDRESS4) == known(host, "", ADDRESS6) == []
    host.call(act, clear)
    host.assert_unchanged(clean)


def test_without_announcements_peers_believe_what_they_knew(host: Host) -> None:
    """What the test before would see if nothing was announced; the host forgets nevertheless."""
    host.call(act, partial(network, {"advertise_addr_nmsgs": "0"}), lambda c: owner(c, "c2"))
    for peer in ("c1", ""):
        assert reached(host, peer, ADDRESS4) and reached(host, peer, ADDRESS6)
    host.call(act, moved)
    for address in (ADDRESS4, ADDRESS6):
        assert not reached(host, "c1", address, seconds=QUIET)
        assert reached(host, "", address)


def test_what_is_announced(host: Host) -> None:
    """Three times, a tenth of a second apart, by the kernel's clock for what it received."""
    options = {"advertise_addr_nmsgs": "3", "advertise_addr_ms": "100"}
    host.call(act, partial(network, options))
    listener = (
        "import json, socket, struct\n"
        "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\n"
        "s.bind(('eth0', 0)); s.setsockopt(1, 35, 1); seen = []\n"
        "print('ready', flush=True)\n"
        "while len(seen) < 6:\n"
        "    data, [(_, _, when)], _, at = s.recvmsg(2000, 100)\n"
        "    if at[2] == 4: continue\n"
        "    if data[12:14] == b'\\x08\\x06' or (data[12:14] == b'\\x86\\xdd' and data[54] == 136 and data[22] == 0xfd):\n"
        "        second, nano = struct.unpack('ll', when); seen.append([second + nano / 1e9, data.hex()])\n"
        "print(json.dumps(seen))"
    )
    process = host.start(*("ip", "netns", "exec", "c1", "python3", "-c", listener), stdout=-1)
    assert process.stdout and process.stdout.readline() == "ready\n"
    host.call(act, lambda c: owner(c, "c2"))
    seen = json.loads(process.communicate(timeout=PATIENCE)[0])
    mac = mac_in(host, "c2").replace(":", "")
    arp = f"{'f' * 12}{mac}0806000108000604000{1}{mac}0a07004d{'0' * 12}0a07004d"
    assert [data for _, data in seen[::2]] == [arp] * 3
    address = "fd07" + "0" * 26 + "77"
    for _, data in seen[1::2]:
        assert data.startswith(f"333300000001{mac}86dd6000000000203aff{address}ff02")
        # Override, not solicited, no router; the target and its MAC.
        assert data[108:112] == "8800" and data[116:] == f"20000000{address}0201{mac}"
    gaps = [seen[i + 2][0] - seen[i][0] for i in (0, 2)]
    assert all(gap > 0.09 for gap in gaps), gaps
