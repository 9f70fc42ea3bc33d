"""The ransomware story: DELHI is taken over on day 1, wholly. TOKYO keeps every one of its 1,000 objects for 30 days.

Whoever is at DELHI has its keys, its codes, its passwords and its administrators, and thirty days. TOKYO's administrator
has set MINRETENTION=30 MINGRACE=7 once, and does nothing else until the end. Each of the 25 attacks is a row of `ATTACKS`;
what TOKYO does by itself (expiration, housekeeping) is done every day. Every day each object has to be where the catalog
says, by digest, and every tenth volume is read from the media, byte for byte, another tenth each day; all of them are read on
the days on which something could end: behind the attacks, the grace, and on the last. The soak reads everything every day.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.grid.grid_server import PASSWORD
from tests.grid.trusting import CAPACITY, DAY, START, Tokyo, mark, of_epoch, read, write
from tests.grid.vaults import Source, sealed_record

from farvault.base.errors import (
    FarvaultError,
    LoginRefused,
    NotAuthorized,
    NotAvailable,
)
from farvault.catalog import nouns
from farvault.catalog import vault as rows
from farvault.media.interface import Span
from farvault.media.inventory_digest import InventoryDigest
from farvault.media.target import TargetSession
from farvault.model.administrator import Administrator
from farvault.model.node import Node
from farvault.protocol import messages as m
from farvault.protocol import virtual_volumes as v
from farvault.protocol.login import ADMIN, ClientLogin
from farvault.protocol.truth import ReconcileDone
from farvault.seal.identity import Identity, new_code
from farvault.seal.record import check
from farvault.sessions.source import IDLE_MARKS_MOST, REFUSED_MARKS_MOST
from farvault.storage.vault_volumes import VaultVolumes
from farvault.transport.dial import dial, sign_on

VOLUMES, RECORDS, RECORD_BYTES = 50, 20, 2000
FLOOR_DAYS, GRACE_DAYS = 30, 7
ALARM_SECONDS = 300
TENTHS = 10
DAYS_THAT_COULD_END_SOMETHING = (2, 1 + GRACE_DAYS + 1)
EVERYTHING_EVERY_DAY = [False, pytest.param(True, marks=pytest.mark.soak)]


@dataclass
class Story:
    """TOKYO, what DELHI had stored on day 0, and what the attacker holds: everything of DELHI's."""

    tokyo: Tokyo
    delhi: Source
    osaka: Source
    """Another source, who has nothing to do with all this."""
    stored: dict[str, list[tuple[Span, bytes]]] = field(default_factory=dict)
    first_mark_time: int = 0
    reads_everything: bool = False

    def session(self) -> TargetSession:
        return self.delhi.target().open_session()

    @contextlib.contextmanager
    def as_delhi(self) -> Iterator[TargetSession]:
        opened = self.session()
        try:
            yield opened
        finally:
            opened.close()

    def objects(self) -> int:
        """How many of the 1,000 TOKYO can still give back, whatever state their volumes are in, byte for byte."""
        server = self.tokyo.server.server
        with server.catalog.read() as r:
            node_id = nouns.get(r, Node, "DELHI").id
        good = 0
        for name, placed in self.stored.items():
            with server.catalog.read() as r:
                segments = [
                    s for s in rows.list_volumes(r, node_id, f"ADSM.{name}") if s.received_time < START + DAY
                ]
                digests = {
                    digest
                    for segment in segments
                    for digest in (row[2] for row in rows.volume_records(r, node_id, segment.volume))
                }
                found = rows.find_records(r, node_id, [digest for _, digest in placed])
            good += sum(digest in digests and digest in found for _, digest in placed)
        return good

    def bytes_are_right(self, names: Collection[str]) -> bool:
        """The records of these volumes themselves, read from TOKYO's media."""
        server = self.tokyo.server.server
        with server.catalog.read() as r:
            node_id = nouns.get(r, Node, "DELHI").id
        volumes = VaultVolumes(server.storage, node_id)
        for name in names:
            placed = self.stored[name]
            wanted = [(span.offset_bytes, span.stored_bytes) for span, _ in placed]
            for (_, digest), record in zip(placed, volumes.read(f"ADSM.{name}", wanted), strict=True):
                if record is None or check(record).digest != digest:
                    return False
        return True

    def comes_to(self, day: float) -> None:
        """The day comes, TOKYO does what it does by itself, and every object has to be there."""
        self.tokyo.pass_days((START + day * DAY - self.tokyo.clock.now_seconds()) / DAY)
        assert self.objects() == VOLUMES * RECORDS, f"day {day}"
        assert self.bytes_are_right(self._to_read(day)), f"day {day}"

    def _to_read(self, day: float) -> list[str]:
        names = sorted(self.stored)
        is_last = day > FLOOR_DAYS - 1
        if self.reads_everything or is_last or day in DAYS_THAT_COULD_END_SOMETHING:
            return names
        return names[int(day) % TENTHS :: TENTHS]

    def stream_of_marks(self, names: Iterable[str]) -> None:
        """Without waiting for an answer, until TOKYO ends the session."""
        opened = self.session()
        with pytest.raises(FarvaultError):  # its last word, or a broken link, whichever comes first
            for name in names:
                opened.connection.send(v.MarkVolume(volume=name, grace_days=0))
            while True:
                with contextlib.suppress(NotAvailable):
                    opened.connection.expect(m.Done)
        opened.connection.close()

    def refused_command(self, text: str) -> None:
        """An administrative command inside the source's session is broken protocol; as an administrator nobody lets him in."""
        opened = self.session()
        opened.connection.send(m.Command(text=text, confirmed=True))
        with pytest.raises(FarvaultError):
            opened.connection.expect(m.CommandEnd)
        opened.connection.close()
        for name in ("DELHI", "ROOT", "SERVER_CONSOLE"):
            connection = dial("127.0.0.1", self.tokyo.server.port)
            with pytest.raises(LoginRefused):
                sign_on(connection, ClientLogin(ADMIN, name, PASSWORD, connection.peer_certificate_der))
            connection.close()


