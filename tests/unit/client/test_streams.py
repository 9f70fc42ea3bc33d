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

from farvault.base.errors import MediaFull, PeerUnreachable
from farvault.client import inventory, sparse
from farvault.client.fetching import _offsets
from farvault.client.filespec import FileSpec
from farvault.client.inventory import Inventory
from farvault.client.options import Options
from farvault.client.selection import Source, find
from farvault.client.sparse import data_ranges, holes_between
from farvault.model.stored_object import ObjectKind
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
    """Gives frames, and tells each that was taken and asked for the next."""

    def __init__(self, count: int, problem: bool = False, rows: bool = False) -> None:
        self.count, self.problem, self.rows = count, problem, rows
        self.taken = threading.Semaphore(0)

    def inventory(self, _: m.QueryObjects) -> Iterator[m.Objects]:
        for number in range(self.count):
            if self.problem and number == self.count - 1:
                raise PeerUnreachable("ANR8218E", peer="x", reason="cut")
            row = m.ObjectRow(number, 0, b"name", 1, 1, 0, 0, 0, 0, b"")
            yield m.Objects(
                directories=(b"%d" % number,),
                classes=("STANDARD",),
                rows=(row,) if self.rows else (),
                last=number == self.count - 1,
            )
            self.taken.release()


def directories(stream: Inventory) -> list[bytes]:
    return [frame.directories[0] for frame in stream]


def no_query() -> m.QueryObjects:
    return m.QueryObjects(file_space="/")


@pytest.mark.parametrize("in_memory", [1, 1000], ids=["in a file", "in memory"])
@pytest.mark.parametrize("read", [0, 1, 30])
def test_a_stream_that_nobody_reads_flows_and_keeps_its_order(
    in_memory: int, read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder on a slow disk, a person who thinks, a pager: the server must not wait for them."""
    monkeypatch.setattr(inventory, "IN_MEMORY_MOST", in_memory)
    session = FakeSession(100)
    frames = iter(Inventory(session, no_query()))  # type: ignore[arg-type]
    seen = [next(frames).directories[0] for _ in range(read)]
    for _ in range(99):
        assert session.taken.acquire(timeout=PATIENCE_SECONDS), (
            "the stream stands still while nobody reads it"
        )
    seen += [frame.directories[0] for frame in frames]
    assert seen == [b"%d" % number for number in range(100)]


def test_what_a_query_or_restore_finds_flows_while_its_reader_thinks() -> None:
    session = FakeSession(3, rows=True)
    source = Source(FileSpec("/", b"/", b""), "/", b"", b"", True)
    found = find(session, source, ObjectKind.BACKUP, Options(), all_versions=True)  # type: ignore[arg-type]
    assert next(found).row.id == 0
    for _ in range(2):
        assert session.taken.acquire(timeout=PATIENCE_SECONDS)
    assert [each.row.id for each in found] == [1, 2]


def test_a_reader_that_keeps_up_needs_the_room_of_its_largest_lag_only() -> None:
    spill = inventory._Spill()
    frame = next(FakeSession(1).inventory(no_query()))
    for _ in range(100):
        spill.put(frame)
        spill.put(frame)
        assert (spill.get(), spill.get(), spill.is_empty) == (frame, frame, True)
    assert spill._file is not None
    assert spill._file.seek(0, os.SEEK_END) < 1000


def test_a_broken_stream_is_told_to_the_reader() -> None:
    stream = Inventory(FakeSession(3, problem=True), no_query())  # type: ignore[arg-type]
    with pytest.raises(PeerUnreachable):
        directories(stream)


def test_no_room_for_the_stream_is_told_to_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "IN_MEMORY_MOST", 1)
    monkeypatch.setattr(inventory.tempfile, "TemporaryFile", lambda **_: open("/dev/full", "wb"))  # noqa: SIM115
    stream = Inventory(FakeSession(1_000_000), no_query())  # type: ignore[arg-type]
    frames = iter(stream)
    stream._taking.join(PATIENCE_SECONDS)
    with pytest.raises(MediaFull, match="ANS9826E"):
        list(frames)
