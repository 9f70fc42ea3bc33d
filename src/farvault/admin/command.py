"""What a command is: its words, parameters, rights and text, declared once; and how typed words are bound to it.

Help, the manual page, masking of passwords in the log and the checks before a command runs all follow from the
declaration. `run` gets the server's parts and a `Call`, and yields what to say (`output.Answer`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farvault.admin.grammar import Word
from farvault.base.errors import BadInput, NotAvailable
from farvault.model.administrator import Administrator
from farvault.model.attribute import BadValue, Choice, Kind, YesNo, abbreviates

if TYPE_CHECKING:  # authority and output speak about calls themselves
    from farvault.admin.authority import Rule
    from farvault.admin.instance import Instance
    from farvault.admin.output import Answer

MASK = "?***?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One operand. Positional where `keyword` is empty.

    `name`: key in `Call`; for a noun's attribute the field's name. `only`: the single value this version can act on; any other is refused, never ignored.
    """

    name: str
    kind: Kind
    help: str
    keyword: str = ""
    default: Any = None
    required: bool = False
    secret: bool = False
    only: Any = None

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.keyword.upper() or self.name

    @property
    def syntax(self) -> str:
        """`[KEYword=values]` for help."""
        text = f"{self.keyword}={self.kind.describe()}" if self.keyword else self.name
        return text if self.required else f"[{text}]"


def positional(
    name: str, kind: Kind, help: str, *, default: Any = None, optional: bool = False, secret: bool = False
) -> Parameter:
    """An operand by its place; one with a default may be left out, and an `optional` one (its value is None then)."""
    required = default is None and not optional
    return Parameter(name=name, kind=kind, help=help, default=default, required=required, secret=secret)


def keyword(
    word: str,
    kind: Kind,
    help: str,
    *,
    name: str = "",
    default: Any = None,
    required: bool = False,
    secret: bool = False,
    only: Any = None,
) -> Parameter:
    """An operand by its keyword; `name` defaults to the keyword in lower case."""
    return Parameter(
        name=name or word.lower(),
        keyword=word,
        kind=kind,
        help=help,
        default=default,
        required=required,
        secret=secret,
        only=only,
    )


WAIT = keyword("Wait", YesNo(), "Yes = stay with the command until the process has ended", default=False)
FORMAT = keyword(
    "Format", Choice("Standard", "Detailed"), "table, or every attribute as a list", default="STANDARD"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One use of a command. `values` holds every parameter, `given` the names of those that were typed."""

    command: Command
    administrator: Administrator
    values: Mapping[str, Any]
    given: frozenset[str]
    session: int = 0

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def detailed(self) -> bool:
        return bool(self.values.get("format") == "DETAILED")


Run = Callable[["Instance", Call], "Iterator[Answer]"]
Confirm = Callable[["Instance", Call], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One row of the command table. `confirm` gives the question to ask first, or an empty text for none."""

    words: tuple[str, ...]
    rule: Rule
    help: str
    run: Run
    parameters: tuple[Parameter, ...] = ()
    confirm: Confirm | None = None

    @property
    def name(self) -> str:
        return " ".join(self.words).upper()

    @property
    def positionals(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if not p.keyword)

    @property
    def keywords(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if p.keyword)

    @property
    def syntax(self) -> str:
        return " ".join((*self.words, *(p.syntax for p in self.parameters)))

    def bind(self, operands: Sequence[Word]) -> tuple[dict[str, Any], frozenset[str]]:
        """Values of all parameters and the names of those given; `BadInput` says what does not fit."""
        values = {p.name: p.default for p in self.parameters}
        given: set[str] = set()
        places = iter(self.positionals)
        for word in operands:
            parameter = self._keyword_of(word) if word.keyword else self._next_place(word, places, given)
            if parameter.name in given:
                raise BadInput("ANR2024E", command=self.name, keyword=parameter.title)
            values[parameter.name] = self._value(parameter, word)
            given.add(parameter.name)
        for parameter in self.parameters:
            if parameter.required and parameter.name not in given:
                raise BadInput(
                    "ANR2022E", command=self.name, parameter=parameter.title, syntax=parameter.syntax
                )
        return values, frozenset(given)

    def _keyword_of(self, word: Word) -> Parameter:
        found = [p for p in self.keywords if abbreviates(word.keyword, p.keyword)]
        exact = [p for p in found if p.keyword.upper() == word.keyword.upper()]
        if len(exact or found) == 1:
            return (exact or found)[0]
        if found:
            candidates = ", ".join(p.title for p in found)
            raise BadInput("ANR2009E", command=self.name, keyword=word.keyword.upper(), candidates=candidates)
        known = ", ".join(p.keyword for p in self.keywords) or "none"
        raise BadInput("ANR2021E", command=self.name, keyword=word.keyword.upper(), known=known)

    def _next_place(self, word: Word, places: Iterator[Parameter], given: set[str]) -> Parameter:
        keyword_names = {p.name for p in self.keywords}
        if given & keyword_names:
            raise BadInput("ANR2025E", command=self.name, column=word.start + 1)
        parameter = next(places, None)
        if parameter is None:
            shown = MASK if any(p.secret for p in self.positionals) else word.text
            raise BadInput("ANR2023E", command=self.name, value=shown, syntax=self.syntax)
        return parameter

    def _value(self, parameter: Parameter, word: Word) -> Any:
        try:
            value = parameter.kind.parse(word.text)
        except BadValue as wrong:
            raise BadInput(
                "ANR2020E",
                command=self.name,
                parameter=parameter.title,
                value=MASK if parameter.secret else word.text or '""',
                right=str(wrong),
            ) from None
        if parameter.only is not None and value != parameter.only:
            raise NotAvailable(
                "ANR2991E",
                command=self.name,
                parameter=parameter.title,
                value=word.text.upper(),
                only=parameter.kind.show(parameter.only).upper() or '""',
            )
        return value

    def mask(self, text: str, operands: Sequence[Word]) -> str:
        """The command as typed, with secrets hidden, whatever else is wrong with it: for the activity log."""
        places = iter(self.positionals)
        secret_seen = False
        shown = [text[: operands[0].start]] if operands else [text]
        last = len(operands) - 1
        for number, word in enumerate(operands):
            if word.keyword:
                hidden = self._is_secret(word.keyword)
            else:
                parameter = next(places, None)
                secret_seen = secret_seen or (parameter is not None and parameter.secret)
                hidden = secret_seen
            end = operands[number + 1].start if number < last else len(text)
            shown.append(
                text[word.start : word.value_start] + MASK + text[word.end : end]
                if hidden
                else text[word.start : end]
            )
        return "".join(shown)

    def _is_secret(self, typed: str) -> bool:
        """Is this keyword a secret one, or an unknown one that may have been meant to be?"""
        found = [p for p in self.keywords if abbreviates(typed, p.keyword)]
        return any(p.secret for p in found) if found else "PA" in typed.upper()
