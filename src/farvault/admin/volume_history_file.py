"""The volume history as a text file: what restoring the database reads when there is no database.

One block an entry, in TSM's own layout, and below it the lines that let a volume be checked before it is believed. Pure:
`apps/protection_files.py` writes it, `apps/restore_volumes.py` reads it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Final

from farvault.base.errors import BadInput
from farvault.model.volume_history import HistoryVolume

_LINE = re.compile(r"\s*([A-Z][A-Za-z ]*):\s*(.*)")
_SEPARATOR = "*" * 50
_NUMBERS = {
    "Time": "time",
    "Backup Series": "series",
    "Backup Op": "operation",
    "Volume Seq": "sequence",
    "Records": "records",
    "Stored Bytes": "stored_bytes",
    "End Bytes": "end_bytes",
    "Epoch": "epoch",
    "Scratch": "scratch",
    "Missed": "missed_time",
}
_TEXTS = {
    "Volume Type": "type",
    "Volume Name": "volume",
    "Device Class Name": "device_class",
    "Location Name": "location",
    "Command": "command",
}
_BYTES = {"End Digest": "digest", "Receipt": "receipt", "Contents Digest": "contents"}


HEADING: Final = "* Volume history of server"
"""What such a file begins with."""


def volume_history_text(rows: Iterable[HistoryVolume], server: str, instance: str, now: int) -> str:
    """The whole file."""
    lines = [f"{HEADING} {server}, instance {instance}, written {_when(now)}.", _SEPARATOR]
    for row in rows:
        lines += [f" Operation Date/Time: {_when(row.time)}", f" Time: {row.time}"]
        for label, field in _TEXTS.items():
            if value := getattr(row, field):
                lines.append(f' {label}: "{value}"' if label != "Volume Type" else f" {label}: {value}")
        lines += [
            f" {label}: {int(getattr(row, field))}" for label, field in _NUMBERS.items() if field != "time"
        ]
        lines += [
            f" {label}: {getattr(row, field).hex()}" for label, field in _BYTES.items() if getattr(row, field)
        ]
        lines.append(_SEPARATOR)
    return "\n".join([*lines, ""])


def parse_volume_history(text: str, path: str) -> list[HistoryVolume]:
    """The entries; `BadInput` with the line where it is none. A file written by TSM's own layout alone is enough."""
    rows: list[HistoryVolume] = []
    values: dict[str, object] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or (line.startswith("*") and not line.startswith("**")):
            continue
        if line.startswith("**"):
            if values:
                rows.append(_row(values, path, number))
            values = {}
            continue
        found = _LINE.fullmatch(line)
        label = "Operation Date/Time" if line.strip().startswith("Operation Date/Time:") else ""
        if label:
            values.setdefault("time", _moment(line.partition(":")[2].strip(), path, number))
        elif found is None:
            raise BadInput("ANR4930E", path=path, line=number)
        else:
            _take(values, found[1], found[2], path, number)
    if values:
        rows.append(_row(values, path, number))
    return rows


def _take(values: dict[str, object], label: str, text: str, path: str, number: int) -> None:
    try:
        if field := _NUMBERS.get(label):
            values[field] = bool(int(text)) if field == "scratch" else int(text)
        elif field := _BYTES.get(label):
            values[field] = bytes.fromhex(text)
        elif field := _TEXTS.get(label):
            values[field] = text[1:-1] if text.startswith('"') and text.endswith('"') else text
    except ValueError:
        raise BadInput("ANR4930E", path=path, line=number) from None


def _row(values: dict[str, object], path: str, number: int) -> HistoryVolume:
    if not {"type", "time", "volume"} <= values.keys():
        raise BadInput("ANR4930E", path=path, line=number)
    return HistoryVolume(**values)  # type: ignore[arg-type]


def _when(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds).astimezone().strftime("%Y/%m/%d %H:%M:%S")


def _moment(text: str, path: str, number: int) -> int:
    try:
        return int(datetime.datetime.strptime(text, "%Y/%m/%d %H:%M:%S").astimezone().timestamp())
    except ValueError:
        raise BadInput("ANR4930E", path=path, line=number) from None
