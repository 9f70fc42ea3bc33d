"""What an audit finds bad is marked, forgotten or deleted, as FIX says."""

from __future__ import annotations

import pytest
from tests.unit.processes.depot_work import (
    FILES,
    audit,
    back_up,
    damage,
    marks,
    said,
)
from tests.unit.storage.depot import Depot

from farvault.catalog import nouns, placements, vault
from farvault.model.file_space import FileSpace
from farvault.model.volume import DESTROYED, OFFSITE, UNAVAILABLE
from farvault.processes.process import State


def test_with_fix_the_objects_of_a_lost_record_go_by_name_and_the_others_stay(
    depot: Depot, primary: str
) -> None:
    rows = depot.placed(primary)
    damage(rows[1])
    before = depot.inventory()
    process = audit(depot, rows[0], fix=True)
    assert (process.state, process.failed_objects) == (State.FAILURE, 1)
    gone = before.keys() - depot.inventory().keys()
    named = {line.message.text.split()[2].rstrip() for line in depot.said if line.message.id == "ANR2315W"}
    assert gone and named == {f"docs/{name}" for name in gone}
    assert depot.restore() == {name: data for name, data in FILES.items() if name not in gone}
    assert f"{len(gone)} objects deleted" in said(depot, "ANR4132I").text
    assert "ANR2317E" not in depot.messages()
    assert audit(depot, rows[0]).state is State.SUCCESS


@pytest.mark.parametrize("access", ["READWRITE", UNAVAILABLE, OFFSITE])
def test_with_fix_a_record_that_has_a_copy_is_marked_and_its_objects_stay(
    depot: Depot, primary: str, access: str
) -> None:
    """Also where the copy is out of reach just now."""
    back_up(depot, primary)
    rows = depot.placed(primary)
    damage(rows[1])
    for volume in depot.volumes("COPYPOOL"):
        depot.change_volume(volume, access=access)
    audit(depot, rows[0], fix=True)
    assert marks(depot, primary) == [row == rows[1] for row in rows]
    for volume in depot.volumes("COPYPOOL"):
        depot.change_volume(volume, access="READWRITE")
    assert depot.restore() == FILES
    assert "ANR2317E" not in depot.messages()


def test_a_copy_that_is_bad_too_saves_nothing(depot: Depot) -> None:
    depot.send(FILES)
    back_up(depot)
    for pool in ("TAPEPOOL", "COPYPOOL"):
        damage(depot.placed(pool)[0])
        audit(depot, depot.placed(pool)[0])
    lost = depot.placed("TAPEPOOL")[0]
    audit(depot, lost, fix=True)
    assert lost.aggregate_id not in {row.aggregate_id for row in depot.placed("COPYPOOL")}
    assert 0 < len(depot.restore()) < 12


def test_a_copy_on_a_destroyed_volume_saves_nothing(depot: Depot) -> None:
    depot.send(FILES)
    back_up(depot)
    for volume in depot.volumes("COPYPOOL"):
        depot.change_volume(volume, access=DESTROYED)
    damage(depot.placed("TAPEPOOL")[0])
    audit(depot, depot.placed("TAPEPOOL")[0], fix=True)
    assert len(depot.inventory()) < 12


@pytest.mark.parametrize("fix", [False, True])
def test_a_bad_copy_is_marked_or_forgotten_and_the_next_backup_makes_it_again(
    depot: Depot, fix: bool
) -> None:
    depot.send(FILES)
    back_up(depot)
    copies = depot.placed("COPYPOOL")
    damage(copies[1])
    process = audit(depot, copies[0], fix=fix)
    assert process.state is State.FAILURE
    left = depot.placed("COPYPOOL")
    if fix:
        assert left == [row for row in copies if row != copies[1]]
        assert "1 bad copies removed" in said(depot, "ANR4132I").text
    else:
        assert [row.damaged for row in left] == [row == copies[1] for row in copies]
    assert len(depot.inventory()) == 12
    with depot.catalog.read() as r:
        missing = placements.missing_in_copy(r, depot.pool("TAPEPOOL").id, depot.pool("COPYPOOL").id)
    assert [row.aggregate_id for row in missing] == [copies[1].aggregate_id]


def test_a_bad_copy_of_a_bad_primary_is_forgotten_without_its_objects(depot: Depot) -> None:
    depot.send(FILES)
    back_up(depot)
    damage(depot.placed("TAPEPOOL")[0])
    audit(depot, depot.placed("TAPEPOOL")[0])
    damage(depot.placed("COPYPOOL")[0])
    audit(depot, depot.placed("COPYPOOL")[0], fix=True)
    assert len(depot.inventory()) == 12
    assert "ANR2317E" in depot.messages()


def test_the_very_last_copy_goes_with_its_objects(depot: Depot) -> None:
    depot.send(FILES)
    back_up(depot)
    first = depot.placed("TAPEPOOL")[0]
    with depot.catalog.write() as tx:
        depot.storage.drop_placements(tx, [first])
    damage(depot.placed("COPYPOOL")[0])
    audit(depot, depot.placed("COPYPOOL")[0], fix=True)
    assert len(depot.restore()) == len(depot.inventory()) < 12


def test_what_another_server_keeps_here_is_never_deleted(depot: Depot) -> None:
    depot.send(FILES)
    damaged = depot.placed("TAPEPOOL")[0]
    node = depot.node("BOB")
    with depot.catalog.write() as tx:
        space = nouns.insert(tx, FileSpace(node_id=node.id, name="ADSM.SERVER", number=2))
        extents = [(row[0], row[2]) for row in placements.aggregate_extents(tx, damaged.aggregate_id)]
        segment = vault.open_segment(tx, node.id, space, "V", 0, 1)
        vault.append_records(tx, segment, extents)
        vault.close_segment(tx, segment, sum(one[1] for one in extents), len(extents), b"d" * 32, b"r", 1)
    damage(damaged)
    audit(depot, damaged, fix=True)
    with depot.catalog.read() as r:
        assert vault.segment(r, segment).received_time
    assert len(depot.inventory()) < 12
    assert marks(depot)[0]
    assert "1 damaged records have no good copy" in said(depot, "ANR2317E").text
