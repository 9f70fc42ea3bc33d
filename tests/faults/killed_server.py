"""A server dies by SIGKILL at one step of a command and runs again: what the tests of kills have in common.

    files = stored(delhi, *SEEDS)
    killed(delhi, "copy.window.after_catalog#1", COPY)
    assert is_whole(delhi, files)
    delhi.admin(COPY)
    assert is_whole(delhi, files, without="tapepool")

`tokyo` and `delhi` are fixtures; a file that needs more of them defines its own on top.
"""

from __future__ import annotations

from typing import Any

from tests.faults.two_servers import farvault_admin
from tests.grid.grid_server import GridServer, is_sound
from tests.grid.server_process import ForkedServer
from tests.grid.vaults import file_bytes, restored, store_files

MIB = 1 << 20


def killed(server: GridServer, crash_at: str, command: str) -> None:
    """Run the command in a process of its own that dies at `label#n`; the server runs again afterwards."""
    server.stop()
    running = ForkedServer(server.folder, crash_at)
    try:
        assert running.port, running.lines
        farvault_admin(server.folder, command)
        assert running.was_killed(), "it never came by there"
    finally:
        running.kill()
    server.start()


def stored(delhi: GridServer, *seeds: int, size: int = MIB, **more: Any) -> dict[int, bytes]:
    """Files of node ANN, one of each seed: number of the object -> what it holds."""
    ids = store_files(delhi, *seeds, size=size, **more)
    return {number: file_bytes(seed, size) for number, seed in zip(ids, seeds, strict=True)}


def is_whole(delhi: GridServer, files: dict[int, bytes], *, without: str = "") -> bool:
    """Does every file restore, byte for byte, and is the catalog sound? `without`: a pool that is away meanwhile."""
    assert is_sound(delhi)
    if not without:
        return restored(delhi, list(files)) == files
    delhi.admin(f"update volume * access=unavailable wherestgpool={without}")
    try:
        return restored(delhi, list(files)) == files
    finally:
        delhi.admin(f"update volume * access=readwrite wherestgpool={without}")