Attack = Callable[[Story], None]
ATTACKS: dict[str, Attack] = {}


def attack(name: str) -> Callable[[Attack], Attack]:
    def put(does: Attack) -> Attack:
        ATTACKS[name] = does
        return does

    return put


@attack("delete all volumes")
def _delete_all(story: Story) -> None:
    accepted = 0
    with story.as_delhi() as opened:
        for name in story.stored:
            with contextlib.suppress(NotAvailable):
                mark(opened, f"ADSM.{name}")
                accepted += 1
                story.first_mark_time = story.first_mark_time or story.tokyo.clock.now_seconds()
            story.tokyo.clock.advance(1)
    assert accepted <= 5, "more than five percent in an hour are stopped"


@attack("expire everything")
def _expire(story: Story) -> None:
    """Grace 0 for whatever is marked already, and what the source calls old."""
    with story.as_delhi() as opened:
        for name in story.tokyo.names(marked=True):
            mark(opened, name, 0)
    for row in story.tokyo.segments():
        assert not row.marked_time or row.delete_time >= row.marked_time + GRACE_DAYS * DAY


@attack("set retention to 0")
def _no_retention(story: Story) -> None:
    story.refused_command("update node delhi minretention=0 mingrace=0")
    assert "Minimum Retention: 30" in story.tokyo.admin("query node delhi f=d")


@attack("reconcile with an empty catalog")
def _reconcile(story: Story) -> None:
    with story.as_delhi() as opened:
        for name in story.tokyo.names(marked=False)[:20]:
            with pytest.raises(NotAvailable, match=r"ANR486[24]E"):
                mark(opened, name)
        with pytest.raises(NotAvailable, match="ANR4872E"):
            opened.connection.call(_reconciled_nothing(), m.Done)


def _reconciled_nothing() -> ReconcileDone:
    return ReconcileDone(epoch=1, volumes=0, stored_bytes=0, digest=InventoryDigest().digest())


@attack("re-register")
def _register(story: Story) -> None:
    other = story.tokyo.source(identity=Identity.create("DELHI"), code=new_code())
    opened = other.target().open_session()
    assert opened.read_only
    opened.close()
    story.refused_command(f"register node delhi2 {PASSWORD} type=server")


