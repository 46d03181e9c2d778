"""Files of the store that were put back from older copies: found, and put right."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from netctl.controller import Controller
from netctl.errors import Conflict
from netctl.models import Document, Endpoint, Network, Sandbox
from netctl.record import replace
from netctl.store import Changes
from netctl.store.documents import folder
from tests.fake_kernel import FakeKernel
from tests.unit.test_every_step import config


@pytest.fixture
def c(tmp_path: Path) -> Controller:
    found = Controller(config(tmp_path), kernel=FakeKernel())
    found.networks.create("web")
    for name in ("c1", "c2"):
        found.sandboxes.create(name)
        found.endpoints.connect("web", name, ports=["0:80"])
    found.endpoints.create("web", "spare", ip="172.17.0.77")
    return found


def _behind(c: Controller, changes: Changes) -> None:
    """Change documents as nobody should."""
    with c.store.locked("test") as writer:
        writer.commit(changes)


def _without(c: Controller, kind: type[Network] | type[Sandbox]) -> None:
    """Lose every file of a kind, as if it had been put back from before there was one."""
    shutil.rmtree(f"{c.config.state_dir}/{folder(kind.kind, '')}")


def _claims_lost(c: Controller) -> None:
    shutil.rmtree(f"{c.config.state_dir}/claims")


def _claim_stale(c: Controller) -> None:
    _behind(c, Changes(claims={"network/gone": "f" * 64, "network/web": "e" * 64}))


def _ref_lost(c: Controller) -> None:
    doc = c.sandboxes.get("c1").doc
    _behind(c, Changes(put=(replace(doc, endpoints=(), joins=0),)))


def _endpoint_lost(c: Controller) -> None:
    _behind(c, Changes(delete=(c.endpoints.get("web/c1").doc,)))


def _network_lost(c: Controller) -> None:
    _without(c, Network)


def _sandboxes_lost(c: Controller) -> None:
    _without(c, Sandbox)


def _endpoint_of_before_a_rename(c: Controller) -> None:
    before = c.endpoints.get("web/c1").doc
    c.sandboxes.rename("c1", "c9")
    _behind(c, Changes(put=(before,)))


@pytest.mark.parametrize(
    "lose",
    [
        _claims_lost,
        _claim_stale,
        _ref_lost,
        _endpoint_lost,
        _network_lost,
        _sandboxes_lost,
        _endpoint_of_before_a_rename,
    ],
)
def test_what_contradicts_is_found_and_put_right(
    c: Controller, lose: Callable[[Controller], None]
) -> None:
    assert c.check() == []
    lose(c)
    found = c.check()
    assert found and all(finding.repairable for finding in found)
    assert c.repair().left == ()
    assert c.check() == []
    assert c.collect().left == ()
    assert c.check() == [] and c.leftovers() == []
    # Names, addresses and ports are free or held as the documents say.
    documents: list[Document] = [*c.store.all(Network), *c.store.all(Sandbox)]
    for document in [*documents, *c.store.all(Endpoint)]:
        for claim in document.claims():
            assert c.store.owner(claim) == document.id
    c.networks.create("gone")
    c.sandboxes.create("c3")
    c.endpoints.connect("gone", "c3")


def test_lost_refs_come_back_in_the_order_of_the_joins(c: Controller) -> None:
    c.networks.create("db")
    c.endpoints.connect("db", "c1")
    before = c.sandboxes.get("c1").doc
    _ref_lost(c)
    c.repair()
    assert c.sandboxes.get("c1").doc == before


def test_two_holders_of_one_name_are_reported(c: Controller) -> None:
    doc = c.networks.get("web").doc
    twin = replace(doc, id="a" * 64, facts={**doc.facts, "bridge": "br-aaaaaaaaaaaa"})
    _behind(c, Changes(claims={"network/web": None}))
    _behind(c, Changes(put=(twin,)))
    assert any("one holder" in finding.difference.expected for finding in c.check())
    assert any("one holder" in line for line in c.repair().left)


def test_a_sandbox_with_one_name_twice_says_what_helps(c: Controller) -> None:
    c.networks.create("db")
    c.endpoints.connect("db", "c1")
    doc = c.endpoints.get("db/c1").doc
    assert doc.attachment
    _behind(c, Changes(put=(replace(doc, attachment=replace(doc.attachment, ifname="eth0")),)))
    said = "web/c1 and db/c1 of sandbox c1 have the same interface name eth0"
    with pytest.raises(Conflict, match=said) as caught:
        c.sandboxes.refresh("c1")
    assert (caught.value.command_hint or "").startswith("netctl repair")
    assert c.repair().left == ()
    c.sandboxes.refresh("c1")
    assert c.check() == []
