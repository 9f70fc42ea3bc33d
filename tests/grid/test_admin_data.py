"""Commands about data, on two servers: the chapter's pool backup and restore, contents, occupancy, audit, deletion."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.node_client import NodeClient, some_files
from tests.patience import PATIENCE_SECONDS

TOKYO_SET_UP = (
    "define domain vaultdomain",
    "define policyset vaultdomain standard",
    "define mgmtclass vaultdomain standard standard",
    "define copygroup vaultdomain standard standard type=archive destination=filepool",
    "assign defmgmtclass vaultdomain standard standard",
    "activate policyset vaultdomain standard",
    f"register node delhi {PASSWORD} domain=vaultdomain type=server",
)


@pytest.fixture
def servers(make_server: Callable[[str], GridServer]) -> tuple[GridServer, GridServer]:
    """DELHI with the chapter's definitions, and TOKYO."""
    delhi, tokyo = make_server("DELHI"), make_server("TOKYO")
    for command in TOKYO_SET_UP:
        tokyo.admin(command)
    for command in (
        f"define server tokyo password={PASSWORD} hladdress=127.0.0.1 lladdress={tokyo.port} nodename=delhi",
        "define devclass targetclass devtype=server servername=tokyo",
        "define stgpool tapepool filedev maxscratch=20",
        "define stgpool targetcopypool targetclass pooltype=copy\n  maxscratch=20",
        "update copygroup standard standard standard type=backup destination=tapepool",
        "activate policyset standard standard",
        f"register node ann {PASSWORD}",
    ):
        delhi.admin(command)
    return delhi, tokyo


def back_up(server: GridServer, files: dict[bytes, bytes]) -> None:
    with NodeClient(server.sign_on("ANN"), "ANN") as ann:
        ann.register()
        ann.store(files)


def restored(server: GridServer) -> dict[bytes, bytes]:
    with NodeClient(server.sign_on("ANN"), "ANN") as ann:
        return ann.read_all()


def test_the_chapters_pool_backup_and_restore(servers: tuple[GridServer, GridServer]) -> None:
    delhi, tokyo = servers
    files = some_files(20)
    back_up(delhi, files)

    text = delhi.admin("backup stgpool tapepool targetcopypool wait=yes").text
    assert "ANR0984I" in text and "FOREGROUND" in text and "SUCCESS" in text
    occupancy = {row["pool"]: row for row in delhi.rows("query occupancy ann")}
    assert occupancy["TAPEPOOL"]["files"] == occupancy["TARGETCOPYPOOL"]["files"] == 20
    (at_target,) = tokyo.rows("query occupancy delhi")
    assert (at_target["type"], at_target["file_space"]) == ("Arch", "ADSM.SERVER")
    (virtual,) = delhi.rows("query volume * stgpool=targetcopypool format=detailed")
    assert virtual["name"].startswith("DELHI.BFS.") and virtual["scratch"] is True
    (held,) = tokyo.rows("query volume")
    assert any(virtual["name"] in row["file_name"] for row in tokyo.rows(f"query content {held['name']}"))

    (local,) = delhi.rows("query volume * stgpool=tapepool")
    os.unlink(local["name"])
    delhi.admin("update volume * access=destroyed wherestgpool=tapepool")
    assert restored(delhi) == files, "read from TOKYO"
    text = delhi.admin("restore stgpool tapepool wait=yes").text
    assert "SUCCESS" in text
    tokyo.stop()
    assert restored(delhi) == files, "read locally again"


def test_contents_of_a_volume(servers: tuple[GridServer, GridServer]) -> None:
    delhi, _ = servers
    back_up(delhi, some_files(5))
    (volume,) = delhi.rows("query volume * stgpool=tapepool")
    name = volume["name"]
    found = delhi.rows(f"query content {name} format=detailed")
    assert [row["file_name"] for row in found] == [f"/file{number:04}" for number in range(5)]
    assert {(row["node"], row["type"], row["copied"], row["damaged"]) for row in found} == {
        ("ANN", "Bkup", False, False)
    }
    assert len(delhi.rows(f"query content {name} count=2")) == 2
    assert [row["file_name"] for row in delhi.rows(f"query content {name} count=-1")] == ["/file0004"]
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    assert delhi.rows(f"query content {name} copied=yes node=a*")
    for filter_ in ("copied=no", "damaged=yes", "type=archive", "node=bob", "filespace=/other"):
        assert "ANR2034E" in delhi.admin(f"query content {name} {filter_}", allow=(11,)).text


