"""Nothing opens outside its root: not by links, not by names, with and without openat2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from farvault.client import beneath
from farvault.client.beneath import is_safe_name, open_beneath


@pytest.fixture(params=["openat2", "step by step"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    if request.param == "step by step":
        monkeypatch.setattr(beneath, "_has_openat2", lambda: False)
    elif not beneath._has_openat2():
        pytest.skip("this kernel or sandbox has no openat2")
    (tmp_path / "root" / "a" / "b").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    opened = os.open(tmp_path / "root", os.O_RDONLY | os.O_DIRECTORY)
    yield opened
    os.close(opened)


def inode(opened: int) -> int:
    try:
        return os.fstat(opened).st_ino
    finally:
        os.close(opened)


def test_folders_below_the_root_can_be_opened(root: int, tmp_path: Path) -> None:
    assert inode(open_beneath(root, b"a\0b")) == (tmp_path / "root" / "a" / "b").stat().st_ino
    assert inode(open_beneath(root, b"")) == (tmp_path / "root").stat().st_ino


@pytest.mark.parametrize("directory", [b"..", b"a\0..\0..", b".", b"a/b", b"/etc", b"a\0\0b", b"x" * 256])
def test_names_that_could_lead_out_are_refused(root: int, directory: bytes) -> None:
    with pytest.raises(OSError, match="not a name"):
        open_beneath(root, directory)


@pytest.mark.parametrize("target", ["../outside", "/", "b", "."])
def test_links_are_not_followed_wherever_they_lead(root: int, tmp_path: Path, target: str) -> None:
    (tmp_path / "root" / "a" / "link").symlink_to(target)
    for directory in (b"a\0link", b"a\0link\0b"):
        with pytest.raises(OSError):
            open_beneath(root, directory)


def test_a_path_longer_than_the_kernel_takes_at_once(root: int) -> None:
    at, names = os.dup(root), [b"n" * 250] * 20
    for name in names:
        os.mkdir(name, dir_fd=at)
        deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = deeper
    assert inode(open_beneath(root, b"\0".join(names))) == inode(at)


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"a\0b", b"x" * 256])
def test_a_name_that_leads_elsewhere_is_unsafe(name: bytes) -> None:
    assert not is_safe_name(name)


@pytest.mark.parametrize("name", [b"...", b"..a", b"\xff", b" ", b"x" * 255])
def test_any_other_name_is_safe(name: bytes) -> None:
    assert is_safe_name(name)
