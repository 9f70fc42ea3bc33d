"""A server killed while it writes a pool and its copy pools at once: a transaction is in all of them or in none."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.node_client import NodeClient
from tests.grid.server_process import ForkedServer

from farvault.apps.server import Server
from farvault.base.errors import FarvaultError
from farvault.catalog import audit, nouns
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import READWRITE, UNAVAILABLE, Volume
from farvault.protocol.login import NODE, ClientLogin
from farvault.transport.dial import dial, sign_on

ROUNDS = 4

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Backups go to FILEPOOL, and at the same time to two copy pools."""
    server = GridServer("DELHI", str(tmp_path_factory.mktemp("prepared") / "delhi")).start()
    for command in (
        f"register node ann {PASSWORD}",
        "define devclass copyclass devtype=file maxcapacity=8m",
        "define stgpool copya copyclass pooltype=copy maxscratch=50 collocate=node",
        "define stgpool copyb copyclass pooltype=copy maxscratch=50",
        "update stgpool backuppool copystgpools=copya,copyb autocopy=client",
    ):
        server.admin(command)
    server.stop()
    yield server.folder


def connect(port: int) -> NodeClient:
    connection = dial("127.0.0.1", port)
    welcome = sign_on(connection, ClientLogin(NODE, "ann", PASSWORD, connection.peer_certificate_der))
    client = NodeClient((connection, welcome), "ANN")
    client.register()
    return client


def store_until_it_dies(port: int) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """What was acknowledged, and how it would be after the one request that was not."""
    client = connect(port)
    done: dict[bytes, bytes] = {}
    pending = done
    with contextlib.suppress(FarvaultError):
        for number in range(ROUNDS):
            pending = done | {b"f%d" % number: os.urandom(200_000)}
            client.store({b"f%d" % number: pending[b"f%d" % number]})
            done = pending
    client.close()
    return done, pending


@pytest.mark.parametrize(
    "crash_at",
    [
        "simultaneous.copy.before_sync#1",
        "simultaneous.copy.before_sync#4",
        "simultaneous.copies.after_sync#1",
        "simultaneous.copies.after_sync#3",
        "transaction.commit.after_catalog#2",
    ],
)
def test_a_transaction_is_in_all_pools_or_in_none(prepared: str, tmp_path: Path, crash_at: str) -> None:
    folder = str(tmp_path / "delhi")
    shutil.copytree(prepared, folder)
    running = ForkedServer(folder, crash_at)
    try:
        done, pending = store_until_it_dies(running.port)
        assert running.was_killed(), "it never came by there"
    finally:
        running.kill()
    server = Server(folder)
    server.start()
    try:
        for away in ((), ("FILEPOOL",), ("FILEPOOL", "COPYA"), ("FILEPOOL", "COPYB")):
            set_access(server, away, UNAVAILABLE)
            with connect(server.port) as ann:
                assert ann.read_all() in (done, pending), f"without {away}"
            set_access(server, away, READWRITE)
        with server.catalog.read() as r:
            assert list(audit.check_sums(r)) == [] and list(audit.check_row_digests(r)) == []
    finally:
        server.stop()


def set_access(server: Server, pools: tuple[str, ...], access: str) -> None:
    with server.catalog.write() as tx:
        for name in pools:
            for volume in nouns.select(tx, Volume, pool_id=nouns.get(tx, StoragePool, name).id):
                nouns.update(tx, msgspec.structs.replace(volume, access=access))
