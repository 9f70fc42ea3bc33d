"""Migration on whole servers: it starts by itself, chains of pools reach another server, and what is shown adds up."""

from __future__ import annotations

import json

import pytest
from tests.grid.grid_server import GridServer
from tests.grid.vaults import file_bytes, restored, store_files

from farvault.admin.commands import migration
from farvault.catalog import audit, nouns, occupancy, placements
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.processes.process import Process
from farvault.processes.reclaim import Options
from farvault.storage.storage import Storage

MIB = 1 << 20


@pytest.fixture
def delhi(delhi: GridServer) -> GridServer:
    """DISKPOOL (30 MB) -> TAPEPOOL (files) -> TARGETPOOL (virtual volumes at TOKYO)."""
    for command in (
        "define stgpool targetpool targetclass maxscratch=100",
        "update stgpool tapepool nextstgpool=targetpool highmig=100 lowmig=0",
        "define stgpool diskpool disk nextstgpool=tapepool highmig=60 lowmig=20",
        'update stgpool backuppool nextstgpool=""',
        f"define volume diskpool {delhi.folder}/disk.dsm formatsize=30 wait=yes",
    ):
        delhi.admin(command)
    return delhi


def used_by(delhi: GridServer, pool: str) -> set[str]:
    """File spaces with data in a pool."""
    with delhi.server.catalog.read() as r:
        return {row.file_space for row in occupancy.occupancy(r, pool=pool)}


def is_whole(delhi: GridServer, ids: dict[int, int]) -> bool:
    """`ids`: object -> seed of its MiB."""
    with delhi.server.catalog.read() as r:
        assert list(audit.check_sums(r)) == [] and list(audit.check_row_digests(r)) == []
    return restored(delhi, list(ids)) == {number: file_bytes(seed, MIB) for number, seed in ids.items()}


def store(delhi: GridServer, seeds: range, file_space: str = "/home") -> dict[int, int]:
    ids = store_files(delhi, *seeds, pool="DISKPOOL", files_in_pack=2, file_space=file_space)
    return dict(zip(ids, seeds, strict=True))


def columns(delhi: GridServer, pool: str) -> dict[str, str]:
    lines = delhi.admin(f"query stgpool {pool} f=d").text.splitlines()
    pairs = [line.split(":", 1) for line in lines if ":" in line]
    return {label.strip(): value.strip() for label, value in pairs}


def test_crossing_the_threshold_starts_it_and_the_low_one_stops_it(delhi: GridServer) -> None:
    delhi.admin("update stgpool diskpool lowmig=30")
    delhi.admin("update stgpool tapepool collocate=filespace")
    ids = store(delhi, range(8), "/home")
    assert "ANR1000I" not in delhi.lines.ids
    ids |= store(delhi, range(100, 112), "/srv")
    assert "low threshold is reached" in delhi.lines.wait_for("ANR1001I").message.text
    assert used_by(delhi, "TAPEPOOL") == {"/srv"}, "the larger one went first, and that was enough"
    assert used_by(delhi, "DISKPOOL") == {"/home"}
    assert is_whole(delhi, ids)


def test_a_chain_reaches_the_other_server_by_itself(delhi: GridServer, tokyo: GridServer) -> None:
    delhi.admin("update stgpool tapepool maxscratch=3 highmig=50 lowmig=0")
    delhi.admin("update stgpool diskpool lowmig=0")
    ids = store(delhi, range(19))
    delhi.lines.wait_for("ANR1001I", 2)
    assert used_by(delhi, "DISKPOOL") == set() == used_by(delhi, "TAPEPOOL")
    assert used_by(delhi, "TARGETPOOL") == {"/home"}
    assert "DELHI" in tokyo.admin("query occupancy").text
    assert is_whole(delhi, ids)


def test_a_changed_threshold_is_acted_upon_at_once(delhi: GridServer) -> None:
    ids = store(delhi, range(8))
    delhi.admin("update stgpool diskpool highmig=10 lowmig=0")
    delhi.lines.wait_for("ANR1001I")
    assert used_by(delhi, "DISKPOOL") == set() and is_whole(delhi, ids)


