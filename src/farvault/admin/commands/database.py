"""The database and its recovery log: BACKUP DB, SET DBRECOVERY, QUERY DB, QUERY LOG, SET LOGMODE."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from farvault.admin.authority import ANYONE, STORAGE, require_system
from farvault.admin.background import run_process
from farvault.admin.command import FORMAT, WAIT, Call, Command, keyword, positional
from farvault.admin.instance import Instance
from farvault.admin.kinds import Clearable, Paths
from farvault.admin.output import (
    Answer,
    Column,
    Report,
    count_column,
    percent_column,
    time_column,
    yes_column,
)
from farvault.admin.volume_list import listed_volumes, names_file
from farvault.base.errors import BadInput, NotAvailable, StillReferenced
from farvault.base.messages import message
from farvault.base.units import show_megabytes
from farvault.catalog import nouns, volume_history
from farvault.catalog.database_recovery import DatabaseRecovery, database_recovery, set_database_recovery
from farvault.catalog.roll_forward import ROLLFORWARD
from farvault.model.attribute import Choice, Integer, Name, YesNo
from farvault.model.database_backup_trigger import DatabaseBackupTrigger
from farvault.model.device_class import DeviceClass
from farvault.model.volume_history import SERIES_TYPES
from farvault.policy.database_backup import INCREMENTAL
from farvault.processes.backup_database import DESCRIPTION, Options


def _backup(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        usual = database_recovery(r)
    class_name = call["devclass"] or usual.device_class
    if not class_name:
        raise BadInput("ANR4929E")
    typed = call["volumenames"] or ()
    if names_file(typed):
        require_system(call, "VOLUMENAMES=FILE:")
    options = Options(
        kind=call["type"],
        class_name=class_name,
        volume_names=listed_volumes(typed),
        scratch=call["scratch"],
        compress=usual.compress if call["compress"] is None else call["compress"],
    )
    backups = instance.database_backups
    backups.check(options)
    if usual.device_class not in ("", class_name):
        yield message("ANR2784W", device_class=class_name, usual=usual.device_class)
    with instance.catalog.read() as r:
        apart = volume_history.newest_series_kept_elsewhere(r, class_name)
    if options.kind == INCREMENTAL and apart is not None:
        yield message("ANR4976W", device_class=class_name, volume=apart.volume, other=apart.device_class)
    yield from run_process(
        instance, call, DESCRIPTION, lambda process: _discard(backups.run(process, options))
    )


def _discard(volumes: object) -> None:
    del volumes


def _set_recovery(instance: Instance, call: Call) -> Iterator[Answer]:
    wanted = DatabaseRecovery(call["device_class"], call["compress"])
    with instance.catalog.write(uses_reserve=True) as tx:
        if wanted.device_class:
            if nouns.get(tx, DeviceClass, wanted.device_class).random_access:
                raise BadInput("ANR4920E", device_class=wanted.device_class)
        elif any(not trigger.device_class for trigger in nouns.select(tx, DatabaseBackupTrigger)):
            raise StillReferenced("ANR4907E")
        set_database_recovery(tx, wanted)
    yield message("ANR2782I", device_class=wanted.device_class or "none")
    instance.database_backups.poke()


def _query_database(instance: Instance, call: Call) -> Iterator[Answer]:
    catalog, backups = instance.catalog, instance.database_backups
    figures = catalog.figures()
    with catalog.read() as r:
        newest = volume_history.newest_operation(r, SERIES_TYPES)
        series, full_needed = backups.series(r), backups.full_needed(r) if call.detailed else ""
        usual = database_recovery(r)
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
        "full_needed": full_needed,
        "backup_series": newest[0].series if newest else 0,
        "backup_operation": newest[0].operation if newest else 0,
        "last_backup_time": newest[0].time if newest else 0,
        "device_class": usual.device_class,
        "compress": "" if usual.compress is None else "Yes" if usual.compress else "No",
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
    Column(key="device_class", label="Full Device Class Name"),
    Column(key="compress", label="Compress Database Backups"),
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


_STREAMS = keyword("NUMStreams", Integer(1, 99), "parallel streams", default=1, only=1)
_KEYS = keyword(
    "PROTECTKeys", YesNo(), "the keys travel along, wrapped by the recovery code", default=True, only=True
)

COMMANDS = (
    Command(
        words=("BAckup", "DB"),
        rule=STORAGE,
        help="Back up the database. The server goes on meanwhile.",
        parameters=(
            keyword("DEVclass", Name(30), "device class, FILE or SERVER; default: that of SET DBRECOVERY"),
            keyword("Type", Choice("Full", "Incremental", "DBSnapshot"), "kind of backup", default="FULL"),
            keyword("VOLumenames", Paths(), "volumes to use first, in order, or FILE:list"),
            _STREAMS,
            keyword("Scratch", YesNo(), "scratch volumes may be used", default=True),
            WAIT,
            keyword(
                "COMPress",
                YesNo(),
                "compress it; default: as SET DBRECOVERY says, else Yes for volumes on another server",
            ),
            _KEYS,
        ),
        run=_backup,
    ),
    Command(
        words=("Set", "DBRECOVery"),
        rule=STORAGE,
        help="Set the device class of BACKUP DB and of the database backup trigger where they name none, and whether "
        'backups are compressed. "" = none.',
        parameters=(
            positional("device_class", Clearable(Name(30)), "device class, FILE or SERVER"),
            _STREAMS,
            keyword("COMPress", YesNo(), "compress; default: Yes for volumes on another server"),
            _KEYS,
        ),
        run=_set_recovery,
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
