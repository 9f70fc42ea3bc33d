"""What commands answer, and how it is laid out: table, label list, comma, tab, JSON (TSM reference part 6.3).

A command yields messages and reports; it never formats. Reports are laid out batch by batch, so a long one streams in
fixed memory: column widths follow from the first batch, longer values are wrapped.
"""

from __future__ import annotations

import datetime
import itertools
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from farvault.base.messages import Message
from farvault.base.units import has_control_characters, show_path, show_time
from farvault.model.attribute import Integer, Noun, Size, attributes

TABLE, LIST, COMMA, TAB, JSON = "TABLE", "LIST", "COMMA", "TAB", "JSON"
BATCH_ROWS = 500
_GAPS = (5, 4, 3, 2)
_NARROWEST = 11
"""No text column is made narrower than this to fit the terminal."""
ABSENT: Final = object()
"""In a row: this object does not have the attribute. Shown as nothing; not in the JSON object."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One attribute of a report. `key`: name in rows and JSON. `wrap_words`: long text breaks at blanks (messages)."""

    key: str
    label: str
    show: Callable[[Any], str] = str
    number: bool = False
    wrap_words: bool = False

    def text(self, row: Row) -> str:
        """One line that draws nothing on a terminal: some values come from nodes, such as the type of a file space."""
        value = row.get(self.key, ABSENT)
        text = "" if value is ABSENT else self.show(value)
        return show_path(text.encode("utf-8", "surrogatepass")) if has_control_characters(text) else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Rows of one query. `detailed`: a label list is the natural form."""

    columns: Sequence[Column]
    rows: Iterable[Row]
    detailed: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """Prose, such as help: shown as it is in every style."""

    text: str


@dataclass(frozen=True, slots=True)
class Overheard:
    """A message that is in the log already, shown to the administrator as well."""

    message: Message


@dataclass(frozen=True, slots=True)
class Code:
    """The command's return code where it ends without an error of its own."""

    return_code: int


Answer = Message | Report | Text | Overheard | Code


def of_attribute(noun: type[Noun], field: str, *, label: str = "") -> Column:
    """The column of one attribute: heading and format come from its declaration."""
    attribute = attributes(noun)[field]
    return Column(
        key=field,
        label=label or attribute.label,
        show=attribute.kind.show,
        number=isinstance(attribute.kind, Integer | Size),
    )


def time_column(key: str, label: str) -> Column:
    """Seconds UTC as a date; 0 and None are never."""
    return Column(key=key, label=label, show=lambda seconds: show_time(seconds or None))


def days_column(key: str, label: str, now_seconds: int) -> Column:
    """Days since a time: `<1` within a day, nothing where it never happened."""

    def show(seconds: int | None) -> str:
        if not seconds:
            return ""
        days = (now_seconds - seconds) // 86400
        return "<1" if days < 1 else f"{days:,}"

    return Column(key=key, label=label, show=show, number=True)


def percent_column(key: str, label: str) -> Column:
    return Column(key=key, label=label, show=lambda value: f"{value:.1f}", number=True)


def count_column(key: str, label: str) -> Column:
    return Column(key=key, label=label, show=lambda value: f"{value:,}", number=True)


def yes_column(key: str, label: str) -> Column:
    return Column(key=key, label=label, show=lambda value: "Yes" if value else "No")


def render(report: Report, style: str, width: int) -> Iterator[str]:
    """The report as blocks of text; nothing at all where there are no rows. `width` 0 = unlimited."""
    rows = iter(report.rows)
    first = list(itertools.islice(rows, BATCH_ROWS))
    if style == JSON:
        return _json(report.columns, itertools.chain(first, rows))
    if not first:
        return iter(())
    batches = itertools.chain([first], iter(lambda: list(itertools.islice(rows, BATCH_ROWS)), []))
    if style in (COMMA, TAB):
        return _delimited(report.columns, batches, "," if style == COMMA else "\t")
    as_list = style == LIST or (report.detailed and style != TABLE)
    if not as_list:
        layout = _layout(report.columns, first, width)
        if layout.fits or style == TABLE:
            return _table(report.columns, batches, layout)
    return _label_list(report.columns, batches, width)


@dataclass(frozen=True, slots=True)
class _Layout:
    widths: tuple[int, ...]
    gap: int
    fits: bool


def _layout(columns: Sequence[Column], rows: Sequence[Row], width: int) -> _Layout:
    """Widest gap first; then text columns give way, the widest first."""
    widths = [
        max(_heading_width(column.label), *(len(column.text(row)) for row in rows)) for column in columns
    ]
    if not width:
        return _Layout(tuple(widths), _GAPS[0], True)
    for gap in _GAPS:
        if sum(widths) + gap * (len(widths) - 1) <= width:
            return _Layout(tuple(widths), gap, True)
    gap = _GAPS[-1]
    least = [
        w if column.number else min(w, max(_heading_width(column.label), _NARROWEST))
        for w, column in zip(widths, columns, strict=True)
    ]
    excess = sum(widths) + gap * (len(widths) - 1) - width
    while excess > 0 and (room := [i for i in range(len(widths)) if widths[i] > least[i]]):
        widest = max(room, key=lambda i: widths[i] - least[i])
        widths[widest] -= 1
        excess -= 1
    return _Layout(tuple(widths), gap, excess <= 0)


