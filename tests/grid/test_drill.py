"""RUN DRILL: evidence that the server could be rebuilt today, and that a drill finds what would be missing."""

from __future__ import annotations

import os

from tests.faults.two_servers import Pair
from tests.grid.grid_server import GridServer
from tests.grid.vaults import store_files

from farvault.apps.housekeeping import Housekeeping
from farvault.catalog import audit, drills, nouns
from farvault.catalog.drills import Drill
from farvault.model.volume import Volume

COPY = "backup stgpool tapepool targetcopypool wait=yes"
FULL = "backup db type=full devclass=targetclass wait=yes"
DRILL = "run drill wait=yes"


def last(server: GridServer) -> Drill:
    with server.server.catalog.read() as r:
        assert list(audit.check_row_digests(r)) == []
        found = drills.last(r)
    assert found is not None
    folder = f"{server.folder}/drill"
    assert not os.path.exists(folder) or not os.listdir(folder), "nothing of it is left"
    return found


def test_a_drill_proves_measures_and_leaves_nothing_behind(pair: Pair) -> None:
    delhi = pair.delhi
    store_files(delhi, *range(6), size=100_000)
    delhi.admin(COPY)
    delhi.admin(FULL)
    delhi.admin("run drill objects=4 wait=yes")
    proof = last(delhi)
    assert proof.result == "SUCCESS" and proof.note == ""
    assert proof.objects == 4 and proof.object_bytes == 400_000 and proof.bad_objects == 0
    assert proof.database_bytes > 0 and proof.rto_seconds >= 5 and proof.total_bytes > 600_000
    assert proof.rpo_seconds == proof.started_time - proof.backup_time
    assert "Success" in delhi.admin("query drill").text
    status = delhi.admin("query status").text
    assert "Last Proven Restorable" in status and "Last Drill: Success" in status
    delhi.restart()
    assert last(delhi) == proof


def test_what_no_partner_has_a_drill_finds(pair: Pair) -> None:
    delhi = pair.delhi
    store_files(delhi, 1, 2, 3)
    delhi.admin(FULL)
    delhi.admin(DRILL, allow=(4,))
    proof = last(delhi)
    assert (proof.result, proof.objects, proof.bad_objects) == ("FAILED", 3, 3)
    assert "No other server has a copy" in proof.note
    assert "Last Drill: Failed" in delhi.admin("query status").text


def test_damage_at_the_partner_fails_the_drill(pair: Pair) -> None:
    delhi = pair.delhi
    store_files(delhi, 1, 2, 3)
    delhi.admin(COPY)
    delhi.admin(FULL)
    with pair.tokyo.server.catalog.read() as r:
        volumes = [volume.name for volume in nouns.select(r, Volume)]
    for name in volumes:
        with open(name, "r+b") as file:
            size = os.path.getsize(name)
            for at in range(8192, size, 65536):
                file.seek(at)
                file.write(b"\xff" * 64)
    delhi.admin(DRILL, allow=(4,))
    assert last(delhi).result == "FAILED"


def test_without_a_backup_elsewhere_a_drill_fails_and_the_evidence_says_so(pair: Pair) -> None:
    delhi = pair.delhi
    none_of = "there is none of DEVTYPE=SERVER"
    assert none_of in delhi.admin(DRILL, allow=(4,)).text
    delhi.admin("backup db type=full devclass=tapeclass wait=yes")
    assert none_of in delhi.admin(DRILL, allow=(4,)).text
    proof = last(delhi)
    assert (proof.id, proof.result) == (2, "FAILED") and none_of in proof.note
    assert "Last Drill: Failed" in delhi.admin("query status").text
    assert "5 seconds" not in delhi.admin("query drill").text, "nothing was measured"
    assert "ANR8201E" in delhi.admin(f"{DRILL} devclass=nosuch", allow=(11,)).text


def test_a_partner_that_is_away_fails_the_drill_and_says_so(pair: Pair) -> None:
    pair.delhi.admin(FULL)
    pair.tokyo.stop()
    pair.delhi.admin(DRILL, allow=(4,))
    proof = last(pair.delhi)
    assert proof.result == "FAILED" and "TOKYO" in proof.note
    assert "5 seconds" not in pair.delhi.admin("query drill").text, "nobody could have restored after them"


def test_drills_run_by_themselves_when_their_period_is_over(pair: Pair) -> None:
    delhi = pair.delhi
    delhi.admin(FULL)
    delhi.admin("set drillperiod 7")
    housekeeping: Housekeeping = delhi.server.housekeeping
    housekeeping.poke("DRILL")
    delhi.lines.wait_for("ANR4967I")
    with delhi.server.catalog.read() as r:
        assert len(drills.all_drills(r)) == 1
    delhi.server.self_protection.drill()
    assert not [one for one in delhi.server.processes.list() if one.description == "DRILL"], "not due again"
