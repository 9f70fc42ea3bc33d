"""Restore: where objects go, what happens to what is there already, and that nothing leaves the destination."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from tests.grid.client_command import Client

from farvault.client import restore


@pytest.fixture
def tree(client: Client, tmp_path: Path) -> Path:
    """`h1/h2/f` and `h1/h2/sub/g`, backed up."""
    folder = tmp_path / "tree"
    (folder / "h1" / "h2" / "sub").mkdir(parents=True)
    (folder / "h1" / "h2" / "f").write_text("f")
    (folder / "h1" / "h2" / "sub" / "g").write_text("g")
    os.utime(folder / "h1" / "h2" / "f", ns=(0, 10**18))
    client.succeed("incremental", f"{folder}/", "-subdir=yes")
    return folder


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("spec", ["*", ""])
@pytest.mark.parametrize(
    ("preserve", "expected"),
    [
        ("subtree", {"h2/f", "h2/sub/g"}),
        ("nobase", {"f", "sub/g"}),
        ("none", {"f", "g"}),
    ],
)
def test_preservepath_says_how_much_of_the_path_comes_back(
    client: Client, tree: Path, preserve: str, expected: set[str], spec: str
) -> None:
    target = tree.parent / "d"
    client.succeed(
        "restore", f"{tree}/h1/h2/{spec}", f"{target}/", "-subdir=yes", f"-preservepath={preserve}"
    )
    assert names(target) == expected


def test_preserve_path_complete_keeps_everything_below_the_file_space(client: Client, tree: Path) -> None:
    target = tree.parent / "d"
    client.succeed("restore", f"{tree}/h1/h2/*", f"{target}/", "-subdir=yes", "-preservepath=complete")
    assert names(target) == {"tree/h1/h2/f", "tree/h1/h2/sub/g"}


def test_one_file_goes_straight_into_a_folder_or_gets_a_new_name(client: Client, tree: Path) -> None:
    client.succeed("restore", f"{tree}/h1/h2/f", f"{tree.parent}/d/")
    client.succeed("restore", f"{tree}/h1/h2/f", f"{tree.parent}/d/renamed")
    assert names(tree.parent / "d") == {"f", "renamed"}


def test_several_files_need_a_folder(client: Client, tree: Path) -> None:
    outcome = client.run("restore", f"{tree}/h1/h2/*", f"{tree.parent}/one-name")
    assert outcome.code == 12 and "ANS1089E" in outcome.errors


def test_without_a_destination_files_go_back_where_they_were(client: Client, tree: Path) -> None:
    (tree / "h1" / "h2" / "f").unlink()
    (tree / "h1" / "h2" / "sub" / "g").unlink()
    (tree / "h1" / "h2" / "sub").rmdir()
    client.succeed("restore", f"{tree}/h1/*", "-subdir=yes")
    assert (tree / "h1" / "h2" / "sub" / "g").read_text() == "g"
    assert (tree / "h1" / "h2" / "f").stat().st_mtime_ns == 10**18


def test_existing_files_stay_unless_replace_says_otherwise(client: Client, tree: Path) -> None:
    file = tree / "h1" / "h2" / "f"
    for option, code, expected in (
        ("-replace=no", 4, "mine"),
        ("-replace=prompt", 4, "mine"),  # nobody is there to ask
        ("-replace=yes", 0, "f"),
        ("-replace=all", 0, "f"),
    ):
        file.write_text("mine")
        outcome = client.run("restore", f"{tree}/h1/h2/f", option)
        assert (outcome.code, file.read_text()) == (code, expected), option
        assert ("ANS1946W" in outcome.errors) == (expected == "mine")


def test_replace_yes_leaves_read_only_files_and_all_does_not(client: Client, tree: Path) -> None:
    file = tree / "h1" / "h2" / "f"
    file.write_text("mine")
    os.chmod(file, 0o444)
    assert client.run("restore", str(file), "-replace=yes").code == 4
    assert file.read_text() == "mine"
    client.succeed("restore", str(file), "-replace=all")
    assert file.read_text() == "f"


def test_if_newer_replaces_older_files_only(client: Client, tree: Path) -> None:
    file = tree / "h1" / "h2" / "f"
    file.write_text("mine, newer")
    client.run("restore", str(file), "-ifnewer", "-replace=all")
    assert file.read_text() == "mine, newer"
    os.utime(file, ns=(0, 5))
    client.succeed("restore", str(file), "-ifnewer", "-replace=all")
    assert file.read_text() == "f"


def test_replace_no_gives_folders_their_attributes_all_the_same(client: Client, tree: Path) -> None:
    before = (tree / "h1" / "h2").stat()
    os.chmod(tree / "h1" / "h2", 0o700)
    client.run("restore", f"{tree}/h1/*", "-subdir=yes", "-replace=no")
    after = (tree / "h1" / "h2").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


def test_a_link_swapped_into_the_destination_is_not_followed(client: Client, tree: Path) -> None:
    target, outside = tree.parent / "d", tree.parent / "outside"
    target.mkdir()
    outside.mkdir()
    (target / "h2").symlink_to(outside)
    outcome = client.run("restore", f"{tree}/h1/h2/*", f"{target}/", "-subdir=yes")
    assert outcome.code == 4 and "ANS4029E" in outcome.errors
    assert not list(outside.iterdir())


def test_a_link_in_place_of_a_file_is_replaced_not_written_through(client: Client, tree: Path) -> None:
    target, outside = tree.parent / "d", tree.parent / "outside"
    target.mkdir()
    outside.write_text("precious")
    (target / "f").symlink_to(outside)
    client.succeed("restore", f"{tree}/h1/h2/f", f"{target}/", "-replace=all")
    assert outside.read_text() == "precious"
    assert not (target / "f").is_symlink() and (target / "f").read_text() == "f"


def test_a_folder_in_place_of_a_file_is_left_alone(client: Client, tree: Path) -> None:
    (tree.parent / "d" / "f").mkdir(parents=True)
    outcome = client.run("restore", f"{tree}/h1/h2/f", f"{tree.parent}/d/", "-replace=all")
    assert outcome.code == 4 and outcome.count("failed") == 1
    assert (tree.parent / "d" / "f").is_dir()


def test_a_replaced_file_is_there_under_one_name_or_the_other(client: Client, tree: Path) -> None:
    """The new content is renamed over the old; no temporary name stays."""
    (tree / "h1" / "h2" / "f").write_text("mine")
    client.succeed("restore", f"{tree}/h1/h2/*", "-replace=all", "-subdir=yes")
    assert names(tree) == {"h1/h2/f", "h1/h2/sub/g"}


@pytest.mark.parametrize("there", ["another file", "the same file", "a folder"])
def test_a_further_name_of_a_file_takes_the_place_of_what_is_there(
    client: Client, tree: Path, there: str
) -> None:
    os.link(tree / "h1" / "h2" / "f", tree / "h1" / "h2" / "second")
    client.succeed("incremental", f"{tree}/", "-subdir=yes")
    second = tree / "h1" / "h2" / "second"
    if there != "the same file":
        second.unlink()
    if there == "another file":
        second.write_text("mine")
    elif there == "a folder":
        second.mkdir()
    outcome = client.run("restore", f"{tree}/h1/h2/*", "-replace=all")
    assert outcome.count("failed") == (there == "a folder")
    assert sorted(os.listdir(tree / "h1" / "h2")) == ["f", "second", "sub"]
    if there != "a folder":
        assert second.read_text() == "f" and second.stat().st_ino == (tree / "h1" / "h2" / "f").stat().st_ino


def test_a_name_that_nothing_matches_is_an_error(client: Client, tree: Path) -> None:
    outcome = client.run("restore", f"{tree}/nothing", f"{tree}/")
    assert outcome.code == 12 and "ANS1084E" in outcome.errors
    assert client.run("query", "backup", f"{tree}/nothing").code == 8


def test_files_only_and_dirs_only(client: Client, tree: Path) -> None:
    target = tree.parent / "d"
    client.succeed(
        "restore", f"{tree}/h1/h2/*", f"{target}/", "-subdir=yes", "-dirsonly", "-preservepath=nobase"
    )
    assert names(target) == set() and (target / "sub").is_dir()
    client.succeed("restore", f"{tree}/h1/h2/*", f"{target}/", "-filesonly", "-preservepath=nobase")
    assert names(target) == {"f"}


def test_a_batch_boundary_changes_nothing(
    client: Client, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        (tree / "h1" / f"{number}").write_text(f"{number}" * number)
    os.link(tree / "h1" / "7", tree / "h1" / "h2" / "seven")
    client.succeed("incremental", f"{tree}/", "-subdir=yes")
    monkeypatch.setattr(restore, "BATCH_OBJECTS", 3)
    target = tree.parent / "d"
    client.succeed(
        "restore", f"{tree}/*", f"{target}/", "-subdir=yes", "-preservepath=nobase", "-resourceutilization=1"
    )
    assert names(target) == names(tree)
    assert (target / "h1" / "7").stat().st_nlink == 2
    assert all((target / "h1" / f"{n}").read_text() == f"{n}" * n for n in range(50))


@pytest.mark.parametrize(("batch_objects", "times"), [(2, 3), (3000, 1)])
def test_the_summary_counts_every_byte_that_came(
    client: Client, tree: Path, monkeypatch: pytest.MonkeyPatch, batch_objects: int, times: int
) -> None:
    """Also what the receiver has before the writer looks. All files lie in one pack, which each batch needs."""
    sizes = [20_000 + number for number in range(6)]
    for number, size in enumerate(sizes):
        (tree / "h1" / f"{number}").write_bytes(random.Random(number).randbytes(size))
    client.succeed("incremental", f"{tree}/", "-subdir=yes")
    monkeypatch.setattr(restore, "BATCH_OBJECTS", batch_objects)
    outcome = client.succeed("restore", f"{tree}/h1/*", f"{tree.parent}/d/", "-resourceutilization=1")
    came = outcome.size("Total number of bytes transferred")
    assert times * sum(sizes) < came + 1024 and came < 1.1 * times * sum(sizes)
