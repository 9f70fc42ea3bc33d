"""Copies of pools: BACKUP STGPOOL, RESTORE STGPOOL, RESTORE VOLUME."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import storage
from farvault.admin.background import run_process
from farvault.admin.command import WAIT, Call, Command, Parameter, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import Paths
from farvault.admin.output import Answer
from farvault.base.errors import BadInput
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Choice, Integer, Name, YesNo
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.processes.backup_pool import backup_pool, pools_of
from farvault.processes.process import Process
from farvault.processes.restore_pool import (
    destination_of,
    restore_pool,
    restore_volumes,
    volumes_of_one_pool,
)


def _backup(instance: Instance, call: Call) -> Iterator[Answer]:
    primary, copy = pools_of(instance.storage, call["primary"], call["copy"])

    def work(process: Process) -> None:
        backup_pool(
            instance.storage,
            process,
            primary.name,
            copy.name,
            max_processes=call["maxprocess"],
            preview=call["preview"],
        )

    yield from run_process(instance, call, "BACKUP STORAGE POOL", work)


def _primary(r: Snapshot, name: str) -> StoragePool:
    pool = nouns.get(r, StoragePool, name)
    if pool.is_copy:
        raise BadInput("ANR2255E", pool=pool.name, needed="a primary storage pool")
    return pool


def _check_targets(instance: Instance, call: Call, pool: StoragePool) -> None:
    with instance.catalog.read() as r:
        if call["copystgpool"] and not nouns.get(r, StoragePool, call["copystgpool"]).is_copy:
            raise BadInput("ANR2255E", pool=call["copystgpool"], needed="a copy storage pool")
    destination_of(instance.storage, pool, call["newstgpool"] or "")


def _restore_pool(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        pool = _primary(r, call["primary"])
    _check_targets(instance, call, pool)

    def work(process: Process) -> None:
        restore_pool(
            instance.storage,
            process,
            pool.name,
            copy_pool=call["copystgpool"] or "",
            new_pool=call["newstgpool"] or "",
            max_processes=call["maxprocess"],
            preview=call["preview"],
        )

    yield from run_process(instance, call, "RESTORE STORAGE POOL", work)


def _restore_volumes(instance: Instance, call: Call) -> Iterator[Answer]:
    volumes, pool = volumes_of_one_pool(instance.storage, call["volumes"])
    _check_targets(instance, call, pool)

    def work(process: Process) -> None:
        restore_volumes(
            instance.storage,
            process,
            [volume.name for volume in volumes],
            copy_pool=call["copystgpool"] or "",
            new_pool=call["newstgpool"] or "",
            max_processes=call["maxprocess"],
            preview=call["preview"],
        )

    yield from run_process(instance, call, "RESTORE VOLUME", work)


def _confirm_restore(instance: Instance, call: Call) -> str:
    del instance
    return "" if call["preview"] else str(message("ANR2270W", volumes=", ".join(call["volumes"])))


def _copy_pool(instance: Instance, call: Call) -> list[str]:
    del instance
    return [call["copy"]]


def _restored_pools(instance: Instance, call: Call) -> list[str]:
    del instance
    return [name for name in (call["primary"], call["newstgpool"]) if name]


def _pools_of_volumes(instance: Instance, call: Call) -> list[str]:
    with instance.catalog.read() as r:
        found = [nouns.find(r, Volume, name) for name in call["volumes"]]
        pools = [nouns.by_id(r, StoragePool, volume.pool_id).name for volume in found if volume]
    return [*pools, call["newstgpool"]] if call["newstgpool"] else pools


_PROCESSES = keyword("MAXPRocess", Integer(1, 999), "how much is copied side by side", default=1)
_RESTORE: tuple[Parameter, ...] = (
    keyword("COPYstgpool", Name(30), "only from this copy pool"),
    keyword("ACTIVEDATAOnly", YesNo(), "only from active-data pools", only=False),
    keyword("NEWstgpool", Name(30), "into this primary pool instead of the old one"),
    _PROCESSES,
    keyword("PREview", YesNo(), "only say what would be done", default=False),
    WAIT,
)

COMMANDS = (
    Command(
        words=("BAckup", "STGpool"),
        rule=storage(_copy_pool),
        help="Copy to a copy pool what it does not hold yet of a primary pool.",
        parameters=(
            positional("primary", Name(30), "primary pool"),
            positional("copy", Name(30), "copy pool"),
            _PROCESSES,
            keyword(
                "Preview", Choice("No", "Yes", "VOLumesonly"), "only say what would be done", default="NO"
            ),
            keyword("SHREDTONOshred", YesNo(), "copy shredded data", only=False),
            WAIT,
        ),
        run=_backup,
    ),
    Command(
        words=("RESTORE", "STGpool"),
        rule=storage(_restored_pools),
        help="Bring back from copy pools what is damaged in a primary pool or lay on DESTROYED volumes.",
        parameters=(positional("primary", Name(30), "primary pool"), *_RESTORE),
        run=_restore_pool,
    ),
    Command(
        words=("RESTORE", "Volume"),
        rule=storage(_pools_of_volumes),
        help="Bring back from copy pools all that lay on these volumes. They become DESTROYED and go when they are empty.",
        parameters=(positional("volumes", Paths(), "volumes of one primary pool"), *_RESTORE),
        run=_restore_volumes,
        confirm=_confirm_restore,
    ),
)
