"""How volumes come and go."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.storage.depot import Depot, some_files

from farvault.base.errors import AlreadyExists, MediaFull, StillReferenced
from farvault.base.units import MIB
from farvault.seal import label


def test_a_file_that_is_there_already_is_never_overwritten(depot: Depot) -> None:
    folder = depot.folder / "tapeclass"
    folder.mkdir()
    (folder / "00000001.bfs").write_bytes(b"somebody's")
    depot.send(some_files(1))
    assert (folder / "00000001.bfs").read_bytes() == b"somebody's"
    assert [volume.name for volume in depot.volumes()] == [str(folder / "00000002.bfs")]
    with pytest.raises(AlreadyExists):
        depot.storage.life.define(depot.pool("TAPEPOOL"), "00000001.bfs")
    assert (folder / "00000001.bfs").read_bytes() == b"somebody's"


def test_a_pool_uses_several_folders(depot: Depot) -> None:
    depot.change_class("TAPECLASS", directory=f"{depot.folder}/a,{depot.folder}/b")
    depot.send(some_files(1))
    assert depot.volumes()[0].name.startswith((f"{depot.folder}/a/", f"{depot.folder}/b/"))


@pytest.mark.parametrize("pool", ["TAPEPOOL", "BACKUPPOOL"])
def test_a_volume_begins_with_its_label(depot: Depot, pool: str) -> None:
    depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsk", capacity_bytes=8 * MIB)
    depot.send(some_files(1), pool=pool)
    (volume,) = depot.volumes(pool)
    with open(volume.name, "rb") as file:
        found = label.parse(file.read(4096))
    assert (found.server, found.pool, found.volume) == ("DELHI", pool, volume.name)


def test_volumes_with_data_are_not_deleted(depot: Depot) -> None:
    depot.send(some_files(1))
    (volume,) = depot.volumes()
    with pytest.raises(StillReferenced, match="ANR2406E"):
        depot.storage.life.delete(volume)


def test_deleting_a_volume_deletes_its_file(depot: Depot) -> None:
    for pool in ("TAPEPOOL", "BACKUPPOOL"):
        volume = depot.storage.life.define(depot.pool(pool), "defined", capacity_bytes=8 * MIB)
        depot.storage.life.delete(volume)
        assert depot.volumes(pool) == []
        assert not Path(volume.name).exists()


def test_disk_space_that_is_not_there_is_not_defined(depot: Depot) -> None:
    depot.faults.fail("create", MediaFull("ANR8308W", volume="v", reason="No space left on device"))
    with pytest.raises(MediaFull):
        depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsk", capacity_bytes=8 * MIB)
    assert depot.volumes("BACKUPPOOL") == []


def test_a_torn_tail_is_cut_at_start(depot: Depot) -> None:
    depot.send(some_files(2))
    (volume,) = depot.volumes()
    with open(volume.name, "ab") as file:
        file.write(bytes(10_000))
    depot.restart()
    with open(volume.name, "rb") as file:
        assert len(file.read()) == volume.written_bytes
    assert depot.restore() == some_files(2)
