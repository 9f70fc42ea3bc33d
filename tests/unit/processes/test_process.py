"""A process has a number, shows its progress, can be cancelled, and never calls a job with errors a success."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from tests.patience import PATIENCE_SECONDS

from farvault.base.clock import ManualClock, SystemClock
from farvault.base.errors import Cancelled, InUse, MediaFull, NotFound
from farvault.base.log import Line, Log
from farvault.processes.process import HISTORY, Process, Processes, State, run_side_by_side


class Bench:
    """Processes of a server whose clock stands still, and everything they said."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = Log(self.clock)
        self.lines: list[Line] = []
        self.log.add_sink(self.lines.append)
        self.processes = Processes(self.log, self.clock)

    def said(self) -> list[str]:
        return [line.message.id for line in self.lines]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    assert bench.processes.close(PATIENCE_SECONDS)


def test_numbers_grow_and_the_start_and_the_end_are_said_with_the_number(bench: Bench) -> None:
    bench.processes.start("FIRST", lambda process: None, wait=True)
    second = bench.processes.start("SECOND", lambda process: process.advance(3, 4096), wait=True)
    assert second.number == 2
    assert bench.said() == ["ANR0984I", "ANR0985I", "ANR0984I", "ANR0986I"]
    assert {line.process for line in bench.lines} == {1, 2}
    assert "processed 3 items for a total of 4.00 KB with a completion state of SUCCESS" in str(
        bench.lines[-1]
    )


def test_items_without_bytes_are_told_without_bytes(bench: Bench) -> None:
    bench.processes.start("X", lambda process: process.advance(1), wait=True)
    assert bench.said()[-1] == "ANR0987I"


def test_the_time_it_took_and_its_rate_are_told_where_bytes_moved(bench: Bench) -> None:
    def work(process: Process) -> None:
        process.advance(3, 30 << 20)
        bench.clock.advance(4)

    bench.processes.start("X", work, wait=True)
    assert bench.said() == ["ANR0984I", "ANR0986I", "ANR2970I"]
    assert "Process 1 took 4.00 seconds: 7.50 MB/s." in str(bench.lines[-1])


def test_an_error_of_the_work_is_said_and_the_process_fails(bench: Bench) -> None:
    def work(process: Process) -> None:
        process.advance(1, 10)
        raise MediaFull("ANR8341I", volume="A")

    process = bench.processes.start("X", work, wait=True)
    assert process.state is State.FAILURE
    assert process.error is not None and process.error.id == "ANR8341I"
    assert bench.said() == ["ANR0984I", "ANR8341I", "ANR0986I", "ANR1893E"]
    assert "SUCCESS" not in str(bench.lines[-2])


def test_one_failed_object_is_enough_for_failure(bench: Bench) -> None:
    def work(process: Process) -> None:
        process.advance(9, 90)
        process.count_failed(1, 10)

    process = bench.processes.start("X", work, wait=True)
    assert process.state is State.FAILURE
    assert bench.said()[-1] == "ANR1893E"
    assert "Items that failed: 1." in str(bench.lines[-1])


