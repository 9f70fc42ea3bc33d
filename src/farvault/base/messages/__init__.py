"""The message catalogue: one row for everything a person may read, cut by subject into the files beside this one.

A row is `id: Row(text, explanation, action)`. The id is TSM's number where the meaning is the same (texts are
ours); its last letter is the severity: I information, W warning, E error, S severe. `{name}` in the text is
filled by keyword. `message()` refuses an unknown id and a missing value: a tidy test runs every id in the source.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

_SUBJECTS = (
    "admin",
    "auditing",
    "client",
    "database",
    "hierarchy",
    "link",
    "migration",
    "mounts",
    "moving",
    "nodes",
    "policy",
    "processes",
    "recovery",
    "server",
    "sessions",
    "storage",
    "terminal",
    "trust",
    "truth",
    "vault",
)


class Row(NamedTuple):
    """`text` with `{placeholders}`; `explanation` says why; `action` says what to do now (both may be empty)."""

    text: str
    explanation: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One filled-in message. `str()` gives `ANR2034E text`."""

    id: str
    text: str

    @property
    def severity(self) -> str:
        """I, W, E, S or D."""
        return self.id[-1]

    def __str__(self) -> str:
        return f"{self.id} {self.text}"


@cache
def catalogue() -> dict[str, Row]:
    """Every row by id. Raises `ValueError` where two subjects use one id."""
    rows: dict[str, Row] = {}
    for subject in _SUBJECTS:
        part: dict[str, Row] = importlib.import_module(f"{__name__}.{subject}").ROWS
        if twice := rows.keys() & part.keys():
            raise ValueError(f"message ids defined twice: {sorted(twice)}")
        rows |= part
    return rows


def advice(said: Message) -> str:
    """What to do now, as far as that can be said without the values of the message; '' where nothing is."""
    row = catalogue().get(said.id)
    return row.action if row is not None and "{" not in row.action else ""


def message(message_id: str, /, **values: object) -> Message:
    """Fill in one row; `KeyError` for an unknown id or a missing value.

    A value at its end that is a sentence itself, another message's text, brings its own full stop.
    """
    text = catalogue()[message_id].text.format_map(values)
    return Message(message_id, text[:-1] if text.endswith("..") and not text.endswith("...") else text)
