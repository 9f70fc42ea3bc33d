"""An inventory cut into frames: nothing lost, nothing twice, no frame over its limits, the last one marked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from farvault.catalog.objects import InventoryRow
from farvault.protocol.frames import encode
from farvault.protocol.verbs import BY_BODY
from farvault.sessions.node_query import BATCH_ROWS, Objects, _batches


def _rows(count: int, *, directories: int = 1, attribute_bytes: int = 10) -> Iterator[InventoryRow]:
    per_directory = max(1, count // directories)
    for number in range(count):
        yield InventoryRow(
            number + 1,
            b"dir%06d" % (number // per_directory),
            b"file%d" % number,
            1,
            1,
            number,
            100,
            0,
            "STANDARD" if number % 2 else "OTHER",
            bytes(attribute_bytes),
            "",
        )


def _joined(frames: list[Objects]) -> list[tuple[int, bytes, str]]:
    return [
        (row.id, frame.directories[row.directory], frame.classes[row.management_class])
        for frame in frames
        for row in frame.rows
    ]


@pytest.mark.parametrize("count", [0, 1, BATCH_ROWS, BATCH_ROWS + 1, 3 * BATCH_ROWS + 7])
def test_every_row_arrives_once_with_its_directory_and_class(count: int) -> None:
    frames = list(_batches(_rows(count, directories=50), True))
    assert _joined(frames) == [
        (row.id, row.directory, row.management_class) for row in _rows(count, directories=50)
    ]
    assert [frame.last for frame in frames] == [False] * (len(frames) - 1) + [True]


def test_an_empty_inventory_is_one_last_frame() -> None:
    assert [frame.last for frame in _batches(iter(()), True)] == [True]


def test_long_attributes_make_frames_of_fewer_rows_within_the_limit() -> None:
    frames = list(_batches(_rows(100, attribute_bytes=200_000), True))
    assert len(frames) > 5
    for frame in frames:
        assert len(encode(frame)) <= BY_BODY[Objects].body_max_bytes


def test_attributes_are_left_out_where_they_are_not_wanted() -> None:
    frames = list(_batches(_rows(10, attribute_bytes=1000), False))
    assert all(row.attributes == b"" for frame in frames for row in frame.rows)
