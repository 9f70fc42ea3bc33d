"""`farvault server restore-db`: newest with the log, a moment, named volumes, from files and from another server; refusals."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.faults.two_servers import Pair
from tests.grid.grid_server import GridServer
from tests.grid.vaults import change_node, store_files

from farvault.apps.server_commands import server as server_command
from farvault.apps.volume_commands import volume as volume_command
from farvault.catalog import audit, nouns, vault, volume_history
from farvault.catalog.epoch import epoch as catalog_epoch
from farvault.catalog.settings import get_setting, set_setting
from farvault.model.node import Node
from farvault.model.volume_history import EXPORT, QUERY_TYPES, SERIES_TYPES
from farvault.seal.keyring import Keyring
from farvault.seal.record import RecordKind
from farvault.storage.history_writing import HistoryWriter, Operation

FULL = "backup db devclass=tapeclass type=full wait=yes"
INCREMENTAL = "backup db devclass=tapeclass type=incremental wait=yes"
SNAPSHOT = "backup db devclass=tapeclass type=dbsnapshot wait=yes"


@pytest.fixture
def delhi(tmp_path: Path) -> Iterator[GridServer]:
    server = GridServer("DELHI", str(tmp_path / "delhi"), log_capacity_mib=16).start()
    server.admin(f"define devclass tapeclass devtype=file directory={server.folder}/tapes maxcapacity=16m")
    yield server
    server.stop()


def restore(server: GridServer, *options: str, code: int = 0) -> str:
    done = CliRunner().invoke(server_command, ["restore-db", server.folder, *options])
    assert done.exit_code == code, f"{done.exit_code}: {done.output} {done.exception!r}"
    return done.output


def note(server: GridServer, value: str) -> None:
    with server.server.catalog.write() as tx:
        set_setting(tx, "NOTE", value)


def noted(server: GridServer) -> str | None:
    with server.server.catalog.read() as r:
        assert list(audit.check_row_digests(r)) == [] and r.all("PRAGMA quick_check") == [("ok",)]
        return get_setting(r, "NOTE")


def epoch(server: GridServer) -> int:
    with server.server.catalog.read() as r:
        return catalog_epoch(r)


def lose_catalog(server: GridServer) -> None:
    shutil.rmtree(f"{server.folder}/catalog")


def tapes(server: GridServer) -> list[str]:
    folder = Path(server.folder) / "tapes"
    return [str(path) for path in sorted(folder.iterdir(), key=lambda path: path.name)]


def test_the_most_current_state_comes_back_with_the_log(delhi: GridServer) -> None:
    delhi.admin("set logmode rollforward")
    delhi.admin(FULL)
    note(delhi, "in the incremental")
    delhi.admin(INCREMENTAL)
    note(delhi, "only in the log")
    delhi.stop()
    lose_catalog(delhi)
    said = restore(delhi)
    for each in (
        "ANR4591I",
        "ANR4592I",
        "ANR4598I",
        "ANR4638I",
        "ANR4915I",
        "ANR4635I",
        "BACKUP DB TYPE=FULL",
        "Its epoch is ",
    ):
        assert each in said
    delhi.start()
    moved = epoch(delhi)
    assert noted(delhi) == "only in the log" and moved > 1 and f"Its epoch is {moved} now" in said
    assert "ANR2361E" in delhi.admin(INCREMENTAL, allow=(14,)).text
    delhi.admin(FULL)
    with delhi.server.catalog.read() as r:
        newest = volume_history.newest_operation(r, SERIES_TYPES)
    assert (newest[0].series, newest[0].epoch) == (2, moved)
    assert delhi.server.catalog.log_mode == "ROLLFORWARD"


def test_after_it_the_next_disaster_is_survived_too(delhi: GridServer) -> None:
    delhi.admin("set logmode rollforward")
    delhi.admin(FULL)
    note(delhi, "one")
    delhi.stop()
    lose_catalog(delhi)
    restore(delhi)
    delhi.start()
    first = epoch(delhi)
    delhi.admin(FULL)
    note(delhi, "two")
    delhi.stop()
    lose_catalog(delhi)
    restore(delhi)
    delhi.start()
    assert noted(delhi) == "two" and epoch(delhi) > first > 1


def test_without_a_log_the_newest_backup_is_all_there_is(delhi: GridServer) -> None:
    note(delhi, "backed up")
    delhi.admin(FULL)
    note(delhi, "lost")
    delhi.stop()
    said = restore(delhi)
    assert "ANR4934W" in said
    (aside,) = [name for name in os.listdir(f"{delhi.folder}/catalog") if "before-restore" in name]
    assert aside in said, "the old one is still there"
    assert [name for name in os.listdir(delhi.folder) if name.startswith("volhist.out.")]
    delhi.start()
    assert noted(delhi) == "backed up"


def test_a_lost_log_is_told_and_the_newest_backup_still_restores(delhi: GridServer) -> None:
    delhi.admin("set logmode rollforward")
    note(delhi, "backed up")
    delhi.admin(FULL)
    note(delhi, "lost with the log")
    delhi.stop()
    lose_catalog(delhi)
    shutil.rmtree(f"{delhi.folder}/log")
    assert "ANR4935E" in restore(delhi, code=14)
    assert not os.path.exists(f"{delhi.folder}/catalog")
    restore(delhi, "--todate", "today")
    delhi.start()
    assert noted(delhi) == "backed up"


def test_to_a_moment_and_from_a_snapshot(delhi: GridServer) -> None:
    clock = delhi.server.clock
    note(delhi, "full")
    delhi.admin(FULL)
    waited = threading.Event()
    while clock.now_seconds() == volume_time(delhi, 0):  # times of backups are whole seconds
        waited.wait(0.05)
    note(delhi, "incremental")
    delhi.admin(INCREMENTAL)
    note(delhi, "snapshot")
    delhi.admin(SNAPSHOT)
    moment = time.strftime("%H:%M:%S", time.localtime(volume_time(delhi, 0)))
    day = time.strftime("%m/%d/%Y", time.localtime(volume_time(delhi, 0)))
    delhi.stop()
    for options, expected in (
        (("--todate", day, "--totime", moment), "full"),
        (("--todate", "today"), "incremental"),
        (("--source", "dbsnapshot"), "snapshot"),
    ):
        restore(delhi, *options)
        delhi.start()
        assert noted(delhi) == expected
        delhi.stop()
    assert "ANR4602E No database backup from before" in restore(delhi, "--todate", "today-2", code=11)
    delhi.start()
    assert epoch(delhi) > 1


def volume_time(server: GridServer, number: int) -> int:
    with server.server.catalog.read() as r:
        return volume_history.rows(r, QUERY_TYPES["ALL"])[number].time


def test_without_a_snapshot_none_is_restored(delhi: GridServer) -> None:
    delhi.admin(FULL)
    delhi.stop()
    said = restore(delhi, "--source", "dbsnapshot", code=11)
    assert "ANR4602E No snapshot of the database from before now" in said and "another --source" in said


def test_from_named_volumes_without_any_history(delhi: GridServer) -> None:
    note(delhi, "full")
    delhi.admin(FULL)
    note(delhi, "first")
    delhi.admin(INCREMENTAL)
    note(delhi, "second")
    delhi.admin(INCREMENTAL)
    full, first, second = tapes(delhi)
    delhi.stop()
    checked = CliRunner().invoke(volume_command, ["check", first]).output
    assert "BACKUPINCR of server DELHI" in checked
    assert "series 1, operation 1, volume 1, the last" in checked
    lose_catalog(delhi)
    os.unlink(f"{delhi.folder}/volhist.out")
    Path(f"{delhi.folder}/devconfig.out").write_text(
        f"define devclass tapeclass devtype=file directory={delhi.folder}/tapes\n"
    )
    assert "ANR4937E" in restore(delhi, code=11)
    named = ("--devclass", "tapeclass", "--volumes")
    assert "Series 1 is broken: operation 1 is not" in restore(delhi, *named, f"{full},{second}", code=3)
    assert "operation 0, the full backup, is not" in restore(delhi, *named, first, code=3)
    listed = Path(delhi.folder) / "listed"
    listed.write_text(f"{second}\n{full}\n{first}\n")
    assert "ANR0999E" in restore(delhi, *named, "file:/not/there", code=3)
    restore(delhi, *named, f"FILE:{listed}")
    delhi.start()
    assert noted(delhi) == "second"
    assert delhi.admin("query volhistory type=dbbackup").text.count("BACKUP") == 3
    delhi.stop()
    restore(delhi, *named, full)
    delhi.start()
    assert noted(delhi) == "full"


def test_preview_proves_all_and_changes_nothing(delhi: GridServer) -> None:
    delhi.admin(FULL)
    note(delhi, "after")
    delhi.stop()
    before = sorted(os.listdir(f"{delhi.folder}/catalog"))
    assert "ANR4936I" in restore(delhi, "--preview")
    assert sorted(os.listdir(f"{delhi.folder}/catalog")) == before
    delhi.start()
    assert noted(delhi) == "after" and epoch(delhi) == 1


def test_a_running_server_is_not_restored(delhi: GridServer) -> None:
    delhi.admin(FULL)
    assert "ANR0998E" in restore(delhi, code=12)


def test_what_is_not_right_is_refused_before_anything_is_touched(delhi: GridServer, tmp_path: Path) -> None:
    """Another server's backup, an altered one, a missing volume, one written anew under the same name."""
    other = GridServer("EVIL", str(tmp_path / "evil")).start()
    other.admin(f"define devclass tapeclass devtype=file directory={other.folder}/tapes")
    other.admin(FULL)
    other.stop()
    note(delhi, "mine")
    delhi.admin(FULL)
    note(delhi, "later")
    delhi.admin(INCREMENTAL)
    full, incremental = tapes(delhi)
    delhi.stop()
    before = state(delhi)
    good = {name: Path(name).read_bytes() for name in (full, incremental)}

    def refused(*messages: str, options: tuple[str, ...] = ()) -> None:
        done = CliRunner().invoke(server_command, ["restore-db", delhi.folder, *options])
        assert done.exit_code not in (0, 1), done.output
        assert any(each in done.output for each in messages), done.output
        assert state(delhi) == before
        for name, data in good.items():
            Path(name).write_bytes(data)

    (evil,) = tapes(other)
    refused("ANR4905E", options=("--devclass", "tapeclass", "--volumes", evil))
    shutil.copy(evil, full)
    refused("ANR4904E", "ANR4905E")
    os.unlink(incremental)
    refused("ANR8355E")
    shutil.copy(full, incremental)
    refused("ANR4606E", "ANR4904E")
    random_ = random.Random(5)
    for name in (full, incremental):
        for _ in range(12):
            data = bytearray(good[name])
            data[random_.randrange(4096, len(data))] ^= 1 << random_.randrange(8)
            Path(name).write_bytes(data)
            refused("ANR4904E", "ANR4905E", "ANR9803E", "ANR8359E")
        Path(name).write_bytes(good[name][: len(good[name]) // 2])
        refused("ANR8359E", "ANR4904E")
    text = Path(f"{delhi.folder}/volhist.out").read_text()
    Path(f"{delhi.folder}/volhist.out").write_text(text.replace("Volume Type", "What"))
    refused("ANR4930E")
    Path(f"{delhi.folder}/volhist.out").write_text(text)
    Path(f"{delhi.folder}/devconfig.out").write_text("define devclas$ x\n")
    refused("ANR4931E")
    Path(f"{delhi.folder}/devconfig.out").write_text("")
    refused("ANR4932E")
    delhi.start()
    assert noted(delhi) == "later"


def state(server: GridServer) -> dict[str, bytes]:
    folder = Path(server.folder) / "catalog"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_from_another_server_with_nothing_but_the_folder(pair: Pair) -> None:
    delhi, tokyo = pair.delhi, pair.tokyo
    delhi.admin("set logmode rollforward")
    delhi.admin("backup db type=full devclass=targetclass wait=yes")
    note(delhi, "incremental")
    delhi.admin("backup db type=incremental devclass=targetclass wait=yes")
    note(delhi, "log")
    with delhi.server.catalog.read() as r:
        volumes = [row.volume for row in volume_history.rows(r, SERIES_TYPES)]
    delhi.stop()
    lose_catalog(delhi)
    restore(delhi)
    delhi.start()
    assert noted(delhi) == "log" and epoch(delhi) > 1
    delhi.stop()
    os.unlink(f"{delhi.folder}/volhist.out")
    restore(delhi, "--devclass", "targetclass", "--volumes", ",".join(volumes))
    delhi.start()
    assert noted(delhi) == "incremental"
    delhi.admin("backup db type=full devclass=targetclass wait=yes")
    tokyo.stop()
    delhi.stop()
    assert "ANR4376E" in restore(delhi, code=14), "a target that is away is told"
    Path(f"{delhi.folder}/keys/keyring").write_bytes(Keyring.create().to_bytes())
    refused = restore(delhi, code=3)
    assert "ANR4977E" in refused and f"{delhi.folder}/devconfig.out" in refused, "other keys, too"


def test_with_reconcile_the_server_comes_to_terms_with_its_target_by_itself(pair: Pair) -> None:
    """Set back to before its copies: the target takes its deletions again, and its new code, without a further command."""
    delhi, tokyo = pair.delhi, pair.tokyo
    delhi.admin("backup db devclass=targetclass wait=yes")
    store_files(delhi, 1, 2)
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    change_node(tokyo, "DELHI", verification_public_key=bytes(32))  # the code was changed since the backup
    delhi.stop()
    said = restore(delhi, "--reconcile")
    assert "ANR4959I" in said and "RECONCILE VOLUMES" not in said
    delhi.start()
    delhi.lines.wait_for("ANR4959I")
    with tokyo.server.catalog.read() as r:
        rows = vault.list_volumes(r, nouns.get(r, Node, "DELHI").id)
    marked = {row.volume.split(".")[-2] for row in rows if row.marked_time}
    assert marked == {"BFS"}, "what the backup knows nothing of, and no backup"
    delhi.admin("backup db devclass=targetclass wait=yes")


def test_an_old_copy_of_the_catalog_is_not_served_with_a_newer_log(delhi: GridServer) -> None:
    delhi.admin("set logmode rollforward")
    delhi.admin(FULL)
    delhi.stop()
    old = Path(f"{delhi.folder}/catalog/catalog.db").read_bytes()
    delhi.start()
    note(delhi, "newer")
    delhi.admin(INCREMENTAL)
    note(delhi, "newest")
    delhi.stop()
    Path(f"{delhi.folder}/catalog/catalog.db").write_bytes(old)
    with pytest.raises(Exception, match="ANR4913E"):
        delhi.start()
    restore(delhi)
    delhi.start()
    assert noted(delhi) == "newest"


def test_an_operation_under_way_when_the_backup_was_made_is_forgotten_but_not_deleted(
    delhi: GridServer,
) -> None:
    """The restored catalog may name volumes that were being written: its own first, and others that ended later.

    What no volume history knows is told: nobody would find the file otherwise.
    """
    export = Operation(EXPORT, RecordKind.EXPORT, 1, 0, delhi.server.clock.now_seconds())
    with HistoryWriter(delhi.server.storage, "TAPECLASS", export) as writer:
        writer.put(b"contents")
        unfinished = tapes(delhi)
        delhi.admin(FULL)
    Path(unfinished[0]).write_bytes(b"what a crash had left")
    before = tapes(delhi)
    delhi.stop()
    said = restore(delhi)
    assert said.count("ANR4975W") == 1 and f"Volume {unfinished[0]} of device class TAPECLASS" in said
    delhi.start()
    delhi.server.housekeeping.do_everything()
    assert tapes(delhi) == before
    with delhi.server.catalog.read() as r:
        assert volume_history.incomplete(r) == []
        assert len(volume_history.rows(r, SERIES_TYPES)) == 1
