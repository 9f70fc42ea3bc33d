"""Recovery plans: PREPARE, QUERY RPFILE, QUERY RPFCONTENT."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import ANYONE, SYSTEM
from farvault.admin.background import run_process
from farvault.admin.command import FORMAT, WAIT, Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import Clearable, Pattern, Patterns
from farvault.admin.output import Answer, Column, Report, Row, Text, time_column, yes_column
from farvault.base.errors import BadInput, NotAvailable, NotFound
from farvault.base.units import show_size
from farvault.base.wildcard import wildcard
from farvault.catalog import nouns, vault, volume_history
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Choice, Name
from farvault.model.attribute import Text as TextKind
from farvault.model.device_class import DeviceClass
from farvault.model.node import Node
from farvault.model.server import Server
from farvault.model.volume_history import RPFILE, RPFSNAPSHOT
from farvault.policy.recovery_names import is_plan
from farvault.processes.prepare import DESCRIPTION, Request
from farvault.processes.process import Process
from farvault.seal import recovery_plan
from farvault.storage.history_reading import place_of, read_ends, read_records


def _prepare(instance: Instance, call: Call) -> Iterator[Answer]:
    request = Request(
        class_name=call["devclass"] or "",
        snapshot=call["source"] == "DBSNAPSHOT",
        plan_prefix=call["planprefix"] or "",
        instruction_prefix=call["instrprefix"] or "",
        primary_pools=call["primstgpool"] or (),
        copy_pools=call["copystgpool"] or (),
    )
    instance.recovery_plans.check(request)

    def work(process: Process) -> None:
        instance.recovery_plans.write(process, request)

    yield from run_process(instance, call, DESCRIPTION, work)


def _one_view(call: Call) -> None:
    if ("devclass" in call.given) == ("nodename" in call.given):
        raise BadInput("ANR4962E", command=call.command.name)


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    _one_view(call)
    types = (RPFSNAPSHOT,) if call["source"] == "DBSNAPSHOT" else (RPFILE,)
    with instance.catalog.read() as r:
        rows = _here(r, call["devclass"], types) if call["devclass"] else _there(r, call["nodename"])
    yield Report(columns=_DETAILED if call.detailed else _STANDARD, rows=rows, detailed=call.detailed)


def _here(r: Snapshot, pattern: str, types: tuple[str, ...]) -> list[Row]:
    """At the source: what its volume history says."""
    matches = wildcard(pattern)
    classes = {one.name: one for one in nouns.select(r, DeviceClass)}
    own_name = get_setting(r, "SERVERNAME") or ""
    found: list[Row] = []
    for row in volume_history.rows(r, types):
        if matches(row.device_class):
            server = nouns.find(r, Server, classes[row.device_class].server_name)
            node = (server.node_name if server else "") or own_name
            found.append(
                {
                    "plan": row.volume,
                    "node": node,
                    "device_class": row.device_class,
                    "type": row.type,
                    "size": row.stored_bytes,
                    "marked": False,
                    "delete_time": 0,
                }
            )
    return found


def _there(r: Snapshot, pattern: str) -> list[Row]:
    """At the target: archive files of the nodes. They are sealed, so of which kind a plan is only its source knows."""
    found: list[Row] = []
    for node in nouns.select(r, Node, pattern):
        if not node.is_source:
            continue
        after = ("", -1, -1)
        while segments := vault.list_volumes(r, node.id, after=after):
            for segment in segments:
                after = (segment.volume, segment.offset_bytes, segment.object_id)
                name = segment.volume.partition(".")[2]
                if is_plan(name) and segment.offset_bytes == 0:
                    found.append(
                        {
                            "plan": name,
                            "node": node.name,
                            "device_class": "",
                            "type": "",
                            "size": segment.stored_bytes,
                            "marked": bool(segment.marked_time),
                            "delete_time": segment.delete_time if segment.marked_time else 0,
                        }
                    )
    return found


def _content(instance: Instance, call: Call) -> Iterator[Answer]:
    _one_view(call)
    if call["nodename"]:
        raise NotAvailable("ANR4963E", plan=call["plan"], node=call["nodename"])
    storage = instance.storage
    with instance.catalog.read() as r:
        rows = [
            row
            for row in volume_history.rows(r, (RPFILE, RPFSNAPSHOT))
            if row.volume == call["plan"] and row.device_class == call["devclass"]
        ]
    if not rows:
        raise NotFound("ANR2034E", command=call.command.name)
    ends = read_ends(
        storage.devices.device, [place_of(row) for row in rows], instance.identity.public_key_bytes
    )
    device = storage.devices.device(rows[0].device_class)
    data = b"".join(bytes(part) for part in read_records(device, rows[0].volume, ends[0], instance.keyring))
    plan = recovery_plan.parse(data, call["plan"])
    recovery_plan.prove(plan, instance.identity.public_key_bytes, call["plan"])
    yield Text(data.decode())


_STANDARD = (
    Column(key="plan", label="Recovery Plan File Name"),
    Column(key="node", label="Node Name"),
    Column(key="device_class", label="Device Class Name"),
)
_DETAILED = (
    *_STANDARD,
    Column(key="type", label="Recovery Plan File Type"),
    Column(key="size", label="Recovery Plan File Size", show=show_size, number=True),
    yes_column("marked", "Marked For Deletion"),
    time_column("delete_time", "Deletion Date"),
)
_SOURCE = keyword(
    "Source", Choice("DBBackup", "DBSnapshot"), "kind of database backup it relies on", default="DBBACKUP"
)

COMMANDS = (
    Command(
        words=("Prepare",),
        rule=SYSTEM,
        help="Write a recovery plan: to a local file, or with DEVCLASS to another server. It is signed, and carries the "
        "keys wrapped by the recovery code: FARVAULT RECOVER rebuilds the server from it.",
        parameters=(
            _SOURCE,
            keyword("DEVclass", Name(30), "class of DEVTYPE=SERVER"),
            keyword("PLANPrefix", TextKind(250), "folder, or folder and start of the file's name"),
            keyword("INSTRPrefix", TextKind(250), "where your own instructions are"),
            keyword("COPYstgpool", Patterns(30), "copy pools it speaks of"),
            keyword("PRIMstgpool", Patterns(30), "primary pools it restores"),
            keyword(
                "ACTIVEDatastgpool",
                Clearable(Patterns(30)),
                "active-data pools it speaks of; there are none here",
                only="",
            ),
            WAIT,
        ),
        run=_prepare,
    ),
    Command(
        words=("Query", "RPFile"),
        rule=ANYONE,
        help="Show recovery plans kept by another server: at their source by class, at their target by node.",
        parameters=(
            keyword("DEVclass", Pattern(30), "classes of DEVTYPE=SERVER"),
            keyword("NODEName", Pattern(64), "nodes of TYPE=SERVER"),
            _SOURCE,
            FORMAT,
        ),
        run=_query,
    ),
    Command(
        words=("Query", "RPFContent"),
        rule=SYSTEM,
        help="Show the text of a recovery plan kept by another server.",
        parameters=(
            positional("plan", Name(64), "plan: SERVER.yyyymmdd.hhmmss"),
            keyword("DEVclass", Name(30), "its class"),
            keyword("NODEName", Name(64), "its node, at the target"),
        ),
        run=_content,
    ),
)
