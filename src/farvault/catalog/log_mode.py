"""LOGMODE: whether a commit is durable in a recovery log (`log.py`), and that log while the catalog is open.

With ROLLFORWARD, SQLite's own file is written without a sync, the log with one. A reader that has just seen a commit waits
those few milliseconds: nobody acts on what a power cut could still take back.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from farvault.base.clock import Clock
from farvault.base.disk import crash_point
from farvault.base.errors import FarvaultError, MediaFailed, MediaFull
from farvault.base.messages import Message, message
from farvault.catalog import log as recovery_log
from farvault.catalog import roll_forward
from farvault.catalog.log import RecoveryLog
from farvault.catalog.log_chain import Position
from farvault.catalog.roll_forward import NORMAL, ROLLFORWARD, LogPlace
from farvault.catalog.settings import set_setting
from farvault.catalog.transaction import Transaction
from farvault.catalog.wal import Salts
from farvault.catalog.writer import PAGE_BYTES, WAIT_SECONDS, Writer

Write = Callable[[], AbstractContextManager[Transaction]]
"""Begins a transaction that may use the log's reserve."""


class LogMode:
    """`log`: None while LOGMODE is NORMAL. `place`: where it lies, or would; None where LOGMODE is not looked at."""

    def __init__(
        self, writer: Writer, place: LogPlace | None, log: RecoveryLog | None, row_key: bytes, clock: Clock
    ) -> None:
        self.place, self.log = place, log
        self.grown: Callable[[], None] = lambda: None
        """Called, in the thread of a writer that has finished, when the log has filled by another percent, and when it
        refuses the first change.
        """
        self.is_starting = False
        self._writer, self._row_key, self._clock = writer, row_key, clock
        self._settled = threading.Event()
        self._settled.set()
        self._percent = 0
        self._is_refused = False
        """It refused the last change that may not use its reserve."""
        self._is_news = False

    @property
    def name(self) -> str:
        return NORMAL if self.log is None else ROLLFORWARD

    def close(self) -> None:
        if self.log is not None:
            self.log.close()

    def wait_until_settled(self) -> None:
        """For a reader: what it has just begun to see is durable."""
        if not self._settled.is_set():
            self._settled.wait(WAIT_SECONDS)

    def tell_growth(self) -> None:
        """Without the turn, after each change and each that was refused."""
        log = self.log
        percent = 0 if log is None else 100 * log.used_bytes // log.capacity_bytes
        grew, self._percent = percent > self._percent, percent
        is_news, self._is_news = self._is_news, False
        if grew or is_news:
            self.grown()

    # --- with the turn -------------------------------------------------------------------------------------------

    def admit(self, *, uses_reserve: bool) -> None:
        """`MediaFull` where the log takes no further change of this kind."""
        if self.log is None:
            self._is_refused = False
            return
        try:
            self.log.admit(uses_reserve=uses_reserve or self.is_starting)
        except FarvaultError:
            self._is_news = not self._is_refused
            self._is_refused = True
            raise
        self._is_refused = self._is_refused and uses_reserve

    def commit(self) -> None:
        """COMMIT, and with a log: durable there. In between readers that have seen it wait."""
        if self.log is None:
            self._writer.connection.execute("COMMIT")
            return
        self._settled.clear()
        try:
            self._writer.connection.execute("COMMIT")
            crash_point("catalog.commit.before_log")
            try:
                self._feed(self.log)
            except BaseException as error:
                self._writer.fail()
                with contextlib.suppress(FarvaultError):  # the next start takes it from there into the log
                    self._writer.wal.sync()
                if isinstance(error, MediaFull):
                    raise MediaFailed.from_message(error.message) from error
                raise
        finally:
            self._settled.set()

    def mark_clean(self) -> None:
        """All of it is in the database file."""
        if self.log is not None:
            self.log.mark_clean(self._clock.now_seconds())

    def _feed(self, log: RecoveryLog) -> int:
        """What SQLite's file has and the log lacks; returns how many frames."""
        return roll_forward.feed(log, self._writer.wal, self._writer.frames(), self._clock.now_seconds())

    # --- without it ----------------------------------------------------------------------------------------------

    def attach(self, said: str, write: Write) -> list[Message]:
        """At the start, where LOGMODE is looked at and says this: the log gets what it lacks, also what bringing the schema up
        to date has changed. What there is to tell.
        """
        assert self.place is not None
        if said != ROLLFORWARD:
            if self.log is not None:
                self._end(self.place)
        elif self.log is None:
            self._begin(self.place)
            with write() as tx:
                self._note_new(tx, "a new recovery log was begun")
            self._writer.wal.sync()
        else:
            with self._writer.turn():
                added = self._feed(self.log)
                self._writer.set_synchronous("NORMAL")
            return [message("ANR4916I", pages=added)] if added else []
        return []

    def set(self, mode: str, write: Write) -> None:
        """SET LOGMODE; nothing where it is that already. The log is there before the catalog says so, and goes after."""
        if self.place is None:
            raise MediaFailed("ANR4911E", folder="", reason="no folder is set for it")
        if mode == self.name:
            return
        if mode == ROLLFORWARD:
            self._begin(self.place)
        try:
            with write() as tx:
                set_setting(tx, "LOGMODE", mode)
                if mode == ROLLFORWARD:
                    self._note_new(tx, "LOGMODE was changed")
            self._writer.wal.sync()  # the next start must know the mode before it looks at any log
        except BaseException:
            if mode == ROLLFORWARD and not self._writer.has_failed:
                self._end(self.place)
            raise
        if mode == NORMAL:
            self._end(self.place)

    def prune(self, log_id: str, sequence: int) -> int:
        """A database backup holds everything up to here: what the log has of it goes. Returns how many bytes.

        The setting LOGPRUNED says so already, in the transaction that completed the backup: an older copy of the database
        is told by it.
        """
        self._writer.wal.sync()  # from now on SQLite's own file alone has what is not in the database file yet
        with self._writer.turn():
            log = self.log
            return log.prune(sequence) if log is not None and log.log_id == log_id else 0

    def _note_new(self, tx: Transaction, reason: str) -> None:
        assert self.log is not None
        set_setting(tx, "LOGID", self.log.log_id)
        set_setting(tx, "LOGPRUNED", "0")
        set_setting(tx, "FULLBACKUPNEEDED", reason)

    def _begin(self, place: LogPlace) -> None:
        with self._writer.turn():
            now = self._clock.now_seconds()
            recovery_log.set_aside(place.folder, now)
            position = Position(self._writer.wal.salts() or Salts(0, 0), self._writer.frames(), False)
            self.log = RecoveryLog.create(
                place.folder, place.capacity_bytes, self._row_key, PAGE_BYTES, position, now
            )
            self._writer.set_synchronous("NORMAL")

    def _end(self, place: LogPlace) -> None:
        with self._writer.turn():
            self._writer.set_synchronous("FULL")
            self._writer.wal.sync()
            self.close()
            self.log = None
            recovery_log.remove(place.folder)
