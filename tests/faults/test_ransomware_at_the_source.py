"""The ransomware story from DELHI's side: a real DELHI, and somebody who is its administrator and has its whole machine.

`test_ransomware.py` has stolen keys and speaks the protocol; here the same 25 things are typed as commands at DELHI, or done
with what lies in its folder. At the end DELHI's machine is gone, and `farvault recover` makes it anew from TOKYO as it was
on day 0.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.faults.test_ransomware import ALARM_SECONDS, ATTACKS, FLOOR_DAYS, GRACE_DAYS
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.test_recovery_plans import LaterClock
from tests.grid.trusting import DAY, START, Tokyo, mark, write
from tests.grid.vaults import Source, file_bytes, make_source, restored, store_files

from farvault.admin.server_secrets import code_context
from farvault.apps.recover import Wanted, recover
from farvault.apps.server import Server as FarvaultServer
from farvault.base.errors import FarvaultError, LoginRefused, NotAuthorized, NotAvailable
from farvault.catalog import nouns, pending_deletions
from farvault.model.administrator import Administrator
from farvault.model.server import Server
from farvault.protocol.login import ADMIN
from farvault.seal.identity import Identity, new_code

SEEDS = tuple(range(12))
COPY = "backup stgpool tapepool targetcopypool wait=yes"
FULL = "backup db devclass=targetclass type=full wait=yes"
ANYHOW = tuple(range(20))
"""The attacker does not care what a command returns."""
ROOTS_PASSWORD = "delhis-root-1"


@dataclass
class Story:
    tokyo: Tokyo
    delhi: GridServer
    clock: LaterClock
    osaka: Source
    ids: list[int] = field(default_factory=list)
    kept: set[tuple[str, int, bytes]] = field(default_factory=set)
    """Segments of day 0 at TOKYO."""
    stolen: Source = field(init=False)
    """All that opens TOKYO, out of DELHI's catalog and key files."""

    def types(self, *commands: str) -> str:
        """At DELHI, with every right there is."""
        return "\n".join(self.delhi.admin(one, allow=ANYHOW).text for one in commands)

    def at_tokyo(self, *commands: str) -> None:
        """With DELHI's passwords nobody is an administrator of TOKYO, so none of these is ever typed there."""
        for name in ("ROOT", "DELHI", "SERVER_CONSOLE"):
            for password in (PASSWORD, ROOTS_PASSWORD):
                with pytest.raises(LoginRefused):
                    self.tokyo.server.sign_on(name, password, role=ADMIN)
                self.tokyo.clock.advance(900)
        assert commands

    def segments(self) -> set[tuple[str, int, bytes]]:
        return {(row.volume, row.offset_bytes, row.digest) for row in self.tokyo.segments()}

    def steal(self) -> None:
        server = self.delhi.server
        with server.catalog.read() as r:
            definition = nouns.get(r, Server, "TOKYO")
        code = server.keyring.open_secret(definition.sealed_verification_code, code_context("TOKYO"))
        self.stolen = self.tokyo.source(identity=server.identity, code=code)


Does = Callable[[Story], None]
DONE_HERE: dict[str, Does] = {}


def attack(name: str) -> Callable[[Does], Does]:
    def put(does: Does) -> Does:
        DONE_HERE[name] = does
        return does

    return put


@attack("delete all volumes")
def _delete_all(story: Story) -> None:
    with story.delhi.server.catalog.read() as r:
        names = [name for (name,) in r.rows("SELECT name FROM volumes WHERE name LIKE 'DELHI.%'")]
    story.types(*(f"delete volume {name} discarddata=yes wait=yes" for name in names))
    history = "delete volhistory todate=today+9999 type={} deletelatest=yes"
    story.types(*(history.format(type) for type in ("dbbackup", "dbsnapshot", "rpfile", "all")))
    assert "ANR4864E" in story.types("query pendingdeletions tokyo"), "most of it waits for TOKYO's word"


