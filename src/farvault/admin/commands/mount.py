"""QUERY MOUNT: the volumes that are open now, mount points kept without one, and who waits for one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from farvault.admin.authority import ANYONE
from farvault.admin.command import FORMAT, Call, Command, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import PathPattern
from farvault.admin.output import Answer, Column, Report
from farvault.base.errors import NotFound
from farvault.base.messages import Message, message
from farvault.base.units import show_time
from farvault.base.wildcard import matches
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
    """A line for each volume as dsmadmc shows it, then what is kept idle and who waits; with FORMAT=DETAILED a report."""
    rows = _rows(instance, call["volume"])
    others = [*_idle(instance), *_waiting(instance)] if call["volume"] == "*" else []
    if call.detailed:
        rows += [
            {
                "volume": "",
                "device_class": one.device_class,
                "device_type": "",
                "mode": "",
                "status": one.status,
            }
            for one in others
        ]
        yield Report(columns=_COLUMNS, rows=rows, detailed=True)
        return
    if not rows and not others:
        raise NotFound("ANR2034E", command=call.command.name)
    for row in rows:
        yield message(
            "ANR8330I",
            device_type=row["device_type"],
            volume=row["volume"],
            mode=row["mode"],
            status=row["status"],
        )
    for one in others:
        yield one.said
    yield message("ANR8334I", number=len(rows))


class _Other(NamedTuple):
    """A mount point without a volume, or somebody without a mount point."""

    device_class: str
    status: str
    said: Message


def _idle(instance: Instance) -> Iterator[_Other]:
    for (device_class, who), number in sorted(instance.storage.volumes.mounts.kept.items()):
        said = message("ANR4777I", device_class=device_class, number=number, who=who)
        yield _Other(device_class, f"IDLE, kept by {who}", said)
    with instance.catalog.read() as r:
        servers = {found.name: found.server_name for found in nouns.select(r, DeviceClass)}
    for device_class, number in instance.storage.devices.idle_sessions().items():
        server = servers.get(device_class, "")
        said = message("ANR4778I", device_class=device_class, number=number, server=server)
        yield _Other(device_class, f"IDLE, {number} session(s) with {server}", said)


def _waiting(instance: Instance) -> Iterator[_Other]:
    for one in instance.storage.volumes.mounts.waiting:
        points, seconds = ", ".join(one.wants), int(one.since)
        said = message("ANR4776I", who=one.who, points=points, seconds=seconds)
        yield _Other(points, f"WAITING: {one.who}, {seconds} seconds", said)


def _rows(instance: Instance, pattern: str) -> list[dict[str, str]]:
    with instance.catalog.read() as r:
        classes = nouns.select(r, DeviceClass)
    types = {found.name: found.device_type for found in classes}
    retries = _retries(instance, classes)
    return [
        {
            "volume": volume.name,
            "device_class": volume.device_class,
            "device_type": types.get(volume.device_class, ""),
            "mode": "R/W" if volume.is_written else "R/O",
            "status": retries.get((volume.device_class, volume.name), "IN USE"),
        }
        for volume in instance.storage.use.open_now
        if matches(pattern, volume.name)
    ]


def _retries(instance: Instance, classes: list[DeviceClass]) -> dict[tuple[str, str], str]:
    """(class, volume) -> that its target cannot be reached at the moment, and when it is tried again."""
    return {
        (one.name, retry.volume): f"RETRYING since {show_time(retry.since_time)}, "
        f"next at {show_time(retry.next_time)}: {retry.reason}"
        for one in classes
        if one.server_name
        for retry in instance.links.of(one.server_name).status().retries
    }


COMMANDS = (
    Command(
        words=("Query", "MOunt"),
        rule=ANYONE,
        help="Show the volumes that are open now, mount points kept idle, and who waits for one.",
        parameters=(positional("volume", PathPattern(), "which", default="*"), FORMAT),
        run=_query,
    ),
)