@attack("FORCESYNC")
def _force_sync(story: Story) -> None:
    thief = story.tokyo.source(identity=Identity.create("DELHI"), code=new_code(), force_sync=True)
    opened = thief.target().open_session()
    assert opened.read_only and opened.welcome.sync_pending
    with pytest.raises(NotAuthorized):
        mark(opened, "ADSM.V040")
    opened.close()


@attack("rename")
def _rename(story: Story) -> None:
    """Another node's name, with what opens DELHI's."""
    osaka = story.tokyo.source(
        "OSAKA", identity=story.delhi.identity, code=story.delhi.code, password="delhis-1"
    )
    with pytest.raises(LoginRefused):
        osaka.target().open_session()
    story.refused_command("rename node delhi gone")


@attack("overwrite by same name")
def _overwrite(story: Story) -> None:
    for name in ("V020", "V021"):
        with pytest.raises(FarvaultError, match=r"ANR486[24]E"):
            write(story.delhi, name, 6666)


@attack("upload garbage with old and future dates")
def _garbage(story: Story) -> None:
    """No time of the source's travels at all; what comes now is labelled with TOKYO's present time."""
    write(story.delhi, "V000.19700101", 7001)
    write(story.delhi, "V000.20991231", 7002)
    late = [row for row in story.tokyo.segments() if ".V000." in row.volume]
    assert len(late) == 2 and all(row.received_time >= START + DAY for row in late)


@attack("fill the quota")
def _fill(story: Story) -> None:
    with pytest.raises(NotAvailable, match="ANR4866W"):
        write(story.delhi, "FILL", *range(8000, 8400))
    write(story.osaka, f"O{story.tokyo.clock.now_seconds()}", 1)


@attack("raise his own quota")
def _quota(story: Story) -> None:
    story.refused_command("update node delhi maxvaultbytes=nolimit")
    assert "Maximum Vault Bytes: 10 M" in story.tokyo.admin("query node delhi f=d")


@attack("change the pin")
def _pin(story: Story) -> None:
    """The right code under another identity key."""
    other = story.tokyo.source(code=story.delhi.code)
    opened = other.target().open_session()
    assert opened.read_only
    opened.close()


@attack("revoke TOKYO's alerts")
def _alerts(story: Story) -> None:
    story.refused_command("disable events")
    for word in ("approve deletion delhi", "confirm clock", "setopt actlogretention 0"):
        story.refused_command(word)
    opened = story.session()
    opened.connection.send(m.WatchConsole())
    with pytest.raises(FarvaultError):
        opened.connection.expect(m.Output)
    opened.connection.close()


@attack("import as a third server")
def _third(story: Story) -> None:
    """It may read, as the chapter says, and nothing else."""
    third = story.tokyo.source()
    opened = third.target().open_session()
    for body in (
        v.MarkVolume(volume="ADSM.V040", grace_days=0),
        v.OpenSegment(volume="ADSM.V040", offset_bytes=0),
        v.UnmarkVolume(volume="ADSM.V040"),
        _reconciled_nothing(),
    ):
        with pytest.raises(NotAuthorized, match="ANR4852E"):
            opened.connection.call(body, m.Done)
    opened.close()


@attack("replay old deletes")
def _replay(story: Story) -> None:
    """Marks TOKYO has accepted before, said again: the first one counts, the grace does not begin anew or end."""
    before = {row.object_id: row.delete_time for row in story.tokyo.segments() if row.marked_time}
    assert before
    with story.as_delhi() as opened:
        for _ in range(3):
            for name in story.tokyo.names(marked=True):
                mark(opened, name, 0)
    after = {row.object_id: row.delete_time for row in story.tokyo.segments() if row.marked_time}
    assert after == before


@attack("set DELHI's clock to 2099")
def _clock(story: Story) -> None:
    """An epoch from the year 2099 is all that TOKYO could be told: it makes deletions less, not more."""
    opened = of_epoch(story.delhi, 4_070_908_800).open_session()
    with pytest.raises(NotAvailable, match=r"ANR486[24]E"):
        mark(opened, "ADSM.V041")
    opened.close()


