"""Choosing the pool: down the hierarchy until one is writable, takes the size and has room."""

from __future__ import annotations

import pytest

from farvault.policy.destination import Choice, PoolState, Refusal, choose_pool, follow_chain

OPEN = PoolState("OPEN", "READWRITE", None, None)
SMALL_FILES = PoolState("SMALL", "READWRITE", 100, None)
NEARLY_FULL = PoolState("FULL", "READWRITE", None, 50)
READ_ONLY = PoolState("READONLY", "READONLY", None, None)
GONE = PoolState("GONE", "UNAVAILABLE", None, None)


@pytest.mark.parametrize(
    ("chain", "size", "expected"),
    [
        ([OPEN], 10**15, Choice("OPEN")),
        ([SMALL_FILES, OPEN], 100, Choice("SMALL")),
        ([SMALL_FILES, OPEN], 101, Choice("OPEN")),
        ([SMALL_FILES], 101, Choice("", Refusal.TOO_LARGE)),
        ([SMALL_FILES, SMALL_FILES], 101, Choice("", Refusal.TOO_LARGE)),
        ([NEARLY_FULL, OPEN], 50, Choice("FULL")),
        ([NEARLY_FULL, OPEN], 51, Choice("OPEN")),
        ([NEARLY_FULL], 51, Choice("", Refusal.NO_SPACE)),
        ([SMALL_FILES, NEARLY_FULL], 200, Choice("", Refusal.NO_SPACE)),
        ([READ_ONLY, OPEN], 1, Choice("OPEN")),
        ([GONE, READ_ONLY], 1, Choice("", Refusal.NO_SPACE)),
        ([], 1, Choice("", Refusal.UNDEFINED)),
    ],
)
def test_the_first_pool_that_can_take_it_does(chain: list[PoolState], size: int, expected: Choice) -> None:
    assert choose_pool(chain, size, size) == expected


def test_maxsize_asks_for_the_largest_file_and_room_for_all_of_them() -> None:
    assert choose_pool([SMALL_FILES, OPEN], 10_000, 100) == Choice("SMALL")
    assert choose_pool([NEARLY_FULL, OPEN], 51, 1) == Choice("OPEN")
    assert choose_pool([SMALL_FILES], 10, 101) == Choice("", Refusal.TOO_LARGE)


@pytest.mark.parametrize(
    ("start", "names"),
    [("A", ["A", "B", "C"]), ("C", ["C"]), ("X", []), ("", []), ("R1", ["R1", "R2"]), ("D", ["D"])],
)
def test_a_chain_ends_where_no_pool_follows_or_a_ring_closes(start: str, names: list[str]) -> None:
    next_pools = {"A": "B", "B": "C", "C": "", "R1": "R2", "R2": "R1", "D": "MISSING"}
    assert follow_chain(start, next_pools) == names
