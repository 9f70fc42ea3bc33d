"""A server killed with SIGKILL at any durable step of storing and deleting loses nothing it has acknowledged.

A client stores and deletes until the server dies at the named step. Then the server is started again, and what it
acknowledged must be there byte for byte; the one request it did not answer has happened as a whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from tests.faults.proxy import Proxy
from tests.grid.client_command import Client, own_file_space
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.node_client import NodeClient
from tests.grid.server_process import ForkedServer

from farvault.base.errors import FarvaultError
from farvault.model.stored_object import ObjectKind
from farvault.protocol.login import NODE, ClientLogin
from farvault.transport.dial import dial, sign_on

SOURCE = Path(__file__).parents[2] / "src" / "farvault"
ON_THE_WAY = re.compile(
    r"catalog\.(commit\.(before|after)$|checkpoint)|transaction\.|volume\.(?!define)|writer\."
)
"""Steps that storing and deleting come past; whatever else has steps has its own tests that kill there."""
ROUNDS = 11

pytestmark = pytest.mark.slow


def _arrivals() -> list[str]:
    """`label#n` for every label on the way; a checkpoint is made only at the end, commits are many."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        found.update(re.findall(r'crash_point\("([^"]+)"\)', path.read_text()))
    counts = {"catalog.checkpoint": (1,), "catalog.commit": (1, 4, 7, 12, 19)}
    return [
        f"{label}#{count}"
        for label in sorted(found)
        if ON_THE_WAY.match(label)
        for count in counts.get(label.rpartition(".")[0], (1, 3))
    ]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose backups go to a random-access volume and whose archives go to files it makes itself."""
    server = GridServer("DELHI", str(tmp_path_factory.mktemp("prepared") / "delhi")).start()
    server.admin(f"register node ann {PASSWORD} backdelete=yes")
    server.admin(f"define volume backuppool {server.folder}/volumes/one.dsm formatsize=16")
    server.stop()
    yield server.folder


@dataclass
class Acknowledged:
    """What the server has promised: contents by name. `pending`: what it was asked for last, unanswered."""

    backups: dict[bytes, bytes] = field(default_factory=dict)
    archives: dict[bytes, bytes] = field(default_factory=dict)
    pending: tuple[int, dict[bytes, bytes]] | None = None
    """(kind, how it would be after that request)"""


def _connect(port: int) -> NodeClient:
    connection = dial("127.0.0.1", port)
    welcome = sign_on(connection, ClientLogin(NODE, "ann", PASSWORD, connection.peer_certificate_der))
    client = NodeClient((connection, welcome), "ANN")
    client.register()
    return client


def _store_until_it_dies(port: int, done: Acknowledged) -> None:
    client = _connect(port)
    for number in range(ROUNDS):
        files = {b"b%d" % number: os.urandom(70_000), b"same": os.urandom(3000)}
        done.pending = (ObjectKind.BACKUP, done.backups | files)
        client.store(files)
        done.backups = done.pending[1]
        files = {b"a%d" % number: os.urandom(50_000)}
        done.pending = (ObjectKind.ARCHIVE, done.archives | files)
        client.store(files, kind=ObjectKind.ARCHIVE)
        done.archives = done.pending[1]
        if number % 3 == 2:
            rows = client.inventory(kind=ObjectKind.ARCHIVE)
            done.pending = (ObjectKind.ARCHIVE, {})
            client.delete([row.id for row in rows.values()])
            done.archives = {}
    done.pending = None
    client.close()


def _contents(client: NodeClient, kind: int) -> dict[bytes, bytes]:
    rows = client.inventory(kind=kind)
    restored = client.read(row.id for row in rows.values())
    assert not restored.lost
    return {name: restored.contents[row.id] for name, row in rows.items()}


@pytest.mark.parametrize("arrival", _arrivals())
def test_nothing_acknowledged_is_lost(prepared: str, tmp_path: Path, arrival: str) -> None:
    folder = str(tmp_path / "delhi")
    shutil.copytree(prepared, folder)
    done = Acknowledged()
    running = ForkedServer(folder, arrival)
    if running.port:
        try:
            _store_until_it_dies(running.port, done)
        except FarvaultError:
            pass  # the link broke: it is dead
        else:
            running.process.terminate()
    assert running.was_killed(), "this step was never reached so often"
    _check(folder, done)


def _check(folder: str, done: Acknowledged) -> None:
    again = ForkedServer(folder)
    try:
        with _connect(again.port) as client:
            for kind, promised in ((ObjectKind.BACKUP, done.backups), (ObjectKind.ARCHIVE, done.archives)):
                found = _contents(client, kind)
                assert found == promised or (done.pending is not None and (kind, found) == done.pending)
            client.store({b"afterwards": b"as usual"})
            assert _contents(client, ObjectKind.BACKUP)[b"afterwards"] == b"as usual"
    finally:
        again.process.terminate()
        assert again.wait() == 0


@pytest.mark.parametrize("label", ["transaction.commit.before_catalog", "transaction.commit.after_catalog"])
def test_a_client_that_meets_the_next_start_of_a_killed_server_stores_once(
    prepared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    """Killed between the commit and its answer, too."""
    folder = str(tmp_path / "delhi")
    shutil.copytree(prepared, folder)
    own_file_space(tmp_path, monkeypatch)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("content")
    running = [ForkedServer(folder, f"{label}#1")]

    def start_again() -> None:
        assert running[0].was_killed()
        running.append(ForkedServer(folder))

    again = threading.Thread(target=start_again)
    again.start()
    with contextlib.closing(Proxy(lambda: running[-1].port)) as proxy:
        client = Client(cast(GridServer, None), port=proxy.port)
        outcome = client.run("archive", f"{tree}/*", "-commrestartinterval=0")
        again.join()
        assert (outcome.code, outcome.count("archived"), outcome.count("failed")) == (8, 2, 0)
        assert client.succeed("query", "archive", f"{tree}/*").output.count("/file") == 1
        client.succeed("retrieve", f"{tree}/file", f"{tmp_path}/back")
        assert (tmp_path / "back").read_text() == "content"
    running[-1].process.terminate()
    assert running[-1].wait() == 0