def test_by_hand_to_the_other_server_with_a_cache_at_home(delhi: GridServer, tokyo: GridServer) -> None:
    delhi.admin("update stgpool diskpool nextstgpool=targetpool cache=yes")
    ids = store(delhi, range(8))
    answer = delhi.admin("migrate stgpool diskpool lowmig=0 wait=yes").text
    assert "ANR1000I" in answer and "ANR1001I" in answer and "SUCCESS" in answer
    shown = columns(delhi, "diskpool")
    assert float(shown["Pct Util"]) > 25 and float(shown["Pct Migr"]) == 0.0
    assert used_by(delhi, "DISKPOOL") == set(), "a cached copy is nobody's data"
    listed = json.loads(
        delhi.admin(f"query content {delhi.folder}/disk.dsm f=d damaged=no", style="JSON").text
    )
    assert len(listed) == len(ids) and all(row["is_cached"] and row["is_whole"] for row in listed)
    assert "ANR4972I" in delhi.admin("migrate stgpool diskpool lowmig=0").text
    tokyo.stop()
    assert is_whole(delhi, ids), "read from the cache while TOKYO is away"
    delhi.admin("update stgpool diskpool cache=no")
    delhi.lines.wait_for("ANR4703I")
    assert float(columns(delhi, "diskpool")["Pct Util"]) == 0.0


def test_a_pool_of_virtual_volumes_counts_volumes_and_can_be_emptied(
    delhi: GridServer,
) -> None:
    """TARGETPOOL gives its data back to files at home."""
    delhi.admin("update stgpool diskpool nextstgpool=targetpool lowmig=0")
    ids = store(delhi, range(19))
    delhi.lines.wait_for("ANR1001I")
    assert columns(delhi, "targetpool")["Pct Migr"] == "3.0", "three volumes of 8 MB, of a hundred"
    delhi.admin("define stgpool homepool tapeclass maxscratch=100")
    delhi.admin("update stgpool targetpool nextstgpool=homepool highmig=3 lowmig=1")
    delhi.lines.wait_for("ANR1001I", 2)
    assert columns(delhi, "targetpool")["Pct Migr"] == "1.0"
    delhi.admin("migrate stgpool targetpool lowmig=0 wait=yes")
    assert used_by(delhi, "TARGETPOOL") == set() and is_whole(delhi, ids)


def test_a_target_migrates_what_it_keeps_for_others(delhi: GridServer, tokyo: GridServer) -> None:
    delhi.admin("update stgpool diskpool nextstgpool=targetpool lowmig=0")
    ids = store(delhi, range(19))
    delhi.lines.wait_for("ANR1001I")
    tokyo.admin("define stgpool deeppool vaultclass maxscratch=100")
    tokyo.admin("update stgpool vaultpool nextstgpool=deeppool highmig=100 lowmig=0")
    tokyo.admin("migrate stgpool vaultpool lowmig=0 wait=yes")
    assert columns(tokyo, "vaultpool")["Pct Migr"] == "0.0"
    assert is_whole(delhi, ids), "DELHI does not notice"


def test_reclaimed_first_it_tells_of_what_it_has_migrated_itself(delhi: GridServer) -> None:
    delhi.admin("update devclass tapeclass maxcapacity=8m")
    delhi.admin("update stgpool tapepool reclaim=10")
    ids = store(delhi, range(12))
    delhi.admin("migrate stgpool diskpool lowmig=0 wait=yes")
    for number in list(ids)[::4]:
        ids.pop(number)
        delhi.server.storage.delete_objects([number])
    answer = delhi.admin("migrate stgpool tapepool lowmig=0 reclaim=yes wait=yes").text
    assert "ANR1041I" in answer
    with delhi.server.catalog.read() as r:
        records = sum(
            len(placements.on_volume(r, one.id))
            for one in nouns.select(r, Volume, pool_id=nouns.get(r, StoragePool, "TARGETPOOL").id)
        )
    assert f"storage pool TAPEPOOL: {records} records" in answer
    assert is_whole(delhi, ids)


