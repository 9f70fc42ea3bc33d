"""Background work: a number, progress, cancel, and an end that always says how it went.

Work is a plain function that gets its `Process`, tells it what it has done and asks it now and then whether it was
cancelled. It ends by returning (SUCCESS, or FAILURE where it counted failed objects) or by raising. A job with errors
never ends with the success message alone.
"""

from __future__ import annotations

import itertools
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from enum import StrEnum

from farvault.base.cancel import cancelled_by
from farvault.base.clock import Clock
from farvault.base.errors import Cancelled, FarvaultError, InUse, NotFound
from farvault.base.log import Log
from farvault.base.messages import Message, message
from farvault.base.units import show_size, show_time

HISTORY = 100
"""How many ended processes are remembered."""


class State(StrEnum):
    """Where a process stands. The last three are TSM's completion states."""

    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    CANCELLED = "CANCELED"


class Process:
    """One piece of work. Counters may be raised by several threads at once."""

    def __init__(
        self,
        number: int,
        description: str,
        log: Log,
        clock: Clock,
        *,
        wait: bool,
        session: int,
        pool: str = "",
    ) -> None:
        self.number = number
        self.description = description
        self.pool = pool
        self.started_time = clock.now_seconds()
        self.ended_time: int | None = None
        self.state = State.RUNNING
        self.error: Message | None = None
        self.note = ""
        self.objects = self.bytes = 0
        self.failed_objects = self.failed_bytes = 0
        self.cancel_event = threading.Event()
        self.ended_event = threading.Event()
        self._where = "FOREGROUND" if wait else "BACKGROUND"
        self._session = session
        self._log, self._clock = log, clock
        self._began = clock.monotonic_seconds()
        self._ended = 0.0
        self._lock = threading.Lock()

    def advance(self, objects: int = 0, bytes: int = 0) -> None:
        """This much more is done."""
        with self._lock:
            self.objects += objects
            self.bytes += bytes

    def count_failed(self, objects: int = 1, bytes: int = 0) -> None:
        """This much could not be done: the process goes on, and ends with FAILURE."""
        with self._lock:
            self.failed_objects += objects
            self.failed_bytes += bytes

    def raise_if_cancelled(self) -> None:
        """Called between two steps, where stopping leaves nothing half done."""
        if self.cancel_event.is_set():
            raise Cancelled("ANR0943I", number=self.number)

    def say(self, message_id: str, /, **values: object) -> None:
        """A line in the log that belongs to this process."""
        self.repeat(message(message_id, **values))

    def repeat(self, said: Message) -> None:
        """Say an error's own message, for this process."""
        self._log.repeat(said, process=self.number, session=self._session)

    @property
    def seconds(self) -> float:
        """How long it has run, or ran."""
        return (self._ended or self._clock.monotonic_seconds()) - self._began

    @property
    def bytes_per_second(self) -> float:
        return self.bytes / self.seconds if self.seconds > 0 else 0.0

    def status(self) -> str:
        """What QUERY PROCESS shows."""
        text = f"Objects: {self.objects:,}, Bytes: {show_size(self.bytes)}"
        if self.bytes:
            text += f" ({show_size(int(self.bytes_per_second))}/s)"
        if self.failed_objects:
            text += f", Unsuccessful Objects: {self.failed_objects:,}"
        if self.cancel_event.is_set() and self.state is State.RUNNING:
            text += ". Cancel in progress"
        return f"{text}. {self.note}" if self.note else text

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait for the end; True when it came."""
        return self.ended_event.wait(timeout_seconds)

    def _run(self, work: Callable[[Process], None]) -> None:
        self.say(
            "ANR0984I",
            number=self.number,
            description=self.description,
            where=self._where,
            time=show_time(self.started_time),
        )
        try:
            with cancelled_by(self.cancel_event):
                work(self)
            state = State.FAILURE if self.failed_objects else State.SUCCESS
        except Cancelled as cancelled:
            self.error, state = cancelled.message, State.CANCELLED
        except FarvaultError as error:
            self.error, state = error.message, State.FAILURE
        except Exception as error:  # noqa: BLE001 - a defect in one job must not take the server down
            traceback.print_exc(file=sys.stderr)
            self.error, state = message("ANR9999D", place=self.description, error=repr(error)), State.FAILURE
        self._end(state)

    def _end(self, state: State) -> None:
        self._ended = self._clock.monotonic_seconds()
        self.ended_time = self._clock.now_seconds()
        if self.error is not None:
            self.repeat(self.error)
        self.state = state
        ending = {
            "number": self.number,
            "description": self.description,
            "where": self._where,
            "state": state.value,
            "time": show_time(self.ended_time),
        }
        if self.bytes:
            self.say("ANR0986I", items=f"{self.objects:,}", size=show_size(self.bytes), **ending)
            if self.seconds > 0:
                rate = show_size(int(self.bytes_per_second))
                self.say("ANR2970I", number=self.number, seconds=f"{self.seconds:.2f}", rate=rate)
        elif self.objects:
            self.say("ANR0987I", items=f"{self.objects:,}", **ending)
        else:
            self.say("ANR0985I", **ending)
        if state is not State.SUCCESS:
            failed = f" Items that failed: {self.failed_objects:,}." if self.failed_objects else ""
            self.say(
                "ANR1893E",
                number=self.number,
                description=self.description,
                state=state.value,
                failed=failed,
            )


class Processes:
    """All processes of one server: the running ones and the last that ended."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log, self._clock = log, clock
        self._numbers = itertools.count(1)
        self._running: dict[int, Process] = {}
        self._ended: deque[Process] = deque(maxlen=HISTORY)
        self._lock = threading.Lock()

    def start(
        self,
        description: str,
        work: Callable[[Process], None],
        *,
        wait: bool = False,
        session: int = 0,
        pool: str = "",
        refusal: str = "",
    ) -> Process:
        """Run `work` in a thread of its own, or with `wait` right here. Never raises what the work raises.

        `pool`: the storage pool that it moves data out of; `InUse` where another process does that already. `refusal`:
        what `InUse` says where a process of this description is at work already; '' = any number of them may be.
        """
        with self._lock:
            self._refuse_second(description, pool, refusal)
            process = Process(
                next(self._numbers),
                description,
                self._log,
                self._clock,
                wait=wait,
                session=session,
                pool=pool,
            )
            self._running[process.number] = process
        if wait:
            self._run(process, work)
        else:
            name = f"process-{process.number}"
            thread = threading.Thread(target=self._run, args=(process, work), name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # there are no more threads to be had
                with self._lock:
                    del self._running[process.number]
                raise
        return process

    def _refuse_second(self, description: str, pool: str, refusal: str) -> None:
        """The lock is held."""
        for other in self._running.values():
            if refusal and other.description == description:
                raise InUse(refusal, number=other.number)
            if pool and other.pool == pool:
                raise InUse("ANR4702E", number=other.number, description=other.description, pool=pool)

    def is_running(self, description: str) -> bool:
        """Is a process of this description at work?"""
        with self._lock:
            return any(process.description == description for process in self._running.values())

    def is_moving(self, pool: str) -> bool:
        """Does any process move data out of the pool now?"""
        with self._lock:
            return any(process.pool == pool for process in self._running.values())

    def of_pool(self, pool: str, description: str) -> tuple[Process | None, Process | None]:
        """The process of this kind that moves data out of the pool now, and the last one that did (of those remembered)."""
        with self._lock:
            running = [p for p in self._running.values() if (p.pool, p.description) == (pool, description)]
            ended = [p for p in self._ended if (p.pool, p.description) == (pool, description)]
        return (running[0] if running else None), (ended[-1] if ended else None)

    def list(self) -> list[Process]:
        """The running ones, by number."""
        with self._lock:
            return sorted(self._running.values(), key=lambda process: process.number)

    def history(self) -> Sequence[Process]:
        """The ones that ended, the last one last."""
        with self._lock:
            return tuple(self._ended)

    def find(self, number: int) -> Process:
        """A running process; `NotFound` where there is none of this number."""
        with self._lock:
            if number not in self._running:
                raise NotFound("ANR0942E", number=number)
            return self._running[number]

    def cancel(self, number: int) -> Process:
        """Ask it to stop at its next safe point; it may take a while. `NotFound` where none of this number runs."""
        process = self.find(number)
        process.cancel_event.set()
        return process

    def close(self, timeout_seconds: float = 60) -> bool:
        """Cancel all and wait for their ends; False where one did not end in time."""
        running = self.list()
        for process in running:
            process.cancel_event.set()
        ended = [process.wait(timeout_seconds) for process in running]
        return all(ended)

    def _run(self, process: Process, work: Callable[[Process], None]) -> None:
        try:
            process._run(work)
        finally:
            with self._lock:
                del self._running[process.number]
                self._ended.append(process)
            process.ended_event.set()


def run_side_by_side(jobs: Sequence[Callable[[], None]], cancel_event: threading.Event) -> None:
    """Run the jobs at the same time, the first one in this thread, and wait for all; raises the first error.

    An error of one makes the others stop at their next safe point, by way of `cancel_event`.
    """
    if len(jobs) == 1:
        jobs[0]()
        return
    errors: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            errors.append(error)
            cancel_event.set()

    threads = [threading.Thread(target=copy_context().run, args=(run, job), daemon=True) for job in jobs[1:]]
    for thread in threads:
        thread.start()
    run(jobs[0])
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
