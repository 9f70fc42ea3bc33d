"""Sparse ranges, and the inventory that is left waiting."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.patience import PATIENCE_SECONDS

from farvault.base.errors import PeerUnreachable
from farvault.client import inventory, sparse
from farvault.client.fetching import _offsets
from farvault.client.inventory import Inventory
from farvault.client.sparse import data_ranges, holes_between
from farvault.protocol import messages as m


def test_holes_are_found_and_nothing_else(tmp_path: Path) -> None:
    with open(tmp_path / "f", "wb") as file:
        file.write(b"x" * 4096)
        file.seek(1 << 20)
        file.write(b"y" * 4096)
        file.truncate(4 << 20)
    opened = os.open(tmp_path / "f", os.O_RDONLY)
    ranges = data_ranges(opened, 4 << 20)
    os.close(opened)
    holes = holes_between(ranges, 4 << 20)
    assert sum(length for _, length in ranges) + sum(length for _, length in holes) == 4 << 20
    assert any(start <= 0 < start + length for start, length in ranges)
    assert any(start <= (1 << 20) < start + length for start, length in ranges)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), max_size=8), st.data())
def test_extents_land_where_the_data_was(gaps: list[tuple[int, int]], data: st.DataObject) -> None:
    ranges, position = [], 0
    for gap, length in gaps:
        ranges.append((position + gap, length))
        position += gap + length
    size = position + data.draw(st.integers(0, 20))
    lengths, expected = [], []
    for start, length in ranges:
        cut = data.draw(st.integers(1, length))
        for offset in range(0, length, cut):
            lengths.append(min(cut, length - offset))
            expected.append(start + offset)
    assert _offsets(tuple(lengths), holes_between(ranges, size))[:-1] == expected


def test_very_many_holes_become_few() -> None:
    ranges = [(number * 8192, 4096) for number in range(5 * sparse.RANGES_MAX)]
    joined = sparse._joined(ranges)
    assert len(joined) <= sparse.RANGES_MAX
    assert joined[0][0] == 0 and sum(joined[-1]) == sum(ranges[-1])


class FakeSession:
    """Gives frames; `stuck` holds them back after the first."""

    def __init__(self, count: int, problem: bool = False) -> None:
        self.count, self.problem = count, problem
        self.taken = threading.Semaphore(0)

    def inventory(self, _: m.QueryObjects) -> Iterator[m.Objects]:
        for number in range(self.count):
            if self.problem and number == self.count - 1:
                raise PeerUnreachable("ANR8218E", peer="x", reason="cut")
            yield m.Objects(directories=(b"%d" % number,), classes=(), rows=(), last=number == self.count - 1)
            self.taken.release()


def directories(stream: Inventory) -> list[bytes]:
    return [frame.directories[0] for frame in stream]


@pytest.mark.parametrize("in_memory", [1, 1000], ids=["in a file", "in memory"])
def test_a_stream_left_waiting_keeps_its_order(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "IN_MEMORY_MOST", in_memory)
    session = FakeSession(100)
    stream = Inventory(session, m.QueryObjects(file_space="/"))  # type: ignore[arg-type]
    frames = iter(stream)
    seen = [next(frames).directories[0]]
    stream.keep_flowing()
    for _ in range(98):
        assert session.taken.acquire(timeout=PATIENCE_SECONDS), (
            "the stream stands still while nobody reads it"
        )
    seen += [frame.directories[0] for frame in frames]
    assert seen == [b"%d" % number for number in range(100)]


def test_without_waiting_no_thread_is_started() -> None:
    before = threading.active_count()
    assert len(directories(Inventory(FakeSession(5), m.QueryObjects(file_space="/")))) == 5  # type: ignore[arg-type]
    assert threading.active_count() == before


def test_a_broken_stream_is_told_to_the_reader() -> None:
    stream = Inventory(FakeSession(3, problem=True), m.QueryObjects(file_space="/"))  # type: ignore[arg-type]
    stream.keep_flowing()
    with pytest.raises(PeerUnreachable):
        directories(stream)
