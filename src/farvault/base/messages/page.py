"""One message in full: its text, why it comes and what to do. What HELP shows of a number, on both sides."""

from __future__ import annotations

import re
import textwrap

from farvault.base.messages import Row, catalogue

_WIDTH = 78
_NUMBER = re.compile(r"(AN[RS])?(\d{4})([A-Z])?", re.IGNORECASE)


def is_message_number(typed: str) -> bool:
    """`ANR2034E`, `anr2034` or `2034`: does it ask for a message?"""
    return _NUMBER.fullmatch(typed) is not None


def pages(typed: str) -> list[str]:
    """The messages it may mean, each as a page; none where there is no such message."""
    asked = _NUMBER.fullmatch(typed)
    if asked is None:
        return []
    prefix, digits, severity = (part.upper() if part else "" for part in asked.groups())
    return [
        _page(message_id, row)
        for message_id, row in sorted(catalogue().items())
        if message_id.startswith(prefix) and message_id[3:-1] == digits and message_id.endswith(severity)
    ]


def _page(message_id: str, row: Row) -> str:
    lines = textwrap.wrap(f"{message_id} {_with_names(row.text)}", _WIDTH, subsequent_indent="    ")
    for title, text in (("Explanation:", row.explanation), ("User response:", row.action)):
        if text:
            lines += ["", title]
            lines += textwrap.wrap(
                _with_names(text),
                _WIDTH,
                initial_indent="    ",
                subsequent_indent="    ",
                break_on_hyphens=False,
            )
    return "\n".join(lines)


def _with_names(text: str) -> str:
    """A place for a value is shown by its name: `{device_class}` as `<device class>`."""
    return re.sub(r"\{(\w+)[^}]*\}", lambda found: f"<{found[1].replace('_', ' ')}>", text)
