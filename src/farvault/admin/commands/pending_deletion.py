"""QUERY PENDINGDELETIONS: virtual volumes that are gone here and whose target could not be told yet."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import ANYONE
from farvault.admin.command import Call, Command, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import Pattern
from farvault.admin.output import Answer, Column, Report, count_column, row_of, time_column
from farvault.base.wildcard import matches
from farvault.catalog import nouns
from farvault.model.pending_deletion import PendingDeletion


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        found = nouns.select(r, PendingDeletion)
    rows = [row_of(one) for one in found if matches(call["server"], one.server_name)]
    yield Report(columns=_COLUMNS, rows=rows)


_COLUMNS = [
    Column(key="server_name", label="Server Name"),
    Column(key="volume", label="Volume Name"),
    Column(key="device_class", label="Device Class"),
    time_column("since_time", "Deleted Here"),
    count_column("tries", "Tries"),
    time_column("last_try_time", "Last Try"),
    Column(key="last_error", label="Reason", wrap_words=True),
]

COMMANDS = (
    Command(
        words=("Query", "PENDingdeletions"),
        rule=ANYONE,
        help="Show virtual volumes that are deleted here and that their target could not be told of yet.",
        parameters=(positional("server", Pattern(64), "targets", default="*"),),
        run=_query,
    ),
)
