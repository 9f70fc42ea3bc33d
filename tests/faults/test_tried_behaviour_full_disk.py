"""Full disks: under a pool, under the target's pool, under the catalog. Small file systems in memory, filled for real."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.two_servers import BACKUP, Pair, back_up_some_files, contents, make_files
from tests.grid.client_command import Client
from tests.grid.grid_server import PASSWORD, GridServer

from farvault.base.units import KIB, MIB

Disk = Callable[[Path, int], Path]


@pytest.fixture
def disk() -> Iterator[Disk]:
    """`disk(folder, bytes)`: a file system of its own mounted there."""
    mounted: list[Path] = []

    def mount(folder: Path, size_bytes: int) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "none", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as problem:
            pytest.skip(f"no file system can be mounted here: {problem}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in reversed(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave_bytes: int = 0) -> Path:
    """Take all the room but this much."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            st = os.statvfs(folder)
            room = st.f_bavail * st.f_frsize - leave_bytes
            if leave_bytes and room <= 0:
                break
            file.write(bytes(min(max(room, 1), MIB)))
    return path


@pytest.mark.parametrize("devtype", ["file", "disk"])
def test_a_full_disk_under_a_pool_refuses_the_transaction_and_the_server_stays_up(
    make_server: Callable[[str], GridServer], tmp_path: Path, disk: Disk, devtype: str
) -> None:
    server = make_server("DELHI")
    tapes = disk(tmp_path / "tapes", 24 * MIB)
    if devtype == "file":
        server.admin(f"define devclass tapeclass devtype=file directory={tapes} maxcapacity=8m")
        server.admin("define stgpool tapepool tapeclass maxscratch=20")
    else:
        server.admin("define stgpool tapepool disk")
        server.admin(f"define volume tapepool {tapes}/one.dsm formatsize=4")
    server.admin("update copygroup standard standard standard type=backup destination=tapepool")
    server.admin("activate policyset standard standard")
    server.admin(f"register node ann {PASSWORD}")
    client = Client(server)
    first = back_up_some_files(server, tmp_path / "first", 2, MIB)
    filler = fill(tapes, leave_bytes=MIB)

    large = make_files(tmp_path / "large", 6, MIB)
    outcome = client.run("incremental", f"{large}/", "-subdir=yes")
    assert outcome.code == 12, outcome.output
    assert "ANS9805E" in outcome.errors and "ANR0522W" in outcome.errors
    assert outcome.count("failed") > 0
    sent = sum("Normal File" in line for line in outcome.output.splitlines() if line.endswith("[Sent]"))
    shown = client.run("query", "backup", f"{large}/file*").output
    assert sum(str(large) in line for line in shown.splitlines()) == sent, (
        "only what was acknowledged is there"
    )
    server.admin("query status")

    filler.unlink()
    if devtype == "disk":
        server.admin(f"define volume tapepool {tapes}/two.dsm formatsize=8")
    client.succeed("incremental", f"{large}/", "-subdir=yes")
    for tree in (first, large):
        client.succeed("restore", f"{tree}/*", f"{tmp_path}/back/", "-subdir=yes")
        assert contents(tmp_path / "back" / tree.name) == contents(tree)


def test_a_full_disk_at_the_target_fails_the_copy_and_both_servers_stay_up(
    pair: Pair, tmp_path: Path, disk: Disk
) -> None:
    vault = disk(Path(pair.tokyo.folder) / "vault", 24 * MIB)
    back_up_some_files(pair.delhi, tmp_path / "first", 2, MIB)
    pair.delhi.admin(BACKUP)
    filler = fill(vault, leave_bytes=MIB)
    tree = back_up_some_files(pair.delhi, tmp_path / "tree", 8, MIB)
    failed = pair.delhi.admin(BACKUP, allow=(4,)).text
    assert "ANR4803E" in failed and "ANR0522W" in failed
    assert "ANR4851W" in pair.tokyo.lines.ids
    assert "ANR2034E" in pair.delhi.admin("query volume * access=readonly", allow=(11,)).text
    filler.unlink()
    pair.delhi.admin(BACKUP)
    assert "Records copied: 0 " in pair.delhi.admin(BACKUP).text
    assert tree.exists()


@pytest.mark.parametrize(("leave_bytes", "message"), [(0, "ANR0131E"), (300 * KIB, "ANS9805E")])
def test_a_full_disk_under_the_catalog_refuses_the_transaction_and_what_was_stored_stays(
    tmp_path: Path, disk: Disk, leave_bytes: int, message: str
) -> None:
    server = GridServer("DELHI", str(tmp_path / "delhi"))
    catalog = Path(server.folder) / "catalog"
    kept = {path.name: path.read_bytes() for path in catalog.iterdir()}
    disk(catalog, 16 * MIB)
    for name, data in kept.items():
        (catalog / name).write_bytes(data)
    server.start()
    try:
        for command in (
            f"define devclass tapeclass devtype=file directory={server.folder}/tapes",
            "define stgpool tapepool tapeclass maxscratch=20",
            "update copygroup standard standard standard type=backup destination=tapepool",
            "activate policyset standard standard",
            f"register node ann {PASSWORD}",
        ):
            server.admin(command)
        first = back_up_some_files(server, tmp_path / "first", 3)
        filler = fill(catalog, leave_bytes)
        more = make_files(tmp_path / "more", 2000, 1000)
        outcome = Client(server).run("incremental", f"{more}/", "-subdir=yes")
        assert outcome.code == 12, outcome.output
        assert message in outcome.errors and "ANR0131E" in outcome.errors
        assert "ANR9999D" not in server.lines.ids, [str(line) for line in server.lines.all[-10:]]
        Client(server).succeed("restore", f"{first}/*", f"{tmp_path}/meanwhile/", "-subdir=yes")
        assert contents(tmp_path / "meanwhile" / "first") == contents(first)

        filler.unlink()
        Client(server).succeed("incremental", f"{more}/", "-subdir=yes")
        Client(server).succeed("restore", f"{more}/*", f"{tmp_path}/back/", "-subdir=yes")
        assert contents(tmp_path / "back" / "more") == contents(more)
        server.restart()
        Client(server).succeed("restore", f"{more}/*", f"{tmp_path}/again/", "-subdir=yes")
    finally:
        server.stop()