@attack("kill sessions")
def _kill(story: Story) -> None:
    """Of DELHI's own he can; what was under way is not seen, and others go on."""
    opened = story.session()
    opened.connection.call(v.OpenSegment(volume="ADSM.CUT", offset_bytes=0), v.SegmentAnswer)
    opened.connection.shutdown()
    opened.connection.close()
    story.refused_command("cancel session all")
    assert "ADSM.CUT" not in story.tokyo.names()


@attack("flood sign-on")
def _flood(story: Story) -> None:
    for _ in range(12):
        wrong = story.tokyo.source("NOBODY", password="guess-guess-1")
        with pytest.raises(LoginRefused):
            wrong.target().open_session()
    assert "DELHI" in story.tokyo.admin("query node delhi"), "TOKYO's administrator is not kept out"
    story.tokyo.clock.advance(3600)


@attack("send a bad database backup")
def _bad_backup(story: Story) -> None:
    """It becomes a volume of its own; the good ones stay what they are."""
    write(story.delhi, f"DELHI.DBB.{story.tokyo.clock.now_seconds()}", 9001)
    assert story.objects() == VOLUMES * RECORDS


@attack("shrink the recovery plan")
def _plan(story: Story) -> None:
    with pytest.raises(FarvaultError, match=r"ANR486[24]E"):
        write(story.delhi, "V049", 9002)  # the plan file of day 0


@attack("remove the administrator")
def _administrator(story: Story) -> None:
    story.refused_command("remove admin root")
    with story.tokyo.server.server.catalog.read() as r:
        assert nouns.find(r, Administrator, "ROOT") is not None


@attack("delete the audit log")
def _audit_log(story: Story) -> None:
    story.refused_command("set actlogretention 0")
    assert "ANR4865W" in story.tokyo.server.lines.ids  # and in the log at the end, see `_brought_back`


@attack("disable schedules")
def _schedules(story: Story) -> None:
    story.refused_command("setopt expinterval 0")
    story.refused_command("delete schedule * *")


@attack("send a flood of marks")
def _marks(story: Story) -> None:
    """A stream of 100,000, of which TOKYO looks at a thousand; five times, and nobody else waits for it."""
    before, said = story.tokyo.names(marked=True), len(story.tokyo.server.lines.all)
    with story.as_delhi() as opened:
        for number in range(200):
            mark(opened, f"ADSM.NONE{number}")
    active = story.tokyo.names(marked=False)
    for _ in range(5):
        story.stream_of_marks(active[number % len(active)] for number in range(100_000))
        write(story.osaka, f"F{story.tokyo.clock.now_seconds()}", 1)
        story.tokyo.clock.advance(1)
    assert story.tokyo.names(marked=True) == before
    assert len(story.tokyo.server.lines.all) - said < 100, "lines about one session, not about each mark"


@attack("ask TOKYO to reclaim")
def _reclaim(story: Story) -> None:
    for text in (
        "expire inventory",
        "delete filespace delhi ADSM.SERVER type=server",
        "reclaim stgpool vaultpool",
    ):
        story.refused_command(text)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    tokyo = Tokyo(tmp_path / "tokyo")
    tokyo.admin(f"register admin root root-{PASSWORD}")
    tokyo.admin(
        f"update node delhi minretention={FLOOR_DAYS} mingrace={GRACE_DAYS} maxvaultbytes=10m forcesync=approve"
    )
    tokyo.admin(f"update node osaka osakas-{PASSWORD}")
    tokyo.admin(f"update node osaka {PASSWORD}")
    told = Story(tokyo, tokyo.source(), tokyo.source("OSAKA"))
    of_epoch(told.delhi, 1).open_session().close()
    device = told.delhi.device()
    for number in range(VOLUMES):
        writer = device.open_writer(f"V{number:03}", 0, CAPACITY)
        placed = told.stored[f"V{number:03}"] = []
        for seed in range(number * RECORDS, (number + 1) * RECORDS):
            record, digest = sealed_record(seed, RECORD_BYTES)
            placed.append((Span(writer.append(record, digest), record.nbytes), digest))
        writer.commit()
        writer.close()
    device.close()
    yield told
    tokyo.server.stop()


