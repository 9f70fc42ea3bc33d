"""Values that only commands have: patterns, lists of choices, passwords, days and times of day.

They follow `model.attribute.Kind`: `parse` raises `BadValue` that says what would be right.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from farvault.model.attribute import BadValue, Choice, Integer, Kind

_LONGEST_PASSWORD = 64


@dataclass(frozen=True, slots=True)
class Pattern:
    """An object name that may hold `*` and `?`, folded to upper case."""

    longest: int = 64

    def parse(self, text: str) -> str:
        if not 1 <= len(text) <= self.longest or not re.fullmatch(r"[A-Za-z0-9_.+&\-*?]+", text):
            raise BadValue("a name, in which * stands for any run of characters and ? for one")
        return text.upper()

    def show(self, value: str) -> str:
        return value

    def describe(self) -> str:
        return "name or pattern with * and ?"


@dataclass(frozen=True, slots=True)
class Patterns:
    """A comma-separated list of names or patterns, folded to upper case."""

    longest: int = 64

    def parse(self, text: str) -> tuple[str, ...]:
        return tuple(Pattern(self.longest).parse(part) for part in text.split(","))

    def show(self, value: tuple[str, ...]) -> str:
        return ",".join(value)

    def describe(self) -> str:
        return "name or pattern[,...]"


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A volume or file space name that may hold `*` and `?`; case is kept."""

    longest: int = 1024

    def parse(self, text: str) -> str:
        if not 1 <= len(text) <= self.longest or not text.isprintable():
            raise BadValue("a printable name, in which * stands for any run of characters and ? for one")
        return text

    def show(self, value: str) -> str:
        return value

    def describe(self) -> str:
        return "name or pattern with * and ?, case is kept"


@dataclass(frozen=True, slots=True)
class Frequency:
    """Days between two backups, or CMD: only by command, as archiving always is."""

    CMD: ClassVar[str] = "CMD"

    def parse(self, text: str) -> int | str | None:
        return self.CMD if text.upper() == self.CMD else Integer(0, 9999).parse(text)

    def show(self, value: int | str) -> str:
        return str(value)

    def describe(self) -> str:
        return "0-9999|CMD"


@dataclass(frozen=True, slots=True)
class Clearable:
    """Another kind, where `""` takes the value away."""

    kind: Kind

    def parse(self, text: str) -> Any:
        return "" if text == "" else self.kind.parse(text)

    def show(self, value: Any) -> str:
        return self.kind.show(value) if value else ""

    def describe(self) -> str:
        return self.kind.describe()


@dataclass(frozen=True, slots=True)
class Choices:
    """A comma-separated list of words out of a few, stored as a tuple."""

    choice: Choice

    def parse(self, text: str) -> tuple[str, ...]:
        return tuple(self.choice.parse(part) for part in text.split(","))

    def show(self, value: tuple[str, ...]) -> str:
        return ",".join(value)

    def describe(self) -> str:
        return self.choice.describe() + "[,...]"


@dataclass(frozen=True, slots=True)
class Paths:
    """A comma-separated list of volume names; case is kept."""

    def parse(self, text: str) -> tuple[str, ...]:
        return tuple(PathPattern().parse(part) for part in text.split(","))

    def show(self, value: tuple[str, ...]) -> str:
        return ",".join(value)

    def describe(self) -> str:
        return "name[,name...]"


@dataclass(frozen=True, slots=True)
class Password:
    """A secret of 1 to 64 printable characters. Case matters."""

    def parse(self, text: str) -> str:
        if not 1 <= len(text) <= _LONGEST_PASSWORD or not text.isprintable():
            raise BadValue(f"a password of 1 to {_LONGEST_PASSWORD} printable characters")
        return text

    def show(self, value: str) -> str:
        del value
        return "?***?"

    def describe(self) -> str:
        return "password"


@dataclass(frozen=True, slots=True)
class SignedInteger:
    """A whole number that may be negative."""

    lowest: int
    highest: int

    def parse(self, text: str) -> int:
        if re.fullmatch(r"[-+]?[0-9]{1,15}", text, re.ASCII) and self.lowest <= int(text) <= self.highest:
            return int(text)
        raise BadValue(f"a number from {self.lowest} to {self.highest}")

    def show(self, value: int) -> str:
        return f"{value:,}"

    def describe(self) -> str:
        return f"{self.lowest}-{self.highest}"


@dataclass(frozen=True, slots=True)
class When:
    """A day or a time of day as typed: absolute, or `offset` days (seconds) from now."""

    absolute: Any = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """MM/DD/YYYY, TODAY, TODAY-3, -3 or +3. The value is a `When` whose absolute part is a date."""

    def parse(self, text: str) -> When:
        found = re.fullmatch(r"(?:TODAY)?([-+][0-9]{1,4})?", text.upper(), re.ASCII)
        if text and found:
            return When(offset=int(found[1] or 0))
        for form in ("%m/%d/%Y", "%Y-%m-%d"):
            try:
                day = datetime.datetime.strptime(text, form).date()
            except ValueError:
                continue
            if 1971 <= day.year <= 9000:
                return When(absolute=day)
        raise BadValue("a day: MM/DD/YYYY, TODAY, TODAY-3 or -3")

    def show(self, value: When) -> str:
        return str(value.absolute or value.offset)

    def describe(self) -> str:
        return "MM/DD/YYYY|TODAY|-days"


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """HH:MM[:SS], NOW, NOW-HH:MM, -HH:MM. The value is a `When` whose absolute part is a time of day."""

    def parse(self, text: str) -> When:
        found = re.fullmatch(r"(?:NOW)?(?:([-+])([0-9]{1,3}):([0-5][0-9]))?", text.upper(), re.ASCII)
        if text and found:
            seconds = int(found[2] or 0) * 3600 + int(found[3] or 0) * 60
            return When(offset=-seconds if found[1] == "-" else seconds)
        for form in ("%H:%M:%S", "%H:%M"):
            try:
                return When(absolute=datetime.datetime.strptime(text, form).time())
            except ValueError:
                continue
        raise BadValue("a time: HH:MM:SS, HH:MM, NOW or NOW-01:30")

    def show(self, value: When) -> str:
        return str(value.absolute or value.offset)

    def describe(self) -> str:
        return "HH:MM[:SS]|NOW|NOW-HH:MM"


def moment(day: When, time_of_day: When, now_seconds: int) -> int:
    """Seconds UTC for a typed day and time in the server's zone."""
    now = datetime.datetime.fromtimestamp(now_seconds).astimezone()
    date = day.absolute or now.date() + datetime.timedelta(days=day.offset)
    if time_of_day.absolute is not None:
        at = datetime.datetime.combine(date, time_of_day.absolute)
        return int(at.astimezone().timestamp())
    at = datetime.datetime.combine(date, now.time().replace(microsecond=0))
    return int(at.astimezone().timestamp()) + time_of_day.offset
