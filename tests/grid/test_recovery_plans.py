"""PREPARE and its queries, SET DRM..., expiration of backups and plans, DRMEDIA, the protection files: as an administrator sees it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tests.faults.two_servers import prepare_source, prepare_target
from tests.grid.grid_server import GridServer
from tests.grid.vaults import store_files
from tests.patience import PATIENCE_SECONDS

from farvault.admin.execute import execute
from farvault.apps.instance_folder import InstanceFolder, Settings
from farvault.apps.server import Server
from farvault.base.clock import SystemClock
from farvault.catalog import audit, nouns, volume_history
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.model.volume_history import OWN_VOLUME
from farvault.protocol.messages import Output
from farvault.seal import recovery_plan

FULL = "backup db type=full devclass=targetclass wait=yes"
INCREMENTAL = "backup db type=incremental devclass=targetclass wait=yes"
DAY = 86_400


class LaterClock(SystemClock):
    """The machine's, some days on."""

    days = 0.0

    def now_seconds(self) -> int:
        return super().now_seconds() + int(self.days * DAY)


@dataclass
class Pair:
    delhi: GridServer
    tokyo: GridServer
    clock: LaterClock

    def entries(self, *types: str) -> list[str]:
        with self.delhi.server.catalog.read() as r:
            assert list(audit.check_row_digests(r)) == []
            return [row.volume for row in volume_history.rows(r, types or OWN_VOLUME)]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    clock = LaterClock()

    def later(server: Server) -> None:
        server.clock = clock
        server.log._clock = clock

    tokyo = GridServer("TOKYO", str(tmp_path / "tokyo")).start()
    delhi = GridServer("DELHI", str(tmp_path / "delhi"), change=later)
    other = Settings(data_port=0, volumehistory=(f"{tmp_path}/other/volhist.out",), devconfig=("second.out",))
    InstanceFolder(delhi.folder).write_settings(other)
    delhi.start()
    prepare_target(tokyo)
    prepare_source(delhi, tokyo.port)
    yield Pair(delhi, tokyo, clock)
    delhi.stop()
    tokyo.stop()


# --- plans ---------------------------------------------------------------------------------------------------------------


def test_a_local_plan_has_every_stanza_and_the_sites_own_words(pair: Pair, tmp_path: Path) -> None:
    delhi = pair.delhi
    (tmp_path / "site.RECOVERY.INSTRUCTIONS.GENERAL").write_text("Call Priya first.\n")
    assert "ANR6921W" in delhi.admin('prepare wait=yes activedatastgpool=""').text, "no backup yet"
    for command in ("set drmactivedatastgpool *", "prepare activedatastgpool=active"):
        assert "ANR299" in delhi.admin(command, allow=(14,)).text, "no such pools are here"
    delhi.admin("set drmplanwithbackup no")
    delhi.admin(FULL)
    store_files(delhi, 1)
    said = delhi.admin(f"prepare planprefix={tmp_path}/plan instrprefix={tmp_path}/site wait=yes").text
    assert "ANR6900I" in said and "ANR6918W" in said, "the other instruction files are missing"
    (path,) = tmp_path.glob("plan.*")
    plan = recovery_plan.parse(path.read_bytes(), str(path))
    recovery_plan.prove(plan, delhi.server.identity.public_key_bytes, str(path))
    assert list(plan.stanzas)[:2] == ["PLANFILE.DESCRIPTION", "PLANFILE.TABLE.OF.CONTENTS"]
    assert plan.description["Server"] == "DELHI" and plan.description["Backup Series"] == "1"
    stanzas = plan.stanzas
    assert stanzas["RECOVERY.INSTRUCTIONS.GENERAL"] == "Call Priya first."
    assert "DELHI.DBB.1 (class TARGETCLASS" in stanzas["RECOVERY.VOLUMES.REQUIRED"]
    assert (
        f"--from 127.0.0.1:{pair.tokyo.port} --node DELHI"
        in stanzas["RECOVERY.SCRIPT.DISASTER.RECOVERY.MODE"]
    )
    assert "ACCESS=DESTROYED" in stanzas["PRIMARY.VOLUMES.DESTROYED"]
    assert "RESTORE STGPOOL TAPEPOOL" in stanzas["STGPOOLS.RESTORE"]
    assert "correct-horse" not in path.read_text(), "no secret in the clear"
    assert os.stat(path).st_mode & 0o077 == 0
    (first,) = Path(delhi.folder).glob("2*.*")
    assert first.name.count(".") == 1, "without a prefix: the instance folder, yyyymmdd.hhmmss"


