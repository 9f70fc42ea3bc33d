"""Cutting: bounded pieces, and the same ones whether a file comes whole or in windows."""

from __future__ import annotations

import itertools
import json
from functools import cache
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from farvault.seal.chunk import EXTENT_MAX, EXTENT_MIN, cut

GOLDEN = Path(__file__).parents[2] / "golden" / "volume-v1"
MIB = 1 << 20


def noise(seed: str, length: int) -> bytes:
    return blake3(seed.encode()).digest(length)


INPUTS = {
    "noise": noise("a", 20 * MIB),
    "zeros": bytes(20 * MIB),
    "a short period": b"abcdefg" * (3 * MIB),
    "a long period": noise("b", 70_001) * 250,
    "zeros, then noise": bytes(5 * MIB) + noise("c", 9 * MIB),
}


@cache
def cut_whole(name: str) -> list[int]:
    return cut(memoryview(INPUTS[name]), final=True)


def cut_in_windows(data: bytes, sizes: list[int]) -> list[int]:
    """As a reader does it: whatever is left uncertain stands in front of the next window."""
    lengths: list[int] = []
    start = end = 0
    for size in itertools.cycle(sizes):
        end = min(end + size, len(data))
        for length in cut(memoryview(data)[start:end], final=end == len(data)):
            lengths.append(length)
            start += length
        if end == len(data):
            return lengths
    raise AssertionError


@pytest.mark.parametrize("name", INPUTS)
def test_extents_cover_everything_and_stay_within_their_bounds(name: str) -> None:
    data = INPUTS[name]
    lengths = cut(memoryview(data), final=True)
    assert sum(lengths) == len(data)
    assert max(lengths) <= EXTENT_MAX
    assert all(length >= EXTENT_MIN for length in lengths[:-1])


@pytest.mark.parametrize("size", [1, 1000, EXTENT_MIN - 1, EXTENT_MIN])
def test_a_small_file_is_one_extent(size: int) -> None:
    assert cut(memoryview(noise("d", size)), final=True) == [size]


def test_nothing_gives_nothing() -> None:
    assert cut(memoryview(b""), final=True) == []
    assert cut(memoryview(b""), final=False) == []


def test_a_piece_that_could_still_grow_is_left_out() -> None:
    data = memoryview(INPUTS["noise"])
    whole = cut(data, final=True)
    assert cut(data, final=False) == whole[:-1]
    assert cut(data[:EXTENT_MIN], final=False) == []


@pytest.mark.parametrize("name", INPUTS)
def test_a_window_longer_than_the_longest_extent_always_gives_one(name: str) -> None:
    assert cut(memoryview(INPUTS[name])[: EXTENT_MAX + 1], final=False)


@given(st.sampled_from(sorted(INPUTS)), st.lists(st.integers(1, 9 * MIB), min_size=1, max_size=4))
@settings(deadline=None, max_examples=40)
def test_windows_of_any_size_give_the_same_extents_as_the_whole(name: str, sizes: list[int]) -> None:
    data = INPUTS[name]
    sizes = [size + 100_000 for size in sizes]  # a few hundred windows at most
    assert cut_in_windows(data, sizes) == cut_whole(name)


def test_an_insertion_moves_few_boundaries() -> None:
    data = INPUTS["noise"]
    changed = data[: 5 * MIB] + b"inserted" + data[5 * MIB :]
    assert len(pieces(data) - pieces(changed)) <= 2


def pieces(data: bytes) -> set[bytes]:
    ends = list(itertools.accumulate(cut(memoryview(data), final=True)))
    return {data[start:end] for start, end in itertools.pairwise([0, *ends])}


def test_boundaries_are_those_of_the_first_version() -> None:
    expected = json.loads((GOLDEN / "expected.json").read_text())["extent_lengths_of_noise"]
    assert cut(memoryview(noise("chunks", 16 * MIB)), final=True) == expected
