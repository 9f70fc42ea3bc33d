"""AUDIT CATALOG: is every row as it was written, does everything add up, and are the volumes there? One report.

Each step reads a snapshot of its own, so that a long audit never holds the catalog's log; nobody is kept from working.
FIX=YES puts right what follows from other rows, and only where all of those are as they were written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from farvault.base.disk import aligned_buffer, crash_point
from farvault.base.errors import FarvaultError, MediaFailed, NotFound, RecordDamaged
from farvault.catalog import audit, audit_repair, nouns, placements
from farvault.catalog.transaction import Row, Snapshot
from farvault.media.interface import Span
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import OFFLINE, READONLY, READWRITE, Volume
from farvault.processes.process import Process
from farvault.seal import label
from farvault.storage.free_space import LABEL_BYTES
from farvault.storage.storage import Storage

DESCRIPTION: Final = "AUDIT CATALOG"
ONE_RUNS: Final = "ANR4751E"
"""Said to whoever starts a second one: it reads all there is."""
NAMED: Final = 100
"""Findings of one kind that are said one by one; the rest is counted."""


@dataclass(slots=True)
class Findings:
    """What the audit has found and done."""

    tables: int = 0
    rows: int = 0
    structure: int = 0
    digests: int = 0
    sums: int = 0
    volumes: int = 0
    repaired: int = 0

    @property
    def total(self) -> int:
        return self.structure + self.digests + self.sums + self.volumes


def audit_catalog(storage: Storage, process: Process, *, fix: bool = False) -> None:
    """The process fails where anything was found that is not put right."""
    process.say("ANR4742I", number=process.number, fix="YES" if fix else "NO")
    work = _Audit(storage, process)
    try:
        work.run(fix=fix)
    finally:
        process.note = ""
        process.count_failed(work.found.total - work.found.repaired)
    work.tell()


class _Audit:
    def __init__(self, storage: Storage, process: Process) -> None:
        self._storage, self._process = storage, process
        self.found = Findings()

    def run(self, *, fix: bool) -> None:
        self.found.structure = self._step("the file's structure", "ANR4745E", self._structure)
        for table in audit.tables():
            self.found.tables += 1
            self.found.digests += self._step(f"table {table}", "ANR4743E", self._rows_of(table))
        broken: dict[str, int] = {}
        for what in audit.sums():
            count = self._step(what, "ANR4744E", _sum(what))
            self.found.sums += count
            if count:
                broken[what] = count
        self._volumes()
        if fix and broken:
            self._repair(broken)

    def _step(
        self, subject: str, message_id: str, look: Callable[[Snapshot], Iterator[dict[str, object]]]
    ) -> int:
        """One part of the audit in a snapshot of its own; a part that cannot even be read is a finding too."""
        self._process.raise_if_cancelled()
        self._process.note = f"Looking at {subject}"
        count = 0
        try:
            with self._storage.catalog.read() as r:
                for values in look(r):
                    self._process.raise_if_cancelled()
                    count += 1
                    if count <= NAMED:
                        self._process.say(message_id, **values)
        except MediaFailed as unreadable:
            count += self._unreadable(subject, unreadable.message.text)
        except (ValueError, TypeError) as senseless:  # a value of another kind than its column can have
            count += self._unreadable(subject, f"a value makes no sense: {senseless}")
        if count > NAMED:
            self._process.say("ANR4747W", number=f"{count - NAMED:,}", subject=subject)
        return count

    def _unreadable(self, subject: str, reason: str) -> int:
        self._process.say("ANR4745E", problem=f"{subject}: {reason}")
        return 1

    def _structure(self, r: Snapshot) -> Iterator[dict[str, object]]:
        return ({"problem": problem} for problem in audit.check_structure(r))

    def _rows_of(self, table: str) -> Callable[[Snapshot], Iterator[dict[str, object]]]:
        def look(r: Snapshot) -> Iterator[dict[str, object]]:
            for batch in audit.check_table(r, table):
                self._process.raise_if_cancelled()
                self._process.advance(batch.rows)
                self.found.rows += batch.rows
                yield from ({"table": table, "row": number} for number in batch.bad)

        return look

    # --- volumes -------------------------------------------------------------------------------------------------------

    def _volumes(self) -> None:
        """Volumes that lie on this machine and may be read: is there what the catalog says, as far as one look can tell?"""
        with self._storage.catalog.read() as r:
            pools = {pool.id: pool for pool in nouns.select(r, StoragePool)}
            volumes = nouns.select(r, Volume)
        for volume in volumes:
            self._process.raise_if_cancelled()
            pool = pools.get(volume.pool_id)
            if pool is None or volume.status == OFFLINE:
                continue
            if not {volume.access, pool.access} <= {READWRITE, READONLY}:
                continue
            if self._storage.devices.device(pool.device_class).capabilities.remote:
                continue  # RECONCILE VOLUMES asks its target
            self._process.note = f"Looking at volume {volume.name}"
            if problem := self._problem_of(volume, pool):
                self.found.volumes += 1
                self._process.say("ANR4749E", volume=volume.name, problem=problem)

    def _problem_of(self, volume: Volume, pool: StoragePool) -> str:
        with self._storage.catalog.read() as r:
            end = placements.end_of(r, volume.id)
        if not end:
            return ""
        block = aligned_buffer(LABEL_BYTES)
        try:
            with self._storage.volumes.open_reader(pool.device_class, volume.name) as reader:
                if label.parse(reader.read(Span(0, LABEL_BYTES), block)).volume != volume.name:
                    return "its label is that of another volume"
                reader.read(Span(end - LABEL_BYTES, LABEL_BYTES), block)
        except (NotFound, MediaFailed, RecordDamaged) as error:
            with self._storage.catalog.read() as r:
                is_there = placements.end_of(r, volume.id)  # it may have been emptied meanwhile
            return error.message.text if is_there else ""
        except FarvaultError as error:
            self._process.repeat(error.message)
        return ""

    # --- putting right ---------------------------------------------------------------------------------------------------

    def _repair(self, broken: dict[str, int]) -> None:
        if self.found.structure or self.found.digests:
            self._process.say("ANR4748W")
            return
        for what in audit_repair.REPAIRABLE:
            if what in broken:
                self._repair_all(what)
        left = sum(self._count(what) for what in broken)
        self.found.repaired = max(self.found.sums - left, 0)

    def _repair_all(self, what: str) -> None:
        """Batch by batch, until none is left or they do not get fewer."""
        self._process.note = f"Putting right: {what}"
        rows = self._next(what)
        while rows:
            self._process.raise_if_cancelled()
            crash_point("audit_catalog.repair.before_catalog")
            with self._storage.catalog.write() as tx:
                freed = audit_repair.repair(tx, what, rows)
                self._storage.freed(tx, freed)
            before, rows = rows, self._next(what)
            if rows == before:
                return

    def _count(self, what: str) -> int:
        with self._storage.catalog.read() as r:
            return sum(1 for _ in audit.check_sum(r, what))

    def _next(self, what: str) -> list[Row]:
        with self._storage.catalog.read() as r:
            return list(islice(audit.check_sum(r, what), audit_repair.REPAIRED_AT_ONCE))

    def tell(self) -> None:
        found = self.found
        self._process.say(
            "ANR4746I",
            rows=f"{found.rows:,}",
            tables=found.tables,
            structure=f"{found.structure:,}",
            digests=f"{found.digests:,}",
            sums=f"{found.sums:,}",
            volumes=f"{found.volumes:,}",
            repaired=f"{found.repaired:,}",
        )
        if found.total > found.repaired:
            self._process.say("ANR4750E", number=f"{found.total - found.repaired:,}")


def _sum(what: str) -> Callable[[Snapshot], Iterator[dict[str, object]]]:
    def look(r: Snapshot) -> Iterator[dict[str, object]]:
        for row in audit.check_sum(r, what):
            yield {"what": what, "where": ", ".join(_shown(value) for value in row)}

    return look


def _shown(value: object) -> str:
    return value.hex()[:16] if isinstance(value, bytes) else str(value)
