"""The recovery log: every change of the catalog since the last database backup, in a folder of its own, on another disk.

LOGMODE=ROLLFORWARD. One entry a commit: the pages it changed, as SQLite wrote them to its write-ahead log. An entry is
durable here before the commit is acknowledged, and that is the one sync a commit costs: SQLite's own file follows at its
checkpoints (`docs/decisions/0042`). After a crash `catalog/roll_forward.py` brings both together.

Entries (`log_chain.py`) lie in segment files of fixed size, reserved on disk before they are needed (`log_spare.py`). A torn
last one is overwritten. A full log refuses changes before they begin. What makes room (BACKUP DB) may use a reserve, and a
transaction that has begun is never refused.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import Final, NamedTuple

from farvault.base.disk import crash_point, make_folder, remove_file, sync_folder
from farvault.base.errors import CatalogFull, MediaFailed, MediaFull
from farvault.base.units import MIB
from farvault.catalog.log_chain import (
    CLEAN,
    ENTRY_BYTES,
    PAGES,
    Entry,
    LogChain,
    Position,
    Segment,
    segment_names,
    segment_path,
    translated,
)
from farvault.catalog.log_spare import Spare
from farvault.catalog.wal import Salts

SEGMENT_BYTES: Final = 16 * MIB
SMALLEST_SEGMENT_BYTES: Final = MIB
SMALLEST_CAPACITY_BYTES: Final = 16 * MIB


class LogFigures(NamedTuple):
    """What QUERY LOG shows. `lacks_room`: its file system has no room for the next segment."""

    log_id: str
    capacity_bytes: int
    used_bytes: int
    reserve_bytes: int
    segments: int
    first_sequence: int
    last_sequence: int
    lacks_room: bool

    @property
    def is_full(self) -> bool:
        """Only what may use the reserve gets in, and a database backup helps: it frees all segments but the last."""
        is_used_up = self.used_bytes >= self.capacity_bytes - self.reserve_bytes
        return is_used_up or (self.lacks_room and self.segments > 1)

    @property
    def is_scarce(self) -> bool:
        """Half of the reserve is used up: what fails again and again must not take the rest of it."""
        return self.capacity_bytes - self.used_bytes < self.reserve_bytes // 2

    @property
    def used_percent(self) -> float:
        return 100.0 * self.used_bytes / self.capacity_bytes


class RecoveryLog:
    """An open log. The catalog's writer is its only user, but for `figures`. After an error it takes nothing any more."""

    def __init__(self, folder: str, capacity_bytes: int, row_key: bytes, page_bytes: int) -> None:
        """Use `create` or `open`."""
        self.folder = folder
        self.page_bytes = page_bytes
        self.capacity_bytes = max(capacity_bytes, SMALLEST_CAPACITY_BYTES)
        self.segment_bytes = min(SEGMENT_BYTES, max(self.capacity_bytes // 16, SMALLEST_SEGMENT_BYTES))
        self.reserve_bytes = max(self.capacity_bytes // 8, 2 * self.segment_bytes)
        self._chain = LogChain(folder, page_bytes, row_key)
        self._spare = Spare(folder, self.segment_bytes)
        self._descriptor = -1
        self._failed = self._lacks_room = False

    @classmethod
    def create(
        cls, folder: str, capacity_bytes: int, row_key: bytes, page_bytes: int, position: Position, now: int
    ) -> RecoveryLog:
        """A new, empty log that starts behind `position`. The folder holds none. `MediaFull`, `MediaFailed`."""
        log = cls(folder, capacity_bytes, row_key, page_bytes)
        log._chain.log_id = secrets.token_hex(16)
        log._chain.position = position
        with translated(folder):
            make_folder(folder)
            log._spare.remove()
            log._start_segment(1, now)
            log.await_spare()
        return log

    @classmethod
    def open(
        cls, folder: str, capacity_bytes: int, row_key: bytes, page_bytes: int, *, read_only: bool = False
    ) -> RecoveryLog | None:
        """The log of this folder; None where there is none. `MediaFailed` where it is damaged or another catalog's."""
        log = cls(folder, capacity_bytes, row_key, page_bytes)
        with translated(folder):
            for _ in log._chain.scan():
                pass
            if not log._chain.segments:
                return None
            if not read_only:
                log._descriptor = os.open(log._chain.segments[-1].path, os.O_RDWR | os.O_CLOEXEC)
                with contextlib.suppress(OSError):
                    log._spare.prepare()
        return log

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Commits behind this number, in order, each checked again; data is valid until the next step."""
        with translated(self.folder):
            for entry in self._chain.anew().scan():
                if entry.kind == PAGES and entry.sequence > after:
                    yield entry

    # --- writing -----------------------------------------------------------------------------------------------

    def admit(self, *, uses_reserve: bool) -> None:
        """Before a change begins: `MediaFull` where the log has no room for it."""
        self._refuse_after_failure()
        room = self.capacity_bytes - self.used_bytes - (0 if uses_reserve else self.reserve_bytes)
        if room <= 0:
            raise CatalogFull("ANR0130E", folder=self.folder, percent=f"{self.figures().used_percent:.0f}")
        if self._spare.is_being_made:
            return  # a segment has just begun: there is room enough in it
        try:
            with translated(self.folder):
                self._spare.prepare()
            self._lacks_room = False
        except MediaFull:
            self._lacks_room = True
            if not uses_reserve:
                raise

    def append(self, frames: bytes, salts: Salts, end: int, database_pages: int, now: int) -> None:
        """One commit, durable when this returns. Any error ends the log: whether it is in there, the next start finds."""
        self._put(PAGES, frames, Position(salts, end, False), database_pages, now)

    def mark_clean(self, now: int) -> None:
        """The database file holds everything and SQLite's write-ahead log is gone."""
        self._put(CLEAN, b"", self.position._replace(is_clean=True), 0, now)

    def await_spare(self) -> None:
        """Until the next segment is ready, where it is being made. Not while the writer waits."""
        self._spare.wait()

    def switch(self, now: int) -> None:
        """Go on in a new segment, so that everything so far can be pruned. Where there is no room, stay in this one.

        Also where segments that were left half empty take as much as the reserve: backups that fail again and again would
        fill the disk with them.
        """
        self._refuse_after_failure()
        segments = self._chain.segments
        unused_bytes = len(segments) * self.segment_bytes - self.used_bytes
        if segments[-1].last_sequence and unused_bytes < self.reserve_bytes and self._spare.is_ready:
            with self._failing():
                self._next_segment(now)

    def prune(self, sequence: int) -> int:
        """Segments with nothing behind `sequence` go: a database backup holds it. Returns how many bytes."""
        freed = 0
        segments = self._chain.segments
        with translated(self.folder):
            while len(segments) > 1 and segments[0].last_sequence <= sequence:
                gone = segments.pop(0)
                crash_point("log.prune.before_unlink")
                self._spare.take(gone.path)
                freed += gone.used_bytes
        return freed

    def close(self) -> None:
        self.await_spare()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    # --- where it stands ---------------------------------------------------------------------------------------

    @property
    def log_id(self) -> str:
        return self._chain.log_id

    @property
    def sequence(self) -> int:
        """Number of the last entry."""
        return self._chain.sequence

    @property
    def position(self) -> Position:
        return self._chain.position

    @property
    def used_bytes(self) -> int:
        return sum(segment.used_bytes for segment in tuple(self._chain.segments))

    @property
    def first_sequence(self) -> int:
        """Number of the first entry that is still here; one more than the last where there is none."""
        firsts = [segment.first_sequence for segment in tuple(self._chain.segments) if segment.first_sequence]
        return firsts[0] if firsts else self.sequence + 1

    def figures(self) -> LogFigures:
        return LogFigures(
            self.log_id,
            self.capacity_bytes,
            self.used_bytes,
            self.reserve_bytes,
            len(self._chain.segments),
            self.first_sequence,
            self.sequence,
            self._lacks_room,
        )

    # --- segments ----------------------------------------------------------------------------------------------

    def _put(self, kind: int, body: bytes, position: Position, database_pages: int, now: int) -> None:
        self._refuse_after_failure()
        chain = self._chain
        with self._failing():
            if chain.segments[-1].used_bytes + ENTRY_BYTES + len(body) > self.segment_bytes:
                self._next_segment(now)
            segment = chain.segments[-1]
            parts = chain.seal(kind, body, position, database_pages, chain.sequence + 1, now)
            self._write(parts, segment.used_bytes)
            crash_point("log.append.before_sync")
            os.fdatasync(self._descriptor)
            crash_point("log.append.after_sync")
            segment.used_bytes += ENTRY_BYTES + len(body)
            chain.sequence += 1
            segment.first_sequence = segment.first_sequence or chain.sequence
            segment.last_sequence = chain.sequence
            chain.position = position

    def _write(self, parts: list[memoryview], at: int) -> None:
        while parts:
            wrote = os.pwritev(self._descriptor, parts, at)
            at += wrote
            while parts and wrote >= len(parts[0]):
                wrote -= len(parts.pop(0))
            if parts:
                parts[0] = parts[0][wrote:]

    def _next_segment(self, now: int) -> None:
        crash_point("log.switch.before")
        previous, self._descriptor = self._descriptor, -1
        os.close(previous)
        self._start_segment(self._chain.segments[-1].number + 1, now)
        crash_point("log.switch.after")

    def _start_segment(self, number: int, now: int) -> None:
        """Made from the spare, which has its blocks; the start entry says where it goes on."""
        path = segment_path(self.folder, number)
        self.await_spare()
        self._spare.prepare()
        self._descriptor = os.open(self._spare.path, os.O_RDWR | os.O_CLOEXEC)
        parts = self._chain.seal_start(number, now)
        size = sum(map(len, parts))
        self._write(parts, 0)
        os.fdatasync(self._descriptor)
        os.rename(self._spare.path, path)
        sync_folder(self.folder)
        self._chain.segments.append(Segment(number, path, size))
        self._spare.prepare_ahead()

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            with translated(self.folder):
                yield
        except BaseException:
            self._failed = True
            raise

    def _refuse_after_failure(self) -> None:
        if self._failed:
            raise MediaFailed("ANR4911E", folder=self.folder, reason="an earlier write to it failed")


def set_aside(folder: str, now: int) -> str:
    """Move a log that will not be used any more into a folder of its own beside the new one; '' where there is none."""
    names = segment_names(folder)
    if not names:
        return ""
    aside = f"{folder}/set-aside-{now}"
    with translated(folder):
        make_folder(aside)
        for _, path in names:
            os.rename(path, f"{aside}/{os.path.basename(path)}")
        sync_folder(aside)
        sync_folder(folder)
    return aside


def remove(folder: str) -> None:
    """The log's files go."""
    with translated(folder):
        for _, path in reversed(segment_names(folder)):
            remove_file(path)
        remove_file(f"{folder}/log.spare")
