"""The election of the way out."""

from __future__ import annotations

from netctl.gateway import Member, announce, elect, withdraw
from netctl.models import Attachment, Endpoint, Network
from netctl.plan import Undo
from netctl.steps.addresses import RouteAdd


def member(
    name: str, *, priority: int = 0, v4: str = "", v6: str = "", internal: bool = False
) -> Member:
    network = Network(id=name, name=name, driver="bridge", created="", internal=internal)
    place = Attachment(sandbox_id="s", netns="/run/netns/s", ifname=f"if-{name}", priority=priority)
    endpoint = Endpoint(id=name, name=name, network_id=name, created="", attachment=place)
    gateways = {version: address for version, address in ((4, v4), (6, v6)) if address}
    return Member(network=network, endpoint=endpoint, attachment=place, gateways=gateways)


def test_highest_priority_wins() -> None:
    low, high = member("a", v4="10.0.0.1"), member("b", v4="10.0.1.1", priority=1)
    assert elect([low, high], 4) is high


def test_both_families_before_one_then_name() -> None:
    one, both = member("a", v4="10.0.0.1"), member("b", v4="10.0.1.1", v6="fd00::1")
    assert elect([one, both], 4) is both
    assert elect([member("z", v4="10.0.0.1"), one], 4) is one


def test_families_are_elected_apart() -> None:
    four, six = member("a", v4="10.0.0.1", priority=5), member("b", v6="fd00::1")
    assert elect([four, six], 4) is four
    assert elect([four, six], 6) is six


def test_none_without_a_gateway() -> None:
    assert elect([member("a"), member("b", internal=True)], 4) is None


def test_a_better_gateway_takes_the_route_over() -> None:
    old, new = member("b", v4="10.0.0.1"), member("a", v4="10.0.1.1")
    away = withdraw([old], [old, new], (4, 6))
    come = announce([old], [old, new], (4, 6))
    assert [step.step for step in away if isinstance(step, Undo)] == [old.default_route(4)]
    assert come == (new.default_route(4),)


def test_nothing_changes_where_the_winner_stays() -> None:
    old, worse = member("a", v4="10.0.0.1"), member("b", v4="10.0.1.1")
    assert withdraw([old], [old, worse], (4, 6)) == ()
    assert announce([old], [old, worse], (4, 6)) == ()


def test_a_family_that_is_not_ours_is_left_alone() -> None:
    new = member("a", v4="10.0.0.1", v6="fd00::1")
    steps = announce([], [new], (6,))
    assert [step.destination for step in steps if isinstance(step, RouteAdd)] == ["::/0"]
