"""AUDIT VOLUME: check every record of a volume where it lies, and set the catalog right (TSM reference, storage 3.8).

| record | FIX=NO | FIX=YES |
|---|---|---|
| good, was marked damaged | mark removed | mark removed |
| bad, primary, good primary elsewhere | marked damaged | this place is forgotten |
| bad, primary, a good copy exists | marked damaged | marked damaged: RESTORE VOLUME or RESTORE STGPOOL brings it back |
| bad, primary, no good copy | marked damaged | the objects that need it are deleted |
| bad, in a copy pool | marked damaged: BACKUP STGPOOL replaces it | this copy is forgotten |

The device checks digests where the bytes are, so a virtual volume is read at its target and no key is needed. A record
is bad when two reads say so. What another server keeps here is never deleted: only its owner knows what else has it.

A volume that is missing is not damage: its disk may not be mounted. It becomes UNAVAILABLE, the audit fails, nothing is
marked. Where its label is not the one it should have, FIX=YES does no more than FIX=NO.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from farvault.base.disk import aligned_buffer, crash_point
from farvault.base.errors import Cancelled, FarvaultError, MediaFailed, NotAvailable, NotFound, RecordDamaged
from farvault.base.units import show_path
from farvault.catalog import content, holds, nouns, placements, superseded
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Transaction
from farvault.media.interface import Device, Span
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import DESTROYED, OFFLINE, OFFSITE, READONLY, READWRITE, UNAVAILABLE, Volume
from farvault.processes.process import Process
from farvault.seal import label
from farvault.storage.free_space import LABEL_BYTES
from farvault.storage.storage import Storage

PAGE = 2000
"""Records checked before what was found is settled."""
SETTLED_AT_ONCE = 500
"""Records in one write transaction."""


@dataclass(slots=True)
class Findings:
    """What the audit has found and done."""

    inspected: int = 0
    bad: int = 0
    bad_bytes: int = 0
    marked: int = 0
    reset: int = 0
    removed: int = 0
    """Places that were forgotten."""
    deleted_objects: int = 0
    lost: int = 0
    """Bad records without a good copy that objects still need."""


def audit_volume(
    storage: Storage, process: Process, volume_name: str, *, fix: bool = False, quiet: bool = False
) -> None:
    """`quiet`: no line for every bad record and every deleted object. Others may store on the volume meanwhile.

    The process fails where anything was damaged. Cancelled, it keeps what it has found. `NotAvailable` where the volume
    may not be read, `InUse` while it is being deleted, `NotFound` or `MediaFailed` where its media is not there.
    """
    with storage.catalog.read() as r:
        volume = nouns.get(r, Volume, volume_name)
        pool = nouns.by_id(r, StoragePool, volume.pool_id)
    for access in (volume.access, pool.access):
        if access not in (READWRITE, READONLY):
            raise NotAvailable("ANR2314E", volume=volume.name, access=access)
    if volume.status == OFFLINE:
        raise NotAvailable("ANR2314E", volume=volume.name, access=volume.status)
    process.say("ANR2312I" if fix else "ANR2313I", volume=volume.name, number=process.number)
    process.note = f"Volume {volume.name}"
    audit = _Audit(storage, process, volume, pool, fix=fix, quiet=quiet)
    try:
        audit.run()
    finally:
        process.note = ""
        process.count_failed(audit.findings.bad, audit.findings.bad_bytes)
    _tell(process, volume, audit.findings)
    process.raise_if_cancelled()


def audit_volumes(
    storage: Storage, process: Process, names: Sequence[str], *, fix: bool = False, quiet: bool = False
) -> None:
    """One after the other. One that cannot be audited is said and counted as failed, unless it is just OFFSITE or offline."""
    for name in names:
        process.raise_if_cancelled()
        with storage.catalog.read() as r:
            volume = nouns.find(r, Volume, name)
        if volume is None:
            continue  # an emptied scratch volume goes at any time
        try:
            audit_volume(storage, process, name, fix=fix, quiet=quiet)
        except Cancelled:
            raise
        except FarvaultError as error:
            process.repeat(error.message)
            if volume.access != OFFSITE and volume.status != OFFLINE:
                process.count_failed()


def _tell(process: Process, volume: Volume, found: Findings) -> None:
    process.say(
        "ANR4132I",
        volume=volume.name,
        inspected=f"{found.inspected:,}",
        bad=f"{found.bad:,}",
        marked=f"{found.marked:,}",
        reset=f"{found.reset:,}",
        removed=f"{found.removed:,}",
        deleted=f"{found.deleted_objects:,}",
    )
    if found.lost:
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
        """Until the end of the volume, or until somebody cancels."""
        with self._storage.volumes.examine(self._volume, self._pool.device_class) as device:
            rows = self._next_page(-1)
            if rows and not self._has_its_label(device):
                self._process.say("ANR2319W", volume=self._volume.name)
                self._fix = False
            while rows and not self._process.cancel_event.is_set():
                good, bad = self._check(device, rows)
                for start in range(0, len(good), SETTLED_AT_ONCE):
                    self._reset(good[start : start + SETTLED_AT_ONCE])
                for start in range(0, len(bad), SETTLED_AT_ONCE):
                    self._settle(bad[start : start + SETTLED_AT_ONCE])
                rows = self._next_page(rows[-1].offset_bytes)

    def _next_page(self, after_offset: int) -> list[PlacementRow]:
        with self._storage.catalog.read() as r:
            return placements.on_volume(r, self._volume.id, after_offset, PAGE)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _has_its_label(self, device: Device) -> bool:
        """Is what lies under this name the volume we mean? Raises where there is nothing at all."""
        block = aligned_buffer(LABEL_BYTES)
        try:
            reader = device.open_reader(self._volume.name)
        except (NotFound, MediaFailed) as error:
            self._storage.life.set_access(self._volume.id, UNAVAILABLE, error)
            raise
        try:
            return label.parse(reader.read(Span(0, LABEL_BYTES), block)).volume == self._volume.name
        except (MediaFailed, RecordDamaged):
            return False
        finally:
            reader.close()

    def _check(
        self, device: Device, rows: list[PlacementRow]
    ) -> tuple[list[PlacementRow], list[PlacementRow]]:
        """Those that are marked damaged and are not, and those that are damaged. A cancel makes it end early."""
        reset, suspect = [], []
        checked = device.verify(self._volume.name, map(_asked, self._until_cancelled(rows)))
        for (_, is_good), row in zip(
            checked, rows, strict=False
        ):  # the device first: it must come to its end
            self._process.advance(1, row.stored_bytes)
            self.findings.inspected += 1
            if not is_good:
                suspect.append(row)
            elif row.damaged:
                reset.append(row)
        if not suspect:
            return reset, []
        again = device.verify(self._volume.name, map(_asked, suspect))
        return reset, [row for row, (_, is_good) in zip(suspect, again, strict=True) if not is_good]

    def _until_cancelled(self, rows: list[PlacementRow]) -> Iterator[PlacementRow]:
        """The device ends by itself when it is asked for nothing more, and lets go of what it holds."""
        for row in rows:
            if self._process.cancel_event.is_set():
                return
            yield row

    # --- settling ------------------------------------------------------------------------------------------------------

    def _reset(self, rows: list[PlacementRow]) -> None:
        with self._storage.catalog.write() as tx:
            for row in self._still_there(tx, rows):
                placements.mark_damaged(tx, row.aggregate_id, row.volume_id, False)
                self.findings.reset += 1

    def _settle(self, rows: list[PlacementRow]) -> None:
        """Marks first: where this ends half-way they stand, and the next audit goes on."""
        crash_point("audit.page.before_catalog")
        dropped, doomed, lost = [], [], 0
        with self._storage.catalog.write() as tx:
            there = self._still_there(tx, rows)
            for row, others in there.items():
                is_last = not any(map(_is_good, others))
                lost += is_last
                if self._fix and self._may_be_forgotten(others):
                    dropped.append(row)
                    continue
                placements.mark_damaged(tx, row.aggregate_id, row.volume_id, True)
                if self._fix and is_last:
                    doomed.append(row.aggregate_id)
            self._storage.drop_placements(tx, dropped)
        self.findings.bad += len(there)
        self.findings.bad_bytes += sum(row.stored_bytes for row in there)
        self.findings.removed += len(dropped)
        if not self._quiet:
            for row in there:
                self._process.say("ANR2316W", volume=self._volume.name, offset=row.offset_bytes)
        gone = self._delete_users(doomed) if doomed else 0
        self.findings.marked += len(there) - len(dropped) - gone
        self.findings.lost += lost - gone

    def _still_there(
        self, tx: Transaction, rows: list[PlacementRow]
    ) -> dict[PlacementRow, list[PlacementRow]]:
        """Those that have not moved or gone since they were read, as they are now, each with its other places."""
        asked = {(row.aggregate_id, row.offset_bytes) for row in rows}
        found = {}
        numbers = [row.aggregate_id for row in rows]
        for number, places in superseded.places_of_data(tx, numbers).items():
            for row in places:
                here = (row.volume_id, row.aggregate_id) == (self._volume.id, number)
                if here and (row.aggregate_id, row.offset_bytes) in asked:
                    found[row] = [one for one in places if one.volume_id != row.volume_id]
        return found

    def _may_be_forgotten(self, others: list[PlacementRow]) -> bool:
        """A copy that is not the very last of all places, or a primary place beside another good one."""
        if self._pool.is_copy:
            return bool(others)
        return any(not one.is_copy and _is_good(one) for one in others)

    def _delete_users(self, aggregate_ids: list[int]) -> int:
        """Delete the objects that need these records; returns how many records are gone by that."""
        with self._storage.catalog.read() as r:
            users = content.users_of_aggregates(r, aggregate_ids, segments=False)
            held = holds.held(r, users)
            names = [] if self._quiet else content.names(r, [one for one in users if one not in held])
        crash_point("audit.page.before_delete")
        for one in names:
            path = b"/".join(part for part in (*one.directory.split(b"\0"), one.name) if part)
            self._process.say(
                "ANR2315W",
                volume=self._volume.name,
                node=one.node,
                file_space=one.file_space,
                path=show_path(path),
            )
        deleted, _, held_now = self._storage.delete_unheld(one for one in users if one not in held)
        if held := held | held_now:
            held_by = sorted({name for several in held.values() for name in several})
            self._process.say(
                "ANR4410W", volume=self._volume.name, objects=f"{len(held):,}", holds=", ".join(held_by)
            )
        self.findings.deleted_objects += deleted
        with self._storage.catalog.read() as r:
            return len(aggregate_ids) - len(placements.aggregates(r, aggregate_ids))


def _asked(row: PlacementRow) -> tuple[Span, bytes]:
    return Span(row.offset_bytes, row.stored_bytes), row.digest


def _is_good(place: PlacementRow) -> bool:
    """As far as the catalog knows, also where it cannot be reached just now."""
    return not place.damaged and place.volume_access != DESTROYED
