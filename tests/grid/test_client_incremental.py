"""Incremental, selective and archive: what is sent, updated, expired, rebound, skipped, and what the client says of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.grid.client_command import Client

from farvault.base.disk import observe_crash_points
from farvault.client import reading, walk
from farvault.client.work import Unit

READ = "client.file.after_read"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.fixture
def on_read() -> Iterator[Callable[[Callable[[], None]], None]]:
    """`on_read(action)`: run it each time the client has read a file and not yet looked whether it changed."""

    def observe(action: Callable[[], None]) -> None:
        observe_crash_points(lambda label: action() if label == READ else None)

    yield observe
    observe_crash_points(None)


def incremental(client: Client, tree: Path, *options: str) -> tuple[int, int, int, int]:
    """(backed up, updated, expired, failed) of a successful run."""
    outcome = client.succeed("incremental", f"{tree}/", "-subdir=yes", *options)
    return tuple(outcome.count(word) for word in ("backed up", "updated", "expired", "failed"))  # type: ignore[return-value]


TREE = 1
"""The tree's own folder is an object too; above it the file space begins."""


# --- what changed --------------------------------------------------------------------------------------------------


def test_an_unchanged_tree_sends_nothing(client: Client, tree: Path) -> None:
    (tree / "a").write_text("a")
    assert incremental(client, tree) == (TREE + 1, 0, 0, 0)
    assert incremental(client, tree) == (0, 0, 0, 0)


def test_new_content_of_the_same_length_is_a_new_version(client: Client, tree: Path) -> None:
    (tree / "a").write_text("one")
    incremental(client, tree)
    (tree / "a").write_text("two")
    os.utime(tree / "a", ns=(1, 1_000_000_000))
    assert incremental(client, tree) == (1, 0, 0, 0)
    listed = client.succeed("query", "backup", f"{tree}/a", "-inactive").output
    assert listed.count(f"{tree}/a") == 2


def test_a_chmod_sends_attributes_only(client: Client, tree: Path) -> None:
    (tree / "a").write_text("one")
    incremental(client, tree)
    os.chmod(tree / "a", 0o600)
    outcome = client.succeed("incremental", f"{tree}/")
    assert (outcome.count("backed up"), outcome.count("updated")) == (0, 1)
    assert f"Updating-->                    0 {tree}/a" in outcome.output
    assert incremental(client, tree) == (0, 0, 0, 0)
    client.succeed("restore", f"{tree}/a", f"{tree}/b")
    assert (tree / "b").stat().st_mode & 0o777 == 0o600


def test_a_changed_extended_attribute_is_a_new_version(client: Client, tree: Path) -> None:
    (tree / "a").write_text("one")
    incremental(client, tree)
    os.setxattr(tree / "a", "user.x", b"1")
    assert incremental(client, tree) == (1, 0, 0, 0)


def test_what_is_gone_expires_and_latest_brings_it_back(client: Client, tree: Path) -> None:
    (tree / "sub" / "deep").mkdir(parents=True)
    (tree / "sub" / "deep" / "file").write_text("kept")
    (tree / "other").write_text("stays")
    incremental(client, tree)
    (tree / "sub" / "deep" / "file").unlink()
    (tree / "sub" / "deep").rmdir()
    (tree / "sub").rmdir()
    outcome = client.succeed("incremental", f"{tree}/", "-subdir=yes")
    assert outcome.count("expired") == 3
    assert f"Expiring-->                    0 {tree}/sub/deep/file" in outcome.output
    assert client.run("restore", f"{tree}/sub/*", f"{tree}/out/", "-subdir=yes").code == 12
    client.succeed(
        "restore", f"{tree}/sub/*", f"{tree}/out/", "-subdir=yes", "-latest", "-preservepath=nobase"
    )
    assert (tree / "out" / "deep" / "file").read_text() == "kept"


def test_a_file_that_became_a_folder_is_replaced_by_it(client: Client, tree: Path) -> None:
    (tree / "a").write_text("a file")
    incremental(client, tree)
    (tree / "a").unlink()
    (tree / "a").mkdir()
    (tree / "a" / "inside").write_text("x")
    assert incremental(client, tree)[0] == 3
    assert incremental(client, tree) == (0, 0, 0, 0)


def test_without_subdir_only_the_folder_itself_is_looked_at(client: Client, tree: Path) -> None:
    (tree / "sub").mkdir()
    (tree / "sub" / "file").write_text("x")
    incremental(client, tree)
    (tree / "sub" / "file").unlink()
    outcome = client.succeed("incremental", f"{tree}/")
    assert outcome.count("expired") == 0


