"""When something is wrong: passwords, addresses, broken links, full pools, damaged volumes, unknown words."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.proxy import DOWN, Cut, Proxy
from tests.grid.client_command import Client, own_file_space
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.node_client import NodeClient

from farvault.base.disk import observe_crash_points
from farvault.client import restore as client_restore
from farvault.client.commands import run
from farvault.protocol.messages import AttributesRow, UpdateObjects
from farvault.transport.known_servers import KnownServers
from farvault.transport.ports import unused_port


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "file").write_text("content")
    return folder


def some_tree(folder: Path, files: int) -> Path:
    folder.mkdir()
    for number in range(files):
        (folder / f"file{number}").write_text(f"content {number}")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def at_point() -> Iterator[Callable[[str, Callable[[], None]], None]]:
    """`at_point(label, action)`: once, when the client or the server comes by there."""

    def observe(label: str, action: Callable[[], None]) -> None:
        left = [action]
        observe_crash_points(lambda passed: left.pop()() if passed == label and left else None)

    yield observe
    observe_crash_points(None)


def test_a_wrong_password_is_refused(server: GridServer, tree: Path) -> None:
    outcome = Client(server, password="wrong-password-9").run("incremental", f"{tree}/")
    assert outcome.code == 12
    assert "ANR0424W" in outcome.errors and "ANS1025E" in outcome.errors


def test_an_unknown_node_is_refused(server: GridServer, tree: Path) -> None:
    outcome = Client(server, node="nobody").run("query", "session")
    assert outcome.code == 12 and "ANR0422W" in outcome.errors


def test_a_locked_node_is_refused(server: GridServer, client: Client) -> None:
    server.admin("lock node ann")
    outcome = client.run("query", "session")
    assert outcome.code == 12 and "ANR0430W" in outcome.errors


def test_a_server_that_does_not_listen_is_named(client: Client) -> None:
    outcome = client.run("query", "session", f"-tcpport={unused_port()}", "-tcpserveraddress=127.0.0.1")
    assert outcome.code == 0, "the address of -se= counts"
    client.server.stop()
    port = unused_port()
    client.server = type("Gone", (), {"port": port})()  # type: ignore[assignment]
    outcome = client.run("query", "session")
    assert outcome.code == 12
    assert "ANR8214E" in outcome.errors and "ANS1017E" in outcome.errors


def test_another_key_than_the_pinned_one_is_refused(client: Client) -> None:
    client.succeed("query", "session")
    KnownServers().remember("127.0.0.1", client.server.port, ":".join(["AB"] * 32))
    outcome = client.run("query", "session")
    assert outcome.code == 12 and "ANR8599E" in outcome.errors
    assert "ANS9823I" in outcome.output and KnownServers().path in outcome.output, "what to do about it"
    given = client.run("query", "session", f"-fingerprint={':'.join(['CD'] * 32)}")
    assert "ANR8599E" in given.errors and "ANS9823I" not in given.output


def test_the_first_contact_is_told_and_pinned(client: Client) -> None:
    assert "ANS9806I" in client.succeed("query", "session").output
    assert "ANS9806I" not in client.succeed("query", "session").output
    assert KnownServers().fingerprint("127.0.0.1", client.server.port) == client.server.server.fingerprint


def test_a_home_that_cannot_be_written_is_told_and_the_command_goes_on(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no-folder").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-folder"))
    outcome = client.run("query", "session")
    assert outcome.code == 8 and "ANS9829W" in outcome.errors
    assert "Session information" in outcome.output


def test_a_server_is_not_trusted_where_the_pins_cannot_be_read(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "other"))
    (tmp_path / "other" / "farvault" / "known_servers").mkdir(parents=True)
    outcome = client.run("query", "session")
    assert outcome.code == 12 and "ANR8221E" in outcome.errors


def test_a_password_can_come_from_a_file_or_the_environment(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    client.password = ""
    options = tmp_path / "client.opt"
    options.write_text(f"PASSWORDFILE {secret}\n")
    monkeypatch.setenv("FARVAULT_CLIENT_CONFIG", str(options))
    address = f"-se=127.0.0.1:{client.server.port}"
    assert run(["query", "session", address, "-nodename=ann", "-quiet"]) == 0
    monkeypatch.delenv("FARVAULT_CLIENT_CONFIG")
    monkeypatch.setenv("FARVAULT_CLIENT_PASSWORD", PASSWORD)
    assert run(["query", "session", address, "-nodename=ann", "-quiet"]) == 0


def test_a_cut_link_is_dialled_again_and_the_transaction_repeated(
    client: Client, tree: Path, at_point: Callable[[str, Callable[[], None]], None]
) -> None:
    def cut() -> None:
        for entry in client.server.server.session_table.list():
            client.server.server.session_table.cancel(entry.number)

    at_point("client.file.after_read", cut)
    outcome = client.run("selective", f"{tree}/*", "-commrestartinterval=0")
    assert "ANS1809W" in outcome.errors and "ANS1810E" in outcome.errors
    assert outcome.code == 8
    assert outcome.count("failed") == 0
    client.succeed("restore", f"{tree}/file", f"{tree}/copy")
    assert (tree / "copy").read_text() == "content"


def test_wherever_the_link_breaks_between_two_batches_each_file_is_restored_once(
    server: GridServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers for a batch arrive while the one before is written."""
    monkeypatch.setattr(client_restore, "BATCH_OBJECTS", 2)
    tree = some_tree(tmp_path / "tree", 7)
    with contextlib.closing(Proxy(lambda: server.port)) as proxy:
        client = Client(server, port=proxy.port)
        client.succeed("selective", f"{tree}/*")
        asked = ["restore", f"{tree}/*", f"{tmp_path}/restored/", "-preservepath=none", "-replace=all"]
        client.succeed(*asked, "-resourceutilization=1")
        last = proxy.connections[-1].records[DOWN]
        client.succeed("query", "backup", f"{tree}/*")
        first = proxy.connections[-1].records[DOWN]  # what the server answers up to the inventory
        noticed = 0
        for record in range(first, last):
            proxy.plan = [Cut(DOWN, record)]
            shutil.rmtree(tmp_path / "restored")
            outcome = client.run(*asked, "-resourceutilization=1", "-commrestartinterval=0")
            again = "ANS1809W" in outcome.errors
            noticed += again
            assert outcome.code == (8 if again else 0)
            assert (outcome.count("restored"), outcome.count("failed")) == (7, 0)
            assert outcome.output.count("[Done]") == 7
            assert contents(tmp_path / "restored") == contents(tree)
    assert noticed >= 9, "four batches, three frames each"


