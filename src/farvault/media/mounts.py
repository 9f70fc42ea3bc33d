"""Sessions of a SERVER device class: never more than MOUNTLIMIT with the target, kept MOUNTRETENTION for reuse.

Who may open a volume, who waits for that and who goes first is decided above (`storage/mount_points.py`). Here every
session counts, also that of a short request that opens no volume, so nobody who may open one waits long.

A mount is a right to one session at a time. While the target cannot be reached the holder keeps the right and tries
again every RETRYINTERVAL for RETRYPERIOD; whatever then was asked for is asked again, so it must be harmless twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeVar

from farvault.base.cancel import cancel_event
from farvault.base.clock import Clock
from farvault.base.errors import FarvaultError, NotAvailable, PeerUnreachable
from farvault.base.log import Log
from farvault.media.link_book import LinkRecord
from farvault.media.target import Target, TargetSession, unreachable
from farvault.protocol.messages import Done, Ping

PING_SECONDS = 10.0
"""An idle session that has not answered by then is not used again."""
WAIT_SECONDS = 3600.0
"""How long a request waits for a free mount point: TSM's default MOUNTWAIT."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RetryRule:
    """RETRYPERIOD and RETRYINTERVAL in seconds. A period of 0: the first failure is the last."""

    period_seconds: float
    interval_seconds: float


class Patience:
    """How long one holder goes on trying. Progress starts it anew; trouble without progress uses it up."""

    def __init__(self, rule: RetryRule, clock: Clock, closing: threading.Event) -> None:
        self._rule, self._clock, self._closing = rule, clock, closing
        self._stop = cancel_event() or closing
        self._since: float | None = None
        self._failures = 0

    @property
    def seconds(self) -> float:
        """How long there has been trouble without progress."""
        return 0.0 if self._since is None else self._clock.monotonic_seconds() - self._since

    def progress(self) -> None:
        self._since = None
        self._failures = 0

    def failed(
        self, error: PeerUnreachable, was_connected: bool, say: Callable[[PeerUnreachable, float], None]
    ) -> None:
        """`say` how long, and wait until it is time to try again; raises `error` when there is no time left.

        Also where the work is cancelled meanwhile. A link that worked until now is tried again at once, the first time.
        """
        now = self._clock.monotonic_seconds()
        self._since = now if self._since is None else self._since
        self._failures += 1
        wait = 0.0 if was_connected and self._failures == 1 else self._rule.interval_seconds
        if not self._rule.period_seconds or now + wait > self._since + self._rule.period_seconds:
            raise error
        say(error, wait)
        if self._clock.wait(self._stop, wait) or self._closing.is_set():
            raise error