def test_a_pattern_limits_what_is_sent_and_what_expires(client: Client, tree: Path) -> None:
    for name in ("a.c", "b.c", "a.o"):
        (tree / name).write_text(name)
    incremental(client, tree)
    (tree / "a.c").unlink()
    (tree / "a.o").unlink()
    outcome = client.succeed("incremental", f"{tree}/*.c")
    assert outcome.count("expired") == 1
    assert f"{tree}/a.c" in outcome.output


def test_a_hundred_folders_deep_is_no_problem(client: Client, tree: Path) -> None:
    deep = tree.joinpath(*(f"level{number}" for number in range(100)))
    deep.mkdir(parents=True)
    (deep / "file").write_text("down here")
    incremental(client, tree)
    client.succeed("restore", f"{tree}/*", f"{tree}.out/", "-subdir=yes", "-preservepath=nobase")
    assert (Path(f"{tree}.out") / deep.relative_to(tree) / "file").read_text() == "down here"


# --- lists and classes -----------------------------------------------------------------------------------------------


def test_excluded_files_expire_and_excluded_folders_are_not_entered(client: Client, tree: Path) -> None:
    for name in ("keep/a.c", "keep/a.o", "skip/b.c"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text(name)
    incremental(client, tree)
    rules = tree.parent / "rules"
    rules.write_text(f"* no objects\nexclude /.../*.o\nexclude.dir {tree}/skip\ninclude {tree}/skip/*\n")
    outcome = client.succeed("incremental", f"{tree}/", "-subdir=yes", f"-inclexcl={rules}")
    assert outcome.count("expired") == 3  # a.o, skip, skip/b.c
    assert incremental(client, tree, f"-inclexcl={rules}") == (0, 0, 0, 0)


def test_an_include_with_a_class_rebinds_all_versions(client: Client, tree: Path) -> None:
    server = client.server
    server.admin("define mgmtclass standard standard longer")
    server.admin("define copygroup standard standard longer destination=backuppool")
    server.admin("activate policyset standard standard")
    (tree / "a").write_text("a")
    incremental(client, tree)
    options = tree.parent / "client.opt"
    options.write_text(f"VIRTUALMOUNTPOINT {tree.parent}\ninclude {tree}/a LONGER\n")
    outcome = client.succeed("incremental", f"{tree}/", f"-optfile={options}")
    assert outcome.count("rebound") == 1
    assert "LONGER" in client.succeed("query", "backup", f"{tree}/a").output
    assert client.succeed("incremental", f"{tree}/", f"-optfile={options}").count("rebound") == 0


def test_selective_sends_what_is_unchanged_too(client: Client, tree: Path) -> None:
    (tree / "a").write_text("a")
    incremental(client, tree)
    assert client.succeed("selective", f"{tree}/a").count("backed up") == TREE + 1


def test_archiving_twice_keeps_both_and_retrieves_the_newer(client: Client, tree: Path) -> None:
    for text in ("old", "new"):
        (tree / "a").write_text(text)
        client.succeed("archive", f"{tree}/a", f"-description={text} one")
    listed = client.succeed("query", "archive", f"{tree}/a").output
    assert listed.count(f"{tree}/a") == 2
    assert "old one" in listed and "new one" in listed
    client.succeed("retrieve", f"{tree}/a", f"{tree}/b")
    assert (tree / "b").read_text() == "new"
    client.succeed("retrieve", f"{tree}/a", f"{tree}/c", "-description=old*")
    assert (tree / "c").read_text() == "old"


def test_an_archive_keeps_what_a_link_points_to(client: Client, tree: Path) -> None:
    (tree / "real").write_text("content")
    os.symlink("real", tree / "link")
    client.succeed("archive", f"{tree}/link")
    client.succeed("retrieve", f"{tree}/link", f"{tree}/copy")
    assert not (tree / "copy").is_symlink() and (tree / "copy").read_text() == "content"
    client.succeed("archive", f"{tree}/link", "-archsymlinkasfile=no")
    client.succeed("retrieve", f"{tree}/link", f"{tree}/again")
    assert (tree / "again").is_symlink()


# --- files that will not hold still ------------------------------------------------------------------------------------


def grow(path: Path) -> Callable[[], None]:
    def action() -> None:
        with open(path, "ab") as file:
            file.write(b"more")

    return action


def set_serialization(client: Client, value: str) -> None:
    client.server.admin(f"update copygroup standard standard standard serialization={value}")
    client.server.admin("activate policyset standard standard")


@pytest.mark.parametrize("size", [10, 17 << 20], ids=["short", "long"])
def test_a_file_that_grows_at_each_read_is_retried_and_left_out(
    client: Client, tree: Path, on_read: Callable[[Callable[[], None]], None], size: int
) -> None:
    (tree / "log").write_bytes(bytes(range(10)) * (size // 10))
    on_read(grow(tree / "log"))
    outcome = client.run("incremental", f"{tree}/", "-resourceutilization=1")
    assert outcome.code == 4
    assert (outcome.count("failed"), outcome.count("backed up")) == (1, TREE)
    assert "Total number of retries:                      4" in outcome.output
    before, after = (outcome.size(f"Total bytes {when} deduplication") for when in ("before", "after"))
    assert after <= before < 10_000, "what was read for nothing is in neither"
    if size > 10:
        assert outcome.size("Total number of bytes processed") > 2 * size
    assert f"ANS1228E Sending of object '{tree}/log' failed." in outcome.errors
    assert f"ANS4037E Object '{tree}/log' changed during processing. Object skipped." in outcome.errors
    assert "ANS1802E" in outcome.errors


@pytest.mark.parametrize(("serialization", "retries"), [("shrdynamic", 4), ("dynamic", 0)])
def test_dynamic_serialization_stores_it_all_the_same(
    client: Client,
    tree: Path,
    on_read: Callable[[Callable[[], None]], None],
    serialization: str,
    retries: int,
) -> None:
    set_serialization(client, serialization)
    (tree / "log").write_bytes(b"begin")
    on_read(grow(tree / "log"))
    outcome = client.succeed("incremental", f"{tree}/")
    assert outcome.count("failed") == 0
    assert f"Total number of retries:{retries:>23}" in outcome.output
    assert f"{tree}/log" in client.succeed("query", "backup", f"{tree}/log").output


def test_static_serialization_skips_it_at_once(
    client: Client, tree: Path, on_read: Callable[[Callable[[], None]], None]
) -> None:
    set_serialization(client, "static")
    (tree / "log").write_bytes(b"begin")
    on_read(grow(tree / "log"))
    outcome = client.run("incremental", f"{tree}/")
    assert outcome.code == 4
    assert "Total number of retries:                      0" in outcome.output


def test_a_file_that_changes_once_is_stored_as_it_was_at_the_end(
    client: Client, tree: Path, on_read: Callable[[Callable[[], None]], None]
) -> None:
    (tree / "log").write_bytes(b"begin")
    actions = [grow(tree / "log")]
    on_read(lambda: actions.pop()() if actions else None)
    client.succeed("incremental", f"{tree}/")
    client.succeed("restore", f"{tree}/log", f"{tree}/copy")
    assert (tree / "copy").read_bytes() == b"beginmore"


def test_a_file_that_vanishes_is_counted(
    client: Client, tree: Path, on_read: Callable[[Callable[[], None]], None]
) -> None:
    (tree / "first").write_text("1")
    (tree / "second").write_text("2")
    on_read(lambda: (tree / "second").unlink(missing_ok=True))
    outcome = client.run("incremental", f"{tree}/")
    assert (outcome.code, outcome.count("failed")) == (4, 1)
    assert f"ANS4005E '{tree}/second' was not found" in outcome.errors
    assert f"{tree}/first [Sent]" in outcome.output


def test_an_unreadable_file_is_counted(client: Client, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "mine").write_text("1")
    (tree / "yours").write_text("2")
    real_open = reading.FileReader._open

    def refuse(self: reading.FileReader, unit: Unit, name: bytes, folder: int) -> int:
        if name == b"yours":
            raise PermissionError(13, "Permission denied")
        return real_open(self, unit, name, folder)

    monkeypatch.setattr(reading.FileReader, "_open", refuse)
    outcome = client.run("incremental", f"{tree}/")
    assert (outcome.code, outcome.count("failed")) == (4, 1)
    assert f"ANS4007E '{tree}/yours': access denied." in outcome.errors


def test_what_is_in_an_unreadable_folder_does_not_expire(
    client: Client, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/x", "closed/deep/y", "closed/z", "d/w"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    incremental(client, tree)
    (tree / "d" / "w").unlink()
    real_read = walk._read

    def refuse(opened: int, directory: bytes) -> walk.Folder:
        if directory.endswith(b"\0closed"):
            return walk.Folder(directory, [], PermissionError(13, "Permission denied"))
        return real_read(opened, directory)

    monkeypatch.setattr(walk, "_read", refuse)
    outcome = client.run("incremental", f"{tree}/", "-subdir=yes")
    assert (outcome.code, outcome.count("failed"), outcome.count("expired")) == (4, 1, 1)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tree.parent / "config"))
    assert incremental(client, tree) == (0, 0, 0, 0)
