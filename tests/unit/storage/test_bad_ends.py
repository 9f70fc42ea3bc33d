"""What is left when the end of a transaction goes wrong, or what a crash interrupted is met again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import pytest
from tests.unit.storage.depot import MakeDepot, packs, send_pack, some_files

from farvault.base.errors import MediaFailed
from farvault.base.units import MIB


class _UnsureFile(apsw.VFSFile):
    """Writes arrive; whether the log's sync has, nobody is told."""

    def __init__(self, disk: _UnsureDisk, name: Any, flags: list[int]) -> None:
        path = str(name.filename() if hasattr(name, "filename") else name)
        self._disk, self._is_log = disk, path.endswith("-wal")
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        if self._is_log and self._disk.failing:
            raise apsw.IOError


class _UnsureDisk(apsw.VFS):
    def __init__(self) -> None:
        self.failing = False
        super().__init__("unsure", "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _UnsureFile(self, name, flags)


@pytest.fixture
def unsure() -> Iterator[_UnsureDisk]:
    disk = _UnsureDisk()
    yield disk
    disk.unregister()


@pytest.mark.parametrize("pool", ["TAPEPOOL", "BACKUPPOOL"])
def test_a_commit_of_which_nobody_knows_whether_it_happened_leaves_the_bytes_alone(
    make_depot: MakeDepot, unsure: _UnsureDisk, pool: str
) -> None:
    """The next start finds the transaction in the log: then its records must be there, on new and on old volumes."""
    depot = make_depot(vfs="unsure")
    depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsk", capacity_bytes=64 * MIB)
    started = depot.begin("BOB", pool)
    for each in packs(some_files(2, start=50), "BOB"):
        send_pack(started, each)
    started._conveyor.stop()  # it has its volume
    intake = depot.begin(pool=pool)
    for each in packs(some_files(4)):
        send_pack(intake, each)
    intake._conveyor.stop()
    unsure.failing = True
    with pytest.raises(MediaFailed, match="ANR0132E"):
        intake.commit()
    unsure.failing = False
    for each in packs(some_files(20, start=60), "BOB"):
        send_pack(started, each)
    with pytest.raises(MediaFailed):
        started.commit()
    with pytest.raises(MediaFailed, match="ANR0139E"):
        depot.send(some_files(3, start=20), pool=pool)
    depot.restart()
    assert depot.restore("ALICE") == some_files(4)
    assert depot.restore("BOB") == {}
