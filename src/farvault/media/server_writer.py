"""Writing a virtual volume: records go out in a window and are acknowledged when durable; a broken link is resumed.

One commit is one segment at the target. Until a record is acknowledged its bytes stay in the window (48 MiB, or 768
records), and the caller's own buffer is free at once. After a cut the segment is opened anew, the target is asked
which of the window's records it holds, and only the others travel again; what it had acknowledged is named, not
sent. The same question makes a restarted copy cheap (`append_known`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from farvault.base.disk import crash_point
from farvault.base.errors import (
    FarvaultError,
    MediaFailed,
    MediaFull,
    NotAuthorized,
    NotAvailable,
    NotFound,
    WriteUndone,
)
from farvault.media import receipt as receipts
from farvault.media.mounts import Mount, Mounts
from farvault.media.target import TargetSession
from farvault.media.window import Window
from farvault.protocol.messages import Body, Done, KnownAnswer, Refused
from farvault.protocol.refusal import from_refused
from farvault.protocol.verbs import RECORD_MAX_BYTES
from farvault.protocol.virtual_volumes import (
    AbortSegment,
    CloseSegment,
    KnownRecords,
    OpenSegment,
    Receipt,
    RecordsDurable,
    ReferRecords,
    SegmentAnswer,
    StoreRecord,
)

Result = TypeVar("Result")

NAMES_AT_ONCE: Final = 4096
"""Digests in one KnownRecords or ReferRecords."""


class _Entry(NamedTuple):
    """A record of the present segment; its bytes are in the window, or known to be at the target."""

    digest: bytes
    stored_bytes: int


class ServerWriter:
    """Appends to one virtual volume. One thread uses it; it holds a mount point from its first record to `close`."""

    def __init__(
        self, mounts: Mounts, name: str, volume: str, written_bytes: int, capacity_bytes: int
    ) -> None:
        self._mounts, self._name, self._volume = mounts, name, volume
        self._capacity = capacity_bytes
        self._base = self._position = written_bytes
        self._mount: Mount | None = None
        self._entries: list[_Entry] = []
        self._window = Window()
        """By record number in the segment: what is not known to be durable."""
        self._segment: int | None = None
        self._sent = self._sent_ever = 0
        self._error: FarvaultError | None = None

    @property
    def position_bytes(self) -> int:
        return self._position

    def append(self, record: memoryview, digest: bytes) -> int:
        self._refuse_after_failure()
        self._check_room(record.nbytes)
        self._keep(record)
        offset = self._add(_Entry(digest, record.nbytes))
        self._run(self._pump)
        return offset

    def append_known(self, digests: Sequence[bytes], lengths: Sequence[int]) -> list[int | None]:
        self._refuse_after_failure()
        known = b"".join(
            self._ask(digests[start : start + NAMES_AT_ONCE])
            for start in range(0, len(digests), NAMES_AT_ONCE)
        )
        offsets: list[int | None] = []
        is_full = False
        for digest, length, held in zip(digests, lengths, known, strict=True):
            is_full = is_full or bool(held and self._position + length > self._capacity)
            offsets.append(self._add(_Entry(digest, length)) if held and not is_full else None)
        if any(offset is not None for offset in offsets):
            self._run(self._pump)
        return offsets

    def write_at(self, offset_bytes: int, record: memoryview) -> None:  # noqa: ARG002
        raise TypeError(f"{self._name} is sequential: records are only appended")

    def commit(self) -> bytes:
        self._refuse_after_failure()
        if not self._entries:
            return b""
        expected = Receipt(
            number=0,
            volume=self._volume,
            offset_bytes=self._base,
            stored_bytes=self._position - self._base,
            records=len(self._entries),
            digest=receipts.contents_digest(entry.digest for entry in self._entries),
            received_time=0,
            previous=b"",
        )
        crash_point("virtual_volume.commit.before_close")
        receipt, session = self._run(lambda session: (self._close_segment(session, expected), session))
        crash_point("virtual_volume.commit.after_receipt")
        expected = msgspec.structs.replace(expected, epoch=session.epoch)
        receipts.check(receipt, expected, session.identity_key, self._mounts.target.name)
        self._base = self._position
        self._forget_segment()
        return receipts.to_bytes(receipt)

    def abort(self) -> None:
        self._error = None
        self._position = self._base
        session = self._mount.session if self._mount else None
        if session is not None and self._segment is not None:
            self._abort_segment(session, self._segment)
        self._forget_segment()

    def close(self) -> None:
        self.abort()
        if self._mount is not None:
            self._mount.release()
            self._mount = None

    # --- the window --------------------------------------------------------------------------------------------

    def _keep(self, record: memoryview) -> None:
        """Copy it into the window, waiting for acknowledgements where that is full."""
        if record.nbytes > RECORD_MAX_BYTES:
            raise self._refused(f"a record of {record.nbytes} bytes")
        while not self._window.put(len(self._entries), record):
            self._run(self._await_acknowledgement)

    def _add(self, entry: _Entry) -> int:
        self._entries.append(entry)
        offset = self._position
        self._position += entry.stored_bytes
        return offset

    def _forget_segment(self) -> None:
        self._window.clear()
        self._entries = []
        self._segment = None
        self._sent = self._sent_ever = 0

    def _check_room(self, size_bytes: int) -> None:
        if self._position + size_bytes > self._capacity:
            raise MediaFull("ANR8341I", volume=self._name)

    # --- talking to the target -----------------------------------------------------------------------------------

    def _run(self, work: Callable[[TargetSession], Result]) -> Result:
        """`work` at the target, resumed over broken links. Any error ends this segment: only `abort` goes on from it."""
        if self._mount is None:
            self._mount = self._mounts.mount(self._name)
        try:
            return self._mount.run(work, self._resume)
        except FarvaultError as error:
            self._error = error
            raise

    def _resume(self, session: TargetSession) -> None:
        """A new session: open the segment anew and find out which records of the window need not travel again."""
        self._segment = None
        self._sent = 0
        if not self._entries:
            return
        self._open_segment(session)
        numbers = self._window.numbers
        known = self._ask_known(session, [self._entries[number].digest for number in numbers])
        for number, held in zip(numbers, known, strict=True):
            if held:
                self._window.let_go(number)

    def _pump(self, session: TargetSession) -> None:
        """Everything added so far is on its way when this returns; acknowledgements that came are taken."""
        if self._segment is None:
            self._open_segment(session)
        while self._sent < len(self._entries):
            if self._sent in self._window:
                self._store(session, self._sent)
            else:
                self._refer(session)
            while session.connection.is_readable(0):
                self._take_answer(session)

    def _store(self, session: TargetSession, number: int) -> None:
        assert self._segment is not None
        body = StoreRecord(segment=self._segment, digest=self._entries[number].digest)
        if number < self._sent_ever:
            self._mounts.record.sent_again()
        self._sent_ever = max(self._sent_ever, number + 1)
        session.connection.send(body, self._window.view(number))
        self._sent = number + 1

    def _refer(self, session: TargetSession) -> None:
        """Name the next run of records that are at the target already."""
        assert self._segment is not None
        end = self._sent
        while end < len(self._entries) and end not in self._window and end - self._sent < NAMES_AT_ONCE:
            end += 1
        digests = b"".join(entry.digest for entry in self._entries[self._sent : end])
        session.connection.send(ReferRecords(segment=self._segment, digests=digests))
        self._sent = end

    def _open_segment(self, session: TargetSession) -> None:
        session.check_writable(self._mounts.target.name)
        session.connection.send(OpenSegment(volume=self._volume, offset_bytes=self._base))
        answer = self._await_answer(session, SegmentAnswer)
        assert isinstance(answer, SegmentAnswer)
        self._segment = answer.segment

    def _ask(self, digests: Sequence[bytes]) -> bytes:
        return self._run(lambda session: self._ask_known(session, digests))

    def _ask_known(self, session: TargetSession, digests: Sequence[bytes]) -> bytes:
        if not digests:
            return b""
        session.connection.send(KnownRecords(digests=b"".join(digests)))
        answer = self._await_answer(session, KnownAnswer)
        assert isinstance(answer, KnownAnswer)
        if len(answer.known) != len(digests):
            raise self._refused(f"{len(answer.known)} answers to {len(digests)} questions")
        return answer.known

    def _close_segment(self, session: TargetSession, expected: Receipt) -> Receipt:
        self._pump(session)
        assert self._segment is not None
        session.connection.send(
            CloseSegment(
                segment=self._segment,
                stored_bytes=expected.stored_bytes,
                records=expected.records,
                digest=expected.digest,
                epoch=session.epoch,
            )
        )
        answer = self._await_answer(session, Receipt)
        assert isinstance(answer, Receipt)
        return answer

    def _await_acknowledgement(self, session: TargetSession) -> None:
        self._pump(session)
        before = len(self._window)
        while self._window and len(self._window) == before:
            self._take_answer(session)

    def _await_answer(self, session: TargetSession, expected: type[Body]) -> Body:
        while True:
            answer = self._take_answer(session, expected)
            if answer is not None:
                return answer

    def _take_answer(self, session: TargetSession, *expected: type[Body]) -> Body | None:
        """One frame: an acknowledgement is booked (None), what was expected is returned, a refusal is raised."""
        answer, _ = session.connection.expect(*expected, RecordsDurable, Refused)
        if isinstance(answer, Refused):
            raise self._refusal(from_refused(answer), opening=SegmentAnswer in expected)
        if not isinstance(answer, RecordsDurable):
            return answer
        if answer.segment == self._segment:
            durable = min(answer.records, self._sent)
            self._window.let_go_below(durable)
            assert self._mount is not None
            self._mount.progress()
        return None

    def _refusal(self, error: FarvaultError, *, opening: bool) -> FarvaultError:
        """What the target says no to. Its policy, its locks and its room say nothing about this volume: no other one

        would do better, and this one stays as good as it is. Nor does it where it has lost a record it said it holds.
        Anything else makes the volume suspect.
        """
        failed = self._refused(str(error))
        if opening or isinstance(error, MediaFull | NotAuthorized | NotAvailable):
            return NotAvailable.from_message(failed.message)
        if isinstance(error, NotFound):
            return WriteUndone.from_message(failed.message)
        return failed

    def _refused(self, reason: str) -> MediaFailed:
        return MediaFailed("ANR4803E", server=self._mounts.target.name, volume=self._name, reason=reason)

    def _abort_segment(self, session: TargetSession, segment: int) -> None:
        """Best effort: what the target is not told now it collects later by itself."""
        try:
            session.connection.send(AbortSegment(segment=segment))
            while not isinstance(session.connection.expect(Done, RecordsDurable, Refused)[0], Done):
                pass  # what was under way when we gave up
        except FarvaultError:
            assert self._mount is not None
            self._mount.drop()

    def _refuse_after_failure(self) -> None:
        if self._error is not None:
            raise self._error
