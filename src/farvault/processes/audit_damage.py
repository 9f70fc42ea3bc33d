"""What becomes of records that AUDIT VOLUME found bad, or good again: the table stands in `audit_volume.py`.

Marks come first: where it ends half-way they stand, and the next audit goes on. What has moved or gone since it was read
is no damage.
"""

from __future__ import annotations

from dataclasses import dataclass

from farvault.base.disk import crash_point
from farvault.base.units import show_path
from farvault.catalog import content, holds, placements, superseded
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Transaction
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import DESTROYED, Volume
from farvault.processes.process import Process
from farvault.storage.storage import Storage

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


class Damage:
    """Settles it in the catalog, and counts it in `findings`. `fixes`: FIX=YES. `quiet`: no line for each."""

    def __init__(
        self,
        storage: Storage,
        process: Process,
        volume: Volume,
        pool: StoragePool,
        findings: Findings,
        *,
        fixes: bool,
        quiet: bool,
    ) -> None:
        self._storage, self._process, self._volume, self._pool = storage, process, volume, pool
        self._findings, self.fixes, self._quiet = findings, fixes, quiet

    def reset(self, rows: list[PlacementRow]) -> None:
        """These were marked and are good."""
        for start in range(0, len(rows), SETTLED_AT_ONCE):
            with self._storage.catalog.write() as tx:
                for row in self._still_there(tx, rows[start : start + SETTLED_AT_ONCE]):
                    placements.mark_damaged(tx, row.aggregate_id, row.volume_id, False)
                    self._findings.reset += 1

    def settle(self, rows: list[PlacementRow]) -> None:
        """These are bad."""
        for start in range(0, len(rows), SETTLED_AT_ONCE):
            self._settle(rows[start : start + SETTLED_AT_ONCE])

    def settle_cached(self, row: PlacementRow) -> None:
        """A bad cached copy: nothing counts on it."""
        self._findings.bad += 1
        self._findings.bad_bytes += row.stored_bytes
        self._tell([row])
        if self.fixes:
            self._findings.removed += self._storage.cache.drop_one(row)

    def _settle(self, rows: list[PlacementRow]) -> None:
        crash_point("audit.page.before_catalog")
        dropped, doomed, lost = [], [], 0
        with self._storage.catalog.write() as tx:
            there = self._still_there(tx, rows)
            for row, others in there.items():
                is_last = not any(map(_is_good, others))
                lost += is_last
                if self.fixes and self._may_be_forgotten(others):
                    dropped.append(row)
                    continue
                placements.mark_damaged(tx, row.aggregate_id, row.volume_id, True)
                if self.fixes and is_last:
                    doomed.append(row.aggregate_id)
            self._storage.drop_placements(tx, dropped)
        self._findings.bad += len(there)
        self._findings.bad_bytes += sum(row.stored_bytes for row in there)
        self._findings.removed += len(dropped)
        self._tell(list(there))
        gone = self._delete_users(doomed) if doomed else 0
        self._findings.marked += len(there) - len(dropped) - gone
        self._findings.lost += lost - gone

    def _tell(self, rows: list[PlacementRow]) -> None:
        if not self._quiet:
            for row in rows:
                self._process.say("ANR2316W", volume=self._volume.name, offset=row.offset_bytes)

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
        self._findings.deleted_objects += deleted
        with self._storage.catalog.read() as r:
            return len(aggregate_ids) - len(placements.aggregates(r, aggregate_ids))


def _is_good(place: PlacementRow) -> bool:
    """As far as the catalog knows, also where it cannot be reached just now."""
    return not place.damaged and place.volume_access != DESTROYED
