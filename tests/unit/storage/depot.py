"""A storage with a real catalog and real files, and a client that sends and restores through it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from farvault.base.clock import ManualClock
from farvault.base.log import Line, Log
from farvault.base.units import MIB
from farvault.catalog import nouns, objects, placements
from farvault.catalog.catalog import Catalog
from farvault.catalog.placements import PlacementRow
from farvault.catalog.settings import set_setting
from farvault.media.faulty import Faults, FaultyDevice
from farvault.media.interface import Device
from farvault.model.device_class import DeviceClass
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.storage_pool import COPY, RANDOM, SEQUENTIAL, StoragePool
from farvault.model.volume import Volume
from farvault.protocol.messages import TransactionAnswer
from farvault.seal.compress import Compressor, decompress
from farvault.seal.digest import digest
from farvault.seal.identity import Identity
from farvault.seal.keyring import Keyring
from farvault.seal.pack import PackBuilder, parse
from farvault.storage.devices import ConnectServer, Devices
from farvault.storage.intake import Intake
from farvault.storage.object_reading import ObjectReader
from farvault.storage.storage import Storage


def no_server(definition: DeviceClass) -> Device:
    raise AssertionError("no SERVER class here")


class Depot:
    """One server's storage. DISK pool BACKUPPOOL -> FILE pool TAPEPOOL; copy pool COPYPOOL. Nodes ALICE and BOB.

    With a target also pools of class SERVER: primary TARGETPOOL, copy pools TARGETCOPYPOOL and TARGETCOPYPOOL2.
    """

    def __init__(
        self,
        folder: Path,
        *,
        capacity_bytes: int = 16 * MIB,
        max_scratch: int = 50,
        connect_server: ConnectServer = no_server,
        vfs: str | None = None,
    ) -> None:
        """`vfs`: the catalog's way to the disk until `restart`, for tests of failing ones."""
        self.folder = folder
        self._connect_server = connect_server
        self.clock = ManualClock()
        self.log = Log(self.clock)
        self.said: list[Line] = []
        self.log.add_sink(self.said.append)
        self.keyring, self.identity = Keyring.create(), Identity.create("DELHI")
        self.faults = Faults()
        self.catalog = Catalog.create(str(folder / "catalog.db"), self.keyring.row_key(), self.clock)
        if vfs is not None:
            self.catalog.close()
            self.catalog = Catalog.open(self.catalog.path, self.keyring.row_key(), self.clock, vfs=vfs)
        self._define(capacity_bytes, max_scratch)
        self.storage = self._open_storage()

    def _define(self, capacity_bytes: int, max_scratch: int) -> None:
        with self.catalog.write() as tx:
            set_setting(tx, "SERVERNAME", "DELHI")
            if nouns.find(tx, DeviceClass, "DISK") is None:
                nouns.insert(tx, DeviceClass(name="DISK", device_type="DISK"))
            for name in ("TAPECLASS", "COPYCLASS"):
                nouns.insert(
                    tx,
                    DeviceClass(
                        name=name,
                        device_type="FILE",
                        directory=str(self.folder / name.lower()),
                        max_capacity_bytes=capacity_bytes,
                        mount_limit=20,
                    ),
                )
            target_class = DeviceClass(
                name="TARGETCLASS",
                device_type="SERVER",
                server_name="TOKYO",
                max_capacity_bytes=capacity_bytes,
                mount_limit=1,
            )
            nouns.insert(tx, target_class)
            pools = (
                ("TARGETPOOL", "TARGETCLASS", SEQUENTIAL, "PRIMARY", ""),
                ("TARGETCOPYPOOL", "TARGETCLASS", COPY, "COPY", ""),
                ("TARGETCOPYPOOL2", "TARGETCLASS", COPY, "COPY", ""),
                ("BACKUPPOOL", "DISK", RANDOM, "PRIMARY", "TAPEPOOL"),
                ("TAPEPOOL", "TAPECLASS", SEQUENTIAL, "PRIMARY", ""),
                ("COPYPOOL", "COPYCLASS", COPY, "COPY", ""),
            )
            for name, device_class, variant, pool_type, next_pool in pools:
                nouns.insert(
                    tx,
                    StoragePool(
                        name=name,
                        device_class=device_class,
                        variant=variant,
                        pool_type=pool_type,
                        next_pool=next_pool,
                        max_scratch=max_scratch,
                    ),
                )
            for name in ("ALICE", "BOB"):
                node_id = nouns.insert(tx, Node(name=name))
                nouns.insert(tx, FileSpace(node_id=node_id, name="/home", number=1))

    def _open_storage(self) -> Storage:
        devices = Devices(self.catalog, str(self.folder / "volumes"), self._connect_server, self._wrapped)
        storage = Storage(
            self.catalog, self.keyring, self.identity, devices, self.log, self.clock, mount_wait_seconds=0
        )
        storage.recover()
        return storage

    def _wrapped(self, device: Device) -> Device:
        return FaultyDevice(device, self.faults)

    def restart(self) -> None:
        """As after kill -9: nothing is closed by the old storage; the new one recovers."""
        self.catalog.close()
        self.catalog = Catalog.open(self.catalog.path, self.keyring.row_key(), self.clock)
        self.storage = self._open_storage()

    def close(self) -> None:
        self.storage.close()
        self.catalog.close()

    # --- definitions -----------------------------------------------------------------------------------------------

    def pool(self, name: str) -> StoragePool:
        with self.catalog.read() as r:
            return nouns.get(r, StoragePool, name)

    def change_pool(self, name: str, **changes: Any) -> None:
        with self.catalog.write() as tx:
            nouns.update(tx, msgspec.structs.replace(nouns.get(tx, StoragePool, name), **changes))

    def change_class(self, name: str, **changes: Any) -> None:
        with self.catalog.write() as tx:
            nouns.update(tx, msgspec.structs.replace(nouns.get(tx, DeviceClass, name), **changes))

    def volumes(self, pool_name: str = "TAPEPOOL") -> list[Volume]:
        with self.catalog.read() as r:
            return nouns.select(r, Volume, pool_id=nouns.get(r, StoragePool, pool_name).id)

    def change_volume(self, volume: Volume, **changes: Any) -> None:
        with self.catalog.write() as tx:
            nouns.update(tx, msgspec.structs.replace(nouns.by_id(tx, Volume, volume.id), **changes))

    def node(self, name: str = "ALICE") -> Node:
        with self.catalog.read() as r:
            return nouns.get(r, Node, name)

    def file_space(self, node: Node) -> FileSpace:
        with self.catalog.read() as r:
            return nouns.get(r, FileSpace, node.id, "/home")

    def placed(self, pool_name: str) -> list[PlacementRow]:
        with self.catalog.read() as r:
            return [
                row
                for volume in self.volumes(pool_name)
                for row in placements.on_volume(r, volume.id, limit=10_000)
            ]

    def messages(self) -> list[str]:
        return [line.message.id for line in self.said]

    # --- a client ----------------------------------------------------------------------------------------------------

    def begin(self, node_name: str = "ALICE", pool: str = "TAPEPOOL", kind: int = 1, size: int = 0) -> Intake:
        node = self.node(node_name)
        return Intake(self.storage, node, self.file_space(node), kind, pool, "STANDARD", size)

    def send(
        self,
        files: dict[str, bytes],
        node_name: str = "ALICE",
        pool: str = "TAPEPOOL",
        *,
        kind: int = 1,
        known: Iterable[bytes] = (),
    ) -> TransactionAnswer:
        """A whole transaction. `known`: contents that are only referred to."""
        intake = self.begin(node_name, pool, kind)
        for each in packs(files, node_name, kind=kind, known=known):
            send_pack(intake, each)
        return intake.commit()

    def inventory(self, node_name: str = "ALICE", *, active_only: bool = True) -> dict[str, int]:
        """Name -> object number of what is visible."""
        space = self.file_space(self.node(node_name))
        with self.catalog.read() as r:
            rows = objects.inventory(r, space.id, 1, active_only=active_only)
            return {row.name.decode(): row.id for row in rows}

    def restore(self, node_name: str = "ALICE") -> dict[str, bytes]:
        """Every active object's bytes; raises AssertionError where one is lost."""
        contents, lost = self.restore_some(node_name, self.inventory(node_name))
        assert not lost
        return contents

    def restore_some(self, node_name: str, wanted: dict[str, int]) -> tuple[dict[str, bytes], list[str]]:
        reader = ObjectReader(self.storage, self.node(node_name).id, list(wanted.values()))
        maps = {row.id: row for row in reader.maps()}
        pieces: dict[bytes, bytes] = {}
        for sent in reader.packs():
            pack = parse(decompress(sent.codec, sent.packed, sent.plain_bytes))
            pack.verify()
            for index, (name, _) in enumerate(pack.directory.extents):
                pieces[name] = bytes(pack.extent(index))
        contents = {}
        for name, number in wanted.items():
            if number not in reader.lost:
                found = maps[number].digests
                contents[name] = b"".join(pieces[found[at : at + 32]] for at in range(0, len(found), 32))
        return contents, [name for name, number in wanted.items() if number in reader.lost]


