"""The fixture of the tests that need a kernel: a host of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.host import Host, reason_to_skip


@pytest.fixture
def host() -> Iterator[Host]:
    """A throw-away host (see ``tests.kernel.host``)."""
    if reason := reason_to_skip():
        pytest.skip(reason)
    made = Host()
    try:
        yield made
    finally:
        made.close()
