"""BACKUP DB as an administrator sees it: series, refusals, what it says; the log it frees; the trigger that starts it."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.faults.two_servers import SOURCE_COMMANDS, Pair, prepare_source, prepare_target
from tests.grid.grid_server import GridServer
from tests.patience import PATIENCE_SECONDS

from farvault.apps.instance_folder import InstanceFolder, Settings
from farvault.apps.self_protection import DATABASE_TRIGGER
from farvault.base.disk import observe_crash_points
from farvault.catalog import nouns, volume_history
from farvault.catalog.settings import set_setting
from farvault.model.node import Node
from farvault.model.volume_history import QUERY_TYPES

FULL = "backup db devclass=tapeclass type=full wait=yes"
INCREMENTAL = "backup db devclass=tapeclass type=incremental wait=yes"


@pytest.fixture
def delhi(tmp_path: Path) -> Iterator[GridServer]:
    server = GridServer("DELHI", str(tmp_path / "delhi"), log_capacity_mib=16).start()
    server.admin(f"define devclass tapeclass devtype=file directory={server.folder}/tapes maxcapacity=16m")
    yield server
    server.stop()


def history(server: GridServer) -> list[tuple[str, int, int, int]]:
    """Without the recovery plans that follow backups kept by another server."""
    with server.server.catalog.read() as r:
        rows = volume_history.rows(r, QUERY_TYPES["ALL"], complete=None)
    return [(row.type, row.series, row.operation, row.sequence) for row in rows if row.type != "RPFILE"]


def change_something(server: GridServer, number: int, size: int = 100) -> None:
    with server.server.catalog.write() as tx:
        set_setting(tx, f"CHANGED{number}", os.urandom(size // 2).hex())


def test_series_and_operations_are_numbered_and_shown(delhi: GridServer) -> None:
    assert "ANR2361E" in delhi.admin(INCREMENTAL, allow=(14,)).text
    full = delhi.admin(FULL).text
    assert all(each in full for each in ("ANR0984I", "ANR2280I", "ANR4550I", "ANR0986I"))
    change_something(delhi, 1)
    delhi.admin(INCREMENTAL)
    delhi.admin("backup db devclass=tapeclass type=dbsnapshot wait=yes")
    change_something(delhi, 2)
    delhi.admin(INCREMENTAL)
    delhi.admin(FULL)
    assert history(delhi) == [
        ("BACKUPFULL", 1, 0, 1),
        ("BACKUPINCR", 1, 1, 1),
        ("DBSNAPSHOT", 1, 0, 1),
        ("BACKUPINCR", 1, 2, 1),
        ("BACKUPFULL", 2, 0, 1),
    ]
    shown = delhi.admin("query db format=detailed").text
    assert "Last Backup Series: 2" in shown and "Incrementals Since Last Full: 0" in shown
    sizes = [os.path.getsize(f"{delhi.folder}/tapes/{name}") for name in os.listdir(f"{delhi.folder}/tapes")]
    assert min(sizes) * 3 < max(sizes), "an incremental one sends what has changed"


def test_the_wrapped_keyring_travels_and_no_key_does(delhi: GridServer) -> None:
    delhi.admin(FULL)
    (name,) = os.listdir(f"{delhi.folder}/tapes")
    stored = Path(f"{delhi.folder}/tapes/{name}").read_bytes()
    keys = Path(f"{delhi.folder}/keys")
    assert (keys / "keyring.wrapped").read_bytes() in stored
    assert (keys / "keyring").read_bytes()[-32:] not in stored
    assert b"PRIVATE KEY" not in stored and b"administrators" not in stored


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("backup db devclass=nowhere", 11, "ANR8201E"),
        ("backup db devclass=disk", 3, "ANR4920E"),
        ("backup db devclass=tapeclass scratch=no", 3, "ANR4923E"),
        ("backup db devclass=tapeclass type=incremental", 14, "ANR2361E"),
        ("backup db devclass=tapeclass numstreams=2", 14, "ANR2991E"),
        ("backup db devclass=tapeclass volumenames=file:/not/there", 3, "ANR0999E"),
        ("backup db", 3, "ANR4929E"),
        ("define dbbackuptrigger", 3, "ANR4929E"),
        ("set dbrecovery nowhere", 11, "ANR8201E"),
        ("set dbrecovery disk", 3, "ANR4920E"),
        ("set dbrecovery tapeclass numstreams=2", 14, "ANR2991E"),
        ("set dbrecovery tapeclass protectkeys=no", 14, "ANR2991E"),
        ("query log", 14, "ANR4926E"),
        ("query dbbackuptrigger", 11, "ANR2034E"),
        ("delete dbbackuptrigger", 11, "ANR4921E"),
        ("update dbbackuptrigger logfullpct=60", 11, "ANR4921E"),
        ("define dbbackuptrigger devclass=disk", 3, "ANR4920E"),
        ("define dbbackuptrigger devclass=tapeclass numincremental=33", 3, "ANR2020E"),
        ("set logmode sideways", 3, "ANR2020E"),
    ],
)
def test_what_cannot_be_is_refused_at_once(delhi: GridServer, command: str, code: int, message: str) -> None:
    assert message in delhi.admin(command, allow=(code,)).text
    assert history(delhi) == []


def test_after_thirty_two_incrementals_a_full_one_is_due(delhi: GridServer) -> None:
    delhi.admin(FULL)
    with delhi.server.catalog.write() as tx:
        (row,) = volume_history.rows(tx, ("BACKUPFULL",))
        last = nouns.insert(
            tx,
            type(row)(time=row.time, type="BACKUPINCR", series=1, operation=32, volume="x", device_class="A"),
        )
    assert "32 incremental" in delhi.admin(INCREMENTAL, allow=(14,)).text
    with delhi.server.catalog.write() as tx:
        nouns.delete(tx, nouns.by_id(tx, type(row), last))
    delhi.admin(INCREMENTAL)


def test_named_volumes_are_used_and_a_list_of_them(delhi: GridServer, tmp_path: Path) -> None:
    delhi.admin("backup db devclass=tapeclass volumenames=one wait=yes scratch=no")
    listed = tmp_path / "names"
    listed.write_text("two\nthree\n")
    delhi.admin(f"backup db devclass=tapeclass volumenames=file:{listed} wait=yes scratch=no")
    assert sorted(os.listdir(f"{delhi.folder}/tapes")) == ["one", "two"]
    assert "ANR4901E" in delhi.admin("backup db devclass=tapeclass volumenames=one wait=yes", allow=(4,)).text
    assert [row[1] for row in history(delhi)] == [1, 2]


def test_a_class_that_backups_need_is_kept(delhi: GridServer) -> None:
    delhi.admin("define dbbackuptrigger devclass=tapeclass")
    assert "ANR4927E" in delhi.admin("delete devclass tapeclass", allow=(13,)).text
    delhi.admin("delete dbbackuptrigger")
    delhi.admin(FULL)
    assert "ANR4928E" in delhi.admin("delete devclass tapeclass", allow=(13,)).text


def test_a_full_target_disk_leaves_nothing_behind(delhi: GridServer) -> None:
    delhi.admin(FULL)
    before = history(delhi)
    delhi.admin("backup db devclass=tapeclass volumenames=big scratch=no wait=yes")
    with delhi.server.catalog.write() as tx:
        for number in range(400):
            set_setting(tx, f"BIG{number}", os.urandom(30_000).hex())
    answer = delhi.admin(
        "backup db devclass=tapeclass volumenames=small scratch=no wait=yes", allow=(4,)
    ).text
    assert "ANR4902E" in answer and "FAILURE" in answer
    assert len(history(delhi)) == len(before) + 1
    assert sorted(os.listdir(f"{delhi.folder}/tapes"))[1:] == ["big"]


def test_cancel_leaves_nothing_behind(delhi: GridServer) -> None:
    from farvault.base.disk import observe_crash_points

    def cancel(label: str) -> None:
        if label == "catalog.image.taken":
            delhi.server.processes.list()[0].cancel_event.set()

    observe_crash_points(cancel)
    try:
        answer = delhi.admin(FULL, allow=(4,)).text
    finally:
        observe_crash_points(None)
    assert "ANR0943I" in answer and history(delhi) == []


def test_others_may_write_at_every_record_of_a_backup(delhi: GridServer) -> None:
    """It never holds the writer; `bench/database.py` has the figures."""
    with delhi.server.catalog.write() as tx:
        for number in range(600):
            set_setting(tx, f"BIG{number}", os.urandom(10_000).hex())
    written: list[str] = []

    def write() -> None:
        with delhi.server.catalog.write() as tx:
            set_setting(tx, "COUNTER", str(len(written)))
        written.append("COUNTER")

    def write_meanwhile(label: str) -> None:
        if label == "database.backup.before_record":
            before = len(written)
            somebody = threading.Thread(target=write, daemon=True)
            somebody.start()
            somebody.join(PATIENCE_SECONDS)
            assert len(written) == before + 1, "the backup holds the writer"

    observe_crash_points(write_meanwhile)
    try:
        delhi.admin(FULL)
    finally:
        observe_crash_points(None)
    assert len(written) > 2


# --- log mode and trigger ----------------------------------------------------------------------------------------------


def fill_log(delhi: GridServer, percent: float) -> None:
    for number in range(10_000):
        figures = delhi.server.catalog.log_figures()
        assert figures is not None
        if figures.used_percent > percent:
            return
        change_something(delhi, number % 20, 100_000)


def test_the_log_is_freed_by_a_backup_but_not_by_a_snapshot(delhi: GridServer) -> None:
    delhi.admin(FULL)
    answer = delhi.admin("set logmode rollforward").text
    assert "ANR2294I" in answer and "ANR4925I" in answer
    assert "LOGMODE was changed" in delhi.admin(INCREMENTAL, allow=(14,)).text
    fill_log(delhi, 20)
    shown = delhi.admin("query log format=detailed").text
    assert f"{delhi.folder}/log" in shown and "16.00" in shown
    delhi.admin("backup db devclass=tapeclass type=dbsnapshot wait=yes")
    figures = delhi.server.catalog.log_figures()
    assert figures is not None and figures.used_percent > 20
    delhi.admin(FULL)
    figures = delhi.server.catalog.log_figures()
    assert figures is not None and figures.used_percent < 5
    delhi.admin(INCREMENTAL)
    delhi.restart()
    assert "Rollforward" in delhi.admin("query db format=detailed").text.title()
    delhi.admin("set logmode normal")
    delhi.admin("query log", allow=(14,))


def test_a_full_log_refuses_changes_and_a_backup_makes_room(delhi: GridServer) -> None:
    delhi.admin("set logmode rollforward")
    with pytest.raises(Exception, match="ANR0130E"):
        fill_log(delhi, 100)
    assert "ANR0130E" in delhi.admin("register node ann secret-1", allow=(8,)).text
    delhi.restart()
    assert "ANR0130E" in delhi.admin("register node ann secret-1", allow=(8,)).text
    delhi.admin(FULL)
    delhi.admin("register node ann secret-1")


def test_the_trigger_of_the_chapter_starts_a_backup_by_itself(delhi: GridServer) -> None:
    answer = delhi.admin("define dbbackuptrigger devclass=tapeclass logfullpct=60").text
    assert "ANR2283I" in answer, "without effect while LOGMODE is NORMAL"
    assert "ANR2285I" in delhi.admin("update dbbackuptrigger logfullpct=30 numincremental=1").text
    delhi.admin("set logmode rollforward")
    delhi.admin("define dbbackuptrigger devclass=tapeclass", allow=(10,))
    for count, type in ((1, "BACKUPFULL"), (2, "BACKUPINCR"), (3, "BACKUPFULL")):
        fill_log(delhi, 31)
        delhi.lines.wait_for("ANR0986I", count)
        delhi.lines.wait_for(
            "ANR4550I" if type == "BACKUPFULL" else "ANR4551I",
            (count + 1) // 2 if type == "BACKUPFULL" else 1,
        )
        assert history(delhi)[-1][0] == type
    shown = delhi.admin("query dbbackuptrigger format=detailed").text
    assert "Log Full Percentage: 30" in shown and "SERVER_CONSOLE" in shown


def test_a_trigger_starts_a_backup_when_the_log_is_full_whatever_it_waits_for(delhi: GridServer) -> None:
    """An eighth of the log is reserved: more than 88 % are never used by changes."""
    delhi.admin("set logmode rollforward")
    delhi.admin("define dbbackuptrigger devclass=tapeclass logfullpct=99 mininterval=9999")
    with pytest.raises(Exception, match="ANR0130E"):
        fill_log(delhi, 100)
    delhi.lines.wait_for("ANR4550I")
    delhi.lines.wait_for("ANR0986I")
    delhi.admin("register node ann secret-1")


def test_a_trigger_starts_a_backup_when_the_disk_of_the_log_is_full(
    delhi: GridServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Little of its capacity may be used then. The segments that a backup frees are room again."""

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    delhi.admin("set logmode rollforward")
    fill_log(delhi, 20)
    log = Path(delhi.server.catalog.log_folder)
    delhi.admin("define dbbackuptrigger devclass=tapeclass logfullpct=99 mininterval=9999")
    recovery_log = delhi.server.catalog._log_mode.log
    assert recovery_log is not None
    before = recovery_log.figures().segments
    while recovery_log.figures().segments == before:  # the last one has much room then
        change_something(delhi, 1, 100_000)
    recovery_log.await_spare()
    (log / "log.spare").unlink(missing_ok=True)
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    assert "ANR4919E" in delhi.admin("register node ann secret-1", allow=(8,)).text
    delhi.lines.wait_for("ANR4552I")
    delhi.lines.wait_for("ANR0986I")
    delhi.admin("register node ann secret-1")


