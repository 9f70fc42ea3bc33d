"""A consumer: takes units and batches, works them off over a session of its own, and tells what became of them.

It runs in a worker process (`worker.py`) or, for small jobs, in a thread of the client itself. Reading goes on in a second
thread while a transaction is sent and made durable. Where the link breaks it dials again for COMMRESTARTDURATION and
repeats the transaction from its beginning, unless the server has committed it and only the answer was lost. What goes wrong
with an object, a unit or the link is a result; anything else is a defect of this program: it is told, and the consumer ends.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain, islice
from queue import SimpleQueue
from threading import Event
from typing import Final, TypeVar

from farvault.base.errors import FarvaultError, PeerUnreachable
from farvault.base.messages import message
from farvault.base.pipeline import run_ahead
from farvault.client.fetching import AHEAD, Arrival, Fetch, Received, is_unused, receive_each
from farvault.client.reading import AHEAD as READ_AHEAD
from farvault.client.reading import FileReader, Group, Reading
from farvault.client.sending import Attempts, Sender
from farvault.client.session import Address, NodeSession, Sessions, open_session
from farvault.client.work import (
    Answer,
    Batch,
    BatchResult,
    ConsumerSettings,
    Failure,
    Notice,
    UnitResult,
    Work,
)
from farvault.protocol.frames import ProtocolError
from farvault.protocol.messages import ReadEnd

Step = tuple[Reading | Batch, Group | None]
Done = TypeVar("Done")

SHORTEST_PAUSE_SECONDS: Final = 0.25
"""Between two attempts to reach a server, whatever COMMRESTARTINTERVAL says."""
ABORT_SECONDS: Final = 10.0
"""What a consumer gets to take away what it has half done."""
BREAKS_MOST: Final = 100
"""So often one unit or batch is begun again: a server that lets us in and falls over it each time does not get better."""


class GaveUp(Exception):
    """The server cannot be reached any more, does not let us in, or nobody wants the rest."""


class WorkQueue:
    """What one thread hands to the consumer in another. `end`: there is no more."""

    def __init__(self) -> None:
        self._items: SimpleQueue[Work | None] = SimpleQueue()

    def put(self, item: Work) -> None:
        self._items.put(item)

    def end(self) -> None:
        self._items.put(None)

    def __iter__(self) -> Iterator[Work]:
        while (item := self._items.get()) is not None:
            yield item


class Consumer:
    """One consumer. `sessions` None: it dials itself by the settings. `stop` ends waiting for a lost server early."""

    def __init__(
        self,
        settings: ConsumerSettings,
        tell: Callable[[Answer], None],
        sessions: Sessions | None = None,
        stop: Event | None = None,
    ) -> None:
        self._settings = settings
        self._tell = tell
        self._sessions = sessions or Sessions(self._connect)
        self._own_sessions = sessions is None
        self._session: NodeSession | None = None
        self._stop = stop or Event()
        self._sender: Sender | None = None
        self._work = WorkQueue()
        self._gave_up = False
        self._is_broken_off = False

    def run(self, work: WorkQueue) -> None:
        """Until there is no more work. Every unit and batch gets its result.

        An exception that nobody expects is told and raised: some of the work has no result then.
        """
        self._work = work
        steps = run_ahead(self._read(work), READ_AHEAD, "read")
        try:
            for item, _ in steps:
                if isinstance(item, Batch):
                    self._fetch_all(_batches(item, steps))
                else:
                    self._tell(self._send(item, _until_end(steps)))
        except BaseException as defect:
            self._break_off(defect)
            raise
        finally:
            steps.close()
            if self._sender is not None:
                self._sender.close()
            self._release()

    def abort(self) -> None:
        """From another thread: end soon, and leave nothing that is half done. Whoever hands out the work ends it."""
        self._stop.set()
        if (session := self._session) is not None:
            session.connection.shutdown()

    def _break_off(self, defect: BaseException) -> None:
        """Tell it, then wake the threads that wait for the server or for work: they are joined."""
        if self._is_broken_off:
            return
        self._is_broken_off = True
        if isinstance(defect, Exception):
            with contextlib.suppress(OSError):  # the client has gone
                self._notice("ANS9830E", reason=_described(defect))
        self._work.end()
        self._drop()

    def _read(self, work: WorkQueue) -> Iterator[Step]:
        """Runs ahead in its own thread: a unit's beginning, its groups, its end."""
        reader = self._new_reader()
        try:
            for item in work:
                if isinstance(item, Batch):
                    yield item, None
                    continue
                reading = Reading(item)
                yield reading, None
                for group in reader.groups(reading):
                    yield reading, group
                yield reading, None
        finally:
            reader.close()

    def _new_reader(self) -> FileReader:
        s = self._settings
        return FileReader(s.changing_retries, s.skip_acl, s.piece_extents)

    # --- units ---------------------------------------------------------------------------------------------------

    def _send(self, reading: Reading, groups: Generator[Group, None, None]) -> UnitResult:
        number = reading.unit.number
        try:
            result = self._perform(reading, groups)
        except GaveUp:
            result = UnitResult(number=number, lost_link=True)
        except FarvaultError as wrong:
            self._drop()
            result = UnitResult(number=number, refused=(wrong.message.id, wrong.message.text))
        _abandon(reading, groups)
        return result

    def _perform(self, reading: Reading, groups: Iterable[Group]) -> UnitResult:
        if self._sender is None:
            s = self._settings
            self._sender = Sender(s.node, s.compression_level, piece_extents=s.piece_extents)
        sender, attempts = self._sender, Attempts()
        try:
            return sender.perform(self._connected(), reading, groups, attempts)
        except PeerUnreachable as lost:
            problem = lost
        _abandon(reading, groups)
        reader = self._new_reader()

        def again(session: NodeSession) -> UnitResult:
            anew = Reading(reading.unit)
            return sender.perform(session, anew, reader.groups(anew), attempts)

        try:
            return self._repeat(again, problem)
        finally:
            reader.close()

    # --- batches -------------------------------------------------------------------------------------------------

    def _fetch_all(self, batches: Iterator[Batch]) -> None:
        """Batch after batch; the answers for the next one arrive while this one is written."""
        asked: deque[Batch] = deque()
        while asked or (asked := deque(islice(batches, 1))):
            try:
                session = self._connected()
            except (PeerUnreachable, GaveUp):  # fetching it finds the same, and knows what to do
                self._tell(self._fetch(asked.popleft(), None))
            else:
                self._fetch_ahead(session, asked, batches)

    def _fetch_ahead(self, session: NodeSession, asked: deque[Batch], batches: Iterator[Batch]) -> None:
        """Until there are no more batches or the session is lost. `asked`: those taken from `batches` and not begun."""

        def each() -> Iterator[Batch]:
            yield from list(asked)
            for batch in batches:
                asked.append(batch)
                yield batch

        arrivals = run_ahead(receive_each(session, each()), AHEAD, "receive")
        try:
            for first in arrivals:
                assert asked[0] is first.batch, "an answer to another request"
                asked.popleft()
                self._tell(self._fetch(first.batch, _answers(first, arrivals)))
        except BaseException as defect:
            self._break_off(defect)
            raise
        finally:
            arrivals.close()

    def _fetch(self, batch: Batch, answers: Iterator[Received] | None) -> BatchResult:
        """`answers`: of a request that is under way; None: it has to be asked for."""
        try:
            fetch = Fetch(batch, self._settings.skip_acl)
        except OSError as problem:
            self._leave(answers)
            return _failed_batch(batch, "ANS4028E", problem.strerror or str(problem))
        try:
            self._run_fetch(fetch, answers)
        except GaveUp:
            fetch.result.lost_link = True
        except ProtocolError as wrong:
            fetch.give_up_rest(wrong.message.text, "ANS1304E")
            self._drop()
        except FarvaultError as refusal:
            fetch.give_up_rest(refusal.message.text, "ANS1314E")
        finally:
            fetch.close()
        return fetch.result

    def _run_fetch(self, fetch: Fetch, answers: Iterator[Received] | None) -> None:
        try:
            return fetch.run(self._connected()) if answers is None else fetch.take(answers)
        except PeerUnreachable as lost:
            problem = lost
        return self._repeat(fetch.run, problem)

    def _leave(self, answers: Iterator[Received] | None) -> None:
        """Nobody wants them: the next ones are to be in step."""
        try:
            for _ in answers or ():
                pass
        except FarvaultError as problem:
            if isinstance(problem, PeerUnreachable | ProtocolError):
                self._drop()

    # --- the link ------------------------------------------------------------------------------------------------

    def _connect(self) -> NodeSession:
        s = self._settings
        return open_session(Address(s.host, s.port, s.node, s.password, s.fingerprint))

    def _connected(self) -> NodeSession:
        """The session, or one dialled now. `PeerUnreachable` where that fails, `GaveUp` where it makes no sense."""
        self._raise_if_over()
        try:
            session, self._session = self._session or self._sessions.take(), None
            if is_unused(session):  # a server ends idle sessions: that is no lost link
                session.close()
                session = self._connect()
        except PeerUnreachable:
            raise
        except FarvaultError as refusal:
            raise self._given_up(refusal) from None
        self._session = session
        self._raise_if_over()
        return session

    def _raise_if_over(self) -> None:
        if self._gave_up or self._stop.is_set():
            raise GaveUp

    def _repeat(self, attempt: Callable[[NodeSession], Done], problem: PeerUnreachable) -> Done:
        """What the link broke off, from its beginning, over one new session after the other."""
        for _ in range(BREAKS_MOST):
            try:
                return attempt(self._redialled(problem))
            except PeerUnreachable as lost:
                problem = lost
        raise self._given_up(problem)

    def _redialled(self, problem: PeerUnreachable) -> NodeSession:
        """A new session, for which there is COMMRESTARTDURATION from now on. Says what happens."""
        self._drop()
        self._raise_if_over()
        self._notice("ANS1809W", reason=problem.message.text)
        until = time.monotonic() + self._settings.restart_seconds
        pause = self._settings.restart_interval_seconds
        while time.monotonic() < until and not self._stop.wait(pause):
            pause = max(pause, SHORTEST_PAUSE_SECONDS)
            try:
                self._session = self._connect()
            except PeerUnreachable as again:
                problem = again
                continue
            except FarvaultError as refusal:
                raise self._given_up(refusal) from None
            self._raise_if_over()
            self._notice("ANS1810E")
            return self._session
        raise self._given_up(problem)

    def _given_up(self, reason: FarvaultError) -> GaveUp:
        """Once for all units: a wrong password is not tried again with each of them."""
        self._gave_up = True
        self._notice("ANS1811S", reason=reason.message.text)
        return GaveUp()

    def _notice(self, message_id: str, **values: object) -> None:
        said = message(message_id, **values)
        self._tell(Notice(said.id, said.text))

    def _drop(self) -> None:
        if self._session is not None:
            self._session.connection.close()
            self._session = None

    def _release(self) -> None:
        if self._session is not None:
            self._sessions.give_back(self._session)
            self._session = None
        if self._own_sessions:
            self._sessions.close()


