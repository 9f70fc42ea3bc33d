"""A long file goes through several packs, is one object at the server, and comes back. The bound is lowered to try it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.grid.client_command import Client
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.node_client import NodeClient, some_files

from farvault.apps.volume_commands import volume
from farvault.base.errors import BadInput
from farvault.base.units import MIB
from farvault.client.job import Job
from farvault.model.stored_object import ObjectType
from farvault.protocol.messages import StorePack
from farvault.seal.compress import RAW
from farvault.seal.digest import digest
from farvault.seal.pack import PackBuilder


@pytest.fixture
def server(make_server: Callable[[str], GridServer]) -> GridServer:
    server = make_server("DELHI")
    server.admin(f"register node ann {PASSWORD}")
    return server


@pytest.fixture
def client(server: GridServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(Job, "piece_extents", 3)
    return Client(server)


@pytest.mark.parametrize("processes", ["-resourceutilization=1", "-resourceutilization=4"])
def test_a_file_in_pieces_comes_back_and_a_small_change_sends_little(
    client: Client, tmp_path: Path, processes: str
) -> None:
    tree, target = tmp_path / "tree", tmp_path / "back"
    tree.mkdir()
    data = bytearray(b"".join(some_files(1, 30 * MIB).values()))
    (tree / "streamed").write_bytes(data)
    (tree / "in memory").write_bytes(data[: 9 * MIB])
    (tree / "short").write_bytes(b"short")
    client.succeed("incremental", f"{tree}/", processes)
    data[15 * MIB : 15 * MIB] = b"inserted in the middle"
    (tree / "streamed").write_bytes(data)
    assert (
        client.succeed("incremental", f"{tree}/", processes).size("Total bytes after deduplication") < 6 * MIB
    )
    client.server.restart()
    client.succeed("restore", f"{tree}/*", f"{target}/", "-preservepath=none")
    for path in tree.iterdir():
        assert (target / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_volume_tells_which_piece_it_holds(client: Client, server: GridServer, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "streamed").write_bytes(b"".join(some_files(1, 30 * MIB).values()))
    client.succeed("selective", f"{tree}/streamed")
    files = server.volumes()
    server.stop()
    shown = CliRunner().invoke(volume, ["check", *files, "--list", "--instance", server.folder])
    assert shown.exit_code == 0, shown.output
    pieces = re.findall(r"streamed [\d,]+ \(extents (\d+) to (\d+), (more follow|the last)\)", shown.output)
    assert len(pieces) > 2
    assert [int(first) for first, _, _ in pieces] == [1, *(int(last) + 1 for _, last, _ in pieces[:-1])]
    assert [what for _, _, what in pieces] == ["more follow"] * (len(pieces) - 1) + ["the last"]


def test_an_object_left_incomplete_is_refused_and_the_session_goes_on(server: GridServer) -> None:
    with NodeClient(server.sign_on("ann"), "ANN") as node:
        node.register()
        node.begin()
        builder = PackBuilder("ANN", node.file_space, 1, "STANDARD")
        builder.add_object(
            b"", b"half", ObjectType.FILE, 8, b"", "", [builder.add_extent(digest(b"half"), b"half")], 0, True
        )
        plain = builder.build()
        node.connection.send(StorePack(codec=RAW, plain_bytes=len(plain)), plain)
        with pytest.raises(BadInput, match="not complete"):
            node.commit()
        assert node.inventory() == {}
        files = some_files(3)
        node.store(files)
        assert node.read_all() == files
