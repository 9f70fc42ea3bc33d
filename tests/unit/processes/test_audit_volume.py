"""An audit finds every bad record, and takes absence for no damage."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.patience import PATIENCE_SECONDS
from tests.unit.processes.depot_work import (
    FILES,
    audit,
    back_up,
    damage,
    define_random_volume,
    killed_at,
    marks,
    run,
    said,
    volume_of,
)
from tests.unit.storage.depot import Depot, some_files

from farvault.base.disk import observe_crash_points
from farvault.base.errors import InUse
from farvault.base.units import MIB
from farvault.catalog import objects, placements
from farvault.model.volume import DESTROYED, OFFSITE, UNAVAILABLE
from farvault.policy.mount_points import Priority
from farvault.processes import audit_pass
from farvault.processes.audit_volume import audit_volume, audit_volumes
from farvault.processes.process import Process, State

# --- finding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fix", [False, True])
def test_a_good_volume_is_left_as_it_is(depot: Depot, primary: str, fix: bool) -> None:
    rows = depot.placed(primary)
    process = audit(depot, rows[0], fix=fix)
    assert (process.state, process.objects) == (State.SUCCESS, len(rows))
    assert process.bytes == sum(row.stored_bytes for row in rows)
    assert depot.placed(primary) == rows
    assert f"{len(rows)} records inspected, 0 of them bad; 0 marked" in said(depot, "ANR4132I").text


def test_without_fix_damage_is_marked_and_nothing_is_deleted(depot: Depot, primary: str) -> None:
    rows = depot.placed(primary)
    damage(rows[1])
    process = audit(depot, rows[0])
    assert (process.state, process.failed_objects) == (State.FAILURE, 1)
    assert marks(depot, primary) == [row == rows[1] for row in rows]
    assert len(depot.inventory()) == 12
    assert f"offset {rows[1].offset_bytes} is damaged" in said(depot, "ANR2316W").text
    assert "1 damaged records have no good copy" in said(depot, "ANR2317E").text


def test_damage_that_only_one_read_sees_is_none(depot: Depot) -> None:
    depot.send(FILES)
    depot.faults.flip(300, nth=3)  # the label is the first
    process = audit(depot, depot.placed("TAPEPOOL")[0], fix=True)
    assert process.state is State.SUCCESS
    assert not any(marks(depot))


def test_quiet_says_only_the_sums(depot: Depot) -> None:
    depot.send(FILES)
    damage(depot.placed("TAPEPOOL")[0])
    audit(depot, depot.placed("TAPEPOOL")[0], fix=True, quiet=True)
    assert not {"ANR2316W", "ANR2315W"} & set(depot.messages())
    assert "ANR4132I" in depot.messages()


def test_a_volume_cut_short_loses_only_what_was_behind_the_cut(depot: Depot) -> None:
    depot.send(FILES)
    rows = depot.placed("TAPEPOOL")
    with Path(rows[0].volume_name).open("r+b") as file:
        file.truncate(rows[2].offset_bytes + 4096)
    audit(depot, rows[0])
    assert marks(depot) == [row.offset_bytes >= rows[2].offset_bytes for row in rows]


@pytest.mark.parametrize("fix", [False, True])
def test_a_mark_on_a_good_record_is_taken_back(depot: Depot, primary: str, fix: bool) -> None:
    first = depot.placed(primary)[0]
    with depot.catalog.write() as tx:
        placements.mark_damaged(tx, first.aggregate_id, first.volume_id, True)
    assert audit(depot, first, fix=fix).state is State.SUCCESS
    assert not any(marks(depot, primary))
    assert "1 reset" in said(depot, "ANR4132I").text


# --- absence is not damage ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fix", [False, True])
def test_a_volume_that_is_gone_becomes_unavailable_and_nothing_is_marked(depot: Depot, fix: bool) -> None:
    depot.send(FILES)
    back_up(depot)
    first = depot.placed("TAPEPOOL")[0]
    away = Path(first.volume_name).rename(depot.folder / "away")
    process = audit(depot, first, fix=fix)
    assert process.state is State.FAILURE and process.error is not None and process.error.id == "ANR8355E"
    assert volume_of(depot, first).access == UNAVAILABLE
    assert not any(marks(depot))
    assert depot.restore() == FILES
    away.rename(first.volume_name)
    depot.change_volume(volume_of(depot, first), access="READWRITE")
    assert audit(depot, first).state is State.SUCCESS


def test_without_its_label_fix_deletes_nothing(depot: Depot) -> None:
    """An empty file under the name of a volume whose disk is not mounted."""
    depot.send(FILES)
    first = depot.placed("TAPEPOOL")[0]
    Path(first.volume_name).write_bytes(b"")
    audit(depot, first, fix=True)
    assert "ANR2319W" in depot.messages()
    assert len(depot.inventory()) == 12
    assert all(marks(depot))


@pytest.mark.parametrize("access", [UNAVAILABLE, OFFSITE, DESTROYED])
def test_a_volume_that_may_not_be_read_is_not_audited(depot: Depot, access: str) -> None:
    depot.send(FILES)
    first = depot.placed("TAPEPOOL")[0]
    depot.change_volume(volume_of(depot, first), access=access)
    process = audit(depot, first)
    assert process.error is not None and process.error.id == "ANR2314E"


# --- beside others -----------------------------------------------------------------------------------------------------


def test_others_store_on_the_volume_while_it_is_audited_but_nobody_deletes_it(depot: Depot) -> None:
    define_random_volume(depot)
    depot.send(FILES, pool="BACKUPPOOL")
    first = depot.placed("BACKUPPOOL")[0]
    volume = volume_of(depot, first)
    with depot.storage.volumes.examine(volume, "DISK"):
        depot.send(some_files(1, start=50), pool="BACKUPPOOL")
        with pytest.raises(InUse), depot.storage.use.hold(volume):
            pass
    assert {row.volume_id for row in depot.placed("BACKUPPOOL")} == {volume.id}
    with depot.storage.use.hold(volume):
        process = audit(depot, first)
    assert process.error is not None and process.error.id == "ANR2405E"


def test_what_was_deleted_while_it_was_read_is_not_damage(depot: Depot) -> None:
    depot.send(FILES)
    first = depot.placed("TAPEPOOL")[0]
    damage(first)

    def delete_first(label: str) -> None:
        if label == "audit.page.before_catalog":
            observe_crash_points(None)
            depot.storage.delete_objects(depot.inventory().values())

    observe_crash_points(delete_first)
    process = audit(depot, first, fix=True)
    assert (process.state, process.failed_objects) == (State.SUCCESS, 0)
    assert depot.volumes() == []  # emptied while it was examined, gone when that ended
    with depot.catalog.read() as r:
        assert not objects.has_objects(r, depot.file_space(depot.node()).id)


def test_cancelled_it_stops_at_once_and_keeps_what_it_has_found(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_pass, "PAGE", 1)
    depot.send(FILES)
    rows = depot.placed("TAPEPOOL")
    damage(rows[0])
    damage(rows[2])

    def work(process: Process) -> None:
        def cancel(label: str) -> None:
            if label == "audit.page.before_catalog":
                process.cancel_event.set()

        observe_crash_points(cancel)
        audit_volume(depot.storage, process, rows[0].volume_name)

    process = run(depot, work)
    assert (process.state, process.objects) == (State.CANCELLED, 1)
    assert marks(depot) == [row == rows[0] for row in rows]


@pytest.mark.parametrize("label", ["audit.page.before_catalog", "audit.page.before_delete"])
def test_killed_between_two_steps_a_second_audit_completes(depot: Depot, label: str) -> None:
    depot.send(FILES)
    rows = depot.placed("TAPEPOOL")
    damage(rows[1])
    killed_at(depot, label, lambda p: audit_volume(depot.storage, p, rows[0].volume_name, fix=True))
    assert len(depot.inventory()) == 12
    audit(depot, rows[0], fix=True)
    assert depot.restore().keys() == depot.inventory().keys()
    assert 0 < len(depot.inventory()) < 12


# --- a whole pool ------------------------------------------------------------------------------------------------------


def test_volumes_that_cannot_be_audited_do_not_keep_the_others_from_it(depot: Depot) -> None:
    depot.change_class("TAPECLASS", max_capacity_bytes=8 * MIB)
    depot.send(some_files(40, 900_000))
    volumes = depot.volumes()
    assert len(volumes) > 3
    Path(volumes[0].name).unlink()
    depot.change_volume(volumes[1], access=OFFSITE)
    damage(depot.placed("TAPEPOOL")[-1])
    names = [volume.name for volume in volumes]
    process = run(depot, lambda p: audit_volumes(depot.storage, p, [*names, "no more"]))
    assert (process.state, process.failed_objects) == (
        State.FAILURE,
        2,
    )  # the missing one, the damaged record
    assert depot.messages().count("ANR4132I") == len(volumes) - 2
    assert marks(depot)[-1]


def test_an_offsite_volume_is_said_and_no_failure(depot: Depot) -> None:
    depot.send(FILES)
    (volume,) = depot.volumes()
    depot.change_volume(volume, access=OFFSITE)
    process = run(depot, lambda p: audit_volumes(depot.storage, p, [volume.name]))
    assert process.state is State.SUCCESS
    assert "ANR2314E" in depot.messages()


def test_a_restore_gets_the_only_mount_point_of_an_audit_which_goes_on_behind_it(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_pass, "PAGE", 1)
    depot.send(FILES)
    depot.change_class("TAPECLASS", mount_limit=1)
    rows = depot.placed("TAPEPOOL")
    mounts = depot.storage.volumes.mounts
    mounts.wait_seconds = 60
    inspected_then: list[int] = []

    def restore(process: Process) -> None:
        reader = mounts.worker(Priority.RESTORE, "a restore")
        with depot.storage.volumes.open_reader("TAPECLASS", rows[0].volume_name, reader):
            inspected_then.append(process.objects)

    def work(process: Process) -> None:
        restoring = threading.Thread(target=restore, args=(process,))

        def begin(label: str) -> None:
            if label == "audit.progress.before_catalog" and process.objects == 1:
                observe_crash_points(None)
                restoring.start()
                while not mounts.waiting:
                    restoring.join(0.01)

        observe_crash_points(begin)
        audit_volume(depot.storage, process, rows[0].volume_name)
        restoring.join(PATIENCE_SECONDS)

    process = run(depot, work)
    assert (process.state, process.objects) == (State.SUCCESS, len(rows))
    assert inspected_then == [1]
