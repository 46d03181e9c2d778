"""Documents and plans survive JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netctl.codec import CodecError, decode, decode_plan, encode, encode_plan
from netctl.kernel.interface import Shape
from netctl.models import Attachment, Endpoint, EndpointRef, Network, Pool, Sandbox, SandboxKind
from netctl.plan import Assembly, Plan, Undo
from netctl.record import field_names
from netctl.steps.addresses import AddressAdd, RouteAdd
from netctl.steps.every import STEPS
from netctl.steps.files import FileWrite
from netctl.steps.links import LinkUp
from netctl.steps.settings import Nft

texts = st.text(max_size=20)
labels = st.dictionaries(texts, texts, max_size=3)
pools = st.builds(
    Pool, subnet=texts, ip_range=st.none() | texts, gateway=st.none() | texts, aux=labels
)
networks = st.builds(
    Network,
    id=texts,
    name=texts,
    driver=texts,
    created=texts,
    internal=st.booleans(),
    labels=labels,
    pools=st.lists(pools, max_size=2).map(tuple),
)
attachments = st.builds(Attachment, sandbox_id=texts, netns=texts, mtu=st.integers(0, 65535))
endpoints = st.builds(
    Endpoint,
    id=texts,
    name=texts,
    network_id=texts,
    created=texts,
    attachment=st.none() | attachments,
)
sandboxes = st.builds(
    Sandbox,
    id=texts,
    name=texts,
    created=texts,
    type=st.sampled_from(SandboxKind),
    dns=st.lists(texts, max_size=2).map(tuple),
    extra_hosts=st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
    endpoints=st.lists(st.builds(EndpointRef, network_id=texts, endpoint_id=texts), max_size=2).map(
        tuple
    ),
)


@given(networks | endpoints | sandboxes)
def test_documents_survive(document: object) -> None:
    assert decode(type(document), json.loads(json.dumps(encode(document)))) == document


def test_every_kind_of_step_survives_in_both_directions() -> None:
    kinds: tuple[Any, ...] = STEPS
    plan: Plan = tuple(
        kind(**{name: _value(kind, name) for name in field_names(kind)}) for kind in kinds
    )
    plan = (*plan, Assembly(steps=plan))
    both: Plan = (*plan, *(Undo(step=step) for step in plan))
    assert decode_plan(json.loads(json.dumps(encode_plan(both)))) == both


def _value(kind: Any, name: str) -> object:
    annotation = kind.__annotations__[name]
    shape = Shape(rate=8, burst=9)
    kinds: dict[str, object] = {"Shape": shape, "Shape | None": shape}
    kinds |= {"str": "x", "int": 7, "bool": True, "str | None": None, "tuple[str, ...]": ("x",)}
    kinds["bool | None"] = True
    kinds["tuple[tuple[str, int], ...]"] = (("tcp", 80),)
    kinds["tuple[tuple[str, str], ...]"] = (("br0", "netctl:network:x"),)
    kinds["tuple[Step, ...]"] = (Assembly(steps=(LinkUp(netns="", name="br0"),)),)
    return kinds[annotation]


def test_a_field_called_undo_is_not_the_direction() -> None:
    step = Nft(do="add table inet x", undo="delete table inet x")
    assert decode_plan(encode_plan((step,))) == (step,)


def test_unknown_keys_are_ignored_and_defaults_filled_in() -> None:
    assert decode(Pool, {"subnet": "10.0.0.0/8", "new": 1}) == Pool(subnet="10.0.0.0/8")


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([], "Network: expected a mapping"),
        ({"id": 1}, "Network.id"),
        ({"id": "x"}, "Network.name: missing"),
        (
            {"id": "x", "name": "n", "driver": "d", "created": "c", "pools": [{"subnet": 5}]},
            "Network.pools.0.subnet",
        ),
        (
            {"id": "x", "name": "n", "driver": "d", "created": "c", "internal": 1},
            "Network.internal: expected bool",
        ),
    ],
)
def test_a_wrong_value_names_its_place(value: object, place: str) -> None:
    with pytest.raises(CodecError, match=place):
        decode(Network, value)


@pytest.mark.parametrize("value", [[{}], [{"step": "Nonsense"}], ["x"], [{"step": "LinkUp"}]])
def test_a_plan_that_is_none_is_refused(value: object) -> None:
    with pytest.raises((CodecError, KeyError)):
        decode_plan(value)


def test_steps_describe_both_ways() -> None:
    route = RouteAdd(netns="/run/netns/c1", destination="0.0.0.0/0", gateway="10.0.0.1", link="e")
    assert route.describe() == "ip -n c1 route add default via 10.0.0.1 dev e"
    assert Undo(step=route).describe() == "ip -n c1 route delete default via 10.0.0.1 dev e"
    address = AddressAdd(netns="/proc/1/ns/net", link="e", address="fd00::1/64")
    assert (
        address.describe() == "nsenter --net=/proc/1/ns/net ip address add fd00::1/64 dev e nodad"
    )
    assert FileWrite(path="/a b", content="x").describe_revert() == "rm -f '/a b'"
