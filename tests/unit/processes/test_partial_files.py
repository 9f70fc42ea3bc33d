"""Records of files that reach to other volumes, left out where SKIPPARTIAL says so."""

from __future__ import annotations

from tests.unit.processes.depot_work import (
    audit,
    damage,
    run,
    said,
)
from tests.unit.storage.depot import MakeDepot, some_bytes, some_files

from farvault.base.units import MIB
from farvault.catalog import volume_checks
from farvault.processes.audit_volume import audit_volume
from farvault.processes.process import State


def test_with_skippartial_records_of_files_that_reach_to_other_volumes_are_left_out(
    make_depot: MakeDepot,
) -> None:
    depot = make_depot(capacity_bytes=8 * MIB)
    begin = some_bytes(1, MIB)
    depot.send({"begin": begin, **some_files(14, 900_000)})
    depot.send({"both": begin + some_bytes(99, MIB), **some_files(1, 900_000, start=20)}, known=[begin])
    depot.send({"tail": begin + some_bytes(98, MIB)}, known=[begin])
    rows = [row for row in depot.placed("TAPEPOOL") if row.volume_name == depot.volumes()[-1].name]
    damage(rows[-1])  # nothing but a part of `tail`
    damage(rows[-2])  # a part of `both`, and a whole file
    process = run(depot, lambda p: audit_volume(depot.storage, p, rows[0].volume_name, skip_partial=True))
    assert (process.state, process.objects, process.failed_objects) == (State.FAILURE, len(rows) - 1, 1)
    assert [row.damaged for row in depot.placed("TAPEPOOL")][-2:] == [True, False]
    assert "1 records were left out" in said(depot, "ANR4784I").text
    with depot.catalog.read() as r:
        check = volume_checks.find(r, depot.volumes()[-1])
    assert (check.checked_time, check.pass_time) == (0, 0), "not all of it was looked at"
    assert audit(depot, rows[0]).failed_objects == 2
