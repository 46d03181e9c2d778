"""Damaged DNS packets through all that reads them: ``python -m tests.campaign.packets --seconds N``.

Each must be answered, forwarded or dropped, without an exception, and what is answered must be a
message that another library can read. The seed that is printed makes it happen again.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Iterator

import dns.edns
import dns.message
import dns.rdatatype

from netctl.backends.dns import wire
from netctl.backends.dns.answering import Forward, answer
from netctl.backends.dns.model import Endpoint, Member, Network
from netctl.backends.dns.zones import View, Zones

READ_AGAIN = 20
"""Every how manyth answer the other library reads, which takes it longest of all."""


def view() -> View:
    """Return the names that the packets ask for."""
    zones = Zones()
    zones.put_network(Network(id="n", name="web", forward=True))
    for index in range(40):
        names = ("web1", "www", "a.b-c_d") if index == 0 else (f"m{index}", "www")
        addresses = (f"10.0.0.{index + 1}", f"fd00::{index + 1:x}")
        zones.put_endpoint(Endpoint(id=str(index), network="n", names=names, addresses=addresses))
    return zones.view([Member(endpoint="0", network="n", aliases=(("db", "web1"),))])


def seeds() -> list[bytes]:
    """Return packets as clients and servers send them."""
    made = []
    for name in (
        "web1.",
        "WWW.web.",
        "db.",
        "_http._tcp.web1.",
        "1.0.0.10.in-addr.arpa.",
        "ok.org.",
    ):
        for kind in ("A", "AAAA", "PTR", "ANY", "MX", "SRV", "TXT", "AXFR", "HTTPS"):
            for edns in (-1, 0, 1):
                query = dns.message.make_query(name, kind, use_edns=edns, payload=1232)
                if edns == 0 and kind == "A":
                    query.use_edns(0, options=[dns.edns.CookieOption(b"12345678", b"")])
                made += [query.to_wire(), dns.message.make_response(query).to_wire()]
    signed = dns.message.make_query("web1.", "A")
    signed.use_tsig({dns.name.from_text("key."): dns.tsig.Key("key.", b"secret")})
    loop = b"\0\1\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"
    two = made[0][:4] + b"\0\2" + made[0][6:] + made[0][12:]
    return [*made, signed.to_wire(), loop, two]


def mutations(chosen: random.Random, packets: list[bytes]) -> Iterator[bytes]:
    """Yield damaged packets without end."""
    while True:
        packet = bytearray(chosen.choice(packets))
        for _ in range(chosen.choice((0, 1, 1, 2, 4, 16))):
            _damage(chosen, packet, packets)
        yield bytes(packet)


def _damage(chosen: random.Random, packet: bytearray, packets: list[bytes]) -> None:
    at = chosen.randrange(len(packet) + 1)
    match chosen.randrange(7):
        case 0 if at < len(packet):
            packet[at] = chosen.randrange(256)
        case 1 if at < len(packet):
            packet[at] = chosen.choice((0, 1, 63, 64, 127, 128, 191, 192, 255))
        case 2:
            del packet[at:]
        case 3:
            packet[at:at] = chosen.randbytes(chosen.choice((1, 2, 60, 600)))
        case 4:
            packet[at:at] = chosen.choice(packets)[at:]
        case 5 if at + 1 < len(packet):
            packet[at : at + 2] = (0xC000 | chosen.randrange(len(packet))).to_bytes(2)
        case 6 if len(packet) >= 12:
            # The header, with counts that promise much.
            packet[2 + chosen.randrange(10)] = chosen.randrange(256)


class Campaign:
    """Packets through the resolver's code, and a count of what came of them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._view = view()
        self._queries = seeds()
        self._packets = mutations(self._random, self._queries)
        self.counts: Counter[str] = Counter()

    def run(self, count: int) -> None:
        """Try so many packets; raise for the first that is not taken as it should be."""
        for _ in range(count):
            packet = next(self._packets)
            try:
                self._ask(packet)
                self._hear(packet)
            except Exception as error:
                error.add_note(f"packet {packet.hex()}")
                raise

    def _ask(self, packet: bytes) -> None:
        stream = self._random.random() < 0.3
        found = answer(packet, self._view, self._random.choice((None, 0, 1)), stream=stream)
        if found is None:
            self.counts["dropped"] += 1
            assert len(packet) < 12 or packet[2] & 0x80, "a query got no answer"
            return
        if isinstance(found, Forward):
            self.counts["forwarded"] += 1
            assert wire.question(found.query) is not None, "what is forwarded is not plain"
            return
        self.counts[f"rcode {wire.rcode(found)}"] += 1
        assert found[:2] == packet[:2] and found[2] & 0x80 and len(found) >= 12
        assert len(found) <= (65535 if stream else wire.LARGEST)
        if self._random.randrange(READ_AGAIN) == 0:
            dns.message.from_wire(found)
        if (kept := self._view.answers.get(packet[2:])) and not stream:
            asked = wire.question(packet)
            again = packet[:2] + next(kept)
            assert asked and wire.answers_to(again, packet, asked) and len(again) <= asked.size

    def _hear(self, packet: bytes) -> None:
        """Take a packet for the answer of another server."""
        query = self._random.choice(self._queries)
        asked = wire.question(query)
        if asked is None or not wire.answers_to(packet, query, asked):
            return
        self.counts["heard"] += 1
        cut = wire.truncated(packet, asked, asked.size)
        assert len(cut) <= asked.size or packet[4:6] == b"\0\0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    campaign = Campaign(options.seed)
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        campaign.run(1000)
    print(f"{sum(campaign.counts.values())} packets taken as they should be:")
    for what, count in campaign.counts.most_common():
        print(f"  {count:9} {what}")


if __name__ == "__main__":
    main()
