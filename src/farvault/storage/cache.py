"""What migration leaves behind in random pools with CACHE=YES, and giving it up when the space is needed.

A cached copy is a second place to read from and nothing else (`catalog/cached.py`). Oldest first is the order of giving
up: what migrated together lies together, so a few of them make one long run of free space.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from farvault.base.clock import Clock
from farvault.base.disk import crash_point
from farvault.catalog import cached
from farvault.catalog.catalog import Catalog
from farvault.catalog.freed_span import FreedSpan
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Transaction
from farvault.storage.free_space import FreeSpaces

GIVEN_UP_AT_ONCE = 2000
"""Cached copies that go in one transaction."""
RECORDS_OF_ROOM = 4
"""When a record needs room, it is made for a few of its size: others are behind it."""
_EVERYTHING = 1 << 62


class Cache:
    """Cached copies of one server. Thread safe."""

    def __init__(self, catalog: Catalog, spaces: FreeSpaces, clock: Clock) -> None:
        self._catalog, self._spaces, self._clock = catalog, spaces, clock

    def keep(self, tx: Transaction, rows: Sequence[PlacementRow]) -> None:
        """Inside the transaction that gives these aggregates another place: these placements stay as cached copies."""
        cached.keep(tx, rows, self._clock.now_seconds())

        def count() -> None:
            for row in rows:
                if (free := self._spaces.find_by_id(row.volume_id)) is not None:
                    free.count_cached(row.stored_bytes)

        tx.after_commit.append(count)

    def make_room(self, volume_id: int, size_bytes: int) -> bool:
        """Give cached copies of a volume up until a record of this size fits; False where that is not to be had."""
        free = self._spaces.find_by_id(volume_id)
        while free is not None and free.largest_bytes < size_bytes:
            if not self._give_up(volume_id, RECORDS_OF_ROOM * size_bytes):
                return False
        return free is not None

    def drop(self, volume_ids: Iterable[int]) -> int:
        """All cached copies of these volumes go; returns how many it were."""
        gone = 0
        for volume_id in volume_ids:
            while number := self._give_up(volume_id, _EVERYTHING):
                gone += number
        return gone

    def drop_one(self, row: PlacementRow) -> bool:
        """It did not hold what it should. False where it was gone already."""
        with self._catalog.write() as tx:
            spans = cached.take(tx, row)
            tx.after_commit.append(lambda: self._back(spans))
        return bool(spans)

    def _give_up(self, volume_id: int, enough_bytes: int) -> int:
        crash_point("cache.give_up.before_catalog")
        with self._catalog.write() as tx:
            spans = cached.take_oldest(tx, volume_id, GIVEN_UP_AT_ONCE, enough_bytes)
            tx.after_commit.append(lambda: self._back(spans))
        crash_point("cache.give_up.after_catalog")
        return len(spans)

    def _back(self, spans: Iterable[FreedSpan]) -> None:
        self._spaces.give_back(spans)
