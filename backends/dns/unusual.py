"""Queries that are not plain, read by a library: dnspython.

It is imported for the first of them: that takes 100 ms and 10 MiB, which most hosts never need.
"""

from __future__ import annotations

from struct import pack

from netctl.backends.dns.wire import HEADER


def plain(data: bytes) -> bytes | None:
    """Return the plain form of a query: its question and EDNS without other records.

    None is for a malformed one, and for one with more or less than a question (RFC 9619).
    """
    # Loaded for this alone; see the module.
    import dns.message

    try:
        # keyring=False: a signature is no matter of ours (RFC 8945 wants it checked by who has
        # the key); what follows a message is noise.
        message = dns.message.from_wire(data, keyring=False, ignore_trailing=True)
        [question] = message.question
        name = question.name.to_wire()
    except Exception:  # whatever it is: the packet is at fault, and gets FORMERR
        return None
    if name is None:
        return None
    edns = b""
    if message.edns >= 0:
        edns = pack(">BHHIH", 0, 41, message.payload, message.ednsflags & 0xFFFFFFFF, 0)
    counts = pack(">HHHH", 1, 0, 0, bool(edns))
    kinds = pack(">HH", question.rdtype, question.rdclass)
    return data[: HEADER - 8] + counts + name + kinds + edns
