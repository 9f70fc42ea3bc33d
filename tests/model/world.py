"""DELHI and TOKYO for the model: three primary pools in a chain, a copy pool at TOKYO, a line that can be cut, a clock that
stands still, volumes so small that every few files need another one. Both servers run in this process.

Killing: at a crash point the line is cut and the instance folder copied while the catalog cannot change; what the server
does after that happens to a folder nobody looks at again. The next start is from the copy. That is what SIGKILL leaves.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.vaults import make_target
from tests.model.link import Link
from tests.model.reference_model import Homes

from farvault.apps.server import Server
from farvault.base.clock import ManualClock
from farvault.base.disk import observe_crash_points
from farvault.base.errors import FarvaultError, RecordDamaged
from farvault.catalog import nouns, placements, superseded, vault
from farvault.catalog.placements import PlacementRow
from farvault.model.device_class import DeviceClass
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.processes import challenge_server
from farvault.seal.record import check
from farvault.storage import outputs, storage, volume_life, volumes

NODES = ("ANN", "BOB")
PRIMARY_POOLS = ("DISKPOOL", "TAPEPOOL", "TARGETPOOL")
COPY_POOL = "COPYPOOL"
POOLS = (*PRIMARY_POOLS, COPY_POOL)
VOLUME_BYTES = 400 << 10
START = 1_800_000_000
ANY_CODE = tuple(range(100))
SETUP = (
    f"define server tokyo password={PASSWORD} hladdress=127.0.0.1 lladdress={{port}} nodename=delhi",
    "define devclass targetclass devtype=server servername=tokyo maxcapacity=1m mountlimit=4 retryperiod=0",
    "define devclass tapeclass devtype=file directory={folder}/tapes maxcapacity=1m mountlimit=10",
    "define stgpool targetpool targetclass maxscratch=200 reclaim=100",
    "define stgpool copypool targetclass pooltype=copy maxscratch=200 reclaim=100",
    "define stgpool tapepool tapeclass maxscratch=200 reclaim=100 nextstgpool=targetpool highmig=100 lowmig=99",
    "define stgpool diskpool disk nextstgpool=tapepool highmig=100 lowmig=99",
    "define volume diskpool {folder}/disk1.dsm formatsize=1 wait=yes",
    "define volume diskpool {folder}/disk2.dsm formatsize=1 wait=yes",
    "update copygroup standard standard standard type=backup destination=diskpool verexists=2 verdeleted=1 retextra=5 retonly=10",
    "update copygroup standard standard standard type=archive destination=diskpool retver=8",
    "activate policyset standard standard",
    f"register node ann {PASSWORD} backdelete=yes archdelete=yes",
    f"register node bob {PASSWORD} backdelete=yes archdelete=yes",
    "setopt expinterval 0",
    "set scrubrate 0",
)


@cache
def content(seed: int) -> bytes:
    """The content with this number: nothing compresses, sizes differ; five of the largest fit on one volume."""
    chance = random.Random(seed)
    return chance.randbytes(chance.choice((700, 5_000, 20_000, 60_000, 75_000)))


def make_volumes_small(patch: Callable[[object, str, object], None]) -> None:
    """The smallest volume holds a few files instead of two whole records; and chance is the same each time."""
    for module in (outputs, storage, volume_life, volumes):
        patch(module, "SMALLEST_CAPACITY_BYTES", VOLUME_BYTES)
    patch(challenge_server, "_random", random.Random(0))


class World:
    """Made from a template that is set up once; `close` at the end."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.clock = ManualClock(START)
        self.link = Link()
        self.tokyo, self.delhi = (self._server(name) for name in ("TOKYO", "DELHI"))

    def _server(self, name: str) -> GridServer:
        server = GridServer(name, str(self.base / name.lower()))
        server.change = self._hold_the_clock
        return server

    def _hold_the_clock(self, server: Server) -> None:
        server.clock = self.clock

    # --- life --------------------------------------------------------------------------------------------------------

    @classmethod
    def set_up(cls, base: Path, template: Path) -> None:
        """The definitions, once for all runs. Paths are absolute: every run is in the same folder."""
        base.mkdir()
        world = cls(base)
        world.start(world.tokyo)
        make_target(world.tokyo, "DELHI")
        world.tokyo.admin("set scrubrate 0")
        world.start(world.delhi)
        for command in SETUP:
            world.delhi.admin(command.format(folder=world.delhi.folder, port=world.link.port))
        for server in (world.delhi, world.tokyo):
            with server.server.catalog.write() as tx:
                for one in nouns.select(tx, DeviceClass):
                    if one.max_capacity_bytes:
                        nouns.update(tx, msgspec.structs.replace(one, max_capacity_bytes=VOLUME_BYTES))
        world.close()
        base.rename(template)
        base.mkdir()

    @classmethod
    def from_template(cls, template: Path, base: Path) -> World:
        for name in ("delhi", "tokyo"):
            shutil.rmtree(base / name, ignore_errors=True)
            shutil.copytree(template / name, base / name)
        world = cls(base)
        for server in (world.tokyo, world.delhi):
            world.start(server)
        challenge_server._random.seed(0)
        world.delhi.admin(f"update server tokyo lladdress={world.link.port}")
        return world

    def start(self, server: GridServer) -> None:
        """Its housekeeping works only when the test says so."""
        server.start()
        server.server.housekeeping.stop()
        server.server.housekeeping._stopping.clear()
        if server is self.tokyo:
            self.link.to_port = server.port

    def restart(self, server: GridServer) -> None:
        server.stop()
        self.start(server)

    def close(self) -> None:
        for server in (self.delhi, self.tokyo):
            server.stop()
        self.link.close()

    def settle(self) -> None:
        """Wait until no process runs."""
        for server in (self.delhi, self.tokyo):
            for process in server.server.processes.list():
                assert process.wait(60), f"{process.description} does not end"

    # --- dying -------------------------------------------------------------------------------------------------------

    def kill_while(self, victim: GridServer, at: int, action: Callable[[], object]) -> str:
        """Kill at the `at`-th crash point that anybody passes, or when the action is over; start from what was left."""
        copied = Path(f"{victim.folder}.left")
        shutil.rmtree(copied, ignore_errors=True)
        passed, died = itertools.count(1), []
        was_up = self.link.is_up

        def observe(label: str) -> None:
            if next(passed) == at:
                died.append(label)
                self.link.cut()
                self._copy_folder(victim, copied)

        observe_crash_points(observe)
        try:
            action()
        except (FarvaultError, OSError):
            assert died, "it failed without having been killed"
        finally:
            observe_crash_points(None)
        if not died:
            self.link.cut()
            self._copy_folder(victim, copied)
        self.settle()
        victim.stop()
        shutil.rmtree(victim.folder)
        copied.rename(victim.folder)
        if was_up:
            self.link.mend()
        self.start(victim)
        return died[0] if died else ""

    @staticmethod
    def _copy_folder(victim: GridServer, to: Path) -> None:
        writer = victim.server.catalog._writer
        with contextlib.nullcontext() if writer.is_ours else writer.turn(even_if_failed=True):
            # Nor what other threads are just replacing: it may vanish while it is copied.
            shutil.copytree(victim.folder, to, ignore=shutil.ignore_patterns("*-shm", "*.new"))

    # --- commands ----------------------------------------------------------------------------------------------------

    def housekeeping(self, server: GridServer) -> None:
        server.server.housekeeping.do_everything()
        self.settle()

    # --- looking -----------------------------------------------------------------------------------------------------

    def volumes(self, pool: str, server: GridServer | None = None) -> list[Volume]:
        with (server or self.delhi).server.catalog.read() as r:
            return nouns.select(r, Volume, pool_id=nouns.get(r, StoragePool, pool).id)

    def placed(self, pool: str, server: GridServer | None = None) -> list[PlacementRow]:
        """In a fixed order."""
        with (server or self.delhi).server.catalog.read() as r:
            several = nouns.select(r, Volume, pool_id=nouns.get(r, StoragePool, pool).id)
            return [row for one in several for row in placements.on_volume(r, one.id, limit=99_999)]

    def access(self) -> dict[str, str]:
        return {one.name: one.access for pool in POOLS for one in self.volumes(pool)}

    def reachable(self) -> set[str]:
        """Names of volumes that may be read now."""
        with self.delhi.server.catalog.read() as r:
            pools = {pool.id: pool for pool in nouns.select(r, StoragePool)}
            return {
                volume.name
                for volume in nouns.select(r, Volume)
                if volume.access in ("READWRITE", "READONLY")
                and volume.status != "OFFLINE"
                and pools[volume.pool_id].access in ("READWRITE", "READONLY")
                and (self.link.is_up or not self.is_remote(pools[volume.pool_id].name))
            }

    @staticmethod
    def is_remote(pool: str) -> bool:
        return pool in ("TARGETPOOL", COPY_POOL)

    def survey(self) -> dict[int, Homes]:
        """Object -> where an intact record of it lies, found by looking at the disks."""
        with self.delhi.server.catalog.read() as r:
            uses = r.all(
                "SELECT x.object_id, e.aggregate_id FROM object_extents x JOIN extents e ON e.id = x.extent_id"
            )
            places = superseded.places_of_data(r, {aggregate for _, aggregate in uses})
            pools = {pool.id: pool.name for pool in nouns.select(r, StoragePool)}
        rows = {row for several in places.values() for row in several}
        good = {row for row in rows if self.is_intact(row, self.is_remote(pools[row.pool_id]))}
        trusted = {row for row in rows - good if self.is_remote(pools[row.pool_id]) and self._is_trusted(row)}
        found = {}
        for number, aggregate in uses:
            several = [row for row in places[aggregate] if row.volume_access != "DESTROYED"]
            found[number] = Homes(
                frozenset(row.volume_name for row in several if row in good and not row.is_copy),
                frozenset(row.volume_name for row in several if row in good and row.is_copy),
                any(row not in good and row.is_readable for row in several),
                any(row in trusted for row in several),
            )
        return found

    def is_intact(self, row: PlacementRow, is_remote: bool) -> bool:
        if not is_remote:
            return is_whole(row)
        return any(
            is_whole(one) and one.volume_access in ("READWRITE", "READONLY") for one in self.at_target(row)
        )

    def _is_trusted(self, row: PlacementRow) -> bool:
        return any(one.is_readable for one in self.at_target(row))

    def at_target(self, row: PlacementRow) -> list[PlacementRow]:
        """Where TOKYO keeps the record of a virtual volume."""
        with self.tokyo.server.catalog.read() as r:
            node = nouns.get(r, Node, "DELHI")
            where = [(row.offset_bytes, row.stored_bytes)]
            (found,) = vault.spans(r, node.id, f"ADSM.{row.volume_name}", where)
            if found is None or found[0] != row.digest:
                return []
            return placements.of_aggregates(r, [found[1]])[found[1]]


def is_whole(row: PlacementRow) -> bool:
    return read_digest(row.volume_name, row.offset_bytes, row.stored_bytes) == row.digest


def read_digest(path: str, offset: int, size: int) -> bytes | None:
    """The address of the record that lies there, if it is whole."""
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            return check(memoryview(file.read(size))).digest
    except (OSError, RecordDamaged):
        return None


def flip_a_byte(path: str, offset: int) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x40]))


def lose(path: str) -> None:
    os.unlink(path)
