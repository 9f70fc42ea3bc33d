"""Every verb of the table in every kind of session: what changes something passes exactly where it may, and only there.

The table of what may pass stands here, by verb and right, and is complete: a verb that is new fails the first test
until somebody has decided who may say it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest
from tests.grid.grid_server import PASSWORD
from tests.grid.trusting import Tokyo, write
from tests.grid.vaults import Source, sealed_record

from farvault.base.errors import FarvaultError, PeerMisbehaved, PeerUnreachable
from farvault.catalog import nouns
from farvault.model.node import Node
from farvault.protocol import messages as m
from farvault.protocol import truth as t
from farvault.protocol import virtual_volumes as v
from farvault.protocol.beat import SourceBeat
from farvault.protocol.login import ADMIN, NODE, ClientLogin
from farvault.protocol.verbs import VERBS, End, Verb
from farvault.seal.compress import RAW
from farvault.seal.identity import Identity, new_code
from farvault.transport.connection import Connection
from farvault.transport.dial import dial, sign_on

NOBODY, CLIENT, ADMINISTRATOR = "not signed on", "client node", "administrator"
SOURCE_RW, THIRD, PENDING = "source", "third server", "source that waits for approval"
RIGHTS: Final = (NOBODY, CLIENT, ADMINISTRATOR, SOURCE_RW, THIRD, PENDING)
SOURCES: Final = frozenset({SOURCE_RW, THIRD, PENDING})
VOLUME: Final = "ADSM.V"

_RECORD, _DIGEST = sealed_record(1)
BODIES: Final[dict[type[m.Body], m.Body]] = {
    m.Hello: m.Hello(role="NODE", name="ANN", nonce=bytes(32)),
    m.ScramFirst: m.ScramFirst(message="n,,n=ANN,r=x"),
    m.ScramFinal: m.ScramFinal(message="c=,r=x,p=x"),
    m.Ping: m.Ping(),
    m.SignOff: m.SignOff(),
    m.QueryPolicy: m.QueryPolicy(),
    m.RegisterFileSpace: m.RegisterFileSpace(name="/new"),
    m.QueryFileSpaces: m.QueryFileSpaces(),
    m.DeleteFileSpace: m.DeleteFileSpace(name="ADSM.SERVER"),
    m.QueryObjects: m.QueryObjects(file_space="ADSM.SERVER"),
    m.BeginTransaction: m.BeginTransaction(file_space="ADSM.SERVER", kind=1, management_class="STANDARD"),
    m.Known: m.Known(digests=_DIGEST),
    m.StorePack: m.StorePack(codec=RAW, plain_bytes=4096),
    m.ExpireObjects: m.ExpireObjects(ids=(1,)),
    m.UpdateObjects: m.UpdateObjects(rows=(m.AttributesRow(1, b""),)),
    m.RebindObjects: m.RebindObjects(ids=(1,), management_class="STANDARD"),
    m.EndTransaction: m.EndTransaction(),
    m.DeleteObjects: m.DeleteObjects(ids=(1, 2, 3)),
    m.ReadObjects: m.ReadObjects(ids=(1, 2, 3)),
    m.Command: m.Command(text="query node"),
    m.WatchConsole: m.WatchConsole(),
    v.OpenSegment: v.OpenSegment(volume="ADSM.NEW", offset_bytes=0),
    v.KnownRecords: v.KnownRecords(digests=_DIGEST),
    v.StoreRecord: v.StoreRecord(segment=1, digest=_DIGEST),
    v.ReferRecords: v.ReferRecords(segment=1, digests=_DIGEST),
    v.CloseSegment: v.CloseSegment(segment=1, stored_bytes=0, records=0, digest=bytes(32)),
    v.AbortSegment: v.AbortSegment(segment=1),
    v.ReadRecords: v.ReadRecords(volume=VOLUME, spans=(v.Span(0, _RECORD.nbytes),)),
    v.QueryVolumes: v.QueryVolumes(),
    v.MarkVolume: v.MarkVolume(volume=VOLUME, grace_days=0),
    v.UnmarkVolume: v.UnmarkVolume(volume=VOLUME),
    v.VerifyVolume: v.VerifyVolume(volume=VOLUME),
    t.ReconcileDone: t.ReconcileDone(epoch=1, volumes=0, stored_bytes=0, digest=bytes(32)),
    t.QueryInventory: t.QueryInventory(),
    t.Challenge: t.Challenge(volume=VOLUME, probes=(t.Probe(0, _RECORD.nbytes, 0, 64, bytes(32)),)),
    t.QueryReceipts: t.QueryReceipts(numbers=(1,)),
    SourceBeat: SourceBeat(),
}
"""One of each verb that a server may receive; those of sources are such that they do something where they may."""

EVERYBODY: Final = frozenset(RIGHTS) - {NOBODY}
MAY: Final[dict[type[m.Body], frozenset[str]]] = {
    m.Hello: frozenset({NOBODY}),
    m.ScramFirst: frozenset(),
    m.ScramFinal: frozenset(),
    m.Ping: EVERYBODY,
    SourceBeat: EVERYBODY,  # it says and changes nothing
    m.SignOff: frozenset(RIGHTS),  # who leaves gets no answer
    m.Command: frozenset({ADMINISTRATOR}),
    m.WatchConsole: frozenset({ADMINISTRATOR}),
    v.KnownRecords: SOURCES,
    v.ReadRecords: SOURCES,
    v.QueryVolumes: SOURCES,
    v.VerifyVolume: SOURCES,
    t.QueryInventory: SOURCES,
    t.Challenge: SOURCES,
    t.QueryReceipts: SOURCES,
    **dict.fromkeys(
        (
            v.OpenSegment,
            v.StoreRecord,
            v.ReferRecords,
            v.CloseSegment,
            v.AbortSegment,
            v.MarkVolume,
            v.UnmarkVolume,
            t.ReconcileDone,
        ),
        frozenset({SOURCE_RW}),
    ),
    **dict.fromkeys(
        (
            m.QueryPolicy,
            m.RegisterFileSpace,
            m.QueryFileSpaces,
            m.DeleteFileSpace,
            m.QueryObjects,
            m.BeginTransaction,
            m.Known,
            m.StorePack,
            m.ExpireObjects,
            m.UpdateObjects,
            m.RebindObjects,
            m.EndTransaction,
            m.DeleteObjects,
            m.ReadObjects,
        ),
        frozenset({CLIENT}),
    ),
}
"""Who may say it. Whether it then succeeds is another matter: object 1 is not everybody's."""

