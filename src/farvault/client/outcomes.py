"""What became of the units of a backup: counted and shown when their transactions are durable, not before."""

from __future__ import annotations

from farvault.base.messages import Message
from farvault.client.attributes import object_type
from farvault.client.crew import Result, Stop
from farvault.client.mounts import join_path, show_path
from farvault.client.report import ERROR, SKIPPED_FILE, Report
from farvault.client.work import Notice, Unit, UnitResult, Work
from farvault.model.stored_object import ObjectType

REFUSALS_MOST = 3
"""After so many refused transactions in a row the rest would be refused too."""


class Outcomes:
    """Of one command's run; the crew calls `on_result` and `on_notice` in the thread that walks."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._refusals = 0
        self._stopped = False
        self._changes: dict[int, tuple[str, bytes]] = {}

    def note(self, object_id: int, verb: str, path: bytes) -> None:
        """This is about to be done to an object that the server has: the line it gets is shown when it is."""
        self._changes[object_id] = verb, path

    def on_notice(self, notice: Notice) -> None:
        self._report.notice(notice)

    def on_result(self, work: Work, result: Result | None) -> None:
        """Count and show a unit when it is durable, or say why it is not."""
        assert isinstance(work, Unit)
        counts = self._report.counts
        if not isinstance(result, UnitResult):
            self._all_failed(work)
            self._report.say("ANS9804E", objects=_objects(work))
            self._stopped = True
            return
        counts.read_bytes += result.read_bytes
        counts.processed_bytes += result.processed_bytes
        counts.transferred_bytes += result.sent_bytes
        counts.transfer_seconds += result.transfer_seconds
        counts.retries += sum(each.times for each in result.retried)
        if result.lost_link or result.refused is not None:
            self._not_stored(work, result)
            return
        self._refusals = 0
        counts.new_bytes += result.new_bytes
        counts.deduplicated += result.deduplicated
        counts.packed_bytes += result.packed_bytes
        counts.done += result.stored
        counts.expired += result.expired
        counts.updated += result.updated
        counts.rebound += result.rebound
        for failure in result.failures:
            folder = work.folders[failure.folder]
            path = show_path(join_path(work.root, folder.directory, folder.entries[failure.entry].name))
            counts.failed += 1
            self._report.say("ANS1228E", code=SKIPPED_FILE, path=path)
            self._report.say(failure.message_id, code=SKIPPED_FILE, path=path, reason=failure.reason)
        if self._report.lines:
            with self._report.together():
                self._show(work, result)
        for object_id in (*work.expire, *(row.id for row in work.updates), *work.rebind):
            self._changes.pop(object_id, None)

    def _show(self, unit: Unit, result: UnitResult) -> None:
        failed = {(each.folder, each.entry) for each in result.failures}
        retried = {(each.folder, each.entry): each.times for each in result.retried}
        line = self._report.object_line
        for number, folder in enumerate(unit.folders):
            prefix = show_path(join_path(unit.root, folder.directory)).rstrip("/") + "/"
            for place, entry in enumerate(folder.entries):
                if (number, place) in failed:
                    continue
                path = prefix + show_path(entry.name)
                retry = retried.get((number, place), 0)
                line(_label(entry.mode), entry.size_bytes, path, " [Sent]", retry)
        for object_id in (*unit.expire, *(row.id for row in unit.updates), *unit.rebind):
            if (shown := self._changes.get(object_id)) is not None:
                line(shown[0], 0, show_path(shown[1]), " [Sent]")

    def _not_stored(self, unit: Unit, result: UnitResult) -> None:
        self._all_failed(unit)
        if result.lost_link:
            self._report.raise_code(ERROR)
            self._stopped = True
            return
        assert result.refused is not None
        self._report.repeat(Message(*result.refused), code=ERROR)
        self._report.say("ANS9805E", objects=_objects(unit), file_space=unit.file_space)
        self._refusals += 1
        self._stopped = self._stopped or self._refusals >= REFUSALS_MOST

    def _all_failed(self, unit: Unit) -> None:
        self._report.counts.failed += _objects(unit)

    def raise_if_stopped(self) -> None:
        if self._stopped:
            raise Stop


def _objects(unit: Unit) -> int:
    changes = len(unit.expire) + len(unit.updates) + len(unit.rebind)
    return sum(len(folder.entries) for folder in unit.folders) + changes


def _label(mode: int) -> str:
    kind = object_type(mode)
    if kind is ObjectType.FILE:
        return "Normal File"
    if kind is ObjectType.DIRECTORY:
        return "Directory"
    return "Symbolic Link" if kind is ObjectType.SYMLINK else "Special File"
