"""The one connection that changes the database: whose turn it is, and SQLite's write-ahead log behind it.

Checkpoints are never automatic; they are made between transactions, by whoever has written.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import apsw

from farvault.base.disk import crash_point
from farvault.base.errors import FarvaultError, InUse, MediaFailed
from farvault.base.units import MIB
from farvault.catalog.file_edges import set_up, translated
from farvault.catalog.readers import Readers
from farvault.catalog.wal import WalFile

PAGE_BYTES = 8192
WAL_CHECKPOINT_BYTES = 32 * MIB
_CACHE_BYTES = 32 * MIB
WAIT_SECONDS = 600.0


class Writer:
    """`connection` and `wal` are for whoever has the turn; `has_failed`: it takes no more changes."""

    def __init__(self, path: str, vfs: str | None, readers: Readers) -> None:
        self.has_failed = False
        self.wal = WalFile(path, PAGE_BYTES)
        self._path = path
        self._readers = readers
        self._lock = threading.Lock()
        self._thread = 0
        self._is_closed = False
        self._frames = -1
        """In SQLite's write-ahead log; -1 = nothing was committed yet since it was opened."""
        self._checkpoint_at = WAL_CHECKPOINT_BYTES // PAGE_BYTES
        with translated(path):
            self.connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
            self.connection.execute(f"PRAGMA page_size={PAGE_BYTES}")  # counts only while the file is empty
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=FULL")
            self.connection.execute("PRAGMA foreign_keys=ON")
            self.connection.execute(f"PRAGMA journal_size_limit={2 * WAL_CHECKPOINT_BYTES}")
            set_up(self.connection, _CACHE_BYTES)
            self.connection.set_wal_hook(self._note_frames)  # also switches automatic checkpoints off

    @contextlib.contextmanager
    def turn(self, *, even_if_failed: bool = False) -> Iterator[None]:
        """Nobody else writes meanwhile. `MediaFailed` where it takes no more changes, `InUse` after a long wait.

        Entering it twice in one thread is an error.
        """
        if self.is_ours:
            raise RuntimeError("a write transaction is open in this thread already")
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise InUse("ANR0137E", seconds=int(WAIT_SECONDS))
        try:
            if self._is_closed:
                raise MediaFailed("ANR0138E")
            if not even_if_failed:
                self.check()
            self._thread = threading.get_ident()
            yield
        finally:
            self._thread = 0
            self._lock.release()

    @property
    def is_ours(self) -> bool:
        """Has this thread the turn?"""
        return self._thread == threading.get_ident()

    def check(self) -> None:
        """`MediaFailed` where it takes no more changes."""
        if self.has_failed:
            raise MediaFailed("ANR0139E", path=self._path)

    def fail(self) -> None:
        """After a failed write or sync the kernel may have dropped pages: only a reopened file tells the truth."""
        self.has_failed = True
        self._readers.copy_log = False

    def close(self) -> None:
        self._is_closed = True
        self._readers.disconnect(self.connection)
        self.wal.close()

    # --- with the turn -------------------------------------------------------------------------------------------

    def set_synchronous(self, mode: str) -> None:
        """`FULL`: a commit is durable in SQLite's own file. `NORMAL`: elsewhere."""
        with translated(self._path):
            self.connection.execute(f"PRAGMA synchronous={mode}")

    def undo(self) -> None:
        """What is not committed by now has not happened. Where even that fails, nobody writes any more."""
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except apsw.Error:
            self.fail()

    def frames(self) -> int:
        """Of the present generation of SQLite's write-ahead log."""
        if self._frames < 0:
            with translated(self._path):
                frames, _ = self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._frames = max(frames, 0)
        return self._frames

    def checkpoint_if_large(self) -> None:
        """Between two transactions. A failure is not the transaction's: it is durable in the log already."""
        if self._frames >= self._checkpoint_at:
            with contextlib.suppress(FarvaultError):
                self.checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)

    def checkpoint(self, mode: int) -> None:
        """Copy the write-ahead log into the database file, as far as readers allow."""
        crash_point("catalog.checkpoint.before")
        with translated(self._path, self.fail):
            pages, copied = self.connection.wal_checkpoint(mode=mode)
        crash_point("catalog.checkpoint.after")
        step = WAL_CHECKPOINT_BYTES // PAGE_BYTES
        # Where a long reader holds the log, it grows: try again only after it has grown by as much once more.
        self._checkpoint_at = step if pages == copied else pages + step

    def _note_frames(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._frames = pages
        return apsw.SQLITE_OK