RECEIVED: Final = [verb for verb in VERBS if verb.to is End.SERVER]


@dataclass
class World:
    """TOKYO with a volume of DELHI's, a client ANN, an administrator; and DELHI's keys."""

    tokyo: Tokyo
    delhi: Source

    def connect(self, right: str) -> Connection:
        port = self.tokyo.server.port
        if right == NOBODY:
            return dial("127.0.0.1", port)
        if right == SOURCE_RW:
            return self.delhi.target().open_session().connection
        if right == THIRD:
            return (
                Source(port, code=new_code(), identity=Identity.create("OSAKA"))
                .target()
                .open_session()
                .connection
            )
        if right == PENDING:
            waits = Source(port, identity=self.delhi.identity, force_sync=True)
            session = waits.target().open_session()
            assert session.read_only and session.welcome.sync_pending
            return session.connection
        connection = dial("127.0.0.1", port)
        role, name = (NODE, "ANN") if right == CLIENT else (ADMIN, "ROOT")
        sign_on(connection, ClientLogin(role, name, PASSWORD, connection.peer_certificate_der))
        return connection

    def state(self) -> tuple[object, ...]:
        """Everything a session of the wrong kind could have changed."""
        with self.tokyo.server.server.catalog.read() as r:
            node = nouns.get(r, Node, "DELHI")
            segments = r.all("SELECT * FROM segments ORDER BY object_id")
            objects = r.all("SELECT id, state, size_bytes, row_digest FROM objects ORDER BY id")
            spaces = r.all("SELECT node_id, name FROM file_spaces ORDER BY id")
            receipts = r.all("SELECT node_id, number FROM receipts")
            return node.verification_public_key, node.identity_public_key, segments, objects, spaces, receipts


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    tokyo = Tokyo(tmp_path_factory.mktemp("rights") / "tokyo")
    tokyo.admin(f"register node ann {PASSWORD} backdelete=yes archdelete=yes")
    tokyo.admin(f"register admin root {PASSWORD}")
    tokyo.admin("update node delhi forcesync=approve massdeletepct=0 massdeletecount=0")
    delhi = tokyo.source()
    write(delhi, "V", 1, 2)
    yield World(tokyo, delhi)
    tokyo.server.stop()


_BROKEN: Final = "ANR0446W"
"""Said before a connection is closed because of what came."""


