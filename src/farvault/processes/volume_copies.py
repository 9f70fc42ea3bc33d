"""Copying aggregates volume by volume, several at once: what BACKUP STGPOOL, RESTORE VOLUME and RESTORE STGPOOL share.

Each worker takes the next volume that is still to be read, so a volume is read once and in order, and workers never
wait for each other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from farvault.base.errors import PeerUnreachable
from farvault.base.units import show_size
from farvault.catalog import nouns
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Snapshot
from farvault.model.device_class import DeviceClass
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.policy.mount_points import Priority, useful_workers
from farvault.processes.process import Process, run_side_by_side
from farvault.storage.copying import Copied, Stored, copy_aggregates
from farvault.storage.rebuilding import Rebuilt
from farvault.storage.storage import Storage

PAGE = 1000
_BEHIND_EVERYTHING = 1 << 62

Place = tuple[int, int]
"""(volume id, offset) of the last row seen."""
Page = Callable[[Snapshot, Place, int], list[PlacementRow]]
"""The next rows behind a place, at most so many, ordered by (volume, offset)."""


@dataclass(slots=True)
class Work:
    """What there is to do: volumes in order, records and bytes."""

    volumes: dict[int, str] = field(default_factory=dict)
    """Number -> name."""
    records: int = 0
    stored_bytes: int = 0

    @property
    def figures(self) -> dict[str, str]:
        return {"records": f"{self.records:,}", "size": show_size(self.stored_bytes)}


def survey(storage: Storage, page: Page) -> Work:
    """Count it all, for a preview."""
    work = Work()
    for row in _rows(storage, page, (-1, -1)):
        work.volumes[row.volume_id] = row.volume_name
        work.records += 1
        work.stored_bytes += row.stored_bytes
    return work


def volumes_with_work(storage: Storage, page: Page) -> list[int]:
    """Numbers of the volumes that have any, in order."""
    found: list[int] = []
    place: Place = (-1, -1)
    while True:
        with storage.catalog.read() as r:
            rows = page(r, place, 1)
        if not rows:
            return found
        found.append(rows[0].volume_id)
        place = (rows[0].volume_id, _BEHIND_EVERYTHING)


def copy_volumes(
    storage: Storage,
    process: Process,
    volume_ids: Iterable[int],
    page: Page,
    pool: StoragePool,
    *,
    allowed: Callable[[PlacementRow], bool],
    on_store: Stored,
    max_processes: int,
    exclude: Iterable[int] = (),
    priority: Priority = Priority.COPY,
    reads: Iterable[StoragePool] = (),
    otherwise: Callable[[Sequence[int]], Rebuilt] | None = None,
) -> Copied:
    """Copy the rows of all these volumes into the pool; what could not be read is counted as failed.

    `priority`: where it stands among those that wait for mount points. `reads`: pools that are read, where these are not
    the pools of the volumes. `otherwise`: gets the aggregates that failed first, and may bring them in by another way.
    """
    copying = _Copying(storage, process, volume_ids, page, pool, allowed, on_store, tuple(exclude), priority)
    workers = copying.useful_workers(max_processes, {one.device_class for one in reads})
    run_side_by_side([copying.work] * workers, process.cancel_event)
    total = copying.total
    if otherwise is not None and total.lost:
        done = otherwise([lost.aggregate_id for lost in total.lost])
        total.records += done.records
        total.stored_bytes += done.after_bytes
        total.lost = [lost for lost in total.lost if lost.aggregate_id in done.failed]
    for lost in total.lost:
        process.count_failed()
        process.repeat(lost.reason)
    return total


class _Copying:
    """What the workers of one copy share: the volumes that wait for one of them, and `total`."""

    def __init__(
        self,
        storage: Storage,
        process: Process,
        volume_ids: Iterable[int],
        page: Page,
        pool: StoragePool,
        allowed: Callable[[PlacementRow], bool],
        on_store: Stored,
        exclude: tuple[int, ...],
        priority: Priority,
    ) -> None:
        self._storage, self._process, self._page, self._pool = storage, process, page, pool
        self._allowed, self._on_store, self._exclude, self._priority = allowed, on_store, exclude, priority
        self._waiting = deque(volume_ids)
        self.total = Copied()
        self._lock = threading.Lock()

    def useful_workers(self, wanted: int, read_classes: set[str]) -> int:
        """As many as wanted, as far as there are volumes and mount points. `read_classes` empty: those of the volumes."""
        with self._storage.catalog.read() as r:
            limit = nouns.get(r, DeviceClass, self._pool.device_class).mount_limit
            numbers = set(self._waiting)
            pools = {volume.pool_id for volume in nouns.select(r, Volume) if volume.id in numbers}
            classes = read_classes or {nouns.by_id(r, StoragePool, number).device_class for number in pools}
        reads_there = self._pool.device_class in classes
        return useful_workers(min(wanted, len(self._waiting)), limit, reads_there=reads_there)

    def work(self) -> None:
        """Of one worker, until no volume waits."""
        process = self._process
        try:
            copied = copy_aggregates(
                self._storage,
                self._rows(),
                self._pool,
                allowed=self._allowed,
                progress=process.advance,
                raise_if_cancelled=process.raise_if_cancelled,
                on_store=self._on_store,
                exclude=self._exclude,
                priority=self._priority,
                who=f"process {process.number} ({process.description})",
            )
        except PeerUnreachable:
            process.raise_if_cancelled()  # it was not tried again because of that
            raise
        with self._lock:
            self.total.records += copied.records
            self.total.stored_bytes += copied.stored_bytes
            self.total.referred += copied.referred
            self.total.lost += copied.lost

    def _rows(self) -> Iterator[PlacementRow]:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                volume_id = self._waiting.popleft()
            yield from _rows_of_volume(self._storage, self._page, volume_id, self._process)


def _rows_of_volume(storage: Storage, page: Page, volume_id: int, process: Process) -> Iterator[PlacementRow]:
    for row in _rows(storage, page, (volume_id, -1)):
        if row.volume_id != volume_id:
            return
        process.note = f"Volume {row.volume_name}"
        yield row


def _rows(storage: Storage, page: Page, place: Place) -> Iterator[PlacementRow]:
    """Page by page, each its own snapshot: a long copy must not hold the catalog's log."""
    while True:
        with storage.catalog.read() as r:
            rows = page(r, place, PAGE)
        yield from rows
        if len(rows) < PAGE:
            return
        place = rows[-1].place
