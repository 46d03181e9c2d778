"""What several tests of one subject use."""

from __future__ import annotations

from pathlib import Path

import pytest

from netctl.store import Store
from tests.unit.store_cases import again


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return again(tmp_path)
