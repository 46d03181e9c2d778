"""No finding goes without a proof of its remedy, or a reason why there is none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import netctl.doctor
from tests.system import doctor_cases
from tests.system.doctor_cases import CASES, ELSEWHERE, SHOWN, UNPROVED
from tests.system.trace_cases import TRACES

_SAY = {"problem", "warning", "note", "say", "ends"}
"""The functions that make a finding, or the station where a way ends; ``say`` is one of them, by
how bad it is."""
_MAKERS = ("finding.py", "station.py")
_MODULES = sorted(Path(netctl.doctor.__path__[0]).glob("*.py"))


def _calls() -> Iterator[tuple[str, ast.Call]]:
    for path in _MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if named and node.func.id in _SAY and path.name not in _MAKERS:  # type: ignore[attr-defined]
                assert isinstance(node, ast.Call)
                yield f"{path.name}:{node.lineno}", node


def _codes() -> set[str]:
    found = set()
    for where, call in _calls():
        code = call.args[0]
        assert isinstance(code, ast.Constant) and isinstance(code.value, str), where
        found.add(code.value)
    return found


def test_each_code_has_a_proof_or_a_reason() -> None:
    cases = {case.code for case in CASES} | {case.code for case in TRACES}
    shown = cases | set(ELSEWHERE) | set(UNPROVED)
    assert _codes() == shown


def test_a_reason_is_given_only_where_there_is_no_proof() -> None:
    assert not set(ELSEWHERE) & set(UNPROVED)
    assert all(len(reason) > 20 for reason in UNPROVED.values())
    undone = {case.code for case in CASES if case.code in UNPROVED and not case.undo}
    assert not undone


def test_each_state_without_a_proof_is_made() -> None:
    made = {case.code for case in CASES} | {case.code for case in TRACES}
    assert set(UNPROVED) <= made | set(SHOWN)
    assert set(SHOWN) <= set(UNPROVED) - made


def test_the_proofs_elsewhere_are_there() -> None:
    directory = Path(doctor_cases.__file__).parent
    for code, place in [*ELSEWHERE.items(), *SHOWN.items()]:
        name, _, test = place.partition("::")
        text = (directory / name).read_text()
        assert f"def {test}(" in text and code in text, (code, place)


def test_no_line_leaves_out_what_netctl_knows() -> None:
    """A word in capitals is for what only the operator knows."""
    found = {
        word
        for _, call in _calls()
        for line in call.args[4 if getattr(call.func, "id", "") == "ends" else 3 :]
        for word in re.findall(r"\b[A-Z]{4,}\b", ast.unparse(line))
    }
    assert found - {"FORWARD"} <= {"ADDRESS", "GATEWAY"}
