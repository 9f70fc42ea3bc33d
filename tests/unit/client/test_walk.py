"""The walk's order is the server's order, and it stays inside its file space."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from farvault.client.walk import Folder, walk


def folders(
    path: Path, may_enter: Callable[[bytes], bool] = lambda _: True, *, below: bool = True
) -> list[Folder]:
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return list(walk(root, b"", below=below, may_enter=may_enter))
    finally:
        os.close(root)


NAMES = st.binary(min_size=1, max_size=3).filter(
    lambda n: b"/" not in n and b"\0" not in n and n not in (b".", b"..")
)


@settings(max_examples=40, deadline=None)
@given(st.sets(st.lists(NAMES, min_size=1, max_size=4).map(tuple), max_size=12))
def test_entries_come_in_the_order_of_directory_and_name(
    tmp_path_factory: object, paths: set[tuple[bytes, ...]]
) -> None:
    root = tmp_path_factory.mktemp("tree")  # type: ignore[attr-defined]
    for path in paths:
        os.makedirs(os.path.join(os.fsencode(root), *path), exist_ok=True)
    seen = [(folder.directory, name) for folder in folders(root) for name, _ in folder.entries]
    assert seen == sorted(seen)
    wanted = {path[:depth] for path in paths for depth in range(1, len(path) + 1)}
    assert {(*d.split(b"\0"), n) if d else (n,) for d, n in seen} == wanted


def test_a_folder_that_may_not_be_entered_is_listed_but_not_read(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "deep").mkdir(parents=True)
    found = folders(tmp_path, lambda directory: directory != b"out")
    assert [folder.directory for folder in found] == [b"", b"in", b"in\0deep"]
    assert [name for name, _ in found[0].entries] == [b"in", b"out"]


def test_links_to_folders_are_not_entered(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    assert [folder.directory for folder in folders(tmp_path)] == [b"", b"folder"]


def test_without_below_one_level_is_walked(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert [folder.directory for folder in folders(tmp_path, below=False)] == [b""]


def test_a_folder_swapped_for_a_link_is_a_problem_not_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "tree" / "a").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()

    def swap(directory: bytes) -> bool:
        (tmp_path / "tree" / "a").rmdir()
        (tmp_path / "tree" / "a").symlink_to(tmp_path / "outside")
        return True

    found = folders(tmp_path / "tree", swap)
    assert found[1].directory == b"a" and found[1].problem is not None and not found[1].entries


def test_a_start_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        (folder,) = walk(root, b"gone", below=True, may_enter=lambda _: True)
    finally:
        os.close(root)
    assert isinstance(folder.problem, FileNotFoundError)
