"""The database backup trigger: DEFINE, UPDATE, DELETE and QUERY DBBACKUPTRIGGER. There is one at most."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from farvault.admin.authority import ANYONE, STORAGE
from farvault.admin.command import FORMAT, Call, Command
from farvault.admin.definition import changed, define_parameters, defined, update_parameters
from farvault.admin.instance import Instance
from farvault.admin.output import Answer, Column, Report, of_attribute, row_of, time_column
from farvault.base.errors import AlreadyExists, BadInput, NotFound
from farvault.base.messages import message
from farvault.catalog import nouns
from farvault.catalog.database_recovery import database_recovery
from farvault.catalog.roll_forward import ROLLFORWARD
from farvault.catalog.transaction import Snapshot
from farvault.model.database_backup_trigger import DatabaseBackupTrigger
from farvault.model.device_class import DeviceClass


def _define(instance: Instance, call: Call) -> Iterator[Answer]:
    trigger = _stamped(instance, call, DatabaseBackupTrigger(**defined(DatabaseBackupTrigger, call)))
    with instance.catalog.write(uses_reserve=True) as tx:
        if nouns.select(tx, DatabaseBackupTrigger):
            raise AlreadyExists("ANR4922E")
        _check_classes(tx, trigger)
        nouns.insert(tx, trigger)
    yield message("ANR2282I" if _has_effect(instance, trigger) else "ANR2283I")
    instance.database_backups.poke()


def _update(instance: Instance, call: Call) -> Iterator[Answer]:
    changes = changed(DatabaseBackupTrigger, call)
    with instance.catalog.write(uses_reserve=True) as tx:
        trigger = _stamped(instance, call, msgspec.structs.replace(_only(tx), **changes))
        _check_classes(tx, trigger)
        nouns.update(tx, trigger)
    yield message("ANR2284I" if _has_effect(instance, trigger) else "ANR2285I")
    instance.database_backups.poke()


def _delete(instance: Instance, call: Call) -> Iterator[Answer]:
    del call
    with instance.catalog.write(uses_reserve=True) as tx:
        nouns.delete(tx, _only(tx))
    yield message("ANR2286I")


def _query(instance: Instance, call: Call) -> Iterator[Answer]:
    with instance.catalog.read() as r:
        usual = database_recovery(r).device_class
        rows = [
            row_of(
                trigger,
                device_class=trigger.device_class or usual,
                incremental_device_class=trigger.incremental_device_class or trigger.device_class or usual,
            )
            for trigger in nouns.select(r, DatabaseBackupTrigger)
        ]
    yield Report(columns=_columns(call.detailed), rows=rows, detailed=call.detailed)


def _columns(detailed: bool) -> list[Column]:
    standard = ["device_class", "incremental_device_class", "log_full_percent", "incrementals"]
    more = ["minimum_interval_minutes", "minimum_log_free_percent", "maximum_age_hours", "updated_by"]
    columns = [of_attribute(DatabaseBackupTrigger, one) for one in (*standard, *(more if detailed else ()))]
    return [*columns, time_column("updated_time", "Last Update Date/Time")] if detailed else columns


def _only(r: Snapshot) -> DatabaseBackupTrigger:
    found = nouns.select(r, DatabaseBackupTrigger)
    if not found:
        raise NotFound("ANR4921E")
    return found[0]


def _stamped(instance: Instance, call: Call, trigger: DatabaseBackupTrigger) -> DatabaseBackupTrigger:
    now = instance.clock.now_seconds()
    return msgspec.structs.replace(trigger, updated_time=now, updated_by=call.administrator.name)


def _check_classes(r: Snapshot, trigger: DatabaseBackupTrigger) -> None:
    if not trigger.device_class and not database_recovery(r).device_class:
        raise BadInput("ANR4929E")
    for name in filter(None, (trigger.device_class, trigger.incremental_device_class)):
        if nouns.get(r, DeviceClass, name).random_access:
            raise BadInput("ANR4920E", device_class=name)


def _has_effect(instance: Instance, trigger: DatabaseBackupTrigger) -> bool:
    return instance.catalog.log_mode == ROLLFORWARD or trigger.maximum_age_hours > 0


COMMANDS = (
    Command(
        words=("DEFine", "DBBackuptrigger"),
        rule=STORAGE,
        help="Start a database backup when the recovery log fills, or when the last one is too old.",
        parameters=define_parameters(DatabaseBackupTrigger),
        run=_define,
    ),
    Command(
        words=("UPDate", "DBBackuptrigger"),
        rule=STORAGE,
        help="Change the trigger.",
        parameters=update_parameters(DatabaseBackupTrigger),
        run=_update,
    ),
    Command(words=("DELete", "DBBackuptrigger"), rule=STORAGE, help="Delete the trigger.", run=_delete),
    Command(
        words=("Query", "DBBackuptrigger"),
        rule=ANYONE,
        help="Show the trigger.",
        parameters=(FORMAT,),
        run=_query,
    ),
)
