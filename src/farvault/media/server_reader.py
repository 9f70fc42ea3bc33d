"""Reading a virtual volume: requests run some MiB ahead of the answers, so the link is never idle for a round trip.

A broken link is opened again and the records that had not come are asked for again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Final

from farvault.base.disk import aligned_buffer
from farvault.base.errors import MediaFailed
from farvault.base.units import MIB
from farvault.media.interface import Span
from farvault.media.mounts import Mount, Mounts, Result
from farvault.media.target import TargetSession
from farvault.protocol import virtual_volumes
from farvault.protocol.verbs import RECORD_MAX_BYTES
from farvault.protocol.virtual_volumes import ReadRecords, RecordAnswer

AHEAD_BYTES: Final = 16 * MIB
"""Asked for and not yet come. On a link of 50 ms that is 320 MiB/s."""
REQUEST_BYTES: Final = 4 * MIB
"""About what one request asks for."""
SPANS_AT_ONCE: Final = 256


class ServerReader:
    """Reads records of one virtual volume. One thread uses it; it holds a mount point from its first read to `close`."""

    def __init__(self, mounts: Mounts, name: str, volume: str) -> None:
        self._mounts, self._name, self._volume = mounts, name, volume
        self._mount: Mount | None = None
        self._pending = 0
        """Answers that are still to come on the present session."""

    def read(self, span: Span, into: memoryview) -> memoryview:
        def ask(session: TargetSession) -> memoryview | None:
            self._request(session, [span])
            return self._answer(session, span, into)

        record = self._run(ask)
        if record is None:
            raise MediaFailed(
                "ANR4807E", volume=self._name, offset=span.offset_bytes, server=self._mounts.target.name
            )
        return record

    def read_many(self, spans: Iterable[Span]) -> Generator[memoryview | None, None, None]:
        source = iter(spans)
        asked: deque[Span] = deque()
        buffer = aligned_buffer(RECORD_MAX_BYTES)

        def step(session: TargetSession) -> memoryview | None:
            if self._pending == 0:  # the first step, or a new session that knows of no request yet
                self._request_all(session, list(asked))
            self._ask_ahead(session, source, asked)
            return self._answer(session, asked[0], buffer)

        try:
            while asked or self._read_next(source, asked):
                record = self._run(step)
                asked.popleft()
                yield record
        finally:
            if (
                self._pending and self._mount is not None
            ):  # left in the middle: what is under way is not wanted
                self._mount.drop()

    def close(self) -> None:
        if self._mount is not None:
            self._mount.release()
            self._mount = None

    def _run(self, work: Callable[[TargetSession], Result]) -> Result:
        if self._mount is None:
            self._mount = self._mounts.mount(self._name)
        return self._mount.run(work, self._start_session)

    def _start_session(self, _session: TargetSession) -> None:
        self._pending = 0

    def _read_next(self, source: Iterator[Span], asked: deque[Span]) -> bool:
        """Take the first span, so that nothing is mounted for an empty list."""
        span = next(source, None)
        if span is not None:
            asked.append(span)
        return span is not None

    def _ask_ahead(self, session: TargetSession, source: Iterator[Span], asked: deque[Span]) -> None:
        ahead = sum(span.stored_bytes for span in asked)
        while ahead <= AHEAD_BYTES - REQUEST_BYTES:
            batch: list[Span] = []
            while len(batch) < SPANS_AT_ONCE and sum(span.stored_bytes for span in batch) < REQUEST_BYTES:
                span = next(source, None)
                if span is None:
                    break
                batch.append(span)
            if not batch:
                return
            asked.extend(batch)
            self._request(session, batch)
            ahead += sum(span.stored_bytes for span in batch)

    def _request_all(self, session: TargetSession, spans: list[Span]) -> None:
        for start in range(0, len(spans), SPANS_AT_ONCE):
            self._request(session, spans[start : start + SPANS_AT_ONCE])

    def _request(self, session: TargetSession, spans: list[Span]) -> None:
        rows = tuple(virtual_volumes.Span(span.offset_bytes, span.stored_bytes) for span in spans)
        session.connection.send(ReadRecords(volume=self._volume, spans=rows))
        self._pending += len(spans)

    def _answer(self, session: TargetSession, span: Span, into: memoryview) -> memoryview | None:
        answer, record = session.connection.expect(RecordAnswer, tail_into=into)
        self._pending -= 1
        assert self._mount is not None
        self._mount.progress()
        if answer.problem or record.nbytes != span.stored_bytes:
            return None
        return record
