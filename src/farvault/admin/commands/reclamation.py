"""RECLAIM STGPOOL."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import storage
from farvault.admin.background import run_process
from farvault.admin.command import WAIT, Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.output import Answer
from farvault.catalog import nouns
from farvault.model.attribute import Integer, Name
from farvault.model.storage_pool import StoragePool
from farvault.processes.process import Process
from farvault.processes.reclaim import DESCRIPTION, Options, check_pool, reclaim_pool


def _reclaim(instance: Instance, call: Call) -> Iterator[Answer]:
    options = Options(
        threshold_percent=call["threshold"],
        duration_minutes=call["duration"],
        offsite_limit=call["offsitereclaimlimit"],
        offsite_limit_given="offsitereclaimlimit" in call.given,
    )
    with instance.catalog.read() as r:
        pool = nouns.get(r, StoragePool, call["pool"])
        check_pool(r, pool, options)

    def work(process: Process) -> None:
        reclaim_pool(instance.storage, process, pool.name, options)

    yield from run_process(instance, call, DESCRIPTION, work, pool=pool.name)


def _pools(instance: Instance, call: Call) -> list[str]:
    """The pool, and the one its data goes to."""
    with instance.catalog.read() as r:
        found = nouns.find(r, StoragePool, call["pool"])
    return [call["pool"], found.reclaim_pool] if found and found.reclaim_pool else [call["pool"]]


COMMANDS = (
    Command(
        words=("RECLaim", "STGpool"),
        rule=storage(_pools),
        help="Free volumes that hold little data that is still needed: it moves to other volumes, of virtual volumes by "
        "name.",
        parameters=(
            positional("pool", Name(30), "sequential storage pool"),
            keyword(
                "THreshold", Integer(1, 99), "volumes with more dead space than this; else the pool's RECLAIM"
            ),
            keyword("DUration", Integer(1, 9999), "most minutes it may take"),
            keyword(
                "OFFSITERECLAIMLimit",
                Integer(0, 99999, nolimit=True),
                "most off-site volumes; else as the pool has it",
            ),
            WAIT,
        ),
        run=_reclaim,
    ),
)