def _abandon(reading: Reading, groups: Iterable[Group]) -> None:
    """Pass over what the reader has done already of a unit that failed; it stops as soon as it can."""
    reading.abandoned = True
    for _ in groups:
        pass


def _described(defect: Exception) -> str:
    """What it is and where: `AssertionError: text (sending.py, line 7)`."""
    where = traceback.extract_tb(defect.__traceback__)[-1]
    place = f"{where.filename.rpartition('/')[2]}, line {where.lineno}"
    return f"{type(defect).__name__}: {defect} ({place})"


def _until_end(steps: Iterator[Step]) -> Generator[Group, None, None]:
    """The groups of the unit that has just begun."""
    for _, group in steps:
        if group is None:
            return
        yield group


def _batches(first: Batch, steps: Iterator[Step]) -> Iterator[Batch]:
    """This one and all that follow: what a command asks of its consumers is of one kind."""
    yield first
    for item, _ in steps:
        assert isinstance(item, Batch)
        yield item


def _answers(first: Arrival, arrivals: Iterator[Arrival]) -> Iterator[Received]:
    """Those for one batch. Raises the error that ends them."""
    for _, what in chain([first], arrivals):
        if isinstance(what, FarvaultError):
            raise what
        yield what
        if isinstance(what.what, ReadEnd):
            return


def _failed_batch(batch: Batch, message_id: str, reason: str) -> BatchResult:
    failures = [
        Failure(number, place, message_id, reason)
        for number, folder in enumerate(batch.folders)
        for place in range(len(folder.files))
    ]
    return BatchResult(number=batch.number, failures=failures)