def test_triggered_backups_that_fail_do_not_use_up_the_reserve_of_a_full_log(delhi: GridServer) -> None:
    """Of its second half ever more seldom, so that days are left; who changes the trigger is heard at once."""
    delhi.admin("set logmode rollforward")
    delhi.admin("define devclass nowhere devtype=file directory=/proc/nothing")
    with pytest.raises(Exception, match="ANR0130E"):
        fill_log(delhi, 100)
    delhi.admin("define dbbackuptrigger devclass=nowhere logfullpct=99")
    delhi.lines.wait_for("ANR4560I")
    pieces = {piece.name: piece.work for piece in delhi.server.self_protection.pieces}
    for _ in range(50):
        pieces[DATABASE_TRIGGER]()
        assert all(process.wait(PATIENCE_SECONDS) for process in delhi.server.processes.list())
    figures = delhi.server.catalog.log_figures()
    assert figures is not None
    assert figures.capacity_bytes - figures.used_bytes > figures.reserve_bytes // 3
    delhi.admin("update dbbackuptrigger devclass=tapeclass")
    delhi.lines.wait_for("ANR4550I")
    delhi.lines.wait_for("ANR0986I")
    delhi.admin("register node ann secret-1")


def test_backups_by_hand_in_a_loop_do_not_use_up_the_reserve_of_a_full_log(delhi: GridServer) -> None:
    """Refused until a while has passed; to another class, or when the cause may be gone, tried at once."""
    blocked = Path(delhi.folder) / "blocked"
    blocked.touch()
    delhi.admin("set logmode rollforward")
    delhi.admin(f"define devclass nowhere devtype=file directory={blocked}/tapes")
    with pytest.raises(Exception, match="ANR0130E"):
        fill_log(delhi, 100)
    loop = "backup db devclass=nowhere type=full wait=yes"
    for _ in range(200):
        refused = delhi.admin(loop, allow=(4, 14, 15)).text
    assert "ANR4974E" in refused and "UPDATE DEVCLASS" in refused
    figures = delhi.server.catalog.log_figures()
    assert figures is not None
    assert figures.capacity_bytes - figures.used_bytes > figures.reserve_bytes // 4
    blocked.unlink()
    assert "ANR4974E" in delhi.admin(loop, allow=(14,)).text
    delhi.admin("update devclass nowhere mountlimit=2")
    delhi.admin(loop)
    delhi.admin("register node ann secret-1")
    delhi.admin(FULL)


