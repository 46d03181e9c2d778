"""Notices of what stands in a network's way and is not netctl's: each given once, not for ever.

What was told is kept in the run directory, and forgotten when it does not hold any more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from netctl.backends import foreign
from netctl.errors import NetctlError
from netctl.kernel import Kernel, files
from netctl.models import Network

if TYPE_CHECKING:
    from netctl.backends.foreign import Foreign
    from netctl.backends.obstacles import Obstacle

Told = Mapping[str, Mapping[str, list[str]]]
"""Id of a network to the places that drop its traffic, each with the flows."""


def notices(
    network: Network, kernel: Kernel, run_dir: str, *, published: bool, dry_run: bool
) -> list[str]:
    """Return a notice for whatever of somebody else's drops a network's traffic, unless it was
    given already. ``published`` asks for connections to its published ports too.

    A foreign ruleset that cannot be read is no reason to fail.
    """
    try:
        there = foreign.look(kernel)
        if not there.bases:
            if not dry_run:
                forget(network, run_dir)
            return []
        found = _obstacles(network, kernel, there, published)
        told = _told(run_dir)
        before = told.get(network.id, {})
        new = [item for item in found if not set(item.flows) <= set(before.get(item.place, ()))]
        texts = [_text(item, kernel) for item in new]
    except NetctlError:
        return []
    after = {item.place: list(item.flows) for item in found}
    if not published:
        # This look was for less: what was told of published ports may still hold.
        after = {place: sorted({*flows, *before.get(place, ())}) for place, flows in after.items()}
    if not dry_run and after != before:
        _remember(run_dir, {**told, network.id: after})
    return texts


def forget(network: Network, run_dir: str) -> None:
    """Forget what was told of a network, which goes."""
    told = _told(run_dir)
    if network.id in told:
        _remember(run_dir, {**told, network.id: {}})


def _obstacles(network: Network, kernel: Kernel, there: Foreign, published: bool) -> list[Obstacle]:
    from netctl.backends.obstacles import FEW, obstacles

    return obstacles([network], kernel, there, published=published, limit=FEW)


def _text(obstacle: Obstacle, kernel: Kernel) -> str:
    rule = ""
    with suppress(NetctlError):
        rule = kernel.nft_text(obstacle.chain).get(obstacle.handle, "") if obstacle.handle else ""
    return "\n".join([obstacle.sentence(rule), *(f"hint: {line}" for line in obstacle.remedy)])


def _told(run_dir: str) -> Told:
    try:
        return dict(json.loads(files.read(_path(run_dir)) or "{}"))
    except (NetctlError, ValueError, TypeError):
        return {}


def _remember(run_dir: str, told: Told) -> None:
    left = {network: places for network, places in told.items() if places}
    try:
        if left:
            files.write(_path(run_dir), json.dumps(left))
        else:
            files.delete(_path(run_dir))
    except NetctlError:
        # Told once too often, which is better than not to do what was asked for.
        return


def _path(run_dir: str) -> str:
    return f"{run_dir}/told"
