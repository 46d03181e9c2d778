"""What only the library can be given: a text alone for several, and what is no text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from netctl.controller import Controller
from netctl.errors import InvalidInput
from tests.fake_kernel import FakeKernel
from tests.unit.test_every_step import config

Act = Callable[[Controller], object]


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda c: c.networks.create("x", subnets="10.2.0.0/24"), "'10.2.0.0/24' is one text"),
        (lambda c: c.networks.create("x", gateways="10.2.0.1"), "'10.2.0.1' is one text"),
        (lambda c: c.sandboxes.create("x", dns="192.0.2.53"), "'192.0.2.53' is one text"),
        (lambda c: c.endpoints.create("web", "x", ports="80"), "'80' is one text"),
        (lambda c: c.endpoints.create("web", "x", aliases="www"), "'www' is one text"),
        (lambda c: c.endpoints.create("web", "x", routes="10.9.0.0/16"), "is one text"),
        (lambda c: c.sandboxes.run("true"), "'true' is one text"),
        (
            lambda c: c.networks.create("x", options={"driver.mtu": 1400}),
            "=1400: the key and the value must be strings",
        ),
        (
            lambda c: c.networks.create("x", labels={"a": None}),
            "'a'=None: the key and the value must be strings",
        ),
    ],
)
def test_it_is_refused_and_nothing_changes(tmp_path: Path, act: Act, words: str) -> None:
    kernel = FakeKernel()
    with Controller(config(tmp_path), kernel=kernel) as c:
        c.networks.create("web")
        before = kernel.state()
        with pytest.raises(InvalidInput) as caught:
            act(c)
        assert words in caught.value.message and caught.value.hint
        assert kernel.state() == before
