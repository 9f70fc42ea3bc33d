"""A source at work: the verbs of virtual volumes. One segment at a time is open in a session.

A refused request is an answer and the session goes on. In a read-only session every verb that changes something is
refused with the same message, whatever it asks for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Final

from farvault.base.errors import FarvaultError, NotAuthorized, NotFound, PeerMisbehaved, PeerUnreachable
from farvault.catalog import vault as rows
from farvault.catalog import vault_rules
from farvault.catalog.vault import SegmentRow as CatalogSegment
from farvault.model.stored_object import ObjectKind
from farvault.protocol.frames import ProtocolError
from farvault.protocol.messages import Body, Done, KnownAnswer, Ping, SignOff
from farvault.protocol.refusal import to_refused
from farvault.protocol.truth import ReconcileDone
from farvault.protocol.verbs import BY_BODY
from farvault.protocol.virtual_volumes import (
    AbortSegment,
    CloseSegment,
    KnownRecords,
    MarkVolume,
    OpenSegment,
    QueryVolumes,
    ReadRecords,
    RecordsDurable,
    ReferRecords,
    SegmentAnswer,
    SegmentRow,
    StoreRecord,
    UnmarkVolume,
    VerifyAnswer,
    VerifyVolume,
    Volumes,
)
from farvault.seal.digest import DIGEST_BYTES
from farvault.sessions import source_truth
from farvault.sessions.node_policy import copy_group
from farvault.sessions.node_session import NodeSession
from farvault.sessions.record_stream import RecordStream
from farvault.sessions.takeover import Takeover
from farvault.storage.vault import Segment, Vault
from farvault.storage.vault_guard import VaultGuard
from farvault.storage.vault_volumes import VaultVolumes
from farvault.transport.connection import Incoming

IDLE_SECONDS: Final = 24 * 3600.0
"""A source keeps its session for MOUNTRETENTION (up to a week); a dead one shows by TCP keepalive."""
SEGMENT_IDLE_SECONDS: Final = 15 * 60.0
"""With a segment open it holds a volume of ours: the next frame has to come sooner. A source that was slow comes back
and names what it had sent."""
LINK_IDLE_SECONDS: Final = 0.05
"""So long without a frame: what came is made durable and acknowledged, the source may be waiting for it."""
ROWS_AT_ONCE: Final = 1000
REFUSED_MARKS_MOST: Final = 1000
"""In one session. A source stops at the first deletion that is refused and comes back ten minutes later."""
IDLE_MARKS_MOST: Final = 20_000
"""The same of volumes that are not here: after an older state of ours a source may tell its whole queue."""
LONGEST_NAME: Final = 1024
MOST_GRACE_DAYS: Final = 9999


def serve_source(session: NodeSession, writers: Takeover, *, code_key: bytes, epoch: int = 0) -> None:
    """Until the source signs off. `PeerUnreachable` and `PeerMisbehaved` (broken protocol) end it.

    `writers`: the server's, shared by all its sessions. `code_key`: the code it has proved; empty: it may only read. `epoch`: as it signed it.
    """
    source = _Source(session, writers, code_key, epoch)
    try:
        source.serve()
    finally:
        source.leave()


_LOOKED_AT = Ping | OpenSegment | CloseSegment | MarkVolume | UnmarkVolume | ReconcileDone
LOOK_SECONDS: Final = 5.0


class _Source:
    def __init__(self, session: NodeSession, writers: Takeover, code_key: bytes, epoch: int) -> None:
        self._session, self._connection, self._writers = session, session.connection, writers
        self._code_key, self._epoch = code_key, epoch
        self._refused = self._refused_marks = self._idle_marks = 0
        self._guard = VaultGuard(session.log, session.node_id, session.node_name)
        self._volumes = VaultVolumes(session.storage, session.node_id)
        self._stream = RecordStream(self._connection, self._volumes, session.storage.buffers)
        self._segment: Segment | None = None
        self._buffer: memoryview | None = None
        self._look_from = 0.0
        self._password_verifier = ""
        """That of its node when this session first looked."""
        self._answers: Mapping[type[Body], Callable[[Body], Body | None]] = {
            OpenSegment: self._open_segment,
            KnownRecords: self._known_records,
            ReferRecords: self._refer_records,
            CloseSegment: self._close_segment,
            AbortSegment: self._abort_segment,
            QueryVolumes: self._query_volumes,
            MarkVolume: self._mark_volume,
            UnmarkVolume: self._unmark_volume,
            VerifyVolume: self._verify_volume,
            Ping: lambda _: Done(),
            ReconcileDone: self._reconcile_done,
            **source_truth.answers(session, self._volumes),
        }

    def serve(self) -> None:
        if self._code_key and self._epoch:
            with self._session.catalog.write() as tx:
                self._guard.note_epoch(tx, self._epoch, self._session.clock.now_seconds())
        while True:
            self._connection.idle_seconds = IDLE_SECONDS if self._segment is None else SEGMENT_IDLE_SECONDS
            self._rest_when_idle()
            self._buffer = self._buffer or self._session.storage.buffers.take()
            incoming = self._connection.receive(self._buffer)
            if isinstance(incoming.body, SignOff):
                return
            try:
                self._answer(incoming)
            except (ProtocolError, PeerUnreachable):
                raise
            except FarvaultError as refusal:
                self._connection.send(to_refused(refusal), request=incoming.request)

    def leave(self) -> None:
        """What an unfinished segment has received is kept for a while."""
        self._give_up()
        self._stream.stop()
        if self._buffer is not None:
            self._session.storage.buffers.give(self._buffer)
        if self._refused:
            with contextlib.suppress(FarvaultError), self._session.catalog.write() as tx:
                self._guard.count_refused(tx, self._refused, self._session.clock.now_seconds())

    def _rest_when_idle(self) -> None:
        segment = self._segment
        if (
            segment is not None
            and segment.has_unflushed
            and not self._connection.is_readable(LINK_IDLE_SECONDS)
        ):
            segment.flush()

    def _answer(self, incoming: Incoming) -> None:
        body = incoming.body
        if not self._code_key and BY_BODY[type(body)].changes:
            raise self._no_right_to(type(body).__name__)
        self._refuse_forbidden(body)
        if isinstance(body, ReadRecords):
            self._stream.ask(body)
            return
        self._stream.finish()
        if isinstance(body, StoreRecord):
            self._store_record(body, incoming.tail)
            return
        answer = self._answers.get(type(body))
        if answer is None:
            raise ProtocolError(f"{type(body).__name__} where it is not allowed", self._session.node_name)
        reply = answer(body)
        if reply is not None:
            self._connection.send(reply, request=incoming.request)

    def _refuse_forbidden(self, body: Body) -> None:
        """Sessions last for days: LOCK NODE, another password, code or READONLYSESSIONS=NO must not wait for them. Pinged
        first, a source signs on anew and hears why. What changes nothing is looked at every few seconds; records are, when their
        segment is closed.
        """
        now = self._session.clock.monotonic_seconds()
        if isinstance(body, StoreRecord | ReferRecords) or (
            now < self._look_from and not isinstance(body, _LOOKED_AT)
        ):
            return
        with self._session.catalog.read() as r:
            node = self._session.node(r)
            may_read = bool(self._code_key) or vault_rules.of_node(r, node.id).read_only_sessions
        self._password_verifier = self._password_verifier or node.password_verifier
        if node.locked:
            raise NotAuthorized("ANR0430W", name=node.name, address=self._connection.peer)
        if node.password_verifier != self._password_verifier:
            raise NotAuthorized("ANR0434W", name=node.name, address=self._connection.peer)
        if not may_read:
            raise NotAuthorized("ANR0497W", name=node.name, address=self._connection.peer)
        if self._code_key and self._code_key != node.verification_public_key:
            raise NotAuthorized("ANR4852E", node=node.name, verb=type(body).__name__)
        self._look_from = now + LOOK_SECONDS

    def _no_right_to(self, verb: str) -> NotAuthorized:
        """Counted for QUERY NODE, and said once a session: somebody with the password tries more than reading."""
        self._refused += 1
        if self._refused == 1:
            self._session.say("ANR4863W", verb=verb, address=self._connection.peer)
        return NotAuthorized("ANR4852E", node=self._session.node_name, verb=verb)

    # --- taking in -------------------------------------------------------------------------------------------------

    def _open_segment(self, body: Body) -> Body:
        assert isinstance(body, OpenSegment)
        _check_name(body.volume)
        if body.offset_bytes < 0:
            raise ProtocolError("a segment at a negative offset", self._session.node_name)
        self._give_up()
        self._writers.take((self._session.node_id, body.volume), self, self._connection.shutdown)
        try:
            self._segment = Segment(
                self._vault(), body.volume, body.offset_bytes, self._say_durable, self._say_failed
            )
        except BaseException as error:
            self._writers.leave((self._session.node_id, body.volume), self)
            if isinstance(error, FarvaultError):
                self._log_failure(body.volume, error)
            raise
        return SegmentAnswer(segment=self._segment.object_id)

    def _vault(self) -> Vault:
        """Where this node's data goes now; `NotFound` says what is missing in its policy."""
        session = self._session
        with session.catalog.read() as r:
            node = session.node(r)
            group = copy_group(r, node, "", ObjectKind.ARCHIVE)
        destination = session.storage.destination(group.destination)
        return Vault(session.storage, destination, group.management_class, session.node_id, session.node_name)

    def _store_record(self, body: StoreRecord, record: memoryview) -> None:
        segment = self._open_one(body.segment)
        assert self._buffer is not None
        if segment.error is None:
            buffer, self._buffer = self._buffer, None
            segment.store(body.digest, record, buffer)

    def _refer_records(self, body: Body) -> None:
        assert isinstance(body, ReferRecords)
        segment = self._open_one(body.segment)
        if segment.error is None:
            segment.refer(self._digests(body.digests))

    def _known_records(self, body: Body) -> Body:
        assert isinstance(body, KnownRecords)
        digests = self._digests(body.digests)
        with self._session.catalog.read() as r:
            return KnownAnswer(known=rows.known_records(r, self._session.node_id, digests))

    def _close_segment(self, body: Body) -> Body:
        assert isinstance(body, CloseSegment)
        segment = self._open_one(body.segment)
        try:
            receipt = segment.close(body.stored_bytes, body.records, body.digest, body.epoch)
        except FarvaultError as error:
            self._log_failure(segment.volume, error)
            self._give_up()
            raise
        self._segment = None
        self._writers.leave((self._session.node_id, segment.volume), self)
        self._session.say(
            "ANR4850I", volume=receipt.volume, node=self._session.node_name, records=receipt.records,
            size=receipt.stored_bytes, number=receipt.number,
        )  # fmt: skip
        return receipt

    def _abort_segment(self, body: Body) -> Body:
        assert isinstance(body, AbortSegment)
        if self._segment is not None and self._segment.object_id == body.segment:
            self._give_up()
        return Done()

    def _open_one(self, number: int) -> Segment:
        if self._segment is None or self._segment.object_id != number:
            raise NotFound("ANR4853E", number=number, node=self._session.node_name)
        return self._segment

    def _give_up(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.give_up()
            self._writers.leave((self._session.node_id, segment.volume), self)

    def _say_durable(self, segment: Segment, records: int, stored_bytes: int) -> None:
        """In the worker's thread."""
        self._tell(RecordsDurable(segment=segment.object_id, records=records, stored_bytes=stored_bytes))

    def _say_failed(self, segment: Segment, error: FarvaultError) -> None:
        """In the worker's thread: the one answer to everything sent for this segment from now on."""
        self._log_failure(segment.volume, error)
        self._tell(to_refused(error))

    def _tell(self, body: Body) -> None:
        with contextlib.suppress(PeerUnreachable, PeerMisbehaved):  # the session's thread finds out by itself
            self._connection.send(body)

    def _log_failure(self, volume: str, error: FarvaultError) -> None:
        self._session.say("ANR4851W", volume=volume, node=self._session.node_name, reason=str(error))

    # --- giving out, listing, deleting -------------------------------------------------------------------------------

    def _query_volumes(self, body: Body) -> Body:
        assert isinstance(body, QueryVolumes)
        after = ("", -1, -1)
        while True:
            with self._session.catalog.read() as r:
                found = rows.list_volumes(
                    r, self._session.node_id, body.pattern, after, ROWS_AT_ONCE, marked=body.marked
                )
            answer = Volumes(rows=tuple(map(_segment_row, found)), last=len(found) < ROWS_AT_ONCE)
            if answer.last:
                return answer
            self._connection.send(answer)
            after = (found[-1].volume, found[-1].offset_bytes, found[-1].object_id)

    def _mark_volume(self, body: Body) -> Body:
        """The grace is the source's wish or, where that is longer, what our administrator has set."""
        assert isinstance(body, MarkVolume)
        session, marked = self._session, 0
        with session.catalog.write() as tx:
            now = session.storage.vault_clock.look(tx).moment
            least = vault_rules.of_node(tx, session.node_id).min_grace_days
            days = max(min(body.grace_days, MOST_GRACE_DAYS), least)
            refusal = None
            if rows.is_overwritten(tx, session.node_id, body.volume, body.from_offset_bytes - 1):
                refusal = self._guard.deletion(tx, body.volume, now)
            if refusal is None:
                marked = rows.mark(
                    tx,
                    session.node_id,
                    body.volume,
                    now.wall,
                    days,
                    now.running,
                    from_offset_bytes=body.from_offset_bytes,
                )
        if refusal is not None:
            self._refused_marks += 1
            self._refuse_flood()
            raise refusal
        if marked:
            session.say("ANR4858I", volume=body.volume, node=session.node_name, days=days)
        else:
            self._idle_marks += 1
            self._refuse_flood()
        return Done()

    def _refuse_flood(self) -> None:
        """One line and the end of the session; each costs us a look into the catalog, and nobody honest sends so many."""
        if self._refused_marks > REFUSED_MARKS_MOST or self._idle_marks > IDLE_MARKS_MOST:
            raise ProtocolError("a flood of deletions that are refused or in vain", self._session.node_name)

    def _reconcile_done(self, body: Body) -> Body:
        assert isinstance(body, ReconcileDone)
        with self._session.catalog.write() as tx:
            was_needed = self._guard.believe_reconcile(tx, body, self._epoch)
        if was_needed:
            self._session.say("ANR4873I", node=self._session.node_name)
        return Done()

    def _unmark_volume(self, body: Body) -> Body:
        assert isinstance(body, UnmarkVolume)
        with self._session.catalog.write() as tx:
            rows.unmark(tx, self._session.node_id, body.volume)
        return Done()

    def _verify_volume(self, body: Body) -> Body:
        assert isinstance(body, VerifyVolume)
        digests = self._digests(body.digests)
        if len(digests) != len(body.spans):
            raise ProtocolError(
                f"{len(body.spans)} spans with {len(digests)} digests", self._session.node_name
            )
        wanted = [
            (span.offset_bytes, span.stored_bytes, digest)
            for span, digest in zip(body.spans, digests, strict=True)
        ]
        progress = VerifyAnswer(records=0, stored_bytes=0, damaged=(), last=True)
        for progress in self._volumes.verify(body.volume, wanted):
            if not progress.last:
                self._connection.send(progress)
        return progress

    def _digests(self, joined: bytes) -> list[bytes]:
        if len(joined) % DIGEST_BYTES:
            raise ProtocolError("digests that are not whole", self._session.node_name)
        return [joined[start : start + DIGEST_BYTES] for start in range(0, len(joined), DIGEST_BYTES)]


def _segment_row(row: CatalogSegment) -> SegmentRow:
    return SegmentRow(
        row.volume,
        row.offset_bytes,
        row.stored_bytes,
        row.records,
        row.digest,
        row.received_time,
        row.marked_time,
    )


def _check_name(volume: str) -> None:
    """It becomes a directory name in our catalog, never a path."""
    if not 0 < len(volume) <= LONGEST_NAME or not volume.isprintable():
        raise ProtocolError("a volume name that is none")
