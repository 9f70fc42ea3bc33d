"""The catalog: one SQLite database, one connection that does every write (`writer.py`), snapshot readers (`readers.py`).

When `write()` returns, the transaction survives a power cut: it is durable in SQLite's write-ahead log, or with
LOGMODE=ROLLFORWARD in the recovery log (`log_mode.py`). Readers see the state of the moment `read()` was entered,
however long they take, and never wait for the writer. All SQL stands in this package.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import apsw

from farvault.base.clock import Clock
from farvault.base.disk import crash_point, sync_folder
from farvault.base.errors import AlreadyExists, FarvaultError, MediaFailed, NotFound
from farvault.base.messages import Message
from farvault.catalog import roll_forward
from farvault.catalog.file_edges import lock, translated
from farvault.catalog.image import Image
from farvault.catalog.log import LogFigures, RecoveryLog
from farvault.catalog.log_mode import LogMode
from farvault.catalog.migrate import migrate
from farvault.catalog.readers import Readers
from farvault.catalog.roll_forward import LogPlace
from farvault.catalog.row_digest import RowDigester
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.catalog.writer import PAGE_BYTES, Writer


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
        self.nouns_changed: Callable[[set[str]], None] = lambda _: None  # after a commit; returns at once
        self.notes: list[Message] = []
        """What opening it found out; for the server to say."""
        self._digester = RowDigester(row_key)
        self._clock = clock
        self._descriptor = -1
        with contextlib.ExitStack() as undo:
            self._lock_file = lock(path)
            undo.callback(os.close, self._lock_file)
            found: RecoveryLog | None = None
            if log is not None:
                now = clock.now_seconds()
                found, self.notes = roll_forward.bring_together(path, log, row_key, PAGE_BYTES, now)
            if found is not None:
                undo.callback(found.close)
            self._readers = Readers(path, vfs)
            self._writer = Writer(path, vfs, self._readers)
            self._log_mode = LogMode(self._writer, log, found, row_key, clock)
            undo.callback(self._log_mode.close)
            with translated(path):
                migrate(self._writer.connection, row_key, clock.now_seconds(), path)
            if log is not None:
                with self.read() as r:
                    mode = get_setting(r, "LOGMODE") or ""
                self.notes += self._log_mode.attach(mode, partial(self.write, uses_reserve=True))
            undo.pop_all()

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
                self._log_mode.wait_until_settled()
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
        transaction = Transaction(self._writer.connection, self._digester)
        try:
            with self._writer.turn():
                try:
                    self._log_mode.admit(uses_reserve=uses_reserve)
                    with translated(self.path, self._writer.fail):
                        self._writer.connection.execute("BEGIN IMMEDIATE")
                        yield transaction
                        transaction.end()
                        crash_point("catalog.commit.before")
                        self._log_mode.commit()
                        crash_point("catalog.commit.after")
                    self._writer.checkpoint_if_large()
                finally:
                    transaction.end()
                    self._writer.undo()
            transaction.follow_up(self.nouns_changed)
        finally:
            self._log_mode.tell_growth()

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """While the server starts, all changes may use the log's reserve: with a full log it must get as far as BACKUP DB."""
        self._log_mode.is_starting = True
        try:
            yield
        finally:
            self._log_mode.is_starting = False

    @property
    def has_failed(self) -> bool:
        """An error of the disk ended a change. Whether its commit happened, only the next start finds out."""
        return self._writer.has_failed

    def check_writable(self) -> None:
        """`MediaFailed` where it takes no more changes: who depends on the last one being undone must not go on."""
        self._writer.check()

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the database file as far as readers allow."""
        with self._writer.turn():
            self._writer.checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        """Bring everything into the database file and let go of it. Snapshots still open close when they end.

        After an error of the disk the log is left as it is for the next start.
        """
        with self._writer.turn(even_if_failed=True):
            self._readers.close()
            self._writer.connection.set_busy_timeout(0)  # a snapshot still in use must not hold us
            if not self._writer.has_failed:
                with contextlib.suppress(FarvaultError):  # the log keeps what could not be copied
                    self._writer.checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
                    self._log_mode.mark_clean()
            self._writer.close()
            self._log_mode.close()
            if self._descriptor >= 0:
                os.close(self._descriptor)
            os.close(self._lock_file)

    # --- the recovery log --------------------------------------------------------------------------------------

    @property
    def log_mode(self) -> str:
        return self._log_mode.name

    @property
    def log_folder(self) -> str:
        """Where the recovery log lies, or would."""
        place = self._log_mode.place
        return "" if place is None else place.folder

    def log_figures(self) -> LogFigures | None:
        """None while LOGMODE is NORMAL."""
        log = self._log_mode.log
        return None if log is None else log.figures()

    def on_log_growth(self, tell: Callable[[], None]) -> None:
        """Call this, in the thread of a writer that has finished, when the recovery log has filled by another percent, and
        when it refuses the first change.
        """
        self._log_mode.grown = tell

    def set_log_mode(self, mode: str) -> None:
        """SET LOGMODE; nothing where it is that already."""
        self._log_mode.set(mode, partial(self.write, uses_reserve=True))

    def prune_log(self, log_id: str, sequence: int) -> int:
        """A database backup holds everything up to here: what the log has of it goes. Returns how many bytes."""
        return self._log_mode.prune(log_id, sequence)

    # --- the database as a whole ---------------------------------------------------------------------------------

    def figures(self) -> CatalogFigures:
        with self.read() as r:
            pages = r.all("SELECT page_count FROM pragma_page_count()")[0][0]
            free = r.all("SELECT freelist_count FROM pragma_freelist_count()")[0][0]
        wal = self._writer.wal.path
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
        log, writer = self._log_mode.log, self._writer
        connection = self._readers.take()
        try:
            if log is not None:
                log.await_spare()
            with writer.turn():
                log = self._log_mode.log
                with translated(self.path):
                    connection.execute("BEGIN")
                    connection.execute("SELECT 1 FROM sequences LIMIT 1").fetchall()
                    pages = connection.execute("SELECT page_count FROM pragma_page_count()").fetchall()[0][0]
                    frames = writer.frames()
                if log is not None:
                    log.switch(self._clock.now_seconds())
                image = Image(
                    page_bytes=PAGE_BYTES,
                    page_count=int(str(pages)),
                    log_id="" if log is None else log.log_id,
                    log_sequence=0 if log is None else log.sequence,
                    descriptor=self._file(),
                    wal=writer.wal,
                    salts=writer.wal.salts(),
                    frames=frames,
                )
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
