"""A source and its target for grid tests: what an administrator sets up, in a few calls. Also for the conformance suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import msgspec
from tests.grid.grid_server import PASSWORD, GridServer

from farvault.base.clock import Clock, SystemClock
from farvault.base.disk import aligned_buffer
from farvault.catalog import nouns
from farvault.media.server import ServerDevice
from farvault.media.target import DefinedTarget, TargetDefinition
from farvault.model.device_class import DeviceClass
from farvault.model.node import Node
from farvault.model.policy import ACTIVE, ARCHIVE, CopyGroup, Domain, ManagementClass, PolicySet
from farvault.model.storage_pool import SEQUENTIAL, StoragePool
from farvault.protocol.scram import make_verifier
from farvault.seal.identity import Identity, new_code
from farvault.seal.record import RecordKind, seal, sealed_bytes

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

    def target(self) -> DefinedTarget:
        return DefinedTarget(
            "TOKYO", self.definition, self.identity, pinned=self._pin, code_registered=self._registered
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
        return ServerDevice(definition, self.wrap(self.target()), self.clock)

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
