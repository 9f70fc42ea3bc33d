"""Brings a recovery log and its catalog together: at every start, and when a database was restored.

What SQLite's write-ahead log has and the recovery log lacks is appended before anybody is served; what the recovery log
has and the database lacks is written into the database file. Entries are whole pages, so this may be broken off and
done again at any point.
"""

from __future__ import annotations

import os
from enum import Enum
from typing import NamedTuple

import apsw

from farvault.base.disk import crash_point, remove_file, write_file
from farvault.base.errors import MediaFailed
from farvault.base.messages import Message, message
from farvault.catalog import log as recovery_log
from farvault.catalog.file_edges import translated
from farvault.catalog.log import RecoveryLog
from farvault.catalog.log_chain import Position
from farvault.catalog.wal import Salts, WalFile, pages_of, parse_frame

NORMAL, ROLLFORWARD = "NORMAL", "ROLLFORWARD"
"""LOGMODE."""


class LogPlace(NamedTuple):
    """Where the recovery log lies. `begin_anew`: an administrator has said that the old one is lost or does not belong."""

    folder: str
    capacity_bytes: int
    begin_anew: bool = False


class Step(Enum):
    """What has to happen first."""

    NOTHING = "both hold the same"
    APPEND = "the recovery log lacks the last frames of this generation"
    APPEND_ALL = "the recovery log lacks everything of this generation"
    REPLAY = "the database lacks entries of the recovery log"
    MISMATCH = "they do not belong together"


def compare(log: Position, salts: Salts | None, frames: int) -> Step:
    """`salts`, `frames`: generation of SQLite's file and how much of it is whole; None and 0 where it is not there.

    Every commit goes to the recovery log before the next one begins, so SQLite's file is at most one generation ahead,
    and starts a new one only when the database file holds all of the old one. Gone or empty, while the log does not end
    with "clean": either all of it is in the database file, or it was lost with the machine. Replaying is right for both.
    """
    if salts is None:
        return Step.NOTHING if log.is_clean else Step.REPLAY
    if salts == log.salts:
        if frames == log.frames:
            return Step.NOTHING
        return (
            Step.APPEND
            if frames > log.frames
            else (Step.NOTHING if log.is_clean and not frames else Step.REPLAY)
        )
    if log.is_clean or log.salts.is_followed_by(salts):
        return Step.APPEND_ALL if frames else Step.NOTHING
    return Step.REPLAY if not frames else Step.MISMATCH


def bring_together(
    catalog_path: str, place: LogPlace, row_key: bytes, page_bytes: int, now: int
) -> tuple[RecoveryLog | None, list[Message]]:
    """Before anybody else opens the database: its log, None where it has none, and what there is to say.

    `MediaFailed` where the log is missing, damaged or another one.
    """
    half_replayed = is_half_replayed(catalog_path)
    with translated(catalog_path):
        found = Found(None, 0, ROLLFORWARD) if half_replayed else look_at(catalog_path, page_bytes)
    if half_replayed and place.begin_anew:
        raise MediaFailed("ANR4918E", path=catalog_path)
    begin_anew = place.begin_anew or not (half_replayed or found.log_id)
    if found.log_mode != ROLLFORWARD or begin_anew:
        aside = recovery_log.set_aside(place.folder, now)
        is_missed = aside and found.log_mode == ROLLFORWARD
        return None, [message("ANR4917W", aside=aside)] if is_missed else []
    log = RecoveryLog.open(place.folder, place.capacity_bytes, row_key, page_bytes)
    if log is None:
        raise MediaFailed("ANR4914E", folder=place.folder)
    try:
        step = Step.REPLAY if half_replayed else compare(log.position, found.salts, found.frames)
        is_other = not half_replayed and (log.log_id != found.log_id or found.pruned < log.first_sequence - 1)
        if step is Step.MISMATCH or is_other:
            raise MediaFailed("ANR4913E", folder=place.folder)
        entries = 0
        if step is Step.REPLAY:
            with translated(catalog_path):
                entries = replay(catalog_path, log)
            log.mark_clean(now)
    except BaseException:
        log.close()
        raise
    return log, [message("ANR4915I", entries=entries)] if entries else []


