"""A third server with DELHI's node name and password, but not its code, may look and read and change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.faults.two_servers import BACKUP, Pair, back_up_some_files, said
from tests.grid.grid_server import PASSWORD, GridServer

from farvault.admin.server_secrets import defined_target
from farvault.base.errors import AlreadyExists, NotAuthorized
from farvault.catalog import nouns, placements
from farvault.media.interface import Span
from farvault.media.target import TargetSession
from farvault.model.volume import Volume
from farvault.protocol import messages as m
from farvault.protocol import virtual_volumes as v
from farvault.protocol.truth import ReconcileDone
from farvault.protocol.verbs import VERBS
from farvault.seal.record import check
from farvault.transport.ports import unused_port

FIRST_OF_SOURCES = 100
"""Verbs from this number on are those of virtual volumes."""


@dataclass(frozen=True)
class Three:
    """DELHI and TOKYO with a pool copied, and OSAKA that knows DELHI's password."""

    pair: Pair
    osaka: GridServer

    def session(self) -> TargetSession:
        server = self.osaka.server
        return defined_target(server.catalog, server.keyring, server.identity, "TOKYO").open_session()


@pytest.fixture
def three(pair: Pair, tmp_path: Path) -> Iterator[Three]:
    back_up_some_files(pair.delhi, tmp_path / "tree", size=1_000_000)
    pair.delhi.admin(BACKUP)
    osaka = GridServer("OSAKA", str(tmp_path / "osaka"), data_port=unused_port()).start()
    for command in (
        f"define server tokyo password={PASSWORD} hladdress=127.0.0.1 lladdress={pair.tokyo.port} nodename=delhi",
        "define devclass targetclass devtype=server servername=tokyo retryperiod=0",
        "define devclass tapeclass devtype=file directory=" + osaka.folder + "/tapes",
        "define stgpool tapepool tapeclass maxscratch=20",
        "define stgpool targetcopypool targetclass pooltype=copy maxscratch=20",
        "update copygroup standard standard standard type=backup destination=tapepool",
        "activate policyset standard standard",
        f"register node ann {PASSWORD}",
    ):
        osaka.admin(command)
    yield Three(pair, osaka)
    osaka.stop()


def vault(tokyo: GridServer) -> str:
    """What TOKYO holds for DELHI, as figures."""
    return tokyo.admin("query occupancy delhi").text + tokyo.admin("query filespace delhi f=d").text


def a_virtual_volume(delhi: GridServer) -> Volume:
    with delhi.server.catalog.read() as r:
        return next(one for one in nouns.select(r, Volume) if one.name.startswith("DELHI.BFS."))


def test_it_signs_on_but_read_only_and_both_sides_say_so(three: Three) -> None:
    answer = three.osaka.admin("ping server tokyo").text
    assert "ANR1707I" in answer and "read-only" in answer
    assert "read only" in said(three.pair.tokyo, 408)
    assert "read/write" in three.pair.delhi.admin("ping server tokyo").text


def test_it_lists_reads_and_verifies_what_delhi_stored(three: Three) -> None:
    name = a_virtual_volume(three.pair.delhi).name
    with three.pair.delhi.server.catalog.read() as r:
        rows = placements.on_volume(r, nouns.get(r, Volume, name).id)
    spans = [(Span(row.offset_bytes, row.stored_bytes), row.digest) for row in rows]
    assert spans
    device = three.osaka.server.storage.devices.device("TARGETCLASS")
    with pytest.raises(AlreadyExists, match="ANR4812E"):
        device.create(name, 1 << 20)  # it sees that the volume is there
    reader = device.open_reader(name)
    records = list(reader.read_many([span for span, _ in spans]))
    reader.close()
    assert [check(record).digest for record in records if record is not None] == [row.digest for row in rows]
    assert all(good for _, good in device.verify(name, spans))


def test_every_verb_that_changes_something_is_refused(three: Three) -> None:
    before = vault(three.pair.tokyo)
    volume = "ADSM." + a_virtual_volume(three.pair.delhi).name
    bodies: dict[type[m.Body], m.Body] = {
        v.OpenSegment: v.OpenSegment(volume=volume, offset_bytes=0),
        v.StoreRecord: v.StoreRecord(segment=1, digest=bytes(32)),
        v.ReferRecords: v.ReferRecords(segment=1, digests=bytes(32)),
        v.CloseSegment: v.CloseSegment(segment=1, stored_bytes=0, records=0, digest=bytes(32)),
        v.AbortSegment: v.AbortSegment(segment=1),
        v.MarkVolume: v.MarkVolume(volume=volume, grace_days=0),
        v.UnmarkVolume: v.UnmarkVolume(volume=volume),
        ReconcileDone: ReconcileDone(epoch=1, volumes=0, stored_bytes=0, digest=bytes(32)),
    }
    changing = [verb for verb in VERBS if verb.changes and verb.number >= FIRST_OF_SOURCES]
    assert {verb.body for verb in changing} == set(bodies), "a verb that is new is tried here too"
    session = three.session()
    for verb in changing:
        session.connection.send(bodies[verb.body], *([bytes(4096)] if verb.tail_max_bytes else []))
        with pytest.raises(NotAuthorized, match=f"ANR4852E {verb.name} refused"):
            session.connection.expect(m.Done)
    session.close()
    assert vault(three.pair.tokyo) == before


def test_its_own_backups_to_the_pool_fail_and_say_that_the_session_is_read_only(
    three: Three, tmp_path: Path
) -> None:
    before = vault(three.pair.tokyo)
    back_up_some_files(three.osaka, tmp_path / "osakas")
    failed = three.osaka.admin(BACKUP, allow=(4,)).text
    assert "ANR4802E" in failed and "completion state FAILURE" in failed
    assert vault(three.pair.tokyo) == before


def test_forcesync_does_not_open_the_door_for_it(three: Three, tmp_path: Path) -> None:
    """DELHI's identity is registered: a new code comes from DELHI, or waits for TOKYO's administrator."""
    before = vault(three.pair.tokyo)
    back_up_some_files(three.osaka, tmp_path / "osakas")
    three.osaka.admin("update server tokyo forcesync=yes")
    failed = three.osaka.admin(BACKUP, allow=(4,)).text
    assert "ANR4860E" in failed
    assert "ANR0570W" in said(three.pair.tokyo, 570)
    assert vault(three.pair.tokyo) == before
    more = back_up_some_files(three.pair.delhi, tmp_path / "more")
    assert three.pair.delhi.admin(BACKUP).return_code == 0, more


@pytest.mark.parametrize(
    ("command", "undo"),
    [
        ("update node delhi contact=somebody", "update node delhi contact=x"),
        ("lock node delhi", "unlock node delhi"),
    ],
)
def test_what_tokyos_administrator_does_to_the_node_gives_it_no_more_rights(
    three: Three, command: str, undo: str, tmp_path: Path
) -> None:
    back_up_some_files(three.osaka, tmp_path / "osakas")
    three.pair.tokyo.admin(command)
    three.osaka.admin(BACKUP, allow=(4,))
    three.pair.tokyo.admin(undo)
    assert "ANR4802E" in three.osaka.admin(BACKUP, allow=(4,)).text