def test_a_server_that_stays_away_ends_the_command(
    client: Client, tree: Path, at_point: Callable[[str, Callable[[], None]], None]
) -> None:
    at_point("client.file.after_read", client.server.stop)
    outcome = client.run("selective", f"{tree}/*", "-commrestartinterval=0", "-commrestartduration=0")
    assert outcome.code == 12
    assert "ANS1811S" in outcome.errors
    assert outcome.count("backed up") == 0


def test_a_full_pool_refuses_the_transaction_and_the_server_stays_up(client: Client, tree: Path) -> None:
    server = client.server
    server.admin("define stgpool tinypool disk")
    server.admin("update copygroup standard standard standard destination=tinypool")
    server.admin("activate policyset standard standard", allow=(0, 4, 8))
    (tree / "large").write_bytes(os.urandom(3_000_000))
    outcome = client.run("incremental", f"{tree}/")
    assert outcome.code == 12
    assert "ANS9805E" in outcome.errors
    assert outcome.count("backed up") == 0
    assert client.run("query", "backup", f"{tree}/*").code == 8
    server.admin("update copygroup standard standard standard destination=backuppool")
    server.admin("activate policyset standard standard")
    client.succeed("incremental", f"{tree}/")


def test_after_a_few_refusals_the_rest_is_not_tried(client: Client, tree: Path) -> None:
    server = client.server
    server.admin("define stgpool tinypool disk")
    server.admin("update copygroup standard standard standard destination=tinypool")
    server.admin("activate policyset standard standard", allow=(0, 4, 8))
    for number in range(60):
        (tree / f"{number}").write_bytes(os.urandom(310_000))
    outcome = client.run("incremental", f"{tree}/", "-txnbytelimit=300K", "-resourceutilization=1")
    assert outcome.code == 12
    assert 3 <= outcome.errors.count("ANS9805E") <= 8