def _heading_width(label: str) -> int:
    return max((len(word) for word in label.split()), default=1)


def _table(columns: Sequence[Column], batches: Iterable[list[Row]], layout: _Layout) -> Iterator[str]:
    gap = " " * layout.gap
    headings = [textwrap.wrap(c.label, w) for c, w in zip(columns, layout.widths, strict=True)]
    height = max(len(heading) for heading in headings)
    lines = []
    for level in range(height):
        cells = [
            _cell(
                heading[level - height + len(heading)] if level >= height - len(heading) else "", w, c.number
            )
            for heading, w, c in zip(headings, layout.widths, columns, strict=True)
        ]
        lines.append(gap.join(cells).rstrip())
    lines.append(gap.join("-" * w for w in layout.widths))
    for batch in batches:
        for row in batch:
            lines.extend(_table_row(columns, row, layout))
        yield "\n".join(lines)
        lines = []


def _table_row(columns: Sequence[Column], row: Row, layout: _Layout) -> Iterator[str]:
    parts = [_wrap(c.text(row), w, c) for c, w in zip(columns, layout.widths, strict=True)]
    gap = " " * layout.gap
    for level in range(max(len(part) for part in parts)):
        cells = [
            _cell(part[level] if level < len(part) else "", w, c.number)
            for part, w, c in zip(parts, layout.widths, columns, strict=True)
        ]
        yield gap.join(cells).rstrip()


def _cell(text: str, width: int, number: bool) -> str:
    return text.rjust(width) if number else text.ljust(width)


def _wrap(text: str, width: int, column: Column) -> list[str]:
    """A long value: words at blanks; names broken with a trailing `-`. Further lines start with one blank."""
    if len(text) <= width:
        return [text]
    if column.wrap_words:
        return textwrap.wrap(text, width, subsequent_indent=" ") or [""]
    lines = [text[: width - 1] + "-"]
    rest = text[width - 1 :]
    while len(rest) > width - 1:
        lines.append(" " + rest[: width - 2] + "-")
        rest = rest[width - 2 :]
    return [*lines, " " + rest]


def _label_list(columns: Sequence[Column], batches: Iterable[list[Row]], width: int) -> Iterator[str]:
    """`label: value`, labels right-aligned to the colon, a blank line between objects."""
    margin = max(len(column.label) for column in columns)
    for number, batch in enumerate(batches):
        blocks = []
        for row in batch:
            lines: list[str] = []
            for column in columns:
                head = f"{column.label.rjust(margin)}: "
                room = max(width - len(head), _NARROWEST) if width else 0
                value = column.text(row)
                parts = textwrap.wrap(value, room) if room and len(value) > room else [value]
                lines.extend((head if i == 0 else " " * len(head)) + part for i, part in enumerate(parts))
            blocks.append("\n".join(line.rstrip() for line in lines))
        yield ("\n" if number else "") + "\n\n".join(blocks)


def _delimited(columns: Sequence[Column], batches: Iterable[list[Row]], mark: str) -> Iterator[str]:
    """No headings. Comma: values with commas or quotes stand in quotes, quotes doubled."""
    for batch in batches:
        yield "\n".join(mark.join(_field(column.text(row), mark) for column in columns) for row in batch)


def _field(text: str, mark: str) -> str:
    if mark == "," and any(c in text for c in ',"'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _json(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[str]:
    """A list of objects with real types; times as ISO 8601 UTC. Always complete, also where there are no rows."""
    lines: list[str] = []
    mark = "["
    for row in rows:
        item = {c.key: _plain(c, row[c.key]) for c in columns if row.get(c.key, ABSENT) is not ABSENT}
        lines.append(mark + msgspec.json.encode(item).decode())
        mark = ","
        if len(lines) == BATCH_ROWS:
            yield "\n".join(lines)
            lines = []
    yield "\n".join([*lines, "[]" if mark == "[" else "]"])


def _plain(column: Column, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if column.key.endswith("_time"):
        return (
            datetime.datetime.fromtimestamp(value, datetime.UTC).isoformat().replace("+00:00", "Z")
            if value
            else None
        )
    return value


def row_of(item: Noun, variant: str = "", **more: Any) -> dict[str, Any]:
    """A noun as a row. Attributes that its variant does not have are left out; `more` adds computed values."""
    known = attributes(type(item))
    row = {
        field: value
        for field, value in msgspec.structs.asdict(item).items()
        if field not in known or known[field].applies_to(variant)
    }
    return {**row, **more}
