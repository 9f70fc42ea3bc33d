"""Files that must survive: what is said to be there is there, whole."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from farvault.base import disk


def test_a_small_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = str(tmp_path / "settings")
    disk.write_file(path, b"old")
    disk.write_file(path, b"new and longer")
    assert Path(path).read_bytes() == b"new and longer"
    assert os.listdir(tmp_path) == ["settings"]
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_process_killed_before_the_rename_leaves_the_old_file(tmp_path: Path) -> None:
    path = str(tmp_path / "settings")
    disk.write_file(path, b"old")
    script = f"from farvault.base import disk; disk.write_file({path!r}, b'new')"
    killed = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "FARVAULT_CRASH_AT": "file.replace.before_rename"}
    )
    assert killed.returncode == -9
    assert Path(path).read_bytes() == b"old"
    disk.write_file(path, b"new")
    assert Path(path).read_bytes() == b"new"


def test_the_crash_comes_at_the_counted_arrival(tmp_path: Path) -> None:
    script = "from farvault.base.disk import crash_point\nfor i in range(5): print(i, flush=True); crash_point('here')"
    killed = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "FARVAULT_CRASH_AT": "here#3"},
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -9
    assert killed.stdout.split() == ["0", "1", "2"]


def test_an_observer_sees_every_crash_point_of_this_process() -> None:
    seen: list[str] = []
    disk.observe_crash_points(seen.append)
    try:
        disk.crash_point("one")
        disk.crash_point("two")
    finally:
        disk.observe_crash_points(None)
    disk.crash_point("three")
    assert seen == ["one", "two"]


def test_a_volume_file_gives_back_what_was_written_at_each_offset(tmp_path: Path) -> None:
    file = disk.VolumeFile(str(tmp_path / "volume"), create=True)
    first, second = disk.aligned_buffer(8192), disk.aligned_buffer(4096)
    first[:], second[:] = b"a" * 8192, b"b" * 4096
    assert file.write_at(4096, [first, second]) == 12288
    file.sync()
    into = disk.aligned_buffer(16384)
    assert file.read_at(0, into) == 16384
    assert bytes(into) == bytes(4096) + b"a" * 8192 + b"b" * 4096
    assert file.read_at(12288, disk.aligned_buffer(8192)) == 4096
    file.close()


def test_a_volume_file_is_never_made_over_an_existing_one(tmp_path: Path) -> None:
    disk.VolumeFile(str(tmp_path / "volume"), create=True).close()
    with pytest.raises(FileExistsError):
        disk.VolumeFile(str(tmp_path / "volume"), create=True)


def test_after_a_failed_sync_the_file_is_not_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = disk.VolumeFile(str(tmp_path / "volume"), create=True)

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "disk trouble")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(OSError, match="disk trouble"):
        file.sync()
    monkeypatch.undo()
    with pytest.raises(OSError, match="earlier"):
        file.sync()
    with pytest.raises(OSError, match="earlier"):
        file.write_at(0, [disk.aligned_buffer(4096)])


def test_reserved_space_is_real_and_a_cut_is_durable(tmp_path: Path) -> None:
    file = disk.VolumeFile(str(tmp_path / "volume"), create=True)
    file.preallocate(1 << 20)
    assert os.stat(file.path).st_blocks * 512 >= 1 << 20
    file.truncate(8192)
    assert file.size_bytes == 8192


@pytest.mark.parametrize(("size", "aligned"), [(0, 0), (1, 4096), (4096, 4096), (4097, 8192)])
def test_sizes_are_rounded_up_to_blocks(size: int, aligned: int) -> None:
    assert disk.align_up(size) == aligned


def test_removing_a_file_that_is_gone_is_fine(tmp_path: Path) -> None:
    disk.remove_file(str(tmp_path / "nothing"))


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    disk.make_folder(str(tmp_path / "a" / "b" / "c"))
    disk.make_folder(str(tmp_path / "a" / "b" / "c"))
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_two_programs_that_replace_a_file_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = str(tmp_path / "settings")
    inside: list[str] = []

    def other_writes(label: str) -> None:
        disk.observe_crash_points(None)
        inside.extend(os.listdir(tmp_path))
        disk.write_file(path, b"other")

    disk.observe_crash_points(other_writes)
    try:
        disk.write_file(path, b"first to begin, last to rename")
    finally:
        disk.observe_crash_points(None)
    assert len(inside) == 1
    assert Path(path).read_bytes() == b"first to begin, last to rename"
    assert os.listdir(tmp_path) == ["settings"]


def test_what_a_killed_program_left_goes_with_the_next_write(tmp_path: Path) -> None:
    path = str(tmp_path / "settings")
    script = f"from farvault.base import disk; disk.write_file({path!r}, b'new')"
    killed = {**os.environ, "FARVAULT_CRASH_AT": "file.replace.before_rename"}
    subprocess.run([sys.executable, "-c", script], env=killed)
    (tmp_path / "settings.not-ours.new").touch()
    assert len(os.listdir(tmp_path)) == 2
    disk.write_file(path, b"newer")
    assert sorted(os.listdir(tmp_path)) == ["settings", "settings.not-ours.new"]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "settings").mkdir()
    with pytest.raises(OSError):
        disk.write_file(str(tmp_path / "settings"), b"new")
    assert os.listdir(tmp_path) == ["settings"]
