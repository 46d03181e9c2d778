"""IPAM: the drivers by name."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from functools import partial

import pytest

from netctl.backends import ipam
from netctl.errors import InvalidInput
from netctl.models import Pool
from netctl.record import replace
from tests.unit.ipam_cases import NOWHERE, REQUEST, network, nobody, refused
from tests.waiting import PATIENCE


def test_null_hands_out_nothing() -> None:
    null = ipam.load("null")
    assert null.address(network(), Pool(subnet="10.0.0.0/24"), "", nobody, "10.0.0.9") == ""
    for changes in (
        {"subnets": ("auto/24",)},
        {"gateways": ("10.0.0.1",)},
        {"ip_ranges": ("10.0.0.0/25",)},
        {"aux": {"r": "10.0.0.9"}},
    ):
        request = replace(REQUEST, **changes)
        refused(InvalidInput, "has no place", partial(null.pools, request, NOWHERE))


@pytest.mark.parametrize("name", ["default", "null"])
def test_an_unknown_option_is_named(name: str) -> None:
    driver = ipam.load(name)
    assert driver.name == name
    driver.validate_options({})
    refused(
        InvalidInput,
        f"IPAM driver {name} has no option 'x'",
        lambda: driver.validate_options({"x": "y"}),
    )


def test_an_installed_driver_is_found_and_a_built_in_one_is_not_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []

    def entry_points(*, group: str, name: str) -> list[importlib.metadata.EntryPoint]:
        looked.append(f"{group} {name}")
        target = "netctl.backends.ipam.null:NullIpam"
        known = name == "foreign"
        return [importlib.metadata.EntryPoint(name, target, group)] if known else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert ipam.load("default").name == "default"
    assert looked == []
    assert ipam.load("foreign").name == "null"
    refused(InvalidInput, "unknown IPAM driver 'other'", lambda: ipam.load("other"))
    assert looked == ["netctl.ipam foreign", "netctl.ipam other"]


def test_loading_imports_only_what_the_driver_needs() -> None:
    code = (
        "import sys; from netctl.backends import ipam; ipam.load('null');"
        "assert 'netctl.backends.ipam.default' not in sys.modules; ipam.load('default');"
        "print(*sorted({'hashlib', 'pyroute2', 'netctl.store', 'importlib.metadata'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert done.stdout.strip() == ""
