"""Telling the resolver of changes over one connection, some of them without a wait."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from netctl.errors import KernelError
from netctl.kernel import resolver
from netctl.kernel.resolver import socket_path
from netctl.kernel.telling import Teller
from tests.waiting import PATIENCE

REFUSED = '{"error": "no", "errno": 22}'


class Resolver:
    """Answers each line with the next of ``answers``, or not where that is empty, and ends after
    the last."""

    def __init__(self, run_dir: str, answers: list[str]) -> None:
        self._answers, self.heard = answers, list[int]()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(socket_path(run_dir))
        self._listener.listen()
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        self._listener.close()
        with client, client.makefile("rw") as stream:
            for answer in self._answers:
                self.heard.append(json.loads(stream.readline())["n"])
                if answer:
                    stream.write(answer + "\n")
                    stream.flush()

    def end(self) -> list[int]:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.heard


@pytest.fixture
def teller(tmp_path: Path) -> Iterator[Teller]:
    made = Teller(str(tmp_path))
    yield made
    made.close()


def test_each_is_told_in_order_and_answered_later(tmp_path: Path, teller: Teller) -> None:
    process = Resolver(str(tmp_path), ['{"ok": true}'] * 3)
    assert all(teller.tell(f'{{"n": {number}}}') for number in range(3))
    teller.settle()
    assert process.end() == [0, 1, 2]
    assert not teller.connected  # It has gone, and no other has come.


def test_a_refusal_is_told_at_the_end_and_once(tmp_path: Path, teller: Teller) -> None:
    process = Resolver(str(tmp_path), [REFUSED, '{"ok": true}', REFUSED, '{"ok": true}'])
    assert teller.tell(
        '{"n": 0, "do": "all", "of": [{"do": "endpoint", "names": ["web1", "www"]},'
        ' {"do": "sandbox", "netns": "/run/netns/c1"}]}'
    )
    assert teller.tell('{"n": 1}')
    assert teller.tell('{"n": 2}')
    with pytest.raises(KernelError) as caught:
        teller.settle()
    assert caught.value.message == "the names of web1, /run/netns/c1: the resolver: no"
    assert caught.value.errno == 22
    assert caught.value.notes == ["the names of what has gone: the resolver: no"]
    assert teller.tell('{"n": 3}')
    teller.settle()
    teller.settle()
    assert process.end() == [0, 1, 2, 3]


def test_one_that_ends_instead_is_missed_by_the_next(tmp_path: Path, teller: Teller) -> None:
    process = Resolver(str(tmp_path), [""])
    assert teller.tell('{"n": 0}')
    teller.settle()
    assert not teller.connected
    assert process.end() == [0]
    assert not teller.tell('{"n": 1}')


def test_one_that_reads_nothing_is_killed(
    tmp_path: Path, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "_ANSWER", 0.3)
    listen = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
        " print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", listen, socket_path(str(tmp_path))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as hanging:
        assert hanging.stdout and hanging.stdout.readline() == b"ready\n"
        assert not teller.tell('{"n": "%s"}' % ("0" * (1 << 22)))
        assert not teller.attached
        assert hanging.wait(PATIENCE) == -signal.SIGKILL


def test_where_none_is_at_work_nothing_is_told(teller: Teller) -> None:
    assert not teller.connected
    assert not teller.tell('{"n": 0}')
    teller.settle()
