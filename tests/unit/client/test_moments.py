"""Dates as typed, the moments they mean, and which versions these choose."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.base.errors import BadInput
from farvault.client.commands import run
from farvault.client.moments import DateText, Moments, TimeText, moments
from farvault.client.options import OPTIONS, Options, check_place, resolve, split_command_line
from farvault.client.selection import Found, as_of, at_moments
from farvault.model.attribute import BadValue
from farvault.model.stored_object import ObjectState, ObjectType
from farvault.protocol.messages import ObjectRow

NOON = 1_800_000_000


@pytest.fixture(autouse=True)
def fixed_zone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("FARVAULT_CLIENT_CONFIG", raising=False)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def asked(*words: str, now: float = NOON) -> Moments:
    return moments(resolve(split_command_line(words)), now)


def local(text: str) -> int:
    return int(time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S")))


# --- dates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("12/31/2026", (2026, 12, 31)),
        ("2026-12-31", (2026, 12, 31)),
        ("1/2/2027", (2027, 1, 2)),
        ("02/29/2028", (2028, 2, 29)),
        ("2000-02-29", (2000, 2, 29)),
    ],
)
def test_a_date_may_be_written_in_two_ways(text: str, day: tuple[int, int, int]) -> None:
    assert DateText().parse(text) == day


@pytest.mark.parametrize(
    "text",
    [
        "",
        "31/12/2026",
        "2026-13-01",
        "2026-02-29",
        "2100-02-29",
        "1969-12-31",
        "12-31-2026",
        "2026/12/31",
        "12/31/26",
        "today",
        "2026-12-31 10:00",
        "\u0661/2/2027",
        "2026-00-10",
        "2026-10-00",
    ],
)
def test_anything_else_is_no_date(text: str) -> None:
    with pytest.raises(BadValue):
        DateText().parse(text)


@pytest.mark.parametrize(
    ("text", "hour"), [("23:59:59", (23, 59, 59)), ("0:00", (0, 0, 0)), ("08:05", (8, 5, 0))]
)
def test_seconds_may_be_left_out_of_a_time(text: str, hour: tuple[int, int, int]) -> None:
    assert TimeText().parse(text) == hour


@pytest.mark.parametrize("text", ["", "24:00", "12", "12:60", "12:00:60", "1:2", "12:00pm", "-1:00"])
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(BadValue):
        TimeText().parse(text)


@given(st.datetimes().filter(lambda moment: moment.year >= 1970))
def test_both_ways_mean_the_same_day(moment: object) -> None:
    year, month, day = moment.year, moment.month, moment.day  # type: ignore[attr-defined]
    assert DateText().parse(f"{month:02}/{day:02}/{year:04}") == (year, month, day)
    assert DateText().parse(f"{year:04}-{month}-{day}") == (year, month, day)


# --- moments ---------------------------------------------------------------------------------------------------------


def test_nothing_asked_is_no_moment() -> None:
    assert asked() == Moments(None, None, None)


def test_a_date_alone_is_the_end_of_its_day_for_a_point_in_time() -> None:
    assert asked("-pitdate=03/04/2026").point_in_time == local("2026-03-04 23:59:59")
    assert asked("-pitd=2026-03-04", "-pittime=10:30").point_in_time == local("2026-03-04 10:30:00")


def test_a_time_alone_is_today() -> None:
    now = local("2026-06-07 12:00:00")
    assert asked("-pittime=08:00", now=now).point_in_time == local("2026-06-07 08:00:00")
    assert asked("-fromtime=08:00", now=now).since == local("2026-06-07 08:00:00")


def test_an_interval_takes_in_both_of_its_days() -> None:
    made = asked("-fromdate=2026-03-04", "-todate=03/05/2026")
    assert made == Moments(None, local("2026-03-04 00:00:00"), local("2026-03-05 23:59:59"))
    assert made.holds(local("2026-03-05 23:59:59")) and made.holds(local("2026-03-04 00:00:00"))
    assert not made.holds(local("2026-03-06 00:00:00")) and not made.holds(local("2026-03-03 23:59:59"))


def test_daylight_saving_is_that_of_the_day_named() -> None:
    assert asked("-pitdate=2026-07-01", "-pittime=12:00").point_in_time == 1_782_900_000
    assert asked("-pitdate=2026-01-01", "-pittime=12:00").point_in_time == 1_767_265_200


def test_contradictions_are_refused() -> None:
    with pytest.raises(BadInput, match="ANS9814E"):
        asked("-pitdate=2026-03-04", "-fromdate=2026-03-01")
    with pytest.raises(BadInput, match="ANS9815E"):
        asked("-fromdate=2026-03-04", "-todate=2026-03-03")
    with pytest.raises(BadInput, match="ANS1108E"):
        asked("-pitdate=04.03.2026")


# --- which option has a meaning where --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "retrieve -inactive",
        "archive -latest",
        "incremental -pitdate=2026-01-01",
        "query archive -pittime=10:00",
        "selective -incrbydate",
        "selective -absolute",
        "delete archive -deltype=all",
        "restore -deltype=all",
        "restore -description=x",
        "backup -fromdate=2026-01-01",
        "expire -todate=2026-01-01",
        "query backup -ifnewer",
        "restore -console",
    ],
)
def test_an_option_without_a_meaning_for_a_command_is_refused(line: str) -> None:
    words = line.split()
    with pytest.raises(BadInput, match="ANS9813E"):
        check_place(split_command_line(words[-1:]), " ".join(words[:-1]).upper())


def test_every_command_named_in_the_table_of_options_exists() -> None:
    from farvault.client.commands import COMMANDS

    known = {" ".join(command.words).upper() for command in COMMANDS if command.work}
    assert {command for option in OPTIONS for command in option.commands} <= known


def test_a_command_says_so_before_it_does_anything(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["retrieve", "/x", "-inactive"]) == 12
    assert "ANS9813E -INACTIVE has no meaning for RETRIEVE." in capsys.readouterr().err


# --- versions --------------------------------------------------------------------------------------------------------


def version(number: int, inserted: int, ended: int = 0, name: bytes = b"f") -> Found:
    state = ObjectState.INACTIVE if ended else ObjectState.ACTIVE
    row = ObjectRow(number, 0, name, ObjectType.FILE, state, 1, inserted, ended, 0, b"", "")
    return Found(b"", row, "STANDARD")


HISTORY = [version(1, 100, 200), version(2, 200, 300), version(3, 400)]
"""Stored at 100, again at 200, deleted at 300, back at 400."""


@pytest.mark.parametrize(
    ("moment", "number"),
    [(99, 0), (100, 1), (199, 1), (200, 2), (299, 2), (300, 0), (399, 0), (400, 3), (9999, 3)],
)
def test_the_version_of_a_moment(moment: int, number: int) -> None:
    assert [each.row.id for each in as_of(HISTORY, moment)] == ([number] if number else [])


def test_each_name_has_its_own_history() -> None:
    found = [version(1, 100, 200, b"a"), version(2, 100, 300, b"b"), version(3, 250, 0, b"c")]
    assert [each.row.name for each in as_of(found, 250)] == [b"b", b"c"]


def test_two_versions_of_the_same_second_are_one() -> None:
    found = [version(1, 100, 200), version(2, 200, 200), version(3, 200)]
    assert [each.row.id for each in as_of(found, 200)] == [3]


def test_an_interval_chooses_by_the_day_a_version_was_stored() -> None:
    chosen = at_moments(HISTORY, Moments(None, 150, 399))
    assert [each.row.id for each in chosen] == [2]


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=8),
    st.booleans(),
    st.integers(0, 200),
)
def test_a_moment_shows_what_a_diary_of_the_file_says(steps: list[int], deleted: bool, moment: int) -> None:
    """Every version ends where the next begins: keep a diary second by second and compare."""
    starts = [sum(steps[: place + 1]) for place in range(len(steps))]
    ends = [*starts[1:], starts[-1] + 5 if deleted else 0]
    found = [version(number, *each) for number, each in enumerate(zip(starts, ends, strict=True), 1)]
    diary = 0
    for second in range(moment + 1):
        if second in starts:
            diary = starts.index(second) + 1
        elif deleted and second == ends[-1]:
            diary = 0
    assert [each.row.id for each in as_of(found, moment)] == ([diary] if diary else [])


def test_defaults_ask_for_nothing() -> None:
    assert moments(Options(), NOON) == Moments()
