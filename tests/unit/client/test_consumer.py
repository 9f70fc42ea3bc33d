"""A consumer between a client that hands out work and a server that does what it likes: every end is told and clean."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE_SECONDS

from farvault.base.errors import FarvaultError, LoginRefused, NotAvailable, PeerUnreachable
from farvault.base.messages import message
from farvault.client import consumer as consumers
from farvault.client.attributes import encode_attributes
from farvault.client.consumer import SHORTEST_PAUSE_SECONDS, Consumer, WorkQueue
from farvault.client.fetching import Fetch, receive_each
from farvault.client.placing import Placer
from farvault.client.reading import FileReader
from farvault.client.work import (
    Answer,
    Batch,
    BatchResult,
    ConsumerSettings,
    Entry,
    Notice,
    RestoreFile,
    RestoreFolder,
    Unit,
    UnitResult,
    WorkFolder,
    read_answers,
    write_frame,
)
from farvault.model.stored_object import FileAttributes
from farvault.protocol import messages as m
from farvault.seal.compress import RAW
from farvault.seal.digest import digest
from farvault.seal.pack import PackBuilder
from farvault.transport.ports import unused_port

CONTENT = b"content"
Step = m.Body | bytes | Exception | Callable[[], None]


class Link:
    """A connection and its session: what the server answers is written down; after that it is silent until it is cut."""

    def __init__(self, *steps: Step) -> None:
        self.connection = self
        self.steps = list(steps)
        self.asked: list[m.Body] = []
        self.bytes_received = self.bytes_sent = 0
        self.transfer_seconds = 0.0
        self.state_since = time.monotonic()
        self.was_closed = False
        self.cut = threading.Event()

    def send(self, body: m.Body) -> None:
        self.asked.append(body)

    def expect(self, *_: type[m.Body]) -> tuple[m.Body, memoryview]:
        while self.steps:
            step = self.steps.pop(0)
            if isinstance(step, Exception):
                raise step
            if isinstance(step, bytes):
                self.bytes_received += len(step)
                return m.Pack(codec=RAW, plain_bytes=len(step)), memoryview(step)
            if isinstance(step, m.Body):
                self.bytes_received += 100
                return step, memoryview(b"")
            step()
        assert self.cut.wait(PATIENCE_SECONDS), "nobody cut the link"
        raise lost("cut")

    def shutdown(self) -> None:
        self.cut.set()

    def close(self) -> None:
        self.was_closed = True
        self.cut.set()


def lost(reason: str) -> PeerUnreachable:
    return PeerUnreachable("ANR8218E", peer="server", reason=reason)


def answers_for(number: int) -> list[Step]:
    builder = PackBuilder("ANN", "/", 1, "STANDARD")
    builder.add_extent(digest(CONTENT), CONTENT)
    row = m.MapRow(number, digest(CONTENT), (len(CONTENT),))
    return [m.ObjectMaps(rows=(row,)), bytes(builder.build()), m.ReadEnd()]


def batch(folder: Path, number: int) -> Batch:
    size = len(CONTENT)
    attributes = encode_attributes(FileAttributes(0o100600, os.geteuid(), os.getegid(), size, 5, 5))
    file = RestoreFile(number, b"file%d" % number, 1, size, attributes, "YES")
    return Batch(number=number, root=os.fsencode(folder), folders=[RestoreFolder(b"", [file])])


def unit(folder: Path, number: int) -> Unit:
    (folder / "file").write_bytes(CONTENT)
    entry = Entry.of(b"file", (folder / "file").stat())
    return Unit(
        number=number,
        root=os.fsencode(folder),
        file_space="/",
        kind=1,
        management_class="STANDARD",
        folders=[WorkFolder(b"", [entry])],
    )


def settings(**values: Any) -> ConsumerSettings:
    return ConsumerSettings(host="server", port=1, fingerprint="", node="ANN", password="secret", **values)


class Clock:
    """Time that passes only where somebody waits. Also the `stop` of a consumer."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False

    def is_set(self) -> bool:
        return False