def test_duration_is_of_the_reclamation_and_the_migration_together(
    delhi: GridServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: list[float | None] = []

    def reclaims_for_two_minutes(_: Storage, process: Process, __: str, options: Options) -> None:
        allowed.append(options.duration_minutes)
        process._began -= 120

    monkeypatch.setattr(migration, "reclaim_pool", reclaims_for_two_minutes)
    store(delhi, range(4))
    delhi.admin("migrate stgpool diskpool lowmig=0 wait=yes")
    answer = delhi.admin("migrate stgpool tapepool lowmig=0 reclaim=yes duration=1 wait=yes").text
    assert allowed == [1] and "its time (DURATION) is over" in answer
    assert used_by(delhi, "TAPEPOOL") == {"/home"}


def test_what_is_shown_of_migration_adds_up(delhi: GridServer) -> None:
    delhi.admin("update stgpool diskpool highmig=100")
    before = columns(delhi, "diskpool")
    assert before["Migration in Progress?"] == "No" and before["Amount Migrated"].startswith("0")
    store(delhi, range(8))
    full = columns(delhi, "diskpool")
    assert full["Pct Util"] == full["Pct Migr"] != "0.0"
    delhi.admin("migrate stgpool diskpool lowmig=0 wait=yes")
    after = columns(delhi, "diskpool")
    assert after["Pct Util"] == after["Pct Migr"] == "0.0"
    process = delhi.server.processes.history()[-1]
    with delhi.server.catalog.read() as r:
        pool = nouns.get(r, StoragePool, "TAPEPOOL")
        written = sum(one.written_bytes for one in nouns.select(r, Volume, pool_id=pool.id))
        labels = 4096 * nouns.count(r, Volume, pool_id=pool.id)
    assert process.bytes == written - labels
    assert after["Amount Migrated"] not in ("", "0", "0 B")
    assert int(after["Elapsed Migration Time (seconds)"]) >= 0


REFUSED = [
    ("migrate stgpool nowhere", "ANR2382E"),
    ("migrate stgpool targetcopypool", "ANR2255E"),
    ("migrate stgpool backuppool", "ANR4700E"),
    ("migrate stgpool diskpool lowmig=100", "ANR2020E"),
    ("migrate stgpool diskpool lowmig=-1", "ANR2020E"),
    ("migrate stgpool diskpool duration=0", "ANR2020E"),
    ("update stgpool diskpool highmig=101", "ANR2020E"),
    ("update stgpool diskpool lowmig=61", "ANR2254E"),
    ("update stgpool diskpool migprocess=0", "ANR2020E"),
    ("update stgpool targetpool nextstgpool=diskpool", "ANR2256E"),
    ("update stgpool diskpool nextstgpool=targetcopypool", "ANR2255E"),
    ("update stgpool tapepool cache=yes", "ANR2027E"),
    ("update stgpool targetcopypool nextstgpool=tapepool", "ANR2027E"),
    ("vary offline nowhere", "ANR2401E"),
]


def test_what_cannot_be_done_is_refused_and_says_why(delhi: GridServer) -> None:
    for command, said in REFUSED:
        answer = delhi.admin(command, allow=(3, 4, 11, 14))
        assert said in answer.text, f"{command}: {answer.text}"


def test_settings_of_migration_take_effect_without_a_warning(delhi: GridServer) -> None:
    text = delhi.admin(
        "update stgpool diskpool highmig=50 lowmig=10 migprocess=2 migdelay=1 migcontinue=no cache=yes"
    ).text
    assert "ANR2993W" not in text


def test_a_disk_volume_goes_offline_and_comes_back(delhi: GridServer) -> None:
    ids = store(delhi, range(4))
    volume = f"{delhi.folder}/disk.dsm"
    assert "ANR1306I" in delhi.admin(f"vary offline {volume} wait=yes").text
    assert "ANR4708I" in delhi.admin(f"vary offline {volume} wait=yes").text
    assert "Off-Line" in delhi.admin(f"query volume {volume}").text
    assert not restored(delhi, list(ids)), "nothing is read from it"
    chosen = delhi.server.storage.choose_pool("DISKPOOL", MIB)
    assert chosen.name == "TAPEPOOL", "nothing is stored on it"
    assert float(columns(delhi, "diskpool")["Pct Migr"]) > 0, "what lies there still counts"
    assert "ANR1305I" in delhi.admin(f"vary online {volume} wait=yes").text
    assert is_whole(delhi, ids)


def test_a_volume_comes_online_only_with_its_own_file(delhi: GridServer, tokyo: GridServer) -> None:
    volume = f"{delhi.folder}/disk.dsm"
    delhi.admin(f"vary offline {volume} wait=yes")
    delhi.admin(f"update volume {volume} access=unavailable")
    assert "ANR4706E" in delhi.admin(f"vary online {volume}", allow=(14,)).text, "before a process begins"
    delhi.admin(f"update volume {volume} access=readwrite")
    with open(volume, "r+b") as file:
        label = file.read(4096)
        file.seek(0)
        file.write(bytes(4096))
    assert "ANR4707E" in delhi.admin(f"vary online {volume} wait=yes", allow=(4,)).text
    with open(volume, "r+b") as file:
        file.write(label)
    assert "ANR1305I" in delhi.admin(f"vary online {volume} wait=yes").text
    store_files(delhi, 1)
    with delhi.server.catalog.read() as r:
        tape = nouns.select(r, Volume, pool_id=nouns.get(r, StoragePool, "TAPEPOOL").id)[0].name
    assert "ANR4705E" in delhi.admin(f"vary offline {tape}", allow=(3, 4)).text
