"""Volumes: DEFINE, UPDATE, QUERY, DELETE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from farvault.admin.authority import ANYONE, OPERATOR, storage
from farvault.admin.background import run_process
from farvault.admin.command import FORMAT, WAIT, Call, Command, keyword, positional
from farvault.admin.definition import replace
from farvault.admin.figures import volume_figures
from farvault.admin.instance import Instance
from farvault.admin.kinds import Choices, PathPattern, Pattern
from farvault.admin.lookup import some
from farvault.admin.output import (
    Answer,
    Code,
    Column,
    Report,
    Row,
    count_column,
    of_attribute,
    percent_column,
    row_of,
    time_column,
    yes_column,
)
from farvault.admin.policy_tree import stamp
from farvault.admin.target_columns import VOLUME_COLUMNS, volume_row
from farvault.base.errors import BadInput, StillReferenced
from farvault.base.messages import Message, message
from farvault.base.units import MIB, show_size
from farvault.base.wildcard import matches
from farvault.catalog import nouns, placements, volume_checks
from farvault.catalog.transaction import Snapshot
from farvault.model.attribute import Choice, Integer, Name, Text, YesNo
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import DESTROYED, OFFSITE, Volume
from farvault.processes.delete_volume import delete_volume
from farvault.processes.process import Process

_ACCESS = Choice("READWrite", "READOnly", "UNAVailable", "DEStroyed", "OFfsite")
_STATUS = Choice("ONline", "OFfline", "EMPty", "PENding", "FILling", "FULl")
_SHOWN_ACCESS = {
    "READWRITE": "Read/Write",
    "READONLY": "Read-Only",
    "UNAVAILABLE": "Unavailable",
    "DESTROYED": "Destroyed",
    "OFFSITE": "Offsite",
}
_SHOWN_STATUS = {
    "ONLINE": "On-Line",
    "OFFLINE": "Off-Line",
    "EMPTY": "Empty",
    "PENDING": "Pending",
    "FILLING": "Filling",
    "FULL": "Full",
}


def _define(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        pool = nouns.get(r, StoragePool, call["pool"])
    if pool.is_random and not call["formatsize"]:
        raise BadInput("ANR2261E", pool=pool.name)
    _check_access(pool, call["access"], call["name"])
    if pool.is_random and call["location"]:
        raise BadInput("ANR2262E", volume=call["name"])
    names = _names(call["name"], call["numberofvolumes"])
    instance.storage.life.refuse_known(pool, names)

    def work(process: Process) -> None:
        for name in names:
            process.raise_if_cancelled()
            volume = instance.storage.life.define(
                pool,
                name,
                capacity_bytes=(call["formatsize"] or 0) * MIB,
                access=call["access"],
                location=call["location"],
            )
            process.advance(objects=1)
            process.say("ANR2206I", volume=volume.name, pool=pool.name, device_class=pool.device_class)

    yield from run_process(instance, call, "DEFINE VOLUME", work)


def _names(name: str, number: int) -> list[str]:
    """One name, or numbered ones: `/pool/vol001`, `/pool/vol002`."""
    return [name] if number == 1 else [f"{name}{i:03}" for i in range(1, number + 1)]


def _check_access(pool: StoragePool, access: str, volume: str) -> None:
    if access == DESTROYED and pool.is_copy:
        raise BadInput("ANR2263E", volume=volume, access=access, needed="primary")
    if access == OFFSITE and not pool.is_copy:
        raise BadInput("ANR2263E", volume=volume, access=access, needed="copy")


def _update(instance: Instance, call: Call) -> Iterator[Answer]:
    if not call.given & {"access", "location"}:
        raise BadInput("ANR2026E", command=call.command.name)
    said: list[Message] = []
    come_back: list[Volume] = []
    with instance.catalog.write() as tx:
        pools = {pool.id: pool for pool in nouns.select(tx, StoragePool)}
        found = some(_select(tx, call, "where"), call)
        for volume in found:
            try:
                changed = replace(_changed(call, volume, pools[volume.pool_id]), **stamp(instance, call))
            except BadInput as refused:
                if len(found) == 1:
                    raise
                said.append(refused.message)
                continue
            if not call["preview"]:
                nouns.update(tx, changed)
                if volume.access == OFFSITE != changed.access:
                    come_back.append(changed)
            said.append(message("ANR2264I" if call["preview"] else "ANR2207I", volume=volume.name))
    for volume in come_back:  # what was emptied was kept only because it was off-site
        instance.storage.emptied.came_back(volume.id)
    yield from said
    if any(one.severity == "E" for one in said):
        yield Code(4)


def _changed(call: Call, volume: Volume, pool: StoragePool) -> Volume:
    values: dict[str, Any] = {}
    if "access" in call.given:
        _check_access(pool, call["access"], volume.name)
        values["access"] = call["access"]
    if "location" in call.given:
        if pool.is_random:
            raise BadInput("ANR2262E", volume=volume.name)
        values["location"] = call["location"]
    changed: Volume = replace(volume, **values)
    return changed


def _select(r: Snapshot, call: Call, prefix: str = "") -> list[Volume]:
    """Volumes by name pattern and by the filters on pool, class, access and status."""
    pools = {
        pool.id
        for pool in nouns.select(r, StoragePool)
        if matches(call[f"{prefix}stgpool"], pool.name)
        and matches(call[f"{prefix}devclass"], pool.device_class)
    }
    access, status = call[f"{prefix}access"], call[f"{prefix}status"]
    return [
        volume
        for volume in nouns.select(r, Volume, call["name"])
        if volume.pool_id in pools
        and (access is None or volume.access in access)
        and (status is None or volume.status_now in status)
    ]


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        pools = {pool.id: pool for pool in nouns.select(r, StoragePool)}
        rows = (_row(r, volume, pools[volume.pool_id], call) for volume in _select(r, call))
        yield Report(columns=_columns(call.detailed), rows=rows, detailed=call.detailed)


def _row(r: Snapshot, volume: Volume, pool: StoragePool, call: Call) -> Row:
    figures = volume_figures(r, volume)
    row = row_of(
        volume,
        status=volume.status_now,
        pool=pool.name,
        device_class=pool.device_class,
        used_percent=round(figures.used_percent, 1),
        reclaimable_percent=round(figures.reclaimable_percent, 1),
        live_bytes=figures.live_bytes,
        cached_bytes=figures.cached_bytes,
        damaged_records=placements.damaged_records(r, volume.id),
        checked_time=volume_checks.find(r, volume).checked_time,
    )
    if pool.is_random:
        for field in ("location", "reclaimable_percent", "scratch", "write_pass", "written_bytes"):
            del row[field]
    else:
        del row["cached_bytes"]
    if call.detailed:
        row |= volume_row(r, volume)
    return row


def _columns(detailed: bool) -> list[Column]:
    standard = [
        of_attribute(Volume, "name"),
        Column(key="pool", label="Storage Pool Name"),
        Column(key="device_class", label="Device Class Name"),
        Column(key="capacity_bytes", label="Estimated Capacity", show=show_size, number=True),
        percent_column("used_percent", "Pct Util"),
        Column(key="status", label="Volume Status", show=_SHOWN_STATUS.__getitem__),
    ]
    if not detailed:
        return standard
    return [
        *standard,
        Column(key="access", label="Access", show=_SHOWN_ACCESS.__getitem__),
        percent_column("reclaimable_percent", "Pct. Reclaimable Space"),
        yes_column("scratch", "Scratch Volume?"),
        yes_column("damaged_records", "In Error State?"),
        count_column("damaged_records", "Damaged Records"),
        time_column("checked_time", "All Checked Since"),
        Column(key="written_bytes", label="Written", show=show_size, number=True),
        Column(key="live_bytes", label="Needed", show=show_size, number=True),
        Column(key="cached_bytes", label="Cached", show=show_size, number=True),
        count_column("mounts", "Number of Times Mounted"),
        count_column("write_pass", "Write Pass Number"),
        time_column("created_time", "Date Created"),
        time_column("last_written_time", "Approx. Date Last Written"),
        time_column("last_read_time", "Approx. Date Last Read"),
        time_column("pending_time", "Date Became Pending"),
        count_column("write_errors", "Number of Write Errors"),
        count_column("read_errors", "Number of Read Errors"),
        of_attribute(Volume, "location"),
        time_column("updated_time", "Last Update Date/Time"),
        Column(key="updated_by", label="Last Update by (administrator)"),
        *VOLUME_COLUMNS,
    ]


def _delete(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        volume = nouns.get(r, Volume, call["name"])
        if not call["discarddata"] and placements.has_placements(r, volume.id):
            raise StillReferenced("ANR2406E", volume=volume.name)

    def work(process: Process) -> None:
        delete_volume(instance.storage, process, volume.name, discard=call["discarddata"])

    yield from run_process(instance, call, "DELETE VOLUME", work)


def _confirm_delete(instance: Instance, call: Call) -> str:
    del instance
    return str(message("ANR2221W" if call["discarddata"] else "ANR2220W", volume=call["name"]))


def _pool(instance: Instance, call: Call) -> list[str]:
    del instance
    return [call["pool"]]


def _pool_of_volume(instance: Instance, call: Call) -> list[str]:
    with instance.catalog.read() as r:
        volume = nouns.find(r, Volume, call["name"])
        return [nouns.by_id(r, StoragePool, volume.pool_id).name] if volume else []


def _filters(prefix: str) -> tuple[Any, ...]:
    word = prefix.upper()
    return (
        keyword(f"{word}STGpool", Pattern(30), "only volumes of these pools", default="*"),
        keyword(f"{word}DEVclass", Pattern(30), "only volumes of these classes", default="*"),
        keyword(f"{word}ACCess", Choices(_ACCESS), "only volumes with this access"),
        keyword(f"{word}STatus", Choices(_STATUS), "only volumes in this state"),
    )


COMMANDS = (
    Command(
        words=("DEFine", "Volume"),
        rule=storage(_pool),
        help="Add volumes to a pool. In a random pool FORMATSIZE is reserved at once; elsewhere MAXCAPACITY applies.",
        parameters=(
            positional("pool", Name(30), "its pool"),
            positional("name", Text(1024), "file path, or name at the target"),
            keyword("ACCess", _ACCESS, "what may be done with it", default="READWRITE"),
            keyword("Formatsize", Integer(1, 64 * MIB), "size in MB"),
            keyword("NUMberofvolumes", Integer(1, 256), "how many; their names get three digits", default=1),
            keyword("LOcation", Text(255), "free text", default=""),
            WAIT,
        ),
        run=_define,
    ),
    Command(
        words=("UPDate", "Volume"),
        rule=OPERATOR,
        help="Change access or location of volumes.",
        parameters=(
            positional("name", PathPattern(), "which"),
            keyword("ACCess", _ACCESS, "what may be done with it"),
            keyword("LOcation", Text(255), "free text"),
            *_filters("where"),
            keyword("PReview", YesNo(), "only say which volumes it would be", default=False),
        ),
        run=_update,
    ),
    Command(
        words=("Query", "Volume"),
        rule=ANYONE,
        help="Show volumes.",
        parameters=(positional("name", PathPattern(), "which", default="*"), *_filters(""), FORMAT),
        run=_query,
    ),
    Command(
        words=("DELete", "Volume"),
        rule=storage(_pool_of_volume),
        help="Delete a volume. DISCARDDATA=YES also gives up what lies on it: on a primary volume the files "
        "themselves with all their copies, on a copy volume these copies.",
        parameters=(
            positional("name", Text(1024), "name of the volume"),
            keyword("DISCARDdata", YesNo(), "give up what lies on it", default=False),
            WAIT,
        ),
        run=_delete,
        confirm=_confirm_delete,
    ),
)
