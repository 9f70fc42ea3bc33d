"""A target is asked about database backups and plans as it is about volumes of pools, and a lost one has consequences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.grid.both_sides import Disk, change_file, files, lose_file, mark_file, truth
from tests.grid.grid_server import GridServer, is_sound
from tests.grid.vaults import store_files

from farvault.catalog import questions as kept_questions
from farvault.catalog import volume_history
from farvault.media import receipt as receipts
from farvault.model.volume_history import OWN_VOLUME, HistoryVolume

FULL = "backup db devclass=targetclass type=full wait=yes"
INCREMENTAL = "backup db devclass=targetclass type=incremental wait=yes"
CHALLENGE = "challenge server tokyo count={} wait=yes"


@pytest.fixture
def delhi(delhi: GridServer) -> GridServer:
    """With one full database backup and the plan that followed it, and nothing else at TOKYO."""
    delhi.admin(FULL)
    return delhi


def entries(delhi: GridServer) -> list[HistoryVolume]:
    with delhi.server.catalog.read() as r:
        return volume_history.rows(r, OWN_VOLUME)


def of_type(delhi: GridServer, type: str) -> HistoryVolume:
    """The newest."""
    return [row for row in entries(delhi) if row.type == type][-1]


def questions(delhi: GridServer, row: HistoryVolume) -> int:
    with delhi.server.catalog.read() as r:
        return kept_questions.OF_HISTORY.left(r, row.id)


# --- receipts ----------------------------------------------------------------------------------------------------------


def test_receipts_of_backups_and_plans_count_like_those_of_pools(delhi: GridServer) -> None:
    signed = [one.number for row in entries(delhi) for one in receipts.parted(row.receipt)]
    assert signed == list(range(1, len(signed) + 1)), "one chain"
    assert truth(delhi).receipt_number == signed[-1]
    store_files(delhi, 1)
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    assert truth(delhi).receipt_number == signed[-1] + 1
    full = of_type(delhi, "BACKUPFULL")
    assert delhi.admin(f"query receipt {full.volume}").text.count("TOKYO") == 2
    assert is_sound(delhi)


def test_a_target_set_back_to_before_a_database_backup_is_noticed_at_first_contact(
    delhi: GridServer, tokyo: GridServer, tmp_path: Path
) -> None:
    last_week = Disk(tokyo, tmp_path / "last week")
    delhi.admin(FULL)
    lost = [row.volume for row in entries(delhi)][2:]
    last_week.put_back()
    assert "rolled back" in delhi.admin("ping server tokyo").text
    assert "ANR4880E" in delhi.admin(INCREMENTAL, allow=(4,)).text, "nothing is stored there"
    delhi.admin("reconcile volumes fix=yes wait=yes", allow=(4,))
    assert [row.volume for row in entries(delhi) if row.missed_time] == lost
    assert "State: Normal" in delhi.admin("query server tokyo f=d").text
    assert "ANR2361E" in delhi.admin(INCREMENTAL, allow=(14,)).text
    delhi.admin(FULL)
    delhi.admin(INCREMENTAL)


# --- VALIDATE VOLUME ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["BACKUPFULL", "RPFILE"])
def test_validate_volume_finds_the_target_standing_by_a_backup_and_a_plan(
    delhi: GridServer, type: str
) -> None:
    row = of_type(delhi, type)
    assert "stands by all 2 receipts" in delhi.admin(f"validate volume {row.volume}").text
    assert of_type(delhi, type).verified_time and not of_type(delhi, type).missed_time
    assert "are as they were written" in delhi.admin(f"validate volume {row.volume} contents=yes").text
    assert is_sound(delhi)


@pytest.mark.parametrize(
    ("spoil", "reason", "is_lost"),
    [
        (lose_file, "no file", True),
        (change_file, "differs (digest)", True),
        (mark_file, "file is marked", False),
    ],
)
def test_what_the_target_denies_of_a_backup_is_shown_by_its_receipts(
    delhi: GridServer,
    tokyo: GridServer,
    spoil: Callable[[GridServer, str], None],
    reason: str,
    is_lost: bool,
) -> None:
    name = of_type(delhi, "BACKUPFULL").volume
    spoil(tokyo, name)
    said = delhi.admin(f"validate volume {name}", allow=(4,)).text
    assert "ANR4889E" in said and reason in said
    assert bool(of_type(delhi, "BACKUPFULL").missed_time) is is_lost
    lacks = "Volumes it signed for and lacks: 1" in delhi.admin("query server tokyo f=d").text
    assert lacks is is_lost


def test_a_receipt_the_target_does_not_know_any_more_is_named(delhi: GridServer, tokyo: GridServer) -> None:
    with tokyo.server.catalog.write() as tx:
        tx.run("DELETE FROM receipts WHERE number = 2")
    name = of_type(delhi, "BACKUPFULL").volume
    assert "it knows no receipt 2" in delhi.admin(f"validate volume {name}", allow=(4,)).text


def test_a_pool_volume_is_read_by_audit_volume(delhi: GridServer) -> None:
    store_files(delhi, 1)
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    with delhi.server.catalog.read() as r:
        name = r.one("SELECT name FROM volumes WHERE name LIKE 'DELHI.BFS.%'")[0]  # type: ignore[index]
    assert "ANR4840E" in delhi.admin(f"validate volume {name} contents=yes", allow=(3,)).text


# --- challenges --------------------------------------------------------------------------------------------------------


def test_a_target_proves_its_backups_by_questions_kept_and_then_by_records(delhi: GridServer) -> None:
    before = {row.volume: questions(delhi, row) for row in entries(delhi)}
    assert all(before.values()), "kept while they were written"
    said = delhi.admin(CHALLENGE.format(1)).text
    assert "1 proven, 0 missed (0 compared with data here, 1 with answers kept, 0 fetched)" in said
    assert sum(questions(delhi, row) for row in entries(delhi)) == sum(before.values()) - 1, "it is used up"
    assert "40 records: 40 proven" in delhi.admin(CHALLENGE.format(40)).text
    with delhi.server.catalog.write() as tx:
        tx.run("DELETE FROM history_probes")
    said = delhi.admin(CHALLENGE.format(1)).text
    assert "1 proven, 0 missed (0 compared with data here, 0 with answers kept, 1 fetched)" in said
    assert sum(questions(delhi, row) for row in entries(delhi)) == 2, "about the end and the record it named"
    assert (truth(delhi).challenges, truth(delhi).missed) == (42, 0)
    assert is_sound(delhi)


def test_questions_go_with_their_volume(delhi: GridServer) -> None:
    snapshot = "backup db devclass=targetclass type=dbsnapshot wait=yes"
    delhi.admin(snapshot)
    row = of_type(delhi, "DBSNAPSHOT")
    assert questions(delhi, row)
    delhi.admin(snapshot)
    delhi.admin("delete volhistory todate=today type=dbsnapshot")
    assert questions(delhi, row) == 0


def test_a_target_with_backups_only_is_challenged_by_itself(delhi: GridServer) -> None:
    delhi.server.housekeeping.do_everything()
    assert "25 records: 25 proven" in delhi.lines.wait_for("ANR4887I").message.text


@pytest.mark.parametrize("by_questions", [True, False])
def test_a_missed_challenge_of_the_newest_series_asks_for_a_full_backup(
    delhi: GridServer, tokyo: GridServer, by_questions: bool
) -> None:
    delhi.admin(INCREMENTAL)
    full = of_type(delhi, "BACKUPFULL")
    if not by_questions:
        with delhi.server.catalog.write() as tx:
            tx.run("DELETE FROM history_probes")
    lose_file(tokyo, full.volume)
    said = delhi.admin(CHALLENGE.format(60), allow=(4,)).text
    assert f"ALERT: full database backup, series 1, operation 0, volume {full.volume}: server TOKYO" in said
    assert truth(delhi).missed == 1, "a volume that missed one is not asked again"
    assert "Backups and plans not provable: 1" in delhi.admin("query server tokyo f=d").text
    shown = delhi.admin("query volhistory type=dbbackup", style="JSON").text
    assert (
        of_type(delhi, "BACKUPFULL").missed_time and '"missed_time":null' not in shown.split("BACKUPINCR")[0]
    )
    refused = delhi.admin(INCREMENTAL, allow=(14,)).text
    assert "ANR2361E" in refused and full.volume in refused
    delhi.admin(FULL)
    delhi.admin(INCREMENTAL)
    assert is_sound(delhi)


def test_a_lost_plan_is_told_as_one_and_the_series_goes_on(delhi: GridServer, tokyo: GridServer) -> None:
    plan = of_type(delhi, "RPFILE")
    lose_file(tokyo, plan.volume)
    said = delhi.admin(CHALLENGE.format(60), allow=(4,)).text
    assert f"ALERT: recovery plan, series {plan.series}, volume {plan.volume}" in said
    delhi.admin(INCREMENTAL)


def test_a_trigger_starts_a_full_backup_when_the_newest_series_is_hurt(
    delhi: GridServer, tokyo: GridServer
) -> None:
    delhi.admin("define dbbackuptrigger devclass=targetclass logfullpct=90")
    lose_file(tokyo, of_type(delhi, "BACKUPFULL").volume)
    delhi.admin(CHALLENGE.format(60), allow=(4,))
    delhi.server.housekeeping.do_everything()
    assert "cannot prove" in delhi.lines.wait_for("ANR4552I").message.text
    delhi.lines.wait_for("ANR4550I", 2)
    assert [row.series for row in entries(delhi) if row.type == "BACKUPFULL"] == [1, 2]


def test_the_last_series_that_is_whole_is_not_deleted_before_a_new_one_stands(
    delhi: GridServer, tokyo: GridServer
) -> None:
    delhi.admin(FULL)
    lose_file(tokyo, of_type(delhi, "BACKUPFULL").volume)
    delhi.admin(CHALLENGE.format(80), allow=(4,))
    delete = "delete volhistory todate=today type=dbbackup"
    assert "something is missing at their target" in delhi.admin(delete).text
    assert [row.series for row in entries(delhi) if row.type == "BACKUPFULL"] == [1, 2]
    delhi.admin(FULL)
    delhi.admin(delete)
    assert [row.series for row in entries(delhi) if row.type == "BACKUPFULL"] == [3]


def test_a_volume_that_is_whole_after_all_is_taken_back_when_all_of_it_was_read(
    delhi: GridServer, tokyo: GridServer, tmp_path: Path
) -> None:
    today = Disk(tokyo, tmp_path / "today")
    name = of_type(delhi, "BACKUPFULL").volume
    lose_file(tokyo, name)
    delhi.admin(CHALLENGE.format(60), allow=(4,))
    today.put_back()
    delhi.admin(f"validate volume {name}")
    assert of_type(delhi, "BACKUPFULL").missed_time, "that it says so is not enough"
    delhi.admin(f"validate volume {name} contents=yes")
    assert not of_type(delhi, "BACKUPFULL").missed_time
    delhi.admin(INCREMENTAL)


def test_what_is_damaged_when_all_of_it_is_read_is_noted_and_a_target_that_is_away_has_lost_nothing(
    delhi: GridServer, tokyo: GridServer
) -> None:
    name = of_type(delhi, "BACKUPFULL").volume
    tokyo.stop()
    delhi.server.devices.forget()
    delhi.admin(f"validate volume {name} contents=yes", allow=(14,))
    assert not of_type(delhi, "BACKUPFULL").missed_time
    for path in Path(tokyo.folder).rglob("*.bfs"):
        with path.open("r+b") as file:
            for at in range(40_000, path.stat().st_size, 4096):
                file.seek(at)
                file.write(b"rot")
    tokyo.start()
    said = delhi.admin(f"validate volume {name} contents=yes", allow=(4, 15)).text
    assert name in said and of_type(delhi, "BACKUPFULL").missed_time
    assert "ANR2361E" in delhi.admin(INCREMENTAL, allow=(14,)).text


# --- RECONCILE VOLUMES -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fix", ["no", "yes"])
def test_reconcile_notes_a_lost_backup_with_fix_and_changes_nothing_there(
    delhi: GridServer, tokyo: GridServer, fix: str
) -> None:
    full, plan = of_type(delhi, "BACKUPFULL"), of_type(delhi, "RPFILE")
    lose_file(tokyo, full.volume)
    mark_file(tokyo, plan.volume)
    said = delhi.admin(f"reconcile volumes fix={fix} wait=yes", allow=(4,)).text
    assert "no file" in said and "file is marked" in said
    assert ("noted as not provable" in said) is (fix == "yes")
    assert bool(of_type(delhi, "BACKUPFULL").missed_time) is (fix == "yes")
    assert not of_type(delhi, "RPFILE").missed_time, "it is there, only marked"
    assert files(tokyo) == {f"ADSM.{plan.volume}": True}
