"""Emptying one volume: what reclamation and MOVE DATA share (docs/decisions/0024 to 0026).

Aggregates worth rebuilding come first; everything else moves as it is. Each takes its new place and leaves the volume in
one transaction, so whatever ends the work loses nothing and a second run goes on. What another server holds already is
named to it, not sent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from farvault.base.disk import crash_point
from farvault.base.errors import CatalogFull, MediaFull
from farvault.catalog import nouns, placements, superseded
from farvault.catalog.placements import PlacementRow
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import READWRITE, Volume
from farvault.policy.mount_points import Priority
from farvault.policy.reclamation import is_worth_rebuilding
from farvault.processes.left_places import moving
from farvault.processes.process import Process
from farvault.storage.copying import copy_aggregates
from farvault.storage.rebuilding import Rebuilt, rebuild_aggregates
from farvault.storage.storage import Storage

PAGE = 1000


@dataclass(slots=True)
class Emptied:
    """What was done with one volume. `left`: records that could not be read and stay on it."""

    moved: int = 0
    moved_bytes: int = 0
    referred: int = 0
    """Of the moved ones, how many another server held already: only their names travelled."""
    rebuilt: int = 0
    won_bytes: int = 0
    """By how much the rebuilt records are shorter."""
    left: int = 0


def empty_volume(
    storage: Storage,
    process: Process,
    volume: Volume,
    destination: StoragePool,
    *,
    rebuild_from_percent: float | None,
    raise_if_cancelled: Callable[[], None],
) -> Emptied:
    """Move what lies on the volume to other volumes of `destination`; the volume is emptied by that.

    `rebuild_from_percent`: the dead share from which on an aggregate is made anew; None: all move as they are. `InUse`
    where somebody writes or audits the volume. What could not be read is said and counted as failed.
    """
    with storage.catalog.read() as r:
        pool = nouns.by_id(r, StoragePool, volume.pool_id)
    work = _Emptying(storage, process, volume, pool, destination, raise_if_cancelled)
    with storage.use.hold(volume):
        if rebuild_from_percent is not None:
            work.rebuild(rebuild_from_percent)
        work.move()
    storage.emptied.empty_if_free([volume.id])
    return work.done


class _Emptying:
    def __init__(
        self,
        storage: Storage,
        process: Process,
        volume: Volume,
        pool: StoragePool,
        destination: StoragePool,
        raise_if_cancelled: Callable[[], None],
    ) -> None:
        self._storage, self._process, self._volume = storage, process, volume
        self._pool, self._destination = pool, destination
        self._raise_if_cancelled = raise_if_cancelled
        self._who = f"process {process.number} ({process.description})"
        self._leave = moving(storage, lambda row: row.volume_id == volume.id)
        self.done = Emptied()

    # --- making anew -------------------------------------------------------------------------------------------------

    def rebuild(self, from_percent: float) -> None:
        """Of a copy volume in the primary pools, so that the replacement is copied like anything new."""
        after = -1
        while rows := self._next_page(after):
            after = rows[-1].offset_bytes
            for pool, numbers in self._worth_it(rows, from_percent):
                self._rebuild_in(pool, numbers)

    def _rebuild_in(self, pool: StoragePool, numbers: Sequence[int]) -> None:
        exclude = [] if self._pool.is_copy else [self._volume.id]
        done = Rebuilt()
        try:
            rebuild_aggregates(
                self._storage,
                numbers,
                pool,
                progress=self._process.advance,
                raise_if_cancelled=self._raise_if_cancelled,
                on_store=(lambda _tx, _ids: None) if self._pool.is_copy else self._leave,
                exclude=exclude,
                who=self._who,
                done=done,
            )
        except MediaFull as full:
            if not self._pool.is_copy or isinstance(full, CatalogFull):
                raise
            self._process.repeat(full.message)  # then the copies move as they are
        self.done.rebuilt += done.records
        self.done.won_bytes += done.before_bytes - done.after_bytes

    def _worth_it(
        self, rows: Sequence[PlacementRow], from_percent: float
    ) -> list[tuple[StoragePool, list[int]]]:
        """By the pool that takes the new records."""
        with self._storage.catalog.read() as r:
            numbers = [row.aggregate_id for row in rows]
            old = superseded.replacements(r, numbers)
            wanted = [
                row.id
                for row in placements.aggregates(r, numbers)
                if row.id not in old
                and row.key_id
                and is_worth_rebuilding(row.stored_bytes, row.extent_bytes, row.live_bytes, from_percent)
            ]
            if not self._pool.is_copy:
                return [(self._destination, wanted)] if wanted else []
            by_pool: dict[int, list[int]] = defaultdict(list)
            for number, places in placements.of_aggregates(r, wanted).items():
                primary = [row for row in places if not row.is_copy and row.is_readable]
                if primary and primary[0].pool_access == READWRITE:
                    by_pool[primary[0].pool_id].append(number)
            return [(nouns.by_id(r, StoragePool, pool_id), several) for pool_id, several in by_pool.items()]

    # --- moving ------------------------------------------------------------------------------------------------------

    def move(self) -> None:
        """What is left on the volume, as it is."""
        copied = copy_aggregates(
            self._storage,
            self._rows(),
            self._destination,
            progress=self._process.advance,
            raise_if_cancelled=self._raise_if_cancelled,
            on_store=self._leave,
            exclude=[self._volume.id],
            nearest=True,
            priority=Priority.RECLAMATION,
            who=self._who,
        )
        self.done.moved, self.done.moved_bytes = copied.records, copied.stored_bytes
        self.done.referred, self.done.left = copied.referred, len(copied.lost)
        for lost in copied.lost:
            self._process.count_failed()
            self._process.repeat(lost.reason)

    def _rows(self) -> Iterator[PlacementRow]:
        """What to move. A record that was rebuilt is not moved: where its replacement can be had, that one comes instead."""
        after = -1
        while rows := self._next_page(after):
            after = rows[-1].offset_bytes
            with self._storage.catalog.read() as r:
                now = superseded.replacements(r, [row.aggregate_id for row in rows])
                places = placements.of_aggregates(r, set(now.values()))
            needless = []
            for row in rows:
                new = places.get(now.get(row.aggregate_id, 0), [])
                if self._is_served(new):
                    needless.append(row)
                else:
                    yield next((one for one in new if one.is_readable), row)
            self._drop(needless)

    def _is_served(self, replacement: Sequence[PlacementRow]) -> bool:
        """One of these places stands for the old record: in the same copy pool, or in any primary pool."""
        good = [one for one in replacement if not one.is_lost]
        if self._pool.is_copy:
            return any(one.pool_id == self._pool.id for one in good)
        return any(not one.is_copy for one in good)

    def _drop(self, rows: Sequence[PlacementRow]) -> None:
        """Their replacements are there already. Looked at once more inside the transaction."""
        if not rows:
            return
        crash_point("emptying.drop.before_catalog")
        with self._storage.catalog.write() as tx:
            now = superseded.replacements(tx, [row.aggregate_id for row in rows])
            places = placements.of_aggregates(tx, set(now.values()))
            needless = [old for old, new in now.items() if self._is_served(places[new])]
            self._leave(tx, needless)
            self._storage.forget_unplaced(tx, needless)
        self._process.advance(len(rows), sum(row.stored_bytes for row in rows))

    def _next_page(self, after: int) -> list[PlacementRow]:
        self._raise_if_cancelled()
        with self._storage.catalog.read() as r:
            return placements.on_volume(r, self._volume.id, after, PAGE)
