"""Work that overlaps: bounded, in order, and no thread is left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from farvault.base.pipeline import Conveyor, map_ahead, run_ahead


def test_items_come_in_order_and_from_another_thread() -> None:
    threads = set()

    def source() -> Iterator[int]:
        for number in range(100):
            threads.add(threading.current_thread())
            yield number

    assert list(run_ahead(source(), 3)) == list(range(100))
    assert threading.current_thread() not in threads
    assert not any(thread.is_alive() for thread in threads)


def test_the_source_is_never_more_than_the_depth_ahead() -> None:
    """So a ring of that many buffers is safe: item n + depth is made only when n is done with."""
    depth, used = 3, 0
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(200):
            assert number < used + depth + 1
            made.append(number)
            yield number

    for number in run_ahead(source(), depth):
        assert len(made) <= number + depth + 1
        used = number + 1
    assert used == 200


def test_an_error_comes_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise OSError("broken")

    ahead = run_ahead(source(), 2)
    assert next(ahead) == 1
    with pytest.raises(OSError, match="broken"):
        next(ahead)


def test_leaving_early_closes_the_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    ahead = run_ahead(source(), 2)
    next(ahead)
    ahead.close()
    assert closed.is_set()


def test_a_conveyor_works_in_order_and_tells_the_first_error_at_the_end() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 5:
            raise OSError("broken")
        done.append(item)

    conveyor = Conveyor(work, 2)
    for item in range(10):
        conveyor.offer(item)
    with pytest.raises(OSError, match="broken"):
        conveyor.finish()
    assert done == [0, 1, 2, 3, 4] and conveyor.failed


def test_a_conveyor_nobody_used_ends_at_once() -> None:
    conveyor: Conveyor[int] = Conveyor(lambda _item: None, 1)
    conveyor.finish()
    conveyor.stop()


def test_work_done_side_by_side_comes_in_the_order_of_the_source() -> None:
    """The first item is the last to be done: the second cannot overtake it."""
    second_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_is_done.wait(60), "nothing is done beside the first"
        if number == 1:
            second_is_done.set()
        return number * 2

    assert list(map_ahead(range(100), work, 4, lanes=2, name="double")) == list(range(0, 200, 2))


def test_side_by_side_never_more_than_the_depth_is_under_way() -> None:
    depth, used = 4, 0

    def source() -> Iterator[int]:
        for number in range(200):
            assert number < used + depth + 1
            yield number

    for number in map_ahead(source(), abs, depth, lanes=3, name="work"):
        used = number + 1
    assert used == 200


def test_an_error_of_the_work_comes_in_its_place_and_ends_all_threads() -> None:
    closed = threading.Event()
    threads = set()

    def source() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.set()

    def work(number: int) -> int:
        threads.add(threading.current_thread())
        if number == 5:
            raise OSError("broken")
        return number

    done = []
    with pytest.raises(OSError, match="broken"):
        for number in map_ahead(source(), work, 4, lanes=2, name="work"):
            done.append(number)
    assert done == [0, 1, 2, 3, 4]
    assert closed.is_set() and not any(thread.is_alive() for thread in threads)


def test_a_broken_source_ends_side_by_side_work_too() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise OSError("broken")

    ahead = map_ahead(source(), abs, 4, lanes=2, name="work")
    assert next(ahead) == 1
    with pytest.raises(OSError, match="broken"):
        next(ahead)