def test_pools_of_a_plan_can_be_chosen_and_settings_last(pair: Pair, tmp_path: Path) -> None:
    delhi = pair.delhi
    store_files(delhi, 1)
    delhi.admin(f"set drmplanprefix {tmp_path}/plans/")
    delhi.admin("set drmprimstgpool other*")
    delhi.admin("prepare wait=yes")
    (path,) = (tmp_path / "plans").iterdir()
    assert recovery_plan.parse(path.read_bytes(), "").stanzas["PRIMARY.VOLUMES.DESTROYED"] == ""
    status = delhi.admin("query drmstatus").text
    assert f"{tmp_path}/plans/" in status and "OTHER*" in status and "60 Day(s)" in status
    delhi.admin('set drmprimstgpool ""')
    delhi.admin("prepare planprefix=second wait=yes")
    (again,) = Path(delhi.folder).glob("second.2*")
    assert recovery_plan.parse(again.read_bytes(), "").stanzas["PRIMARY.VOLUMES.DESTROYED"] != ""


def test_a_plan_at_the_partner_is_seen_from_both_sides_and_read_only_here(pair: Pair) -> None:
    delhi, tokyo = pair.delhi, pair.tokyo
    delhi.admin(FULL)
    (name,) = pair.entries("RPFILE")
    assert name in delhi.admin("query rpfile devclass=* format=detailed").text
    assert name in tokyo.admin("query rpfile nodename=del*").text
    assert "ANR4962E" in delhi.admin("query rpfile", allow=(3,)).text
    assert "VOLUME.HISTORY.FILE" in delhi.admin(f"query rpfcontent {name} devclass=targetclass").text
    assert "ANR4963E" in tokyo.admin(f"query rpfcontent {name} nodename=delhi", allow=(14,)).text
    delhi.admin("query rpfcontent nothing devclass=targetclass", allow=(11,))
    delhi.admin("backup db type=dbsnapshot devclass=targetclass wait=yes")
    assert len(pair.entries("RPFSNAPSHOT")) == 1
    assert name not in delhi.admin("query rpfile devclass=* source=dbsnapshot").text


def test_a_plan_is_refused_where_it_would_protect_nothing(pair: Pair) -> None:
    delhi = pair.delhi
    assert "ANR6927E" in delhi.admin("prepare devclass=tapeclass wait=yes", allow=(3,)).text
    delhi.admin("prepare devclass=nothing wait=yes", allow=(11,))
    assert "ANR6929E" in delhi.admin("prepare planprefix=/proc/nowhere/ wait=yes", allow=(4,)).text


def test_a_read_only_session_keeps_no_plan_and_leaves_no_entry(pair: Pair) -> None:
    delhi, tokyo = pair.delhi, pair.tokyo
    delhi.admin(FULL)
    before = pair.entries()
    delhi.admin("define server tokyo2 password=correct-horse-1 hladdress=127.0.0.1 "
                f"lladdress={tokyo.port} nodename=delhi")  # fmt: skip
    delhi.admin("define devclass otherclass devtype=server servername=tokyo2 maxcapacity=8m retryperiod=0")
    delhi.admin("prepare devclass=otherclass wait=yes", allow=(4,))
    assert pair.entries() == before, "another code: read-only"


# --- expiration ------------------------------------------------------------------------------------------------------------


