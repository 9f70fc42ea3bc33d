"""Messages between a source and its target about virtual volumes: storing, giving out, listing, deleting, verifying."""

from __future__ import annotations

from farvault.protocol.fields import Body, Digest, Many, Natural, Row


class OpenSegment(Body, frozen=True, kw_only=True):
    """Go on writing a virtual volume at `offset_bytes` (its present length). Answer: SegmentAnswer.

    A volume is one or more archive files, a segment each. An unfinished segment of an earlier session at the same
    offset is thrown away, its records stay known for a while: that is how a broken transfer resumes.
    """

    volume: str
    offset_bytes: Natural


class SegmentAnswer(Body, frozen=True, kw_only=True):
    """The segment is open. `segment` names it until it is closed."""

    segment: Natural


class KnownRecords(Body, frozen=True, kw_only=True):
    """Which of these records does the target hold for this node? Answer: KnownAnswer."""

    digests: bytes


class StoreRecord(Body, frozen=True, kw_only=True):
    """Tail: one sealed record, whose address is `digest`. Answered in order by RecordsDurable, sparsely."""

    segment: Natural
    digest: Digest


class ReferRecords(Body, frozen=True, kw_only=True):
    """Append records that the target holds already: no bytes travel. `digests`: 32 bytes each. Answered as StoreRecord."""

    segment: Natural
    digests: bytes


class RecordsDurable(Body, frozen=True, kw_only=True):
    """The first `records` records of the segment, `stored_bytes` long, are durable: the source may forget their bytes.

    Sent by itself, after a few MiB or when nothing more comes. A record that could not be stored is answered by
    Refused; nothing more of that segment is taken then, and nothing more of it is answered until it is aborted.
    """

    segment: Natural
    records: Natural
    stored_bytes: Natural


class CloseSegment(Body, frozen=True, kw_only=True):
    """Complete the segment. `digest`: BLAKE3 over all its record digests in order. Answer: Receipt."""

    segment: Natural
    stored_bytes: Natural
    records: Natural
    digest: Digest
    epoch: Natural = 0
    """The source's epoch; the receipt repeats it."""


class Receipt(Body, frozen=True, kw_only=True):
    """The target's statement that a segment is durable there; `signature` is its identity key's, over all other fields."""

    number: Natural
    """Running number of this node's receipts."""
    volume: str
    offset_bytes: Natural
    stored_bytes: Natural
    records: Natural
    digest: Digest
    received_time: Natural
    previous: Digest
    """BLAKE3 of the previous receipt, zeros for the first."""
    epoch: Natural = 0
    """The source's epoch when it closed the segment."""
    signature: bytes = b""


class AbortSegment(Body, frozen=True, kw_only=True):
    """Give the segment up. Answer: Done."""

    segment: Natural


class Span(Row, frozen=True):
    """A record on a virtual volume."""

    offset_bytes: Natural
    stored_bytes: Natural


class ReadRecords(Body, frozen=True, kw_only=True):
    """Answers: one RecordAnswer per span, in order."""

    volume: str
    spans: Many[Span]


class RecordAnswer(Body, frozen=True, kw_only=True):
    """Tail: the record's bytes; empty with `problem` set where it is missing or damaged."""

    problem: str = ""


class QueryVolumes(Body, frozen=True, kw_only=True):
    """Stream of Volumes frames, ordered by name, the last one with `last=True`."""

    pattern: str = "*"
    marked: bool = True


class SegmentRow(Row, frozen=True):
    """One archive file of a virtual volume, as the target holds it. `marked_time` 0 = not marked for deletion."""

    volume: str
    offset_bytes: Natural
    stored_bytes: Natural
    records: Natural
    digest: Digest
    received_time: Natural
    marked_time: Natural


class Volumes(Body, frozen=True, kw_only=True):
    """One batch of a volume list."""

    rows: Many[SegmentRow]
    last: bool


class MarkVolume(Body, frozen=True, kw_only=True):
    """Mark the segments of a volume that begin at `from_offset_bytes` or later for deletion: by default all of them.

    Answer: Done (also where there are none).
    """

    volume: str
    grace_days: Natural
    from_offset_bytes: Natural = 0


class UnmarkVolume(Body, frozen=True, kw_only=True):
    """Make a marked volume active again. Answer: Done."""

    volume: str


class VerifyVolume(Body, frozen=True, kw_only=True):
    """Read records of the volume at the target and check their digests. Answers: VerifyAnswer..., last=True.

    `spans` and `digests` (32 bytes each): these records have to be there, with these addresses. Empty: every record
    the target holds of the volume.
    """

    volume: str
    spans: Many[Span] = ()
    digests: bytes = b""


class VerifyAnswer(Body, frozen=True, kw_only=True):
    """Progress of a verification; `damaged`: spans whose bytes are wrong or missing."""

    records: Natural
    stored_bytes: Natural
    damaged: Many[Span]
    last: bool
