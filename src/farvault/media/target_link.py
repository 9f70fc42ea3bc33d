"""A session with a target beside those of its device classes, for work that compares and asks.

It takes no mount point: a backup that holds them all must not keep anybody from finding out whether it is worth
anything. Requests are short and harmless twice, so a link that breaks is opened anew and asked again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Self, TypeVar

from farvault.base.disk import aligned_buffer
from farvault.base.errors import PeerMisbehaved, PeerUnreachable, RecordDamaged
from farvault.media.target import Target, TargetSession, unreachable
from farvault.protocol.messages import Done
from farvault.protocol.truth import Challenge, Inventory, InventoryRow, Probe, Proofs, QueryInventory
from farvault.protocol.verbs import RECORD_MAX_BYTES
from farvault.protocol.virtual_volumes import (
    MarkVolume,
    QueryVolumes,
    ReadRecords,
    RecordAnswer,
    SegmentRow,
    Span,
    UnmarkVolume,
    Volumes,
)
from farvault.seal.probe import Kept
from farvault.seal.record import check

TRIES: Final = 3
"""Sessions opened in a row for one request."""
SEGMENTS_MAX: Final = 1_000_000
"""Of one volume; a target that names more is not believed."""

VOLUMES_MAX: Final = 10_000_000
"""Named in one walk through an inventory."""

Result = TypeVar("Result")


class TargetLink:
    """Use it as a context. One thread."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._session: TargetSession | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def run(self, work: Callable[[TargetSession], Result]) -> Result:
        """`work` with a session, again with a new one where the link breaks. `PeerUnreachable` after a few tries."""
        for attempt in range(1, TRIES + 1):
            try:
                self._session = self._session or self.target.open_session()
                return work(self._session)
            except PeerUnreachable as error:
                self._drop()
                if attempt == TRIES:
                    raise unreachable(self.target.name, error) from None
            except PeerMisbehaved:
                self._drop()
                raise
        raise AssertionError("the loop returns or raises")

    def inventory(self, prefix: str, after: str) -> tuple[tuple[InventoryRow, ...], bool]:
        """The next volumes the target has, and whether they are the last. `PeerMisbehaved` where they are out of order."""
        answer = self.run(
            lambda session: session.connection.call(QueryInventory(prefix=prefix, after=after), Inventory)
        )
        before = after
        for row in answer.rows:
            if row.volume <= before or not row.volume.startswith(prefix):
                raise PeerMisbehaved("ANR4881E", peer=self.target.name, what="volumes in order of names")
            before = row.volume
        if not answer.rows and not answer.last:
            raise PeerMisbehaved("ANR4881E", peer=self.target.name, what="volumes in order of names")
        return answer.rows, answer.last

    def volume(self, volume: str) -> InventoryRow | None:
        """One volume as the target has it now."""
        rows, _ = self.inventory(volume, "")
        return rows[0] if rows and rows[0].volume == volume else None

    def segments(self, volume: str) -> list[SegmentRow]:
        """The active segments of one volume, in their order."""
        return self.run(lambda session: _segments(session, volume, self.target.name))

    def proves(self, volume: str, kept: Kept) -> bool:
        """Does the target know the answer to this question about a volume?"""
        body = Challenge(volume=volume, probes=(Probe(*kept.question),))
        answer = self.run(lambda session: session.connection.call(body, Proofs))
        if len(answer.answers) != len(kept.answer):
            raise PeerMisbehaved("ANR4881E", peer=self.target.name, what="one answer to each question")
        return answer.answers == kept.answer

    def record(self, volume: str, span: Span, digest: bytes) -> memoryview | None:
        """One record, good by its digest; None where the target has no such record any more."""
        buffer = aligned_buffer(RECORD_MAX_BYTES)

        def read(session: TargetSession) -> memoryview:
            session.connection.send(ReadRecords(volume=volume, spans=(span,)))
            return session.connection.expect(RecordAnswer, tail_into=buffer)[1]

        got = self.run(read)
        try:
            is_it = got.nbytes == span.stored_bytes and check(got).digest == digest
        except RecordDamaged:
            return None
        return got if is_it else None

    def mark(self, volume: str, grace_days: int, from_offset_bytes: int = 0) -> None:
        """Mark its segments from an offset on for deletion."""
        body = MarkVolume(volume=volume, grace_days=grace_days, from_offset_bytes=from_offset_bytes)
        self.run(lambda session: session.connection.call(body, Done))

    def unmark(self, volume: str) -> None:
        self.run(lambda session: session.connection.call(UnmarkVolume(volume=volume), Done))

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.connection.close()


def _segments(session: TargetSession, volume: str, server: str) -> list[SegmentRow]:
    """A name may hold characters that stand for others in a pattern: what else matches is left out."""
    session.connection.send(QueryVolumes(pattern=volume, marked=False))
    found: list[SegmentRow] = []
    while True:
        answer, _ = session.connection.expect(Volumes)
        found += (row for row in answer.rows if row.volume == volume and not row.marked_time)
        if answer.last:
            return found
        if len(found) > SEGMENTS_MAX or not answer.rows:
            raise PeerMisbehaved("ANR4881E", peer=server, what=f"the segments of {volume}")
