"""QUERY MOUNT: the volumes that are open now."""

from __future__ import annotations

from collections.abc import Iterator

from farvault.admin.authority import ANYONE
from farvault.admin.command import FORMAT, Call, Command, positional
from farvault.admin.grammar import matches
from farvault.admin.instance import Instance
from farvault.admin.kinds import PathPattern
from farvault.admin.output import Answer, Column, Report
from farvault.base.errors import NotFound
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.model.device_class import DeviceClass

_COLUMNS = (
    Column(key="volume", label="Volume Name"),
    Column(key="device_class", label="Device Class Name"),
    Column(key="device_type", label="Device Type"),
    Column(key="mode", label="Mode"),
    Column(key="status", label="Status"),
)


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    """A line for each volume as dsmadmc shows it; with FORMAT=DETAILED a report. A volume is never kept open idle."""
    rows = _rows(instance, call["volume"])
    if call.detailed:
        yield Report(columns=_COLUMNS, rows=rows, detailed=True)
        return
    if not rows:
        raise NotFound("ANR2034E", command=call.command.name)
    for row in rows:
        yield message(
            "ANR8330I",
            device_type=row["device_type"],
            volume=row["volume"],
            mode=row["mode"],
            status=row["status"],
        )
    yield message("ANR8334I", number=len(rows))


def _rows(instance: Instance, pattern: str) -> list[dict[str, str]]:
    with instance.catalog.read() as r:
        types = {found.name: found.device_type for found in nouns.select(r, DeviceClass)}
    return [
        {
            "volume": volume.name,
            "device_class": volume.device_class,
            "device_type": types.get(volume.device_class, ""),
            "mode": "R/W" if volume.is_written else "R/O",
            "status": "IN USE",
        }
        for volume in instance.storage.volumes.open_now
        if matches(pattern, volume.name)
    ]


COMMANDS = (
    Command(
        words=("Query", "MOunt"),
        rule=ANYONE,
        help="Show the volumes that are open now.",
        parameters=(positional("volume", PathPattern(), "which", default="*"), FORMAT),
        run=_query,
    ),
)