def outcome(connection: Connection, verb: Verb) -> str:
    """`answered`, `refused` with an id, or `closed`: what the server did with this verb as the next thing said."""
    tail = [bytes(4096)] if verb.tail_max_bytes else []
    if verb.body is v.StoreRecord:
        tail = [bytes(_RECORD)]
    try:
        connection.send(BODIES[verb.body], *tail)
        if verb.is_beat:  # has no answer: the next request has one, where the beat did no harm
            connection.send(BODIES[m.Ping])
        if verb.body is not m.SignOff:
            connection.set_deadline(10)
            answer = connection.receive(memoryview(bytearray(8 << 20))).body
        else:
            return "answered"
    except (PeerUnreachable, PeerMisbehaved):
        return "closed"
    except FarvaultError as error:
        return f"refused here {error.message.id}"
    if not isinstance(answer, m.Refused):
        return "answered"
    return "closed" if answer.message_id == _BROKEN else f"refused {answer.message_id}"


def test_every_verb_of_the_table_is_here_with_a_body_and_with_who_may_say_it() -> None:
    assert set(BODIES) == set(MAY) == {verb.body for verb in RECEIVED}
    for verb in RECEIVED:
        assert not (verb.changes and MAY[verb.body] & {NOBODY, THIRD, PENDING}), verb.name


_SILENT: Final = {m.StorePack, m.ExpireObjects, m.UpdateObjects, m.RebindObjects}
"""Answered at the end of a transaction; without one they are refused."""
_STATELESS_REFUSALS: Final = {
    v.StoreRecord: "ANR4853E",
    v.ReferRecords: "ANR4853E",
    v.CloseSegment: "ANR4853E",
}
"""In the source's own session: no such segment is open."""


@pytest.mark.parametrize("right", [right for right in RIGHTS if right not in (SOURCE_RW, CLIENT)])
def test_no_session_says_more_than_it_may(world: World, right: str) -> None:
    """And nothing of DELHI's has changed after all of it."""
    for verb in RECEIVED:
        before = world.state()
        if (right, verb.body) == (ADMINISTRATOR, m.WatchConsole):
            continue  # answered by whatever is said next
        connection = world.connect(right)
        got = outcome(connection, verb)
        connection.close()
        if right in MAY[verb.body]:
            assert got == "answered", (right, verb.name, got)
        elif right in SOURCES and verb.changes and SOURCE_RW in MAY[verb.body]:
            assert got == "refused ANR4852E", (right, verb.name, got)
        else:
            assert got == "closed" or got.startswith("refused"), (right, verb.name, got)
        assert world.state() == before, (right, verb.name)


def test_a_client_node_says_nothing_of_sources_and_reaches_nothing_of_theirs(world: World) -> None:
    for verb in RECEIVED:
        before = world.state()
        connection = world.connect(CLIENT)
        got = outcome(connection, verb) if verb.body not in _SILENT else "answered"
        connection.close()
        if CLIENT not in MAY[verb.body]:
            assert got == "closed", (verb.name, got)
        if verb.body is not m.RegisterFileSpace:  # its own
            assert world.state() == before, verb.name


def test_the_source_itself_is_let_and_says_nothing_of_clients(world: World) -> None:
    for verb in RECEIVED:
        before = world.state()
        connection = world.connect(SOURCE_RW)
        got = outcome(connection, verb)
        connection.close()
        if SOURCE_RW not in MAY[verb.body]:
            assert got == "closed", (verb.name, got)
            assert world.state() == before, verb.name
        elif verb.body is t.ReconcileDone:
            assert got == "refused ANR4872E"
        else:
            wanted = _STATELESS_REFUSALS.get(verb.body)
            assert got == (f"refused {wanted}" if wanted else "answered"), (verb.name, got)
    marked = [row for row in world.tokyo.segments() if row.marked_time]
    assert not marked, "it was marked, and unmarked again"
    connection = world.connect(SOURCE_RW)
    connection.call(BODIES[v.OpenSegment], v.SegmentAnswer)
    with world.tokyo.server.server.catalog.read() as r:
        opened = r.all("SELECT volume FROM segments WHERE received_time = 0")
    connection.close()
    assert ("ADSM.NEW",) in opened


def test_refusals_of_a_third_server_are_counted(world: World) -> None:
    connection = world.connect(THIRD)
    connection.send(v.MarkVolume(volume=VOLUME, grace_days=0))
    assert isinstance(connection.receive().body, m.Refused)
    connection.close()
    world.tokyo.server.lines.wait_for("ANR4863W")