class Bench:
    """A consumer at work in a thread. `dialled`: what each attempt to reach the server comes to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.dialled: list[Link | FarvaultError] = []
        self.attempts = 0
        self.answers: list[Answer] = []
        self.settings = settings(restart_interval_seconds=0.0)
        self.stop: Any = None
        self.work = WorkQueue()
        self.problem: BaseException | None = None
        self.on_answer: Callable[[], None] | None = None
        monkeypatch.setattr(consumers, "open_session", self._dial)

    def _dial(self, _: object) -> Link:
        self.attempts += 1
        next_one = self.dialled.pop(0)
        if isinstance(next_one, FarvaultError):
            raise next_one
        return next_one

    def _tell(self, answer: Answer) -> None:
        self.answers.append(answer)
        if self.on_answer is not None:
            self.on_answer()

    def start(self, *items: Batch | Unit) -> None:
        self.consumer = Consumer(self.settings, self._tell, stop=self.stop)
        for item in items:
            self.work.put(item)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.consumer.run(self.work)
        except BaseException as problem:
            self.problem = problem

    def ends(self) -> None:
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive(), "it hangs"

    def run(self, *items: Batch | Unit) -> list[BatchResult | UnitResult]:
        self.start(*items)
        self.work.end()
        self.ends()
        assert self.problem is None, self.problem
        return self.results()

    def results(self) -> list[BatchResult | UnitResult]:
        return [each for each in self.answers if not isinstance(each, Notice)]

    def told(self) -> list[str]:
        return [each.message_id for each in self.answers if isinstance(each, Notice)]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


# --- what nobody expects -----------------------------------------------------------------------------------------


def broken(*_: object) -> None:
    raise ZeroDivisionError("nobody expects this")


def test_a_defect_of_the_writer_ends_the_consumer_while_server_and_client_are_silent(
    bench: Bench, tmp_path: Path
) -> None:
    bench.monkeypatch.setattr(Fetch, "_unpack", broken)
    bench.dialled = [Link(*answers_for(1))]
    bench.start(batch(tmp_path, 1), batch(tmp_path, 2))
    bench.ends()
    assert isinstance(bench.problem, ZeroDivisionError)
    assert bench.told() == ["ANS9830E"]
    assert list(tmp_path.iterdir()) == []


def test_a_defect_of_the_receiver_ends_the_consumer(bench: Bench, tmp_path: Path) -> None:
    bench.dialled = [Link(*answers_for(1)[:2], ZeroDivisionError("nobody expects this"))]
    bench.start(batch(tmp_path, 1))
    bench.ends()
    assert isinstance(bench.problem, ZeroDivisionError)
    assert bench.told() == ["ANS9830E"]


def test_a_defect_of_the_reader_or_of_the_sender_ends_the_consumer(bench: Bench, tmp_path: Path) -> None:
    bench.monkeypatch.setattr(FileReader, "groups", broken)
    bench.dialled = [Link(m.Done())]
    bench.start(unit(tmp_path, 1))
    bench.ends()
    assert isinstance(bench.problem, AttributeError | ZeroDivisionError)
    (notice,) = [each for each in bench.answers if isinstance(each, Notice)]
    assert notice.message_id == "ANS9830E" and ".py, line" in notice.text


def test_an_answer_that_is_not_for_the_batch_is_a_defect(bench: Bench, tmp_path: Path) -> None:
    """Nothing of it is written."""
    other = batch(tmp_path, 9)

    def mixed(session: Any, batches: Any) -> Any:
        for arrival in receive_each(session, batches):
            yield arrival._replace(batch=other)

    bench.monkeypatch.setattr(consumers, "receive_each", mixed)
    bench.dialled = [Link(*answers_for(1))]
    bench.start(batch(tmp_path, 1))
    bench.ends()
    assert isinstance(bench.problem, AssertionError)
    assert list(tmp_path.iterdir()) == []


# --- what the server says ----------------------------------------------------------------------------------------


def test_a_refusal_in_the_middle_of_a_batch_fails_its_objects_with_the_servers_reason(
    bench: Bench, tmp_path: Path
) -> None:
    refusal = NotAvailable.from_message(message("ANR1423W", volume="V1", pool="P", location="away"))
    bench.dialled = [Link(answers_for(1)[0], refusal, *answers_for(2))]
    first, second = bench.run(batch(tmp_path, 1), batch(tmp_path, 2))
    assert isinstance(first, BatchResult) and isinstance(second, BatchResult)
    assert [(each.message_id, each.reason) for each in first.failures] == [("ANS1314E", refusal.message.text)]
    assert (second.restored, bench.told()) == (1, [])


def test_bytes_are_counted_though_they_came_before_the_writer_looked(bench: Bench, tmp_path: Path) -> None:
    all_came = threading.Event()
    wire_bytes = sum(len(step) if isinstance(step, bytes) else 100 for step in answers_for(1))
    real = Fetch.take

    def late(fetch: Fetch, answers: Any) -> None:
        assert all_came.wait(PATIENCE_SECONDS)
        real(fetch, answers)

    bench.monkeypatch.setattr(Fetch, "take", late)
    bench.dialled = [Link(*answers_for(1), all_came.set)]
    bench.start(batch(tmp_path, 1), batch(tmp_path, 2))
    bench.dialled.append(lost("away"))
    all_came.wait(PATIENCE_SECONDS)
    bench.work.end()
    bench.consumer.abort()
    bench.ends()
    first = bench.results()[0]
    assert isinstance(first, BatchResult)
    assert (first.restored, first.received_bytes) == (1, wire_bytes)


# --- the link ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [batch, unit])
def test_a_refused_sign_on_is_tried_once_for_all_there_is_to_do(
    bench: Bench, tmp_path: Path, make: Callable[[Path, int], Batch | Unit]
) -> None:
    bench.dialled = [LoginRefused("ANS1025E", node="ANN") for _ in range(9)]
    results = bench.run(*(make(tmp_path, number) for number in range(1, 4)))
    assert [each.lost_link for each in results] == [True] * 3
    assert (bench.attempts, bench.told()) == (1, ["ANS1811S"])


def test_each_break_has_the_whole_time_for_reconnecting(bench: Bench, tmp_path: Path) -> None:
    clock = bench.stop = Clock()
    bench.monkeypatch.setattr(consumers, "time", clock)
    bench.settings = settings(restart_seconds=60.0, restart_interval_seconds=15.0)
    away: list[Link | FarvaultError] = [lost("away")] * 3
    bench.dialled = [Link(lost("first"))]
    bench.dialled += [*away, Link(answers_for(1)[0], lost("second"))]
    bench.dialled += [*away, Link(lost("third"))]
    bench.dialled += [*away, Link(*answers_for(1))]
    (result,) = bench.run(batch(tmp_path, 1))
    assert isinstance(result, BatchResult) and result.restored == 1
    assert bench.told() == ["ANS1809W", "ANS1810E"] * 3
    texts = [each.text for each in bench.answers if isinstance(each, Notice)][::2]
    assert [word in text for word, text in zip(("first", "second", "third"), texts, strict=True)] == [
        True
    ] * 3


def test_an_interval_of_nothing_does_not_hammer_at_a_dead_port(bench: Bench, tmp_path: Path) -> None:
    clock = bench.stop = Clock()
    bench.monkeypatch.setattr(consumers, "time", clock)
    bench.settings = settings(restart_seconds=10.0, restart_interval_seconds=0.0)
    bench.dialled = [Link(lost("first")), *[lost("away")] * 1000]
    (result,) = bench.run(batch(tmp_path, 1))
    assert result.lost_link
    assert clock.waits[0] == 0.0 and min(clock.waits[1:]) >= SHORTEST_PAUSE_SECONDS
    assert len(clock.waits) <= 10.0 / SHORTEST_PAUSE_SECONDS + 2


def test_a_server_that_falls_over_one_batch_each_time_is_left_in_the_end(
    bench: Bench, tmp_path: Path
) -> None:
    bench.monkeypatch.setattr(consumers, "BREAKS_MOST", 3)
    bench.dialled = [Link(lost("again")) for _ in range(10)]
    (result,) = bench.run(batch(tmp_path, 1))
    assert result.lost_link
    assert bench.told() == [*["ANS1809W", "ANS1810E"] * 3, "ANS1811S"]


def test_a_session_that_idled_is_replaced_without_a_word(bench: Bench, tmp_path: Path) -> None:
    """The server may have ended it: a long walk over unchanged files asks nothing."""
    idle, fresh = Link(*answers_for(1)), Link(*answers_for(2))
    written = threading.Event()
    bench.dialled = [idle, fresh]
    bench.on_answer = written.set
    bench.start(batch(tmp_path, 1))
    assert written.wait(PATIENCE_SECONDS)
    idle.state_since -= 1000
    idle.steps = [lost("the server ended it")]
    bench.work.put(batch(tmp_path, 2))
    bench.work.end()
    bench.ends()
    assert [(each.number, each.lost_link) for each in bench.results()] == [(1, False), (2, False)]
    assert bench.told() == [] and idle.was_closed and len(idle.asked) == 1
    assert sorted(os.listdir(tmp_path)) == ["file1", "file2"]


# --- broken off --------------------------------------------------------------------------------------------------


def test_an_abort_leaves_nothing_half_done(bench: Bench, tmp_path: Path) -> None:
    bench.monkeypatch.setattr(Placer, "_try_nameless", lambda _self, _folder: False)
    waiting = threading.Event()
    size = 2 * len(CONTENT)
    attributes = encode_attributes(FileAttributes(0o100600, os.geteuid(), os.getegid(), size, 5, 5))
    file = RestoreFile(1, b"file", 1, size, attributes, "YES")
    both = Batch(number=1, root=os.fsencode(tmp_path), folders=[RestoreFolder(b"", [file])])
    row = m.MapRow(1, digest(CONTENT) + digest(b"content"[::-1]), (len(CONTENT), len(CONTENT)))
    bench.dialled = [Link(m.ObjectMaps(rows=(row,)), answers_for(1)[1], waiting.set)]
    written = threading.Event()
    real = Fetch._keep_open

    def keep_open(fetch: Fetch, state: Any) -> None:
        real(fetch, state)
        written.set()

    bench.monkeypatch.setattr(Fetch, "_keep_open", keep_open)
    bench.start(both)
    assert waiting.wait(PATIENCE_SECONDS) and written.wait(PATIENCE_SECONDS)
    assert len(list(tmp_path.iterdir())) == 1, "begun"
    bench.consumer.abort()
    bench.work.end()
    bench.ends()
    assert list(tmp_path.iterdir()) == []
    assert [each.lost_link for each in bench.results()] == [True]


@pytest.mark.parametrize("end", ["its client is gone", "it is told to"])
def test_a_worker_process_ends_soon_and_quietly(tmp_path: Path, end: str) -> None:
    """It waits for a server that is away, for an hour; nobody reads what it says."""
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "farvault.client.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert worker.stdin is not None and worker.stdout is not None and worker.stderr is not None
    to_nowhere = ConsumerSettings(
        host="127.0.0.1", port=unused_port(), fingerprint="", node="ANN", password="secret"
    )
    write_frame(worker.stdin, to_nowhere)  # type: ignore[arg-type]
    write_frame(worker.stdin, batch(tmp_path, 1))  # type: ignore[arg-type]
    first = next(read_answers(worker.stdout))  # type: ignore[arg-type]
    assert isinstance(first, Notice) and first.message_id == "ANS1809W"
    if end == "it is told to":
        worker.terminate()
    else:
        worker.stdin.close()
        worker.stdout.close()
    try:
        worker.wait(PATIENCE_SECONDS)
        assert worker.stderr.read() == b""
    finally:
        worker.kill()
        worker.wait()
        for pipe in (worker.stdin, worker.stdout, worker.stderr):
            pipe.close()
