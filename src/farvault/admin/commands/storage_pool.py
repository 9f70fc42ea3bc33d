"""Storage pools: DEFINE, UPDATE, QUERY, DELETE. The variant (random, sequential, copy) decides which attributes there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from farvault.admin.authority import ANYONE, SYSTEM, storage
from farvault.admin.command import FORMAT, Call, Command, keyword, positional
from farvault.admin.definition import changed, define_parameters, defined, replace, update_parameters
from farvault.admin.figures import pool_figures
from farvault.admin.instance import Instance
from farvault.admin.kinds import Pattern
from farvault.admin.lookup import select
from farvault.admin.output import (
    Answer,
    Column,
    Report,
    Row,
    count_column,
    of_attribute,
    percent_column,
    row_of,
    time_column,
    yes_column,
)
from farvault.admin.policy_tree import stamp
from farvault.base.errors import BadInput, StillReferenced
from farvault.base.messages import Message, message
from farvault.base.units import show_size
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Choice, Integer, Name, YesNo
from farvault.model.device_class import DeviceClass
from farvault.model.policy import ACTIVE, CopyGroup
from farvault.model.storage_pool import COPY, RANDOM, SEQUENTIAL, StoragePool
from farvault.model.volume import Volume
from farvault.processes import migrate, reclaim
from farvault.processes.backup_pool import kept_once
from farvault.storage.pool_use import pool_use

_NAME = positional("name", Name(30), "name of the pool")
_ACCEPTED = (
    keyword("STGType", Choice("Devclass"), "kind of storage", only="DEVCLASS"),
    keyword("DATAFormat", Choice("NATive", "NONblock"), "data format", only="NATIVE"),
    keyword("DEDUPlicate", YesNo(), "equal data is always stored once in a primary pool", only=True),
    keyword(
        "RECLAMATIONType", Choice("THRESHold", "SNAPlock"), "when volumes are reclaimed", only="THRESHOLD"
    ),
    keyword("IDENTIFYPRocess", Integer(0, 50), "processes that look for equal data; none is needed", only=0),
    keyword("SHRED", Integer(0, 10), "overwrites of deleted data", only=0),
)


def _define(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        variant = _variant(nouns.get(tx, DeviceClass, call["device_class"]), call)
        pool = StoragePool(**defined(StoragePool, call, variant), variant=variant, **stamp(instance, call))
        _check(tx, pool)
        warnings = _kept_once(tx, pool)
        nouns.insert(tx, pool)
        tx.after_commit.append(lambda: instance.storage.watch.changed(pool))
    yield message("ANR2200I", pool=pool.name, device_class=pool.device_class)
    if not pool.is_random and not pool.max_scratch:
        yield message("ANR4786W", pool=pool.name)
    yield from warnings


def _variant(device_class: DeviceClass, call: Call) -> str:
    if call["pool_type"] == "COPY":
        if device_class.random_access:
            raise BadInput("ANR2253E", pool=call["name"], device_class=device_class.name)
        return COPY
    return RANDOM if device_class.random_access else SEQUENTIAL


def _check(r: Snapshot, pool: StoragePool) -> None:
    """What a pool's attributes must agree with: each other, and other pools."""
    if pool.low_migration_percent > pool.high_migration_percent:
        raise BadInput("ANR2254E", low=pool.low_migration_percent, high=pool.high_migration_percent)
    if pool.next_pool:
        _check_next(r, pool)
    if pool.reclaim_pool:
        if pool.reclaim_pool == pool.name:
            raise BadInput("ANR4785E", pool=pool.name)
        target = nouns.get(r, StoragePool, pool.reclaim_pool)
        if target.variant != SEQUENTIAL:
            raise BadInput("ANR2255E", pool=target.name, needed="a sequential primary storage pool")
    _check_copies(r, pool)


