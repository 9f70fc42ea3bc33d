"""One session writes a virtual volume or performs a transaction: the newest, once the old one has let go."""

from __future__ import annotations

import threading

from tests.patience import PATIENCE_SECONDS

from farvault.sessions.takeover import Takeover


def never() -> None:
    raise AssertionError("nobody else wants it")


def test_the_newest_session_gets_the_volume_when_the_old_one_has_let_go() -> None:
    writers = Takeover()
    old, new = object(), object()
    cut, steps = threading.Event(), []
    writers.take((1, "V"), old, cut.set)

    def take() -> None:
        writers.take((1, "V"), new, never)
        steps.append("taken")

    thread = threading.Thread(target=take)
    thread.start()
    assert cut.wait(PATIENCE_SECONDS)
    steps.append("old makes durable what came")
    writers.leave((1, "V"), old)
    thread.join(PATIENCE_SECONDS)
    assert steps == ["old makes durable what came", "taken"]
    writers.leave((1, "V"), old)  # late, and not its own any more
    again = threading.Event()

    def let_go() -> None:
        again.set()
        threading.Thread(target=writers.leave, args=((1, "V"), new)).start()

    writers.leave((1, "V"), object())
    assert not again.is_set()
    writers._holders[1, "V"] = (new, let_go)
    writers.take((1, "V"), old, never)
    assert again.is_set(), "it was still the new one's"


def test_another_volume_another_node_and_the_same_session_are_no_conflict() -> None:
    writers = Takeover()
    session = object()
    writers.take((1, "V"), session, never)
    writers.take((1, "V"), session, never)
    writers.take((2, "V"), object(), never)
    writers.take((1, "W"), object(), never)


def test_where_the_old_one_does_not_let_go_in_time_it_keeps_what_must_not_happen_twice() -> None:
    transactions = Takeover()
    old, cut = object(), threading.Event()
    transactions.take((1, b"id"), old, cut.set)
    assert not transactions.take((1, b"id"), object(), never, 0, insists=False)
    assert cut.is_set()
    transactions.leave((1, b"id"), old)
    assert transactions.take((1, b"id"), object(), never, 0, insists=False)
