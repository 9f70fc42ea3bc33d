"""DELHI dies while it deletes a virtual volume, TOKYO while it removes or puts back: nothing is half gone, all ends as asked."""

from __future__ import annotations

import pytest
from tests.faults.killed_server import is_sound, killed
from tests.grid.both_sides import COPY, marked, volumes, waiting, write_marked_volumes
from tests.grid.grid_server import GridServer
from tests.grid.vaults import store_files

from farvault.catalog import nouns
from farvault.catalog import vault as rows
from farvault.model.node import Node

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
