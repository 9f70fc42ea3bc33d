"""AUDIT VOLUME: is everything on it that should be, and as it was stored? AUDIT CATALOG: and the catalog itself?"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from farvault.admin.authority import SYSTEM, storage
from farvault.admin.background import run_process
from farvault.admin.command import WAIT, Call, Command, Parameter, keyword
from farvault.admin.instance import Instance
from farvault.admin.kinds import Day, When, moment
from farvault.admin.lookup import some
from farvault.admin.output import Answer
from farvault.base.errors import BadInput
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Name, Text, YesNo
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.processes.audit_catalog import DESCRIPTION, ONE_RUNS, audit_catalog
from farvault.processes.audit_volume import audit_volume, audit_volumes
from farvault.processes.process import Process


def _audit(instance: Instance, call: Call) -> Iterator[Answer]:
    _check(call)
    with instance.catalog.read() as r:
        volumes = _volumes(r, call, instance.clock.now_seconds())

    options = {"skip_partial": call["skippartial"], **{one: call[one] for one in ("fix", "quiet", "full")}}

    def work(process: Process) -> None:
        if call["volume"] is not None:
            audit_volume(instance.storage, process, volumes[0].name, **options)
        else:
            audit_volumes(instance.storage, process, [volume.name for volume in volumes], **options)

    yield from run_process(
        instance, call, f"AUDIT VOLUME ({'REPAIR' if call['fix'] else 'INSPECT ONLY'})", work
    )


def _check(call: Call) -> None:
    """One volume, or a pool and perhaps days."""
    if call["volume"] is None and call["stgpool"] is None:
        raise BadInput(
            "ANR2022E",
            command=call.command.name,
            parameter="volume or STGPOOL",
            syntax="volume | STGPool=pool",
        )
    if call["volume"] is not None and call["stgpool"] is not None:
        raise BadInput("ANR4781E", command=call.command.name)
    if call["volume"] is not None and call.given & {"fromdate", "todate"}:
        raise BadInput("ANR4782E", command=call.command.name)


def _volumes(r: Snapshot, call: Call, now: int) -> list[Volume]:
    """One volume; or those of a pool, the sequential ones by the day of their last write."""
    if call["volume"] is not None:
        return [nouns.get(r, Volume, call["volume"])]
    pool = nouns.get(r, StoragePool, call["stgpool"])
    begin, end = _period(call, now)
    found = nouns.select(r, Volume, pool_id=pool.id)
    return some([v for v in found if pool.is_random or begin <= v.last_written_time <= end], call)


def _period(call: Call, now: int) -> tuple[int, int]:
    """The days given, from the beginning of the first to the end of the last."""
    begin = moment(call["fromdate"], _FIRST_SECOND, now) if call["fromdate"] else 0
    end = moment(call["todate"], _LAST_SECOND, now) if call["todate"] else max(begin, now)
    if end < begin:
        raise BadInput("ANR4783E", command=call.command.name)
    return begin, end


_FIRST_SECOND, _LAST_SECOND = When(absolute=datetime.time(0, 0)), When(absolute=datetime.time(23, 59, 59))


def _audit_catalog(instance: Instance, call: Call) -> Iterator[Answer]:

    def work(process: Process) -> None:
        audit_catalog(instance.storage, process, fix=call["fix"])

    yield from run_process(instance, call, DESCRIPTION, work, refusal=ONE_RUNS)


def _confirm(instance: Instance, call: Call) -> str:
    del instance
    return str(message("ANR2310W", volume=call["volume"] or call["stgpool"])) if call["fix"] else ""


def _pools(instance: Instance, call: Call) -> list[str]:
    if call["stgpool"]:
        return [call["stgpool"]]
    with instance.catalog.read() as r:
        volume = nouns.find(r, Volume, call["volume"] or "")
        return [nouns.by_id(r, StoragePool, volume.pool_id).name] if volume else []


COMMANDS = (
    Command(
        words=("AUDit", "Volume"),
        rule=storage(_pools),
        help="Read all that lies on a volume and check it. FIX=YES also forgets what no copy can bring back.",
        parameters=(
            Parameter(name="volume", kind=Text(1024), help="name of the volume"),
            keyword("Fix", YesNo(), "correct what is found", default=False),
            keyword(
                "SKIPPartial", YesNo(), "leave out files of which parts lie on other volumes", default=False
            ),
            keyword("Quiet", YesNo(), "no message for each damaged file", default=False),
            keyword("STGPool", Name(30), "all volumes of this pool"),
            keyword("FROMDate", Day(), "with STGPOOL: only volumes written since"),
            keyword("TODate", Day(), "with STGPOOL: only volumes written until"),
            keyword("FULl", YesNo(), "read every record to here and open it too", default=False),
            WAIT,
        ),
        run=_audit,
        confirm=_confirm,
    ),
    Command(
        words=("AUDit", "CATalog"),
        rule=SYSTEM,
        help="Check every row of the catalog, what must fit together in it, and that the volumes of this machine are "
        "there. FIX=YES puts accounts and the index right where all rows are as they were written.",
        parameters=(keyword("Fix", YesNo(), "put right what is safe to", default=False), WAIT),
        run=_audit_catalog,
    ),
)