@attack("expire everything")
def _expire(story: Story) -> None:
    group = "update copygroup standard standard standard type=backup verexists=1 verdeleted=0 retextra=0 retonly=0"
    story.types(group, "activate policyset standard standard", "delete filespace ann * wait=yes")
    story.types("set drmdbbackupexpiredays 0", "set drmrpfexpiredays 0", "expire inventory wait=yes")


@attack("set retention to 0")
def _no_retention(story: Story) -> None:
    story.types("update server tokyo delgraceperiod=0")
    story.at_tokyo("update node delhi minretention=0 mingrace=0")
    story.delhi.server.housekeeping.do_everything()
    for row in story.tokyo.segments():
        assert not row.marked_time or row.delete_time >= row.marked_time + GRACE_DAYS * DAY


@attack("reconcile with an empty catalog")
def _reconcile(story: Story) -> None:
    before = story.tokyo.names(marked=True)
    with story.delhi.server.catalog.write() as tx:
        for table in ("volume_history", "volumes", "volume_receipts"):
            tx.run(f"DELETE FROM {table} WHERE 1 = 1" if table != "volumes" else _FORGET_VIRTUAL)
    said = story.types("reconcile volumes fix=yes wait=yes")
    assert "ANR4886W" in said and "too many of its volumes" in said, "of what nobody at DELHI knows any more"
    assert story.tokyo.names(marked=True) == before


_FORGET_VIRTUAL = (
    "DELETE FROM volumes WHERE name LIKE 'DELHI.%' AND id NOT IN (SELECT volume_id FROM placements)"
)


@attack("re-register")
def _register(story: Story) -> None:
    port = story.tokyo.server.port
    story.types(
        f"define server tokyo2 password={PASSWORD} hladdress=127.0.0.1 lladdress={port} nodename=delhi"
    )
    assert "read-only" in story.types("ping server tokyo2"), "another code than the one TOKYO knows"


@attack("FORCESYNC")
def _force_sync(story: Story) -> None:
    story.types("update server tokyo2 forcesync=yes")
    assert "read-only" in story.types("ping server tokyo2")
    assert "ANR0570W" in story.tokyo.server.lines.ids, "it waits for TOKYO's administrator"


@attack("rename")
def _rename(story: Story) -> None:
    assert "ANR0424W" in story.types("update server tokyo2 nodename=osaka", "ping server tokyo2")
    story.types("update server tokyo2 nodename=delhi")


@attack("overwrite by same name")
def _overwrite(story: Story) -> None:
    """Of those that are marked already nothing more is deleted by it: the old segments stay marked."""
    active = {volume for volume, _, _ in story.kept} & set(story.tokyo.names(marked=False))
    assert active
    for name in active:
        with pytest.raises(FarvaultError, match="ANR4864E"):
            write(story.stolen, name.removeprefix("ADSM."), 6666)


@attack("upload garbage with old and future dates")
def _garbage(story: Story) -> None:
    for days in (-20_000, 20_000):
        story.clock.days = days
        store_files(story.delhi, 100 + abs(days) % 7 + (days > 0), size=4096)
        story.types(COPY)
    story.clock.days = 0
    late = [
        row for row in story.tokyo.segments() if (row.volume, row.offset_bytes, row.digest) not in story.kept
    ]
    assert late and all(row.received_time >= START + DAY for row in late), "by TOKYO's clock"


@attack("fill the quota")
def _fill(story: Story) -> None:
    with pytest.raises(NotAvailable, match="ANR4866W"):
        write(story.stolen, "FILL", *range(8000, 9200))
    write(story.osaka, f"O{story.tokyo.clock.now_seconds()}", 1)


@attack("raise his own quota")
def _quota(story: Story) -> None:
    story.types("update node delhi maxvaultbytes=nolimit")
    story.at_tokyo("update node delhi maxvaultbytes=nolimit")
    assert "Maximum Vault Bytes: 20 M" in story.tokyo.admin("query node delhi f=d")


