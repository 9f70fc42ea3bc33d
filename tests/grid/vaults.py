"""A source and its target for grid tests: what an administrator sets up, in a few calls. Also for the conformance suite."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import msgspec
from tests.grid.grid_server import PASSWORD, GridServer

from farvault.base.clock import Clock, ManualClock, SystemClock
from farvault.base.disk import aligned_buffer
from farvault.catalog import nouns, objects
from farvault.media.link_book import LinkRecord
from farvault.media.server import ServerDevice
from farvault.media.target import DefinedTarget, TargetDefinition
from farvault.model.device_class import DeviceClass
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.policy import ACTIVE, ARCHIVE, CopyGroup, Domain, ManagementClass, PolicySet
from farvault.model.storage_pool import SEQUENTIAL, StoragePool
from farvault.model.stored_object import ObjectKind, ObjectType
from farvault.protocol.scram import make_verifier
from farvault.seal.compress import RAW, decompress
from farvault.seal.digest import digest
from farvault.seal.identity import Identity, new_code
from farvault.seal.pack import PackBuilder, parse
from farvault.seal.record import RecordKind, seal, sealed_bytes
from farvault.storage.intake import Intake
from farvault.storage.object_reading import ObjectReader
from farvault.transport.heartbeat import STEADY, Pulse

VAULT_DOMAIN = "VAULTDOMAIN"
VAULT_POOL = "VAULTPOOL"


def make_target(server: GridServer, *nodes: str, archive_copy_group: bool = True) -> None:
    """A pool on files, a domain whose default class archives to it, and nodes of TYPE=SERVER."""
    clock = server.server.clock
    with server.server.catalog.write() as tx:
        vault_class = DeviceClass(
            name="VAULTCLASS",
            device_type="FILE",
            directory=f"{server.folder}/vault",
            max_capacity_bytes=64 << 20,
            mount_limit=20,
        )
        nouns.insert(tx, vault_class)
        nouns.insert(
            tx, StoragePool(name=VAULT_POOL, device_class="VAULTCLASS", variant=SEQUENTIAL, max_scratch=200)
        )
        nouns.insert(tx, Domain(name=VAULT_DOMAIN, activated_set="STANDARD"))
        nouns.insert(tx, PolicySet(domain=VAULT_DOMAIN, name=ACTIVE, default_class="STANDARD"))
        nouns.insert(tx, ManagementClass(domain=VAULT_DOMAIN, policy_set=ACTIVE, name="STANDARD"))
        if archive_copy_group:
            group = CopyGroup(
                domain=VAULT_DOMAIN,
                policy_set=ACTIVE,
                management_class="STANDARD",
                type=ARCHIVE,
                destination=VAULT_POOL,
            )
            nouns.insert(tx, group)
        for name in nodes:
            node = Node(
                name=name,
                domain=VAULT_DOMAIN,
                type="SERVER",
                password_verifier=make_verifier(PASSWORD),
                registered_time=clock.now_seconds(),
            )
            nouns.insert(tx, node)


def change_node(server: GridServer, name: str, **values: object) -> None:
    with server.server.catalog.write() as tx:
        nouns.update(tx, msgspec.structs.replace(nouns.get(tx, Node, name), **values))


class HurriedClock(ManualClock):
    """Nobody waits: time jumps to where they wanted to be."""

    def wait(self, event: threading.Event, timeout_seconds: float) -> bool:
        if not event.is_set():
            self.advance(timeout_seconds)
        return event.is_set()


@dataclass
class Source:
    """What a source knows of its target, without a server around it: enough to make the SERVER device class."""

    port: int
    node_name: str = "DELHI"
    password: str = PASSWORD
    code: bytes = field(default_factory=new_code)
    identity: Identity = field(default_factory=lambda: Identity.create("DELHI"))
    fingerprint: str = ""
    force_sync: bool = False
    clock: Clock = field(default_factory=SystemClock)
    pulse: Pulse = STEADY
    events: list[str] = field(default_factory=list)
    wrap: Callable[[DefinedTarget], DefinedTarget] = lambda target: target

    def definition(self) -> TargetDefinition:
        return TargetDefinition(
            server_name="TOKYO",
            host="127.0.0.1",
            port=self.port,
            node_name=self.node_name,
            password=self.password,
            own_server_name=self.node_name,
            fingerprint=self.fingerprint,
            code=self.code,
            force_sync=self.force_sync,
        )

    def target(self, record: LinkRecord | None = None) -> DefinedTarget:
        return DefinedTarget(
            "TOKYO",
            self.definition,
            self.identity,
            pinned=self._pin,
            code_registered=self._registered,
            pulse=self.pulse,
            record=record,
        )

    def device(self, **values: object) -> ServerDevice:
        settings = {
            "max_capacity_bytes": 500 << 20,
            "mount_limit": 2,
            "mount_retention_minutes": 60,
            "retry_period_minutes": 10,
            "retry_interval_seconds": 30,
            "prefix": "ADSM",
            **values,
        }
        definition = DeviceClass(name="TARGETCLASS", device_type="SERVER", server_name="TOKYO", **settings)
        record = LinkRecord(self.clock)
        return ServerDevice(definition, self.wrap(self.target(record)), self.clock, record=record)

    def _pin(self, fingerprint: str) -> None:
        self.events.append("pinned")
        self.fingerprint = fingerprint

    def _registered(self) -> None:
        self.events.append("registered")
        self.force_sync = False


def sealed_record(seed: int, size: int = 20 << 10) -> tuple[memoryview, bytes]:
    """A record of about this size and its address; every seed another one, the same one every time."""
    record, address = _sealed(seed, size)
    buffer = aligned_buffer(len(record))
    buffer[:] = record
    return buffer, address


@cache
def _sealed(seed: int, size: int) -> tuple[bytes, bytes]:
    body = seed.to_bytes(4, "little") * (size // 4)
    buffer = aligned_buffer(sealed_bytes(len(body), 0))
    header = seal(buffer, [body], kind=RecordKind.AGGREGATE, codec=0, plain_bytes=len(body), keyring=None)
    return bytes(buffer), header.digest


def make_source(delhi: GridServer, tokyo: GridServer, **device_class: str) -> None:
    """What the chapter's administrator types at DELHI; small volumes, so that there are several."""
    settings = {"maxcapacity": "8m", "mountlimit": "4", "retryperiod": "0", **device_class}
    words = " ".join(f"{keyword}={value}" for keyword, value in settings.items())
    for command in (
        f"define server tokyo password={PASSWORD} hladdress=127.0.0.1 lladdress={tokyo.port} nodename=delhi",
        f"define devclass targetclass devtype=server servername=tokyo {words}",
        f"define devclass tapeclass devtype=file directory={delhi.folder}/tapes maxcapacity=8m",
        "define stgpool tapepool tapeclass maxscratch=100",
        "define stgpool targetcopypool targetclass pooltype=copy maxscratch=100",
        f"register node ann {PASSWORD}",
    ):
        delhi.admin(command)


