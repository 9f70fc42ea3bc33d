"""The catalog: one SQLite database, one connection that does every write and every checkpoint, snapshot readers.

WAL with `synchronous=FULL`: when `write()` returns, the transaction survives a power cut. Checkpoints are never
automatic; the writer makes them between transactions. Readers see the state of the moment `read()` was entered,
however long they take, and never wait for the writer. All SQL stands in this package.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator

import apsw

from farvault.base.clock import Clock
from farvault.base.disk import crash_point, sync_folder
from farvault.base.errors import AlreadyExists, FarvaultError, InUse, MediaFailed, MediaFull, NotFound
from farvault.base.units import MIB
from farvault.catalog.migrate import migrate
from farvault.catalog.row_digest import RowDigester
from farvault.catalog.transaction import Snapshot, Transaction

PAGE_BYTES = 8192
WAL_CHECKPOINT_BYTES = 32 * MIB
WRITER_CACHE_BYTES = 32 * MIB
READER_CACHE_BYTES = 4 * MIB
IDLE_READERS = 8
WRITER_WAIT_SECONDS = 600.0


class Catalog:
    """An open catalog. Any thread may call `read` and `write`; what they yield belongs to one thread."""

    def __init__(self, path: str, row_key: bytes, clock: Clock, vfs: str | None = None) -> None:
        """Use `create` or `open`; this opens a file that exists and brings its schema up to date."""
        self.path = path
        self._vfs = vfs
        self._digester = RowDigester(row_key)
        self._lock_file = _lock(path)
        self._write_lock = threading.Lock()
        self._writing_thread = 0
        self._readers: list[apsw.Connection] = []
        self._readers_lock = threading.Lock()
        self._closed = False
        self._failed = False
        self._wal_pages = 0
        self._checkpoint_pages = WAL_CHECKPOINT_BYTES // PAGE_BYTES
        try:
            self._writer = self._connect_writer()
            with _translated(path):
                migrate(self._writer, row_key, clock.now_seconds(), path)
        except BaseException:
            os.close(self._lock_file)
            raise

    @classmethod
    def create(cls, path: str, row_key: bytes, clock: Clock) -> Catalog:
        """Make a new, empty catalog; `AlreadyExists` where the file is there."""
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            raise AlreadyExists("ANR0136E", path=path) from None
        except OSError as error:
            raise MediaFailed("ANR0132E", path=path, reason=error.strerror or str(error)) from error
        catalog = cls(path, row_key, clock)
        sync_folder(os.path.dirname(path) or ".")
        return catalog

    @classmethod
    def open(cls, path: str, row_key: bytes, clock: Clock, *, vfs: str | None = None) -> Catalog:
        """Open what `create` made. `vfs`: another way to the disk, for tests of failing ones.

        `NotFound`; `MediaFailed` where it is damaged, newer than we are, or the key is wrong.
        """
        if not os.path.isfile(path):
            raise NotFound("ANR0133E", path=path)
        return cls(path, row_key, clock, vfs)

    @contextlib.contextmanager
    def read(self) -> Iterator[Snapshot]:
        """A consistent state, fixed on entry. Streams taken from it end with it."""
        connection = self._take_reader()
        snapshot = Snapshot(connection, self._digester)
        try:
            with _translated(self.path):
                connection.execute("BEGIN")
                snapshot.one("SELECT 1 FROM sequences LIMIT 1")  # BEGIN alone does not fix the state yet
                yield snapshot
        finally:
            snapshot.end()
            self._give_reader(connection)

    @contextlib.contextmanager
    def write(self, *, uses_reserve: bool = False) -> Iterator[Transaction]:
        """The one write transaction: committed and durable on a clean exit, undone on any exception.

        `uses_reserve`: also while the recovery log is full. Only for what makes room in it: database backups.
        Keep it short and do nothing slow inside. Entering it twice in one thread is an error. `MediaFull` and
        `MediaFailed` mean that nothing of it happened.
        """
        del uses_reserve
        self._take_writer()
        transaction = Transaction(self._writer, self._digester)
        try:
            with _translated(self.path, self._stop_writing):
                self._writer.execute("BEGIN IMMEDIATE")
                yield transaction
                transaction.end()
                crash_point("catalog.commit.before")
                self._writer.execute("COMMIT")
                crash_point("catalog.commit.after")
            self._checkpoint_if_large()
        finally:
            transaction.end()
            self._undo_and_release()
        for follow_up in transaction.after_commit:
            follow_up()

    @property
    def has_failed(self) -> bool:
        """An error of the disk ended a change. Whether its commit happened, only the next start finds out."""
        return self._failed

    def check_writable(self) -> None:
        """`MediaFailed` where it takes no more changes: who depends on the last one being undone must not go on."""
        if self._failed:
            raise MediaFailed("ANR0139E", path=self.path)

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the database file as far as readers allow."""
        self._take_writer()
        try:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)
        finally:
            self._writing_thread = 0
            self._write_lock.release()

    def close(self) -> None:
        """Bring everything into the database file and let go of it. Snapshots still open close when they end.

        After an error of the disk the log is left as it is for the next start.
        """
        self._take_writer(to_close=True)
        try:
            with self._readers_lock:
                self._closed = True
                idle, self._readers = self._readers, []
            for connection in idle:
                self._disconnect(connection)
            self._writer.set_busy_timeout(0)  # a snapshot still in use must not hold us
            if not self._failed:
                with contextlib.suppress(FarvaultError):  # the log keeps what could not be copied
                    self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._disconnect(self._writer)
            os.close(self._lock_file)
        finally:
            self._writing_thread = 0
            self._write_lock.release()

    # --- connections -------------------------------------------------------------------------------------------

    def _connect_writer(self) -> apsw.Connection:
        with _translated(self.path):
            connection = apsw.Connection(self.path, flags=apsw.SQLITE_OPEN_READWRITE, vfs=self._vfs)
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")  # counts only while the file is empty
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(f"PRAGMA journal_size_limit={2 * WAL_CHECKPOINT_BYTES}")
            _set_up(connection, WRITER_CACHE_BYTES)
            connection.set_wal_hook(self._note_wal_pages)  # also switches automatic checkpoints off
        return connection

    def _take_reader(self) -> apsw.Connection:
        with self._readers_lock:
            if self._closed:
                raise MediaFailed("ANR0138E")
            if self._readers:
                return self._readers.pop()
        with _translated(self.path):
            connection = apsw.Connection(self.path, flags=apsw.SQLITE_OPEN_READWRITE, vfs=self._vfs)
            _set_up(connection, READER_CACHE_BYTES)
            connection.execute("PRAGMA query_only=ON")
            connection.wal_autocheckpoint(0)
        return connection

    def _give_reader(self, connection: apsw.Connection) -> None:
        with contextlib.suppress(apsw.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        with self._readers_lock:
            if not self._closed and not connection.in_transaction and len(self._readers) < IDLE_READERS:
                self._readers.append(connection)
                return
        self._disconnect(connection)

    def _disconnect(self, connection: apsw.Connection) -> None:
        if self._failed:  # else the last connection copies and deletes the log by itself
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.close()

    def _take_writer(self, *, to_close: bool = False) -> None:
        if self._writing_thread == threading.get_ident():
            raise RuntimeError("a write transaction is open in this thread already")
        if not self._write_lock.acquire(timeout=WRITER_WAIT_SECONDS):
            raise InUse("ANR0137E", seconds=int(WRITER_WAIT_SECONDS))
        if self._closed or (self._failed and not to_close):
            self._write_lock.release()
            raise MediaFailed("ANR0138E") if self._closed else MediaFailed("ANR0139E", path=self.path)
        self._writing_thread = threading.get_ident()

    def _undo_and_release(self) -> None:
        """What is not committed by now is undone. Where even that fails, nobody writes any more."""
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except apsw.Error:
            self._stop_writing()
        finally:
            self._writing_thread = 0
            self._write_lock.release()

    # --- the write-ahead log -----------------------------------------------------------------------------------

    def _note_wal_pages(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint_if_large(self) -> None:
        """Between two transactions. A failure is not the transaction's: it is durable in the log already."""
        if self._wal_pages >= self._checkpoint_pages:
            with contextlib.suppress(FarvaultError):
                self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _checkpoint(self, mode: int) -> None:
        crash_point("catalog.checkpoint.before")
        with _translated(self.path, self._stop_writing):
            pages, copied = self._writer.wal_checkpoint(mode=mode)
        crash_point("catalog.checkpoint.after")
        step = WAL_CHECKPOINT_BYTES // PAGE_BYTES
        # Where a long reader holds the log, it grows: try again only after it has grown by as much once more.
        self._checkpoint_pages = step if pages == copied else pages + step

    def _stop_writing(self) -> None:
        """After a failed write or sync the kernel may have dropped pages: only a reopened file tells the truth."""
        self._failed = True


def _set_up(connection: apsw.Connection, cache_bytes: int) -> None:
    connection.set_busy_timeout(10_000)
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute(f"PRAGMA cache_size=-{cache_bytes // 1024}")


def _lock(path: str) -> int:
    """One server at a time: a second writer with checkpoints of its own is what this design excludes."""
    descriptor = os.open(f"{path}-lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InUse("ANR0134E", path=path) from None
    return descriptor


@contextlib.contextmanager
def _translated(path: str, on_failure: object = None) -> Iterator[None]:
    """SQLite's own errors as ours. Broken constraints stay as they are: callers know what they mean."""
    try:
        yield
    except apsw.ConstraintError:
        raise
    except apsw.FullError as error:
        raise MediaFull("ANR0131E", path=path) from error
    except apsw.Error as error:
        if callable(on_failure) and isinstance(error, apsw.IOError | apsw.CorruptError | apsw.NotADBError):
            on_failure()
        raise MediaFailed("ANR0132E", path=path, reason=str(error)) from error
