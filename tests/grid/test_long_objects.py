"""Objects with more extents than a frame has room for come back whole. The bound is lowered: the real one is a file of 30 GiB."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.grid.client_command import Client
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.node_client import NodeClient

from farvault.base.units import MIB
from farvault.model.stored_object import ObjectKind, ObjectType
from farvault.protocol.messages import ObjectMaps, ReadObjects, StorePack
from farvault.seal.compress import RAW
from farvault.seal.digest import digest
from farvault.seal.pack import PackBuilder
from farvault.sessions import node_read


@pytest.fixture
def client(
    make_server: Callable[[str], GridServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Client:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(node_read, "BATCH_EXTENTS", 2)
    server = make_server("DELHI")
    server.admin(f"register node ann {PASSWORD}")
    return Client(server)


def test_long_sparse_and_short_files_come_back(client: Client, tmp_path: Path) -> None:
    tree, target = tmp_path / "tree", tmp_path / "back"
    tree.mkdir()
    dice = random.Random(1)
    (tree / "long").write_bytes(dice.randbytes(20 * MIB + 123))
    with open(tree / "sparse", "wb") as file:
        for position in (0, 9 * MIB, 20 * MIB):
            os.pwrite(file.fileno(), dice.randbytes(3 * MIB), position)
        os.ftruncate(file.fileno(), 40 * MIB)
    (tree / "hole").touch()
    os.truncate(tree / "hole", 5 * MIB)
    (tree / "short").write_bytes(b"short")
    client.succeed("incremental", f"{tree}/", "-subdir=yes")
    client.succeed("restore", f"{tree}/*", f"{target}/", "-subdir=yes", "-preservepath=none")
    for path in tree.iterdir():
        assert (target / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_raw_session_gets_all_rows_of_an_object(client: Client) -> None:
    pieces = [bytes([number]) * 1000 for number in range(7)]
    with NodeClient(client.server.sign_on("ann"), "ANN") as node:
        node.register()
        builder = PackBuilder("ANN", node.file_space, ObjectKind.BACKUP, "STANDARD")
        extents = [builder.add_extent(digest(piece), piece) for piece in pieces]
        builder.add_object(b"", b"seven", ObjectType.FILE, 7000, b"", extents=extents)
        plain = bytes(builder.build())
        node.begin()
        node.connection.send(StorePack(codec=RAW, plain_bytes=len(plain)), plain)
        node.commit()
        assert node.read_all() == {b"seven": b"".join(pieces)}
        (row,) = node.inventory().values()
        node.connection.send(ReadObjects(ids=(row.id,)))
        seen = [node.connection.expect(ObjectMaps)[0].rows for _ in range(4)]
    assert [(len(each.lengths), each.more) for rows in seen for each in rows] == [
        (2, True),
        (2, True),
        (2, True),
        (1, False),
    ]
