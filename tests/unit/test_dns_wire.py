"""The resolver's messages, with dnspython as the judge."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netctl.backends.dns import wire
from netctl.backends.dns.answering import Forward, answer, kept_as
from netctl.backends.dns.zones import View
from tests.campaign.packets import Campaign, view

VIEW = view()
LABELS = st.binary(min_size=1, max_size=63)
NAMES = st.lists(LABELS, max_size=4).map(lambda labels: dns.name.Name([*labels, b""]))
OPTION: list[dns.edns.Option] = [dns.edns.CookieOption(b"12345678", b"")]
KINDS = st.integers(0, 65535)


def asked(packet: bytes, *, stream: bool = False, ndots: int | None = None) -> dns.message.Message:
    """Return the answer that a packet gets at once."""
    found = answer(packet, VIEW, ndots, stream=stream)
    assert isinstance(found, bytes)
    return dns.message.from_wire(found)


def ask(name: str, kind: str = "A", **options: object) -> dns.message.Message:
    return asked(dns.message.make_query(name, kind, **options).to_wire())  # type: ignore[arg-type]


def forwarded(packet: bytes, ndots: int | None = None) -> bool:
    return isinstance(answer(packet, VIEW, ndots, stream=False), Forward)


def data(message: dns.message.Message) -> set[str]:
    return {item.to_text() for rrset in message.answer for item in rrset}


@given(NAMES, KINDS, st.integers(0, 254), st.none() | st.integers(0, 65535), st.booleans())
def test_a_plain_query_is_read_as_the_library_reads_it(
    name: dns.name.Name, kind: int, klass: int, size: int | None, option: bool
) -> None:
    query = dns.message.make_query(name, "A")
    query.question[0].rdtype = dns.rdatatype.RdataType.make(kind)
    query.question[0].rdclass = dns.rdataclass.RdataClass.make(klass)
    if size is not None:
        query.use_edns(0, dns.flags.DO, size, options=OPTION if option else [])
    packet = query.to_wire()
    question = wire.question(packet)
    if len(name.to_wire() or b"") > 255:
        return
    assert question is not None
    assert (question.kind, question.klass) == (kind, klass)
    assert question.end == 12 + len(name.to_wire() or b"") + 4
    assert question.edns == question.do == (size is not None)
    assert question.options == (size is not None and option)
    assert question.size == min(max(size or 0, 512), 65507)
    # One name for one sequence of labels, whatever their case.
    labels = [label.lower().replace(b".", b"\\.").decode("latin-1") for label in name.labels[:-1]]
    assert question.name == ".".join(labels)


@pytest.mark.parametrize("edns", [-1, 0])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_says_what_it_should(edns: int, stream: bool) -> None:
    query = dns.message.make_query("Web1.WEB.", "A", use_edns=edns, want_dnssec=edns == 0)
    query.flags |= dns.flags.CD
    reply = asked(query.to_wire(), stream=stream)
    assert reply.id == query.id and reply.question == query.question
    assert reply.question[0].name.labels == (b"Web1", b"WEB", b"")
    flags = dns.flags.QR | dns.flags.AA | dns.flags.RD | dns.flags.RA | dns.flags.CD
    assert reply.flags == flags and reply.rcode() == dns.rcode.NOERROR
    assert data(reply) == {"10.0.0.1"} and reply.answer[0].ttl == 0
    assert (reply.edns, reply.ednsflags & dns.flags.DO) == (query.edns, query.ednsflags)


def test_every_type_of_a_local_name_is_answered_here() -> None:
    assert data(ask("web1.", "AAAA")) == {"fd00::1"}
    assert data(ask("web1.", "ANY")) == {"10.0.0.1", "fd00::1"}
    assert data(ask("1.0.0.10.in-addr.arpa.", "PTR")) == {"web1.web."}
    assert data(ask("1.0.0.10.in-addr.arpa.", "ANY")) == {"web1.web."}
    assert data(ask("db.", "ANY")) == {"10.0.0.1", "fd00::1"}
    for kind in ("MX", "SRV", "TXT", "HTTPS", "SOA", "NS", "DS", "TYPE65300"):
        assert ask("web1.", kind).rcode() == dns.rcode.NOERROR and not ask("web1.", kind).answer
    for name in ("_http._tcp.web1.", "_x.web1.web.", "_dmarc.db."):
        assert ask(name, "SRV").rcode() == dns.rcode.NOERROR
    assert not ask("web1.", "A", rdclass="CH").answer
    assert ask("ok.org.", "AXFR").rcode() == ask("ok.org.", "IXFR").rcode() == dns.rcode.REFUSED
    for name in ("ok.org.", "web1.other.", "_x.ok.org.", "_tcp.", ".", "x.web1."):
        assert forwarded(dns.message.make_query(name, "A").to_wire()), name
    # A label with a dot in it is no two labels.
    assert forwarded(dns.message.make_query(dns.name.Name([b"web1.web", b""]), "A").to_wire())


def test_single_labels_with_ndots() -> None:
    single, other = (dns.message.make_query(name, "A").to_wire() for name in ("x.", "x.org."))
    assert forwarded(single) and forwarded(single, 0) and forwarded(other, 1)
    assert asked(single, ndots=1).rcode() == dns.rcode.NOERROR
    assert forwarded(dns.message.make_query("x.", "MX").to_wire(), 1)


def test_all_who_bear_a_name_take_turns() -> None:
    query = dns.message.make_query("www.", "A", use_edns=0, payload=4096).to_wire()
    cookie = dns.message.make_query("www.", "A")
    cookie.use_edns(0, payload=4096, options=OPTION)
    for packet, stream in ((query, False), (query, True), (cookie.to_wire(), False)):
        replies = [asked(packet, stream=stream) for _ in range(32)]
        assert all(len(data(reply)) == 40 for reply in replies)
        firsts = {next(iter(reply.answer[0])).to_text() for reply in replies}
        assert len(firsts) >= 16
    # The answers are kept, for UDP and TCP apart, but for those to a query with a cookie.
    for stream in (False, True):
        kept = [next(VIEW.answers[kept_as(query, stream)]) for _ in range(17)]
        assert len(set(kept)) == 16 and kept[0] == kept[16]
    assert cookie.to_wire()[2:] not in VIEW.answers


@pytest.mark.parametrize("size", [0, 512, 600, 1232, 65535])
def test_an_answer_fits(size: int) -> None:
    query = dns.message.make_query("www.", "AAAA")
    if size:
        query.use_edns(0, payload=size)
    found = answer(query.to_wire(), VIEW, None, stream=False)
    assert isinstance(found, bytes) and len(found) <= max(size, 512)
    reply = dns.message.from_wire(found)
    assert bool(reply.flags & dns.flags.TC) == (len(data(reply)) < 40)
    assert len(found) > min(max(size, 512), 1100) - 28


def test_what_is_no_question_for_a_resolver() -> None:
    query = dns.message.make_query("web1.", "A", use_edns=0)
    packet = query.to_wire()
    assert answer(b"", VIEW, None, stream=False) is None
    assert answer(packet[:11], VIEW, None, stream=False) is None
    assert answer(dns.message.make_response(query).to_wire(), VIEW, None, stream=False) is None
    for opcode in (dns.opcode.STATUS, dns.opcode.NOTIFY, dns.opcode.UPDATE, 15):
        reply = asked(packet[:2] + bytes((opcode << 3,)) + packet[3:])
        assert (reply.rcode(), reply.id) == (dns.rcode.NOTIMP, query.id)
        assert reply.opcode() == opcode
    newer = dns.message.make_query("web1.", "A", use_edns=1)
    assert asked(newer.to_wire()).rcode() == dns.rcode.BADVERS
    assert asked(newer.to_wire()).edns == 0


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param("0001 0100 0000 0000 0000 0000", id="no question"),
        pytest.param("0001 0100 0002 0000 0000 0000 016100 00010001 016200 00010001", id="two"),
        pytest.param("0001 0100 0001 0000 0000 0000", id="a question is promised"),
        pytest.param("0001 0100 0001 0000 0000 0000 0361", id="cut in a label"),
        pytest.param("0001 0100 0001 0000 0000 0000 016100 0001", id="cut in the type"),
        pytest.param("0001 0100 0001 0000 0000 0000 c00c 00010001", id="loop"),
        pytest.param("0001 0100 0001 0000 0000 0000 c00e c00c 00010001", id="loop of two"),
        pytest.param("0001 0100 0001 0000 0000 0000 8161 00 00010001", id="label type"),
        pytest.param("0001 0100 0001 0000 0000 0000" + "3f" + "61" * 63 + ("3f" + "61" * 63) * 3 + "00 00010001", id="long name"),
        pytest.param("0001 0100 0001 0000 0000 0001 016100 00010001 00 0029 04d0 00000000 0005 0001", id="short option"),
        pytest.param("0001 0100 0001 0000 0000 0002 016100 00010001 00 0029 04d0 00000000 0000 00 0029 04d0 00000000 0000", id="two OPT"),
        pytest.param("0001 0100 0001 0000 0000 0001 016100 00010001 0161 00 0029 04d0 00000000 0000", id="OPT with a name"),
        pytest.param("0001 0100 0001 0001 0000 0000 016100 00010001", id="an answer is promised"),
    ],
)  # fmt: skip
def test_malformed_is_formerr(packet: str) -> None:
    reply = asked(bytes.fromhex(packet))
    assert reply.rcode() == dns.rcode.FORMERR and reply.id == 1


def test_unusual_but_well_formed_is_answered() -> None:
    signed = dns.message.make_query("web1.", "A", use_edns=0, payload=1400)
    signed.use_tsig({dns.name.from_text("key."): dns.tsig.Key("key.", b"secret")})
    assert data(asked(signed.to_wire())) == {"10.0.0.1"} and asked(signed.to_wire()).edns == 0
    trailing = dns.message.make_query("web1.", "A").to_wire() + b"noise"
    assert data(asked(trailing)) == {"10.0.0.1"}
    other = dns.message.make_query("ok.org.", "A")
    other.use_tsig({dns.name.from_text("key."): dns.tsig.Key("key.", b"secret")})
    assert forwarded(other.to_wire())


def test_whose_answer_it_is() -> None:
    query = dns.message.make_query("Ok.org.", "A")
    packet = query.to_wire()
    question = wire.question(packet)
    reply = dns.message.make_response(query)
    assert question and wire.answers_to(reply.to_wire(), packet, question)
    lowered = reply.to_wire()[:12] + reply.to_wire()[12:].lower()
    assert wire.answers_to(lowered, packet, question)
    others = [
        packet,
        reply.to_wire()[:11],
        bytes((packet[0] ^ 1,)) + reply.to_wire()[1:],
        dns.message.make_response(dns.message.make_query("no.org.", "A", id=query.id)).to_wire(),
        dns.message.make_response(dns.message.make_query("Ok.org.", "MX", id=query.id)).to_wire(),
        reply.to_wire()[:4] + bytes(8),
    ]
    assert not any(wire.answers_to(other, packet, question) for other in others)
    refused = reply.to_wire()[:3] + b"\1" + bytes(8)
    assert wire.answers_to(refused, packet, question)
    assert wire.truncated(refused, question, 12) == refused


@settings(max_examples=300)
@given(st.binary(max_size=600), st.booleans())
def test_random_packets(packet: bytes, stream: bool) -> None:
    found = answer(packet, View(()), None, stream=stream)
    assert (found is None) == (len(packet) < 12 or packet[2] >= 128)


def test_a_hundred_thousand_damaged_packets() -> None:
    campaign = Campaign(seed=20261125)
    campaign.run(100_000)
    assert {"dropped", "forwarded", "heard", "rcode 0", "rcode 1"} <= set(campaign.counts)
