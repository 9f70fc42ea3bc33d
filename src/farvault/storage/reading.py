"""Reads aggregates, wherever an intact copy lies: best placement first, on damage or absence the next one.

What is found damaged is marked in the catalog and said in the log, a volume that is not there becomes UNAVAILABLE; the
reader goes on with a copy. What it gives are sealed records: for copying, for the vault, and for `object_reading.py`.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

from farvault.base.errors import (
    FarvaultError,
    LoginRefused,
    MediaFailed,
    MediaFull,
    NotAuthorized,
    NotAvailable,
    NotFound,
    PeerMisbehaved,
    PeerUnreachable,
    RecordDamaged,
)
from farvault.base.messages import Message, message
from farvault.catalog import cached, nouns, placements
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Snapshot
from farvault.media.interface import Span
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import UNAVAILABLE
from farvault.policy.mount_points import Priority
from farvault.seal.record import Header, check
from farvault.storage.mount_points import Worker
from farvault.storage.storage import Storage

RUN = 2000
"""Records asked of one volume in one go."""
_VOLUME_ERRORS = (
    MediaFailed,
    NotFound,
    NotAvailable,
    NotAuthorized,
    PeerUnreachable,
    PeerMisbehaved,
    LoginRefused,
)


class Found(NamedTuple):
    """An intact sealed record. `record` is valid until the next one is asked for."""

    aggregate_id: int
    header: Header
    record: memoryview


class Lost(NamedTuple):
    """No placement gave it, and why. `is_away`: one of them could not be asked just now, so nothing is known to be lost."""

    aggregate_id: int
    reason: Message
    is_away: bool = False


class AggregateReader:
    """Reads records by aggregate. `allowed` may leave placements out (only copy pools, only one pool).

    `nearest`: what lies on this machine comes before what another server keeps, whatever the pool. `worker`: who holds the
    mount point of the volume that is open; at most one at a time.
    """

    def __init__(
        self,
        storage: Storage,
        allowed: Callable[[PlacementRow], bool] | None = None,
        *,
        nearest: bool = False,
        worker: Worker | None = None,
    ) -> None:
        self._storage = storage
        self._allowed = allowed
        self._nearest = nearest
        self._worker = worker or storage.volumes.mounts.worker(Priority.RESTORE)
        self.device_class = ""
        """Class of the volume that is, or is about to be, open; '' before the first."""
        self._pools: dict[int, StoragePool] = {}
        self._gone_volumes: set[int] = set()
        self._away_volumes: set[int] = set()
        """Those of them that are out of reach for the time being: whoever keeps them does not answer, or refuses."""
        self._away: set[int] = set()
        """Aggregates with a placement on one of these."""

    def read(
        self, aggregate_ids: Iterable[int], *, in_order: bool = False
    ) -> Generator[Found | Lost, None, None]:
        """Every aggregate once; in the order given, or (faster) in the order in which they lie on their volumes."""
        wanted = list(dict.fromkeys(aggregate_ids))
        with self._storage.catalog.read() as r:
            places = placements.of_aggregates(r, wanted)
            if self._allowed is None:  # who chooses among placements means placements
                for one, kept in cached.of_aggregates(r, wanted).items():
                    places[one] = kept + places[one]
            self._pools = {pool.id: pool for pool in nouns.select(r, StoragePool)}
        self._reasons: dict[int, Message] = {}
        self._seen = places
        self._left = {one: [row for row in places[one] if self._may_be_read(row)] for one in wanted}
        if self._nearest:
            for rows in self._left.values():
                rows.sort(key=lambda row: (row.damaged, self._is_remote(row)))
        queue = deque(wanted if in_order else sorted(wanted, key=self._position))
        while queue:
            row = self._best(queue[0])
            if row is None:
                yield self._lost(queue.popleft())
                continue
            run = self._take_run(queue, row.volume_id)
            yield from self._read_run(run, queue)
            if row.volume_id in self._gone_volumes and not in_order:
                queue = deque(sorted(queue, key=self._position))

    # --- choosing ----------------------------------------------------------------------------------------------------

    def _may_be_read(self, row: PlacementRow) -> bool:
        """A damaged one too: as the last resort, its digest decides again."""
        return row.is_reachable and self.is_allowed(row)

    def is_allowed(self, row: PlacementRow) -> bool:
        """Whether this reader looks there at all."""
        return self._allowed is None or self._allowed(row)

    def _is_remote(self, row: PlacementRow) -> bool:
        device_class = self._pools[row.pool_id].device_class
        return self._storage.devices.device(device_class).capabilities.remote

    def _best(self, aggregate_id: int) -> PlacementRow | None:
        rows = self._left[aggregate_id]
        while rows and rows[0].volume_id in self._gone_volumes:
            if rows.pop(0).volume_id in self._away_volumes:
                self._away.add(aggregate_id)
        if not rows and aggregate_id in self._seen:
            rows += self._look_again(aggregate_id)
        return rows[0] if rows else None

    def _look_again(self, aggregate_id: int) -> list[PlacementRow]:
        """Where it has moved to since the first look. Once: what moves faster than we read is lost to this reader."""
        before = {row.place for row in self._seen.pop(aggregate_id)}
        with self._storage.catalog.read() as r:
            now = placements.of_aggregates(r, [aggregate_id])[aggregate_id]
            self._pools = {pool.id: pool for pool in nouns.select(r, StoragePool)}
        return [
            row
            for row in now
            if row.place not in before and row.volume_id not in self._gone_volumes and self._may_be_read(row)
        ]

    def _position(self, aggregate_id: int) -> tuple[int, int]:
        row = self._best(aggregate_id)
        return row.place if row else (-1, aggregate_id)

    def _take_run(self, queue: deque[int], volume_id: int) -> list[PlacementRow]:
        """From the front of the queue: what is best read from this volume."""
        run: list[PlacementRow] = []
        while queue and len(run) < RUN:
            row = self._best(queue[0])
            if row is None or row.volume_id != volume_id:
                break
            run.append(row)
            queue.popleft()
        return run

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read_run(self, run: list[PlacementRow], queue: deque[int]) -> Iterator[Found | Lost]:
        """One volume; what it does not give comes from elsewhere, and where it is gone goes back into the queue."""
        done = 0
        try:
            with contextlib.closing(self._records(run)) as records:
                for row, view in zip(run, records, strict=True):
                    found = self._checked(row, view)
                    done += 1
                    yield found or self._fall_over(row)
        except _VOLUME_ERRORS as error:
            self._volume_gone(run[0], error)
            for row in reversed(run[done:]):
                self._reasons[row.aggregate_id] = error.message
                queue.appendleft(row.aggregate_id)

    def _records(self, run: Sequence[PlacementRow]) -> Generator[memoryview | None, None, None]:
        class_name = self._pools[run[0].pool_id].device_class
        self.device_class = class_name
        with self._storage.volumes.open_reader(class_name, run[0].volume_name, self._worker) as reader:
            yield from reader.read_many(Span(row.offset_bytes, row.stored_bytes) for row in run)

    def _checked(self, row: PlacementRow, view: memoryview | None) -> Found | None:
        """The record if it is the one; else it is marked damaged there."""
        reason = "it cannot be read"
        if view is not None:
            try:
                header = check(view)
                if header.digest == row.digest:
                    return Found(row.aggregate_id, header, view)
                reason = "another record lies there"
            except RecordDamaged as damaged:
                reason = damaged.message.text
        self._mark_damaged(row, reason)
        return None

    def _fall_over(self, failed: PlacementRow) -> Found | Lost:
        """One record whose first placement was damaged, from the next ones."""
        rows = self._left[failed.aggregate_id]
        rows[:] = [row for row in rows if row.place != failed.place]
        while (row := self._best(failed.aggregate_id)) is not None:
            try:
                found = self._read_one(row)
            except _VOLUME_ERRORS as error:
                self._reasons[row.aggregate_id] = error.message
                self._volume_gone(row, error)
                continue
            if found is not None:
                return found
            rows.remove(row)
        return self._lost(failed.aggregate_id)

    def _read_one(self, row: PlacementRow) -> Found | None:
        with contextlib.closing(self._records([row])) as records:
            view = next(records)
            kept = (
                None if view is None else memoryview(bytes(view))
            )  # the reader closes before the caller looks
        return self._checked(row, kept)

    # --- telling -----------------------------------------------------------------------------------------------------

    def _mark_damaged(self, row: PlacementRow, reason: str) -> None:
        """Mark it, unless it moved or was deleted since we looked: then the place is somebody else's already."""
        said = message("ANR1330E", volume=row.volume_name, offset=row.offset_bytes, reason=reason)
        self._reasons[row.aggregate_id] = said
        try:
            here = self._drop_cached(row) if row.is_cached else self._mark(row)
        except (
            MediaFull,
            MediaFailed,
        ) as error:  # a catalog without room must not keep anybody from a good copy
            self._storage.log.repeat(error.message)
            here = row
        if here is not None:
            self._storage.log.repeat(said)

    def _mark(self, row: PlacementRow) -> PlacementRow | None:
        with self._storage.catalog.write() as tx:
            here = _lies_there(tx, row)
            if here is not None and not here.damaged:
                placements.mark_damaged(tx, row.aggregate_id, row.volume_id, True)
        return here

    def _drop_cached(self, row: PlacementRow) -> PlacementRow | None:
        """A cached copy is not worth a mark: it goes."""
        return row if self._storage.cache.drop_one(row) else None

    def _volume_gone(self, row: PlacementRow, error: FarvaultError) -> None:
        """Nothing is read from it any more. A volume that was emptied since we looked is none the worse for it."""
        self._gone_volumes.add(row.volume_id)
        with self._storage.catalog.read() as r:
            if _lies_there(r, row) is None:
                return
        if isinstance(error, NotFound | MediaFailed | PeerMisbehaved):
            with contextlib.suppress(MediaFull, MediaFailed):  # said in the log in any case
                self._storage.life.set_access(row.volume_id, UNAVAILABLE, error)
        else:
            self._away_volumes.add(row.volume_id)
            self._storage.log.repeat(error.message)

    def _lost(self, aggregate_id: int) -> Lost:
        reason = self._reasons.get(aggregate_id)
        if reason is None:
            with self._storage.catalog.read() as r:
                rows = placements.of_aggregates(r, [aggregate_id])[aggregate_id]
            reason = message("ANR1420W", volume=rows[0].volume_name if rows else "?")
        return Lost(aggregate_id, reason, aggregate_id in self._away)


def _lies_there(r: Snapshot, row: PlacementRow) -> PlacementRow | None:
    """The placement as it is now; None where it moved or was freed."""
    if row.is_cached:
        return row if cached.lies_there(r, row) else None
    now = placements.of_aggregates(r, [row.aggregate_id])[row.aggregate_id]
    return next((one for one in now if one.place == row.place), None)
