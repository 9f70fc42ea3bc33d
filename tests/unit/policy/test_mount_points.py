"""Who may have a mount point: never more than there are, the more urgent first, and nobody waits for ever."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from farvault.policy.mount_points import MountTable, Points, Priority, Request, useful_workers

COPY, MIGRATION, STORE, RESTORE = Priority.COPY, Priority.MIGRATION, Priority.STORE, Priority.RESTORE


def table(**limits: int) -> MountTable:
    return MountTable(limits=dict(limits))


def ask(table: MountTable, worker: int, priority: Priority, wants: Points) -> Request:
    request = Request(worker, priority, wants)
    table.ask(request)
    return request


def test_all_that_is_wanted_is_given_at_once_or_nothing() -> None:
    points = table(A=1, B=1)
    points.take(1, {"B": 1})
    both = ask(points, 2, COPY, {"A": 1, "B": 1})
    assert not points.may_take(both)
    points.give(1, "B")
    assert points.may_take(both)


def test_the_more_urgent_goes_first_and_of_equals_the_older() -> None:
    points = table(A=1)
    points.take(9, {"A": 1})
    old, young = ask(points, 1, COPY, {"A": 1}), ask(points, 2, COPY, {"A": 1})
    urgent = ask(points, 3, RESTORE, {"A": 1})
    points.give(9, "A")
    assert [points.may_take(one) for one in (old, young, urgent)] == [False, False, True]
    points.leave(urgent)
    assert [points.may_take(one) for one in (old, young)] == [True, False]


def test_a_free_point_is_kept_for_an_earlier_one_that_waits_for_a_second() -> None:
    points = table(A=1, B=1)
    points.take(9, {"B": 1})
    ask(points, 1, COPY, {"A": 1, "B": 1})
    later = ask(points, 2, COPY, {"A": 1})
    assert not points.may_take(later)


def test_nothing_is_kept_for_one_that_waits_for_a_volume() -> None:
    points = table(A=1)
    first = ask(points, 1, STORE, {"A": 1})
    second = ask(points, 2, COPY, {"A": 1})
    assert not points.may_take(second)
    first.is_paused = True
    assert points.may_take(second)


def test_who_holds_a_point_is_not_kept_from_the_next_by_those_that_wait_for_it() -> None:
    points = table(A=1, B=1)
    points.take(1, {"A": 1})
    ask(points, 2, RESTORE, {"A": 1, "B": 1})
    assert points.may_take(ask(points, 1, COPY, {"B": 1}))


@pytest.mark.parametrize(
    ("waiting", "wanted"),
    [(RESTORE, True), (MIGRATION, True), (COPY, False)],
)
def test_a_point_is_wanted_by_the_more_urgent_only(waiting: Priority, wanted: bool) -> None:
    points = table(A=1)
    points.take(1, {"A": 1})
    ask(points, 2, waiting, {"A": 1})
    assert points.is_wanted(1, COPY) is wanted


def test_a_point_is_not_wanted_where_there_is_another_one() -> None:
    points = table(A=2)
    points.take(1, {"A": 1})
    ask(points, 2, RESTORE, {"A": 1})
    assert not points.is_wanted(1, COPY)


def test_a_circle_of_two_is_stuck_and_a_chain_is_not() -> None:
    points = table(A=1, B=1)
    points.take(1, {"A": 1})
    points.take(2, {"B": 1})
    one = ask(points, 1, STORE, {"B": 1})
    assert not points.is_stuck(one), "the other one is at work and will come to an end"
    two = ask(points, 2, STORE, {"A": 1})
    assert points.is_stuck(one) and points.is_stuck(two)


def test_what_can_never_be_had_is_known() -> None:
    points = table(A=1)
    assert not points.can_ever_fit(1, {"A": 2})
    assert points.can_ever_fit(1, {"A": 1, "WITHOUT_LIMIT": 99})
    points.take(1, {"A": 1})
    assert not points.can_ever_fit(1, {"A": 1})


def test_giving_back_what_one_does_not_have_is_noticed() -> None:
    points = table(A=1)
    points.take(1, {"A": 1})
    with pytest.raises(AssertionError):
        points.give(1, "A", 2)


class Workers(RuleBasedStateMachine):
    """Six workers on three classes. Even ones are processes, they wait only with empty hands; odd ones are sessions.

    A session that finds itself stuck gives up, as the storage layer makes it do.
    """

    LIMITS: ClassVar[Counter[str]] = Counter({"A": 1, "B": 2, "C": 3})

    def __init__(self) -> None:
        super().__init__()
        self.table = MountTable(limits=dict(self.LIMITS))
        self.asked: dict[int, Request] = {}

    def held(self, worker: int) -> Counter[str]:
        return self.table.held.get(worker, Counter())

    def release(self, worker: int) -> None:
        for resource, number in list(self.held(worker).items()):
            self.table.give(worker, resource, number)

    @rule(
        worker=st.integers(0, 5),
        wants=st.dictionaries(st.sampled_from("ABC"), st.integers(1, 2), min_size=1),
        priority=st.sampled_from(list(Priority)),
    )
    def ask(self, worker: int, wants: dict[str, int], priority: Priority) -> None:
        if worker in self.asked or not self.table.can_ever_fit(worker, wants):
            return
        if worker % 2 == 0:
            self.release(worker)
        request = Request(worker, priority, wants)
        self.table.ask(request)
        self.asked[worker] = request
        if self.held(worker) and not self.table.may_take(request) and self.table.is_stuck(request):
            self.table.leave(request)
            del self.asked[worker]
            self.release(worker)

    @precondition(lambda self: self.table.held)
    @rule(data=st.data())
    def come_to_an_end(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.table.held)))
        if worker not in self.asked:
            self.release(worker)

    @rule()
    def serve(self) -> None:
        for worker, request in list(self.asked.items()):
            if self.table.may_take(request):
                self.table.leave(request)
                self.table.take(worker, request.wants)
                del self.asked[worker]

    @invariant()
    def never_more_than_there_are(self) -> None:
        assert all(self.table.used(one) <= limit for one, limit in self.LIMITS.items())

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        """Whoever is at work comes to an end; then all that wait are served one after the other."""
        left = MountTable(limits=dict(self.LIMITS))
        left.held = {worker: Counter(points) for worker, points in self.table.held.items()}
        left.waiting = list(self.table.waiting)
        while left.waiting:
            for worker in [one for one in left.held if one not in {other.worker for other in left.waiting}]:
                for resource, number in list(left.held[worker].items()):
                    left.give(worker, resource, number)
            served = next((one for one in left.waiting if left.may_take(one)), None)
            assert served is not None, f"{left.waiting} wait for {left.held}"
            left.leave(served)
            left.take(served.worker, served.wants)


Workers.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestWorkers = Workers.TestCase


@pytest.mark.parametrize(
    ("wanted", "limit", "reads_there", "workers"),
    [
        (4, 0, True, 4),
        (4, 3, False, 3),
        (2, 3, False, 2),
        (4, 5, True, 2),
        (4, 2, True, 1),
        (4, 1, True, 1),
        (0, 3, False, 1),
    ],
)
def test_no_more_workers_than_can_write_at_once(
    wanted: int, limit: int, reads_there: bool, workers: int
) -> None:
    assert useful_workers(wanted, limit, reads_there=reads_there) == workers
