"""A source writes, reads, resumes and deletes virtual volumes at a target: two ends over TLS in one process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest
from tests.grid.grid_server import GridServer
from tests.grid.vaults import (
    VAULT_DOMAIN,
    VAULT_POOL,
    HurriedClock,
    Source,
    change_node,
    make_target,
    sealed_record,
)
from tests.patience import PATIENCE_SECONDS

from farvault.base.clock import ManualClock
from farvault.base.disk import aligned_buffer, observe_crash_points
from farvault.base.errors import (
    FarvaultError,
    LoginRefused,
    MediaFailed,
    NotAuthorized,
    NotAvailable,
    PeerMisbehaved,
    PeerUnreachable,
)
from farvault.base.units import KIB, MIB
from farvault.catalog import nouns, placements
from farvault.catalog import vault as rows
from farvault.media import receipt as receipts
from farvault.media.interface import Span
from farvault.media.server import ServerDevice
from farvault.media.server_writer import ServerWriter
from farvault.media.target import DefinedTarget, TargetSession
from farvault.model.file_space import VAULT_FILE_SPACE, FileSpace
from farvault.model.node import Node
from farvault.model.policy import ACTIVE, ARCHIVE, CopyGroup
from farvault.model.storage_pool import StoragePool
from farvault.model.stored_object import ObjectState
from farvault.protocol import messages as m
from farvault.protocol import virtual_volumes as v
from farvault.protocol.truth import ReconcileDone
from farvault.protocol.verbs import VERBS
from farvault.seal.identity import Identity, new_code
from farvault.storage.vault import FLUSH_RECORDS
from farvault.storage.vault_clock import VaultClock
from farvault.storage.vault_volumes import collect_deleted, collect_unfinished, give_up_unclosed

CAPACITY = 500 * MIB
NAME = "DELHI.BFS.1"
AT_TARGET = f"ADSM.{NAME}"

MakeServer = Callable[[str], GridServer]


@pytest.fixture
def tokyo(make_server: MakeServer) -> GridServer:
    server = make_server("TOKYO")
    make_target(server, "DELHI", "OSAKA")
    return server


class CountingTarget:
    """Remembers the sessions it opened, so that tests can count bytes and cut links."""

    def __init__(self, target: DefinedTarget) -> None:
        self._target = target
        self.name = target.name
        self.definition = target.definition
        self.sessions: list[TargetSession] = []

    def open_session(self) -> TargetSession:
        session = self._target.open_session()
        self.sessions.append(session)
        return session

    @property
    def bytes_sent(self) -> int:
        return sum(session.connection.bytes_sent for session in self.sessions)

    def cut(self) -> None:
        """The network goes: no good-bye."""
        self.sessions[-1].connection.shutdown()


@contextmanager
def delhi(tokyo: GridServer, source: Source | None = None, **device: object) -> Iterator[Ends]:
    ends = Ends(tokyo, source or Source(tokyo.port), **device)
    try:
        yield ends
    finally:
        ends.device.close()


class Ends:
    """DELHI's device class and what goes over its link."""

    def __init__(self, tokyo: GridServer, source: Source, **device: object) -> None:
        self.source = source
        self.counting: CountingTarget | None = None
        source.wrap = self._count  # type: ignore[assignment]
        self.device: ServerDevice = source.device(**device)
        self.tokyo = tokyo

    def _count(self, target: DefinedTarget) -> CountingTarget:
        self.counting = CountingTarget(target)
        return self.counting

    @property
    def link(self) -> CountingTarget:
        assert self.counting is not None
        return self.counting

    def writer(self, name: str = NAME, written_bytes: int = 0) -> ServerWriter:
        return self.device.open_writer(name, written_bytes, CAPACITY)

    def write(self, *seeds: int, name: str = NAME, size: int = 20 * KIB) -> list[tuple[Span, bytes]]:
        """A volume with these records, committed."""
        writer = self.writer(name)
        placed = put(writer, *seeds, size=size)
        writer.commit()
        writer.close()
        return placed

    def read(self, spans: list[Span], name: str = NAME) -> list[bytes | None]:
        reader = self.device.open_reader(name)
        try:
            return [None if record is None else bytes(record) for record in reader.read_many(spans)]
        finally:
            reader.close()


def put(writer: ServerWriter, *seeds: int, size: int = 20 * KIB) -> list[tuple[Span, bytes]]:
    placed = []
    for seed in seeds:
        record, digest = sealed_record(seed, size)
        placed.append((Span(writer.position_bytes, record.nbytes), digest))
        writer.append(record, digest)
    return placed