def test_a_series_is_not_scattered_over_places_unnoticed(pair: Pair) -> None:
    """An incremental backup at a partner whose full one lies on this machine brings nothing back when the machine is gone."""
    delhi = pair.delhi
    delhi.admin("set logmode rollforward")
    delhi.admin("backup db devclass=targetclass type=full wait=yes")
    assert "ANR4976W" not in delhi.admin("backup db devclass=targetclass type=incremental wait=yes").text
    delhi.admin("backup db devclass=tapeclass type=full wait=yes")
    assert "ANR4976W" in delhi.admin("backup db devclass=targetclass type=incremental wait=yes").text
    assert "ANR4976W" not in delhi.admin("backup db devclass=tapeclass type=incremental wait=yes").text
    delhi.admin("define dbbackuptrigger devclass=targetclass logfullpct=1")
    fill_log(delhi, 1.5)
    first = delhi.lines.wait_for("ANR4552I")
    assert "tapes/" in first.message.text, "the first one it starts is full, and says why"
    delhi.lines.wait_for("ANR4550I", 3)


def test_incrdevclass_may_keep_a_series_in_two_places_on_purpose(pair: Pair) -> None:
    delhi = pair.delhi
    delhi.admin("set logmode rollforward")
    delhi.admin("backup db devclass=targetclass type=full wait=yes")
    delhi.admin("backup db devclass=tapeclass type=incremental wait=yes")
    delhi.admin("define dbbackuptrigger devclass=targetclass incrdevclass=tapeclass logfullpct=1")
    fill_log(delhi, 1.5)
    assert "TAPECLASS" in delhi.lines.wait_for("ANR4553I").message.text
    started = [said for said in delhi.lines.ids if said in ("ANR4552I", "ANR4553I")]
    assert started[0] == "ANR4553I", "the first that it starts is no full one"


