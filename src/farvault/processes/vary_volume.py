"""VARY ONLINE and VARY OFFLINE: a random-access volume out of use, and back when its file is the right one."""

from __future__ import annotations

import msgspec

from farvault.base.disk import crash_point
from farvault.base.errors import BadInput, MediaFailed, NotAvailable, RecordDamaged
from farvault.catalog import nouns
from farvault.media.interface import Span
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import OFFLINE, ONLINE, READONLY, READWRITE, Volume
from farvault.processes.process import Process
from farvault.seal import label
from farvault.storage.free_space import LABEL_BYTES
from farvault.storage.storage import Storage


def find_random_volume(storage: Storage, name: str) -> tuple[Volume, StoragePool]:
    """`NotFound`, or `BadInput` where it is a sequential one."""
    with storage.catalog.read() as r:
        volume = nouns.get(r, Volume, name)
        pool = nouns.by_id(r, StoragePool, volume.pool_id)
    if not pool.is_random:
        raise BadInput("ANR4705E", volume=volume.name)
    return volume, pool


def find_usable_volume(storage: Storage, name: str) -> tuple[Volume, StoragePool]:
    """The same; `NotAvailable` where its access keeps it from being varied online."""
    volume, pool = find_random_volume(storage, name)
    if volume.access not in (READWRITE, READONLY):
        raise NotAvailable("ANR4706E", volume=volume.name, access=volume.access)
    return volume, pool


def vary_offline(storage: Storage, process: Process, name: str) -> None:
    """`InUse` while somebody writes or audits it. Who reads it at this moment may finish."""
    volume, _ = find_random_volume(storage, name)
    with storage.use.hold(volume):
        _set(storage, process, volume, OFFLINE)


def vary_online(storage: Storage, process: Process, name: str) -> None:
    """`NotAvailable` where its access forbids it; `NotFound` or `MediaFailed` where its file is not the right one."""
    volume, pool = find_usable_volume(storage, name)
    with storage.use.hold(volume):
        _check_file(storage, volume, pool)
        _set(storage, process, volume, ONLINE)


def _set(storage: Storage, process: Process, volume: Volume, status: str) -> None:
    with storage.catalog.write() as tx:
        now = nouns.by_id(tx, Volume, volume.id)
        if now.status != status:
            nouns.update(tx, msgspec.structs.replace(now, status=status))
    crash_point("vary.after_catalog")
    if now.status == status:
        process.say("ANR4708I", volume=volume.name, status=status)
    else:
        process.say("ANR1305I" if status == ONLINE else "ANR1306I", volume=volume.name)


def _check_file(storage: Storage, volume: Volume, pool: StoragePool) -> None:
    """As long as it should be, and beginning with this volume's label."""
    storage.devices.device(pool.device_class).open_writer(volume.name, 0, volume.capacity_bytes).close()
    with storage.volumes.open_reader(pool.device_class, volume.name) as reader:
        block = next(iter(reader.read_many([Span(0, LABEL_BYTES)])))
        try:
            right = block is not None and label.parse(block).volume == volume.name
        except RecordDamaged:
            right = False
    if not right:
        raise MediaFailed("ANR4707E", volume=volume.name)
