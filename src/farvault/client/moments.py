"""Dates and times as typed, and the moments a command is about: PITDATE, FROMDATE, TODATE (TSM reference, clients 7.2).

Typed dates are in the client's time zone; stored times are seconds UTC, by the server's clock.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from farvault.base.errors import BadInput
from farvault.model.attribute import BadValue

if TYPE_CHECKING:
    from farvault.client.options import Options

Day = tuple[int, int, int]
"""Year, month, day."""
Hour = tuple[int, int, int]
"""Hour, minute, second."""

_MONTH_FIRST: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)
_YEAR_FIRST: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", re.ASCII)
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)
_BEGIN: Final[Hour] = (0, 0, 0)
_END: Final[Hour] = (23, 59, 59)
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class DateText(NamedTuple):
    """`12/31/2026` or `2026-12-31`."""

    def parse(self, text: str) -> Day:
        if match := _MONTH_FIRST.fullmatch(text):
            month, day, year = map(int, match.groups())
        elif match := _YEAR_FIRST.fullmatch(text):
            year, month, day = map(int, match.groups())
        else:
            raise BadValue("a date as MM/DD/YYYY or YYYY-MM-DD")
        if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= _days(year, month):
            raise BadValue("a day of the calendar, as MM/DD/YYYY or YYYY-MM-DD")
        return year, month, day


class TimeText(NamedTuple):
    """`23:59` or `23:59:59`."""

    def parse(self, text: str) -> Hour:
        match = _CLOCK.fullmatch(text)
        hour, minute, second = (int(part or 0) for part in match.groups()) if match else (24, 0, 0)
        if hour > 23 or minute > 59 or second > 59:
            raise BadValue("a time as HH:MM or HH:MM:SS")
        return hour, minute, second


def _days(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _MONTH_DAYS[month - 1] + leap


class Moments(NamedTuple):
    """Seconds UTC; None = not asked. `point_in_time`: as it was then. `since`, `until`: stored in this interval."""

    point_in_time: int | None = None
    since: int | None = None
    until: int | None = None

    def holds(self, inserted_time: int) -> bool:
        """Was something stored at this moment stored in the interval?"""
        return (self.since is None or inserted_time >= self.since) and (
            self.until is None or inserted_time <= self.until
        )


def moments(options: Options, now_seconds: float) -> Moments:
    """What the options mean. A time without a date is today's; a date alone begins (FROM) or ends (TO, PIT) with its day.

    `BadInput` for an interval that is empty, or together with a point in time.
    """
    pit = _moment(options.pit_date, options.pit_time, _END, now_seconds)
    since = _moment(options.from_date, options.from_time, _BEGIN, now_seconds)
    until = _moment(options.to_date, options.to_time, _END, now_seconds)
    if pit is not None and (since is not None or until is not None):
        raise BadInput("ANS9814E", one="PITDATE", other="FROMDATE or TODATE")
    if since is not None and until is not None and since > until:
        raise BadInput("ANS9815E")
    return Moments(pit, since, until)


def _moment(day: Day | None, hour: Hour | None, otherwise: Hour, now_seconds: float) -> int | None:
    if day is None and hour is None:
        return None
    if day is None:
        today = time.localtime(now_seconds)
        day = today.tm_year, today.tm_mon, today.tm_mday
    return int(time.mktime((*day, *(hour or otherwise), 0, 0, -1)))
