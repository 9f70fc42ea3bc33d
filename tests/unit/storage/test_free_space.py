"""The free map of a random volume."""

from __future__ import annotations

import random

import pytest

from farvault.storage.free_space import FreeSpace


def test_free_space_survives_any_order_of_use() -> None:
    dice = random.Random(1)
    space = FreeSpace(4096, 4096 * 1001)
    held: dict[int, int] = {}
    for _ in range(5000):
        if held and dice.random() < 0.5:
            offset = dice.choice(list(held))
            space.release(offset, held.pop(offset))
        elif (offset := space.reserve(size := 4096 * dice.randint(1, 30))) is not None:
            assert offset >= 4096 and offset + size <= 4096 * 1001
            assert all(offset + size <= at or at + long <= offset for at, long in held.items())
            held[offset] = size
        assert space.free_bytes + sum(held.values()) == 4096 * 1000
    again = FreeSpace(4096, 4096 * 1001, list(held.items()))
    assert again.free_bytes == space.free_bytes and again.largest_bytes == space.largest_bytes
    for offset, size in held.items():
        space.release(offset, size)
    assert space.largest_bytes == space.free_bytes == 4096 * 1000


@pytest.mark.parametrize("span", [(8192, 4096), (4096, 8192), (0, 8192)])
def test_giving_back_what_is_free_is_noticed(span: tuple[int, int]) -> None:
    space = FreeSpace(0, 4096 * 10, [(0, 4096)])
    with pytest.raises(AssertionError):
        space.release(*span)
