"""Who does the work: a thread of this process for small jobs, worker processes for large ones.

The client hands out full units while it walks; the first full one starts the processes. Each holds at most a few units,
so memory stays flat however large the job is. An unchanged run starts nothing at all.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final

from farvault.base.units import MIB
from farvault.client.consumer import ABORT_SECONDS, Consumer, WorkQueue
from farvault.client.report import Report
from farvault.client.session import Sessions
from farvault.client.work import (
    Answer,
    Batch,
    BatchResult,
    ConsumerSettings,
    Notice,
    Unit,
    UnitResult,
    Work,
    read_answers,
    write_frame,
)

# Buffers of a few MiB come and go all the time. By default glibc gives them back to the kernel at once and pays for
# every page anew: measured a third of a worker's processor time.
_KEEP_MEMORY: Final = {
    "MALLOC_TRIM_THRESHOLD_": str(256 * MIB),
    "MALLOC_MMAP_THRESHOLD_": str(64 * MIB),
    "MALLOC_TOP_PAD_": str(16 * MIB),
}

HELD_MOST: Final = 3
"""Units a consumer has at once: one being made durable, one being read, one waiting."""

Result = UnitResult | BatchResult


class Stop(Exception):
    """Going on makes no sense; why has been said."""


class _Member:
    """What a thread and a process have in common. `held`: numbers of the items given to it and not answered."""

    def __init__(self, answers: queue.SimpleQueue[tuple[_Member, Answer | None]]) -> None:
        self.held: dict[int, Work] = {}
        self.answers = answers
        self.is_alive = True

    def tell(self, answer: Answer | None) -> None:
        self.answers.put((self, answer))


class _ThreadMember(_Member):
    """A consumer in this process."""

    def __init__(
        self,
        settings: ConsumerSettings,
        answers: queue.SimpleQueue[tuple[_Member, Answer | None]],
        sessions: Sessions,
        stop: threading.Event,
    ) -> None:
        super().__init__(answers)
        self._work = WorkQueue()
        self._consumer = Consumer(settings, self.tell, sessions, stop)
        self._thread = threading.Thread(target=self._run, name="consumer", daemon=True)
        self._thread.start()

    def give(self, item: Work) -> None:
        self._work.put(item)

    def finish(self, seconds: float | None = None) -> None:
        self._work.end()
        self._thread.join(seconds)

    def abort(self) -> None:
        self._consumer.abort()

    def _run(self) -> None:
        try:
            with contextlib.suppress(Exception):  # told by the consumer; what it held has no result
                self._consumer.run(self._work)
        finally:
            self.tell(None)


class _ProcessMember(_Member):
    """A consumer in a process of its own, and the thread that listens to it."""

    def __init__(
        self, settings: ConsumerSettings, answers: queue.SimpleQueue[tuple[_Member, Answer | None]]
    ) -> None:
        super().__init__(answers)
        self._process = subprocess.Popen(
            # -P: the current folder may be somebody else's, nothing is imported from it.
            [sys.executable, "-P", "-m", "farvault.client.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_KEEP_MEMORY},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        threading.Thread(target=self._listen, name="worker-results", daemon=True).start()
        self._write(settings)

    def give(self, item: Work) -> None:
        self._write(item)

    def finish(self, seconds: float | None = None) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._to.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def abort(self) -> None:
        self._process.terminate()

    def _write(self, item: Work | ConsumerSettings) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has died: the listening thread says so
            write_frame(self._to, item)  # type: ignore[arg-type]

    def _listen(self) -> None:
        for answer in read_answers(self._from):  # type: ignore[arg-type]
            self.tell(answer)
        self.tell(None)


class Crew:
    """Gives work out and collects results. `on_result(work, result)` and `on_notice` are called in the caller's thread.

    A result of None means that the consumer died with this work in its hands.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        processes: int,
        sessions: Sessions,
        on_result: Callable[[Work, Result | None], None],
        on_notice: Callable[[Notice], None],
    ) -> None:
        self._settings = settings
        self._processes = processes
        self._sessions = sessions
        self._on_result = on_result
        self._on_notice = on_notice
        self._answers: queue.SimpleQueue[tuple[_Member, Answer | None]] = queue.SimpleQueue()
        self._members: list[_ThreadMember | _ProcessMember] = []
        self._stop = threading.Event()

    @contextlib.contextmanager
    def at_work(self, report: Report) -> Iterator[None]:
        """Inside, work is handed out; what was is waited for at the end, also where `Stop` ends it. Ctrl-C breaks it off."""
        try:
            yield
            self.close()
        except Stop:
            self.close()
        except KeyboardInterrupt:
            self.abort()
            report.say("ANS2820E")
        except BaseException:
            self.abort()
            raise

    @property
    def is_working(self) -> bool:
        return any(member.held for member in self._members)

    def give(self, item: Unit | Batch, *, is_large: bool) -> None:
        """Hand out one item; waits while every consumer holds enough. `is_large`: worth starting processes."""
        self._muster(is_large)
        self.collect()
        while True:
            alive = [member for member in self._members if member.is_alive]
            if not alive:
                self._on_result(item, None)
                return
            idlest = min(alive, key=lambda member: len(member.held))
            if len(idlest.held) < HELD_MOST:
                idlest.held[item.number] = item
                idlest.give(item)
                return
            self._take(*self._answers.get())

    def collect(self) -> None:
        """Take what has been answered so far, without waiting."""
        while True:
            try:
                self._take(*self._answers.get_nowait())
            except queue.Empty:
                return

    def wait(self) -> None:
        """Until everything handed out is answered."""
        while self.is_working:
            self._take(*self._answers.get())

    def close(self) -> None:
        """Wait for what was handed out and end the consumers."""
        self.wait()
        for member in self._members:
            member.finish()
        self._members.clear()

    def abort(self) -> None:
        """End without waiting for the server: a person has interrupted. What is half done is taken away first."""
        for member in self._members:
            member.abort()
        for member in self._members:
            member.finish(ABORT_SECONDS)
        self._members.clear()

    def _muster(self, is_large: bool) -> None:
        if self._processes > 1 and is_large:
            if not any(isinstance(member, _ProcessMember) for member in self._members):
                for _ in range(self._processes):
                    self._members.append(_ProcessMember(self._settings, self._answers))
        elif not self._members:
            self._members.append(_ThreadMember(self._settings, self._answers, self._sessions, self._stop))

    def _take(self, member: _Member, answer: Answer | None) -> None:
        if isinstance(answer, Notice):
            self._on_notice(answer)
        elif answer is None:
            member.is_alive = False
            lost, member.held = member.held, {}
            for item in lost.values():
                self._on_result(item, None)
        else:
            self._on_result(member.held.pop(answer.number), answer)


def default_processes() -> int:
    """Two where there are two processors to run on: reading and compressing scale, the server needs its share."""
    return max(1, min(2, len(os.sched_getaffinity(0))))
