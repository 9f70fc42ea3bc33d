"""Scrubbing: which volumes are checked next, and how much of them, so that nothing goes unchecked for longer than allowed.

Everything is checked again within SCRUBPERIOD, what is new within a week. Work is done in runs that follow each other
at a fixed distance; of each run the plan says how many bytes it must check so that every piece is done when it is due,
if all later runs do as much: the smallest even load. Oldest first, big volumes over several runs (docs/decisions/0048).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

DAY_SECONDS: Final = 86_400
NEW_SECONDS: Final = 7 * DAY_SECONDS
"""What nobody has checked yet waits no longer than this."""
RUNS_IN_PERIOD: Final = 10
"""At least as many runs fit into the period, and there is one every day."""
_MARGIN: Final = 0.9
"""Due when this part of the time is over: a server that stood still for a while is not late at once."""

NEVER, GOOD, DAMAGED, UNREADABLE = "", "GOOD", "DAMAGED", "UNREADABLE"


class VolumeCheck(NamedTuple):
    """How far a volume was checked, by AUDIT VOLUME or by the scrub. Immutable: each step gives the next state."""

    volume_id: int
    write_pass: int = 0
    checked_time: int = 0
    checked_to_bytes: int = 0
    new_time: int = 0
    pass_time: int = 0
    next_offset: int = 0
    last_time: int = 0
    bad_records: int = 0
    verdict: str = NEVER

    def begun(self, now: int) -> VolumeCheck:
        """A pass over the whole volume starts."""
        return self._replace(pass_time=now, next_offset=0, bad_records=0)

    def passed(self, next_offset: int, bad: int, now: int) -> VolumeCheck:
        """The pass has come so far."""
        return self._found(bad, now)._replace(next_offset=next_offset)

    def completed(self, end_bytes: int, new_time: int = 0) -> VolumeCheck:
        """The pass has come to the end. `new_time`: when something came that it may have missed; 0 = nothing did."""
        return self._replace(
            checked_time=self.pass_time,
            checked_to_bytes=max(end_bytes, self.checked_to_bytes),
            new_time=new_time,
            pass_time=0,
            next_offset=0,
            verdict=DAMAGED if self.bad_records else GOOD,
        )

    def extended(self, to_bytes: int, bad: int, began: int, now: int) -> VolumeCheck:
        """What was appended is checked up to there. The very first time, all that is checked was checked since `began`."""
        found = self._found(bad, now)
        return found._replace(
            checked_time=self.checked_time if self.checked_to_bytes else began,
            checked_to_bytes=max(to_bytes, self.checked_to_bytes),
            verdict=found.verdict or GOOD,
        )

    def caught_up(self) -> VolumeCheck:
        """Nothing new is left."""
        return self._replace(new_time=0)

    def unreadable(self, now: int) -> VolumeCheck:
        return self._replace(verdict=UNREADABLE, last_time=now)

    def _found(self, bad: int, now: int) -> VolumeCheck:
        verdict = DAMAGED if bad else NEVER if self.verdict == UNREADABLE else self.verdict
        return self._replace(bad_records=self.bad_records + bad, last_time=now, verdict=verdict)


class VolumeState(NamedTuple):
    """A volume with data. `end_bytes`: where it ends, or on a random volume how much lies on it; `left_bytes`: how much of
    that is behind where the pass under way has come to (random only).
    """

    check: VolumeCheck
    is_random: bool
    is_readable: bool
    end_bytes: int
    last_written_time: int
    left_bytes: int = 0

    @property
    def unchecked_bytes(self) -> int:
        """What nobody has looked at yet; of a random volume that is all or nothing."""
        if self.is_random:
            return 0 if self.check.checked_time else self.end_bytes
        return max(self.end_bytes - self.check.checked_to_bytes, 0)


class Piece(NamedTuple):
    """Something to check: all that was checked before, or (`is_new`) what was appended since."""

    volume_id: int
    is_new: bool
    size_bytes: int
    due_time: int


class Plan(NamedTuple):
    """Pieces in the order to take, and how many bytes of them this run checks."""

    pieces: list[Piece]
    budget_bytes: int


class Coverage(NamedTuple):
    """Of all bytes on volumes: `in_time` were checked within the period, `late` should have been checked by now."""

    total_bytes: int
    in_time_bytes: int
    late_bytes: int

    @property
    def percent(self) -> float:
        """Never rounded up to 100."""
        if not self.total_bytes:
            return 100.0
        return math.floor(1000 * self.in_time_bytes / self.total_bytes) / 10


def run_seconds(period_days: int) -> int:
    """From one run to the next."""
    return min(DAY_SECONDS, period_days * DAY_SECONDS // RUNS_IN_PERIOD)


def notice_new(state: VolumeState, now: int) -> VolumeCheck:
    """Remember since when there is something unchecked; the same where nothing changes."""
    check = state.check
    if check.new_time:
        return check
    if state.is_random:
        is_new = state.end_bytes > 0 and state.last_written_time >= check.checked_time
    else:
        is_new = state.unchecked_bytes > 0
    return check._replace(new_time=min(state.last_written_time or now, now)) if is_new else check


def pieces_of(state: VolumeState, period_days: int) -> list[Piece]:
    """What there is to check on a volume; nothing where it cannot be read."""
    check, period = state.check, period_days * DAY_SECONDS
    if not state.is_readable or not state.end_bytes:
        return []
    new_due = check.new_time + int(min(NEW_SECONDS, period) * _MARGIN)
    again_due = check.checked_time + int(period * _MARGIN)
    if state.is_random:
        due = again_due if check.checked_time else new_due
        if check.new_time:
            due = min(due, new_due)
        size = state.left_bytes if check.pass_time else state.end_bytes
        return [Piece(check.volume_id, False, size, due)]
    found = []
    if state.unchecked_bytes:
        found.append(Piece(check.volume_id, True, state.unchecked_bytes, new_due))
    if check.checked_to_bytes:
        left = max(check.checked_to_bytes - check.next_offset, 0)
        found.append(Piece(check.volume_id, False, left, again_due))
    return found


def plan(states: Iterable[VolumeState], now: int, period_days: int) -> Plan:
    """The run that begins now. What is due before the next one must be done in this one, whatever its size."""
    pieces = [piece for state in states for piece in pieces_of(state, period_days)]
    pieces.sort(key=lambda piece: (piece.due_time, not piece.is_new, piece.volume_id))
    return Plan(pieces, _budget(pieces, now, run_seconds(period_days)))


def _budget(pieces: Sequence[Piece], now: int, run: int) -> int:
    total = budget = 0
    for piece in pieces:
        total += piece.size_bytes
        runs = max((piece.due_time - now) // run, 1)
        budget = max(budget, -(-total // runs))
    return budget


def coverage(states: Iterable[VolumeState], now: int, period_days: int) -> Coverage:
    """How well the period is kept. Volumes that cannot be read count too."""
    total = in_time = late = 0
    period = period_days * DAY_SECONDS
    for state in states:
        check = state.check
        unchecked = state.unchecked_bytes
        checked = state.end_bytes - unchecked
        is_in_time = check.checked_time + period >= now
        total += state.end_bytes
        in_time += checked if is_in_time else 0
        late += 0 if is_in_time else checked
        if check.new_time and check.new_time + min(NEW_SECONDS, period) < now:
            late += checked if state.is_random and is_in_time else unchecked
    return Coverage(total, in_time, late)
