"""BEGINDATE, BEGINTIME, ENDDATE, ENDTIME: from when until when a command looks."""

from __future__ import annotations

import datetime
from typing import Final

from farvault.admin.command import Call, keyword
from farvault.admin.kinds import Day, TimeOfDay, When, moment
from farvault.base.errors import BadInput

PERIOD: Final = (
    keyword("BEGINDate", Day(), "only from this day on"),
    keyword("ENDDate", Day(), "only until this day"),
    keyword("BEGINTime", TimeOfDay(), "time on the first day; default: 00:00:00"),
    keyword("ENDTime", TimeOfDay(), "time on the last day; default: its end"),
)
FOREVER: Final = 1 << 62
_TODAY: Final = When(offset=0)
_MIDNIGHT: Final = When(absolute=datetime.time(0, 0, 0))
LAST_SECOND: Final = When(absolute=datetime.time(23, 59, 59))


def period(call: Call, now_seconds: int) -> tuple[int, int]:
    """First and last second; a time without its day is one of today. `BadInput` where nothing lies between them."""
    begin, end = 0, FOREVER
    if call["begindate"] or call["begintime"]:
        begin = moment(call["begindate"] or _TODAY, call["begintime"] or _MIDNIGHT, now_seconds)
    if call["enddate"] or call["endtime"]:
        end = moment(call["enddate"] or _TODAY, call["endtime"] or LAST_SECOND, now_seconds)
    if begin > end:
        raise BadInput("ANR2106E")
    return begin, end
