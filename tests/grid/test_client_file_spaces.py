"""One file space that cannot be gone through, or a reader that has left, costs the others nothing; nor ends in a traceback."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.grid.client_command import Client
from tests.grid.grid_server import PASSWORD

from farvault.client import backup as client_backup
from farvault.client import inventory as client_inventory
from farvault.client.commands import run
from farvault.client.walk import Folder


def some_tree(folder: Path, files: int) -> Path:
    folder.mkdir()
    for number in range(files):
        (folder / f"file{number}").write_text(f"content {number}")
    return folder


def two_file_spaces(folder: Path, first: Path) -> Path:
    """DOMAIN names these two, `first` and then a good one, which is returned."""
    good = some_tree(folder / "z-good", 2)
    (folder / "config" / "farvault" / "client.opt").write_text(
        f"VIRTUALMOUNTPOINT {first}\nVIRTUALMOUNTPOINT {good}\nDOMAIN {first} {good}\n"
    )
    return good


@pytest.mark.parametrize("there", ["nothing", "a file"])
def test_a_file_space_that_is_not_there_is_told_and_the_others_go_on(
    client: Client, tmp_path: Path, there: str
) -> None:
    bad = tmp_path / "bad"
    if there == "a file":
        bad.touch()
    good = two_file_spaces(tmp_path, bad)
    outcome = client.run("incremental")
    assert outcome.code == 12
    assert f"ANS9833E '{bad}'" in outcome.errors
    assert f"Successful incremental backup of '{good}'" in outcome.output
    assert outcome.count("backed up") == 2
    again = client.run("incremental", str(bad), f"{good}/")
    assert again.code == 12 and "ANS9833E" in again.errors
    assert f"Successful incremental backup of '{good}/'" in again.output


def test_a_file_space_that_fails_on_the_way_stores_what_was_found_and_expires_nothing(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = some_tree(tmp_path / "first", 3)
    good = two_file_spaces(tmp_path, first)
    client.succeed("incremental")
    for number in range(3):
        (first / f"file{number}").write_text("changed")
    whole = client_backup.walk

    def broken(*given: Any, **options: Any) -> Iterator[Folder]:
        for folder in whole(*given, **options):
            yield folder
            if len(folder.entries) == 3:
                raise OSError(errno.ESTALE, "Stale file handle")

    (first / "folder").mkdir()
    (first / "folder" / "gone").touch()
    client.succeed("incremental")
    for number in range(2):
        (first / f"file{number}").write_text("changed again")
    (first / "file2").unlink()
    (first / "folder" / "gone").unlink()
    monkeypatch.setattr(client_backup, "walk", broken)
    outcome = client.run("incremental")
    assert outcome.code == 12 and "Stale file handle" in outcome.errors
    assert outcome.count("backed up") >= 2
    assert outcome.count("expired") == 1, "the file of the folder that was seen"
    assert f"Successful incremental backup of '{good}'" in outcome.output


def test_no_room_for_the_inventory_is_told_for_each_file_space(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_file_spaces(tmp_path, some_tree(tmp_path / "first", 2))
    client.succeed("incremental")
    monkeypatch.setattr(client_inventory, "IN_MEMORY_MOST", 0)
    monkeypatch.setattr(client_inventory.tempfile, "TemporaryFile", lambda **_: open("/dev/full", "wb"))  # noqa: SIM115
    outcome = client.run("incremental")
    assert outcome.code == 12
    assert outcome.errors.count("ANS9826E") == 2
    assert outcome.count("expired") == 0


class Gone(io.StringIO):
    """Like the pipe to `head -1`."""

    def write(self, text: str) -> int:
        if self.tell():
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        return super().write(text)


def run_for_nobody(client: Client, *words: str) -> tuple[int, str]:
    errors = io.StringIO()
    address = f"-se=127.0.0.1:{client.server.port}"
    named = [address, "-nodename=ann", f"-password={PASSWORD}", "-verbose"]
    return run([*words, *named], output=Gone(), errors=errors), errors.getvalue()


def test_a_backup_that_nobody_watches_any_more_goes_on(client: Client, tmp_path: Path) -> None:
    good = two_file_spaces(tmp_path, some_tree(tmp_path / "first", 3))
    client.succeed("query", "session")
    code, errors = run_for_nobody(client, "incremental")
    assert (code, errors.count("ANS9827W")) == (8, 1)
    assert client.succeed("incremental").count("backed up") == 0
    assert client.succeed("query", "backup", f"{good}/*").output.count("/file") == 2


def test_a_list_that_nobody_reads_any_more_ends_quietly(client: Client, tmp_path: Path) -> None:
    tree = some_tree(tmp_path / "tree", 3)
    client.succeed("selective", f"{tree}/*")
    assert run_for_nobody(client, "query", "backup", f"{tree}/*", "-quiet") == (12, "")


def test_a_closed_pipe_leaves_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "farvault", "client", "help"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert "Traceback" not in ended.stderr and "Exception" not in ended.stderr
    assert ended.returncode in (8, 12)


def test_a_defect_of_the_client_is_a_message(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = some_tree(tmp_path / "tree", 1)
    monkeypatch.setattr(client_backup, "walk", lambda *_, **__: [None])
    outcome = client.run("incremental", f"{tree}/")
    assert outcome.code == 12 and "ANS9999E" in outcome.errors and "backup.py" in outcome.errors
