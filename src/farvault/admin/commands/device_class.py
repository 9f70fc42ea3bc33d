"""Device classes: DEFINE, UPDATE, QUERY, DELETE. DISK is there from the start and never changes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from farvault.admin.authority import ANYONE, STORAGE
from farvault.admin.command import FORMAT, Call, Command, keyword, positional
from farvault.admin.definition import changed, define_parameters, defined, replace, update_parameters
from farvault.admin.instance import Instance
from farvault.admin.kinds import Pattern
from farvault.admin.lookup import select
from farvault.admin.output import Answer, Column, Report, count_column, of_attribute, row_of
from farvault.base.errors import BadInput, StillReferenced
from farvault.base.messages import message
from farvault.base.units import show_megabytes
from farvault.catalog import nouns
from farvault.catalog.database_recovery import database_recovery
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Choice, Name
from farvault.model.database_backup_trigger import DatabaseBackupTrigger
from farvault.model.device_class import DISK, DeviceClass
from farvault.model.pending_deletion import PendingDeletion
from farvault.model.server import Server
from farvault.model.storage_pool import StoragePool
from farvault.model.volume_history import HistoryVolume

_NAME = positional("name", Name(30), "name of the class")
_ACCEPTED = (keyword("FORMAT", Choice("DRIVE"), "recording format", only="DRIVE"),)


def _define(instance: Instance, call: Call) -> Iterator[Answer]:
    made = DeviceClass(**defined(DeviceClass, call, call["device_type"]))
    with instance.catalog.write(uses_reserve=True) as tx:
        _check(tx, made)
        nouns.insert(tx, made)
    yield message("ANR2203I", device_class=made.name)


def _check(r: Snapshot, made: DeviceClass) -> None:
    if made.server_name:
        server = nouns.get(r, Server, made.server_name)
        if not server.is_target:
            raise BadInput("ANR1673E", server=server.name)
    for part in made.prefix.split("."):
        if made.prefix and not re.fullmatch(r"[A-Z][A-Z0-9\-]*", part):
            raise BadInput("ANR2249E", prefix=made.prefix)
    for folder in filter(None, made.directory.split(",")):
        if not folder.strip().startswith("/"):
            raise BadInput("ANR2250E", folder=folder.strip())


def _update(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write(uses_reserve=True) as tx:
        found = nouns.get(tx, DeviceClass, call["name"])
        if found.name == DISK:
            raise BadInput("ANR2251E")
        new = replace(found, **changed(DeviceClass, call, found.device_type))
        _check(tx, new)
        nouns.update(tx, new)
    if call.given != {"name", "bandwidth"}:  # that one is heard by whatever is under way
        instance.storage.devices.forget(found.name)
    instance.database_backups.poke()
    yield message("ANR2205I", device_class=found.name)


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        rows = [
            row_of(
                found,
                found.device_type,
                strategy="Random" if found.random_access else "Sequential",
                pools=nouns.count(r, StoragePool, device_class=found.name),
            )
            for found in select(r, DeviceClass, [call["name"]])
        ]
    yield Report(columns=_columns(call.detailed), rows=rows, detailed=call.detailed)


def _columns(detailed: bool) -> list[Column]:
    head = [
        of_attribute(DeviceClass, "name"),
        Column(key="strategy", label="Device Access Strategy"),
        count_column("pools", "Storage Pool Count"),
        Column(key="device_type", label="Device Type"),
        Column(key="max_capacity_bytes", label="Est/Max Capacity (MB)", show=show_megabytes, number=True),
        of_attribute(DeviceClass, "mount_limit"),
    ]
    if not detailed:
        return head
    fields = (
        "mount_retention_minutes",
        "prefix",
        "directory",
        "server_name",
        "retry_period_minutes",
        "retry_interval_seconds",
        "bandwidth",
        "shared",
    )
    return [*head, *(of_attribute(DeviceClass, field) for field in fields)]


def _delete(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write(uses_reserve=True) as tx:
        found = nouns.get(tx, DeviceClass, call["name"])
        if found.name == DISK:
            raise BadInput("ANR2251E")
        if pools := [p.name for p in nouns.select(tx, StoragePool, device_class=found.name)]:
            raise StillReferenced("ANR2252E", device_class=found.name, pools=", ".join(pools))
        if waiting := nouns.count(tx, PendingDeletion, device_class=found.name):
            raise StillReferenced("ANR4996E", device_class=found.name, count=f"{waiting:,}")
        for trigger in nouns.select(tx, DatabaseBackupTrigger):
            if found.name in (trigger.device_class, trigger.incremental_device_class):
                raise StillReferenced("ANR4927E", device_class=found.name)
        if database_recovery(tx).device_class == found.name:
            raise StillReferenced("ANR4906E", device_class=found.name)
        if any(one.has_own_volume for one in nouns.select(tx, HistoryVolume, device_class=found.name)):
            raise StillReferenced("ANR4928E", device_class=found.name)
        nouns.delete(tx, found)
    instance.storage.devices.forget(found.name)
    yield message("ANR2204I", device_class=found.name)


COMMANDS = (
    Command(
        words=("DEFine", "DEVclass"),
        rule=STORAGE,
        help="Say how volumes are reached: files in a folder (FILE), or virtual volumes on another server (SERVER).",
        parameters=(*define_parameters(DeviceClass), *_ACCEPTED),
        run=_define,
    ),
    Command(
        words=("UPDate", "DEVclass"),
        rule=STORAGE,
        help="Change a device class. Existing volumes keep their size.",
        parameters=(_NAME, *update_parameters(DeviceClass), *_ACCEPTED),
        run=_update,
    ),
    Command(
        words=("Query", "DEVclass"),
        rule=ANYONE,
        help="Show device classes.",
        parameters=(positional("name", Pattern(30), "which", default="*"), FORMAT),
        run=_query,
    ),
    Command(
        words=("DELete", "DEVclass"),
        rule=STORAGE,
        help="Forget a device class. No pool may use it.",
        parameters=(_NAME,),
        run=_delete,
    ),
)