def expected(*seeds: int, size: int = 20 * KIB) -> list[bytes]:
    return [bytes(sealed_record(seed, size)[0]) for seed in seeds]


@contextmanager
def told(label: str, count: int = 1) -> Iterator[threading.Event]:
    """An event that is set at the `count`-th arrival at a crash point."""
    event = threading.Event()
    left = count

    def observe(arrived: str) -> None:
        nonlocal left
        if arrived == label:
            left -= 1
            if left == 0:
                event.set()

    observe_crash_points(observe)
    try:
        yield event
    finally:
        observe_crash_points(None)


@contextmanager
def durable_at(tokyo: GridServer, records: int) -> Iterator[threading.Event]:
    """An event that is set when TOKYO's catalog holds this many records of open segments, in however many batches."""
    event = threading.Event()

    def observe(arrived: str) -> None:
        if arrived == "vault.records.after_commit":
            with tokyo.server.catalog.read() as r:
                if sum(segment.records for segment in rows.unclosed(r)) >= records:
                    event.set()

    observe_crash_points(observe)
    try:
        yield event
    finally:
        observe_crash_points(None)


def known(ends: Ends, digests: list[bytes]) -> bytes:
    session = ends.source.target().open_session()
    try:
        return session.connection.call(v.KnownRecords(digests=b"".join(digests)), m.KnownAnswer).known
    finally:
        session.close()


def segments(tokyo: GridServer, node: str = "DELHI") -> list[rows.SegmentRow]:
    with tokyo.server.catalog.read() as r:
        return rows.list_volumes(r, nouns.get(r, Node, node).id)


# --- the straight way ----------------------------------------------------------------------------------------------


