"""SQLite's write-ahead log as a file: which generation it is, and the frames behind a position.

Only read, and only up to where SQLite itself says that it goes: checksums are its business. A generation ends when
everything in it lies in the database file and the next change starts the file anew; its first salt is one more than the
one before. Layout: https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from farvault.base.errors import MediaFailed

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
_MAGIC: Final = (0x377F0682, 0x377F0683)
_HEADER: Final = struct.Struct(">8I")
_FRAME: Final = struct.Struct(">6I")


class Salts(NamedTuple):
    """Names one generation of the file."""

    first: int
    second: int

    def is_followed_by(self, other: Salts) -> bool:
        """Is `other` the generation right after this one?"""
        return other.first == (self.first + 1) & 0xFFFFFFFF


class Frame(NamedTuple):
    """Head of one frame. `database_pages`: size of the database after the commit that ends here; 0 = it goes on."""

    page: int
    database_pages: int
    salts: Salts


class WalFile:
    """The file beside an open catalog. Any thread may read; it is there as long as a connection is."""

    def __init__(self, catalog_path: str, page_bytes: int) -> None:
        self.path = f"{catalog_path}-wal"
        self._page_bytes = page_bytes
        self._descriptor = -1

    @property
    def frame_bytes(self) -> int:
        return FRAME_HEADER_BYTES + self._page_bytes

    def salts(self) -> Salts | None:
        """The present generation; None where nothing was ever written."""
        header = self._read(0, HEADER_BYTES)
        if len(header) < HEADER_BYTES:
            return None
        magic, _, page_bytes, _, first, second, _, _ = _HEADER.unpack(header)
        if magic not in _MAGIC or page_bytes != self._page_bytes:
            return None
        return Salts(first, second)

    def frames(self, start: int, end: int) -> bytes:
        """Frames `start + 1` to `end`, heads and pages, as they lie there; `MediaFailed` where they do not."""
        wanted = (end - start) * self.frame_bytes
        data = self._read(HEADER_BYTES + start * self.frame_bytes, wanted)
        if len(data) != wanted:
            raise MediaFailed("ANR0132E", path=self.path, reason="it is shorter than SQLite says")
        return data

    def frame(self, number: int) -> Frame | None:
        """Head of one frame, numbered from 1; None where the file ends before it."""
        head = self._read(HEADER_BYTES + (number - 1) * self.frame_bytes, FRAME_HEADER_BYTES)
        return parse_frame(head) if len(head) == FRAME_HEADER_BYTES else None

    def page(self, number: int, salts: Salts) -> bytes | None:
        """Page of one frame; None where the generation has changed meanwhile."""
        data = self._read(HEADER_BYTES + (number - 1) * self.frame_bytes, self.frame_bytes)
        if len(data) != self.frame_bytes or parse_frame(data).salts != salts:
            return None
        return data[FRAME_HEADER_BYTES:]

    def sync(self) -> None:
        """Everything written is durable; `MediaFailed`."""
        if self._open():
            try:
                os.fdatasync(self._descriptor)
            except OSError as error:
                raise MediaFailed("ANR0132E", path=self.path, reason=error.strerror or error) from error

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> bool:
        if self._descriptor < 0:
            with contextlib.suppress(FileNotFoundError):
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        return self._descriptor >= 0

    def _read(self, offset: int, length: int) -> bytes:
        if not self._open():
            return b""
        try:
            parts = []
            while length > 0 and (part := os.pread(self._descriptor, min(length, 1 << 30), offset)):
                parts.append(part)
                offset, length = offset + len(part), length - len(part)
        except OSError as error:
            raise MediaFailed("ANR0132E", path=self.path, reason=error.strerror or error) from error
        return parts[0] if len(parts) == 1 else b"".join(parts)


def parse_frame(head: bytes | memoryview) -> Frame:
    page, pages, first, second, _, _ = _FRAME.unpack_from(head)
    return Frame(page, pages, Salts(first, second))


def pages_of(frames: bytes | memoryview, page_bytes: int) -> Iterator[tuple[int, memoryview]]:
    """(number, bytes) of every page in a run of frames, in order; the last one of a number counts."""
    view = memoryview(frames)
    step = FRAME_HEADER_BYTES + page_bytes
    for start in range(0, len(view), step):
        yield parse_frame(view[start:]).page, view[start + FRAME_HEADER_BYTES : start + step]
