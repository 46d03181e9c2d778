"""Records behave as frozen, slotted dataclasses do."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import pytest

from netctl.models import EndpointRef, Pool
from netctl.record import field_names, replace
from netctl.steps.links import LinkUp

REF = EndpointRef(network_id="n", endpoint_id="e")


def test_they_are_values() -> None:
    same = EndpointRef(network_id="n", endpoint_id="e")
    assert same == REF and hash(same) == hash(REF) and {same: 1}[REF] == 1
    assert replace(REF, endpoint_id="x") != REF
    other: object = LinkUp(netns="n", name="e")
    assert other != REF
    assert pickle.loads(pickle.dumps(REF)) == REF
    assert repr(REF) == "EndpointRef(network_id='n', endpoint_id='e')"
    assert field_names(type(REF)) == ("network_id", "endpoint_id")


def test_they_never_change() -> None:
    with pytest.raises(FrozenInstanceError):
        REF.network_id = "x"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del REF.network_id
    with pytest.raises((FrozenInstanceError, AttributeError)):
        REF.other = "x"  # type: ignore[attr-defined]


def test_every_object_has_defaults_of_its_own() -> None:
    one, other = Pool(subnet="10.0.0.0/8"), Pool(subnet="10.0.0.0/8")
    assert one.aux is not other.aux
    with pytest.raises(TypeError):
        Pool("10.0.0.0/8")  # type: ignore[call-arg]
