"""SIGKILL at every step of BACKUP DB, of a log switch and of restore-db: nothing acknowledged is lost, the second run succeeds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.killed_child import killed_at
from tests.grid.grid_server import GridServer

from farvault.apps.restore_database import Request, restore_database
from farvault.base.errors import NotFound
from farvault.catalog import audit, volume_history
from farvault.catalog.settings import get_setting, set_setting
from farvault.model.volume_history import SERIES_TYPES

FULL = "backup db devclass=tapeclass type=full wait=yes"
INCREMENTAL = "backup db devclass=tapeclass type=incremental wait=yes"

pytestmark = pytest.mark.slow


@pytest.fixture
def delhi(tmp_path: Path) -> Iterator[GridServer]:
    """Stopped; LOGMODE ROLLFORWARD, a full backup, and something in the log."""
    server = GridServer("DELHI", str(tmp_path / "delhi"), log_capacity_mib=16).start()
    server.admin(f"define devclass tapeclass devtype=file directory={server.folder}/tapes maxcapacity=16m")
    server.admin("set logmode rollforward")
    server.admin(FULL)
    note(server, "first", 60)
    server.stop()
    yield server
    server.stop()


def note(server: GridServer, value: str, count: int = 1) -> None:
    for number in range(count):
        with server.server.catalog.write() as tx:
            set_setting(tx, f"FILL{number}", os.urandom(20_000).hex())
            set_setting(tx, "NOTE", value)


def check(server: GridServer, expected: str) -> None:
    with server.server.catalog.read() as r:
        assert get_setting(r, "NOTE") == expected
        assert list(audit.check_row_digests(r)) == []
        assert r.all("PRAGMA quick_check") == [("ok",)]
        rows = volume_history.rows(r, SERIES_TYPES, complete=None)
    assert all(row.complete for row in rows), "what was left behind is gone"
    assert sorted(os.listdir(f"{server.folder}/tapes")) == sorted(
        os.path.basename(row.volume) for row in rows
    )


def restored(server: GridServer) -> None:
    """Lose the catalog and bring it back with the log."""
    shutil.rmtree(f"{server.folder}/catalog")
    assert restore_database(server.folder, Request(), lambda said: None) is not None


@pytest.mark.parametrize("command", [FULL, INCREMENTAL], ids=["full", "incremental"])
@pytest.mark.parametrize(
    "label",
    [
        "catalog.image.taken",
        "log.switch.before",
        "log.switch.after",
        "history.volume.before_create",
        "database.backup.before_record",
        "history.volume.before_end",
        "history.volume.after_end",
        "database.page_state.after",
        "history.commit.before_catalog",
        "history.commit.after_catalog",
        "database.backup.before_prune",
        "log.prune.before_unlink",
        "file.replace.before_rename",
    ],
)
def test_backup_killed_at_a_step(delhi: GridServer, label: str, command: str) -> None:
    def work() -> None:
        delhi.start()
        delhi.admin(command)
        os._exit(0)

    assert killed_at(label, 1, work), f"it never came by {label}"
    delhi.start()
    check(delhi, "first")
    note(delhi, "second")
    delhi.admin(INCREMENTAL if command == INCREMENTAL else FULL)
    note(delhi, "third")
    delhi.stop()
    restored(delhi)
    delhi.start()
    check(delhi, "third")


@pytest.mark.parametrize(
    ("label", "nth"),
    [
        ("log.switch.before", 1),
        ("log.switch.after", 1),
        ("log.append.before_sync", 40),
        ("log.append.after_sync", 40),
    ],
)
def test_killed_while_the_log_goes_on_in_a_new_segment(
    delhi: GridServer, label: str, nth: int, tmp_path: Path
) -> None:
    acknowledged = tmp_path / "acknowledged"

    def work() -> None:
        delhi.start()
        for number in range(1, 100):
            note(delhi, str(number))
            acknowledged.write_text(str(number))
        os._exit(0)

    assert killed_at(label, nth, work)
    last = int(acknowledged.read_text())
    delhi.start()
    with delhi.server.catalog.read() as r:
        found = int(get_setting(r, "NOTE") or 0)
    assert found in (last, last + 1)
    delhi.stop()
    restored(delhi)
    delhi.start()
    check(delhi, str(found))


@pytest.mark.parametrize(
    ("label", "nth"),
    [
        ("restore.database.setting_aside", 1),
        ("restore.database.setting_aside", 2),
        ("restore.database.between", 1),
        ("restore.database.after_switch", 1),
    ],
)
@pytest.mark.parametrize("again", [False, True], ids=["the start goes on", "run again"])
def test_a_restore_killed_in_its_last_step_is_finished(
    delhi: GridServer, label: str, nth: int, again: bool
) -> None:
    """The old database, with what has not come into its file, lies under one name afterwards."""
    final = f"{delhi.folder}/catalog/catalog.db"
    old = {"": Path(final).read_bytes(), "-wal": b"what is not in its file yet"}
    Path(f"{final}-wal").write_bytes(old["-wal"])

    def work() -> None:
        restore_database(delhi.folder, Request(), lambda said: None)
        os._exit(0)

    assert killed_at(label, nth, work)
    if again and label != "restore.database.after_switch":
        assert restore_database(delhi.folder, Request(), lambda said: None) is not None
    delhi.start()
    is_told = not again and label != "restore.database.after_switch"
    assert ("ANR4909W" in delhi.lines.ids) == is_told
    if is_told:
        assert "ANR4909W" in delhi.admin("query actlog").text
    check(delhi, "first")
    found = [name for name in os.listdir(f"{delhi.folder}/catalog") if ".before-restore-" in name]
    (aside,) = [name for name in found if not name.endswith("-wal")]
    assert sorted(found) == [aside, f"{aside}-wal"]
    for suffix, data in old.items():
        assert Path(f"{delhi.folder}/catalog/{aside}{suffix}").read_bytes() == data
    assert "ANR2361E" in delhi.admin(INCREMENTAL, allow=(14,)).text
    delhi.admin(FULL)


def test_what_was_set_aside_long_ago_is_left_alone(delhi: GridServer) -> None:
    final = f"{delhi.folder}/catalog/catalog.db"
    os.rename(final, f"{final}.before-restore-1000000000")

    def work() -> None:
        restore_database(delhi.folder, Request(), lambda said: None)

    assert killed_at("restore.database.between", 1, work)
    delhi.start()
    told = delhi.lines.wait_for("ANR4909W").message.text
    assert "Set aside: nothing." in told
    check(delhi, "first")


def test_without_a_database_the_start_says_how_to_bring_it_back(delhi: GridServer) -> None:
    shutil.rmtree(f"{delhi.folder}/catalog")
    with pytest.raises(NotFound, match=f"ANR4970E.*farvault server restore-db {delhi.folder}"):
        delhi.start()

    def work() -> None:
        restore_database(delhi.folder, Request(), lambda said: None)

    assert killed_at("restore.database.written", 1, work)
    with pytest.raises(NotFound, match=f"ANR4971E.*farvault server restore-db {delhi.folder}"):
        delhi.start()
    assert restore_database(delhi.folder, Request(), lambda said: None) is not None
    delhi.start()
    check(delhi, "first")


@pytest.mark.parametrize(
    ("label", "is_switched"),
    [
        ("restore.database.written", False),
        ("log.replay.before", False),
        ("log.replay.before_sync", False),
        ("log.replay.after_sync", False),
        ("restore.database.checked", False),
        ("restore.database.before_switch", False),
        ("restore.database.setting_aside", False),
        ("restore.database.between", False),
        ("restore.database.after_switch", True),
    ],
)
def test_restore_killed_at_a_step_is_run_again(delhi: GridServer, label: str, is_switched: bool) -> None:
    def work() -> None:
        restore_database(delhi.folder, Request(), lambda said: None)
        os._exit(0)

    assert killed_at(label, 1, work)
    if not is_switched:
        assert restore_database(delhi.folder, Request(), lambda said: None) is not None
    delhi.start()
    check(delhi, "first")
    delhi.admin(FULL)
    note(delhi, "second")
    delhi.stop()
    restored(delhi)
    delhi.start()
    check(delhi, "second")


@pytest.mark.parametrize(
    "label", ["restore.database.written", "log.replay.before_sync", "restore.database.before_switch"]
)
def test_a_restore_that_was_killed_before_the_switch_leaves_the_old_database_as_it_was(
    delhi: GridServer, label: str
) -> None:
    def work() -> None:
        restore_database(delhi.folder, Request(), lambda said: None)
        os._exit(0)

    assert killed_at(label, 1, work)
    delhi.start()
    assert delhi.lines.ids.count("ANR4908W") == 1
    assert {name for name in os.listdir(f"{delhi.folder}/catalog") if ".rest" in name} == set()
    check(delhi, "first")
    note(delhi, "second")
    delhi.restart()
    check(delhi, "second")
