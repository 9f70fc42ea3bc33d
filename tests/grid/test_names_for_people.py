"""A file's name is any bytes; what people see of it draws nothing on their terminal and is one line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.grid.client_command import Client, own_file_space
from tests.grid.grid_server import PASSWORD, GridServer

from farvault.apps.volume_commands import volume

NASTY = b"a\x1b[31m\nb\xff\x07"
SHOWN = "a\\x1b[31m\\x0ab\\xff\\x07"


@pytest.fixture
def client(
    make_server: Callable[[str], GridServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Client:
    own_file_space(tmp_path, monkeypatch)
    server = make_server("DELHI")
    server.admin(f"register node ann {PASSWORD}")
    folder = os.fsencode(tmp_path) + b"/tree/" + NASTY
    os.makedirs(folder)
    with open(folder + b"/" + NASTY, "wb") as file:
        file.write(b"data")
    client = Client(server)
    client.succeed("selective", f"{tmp_path}/tree/", "-subdir=yes")
    return client


def test_every_list_of_files_shows_it_harmless(client: Client, tmp_path: Path) -> None:
    server = client.server
    (name,) = server.volumes()
    assert f"/tree/{SHOWN}/{SHOWN}" in server.admin(f"query content {name} format=detailed").text
    assert f" /tree/{SHOWN}/{SHOWN} " in server.admin("query retention ann").text
    listed = client.succeed("query", "backup", f"{tmp_path}/tree/*", "-subdir=yes").output
    assert f"{tmp_path}/tree/{SHOWN}/{SHOWN}" in listed
    server.stop()
    checked = CliRunner().invoke(volume, ["check", name, "--list", "--instance", server.folder])
    assert checked.exit_code == 0
    assert f"  ANN {tmp_path} /tree/{SHOWN}/{SHOWN} 4\n" in checked.output


def test_an_audit_says_what_it_deletes_on_one_line(client: Client) -> None:
    server = client.server
    (name,) = server.volumes()
    with open(name, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    said = server.admin(f"audit volume {name} fix=yes wait=yes", allow=(0, 4)).text
    assert f"tree/{SHOWN}/{SHOWN} in file space" in said
