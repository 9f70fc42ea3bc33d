"""Read a volume without its catalog: find every record, verify it, name every damaged place, go on after it.

Needs no key. With the keys, `list_objects` says what an aggregate holds. Memory is one record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from farvault.base.errors import MediaFailed, RecordDamaged
from farvault.seal.compress import decompress
from farvault.seal.digest import Buffer
from farvault.seal.keyring import Keyring
from farvault.seal.pack import PackDirectory, parse
from farvault.seal.record import (
    ALIGNMENT_BYTES,
    MAGIC,
    Header,
    RecordKind,
    check,
    open_checked,
    read_header,
)

EMPTY: Final = "empty space"
"""The problem of a step over zeros: unused space, not damage."""

_WINDOW_BYTES: Final = 1 << 20

ReadAt = Callable[[int, int], Buffer]
"""`read_at(offset, length)` gives those bytes, fewer at the end, or raises `MediaFailed` where they cannot be read."""


class Step(NamedTuple):
    """One stretch of a volume. Steps follow each other without gap or overlap.

    A good record: `header` and no `problem`. A damaged record that still says what it is: both. Anything else: only
    a `problem`.
    """

    offset: int
    header: Header | None
    problem: str
    length_bytes: int

    @property
    def is_damage(self) -> bool:
        return bool(self.problem) and self.problem != EMPTY


def walk(read_at: ReadAt, size_bytes: int) -> Iterator[Step]:
    """Steps over the whole volume, in order. After damage it goes on at the next block that starts a record."""
    offset = 0
    while offset < size_bytes:
        step = _step(read_at, offset, size_bytes)
        yield step
        offset += step.length_bytes


def list_objects(record: Buffer, keyring: Keyring | None) -> PackDirectory:
    """What an aggregate holds, every extent verified: `.objects`, and whose they are. `RecordDamaged` otherwise."""
    header = check(record)
    if header.kind != RecordKind.AGGREGATE:
        raise RecordDamaged("ANR9803E", reason="only aggregates hold objects")
    pack = parse(decompress(header.codec, open_checked(header, record, keyring), header.plain_bytes))
    pack.verify()
    return pack.directory


def _step(read_at: ReadAt, offset: int, size_bytes: int) -> Step:
    header: Header | None = None
    try:
        header = read_header(_read(read_at, offset, ALIGNMENT_BYTES))
        if offset + header.stored_bytes > size_bytes:
            raise RecordDamaged("ANR9803E", reason="it is cut short by the end of the volume")
        check(_read(read_at, offset, header.stored_bytes))
    except RecordDamaged as damage:
        problem = damage.message.text
    else:
        return Step(offset, header, "", header.stored_bytes)
    length_bytes, zeros = _to_next_record(read_at, offset, size_bytes, header)
    return Step(offset, header, EMPTY if zeros else problem, length_bytes)


def _to_next_record(read_at: ReadAt, offset: int, size_bytes: int, header: Header | None) -> tuple[int, bool]:
    """How far to go from a bad place, and whether all of it is zeros.

    Where the damaged record's own length leads to a record or to the end, that length is right: the body may hold
    whole records of another server, which are not ours to find. Otherwise every block is looked at.
    """
    if header is not None:
        end = offset + header.stored_bytes
        if end == size_bytes or (
            end < size_bytes and _starts_record(_try_read(read_at, end, ALIGNMENT_BYTES))
        ):
            return header.stored_bytes, False
    zeros = True
    for position, block in _blocks(read_at, offset, size_bytes):
        if position > offset and _starts_record(block):
            return position - offset, zeros
        zeros = zeros and block is not None and bytes(block).count(0) == len(block)
    return size_bytes - offset, zeros


def _blocks(read_at: ReadAt, start: int, end: int) -> Iterator[tuple[int, Buffer | None]]:
    """Every block with its position, read in large windows; None for one that cannot be read."""
    for window_at in range(start, end, _WINDOW_BYTES):
        window_end = min(window_at + _WINDOW_BYTES, end)
        window = _try_read(read_at, window_at, window_end - window_at)
        for position in range(window_at, window_end, ALIGNMENT_BYTES):
            if window is None:  # some of it is unreadable: find out which
                yield position, _try_read(read_at, position, min(ALIGNMENT_BYTES, window_end - position))
            else:
                yield position, window[position - window_at : position - window_at + ALIGNMENT_BYTES]


def _starts_record(block: Buffer | None) -> bool:
    if block is None or block[: len(MAGIC)] != MAGIC:
        return False
    try:
        read_header(block)
    except RecordDamaged:
        return False
    return True


def _read(read_at: ReadAt, offset: int, length: int) -> Buffer:
    try:
        return read_at(offset, length)
    except MediaFailed as error:
        raise RecordDamaged("ANR9803E", reason=f"it cannot be read: {error.message.text}") from None


def _try_read(read_at: ReadAt, offset: int, length: int) -> Buffer | None:
    try:
        return read_at(offset, length)
    except MediaFailed:
        return None