def store_files(
    delhi: GridServer,
    *seeds: int,
    size: int = 1 << 20,
    pool: str = "TAPEPOOL",
    files_in_pack: int = 1,
    file_space: str = "/home",
) -> list[int]:
    """Files of node ANN in a pool, through the same door as a client's; returns the objects' numbers."""
    storage = delhi.server.storage
    with storage.catalog.write() as tx:
        node = nouns.get(tx, Node, "ANN")
        space = nouns.find(tx, FileSpace, node.id, file_space)
        if space is None:
            number = len(nouns.select(tx, FileSpace, node_id=node.id)) + 1
            space = FileSpace(node_id=node.id, name=file_space, number=number)
            space = msgspec.structs.replace(space, id=nouns.insert(tx, space))
    intake = Intake(storage, node, space, int(ObjectKind.BACKUP), pool, "STANDARD")
    builder = PackBuilder("ANN", file_space, int(ObjectKind.BACKUP), "STANDARD")
    for start in range(0, len(seeds), files_in_pack):
        for seed in seeds[start : start + files_in_pack]:
            data = file_bytes(seed, size)
            index = builder.add_extent(digest(data), data)
            builder.add_object(
                directory=b"",
                name=b"file%d" % seed,
                type=int(ObjectType.FILE),
                size_bytes=size,
                attributes=b"",
                description="",
                extents=[index],
            )
        plain = memoryview(builder.build())
        buffer = storage.buffers.take()
        buffer[: plain.nbytes] = plain
        intake.store_pack(RAW, plain.nbytes, plain.nbytes, buffer)
        builder.reset()
    intake.commit()
    with storage.catalog.read() as r:
        rows = objects.inventory(r, space.id, int(ObjectKind.BACKUP))
        ids = {row.name: row.id for row in rows}
    return [ids[b"file%d" % seed] for seed in seeds]


def file_bytes(seed: int, size: int) -> bytes:
    """The content of a file: nothing compresses, every seed another one."""
    return random.Random(seed).randbytes(size)


def restored(delhi: GridServer, ids: list[int]) -> dict[int, bytes]:
    """What a client would get: object number -> bytes; an object that cannot be read is not there."""
    storage = delhi.server.storage
    with storage.catalog.read() as r:
        node = nouns.get(r, Node, "ANN")
    reader = ObjectReader(storage, node.id, ids)
    maps = {row.id: row.digests for row in reader.maps()}
    pieces: dict[bytes, bytes] = {}
    for sent in reader.packs():
        pack = parse(decompress(sent.codec, sent.packed, sent.plain_bytes))
        pack.verify()
        for number, (address, _) in enumerate(pack.directory.extents):
            pieces[address] = bytes(pack.extent(number))
    return {
        number: b"".join(pieces[digests[at : at + 32]] for at in range(0, len(digests), 32))
        for number, digests in maps.items()
        if number not in reader.lost
    }
