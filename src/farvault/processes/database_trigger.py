"""The database backup trigger at work: looks every minute, and whenever the recovery log has filled by another percent.

A backup that fails is tried again a minute later, however fast the log fills meanwhile, where its reason still stands,
until it succeeds (TSM reference, database 1.5): a target that is away is not an end. In a full log each of them takes from
the reserve, without which no backup can begin: where little of it is left, the pauses grow (`policy/database_backup.py`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from farvault.base.errors import FarvaultError
from farvault.base.log import Log
from farvault.catalog import nouns, volume_history
from farvault.catalog.catalog import Catalog
from farvault.catalog.database_recovery import DatabaseRecovery, database_recovery
from farvault.model.database_backup_trigger import DatabaseBackupTrigger
from farvault.model.volume_history import SERIES_TYPES
from farvault.policy.database_backup import FULL, INCREMENTAL, Decision, State, decide
from farvault.processes.backup_database import DESCRIPTION, DatabaseBackups, Options
from farvault.processes.process import Process, Processes

PERIOD_SECONDS: Final = 60.0
"""Also the pause before a failed one is tried again."""


def find_trigger(catalog: Catalog) -> DatabaseBackupTrigger | None:
    with catalog.read() as r:
        return next(iter(nouns.select(r, DatabaseBackupTrigger)), None)


class DatabaseTrigger:
    """A piece of housekeeping: calling it starts a backup where one is due and none runs."""

    def __init__(self, catalog: Catalog, backups: DatabaseBackups, processes: Processes, log: Log) -> None:
        self._catalog, self._backups, self._processes, self._log = catalog, backups, processes, log
        self._process: Process | None = None
        self._has_failed = False

    def __call__(self) -> None:
        if self._backups.running or (self._process is not None and not self._process.ended_event.is_set()):
            return
        trigger, usual = self._find()
        decision = Decision() if trigger is None else decide(trigger, self._state())
        if not decision.kind:
            self._has_failed = False
            return
        if self._backups.pause_seconds(decision.device_class):
            return
        if decision.kind == INCREMENTAL and trigger is not None:
            decision = self._possible(decision, trigger)
        if self._has_failed:
            self._log.say("ANR4561I")
        self._log.say(
            "ANR4552I" if decision.kind == FULL else "ANR4553I",
            device_class=decision.device_class,
            reason=decision.reason,
        )
        options = Options(decision.kind, decision.device_class, compress=usual.compress)
        self._process = self._processes.start(DESCRIPTION, lambda process: self._run(process, options))

    def may_be_due(self) -> bool:
        """After the log has filled by another percent: is it worth looking? Not before a failed one may be tried again."""
        return not self._has_failed and not self._backups.running

    def _find(self) -> tuple[DatabaseBackupTrigger | None, DatabaseRecovery]:
        """The trigger, with the class that holds where it names none."""
        trigger = find_trigger(self._catalog)
        with self._catalog.read() as r:
            usual = database_recovery(r)
        if trigger is None or trigger.device_class:
            return trigger, usual
        return msgspec.structs.replace(trigger, device_class=usual.device_class), usual

    def _possible(self, decision: Decision, trigger: DatabaseBackupTrigger) -> Decision:
        """A full backup where the page digests that an incremental one needs are lost: it would be refused for ever.

        Also where full ones go to another server that has not got the present one, made by hand to another place: without it
        that server's incremental ones bring nothing back. INCRDEVCLASS may keep the two apart on purpose.
        """
        is_one_place = trigger.incremental_device_class in ("", trigger.device_class)
        with self._catalog.read() as r:
            needed = self._backups.full_needed(r)
            apart = volume_history.newest_series_kept_elsewhere(r, trigger.device_class)
        if is_one_place and apart is not None:
            needed = needed or f"{apart.volume} of the present series is kept in another place"
        return Decision(FULL, trigger.device_class, f"{decision.reason}; {needed}") if needed else decision

    def _run(self, process: Process, options: Options) -> None:
        try:
            self._backups.check(options)
            self._backups.run(process, options)
        except FarvaultError:
            self._has_failed = True
            seconds = max(self._backups.pause_seconds(options.class_name), int(PERIOD_SECONDS))
            process.say("ANR4560I", seconds=seconds)
            raise
        self._has_failed = False
        figures, trigger = self._catalog.log_figures(), find_trigger(self._catalog)
        if figures is not None and trigger is not None and figures.used_percent > trigger.log_full_percent:
            process.say("ANR4556W", percent=f"{figures.used_percent:.1f}", limit=trigger.log_full_percent)

    def _state(self) -> State:
        figures = self._catalog.log_figures()
        used = None if figures is None else figures.used_percent
        with self._catalog.read() as r:
            newest = volume_history.newest_operation(r, SERIES_TYPES)
            series = self._backups.series(r)
        return State(
            now=self._backups.now_seconds(),
            log_used_percent=used,
            log_freed_percent=used or 0.0,
            last_backup_time=newest[0].time if newest else 0,
            series=series,
            log_is_full=figures is not None and figures.is_full,
        )
