"""Measure netctl beside others, what the first argument names: see docs/benchmarks.md."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

SUBJECTS = {
    "operations": "bench.session",
    "publish": "bench.publishing",
    "traffic": "bench.traffic",
    "check": "bench.checking",
    "dns": "bench.dns",
    "limits": "bench.limits",
}
"""Subject to the module whose ``main`` measures it; without a subject it is the operations."""


def main() -> int:
    given = sys.argv[1:]
    subject = given.pop(0) if given and given[0] in SUBJECTS else "operations"
    status: int = import_module(SUBJECTS[subject]).main(given)
    return status


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    raise SystemExit(main())