@attack("change the pin")
def _pin(story: Story) -> None:
    other = story.tokyo.source(identity=Identity.create("DELHI"), code=story.stolen.code)
    opened = other.target().open_session()
    assert opened.read_only
    opened.close()


@attack("revoke TOKYO's alerts")
def _alerts(story: Story) -> None:
    story.types("disable events", "setopt actlogretention 0")
    story.at_tokyo("approve deletion delhi", "confirm clock", "setopt actlogretention 0")
    assert "ANR4865W" in story.tokyo.server.lines.ids


@attack("import as a third server")
def _third(story: Story) -> None:
    opened = story.tokyo.source(code=new_code()).target().open_session()
    assert opened.read_only
    with pytest.raises(NotAuthorized, match="ANR4852E"):
        mark(opened, sorted(story.kept)[0][0])
    opened.close()


@attack("replay old deletes")
def _replay(story: Story) -> None:
    before = {row.object_id: row.delete_time for row in story.tokyo.segments() if row.marked_time}
    assert before
    opened = story.stolen.target().open_session()
    for name in story.tokyo.names(marked=True) * 3:
        mark(opened, name, 0)
    opened.close()
    assert before == {row.object_id: row.delete_time for row in story.tokyo.segments() if row.marked_time}


@attack("set DELHI's clock to 2099")
def _clock(story: Story) -> None:
    before = story.tokyo.names(marked=True)
    story.clock.days = 73 * 365
    story.types("expire inventory wait=yes")
    story.delhi.server.housekeeping.do_everything()
    story.clock.days = 0
    assert story.tokyo.names(marked=True) == before


@attack("kill sessions")
def _kill(story: Story) -> None:
    opened = story.osaka.target().open_session()
    story.types("cancel session all", "disable sessions all")
    story.at_tokyo("cancel session all")
    assert not opened.read_only
    mark(opened, "ADSM.NONE")
    opened.close()


@attack("flood sign-on")
def _flood(story: Story) -> None:
    for number in range(12):
        story.types(f"update server tokyo2 password=guess-{number}-guess", "ping server tokyo2")
    assert "DELHI" in story.tokyo.admin("query node delhi"), "TOKYO's administrator is not kept out"
    story.tokyo.clock.advance(3600)


@attack("send a bad database backup")
def _bad_backup(story: Story) -> None:
    """Of a catalog in which nothing is left. It becomes a volume of its own."""
    assert "ANR4550I" in story.types(FULL)


@attack("shrink the recovery plan")
def _plan(story: Story) -> None:
    story.types("delete domain standard", "prepare devclass=targetclass wait=yes")
    plan = next(volume for volume, _, _ in sorted(story.kept) if volume.count(".") == 3 and "20" in volume)
    with pytest.raises(FarvaultError, match="ANR4864E"):
        write(story.stolen, plan.removeprefix("ADSM."), 9002)


@attack("remove the administrator")
def _administrator(story: Story) -> None:
    story.types("remove admin root")
    story.at_tokyo("remove admin root")
    with story.tokyo.server.server.catalog.read() as r:
        assert nouns.find(r, Administrator, "ROOT") is not None


@attack("delete the audit log")
def _audit_log(story: Story) -> None:
    with story.delhi.server.catalog.write() as tx:
        tx.run("DELETE FROM activity_log")
    story.at_tokyo("setopt actlogretention 0")
    assert "ANR4865W" in story.tokyo.admin("query actlog begindate=-40 msgno=4865")


@attack("disable schedules")
def _schedules(story: Story) -> None:
    """All that DELHI does by itself. What TOKYO does by itself has never been DELHI's to switch off."""
    for option in ("expinterval", "challenges", "reconcileinterval"):
        story.types(f"setopt {option} 0")
    story.types("delete dbbackuptrigger")
    story.at_tokyo("setopt expinterval 0")


