"""Audits and figures on whole servers: what travels when a virtual volume is audited, what the scrub shows, sums that hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.grid.counting_proxy import CountingProxy, counting_proxy
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.node_client import NodeClient, some_files
from tests.grid.vaults import make_source, store_files
from tests.patience import PATIENCE_SECONDS

from farvault.catalog import audit, nouns, placements
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume

MIB = 1 << 20


@pytest.fixture
def link(tokyo: GridServer) -> Iterator[CountingProxy]:
    with counting_proxy(tokyo.port) as proxy:
        yield proxy


@pytest.fixture
def delhi(
    make_server: Callable[[str], GridServer], tokyo: GridServer, link: CountingProxy
) -> Iterator[GridServer]:
    server = make_server("DELHI")
    make_source(server, tokyo)
    server.admin(f"update server tokyo lladdress={link.port}")
    yield server
    with server.server.catalog.read() as r:
        assert list(audit.check_sums(r)) == []
        assert list(audit.check_row_digests(r)) == []


def volumes_of(server: GridServer, pool: str) -> list[Volume]:
    with server.server.catalog.read() as r:
        return nouns.select(r, Volume, pool_id=nouns.get(r, StoragePool, pool).id)


def flip(path: str, at: int) -> None:
    with Path(path).open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


# --- virtual volumes -----------------------------------------------------------------------------------------------------


def test_of_a_virtual_volume_only_the_verdict_travels_and_in_full_all_of_it(
    delhi: GridServer, link: CountingProxy
) -> None:
    store_files(delhi, *range(12))
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    link.reset()
    answer = delhi.admin("audit volume stgpool=targetcopypool wait=yes")
    assert answer.text.count("ANR4132I") == len(volumes_of(delhi, "TARGETCOPYPOOL")) == 2
    assert link.sent_bytes + link.returned_bytes < 12 * MIB / 100
    link.reset()
    delhi.admin("audit volume stgpool=targetcopypool full=yes wait=yes")
    assert link.sent_bytes < MIB < 12 * MIB < link.returned_bytes < 14 * MIB


@pytest.mark.parametrize("full", ["no", "yes"])
def test_rot_at_the_target_is_named_at_the_source(delhi: GridServer, tokyo: GridServer, full: str) -> None:
    store_files(delhi, *range(4))
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    with tokyo.server.catalog.read() as r:
        bad = placements.on_volume(r, volumes_of(tokyo, "VAULTPOOL")[0].id)[2]
    flip(bad.volume_name, bad.offset_bytes + 10_000)
    answer = delhi.admin(f"audit volume stgpool=targetcopypool full={full} wait=yes", allow=(4,))
    assert "is damaged or missing" in answer.text
    (volume,) = volumes_of(delhi, "TARGETCOPYPOOL")
    damaged = delhi.rows(f"query content {volume.name} damaged=yes f=d")
    assert [row["damaged"] for row in damaged] == [True]
    (shown,) = delhi.rows("query volume * stgpool=targetcopypool f=d")
    assert shown["damaged_records"] == 1
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")  # copies it again
    (scrubbed,) = delhi.rows("query scrub * stgpool=targetcopypool")[:1]
    assert scrubbed["verdict"] == "DAMAGED"


def test_volumes_are_chosen_by_pool_and_by_the_day_they_were_written(delhi: GridServer) -> None:
    store_files(delhi, *range(20))
    first, second, third = volumes_of(delhi, "TAPEPOOL")
    with delhi.server.catalog.write() as tx:
        days_ago = delhi.server.clock.now_seconds() - 10 * 86_400
        nouns.update(tx, msgspec.structs.replace(first, last_written_time=days_ago))

    def audited(words: str) -> set[str]:
        text = delhi.admin(f"audit volume stgpool=tapepool {words} wait=yes", allow=(0, 11)).text
        return {one.name for one in (first, second, third) if one.name in text}

    assert audited("") == {first.name, second.name, third.name}
    assert audited("fromdate=today-5") == {second.name, third.name}
    assert audited("todate=today-5") == {first.name}
    assert audited("fromdate=today-20 todate=today-15") == set()


# --- the scrub, as shown -------------------------------------------------------------------------------------------------


def test_the_scrub_is_set_runs_and_shows_its_coverage(delhi: GridServer) -> None:
    store_files(delhi, *range(4))
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    (status,) = delhi.rows("query status")
    assert (status["scrub_days"], status["scrub_rate"]) == (90, 50)
    assert status["scrub_percent"] == 0
    delhi.admin("set scrubperiod 1")
    delhi.admin("set scrubrate 0")
    for _ in range(11):
        if delhi.rows("query status")[0]["scrub_percent"] == 100:
            break
        delhi.admin("audit volume stgpool=tapepool wait=yes")
        delhi.admin("audit volume stgpool=targetcopypool wait=yes")
    (status,) = delhi.rows("query status")
    assert (status["scrub_days"], status["scrub_rate"], status["scrub_percent"]) == (1, 0, 100)
    shown = delhi.rows("query scrub f=d")
    assert len(shown) == len(volumes_of(delhi, "TAPEPOOL")) + len(volumes_of(delhi, "TARGETCOPYPOOL"))
    assert {row["verdict"] for row in shown} == {"GOOD"}
    assert {row["unchecked_bytes"] for row in shown} == {0}
    assert "Good" in delhi.admin("query scrub").text
    delhi.admin("query scrub * stgpool=nopool", allow=(11,))


def test_housekeeping_starts_the_scrub(delhi: GridServer) -> None:
    store_files(delhi, *range(2))
    delhi.server.housekeeping.do_everything()
    delhi.lines.wait_for("ANR0984I")
    for process in delhi.server.processes.list():
        assert process.wait(PATIENCE_SECONDS)
    assert any("SCRUB" in line.message.text for line in delhi.lines.all if line.message.id == "ANR0984I")
    assert delhi.rows("query scrub f=d")[0]["last_time"]


@pytest.mark.parametrize(
    ("command", "code"), [("set scrubperiod -1", 3), ("set scrubperiod x", 3), ("set scrubrate", 3)]
)
def test_what_is_no_period_and_no_rate_is_refused(delhi: GridServer, command: str, code: int) -> None:
    assert delhi.admin(command, allow=(code,)).text


# --- the catalog -----------------------------------------------------------------------------------------------------------


def test_the_catalog_is_audited_by_command(delhi: GridServer) -> None:
    store_files(delhi, *range(2))
    answer = delhi.admin("audit catalog wait=yes")
    assert "ANR4746I" in answer.text and " 0 of them changed" in answer.text
    (volume,) = volumes_of(delhi, "TAPEPOOL")
    away = Path(volume.name).rename(f"{delhi.folder}/away")
    answer = delhi.admin("audit catalog fix=yes wait=yes", allow=(4,))
    assert volume.name in answer.text and "ANR4750E" in answer.text
    away.rename(volume.name)


# --- figures that add up ---------------------------------------------------------------------------------------------------


def assert_figures_agree(server: GridServer) -> None:
    """Over volumes to the pool; over nodes to the pool; over pools to AUDITOCCUPANCY. Rows are rounded to a byte."""
    pools = server.rows("query stgpool f=d")
    volumes = server.rows("query volume f=d")
    occupancy = server.rows("query occupancy")
    for pool in pools:
        own = [one for one in volumes if one["pool"] == pool["name"]]
        assert sum(one["live_bytes"] for one in own) == pool["live_bytes"], pool["name"]
        used = [one for one in occupancy if one["pool"] == pool["name"]]
        assert abs(sum(one["physical_bytes"] for one in used) - pool["live_bytes"]) <= len(used), pool["name"]
    audited = server.rows("query auditoccupancy")
    total = sum(one["physical_bytes"] for one in occupancy)
    assert sum(one["total_bytes"] for one in audited) == total
    parts = ("backup_bytes", "archive_bytes", "space_managed_bytes")
    assert all(sum(one[part] for part in parts) == one["total_bytes"] for one in audited)
    halves = [
        one["total_bytes"]
        for pool_type in ("primary", "copy")
        for one in server.rows(f"query auditoccupancy pooltype={pool_type}")
    ]
    assert sum(halves) == total


def test_figures_add_up_whatever_happens_and_come_to_nothing(delhi: GridServer, tokyo: GridServer) -> None:
    """Two nodes share data; copies here and at the target; damage; deletion of some, then of everything."""
    delhi.admin(f"register node bob {PASSWORD} backdelete=yes")
    for command in (
        "update copygroup standard standard standard type=backup destination=tapepool",
        "activate policyset standard standard",
        "update stgpool tapepool collocate=no",
    ):
        delhi.admin(command)
    files = some_files(30, 20_000)
    more = some_files(5, 100_000)
    for node, sent in (
        ("ANN", files),
        ("BOB", {**files, **{b"b" + name: data for name, data in more.items()}}),
    ):
        with NodeClient(delhi.sign_on(node), node) as client:
            client.register()
            client.store(sent)
    assert_figures_agree(delhi)
    used = {row["node"]: row for row in delhi.rows("query occupancy * stgpool=tapepool")}
    assert used["ANN"]["files"] == 30 and used["BOB"]["files"] == 35
    assert used["ANN"]["logical_bytes"] == 600_000
    assert used["ANN"]["physical_bytes"] < 400_000, "half of what two nodes share"
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    assert_figures_agree(delhi)
    (volume,) = volumes_of(delhi, "TAPEPOOL")
    flip(volume.name, 9000)
    delhi.admin(f"audit volume {volume.name} wait=yes", allow=(4,))
    assert_figures_agree(delhi)
    content = delhi.rows(f"query content {volume.name} f=d")
    assert len(content) == 65
    with NodeClient(delhi.sign_on("BOB"), "BOB") as client:
        client.delete([row.id for name, row in client.inventory().items() if name.endswith(b"3")])
    assert_figures_agree(delhi)
    assert_figures_agree(tokyo)
    assert {row["type"] for row in tokyo.rows("query occupancy delhi")} == {"Arch"}
    for node in ("ann", "bob"):
        delhi.admin(f"delete filespace {node} * wait=yes")
    assert delhi.rows("query occupancy") == []
    assert {row["live_bytes"] for row in delhi.rows("query stgpool f=d")} == {0}
    assert {row["total_bytes"] for row in delhi.rows("query auditoccupancy")} == {0}
    assert delhi.rows("query volume") == []


def test_content_is_selected_by_node_file_space_count_copies_and_type(delhi: GridServer) -> None:
    store_files(delhi, 1, 2, 3, size=1000, files_in_pack=3)
    store_files(delhi, 4, size=1000, file_space="/other")
    (volume,) = volumes_of(delhi, "TAPEPOOL")

    def names(words: str) -> list[str]:
        found = delhi.rows(f"query content {volume.name} {words}")
        return [row["file_name"] for row in found]

    assert names("") == ["/file1", "/file2", "/file3", "/file4"]
    assert names("count=2") == ["/file1", "/file2"]
    assert names("count=-1") == ["/file4"]
    assert names("filespace=/other") == ["/file4"]
    assert names("node=nobody") == [] and len(names("node=a*")) == 4
    assert names("type=archive") == [] and len(names("type=backup")) == 4
    assert names("copied=yes") == [] and len(names("copied=no")) == 4
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    assert len(names("copied=yes")) == 4
    detailed = delhi.rows(f"query content {volume.name} f=d")
    assert [row["is_aggregated"] for row in detailed] == [True, True, True, False]
    assert all(row["is_whole"] and row["stored_bytes"] > 0 for row in detailed)
    assert not any(row["is_cached"] for row in detailed)