def test_old_series_and_plans_go_at_both_ends_and_the_newest_stay(pair: Pair) -> None:
    delhi, tokyo, clock = pair.delhi, pair.tokyo, pair.clock
    delhi.admin("set drmdbbackupexpiredays 60")
    delhi.admin("set drmrpfexpiredays 80")
    delhi.admin(FULL)
    delhi.admin(INCREMENTAL)
    clock.days = 1
    delhi.admin(FULL)
    newest = pair.entries("BACKUPFULL")[-1]
    clock.days = 59.9
    assert "ANR4965I" not in delhi.admin("expire inventory wait=yes").text
    clock.days = 61
    assert "2 volumes of database backups" in delhi.admin("expire inventory preview=yes wait=yes").text
    assert len(pair.entries("BACKUPFULL", "BACKUPINCR")) == 3, "a preview"
    assert "2 volumes of database backups" in delhi.admin("expire inventory wait=yes").text
    assert pair.entries("BACKUPFULL", "BACKUPINCR") == [newest] and len(pair.entries("RPFILE")) == 3
    clock.days = 84.9
    delhi.admin("expire inventory wait=yes")
    assert len(pair.entries("RPFILE")) == 3, "80 days and 5 of grace"
    clock.days = 86
    assert "2 recovery plans" in delhi.admin("expire inventory wait=yes").text
    clock.days = 900
    delhi.admin("expire inventory wait=yes")
    assert pair.entries("BACKUPFULL") == [newest] and len(pair.entries("RPFILE")) == 1
    there = tokyo.admin("query rpfile nodename=delhi format=detailed").text
    assert there.count("Marked For Deletion: Yes") == 2


def test_what_expires_while_its_partner_is_away_is_told_when_it_is_back(pair: Pair) -> None:
    delhi, tokyo, clock = pair.delhi, pair.tokyo, pair.clock
    delhi.admin(FULL)
    clock.days = 1
    delhi.admin(FULL)
    clock.days = 70
    tokyo.stop()
    said = delhi.admin("expire inventory wait=yes").text
    assert "1 volumes of database backups" in said and "ANR4890W" in said
    assert len(pair.entries("BACKUPFULL")) == 1
    tokyo.start()
    delhi.admin(f"update server tokyo lladdress={tokyo.port}", allow=(0,))
    delhi.server.housekeeping.do_everything()
    assert "ANR4871I" in delhi.lines.ids
    assert "Deletions Waiting: 0" in delhi.admin("query server tokyo f=d").text


# --- movable volumes ---------------------------------------------------------------------------------------------------------


def test_volumes_go_to_the_vault_and_come_back_when_they_have_expired(pair: Pair) -> None:
    delhi, clock = pair.delhi, pair.clock
    assert "REMOTE" not in delhi.admin("query drmedia", allow=(11,)).text
    delhi.admin("backup db type=full devclass=tapeclass wait=yes")
    (volume,) = pair.entries("BACKUPFULL")
    delhi.admin("query drmedia", allow=(11,))  # FILE volumes take no part by default
    delhi.admin("set drmfileprocess yes")
    assert volume in delhi.admin("query drmedia wherestate=mountable format=detailed").text
    delhi.admin(f"move drmedia {volume}")
    assert "Location: NOTMOUNTABLE" in delhi.admin("query drmedia format=detailed").text
    delhi.admin(f'move drmedia {volume} tostate=vault tolocation="shelf 7"')
    assert "shelf 7" in delhi.admin("query drmedia wherestate=vault format=detailed").text
    assert "ANR6685E" in delhi.admin(f"move drmedia {volume}", allow=(4,)).text
    clock.days = 1
    delhi.admin("backup db type=full devclass=tapeclass wait=yes")
    clock.days = 62
    assert "1 volumes may come" in delhi.admin("expire inventory wait=yes").text
    assert volume in delhi.admin("query drmedia wherestate=vaultretrieve").text
    delhi.admin(f"move drmedia {volume} wherestate=vaultretrieve")
    assert "ANR6684I" in delhi.admin(f"move drmedia {volume}").text
    assert volume not in pair.entries() and not os.path.exists(volume)


def test_a_volume_says_where_it_is_wherever_one_looks(pair: Pair) -> None:
    """QUERY DRMEDIA, the volume history and the volume of a pool tell one location; each step has its own."""
    delhi = pair.delhi
    delhi.admin("set drmfileprocess yes")
    delhi.admin('set drmcouriername "Sita & sons"')
    delhi.admin("backup db type=full devclass=tapeclass wait=yes")
    delhi.admin("define stgpool copypool tapeclass pooltype=copy maxscratch=3")
    store_files(delhi, 1)
    delhi.admin("backup stgpool tapepool copypool wait=yes")
    (volume,) = pair.entries("BACKUPFULL")
    with delhi.server.catalog.read() as r:
        pool = nouns.get(r, StoragePool, "COPYPOOL")
        (copy,) = [one.name for one in nouns.select(r, Volume, pool_id=pool.id)]
    delhi.admin('move drmedia * tostate=notmountable tolocation="the safe" wait=yes remove=no')
    for place in ("the safe", "Sita & sons", "VAULT"):
        assert f"Location: {place}" in delhi.admin(f"query drmedia {volume} format=detailed").text
        assert f"Location: {place}" in delhi.admin("query volhistory type=dbbackup").text
        assert f"Location: {place}" in delhi.admin(f"query volume {copy} format=detailed").text
        if place != "VAULT":
            delhi.admin("move drmedia * remove=bulk")
    delhi.admin(f'update volhistory {volume} devclass=tapeclass location="shelf 7"')
    assert "shelf 7" in delhi.admin(f'query drmedia {volume} wherelocation="shelf 7" format=detailed').text
    wait_until(lambda: "shelf 7" in (Path(delhi.folder) / "volhist.out").read_text())


