"""What the device classes on this machine's own file systems share: reading, verifying, errors with names.

Reads of neighbouring records are merged into large direct reads, and a thread reads ahead of whoever uses them, over
a ring of reused buffers: fresh memory costs more than the disk does.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator

from farvault.base.disk import NO_ROOM, VolumeFile, aligned_buffer
from farvault.base.errors import AlreadyExists, MediaFailed, MediaFull, NotFound, RecordDamaged
from farvault.base.pipeline import run_ahead
from farvault.base.units import MIB
from farvault.media.interface import Span
from farvault.seal.record import ALIGNMENT_BYTES, check, read_header

RING_BUFFERS = 4
MERGED_READ_BYTES = 4 * MIB
SPARE_BYTES = MIB
"""A record may be a little longer than what is merged."""
IDLE_BUFFERS = 8


def check_free(name: str) -> None:
    """`AlreadyExists` where anything has this name."""
    if os.path.lexists(name):
        raise AlreadyExists("ANR8356E", volume=name)


def failed(operation: str, name: str, error: OSError) -> MediaFailed | MediaFull:
    """The named error for what the operating system said.

    `MediaFull` says that what was written before is still there: where a sync finds no room, it is not.
    """
    if error.errno in NO_ROOM and operation != "sync":
        return MediaFull("ANR8308W", volume=name, reason=error.strerror)
    return MediaFailed("ANR8359E", operation=operation, volume=name, reason=error.strerror or str(error))


def open_file(name: str, *, write: bool = False) -> VolumeFile:
    """Open a volume's file; `NotFound` where it is gone, `MediaFailed` where it cannot be opened."""
    try:
        return VolumeFile(name, write=write)
    except FileNotFoundError:
        raise NotFound("ANR8355E", volume=name) from None
    except OSError as error:
        raise failed("open", name, error) from error


class ReadBuffers:
    """Buffers of one device between two readings. Readings are often short, and first touch is the hidden cost."""

    def __init__(self) -> None:
        self._idle: list[memoryview] = []
        self._lock = threading.Lock()

    def take(self, size_bytes: int) -> memoryview:
        with self._lock:
            for number, buffer in enumerate(self._idle):
                if buffer.nbytes >= size_bytes:
                    return self._idle.pop(number)
        return aligned_buffer(max(size_bytes, MERGED_READ_BYTES + SPARE_BYTES))

    def give(self, buffer: memoryview) -> None:
        with self._lock:
            if len(self._idle) < IDLE_BUFFERS:
                self._idle.append(buffer)


class LocalReader:
    """Reads records of one volume file. One thread uses it at a time."""

    def __init__(self, name: str, buffers: ReadBuffers | None = None) -> None:
        self._name = name
        self._buffers = buffers or ReadBuffers()
        self._file = open_file(name)

    def read(self, span: Span, into: memoryview) -> memoryview:
        part = into[: span.stored_bytes]
        try:
            got = self._file.read_at(span.offset_bytes, part)
        except OSError as error:
            raise failed("read", self._name, error) from error
        if got != span.stored_bytes:
            raise MediaFailed("ANR8359E", operation="read", volume=self._name, reason="the file ends early")
        return part

    def read_many(self, spans: Iterable[Span]) -> Generator[memoryview | None, None, None]:
        """Batches of neighbours, each one read; more than one batch is read ahead by a thread."""
        batches = _neighbours(spans)
        first = next(batches, None)
        if first is None:
            return
        second = next(batches, None)
        if second is None:
            buffer = self._buffers.take(_size(first))
            try:
                yield from self._read_batch(first, buffer)
            finally:
                self._buffers.give(buffer)
            return
        ring = [self._buffers.take(_size(first)) for _ in range(RING_BUFFERS)]
        try:
            reading = self._read_ahead(_chain(first, second, batches), ring)
            with contextlib.closing(run_ahead(reading, RING_BUFFERS)) as ahead:
                for views in ahead:
                    yield from views
        finally:
            for buffer in ring:
                self._buffers.give(buffer)

    def close(self) -> None:
        self._file.close()

    def _read_ahead(
        self, batches: Iterator[list[Span]], ring: list[memoryview]
    ) -> Iterator[list[memoryview | None]]:
        turn = 0
        for batch in batches:
            if (size := _size(batch)) > ring[turn].nbytes:
                ring[turn] = aligned_buffer(size)
            yield self._read_batch(batch, ring[turn])
            turn = (turn + 1) % RING_BUFFERS

    def _read_batch(self, batch: list[Span], into: memoryview) -> list[memoryview | None]:
        whole = Span(batch[0].offset_bytes, _size(batch))
        with contextlib.suppress(MediaFailed, MediaFull):
            self.read(whole, into)
            return [into[span.offset_bytes - whole.offset_bytes :][: span.stored_bytes] for span in batch]
        if len(batch) == 1:
            return [None]
        views: list[memoryview | None] = []
        start = 0
        for span in batch:  # one bad sector must not cost its neighbours
            views += self._read_batch([span], into[start : start + span.stored_bytes])
            start += span.stored_bytes
        return views


def _size(batch: list[Span]) -> int:
    return sum(span.stored_bytes for span in batch)


def _chain(first: list[Span], second: list[Span], rest: Iterator[list[Span]]) -> Iterator[list[Span]]:
    yield first
    yield second
    yield from rest


def _neighbours(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """Cut the row of spans where the next one does not follow directly or the read would grow too large."""
    batch: list[Span] = []
    size = 0
    for span in spans:
        follows = batch and batch[-1].offset_bytes + batch[-1].stored_bytes == span.offset_bytes
        if batch and (not follows or size + span.stored_bytes > MERGED_READ_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(span)
        size += span.stored_bytes
    if batch:
        yield batch


def verify_file(name: str, spans: Iterable[tuple[Span, bytes]]) -> Iterator[tuple[Span, bool]]:
    """Read every record and compare it with its digest; a record that cannot be read is not good."""
    asked: deque[tuple[Span, bytes]] = deque()

    def remembered() -> Iterator[Span]:
        for span, digest in spans:
            asked.append((span, digest))  # the reading thread runs ahead of us
            yield span

    reader = LocalReader(name)
    try:
        for view in reader.read_many(remembered()):
            span, digest = asked.popleft()
            yield span, view is not None and is_intact(view, digest)
    finally:
        reader.close()


def is_intact(record: memoryview, digest: bytes) -> bool:
    """Do these bytes form the record with this address?"""
    try:
        return check(record).digest == digest
    except RecordDamaged:
        return False


def last_record(name: str) -> Span:
    """Follow the headers from the start to the last record; `MediaFailed` where that does not lead to the end."""
    file = open_file(name)
    try:
        block = aligned_buffer(ALIGNMENT_BYTES)
        size, offset, span = file.size_bytes, 0, None
        while offset < size:
            file.read_at(offset, block)
            span = Span(offset, read_header(block).stored_bytes)
            offset += span.stored_bytes
    except OSError as error:
        raise failed("read", name, error) from error
    except RecordDamaged as error:
        raise MediaFailed("ANR8359E", operation="read", volume=name, reason=error.message.text) from error
    finally:
        file.close()
    if span is None or offset != size:
        raise MediaFailed("ANR8359E", operation="read", volume=name, reason="its last record is not whole")
    return span
