"""AUDIT VOLUME: check every record of a volume where it lies, and set the catalog right (TSM reference, storage 3.8).

| record | FIX=NO | FIX=YES |
|---|---|---|
| good, was marked damaged | mark removed | mark removed |
| bad, primary, good primary elsewhere | marked damaged | this place is forgotten |
| bad, primary, a good copy exists | marked damaged | marked damaged: RESTORE VOLUME or RESTORE STGPOOL brings it back |
| bad, primary, no good copy | marked damaged | the objects that need it are deleted |
| bad, a cached copy | said | forgotten |
| bad, in a copy pool | marked damaged: BACKUP STGPOOL replaces it | this copy is forgotten |

A record is bad when two reads say so (`verifying.py`). What another server keeps here is never deleted: only its owner
knows what else has it. How far the audit has come is remembered with the volume, for the scrub and for QUERY SCRUB.

A volume that is missing is not damage: its disk may not be mounted. It becomes UNAVAILABLE, the audit fails, nothing is
marked. Where its label is not the one it should have, FIX=YES does no more than FIX=NO.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from farvault.base.disk import crash_point
from farvault.base.errors import Cancelled, FarvaultError, MediaFailed, NotAvailable, NotFound
from farvault.base.units import MIB, show_path
from farvault.catalog import cached, content, holds, nouns, placements, superseded, volume_checks
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.media.interface import Device
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import DESTROYED, OFFLINE, OFFSITE, READONLY, READWRITE, Volume
from farvault.policy.mount_points import Priority
from farvault.policy.scrub import VolumeCheck
from farvault.processes.process import Process
from farvault.processes.verifying import Verifier
from farvault.storage.mount_points import Worker
from farvault.storage.storage import Storage

PAGE = 2000
PAGE_BYTES = 256 * MIB
"""Records, and their bytes, checked before what was found is settled and remembered."""
KNOWN_FILES = 100_000
"""Of how many files it remembers whether they reach to other volumes."""
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
    sealed_wrong: int = 0
    """Their bytes are right and do not open: no copy would."""
    no_label: int = 0
    skipped: int = 0
    """Records left out: SKIPPARTIAL=YES."""
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    """`quiet`: no line for every bad record and every deleted object. `full`: read and open each record here.

    `skip_partial`: leave out records all of whose files also need something on other volumes. Not all is looked at then,
    so it counts as no pass.
    """

    fix: bool = False
    quiet: bool = False
    full: bool = False
    skip_partial: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """What the scrub takes of a volume: what was never checked, or the pass over the rest; at most so many bytes."""

    is_new: bool
    budget_bytes: int
    spend: Callable[[int], None]


def audit_volume(
    storage: Storage,
    process: Process,
    volume_name: str,
    *,
    fix: bool = False,
    quiet: bool = False,
    full: bool = False,
    skip_partial: bool = False,
) -> None:
    """Others may store on the volume meanwhile. Where it ends early, the scrub goes on from there.

    The process fails where anything was damaged. Cancelled, it keeps what it has found. `NotAvailable` where the volume
    may not be read, `InUse` while it is being deleted, `NotFound` or `MediaFailed` where its media is not there.
    """
    volume, pool = _readable(storage, volume_name)
    process.say("ANR2312I" if fix else "ANR2313I", volume=volume.name, number=process.number)
    audit = _Audit(storage, process, volume, pool, Options(fix, quiet, full, skip_partial), None)
    _run(process, audit)
    _tell(process, volume, audit.findings)
    process.raise_if_cancelled()


def audit_part(storage: Storage, process: Process, volume_name: str, part: Part) -> int:
    """A part of a volume as AUDIT VOLUME FIX=NO does the whole; returns how many bytes were read. Errors as there."""
    volume, pool = _readable(storage, volume_name)
    audit = _Audit(storage, process, volume, pool, Options(), part)
    _run(process, audit)
    if audit.findings.bad or audit.findings.reset:
        _tell(process, volume, audit.findings)
    return audit.findings.bytes


def audit_volumes(
    storage: Storage,
    process: Process,
    names: Sequence[str],
    *,
    fix: bool = False,
    quiet: bool = False,
    full: bool = False,
    skip_partial: bool = False,
) -> None:
    """One after the other. One that cannot be audited is said and counted as failed, unless it is just OFFSITE or offline."""
    for name in names:
        process.raise_if_cancelled()
        with storage.catalog.read() as r:
            volume = nouns.find(r, Volume, name)
        if volume is None:
            continue  # an emptied scratch volume goes at any time
        try:
            audit_volume(storage, process, name, fix=fix, quiet=quiet, full=full, skip_partial=skip_partial)
        except Cancelled:
            raise
        except FarvaultError as error:
            process.repeat(error.message)
            if volume.access != OFFSITE and volume.status != OFFLINE:
                process.count_failed()


def _readable(storage: Storage, volume_name: str) -> tuple[Volume, StoragePool]:
    with storage.catalog.read() as r:
        volume = nouns.get(r, Volume, volume_name)
        pool = nouns.by_id(r, StoragePool, volume.pool_id)
    for access in (volume.access, pool.access):
        if access not in (READWRITE, READONLY):
            raise NotAvailable("ANR2314E", volume=volume.name, access=access)
    if volume.status == OFFLINE:
        raise NotAvailable("ANR2314E", volume=volume.name, access=volume.status)
    return volume, pool


def _run(process: Process, audit: _Audit) -> None:
    process.note = f"Volume {audit.volume.name}"
    try:
        audit.run()
    finally:
        process.note = ""
        found = audit.findings
        process.count_failed(found.bad + found.sealed_wrong + found.no_label, found.bad_bytes)


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
    if found.skipped:
        process.say("ANR4784I", volume=volume.name, records=f"{found.skipped:,}")
    if found.lost:
        process.say("ANR2317E", volume=volume.name, records=f"{found.lost:,}")


class _Audit:
    def __init__(
        self,
        storage: Storage,
        process: Process,
        volume: Volume,
        pool: StoragePool,
        options: Options,
        part: Part | None,
    ) -> None:
        self._storage, self._process, self.volume, self._pool = storage, process, volume, pool
        self._fix, self._quiet, self._full = options.fix, options.quiet, options.full
        self._skips_partial = options.skip_partial
        self._is_partial: dict[int, bool] = {}
        """Object -> it needs something on another volume too, as far as it was asked."""
        self._part = part
        self._began = storage.clock.now_seconds()
        self.findings = Findings()

    def run(self) -> None:
        """Until the end of the volume or of the part, or until somebody cancels.

        Whoever wants the mount point gets it: the audit goes on when it is free again.
        """
        who = f"process {self._process.number} ({self._process.description})"
        worker = self._storage.volumes.mounts.worker(Priority.COPY, who, gives_way=True)
        rows = self._next_page(self._begin())
        has_begun = False
        while (rows or not has_begun) and not self._process.cancel_event.is_set():
            worker.claim({self._pool.device_class: 1})
            try:
                with self._storage.volumes.examine(self.volume, self._pool.device_class, worker) as device:
                    rows = self._examine(device, worker, rows, is_first=not has_begun)
            finally:
                worker.rest()
            has_begun = True

    def _examine(
        self, device: Device, worker: Worker, rows: list[PlacementRow], *, is_first: bool
    ) -> list[PlacementRow]:
        """As far as the mount point is nobody else's; returns what is still to be checked."""

        def stops() -> bool:
            return self._process.cancel_event.is_set() or worker.is_wanted

        spend = self._part.spend if self._part else lambda _bytes: None
        verifier = Verifier(
            self._storage, self._process, self.volume, device, full=self._full, spend=spend, stops=stops
        )
        if rows and is_first and not self._has_label(verifier):
            self._process.say("ANR2319W", volume=self.volume.name)
            self._fix = False
            self.findings.no_label = 1
        while rows and not stops():
            done = self._check(verifier, rows)
            rows = self._next_page(rows[done - 1].offset_bytes) if done else rows
        if not rows and self._pool.is_random and self._part is None and not self.findings.no_label:
            self._check_cached(verifier)
        return rows

    def _has_label(self, verifier: Verifier) -> bool:
        try:
            return verifier.has_its_label()
        except (NotFound, MediaFailed):
            self._note(self._kept().unreadable(self._storage.clock.now_seconds()))
            raise

    def _check(self, verifier: Verifier, rows: list[PlacementRow]) -> int:
        """Returns how many of them it got to."""
        bad_before = self.findings.bad
        wanted = self._without_partial(rows) if self._skips_partial else rows
        found = verifier.check(wanted)
        self.findings.inspected += found.inspected
        self.findings.bytes += sum(row.stored_bytes for row in wanted[: found.inspected])
        done = len(rows) if found.inspected == len(wanted) else rows.index(wanted[found.inspected])
        self.findings.skipped += done - found.inspected
        for row, reason in found.sealed_wrong:
            self.findings.sealed_wrong += 1
            self._process.say("ANR4740E", volume=self.volume.name, offset=row.offset_bytes, reason=reason)
        for start in range(0, len(found.reset), SETTLED_AT_ONCE):
            self._reset(found.reset[start : start + SETTLED_AT_ONCE])
        for start in range(0, len(found.bad), SETTLED_AT_ONCE):
            self._settle(found.bad[start : start + SETTLED_AT_ONCE])
        if done:
            last = rows[done - 1]
            self._come_to(last.offset_bytes + last.stored_bytes, self.findings.bad - bad_before)
        return done

    def _without_partial(self, rows: list[PlacementRow]) -> list[PlacementRow]:
        """Without records that only files need of which other parts lie elsewhere."""
        if len(self._is_partial) > KNOWN_FILES:
            self._is_partial.clear()
        with self._storage.catalog.read() as r:
            return [row for row in rows if not self._is_only_for_partial(r, row)]

    def _is_only_for_partial(self, r: Snapshot, row: PlacementRow) -> bool:
        users = content.users_of_aggregates(r, [row.aggregate_id])
        for one in users:
            if one not in self._is_partial:
                self._is_partial[one] = content.reaching_elsewhere(r, self.volume.id, [one]) > 0
            if not self._is_partial[one]:
                return False
        return bool(users)

    def _check_cached(self, verifier: Verifier) -> None:
        """What migration left here: nothing counts on it, so a bad one is only said, or with FIX given up."""
        after = -1
        while not self._process.cancel_event.is_set():
            with self._storage.catalog.read() as r:
                rows = cached.on_volume(r, self.volume.id, after, PAGE)
            if not rows:
                return
            found = verifier.check(rows)
            self.findings.inspected += found.inspected
            if found.inspected < len(rows):
                return  # somebody wants the mount point: what nothing counts on need not be looked at now
            after = rows[-1].offset_bytes
            for row in found.bad:
                with self._storage.catalog.read() as r:
                    is_there = cached.lies_there(r, row)
                if not is_there:
                    continue  # it gave way to a record meanwhile
                self.findings.bad += 1
                self.findings.bad_bytes += row.stored_bytes
                if not self._quiet:
                    self._process.say("ANR2316W", volume=self.volume.name, offset=row.offset_bytes)
                if self._fix:
                    self.findings.removed += self._storage.cache.drop_one(row)

    # --- where it begins, and how far it has come -------------------------------------------------------------------------

    @property
    def _is_new(self) -> bool:
        return self._part is not None and self._part.is_new

    def _kept(self) -> VolumeCheck:
        with self._storage.catalog.read() as r:
            return volume_checks.find(r, self.volume)

    def _note(self, check: VolumeCheck) -> None:
        if self._skips_partial:
            return
        crash_point("audit.progress.before_catalog")
        with self._storage.catalog.write() as tx:
            volume_checks.put(tx, check)

    def _begin(self) -> int:
        """Behind which offset it starts."""
        if self._skips_partial:
            return -1
        check = self._kept()
        if self._is_new:
            return check.checked_to_bytes - 1
        if self._part is None or not check.pass_time:
            check = check.begun(self._began)
            self._note(check)
        return check.next_offset - 1

    def _come_to(self, next_offset: int, bad: int) -> None:
        check, now = self._kept(), self._storage.clock.now_seconds()
        if self._is_new:
            self._note(check.extended(next_offset, bad, self._began, now))
        else:
            self._note(check.passed(next_offset, bad, now))

    def _next_page(self, after_offset: int) -> list[PlacementRow]:
        """The next records, as many as the part allows; none at the end, which is remembered."""
        left = PAGE_BYTES
        if self._part is not None:
            left = min(left, self._part.budget_bytes - self.findings.bytes)
            if left <= 0:
                return []
        with self._storage.catalog.read() as r:
            found = placements.on_volume(r, self.volume.id, after_offset, PAGE)
            volume = nouns.select(r, Volume, id=self.volume.id)
            check = volume_checks.find(r, self.volume)
        if self._part is not None and not self._is_new and not self._pool.is_random:
            found = [row for row in found if row.offset_bytes < check.checked_to_bytes]
        rows: list[PlacementRow] = []
        for row in found:
            rows.append(row)
            left -= row.stored_bytes
            if left <= 0:
                break
        if not rows and volume:
            self._complete(check, volume[0])
        return rows

    def _complete(self, check: VolumeCheck, volume: Volume) -> None:
        """`volume`: as it was when nothing more was found on it."""
        now = self._storage.clock.now_seconds()
        if self._is_new:
            self._note(check.extended(volume.written_bytes, 0, self._began, now).caught_up())
        elif self._pool.is_random:
            came = volume.last_written_time if volume.last_written_time >= check.pass_time else 0
            self._note(check.completed(0, came))
        elif self._part is None:
            self._note(check.completed(volume.written_bytes))
        else:
            self._note(check.completed(0, check.new_time))

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
                self._process.say("ANR2316W", volume=self.volume.name, offset=row.offset_bytes)
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
                here = (row.volume_id, row.aggregate_id) == (self.volume.id, number)
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
                volume=self.volume.name,
                node=one.node,
                file_space=one.file_space,
                path=show_path(path),
            )
        deleted, _, held_now = self._storage.delete_unheld(one for one in users if one not in held)
        if held := held | held_now:
            held_by = sorted({name for several in held.values() for name in several})
            self._process.say(
                "ANR4410W", volume=self.volume.name, objects=f"{len(held):,}", holds=", ".join(held_by)
            )
        self.findings.deleted_objects += deleted
        with self._storage.catalog.read() as r:
            return len(aggregate_ids) - len(placements.aggregates(r, aggregate_ids))


def _is_good(place: PlacementRow) -> bool:
    """As far as the catalog knows, also where it cannot be reached just now."""
    return not place.damaged and place.volume_access != DESTROYED
