"""Entries of the recovery log as they lie in segment files: their format, the chain that binds them, and reading them.

An entry is a head, a keyed mark over it, a keyed digest over all of it and the digest of the one before, and its body. So
nothing can be changed, left out or put in; a torn last entry was never acknowledged. The mark tells a head that was written
here from bytes in a body that look like one: clients choose many of them. A segment begins with an entry that says where it
goes on.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from farvault.base.disk import NO_ROOM
from farvault.base.errors import CatalogFull, MediaFailed
from farvault.catalog.wal import Salts
from farvault.seal.digest import DIGEST_BYTES, derive_key, keyed_digest

PAGES, CLEAN, START = 1, 2, 3
"""Kinds of entries: a commit; "the database file holds everything up to here"; the first one of a segment."""

_MAGIC: Final = b"FVLOG1\r\n"
_HEAD: Final = struct.Struct("<8sBxxxIQQIIII")
_MARK_BYTES: Final = 16
_MARKED: Final = _HEAD.size + _MARK_BYTES
ENTRY_BYTES: Final = _MARKED + DIGEST_BYTES
"""Of an entry without its body."""
_KEY_CONTEXT: Final = "farvault recovery log 1: entry key"
_MARK_CONTEXT: Final = "farvault recovery log 1: head key"
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
class Segment:
    """`first_sequence`, `last_sequence`: 0 = no entry yet."""

    number: int
    path: str
    used_bytes: int = 0
    first_sequence: int = 0
    last_sequence: int = 0


class LogChain:
    """Where a log stands: behind the last entry that was read or sealed. `sequence`: number of that entry."""

    def __init__(self, folder: str, page_bytes: int, row_key: bytes) -> None:
        self.folder, self.page_bytes = folder, page_bytes
        self.log_id = ""
        self.sequence = 0
        self.position = Position(Salts(0, 0), 0, False)
        self.segments: list[Segment] = []
        self._row_key = row_key
        self._key = derive_key(_KEY_CONTEXT, row_key)
        self._mark_key = derive_key(_MARK_CONTEXT, row_key)
        self._previous = _NO_DIGEST

    def anew(self) -> LogChain:
        """The same log from its beginning."""
        return LogChain(self.folder, self.page_bytes, self._row_key)

    def scan(self) -> Iterator[Entry]:
        """Every entry of the folder's segments; afterwards this stands at the last whole one. Data is valid until the next step.

        A tail that is torn may only be at the very end: anywhere else acknowledged entries would be lost.
        """
        for place, (number, path) in enumerate(segment_names(self.folder)):
            with open(path, "rb") as file:
                data = memoryview(file.read())
            segment = Segment(number, path)
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
            self.segments.append(segment)
            segment.used_bytes = start[1]
            while (found := self._parse(data, segment.used_bytes)) is not None:
                entry, segment.used_bytes = found
                segment.last_sequence = self.sequence = entry.sequence
                segment.first_sequence = segment.first_sequence or entry.sequence
                self.position = Position(entry.salts, entry.frames, entry.kind == CLEAN)
                yield entry
            if self._goes_on(data, segment.used_bytes):
                raise self._damaged(path)

    def seal(
        self, kind: int, body: bytes, position: Position, pages: int, sequence: int, now: int
    ) -> list[memoryview]:
        """The parts of an entry, to be written one behind the other. The next one will be bound to it."""
        salts = position.salts
        head = _HEAD.pack(
            _MAGIC, kind, len(body), sequence, now, salts.first, salts.second, position.frames, pages
        )
        head += self._mark(head)
        self._previous = self._digest(head, body, _NO_DIGEST if kind == START else self._previous)
        return [memoryview(head), memoryview(self._previous), memoryview(body)]

    def seal_start(self, number: int, now: int) -> list[memoryview]:
        """The first entry of a segment that goes on from here."""
        body = msgspec.msgpack.encode(_Start(self.log_id, number, self.page_bytes, self._previous))
        return self.seal(START, body, self.position, int(self.position.is_clean), self.sequence, now)

    def _goes_on(self, data: memoryview, at: int) -> bool:
        """Does a later entry stand behind a bad one? Then that was no torn tail: only the last one can be torn."""
        rest = bytes(data[at:])
        place = rest.find(_MAGIC, 1)
        while 0 <= place <= len(rest) - _MARKED:
            head, mark = rest[place : place + _HEAD.size], rest[place + _HEAD.size : place + _MARKED]
            if _HEAD.unpack(head)[3] > self.sequence + 1 and mark == self._mark(head):
                return True
            place = rest.find(_MAGIC, place + 1)
        return False

    def _damaged(self, path: str) -> MediaFailed:
        return MediaFailed("ANR4910E", folder=self.folder, segment=os.path.basename(path))

    def _parse(self, data: memoryview, at: int, *, first: bool = False) -> tuple[Entry, int] | None:
        """The entry at this place and where the next one starts; None where no whole entry of this chain stands."""
        if at + ENTRY_BYTES > len(data):
            return None
        magic, kind, length, sequence, time, salt1, salt2, frames, pages = _HEAD.unpack_from(data, at)
        end = at + ENTRY_BYTES + length
        if magic != _MAGIC or end > len(data) or (kind == START) != first:
            return None
        if not first and sequence != self.sequence + 1:
            return None
        body = data[at + ENTRY_BYTES : end]
        digest = self._digest(bytes(data[at : at + _MARKED]), body, _NO_DIGEST if first else self._previous)
        if digest != data[at + _MARKED : at + ENTRY_BYTES]:
            return None
        self._previous = digest
        return Entry(kind, sequence, time, Salts(salt1, salt2), frames, pages, body), end

    def _mark(self, head: bytes) -> bytes:
        return keyed_digest(self._mark_key, head)[:_MARK_BYTES]

    def _digest(self, head: bytes, body: bytes | memoryview, previous: bytes) -> bytes:
        return keyed_digest(self._key, head + previous + keyed_digest(self._key, body))


def segment_path(folder: str, number: int) -> str:
    return f"{folder}/log.{number:08d}"


def segment_names(folder: str) -> list[tuple[int, str]]:
    """Number and path of each segment, in order."""
    if not os.path.isdir(folder):
        return []
    found = [(match, entry.path) for entry in os.scandir(folder) if (match := _NAME.fullmatch(entry.name))]
    return sorted((int(match[1]), path) for match, path in found)


@contextlib.contextmanager
def translated(folder: str) -> Iterator[None]:
    """Errors of the log's disk as ours: `CatalogFull` where it has no room, else `MediaFailed`."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise CatalogFull("ANR4919E", folder=folder) from error
        raise MediaFailed("ANR4911E", folder=folder, reason=error.strerror or error) from error
    except msgspec.MsgspecError as error:
        raise MediaFailed("ANR4911E", folder=folder, reason=error) from error