def test_what_delhi_writes_lies_at_tokyo_as_archive_files_of_its_node(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        placed = ends.write(1, 2, 3)
        assert ends.read([span for span, _ in placed]) == expected(1, 2, 3)
    (segment,) = segments(tokyo)
    assert (segment.volume, segment.offset_bytes, segment.records) == (AT_TARGET, 0, 3)
    with tokyo.server.catalog.read() as r:
        node = nouns.get(r, Node, "DELHI")
        assert [space.name for space in nouns.select(r, FileSpace, node_id=node.id)] == [VAULT_FILE_SPACE]
        assert r.one("SELECT state FROM objects WHERE id = ?", (segment.object_id,)) == (ObjectState.ACTIVE,)


def test_every_commit_is_a_segment_with_a_receipt_that_names_the_one_before(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        writer = ends.writer()
        kept = []
        for seed in (1, 2, 3):
            put(writer, seed)
            kept.append(receipts.from_bytes(writer.commit()))
        writer.close()
    assert [receipt.number for receipt in kept] == [1, 2, 3]
    assert kept[0].previous == receipts.FIRST_PREVIOUS
    assert [one.previous for one in kept[1:]] == [receipts.chain_digest(one) for one in kept[:2]]
    assert [one.offset_bytes for one in kept] == [0, 24 * KIB, 48 * KIB]
    identity = tokyo.server.identity.public_key_bytes
    assert all(receipts.is_signed_by(receipt, identity) for receipt in kept)
    assert not receipts.is_signed_by(kept[0], Identity.create("OTHER").public_key_bytes)


def test_committing_nothing_talks_to_nobody(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        writer = ends.writer()
        assert writer.commit() == b""
        writer.close()
        assert ends.link.sessions == []


def test_two_sources_keep_volumes_of_the_same_name_apart(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends, delhi(tokyo, Source(tokyo.port, node_name="OSAKA")) as others:
        mine, theirs = ends.write(1, 2), others.write(7, 8)
        assert ends.read([span for span, _ in mine]) == expected(1, 2)
        assert others.read([span for span, _ in theirs]) == expected(7, 8)


def test_several_volumes_are_written_at_once(tokyo: GridServer) -> None:
    with delhi(tokyo, mount_limit=4) as ends:
        threads = [
            threading.Thread(
                target=ends.write, args=range(n * 100, n * 100 + 40), kwargs={"name": f"DELHI.BFS.{n}"}
            )
            for n in range(1, 5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        assert sorted(row.records for row in segments(tokyo)) == [40] * 4
        assert [receipt for row in segments(tokyo) if (receipt := row.receipt_number) > 4] == []


def test_a_name_that_is_taken_at_the_target_is_not_made_again(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        ends.write(1)
        with pytest.raises(FarvaultError, match="ANR4812E"):
            ends.device.create(NAME, CAPACITY)
        ends.device.create("DELHI.BFS.2", CAPACITY)


def test_scratch_names_carry_the_sources_name(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        assert ends.device.scratch_name("POOL", 7) == "DELHI.BFS.7"


# --- broken links --------------------------------------------------------------------------------------------------


def test_after_a_cut_what_was_durable_is_not_sent_again(tokyo: GridServer) -> None:
    size = 64 * KIB
    with delhi(tokyo) as ends:
        writer = ends.writer()
        with durable_at(tokyo, FLUSH_RECORDS) as durable:
            first = put(writer, *range(FLUSH_RECORDS), size=size)
            assert durable.wait(PATIENCE_SECONDS)
        sent = ends.link.bytes_sent
        ends.link.cut()
        more = put(writer, 1000, 1001, size=size)
        writer.commit()
        assert len(ends.link.sessions) == 2
        assert ends.link.bytes_sent - sent < 6 * size, "two new records, the names of the others, sign-on"
        writer.close()
        spans = [span for span, _ in [*first, *more]]
        assert ends.read(spans) == expected(*range(FLUSH_RECORDS), 1000, 1001, size=size)


def test_what_was_not_yet_durable_is_sent_again_from_the_window(tokyo: GridServer) -> None:
    with delhi(tokyo, Source(tokyo.port, clock=HurriedClock())) as ends:
        writer = ends.writer()
        for seed in range(40):
            put(writer, seed)
            if seed % 7 == 3:
                ends.link.cut()
        writer.commit()
        writer.close()
        assert len(ends.link.sessions) > 5
        (segment,) = segments(tokyo)
        assert segment.records == 40
        assert ends.read([Span(24 * KIB * n, 24 * KIB) for n in range(40)]) == expected(*range(40))


def test_a_receipt_that_got_lost_is_asked_for_again(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        writer = ends.writer()
        put(writer, 1, 2, 3)

        def cut_once(label: str) -> None:
            if label == "vault.segment.after_close" and len(ends.link.sessions) == 1:
                ends.link.cut()

        observe_crash_points(cut_once)
        try:
            receipt = receipts.from_bytes(writer.commit())
        finally:
            observe_crash_points(None)
        writer.close()
        assert receipt.number == 2
        assert ends.read([Span(24 * KIB, 24 * KIB)]) == expected(2)
    active = [row for row in segments(tokyo) if not row.marked_time]
    assert [(row.offset_bytes, row.records) for row in active] == [(0, 3)]


def test_a_copy_started_anew_names_what_an_unfinished_one_had_sent(tokyo: GridServer) -> None:
    source = Source(tokyo.port)
    size = 256 * KIB
    with delhi(tokyo, source) as ends:
        writer = ends.writer()
        with told("vault.records.after_sync") as synced:
            placed = put(writer, *range(20), size=size)
            ends.link.cut()  # DELHI dies here
            assert synced.wait(PATIENCE_SECONDS)
    tokyo.lines.wait_for("ANR0480W")
    with delhi(tokyo, source) as ends:
        writer = ends.writer("DELHI.BFS.2")
        offsets = writer.append_known([d for _, d in placed], [s.stored_bytes for s, _ in placed])
        held = [offset for offset in offsets if offset is not None]
        assert len(held) >= 15, "what had arrived is known"
        writer.commit()
        writer.close()
        assert ends.link.bytes_sent < size
        first = ends.read([Span(held[0], placed[0][0].stored_bytes)], "DELHI.BFS.2")
        assert first == expected(offsets.index(held[0]), size=size)


def test_the_target_stops_and_comes_back_while_a_volume_is_written(tokyo: GridServer) -> None:
    clock = ManualClock()
    source = Source(tokyo.port, clock=clock)
    with delhi(tokyo, source, retry_period_minutes=10, retry_interval_seconds=30) as ends:
        writer = ends.writer()
        put(writer, 1, 2)
        tokyo.stop()
        failed: list[BaseException] = []

        def go_on() -> None:
            try:
                put(writer, 3, 4)
                writer.commit()
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=go_on)
        thread.start()
        tokyo.start()
        source.port = tokyo.port
        while thread.is_alive():
            if clock.is_awaited(0.02):
                clock.advance(30)
        assert failed == []
        writer.close()
        assert ends.read([Span(24 * KIB * n, 24 * KIB) for n in range(4)]) == expected(1, 2, 3, 4)


@pytest.mark.parametrize(("period", "tries"), [(0, 1), (1, 3), (2, 5)])
def test_an_unreachable_target_is_tried_for_the_retry_period(
    tokyo: GridServer, period: int, tries: int
) -> None:
    clock = HurriedClock()
    source = Source(tokyo.port, clock=clock)
    tokyo.stop()
    with delhi(tokyo, source, retry_period_minutes=period, retry_interval_seconds=30) as ends:
        attempts: list[float] = []
        opened = ends.link.open_session

        def attempt() -> TargetSession:
            attempts.append(clock.monotonic_seconds())
            return opened()

        ends.link.open_session = attempt  # type: ignore[method-assign]
        writer = ends.writer()
        with pytest.raises(PeerUnreachable, match="ANR4376E"):
            put(writer, 1)
        assert len(attempts) == tries
        assert attempts[-1] - attempts[0] <= period * 60
        with pytest.raises(PeerUnreachable):
            put(writer, 2)  # the segment is lost: only abort goes on from here
        assert len(attempts) == tries
        writer.close()


def test_a_reader_goes_on_after_a_cut(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        placed = ends.write(*range(30), size=MIB)
        reader = ends.device.open_reader(NAME)
        got = []
        for number, record in enumerate(reader.read_many([span for span, _ in placed])):
            assert record is not None
            got.append(bytes(record))
            if number in (3, 17):
                ends.link.cut()
        reader.close()
        assert got == expected(*range(30), size=MIB)
        assert len(ends.link.sessions) == 3


# --- who may do what -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "source", "message_id"),
    [
        ({}, {"node_name": "NOBODY"}, "ANR0422W"),
        ({}, {"password": "wrong-horse-1"}, "ANR0424W"),
        ({"locked": True}, {}, "ANR0430W"),
        ({"type": "CLIENT"}, {}, "ANR0496W"),
    ],
    ids=["unknown node", "wrong password", "locked", "not a source"],
)
def test_who_is_refused_hears_why_and_is_not_tried_again(
    tokyo: GridServer, change: dict[str, object], source: dict[str, str], message_id: str
) -> None:
    change_node(tokyo, "DELHI", **change)
    with delhi(tokyo, Source(tokyo.port, **source)) as ends:  # type: ignore[arg-type]
        writer = ends.writer()
        with pytest.raises(LoginRefused, match=message_id):
            put(writer, 1)
        writer.close()
    assert tokyo.lines.wait_for(message_id)


def test_a_server_is_not_its_own_target(tokyo: GridServer) -> None:
    with delhi(tokyo, Source(tokyo.port, identity=tokyo.server.identity)) as ends:
        writer = ends.writer()
        with pytest.raises(LoginRefused, match="ANR0499E"):
            put(writer, 1)
        writer.close()


def test_without_an_archive_copy_group_nothing_is_stored_and_both_sides_say_why(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        placed = ends.write(1)
        with tokyo.server.catalog.write() as tx:
            nouns.delete(tx, nouns.get(tx, CopyGroup, VAULT_DOMAIN, ACTIVE, "STANDARD", ARCHIVE))
        writer = ends.writer("DELHI.BFS.2")
        with pytest.raises(NotAvailable, match=r"ANR4803E .*ANR0560W"):
            put(writer, 2)
            writer.commit()
        writer.close()
        assert "ANR0560W" in str(tokyo.lines.wait_for("ANR4851W"))
        assert ends.read([placed[0][0]]) == expected(1), "reading still works"


def test_the_pin_and_the_code_are_kept_at_first_contact(tokyo: GridServer) -> None:
    source = Source(tokyo.port)
    with delhi(tokyo, source) as ends:
        ends.write(1)
    assert source.events == ["pinned", "registered"]
    assert source.fingerprint == tokyo.server.fingerprint


def test_another_certificate_than_the_pinned_one_is_refused(tokyo: GridServer) -> None:
    with delhi(tokyo, Source(tokyo.port, fingerprint="AA:" * 31 + "AA")) as ends:
        writer = ends.writer()
        with pytest.raises(LoginRefused, match="ANR8599E"):
            put(writer, 1)
        writer.close()


@pytest.fixture
def third(tokyo: GridServer) -> Iterator[tuple[Ends, list[tuple[Span, bytes]]]]:
    """A third server: DELHI's name and password, but not its code; and what DELHI had stored."""
    with delhi(tokyo) as ends:
        placed = ends.write(1, 2, 3)
    with delhi(tokyo, Source(tokyo.port)) as third:
        yield third, placed


def test_a_third_server_reads_lists_and_verifies(
    third: tuple[Ends, list[tuple[Span, bytes]]],
) -> None:
    ends, placed = third
    assert ends.read([span for span, _ in placed]) == expected(1, 2, 3)
    assert list(ends.device.verify(NAME, placed)) == [(span, True) for span, _ in placed]
    with pytest.raises(FarvaultError, match="ANR4812E"):
        ends.device.create(NAME, CAPACITY)  # it could list the volume
    assert ends.link.sessions[0].read_only


def test_a_third_servers_own_side_refuses_to_write_and_to_delete(
    third: tuple[Ends, list[tuple[Span, bytes]]],
) -> None:
    ends, _ = third
    writer = ends.writer("DELHI.BFS.9")
    with pytest.raises(NotAuthorized, match="ANR4802E"):
        put(writer, 1)
    writer.close()
    with pytest.raises(NotAuthorized, match="ANR4802E"):
        ends.device.delete(NAME)


_CHANGES = {
    v.OpenSegment: v.OpenSegment(volume=AT_TARGET, offset_bytes=0),
    v.StoreRecord: v.StoreRecord(segment=1, digest=bytes(32)),
    v.ReferRecords: v.ReferRecords(segment=1, digests=bytes(32)),
    v.CloseSegment: v.CloseSegment(segment=1, stored_bytes=0, records=0, digest=bytes(32)),
    v.AbortSegment: v.AbortSegment(segment=1),
    v.MarkVolume: v.MarkVolume(volume=AT_TARGET, grace_days=0),
    v.UnmarkVolume: v.UnmarkVolume(volume=AT_TARGET),
    ReconcileDone: ReconcileDone(epoch=1, volumes=0, stored_bytes=0, digest=bytes(32)),
}


def test_every_changing_verb_of_virtual_volumes_is_in_this_table() -> None:
    assert set(_CHANGES) == {verb.body for verb in VERBS if verb.changes and verb.number >= 100}


@pytest.mark.parametrize("body", _CHANGES.values(), ids=lambda body: type(body).__name__)
def test_the_target_refuses_every_change_in_a_read_only_session(
    third: tuple[Ends, list[tuple[Span, bytes]]], body: m.Body, tokyo: GridServer
) -> None:
    ends, _ = third
    before = segments(tokyo)
    session = ends.link.open_session()
    session.connection.send(body, *([bytes(4096)] if isinstance(body, v.StoreRecord) else []))
    with pytest.raises(NotAuthorized, match=f"ANR4852E {type(body).__name__} refused"):
        session.connection.expect(m.Done)
    assert session.connection.call(m.Ping(), m.Done), "the session goes on"
    session.close()
    assert segments(tokyo) == before


def test_the_code_without_the_identity_key_only_reads(tokyo: GridServer) -> None:
    source = Source(tokyo.port)
    with delhi(tokyo, source) as ends:
        ends.write(1)
    with delhi(tokyo, Source(tokyo.port, code=source.code)) as ends:
        assert ends.link.open_session().read_only


def test_force_sync_registers_a_new_code_and_the_old_one_only_reads(tokyo: GridServer) -> None:
    old = Source(tokyo.port)
    with delhi(tokyo, old) as ends:
        ends.write(1)
    new = Source(tokyo.port, code=new_code(), identity=old.identity, force_sync=True)
    with delhi(tokyo, new) as ends:
        ends.write(2, name="DELHI.BFS.2")
    assert new.events == ["pinned", "registered"] and not new.force_sync
    with delhi(tokyo, old) as ends:
        assert ends.link.open_session().read_only


def test_force_sync_with_a_wrong_password_changes_nothing(tokyo: GridServer) -> None:
    old = Source(tokyo.port)
    with delhi(tokyo, old) as ends:
        ends.write(1)
    thief = Source(tokyo.port, password="guess-horse-1", force_sync=True)
    with pytest.raises(LoginRefused):
        thief.target().open_session()
    with delhi(tokyo, old) as ends:
        assert not ends.link.open_session().read_only


def test_another_sources_records_are_neither_known_nor_to_be_referred_to(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        placed = ends.write(1, 2)
    digests = [digest for _, digest in placed]
    with delhi(tokyo, Source(tokyo.port, node_name="OSAKA")) as others:
        assert known(others, digests) == b"\0\0"
        session = others.link.open_session()
        segment = session.connection.call(
            v.OpenSegment(volume="ADSM.X", offset_bytes=0), v.SegmentAnswer
        ).segment
        session.connection.send(v.ReferRecords(segment=segment, digests=b"".join(digests)))
        with pytest.raises(FarvaultError, match="ANR4857E"):
            session.connection.expect(v.RecordsDurable)
        session.close()


# --- what the target does not swallow --------------------------------------------------------------------------------


def open_by_hand(ends: Ends, volume: str = "ADSM.X") -> tuple[TargetSession, int]:
    session = ends.link.open_session()
    answer = session.connection.call(v.OpenSegment(volume=volume, offset_bytes=0), v.SegmentAnswer)
    return session, answer.segment


def test_a_record_that_changed_on_the_way_is_refused_and_nothing_of_the_segment_stands(
    tokyo: GridServer,
) -> None:
    with delhi(tokyo) as ends:
        session, segment = open_by_hand(ends)
        record, digest = sealed_record(1)
        record[5000] ^= 1
        session.connection.send(v.StoreRecord(segment=segment, digest=digest), record)
        with pytest.raises(FarvaultError, match="ANR9803E"):
            session.connection.expect(v.RecordsDurable)
        close = v.CloseSegment(segment=segment, stored_bytes=record.nbytes, records=1, digest=bytes(32))
        with pytest.raises(FarvaultError, match="ANR9803E"):
            session.connection.call(close, v.Receipt)
        session.close()
    assert segments(tokyo) == []


def test_a_record_under_another_ones_address_is_refused(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        session, segment = open_by_hand(ends)
        record, _ = sealed_record(1)
        session.connection.send(v.StoreRecord(segment=segment, digest=sealed_record(2)[1]), record)
        with pytest.raises(FarvaultError, match="ANR4854E"):
            session.connection.expect(v.RecordsDurable)
        session.close()


@pytest.mark.parametrize("wrong", [{"records": 2}, {"stored_bytes": 4096}, {"digest": bytes(32)}])
def test_a_close_that_does_not_agree_with_what_came_is_refused(
    tokyo: GridServer, wrong: dict[str, object]
) -> None:
    with delhi(tokyo) as ends:
        session, segment = open_by_hand(ends)
        record, digest = sealed_record(1)
        session.connection.send(v.StoreRecord(segment=segment, digest=digest), record)
        right = {"stored_bytes": record.nbytes, "records": 1, "digest": receipts.contents_digest([digest])}
        session.connection.send(v.CloseSegment(segment=segment, **{**right, **wrong}))  # type: ignore[arg-type]
        with pytest.raises(FarvaultError, match="ANR4855E"):
            while isinstance(session.connection.expect(v.Receipt, v.RecordsDurable)[0], v.RecordsDurable):
                pass
        session.close()
    assert segments(tokyo) == []


def test_a_segment_of_nobody_is_refused(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        session = ends.link.open_session()
        with pytest.raises(FarvaultError, match="ANR4853E"):
            session.connection.call(
                v.CloseSegment(segment=99, stored_bytes=0, records=0, digest=bytes(32)), v.Receipt
            )
        session.close()


@pytest.mark.parametrize(
    "body",
    [
        m.BeginTransaction(file_space="/", kind=1, management_class=""),
        v.KnownRecords(digests=b"short"),
        v.OpenSegment(volume="", offset_bytes=0),
        v.OpenSegment(volume="A\nB", offset_bytes=0),
        v.OpenSegment(volume="A", offset_bytes=-4096),
        v.VerifyVolume(volume="A", spans=(v.Span(0, 4096),)),
    ],
    ids=lambda body: type(body).__name__,
)
def test_what_breaks_the_protocol_ends_the_session_and_the_server_lives(
    tokyo: GridServer, body: m.Body
) -> None:
    with delhi(tokyo) as ends:
        session = ends.link.open_session()
        with pytest.raises(FarvaultError):
            session.connection.call(body, m.Done)
        with pytest.raises(FarvaultError):
            session.connection.call(m.Ping(), m.Done)
        tokyo.lines.wait_for("ANR0484W")
        ends.write(1)


def test_a_receipt_that_does_not_state_what_was_sent_is_not_believed() -> None:
    identity = Identity.create("TOKYO")
    sent = v.Receipt(
        number=0, volume="V", offset_bytes=0, stored_bytes=8192, records=2, digest=b"d" * 32, received_time=0,
        previous=b"",
    )  # fmt: skip
    stated = receipts.sign(
        v.Receipt(
            number=1, volume="V", offset_bytes=0, stored_bytes=4096, records=1, digest=b"d" * 32,
            received_time=5, previous=bytes(32),
        ),
        identity,
    )  # fmt: skip
    with pytest.raises(PeerMisbehaved, match="does not state"):
        receipts.check(stated, sent, identity.public_key_bytes, "TOKYO")
    with pytest.raises(PeerMisbehaved, match="signature"):
        receipts.check(stated, sent, Identity.create("OTHER").public_key_bytes, "TOKYO")


# --- deleting, damage, collecting ------------------------------------------------------------------------------------


def test_deleting_marks_and_the_grace_counts_by_the_targets_clock(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        placed = ends.write(1)
        ends.write(2, name="DELHI.BFS.2")
        ends.device.delete(NAME)
        ends.device.delete(NAME)
        marked, standing = segments(tokyo)
        assert marked.delete_time - marked.marked_time == 5 * 86_400 and not standing.marked_time
        assert ends.read([placed[0][0]]) == expected(1), "until the grace is over"
        assert collect_deleted(tokyo.server.storage) == 0


def test_marked_volumes_go_when_their_grace_is_over_and_give_their_space_back(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        ends.write(1, 2)
        with tokyo.server.catalog.write() as tx:
            rows.mark(tx, nouns.get(tx, Node, "DELHI").id, AT_TARGET, 1, 0)
        assert collect_deleted(tokyo.server.storage) == 1
        assert segments(tokyo) == []
        with tokyo.server.catalog.read() as r:
            assert r.one("SELECT count(*) FROM aggregates") == (0,)


def test_no_policy_expires_what_a_source_keeps_here(tokyo: GridServer) -> None:
    """RETVER=0, VERDELETED=0 and a class that is gone: expiration takes the one its source deleted, nothing else."""
    clock = HurriedClock(int(tokyo.server.clock.now_seconds()))
    storage = tokyo.server.storage
    storage.clock, storage.vault_clock = clock, VaultClock(storage.catalog, clock, tokyo.server.log)
    with tokyo.server.catalog.write() as tx:
        group = nouns.get(tx, CopyGroup, VAULT_DOMAIN, ACTIVE, "STANDARD", ARCHIVE)
        nouns.update(tx, msgspec.structs.replace(group, retain_version_days=0))
    with delhi(tokyo) as ends:
        placed = ends.write(1)
        ends.write(2, name="DELHI.BFS.2")
        ends.device.delete("DELHI.BFS.2")
        clock.advance(4 * 86_400)
        assert "0 virtual volume segments" in tokyo.admin("expire inventory wait=yes").text
        clock.advance(3000 * 86_400)
        with tokyo.server.catalog.write() as tx:
            nouns.delete(tx, nouns.get(tx, CopyGroup, VAULT_DOMAIN, ACTIVE, "STANDARD", ARCHIVE))
        assert "0 virtual volume segments" in tokyo.admin("expire inventory node=delhi wait=yes").text
        preview = tokyo.admin("expire inventory preview=yes wait=yes").text
        assert "0 archive objects would be deleted, and 1 virtual volume segments" in preview
        assert len(segments(tokyo)) == 2
        text = tokyo.admin("expire inventory wait=yes").text
        assert "0 archive objects and 1 virtual volume segments" in text
        assert [one.volume for one in segments(tokyo)] == [AT_TARGET]
        assert ends.read([placed[0][0]]) == expected(1)
    shown = tokyo.admin("query retention delhi").text
    assert "deleted by its source only" in shown and "RETVER" not in shown


def test_an_unmarked_volume_stands_again(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        ends.write(1)
        ends.device.delete(NAME)
        session = ends.link.open_session()
        session.connection.call(v.UnmarkVolume(volume=AT_TARGET), m.Done)
        session.close()
    assert [row.marked_time for row in segments(tokyo)] == [0]


def damage(tokyo: GridServer, digest: bytes) -> None:
    """Flip a bit of one record on TOKYO's disk."""
    with tokyo.server.catalog.read() as r:
        found = rows.find_records(r, nouns.get(r, Node, "DELHI").id, [digest])[digest]
        place = placements.of_aggregates(r, [found.aggregate_id])[found.aggregate_id][0]
    with open(place.volume_name, "r+b") as file:
        file.seek(place.offset_bytes + 5000)
        byte = file.read(1)
        file.seek(place.offset_bytes + 5000)
        file.write(bytes([byte[0] ^ 1]))


def test_damage_at_the_target_is_found_marked_told_and_sent_anew(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        placed = ends.write(1, 2, 3)
        damage(tokyo, placed[1][1])
        spans = [span for span, _ in placed]
        assert [good for _, good in ends.device.verify(NAME, placed)] == [True, False, True]
        assert ends.read(spans) == [expected(1)[0], None, expected(3)[0]]
        with pytest.raises(MediaFailed, match="ANR4807E"):
            ends.device.open_reader(NAME).read(spans[1], aligned_buffer(MIB))
        tokyo.lines.wait_for("ANR1330E")
        assert known(ends, [digest for _, digest in placed]) == b"\1\0\1"
        again = ends.write(2, name="DELHI.BFS.2")
        assert ends.read([again[0][0]], "DELHI.BFS.2") == expected(2)


def test_verify_without_spans_checks_all_that_is_there(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        placed = ends.write(1, 2, 3)
        damage(tokyo, placed[2][1])
        session = ends.link.open_session()
        answer = session.connection.call(v.VerifyVolume(volume=AT_TARGET), v.VerifyAnswer)
        session.close()
        assert (answer.records, answer.last) == (3, True)
        assert answer.damaged == (v.Span(*placed[2][0]),)


def test_what_an_unfinished_segment_left_is_collected_after_its_time(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        writer = ends.writer()
        placed = put(writer, 1, 2)
        ends.link.cut()
        tokyo.lines.wait_for("ANR0480W")
        writer.abort()
        writer.close()
        storage = tokyo.server.storage
        digests = [digest for _, digest in placed]
        held = known(ends, digests)
        assert collect_unfinished(storage, 3600) == 0
        assert known(ends, digests) == held
        assert collect_unfinished(storage, -10) == 1
        assert known(ends, digests) == b"\0\0"


def test_a_restarted_target_gives_up_what_was_open(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        session, _ = open_by_hand(ends)
        with tokyo.server.catalog.read() as r:
            assert len(rows.unclosed(r)) == 1
        session.connection.shutdown()
        tokyo.restart()
        with tokyo.server.catalog.read() as r:
            assert rows.unclosed(r) == []
        assert give_up_unclosed(tokyo.server.storage) == 0


def test_a_full_target_is_told_to_both_and_what_was_stored_stays(tokyo: GridServer) -> None:
    with delhi(tokyo) as ends:
        placed = ends.write(1)
        with tokyo.server.catalog.write() as tx:
            pool = nouns.get(tx, StoragePool, VAULT_POOL)
            nouns.update(tx, msgspec.structs.replace(pool, access="READONLY"))
        writer = ends.writer("DELHI.BFS.2")
        with pytest.raises(NotAvailable, match="ANR4803E"):
            put(writer, 2)
        writer.close()
        assert ends.read([placed[0][0]]) == expected(1)


# --- mount points ----------------------------------------------------------------------------------------------------


def test_no_more_sessions_than_mount_points_and_the_next_one_waits(tokyo: GridServer) -> None:
    with delhi(tokyo, mount_limit=1) as ends:
        writer = ends.writer()
        put(writer, 1)
        started, got = threading.Event(), []

        def read() -> None:
            started.set()
            got.extend(ends.read([Span(0, 24 * KIB)]))

        thread = threading.Thread(target=read)
        thread.start()
        started.wait(PATIENCE_SECONDS)
        assert ends.device.mounts.mounted == 1 and got == []
        writer.commit()
        writer.close()
        thread.join(PATIENCE_SECONDS)
        assert got == expected(1)
        assert len(ends.link.sessions) == 1, "the idle session was used again"


def test_who_would_wait_for_himself_is_told_at_once(tokyo: GridServer) -> None:
    with delhi(tokyo, mount_limit=1) as ends:
        writer = ends.writer()
        put(writer, 1)
        with pytest.raises(NotAvailable, match="ANR4805E"):
            ends.read([Span(0, 24 * KIB)])
        writer.close()


def test_an_idle_session_is_closed_when_its_retention_is_over(tokyo: GridServer) -> None:
    clock = ManualClock()
    with delhi(tokyo, Source(tokyo.port, clock=clock), mount_retention_minutes=60) as ends:
        ends.write(1)
        clock.advance(59 * 60)
        ends.read([Span(0, 24 * KIB)])
        assert len(ends.link.sessions) == 1
        clock.advance(61 * 60)
        ends.device.mounts.close_idle()
        tokyo.lines.wait_for("ANR0409I")
        ends.read([Span(0, 24 * KIB)])
        assert len(ends.link.sessions) == 2


def test_an_idle_session_that_died_is_replaced_without_a_retry_period(tokyo: GridServer) -> None:
    with delhi(tokyo, retry_period_minutes=0) as ends:
        ends.write(1)
        ends.link.cut()
        assert ends.read([Span(0, 24 * KIB)]) == expected(1)
