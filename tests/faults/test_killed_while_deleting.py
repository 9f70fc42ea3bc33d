"""DELHI dies while it deletes a virtual volume, TOKYO while it removes or puts back: nothing is half gone, all ends as asked."""

from __future__ import annotations

import os

import msgspec
import pytest
from tests.faults.killed_child import killed_at
from tests.faults.killed_server import killed
from tests.grid.both_sides import COPY, marked, volumes, waiting, write_marked_volumes
from tests.grid.grid_server import GridServer, is_sound
from tests.grid.vaults import store_files

from farvault.catalog import nouns, volume_history
from farvault.catalog import vault as rows
from farvault.model.node import Node
from farvault.model.volume_history import DBSNAPSHOT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("crash_at", "here", "waits", "there"),
    [
        ("deletion.queue.before_commit#1", True, False, False),
        ("deletion.queue.after_commit#1", False, True, False),
        ("deletion.told.before_row#1", False, True, True),
    ],
)
def test_a_source_killed_while_it_deletes_has_the_volume_or_the_note(
    delhi: GridServer, tokyo: GridServer, crash_at: str, here: bool, waits: bool, there: bool
) -> None:
    store_files(delhi, *range(10))
    delhi.admin(COPY)
    name = volumes(delhi)[0]
    delete = f"delete volume {name} discarddata=yes wait=yes"
    killed(delhi, crash_at, delete)
    assert (name in volumes(delhi), bool(waiting(delhi)), bool(marked(tokyo))) == (here, waits, there)
    assert is_sound(delhi)
    if here:
        delhi.admin(delete)
    delhi.server.housekeeping.do_everything()
    assert name not in volumes(delhi) and waiting(delhi) == [] and marked(tokyo) == {name}
    assert is_sound(delhi)


SNAPSHOT = "backup db devclass=targetclass type=dbsnapshot wait=yes"
DELETE_OLD = "delete volhistory todate=today type=dbsnapshot"


def snapshots(delhi: GridServer, *, complete: bool | None = None) -> list[str]:
    """Volumes of the volume history, in order."""
    with delhi.server.catalog.read() as r:
        return [row.volume for row in volume_history.rows(r, (DBSNAPSHOT,), complete=complete)]


@pytest.mark.parametrize(
    ("label", "here", "waits", "there"),
    [
        ("deletion.queue.before_commit", True, False, False),
        ("deletion.queue.after_commit", False, True, False),
        ("deletion.told.before_row", False, True, True),
    ],
)
def test_a_source_killed_while_it_deletes_a_database_backup_has_the_entry_or_the_note(
    delhi: GridServer, tokyo: GridServer, label: str, here: bool, waits: bool, there: bool
) -> None:
    delhi.admin(SNAPSHOT)
    delhi.admin(SNAPSHOT)
    old, new = snapshots(delhi)
    killed(delhi, label, DELETE_OLD)
    assert (old in snapshots(delhi), bool(waiting(delhi)), bool(marked(tokyo))) == (here, waits, there)
    assert is_sound(delhi)
    delhi.admin(DELETE_OLD)
    delhi.server.housekeeping.do_everything()
    assert snapshots(delhi) == [new] and waiting(delhi) == [] and marked(tokyo) == {old}
    assert is_sound(delhi)


@pytest.mark.parametrize(
    "label", ["history.delete.before", "deletion.queue.before_commit", "deletion.queue.after_commit"]
)
def test_a_source_killed_while_old_backups_expire_ends_it_the_next_time(
    delhi: GridServer, tokyo: GridServer, label: str
) -> None:
    delhi.admin("set drmdbbackupexpiredays 0")
    delhi.admin(SNAPSHOT)
    with delhi.server.catalog.write() as tx:  # it is a day old
        (row,) = volume_history.rows(tx, (DBSNAPSHOT,))
        nouns.update(tx, msgspec.structs.replace(row, time=row.time - 86_400))
    delhi.admin(SNAPSHOT)
    old, new = snapshots(delhi)
    killed(delhi, label, "expire inventory wait=yes")
    assert is_sound(delhi)
    delhi.admin("expire inventory wait=yes")
    delhi.server.housekeeping.do_everything()
    assert snapshots(delhi) == [new] and waiting(delhi) == [] and marked(tokyo) == {old}


@pytest.mark.parametrize("label", ["deletion.queue.before_commit", "deletion.queue.after_commit"])
def test_killed_while_what_a_broken_backup_left_is_deleted_it_goes_all_the_same(
    delhi: GridServer, tokyo: GridServer, label: str
) -> None:
    """The first kill leaves a volume whose backup did not end; the second one comes while it is tidied away."""
    killed(delhi, "history.commit.before_catalog", SNAPSHOT)
    (left,) = snapshots(delhi, complete=False)
    delhi.stop()

    def tidy() -> None:
        delhi.start()
        delhi.server.housekeeping.do_everything()
        os._exit(0)

    assert killed_at(label, 1, tidy)
    delhi.start()
    delhi.server.housekeeping.do_everything()
    assert snapshots(delhi) == [] and waiting(delhi) == [] and marked(tokyo) == {left}
    assert is_sound(delhi)


def _names(tokyo: GridServer, *, marked: bool) -> list[str]:
    with tokyo.server.catalog.read() as r:
        found = rows.list_volumes(r, nouns.get(r, Node, "DELHI").id)
    return [row.volume for row in found if bool(row.marked_time) is marked]


def test_a_target_killed_while_it_removes_goes_on_at_its_next_start(tokyo: GridServer) -> None:
    write_marked_volumes(tokyo, "V1", "V2")
    killed(tokyo, "vault.collect.before_delete#1", "expire inventory wait=yes")
    assert is_sound(tokyo)
    assert _names(tokyo, marked=True) == [] == _names(tokyo, marked=False)
    assert not tokyo.admin("query occupancy delhi", allow=(0, 11)).text.count("VAULTPOOL")


def test_a_target_killed_while_it_puts_a_vault_back_does_it_the_next_time(tokyo: GridServer) -> None:
    tokyo.admin("update node delhi mingrace=5")
    write_marked_volumes(tokyo, "V1", "V2")
    with tokyo.server.catalog.write() as tx:  # they came yesterday
        for row in rows.list_volumes(tx, nouns.get(tx, Node, "DELHI").id):
            rows._write(tx, row._replace(received_time=row.received_time - 86_400))
    revert = "revert vault delhi todate=-1"
    killed(tokyo, "vault.revert.before_batch#1", revert)
    assert len(_names(tokyo, marked=True)) == 2
    tokyo.admin(revert)
    assert _names(tokyo, marked=False) == ["ADSM.V1", "ADSM.V2"] and is_sound(tokyo)
