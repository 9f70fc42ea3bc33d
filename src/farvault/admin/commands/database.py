"""The database and its recovery log: BACKUP DB, QUERY DB, QUERY LOG, SET LOGMODE."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from farvault.admin.authority import ANYONE, STORAGE
from farvault.admin.background import run_process
from farvault.admin.command import FORMAT, WAIT, Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import Paths
from farvault.admin.output import (
    Answer,
    Column,
    Report,
    count_column,
    percent_column,
    time_column,
    yes_column,
)
from farvault.base.errors import BadInput, NotAvailable
from farvault.base.messages import message
from farvault.base.units import show_megabytes
from farvault.catalog import volume_history
from farvault.catalog.roll_forward import ROLLFORWARD
from farvault.model.attribute import Choice, Integer, Name, YesNo
from farvault.model.volume_history import SERIES_TYPES
from farvault.processes.backup_database import DESCRIPTION, Options

_FILE = "FILE:"
_MOST_NAMES = 10_000


def _backup(instance: Instance, call: Call) -> Iterator[Answer]:
    options = Options(
        kind=call["type"],
        class_name=call["devclass"],
        volume_names=_volume_names(call["volumenames"] or ()),
        scratch=call["scratch"],
        compress=call["compress"],
    )
    backups = instance.database_backups
    backups.check(options)
    yield from run_process(
        instance, call, DESCRIPTION, lambda process: _discard(backups.run(process, options))
    )


def _discard(volumes: object) -> None:
    del volumes


def _volume_names(typed: tuple[str, ...]) -> tuple[str, ...]:
    """The names, or those in a file: one a line."""
    if len(typed) != 1 or not typed[0].upper().startswith(_FILE):
        return typed
    path = typed[0][len(_FILE) :]
    try:
        with open(path, encoding="utf-8") as file:
            names = tuple(line.strip() for line in file.read(1 << 20).splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("ANR0999E", value=path, what="list of volumes", reason=error) from None
    if not names or len(names) > _MOST_NAMES:
        raise BadInput("ANR0999E", value=path, what="list of volumes", reason="it names none, or too many")
    return names


def _query_database(instance: Instance, call: Call) -> Iterator[Answer]:
    catalog, backups = instance.catalog, instance.database_backups
    figures = catalog.figures()
    with catalog.read() as r:
        newest = volume_history.newest_operation(r, SERIES_TYPES)
        series = backups.series(r)
    used = figures.pages - figures.free_pages
    room = os.statvfs(os.path.dirname(catalog.path) or ".")
    row: dict[str, Any] = {
        "capacity_bytes": figures.pages * figures.page_bytes,
        "file_bytes": figures.file_bytes,
        "free_bytes": room.f_bavail * room.f_frsize,
        "page_bytes": figures.page_bytes,
        "pages": figures.pages,
        "used_pages": used,
        "used_percent": 100.0 * used / max(figures.pages, 1),
        "unwritten_bytes": figures.wal_bytes,
        "log_mode": catalog.log_mode,
        "backup_in_progress": bool(backups.running),
        "backup_type": backups.running,
        "incrementals": series.incrementals,
        "full_needed": series.full_needed or ("" if series.has_full else "there is no full backup"),
        "backup_series": newest[0].series if newest else 0,
        "backup_operation": newest[0].operation if newest else 0,
        "last_backup_time": newest[0].time if newest else 0,
        "epoch": newest[0].epoch if newest else 0,
    }
    yield Report(
        columns=(*_DATABASE, *(_DATABASE_DETAILED if call.detailed else ())),
        rows=[row],
        detailed=call.detailed,
    )


def _megabytes(key: str, label: str) -> Column:
    return Column(key=key, label=label, show=show_megabytes, number=True)


_DATABASE = (
    _megabytes("capacity_bytes", "Assigned Capacity (MB)"),
    _megabytes("free_bytes", "Maximum Extension (MB)"),
    count_column("page_bytes", "Page Size (bytes)"),
    count_column("pages", "Total Usable Pages"),
    count_column("used_pages", "Used Pages"),
    percent_column("used_percent", "Pct Util"),
)
_DATABASE_DETAILED = (
    _megabytes("file_bytes", "Size of Database File (MB)"),
    _megabytes("unwritten_bytes", "Size of Write-Ahead File (MB)"),
    Column(key="log_mode", label="Log Mode"),
    yes_column("backup_in_progress", "Backup in Progress?"),
    Column(key="backup_type", label="Type of Backup In Progress"),
    count_column("incrementals", "Incrementals Since Last Full"),
    Column(key="full_needed", label="Full Backup Needed Because"),
    count_column("backup_series", "Last Backup Series"),
    count_column("backup_operation", "Last Backup Operation"),
    time_column("last_backup_time", "Last Complete Backup Date/Time"),
)


def _query_log(instance: Instance, call: Call) -> Iterator[Answer]:
    figures = instance.catalog.log_figures()
    if figures is None:
        raise NotAvailable("ANR4926E")
    row = {
        "capacity_bytes": figures.capacity_bytes,
        "used_bytes": figures.used_bytes,
        "used_percent": figures.used_percent,
        "reserve_bytes": figures.reserve_bytes,
        "segments": figures.segments,
        "entries": figures.last_sequence - figures.first_sequence + 1,
        "first_sequence": figures.first_sequence,
        "last_sequence": figures.last_sequence,
        "log_id": figures.log_id,
        "folder": instance.catalog.log_folder,
    }
    yield Report(
        columns=(*_LOG, *(_LOG_DETAILED if call.detailed else ())), rows=[row], detailed=call.detailed
    )


_LOG = (
    _megabytes("capacity_bytes", "Assigned Capacity (MB)"),
    _megabytes("used_bytes", "Used (MB)"),
    percent_column("used_percent", "Pct Util"),
    count_column("entries", "Changes"),
)
_LOG_DETAILED = (
    _megabytes("reserve_bytes", "Reserve for Backups (MB)"),
    count_column("segments", "Physical Volumes"),
    count_column("first_sequence", "First Change"),
    count_column("last_sequence", "Last Change"),
    Column(key="folder", label="Folder"),
    Column(key="log_id", label="Log Id"),
)


def _set_log_mode(instance: Instance, call: Call) -> Iterator[Answer]:
    """A full backup is the first thing ROLLFORWARD needs: a trigger starts it at once."""
    before = instance.catalog.log_mode
    instance.catalog.set_log_mode(call["mode"])
    yield message("ANR2294I", mode=call["mode"])
    if call["mode"] == ROLLFORWARD and before != ROLLFORWARD:
        yield message("ANR4925I")
        instance.database_backups.poke()


def _confirm_log_mode(instance: Instance, call: Call) -> str:
    if instance.catalog.log_mode == call["mode"]:
        return ""
    if call["mode"] == ROLLFORWARD:
        return str(message("ANR2289W", folder=instance.catalog.log_folder))
    return str(message("ANR2290W"))


COMMANDS = (
    Command(
        words=("BAckup", "DB"),
        rule=STORAGE,
        help="Back up the database. The server goes on meanwhile.",
        parameters=(
            keyword("DEVclass", Name(30), "device class, FILE or SERVER", required=True),
            keyword("Type", Choice("Full", "Incremental", "DBSnapshot"), "kind of backup", default="FULL"),
            keyword("VOLumenames", Paths(), "volumes to use first, in order, or FILE:list"),
            keyword("NUMStreams", Integer(1, 99), "parallel streams", default=1, only=1),
            keyword("Scratch", YesNo(), "scratch volumes may be used", default=True),
            WAIT,
            keyword("COMPress", YesNo(), "compress it; default: Yes for volumes on another server"),
        ),
        run=_backup,
    ),
    Command(
        words=("Query", "DB"),
        rule=ANYONE,
        help="Show the size of the database and how its backups stand.",
        parameters=(FORMAT,),
        run=_query_database,
    ),
    Command(
        words=("Query", "LOG"),
        rule=ANYONE,
        help="Show how full the recovery log is.",
        parameters=(FORMAT,),
        run=_query_log,
    ),
    Command(
        words=("Set", "LOGMode"),
        rule=STORAGE,
        help="NORMAL, or ROLLFORWARD: every change is kept in the recovery log until a database backup holds it.",
        parameters=(positional("mode", Choice("Normal", "Rollforward"), "mode"),),
        run=_set_log_mode,
        confirm=_confirm_log_mode,
    ),
)
