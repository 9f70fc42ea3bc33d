"""The recovery log: every change of the catalog since the last database backup, in a folder of its own, on another disk.

LOGMODE=ROLLFORWARD. One entry a commit: the pages it changed, as SQLite wrote them to its write-ahead log. An entry is
durable here before the commit is acknowledged, and that is the one sync a commit costs: SQLite's own file follows at its
checkpoints (`docs/decisions/0042`). After a crash `catalog/roll_forward.py` brings both together.

Entries lie in segment files of fixed size, reserved on disk before they are needed. Each carries a keyed digest over
itself and the digest of the one before, so nothing can be changed, left out or put in; a torn last entry was never
acknowledged and is overwritten. A full log refuses changes before they begin. What makes room (BACKUP DB) may use a
reserve, and a transaction that has begun is never refused.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from farvault.base.disk import NO_ROOM, crash_point, make_folder, remove_file, sync_folder
from farvault.base.errors import CatalogFull, MediaFailed, MediaFull
from farvault.base.units import MIB
from farvault.catalog.wal import Salts
from farvault.seal.digest import DIGEST_BYTES, derive_key, keyed_digest

SEGMENT_BYTES: Final = 16 * MIB
SMALLEST_SEGMENT_BYTES: Final = MIB
SMALLEST_CAPACITY_BYTES: Final = 16 * MIB
PAGES, CLEAN, START = 1, 2, 3
"""Kinds of entries: a commit; "the database file holds everything up to here"; the first one of a segment."""

_MAGIC: Final = b"FVLOG1\r\n"
_HEAD: Final = struct.Struct("<8sBxxxIQQIIII")
_ENTRY_BYTES: Final = _HEAD.size + DIGEST_BYTES
_KEY_CONTEXT: Final = "farvault recovery log 1: entry key"
_ZEROS: Final = bytes(MIB)
_NO_DIGEST: Final = bytes(DIGEST_BYTES)
_NAME: Final = re.compile(r"log\.(\d{8})")


class Position(NamedTuple):
    """How far a log goes: everything in this generation of SQLite's write-ahead log up to this frame."""

    salts: Salts
    frames: int
    is_clean: bool
    """The database file itself holds all of it."""


class Entry(NamedTuple):
    """One entry. `data`: frames of a commit. `database_pages`: size of the database after it."""

    kind: int
    sequence: int
    time: int
    salts: Salts
    frames: int
    database_pages: int
    data: memoryview