def test_audit_finds_a_flipped_byte_and_restore_brings_it_back(
    servers: tuple[GridServer, GridServer],
) -> None:
    delhi, _ = servers
    files = some_files(3)
    back_up(delhi, files)
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    (volume,) = delhi.rows("query volume * stgpool=tapepool")
    with open(volume["name"], "r+b") as file:
        file.seek(-5000, os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    delhi.admin("audit volume stgpool=tapepool wait=yes", allow=(0, 4))
    assert delhi.rows(f"query content {volume['name']} damaged=yes")
    delhi.admin("restore stgpool tapepool wait=yes")
    assert restored(delhi) == files


def test_restore_volume_puts_the_data_of_a_volume_on_another_one(
    servers: tuple[GridServer, GridServer],
) -> None:
    delhi, _ = servers
    files = some_files(3)
    back_up(delhi, files)
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    (volume,) = delhi.rows("query volume * stgpool=tapepool")
    delhi.admin(f"restore volume {volume['name']} wait=yes")
    (now,) = delhi.rows("query volume * stgpool=tapepool")
    assert now["name"] != volume["name"]
    assert restored(delhi) == files


def test_a_volume_with_data_goes_only_with_discard(servers: tuple[GridServer, GridServer]) -> None:
    delhi, _ = servers
    back_up(delhi, some_files(3))
    (volume,) = delhi.rows("query volume * stgpool=tapepool")
    assert "ANR2406E" in delhi.admin(f"delete volume {volume['name']}", allow=(13,)).text
    delhi.admin(f"delete volume {volume['name']} discarddata=yes wait=yes")
    assert "ANR2034E" in delhi.admin("query volume * stgpool=tapepool", allow=(11,)).text
    assert restored(delhi) == {}


def test_a_file_space_goes_and_a_vault_is_guarded(servers: tuple[GridServer, GridServer]) -> None:
    delhi, tokyo = servers
    back_up(delhi, some_files(3))
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    assert "ANR2267E" in tokyo.admin("delete filespace delhi *", allow=(3,)).text
    assert "ANR2265E" in tokyo.admin("rename filespace delhi ADSM.SERVER x", allow=(3,)).text
    assert "ANR2268E" in delhi.admin("delete filespace ann * type=server", allow=(3,)).text
    delhi.admin("rename filespace ann /home /house")
    assert delhi.rows("query filespace ann")[0]["name"] == "/house"
    assert "ANR2137E" in delhi.admin("remove node ann", allow=(13,)).text
    assert delhi.rows("query filespace ann 1 nametype=fsid")[0]["number"] == 1
    delhi.admin("delete filespace ann 1 nametype=fsid wait=yes")
    assert "ANR2034E" in delhi.admin("query filespace ann", allow=(11,)).text
    delhi.admin("remove node ann")
    tokyo.admin("delete filespace delhi * type=server wait=yes")
    assert "ANR2034E" in tokyo.admin("query filespace delhi", allow=(11,)).text


def test_pool_commands_refuse_the_wrong_kind_of_pool(servers: tuple[GridServer, GridServer]) -> None:
    delhi, _ = servers
    for command in (
        "backup stgpool targetcopypool tapepool",
        "backup stgpool tapepool filepool",
        "restore stgpool targetcopypool",
        "restore stgpool tapepool copystgpool=filepool",
        "restore stgpool tapepool newstgpool=targetcopypool",
    ):
        assert "ANR2255E" in delhi.admin(command, allow=(3,)).text
    assert "ANR2382E" in delhi.admin("backup stgpool tapepool nowhere", allow=(11,)).text
    assert "ANR2022E" in delhi.admin("audit volume", allow=(3,)).text


def test_a_background_process_is_told_by_number_and_ends_in_the_log(
    servers: tuple[GridServer, GridServer],
) -> None:
    delhi, _ = servers
    back_up(delhi, some_files(3))
    answer = delhi.admin("backup stgpool tapepool targetcopypool")
    assert answer.text.startswith("ANS8003I Process number ")
    delhi.lines.wait_for("ANR0986I")
    assert "ANR0942E" in delhi.admin("cancel process 4711", allow=(11,)).text


def test_a_failed_foreground_process_ends_with_a_code(servers: tuple[GridServer, GridServer]) -> None:
    delhi, tokyo = servers
    back_up(delhi, some_files(3))
    delhi.admin("update devclass targetclass retryperiod=0")
    tokyo.stop()
    text = delhi.admin("backup stgpool tapepool targetcopypool wait=yes", allow=(4,)).text
    assert "FAILURE" in text
    tokyo.start()
    delhi.admin(f"update server tokyo lladdress={tokyo.port}")
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")


def test_a_preview_moves_nothing(servers: tuple[GridServer, GridServer]) -> None:
    delhi, _ = servers
    back_up(delhi, some_files(3))
    delhi.admin("backup stgpool tapepool targetcopypool preview=yes wait=yes")
    assert "ANR2034E" in delhi.admin("query volume * stgpool=targetcopypool", allow=(11,)).text


def test_sessions_are_shown_and_cancelled(servers: tuple[GridServer, GridServer]) -> None:
    delhi, _ = servers
    connection, welcome = delhi.sign_on("ANN")
    (found,) = delhi.rows(f"query session {welcome.session} format=detailed")
    assert (found["name"], found["type"], found["platform"]) == ("ANN", "Node", "Linux")
    delhi.admin(f"cancel session {welcome.session}")
    delhi.lines.wait_for("ANR0403I")
    assert "ANR2034E" in delhi.admin("cancel session 4711", allow=(11,)).text
    connection.close()


def test_disabled_sessions_stay_out_until_enabled(servers: tuple[GridServer, GridServer]) -> None:
    delhi, _ = servers
    delhi.admin("disable sessions")
    assert "Disabled for client" in delhi.admin("query status").text
    with pytest.raises(Exception, match="ANR0420W"):
        delhi.sign_on("ANN")
    delhi.admin("enable sessions")
    delhi.sign_on("ANN")[0].close()


def test_halt_stops_the_server(servers: tuple[GridServer, GridServer]) -> None:
    delhi, _ = servers
    assert "ANR2234W" in delhi.admin("halt").text
    assert delhi.server.wait_until_asked(timeout_seconds=PATIENCE_SECONDS)
