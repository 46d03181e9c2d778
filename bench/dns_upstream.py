"""A name server that says 192.0.2.1 to every question: ``python dns_upstream.py ADDRESS``."""

from __future__ import annotations

import socket
import sys

_ANSWER = bytes.fromhex("c00c 0001 0001 0000003c 0004 c0000201")


def main(address: str) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 53))
    while True:
        query, client = sock.recvfrom(4096)
        end = query.index(b"\0", 12) + 5
        head = query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
        sock.sendto(head + query[12:end] + _ANSWER, client)


if __name__ == "__main__":
    main(sys.argv[1])