def feed(log: RecoveryLog, wal: WalFile, frames: int, now: int) -> int:
    """Append what SQLite's file has and the log lacks; returns how many frames. `frames`: of the present generation."""
    salts = wal.salts()
    if salts is None:
        return 0
    start = log.position.frames if salts == log.position.salts else 0
    if frames <= start:
        return 0
    added = wal.frames(start, frames)
    last = parse_frame(memoryview(added)[-wal.frame_bytes :])
    if last.salts != salts or not last.database_pages:
        raise MediaFailed("ANR0132E", path=wal.path, reason="its last frame ends no commit")
    log.append(added, salts, frames, last.database_pages, now)
    return frames - start


class Found(NamedTuple):
    """What a database is like after SQLite's own recovery. `log_mode`: '' where it was never set.

    `log_id`: the recovery log it belongs to; '' = it was restored, a new log begins. `pruned`: how far that log had been
    pruned when the database last heard of it.
    """

    salts: Salts | None
    frames: int
    log_mode: str
    log_id: str = ""
    pruned: int = 0


def look_at(catalog_path: str, page_bytes: int) -> Found:
    """Opens and closes the database; its write-ahead log stays."""
    wal = WalFile(catalog_path, page_bytes)
    connection = apsw.Connection(catalog_path, flags=apsw.SQLITE_OPEN_READWRITE)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    try:
        connection.wal_autocheckpoint(0)
        there = connection.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'settings'").fetchall()
        said: dict[str, str] = {}
        if there[0][0]:
            sql = "SELECT name, value FROM settings WHERE name IN ('LOGMODE', 'LOGID', 'LOGPRUNED')"
            said = {str(name): str(value) for name, value in connection.execute(sql).fetchall()}
        frames, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        return Found(
            wal.salts(),
            max(frames, 0),
            said.get("LOGMODE", ""),
            said.get("LOGID", ""),
            int(said.get("LOGPRUNED") or 0),
        )
    finally:
        connection.close()
        wal.close()


def is_half_replayed(catalog_path: str) -> bool:
    """A replay was broken off: the database file is no database until it is done again."""
    return os.path.exists(_marker(catalog_path))


def replay(catalog_path: str, log: RecoveryLog, after: int = 0, until_time: int = 1 << 62) -> int:
    """Write the pages of all entries behind `after` into the database file; returns how many entries.

    Nobody has it open. What SQLite's own file holds goes into the database first, then that file goes: all of it is
    in the database or in the log. A marker says that the database file is between two states.
    """
    if not is_half_replayed(catalog_path):
        connection = apsw.Connection(catalog_path, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            connection.close()
        for suffix in ("-wal", "-shm"):
            remove_file(f"{catalog_path}{suffix}")
        write_file(_marker(catalog_path), b"")
    crash_point("log.replay.before")
    count = pages = 0
    descriptor = os.open(catalog_path, os.O_RDWR | os.O_CLOEXEC)
    try:
        for entry in log.entries(after):
            if entry.time > until_time:
                break
            for number, page in pages_of(entry.data, log.page_bytes):
                os.pwrite(descriptor, page, (number - 1) * log.page_bytes)
            count, pages = count + 1, entry.database_pages
        crash_point("log.replay.before_sync")
        if pages:
            os.ftruncate(descriptor, pages * log.page_bytes)
        os.fsync(descriptor)
    except OSError as error:
        raise MediaFailed("ANR0132E", path=catalog_path, reason=error.strerror or error) from error
    finally:
        os.close(descriptor)
    crash_point("log.replay.after_sync")
    remove_file(_marker(catalog_path))
    return count


def _marker(catalog_path: str) -> str:
    return f"{catalog_path}-replaying"
