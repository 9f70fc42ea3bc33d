"""A device with a limit on the bytes that travel: BANDWIDTH of its class, by the time of day. It wraps any other one.

All volumes of the class share one limit, both directions together: it is about the link. Records that a target holds
already are named and cost nothing. What a broken link makes travel again is not counted anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from farvault.base.cancel import cancel_event
from farvault.base.clock import Clock
from farvault.base.units import MIB
from farvault.media.interface import Capabilities, Device, Span, VolumeReader, VolumeWriter
from farvault.model.bandwidth import Rates
from farvault.policy.bandwidth import BURST_SECONDS, TokenBucket, rate_at

LOOK_SECONDS: Final = 1.0
"""Who waits looks so often for another rate and whether its work was cancelled."""
READ_AT_ONCE_BYTES: Final = 64 * MIB
"""Asked for in one go where there is no limit."""


def minute_of_day(now_seconds: int) -> int:
    """In the server's zone."""
    local = time.localtime(now_seconds)
    return local.tm_hour * 60 + local.tm_min


class Throttle:
    """The limit of one device class. Thread safe. `rates` gives them as they are when one looks."""

    def __init__(self, rates: Callable[[], Rates], clock: Clock) -> None:
        self._rates, self._clock = rates, clock
        self._bucket = TokenBucket(filled_at=clock.monotonic_seconds())
        self._lock = threading.Lock()
        self._known: tuple[float, Rates] | None = None
        self.closing = threading.Event()

    def rate(self) -> int | None:
        """Bytes a second at this moment."""
        now, known = self._clock.monotonic_seconds(), self._known
        if known is None or now - known[0] >= LOOK_SECONDS:
            known = self._known = (now, self._rates())
        return rate_at(known[1], minute_of_day(self._clock.now_seconds()))

    def pass_bytes(self, size_bytes: int) -> None:
        """Wait until these may travel. Who is cancelled is not held up: he is about to end."""
        stop = cancel_event() or self.closing
        while True:
            rate = self.rate()
            with self._lock:
                self._bucket.fill(self._clock.monotonic_seconds(), rate)
                seconds = self._bucket.take(size_bytes, rate)
            if not seconds or self.closing.is_set() or self._clock.wait(stop, min(seconds, LOOK_SECONDS)):
                return


class ThrottledDevice:
    """The wrapper. Without a limit it passes the same conformance suite as what it wraps; with one, too, but slower."""

    def __init__(self, device: Device, throttle: Throttle) -> None:
        self._device, self._throttle = device, throttle

    @property
    def capabilities(self) -> Capabilities:
        return self._device.capabilities

    def scratch_name(self, pool_name: str, sequence: int, use: str = "BFS") -> str:
        return self._device.scratch_name(pool_name, sequence, use)

    def check_free(self, name: str) -> None:
        self._device.check_free(name)

    def create(self, name: str, capacity_bytes: int) -> None:
        self._device.create(name, capacity_bytes)

    def open_writer(self, name: str, written_bytes: int, capacity_bytes: int) -> VolumeWriter:
        return _ThrottledWriter(self._device.open_writer(name, written_bytes, capacity_bytes), self._throttle)

    def open_reader(self, name: str) -> VolumeReader:
        return _ThrottledReader(self._device.open_reader(name), self._throttle)

    def verify(self, name: str, spans: Iterable[tuple[Span, bytes]]) -> Iterator[tuple[Span, bool]]:
        return self._device.verify(name, spans)

    def idle_sessions(self) -> int:
        return self._device.idle_sessions()

    def renew(self) -> None:
        self._device.renew()

    def last_record(self, name: str) -> Span:
        return self._device.last_record(name)

    def delete(self, name: str) -> None:
        self._device.delete(name)

    def close(self) -> None:
        self._throttle.closing.set()
        self._device.close()


class _ThrottledWriter:
    def __init__(self, writer: VolumeWriter, throttle: Throttle) -> None:
        self._writer, self._throttle = writer, throttle

    @property
    def position_bytes(self) -> int:
        return self._writer.position_bytes

    def append(self, record: memoryview, digest: bytes) -> int:
        self._throttle.pass_bytes(record.nbytes)
        return self._writer.append(record, digest)

    def append_known(self, digests: Sequence[bytes], lengths: Sequence[int]) -> list[int | None]:
        return self._writer.append_known(digests, lengths)

    def write_at(self, offset_bytes: int, record: memoryview) -> None:
        self._throttle.pass_bytes(record.nbytes)
        self._writer.write_at(offset_bytes, record)

    def commit(self) -> bytes:
        return self._writer.commit()

    def abort(self) -> None:
        self._writer.abort()

    def close(self) -> None:
        self._writer.close()


class _ThrottledReader:
    def __init__(self, reader: VolumeReader, throttle: Throttle) -> None:
        self._reader, self._throttle = reader, throttle

    def read(self, span: Span, into: memoryview) -> memoryview:
        self._throttle.pass_bytes(span.stored_bytes)
        return self._reader.read(span, into)

    def read_many(self, spans: Iterable[Span]) -> Iterator[memoryview | None]:
        """A second's worth is asked for at once: nothing waits on the link while we wait for the next one."""
        source = iter(spans)
        while batch := self._batch(source):
            for span in batch:
                self._throttle.pass_bytes(span.stored_bytes)
            yield from self._reader.read_many(batch)

    def _batch(self, source: Iterator[Span]) -> list[Span]:
        rate = self._throttle.rate()
        room = READ_AT_ONCE_BYTES if rate is None else min(rate * BURST_SECONDS, READ_AT_ONCE_BYTES)
        batch: list[Span] = []
        while room > 0 and (span := next(source, None)) is not None:
            batch.append(span)
            room -= span.stored_bytes
        return batch

    def close(self) -> None:
        self._reader.close()
