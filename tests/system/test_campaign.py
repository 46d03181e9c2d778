"""The fault campaign in short: every fault once, beside processes that work and are killed."""

from __future__ import annotations

import itertools

import pytest

from tests.campaign import faults
from tests.campaign.rounds import Campaign
from tests.kernel.host import Host


@pytest.mark.parametrize("half", [0, 1])
def test_every_fault_is_survived(host: Host, half: int) -> None:
    campaign = Campaign(host, seed=half, operations=8)
    during = itertools.cycle(list(faults.DURING)[half:])
    for after in list(faults.AFTER)[half::2]:
        campaign.round(next(during), after)
    campaign.clear()
    assert campaign.tally.done > 30 and campaign.tally.repaired > 10
    assert campaign.tally.documents > 30
