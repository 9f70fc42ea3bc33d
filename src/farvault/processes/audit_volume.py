"""AUDIT VOLUME: check every record of a volume where it lies, and correct what the catalog says (TSM reference 3.8).

| record | FIX=NO | FIX=YES |
|---|---|---|
| good, was marked damaged | mark removed | mark removed |
| bad, primary, a good copy exists | marked damaged | marked damaged: RESTORE VOLUME or RESTORE STGPOOL brings it back |
| bad, primary, no good copy | marked damaged | the objects that need it are deleted |
| bad, in a copy pool | marked damaged: BACKUP STGPOOL replaces it | this copy's record is deleted |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from farvault.catalog import content, nouns, placements
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Transaction
from farvault.media.interface import Span
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.processes.backup_pool import remove_placements
from farvault.processes.process import Process
from farvault.storage.storage import Storage

PAGE = 200
"""Records checked between two looks at a cancel: at most 800 MiB."""


@dataclass(slots=True)
class Findings:
    """What the audit has found and done."""

    inspected: int = 0
    marked: int = 0
    reset: int = 0
    removed: int = 0
    """Copies whose record was deleted."""
    deleted_objects: int = 0
    lost: int = 0
    """Bad records without a good copy, still there."""


def audit_volume(
    storage: Storage, process: Process, volume_name: str, *, fix: bool = False, quiet: bool = False
) -> None:
    """`quiet`: no line for every bad record. `InUse` while somebody writes the volume.

    A volume that cannot be opened at all ends the audit with an error and nothing changed: a disk that is not mounted
    is not damage. The process fails where bad records without any good copy are left.
    """
    with storage.catalog.read() as r:
        volume = nouns.get(r, Volume, volume_name)
        pool = nouns.by_id(r, StoragePool, volume.pool_id)
    process.say("ANR2312I" if fix else "ANR2313I", volume=volume.name, number=process.number)
    audit = _Audit(storage, process, volume, pool, fix=fix, quiet=quiet)
    with storage.volumes.hold(volume):
        audit.run()
    found = audit.findings
    process.say(
        "ANR4132I",
        volume=volume.name,
        inspected=f"{found.inspected:,}",
        marked=f"{found.marked:,}",
        reset=f"{found.reset:,}",
        removed=f"{found.removed:,}",
        deleted=f"{found.deleted_objects:,}",
    )
    if found.lost:
        process.count_failed(found.lost)
        process.say("ANR2317E", volume=volume.name, records=f"{found.lost:,}")


class _Audit:
    def __init__(
        self,
        storage: Storage,
        process: Process,
        volume: Volume,
        pool: StoragePool,
        *,
        fix: bool,
        quiet: bool,
    ) -> None:
        self._storage, self._process, self._volume, self._pool = storage, process, volume, pool
        self._fix, self._quiet = fix, quiet
        self.findings = Findings()

    def run(self) -> None:
        offset = -1
        while True:
            self._process.raise_if_cancelled()
            with self._storage.catalog.read() as r:
                rows = placements.on_volume(r, self._volume.id, offset, PAGE)
            if not rows:
                return
            self._check(rows)
            offset = rows[-1].offset_bytes

    def _check(self, rows: list[PlacementRow]) -> None:
        device = self._storage.devices.device(self._pool.device_class)
        spans = [(Span(row.offset_bytes, row.stored_bytes), row.digest) for row in rows]
        good, bad = [], []
        for row, (_, is_good) in zip(rows, device.verify(self._volume.name, spans), strict=True):
            self._process.advance(1, row.stored_bytes)
            self.findings.inspected += 1
            if not is_good:
                bad.append(row)
                if not self._quiet:
                    self._process.say("ANR2316W", volume=self._volume.name, offset=row.offset_bytes)
            elif row.damaged:
                good.append(row)
        if good:
            self._reset(good)
        if bad:
            self._deal_with(bad)

    def _reset(self, rows: list[PlacementRow]) -> None:
        with self._storage.catalog.write() as tx:
            for row in self._still_there(tx, rows):
                placements.mark_damaged(tx, row.aggregate_id, row.volume_id, False)
                self.findings.reset += 1

    def _deal_with(self, rows: list[PlacementRow]) -> None:
        doomed: list[int] = []
        with self._storage.catalog.write() as tx:
            there = self._still_there(tx, rows)
            if self._pool.is_copy and self._fix:
                ids = [row.aggregate_id for row in there]
                remove_placements(self._storage, tx, ids, lambda place: place.volume_id == self._volume.id)
                self.findings.removed += len(ids)
                return
            for row in there:
                placements.mark_damaged(tx, row.aggregate_id, row.volume_id, True)
                self.findings.marked += 1
            if not self._pool.is_copy:
                doomed = self._without_good_copy(tx, there)
        if doomed and self._fix:
            self._delete_objects(doomed)
        else:
            self.findings.lost += len(doomed)

    def _still_there(self, tx: Transaction, rows: list[PlacementRow]) -> list[PlacementRow]:
        """Those that have not moved or gone since they were read."""
        now = placements.of_aggregates(tx, [row.aggregate_id for row in rows])
        places = {(one.volume_id, one.offset_bytes) for several in now.values() for one in several}
        return [row for row in rows if (row.volume_id, row.offset_bytes) in places]

    def _without_good_copy(self, tx: Transaction, rows: list[PlacementRow]) -> list[int]:
        """Any undamaged placement counts, also one that cannot be reached just now."""
        places = placements.of_aggregates(tx, [row.aggregate_id for row in rows])
        return [
            number
            for number, several in places.items()
            if not any(not one.damaged and one.volume_id != self._volume.id for one in several)
        ]

    def _delete_objects(self, aggregate_ids: Sequence[int]) -> None:
        with self._storage.catalog.read() as r:
            objects = content.users_of_aggregates(r, aggregate_ids)
        deleted, _ = self._storage.delete_objects(objects, self._process.raise_if_cancelled)
        self.findings.deleted_objects += deleted
        self.findings.marked -= len(aggregate_ids)
        self._process.say("ANR2315W", volume=self._volume.name, objects=f"{deleted:,}")