def test_what_was_noted_wrongly_is_corrected_but_nothing_that_is_needed_becomes_scratch(pair: Pair) -> None:
    delhi = pair.delhi
    delhi.admin("set drmfileprocess yes")
    delhi.admin(FULL)
    delhi.admin("backup db type=full devclass=tapeclass wait=yes volumenames=one")
    volume = pair.entries("BACKUPFULL")[-1]
    delhi.admin("update volhistory one devclass=tapeclass ormstate=vault")
    assert "Location: VAULT" in delhi.admin(f"query drmedia {volume} format=detailed").text
    for command, code, number in (
        ("one devclass=tapeclass ormstate=courierretrieve", 3, "ANR2477E"),
        ("one devclass=tapeclass", 3, "ANR2026E"),
        ("two devclass=tapeclass location=x", 11, "ANR4900E"),
        ("one devclass=targetclass location=x", 11, "ANR4900E"),
        ("DELHI.DBB.1 devclass=targetclass ormstate=vault", 3, "ANR2476E"),
    ):
        assert number in delhi.admin(f"update volhistory {command}", allow=(code,)).text
    delhi.admin("update volhistory one devclass=tapeclass ormstate=mountable")
    assert volume in delhi.admin("query drmedia wherestate=mountable").text
    delhi.admin("update volhistory DELHI.DBB.1 devclass=targetclass location=Japan")
    assert "Japan" in delhi.admin("query volhistory").text
    assert list(audit_rows(delhi)) == []


def audit_rows(server: GridServer) -> list[tuple[str, int]]:
    with server.server.catalog.read() as r:
        return list(audit.check_row_digests(r))


def test_a_new_volume_is_not_where_an_old_one_of_its_name_was(pair: Pair) -> None:
    """Else a backup that was just made could be taken for one that came back from the vault, and deleted."""
    delhi = pair.delhi
    delhi.admin("set drmfileprocess yes")
    backup = "backup db type=full devclass=tapeclass wait=yes scratch=no volumenames="
    delhi.admin(f"{backup}one")
    delhi.admin("update volhistory one devclass=tapeclass ormstate=vault")
    delhi.admin(f"{backup}two")
    delhi.admin("delete volhistory todate=today type=dbbackup")
    delhi.admin(f"{backup}one")
    assert "one" not in delhi.admin("query drmedia wherestate=vault", allow=(11,)).text
    assert "/one" in delhi.admin("query drmedia wherestate=mountable").text


def test_volumes_are_chosen_by_when_they_moved_and_lines_written_for_a_program(
    pair: Pair, tmp_path: Path
) -> None:
    delhi, clock = pair.delhi, pair.clock
    delhi.admin("set drmfileprocess yes")
    delhi.admin("backup db type=full devclass=tapeclass wait=yes volumenames=one")
    clock.days = 2
    delhi.admin("backup db type=full devclass=tapeclass wait=yes volumenames=two")
    assert "/one" not in delhi.admin("query drmedia begindate=today-1").text
    assert "/two" not in delhi.admin("query drmedia enddate=today-1").text
    lines = tmp_path / "lines"
    command = f'cmd="fetch &vol&nlto &loc" cmdfilename={lines}'
    delhi.admin(f"move drmedia * begindate=today-1 tostate=vault {command}")
    assert "/one" in delhi.admin("query drmedia wherestate=mountable").text
    delhi.admin(f"move drmedia * enddate=today-1 tostate=vault {command} append=yes")
    two, one = [f"fetch {delhi.folder}/tapes/{name}\nto VAULT\n" for name in ("two", "one")]
    assert lines.read_text() == two + one
    assert "ANR2106E" in delhi.admin("query drmedia begindate=today enddate=today-1", allow=(3,)).text
    delhi.admin(f"update volhistory {delhi.folder}/tapes/one devclass=tapeclass location=&nl_&vol")
    shown = delhi.admin('query drmedia *one format=cmd cmd="at &loc"').text
    assert shown.splitlines() == ["at &nl_&vol"], "an operator's words add no line to another's commands"


