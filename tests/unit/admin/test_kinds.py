"""Values that only commands have."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.admin.kinds import (
    Choices,
    Clearable,
    Day,
    Password,
    PathPattern,
    Paths,
    Pattern,
    Patterns,
    SignedInteger,
    TimeOfDay,
    When,
    moment,
)
from farvault.model.attribute import BadValue, Choice, Name

KINDS = [
    Choices(Choice("READWrite", "READOnly")),
    Clearable(Name(30)),
    Day(),
    Password(),
    PathPattern(),
    Paths(),
    Pattern(),
    Patterns(),
    SignedInteger(-5, 5),
    TimeOfDay(),
]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Pattern(), "ann*", "ANN*"),
        (Patterns(), "a?,b*", ("A?", "B*")),
        (PathPattern(), "/Vol/*", "/Vol/*"),
        (Paths(), "/a,/B", ("/a", "/B")),
        (Choices(Choice("READWrite", "READOnly")), "readw,reado", ("READWRITE", "READONLY")),
        (Clearable(Name(30)), "", ""),
        (Clearable(Name(30)), "x", "X"),
        (SignedInteger(-5, 5), "-3", -3),
        (Password(), "Se Cret", "Se Cret"),
        (Day(), "today", When()),
        (Day(), "TODAY-3", When(offset=-3)),
        (Day(), "-3", When(offset=-3)),
        (Day(), "09/08/2001", When(absolute=datetime.date(2001, 9, 8))),
        (Day(), "2001-09-08", When(absolute=datetime.date(2001, 9, 8))),
        (TimeOfDay(), "now", When()),
        (TimeOfDay(), "now-1:30", When(offset=-5400)),
        (TimeOfDay(), "-0:05", When(offset=-300)),
        (TimeOfDay(), "7:05", When(absolute=datetime.time(7, 5))),
        (TimeOfDay(), "07:05:09", When(absolute=datetime.time(7, 5, 9))),
    ],
)
def test_each_kind_reads_its_values(kind: Any, text: str, value: Any) -> None:
    assert kind.parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Pattern(), ""),
        (Pattern(), "a b"),
        (Pattern(8), "LONGERTHAN"),
        (Patterns(), "a,,b"),
        (Choices(Choice("Yes", "No")), "yes,maybe"),
        (SignedInteger(-5, 5), "6"),
        (SignedInteger(-5, 5), "٣"),
        (Password(), ""),
        (Password(), "x" * 65),
        (Password(), "a\nb"),
        (Day(), ""),
        (Day(), "31/12/2001"),
        (Day(), "01/01/0001"),
        (Day(), "tomorrow"),
        (TimeOfDay(), ""),
        (TimeOfDay(), "25:00"),
    ],
)
def test_values_that_cannot_be(kind: Any, text: str) -> None:
    with pytest.raises(BadValue):
        kind.parse(text)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_any_text_is_a_value_that_can_be_shown_or_a_bad_value(kind: Any) -> None:
    @given(st.text(max_size=30))
    def check(text: str) -> None:
        try:
            value = kind.parse(text)
        except BadValue as wrong:
            assert str(wrong)
        else:
            assert isinstance(kind.show(value), str)

    check()
    assert kind.describe()


@pytest.mark.parametrize("day", ["today", "-9999", "12/31/8999", "01/01/1971"])
@pytest.mark.parametrize("time", ["now", "-999:59", "00:00", "23:59:59"])
def test_every_day_and_time_has_a_moment(day: str, time: str) -> None:
    assert isinstance(moment(Day().parse(day), TimeOfDay().parse(time), 1_700_000_000), int)


def test_a_day_and_a_time_make_a_moment() -> None:
    now = int(datetime.datetime(2024, 3, 10, 12, 0, 0).astimezone().timestamp())
    assert moment(When(), When(), now) == now
    assert moment(When(), When(offset=-3600), now) == now - 3600
    assert moment(When(offset=-1), When(absolute=datetime.time(0, 0)), now) == int(
        datetime.datetime(2024, 3, 9).astimezone().timestamp()
    )
