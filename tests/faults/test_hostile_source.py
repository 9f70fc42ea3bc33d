"""A source that floods, sends garbage or sits on what it holds: refused or cut off, and others do not notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest
from tests.grid.grid_server import GridServer
from tests.grid.vaults import Source, make_target, sealed_record

from farvault.base.disk import aligned_buffer
from farvault.base.errors import FarvaultError, NotAvailable, PeerUnreachable
from farvault.catalog import nouns
from farvault.catalog.inventory import every_volume
from farvault.media.interface import Span
from farvault.media.receipt import contents_digest
from farvault.media.target import TargetSession
from farvault.model.node import Node
from farvault.protocol import messages as m
from farvault.protocol import virtual_volumes as v
from farvault.protocol.truth import Challenge, Inventory, Probe, QueryInventory, QueryReceipts, ReconcileDone
from farvault.sessions import source as serving
from farvault.transport.dial import dial

MIB = 1 << 20


@pytest.fixture
def tokyo(make_server: Callable[[str], GridServer]) -> GridServer:
    server = make_server("TOKYO")
    make_target(server, "MALLORY", "OSAKA")
    return server


@pytest.fixture
def mallory(tokyo: GridServer) -> Iterator[Callable[[], TargetSession]]:
    """New sessions of a source that may do what it likes."""
    source = Source(tokyo.port, node_name="MALLORY")
    opened: list[TargetSession] = []

    def sign_on() -> TargetSession:
        opened.append(source.target().open_session())
        return opened[-1]

    yield sign_on
    for session in opened:
        session.connection.close()


def others_are_served(tokyo: GridServer) -> bool:
    """OSAKA vaults a record and reads it back."""
    device = Source(tokyo.port, node_name="OSAKA").device()
    try:
        record, digest = sealed_record(1)
        writer = device.open_writer("OSAKA.BFS.1", 0, 64 * MIB)
        writer.append(record, digest)
        writer.commit()
        writer.close()
        reader = device.open_reader("OSAKA.BFS.1")
        got = bytes(reader.read(Span(0, record.nbytes), aligned_buffer(MIB)))
        reader.close()
        return got == bytes(record)
    finally:
        device.close()


def count(tokyo: GridServer, table: str) -> int:
    with tokyo.server.catalog.read() as r:
        return int((r.one(f"SELECT COUNT(*) FROM {table}") or (0,))[0])


def open_segment(session: TargetSession, volume: str = "ADSM.X") -> int:
    return session.connection.call(v.OpenSegment(volume=volume, offset_bytes=0), v.SegmentAnswer).segment


# --- garbage -----------------------------------------------------------------------------------------------------------


def garbage(body: m.Body, *tail: bytes) -> tuple[m.Body, tuple[bytes, ...]]:
    return body, tail


@pytest.mark.parametrize(
    ("body", "tail"),
    [
        garbage(v.StoreRecord(segment=1, digest=bytes(32)), b"no record at all"),
        garbage(v.StoreRecord(segment=1, digest=bytes(32)), bytes(4096)),
        garbage(v.StoreRecord(segment=1, digest=bytes(32)), b""),
        garbage(v.StoreRecord(segment=1, digest=bytes(32)), bytes(5 * MIB)),
        garbage(v.ReferRecords(segment=1, digests=bytes(32))),
        garbage(v.ReferRecords(segment=1, digests=bytes(33))),
        garbage(v.OpenSegment(volume="", offset_bytes=0)),
        garbage(v.OpenSegment(volume="x" * 2000, offset_bytes=0)),
        garbage(v.OpenSegment(volume="../../etc/passwd\0", offset_bytes=0)),
        garbage(v.KnownRecords(digests=b"x" * 31)),
        garbage(v.CloseSegment(segment=1, stored_bytes=2**62, records=2**62, digest=bytes(32))),
        garbage(Challenge(volume="x", probes=(Probe(0, 4096, 2**62, 2**62, bytes(32)),) * 65)),
        garbage(QueryReceipts(numbers=tuple(range(501)))),
        garbage(ReconcileDone(epoch=9, volumes=1, stored_bytes=1, digest=bytes(32))),
        garbage(m.EndTransaction()),
        garbage(m.Command(text="halt")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, m.Body) else None,
)
def test_garbage_is_refused_and_nothing_of_it_is_kept(
    tokyo: GridServer, mallory: Callable[[], TargetSession], body: m.Body, tail: tuple[bytes, ...]
) -> None:
    session = mallory()
    number = open_segment(session)
    if "segment" in body.__struct_fields__:
        body = type(body)(**{**{f: getattr(body, f) for f in body.__struct_fields__}, "segment": number})
    session.connection.send(body, *tail)
    if isinstance(body, v.StoreRecord | v.ReferRecords):  # these are answered when something more is asked
        session.connection.send(v.CloseSegment(segment=number, stored_bytes=0, records=0, digest=bytes(32)))
    with pytest.raises(FarvaultError):
        session.connection.expect(m.Done)
    session.connection.close()
    assert others_are_served(tokyo)
    with tokyo.server.catalog.read() as r:
        assert list(every_volume(r, nouns.get(r, Node, "MALLORY").id)) == []


def test_a_range_outside_of_a_record_ends_the_session(
    tokyo: GridServer, mallory: Callable[[], TargetSession]
) -> None:
    session = mallory()
    record, digest = sealed_record(3)
    number = open_segment(session)
    session.connection.send(v.StoreRecord(segment=number, digest=digest), record)
    close = v.CloseSegment(
        segment=number, stored_bytes=record.nbytes, records=1, digest=contents_digest([digest])
    )
    session.connection.send(close)
    while not isinstance(session.connection.expect(v.Receipt, v.RecordsDurable)[0], v.Receipt):
        pass
    outside = Probe(0, record.nbytes, record.nbytes - 10, 100, bytes(32))
    session.connection.send(Challenge(volume="ADSM.X", probes=(outside,)))
    with pytest.raises(FarvaultError, match="bytes 24566 to 24666"):
        session.connection.expect(m.Done)
    with pytest.raises(PeerUnreachable):
        session.connection.call(m.Ping(), m.Done)


# --- flooding ----------------------------------------------------------------------------------------------------------


def test_thousands_of_empty_volumes_leave_nothing_behind(
    tokyo: GridServer, mallory: Callable[[], TargetSession]
) -> None:
    session = mallory()
    before = count(tokyo, "objects")
    for number in range(300):
        open_segment(session, f"ADSM.EMPTY.{number}")  # gives the last one up
    last = open_segment(session, "ADSM.EMPTY.LAST")
    session.connection.send(v.CloseSegment(segment=last, stored_bytes=0, records=0, digest=bytes(32)))
    with pytest.raises(FarvaultError, match="ANR4895E"):
        session.connection.expect(v.Receipt)
    assert others_are_served(tokyo)
    assert count(tokyo, "objects") == before + 1, "OSAKA's"
    assert count(tokyo, "segments") == 1
    with tokyo.server.catalog.read() as r:
        assert list(every_volume(r, nouns.get(r, Node, "MALLORY").id)) == []


def test_one_source_cannot_take_every_session(
    make_server: Callable[[str], GridServer], tokyo: GridServer, mallory: Callable[[], TargetSession]
) -> None:
    settings = tokyo.server.folder.settings()
    most = settings.max_sessions // 2
    assert 0 < most < settings.max_sessions
    patched = 5
    tokyo.stop()
    tokyo.change = lambda server: setattr(server.folder, "settings", lambda: _few(settings, 2 * patched))
    tokyo.start()
    source = Source(tokyo.port, node_name="MALLORY")
    sessions = [source.target().open_session() for _ in range(patched)]
    try:
        assert all(one.connection.call(m.Ping(), m.Done) for one in sessions)
        one_more = source.target().open_session()
        with pytest.raises((NotAvailable, PeerUnreachable), match=r"ANR4897E|ANR8218E"):
            one_more.connection.call(m.Ping(), m.Done)
        one_more.connection.close()
        assert "ANR4897E" in tokyo.lines.ids
        assert others_are_served(tokyo)
    finally:
        for session in sessions:
            session.connection.close()


def _few(settings: object, most: int) -> object:
    return msgspec.structs.replace(settings, max_sessions=most)  # type: ignore[type-var]


def test_a_long_inventory_is_told_in_pages_that_end(
    tokyo: GridServer, mallory: Callable[[], TargetSession]
) -> None:
    session = mallory()
    for after in ("", "x" * 40_000):
        assert session.connection.call(QueryInventory(after=after), Inventory).last


# --- sitting on it -------------------------------------------------------------------------------------------------------


def test_an_open_segment_is_not_held_for_ever(
    tokyo: GridServer, mallory: Callable[[], TargetSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "SEGMENT_IDLE_SECONDS", 0.3)
    session = mallory()
    record, digest = sealed_record(1)
    number = open_segment(session)
    session.connection.send(v.StoreRecord(segment=number, digest=digest), record)
    session.connection.expect(v.RecordsDurable)
    tokyo.lines.wait_for("ANR0482W")
    assert others_are_served(tokyo)
    again = mallory()
    known = again.connection.call(v.KnownRecords(digests=digest), m.KnownAnswer).known
    assert known == b"\x01", "a source that was only slow goes on where it was"


def test_a_session_without_an_open_segment_may_rest(
    tokyo: GridServer, mallory: Callable[[], TargetSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "SEGMENT_IDLE_SECONDS", 0.0)
    session = mallory()
    assert session.connection.call(m.Ping(), m.Done)
    assert session.connection.call(m.Ping(), m.Done)


def test_strangers_at_the_door_do_not_keep_sources_out(tokyo: GridServer) -> None:
    strangers = [dial("127.0.0.1", tokyo.port, fingerprint=tokyo.server.fingerprint) for _ in range(10)]
    try:
        assert others_are_served(tokyo)
    finally:
        for one in strangers:
            one.close()
