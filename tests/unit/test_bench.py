"""The benchmark's arithmetic and tables."""

from __future__ import annotations

import pytest

from bench.figures import (
    Samples,
    Target,
    between_marks,
    markdown_table,
    number,
    plain_table,
    ratio,
    rotated,
)
from bench.kernel_peer import bulk_address
from bench.operations import OPERATIONS


def sampled(**times: list[float]) -> Samples:
    samples = Samples()
    for who, values in times.items():
        for value in values:
            samples.add("network ls", who, value, 2048)
    return samples


def test_time_is_the_median_and_memory_the_peak() -> None:
    samples = sampled(netctl=[30.0, 10.0, 20.0])
    samples.add("network ls", "netctl", 20.0, 4096)

    assert samples.time("network ls", "netctl") == 20.0
    assert samples.memory("network ls", "netctl") == 4.0
    assert samples.time("network ls", "docker") is None
    assert samples.memory("network ls", "docker") is None


@pytest.mark.parametrize(("mine", "met", "word"), [(10.0, True, "met"), (10.1, False, "MISSED")])
def test_a_target_is_met_up_to_its_limit(mine: float, met: bool, word: str) -> None:
    target = Target(limit=1.0, than="docker")

    verdict = target.judge("network ls", sampled(netctl=[mine], docker=[10.0]))

    assert verdict.met is met
    assert str(verdict) == f"/ docker <= 1 {word}"


def test_a_target_that_nobody_measured_is_not_met_and_not_missed() -> None:
    verdict = Target(limit=1.0, than="docker").judge("network ls", sampled(netctl=[10.0]))

    assert verdict.met is None
    assert "not measured" in str(verdict)


def test_a_target_may_compare_with_another_thing() -> None:
    samples = sampled(netctl=[20.0])
    samples.add("import click", "click", 10.0, 1)
    target = Target(limit=2.0, than="click", base="import click")

    assert target.judge("network ls", samples).ratio == 2.0


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [(3.0, 2.0, 1.5), (None, 2.0, None), (3.0, None, None), (3.0, 0.0, None)],
)
def test_ratio(mine: float | None, theirs: float | None, expected: float | None) -> None:
    assert ratio(mine, theirs) == expected


def test_everybody_comes_first_once() -> None:
    assert [rotated("abc", by)[0] for by in range(4)] == ["a", "b", "c", "a"]
    assert rotated("abc", 1) == ["b", "c", "a"]
    assert rotated("", 1) == []


def test_numbers() -> None:
    assert [number(1.25), number(1.256, 2), number(None)] == ["1.2", "1.26", "-"]


def test_plain_table_aligns_figures_to_the_right() -> None:
    rows = [["", "ms", "target"], ["network ls", "1.0", "met"], ["rm", "100.0", "-"]]

    assert plain_table(rows).splitlines() == [
        "               ms  target",
        "network ls    1.0  met",
        "rm          100.0  -",
    ]


def test_markdown_table() -> None:
    assert markdown_table([["", "ms", "target"], ["ls", "1", "met"]]).splitlines() == [
        "|  | ms | target |",
        "| --- | ---: | --- |",
        "| ls | 1 | met |",
    ]


def test_a_page_keeps_what_is_outside_its_marks() -> None:
    marks = {"begin": "<!-- a -->", "end": "<!-- b -->"}
    page = "before\n<!-- a -->\nold\n<!-- b -->\nafter\n"

    new = between_marks(page, "new", marks)

    assert new == "before\n<!-- a -->\nnew\n<!-- b -->\nafter\n"
    assert between_marks(new, "new", marks) == new
    assert between_marks("no marks", "new", marks) == "new"


def testbulk_addresses_are_distinct_and_clear_of_the_gateway() -> None:
    addresses = {bulk_address(index) for index in range(600)}

    assert len(addresses) == 600
    assert "10.200.0.1/16" not in addresses
    assert "10.200.1.0/16" in addresses


def test_operations_have_names_of_their_own() -> None:
    names = [operation.name for operation in OPERATIONS]

    assert len(set(names)) == len(names)
