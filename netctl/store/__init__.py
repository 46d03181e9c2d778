"""Documents on disk: sharded, atomic, for any number of processes at once.

``Store`` reads without a lock and hands out a ``Writer`` under one. See docs/architecture.md.
"""

from netctl.store.documents import Changes, Intent, Reader
from netctl.store.storage import NO_ROOM
from netctl.store.store import Store
from netctl.store.writer import Writer

__all__ = ["NO_ROOM", "Changes", "Intent", "Reader", "Store", "Writer"]