def test_files_are_written_only_for_who_runs_the_system(pair: Pair, tmp_path: Path) -> None:
    """An administrator without any privilege may look, and must not have the server write wherever he likes."""
    delhi = pair.delhi
    delhi.admin(FULL)
    delhi.admin("register admin guest correct-horse-1")
    path = tmp_path / "owned"
    asked = f'query drmedia * format=cmd cmd="root::0:0" cmdfilename={path}'
    refused = list(execute(delhi.server.instance, "GUEST", asked, width=0, style="", confirmed=True))
    assert any("ANR2035E" in one.text for one in refused if isinstance(one, Output))
    assert not path.exists()
    shown = list(execute(delhi.server.instance, "GUEST", "query drmedia", width=0, style="", confirmed=True))
    assert any("DELHI.DBB.1" in one.text for one in shown if isinstance(one, Output))


def test_lines_replace_only_what_such_a_command_has_written(pair: Pair, tmp_path: Path) -> None:
    delhi = pair.delhi
    delhi.admin("set drmfileprocess yes")
    delhi.admin("backup db type=full devclass=tapeclass wait=yes volumenames=one")
    foreign, ours, empty = tmp_path / "foreign", tmp_path / "ours", tmp_path / "empty"
    foreign.write_text("mine")
    (tmp_path / "link").symlink_to(foreign)
    empty.touch()
    for path in (foreign, tmp_path / "link", "keys/keyring", tmp_path, tmp_path / "none" / "x"):
        for append in ("", " append=yes"):
            for command in ("query drmedia * format=cmd", "move drmedia * tostate=vault"):
                asked = f'{command} cmd="take &vol" cmdfilename={path}{append}'
                assert "ANR6689E" in delhi.admin(asked, allow=(15,)).text
    assert "/one" in delhi.admin("query drmedia wherestate=mountable").text, "refused before anything moved"
    assert foreign.read_text() == "mine"
    line = f"take {delhi.folder}/tapes/one\n"
    for path in (ours, empty):
        delhi.admin(f'query drmedia * format=cmd cmd="first" cmdfilename={path}')
        delhi.admin(f'query drmedia * format=cmd cmd="take &vol" cmdfilename={path}')
        assert path.read_text() == line
    delhi.restart()
    delhi.admin(f'move drmedia * tostate=vault cmd="take &vol" cmdfilename={ours} append=yes')
    assert ours.read_text() == line + line


def test_virtual_volumes_are_shown_and_never_moved(pair: Pair) -> None:
    delhi = pair.delhi
    delhi.admin(FULL)
    assert "DELHI.DBB.1" in delhi.admin("query drmedia * wherestate=remote").text
    delhi.admin("move drmedia *", allow=(11,))
    assert "take DELHI.DBB.1" in delhi.admin('query drmedia * format=cmd cmd="take &vol"').text


# --- volume history and device configuration files --------------------------------------------------------------------------


def test_the_files_follow_every_change_by_themselves(pair: Pair, tmp_path: Path) -> None:
    delhi = pair.delhi
    copy = tmp_path / "other" / "volhist.out"
    second = Path(delhi.folder) / "second.out"
    delhi.admin("define devclass newclass devtype=file directory=/nowhere")
    delhi.admin("backup db type=full devclass=tapeclass wait=yes")
    (volume,) = pair.entries()
    wait_until(lambda: "NEWCLASS" in second.read_text() and volume in copy.read_text())
    assert (Path(delhi.folder) / "devconfig.out").read_text() == second.read_text()
    delhi.admin("delete devclass newclass")
    wait_until(lambda: "NEWCLASS" not in second.read_text())
    delhi.admin("backup db type=full devclass=tapeclass wait=yes")
    delhi.admin("delete volhistory todate=today type=dbbackup")
    wait_until(lambda: volume not in copy.read_text())