def test_a_class_without_a_copy_group_stores_nothing(client: Client, tree: Path) -> None:
    server = client.server
    server.admin("delete copygroup standard standard standard type=archive")
    server.admin("activate policyset standard standard", allow=(0, 4, 8))
    outcome = client.run("archive", f"{tree}/*")
    assert outcome.code == 12 and "ANS9802E" in outcome.errors


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["defrost"], "ANS9808E"),
        (["schedule"], "ANS9809E"),
        (["set", "access", "/x"], "ANS9809E"),
        (["selective"], "ANS1079E"),
        (["selective", "/a*/b"], "ANS1081E"),
        (["selective", "/does/not/exist/x"], "ANS1076E"),
        (["incremental", "/tmp/", "-nonsense=1"], "ANS1107E"),
        (["incremental", "/tmp/", "-subdir=perhaps"], "ANS1108E"),
        (["incremental", "/tmp/", "-subdir"], "ANS9822E"),
        (["incremental", "/tmp/", "-password="], "ANS9822E"),
        (["incremental", "/tmp/", "-virtualmountpoint=/tmp"], "ANS9821E"),
        (["incremental", "/tmp/", "-archmc=other"], "ANS9813E"),
        (["incremental", "/tmp/", "-filelist=names"], "ANS9801E"),
        (["incremental", "/tmp/", "-pitdate=2026-01-01"], "ANS9813E"),
        (["incremental", "/tmp/", "-optfile=/does/not/exist"], "ANS1035S"),
        (["restore", "/a", "/b", "/c"], "ANS9810E"),
    ],
)
def test_what_is_not_understood_or_not_there_is_refused(
    client: Client, words: list[str], message: str
) -> None:
    outcome = client.run(*words)
    assert outcome.code == 12
    assert message in outcome.errors


@pytest.mark.parametrize("verb", ["incremental", "selective", "archive"])
def test_a_pattern_that_matches_nothing_is_no_success(client: Client, tree: Path, verb: str) -> None:
    outcome = client.run(verb, f"{tree}/nothing*")
    assert outcome.code == 12 and "ANS1083E" in outcome.errors
    assert "without failure" not in outcome.output and "Successful" not in outcome.output


def test_help_tells_what_a_message_means_and_what_to_do(client: Client) -> None:
    assert "User response:" in client.succeed("help", "ANS9803E").output
    assert "ANS9824E" in client.run("help", "ANS9998E").errors


@pytest.mark.skipif(
    not os.path.isdir("/dev/shm"), reason="needs a file system with times beyond the year 2262"
)
def test_a_file_from_the_far_future_is_stored_with_the_others(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        own_file_space(Path(folder), monkeypatch)
        tree = some_tree(Path(folder) / "tree", 2)
        os.utime(tree / "file0", ns=(0, 2**62 * 10**9))
        for verb in ("incremental", "incremental", "selective"):
            outcome = client.run(verb, f"{tree}/*")
            assert outcome.count("failed") == 0
            assert outcome.code == (8 if "ANS9828W" in outcome.errors else 0)
        assert "ANS9828W" in outcome.errors
        client.succeed("restore", f"{tree}/*", f"{folder}/back/", "-preservepath=none")
        assert contents(Path(folder) / "back") == contents(tree)


def test_a_file_whose_attributes_the_server_has_lost_is_stored_anew(
    server: GridServer, client: Client, tree: Path, tmp_path: Path
) -> None:
    client.succeed("incremental", f"{tree}/")
    with NodeClient(server.sign_on("ann"), "ANN", str(tmp_path)) as ann:
        row = ann.inventory()[b"file"]
        ann.begin()
        ann.connection.send(UpdateObjects(rows=(AttributesRow(row.id, b"\xff\xff"),)))
        assert ann.commit().updated == 1
    assert "ANS9832W" in client.run("query", "backup", f"{tree}/*", "-detail").errors
    assert client.succeed("incremental", f"{tree}/").count("backed up") == 1
    assert client.succeed("incremental", f"{tree}/").count("backed up") == 0
    client.succeed("restore", f"{tree}/file", f"{tree}/copy")


def test_help_names_every_command_that_works(client: Client) -> None:
    text = client.succeed("help").output
    assert "-OPTFile" in text and "-INCLExcl" in text
    assert " EXCLUDE.DIR" in text and "VIRTUALMountpoint" in text and "-VIRTUALMountpoint" not in text
    assert "Incremental" in text and "-SUbdir" in text and "SCHedule" not in text
