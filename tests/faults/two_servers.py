"""DELHI and TOKYO by the commands of the chapter, typed as an administrator types them; and how tests talk to them."""

from __future__ import annotations

import contextlib
import io
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.grid.client_command import Client
from tests.grid.grid_server import PASSWORD, GridServer

from farvault.apps.admin_terminal import main
from farvault.transport.ports import unused_port

TARGET_COMMANDS = (
    "define devclass vaultclass devtype=file directory={folder}/vault maxcapacity=64m",
    "define stgpool vaultpool vaultclass maxscratch=100",
    "define domain vaultdomain",
    "define policyset vaultdomain standard",
    "define mgmtclass vaultdomain standard standard",
    "define copygroup vaultdomain standard standard type=archive destination=vaultpool",
    "assign defmgmtclass vaultdomain standard standard",
    "activate policyset vaultdomain standard",
    f"register node delhi {PASSWORD} domain=vaultdomain type=server",
)
SOURCE_COMMANDS = (
    f"define server tokyo password={PASSWORD} hladdress=127.0.0.1 lladdress={{port}} nodename=delhi",
    "define devclass targetclass devtype=server servername=tokyo maxcapacity=8m retryperiod=0",
    "define devclass tapeclass devtype=file directory={folder}/tapes maxcapacity=16m",
    "define stgpool tapepool tapeclass maxscratch=20",
    "define stgpool targetcopypool targetclass pooltype=copy maxscratch=20",
    "update copygroup standard standard standard type=backup destination=tapepool",
    "activate policyset standard standard",
    f"register node ann {PASSWORD}",
)
BACKUP = "backup stgpool tapepool targetcopypool wait=yes"


@dataclass(frozen=True)
class Pair:
    """A source and its target."""

    delhi: GridServer
    tokyo: GridServer


def running_pair(folder: Path) -> Iterator[Pair]:
    """Both set up, in this process, on ports that stay; stopped at the end."""
    tokyo = GridServer("TOKYO", f"{folder}/tokyo", data_port=unused_port()).start()
    delhi = GridServer("DELHI", f"{folder}/delhi", data_port=unused_port()).start()
    prepare_target(tokyo)
    prepare_source(delhi, tokyo.port)
    yield Pair(delhi, tokyo)
    delhi.stop()
    tokyo.stop()


def prepare_target(server: GridServer) -> None:
    for command in TARGET_COMMANDS:
        server.admin(command.format(folder=server.folder))


def prepare_source(server: GridServer, target_port: int) -> None:
    for command in SOURCE_COMMANDS:
        server.admin(command.format(folder=server.folder, port=target_port))


def said(server: GridServer, message_number: int) -> str:
    """The lines with this number in the activity log, which is complete once the server has stopped."""
    server.restart()
    return server.admin(f"query actlog msgno={message_number}", allow=(0, 11)).text


def farvault_admin(folder: str, *arguments: str) -> tuple[int, str]:
    """`farvault admin` at the server of a folder: exit code, output and errors."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = main([f"-instance={folder}", "-noconfirm", *arguments])
    return code, output.getvalue()


def back_up_some_files(server: GridServer, folder: Path, count: int = 4, size: int = 100_000) -> Path:
    """Node ANN backs up a tree of its own with the real client."""
    tree = make_files(folder, count, size)
    Client(server).succeed("incremental", f"{tree}/", "-subdir=yes")
    return tree


def make_files(folder: Path, count: int, size: int) -> Path:
    """Files that neither compress nor repeat."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"file{number}").write_bytes(random.Random(f"{folder}{number}").randbytes(size))
    return folder


def contents(folder: Path) -> dict[bytes, bytes]:
    """Relative name -> bytes of every file below."""
    root = os.fsencode(folder)
    found = {}
    for where, _, names in os.walk(root):
        for name in names:
            path = os.path.join(where, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = file.read()
    return found
