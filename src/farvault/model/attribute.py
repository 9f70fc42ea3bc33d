"""One definition, many faces: an attribute of a noun, and how its value is typed, checked and shown.

A noun is a frozen `msgspec.Struct` whose fields carry `Annotated[type, Attribute(...)]`. DEFINE/UPDATE parsing,
QUERY columns, JSON keys and the manual all follow from these; the catalog stores each field in the column of its
name. Behaviour is plain code elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Protocol, get_origin, get_type_hints

import msgspec

from farvault.base.units import GIB, KIB, MIB, TIB, parse_size


class BadValue(ValueError):
    """The typed text is not a value of this kind; `str()` says what would be (\"a number from 0 to 100\")."""


class Kind(Protocol):
    """How text becomes a value and back."""

    def parse(self, text: str) -> Any:
        """Typed text -> value; raises `BadValue`."""
        ...

    def show(self, value: Any) -> str:
        """Value -> what QUERY prints."""
        ...

    def describe(self) -> str:
        """What may be typed, for HELP and the manual: `0-100`, `Yes|No`."""
        ...


@dataclass(frozen=True, slots=True)
class Name:
    """An object name: letters, digits and `_ . - + &`, folded to upper case."""

    longest: int = 30

    def parse(self, text: str) -> str:
        if not 1 <= len(text) <= self.longest or not re.fullmatch(r"[A-Za-z0-9_.+&\-]+", text):
            raise BadValue(f"a name of 1 to {self.longest} letters, digits and _ . - + &")
        return text.upper()

    def show(self, value: str) -> str:
        return value

    def describe(self) -> str:
        return f"name, at most {self.longest} characters"


@dataclass(frozen=True, slots=True)
class Text:
    """Free text kept as typed; `""` clears it."""

    longest: int = 255

    def parse(self, text: str) -> str:
        if len(text) > self.longest or not text.isprintable():
            raise BadValue(f"text of at most {self.longest} printable characters")
        return text

    def show(self, value: str) -> str:
        return value

    def describe(self) -> str:
        return f"text, at most {self.longest} characters"


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number; `nolimit=True` also takes NOLimit (stored as None)."""

    lowest: int = 0
    highest: int = 2**31 - 1
    nolimit: bool = False

    def parse(self, text: str) -> int | None:
        if self.nolimit and abbreviates(text, "NOLimit"):
            return None
        if text.isascii() and text.isdigit() and len(text) < 19 and self.lowest <= int(text) <= self.highest:
            return int(text)
        raise BadValue(
            f"a number from {self.lowest} to {self.highest}" + (" or NOLIMIT" if self.nolimit else "")
        )

    def show(self, value: int | None) -> str:
        return "No Limit" if value is None else f"{value:,}"

    def describe(self) -> str:
        return f"{self.lowest}-{self.highest}" + ("|NOLimit" if self.nolimit else "")


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes typed with K, M, G or T; `nolimit=True` also takes NOLimit (stored as None)."""

    smallest: int = MIB
    nolimit: bool = False

    def parse(self, text: str) -> int | None:
        if self.nolimit and abbreviates(text, "NOLimit"):
            return None
        try:
            size = parse_size(text)
        except ValueError:
            size = -1
        if size < self.smallest or size >= 1 << 62:
            raise BadValue("a size such as 500M or 2G" + (" or NOLIMIT" if self.nolimit else ""))
        return size

    def show(self, value: int | None) -> str:
        if value is None:
            return "No Limit"
        for letter, unit in (("T", TIB), ("G", GIB), ("M", MIB), ("K", KIB)):
            if value >= unit and value % unit == 0:
                return f"{value // unit:,} {letter}"
        return f"{value:,}"

    def describe(self) -> str:
        return "size with K, M, G or T" + ("|NOLimit" if self.nolimit else "")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words; capitals are the shortest abbreviation: `Choice("READWrite", "READOnly")`. Stored in full, upper case."""

    words: tuple[str, ...]

    def __init__(self, *words: str) -> None:
        object.__setattr__(self, "words", words)

    def parse(self, text: str) -> str:
        for word in self.words:
            if abbreviates(text, word):
                return word.upper()
        raise BadValue("one of " + ", ".join(word.upper() for word in self.words))

    def show(self, value: str) -> str:
        return next((word.capitalize() for word in self.words if word.upper() == value), value)

    def describe(self) -> str:
        return "|".join(self.words)


@dataclass(frozen=True, slots=True)
class YesNo:
    """Yes or No, stored as a bool."""

    def parse(self, text: str) -> bool:
        for word, value in (("Yes", True), ("No", False)):
            if abbreviates(text, word):
                return value
        raise BadValue("YES or NO")

    def show(self, value: bool) -> str:
        return "Yes" if value else "No"

    def describe(self) -> str:
        return "Yes|No"


@dataclass(frozen=True, slots=True)
class Names:
    """A comma-separated list of names, stored as a tuple."""

    longest: int = 30
    most: int = 100

    def parse(self, text: str) -> tuple[str, ...]:
        one = Name(self.longest)
        parts = tuple(one.parse(part) for part in text.split(",")) if text else ()
        if len(parts) > self.most:
            raise BadValue(f"at most {self.most} names")
        return parts

    def show(self, value: tuple[str, ...]) -> str:
        return ", ".join(value)

    def describe(self) -> str:
        return "name[,name...]"


REQUIRED: Final = object()
"""Default of an attribute that must be given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """What people see of one field.

    `keyword`: as typed, capitals are the shortest abbreviation (`HIghmig`); empty = shown only, never typed.
    `label`: QUERY heading. `default`: value where DEFINE does not give it, `REQUIRED`, or a dict by variant of the
    noun (`{"RANDOM": 60, "COPY": 100}`); a variant missing there does not have this attribute.
    `standard`: a column of QUERY FORMAT=STANDARD. `update`: UPDATE may change it. `secret`: never shown.
    """

    keyword: str = ""
    label: str
    kind: Kind
    help: str
    default: Any = None
    standard: bool = False
    update: bool = True
    positional: bool = False
    secret: bool = False

    def default_for(self, variant: str = "") -> Any:
        """The default for one variant of the noun; `KeyError` where the variant does not have this attribute."""
        return self.default[variant] if isinstance(self.default, dict) else self.default

    def applies_to(self, variant: str) -> bool:
        return not isinstance(self.default, dict) or variant in self.default


class Noun(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every noun. `id` is the catalog's number, 0 before it is stored."""

    TABLE: ClassVar[str] = ""
    """Where the catalog keeps it."""
    KEY: ClassVar[tuple[str, ...]] = ("name",)
    """The fields that name one."""
    TITLE: ClassVar[str] = ""
    """What messages call it: `storage pool`."""

    id: int = 0


@cache
def attributes(noun: type[Noun]) -> dict[str, Attribute]:
    """Field name -> attribute, in declared order, for the fields that have one."""
    found: dict[str, Attribute] = {}
    for field, hint in get_type_hints(noun, include_extras=True).items():
        if get_origin(hint) is Annotated:
            for extra in hint.__metadata__:
                if isinstance(extra, Attribute):
                    found[field] = extra
    return found


def abbreviates(text: str, word: str) -> bool:
    """Is `text` an accepted short form of `word`? The leading capitals (and digits) are the least to type."""
    least = len(word) - len(word.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"))
    return len(text) >= max(least, 1) and word.upper().startswith(text.upper())