@attack("send a flood of marks")
def _marks(story: Story) -> None:
    """His queue holds 300 names TOKYO does not have, and all that it has: the first refusal ends the run."""
    before, active = story.tokyo.names(marked=True), story.tokyo.names(marked=False)
    deletions = story.delhi.server.storage.deletions
    with story.delhi.server.catalog.write() as tx:
        for row in pending_deletions.waiting(tx, 10_000):
            pending_deletions.told(tx, row)
        for name in (*(f"NONE{number}" for number in range(300)), *active):
            pending_deletions.add(tx, "TARGETCLASS", name.removeprefix("ADSM."), 1)
    assert deletions.tell_waiting() == 300
    with story.delhi.server.catalog.read() as r:
        assert len(pending_deletions.waiting(r, 10_000)) == len(active) > 0
    assert story.tokyo.names(marked=True) == before


@attack("ask TOKYO to reclaim")
def _reclaim(story: Story) -> None:
    story.types("reclaim stgpool targetcopypool threshold=1 wait=yes")
    story.at_tokyo("expire inventory", "reclaim stgpool vaultpool")


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    tokyo = Tokyo(tmp_path / "tokyo")
    tokyo.admin(f"register admin root root-{PASSWORD}")
    tokyo.admin(
        f"update node delhi minretention={FLOOR_DAYS} mingrace={GRACE_DAYS} forcesync=approve"
        " maxvaultbytes=20m massdeletecount=2"
    )
    tokyo.admin(f"update node osaka osakas-{PASSWORD}")
    clock = LaterClock()

    def later(server: FarvaultServer) -> None:
        server.clock = clock
        server.log._clock = clock

    delhi = GridServer("DELHI", str(tmp_path / "delhi"), change=later).start()
    make_source(delhi, tokyo.server)
    delhi.admin(f"register admin root {ROOTS_PASSWORD}")
    told = Story(tokyo, delhi, clock, tokyo.source("OSAKA", password=f"osakas-{PASSWORD}"))
    told.ids = store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    delhi.admin(FULL)
    told.kept = told.segments()
    told.steal()
    yield told
    delhi.stop()
    tokyo.server.stop()


def test_it_is_the_same_twenty_five() -> None:
    assert DONE_HERE.keys() == ATTACKS.keys()


def test_everything_an_administrator_of_the_source_can_do_leaves_a_server_that_recovers_as_of_day_0(
    story: Story,
) -> None:
    tokyo, delhi = story.tokyo, story.delhi
    tokyo.pass_days(1)
    began = tokyo.clock.now_seconds()
    for name, does in DONE_HERE.items():
        does(story)
        assert story.kept <= story.segments(), name
    assert tokyo.server.lines.wait_for("ANR4865W").time_seconds - began <= ALARM_SECONDS
    for day in range(3, FLOOR_DAYS, 3):
        tokyo.clock.advance(START + day * DAY - tokyo.clock.now_seconds())
        tokyo.server.server.housekeeping.do_everything()
        assert story.kept <= story.segments(), f"day {day}"
        delhi.server.housekeeping.do_everything()
    tokyo.clock.advance(START + (FLOOR_DAYS - 0.01) * DAY - tokyo.clock.now_seconds())
    tokyo.server.server.housekeeping.do_everything()
    assert story.kept <= story.segments(), "on the last day"

    port = tokyo.server.port
    delhi.stop()
    shutil.rmtree(delhi.folder)
    tokyo.admin("reject forcesync delhi", 0, 11)
    tokyo.admin(f"revert vault delhi todate=-{FLOOR_DAYS}")
    wanted = Wanted(
        folder=delhi.folder,
        host="127.0.0.1",
        port=port,
        node="DELHI",
        password=PASSWORD,
        recovery_code=delhi.made.recovery_code,
    )
    assert recover(wanted, lambda said: None) is not None
    delhi.start()
    assert restored(delhi, story.ids) == {
        number: file_bytes(seed, 1 << 20) for number, seed in zip(story.ids, SEEDS, strict=True)
    }