def _check_copies(r: Snapshot, pool: StoragePool) -> None:
    """Pools written at the same time: copy pools, each once."""
    for name in pool.copy_pools:
        if not nouns.get(r, StoragePool, name).is_copy:
            raise BadInput("ANR2255E", pool=name, needed="a copy storage pool")
        if pool.copy_pools.count(name) > 1:
            raise BadInput("ANR4779E", pool=pool.name, copy=name)


def _kept_once(r: Snapshot, pool: StoragePool) -> list[Message]:
    """What is written along with this pool to where the pool itself, or one it migrates to, lies."""
    copies = (nouns.get(r, StoragePool, name) for name in pool.copy_pools)
    return [warning for copy in copies for warning in kept_once(r, pool, copy)]


def _check_next(r: Snapshot, pool: StoragePool) -> None:
    """The next pool is a primary one, and following next pools never comes back here."""
    seen = [pool.name]
    name = pool.next_pool
    while name:
        if name in seen:
            raise BadInput("ANR2256E", pools=" -> ".join([*seen, name]))
        seen.append(name)
        following = nouns.get(r, StoragePool, name)
        if following.is_copy:
            raise BadInput("ANR2255E", pool=name, needed="a primary storage pool")
        name = following.next_pool


def _update(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        found = nouns.get(tx, StoragePool, call["name"])
        pool = replace(found, **changed(StoragePool, call, found.variant), **stamp(instance, call))
        _check(tx, pool)
        warnings = _kept_once(tx, pool) if call.given & {"copy_pools", "next_pool"} else []
        nouns.update(tx, pool)
        tx.after_commit.append(lambda: instance.storage.watch.changed(pool))
        has_volumes = nouns.count(tx, Volume, pool_id=pool.id) > 0
    yield message("ANR2202I", pool=pool.name)
    if "max_scratch" in call.given and not pool.max_scratch and not has_volumes:
        yield message("ANR4786W", pool=pool.name)
    yield from warnings


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        rows = [
            _row(instance, r, pool)
            for pool in select(r, StoragePool, [call["name"]])
            if call["pool_type"] in ("ANY", pool.pool_type)
        ]
    yield Report(columns=_columns(call.detailed), rows=rows, detailed=call.detailed)


def _row(instance: Instance, r: Snapshot, pool: StoragePool) -> Row:
    figures = pool_figures(r, pool)
    more: dict[str, Any] = {
        "capacity_bytes": figures.capacity_bytes,
        "used_percent": round(figures.used_percent, 1),
        "live_bytes": figures.live_bytes,
        "logical_percent": round(figures.logical_percent, 1),
    }
    if not pool.is_copy:
        more |= _migration(instance, r, pool)
    if pool.is_random:
        more["cached_bytes"] = figures.cached_bytes
    if not pool.is_random:
        more["scratch_used"] = figures.scratch_used
        more["reclaims_now"] = instance.processes.of_pool(pool.name, reclaim.DESCRIPTION)[0] is not None
    return row_of(pool, pool.variant, **more)


def _migration(instance: Instance, r: Snapshot, pool: StoragePool) -> dict[str, Any]:
    """Where migration stands; amounts of the run under way, or of the last one since the start of the server."""
    running, ended = instance.processes.of_pool(pool.name, migrate.DESCRIPTION)
    shown = running or ended
    return {
        "migratable_percent": round(pool_use(instance.storage, r, pool).percent, 1),
        "migrates_now": running is not None,
        "migrated_bytes": shown.bytes if shown else 0,
        "migration_seconds": int(shown.seconds) if shown else 0,
    }


def _columns(detailed: bool) -> list[Column]:
    capacity = Column(key="capacity_bytes", label="Estimated Capacity", show=show_size, number=True)
    used = percent_column("used_percent", "Pct Util")
    migratable = percent_column("migratable_percent", "Pct Migr")
    if not detailed:
        return [
            of_attribute(StoragePool, "name"),
            of_attribute(StoragePool, "device_class"),
            capacity,
            used,
            migratable,
            *(_of(f) for f in ("high_migration_percent", "low_migration_percent", "next_pool")),
        ]
    return [
        *(_of(f) for f in ("name", "pool_type", "device_class")),
        capacity,
        used,
        migratable,
        percent_column("logical_percent", "Pct Logical"),
        Column(key="live_bytes", label="Needed", show=show_size, number=True),
        Column(key="cached_bytes", label="Cached", show=show_size, number=True),
        *(
            _of(f)
            for f in (
                "high_migration_percent",
                "low_migration_percent",
                "migration_delay_days",
                "migration_continue",
                "migration_processes",
                "reclaim_processes",
                "next_pool",
                "reclaim_pool",
                "max_size_bytes",
                "access",
                "description",
                "overflow_location",
                "cache",
                "collocate",
                "reclaim_percent",
                "offsite_reclaim_limit",
                "max_scratch",
            )
        ),
        count_column("scratch_used", "Number of Scratch Volumes Used"),
        _of("reuse_delay_days"),
        yes_column("migrates_now", "Migration in Progress?"),
        Column(key="migrated_bytes", label="Amount Migrated", show=show_size, number=True),
        count_column("migration_seconds", "Elapsed Migration Time (seconds)"),
        yes_column("reclaims_now", "Reclamation in Progress?"),
        time_column("updated_time", "Last Update Date/Time"),
        Column(key="updated_by", label="Last Update by (administrator)"),
        *(_of(f) for f in ("copy_pools", "copy_continue", "crc_data", "auto_copy")),
    ]


def _of(field: str) -> Column:
    if field == "access":
        return Column(key="access", label="Access", show=_ACCESS.__getitem__)
    return of_attribute(StoragePool, field)


_ACCESS = {"READWRITE": "Read/Write", "READONLY": "Read-Only", "UNAVAILABLE": "Unavailable"}


def _delete(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        pool = nouns.get(tx, StoragePool, call["name"])
        if number := nouns.count(tx, Volume, pool_id=pool.id):
            raise StillReferenced("ANR2257E", pool=pool.name, number=number)
        if users := [p.name for p in nouns.select(tx, StoragePool) if _names(p, pool.name)]:
            raise StillReferenced("ANR2258E", pool=pool.name, pools=", ".join(users))
        nouns.delete(tx, pool)
        groups = [g for g in nouns.select(tx, CopyGroup, destination=pool.name) if g.policy_set == ACTIVE]
    yield message("ANR2201I", pool=pool.name)
    for group in groups:
        yield message(
            "ANR2259W", pool=pool.name, domain=group.domain, management_class=group.management_class
        )


def _names(pool: StoragePool, name: str) -> bool:
    return name in (pool.next_pool, pool.reclaim_pool, *pool.copy_pools)


def _confirm_delete(instance: Instance, call: Call) -> str:
    del instance
    return str(message("ANR2209W", pool=call["name"]))


def _pool(instance: Instance, call: Call) -> list[str]:
    del instance
    return [call["name"]]


COMMANDS = (
    Command(
        words=("DEFine", "STGpool"),
        rule=SYSTEM,
        help="Make a storage pool: primary random on DISK, primary sequential on any other class, or POOLTYPE=COPY.",
        parameters=(*define_parameters(StoragePool), *_ACCEPTED),
        run=_define,
    ),
    Command(
        words=("UPDate", "STGpool"),
        rule=storage(_pool),
        help="Change a storage pool.",
        parameters=(_NAME, *update_parameters(StoragePool), *_ACCEPTED),
        run=_update,
    ),
    Command(
        words=("Query", "STGpool"),
        rule=ANYONE,
        help="Show storage pools.",
        parameters=(
            positional("name", Pattern(30), "which", default="*"),
            FORMAT,
            keyword(
                "POoltype",
                Choice("ANY", "PRimary", "COpy"),
                "only pools of this type",
                name="pool_type",
                default="ANY",
            ),
        ),
        run=_query,
    ),
    Command(
        words=("DELete", "STGpool"),
        rule=SYSTEM,
        help="Delete a storage pool. Its volumes must be deleted first.",
        parameters=(_NAME,),
        run=_delete,
        confirm=_confirm_delete,
    ),
)
