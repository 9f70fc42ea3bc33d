"""Files that make trouble, through the real client program: each is handled, counted and reported.

A file that changes or vanishes while it is read needs a hand in the client's own process: `test_client_incremental`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.grid.grid_server import PASSWORD, GridServer

from farvault.apps.compare_trees import compare_trees
from farvault.base.units import GIB, MIB

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(make_server: Callable[[str], GridServer]) -> Run:
    """The client program as a process of its own; (return code, output and errors)."""
    server = make_server("DELHI")
    server.admin(f"define devclass tapeclass devtype=file directory={server.folder}/tapes")
    server.admin("define stgpool tapepool tapeclass maxscratch=20")
    server.admin("update copygroup standard standard standard type=backup destination=tapepool")
    server.admin("activate policyset standard standard")
    server.admin(f"register node ann {PASSWORD}")

    def run(*words: str, without_rights: bool = False) -> tuple[int, str]:
        named = [f"-se=127.0.0.1:{server.port}", "-nodename=ann", f"-password={PASSWORD}"]
        done = subprocess.run(
            [
                *(NO_RIGHTS if without_rights else ()),
                sys.executable,
                "-m",
                "farvault",
                "client",
                *words,
                *named,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout.decode(errors="surrogateescape")

    return run


NO_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Root that must obey permissions as everybody else."""


def count(output: str, word: str) -> int:
    found = re.search(rf"^Total number of objects {word}: +([\d,]+)$", output, re.MULTILINE)
    assert found, output[-3000:]
    return int(found[1].replace(",", ""))


def odd_files(folder: Path) -> list[bytes]:
    root = os.fsencode(folder)
    names = [
        b"\xff\xfe not utf-8 \x80",
        b"n" * 255,
        "ü".encode() * 127,
        b"empty",
        b"new\nline",
        b" ",
        b"-replace=all",
    ]
    for name in names:
        with open(os.path.join(root, name), "wb") as file:
            file.write(b"" if name == b"empty" else name)
    return names


def test_odd_names_and_an_empty_file_go_there_and_back(run: Run, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    names = odd_files(tree)
    code, output = run("incremental", f"{tree}/", "-subdir=yes")
    assert code == 0, output
    assert count(output, "failed") == 0 and count(output, "backed up") >= len(names)
    shown = [line for line in output.splitlines() if "/tree/new" in line]
    assert shown and all("line" in line for line in shown), "a name never breaks a line"
    code, output = run("restore", f"{tree}/*", f"{tmp_path}/back/", "-subdir=yes")
    assert code == 0 and count(output, "restored") == len(names), output
    assert compare_trees(str(tree), f"{tmp_path}/back/tree") == []


def test_a_sparse_file_of_five_gibibytes_is_stored_as_what_it_holds(run: Run, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with open(tree / "sparse", "wb") as file:
        for offset in (0, 3 * GIB, 5 * GIB - MIB):
            os.pwrite(file.fileno(), os.urandom(MIB), offset)
    code, output = run("incremental", f"{tree}/", "-subdir=yes")
    assert code == 0, output
    moved = re.search(r"Total number of bytes transferred: +([\d.]+) MB", output)
    assert moved and float(moved[1]) < 4, output
    code, output = run("restore", f"{tree}/*", f"{tmp_path}/back/", "-subdir=yes")
    assert code == 0, output
    st = (tmp_path / "back/tree/sparse").stat()
    assert st.st_size == 5 * GIB and st.st_blocks * 512 < 16 * MIB
    for offset in (0, 3 * GIB, 5 * GIB - MIB, GIB):
        pieces = []
        for path in (tree / "sparse", tmp_path / "back/tree/sparse"):
            with path.open("rb") as file:
                pieces.append(os.pread(file.fileno(), MIB, offset))
        assert pieces[0] == pieces[1]


@pytest.mark.skipif(shutil.which("setpriv") is None or os.geteuid() != 0, reason="needs root and setpriv")
def test_what_may_not_be_read_is_named_and_counted_and_the_rest_goes(run: Run, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "closed").mkdir(parents=True)
    for name in ("good", "secret", "closed/inside"):
        (tree / name).write_text(name)
    (tree / "secret").chmod(0)
    (tree / "closed").chmod(0)
    code, output = run("incremental", f"{tree}/", "-subdir=yes", without_rights=True)
    assert code == 4, output
    assert f"ANS4007E '{tree}/secret': access denied." in output
    assert re.search(rf"ANS4007E '{tree}/closed/?'", output), output
    assert count(output, "failed") == 2
    assert "ANS1802E" in output and "finished with 2 failure(s)" in output
    shown = run("query", "backup", f"{tree}/*", "-subdir=yes")[1]
    assert "good" in shown and "secret" not in shown and "inside" not in shown
    code, output = run("incremental", f"{tree}/", "-subdir=yes")
    assert code == 0 and count(output, "failed") == 0, output
    code, output = run("incremental", f"{tree}/", "-subdir=yes", without_rights=True)
    assert count(output, "expired") == 0, "what cannot be looked at is not gone"


@pytest.mark.slow
def test_a_hundred_thousand_files_in_one_folder(run: Run, tmp_path: Path) -> None:
    number = 100_000
    tree = tmp_path / "tree"
    tree.mkdir()
    folder = os.open(tree, os.O_RDONLY)
    for file in range(number):
        opened = os.open(f"{file:06d}", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=folder)
        os.write(opened, b"%d" % file)
        os.close(opened)
    os.close(folder)
    code, output = run("incremental", f"{tree}/", "-subdir=yes", "-quiet")
    assert code == 0, output[-2000:]
    code, output = run("incremental", f"{tree}/", "-subdir=yes")
    assert code == 0 and count(output, "inspected") >= number and count(output, "backed up") <= 5
    (tree / "000007").unlink()
    (tree / "099999").write_text("changed")
    code, output = run("incremental", f"{tree}/", "-subdir=yes")
    assert code == 0 and count(output, "expired") == 1 and count(output, "failed") == 0
    code, output = run("restore", f"{tree}/*", f"{tmp_path}/back/", "-subdir=yes", "-quiet")
    assert code == 0, output[-2000:]
    assert compare_trees(str(tree), f"{tmp_path}/back/tree") == []
