"""QUERY ACTLOG: what the server said."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from farvault.admin.authority import ANYONE
from farvault.admin.command import Call, Command, keyword
from farvault.admin.instance import Instance
from farvault.admin.kinds import Day, TimeOfDay, When, moment
from farvault.admin.output import Answer, Column, Report, time_column
from farvault.base.errors import BadInput
from farvault.catalog import activity
from farvault.model.attribute import Choice, Integer, Name, Text

_HOUR = 3600
_MIDNIGHT = datetime.time(0, 0)
_SETTLE_SECONDS = 5.0


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    """Without BEGINTIME the last hour; with a BEGINDATE alone that day from its beginning."""
    now = instance.clock.now_seconds()
    begin_time = call["begintime"] or (
        When(absolute=_MIDNIGHT) if "begindate" in call.given else When(offset=-_HOUR)
    )
    begin = moment(call["begindate"], begin_time, now)
    end = moment(call["enddate"], call["endtime"], now)
    if begin > end:
        raise BadInput("ANR2106E")
    instance.log.settle(_SETTLE_SECONDS)  # what was said just before is in the answer
    with instance.catalog.read() as r:
        found = activity.query(
            r,
            begin,
            end,
            message_number=call["msgno"],
            search=call["search"],
            node=call["nodename"],
            session=call["sessnum"],
            process=call["process"],
        )
        rows = (
            {
                "said_time": line.time_seconds,
                "message": str(line),
            }
            for line in found
        )
        yield Report(columns=_COLUMNS, rows=rows)


_COLUMNS = (time_column("said_time", "Date/Time"), Column(key="message", label="Message", wrap_words=True))

COMMANDS = (
    Command(
        words=("Query", "ACtlog"),
        rule=ANYONE,
        help="Show lines of the activity log; without a time those of the last hour.",
        parameters=(
            keyword("BEGINDate", Day(), "first day", default=When()),
            keyword("BEGINTime", TimeOfDay(), "time on the first day"),
            keyword("ENDDate", Day(), "last day", default=When()),
            keyword("ENDTime", TimeOfDay(), "time on the last day", default=When()),
            keyword("MSGno", Integer(1, 9999), "only this message number"),
            keyword("Search", Text(255), "only lines that hold this text, in any case", default=""),
            keyword("NODEname", Name(64), "only lines about this node", default=""),
            keyword("ORiginator", Choice("ALL", "SErver", "CLient"), "who said it", only="ALL"),
            keyword("SESsnum", Integer(0), "only lines of this session"),
            keyword("PRocess", Integer(0), "only lines of this process"),
        ),
        run=_query,
    ),
)
