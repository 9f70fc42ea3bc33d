"""No crash point of virtual volumes is forgotten: each is killed by SIGKILL in this folder, and a new one fails here first.

What the other files of this folder do not kill is killed here, on both sides.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.faults.killed_server import is_whole, killed, stored
from tests.faults.killed_target import KilledTarget, write_while_it_dies
from tests.grid.both_sides import COPY, marked, volumes, write_marked_volumes
from tests.grid.grid_server import GridServer, is_sound

from farvault.base.disk import observe_crash_points

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src" / "farvault"
AT_SOURCE = (
    "media/server*.py",
    "media/mounts.py",
    "media/window.py",
    "storage/copying.py",
    "storage/deletions.py",
    "storage/volume_life.py",
    "storage/history_output.py",
    "storage/history_volumes.py",
    "storage/history_writing.py",
    "processes/backup_pool.py",
    "processes/delete_volume.py",
    "processes/reconcile_volumes.py",
    "processes/challenge_server.py",
    "processes/challenge_history.py",
    "processes/validate_volume.py",
)
AT_TARGET = (
    "sessions/source*.py",
    "storage/vault*.py",
    "storage/writing.py",
    "media/file.py",
)
COPYING, RECEIVING, DELETING, RECONCILING, RECLAIMING, DATABASE, IN_THIS_FILE = (
    "test_killed_while_copying.py",
    "test_killed_while_receiving.py",
    "test_killed_while_deleting.py",
    "test_killed_while_reconciling.py",
    "test_killed_while_reclaiming.py",
    "test_killed_while_protecting_the_database.py",
    Path(__file__).name,
)
KILLED_IN = {
    "challenge.missed.before_catalog": RECONCILING,
    "copy.window.after_catalog": COPYING,
    "copy.window.before_catalog": COPYING,
    "deletion.queue.after_commit": DELETING,
    "deletion.queue.before_commit": DELETING,
    "deletion.told.before_row": DELETING,
    "discard.page.before_catalog": IN_THIS_FILE,
    "discard.volume.before_media": IN_THIS_FILE,
    "history.commit.after_catalog": DATABASE,
    "history.commit.before_catalog": DATABASE,
    "history.delete.before": DELETING,
    "history.delete.before_row": IN_THIS_FILE,
    "history.volume.after_end": DATABASE,
    "history.volume.before_create": DATABASE,
    "history.volume.before_end": DATABASE,
    "reconcile.done.after": RECONCILING,
    "reconcile.done.before": RECONCILING,
    "reconcile.mark.after": RECONCILING,
    "reconcile.mark.before": RECONCILING,
    "reconcile.volume.after_target": RECONCILING,
    "reconcile.volume.before_catalog": RECONCILING,
    "reconcile.volume.before_target": RECONCILING,
    "vault.collect.before_delete": DELETING,
    "vault.records.after_commit": RECEIVING,
    "vault.records.after_sync": RECEIVING,
    "vault.records.before_sync": RECEIVING,
    "vault.revert.before_batch": DELETING,
    "vault.segment.after_close": RECEIVING,
    "vault.segment.before_close": RECEIVING,
    "virtual_volume.commit.after_receipt": COPYING,
    "virtual_volume.commit.before_close": COPYING,
    "volume.append.after_sync": IN_THIS_FILE,
    "volume.append.before_sync": IN_THIS_FILE,
    "volume.define.before_create": IN_THIS_FILE,
    "volume.delete.before_row": RECLAIMING,
    "volume.delete.before_unlink": IN_THIS_FILE,
    "volume.empty.before_delete": RECLAIMING,
    "volume.scratch.before_create": COPYING,
    "writer.sync.after": RECEIVING,
    "writer.sync.before": RECEIVING,
}


def crash_points(*patterns: str) -> set[str]:
    """The labels in these files of the source."""
    found: set[str] = set()
    for pattern in patterns:
        paths = sorted(SOURCE.glob(pattern))
        assert paths, f"{pattern} names no file any more"
        for path in paths:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "crash_point":
                    (label,) = node.args
                    assert isinstance(label, ast.Constant)
                    found.add(label.value)
    return found


def test_every_crash_point_of_virtual_volumes_has_a_kill() -> None:
    assert crash_points(*AT_SOURCE, *AT_TARGET) == set(KILLED_IN), (
        "a new point: kill there, and say in KILLED_IN where"
    )


@pytest.mark.parametrize("label", sorted(KILLED_IN))
def test_the_file_that_is_said_to_kill_there_does(label: str) -> None:
    strings = {
        node.value
        for node in ast.walk(ast.parse((HERE / KILLED_IN[label]).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    if KILLED_IN[label] == IN_THIS_FILE:
        strings -= set(KILLED_IN)  # the table itself does not count: below a number follows
    assert any(one == label or one.startswith(f"{label}#") for one in strings)


# --- the source --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash_at", ["discard.page.before_catalog#1", "discard.volume.before_media#1"])
def test_a_source_killed_while_it_discards_a_virtual_volume_does_it_the_next_time(
    delhi: GridServer, tokyo: GridServer, crash_at: str
) -> None:
    files = stored(delhi, *range(10))
    delhi.admin(COPY)
    name = volumes(delhi)[0]
    delete = f"delete volume {name} discarddata=yes wait=yes"
    killed(delhi, crash_at, delete)
    assert is_sound(delhi)
    if name in volumes(delhi):
        delhi.admin(delete)
    delhi.server.housekeeping.do_everything()
    assert name not in volumes(delhi) and marked(tokyo) == {name}
    delhi.admin(COPY)
    assert is_whole(delhi, files, without="tapepool") and is_sound(tokyo)


def test_a_source_killed_while_it_defines_a_virtual_volume_can_define_it_again(
    delhi: GridServer, tokyo: GridServer
) -> None:
    define = "define volume targetcopypool delhi.mine"
    killed(delhi, "volume.define.before_create#1", define)
    assert is_sound(delhi)
    delhi.admin("delete volume delhi.mine wait=yes", allow=(0, 11))
    delhi.admin(define)
    files = stored(delhi, *range(10))
    delhi.admin(COPY)
    assert is_whole(delhi, files, without="tapepool") and is_sound(tokyo)


def test_a_source_killed_while_it_deletes_an_old_database_backup_does_it_the_next_time(
    delhi: GridServer, tokyo: GridServer
) -> None:
    """One on files of its own: the file first, its entry last. What lies at a target: `test_killed_while_deleting.py`."""
    snapshot = "backup db devclass=tapeclass type=dbsnapshot wait=yes"
    delhi.admin(snapshot)
    delhi.admin(snapshot)
    shown = "query volhistory type=dbsnapshot"
    delete = "delete volhistory todate=today type=dbsnapshot"
    killed(delhi, "history.delete.before_row#1", delete)
    assert is_sound(delhi)
    assert delhi.admin(shown).text.count("Volume Name") == 2, "the entry is still there, its file is not"
    delhi.admin(delete)
    assert delhi.admin(shown).text.count("Volume Name") == 1
    delhi.admin("backup db devclass=tapeclass type=full wait=yes")


@pytest.mark.parametrize(
    ("command", "point"),
    [
        (
            "backup db devclass=tapeclass type=full volumenames={file} wait=yes",
            "history.volume.before_create",
        ),
        ("define volume tapepool {file} wait=yes", "volume.define.before_create"),
    ],
)
def test_a_file_of_somebody_else_is_never_taken_for_ours(
    delhi: GridServer, tmp_path: Path, command: str, point: str
) -> None:
    """Killed there, the row would say that it is what we had begun: the next start would delete it."""
    theirs = tmp_path / "theirs"
    theirs.write_text("not ours")
    passed: list[str] = []
    observe_crash_points(passed.append)
    try:
        said = delhi.admin(command.format(file=theirs), allow=(4, 10, 12, 14)).text
    finally:
        observe_crash_points(None)
    assert "ANR8356E" in said and point not in passed
    assert str(theirs) not in volumes(delhi) and theirs.read_text() == "not ours"


@pytest.mark.parametrize(
    "crash_at", ["catalog.commit.before#4", "catalog.commit.after#4", "catalog.commit.after#9"]
)
def test_a_source_killed_at_any_transaction_of_a_copy_completes_the_next_time(
    delhi: GridServer, tokyo: GridServer, crash_at: str
) -> None:
    files = stored(delhi, *range(20))
    killed(delhi, crash_at, COPY)
    assert is_sound(delhi)
    delhi.admin(COPY)
    assert is_whole(delhi, files, without="tapepool")


# --- the target --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "crash_at",
    [
        "volume.append.before_sync#1",
        "volume.append.after_sync#3",
        "catalog.commit.before#6",
        "catalog.commit.after#8",
    ],
)
def test_a_target_killed_below_the_vault_loses_nothing_it_acknowledged(
    killed_target: KilledTarget, crash_at: str
) -> None:
    write_while_it_dies(killed_target, crash_at, records=30, more=10)


def test_a_target_killed_before_it_removes_an_emptied_file_removes_it_at_its_next_start(
    tokyo: GridServer, tmp_path: Path
) -> None:
    write_marked_volumes(tokyo, "V1", "V2")
    assert list((tmp_path / "tokyo" / "vault").iterdir())
    killed(tokyo, "volume.delete.before_unlink#1", "expire inventory wait=yes")
    tokyo.server.housekeeping.do_everything()
    assert list((tmp_path / "tokyo" / "vault").iterdir()) == []
    assert is_sound(tokyo)
