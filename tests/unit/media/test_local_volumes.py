"""What only volumes on a local file system can do: fill it, break, lose their end."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE_SECONDS

from farvault.base.disk import VolumeFile, aligned_buffer
from farvault.base.errors import MediaFailed, MediaFull, NotFound
from farvault.base.units import MIB
from farvault.media.disk import DiskDevice
from farvault.media.faulty import Faults, FaultyDevice
from farvault.media.file import FileDevice
from farvault.media.interface import Span


def record(byte: int, size: int = 64 * 1024) -> memoryview:
    buffer = aligned_buffer(size)
    buffer[:] = bytes([byte]) * size
    return buffer


@pytest.fixture
def small_files_only() -> Iterator[None]:
    """No file of this process may grow over 1 MiB: what a full file system looks like."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files_only")
def test_a_full_file_system_is_seen_at_the_append_and_earlier_records_stay(tmp_path: Path) -> None:
    device = FileDevice([str(tmp_path)])
    name = device.scratch_name("POOL", 1)
    device.create(name, 100 * MIB)
    writer = device.open_writer(name, 0, 100 * MIB)
    size = 96 * 1024
    with pytest.raises(MediaFull, match="ANR8308W"):
        for byte in range(20):
            writer.append(record(byte, size), b"")
    assert writer.position_bytes == MIB // size * size == os.path.getsize(name)
    writer.commit()
    writer.close()
    reader = device.open_reader(name)
    spans = [Span(at, size) for at in range(0, MIB // size * size, size)]
    assert [view[0] if view else None for view in reader.read_many(spans)] == list(range(len(spans)))
    reader.close()


@pytest.mark.usefixtures("small_files_only")
def test_a_disk_volume_gets_all_its_blocks_or_is_not_made(tmp_path: Path) -> None:
    name = str(tmp_path / "one.dsk")
    with pytest.raises(MediaFull):
        DiskDevice().create(name, 2 * MIB)
    assert not os.path.exists(name)
    DiskDevice().create(name, MIB)
    assert os.stat(name).st_blocks * 512 >= MIB


def test_a_volume_shorter_than_recorded_is_not_opened_for_writing(tmp_path: Path) -> None:
    device = FileDevice([str(tmp_path)])
    name = device.scratch_name("POOL", 1)
    device.create(name, MIB)
    with pytest.raises(MediaFailed, match="ANR8359E"):
        device.open_writer(name, 4096, MIB)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_after_a_failed_sync_nothing_is_claimed_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Nor where the disk had no room: `MediaFull` would say that what was written is there."""
    device = FileDevice([str(tmp_path)])
    name = device.scratch_name("POOL", 1)
    device.create(name, MIB)
    writer = device.open_writer(name, 0, MIB)
    writer.append(record(1), b"")

    def fail(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(MediaFailed, match=os.strerror(number)):
        writer.commit()
    monkeypatch.undo()
    with pytest.raises(MediaFailed):
        writer.commit()  # the kernel may have dropped the pages and would say yes now
    writer.close()


def test_a_bad_spot_costs_one_record_and_not_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = FileDevice([str(tmp_path)])
    name = device.scratch_name("POOL", 1)
    device.create(name, MIB)
    writer = device.open_writer(name, 0, MIB)
    spans = [Span(writer.append(record(byte), b""), 64 * 1024) for byte in range(8)]
    writer.commit()
    writer.close()
    real = VolumeFile.read_at
    bad = spans[3].offset_bytes

    def read_at(self: VolumeFile, offset: int, into: memoryview) -> int:
        if offset <= bad < offset + into.nbytes:
            raise OSError(5, "Input/output error")
        return real(self, offset, into)

    monkeypatch.setattr(VolumeFile, "read_at", read_at)
    reader = device.open_reader(name)
    assert [view[0] if view else None for view in reader.read_many(spans)] == [0, 1, 2, None, 4, 5, 6, 7]
    reader.close()


def test_neighbours_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = FileDevice([str(tmp_path)])
    name = device.scratch_name("POOL", 1)
    device.create(name, 16 * MIB)
    writer = device.open_writer(name, 0, 16 * MIB)
    spans = [Span(writer.append(record(n), b""), 64 * 1024) for n in range(128)]
    writer.commit()
    writer.close()
    real = VolumeFile.read_at
    reads: list[int] = []

    def read_at(self: VolumeFile, offset: int, into: memoryview) -> int:
        reads.append(into.nbytes)
        return real(self, offset, into)

    monkeypatch.setattr(VolumeFile, "read_at", read_at)
    reader = device.open_reader(name)
    assert [view[0] if view else None for view in reader.read_many(spans)] == list(range(128))
    reader.close()
    assert reads == [4 * MIB, 4 * MIB]


def test_the_wrong_kind_of_writing_is_a_defect(tmp_path: Path) -> None:
    disk, file = DiskDevice(), FileDevice([str(tmp_path)])
    disk.create(str(tmp_path / "d"), MIB)
    file.create(str(tmp_path / "f"), MIB)
    with pytest.raises(TypeError):
        disk.open_writer(str(tmp_path / "d"), 0, MIB).append(record(1), b"")
    with pytest.raises(TypeError):
        file.open_writer(str(tmp_path / "f"), 0, MIB).write_at(0, record(1))


def test_killed_in_the_middle_of_an_append_a_volume_opens_at_its_known_end(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import sys
        from farvault.base.disk import aligned_buffer
        from farvault.media.file import FileDevice
        device = FileDevice([sys.argv[1]])
        device.create(sys.argv[2], 1 << 20)
        writer = device.open_writer(sys.argv[2], 0, 1 << 20)
        for _ in range(3):
            writer.append(aligned_buffer(8192), b"")
            writer.commit()
        print("never reached")
    """)
    name = str(tmp_path / "00000001.bfs")
    environment = {**os.environ, "FARVAULT_CRASH_AT": "volume.append.before_sync#3"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), name],
        env=environment,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
    writer = FileDevice([str(tmp_path)]).open_writer(name, 16384, MIB)
    assert writer.position_bytes == 16384 == os.path.getsize(name)
    writer.close()


def test_faults_come_when_they_are_asked_for(tmp_path: Path) -> None:
    faults = Faults()
    device = FaultyDevice(FileDevice([str(tmp_path)]), faults)
    name = device.scratch_name("POOL", 1)
    faults.fail("create", NotFound("ANR8355E", volume=name))
    with pytest.raises(NotFound):
        device.create(name, MIB)
    device.create(name, MIB)
    writer = device.open_writer(name, 0, MIB)
    faults.fail("append", MediaFull("ANR8341I", volume=name), nth=2)
    span = Span(writer.append(record(7), b""), 64 * 1024)
    with pytest.raises(MediaFull):
        writer.append(record(8), b"")
    writer.commit()
    writer.close()
    faults.flip(100, nth=1)
    faults.zero(50, nth=2)
    reader = device.open_reader(name)
    got = [bytes(view) for view in reader.read_many([span, span, span]) if view]
    reader.close()
    assert [one[100] for one in got] == [6, 0, 7]
    assert [one.count(7) for one in got] == [65535, 50, 65536]