def test_a_trigger_whose_target_is_away_is_tried_again_and_tells(tmp_path: Path) -> None:
    tokyo = GridServer("TOKYO", str(tmp_path / "tokyo")).start()
    delhi = GridServer("DELHI", str(tmp_path / "delhi"), log_capacity_mib=16).start()
    try:
        prepare_target(tokyo)
        prepare_source(delhi, tokyo.port)
        port = tokyo.port
        tokyo.stop()
        delhi.admin("set logmode rollforward")
        delhi.admin("define dbbackuptrigger devclass=targetclass logfullpct=20")
        fill_log(delhi, 21)
        delhi.lines.wait_for("ANR4560I")
        with pytest.MonkeyPatch.context() as watched:
            looks: list[str] = []
            watched.setattr(delhi.server.housekeeping, "poke", looks.append)
            fill_log(delhi, 25)
            assert DATABASE_TRIGGER not in looks, "not at every percent: a minute later"
        InstanceFolder(tokyo.folder).write_settings(Settings(data_port=port))
        tokyo.start()
        delhi.server.database_backups.poke()
        delhi.lines.wait_for("ANR4561I")
        delhi.lines.wait_for("ANR4550I")
        assert "DELHI.DBB." in delhi.admin("query volhistory type=dbbackup").text
    finally:
        delhi.stop()
        tokyo.stop()


