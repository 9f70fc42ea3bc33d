"""SETOPT UNFINISHEDRETENTION: how long a target keeps what an unfinished transfer has brought."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import SYSTEM
from farvault.admin.command import Call, Command, positional
from farvault.admin.instance import Instance
from farvault.admin.output import Answer
from farvault.base.messages import message
from farvault.catalog.settings import set_setting
from farvault.model.attribute import Integer


def _set_retention(instance: Instance, call: Call) -> Iterator[Answer]:
    hours = call["hours"]
    with instance.catalog.write() as tx:
        set_setting(tx, "UNFINISHEDRETENTION", str(hours))
    yield message("ANR4813I", hours=hours)


COMMANDS = (
    Command(
        words=("SETOPT", "UNFINISHEDretention"),
        rule=SYSTEM,
        help="Set how long this server, as a target, keeps what it got of virtual volumes that were never completed. A "
        "source that comes back within this time need not send it again. 24 hours where it is not set.",
        parameters=(positional("hours", Integer(1, 8784), "hours since the transfer ended"),),
        run=_set_retention,
    ),
)
