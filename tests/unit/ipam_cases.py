"""What the tests of IPAM share."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from netctl.backends import ipam
from netctl.backends.ipam import PoolRequest
from netctl.backends.ipam.surroundings import Surroundings
from netctl.errors import NetctlError
from netctl.models import Network, Pool

DEFAULT = ipam.load("default")
REQUEST = PoolRequest(machine_id="0123456789abcdef0123456789abcdef")
NOWHERE = Surroundings()
NET = ("10.0.0.0/24",)


def network(*pools: Pool, name: str = "web") -> Network:
    return Network(id="n" * 64, name=name, driver="bridge", created="", pools=pools)


def nobody(address: str) -> str | None:
    return None


def refused(error: type[NetctlError], words: str, call: Callable[[], object]) -> NetctlError:
    """Return the error, which must have these words in it and a remedy."""
    with pytest.raises(error, match=re.escape(words)) as caught:
        call()
    assert caught.value.hint
    return caught.value
