"""A console watcher's queue: nothing is lost while it keeps up, the server never waits when it does not."""

from __future__ import annotations

import threading

from tests.patience import PATIENCE_SECONDS

from farvault.base.log import Line
from farvault.base.messages import message
from farvault.sessions.administrator import ConsoleLines


def _line(number: int) -> Line:
    return Line(0, message("ANR0991I", server=f"S{number}"))


def test_lines_come_in_the_order_in_which_they_were_said() -> None:
    lines = ConsoleLines()
    for number in range(3):
        lines(_line(number))
    assert [output.text for output in lines.take(0)] == [str(_line(number)) for number in range(3)]
    assert lines.take(0) == []


def test_a_slow_reader_loses_lines_and_is_told_how_many() -> None:
    lines = ConsoleLines(most=2)
    for number in range(5):
        lines(_line(number))
    taken = lines.take(0)
    assert [output.message_id for output in taken] == ["ANR0991I", "ANR0991I", "ANR0564W"]
    assert "3 console lines" in taken[-1].text
    lines(_line(9))
    assert [output.message_id for output in lines.take(0)] == ["ANR0991I"]


def test_a_waiting_reader_is_woken_by_a_line() -> None:
    lines = ConsoleLines()
    speaker = threading.Timer(0.05, lines, [_line(1)])
    speaker.start()
    assert len(lines.take(20)) == 1
    speaker.join(PATIENCE_SECONDS)
