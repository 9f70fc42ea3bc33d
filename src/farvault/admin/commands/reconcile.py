"""RECONCILE VOLUMES, and what its last run found: QUERY RECONCILE."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import ANYONE, SYSTEM
from farvault.admin.background import run_process
from farvault.admin.command import WAIT, Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import Pattern
from farvault.admin.lookup import select, some
from farvault.admin.output import Answer, Column, Report, Row, count_column, time_column, yes_column
from farvault.base.errors import BadInput, NotFound
from farvault.base.messages import message
from farvault.base.units import show_size
from farvault.base.wildcard import is_pattern
from farvault.catalog import nouns, target_truth
from farvault.catalog.settings import set_setting
from farvault.catalog.target_truth import FindingRow
from farvault.model.attribute import Choice, Integer, YesNo
from farvault.model.device_class import DeviceClass
from farvault.model.server import Server
from farvault.processes.process import Process
from farvault.processes.reconcile_volumes import DESCRIPTION, ONE_RUNS, reconcile_volumes, servers_of


def _reconcile(instance: Instance, call: Call) -> Iterator[Answer]:
    pattern, fix = call["device_class"], call["fix"]
    with instance.catalog.read() as r:
        chosen = servers_of(r, pattern)
        if not chosen and not is_pattern(pattern):
            one = nouns.get(r, DeviceClass, pattern)
            raise BadInput("ANR4997E", device_class=one.name, device_type=one.device_type)
    if not chosen:
        raise NotFound("ANR2034E", command=call.command.name)

    def work(process: Process) -> None:
        reconcile_volumes(instance.storage, process, instance.target, pattern, fix=fix)

    yield from run_process(instance, call, DESCRIPTION, work, refusal=ONE_RUNS)
    if call["wait"]:
        rows = list(_rows(instance, sorted(chosen)))
        if rows:
            yield Report(columns=_COLUMNS, rows=rows)


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        servers = [one.name for one in some(select(r, Server, [call["server"]]), call) if one.is_target]
    if call["format"] == "SUMMARY":
        yield Report(columns=_SUMMARY, rows=_ends(instance, servers))
    else:
        yield Report(columns=_COLUMNS, rows=_rows(instance, servers))


def _ends(instance: Instance, servers: list[str]) -> Iterator[Row]:
    with instance.catalog.read() as r:
        for server in servers:
            for ended in target_truth.reconciliations(r, target_truth.server_id(r, server)):
                yield {"server": server, **ended._asdict()}


def _rows(instance: Instance, servers: list[str]) -> Iterator[Row]:
    with instance.catalog.read() as r:
        for server in servers:
            for finding in target_truth.findings(r, target_truth.server_id(r, server)):
                yield _row(server, finding)


def _row(server: str, finding: FindingRow) -> Row:
    return {"server": server, **finding._asdict()}


_COLUMNS = (
    Column(key="server", label="Server Name"),
    Column(key="volume", label="Archive File"),
    Column(key="kind", label="Volume Kind", show=lambda kind: kind.capitalize() or "None"),
    Column(key="finding", label="Finding", wrap_words=True),
    Column(key="differs", label="Attributes that differ", wrap_words=True),
    Column(key="here_bytes", label="Size here", show=show_size, number=True),
    Column(key="there_bytes", label="Size there", show=show_size, number=True),
    Column(key="receipts", label="Receipts"),
    Column(key="actions", label="Action", wrap_words=True),
    time_column("found_time", "Found"),
)


_SUMMARY = (
    Column(key="server", label="Server Name"),
    time_column("ended_time", "Ended"),
    Column(key="whole", label="Compared", show=lambda whole: "Everything" if whole else "Some classes"),
    yes_column("fix", "Fix?"),
    count_column("here", "Volumes here"),
    count_column("there", "Volumes there"),
    count_column("same", "Agree"),
    count_column("differing", "Differ"),
    count_column("fixed", "Fixed"),
    count_column("left_open", "Left"),
    count_column("in_use", "In Use"),
    yes_column("trusted", "Target took note?"),
)


def _set_interval(instance: Instance, call: Call) -> Iterator[Answer]:
    hours = call["hours"]
    with instance.catalog.write() as tx:
        set_setting(tx, "RECONCILEINTERVAL", str(hours))
    yield message("ANR4894I", hours=hours)


COMMANDS = (
    Command(
        words=("REConcile", "Volumes"),
        rule=SYSTEM,
        help="Compare virtual volumes here with archive files at their targets, both ways. FIX=YES sets volumes that "
        "are missing or differ UNAVAILABLE, makes files that were marked by mistake active again, and marks files that "
        "no volume knows. Classes that share a target and a PREFIX are compared together.",
        parameters=(
            positional("device_class", Pattern(30), "classes of DEVTYPE=SERVER", default="*"),
            keyword("Fix", YesNo(), "correct what differs", default=False),
            WAIT,
        ),
        run=_reconcile,
    ),
    Command(
        words=("Query", "REConcile"),
        rule=ANYONE,
        help="Show what differed when RECONCILE VOLUMES last ran, or only how many.",
        parameters=(
            positional("server", Pattern(64), "targets", default="*"),
            keyword(
                "Format", Choice("Standard", "SUmmary"), "each difference, or the counts", default="STANDARD"
            ),
        ),
        run=_query,
    ),
    Command(
        words=("SETOPT", "RECONCILEinterval"),
        rule=SYSTEM,
        help="Set how often RECONCILE VOLUMES FIX=NO runs by itself over everything.",
        parameters=(positional("hours", Integer(0, 8784), "hours between two runs; 0 = never"),),
        run=_set_interval,
    ),
)
