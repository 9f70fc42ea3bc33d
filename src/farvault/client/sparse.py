"""Where a sparse file has data: holes are found by the file system (SEEK_HOLE), never read."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Final

Range = tuple[int, int]
"""(offset, length)"""

RANGES_MAX: Final = 2000
"""A file with more pieces is stored with its smallest holes as zeros: its attributes must stay small."""

_SMALLEST_SPARSE: Final = 64 * 1024


def may_be_sparse(st: os.stat_result) -> bool:
    """Fewer blocks than its length needs. Small files are read as they are."""
    return st.st_size >= _SMALLEST_SPARSE and st.st_blocks * 512 < st.st_size


def data_ranges(descriptor: int, size_bytes: int) -> list[Range]:
    """The parts that hold data, in order; the whole file where the file system cannot tell."""
    found: list[Range] = []
    position = 0
    try:
        while position < size_bytes:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
            position = min(os.lseek(descriptor, start, os.SEEK_HOLE), size_bytes)
            if start < position:
                found.append((start, position - start))
            if len(found) > 4 * RANGES_MAX:
                found = _joined(found)
    except OSError as problem:
        if problem.errno == errno.ENXIO:  # no data from here to the end
            return _joined(found)
        return [(0, size_bytes)]
    return _joined(found)


def holes_between(ranges: Sequence[Range], size_bytes: int) -> tuple[Range, ...]:
    """What the ranges leave out of a file of this length."""
    holes = []
    position = 0
    for start, length in ranges:
        if start > position:
            holes.append((position, start - position))
        position = start + length
    if position < size_bytes:
        holes.append((position, size_bytes - position))
    return tuple(holes)


def _joined(ranges: list[Range]) -> list[Range]:
    """At most `RANGES_MAX` ranges: the smallest holes between them become data."""
    gap = 4096
    while len(ranges) > RANGES_MAX:
        gap *= 4
        joined = ranges[:1]
        for start, length in ranges[1:]:
            last_start, last_length = joined[-1]
            if start - (last_start + last_length) < gap:
                joined[-1] = (last_start, start + length - last_start)
            else:
                joined.append((start, length))
        ranges = joined
    return ranges
