"""The catalog: one SQLite database, one connection that does every write and every checkpoint, snapshot readers.

WAL with `synchronous=FULL`: when `write()` returns, the transaction survives a power cut. Checkpoints are never
automatic; the writer makes them between transactions. Readers see the state of the moment `read()` was entered,
however long they take, and never wait for the writer. All SQL stands in this package.

With LOGMODE=ROLLFORWARD a commit is durable in the recovery log (`log.py`) instead, and a reader that has just seen it
waits those few milliseconds: nobody acts on what a power cut could still take back.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import apsw

from farvault.base.clock import Clock
from farvault.base.disk import crash_point, sync_folder
from farvault.base.errors import (
    AlreadyExists,
    FarvaultError,
    InUse,
    MediaFailed,
    MediaFull,
    NotFound,
)
from farvault.base.messages import Message, message
from farvault.base.units import MIB
from farvault.catalog import log as recovery_log
from farvault.catalog import roll_forward
from farvault.catalog.file_edges import lock, set_up, translated
from farvault.catalog.image import Image
from farvault.catalog.log import LogFigures, RecoveryLog
from farvault.catalog.log_chain import Position
from farvault.catalog.migrate import migrate
from farvault.catalog.readers import Readers
from farvault.catalog.roll_forward import NORMAL, ROLLFORWARD, LogPlace
from farvault.catalog.row_digest import RowDigester
from farvault.catalog.settings import set_setting
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.catalog.wal import Salts, WalFile

PAGE_BYTES = 8192
WAL_CHECKPOINT_BYTES = 32 * MIB
WRITER_CACHE_BYTES = 32 * MIB
WRITER_WAIT_SECONDS = 600.0


class CatalogFigures(NamedTuple):
    """What QUERY DB shows. `pages`: of the database with what is not in its file yet; `free_pages` of these are unused."""

    page_bytes: int
    pages: int
    free_pages: int
    file_bytes: int
    wal_bytes: int


class Catalog:
    """An open catalog. Any thread may call `read` and `write`; what they yield belongs to one thread."""

    def __init__(
        self, path: str, row_key: bytes, clock: Clock, vfs: str | None = None, log: LogPlace | None = None
    ) -> None:
        """Use `create` or `open`; this opens a file that exists and brings its schema up to date."""
        self.path = path
        self._vfs = vfs
        self._digester = RowDigester(row_key)
        self._lock_file = lock(path)
        self._write_lock = threading.Lock()
        self._writing_thread = 0
        self._readers = Readers(path, vfs)
        self._closed = False
        self._failed = False
        self._wal_pages = -1
        """Frames in SQLite's write-ahead log; -1 = nothing was committed yet since it was opened."""
        self._checkpoint_pages = WAL_CHECKPOINT_BYTES // PAGE_BYTES
        self._clock, self._row_key, self._log_place = clock, row_key, log
        self._log: RecoveryLog | None = None
        self._wal = WalFile(path, PAGE_BYTES)
        self._descriptor = -1
        self._settled = threading.Event()
        self._settled.set()
        self._log_percent = 0
        self._is_starting = False
        self._is_refused = False
        """The recovery log refused the last change that may not use its reserve."""
        self.log_grown: Callable[[], None] = lambda: None
        """Called, in the thread of a writer that has finished, when the recovery log has filled by another percent, and when
        it refuses the first change.
        """
        self.nouns_changed: Callable[[set[str]], None] = lambda _: None  # after a commit; returns at once
        self.notes: list[Message] = []
        """What opening it found out; for the server to say."""
        try:
            if log is not None:
                self._log, notes = roll_forward.bring_together(
                    path, log, row_key, PAGE_BYTES, clock.now_seconds()
                )
                self.notes += notes
            self._writer = self._connect_writer()
            with translated(path):
                migrate(self._writer, row_key, clock.now_seconds(), path)
            if log is not None:
                self._attach_log(log)
        except BaseException:
            self._close_log()
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
    def open(
        cls,
        path: str,
        row_key: bytes,
        clock: Clock,
        *,
        vfs: str | None = None,
        log: LogPlace | None = None,
    ) -> Catalog:
        """Open what `create` made. `vfs`: another way to the disk, for tests of failing ones.

        `log`: where the recovery log lies, or would; without it LOGMODE is not looked at.
        `NotFound`; `MediaFailed` where it is damaged, newer than we are, or the key is wrong, or where the recovery log
        is missing, damaged or another one.
        """
        if not os.path.isfile(path):
            raise NotFound("ANR0133E", path=path)
        return cls(path, row_key, clock, vfs, log)

    @contextlib.contextmanager
    def read(self) -> Iterator[Snapshot]:
        """A consistent state, fixed on entry. Streams taken from it end with it."""
        connection = self._readers.take()
        snapshot = Snapshot(connection, self._digester)
        try:
            with translated(self.path):
                connection.execute("BEGIN")
                snapshot.one("SELECT 1 FROM sequences LIMIT 1")  # BEGIN alone does not fix the state yet
                if not self._settled.is_set():
                    self._settled.wait(WRITER_WAIT_SECONDS)
                yield snapshot
        finally:
            snapshot.end()
            self._readers.give(connection)

    @contextlib.contextmanager
    def write(self, *, uses_reserve: bool = False) -> Iterator[Transaction]:
        """The one write transaction: committed and durable on a clean exit, undone on any exception.

        `uses_reserve`: also while the recovery log is full. Only for what makes room in it: database backups.
        Keep it short and do nothing slow inside. Entering it twice in one thread is an error. `MediaFull` and
        `MediaFailed` mean that nothing of it happened.
        """
        self._take_writer()
        transaction = Transaction(self._writer, self._digester)
        was_refused, self._is_refused = self._is_refused, self._log is not None
        try:
            if self._log is not None:
                self._log.admit(uses_reserve=uses_reserve or self._is_starting)
                self._is_refused = was_refused and uses_reserve
            with translated(self.path, self._stop_writing):
                self._writer.execute("BEGIN IMMEDIATE")
                yield transaction
                transaction.end()
                crash_point("catalog.commit.before")
                self._commit()
                crash_point("catalog.commit.after")
            self._checkpoint_if_large()
        finally:
            transaction.end()
            is_news = self._is_refused and not was_refused
            self._undo_and_release()
            if is_news:
                self.log_grown()
        transaction.follow_up(self.nouns_changed)
        self._tell_log_growth()

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """While the server starts, all changes may use the log's reserve: with a full log it must get as far as BACKUP DB."""
        self._is_starting = True
        try:
            yield
        finally:
            self._is_starting = False

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
            self._release_writer()

    def close(self) -> None:
        """Bring everything into the database file and let go of it. Snapshots still open close when they end.

        After an error of the disk the log is left as it is for the next start.
        """
        self._take_writer(to_close=True)
        try:
            self._closed = True
            self._readers.close()
            self._writer.set_busy_timeout(0)  # a snapshot still in use must not hold us
            if not self._failed:
                with contextlib.suppress(FarvaultError):  # the log keeps what could not be copied
                    self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
                    if self._log is not None:
                        self._log.mark_clean(self._clock.now_seconds())
            self._readers.disconnect(self._writer)
            self._wal.close()
            self._close_log()
            if self._descriptor >= 0:
                os.close(self._descriptor)
            os.close(self._lock_file)
        finally:
            self._release_writer()

    # --- the recovery log --------------------------------------------------------------------------------------

    @property
    def log_mode(self) -> str:
        return NORMAL if self._log is None else ROLLFORWARD

    @property
    def log_folder(self) -> str:
        """Where the recovery log lies, or would."""
        return "" if self._log_place is None else self._log_place.folder

    def log_figures(self) -> LogFigures | None:
        """None while LOGMODE is NORMAL."""
        log = self._log
        return None if log is None else log.figures()

    def set_log_mode(self, mode: str) -> None:
        """SET LOGMODE; nothing where it is that already. The log is there before the catalog says so, and goes after."""
        if self._log_place is None:
            raise MediaFailed("ANR4911E", folder="", reason="no folder is set for it")
        if mode == self.log_mode:
            return
        if mode == ROLLFORWARD:
            self._begin_log(self._log_place)
        try:
            with self.write(uses_reserve=True) as tx:
                set_setting(tx, "LOGMODE", mode)
                if mode == ROLLFORWARD:
                    self._note_new_log(tx, "LOGMODE was changed")
            self._wal.sync()  # the next start must know the mode before it looks at any log
        except BaseException:
            if mode == ROLLFORWARD and not self._failed:
                self._end_log(self._log_place)
            raise
        if mode == NORMAL:
            self._end_log(self._log_place)

    def _note_new_log(self, tx: Transaction, reason: str) -> None:
        assert self._log is not None
        set_setting(tx, "LOGID", self._log.log_id)
        set_setting(tx, "LOGPRUNED", "0")
        set_setting(tx, "FULLBACKUPNEEDED", reason)

    def prune_log(self, log_id: str, sequence: int) -> int:
        """A database backup holds everything up to here: what the log has of it goes. Returns how many bytes.

        The setting LOGPRUNED says so already, in the transaction that completed the backup: an older copy of the database
        is told by it.
        """
        self._wal.sync()  # from now on SQLite's own file alone has what is not in the database file yet
        self._take_writer()
        try:
            log = self._log
            return log.prune(sequence) if log is not None and log.log_id == log_id else 0
        finally:
            self._release_writer()

    def figures(self) -> CatalogFigures:
        with self.read() as r:
            pages = r.all("SELECT page_count FROM pragma_page_count()")[0][0]
            free = r.all("SELECT freelist_count FROM pragma_freelist_count()")[0][0]
        wal = self._wal.path
        return CatalogFigures(
            PAGE_BYTES,
            int(pages),
            int(free),
            os.path.getsize(self.path),
            os.path.getsize(wal) if os.path.exists(wal) else 0,
        )

    @contextlib.contextmanager
    def image(self) -> Iterator[Image]:
        """The database as it is now, to be copied page by page while others go on; see `image.py`."""
        connection = self._readers.take()
        image: Image | None = None
        try:
            if self._log is not None:
                self._log.await_spare()
            self._take_writer()
            try:
                with translated(self.path):
                    connection.execute("BEGIN")
                    connection.execute("SELECT 1 FROM sequences LIMIT 1").fetchall()
                    pages = connection.execute("SELECT page_count FROM pragma_page_count()").fetchall()[0][0]
                    frames = self._frames_now()
                if self._log is not None:
                    self._log.switch(self._clock.now_seconds())
                image = Image(
                    page_bytes=PAGE_BYTES,
                    page_count=int(str(pages)),
                    log_id=self._log.log_id if self._log is not None else "",
                    log_sequence=self._log.sequence if self._log is not None else 0,
                    descriptor=self._file(),
                    wal=self._wal,
                    salts=self._wal.salts(),
                    frames=frames,
                )
            finally:
                self._release_writer()
            crash_point("catalog.image.taken")
            image.find_frames()
            yield image
        finally:
            self._readers.give(connection)

    def _file(self) -> int:
        """The database file, to be read beside SQLite. Never closed while a connection is open: that would drop its locks."""
        if self._descriptor < 0:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        return self._descriptor

    def _release_writer(self) -> None:
        self._writing_thread = 0
        self._write_lock.release()

    def _tell_log_growth(self) -> None:
        log = self._log
        percent = 0 if log is None else 100 * log.used_bytes // log.capacity_bytes
        if percent != self._log_percent:
            grown, self._log_percent = percent > self._log_percent, percent
            if grown:
                self.log_grown()

    def _attach_log(self, place: LogPlace) -> None:
        """With the writer open: the log gets what it lacks, also what bringing the schema up to date has changed."""
        with translated(self.path):
            frames, _ = self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            rows = self._writer.execute("SELECT value FROM settings WHERE name = 'LOGMODE'").fetchall()
        self._wal_pages = max(frames, 0)
        if rows and rows[0][0] == ROLLFORWARD and self._log is None:
            self._begin_log(place)
            with self.write(uses_reserve=True) as tx:
                self._note_new_log(tx, "a new recovery log was begun")
            self._wal.sync()
        elif self._log is not None and rows[0][0] != ROLLFORWARD:
            self._end_log(place)
        elif self._log is not None:
            if added := self._log_frames():
                self.notes.append(message("ANR4916I", pages=added))
            with translated(self.path):
                self._writer.execute("PRAGMA synchronous=NORMAL")

    def _begin_log(self, place: LogPlace) -> None:
        self._take_writer()
        try:
            recovery_log.set_aside(place.folder, self._clock.now_seconds())
            position = Position(self._wal.salts() or Salts(0, 0), self._frames_now(), False)
            now = self._clock.now_seconds()
            self._log = RecoveryLog.create(
                place.folder, place.capacity_bytes, self._row_key, PAGE_BYTES, position, now
            )
            with translated(self.path):
                self._writer.execute("PRAGMA synchronous=NORMAL")
        finally:
            self._release_writer()

    def _end_log(self, place: LogPlace) -> None:
        self._take_writer()
        try:
            with translated(self.path):
                self._writer.execute("PRAGMA synchronous=FULL")
            self._wal.sync()
            self._close_log()
            self._log = None
            recovery_log.remove(place.folder)
        finally:
            self._release_writer()

    def _close_log(self) -> None:
        if self._log is not None:
            self._log.close()

    def _commit(self) -> None:
        """COMMIT, and with a recovery log: durable there. In between readers that have seen it wait."""
        if self._log is None:
            self._writer.execute("COMMIT")
            return
        self._settled.clear()
        try:
            self._writer.execute("COMMIT")
            crash_point("catalog.commit.before_log")
            try:
                self._log_frames()
            except BaseException as error:
                self._stop_writing()
                with contextlib.suppress(FarvaultError):  # the next start takes it from there into the log
                    self._wal.sync()
                if isinstance(error, MediaFull):
                    raise MediaFailed.from_message(error.message) from error
                raise
        finally:
            self._settled.set()

    def _log_frames(self) -> int:
        """What SQLite's file has and the log lacks; returns how many frames."""
        assert self._log is not None
        return roll_forward.feed(self._log, self._wal, self._frames_now(), self._clock.now_seconds())

    def _frames_now(self) -> int:
        """Frames of the present generation. The writer is ours."""
        if self._wal_pages < 0:
            with translated(self.path):
                frames, _ = self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._wal_pages = max(frames, 0)
        return self._wal_pages

    # --- connections -------------------------------------------------------------------------------------------

    def _connect_writer(self) -> apsw.Connection:
        with translated(self.path):
            connection = apsw.Connection(self.path, flags=apsw.SQLITE_OPEN_READWRITE, vfs=self._vfs)
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")  # counts only while the file is empty
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(f"PRAGMA journal_size_limit={2 * WAL_CHECKPOINT_BYTES}")
            set_up(connection, WRITER_CACHE_BYTES)
            connection.set_wal_hook(self._note_wal_pages)  # also switches automatic checkpoints off
        return connection

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
            self._release_writer()

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
        with translated(self.path, self._stop_writing):
            pages, copied = self._writer.wal_checkpoint(mode=mode)
        crash_point("catalog.checkpoint.after")
        step = WAL_CHECKPOINT_BYTES // PAGE_BYTES
        # Where a long reader holds the log, it grows: try again only after it has grown by as much once more.
        self._checkpoint_pages = step if pages == copied else pages + step

    def _stop_writing(self) -> None:
        """After a failed write or sync the kernel may have dropped pages: only a reopened file tells the truth."""
        self._failed = True
        self._readers.copy_log = False
