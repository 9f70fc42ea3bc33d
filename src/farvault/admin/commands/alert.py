"""QUERY ALERTS: what needs a person now, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.alerts import alerts
from farvault.admin.authority import ANYONE
from farvault.admin.command import Call, Command
from farvault.admin.instance import Instance
from farvault.admin.output import Answer, Code, Column, Report, time_column
from farvault.base.messages import message


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    del call
    with instance.catalog.read() as r:
        found = list(alerts(r, instance.clock.now_seconds()))
    if not found:
        yield message("ANR4993I")
        return
    rows = [{**one._asdict(), "to_do": one.to_do} for one in found]
    yield Report(columns=_COLUMNS, rows=rows, detailed=True)
    yield Code(4)


_COLUMNS = (
    Column(key="concerns", label="Concerns"),
    Column(key="what", label="What"),
    time_column("since_time", "Since"),
    Column(key="message_id", label="Message"),
    Column(key="to_do", label="What To Do"),
)

COMMANDS = (
    Command(
        words=("Query", "ALerts"),
        rule=ANYONE,
        help="Show what needs a person now, of the vaults here and of our volumes at targets, and what to do. An alert goes when "
        "its cause has gone; HELP with the message's number explains it. Ends with return code 4 where there is one, with 0 "
        "where there is none.",
        run=_query,
    ),
)