def test_one_that_cannot_be_written_is_told_and_keeps_nothing_else_from_being_done(
    pair: Pair, tmp_path: Path
) -> None:
    delhi = pair.delhi
    (tmp_path / "other").mkdir(exist_ok=True)
    (tmp_path / "other" / "volhist.out").unlink(missing_ok=True)
    (tmp_path / "other" / "volhist.out").mkdir()
    (Path(delhi.folder) / "second.out").unlink(missing_ok=True)
    assert "ANR4510E" in delhi.admin(FULL, allow=(4,)).text
    assert len(pair.entries("BACKUPFULL")) == len(pair.entries("RPFILE")) == 1, "the plan is at the partner"
    assert "DEFINE SERVER TOKYO" in (Path(delhi.folder) / "second.out").read_text()


def test_they_can_be_written_where_somebody_wants_them(pair: Pair, tmp_path: Path) -> None:
    delhi = pair.delhi
    assert "ANR2462I" in delhi.admin(f"backup volhistory filenames={tmp_path}/a/h1,{tmp_path}/h2").text
    assert (tmp_path / "a" / "h1").read_text().startswith("* Volume history of server DELHI")
    assert "second.out" in delhi.admin("backup devconfig").text
    assert "DEFINE SERVER TOKYO" in (Path(delhi.folder) / "second.out").read_text()
    assert "ANR4510E" in delhi.admin("backup devconfig filenames=/proc/nothing/here", allow=(15,)).text
    keys = Path(InstanceFolder(delhi.folder).keyring_path)
    before = keys.read_bytes()
    refused = delhi.admin(f"backup volhistory filenames={tmp_path}/h3,{keys}", allow=(3,)).text
    assert "another file is there" in refused and keys.read_bytes() == before
    assert not (tmp_path / "h3").exists()
    delhi.admin(f"backup volhistory filenames={tmp_path}/h2")


def test_further_files_are_set_by_command(pair: Pair, tmp_path: Path) -> None:
    delhi = pair.delhi
    disk, mine = tmp_path / "disk", tmp_path / "mine"
    disk.mkdir()
    mine.write_text("not yours")
    history, devices = disk / "volhist", disk / "devconfig"
    assert "ANR6701I" in delhi.admin(f"setopt volumehistory {history},{disk}/second").text
    assert "ANR6701I" in delhi.admin(f"setopt devconfig {devices}").text
    assert history.read_text() == (disk / "second").read_text()
    assert "DEFINE SERVER TOKYO" in devices.read_text()
    for path in ("relative", f"{tmp_path}/nowhere/f", str(disk), str(mine), str(devices)):
        assert "ANR6702E" in delhi.admin(f"setopt volumehistory {path}", allow=(3,)).text
    assert mine.read_text() == "not yours"
    delhi.admin("define devclass newclass devtype=file directory=/nowhere")
    wait_until(lambda: "NEWCLASS" in devices.read_text())
    status = delhi.admin("query status").text
    assert all(str(path) in status for path in (history, devices, tmp_path / "other" / "volhist.out"))
    delhi.stop()
    delhi.start()
    assert str(history) in delhi.admin("backup volhistory").text
    delhi.admin("setopt devconfig none")
    delhi.admin("delete devclass newclass")
    wait_until(lambda: "NEWCLASS" not in (Path(delhi.folder) / "devconfig.out").read_text())
    assert "NEWCLASS" in devices.read_text()
    assert str(devices) not in delhi.admin("query status").text


def wait_until(is_so: object) -> None:
    """Files are replaced by another thread; there is no event a test could wait for."""
    assert callable(is_so)
    clock = SystemClock()
    end = clock.monotonic_seconds() + PATIENCE_SECONDS
    while not is_so():
        assert clock.monotonic_seconds() < end, "it never came"
        os.sched_yield()


def test_a_backup_of_a_class_that_is_not_defined_takes_no_part_in_drmedia(delhi: GridServer) -> None:
    """After the database was set back to before its class was defined: the volume history file knows it."""
    delhi.admin("set drmfileprocess yes")
    delhi.admin("backup db devclass=tapeclass wait=yes")
    with delhi.server.catalog.write() as tx:
        entry = volume_history.rows(tx, ("BACKUPFULL",))[-1]
        nouns.insert(tx, msgspec.structs.replace(entry, id=0, device_class="LATER", volume="later.1"))
    shown = delhi.admin("query drmedia").text
    assert entry.volume in shown and "later.1" not in shown
