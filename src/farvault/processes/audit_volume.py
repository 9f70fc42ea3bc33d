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
knows what else has it. What the table says is done in `audit_damage.py`; how far the audit has come, for the scrub and
for QUERY SCRUB, is remembered in `audit_pass.py`.

A volume that is missing is not damage: its disk may not be mounted. It becomes UNAVAILABLE, the audit fails, nothing is
marked. Where its label is not the one it should have, FIX=YES does no more than FIX=NO.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from farvault.base.errors import Cancelled, FarvaultError, MediaFailed, NotAvailable, NotFound
from farvault.catalog import cached, nouns
from farvault.catalog.placements import PlacementRow
from farvault.media.interface import Device
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import OFFLINE, OFFSITE, READONLY, READWRITE, Volume
from farvault.policy.mount_points import Priority
from farvault.processes.audit_damage import Damage, Findings
from farvault.processes.audit_pass import PAGE, AuditPass, Part
from farvault.processes.partial_files import PartialFiles
from farvault.processes.process import Process
from farvault.processes.verifying import Verifier
from farvault.storage.mount_points import Worker
from farvault.storage.storage import Storage


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
    return audit.read_bytes


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
        self._full, self._part = options.full, part
        self._partial = PartialFiles(storage, volume) if options.skip_partial else None
        self._pass = AuditPass(storage, volume, pool, part, counts=not options.skip_partial)
        self.findings = Findings()
        self._damage = Damage(
            storage, process, volume, pool, self.findings, fixes=options.fix, quiet=options.quiet
        )

    @property
    def read_bytes(self) -> int:
        return self._pass.read_bytes

    def run(self) -> None:
        """Until the end of the volume or of the part, or until somebody cancels.

        Whoever wants the mount point gets it: the audit goes on when it is free again.
        """
        who = f"process {self._process.number} ({self._process.description})"
        worker = self._storage.volumes.mounts.worker(Priority.COPY, who, gives_way=True)
        rows = self._pass.first_page()
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
            self._damage.fixes = False
            self.findings.no_label = 1
        while rows and not stops():
            done = self._check(verifier, rows)
            rows = self._pass.next_page(rows[done - 1].offset_bytes) if done else rows
        if not rows and self._pool.is_random and self._part is None and not self.findings.no_label:
            self._check_cached(verifier)
        return rows

    def _has_label(self, verifier: Verifier) -> bool:
        try:
            return verifier.has_its_label()
        except (NotFound, MediaFailed):
            self._pass.is_unreadable()
            raise

    def _check(self, verifier: Verifier, rows: list[PlacementRow]) -> int:
        """Returns how many of them it got to."""
        bad_before = self.findings.bad
        wanted = self._partial.without(rows) if self._partial else rows
        found = verifier.check(wanted)
        self.findings.inspected += found.inspected
        self._pass.read_bytes += sum(row.stored_bytes for row in wanted[: found.inspected])
        done = len(rows) if found.inspected == len(wanted) else rows.index(wanted[found.inspected])
        self.findings.skipped += done - found.inspected
        for row, reason in found.sealed_wrong:
            self.findings.sealed_wrong += 1
            self._process.say("ANR4740E", volume=self.volume.name, offset=row.offset_bytes, reason=reason)
        self._damage.reset(found.reset)
        self._damage.settle(found.bad)
        if done:
            last = rows[done - 1]
            self._pass.come_to(last.offset_bytes + last.stored_bytes, self.findings.bad - bad_before)
        return done

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
                if is_there:  # else it gave way to a record meanwhile
                    self._damage.settle_cached(row)
