"""Migration by hand: MIGRATE STGPOOL."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import storage
from farvault.admin.background import run_process
from farvault.admin.command import WAIT, Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.output import Answer
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.model.attribute import Integer, Name, YesNo
from farvault.model.storage_pool import SEQUENTIAL, StoragePool
from farvault.policy.migration import is_low
from farvault.policy.reclamation import NEVER
from farvault.processes.migrate import DESCRIPTION, migratable, migrate_pool
from farvault.processes.process import Process
from farvault.processes.reclaim import DESCRIPTION as RECLAMATION
from farvault.processes.reclaim import Options, check_pool, reclaim_pool
from farvault.storage.pool_use import pool_use


def _migrate(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        pool = nouns.get(r, StoragePool, call["pool"])
        ends_here = pool.variant == SEQUENTIAL and not pool.next_pool
    if ends_here:
        yield from _reclaim_instead(instance, call, pool)
        return
    with instance.catalog.read() as r:
        pool = migratable(r, call["pool"])
        use = pool_use(instance.storage, r, pool)
    low = pool.low_migration_percent if call["lowmig"] is None else call["lowmig"]
    if is_low(use, low):
        yield message("ANR4972I", pool=pool.name, percent=f"{use.percent:.1f}", low=low)
        return

    def work(process: Process) -> None:
        if call["reclaim"] and not pool.is_random and pool.reclaim_percent < NEVER:
            reclaim_pool(instance.storage, process, pool.name, Options(duration_minutes=call["duration"]))
        left = None if call["duration"] is None else max(call["duration"] - process.seconds / 60, 0)
        migrate_pool(instance.storage, process, pool.name, low_percent=low, duration_minutes=left)

    yield from run_process(instance, call, DESCRIPTION, work, pool=pool.name)


def _reclaim_instead(instance: Instance, call: Call, pool: StoragePool) -> Iterator[Answer]:
    """The last sequential pool of a hierarchy (TSM reference, storage 2.8)."""
    options = Options(duration_minutes=call["duration"])
    with instance.catalog.read() as r:
        check_pool(r, pool, options)
    yield message("ANR4787I", pool=pool.name)

    def work(process: Process) -> None:
        reclaim_pool(instance.storage, process, pool.name, options)

    yield from run_process(instance, call, RECLAMATION, work, pool=pool.name)


def _both_pools(instance: Instance, call: Call) -> list[str]:
    """Who may do it must have authority over the pool and over where its data goes."""
    with instance.catalog.read() as r:
        pool = nouns.find(r, StoragePool, call["pool"])
    return [call["pool"], *([pool.next_pool] if pool and pool.next_pool else [])]


COMMANDS = (
    Command(
        words=("MIGrate", "STGpool"),
        rule=storage(_both_pools),
        help="Move a primary pool's data to its next pool, down to LOWMIG. HIGHMIG is not looked at; MIGDELAY, MIGCONTINUE, "
        "MIGPROCESS and CACHE apply. A sequential pool without a next pool is reclaimed instead.",
        parameters=(
            positional("pool", Name(30), "storage pool"),
            keyword("LOwmig", Integer(0, 99), "stop at this occupancy instead of the pool's LOWMIG"),
            keyword("DUration", Integer(1, 9999), "most minutes it may take"),
            keyword("REClaim", YesNo(), "reclaim a sequential pool first", default=False),
            WAIT,
        ),
        run=_migrate,
    ),
)
