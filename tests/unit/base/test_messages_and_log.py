"""What is said: filled in from the catalogue, to every sink, with session and process."""

from __future__ import annotations

import pytest

from farvault.base.clock import ManualClock
from farvault.base.log import Line, Log
from farvault.base.messages import Message, catalogue, message


def test_every_sink_hears_every_line_until_it_is_removed() -> None:
    log, one, two = Log(ManualClock(77)), [], []  # type: ignore[var-annotated]
    first = one.append
    log.add_sink(first)
    log.add_sink(two.append)
    log.repeat(Message("ANR9999D", "something"), session=3)
    log.remove_sink(first)
    log.repeat(Message("ANR9999D", "more"))
    assert [str(line) for line in one] == ["ANR9999D something (SESSION: 3)"]
    assert [line.message.text for line in two] == ["something", "more"]
    assert two[0].time_seconds == 77


def test_a_line_names_session_and_process_at_its_end() -> None:
    assert str(Line(0, Message("ANR0001I", "text"), 5, 9)) == "ANR0001I text (SESSION: 5, PROCESS: 9)"


def test_an_unknown_id_and_a_missing_value_are_refused() -> None:
    with pytest.raises(KeyError):
        message("ANR0000E")
    with_values = next(i for i, row in catalogue().items() if "{" in row.text)
    with pytest.raises(KeyError):
        message(with_values)


def test_a_reason_that_is_a_sentence_brings_no_second_full_stop() -> None:
    row = {"volume": "v", "offset": 7, "reason": "the bytes do not match the digest."}
    assert str(message("ANR1330E", **row)).endswith("match the digest.")
    assert not str(message("ANR1330E", **row)).endswith("..")