def test_there_are_twenty_five_attacks() -> None:
    assert len(ATTACKS) == 25


@pytest.mark.parametrize("everything", EVERYTHING_EVERY_DAY)
def test_nothing_of_what_the_attacker_tries_costs_one_object_in_thirty_days(
    story: Story, everything: bool
) -> None:
    tokyo, story.reads_everything = story.tokyo, everything
    tokyo.pass_days(1)
    for does in ATTACKS.values():
        does(story)
    alarm = tokyo.server.lines.wait_for("ANR4865W")
    assert alarm.time_seconds - story.first_mark_time <= ALARM_SECONDS
    for day in range(2, FLOOR_DAYS):
        if day % 3 == 0:  # he does not give up
            for name in ("delete all volumes", "overwrite by same name", "replay old deletes", "FORCESYNC"):
                ATTACKS[name](story)
        story.comes_to(day)
    story.comes_to(FLOOR_DAYS - 0.01)
    for row in tokyo.segments():
        is_original = row.volume.removeprefix("ADSM.") in story.stored
        assert is_original == (row.received_time < START + DAY), "what came after day 1 shows it"
    _brought_back(story)


def _brought_back(story: Story) -> None:
    """Day 30: TOKYO's administrator puts the vault back; a DELHI made anew is let in and reads everything."""
    tokyo = story.tokyo
    tokyo.admin("reject forcesync delhi", 0, 11)
    tokyo.admin(f"revert vault delhi todate=-{FLOOR_DAYS}")
    assert sorted(tokyo.names(marked=False)) == sorted(f"ADSM.{name}" for name in story.stored)
    anew = tokyo.source(identity=Identity.create("DELHI"), code=new_code(), force_sync=True)
    anew.target().open_session().close()
    tokyo.admin("approve forcesync delhi")
    for number, (name, placed) in enumerate(story.stored.items()):
        wanted = [bytes(sealed_record(number * RECORDS + one, RECORD_BYTES)[0]) for one in range(RECORDS)]
        assert read(anew, name, [span for span, _ in placed]) == wanted
    opened = anew.target().open_session()
    assert not opened.read_only
    opened.close()
    opened = story.session()
    assert opened.read_only, "and the attacker is out"
    opened.close()
    tokyo.server.restart()
    assert "ANR4865W" in tokyo.admin("query actlog begindate=-40 msgno=4865")


@pytest.mark.parametrize("everything", EVERYTHING_EVERY_DAY)
def test_an_attacker_who_is_patient_gains_nothing_before_the_floor(story: Story, everything: bool) -> None:
    """Four an hour stop no guard. Every volume is marked after a day, and every one is there until day 30."""
    tokyo, story.reads_everything = story.tokyo, everything
    with story.as_delhi() as opened:
        for name in story.stored:
            mark(opened, f"ADSM.{name}")
            tokyo.clock.advance(900)
    assert len(tokyo.names(marked=True)) == VOLUMES and "ANR4865W" not in tokyo.server.lines.ids
    for day in range(1, FLOOR_DAYS):
        story.comes_to(day)
    story.comes_to(FLOOR_DAYS - 0.01)
    tokyo.pass_days(0.1)
    assert story.objects() == 0, "the floor is over: the source decides again"


@pytest.mark.soak
def test_a_million_marks_cost_nothing_and_hide_nothing(story: Story) -> None:
    """Refused ones a thousand a session, those of volumes that are not there twenty thousand."""
    tokyo = story.tokyo
    ATTACKS["delete all volumes"](story)
    before = tokyo.names(marked=True)
    active = tokyo.names(marked=False)
    for _ in range(800):
        story.stream_of_marks(active[number % len(active)] for number in range(REFUSED_MARKS_MOST + 1))
    for _ in range(10):
        story.stream_of_marks(f"ADSM.NONE{number}" for number in range(IDLE_MARKS_MOST + 1))
    assert tokyo.names(marked=True) == before
    assert story.objects() == VOLUMES * RECORDS
    assert tokyo.server.lines.ids.count("ANR4865W") == 1