def test_age_alone_starts_a_backup_in_any_mode(delhi: GridServer) -> None:
    assert "ANR2282I" in delhi.admin("define dbbackuptrigger devclass=tapeclass maxage=24").text
    delhi.lines.wait_for("ANR4550I")
    with delhi.server.catalog.read() as r:
        assert nouns.find(r, Node, "NOBODY") is None
    assert history(delhi) == [("BACKUPFULL", 1, 0, 1)]


def test_a_full_log_is_freed_by_a_backup_to_a_server_never_seen_before(tmp_path: Path) -> None:
    """The sign-on pins its certificate and registers the code: changes too, and so are the definitions that lead there."""
    tokyo = GridServer("TOKYO", str(tmp_path / "tokyo")).start()
    delhi = GridServer("DELHI", str(tmp_path / "delhi"), log_capacity_mib=16).start()
    try:
        prepare_target(tokyo)
        delhi.admin("set logmode rollforward")
        with pytest.raises(Exception, match="ANR0130E"):
            fill_log(delhi, 100)
        for command in SOURCE_COMMANDS[:2]:
            delhi.admin(command.format(port=tokyo.port))
        delhi.admin("set dbrecovery targetclass")
        delhi.admin("backup db wait=yes")
        delhi.admin("register node ann secret-1")
    finally:
        delhi.stop()
        tokyo.stop()


