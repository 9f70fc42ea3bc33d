"""Who may sign on, and what everybody else is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.grid.grid_server import PASSWORD, GridServer

from farvault.base.errors import LoginRefused, PeerUnreachable
from farvault.protocol.login import ADMIN, NODE, SERVER, SOURCE
from farvault.protocol.messages import Done, Ping, SignOff, Welcome
from farvault.seal.identity import Identity, new_code
from farvault.transport.dial import dial, source_proof

MakeServer = Callable[[str], GridServer]


@pytest.fixture
def delhi(make_server: MakeServer) -> GridServer:
    server = make_server("DELHI")
    server.admin(f"register node ann {PASSWORD}")
    server.admin(f"register node vault {PASSWORD} type=server")
    server.admin(f"register admin root {PASSWORD}")
    return server


@pytest.mark.parametrize(
    ("role", "name", "password", "message_id"),
    [
        (NODE, "nobody", PASSWORD, "ANR0422W"),
        (SOURCE, "nobody", PASSWORD, "ANR0422W"),
        (ADMIN, "nobody", PASSWORD, "ANR0423W"),
        (SERVER, "nobody", PASSWORD, "ANR0450W"),
        (NODE, "ann", "wrong", "ANR0424W"),
        (ADMIN, "root", "wrong", "ANR0424W"),
        (NODE, "vault", PASSWORD, "ANR0495W"),
        (SOURCE, "ann", PASSWORD, "ANR0496W"),
        (ADMIN, "ADMIN", PASSWORD, "ANR0424W"),
    ],
)
def test_each_refusal_has_its_own_message(
    delhi: GridServer, role: str, name: str, password: str, message_id: str
) -> None:
    with pytest.raises(LoginRefused) as caught:
        delhi.sign_on(name, password, role=role)
    assert caught.value.message.id == message_id
    said = delhi.lines.wait_for(message_id)
    assert name.upper() in str(said).upper()


@pytest.mark.parametrize(
    ("command", "undo", "role", "name", "message_id"),
    [
        ("lock node ann", "unlock node ann", NODE, "ann", "ANR0430W"),
        ("lock admin root", "unlock admin root", ADMIN, "root", "ANR0431W"),
        ("disable sessions client", "enable sessions client", NODE, "ann", "ANR0420W"),
    ],
)
def test_what_an_administrator_closes_he_can_open_again(
    delhi: GridServer, command: str, undo: str, role: str, name: str, message_id: str
) -> None:
    delhi.admin(command)
    with pytest.raises(LoginRefused) as caught:
        delhi.sign_on(name, role=role)
    assert caught.value.message.id == message_id
    delhi.admin(undo)
    delhi.sign_on(name, role=role)[0].close()


def test_why_a_locked_node_is_refused_is_told_only_with_the_right_password(delhi: GridServer) -> None:
    delhi.admin("lock node ann")
    with pytest.raises(LoginRefused) as caught:
        delhi.sign_on("ann", "wrong")
    assert caught.value.message.id == "ANR0424W"


def test_names_are_folded_and_a_session_is_seen_while_it_lasts(delhi: GridServer) -> None:
    connection, welcome = delhi.sign_on("AnN")
    assert welcome.session > 0
    assert not welcome.read_only
    assert connection.call(Ping(), Done)
    (entry,) = delhi.server.session_table.list()
    assert (entry.number, entry.type, entry.name, entry.platform) == (welcome.session, "Node", "ANN", "Linux")
    connection.send(SignOff())
    delhi.lines.wait_for("ANR0403I")
    connection.close()
    started, ended = delhi.lines.wait_for("ANR0406I"), delhi.lines.wait_for("ANR0403I")
    assert started.session == ended.session == welcome.session
    assert started.node == "ANN"


def test_the_last_access_is_kept(delhi: GridServer) -> None:
    delhi.sign_on("ann")[0].close()
    delhi.lines.wait_for("ANR0403I")
    delhi.restart()
    assert "Linux" in delhi.admin("query node ann").text
    connection, welcome = delhi.sign_on("ann")
    connection.close()
    assert welcome.last_access_time > 0


def test_the_console_secret_of_the_folder_opens_an_administrators_session(delhi: GridServer) -> None:
    connection, _ = delhi.sign_on("SERVER_CONSOLE", delhi.server.folder.console_secret(), role=ADMIN)
    connection.close()
    with pytest.raises(LoginRefused):
        delhi.sign_on("SERVER_CONSOLE", "guess", role=ADMIN)


def test_guessing_gets_slower(delhi: GridServer) -> None:
    refused = []
    for _ in range(7):
        with pytest.raises(LoginRefused) as caught:
            delhi.sign_on("ann", "wrong")
        refused.append(caught.value.message.id)
    assert refused[:5] == ["ANR0424W"] * 5
    assert "ANR0421W" in refused[5:]


def test_a_server_that_is_defined_here_may_ping(make_server: MakeServer) -> None:
    delhi, tokyo = make_server("DELHI"), make_server("TOKYO")
    delhi.admin("set serverpassword delhis-own")
    tokyo.admin(f"define server delhi serverpassword=delhis-own hladdress=127.0.0.1 lladdress={delhi.port}")
    delhi.admin(f"define server tokyo serverpassword=tokyos-own hladdress=127.0.0.1 lladdress={tokyo.port}")
    delhi.admin("ping server tokyo")
    tokyo.lines.wait_for("ANR0408I")
    tokyo.lines.wait_for("ANR0409I")


def test_rubbish_on_the_port_is_one_line_in_the_log_and_hurts_nobody(delhi: GridServer) -> None:
    connection = dial("127.0.0.1", delhi.port)
    connection._link.write(memoryview(b"GET / HTTP/1.1\r\n\r\n" + bytes(100)), 5, None)
    with pytest.raises(PeerUnreachable):
        connection.receive()
    connection.close()
    delhi.lines.wait_for("ANR0440W")
    delhi.sign_on("ann")[0].close()


def test_a_cancelled_session_ends_and_says_who_did_it(delhi: GridServer) -> None:
    connection, welcome = delhi.sign_on("ann")
    delhi.admin(f"cancel session {welcome.session}")
    with pytest.raises(PeerUnreachable):
        connection.receive()
    connection.close()
    delhi.lines.wait_for("ANR0483W")


def _source(server: GridServer, identity: Identity, code: bytes, *, force_sync: bool = False) -> Welcome:
    proof = source_proof(identity, code, force_sync)
    connection, welcome = server.sign_on("vault", role=SOURCE, proof=proof, server_name="ELSEWHERE")
    connection.close()
    return welcome


def test_a_source_registers_its_code_and_later_only_that_code_may_write(delhi: GridServer) -> None:
    identity, code = Identity.create("ELSEWHERE"), new_code()
    assert _source(delhi, identity, code).code_registered
    delhi.lines.wait_for("ANR0567I")
    delhi.restart()
    again = _source(delhi, identity, code)
    assert (again.read_only, again.code_registered) == (False, False)
    assert _source(delhi, identity, new_code()).read_only
    assert _source(delhi, Identity.create("ELSEWHERE"), code).read_only


def test_force_sync_takes_a_new_code_but_no_other_identity(delhi: GridServer) -> None:
    identity, thief = Identity.create("ELSEWHERE"), Identity.create("THIEF")
    _source(delhi, identity, new_code())
    assert _source(delhi, identity, new_code(), force_sync=True).code_registered
    waits = _source(delhi, thief, new_code(), force_sync=True)
    assert (waits.read_only, waits.sync_pending, waits.code_registered) == (True, True, False)
    delhi.lines.wait_for("ANR0570W")
    assert _source(delhi, thief, new_code()).read_only
    delhi.admin("update node vault forcesync=yes")
    assert _source(delhi, thief, new_code()).code_registered


def test_a_server_is_not_its_own_vault(delhi: GridServer) -> None:
    with pytest.raises(LoginRefused) as caught:
        _source(delhi, delhi.server.identity, new_code())
    assert caught.value.message.id in ("ANR0498W", "ANR0499E")
