"""Drills: RUN DRILL, QUERY DRILL, SET DRILLPERIOD."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from farvault.admin.authority import ANYONE, SYSTEM
from farvault.admin.background import run_process
from farvault.admin.command import FORMAT, WAIT, Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.output import Answer, Column, Report, count_column, time_column
from farvault.base.messages import message
from farvault.base.units import show_size
from farvault.catalog import drills
from farvault.catalog.drills import Drill
from farvault.catalog.settings import set_setting
from farvault.model.attribute import Integer, Name
from farvault.model.attribute import Text as TextKind
from farvault.processes.drill import DESCRIPTION, OBJECTS, ONE_RUNS, Options, run_drill, show_seconds
from farvault.processes.process import Process


def _run(instance: Instance, call: Call) -> Iterator[Answer]:
    if call["devclass"]:
        instance.storage.devices.device_class(call["devclass"])
    options = Options(
        call["scratchfolder"] or f"{instance.folder}/drill", call["devclass"] or "", call["objects"]
    )

    def work(process: Process) -> None:
        run_drill(instance.storage, process, options)

    yield from run_process(instance, call, DESCRIPTION, work, refusal=ONE_RUNS)


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        rows = [_row(drill) for drill in drills.all_drills(r)]
    yield Report(columns=_DETAILED if call.detailed else _STANDARD, rows=rows, detailed=call.detailed)


def _row(drill: Drill) -> dict[str, Any]:
    """Where no database came back, there is no time that recovery would have taken, and no state it would have reached."""
    row = drill._asdict()
    if drill.result == drills.FAILED and not drill.database_ms:
        row["rpo_seconds"] = row["rto_seconds"] = None
    return row


def _set_period(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.write() as tx:
        set_setting(tx, "DRILLPERIOD", str(call["days"]))
    yield message("ANR6700I", name="DRILLPERIOD", value=call["days"])


def _measured(seconds: int | None) -> str:
    return "" if seconds is None else show_seconds(seconds)


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.1f}"


_STANDARD = (
    count_column("id", "Drill Number"),
    time_column("started_time", "Started"),
    Column(key="result", label="Result", show=str.capitalize),
    time_column("backup_time", "State of"),
    Column(key="rpo_seconds", label="RPO", show=_measured),
    Column(key="rto_seconds", label="RTO", show=_measured),
    count_column("objects", "Objects Tried"),
    count_column("bad_objects", "Objects Bad"),
)
_DETAILED = (
    *_STANDARD,
    time_column("ended_time", "Ended"),
    count_column("series", "Backup Series"),
    count_column("operation", "Backup Operation"),
    Column(key="device_class", label="Device Class Name"),
    Column(key="database_bytes", label="Database Size", show=show_size, number=True),
    Column(key="database_ms", label="Database Restored in (seconds)", show=_seconds, number=True),
    Column(key="object_bytes", label="Bytes Read", show=show_size, number=True),
    Column(key="object_ms", label="Objects Read in (seconds)", show=_seconds, number=True),
    Column(key="total_bytes", label="Kept by Other Servers", show=show_size, number=True),
    Column(key="note", label="First Problem", wrap_words=True),
)

COMMANDS = (
    Command(
        words=("RUn", "DRIll"),
        rule=SYSTEM,
        help="Prove that this server can be rebuilt: restore its newest database backup from another server into a scratch "
        "folder, read a random sample of files from there, keep the evidence, and remove the scratch data.",
        parameters=(
            keyword("DEVclass", Name(30), "only backups of this class; default: any of DEVTYPE=SERVER"),
            keyword("OBJects", Integer(1, 100_000), "files to read", default=OBJECTS),
            keyword(
                "SCratchfolder",
                TextKind(1024),
                "folder with room for the database; default: in the instance folder",
            ),
            WAIT,
        ),
        run=_run,
    ),
    Command(
        words=("Query", "DRIll"),
        rule=ANYONE,
        help="Show the drills and what they proved, the newest first.",
        parameters=(FORMAT,),
        run=_query,
    ),
    Command(
        words=("Set", "DRILLPeriod"),
        rule=SYSTEM,
        help="Set after how many days a drill runs by itself.",
        parameters=(positional("days", Integer(0, 9999), "days between two drills; 0 = never"),),
        run=_set_period,
    ),
)