def test_a_defect_in_the_work_ends_the_process_not_the_server(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    process = bench.processes.start("X", lambda process: 1 / 0, wait=True)  # type: ignore[arg-type,return-value]
    assert process.state is State.FAILURE
    assert "ANR9999D" in bench.said()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_background_process_is_listed_while_it_runs_and_remembered_afterwards(bench: Bench) -> None:
    go_on = threading.Event()
    process = bench.processes.start("X", lambda process: bool(go_on.wait(PATIENCE_SECONDS)) and None)
    assert bench.processes.list() == [process]
    assert process.state is State.RUNNING
    go_on.set()
    assert process.wait(PATIENCE_SECONDS)
    assert process.state is State.SUCCESS
    assert bench.processes.close(PATIENCE_SECONDS)
    assert bench.processes.list() == []


def test_cancel_stops_the_work_at_its_next_safe_point(bench: Bench) -> None:
    started, asked = threading.Event(), threading.Event()

    def work(process: Process) -> None:
        started.set()
        asked.wait(PATIENCE_SECONDS)
        process.raise_if_cancelled()
        pytest.fail("the work went on")

    process = bench.processes.start("X", work)
    assert started.wait(PATIENCE_SECONDS)
    bench.processes.cancel(process.number)
    assert "Cancel in progress" in process.status()
    asked.set()
    assert process.wait(PATIENCE_SECONDS)
    assert process.state is State.CANCELLED
    assert bench.said() == ["ANR0984I", "ANR0943I", "ANR0985I", "ANR1893E"]


def test_cancelling_what_does_not_run_is_refused(bench: Bench) -> None:
    done = bench.processes.start("X", lambda process: None, wait=True)
    for number in (done.number, 77):
        with pytest.raises(NotFound, match="ANR0942E"):
            bench.processes.cancel(number)


def test_where_only_one_may_run_a_second_is_refused_with_the_number_of_the_first(bench: Bench) -> None:
    def work(process: Process) -> None:
        assert bench.processes.is_running("FIRST") and not bench.processes.is_running("OTHER")
        with pytest.raises(InUse, match=rf"ANR0815E.* {process.number}\b"):
            bench.processes.start("FIRST", lambda _: None, wait=True, refusal="ANR0815E")
        bench.processes.start("OTHER", lambda _: None, wait=True, refusal="ANR0815E")
        bench.processes.start("FIRST", lambda _: None, wait=True)

    for _ in range(2):
        first = bench.processes.start("FIRST", work, wait=True, refusal="ANR0815E")
        assert first.state is State.SUCCESS, first.error
    assert not bench.processes.is_running("FIRST")


def test_the_status_shows_objects_bytes_rate_and_failures(bench: Bench) -> None:
    shown: list[str] = []

    def work(process: Process) -> None:
        process.advance(1200, 10 << 20)
        bench.clock.advance(5)
        process.count_failed(2)
        process.note = "Volume A"
        shown.append(process.status())

    bench.processes.start("X", work, wait=True)
    assert shown == [
        "Objects: 1,200, Bytes: 10.00 MB (2.00 MB/s), Unsuccessful Objects: 2. Volume A",
    ]


def test_the_rate_of_an_ended_process_stands_still(bench: Bench) -> None:
    def work(process: Process) -> None:
        process.advance(1, 100)
        bench.clock.advance(10)

    process = bench.processes.start("X", work, wait=True)
    bench.clock.advance(1000)
    assert process.bytes_per_second == 10


def test_only_the_last_ended_processes_are_remembered(bench: Bench) -> None:
    for _ in range(HISTORY + 5):
        bench.processes.start("X", lambda process: None, wait=True)
    assert [process.number for process in bench.processes.history()] == list(range(6, HISTORY + 6))


def test_close_cancels_everything_and_says_who_did_not_stop() -> None:
    processes = Processes(Log(SystemClock()), SystemClock())
    stubborn = threading.Event()
    process = processes.start("X", lambda process: bool(stubborn.wait(PATIENCE_SECONDS)) and None)
    assert not processes.close(0.01)
    stubborn.set()
    assert process.wait(PATIENCE_SECONDS)


def test_counters_add_up_over_several_threads(bench: Bench) -> None:
    def work(process: Process) -> None:
        def count() -> None:
            for _ in range(1000):
                process.advance(1, 2)

        run_side_by_side([count] * 4, process.cancel_event)

    process = bench.processes.start("X", work, wait=True)
    assert (process.objects, process.bytes) == (4000, 8000)


def test_an_error_of_one_job_stops_its_siblings_and_is_what_the_process_ends_with(bench: Bench) -> None:
    def work(process: Process) -> None:
        def fail() -> None:
            raise MediaFull("ANR8341I", volume="A")

        def go_on() -> None:
            process.cancel_event.wait(PATIENCE_SECONDS)
            process.raise_if_cancelled()

        run_side_by_side([go_on, fail, go_on], process.cancel_event)

    process = bench.processes.start("X", work, wait=True)
    assert process.state is State.FAILURE
    assert process.error is not None and process.error.id == "ANR8341I"


def test_a_single_job_runs_in_the_callers_thread() -> None:
    threads: list[threading.Thread] = []
    run_side_by_side([lambda: threads.append(threading.current_thread())], threading.Event())
    assert threads == [threading.current_thread()]


def test_side_by_side_cancel_is_a_cancel() -> None:
    def cancelled() -> None:
        raise Cancelled("ANR0943I", number=1)

    with pytest.raises(Cancelled):
        run_side_by_side([cancelled, cancelled], threading.Event())
