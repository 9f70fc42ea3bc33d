"""A consumer: takes units and batches, works them off over a session of its own, and tells what became of them.

It runs in a worker process (`worker.py`) or, for small jobs, in a thread of the client itself. Reading goes on in a second
thread while a transaction is sent and made durable. Where the link breaks it dials again for COMMRESTARTDURATION and
repeats the transaction from its beginning.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain, islice
from threading import Event

from farvault.base.errors import FarvaultError, PeerUnreachable
from farvault.base.messages import message
from farvault.base.pipeline import run_ahead
from farvault.client.fetching import AHEAD, Arrival, Fetch, Received, receive_each
from farvault.client.reading import AHEAD as READ_AHEAD
from farvault.client.reading import FileReader, Group, Reading
from farvault.client.sending import Sender
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


class GaveUp(Exception):
    """The server cannot be reached any more."""


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
        self._gave_up = False

    def run(self, work: Iterable[Work]) -> None:
        """Until there is no more work. Every unit and batch gets its result."""
        steps = run_ahead(self._read(work), READ_AHEAD, "read")
        try:
            for item, _ in steps:
                if isinstance(item, Batch):
                    self._fetch_all(_batches(item, steps))
                else:
                    self._tell(self._send(item, _until_end(steps)))
        finally:
            steps.close()
            if self._sender is not None:
                self._sender.close()
            self._release()

    def _read(self, work: Iterable[Work]) -> Iterator[Step]:
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
        try:
            return self._perform(reading, groups)
        except GaveUp:
            return UnitResult(number=reading.unit.number, lost_link=True)
        except FarvaultError as wrong:
            self._drop()
            refused = (wrong.message.id, wrong.message.text)
            return UnitResult(number=reading.unit.number, refused=refused)
        finally:
            reading.abandoned = True
            for _ in groups:
                pass  # what the reader has done already of a unit that failed

    def _perform(self, reading: Reading, groups: Iterable[Group]) -> UnitResult:
        if self._sender is None:
            s = self._settings
            self._sender = Sender(s.node, s.compression_level, piece_extents=s.piece_extents)
        try:
            return self._sender.perform(self._connected(), reading, groups)
        except PeerUnreachable as lost:
            problem = lost
        reading.abandoned = True
        for _ in groups:
            pass
        reader = self._new_reader()
        try:
            for session in self._reconnected(problem):
                again = Reading(reading.unit)
                try:
                    return self._sender.perform(session, again, reader.groups(again))
                except PeerUnreachable:
                    self._drop()
        finally:
            reader.close()
        raise GaveUp

    # --- batches -------------------------------------------------------------------------------------------------

    def _fetch_all(self, batches: Iterator[Batch]) -> None:
        """Batch after batch; the answers for the next one arrive while this one is written."""
        asked: deque[Batch] = deque()
        while asked or (asked := deque(islice(batches, 1))):
            try:
                session = self._connected()
            except (FarvaultError, GaveUp):  # fetching it finds the same, and knows what to do
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

        with contextlib.closing(run_ahead(receive_each(session, each()), AHEAD, "receive")) as arrivals:
            for first in arrivals:
                asked.popleft()
                self._tell(self._fetch(first.batch, _answers(first, arrivals)))

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
        except FarvaultError as refusal:
            fetch.give_up_rest(refusal.message.text)
            if isinstance(refusal, ProtocolError):
                self._drop()
        finally:
            fetch.close()
        return fetch.result

    def _run_fetch(self, fetch: Fetch, answers: Iterator[Received] | None) -> None:
        problem: PeerUnreachable | None = None
        try:
            session = self._connected()
            return fetch.run(session) if answers is None else fetch.take(answers)
        except PeerUnreachable as lost:
            problem = lost
        for session in self._reconnected(problem):
            try:
                return fetch.run(session)
            except PeerUnreachable:
                self._drop()
        raise GaveUp

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
        if self._gave_up:
            raise GaveUp
        if self._session is None:
            self._session = self._sessions.take()
        return self._session

    def _reconnected(self, problem: PeerUnreachable) -> Iterator[NodeSession]:
        """A new session each time one is asked for, until the time for reconnecting is over. Says what happens."""
        self._drop()
        self._notice("ANS1809W", reason=problem.message.text)
        until = time.monotonic() + self._settings.restart_seconds
        while time.monotonic() < until and not self._stop.wait(self._settings.restart_interval_seconds):
            try:
                self._session = self._connect()
            except PeerUnreachable:
                continue
            except FarvaultError as refusal:
                self._notice("ANS1811S", reason=refusal.message.text)
                self._gave_up = True
                return
            self._notice("ANS1810E")
            yield self._session
        self._notice("ANS1811S", reason=problem.message.text)
        self._gave_up = True

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
