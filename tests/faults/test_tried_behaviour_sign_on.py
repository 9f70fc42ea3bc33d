"""Who may not store at the target hears why: at the source's command line and in both activity logs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.faults.two_servers import BACKUP, Pair, back_up_some_files, said
from tests.grid.grid_server import PASSWORD, GridServer

from farvault.base.errors import LoginRefused
from farvault.protocol.login import SOURCE, ClientLogin
from farvault.seal.identity import new_code
from farvault.transport.dial import dial, sign_on, source_proof


@pytest.fixture
def filled(pair: Pair, tmp_path: Path) -> Pair:
    """TAPEPOOL at DELHI has something to copy."""
    back_up_some_files(pair.delhi, tmp_path / "tree")
    return pair


def copies(server: GridServer) -> str:
    return server.admin("query occupancy * stgpool=targetcopypool", allow=(0, 11)).text


# --- no archive copy group -------------------------------------------------------------------------------------------


def test_without_an_archive_copy_group_nothing_is_stored_and_both_sides_say_why(filled: Pair) -> None:
    delhi, tokyo = filled.delhi, filled.tokyo
    tokyo.admin("delete copygroup vaultdomain standard standard type=archive")
    warned = tokyo.admin("activate policyset vaultdomain standard", allow=(0, 4))
    assert "ANR1556W" in warned.text

    failed = delhi.admin(BACKUP, allow=(4,)).text
    assert "ANR4803E" in failed and "ANR0560W" in failed and "completion state FAILURE" in failed
    assert "ANR2034E" in copies(delhi)
    assert "ANR0560W" in said(tokyo, 4851)
    assert "has no ARCHIVE copy group" in said(tokyo, 4851)
    assert "ANR0560W" in said(delhi, 4803)

    tokyo.admin("define copygroup vaultdomain standard standard type=archive destination=vaultpool")
    tokyo.admin("activate policyset vaultdomain standard")
    assert "ANR0986I" in delhi.admin(BACKUP).text
    assert "TARGETCOPYPOOL" in copies(delhi)


def test_a_volume_that_was_being_filled_is_still_good_after_the_target_refused(
    filled: Pair, tmp_path: Path
) -> None:
    delhi, tokyo = filled.delhi, filled.tokyo
    delhi.admin(BACKUP)
    back_up_some_files(delhi, tmp_path / "more")
    tokyo.admin("delete copygroup vaultdomain standard standard type=archive")
    tokyo.admin("activate policyset vaultdomain standard", allow=(0, 4))
    assert "ANR0560W" in delhi.admin(BACKUP, allow=(4,)).text
    assert "ANR1411W" not in delhi.lines.ids, "TOKYO's policy is no write error"
    assert "ANR2034E" in delhi.admin("query volume * access=readonly", allow=(11,)).text
    tokyo.admin("define copygroup vaultdomain standard standard type=archive destination=vaultpool")
    tokyo.admin("activate policyset vaultdomain standard")
    delhi.admin(BACKUP)
    assert delhi.admin("query volume * stgpool=targetcopypool").text.count("DELHI.BFS") == 1


# --- refused at the door ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_delhi", "at_tokyo", "number", "words"),
    [
        ("update server tokyo nodename=nobody", "", "ANR0422W", "NOBODY"),
        ("update server tokyo password=wrong-horse-1", "", "ANR0424W", "DELHI"),
        ("", "lock node delhi", "ANR0430W", "DELHI"),
        ("update server tokyo nodename=carol", f"register node carol {PASSWORD}", "ANR0496W", "CAROL"),
    ],
    ids=["node not registered", "wrong password", "locked", "not of TYPE=SERVER"],
)
def test_a_source_that_may_not_come_in_is_told_by_number_and_so_is_the_target(
    filled: Pair, at_delhi: str, at_tokyo: str, number: str, words: str
) -> None:
    for server, command in ((filled.delhi, at_delhi), (filled.tokyo, at_tokyo)):
        if command:
            server.admin(command)
    failed = filled.delhi.admin(BACKUP, allow=(4,)).text
    assert number in failed and words in failed and "completion state FAILURE" in failed
    pinged = filled.delhi.admin("ping server tokyo", allow=(14,)).text
    assert number in pinged and "ANR1705W" in pinged
    assert words in said(filled.tokyo, int(number[3:7]))
    assert words in said(filled.delhi, int(number[3:7]))


def test_once_the_cause_is_gone_the_backup_runs(filled: Pair) -> None:
    filled.tokyo.admin("lock node delhi")
    filled.delhi.admin(BACKUP, allow=(4,))
    filled.tokyo.admin("unlock node delhi")
    filled.delhi.admin(BACKUP)


def test_a_node_that_is_locked_is_locked_for_sessions_that_are_kept_for_later_too(
    filled: Pair, tmp_path: Path
) -> None:
    filled.delhi.admin(BACKUP)
    back_up_some_files(filled.delhi, tmp_path / "more")
    filled.tokyo.admin("lock node delhi")
    assert "ANR0430W" in filled.delhi.admin(BACKUP, allow=(4,)).text


def test_a_client_node_cannot_be_used_as_a_source_nor_a_source_as_a_client(filled: Pair) -> None:
    with pytest.raises(Exception, match="ANR0495W"):
        filled.tokyo.sign_on("delhi")
    assert "DELHI" in said(filled.tokyo, 495)


# --- a server that points at itself ----------------------------------------------------------------------------------


def test_a_server_cannot_be_defined_as_its_own_target_by_name(pair: Pair) -> None:
    answer = pair.delhi.admin(
        f"define server delhi password=x1234567 hladdress=10.0.0.1 lladdress={pair.tokyo.port}",
        allow=(3,),
    )
    assert "ANR1668E" in answer.text and "DELHI" in answer.text


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "0.0.0.0", "127.9.9.9"])
def test_a_server_cannot_be_defined_as_its_own_target_by_address(pair: Pair, address: str) -> None:
    port = pair.delhi.port
    for command in (
        f"define server mirror password=x1234567 hladdress={address} lladdress={port}",
        f"update server tokyo hladdress={address} lladdress={port}",
    ):
        answer = pair.delhi.admin(command, allow=(3,))
        assert "ANR1669E" in answer.text and str(port) in answer.text


@pytest.fixture
def itself(filled: Pair) -> Pair:
    """DELHI's definition of TOKYO leads to DELHI, by an address that does not look like it."""
    filled.delhi.admin(f"register node delhi {PASSWORD} type=server")
    filled.delhi.admin(
        f"define server mirror password={PASSWORD} hladdress=127.1 lladdress={filled.delhi.port}"
    )
    filled.delhi.admin("update server mirror nodename=delhi")
    filled.delhi.admin("define devclass mirrorclass devtype=server servername=mirror retryperiod=0")
    filled.delhi.admin("define stgpool mirrorpool mirrorclass pooltype=copy maxscratch=2")
    return filled


def test_a_server_that_reaches_itself_is_refused_by_its_identity_key(itself: Pair) -> None:
    assert socket.gethostbyname("127.1") == "127.0.0.1"
    failed = itself.delhi.admin("backup stgpool tapepool mirrorpool wait=yes", allow=(4,)).text
    assert "ANR0499E" in failed and "this server itself" in failed
    assert "ANR0499E" in itself.delhi.admin("ping server mirror", allow=(14,)).text
    assert "itself" in said(itself.delhi, 499)
    assert "ANR0440W" in said(itself.delhi, 440)


def test_a_target_refuses_a_source_that_shows_its_own_identity(pair: Pair) -> None:
    """A copy of TOKYO's folder that calls itself DELHI and asks no questions of its own."""
    proof = source_proof(pair.tokyo.server.identity, new_code(), False)
    connection = dial("127.0.0.1", pair.tokyo.port)
    login = ClientLogin(SOURCE, "delhi", PASSWORD, connection.peer_certificate_der, proof=proof)
    login._own_identity = b""
    with pytest.raises(LoginRefused, match="ANR0498W"):
        sign_on(connection, login)
    connection.close()
    assert "belongs to this server itself" in said(pair.tokyo, 498)
