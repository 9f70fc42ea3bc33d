"""What goes into a backup comes back out of it: every kind of file, every attribute, byte for byte."""

from __future__ import annotations

import os
import random
import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pytest
from tests.grid.client_command import Client

from farvault.apps.compare_trees import compare_trees
from farvault.base.units import GIB, MIB

# user::rw- user:1234:r-- group::r-- mask::r-- other::---, as the kernel keeps it.
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, bits, who)
    for tag, bits, who in (
        (0x01, 6, 0xFFFFFFFF),
        (0x02, 4, 1234),
        (0x04, 4, 0xFFFFFFFF),
        (0x10, 4, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    )
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def restored(client: Client, tree: Path, *options: str) -> Path:
    """Restore the tree beside itself and say where."""
    target = tree.parent / "restored"
    client.succeed("restore", f"{tree}/*", f"{target}/", "-subdir=yes", "-preservepath=nobase", *options)
    return target


def test_every_kind_of_file_and_every_attribute_survives(client: Client, tree: Path) -> None:
    (tree / "plain").write_bytes(b"hello")
    (tree / "empty").touch()
    (tree / "folder" / "deeper" / "deepest").mkdir(parents=True)
    (tree / "folder" / "secret").write_bytes(b"s" * 300_000)
    os.chmod(tree / "folder" / "secret", 0o4710)
    os.chmod(tree / "folder" / "deeper", 0o1555)
    os.symlink("../nowhere/\udcff", tree / "folder" / "link")
    os.mkfifo(tree / "pipe", 0o640)
    os.link(tree / "plain", tree / "folder" / "deeper" / "same inode")
    os.setxattr(tree / "plain", "user.colour", b"\x00blue\xff")
    os.setxattr(tree / "folder", "user.of a folder", b"")
    os.setxattr(tree / "empty", "system.posix_acl_access", ACL)
    os.utime(tree / "plain", ns=(1, 1_234_567_890_123_456_789))
    os.utime(tree / "folder" / "deeper", ns=(1, 987_654_321_000_000_001))
    os.utime(tree / "folder" / "link", ns=(1, 5), follow_symlinks=False)
    if os.geteuid() == 0:
        os.chown(tree / "folder" / "secret", 1234, 4321)
        os.chmod(tree / "folder" / "secret", 0o4710)
        os.mknod(tree / "null", 0o020666, os.makedev(1, 3))
    client.succeed("incremental", f"{tree}/", "-subdir=yes")
    target = restored(client, tree)
    assert compare_trees(str(tree), str(target)) == []
    assert (target / "plain").stat().st_nlink == 2
    assert os.readlink(target / "folder" / "link") == "../nowhere/\udcff"
    assert not list(target.rglob(".farvault*"))


@pytest.mark.skipif(shutil.which("setfacl") is None, reason="setfacl is not installed")
def test_access_lists_are_the_same_for_getfacl(client: Client, tree: Path) -> None:
    (tree / "folder").mkdir()
    (tree / "folder" / "file").touch()
    for options, name in (
        (["-m", "u:1234:rw,g:55:x,m::rx"], "folder/file"),
        (["-d", "-m", "u:7:rwx,g:8:-"], "folder"),
        (["-m", "u:1:r"], "folder"),
    ):
        subprocess.run(["setfacl", *options, str(tree / name)], check=True)

    def shown(root: Path) -> str:
        return subprocess.run(
            ["getfacl", "--recursive", "--numeric", "."], cwd=root, check=True, capture_output=True, text=True
        ).stdout

    client.succeed("incremental", f"{tree}/", "-subdir=yes")
    assert "default:user:7:rwx" in shown(tree) and shown(restored(client, tree) / "folder") == shown(
        tree / "folder"
    )


def test_names_are_bytes(client: Client, tree: Path) -> None:
    names = [
        b"\xff\xfe not UTF-8",
        b"x" * 255,
        b"new\nline",
        b" spaces ",
        b"*",
        b"?",
        b"-subdir=no",
        "ü".encode(),
    ]
    for number, name in enumerate(names):
        with open(os.path.join(os.fsencode(tree), name), "wb") as file:
            file.write(b"%d" % number)
        os.mkdir(os.path.join(os.fsencode(tree), b"d" + name[:254]))
    client.succeed("incremental", f"{tree}/", "-subdir=yes")
    assert client.succeed("incremental", f"{tree}/", "-subdir=yes").count("backed up") == 0
    assert compare_trees(str(tree), str(restored(client, tree))) == []


def test_a_folder_whose_name_begins_like_another_keeps_its_place(client: Client, tree: Path) -> None:
    """`a`, `a-b` and `a/c`: the walk and the server must agree on one order, or files would expire."""
    for name in ("a/c/x", "a-b/x", "a/x", "a b/x", "a.b/x", "ab/x", "a/c-d/x"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    client.succeed("incremental", f"{tree}/", "-subdir=yes")
    again = client.succeed("incremental", f"{tree}/", "-subdir=yes")
    assert (again.count("backed up"), again.count("expired")) == (0, 0)


def test_a_socket_is_left_out(client: Client, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        outcome = client.succeed("incremental", f"{tree}/", "-subdir=yes")
    assert f"{tree}/socket" not in outcome.output and f"{tree} [Sent]" in outcome.output


def test_a_sparse_file_of_five_gibibytes_takes_no_time(client: Client, tree: Path) -> None:
    with open(tree / "image", "wb") as file:
        file.write(b"begin" * 1000)
        file.seek(3 * GIB)
        file.write(os.urandom(5 * MIB))
        file.truncate(5 * GIB)
    outcome = client.succeed("incremental", f"{tree}/")
    assert outcome.size("Total bytes before deduplication") < 6 * MIB
    assert outcome.size("Total number of bytes inspected") >= 5 * GIB
    image = restored(client, tree) / "image"
    assert image.stat().st_size == 5 * GIB
    assert image.stat().st_blocks * 512 < 8 * MIB
    with open(tree / "image", "rb") as old, open(image, "rb") as new:
        for start in (0, 3 * GIB - 4096, 3 * GIB, 3 * GIB + 4 * MIB, 5 * GIB - 4096):
            assert os.pread(old.fileno(), 2 * MIB, start) == os.pread(new.fileno(), 2 * MIB, start)


def test_a_long_file_is_streamed_and_a_small_change_sends_little(client: Client, tree: Path) -> None:
    data = bytearray(random.Random(1).randbytes(40 * MIB))
    (tree / "long").write_bytes(data)
    first = client.succeed("incremental", f"{tree}/")
    assert first.size("Total bytes after deduplication") == pytest.approx(40 * MIB)
    assert (restored(client, tree) / "long").read_bytes() == data
    data[20 * MIB : 20 * MIB] = b"inserted in the middle"
    (tree / "long").write_bytes(data)
    second = client.succeed("incremental", f"{tree}/")
    assert second.size("Total bytes after deduplication") < 6 * MIB
    assert (restored(client, tree, "-replace=all") / "long").read_bytes() == data


def test_a_long_file_that_was_partly_there_is_counted_once(client: Client, tree: Path) -> None:
    data = os.urandom(20 * MIB)
    (tree / "long").write_bytes(data)
    assert "Total objects deduplicated:                   0" in client.succeed("sel", f"{tree}/long").output
    (tree / "long").write_bytes(data + b"more")
    assert "Total objects deduplicated:                   1" in client.succeed("sel", f"{tree}/long").output


def test_equal_files_travel_once(client: Client, tree: Path) -> None:
    data = os.urandom(3 * MIB)
    for number in range(5):
        (tree / f"copy{number}").write_bytes(data)
    outcome = client.succeed("selective", f"{tree}/*")
    assert outcome.size("Total bytes after deduplication") == 3 * MIB
    assert "Total objects deduplicated:                   4" in outcome.output
    assert compare_trees(str(tree), str(restored(client, tree))) == []


def test_large_jobs_go_through_worker_processes(client: Client, tree: Path) -> None:
    chance = random.Random(2)
    for number in range(600):
        folder = tree / f"{number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}").write_bytes(chance.randbytes(chance.randrange(20_000)))
    limits = ("-txnbytelimit=300K", "-resourceutilization=3")
    first = client.succeed("incremental", f"{tree}/", "-subdir=yes", *limits)
    assert first.output.count("Normal File-->") == 600
    assert client.succeed("incremental", f"{tree}/", "-subdir=yes", *limits).count("backed up") == 0
    assert compare_trees(str(tree), str(restored(client, tree))) == []


def test_without_compression_the_bytes_come_back_too(client: Client, tree: Path) -> None:
    (tree / "text").write_text("the same words again and again " * 50_000)
    outcome = client.succeed("incremental", f"{tree}/", "-compression=no")
    assert "Objects compressed by:                        0%" in outcome.output
    assert compare_trees(str(tree), str(restored(client, tree))) == []
