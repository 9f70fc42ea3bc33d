"""A device that fails when a test says so: it wraps any other one and behaves exactly like it until then.

`Faults` is the plan: the n-th `append`, `write_at`, `commit`, `create`, `open_writer`, `open_reader`, `read` or `delete` raises
a given error, or the n-th record read comes back changed, cut short or not at all.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from farvault.base.disk import aligned_buffer
from farvault.base.errors import FarvaultError, MediaFailed
from farvault.media.interface import Capabilities, Device, Span, VolumeReader, VolumeWriter
from farvault.media.local import is_intact

Change = Callable[[memoryview], None]
"""Spoils a private copy of a record in place."""


class Faults:
    """What goes wrong, and when. Counts every operation of every volume of the device, from 1."""

    def __init__(self) -> None:
        self._errors: dict[tuple[str, int], FarvaultError] = {}
        self._always: dict[str, FarvaultError] = {}
        self._changes: dict[int, Change] = {}
        self.seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def fail(self, operation: str, error: FarvaultError, *, nth: int = 1) -> None:
        """The nth operation from now on raises `error`."""
        self._errors[operation, self.seen[operation] + nth] = error

    def fail_from_now_on(self, operation: str, error: FarvaultError | None) -> None:
        """Every such operation raises `error`, until it is called again with None."""
        if error is None:
            self._always.pop(operation, None)
        else:
            self._always[operation] = error

    def flip(self, position: int, *, nth: int = 1) -> None:
        """The nth record read from now on has one bit flipped at this byte (counted from the end if negative)."""

        def change(record: memoryview) -> None:
            record[position] ^= 1

        self._changes[self.seen["read"] + nth] = change

    def zero(self, start: int, *, nth: int = 1) -> None:
        """The nth record read from now on is zeros from `start` on, as after a lost write."""

        def change(record: memoryview) -> None:
            record[start:] = bytes(record.nbytes - start)

        self._changes[self.seen["read"] + nth] = change

    def arrive(self, operation: str) -> int:
        """Count one operation; raise if it is to fail. Returns its number."""
        with self._lock:
            self.seen[operation] += 1
            number = self.seen[operation]
        error = self._errors.pop((operation, number), None) or self._always.get(operation)
        if error is not None:
            raise error
        return number

    def change(self, number: int) -> Change | None:
        return self._changes.pop(number, None)


class FaultyDevice:
    """The wrapper. With an empty plan it passes the same conformance suite as what it wraps."""

    def __init__(self, device: Device, faults: Faults) -> None:
        self._device = device
        self._faults = faults

    @property
    def capabilities(self) -> Capabilities:
        return self._device.capabilities

    def scratch_name(self, pool_name: str, sequence: int, use: str = "BFS") -> str:
        return self._device.scratch_name(pool_name, sequence, use)

    def check_free(self, name: str) -> None:
        self._device.check_free(name)

    def create(self, name: str, capacity_bytes: int) -> None:
        self._faults.arrive("create")
        self._device.create(name, capacity_bytes)

    def open_writer(self, name: str, written_bytes: int, capacity_bytes: int) -> VolumeWriter:
        self._faults.arrive("open_writer")
        return _FaultyWriter(self._device.open_writer(name, written_bytes, capacity_bytes), self._faults)

    def open_reader(self, name: str) -> VolumeReader:
        self._faults.arrive("open_reader")
        return _FaultyReader(self._device.open_reader(name), self._faults)

    def verify(self, name: str, spans: Iterable[tuple[Span, bytes]]) -> Iterator[tuple[Span, bool]]:
        if self.capabilities.remote:
            yield from self._device.verify(name, spans)
            return
        reader = self.open_reader(name)
        try:
            for span, digest in spans:
                view = next(iter(reader.read_many([span])), None)
                yield span, view is not None and is_intact(view, digest)
        finally:
            reader.close()

    def idle_sessions(self) -> int:
        return self._device.idle_sessions()

    def renew(self) -> None:
        self._device.renew()

    def last_record(self, name: str) -> Span:
        self._faults.arrive("open_reader")
        return self._device.last_record(name)

    def delete(self, name: str) -> None:
        self._faults.arrive("delete")
        self._device.delete(name)

    def close(self) -> None:
        self._device.close()


class _FaultyWriter:
    def __init__(self, writer: VolumeWriter, faults: Faults) -> None:
        self._writer = writer
        self._faults = faults

    @property
    def position_bytes(self) -> int:
        return self._writer.position_bytes

    def append(self, record: memoryview, digest: bytes) -> int:
        self._faults.arrive("append")
        return self._writer.append(record, digest)

    def append_known(self, digests: Sequence[bytes], lengths: Sequence[int]) -> list[int | None]:
        self._faults.arrive("append_known")
        return self._writer.append_known(digests, lengths)

    def write_at(self, offset_bytes: int, record: memoryview) -> None:
        self._faults.arrive("write_at")
        self._writer.write_at(offset_bytes, record)

    def commit(self) -> bytes:
        self._faults.arrive("commit")
        return self._writer.commit()

    def abort(self) -> None:
        self._writer.abort()

    def close(self) -> None:
        self._writer.close()


class _FaultyReader:
    def __init__(self, reader: VolumeReader, faults: Faults) -> None:
        self._reader = reader
        self._faults = faults

    def read(self, span: Span, into: memoryview) -> memoryview:
        number = self._faults.arrive("read")
        return self._spoil(number, self._reader.read(span, into))

    def read_many(self, spans: Iterable[Span]) -> Iterator[memoryview | None]:
        for view in self._reader.read_many(spans):
            try:
                number = self._faults.arrive("read")
            except MediaFailed:
                yield None
                continue
            yield view if view is None else self._spoil(number, view)

    def close(self) -> None:
        self._reader.close()

    def _spoil(self, number: int, view: memoryview) -> memoryview:
        change = self._faults.change(number)
        if change is None:
            return view
        spoilt = aligned_buffer(view.nbytes)
        spoilt[:] = view
        change(spoilt)
        return spoilt
