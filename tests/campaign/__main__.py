"""The long campaign: ``python -m tests.campaign --rounds 200``. Root is needed; see CONTRIBUTING.md.

Everything happens in a throw-away host; the machine's own network is not touched.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.campaign import faults
from tests.campaign.rounds import Broken, Campaign
from tests.kernel.host import Host, reason_to_skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--operations", type=int, default=12, help="of each process in a round")
    given = parser.parse_args()
    if reason := reason_to_skip():
        print(reason, file=sys.stderr)
        return 77
    print(f"seed {given.seed}", flush=True)
    choose, begun, host = random.Random(given.seed), time.monotonic(), Host()
    campaign = Campaign(host, given.seed, processes=given.processes, operations=given.operations)
    try:
        for number in range(given.rounds):
            during, after = choose.choice([*faults.DURING]), choose.choice([*faults.AFTER])
            try:
                campaign.round(during, after)
            except Exception as error:
                error.add_note(f"in round {number} of seed {given.seed}: {during}, then {after}")
                raise
            if number % 5 == 4:
                campaign.clear()
        campaign.clear()
    except Broken as error:
        print(f"BROKEN: {error}\n{getattr(error, '__notes__', '')}", file=sys.stderr)
        return 1
    finally:
        print("\n".join(campaign.tally.lines()))
        print(f"{time.monotonic() - begun:.0f} s", flush=True)
        host.close()
    print("no acknowledged document lost, nothing foreign changed, every check clean after repair")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
