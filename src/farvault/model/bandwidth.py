"""BANDWIDTH of a device class as it is typed and stored: `10M,08:00-18:00=1M`, bytes a second, other ones at some times.

The first rate is for all times that no window names. Windows are times of the server's day and may pass midnight; they do
not overlap, so their order says nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from farvault.base.units import KIB
from farvault.model.attribute import BadValue, Size

DAY_MINUTES: Final = 24 * 60
LEAST_BYTES: Final = 16 * KIB
"""A second: the longest record takes five minutes then, and a segment at the target is not given up meanwhile."""
WINDOWS_MAX: Final = 24
_WINDOW: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)=(.+)")
_RATE: Final = Size(LEAST_BYTES, nolimit=True)
_RIGHT: Final = "a rate from 16K (bytes a second) or NOLIMIT, then other rates as HH:MM-HH:MM=rate, all with commas between them"


class Window(NamedTuple):
    """From one minute of the day up to another one; the end is not part of it. `rate` None: no limit."""

    start: int
    end: int
    rate: int | None

    @property
    def minutes(self) -> set[int]:
        """Every minute of the day it covers."""
        if self.start < self.end:
            return set(range(self.start, self.end))
        return set(range(self.start, DAY_MINUTES)) | set(range(self.end))


class Rates(NamedTuple):
    """A parsed BANDWIDTH: bytes a second, None = no limit."""

    usual: int | None
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Kind of the attribute. Stored as text in one spelling; empty = no limit at any time."""

    def parse(self, text: str) -> str:
        rates = parse_rates(text)
        if rates == Rates(None, ()):
            return ""
        return ",".join([_show_rate(rates.usual), *map(_show_window, rates.windows)])

    def show(self, value: str) -> str:
        return value or "No Limit"

    def describe(self) -> str:
        return "rate[,HH:MM-HH:MM=rate...]; rate: bytes a second with K, M or G, or NOLimit"


def parse_rates(text: str) -> Rates:
    """Typed or stored text -> rates. `BadValue` says what would be right."""
    if not text:
        return Rates(None, ())
    first, *rest = [part.strip() for part in text.split(",")]
    windows = tuple(map(_window, rest))
    if len(windows) > WINDOWS_MAX:
        raise BadValue(f"at most {WINDOWS_MAX} windows")
    taken: set[int] = set()
    for window in windows:
        if taken & window.minutes:
            raise BadValue(f"windows that do not overlap; {_show_window(window)} does")
        taken |= window.minutes
    return Rates(_rate(first), tuple(sorted(windows, key=lambda window: window.start)))


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise BadValue(_RIGHT)
    start, end = _minute(found[1], found[2]), _minute(found[3], found[4])
    if start == end % DAY_MINUTES or start == DAY_MINUTES:
        raise BadValue("windows that begin and end at different times of the day")
    return Window(start, end, _rate(found[5]))


def _minute(hours: str, minutes: str) -> int:
    """24:00 is the end of the day."""
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > DAY_MINUTES:
        raise BadValue("times from 00:00 to 24:00")
    return minute


def _rate(text: str) -> int | None:
    try:
        return _RATE.parse(text)
    except BadValue:
        raise BadValue(_RIGHT) from None


def _show_rate(rate: int | None) -> str:
    return "NOLIMIT" if rate is None else _RATE.show(rate).replace(" ", "").replace(",", "")


def _show_window(window: Window) -> str:
    times = (f"{minute // 60:02}:{minute % 60:02}" for minute in (window.start, window.end))
    return f"{'-'.join(times)}={_show_rate(window.rate)}"
