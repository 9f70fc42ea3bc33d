"""Sessions: QUERY, CANCEL; ENABLE and DISABLE new ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from farvault.admin.authority import ANYONE, OPERATOR
from farvault.admin.command import FORMAT, Call, Command, Parameter, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.output import Answer, Column, Report, count_column, time_column
from farvault.base.errors import BadInput, NotFound
from farvault.base.messages import message
from farvault.base.units import show_size
from farvault.model.attribute import Choice, Integer
from farvault.transport.session_table import SessionEntry


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    """MINTIMETHRESHOLD and MAXTHROUGHPUT find sessions that last long and move little."""
    now = instance.clock.now_seconds()
    rows = [
        _row(entry)
        for entry in instance.session_table.list()
        if call["number"] in (None, entry.number) and _is_wanted(entry, now, call)
    ]
    yield Report(columns=_columns(call.detailed), rows=rows, detailed=call.detailed)


def _is_wanted(entry: SessionEntry, now: int, call: Call) -> bool:
    seconds = max(now - entry.since, 1)
    moved_kilobytes = (entry.bytes_sent + entry.bytes_received) / 1024
    long_enough = call["mintimethreshold"] is None or seconds >= call["mintimethreshold"] * 60
    slow_enough = call["maxthroughput"] is None or moved_kilobytes / seconds < call["maxthroughput"]
    return long_enough and slow_enough


def _row(entry: SessionEntry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "method": "Tcp/Ip",
        "state": entry.state,
        "wait_seconds": int(entry.wait_seconds),
        "bytes_sent": entry.bytes_sent,
        "bytes_received": entry.bytes_received,
        "type": entry.type,
        "platform": entry.platform,
        "name": entry.name,
        "address": entry.address,
        "started_time": entry.since,
    }


def _columns(detailed: bool) -> list[Column]:
    columns = [
        count_column("number", "Sess Number"),
        Column(key="method", label="Comm. Method"),
        Column(key="state", label="Sess State"),
        Column(key="wait_seconds", label="Wait Time", show=lambda seconds: f"{seconds} S", number=True),
        Column(key="bytes_sent", label="Bytes Sent", show=show_size, number=True),
        Column(key="bytes_received", label="Bytes Recvd", show=show_size, number=True),
        Column(key="type", label="Sess Type"),
        Column(key="platform", label="Platform"),
        Column(key="name", label="Client Name"),
    ]
    if detailed:
        columns += [Column(key="address", label="Address"), time_column("started_time", "Date/Time Started")]
    return columns


def _cancel(instance: Instance, call: Call) -> Iterator[Answer]:
    table = instance.session_table
    if call["number"] == "ALL":
        numbers = [entry.number for entry in table.list() if entry.number != call.session]
        if not numbers:
            raise NotFound("ANR2034E", command=call.command.name)
    else:
        numbers = [call["number"]]
    if call.session in numbers:
        raise BadInput("ANR0495E", number=call.session)
    for number in numbers:
        entry = table.cancel(number)
        yield message("ANR0490I", number=entry.number, name=entry.name)


class _NumberOrAll:
    """A session's number, or ALl."""

    def parse(self, text: str) -> int | str:
        if text.upper() in ("AL", "ALL"):
            return "ALL"
        return Integer(1).parse(text) or 0

    def show(self, value: int | str) -> str:
        return str(value)

    def describe(self) -> str:
        return "number|ALl"


_KINDS = {"ALL": ("CLIENT", "SERVER"), "CLIENT": ("CLIENT",), "SERVER": ("SERVER",)}


def _enable(instance: Instance, call: Call) -> Iterator[Answer]:
    instance.availability.enable(*_KINDS[call["kind"]])
    yield message("ANR2552I", kind=call["kind"].lower())


def _disable(instance: Instance, call: Call) -> Iterator[Answer]:
    instance.availability.disable(*_KINDS[call["kind"]])
    yield message("ANR2553I", kind=call["kind"].lower())


_KIND = Parameter(
    name="kind",
    kind=Choice("ALL", "CLIent", "SERVER"),
    help="sessions of nodes, of servers, or both",
    default="CLIENT",
)

COMMANDS = (
    Command(
        words=("Query", "SEssion"),
        rule=ANYONE,
        help="Show who is connected.",
        parameters=(
            positional("number", Integer(1), "one session", optional=True),
            keyword("MINTIMEthreshold", Integer(0, 99_999_999), "only sessions of at least so many minutes"),
            keyword("MAXTHRoughput", Integer(0, 99_999_999), "only sessions slower than so many KB a second"),
            FORMAT,
        ),
        run=_query,
    ),
    Command(
        words=("CANcel", "SEssion"),
        rule=OPERATOR,
        help="End a session, or all but one's own. What it has not been told to be stored is not stored.",
        parameters=(positional("number", _NumberOrAll(), "which"),),
        run=_cancel,
    ),
    Command(
        words=("ENable", "SEssions"),
        rule=OPERATOR,
        help="Let new sessions in again.",
        parameters=(_KIND,),
        run=_enable,
    ),
    Command(
        words=("DISAble", "SEssions"),
        rule=OPERATOR,
        help="Let no new sessions in; those that are open go on. Administrators can always sign on.",
        parameters=(_KIND,),
        run=_disable,
    ),
)
