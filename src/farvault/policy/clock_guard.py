"""How far a server may believe its own clock before it removes something for good. Pure.

Two times are kept: what the clock shows (`wall`), and how long the server has run in all (`running`), which no change
of the clock moves. A period is over only when it is over by both; so a clock set forward removes nothing early, and
one set back only keeps longer. Time during which the server did not run does not count. A clock that went forward by
more than a day more than the server has run (also over a stop) is not believed at all until an administrator says so.
"""

from __future__ import annotations

from typing import Final, NamedTuple

DAY_SECONDS: Final = 86_400
JUMP_SECONDS: Final = DAY_SECONDS


class Moment(NamedTuple):
    """A point in time by both measures, in whole seconds."""

    wall: int
    running: int


class ClockState(NamedTuple):
    """What is remembered from one look at the clock to the next. `frozen_time`: 0 = the clock is believed."""

    wall: int = 0
    running: int = 0
    frozen_time: int = 0

    @property
    def moment(self) -> Moment:
        return Moment(self.wall, self.running)


def look(last: ClockState | None, wall: int, running: int) -> ClockState:
    """The state after a look; `running` is never less than before. None: the first look ever."""
    if last is None:
        return ClockState(wall, max(running, 0))
    running = max(running, last.running)
    jump = (wall - last.wall) - (running - last.running)
    frozen = last.frozen_time or (wall if jump > JUMP_SECONDS else 0)
    return ClockState(wall, running, frozen)


def confirmed(state: ClockState) -> ClockState:
    """The administrator has looked: the clock is right."""
    return state._replace(frozen_time=0)


def elapsed(since: Moment, now: Moment) -> int:
    """Seconds that have passed for certain: by both measures."""
    return min(now.wall - since.wall, now.running - since.running)