def packs(
    files: dict[str, bytes], node_name: str = "ALICE", *, kind: int = 1, known: Iterable[bytes] = ()
) -> Iterator[bytes]:
    """Plain packs as a client builds them: one extent a MiB, `known` contents as references."""
    referred = set(known)
    builder = PackBuilder(node_name, "/home", kind, "STANDARD")
    for name, content in files.items():
        pieces = [content[at : at + MIB] for at in range(0, len(content), MIB)]
        if not builder.fits(sum(map(len, pieces))):
            yield builder.build()
            builder.reset()
        indexes = [
            builder.add_reference(digest(piece), len(piece))
            if content in referred
            else builder.add_extent(digest(piece), piece)
            for piece in pieces
        ]
        builder.add_object(b"docs", name.encode(), 1, len(content), b"attributes", extents=indexes)
    yield builder.build()


def send_pack(intake: Intake, plain: bytes, level: int = 1) -> None:
    codec, packed = Compressor(level).compress(plain)
    store_packed(intake, codec, len(plain), packed)


def store_packed(
    intake: Intake, codec: int, plain_bytes: int, packed: bytes | bytearray | memoryview
) -> None:
    buffer = intake._storage.buffers.take()
    buffer[: len(packed)] = packed
    intake.store_pack(codec, plain_bytes, len(packed), buffer)


def some_bytes(seed: int, size: int) -> bytes:
    """The same random bytes for the same seed."""
    return random.Random(seed).randbytes(size)


def some_files(count: int, size: int = 200_000, start: int = 0) -> dict[str, bytes]:
    return {f"file{n:04}": some_bytes(n, size) for n in range(start, start + count)}


MakeDepot = Callable[..., Depot]
