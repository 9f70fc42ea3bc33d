"""A volume goes with all that needs it or not at all; killed at any step, nothing claims data that is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.processes.depot_work import (
    back_up,
    damage,
    define_random_volume,
    killed_at,
    run,
    said,
    volume_of,
)
from tests.unit.storage.depot import Depot, MakeDepot, some_bytes, some_files

from farvault.base.disk import observe_crash_points
from farvault.base.errors import MediaFailed
from farvault.base.units import MIB
from farvault.catalog import nouns, placements, vault
from farvault.model.file_space import FileSpace
from farvault.model.volume import DESTROYED, OFFSITE, PENDING, Volume
from farvault.processes import delete_volume as deleting
from farvault.processes.audit_volume import audit_volume
from farvault.processes.delete_volume import delete_volume
from farvault.processes.process import Process, State

FILES = some_files(24, 900_000)
STEPS = [
    "discard.page.before_catalog",
    "discard.volume.before_media",
    "volume.delete.before_unlink",
    "volume.delete.before_row",
]


def delete(depot: Depot, volume: Volume, *, discard: bool = True) -> Process:
    return run(depot, lambda p: delete_volume(depot.storage, p, volume.name, discard=discard))


def error_of(process: Process) -> str:
    assert process.state is State.FAILURE and process.error is not None
    return process.error.id


@pytest.fixture
def several(make_depot: MakeDepot) -> Depot:
    """Files on several volumes of TAPEPOOL, all copied."""
    depot = make_depot(capacity_bytes=8 * MIB)
    depot.send(FILES)
    back_up(depot)
    assert len(depot.volumes()) > 2
    return depot


# --- without data ------------------------------------------------------------------------------------------------------


def test_without_discard_a_volume_with_data_stays(several: Depot) -> None:
    assert error_of(delete(several, several.volumes()[0], discard=False)) == "ANR2406E"
    assert several.restore() == FILES


def test_an_empty_volume_goes_with_its_file(depot: Depot) -> None:
    volume = depot.storage.life.define(depot.pool("TAPEPOOL"), "mine")
    assert delete(depot, volume, discard=False).state is State.SUCCESS
    assert not Path(volume.name).exists()
    assert depot.volumes() == []


def test_a_volume_that_is_not_defined_is_not_found(depot: Depot) -> None:
    assert error_of(delete(depot, Volume(name="nowhere", pool_id=1))) == "ANR2401E"


# --- with data ---------------------------------------------------------------------------------------------------------


def test_objects_of_a_primary_volume_go_with_their_copies_and_the_others_stay(several: Depot) -> None:
    volume = several.volumes()[1]
    process = delete(several, volume)
    assert process.state is State.SUCCESS
    left = several.restore()
    assert 0 < len(left) < len(FILES)
    assert left == {name: FILES[name] for name in left}
    assert not Path(volume.name).exists()
    assert volume.name not in {one.name for one in several.volumes()}
    assert {row.aggregate_id for row in several.placed("COPYPOOL")} == {
        row.aggregate_id for row in several.placed("TAPEPOOL")
    }
    assert f"{len(FILES) - len(left)} objects deleted" in said(several, "ANR2223I").text
    assert process.objects == len(FILES) - len(left)


def test_a_random_access_volume_goes_too(depot: Depot) -> None:
    volume = define_random_volume(depot)
    depot.send(FILES, pool="BACKUPPOOL")
    assert delete(depot, volume).state is State.SUCCESS
    assert depot.inventory() == {} and depot.volumes("BACKUPPOOL") == []
    assert not Path(volume.name).exists()
    define_random_volume(depot)
    depot.send(FILES, pool="BACKUPPOOL")
    assert depot.restore() == FILES


def test_objects_elsewhere_that_share_an_extent_with_the_volume_go_and_are_counted(
    make_depot: MakeDepot,
) -> None:
    depot = make_depot(capacity_bytes=8 * MIB)
    shared, own = some_bytes(1, MIB), some_bytes(2, MIB)
    depot.send({"first": shared})
    first = depot.placed("TAPEPOOL")[0]
    depot.change_volume(volume_of(depot, first), access="READONLY")
    depot.send({"second": own + shared, "third": some_bytes(3, MIB)}, known=[shared])
    assert len(depot.volumes()) == 2
    delete(depot, volume_of(depot, first))
    assert depot.restore() == {"third": some_bytes(3, MIB)}
    assert "2 objects deleted" in said(depot, "ANR2223I").text
    assert "of which 1 also had data on other volumes" in said(depot, "ANR2223I").text


def test_of_a_copy_volume_only_the_copies_go_and_the_next_backup_makes_them_again(several: Depot) -> None:
    copies = several.placed("COPYPOOL")
    delete(several, volume_of(several, copies[0]))
    assert several.restore() == FILES
    assert len(several.placed("COPYPOOL")) < len(copies)
    assert "0 objects deleted" in said(several, "ANR2223I").text
    assert "ANR2224W" not in several.messages()
    back_up(several)
    assert len(several.placed("COPYPOOL")) == len(copies)


def test_copies_of_what_is_damaged_are_told(several: Depot) -> None:
    first = several.placed("TAPEPOOL")[0]
    damage(first)
    run(several, lambda p: audit_volume(several.storage, p, first.volume_name))
    copy = next(row for row in several.placed("COPYPOOL") if row.aggregate_id == first.aggregate_id)
    delete(several, volume_of(several, copy))
    assert "Of 1 records" in said(several, "ANR2224W").text
    assert len(several.inventory()) == len(FILES)


def test_the_very_last_copies_go_with_their_objects(several: Depot) -> None:
    first = several.placed("TAPEPOOL")[0]
    copy = next(row for row in several.placed("COPYPOOL") if row.aggregate_id == first.aggregate_id)
    with several.catalog.write() as tx:
        several.storage.drop_placements(tx, [first])
    delete(several, volume_of(several, copy))
    assert several.restore().keys() == several.inventory().keys()
    assert 0 < len(several.inventory()) < len(FILES)


def test_segments_that_another_server_is_sending_go_too(depot: Depot) -> None:
    """What is unfinished needs its records as well."""
    depot.send(FILES)
    first = depot.placed("TAPEPOOL")[0]
    with depot.catalog.write() as tx:
        space = nouns.insert(tx, FileSpace(node_id=depot.node("BOB").id, name="ADSM.SERVER", number=2))
        segment = vault.open_segment(tx, depot.node("BOB").id, space, "V", 0, 1)
        extents = [(row[0], row[2]) for row in placements.aggregate_extents(tx, first.aggregate_id)]
        vault.append_records(tx, segment, extents)
    assert delete(depot, volume_of(depot, first)).state is State.SUCCESS
    with depot.catalog.read() as r:
        assert vault.unclosed(r) == []


# --- what becomes of the volume ------------------------------------------------------------------------------------------


def test_a_reuse_delay_keeps_the_bytes_until_it_is_over_or_it_is_deleted_again(several: Depot) -> None:
    several.change_pool("TAPEPOOL", reuse_delay_days=3)
    volume = several.volumes()[0]
    assert delete(several, volume).state is State.SUCCESS
    (pending,) = [one for one in several.volumes() if one.name == volume.name]
    assert pending.status == PENDING and Path(volume.name).exists()
    assert "ANR2225I" in several.messages()
    assert delete(several, volume, discard=False).state is State.SUCCESS
    assert not Path(volume.name).exists()


@pytest.mark.parametrize("access", [DESTROYED, OFFSITE])
def test_a_volume_whose_bytes_are_not_here_goes_at_once(several: Depot, access: str) -> None:
    several.change_pool("TAPEPOOL", reuse_delay_days=3)
    volume = several.volumes()[0]
    several.change_volume(volume, access=access)
    delete(several, volume)
    assert volume.name not in {one.name for one in several.volumes()}


# --- beside others -------------------------------------------------------------------------------------------------------


def test_a_volume_that_is_written_stays_as_it_is(depot: Depot) -> None:
    depot.send(some_files(2))
    intake = depot.begin()
    try:
        output = depot.storage.volumes.acquire_output(depot.pool("TAPEPOOL"), MIB)
        assert error_of(delete(depot, output.volume)) == "ANR2405E"
        depot.storage.volumes.release(output)
    finally:
        intake.abort()
    assert depot.restore() == some_files(2)


def test_what_comes_to_need_the_volume_while_it_is_emptied_goes_as_well(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "PAGE", 1)
    shared = some_bytes(1, MIB)
    depot.send({"first": shared})
    volume = depot.volumes()[0]
    depot.change_volume(volume, access="READONLY")

    def send_second(label: str) -> None:
        if label == "discard.page.before_catalog":
            observe_crash_points(None)
            depot.send({"second": some_bytes(2, MIB) + shared}, known=[shared])

    observe_crash_points(send_second)
    assert delete(depot, volume).state is State.SUCCESS
    assert depot.restore() == {}


def test_cancelled_it_leaves_whole_objects_and_a_second_run_goes_on(
    several: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "PAGE", 1)
    volume = several.volumes()[1]

    def work(process: Process) -> None:
        def cancel(label: str) -> None:
            if label == "catalog.commit.after_commit" or process.objects:
                process.cancel_event.set()

        observe_crash_points(cancel)
        delete_volume(several.storage, process, volume.name, discard=True)

    assert run(several, work).state is State.CANCELLED
    observe_crash_points(None)
    assert Path(volume.name).exists()
    left = several.restore()
    assert delete(several, volume).state is State.SUCCESS
    assert len(several.restore()) < len(left) < len(FILES)


@pytest.mark.parametrize("pool", ["TAPEPOOL", "COPYPOOL"])
@pytest.mark.parametrize("label", STEPS)
def test_killed_at_any_step_what_is_there_restores_and_it_can_be_completed(
    several: Depot, monkeypatch: pytest.MonkeyPatch, pool: str, label: str
) -> None:
    monkeypatch.setattr(deleting, "PAGE", 1)
    volume = several.volumes(pool)[0]
    nth = 2 if label == STEPS[0] and len(several.placed(pool)) > 4 else 1
    killed_at(several, label, lambda p: delete_volume(several.storage, p, volume.name, discard=True), nth)
    assert several.restore().keys() == several.inventory().keys()
    if any(one.name == volume.name for one in several.volumes(pool)):
        assert delete(several, volume).state is State.SUCCESS
    else:  # nothing lay on it any more: the start has taken the scratch volume away
        assert label != STEPS[0]
    assert several.restore().keys() == several.inventory().keys()
    assert len(several.inventory()) < len(FILES) or pool == "COPYPOOL"
    assert not Path(volume.name).exists()
    assert volume.name not in {one.name for one in several.volumes(pool)}


@pytest.mark.parametrize("label", STEPS)
def test_killed_before_its_media_a_defined_volume_stays_and_from_there_on_the_next_start_ends_it(
    depot: Depot, label: str
) -> None:
    volume = depot.storage.life.define(depot.pool("TAPEPOOL"), "mine")
    depot.send(some_files(12))
    killed_at(depot, label, lambda p: delete_volume(depot.storage, p, volume.name, discard=True))
    is_ended = label.startswith("volume.delete.")
    assert [one.name for one in depot.volumes()] == ([] if is_ended else [volume.name])
    assert depot.restore().keys() == depot.inventory().keys()
    if not is_ended:
        assert delete(depot, volume).state is State.SUCCESS
    assert depot.volumes() == [] and not Path(volume.name).exists()


@pytest.mark.parametrize("label", ["volume.delete.before_unlink", "volume.delete.before_row"])
def test_a_random_access_volume_that_was_on_its_way_out_is_not_missed_after_a_kill(
    depot: Depot, label: str
) -> None:
    """Its file is gone already: it would be found UNAVAILABLE by the next who wants to write."""
    volume = define_random_volume(depot)
    killed_at(depot, label, lambda p: delete_volume(depot.storage, p, volume.name, discard=True))
    assert depot.volumes("BACKUPPOOL") == [] and not Path(volume.name).exists()
    assert depot.storage.spaces.find(volume) is None


def test_where_the_device_refuses_the_data_is_gone_and_a_second_run_completes(several: Depot) -> None:
    volume = several.volumes()[0]
    refusal = MediaFailed("ANR8359E", operation="delete", volume=volume.name, reason="read-only file system")
    several.faults.fail_from_now_on("delete", refusal)
    assert error_of(delete(several, volume)) == "ANR8359E"
    assert several.restore().keys() == several.inventory().keys()
    several.faults.fail_from_now_on("delete", None)
    assert delete(several, volume, discard=False).state is State.SUCCESS
    assert not Path(volume.name).exists()
