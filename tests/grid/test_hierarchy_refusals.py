"""What an administrator gets wrong about pools and volumes is refused with a clear message, and changes nothing."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable

import msgspec
import pytest
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.node_client import NodeClient
from tests.grid.vaults import restored, store_files

from farvault.base.errors import FarvaultError
from farvault.catalog import nouns
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume


@pytest.fixture
def delhi(make_server: Callable[[str], GridServer]) -> GridServer:
    """TAPEPOOL, the end of its hierarchy, holds three files; COPYPOOL has copies of none of them."""
    server = make_server("DELHI")
    for command in (
        f"define devclass tapes devtype=file directory={server.folder}/tapes maxcapacity=8m",
        f"define devclass others devtype=file directory={server.folder}/others maxcapacity=8m",
        "define stgpool tapepool tapes maxscratch=10",
        "define stgpool otherpool tapes maxscratch=10",
        "define stgpool copypool others pooltype=copy maxscratch=10",
        f"register node ann {PASSWORD}",
    ):
        server.admin(command)
    store_files(server, 1, 2, 3)
    return server


def pool(server: GridServer, name: str) -> StoragePool:
    with server.server.catalog.read() as r:
        return nouns.get(r, StoragePool, name)


def volumes(server: GridServer, name: str) -> list[Volume]:
    with server.server.catalog.read() as r:
        return nouns.select(r, Volume, pool_id=nouns.get(r, StoragePool, name).id)


@pytest.mark.parametrize("access", ["readonly", "unavailable"])
def test_a_copy_pool_that_takes_no_new_data_is_no_target_of_backup_stgpool(
    delhi: GridServer, access: str
) -> None:
    delhi.admin(f"update stgpool copypool access={access}")
    for preview in ("no", "yes"):
        answer = delhi.admin(f"backup stgpool tapepool copypool preview={preview} wait=yes", allow=(14,))
        assert (
            f"ANR4722E Storage pool COPYPOOL cannot take part: its access is {access.upper()}" in answer.text
        )
    assert volumes(delhi, "COPYPOOL") == []
    delhi.admin("update stgpool copypool access=readwrite")
    delhi.admin("backup stgpool tapepool copypool wait=yes")


def test_from_a_pool_that_may_not_be_read_nothing_is_copied(delhi: GridServer) -> None:
    delhi.admin("update stgpool tapepool access=unavailable")
    assert "ANR4722E" in delhi.admin("backup stgpool tapepool copypool wait=yes", allow=(14,)).text


@pytest.mark.parametrize("access", ["readonly", "unavailable"])
def test_lost_data_does_not_come_back_into_another_pool_that_takes_no_new_data(
    delhi: GridServer, access: str
) -> None:
    delhi.admin("backup stgpool tapepool copypool wait=yes")
    delhi.admin(f"update stgpool otherpool access={access}")
    (lost,) = volumes(delhi, "TAPEPOOL")
    for command in (f"restore volume {lost.name}", "restore stgpool tapepool"):
        assert "ANR4722E" in delhi.admin(f"{command} newstgpool=otherpool wait=yes", allow=(14,)).text
    (volume,) = volumes(delhi, "TAPEPOOL")
    assert volume.access == "READWRITE", "it was not given up"


def test_into_its_own_pool_it_comes_back_where_that_is_readonly(delhi: GridServer) -> None:
    delhi.admin("backup stgpool tapepool copypool wait=yes")
    (lost,) = volumes(delhi, "TAPEPOOL")
    delhi.admin("update stgpool tapepool access=unavailable")
    assert "ANR4722E" in delhi.admin(f"restore volume {lost.name} wait=yes", allow=(14,)).text
    delhi.admin("update stgpool tapepool access=readonly")
    assert "ANR1240I" in delhi.admin(f"restore volume {lost.name} wait=yes").text


@pytest.mark.parametrize("preview", ["no", "yes"])
def test_a_volume_named_twice_is_not_restored(delhi: GridServer, preview: str) -> None:
    (volume,) = volumes(delhi, "TAPEPOOL")
    command = f"restore volume {volume.name},{volume.name} preview={preview} wait=yes"
    assert f"ANR4780E Volume {volume.name} is named twice" in delhi.admin(command, allow=(3,)).text
    assert volumes(delhi, "TAPEPOOL") == [volume]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "ANR2022E"),
        ("VOLUME stgpool=tapepool", "ANR4781E"),
        ("VOLUME fromdate=today", "ANR4782E"),
        ("VOLUME todate=today", "ANR4782E"),
        ("stgpool=tapepool fromdate=today todate=today-1", "ANR4783E"),
        ("stgpool=diskpool fromdate=today todate=today-1", "ANR4783E"),
        ("stgpool=tapepool fromdate=01/32/2026", "ANR2020E"),
        ("VOLUME skippartial=perhaps", "ANR2020E"),
    ],
)
def test_an_audit_names_a_volume_or_a_pool_and_days_in_order(
    delhi: GridServer, words: str, message: str
) -> None:
    delhi.admin("define stgpool diskpool disk")
    (volume,) = volumes(delhi, "TAPEPOOL")
    command = f"audit volume {words.replace('VOLUME', volume.name)} wait=yes"
    assert message in delhi.admin(command, allow=(3,)).text


def test_a_day_that_has_not_come_chooses_no_sequential_volume(delhi: GridServer) -> None:
    assert "ANR2034E" in delhi.admin("audit volume stgpool=tapepool fromdate=today+3", allow=(11,)).text


def test_a_pool_is_not_its_own_reclaim_pool(delhi: GridServer) -> None:
    answer = delhi.admin("update stgpool tapepool reclaimstgpool=tapepool", allow=(3,))
    assert "ANR4785E Storage pool TAPEPOOL cannot be its own reclaim pool" in answer.text
    assert pool(delhi, "TAPEPOOL").reclaim_pool == ""


def test_a_pool_that_can_take_nothing_says_so_when_it_is_made(delhi: GridServer) -> None:
    assert "ANR4786W" in delhi.admin("define stgpool nothing tapes maxscratch=0").text
    assert "ANR4786W" in delhi.admin("update stgpool otherpool maxscratch=0").text
    delhi.admin("define volume nothing v1 wait=yes")
    assert "ANR4786W" not in delhi.admin("update stgpool nothing maxscratch=0").text
    assert "ANR4786W" not in delhi.admin("update stgpool otherpool access=readonly").text
    assert "ANR4786W" not in delhi.admin("define stgpool diskpool disk").text


def test_the_last_sequential_pool_of_a_hierarchy_is_reclaimed_instead_of_migrated(delhi: GridServer) -> None:
    seeds = list(range(10, 26))
    ids = store_files(delhi, *seeds, pool="OTHERPOOL")
    delhi.server.storage.delete_objects(ids[::2])
    before = {volume.name for volume in volumes(delhi, "OTHERPOOL") if volume.status == "FULL"}
    assert before
    delhi.admin("update stgpool otherpool reclaim=100")
    assert "ANR4728E" in delhi.admin("migrate stgpool otherpool wait=yes", allow=(3,)).text
    with delhi.server.catalog.write() as tx:  # by UPDATE STGPOOL it would start by itself
        changed = msgspec.structs.replace(nouns.get(tx, StoragePool, "OTHERPOOL"), reclaim_percent=40)
        nouns.update(tx, changed)
    answer = delhi.admin("migrate stgpool otherpool duration=10 wait=yes")
    assert "ANR4787I" in answer.text and "ANR4726I" in answer.text
    assert not before & {volume.name for volume in volumes(delhi, "OTHERPOOL")}
    assert len(restored(delhi, ids[1::2])) == len(seeds) // 2


def test_who_changed_a_pool_and_a_volume_last_is_shown(delhi: GridServer) -> None:
    def shown(command: str) -> tuple[str, bool]:
        (row,) = json.loads(delhi.admin(command, style="JSON").text)
        return row["updated_by"], bool(row["updated_time"])

    (volume,) = volumes(delhi, "TAPEPOOL")
    assert shown("query stgpool tapepool f=d") == ("SERVER_CONSOLE", True)
    assert shown("query stgpool filepool f=d") == ("", False), "the server made it"
    assert shown(f"query volume {volume.name} f=d") == ("", False)
    delhi.admin(f"update volume {volume.name} access=readonly preview=yes")
    assert shown(f"query volume {volume.name} f=d") == ("", False)
    delhi.admin(f"update volume {volume.name} access=readonly")
    assert shown(f"query volume {volume.name} f=d") == ("SERVER_CONSOLE", True)


def test_the_scrub_shows_a_time_for_what_nobody_has_looked_at_yet(delhi: GridServer) -> None:
    (row,) = json.loads(delhi.admin("query scrub f=d", style="JSON").text)
    assert row["unchecked_bytes"] == row["size_bytes"] > 0
    (volume,) = volumes(delhi, "TAPEPOOL")
    due = datetime.datetime.fromisoformat(row["due_time"]).timestamp()
    assert volume.last_written_time < due < volume.last_written_time + 7 * 86_400


def test_why_nothing_can_be_stored_is_said_at_the_server_too(delhi: GridServer) -> None:
    delhi.admin("update copygroup standard standard standard destination=otherpool")
    delhi.admin("activate policyset standard standard")
    with NodeClient(delhi.sign_on("ANN"), "ANN") as client:
        client.register()
        delhi.admin("update stgpool otherpool maxscratch=0")
        with pytest.raises(FarvaultError, match="ANR0522W"):
            client.store({b"file": bytes(10_000)})
        assert "OTHERPOOL" in delhi.lines.wait_for("ANR0532W").message.text
        delhi.admin("delete stgpool otherpool")
        with pytest.raises(FarvaultError, match="ANR0520W"):
            client.begin()
        assert "ANR0520W" in delhi.lines.wait_for("ANR0532W", 2).message.text


def test_copies_at_the_server_that_keeps_the_pool_itself_are_said_to_be_none(delhi: GridServer) -> None:
    for command in (
        f"define server tokyo password={PASSWORD} hladdress=127.0.0.1 lladdress=1",
        f"define server osaka password={PASSWORD} hladdress=127.0.0.1 lladdress=1",
        "define devclass tokyoclass devtype=server servername=tokyo",
        "define devclass osakaclass devtype=server servername=osaka",
        "define stgpool targetpool tokyoclass maxscratch=10",
        "define stgpool tokyocopies tokyoclass pooltype=copy maxscratch=10",
        "define stgpool osakacopies osakaclass pooltype=copy maxscratch=10",
    ):
        assert "ANR4980W" not in delhi.admin(command).text
    warning = "ANR4980W Server TOKYO keeps storage pool TARGETPOOL and its copies in TOKYOCOPIES"
    assert warning in delhi.admin("backup stgpool targetpool tokyocopies wait=yes").text
    assert "ANR4980W" not in delhi.admin("backup stgpool targetpool osakacopies wait=yes").text
    assert "ANR4980W" not in delhi.admin("backup stgpool targetpool copypool wait=yes").text
    assert "ANR4980W" not in delhi.admin("update stgpool tapepool copystgpools=tokyocopies,osakacopies").text
    assert warning in delhi.admin("update stgpool tapepool nextstgpool=targetpool").text
    assert warning in delhi.admin("backup stgpool tapepool tokyocopies preview=yes wait=yes").text
    assert "ANR4980W" not in delhi.admin("update stgpool tapepool highmig=99").text
