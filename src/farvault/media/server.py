"""Device class SERVER: virtual volumes. They look like sequential volumes here and are archive files at the target.

A volume `DELHI.BFS.1` is at the target the directory `ADSM.DELHI.BFS.1` (PREFIX first), with one file for every
commit. What a session may do is decided at sign-on: without the verification code it only reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from farvault.base.clock import Clock
from farvault.base.errors import AlreadyExists, MediaFailed, PeerMisbehaved
from farvault.base.log import Log
from farvault.base.units import MIB
from farvault.media.interface import Capabilities, Span
from farvault.media.link_book import LinkRecord
from farvault.media.mounts import Mounts, Result, RetryRule
from farvault.media.server_reader import ServerReader
from farvault.media.server_writer import ServerWriter
from farvault.media.target import Target, TargetSession
from farvault.model.device_class import DeviceClass
from farvault.protocol import virtual_volumes
from farvault.protocol.messages import Done
from farvault.protocol.virtual_volumes import (
    MarkVolume,
    QueryVolumes,
    SegmentRow,
    VerifyAnswer,
    VerifyVolume,
    Volumes,
)

VERIFY_BYTES: Final = 64 * MIB
VERIFY_SPANS: Final = 4096
"""One VerifyVolume asks for at most this much, so that progress is seen and a cancel is heard."""
ANSWERS_MAX: Final = 10_000
"""Frames that one question may be answered by: a target that never says "last" is not listened to for ever."""
CONTROL_WAIT_SECONDS: Final = 30.0
"""How long a short request (mark, query) waits for a mount point."""


class ServerDevice:
    """One device class of DEVTYPE=SERVER at work."""

    def __init__(
        self,
        device_class: DeviceClass,
        target: Target,
        clock: Clock,
        log: Log | None = None,
        record: LinkRecord | None = None,
    ) -> None:
        self._prefix = device_class.prefix
        self._target = target
        self.mounts = Mounts(
            target,
            device_class.mount_limit,
            device_class.mount_retention_minutes * 60,
            RetryRule(device_class.retry_period_minutes * 60, device_class.retry_interval_seconds),
            clock,
            log,
            record,
        )

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(random_access=False, remote=True, refers=True)

    def scratch_name(self, pool_name: str, sequence: int, use: str = "BFS") -> str:  # noqa: ARG002 - we tell more
        return f"{self._target.definition().own_server_name}.{use}.{sequence}"

    def create(self, name: str, capacity_bytes: int) -> None:  # noqa: ARG002 - the source counts
        """The target knows a volume from its first segment on: only look that the name is free there."""
        self.check_free(name)

    def check_free(self, name: str) -> None:
        if self._briefly(lambda session: _is_there(session, self._volume(name))):
            raise AlreadyExists("ANR4812E", volume=name, server=self._target.name)

    def open_writer(self, name: str, written_bytes: int, capacity_bytes: int) -> ServerWriter:
        return ServerWriter(self.mounts, name, self._volume(name), written_bytes, capacity_bytes)

    def open_reader(self, name: str) -> ServerReader:
        return ServerReader(self.mounts, name, self._volume(name))

    def verify(self, name: str, spans: Iterable[tuple[Span, bytes]]) -> Iterator[tuple[Span, bool]]:
        """The target reads and digests; no record travels."""
        mount = self.mounts.mount(name)
        try:
            for batch in _batches(spans):
                rows = tuple(virtual_volumes.Span(span.offset_bytes, span.stored_bytes) for span, _ in batch)
                request = VerifyVolume(
                    volume=self._volume(name), spans=rows, digests=b"".join(digest for _, digest in batch)
                )
                bad = mount.run(lambda session, request=request: _damaged(session, request))  # type: ignore[misc]
                mount.progress()
                for span, _ in batch:
                    yield span, span not in bad
        finally:
            mount.release()

    def idle_sessions(self) -> int:
        return self.mounts.idle

    def renew(self) -> None:
        self.mounts.end_idle()

    def last_record(self, name: str) -> Span:
        """The last segment: the target knows no records, but what was committed alone is a segment of its own."""
        rows = self._briefly(lambda session: _segments(session, self._volume(name)))
        if not rows:
            raise MediaFailed("ANR4803E", server=self._target.name, volume=name, reason="it is not there")
        last = max(rows, key=lambda row: (not row.marked_time, row.offset_bytes, row.received_time))
        return Span(last.offset_bytes, last.stored_bytes)

    def delete(self, name: str) -> None:
        """Mark it for deletion; it goes at the target after the server's grace period. One try, no retry period."""
        request = MarkVolume(
            volume=self._volume(name), grace_days=self._target.definition().delete_grace_days
        )

        def mark(session: TargetSession) -> None:
            session.check_writable(self._target.name)
            session.connection.call(request, Done)

        self._briefly(mark, single_try=True)

    def close(self) -> None:
        self.mounts.close()

    def _volume(self, name: str) -> str:
        return f"{self._prefix}.{name}"

    def _briefly(self, work: Callable[[TargetSession], Result], *, single_try: bool = False) -> Result:
        mount = self.mounts.mount(wait_seconds=CONTROL_WAIT_SECONDS, single_try=single_try)
        try:
            return mount.run(work)
        finally:
            mount.release()


def _is_there(session: TargetSession, volume: str) -> bool:
    return bool(_segments(session, volume))


def _segments(session: TargetSession, volume: str) -> list[SegmentRow]:
    session.connection.send(QueryVolumes(pattern=volume))
    found: list[SegmentRow] = []
    for _ in range(ANSWERS_MAX):
        answer, _ = session.connection.expect(Volumes)
        found += answer.rows
        if answer.last:
            return found
    raise _endless(session, f"what it has of {volume}")


def _damaged(session: TargetSession, request: VerifyVolume) -> set[Span]:
    """Those of the spans asked for that are bad there; what else it may name is none of them."""
    session.connection.send(request)
    asked = {Span(span.offset_bytes, span.stored_bytes) for span in request.spans}
    found: set[Span] = set()
    for _ in range(ANSWERS_MAX):
        answer, _ = session.connection.expect(VerifyAnswer)
        found.update(asked.intersection((s.offset_bytes, s.stored_bytes) for s in answer.damaged))
        if answer.last:
            return found
    raise _endless(session, f"which records of {request.volume} are good")


def _endless(session: TargetSession, what: str) -> PeerMisbehaved:
    session.connection.shutdown()
    return PeerMisbehaved("ANR4881E", peer=session.connection.peer, what=what)


def _batches(spans: Iterable[tuple[Span, bytes]]) -> Iterator[list[tuple[Span, bytes]]]:
    batch: list[tuple[Span, bytes]] = []
    size = 0
    for span, digest in spans:
        batch.append((span, digest))
        size += span.stored_bytes
        if size >= VERIFY_BYTES or len(batch) >= VERIFY_SPANS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
