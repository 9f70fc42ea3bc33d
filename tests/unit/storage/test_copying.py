"""Records move as they are; what was done stays done whatever ends the work."""

from __future__ import annotations

import threading

import pytest
from tests.unit.storage.depot import Depot, MakeDepot, some_files

from farvault.base.errors import Cancelled, MediaFailed, MediaFull
from farvault.base.units import MIB
from farvault.catalog import placements
from farvault.catalog.placements import PlacementRow
from farvault.processes.left_places import moving
from farvault.storage import copying
from farvault.storage.copying import Copied, copy_aggregates

FILES = some_files(40, 300_000)


def missing(depot: Depot) -> list[PlacementRow]:
    with depot.catalog.read() as r:
        return placements.missing_in_copy(r, depot.pool("TAPEPOOL").id, depot.pool("COPYPOOL").id)


def back_up(depot: Depot) -> Copied:
    return copy_aggregates(depot.storage, missing(depot), depot.pool("COPYPOOL"))


def test_the_copy_holds_the_same_records_and_a_second_run_finds_nothing(depot: Depot) -> None:
    depot.send(FILES)
    rows = depot.placed("TAPEPOOL")
    done = back_up(depot)
    assert (done.records, done.stored_bytes, done.lost) == (
        len(rows),
        sum(row.stored_bytes for row in rows),
        [],
    )
    assert [row.digest for row in depot.placed("COPYPOOL")] == [row.digest for row in rows]
    assert missing(depot) == []


def test_progress_is_told(depot: Depot) -> None:
    depot.send(FILES)
    told: list[tuple[int, int]] = []
    copy_aggregates(
        depot.storage, missing(depot), depot.pool("COPYPOOL"), progress=lambda n, size: told.append((n, size))
    )
    assert told == [(1, row.stored_bytes) for row in depot.placed("COPYPOOL")]


def test_a_damaged_record_is_left_out_and_named(depot: Depot) -> None:
    depot.send(FILES)
    depot.faults.flip(300, nth=1)
    done = back_up(depot)
    assert len(done.lost) == 1
    assert done.records == len(depot.placed("TAPEPOOL")) - 1
    assert missing(depot) == []  # a damaged primary is not copied


def test_cancelling_keeps_what_is_written(depot: Depot) -> None:
    depot.send(FILES)
    left = iter([None, None])

    def raise_if_cancelled() -> None:
        if next(left, "over") == "over":
            raise Cancelled("ANR0943I", number=1) from None

    with pytest.raises(Cancelled):
        copy_aggregates(
            depot.storage, missing(depot), depot.pool("COPYPOOL"), raise_if_cancelled=raise_if_cancelled
        )
    assert len(depot.placed("COPYPOOL")) == 2
    back_up(depot)
    assert missing(depot) == []


def test_windows_that_ended_are_kept_when_a_later_one_fails(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "WINDOW_BYTES", 3 * MIB)
    depot.send(FILES)
    error = MediaFailed("ANR8359E", operation="sync", volume="v", reason="I/O error")
    seen: list[int] = []

    def break_after_the_first(_records: int, _bytes: int) -> None:
        seen.append(1)
        if len(seen) == 2:
            depot.faults.fail_from_now_on("commit", error)

    with pytest.raises(MediaFailed):
        copy_aggregates(depot.storage, missing(depot), depot.pool("COPYPOOL"), progress=break_after_the_first)
    assert len(depot.placed("COPYPOOL")) == 1
    depot.faults.fail_from_now_on("commit", None)
    back_up(depot)
    assert missing(depot) == []


def test_a_broken_volume_is_left_and_its_window_is_written_again(depot: Depot) -> None:
    depot.send(FILES)
    depot.faults.fail(
        "append", MediaFailed("ANR8359E", operation="write", volume="v", reason="I/O error"), nth=3
    )
    told: list[tuple[int, int]] = []
    done = copy_aggregates(
        depot.storage, missing(depot), depot.pool("COPYPOOL"), progress=lambda *more: told.append(more)
    )
    assert missing(depot) == []
    assert "ANR1411W" in depot.messages()
    assert [sum(each) for each in zip(*told, strict=True)] == [done.records, done.stored_bytes]


@pytest.mark.parametrize("window_bytes", [3 * MIB, copying.WINDOW_BYTES], ids=["windows", "one window"])
def test_a_full_copy_pool_keeps_what_went_in_before(
    make_depot: MakeDepot, monkeypatch: pytest.MonkeyPatch, window_bytes: int
) -> None:
    monkeypatch.setattr(copying, "WINDOW_BYTES", window_bytes)
    depot = make_depot(capacity_bytes=8 * MIB, max_scratch=9)
    depot.send(FILES)
    depot.change_pool("COPYPOOL", max_scratch=1)
    with pytest.raises(MediaFull, match="ANR0522W"):
        back_up(depot)
    kept = len(depot.placed("COPYPOOL"))
    assert 0 < kept < len(depot.placed("TAPEPOOL"))
    depot.change_pool("COPYPOOL", max_scratch=9)
    assert back_up(depot).records == len(depot.placed("TAPEPOOL")) - kept


def test_what_is_deleted_while_it_is_copied_gets_no_placement(depot: Depot) -> None:
    depot.send(FILES)
    rows = missing(depot)
    deleted = threading.Event()

    def delete_all(_records: int, _bytes: int) -> None:
        if not deleted.is_set():
            deleted.set()
            depot.storage.delete_objects(depot.inventory().values())

    copy_aggregates(depot.storage, rows, depot.pool("COPYPOOL"), progress=delete_all)
    assert depot.placed("COPYPOOL") == []
    assert depot.volumes("TAPEPOOL") == []


def test_what_is_moved_to_another_pool_while_it_is_copied_is_left_out(depot: Depot) -> None:
    """Its volume is gone by then; nothing is unreadable. The pool it went to has backups of its own."""
    depot.storage.life.define(depot.pool("BACKUPPOOL"), "disk", capacity_bytes=64 * MIB)
    depot.send(FILES)
    tape, listed = depot.pool("TAPEPOOL"), missing(depot)
    moves = moving(depot.storage, lambda row: row.pool_id == tape.id)
    copy_aggregates(depot.storage, listed, depot.pool("BACKUPPOOL"), on_store=moves)
    assert depot.volumes("TAPEPOOL") == []
    done = copy_aggregates(
        depot.storage, listed, depot.pool("COPYPOOL"), allowed=lambda row: row.pool_id == tape.id
    )
    assert (done.records, done.lost) == (0, [])
    assert depot.restore() == FILES


def test_restoring_replaces_what_was_lost(depot: Depot) -> None:
    """What RESTORE STGPOOL does: copies are read, the old placements go in the same transaction."""
    depot.send(FILES)
    back_up(depot)
    lost_volume = depot.volumes()[0]
    depot.change_volume(lost_volume, access="DESTROYED")
    for file in (depot.folder / "tapeclass").iterdir():
        file.unlink()
    with depot.catalog.read() as r:
        rows = placements.to_restore(r, pool_id=depot.pool("TAPEPOOL").id)
    by_id = {row.aggregate_id: row for row in rows}
    copy_aggregates(
        depot.storage,
        rows,
        depot.pool("TAPEPOOL"),
        allowed=lambda row: row.is_copy,
        on_store=lambda tx, ids: depot.storage.drop_placements(tx, [by_id[one] for one in ids]),
        exclude=[lost_volume.id],
    )
    assert depot.restore() == FILES
    assert [volume.access for volume in depot.volumes()] == [
        "READWRITE"
    ]  # the emptied scratch volume is gone
    assert depot.volumes()[0].name != lost_volume.name
