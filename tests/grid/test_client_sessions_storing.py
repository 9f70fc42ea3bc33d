"""What a node stores comes back; what is not its own stays hidden; what was not acknowledged never shows."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.node_client import NodeClient, some_files

from farvault.base.errors import FarvaultError, NotAuthorized, NotFound, PeerUnreachable
from farvault.model.stored_object import ObjectKind
from farvault.protocol.messages import (
    AttributesRow,
    BeginTransaction,
    Command,
    Done,
    EndTransaction,
    ExpireObjects,
    FileSpaceAnswer,
    FileSpaces,
    Policy,
    QueryFileSpaces,
    QueryPolicy,
    RegisterFileSpace,
    UpdateObjects,
)

MakeServer = Callable[[str], GridServer]


@pytest.fixture
def delhi(make_server: MakeServer) -> GridServer:
    server = make_server("DELHI")
    for node in ("ann", "bob"):
        server.admin(f"register node {node} {PASSWORD}")
    return server


def _client(server: GridServer, node: str = "ANN") -> NodeClient:
    client = NodeClient(server.sign_on(node), node)
    client.register()
    return client


@pytest.fixture
def ann(delhi: GridServer) -> NodeClient:
    return _client(delhi)


# --- policy and file spaces ------------------------------------------------------------------------------------------


def test_a_node_gets_its_active_policy(ann: NodeClient) -> None:
    policy = ann.connection.call(QueryPolicy(), Policy)
    assert (policy.domain, policy.default_class) == ("STANDARD", "STANDARD")
    (only,) = policy.classes
    assert only.backup is not None and only.archive is not None
    assert (only.backup.destination, only.archive.retain_version_days) == ("BACKUPPOOL", 365)


def test_file_spaces_are_numbered_and_keep_what_the_client_told(ann: NodeClient) -> None:
    register = RegisterFileSpace(name="/data", type="EXT4", capacity_bytes=1000, occupied_bytes=10)
    ann.connection.send(register)
    ann.connection.receive()
    rows = ann.connection.call(QueryFileSpaces(), FileSpaces).rows
    assert [(row.number, row.name, row.type) for row in rows] == [(1, "/home", ""), (2, "/data", "EXT4")]
    answer = ann.register(backup_started=True)
    assert answer.file_space.backup_start_time is not None
    assert answer.file_space.backup_end_time is None
    assert not answer.has_objects
    ann.store(some_files(1))
    assert ann.register(backup_ended=True).has_objects


@pytest.mark.parametrize("name", ["", "x" * 1025, "/two\nlines", "/red\x1b[31m", "/\x9b31m", "/\u202eback"])
def test_a_name_that_no_list_can_show_is_refused_and_the_session_goes_on(ann: NodeClient, name: str) -> None:
    with pytest.raises(FarvaultError) as caught:
        ann.connection.call(RegisterFileSpace(name=name), Done)
    assert caught.value.message.id == "ANR0565E"
    assert ann.connection.call(RegisterFileSpace(name="/\u0647\u200c\u0627 \u3000"), FileSpaceAnswer)
    assert ann.connection.call(QueryFileSpaces(), FileSpaces)


def test_what_a_node_calls_its_file_systems_draws_nothing(delhi: GridServer, ann: NodeClient) -> None:
    ann.register(type="EXT4\x1b[31m\nB")
    assert "EXT4\\x1b[31m\\x0aB" in delhi.admin("query filespace").text


# --- store, list, read -----------------------------------------------------------------------------------------------


def test_what_was_stored_comes_back_byte_for_byte(ann: NodeClient) -> None:
    files = some_files(50) | {b"empty": b"", b"\xff not utf-8": b"x", b"big": os.urandom(3_000_000)}
    answer = ann.store(files)
    assert (answer.objects, answer.new_extents) == (53, 52)
    assert ann.read_all() == files
    assert ann.inventory()[b"empty"].attributes == b"attributes of empty"


def test_everything_survives_a_restart(delhi: GridServer, ann: NodeClient) -> None:
    files = some_files(20)
    ann.store(files)
    ann.close()
    delhi.restart()
    with _client(delhi) as again:
        assert again.read_all() == files


def test_a_new_version_replaces_the_active_one_and_the_old_one_stays(ann: NodeClient) -> None:
    ann.store({b"a": b"first"})
    (old,) = ann.inventory().values()
    ann.store({b"a": b"second"})
    assert ann.read_all() == {b"a": b"second"}
    assert ann.read([old.id]).contents == {old.id: b"first"}


def test_archives_and_backups_do_not_mix(ann: NodeClient) -> None:
    ann.store({b"a": b"backed up"})
    ann.store({b"a": b"archived"}, kind=ObjectKind.ARCHIVE)
    (archived,) = ann.inventory(kind=ObjectKind.ARCHIVE).values()
    assert ann.read([archived.id]).contents == {archived.id: b"archived"}
    assert ann.read_all() == {b"a": b"backed up"}


def test_expired_and_updated_objects_change_with_the_transaction(ann: NodeClient) -> None:
    ann.store({b"a": b"1", b"b": b"2"})
    rows = ann.inventory()
    ann.begin()
    ann.connection.send(ExpireObjects(ids=(rows[b"a"].id,)))
    ann.connection.send(UpdateObjects(rows=(AttributesRow(rows[b"b"].id, b"new"),)))
    answer = ann.commit()
    assert (answer.expired, answer.updated) == (1, 1)
    after = ann.inventory()
    assert set(after) == {b"b"}
    assert after[b"b"].attributes == b"new"


def test_a_transaction_that_is_given_up_leaves_nothing(ann: NodeClient) -> None:
    ann.begin()
    ann.send_pack(some_files(3).items())
    ann.connection.call(EndTransaction(commit=False), Done)
    assert ann.inventory() == {}
    files = some_files(2)
    ann.store(files)
    assert ann.read_all() == files


def test_a_node_that_dies_in_a_transaction_leaves_nothing_visible(delhi: GridServer, ann: NodeClient) -> None:
    kept = some_files(5)
    ann.store(kept)
    ann.begin()
    ann.send_pack(some_files(5, 100_000).items())
    ann.connection.close()
    delhi.lines.wait_for("ANR0480W")
    with _client(delhi) as again:
        assert again.read_all() == kept
        again.store({b"later": b"fine"})
        assert set(again.inventory()) == {*kept, b"later"}


# --- refusals inside a transaction ---------------------------------------------------------------------------------


def test_damaged_bytes_are_refused_at_the_end_and_nothing_is_kept(delhi: GridServer, ann: NodeClient) -> None:
    def flip(plain: bytes) -> bytes:
        return plain[:-1] + bytes((plain[-1] ^ 1,))

    ann.begin()
    ann.send_pack({b"a": b"content"}.items(), change=flip)
    with pytest.raises(FarvaultError):
        ann.commit()
    delhi.lines.wait_for("ANR0532W")
    assert ann.inventory() == {}
    ann.store({b"a": b"content"})
    assert ann.read_all() == {b"a": b"content"}


def test_a_pack_in_another_nodes_name_is_refused(ann: NodeClient) -> None:
    ann.begin()
    honest, ann.node = ann.node, "BOB"
    ann.send_pack({b"a": b"content"}.items())
    ann.node = honest
    with pytest.raises(FarvaultError):
        ann.commit()
    assert ann.inventory() == {}


def test_more_objects_than_txngroupmax_are_refused(delhi: GridServer) -> None:
    delhi.admin("update node ann txngroupmax=10")
    with _client(delhi) as ann:
        assert ann.welcome.transaction_objects == 10
        with pytest.raises(FarvaultError) as caught:
            ann.store(some_files(11, 10))
        assert caught.value.message.id == "ANR0445W"
        assert ann.store(some_files(10, 10)).objects == 10


@pytest.mark.parametrize(
    ("begin", "message_id"),
    [
        (BeginTransaction(file_space="/home", kind=1, management_class="NOSUCH"), "ANR0561W"),
        (BeginTransaction(file_space="/nowhere", kind=1, management_class="STANDARD"), "ANR0531W"),
        (BeginTransaction(file_space="/home", kind=3, management_class="STANDARD"), "ANR0560W"),
        (BeginTransaction(file_space="/home", kind=77, management_class="STANDARD"), "ANR0560W"),
    ],
)
def test_what_has_nowhere_to_go_is_refused_at_the_start(
    ann: NodeClient, begin: BeginTransaction, message_id: str
) -> None:
    with pytest.raises(NotFound) as caught:
        ann.connection.call(begin, Done)
    assert caught.value.message.id == message_id
    assert ann.store({b"a": b"1"}).objects == 1


def test_a_class_without_a_copy_group_of_the_kind_takes_nothing_of_it(
    delhi: GridServer, ann: NodeClient
) -> None:
    delhi.admin("delete copygroup standard standard standard type=archive")
    delhi.admin("activate policyset standard standard")
    with pytest.raises(NotFound) as caught:
        ann.begin(kind=ObjectKind.ARCHIVE)
    assert caught.value.message.id == "ANR0560W"


def test_a_verb_of_another_role_ends_the_session_with_one_line(delhi: GridServer, ann: NodeClient) -> None:
    ann.connection.send(Command(text="query node"))
    with pytest.raises((FarvaultError, PeerUnreachable)):
        ann.connection.expect(Done)
    delhi.lines.wait_for("ANR0484W")
    _client(delhi).close()


# --- one node and another --------------------------------------------------------------------------------------------


def test_nodes_do_not_see_each_other(delhi: GridServer, ann: NodeClient) -> None:
    ann.store({b"secret": b"ann's own"})
    (row,) = ann.inventory().values()
    with _client(delhi, "BOB") as bob:
        assert bob.inventory() == {}
        restored = bob.read([row.id])
        assert restored.contents == {}
        assert restored.lost == (row.id,)
        with pytest.raises(NotFound) as caught:
            bob.delete([row.id])
        assert caught.value.message.id == "ANR0558W"
        bob.begin()
        bob.connection.send(ExpireObjects(ids=(row.id,)))
        bob.connection.send(UpdateObjects(rows=(AttributesRow(row.id, b"bob was here"),)))
        answer = bob.commit()
        assert (answer.expired, answer.updated) == (0, 0)
    assert ann.inventory()[b"secret"] == row
    assert ann.read_all() == {b"secret": b"ann's own"}


def test_known_answers_for_what_this_node_has_sent_and_for_nothing_else(
    delhi: GridServer, ann: NodeClient
) -> None:
    mine, theirs = b"ann's " * 100, b"bob's " * 100
    ann.store({b"a": mine})
    with _client(delhi, "BOB") as bob:
        bob.store({b"b": theirs})
        bob.begin()
        assert bob.known([mine, theirs, b"nobody's"]) == b"\0\1\0"
        bob.connection.call(EndTransaction(commit=False), Done)
    ann.begin()
    assert ann.known([mine, theirs]) == b"\1\0"


def test_naming_an_extent_of_another_node_does_not_give_it(delhi: GridServer, ann: NodeClient) -> None:
    secret = b"ann's own content"
    ann.store({b"a": secret})
    with _client(delhi, "BOB") as bob:
        bob.begin()
        bob.send_pack({b"stolen": secret}.items(), known=[secret])
        with pytest.raises(FarvaultError):
            bob.commit()
        assert bob.inventory() == {}


def test_what_is_known_is_not_sent_again(ann: NodeClient) -> None:
    content = os.urandom(100_000)
    ann.store({b"a": content})
    ann.begin()
    assert ann.known([content]) == b"\1"
    ann.send_pack({b"b": content}.items(), known=[content])
    answer = ann.commit()
    assert (answer.objects, answer.new_extents, answer.stored_bytes) == (1, 0, 0)
    assert ann.read_all() == {b"a": content, b"b": content}


def test_two_nodes_may_store_the_same_file_at_the_same_time(delhi: GridServer, ann: NodeClient) -> None:
    content = os.urandom(50_000)
    with _client(delhi, "BOB") as bob:
        ann.begin()
        bob.begin()
        ann.send_pack({b"x": content}.items())
        bob.send_pack({b"y": content}.items())
        ann.commit()
        bob.commit()
        assert ann.read_all() == {b"x": content}
        assert bob.read_all() == {b"y": content}


# --- deleting --------------------------------------------------------------------------------------------------------


def test_backups_are_deleted_only_with_the_right(delhi: GridServer, ann: NodeClient) -> None:
    ann.store({b"a": b"1", b"b": b"2"})
    rows = ann.inventory()
    with pytest.raises(NotAuthorized) as caught:
        ann.delete([rows[b"a"].id])
    assert caught.value.message.id == "ANR0563W"
    delhi.admin("update node ann backdelete=yes")
    assert ann.delete([rows[b"a"].id]).expired == 1
    assert ann.read_all() == {b"b": b"2"}


def test_archives_may_be_deleted_unless_it_is_forbidden(delhi: GridServer, ann: NodeClient) -> None:
    ann.store({b"a": b"1", b"b": b"2"}, kind=ObjectKind.ARCHIVE)
    rows = ann.inventory(kind=ObjectKind.ARCHIVE)
    assert ann.delete([rows[b"a"].id]).expired == 1
    delhi.admin("update node ann archdelete=no")
    with pytest.raises(NotAuthorized):
        ann.delete([rows[b"b"].id])
    assert set(ann.inventory(kind=ObjectKind.ARCHIVE)) == {b"b"}


def test_a_removed_node_finds_its_session_refused(delhi: GridServer) -> None:
    connection, _ = delhi.sign_on("bob")
    delhi.admin("remove node bob", allow=(0, 12, 13))
    with pytest.raises(FarvaultError):
        connection.call(QueryPolicy(), FileSpaces)
    connection.close()


# --- when we are at fault, or nobody says anything -------------------------------------------------------------------


def test_a_defect_ends_the_session_with_a_word_and_the_server_lives(
    delhi: GridServer, ann: NodeClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("farvault.sessions.node_query.active_policy", fail)
    with pytest.raises(FarvaultError) as caught:
        ann.connection.call(QueryPolicy(), Policy)
    assert caught.value.message.id == "ANR0530W"
    assert "ZeroDivisionError" not in caught.value.message.text
    assert "ZeroDivisionError" in str(delhi.lines.wait_for("ANR9999D"))
    delhi.lines.wait_for("ANR0486W")
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.undo()
    _client(delhi).close()


def test_a_session_that_asks_nothing_is_closed(delhi: GridServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farvault.sessions.node_session.IDLE_SECONDS", 0.05)
    connection, _ = delhi.sign_on("ann")
    with pytest.raises(PeerUnreachable):
        connection.receive()
    connection.close()
    delhi.lines.wait_for("ANR0482W")


def test_inside_a_transaction_patience_is_shorter_and_nothing_stays(
    delhi: GridServer, ann: NodeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("farvault.sessions.node_store.TRANSACTION_SECONDS", 0.05)
    ann.begin()
    with pytest.raises(PeerUnreachable):
        ann.connection.receive()
    assert "15 minutes" not in str(delhi.lines.wait_for("ANR0482W")), "the limit that was passed is told"
    with _client(delhi) as again:
        assert again.inventory() == {}
