"""Which part of a target's questions is about the volume history."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farvault.processes.challenge_history import share_of_history


@given(st.integers(1, 100_000))
def test_a_twentieth_is_theirs_and_the_rest_misses_one_percent_in_a_month_as_rarely_as_promised(
    count: int,
) -> None:
    mine = share_of_history(count, True, True)
    assert count // 20 <= mine <= count // 20 + 1 and mine <= count
    assert share_of_history(count, True, False) == count, "nothing else is there"
    assert share_of_history(count, False, True) == 0
    assert 0.99 ** (30 * 95) < 1e-12


def test_a_single_question_is_theirs_now_and_then() -> None:
    assert {share_of_history(1, True, True) for _ in range(2000)} == {0, 1}