class _Start(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a segment says of itself. `previous`: digest of the entry before, so a pruned log still is a chain."""

    log_id: str
    number: int
    page_bytes: int
    previous: bytes


@dataclass(slots=True)
class _Segment:
    """`first_sequence`, `last_sequence`: 0 = no entry yet."""

    number: int
    path: str
    used_bytes: int = 0
    first_sequence: int = 0
    last_sequence: int = 0


class LogFigures(NamedTuple):
    """What QUERY LOG shows."""

    log_id: str
    capacity_bytes: int
    used_bytes: int
    reserve_bytes: int
    segments: int
    first_sequence: int
    last_sequence: int

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
        self.log_id = ""
        self.sequence = 0
        self.position = Position(Salts(0, 0), 0, False)
        self._key = derive_key(_KEY_CONTEXT, row_key)
        self._previous = _NO_DIGEST
        self._segments: list[_Segment] = []
        self._descriptor = -1
        self._failed = False
        self._preparing: threading.Thread | None = None
        self._spare_lock = threading.Lock()

    @classmethod
    def create(
        cls, folder: str, capacity_bytes: int, row_key: bytes, page_bytes: int, position: Position, now: int
    ) -> RecoveryLog:
        """A new, empty log that starts behind `position`. The folder holds none. `MediaFull`, `MediaFailed`."""
        log = cls(folder, capacity_bytes, row_key, page_bytes)
        log.log_id = secrets.token_hex(16)
        log.position = position
        with _translated(folder):
            make_folder(folder)
            log._start_segment(1, now)
            log.await_spare()
        return log

    @classmethod
    def open(
        cls, folder: str, capacity_bytes: int, row_key: bytes, page_bytes: int, *, read_only: bool = False
    ) -> RecoveryLog | None:
        """The log of this folder; None where there is none. `MediaFailed` where it is damaged or another catalog's."""
        log = cls(folder, capacity_bytes, row_key, page_bytes)
        with _translated(folder):
            names = _segment_names(folder)
            if not names:
                return None
            for _ in log._scan(names):
                pass
            if not read_only:
                log._descriptor = os.open(log._segments[-1].path, os.O_RDWR | os.O_CLOEXEC)
                with contextlib.suppress(MediaFull):
                    log._prepare_spare()
        return log

    # --- writing -----------------------------------------------------------------------------------------------

    def admit(self, *, uses_reserve: bool) -> None:
        """Before a change begins: `MediaFull` where the log has no room for it."""
        self._refuse_after_failure()
        room = self.capacity_bytes - self.used_bytes - (0 if uses_reserve else self.reserve_bytes)
        if room <= 0:
            raise CatalogFull("ANR0130E", folder=self.folder, percent=f"{self.figures().used_percent:.0f}")
        if self._preparing is not None and self._preparing.is_alive():
            return  # a segment has just begun: there is room enough in it
        try:
            with _translated(self.folder):
                self._prepare_spare()
        except MediaFull:
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
        if self._preparing is not None:
            self._preparing.join()

    def switch(self, now: int) -> None:
        """Go on in a new segment, so that everything so far can be pruned. Where there is no room, stay in this one."""
        self._refuse_after_failure()
        if self._segments[-1].last_sequence and os.path.exists(self._spare_path):
            with self._failing():
                self._next_segment(now)

    def prune(self, sequence: int) -> int:
        """Segments with nothing behind `sequence` go: a database backup holds it. Returns how many bytes."""
        freed = 0
        with _translated(self.folder):
            while len(self._segments) > 1 and self._segments[0].last_sequence <= sequence:
                gone = self._segments.pop(0)
                crash_point("log.prune.before_unlink")
                self._give_up(gone.path)
                freed += gone.used_bytes
        return freed

    def close(self) -> None:
        self.await_spare()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def used_bytes(self) -> int:
        return sum(segment.used_bytes for segment in tuple(self._segments))

    def figures(self) -> LogFigures:
        return LogFigures(
            self.log_id,
            self.capacity_bytes,
            self.used_bytes,
            self.reserve_bytes,
            len(self._segments),
            self.first_sequence,
            self.sequence,
        )

    @property
    def first_sequence(self) -> int:
        """Number of the first entry that is still here; one more than the last where there is none."""
        firsts = [segment.first_sequence for segment in tuple(self._segments) if segment.first_sequence]
        return firsts[0] if firsts else self.sequence + 1

    # --- reading -----------------------------------------------------------------------------------------------

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Commits behind this number, in order, each checked again; data is valid until the next step."""
        fresh = RecoveryLog(self.folder, self.capacity_bytes, b"", self.page_bytes)
        fresh._key = self._key
        with _translated(self.folder):
            for entry in fresh._scan(_segment_names(self.folder)):
                if entry.kind == PAGES and entry.sequence > after:
                    yield entry

    def _scan(self, names: list[tuple[int, str]]) -> Iterator[Entry]:
        """Every entry of these segments; afterwards this log stands at the last whole one.

        A tail that is torn may only be at the very end: anywhere else acknowledged entries would be lost.
        """
        for place, (number, path) in enumerate(names):
            with open(path, "rb") as file:
                data = memoryview(file.read())
            segment = _Segment(number, path)
            before = self._previous
            start = self._parse(data, 0, first=True)
            said = None if start is None else msgspec.msgpack.decode(start[0].data, type=_Start)
            if start is None or said is None or said.number != number or said.page_bytes != self.page_bytes:
                raise self._damaged(path)
            if place and (said.previous != before or said.log_id != self.log_id):
                raise self._damaged(path)
            self.log_id = said.log_id
            self.sequence = start[0].sequence
            self.position = Position(start[0].salts, start[0].frames, start[0].database_pages == 1)
            self._segments.append(segment)
            segment.used_bytes = start[1]
            while (found := self._parse(data, segment.used_bytes)) is not None:
                entry, segment.used_bytes = found
                segment.last_sequence = self.sequence = entry.sequence
                segment.first_sequence = segment.first_sequence or entry.sequence
                self.position = Position(entry.salts, entry.frames, entry.kind == CLEAN)
                yield entry
            if self._goes_on(data, segment.used_bytes):
                raise self._damaged(path)

    def _goes_on(self, data: memoryview, at: int) -> bool:
        """Does a later entry stand behind a bad one? Then that was no torn tail: only the last one can be torn."""
        rest = bytes(data[at:])
        place = rest.find(_MAGIC, 1)
        while 0 <= place <= len(rest) - _HEAD.size:
            sequence = _HEAD.unpack_from(rest, place)[3]
            if self.sequence + 1 < sequence < self.sequence + 1_000_000:
                return True
            place = rest.find(_MAGIC, place + 1)
        return False

    def _damaged(self, path: str) -> MediaFailed:
        return MediaFailed("ANR4910E", folder=self.folder, segment=os.path.basename(path))

    def _parse(self, data: memoryview, at: int, *, first: bool = False) -> tuple[Entry, int] | None:
        """The entry at this place and where the next one starts; None where no whole entry of this chain stands."""
        if at + _ENTRY_BYTES > len(data):
            return None
        magic, kind, length, sequence, time, salt1, salt2, frames, pages = _HEAD.unpack_from(data, at)
        end = at + _ENTRY_BYTES + length
        if magic != _MAGIC or end > len(data) or (kind == START) != first:
            return None
        if not first and sequence != self.sequence + 1:
            return None
        body = data[at + _ENTRY_BYTES : end]
        digest = self._digest(
            bytes(data[at : at + _HEAD.size]), body, _NO_DIGEST if first else self._previous
        )
        if digest != data[at + _HEAD.size : at + _ENTRY_BYTES]:
            return None
        self._previous = digest
        return Entry(kind, sequence, time, Salts(salt1, salt2), frames, pages, body), end

    def _digest(self, head: bytes, body: bytes | memoryview, previous: bytes) -> bytes:
        return keyed_digest(self._key, head + previous + keyed_digest(self._key, body))

    # --- segments ----------------------------------------------------------------------------------------------

    def _put(self, kind: int, body: bytes, position: Position, database_pages: int, now: int) -> None:
        self._refuse_after_failure()
        with self._failing():
            if self._segments[-1].used_bytes + _ENTRY_BYTES + len(body) > self.segment_bytes:
                self._next_segment(now)
            segment = self._segments[-1]
            self._write(kind, body, position, database_pages, self.sequence + 1, segment.used_bytes, now)
            crash_point("log.append.before_sync")
            os.fdatasync(self._descriptor)
            crash_point("log.append.after_sync")
            segment.used_bytes += _ENTRY_BYTES + len(body)
            self.sequence += 1
            segment.first_sequence = segment.first_sequence or self.sequence
            segment.last_sequence = self.sequence
            self.position = position

    def _write(
        self, kind: int, body: bytes, position: Position, pages: int, sequence: int, at: int, now: int
    ) -> None:
        salts = position.salts
        head = _HEAD.pack(
            _MAGIC, kind, len(body), sequence, now, salts.first, salts.second, position.frames, pages
        )
        previous = _NO_DIGEST if kind == START else self._previous
        digest = self._digest(head, body, previous)
        parts = [memoryview(head), memoryview(digest), memoryview(body)]
        while parts:
            wrote = os.pwritev(self._descriptor, parts, at)
            at += wrote
            while parts and wrote >= len(parts[0]):
                wrote -= len(parts.pop(0))
            if parts:
                parts[0] = parts[0][wrote:]
        self._previous = digest

    def _next_segment(self, now: int) -> None:
        crash_point("log.switch.before")
        previous, self._descriptor = self._descriptor, -1
        os.close(previous)
        self._start_segment(self._segments[-1].number + 1, now)
        crash_point("log.switch.after")

    def _start_segment(self, number: int, now: int) -> None:
        """Made from the spare, which has its blocks; the start entry says where it goes on."""
        path = f"{self.folder}/log.{number:08d}"
        self.await_spare()
        self._prepare_spare()
        self._descriptor = os.open(self._spare_path, os.O_RDWR | os.O_CLOEXEC)
        start = _Start(self.log_id, number, self.page_bytes, self._previous)
        body = msgspec.msgpack.encode(start)
        self._write(START, body, self.position, int(self.position.is_clean), self.sequence, 0, now)
        os.fdatasync(self._descriptor)
        os.rename(self._spare_path, path)
        sync_folder(self.folder)
        self._segments.append(_Segment(number, path, _ENTRY_BYTES + len(body)))
        self._preparing = threading.Thread(target=self._try_spare, name="recovery log", daemon=True)
        self._preparing.start()

    def _give_up(self, path: str) -> None:
        """A pruned segment is the next spare where there is none: its blocks are written already."""
        with self._spare_lock:
            if os.path.exists(self._spare_path) or os.path.getsize(path) != self.segment_bytes:
                remove_file(path)
            else:
                os.rename(path, self._spare_path)
                sync_folder(self.folder)

    def _try_spare(self) -> None:
        with contextlib.suppress(OSError):  # who begins the next change hears of it
            self._prepare_spare()

    @property
    def _spare_path(self) -> str:
        return f"{self.folder}/log.spare"

    def _prepare_spare(self) -> None:
        """A segment's worth of room that nobody else can take; `OSError` where the disk has none.

        Written, not only reserved: the first write to a reserved block changes the file system's own tables, and every
        sync of an entry would wait for those as well.
        """
        with self._spare_lock:
            if not os.path.exists(self._spare_path):
                self._make_spare()

    def _make_spare(self) -> None:
        temporary = f"{self._spare_path}.new"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self.segment_bytes)
            for at in range(0, self.segment_bytes, len(_ZEROS)):
                os.pwrite(descriptor, _ZEROS, at)
            os.fsync(descriptor)
        except OSError:
            os.unlink(temporary)
            raise
        finally:
            os.close(descriptor)
        os.rename(temporary, self._spare_path)
        sync_folder(self.folder)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            with _translated(self.folder):
                yield
        except BaseException:
            self._failed = True
            raise

    def _refuse_after_failure(self) -> None:
        if self._failed:
            raise MediaFailed("ANR4911E", folder=self.folder, reason="an earlier write to it failed")


def set_aside(folder: str, now: int) -> str:
    """Move a log that will not be used any more into a folder of its own beside the new one; '' where there is none."""
    names = _segment_names(folder)
    if not names:
        return ""
    aside = f"{folder}/set-aside-{now}"
    with _translated(folder):
        make_folder(aside)
        for _, path in names:
            os.rename(path, f"{aside}/{os.path.basename(path)}")
        sync_folder(aside)
        sync_folder(folder)
    return aside


def remove(folder: str) -> None:
    """The log's files go."""
    with _translated(folder):
        for _, path in reversed(_segment_names(folder)):
            remove_file(path)
        remove_file(f"{folder}/log.spare")


def _segment_names(folder: str) -> list[tuple[int, str]]:
    if not os.path.isdir(folder):
        return []
    found = [(match, entry.path) for entry in os.scandir(folder) if (match := _NAME.fullmatch(entry.name))]
    return sorted((int(match[1]), path) for match, path in found)


@contextlib.contextmanager
def _translated(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise CatalogFull("ANR4919E", folder=folder) from error
        raise MediaFailed("ANR4911E", folder=folder, reason=error.strerror or error) from error
    except msgspec.MsgspecError as error:
        raise MediaFailed("ANR4911E", folder=folder, reason=error) from error