class Mounts:
    """The mount points of one device class. Thread safe."""

    def __init__(
        self,
        target: Target,
        limit: int,
        retention_seconds: float,
        rule: RetryRule,
        clock: Clock,
        log: Log | None = None,
        record: LinkRecord | None = None,
    ) -> None:
        self.record = record or LinkRecord(clock)
        self.target = target
        self.limit = limit
        self.clock = clock
        self.rule = rule
        self._retention_seconds = retention_seconds
        self._log = log
        self._idle: list[tuple[TargetSession, float]] = []
        self._holders: list[int] = []
        self._freed = threading.Condition()
        self._down_until = float("-inf")
        self.closing = threading.Event()

    def mount(
        self, volume: str = "", wait_seconds: float = WAIT_SECONDS, *, single_try: bool = False
    ) -> Mount:
        """Take a mount point, waiting for one. `volume`: whose it is, as people see it. `NotAvailable` where none comes free in time.

        Where this very thread holds all of them, waiting would never end: refused at once. `single_try`: a target
        that does not answer is not tried again.
        """
        me = threading.get_ident()
        deadline = self.clock.monotonic_seconds() + wait_seconds
        stop = cancel_event() or self.closing
        with self.record.waiting() if len(self._holders) >= self.limit else nullcontext(), self._freed:
            while len(self._holders) >= self.limit:
                if all(holder == me for holder in self._holders):
                    raise NotAvailable("ANR4805E", server=self.target.name, limit=self.limit)
                waited_enough = self.clock.monotonic_seconds() >= deadline
                if waited_enough or stop.is_set() or self.closing.is_set():
                    raise NotAvailable("ANR4806E", server=self.target.name, limit=self.limit)
                self._freed.wait(0.2)  # the clock may be one that a test moves
            self._holders.append(me)
        return Mount(self, me, self._patience(single_try), volume)

    @property
    def mounted(self) -> int:
        """Mount points in use."""
        return len(self._holders)

    @property
    def idle(self) -> int:
        """Sessions kept open whose retention is not over."""
        self.close_idle()
        return len(self._idle)

    def close_idle(self) -> None:
        """Close the sessions whose retention is over. Called at every mount and every minute."""
        now = self.clock.monotonic_seconds()
        with self._freed:
            over = [s for s, since in self._idle if now - since >= self._retention_seconds]
            self._idle = [(s, since) for s, since in self._idle if now - since < self._retention_seconds]
        for session in over:
            session.close()

    def close(self) -> None:
        """Nobody waits or tries again any more; idle sessions end."""
        self.closing.set()
        with self._freed:
            self._freed.notify_all()
        self.end_idle()

    def end_idle(self) -> None:
        """Sign off from the sessions that are only kept: what they were opened by counts no more."""
        with self._freed:
            idle, self._idle = self._idle, []
        for session, _ in idle:
            session.close()

    def connect(self) -> TargetSession:
        """An idle session that still answers, or a new one. One try. Where one does not, no other one is believed."""
        self.close_idle()
        with self._freed:
            session = self._idle.pop()[0] if self._idle else None
        if session is None:
            return self.target.open_session()
        try:
            session.connection.set_deadline(PING_SECONDS)
            session.connection.call(Ping(), Done)
            session.connection.set_deadline(None)
            return session
        except FarvaultError:
            session.connection.close()
            self.drop_idle()
        return self.target.open_session()

    def drop_idle(self) -> None:
        """End the sessions that are only kept, without a word."""
        with self._freed:
            idle, self._idle = self._idle, []
        for session, _ in idle:
            session.connection.close()

    def say_trouble(self, error: PeerUnreachable, wait_seconds: float) -> None:
        if self._log is not None and wait_seconds:
            self._log.say(
                "ANR4800W",
                server=self.target.name,
                seconds=f"{wait_seconds:.0f}",
                reason=error.message.text,
            )

    def note_down(self) -> None:
        """All tries failed: for a while nobody else waits through a whole period of their own."""
        self._down_until = self.clock.monotonic_seconds() + self.rule.interval_seconds

    def note_up(self) -> None:
        self._down_until = float("-inf")

    def give_back(self, holder: int, session: TargetSession | None) -> None:
        with self._freed:
            self._holders.remove(holder)
            if session is not None and self._is_worth_keeping(session):
                self._idle.append((session, self.clock.monotonic_seconds()))
                session = None
            self._freed.notify()
        if session is not None:
            session.close()

    def _patience(self, single_try: bool) -> Patience:
        """For one holder. A target known to be down a moment ago gets a single try too."""
        is_down = self.clock.monotonic_seconds() < self._down_until
        rule = RetryRule(0, 1) if single_try or is_down else self.rule
        return Patience(rule, self.clock, self.closing)

    def _is_worth_keeping(self, session: TargetSession) -> bool:
        """A read-only one, or one with a target in doubt, is not: the next sign-on may bring what makes it more."""
        is_full = not session.read_only and not session.set_back
        return self._retention_seconds > 0 and not self.closing.is_set() and is_full


class Mount:
    """One mount point in use. One thread uses it at a time; `release` it in any case."""

    def __init__(self, mounts: Mounts, holder: int, patience: Patience, volume: str = "") -> None:
        self._volume = volume
        self._mounts, self._holder, self._patience = mounts, holder, patience
        self._session: TargetSession | None = None
        self._released = False

    def run(
        self, work: Callable[[TargetSession], Result], resume: Callable[[TargetSession], None] | None = None
    ) -> Result:
        """`work` with a session, again with a new one where the link breaks; `PeerUnreachable` when the period is over.

        `resume` runs first with every new session, to bring the target to where we are. Any other error is raised
        at once.
        """
        try:
            while True:
                was_connected = self._session is not None
                try:
                    session = self._session or self._connect()
                    if resume is not None and not was_connected:
                        resume(session)
                    return work(session)
                except PeerUnreachable as cut:
                    if self._session is not None:  # else it was never opened, which is in the book already
                        self._mounts.record.failed(cut.message)
                    self.drop()
                    error = unreachable(self._mounts.target.name, cut)
                    self._try_again(error, was_connected)
        finally:
            self._mounts.record.settled(self)

    def _try_again(self, error: PeerUnreachable, was_connected: bool) -> None:
        """Wait until it is time; raises `error` where the period is over."""
        try:
            self._patience.failed(error, was_connected, self._say_trouble)
        except PeerUnreachable:
            self._mounts.note_down()
            raise

    def _say_trouble(self, error: PeerUnreachable, wait_seconds: float) -> None:
        self._mounts.record.retrying(self, self._volume, error.message, self._patience.seconds, wait_seconds)
        self._mounts.say_trouble(error, wait_seconds)

    def progress(self) -> None:
        """Something was done for good: patience starts anew."""
        self._patience.progress()

    @property
    def session(self) -> TargetSession | None:
        """The present session; None where there is none, or it broke."""
        return self._session

    def drop(self) -> None:
        """End the session without a word: what is under way on it is not wanted any more."""
        session, self._session = self._session, None
        if session is not None:
            session.connection.close()

    def release(self) -> None:
        """Give the mount point back; a session in good order is kept for the next one."""
        if not self._released:
            self._released = True
            session, self._session = self._session, None
            self._mounts.give_back(self._holder, session)

    def _connect(self) -> TargetSession:
        self._session = self._mounts.connect()
        self._mounts.note_up()
        self._mounts.record.settled(self)
        return self._session
