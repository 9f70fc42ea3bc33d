"""How far the check of a volume has come: which records are next, what is remembered of it, when all of it is checked.

AUDIT VOLUME goes over the whole volume; the scrub takes a `Part`, and goes on with what it did not get to, or an audit that
ended early. What is remembered (`policy/scrub.py`, `catalog/volume_checks.py`) is what QUERY SCRUB shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from farvault.base.disk import crash_point
from farvault.base.units import MIB
from farvault.catalog import nouns, placements, volume_checks
from farvault.catalog.placements import PlacementRow
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.policy.scrub import VolumeCheck
from farvault.storage.storage import Storage

PAGE = 2000
PAGE_BYTES = 256 * MIB
"""Records, and their bytes, checked before what was found is settled and remembered."""


@dataclass(frozen=True, slots=True)
class Part:
    """What the scrub takes of a volume: what was never checked, or the pass over the rest; at most so many bytes."""

    is_new: bool
    budget_bytes: int
    spend: Callable[[int], None]


class AuditPass:
    """Over a volume, or the part of it. `counts`: not where records are left out, "all is checked" would not be true."""

    def __init__(
        self, storage: Storage, volume: Volume, pool: StoragePool, part: Part | None, *, counts: bool = True
    ) -> None:
        self._storage, self._volume, self._pool = storage, volume, pool
        self._part, self._counts = part, counts
        self._began = storage.clock.now_seconds()
        self.read_bytes = 0

    def first_page(self) -> list[PlacementRow]:
        return self.next_page(self._begin())

    def next_page(self, after_offset: int) -> list[PlacementRow]:
        """The next records, as many as the part allows; none at the end, which is remembered."""
        left = PAGE_BYTES
        if self._part is not None:
            left = min(left, self._part.budget_bytes - self.read_bytes)
            if left <= 0:
                return []
        with self._storage.catalog.read() as r:
            found = placements.on_volume(r, self._volume.id, after_offset, PAGE)
            volume = nouns.select(r, Volume, id=self._volume.id)
            check = volume_checks.find(r, self._volume)
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

    def come_to(self, next_offset: int, bad: int) -> None:
        """All before this offset is checked and settled; since the last time so many were bad."""
        check, now = self._kept(), self._storage.clock.now_seconds()
        if self._is_new:
            self._note(check.extended(next_offset, bad, self._began, now))
        else:
            self._note(check.passed(next_offset, bad, now))

    def is_unreadable(self) -> None:
        """The volume's media is not there."""
        self._note(self._kept().unreadable(self._storage.clock.now_seconds()))

    @property
    def _is_new(self) -> bool:
        return self._part is not None and self._part.is_new

    def _kept(self) -> VolumeCheck:
        with self._storage.catalog.read() as r:
            return volume_checks.find(r, self._volume)

    def _note(self, check: VolumeCheck) -> None:
        if not self._counts:
            return
        crash_point("audit.progress.before_catalog")
        with self._storage.catalog.write() as tx:
            volume_checks.put(tx, check)

    def _begin(self) -> int:
        """Behind which offset it starts."""
        if not self._counts:
            return -1
        check = self._kept()
        if self._is_new:
            return check.checked_to_bytes - 1
        if self._part is None or not check.pass_time:
            check = check.begun(self._began)
            self._note(check)
        return check.next_offset - 1

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