def test_one_class_holds_for_backups_that_name_none_and_for_the_trigger(delhi: GridServer) -> None:
    assert "ANR2782I" in delhi.admin("set dbrecovery tapeclass compress=yes").text
    assert "ANR4906E" in delhi.admin("delete devclass tapeclass", allow=(13,)).text
    delhi.admin("backup db wait=yes")
    delhi.admin("backup db compress=no volumenames=plain wait=yes")
    small, large = sorted(
        os.path.getsize(f"{delhi.folder}/tapes/{name}") for name in os.listdir(f"{delhi.folder}/tapes")
    )
    assert small * 2 < large == os.path.getsize(f"{delhi.folder}/tapes/plain")
    shown = delhi.admin("query db format=detailed").text
    assert "Full Device Class Name: TAPECLASS" in shown and "Compress Database Backups: Yes" in shown
    delhi.admin(f"define devclass other devtype=file directory={delhi.folder}/other")
    assert "ANR2784W" in delhi.admin("backup db devclass=other wait=yes").text
    delhi.admin("define dbbackuptrigger maxage=24")
    assert "TAPECLASS" in delhi.admin("query dbbackuptrigger").text
    assert "ANR4907E" in delhi.admin('set dbrecovery ""', allow=(13,)).text
    delhi.admin("delete volhistory todate=today type=dbbackup")
    delhi.admin("set dbrecovery other")
    with delhi.server.catalog.write() as tx:  # as if the last one were older than MAXAGE
        for row in volume_history.rows(tx, ("BACKUPFULL",)):
            nouns.update(tx, msgspec.structs.replace(row, time=row.time - 90_000))
    delhi.server.database_backups.poke()
    delhi.lines.wait_for("ANR4551I")
    with delhi.server.catalog.read() as r:
        assert volume_history.newest_operation(r, ("BACKUPINCR",))[0].device_class == "OTHER"
    assert "ANR2026E" in delhi.admin("update dbbackuptrigger", allow=(3,)).text
    delhi.admin("update dbbackuptrigger devclass=tapeclass")
    delhi.admin('set dbrecovery ""')
    assert "ANR4929E" in delhi.admin("backup db", allow=(3,)).text


def test_the_chapters_incremental_goes_to_another_server(pair: Pair) -> None:
    delhi = pair.delhi
    delhi.admin("backup db type=full devclass=targetclass wait=yes")
    change_something(delhi, 1)
    delhi.admin("backup db type=incremental devclass=targetclass wait=yes")
    assert [row[:3] for row in history(delhi) if row[0].startswith("BACKUP")] == [
        ("BACKUPFULL", 1, 0),
        ("BACKUPINCR", 1, 1),
    ]
    delhi.admin("delete volhistory todate=today type=dbbackup")
    assert len(history(delhi)) == 2, "the newest series stays"


def test_a_target_that_lets_nothing_in_is_told_and_nothing_is_left_behind(pair: Pair) -> None:
    """Another verification code makes the session read-only: the backup fails, the next one after FORCESYNC succeeds."""
    delhi, tokyo = pair.delhi, pair.tokyo
    command = "backup db type=full devclass=targetclass wait=yes"
    delhi.admin(command)
    with tokyo.server.catalog.write() as tx:
        node = nouns.get(tx, Node, "DELHI")
        nouns.update(tx, msgspec.structs.replace(node, verification_public_key=b"k" * 32))
    delhi.restart()
    answer = delhi.admin(command, allow=(4,)).text
    assert "read-only" in answer and "FAILURE" in answer
    assert [row[:3] for row in history(delhi) if row[0].startswith("BACKUP")] == [("BACKUPFULL", 1, 0)]
    delhi.admin("update server tokyo forcesync=yes")
    delhi.admin(command)
    assert history(delhi)[-1][:2] == ("BACKUPFULL", 3)


def test_a_trigger_starts_a_full_backup_where_an_incremental_one_cannot_be(delhi: GridServer) -> None:
    """The file with the page digests is lost: an incremental backup would be refused every minute, for ever."""
    delhi.admin("set logmode rollforward")
    delhi.admin("define dbbackuptrigger devclass=tapeclass logfullpct=30")
    fill_log(delhi, 31)
    delhi.lines.wait_for("ANR4550I")
    for path in Path(f"{delhi.folder}/catalog").glob("catalog.db-pages.*"):
        path.unlink()
    assert "page digests" in delhi.admin("query db format=detailed").text
    fill_log(delhi, 31)
    delhi.lines.wait_for("ANR4550I", 2)
    assert "ANR4560I" not in delhi.lines.ids
