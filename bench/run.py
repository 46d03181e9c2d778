"""Measure netctl beside docker, ``ip`` and ``nft``: see docs/benchmarks.md."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from bench.session import main

    raise SystemExit(main())
