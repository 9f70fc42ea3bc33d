"""The database as it is at one moment, page by page, while the server goes on writing.

A snapshot keeps checkpoints from copying newer pages over older ones, so the database file, with the frames of SQLite's
write-ahead log up to the snapshot laid over it, does not change as long as the image is open. Writers wait only for the
snapshot to be taken. Files are read directly: ten times as fast as through SQL.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from blake3 import blake3

from farvault.base.errors import MediaFailed
from farvault.catalog.wal import Salts, WalFile

CHUNK_PAGES: Final = 512
PAGE_DIGEST_BYTES: Final = 16


@dataclass(slots=True)
class Image:
    """`log_id`, `log_sequence`: how far the recovery log went at that moment; empty and 0 where there is none."""

    page_bytes: int
    page_count: int
    log_id: str
    log_sequence: int
    descriptor: int
    wal: WalFile
    salts: Salts | None
    frames: int
    _frame_of: dict[int, int] = field(default_factory=dict)

    def find_frames(self) -> None:
        """Which pages lie in SQLite's write-ahead log. Not while the writer waits: there may be many."""
        salts = self.salts
        if salts is None:
            return
        found: dict[int, int] = {}
        for number in range(1, self.frames + 1):
            frame = self.wal.frame(number)
            # Another generation has begun: then all of this one is in the database file already.
            if frame is not None and frame.salts == salts:
                found[frame.page] = number
        self._frame_of = found

    def chunks(self, kept: int = 1) -> Iterator[tuple[int, memoryview]]:
        """(number of the first page, pages) of every run of at most `CHUNK_PAGES`; `kept` at a time are valid."""
        size = CHUNK_PAGES * self.page_bytes
        ring = [memoryview(bytearray(size)) for _ in range(kept)]
        for turn, first in enumerate(range(1, self.page_count + 1, CHUNK_PAGES)):
            count = min(CHUNK_PAGES, self.page_count - first + 1)
            into = ring[turn % len(ring)][: count * self.page_bytes]
            self._read(into, (first - 1) * self.page_bytes)
            for page in range(first, first + count):
                if number := self._frame_of.get(page):
                    self._lay_over(into, page - first, number)
            yield first, into

    def _lay_over(self, into: memoryview, place: int, frame: int) -> None:
        assert self.salts is not None
        page = self.wal.page(frame, self.salts)
        if page is not None:  # else a new generation began: the file has it
            into[place * self.page_bytes : (place + 1) * self.page_bytes] = page

    def _read(self, into: memoryview, offset: int) -> None:
        """What the file does not have yet is zeros; a frame lies over them."""
        done = 0
        try:
            while done < len(into) and (got := os.preadv(self.descriptor, [into[done:]], offset + done)):
                done += got
        except OSError as error:
            raise MediaFailed("ANR0132E", path=self.wal.path[:-4], reason=error.strerror or error) from error
        into[done:] = bytes(len(into) - done)


def page_digests(pages: memoryview, page_bytes: int) -> bytes:
    """Digests of pages, `PAGE_DIGEST_BYTES` each, joined."""
    return b"".join(
        [
            blake3(pages[start : start + page_bytes]).digest(PAGE_DIGEST_BYTES)
            for start in range(0, len(pages), page_bytes)
        ]
    )
