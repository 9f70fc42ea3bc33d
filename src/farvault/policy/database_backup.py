"""Which database backup may or must run now (TSM reference, database 1.2 and 1.5). Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from farvault.model.database_backup_trigger import DatabaseBackupTrigger

MOST_INCREMENTALS: Final = 32
FULL, INCREMENTAL, SNAPSHOT = "FULL", "INCREMENTAL", "DBSNAPSHOT"


FREE_TRIES: Final = 3
LONGEST_PAUSE_SECONDS: Final = 24 * 3600


def pause_seconds(failures: int) -> int:
    """After so many backups to one device class that failed while little of the log's reserve is left.

    Each of them takes of it. The first few are free: a person tries again. Then the pause doubles, up to a day, so that
    what runs in a loop takes weeks for what it would otherwise take in minutes.
    """
    if failures < FREE_TRIES:
        return 0
    return int(min(60 << min(failures - FREE_TRIES, 20), LONGEST_PAUSE_SECONDS))


class Series(NamedTuple):
    """How the newest series stands. `has_full`: there is one. `incrementals`: how many followed its full backup.

    `full_needed`: why the next one must be full whatever else is true; empty = it need not. `hurt`: what its target is known
    to have lost of it; empty = nothing.
    """

    has_full: bool = False
    incrementals: int = 0
    full_needed: str = ""
    hurt: str = ""


def why_not_incremental(series: Series) -> str:
    """Why only a full backup is possible; empty where an incremental one is."""
    if not series.has_full:
        return "there is no full backup"
    if series.hurt:
        return series.hurt
    if series.full_needed:
        return series.full_needed
    if series.incrementals >= MOST_INCREMENTALS:
        return f"{MOST_INCREMENTALS} incremental backups have followed the last full one"
    return ""


class State(NamedTuple):
    """What a trigger looks at. `log_used_percent`: None while LOGMODE is NORMAL. Times are seconds; 0 = never.

    `log_freed_percent`: how much of the log's capacity a backup would free now. `log_is_full`: it refuses changes.
    """

    now: int
    log_used_percent: float | None
    log_freed_percent: float
    last_backup_time: int
    series: Series
    log_is_full: bool = False


class Decision(NamedTuple):
    """`kind` empty: nothing starts. Else FULL or INCREMENTAL, its class, and why."""

    kind: str = ""
    device_class: str = ""
    reason: str = ""


def decide(trigger: DatabaseBackupTrigger, state: State) -> Decision:
    """Does the trigger start a backup now, and which?"""
    reason = _reason(trigger, state)
    if not reason:
        return Decision()
    full = bool(why_not_incremental(state.series)) or state.series.incrementals >= trigger.incrementals
    if full:
        return Decision(FULL, trigger.device_class, reason)
    return Decision(INCREMENTAL, trigger.incremental_device_class or trigger.device_class, reason)


def _reason(trigger: DatabaseBackupTrigger, state: State) -> str:
    """A full log stops the server, whatever the trigger would wait for. A backup from the future is of unknown age: old."""
    if state.series.hurt:
        return state.series.hurt
    has_age = 0 < state.last_backup_time <= state.now
    age = state.now - state.last_backup_time
    if trigger.maximum_age_hours and not (has_age and age < trigger.maximum_age_hours * 3600):
        return "the last one is older than MAXAGE" if state.last_backup_time else "there is none yet (MAXAGE)"
    if state.log_is_full:
        return "the recovery log is full"
    if state.log_used_percent is None or state.log_used_percent <= trigger.log_full_percent:
        return ""
    if has_age and age < trigger.minimum_interval_minutes * 60:
        return ""
    if state.log_freed_percent < trigger.minimum_log_free_percent:
        return ""
    return f"{state.log_used_percent:.1f} % of the recovery log are used"
