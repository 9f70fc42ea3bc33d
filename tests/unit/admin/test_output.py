"""Layouts of query output, letter for letter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from farvault.admin.output import (
    COMMA,
    JSON,
    LIST,
    TAB,
    TABLE,
    Column,
    Report,
    count_column,
    days_column,
    of_attribute,
    percent_column,
    render,
    row_of,
    time_column,
    yes_column,
)
from farvault.model.storage_pool import COPY, StoragePool

COLUMNS = (
    Column(key="name", label="Storage Pool Name"),
    Column(key="device_class", label="Device Class Name"),
    count_column("capacity", "Estimated Capacity (MB)"),
    percent_column("used", "Pct Util"),
    Column(key="next", label="Next Storage Pool"),
)
ROWS: list[dict[str, Any]] = [
    {"name": "BACKUPPOOL", "device_class": "DISK", "capacity": 6144, "used": 0.84, "next": "TAPEPOOL"},
    {"name": "TAPEPOOL", "device_class": "TAPECLASS", "capacity": 58, "used": 12.0},
]


def layout(style: str = "", width: int = 0, rows: list[dict[str, Any]] = ROWS, detailed: bool = False) -> str:
    return "\n".join(render(Report(columns=COLUMNS, rows=rows, detailed=detailed), style, width))


def test_a_table_has_wrapped_headings_and_five_blanks_between_columns() -> None:
    assert layout() == (
        "               Device        Estimated              Next\n"
        "Storage        Class          Capacity      Pct     Storage\n"
        "Pool Name      Name               (MB)     Util     Pool\n"
        "----------     ---------     ---------     ----     --------\n"
        "BACKUPPOOL     DISK              6,144      0.8     TAPEPOOL\n"
        "TAPEPOOL       TAPECLASS            58     12.0"
    )


def test_columns_move_together_before_anything_wraps() -> None:
    assert layout(width=50) == (
        "            Device     Estimated        Next\n"
        "Storage     Class       Capacity   Pct  Storage\n"
        "Pool Name   Name            (MB)  Util  Pool\n"
        "----------  ---------  ---------  ----  --------\n"
        "BACKUPPOOL  DISK           6,144   0.8  TAPEPOOL\n"
        "TAPEPOOL    TAPECLASS         58  12.0"
    )


def test_long_names_break_with_a_hyphen_and_go_on_one_blank_in() -> None:
    rows = [{**ROWS[0], "name": "/var/farvault/volumes/00000001.BFS"}]
    assert layout(width=56, rows=rows) == (
        "                       Device  Estimated        Next\n"
        "                       Class    Capacity   Pct  Storage\n"
        "Storage Pool Name      Name         (MB)  Util  Pool\n"
        "---------------------  ------  ---------  ----  --------\n"
        "/var/farvault/volume-  DISK        6,144   0.8  TAPEPOOL\n"
        " s/00000001.BFS"
    )


def test_too_narrow_for_a_table_makes_a_list() -> None:
    assert layout(width=30, rows=ROWS[:1]) == (
        "      Storage Pool Name: BACKUPPOOL\n"
        "      Device Class Name: DISK\n"
        "Estimated Capacity (MB): 6,144\n"
        "               Pct Util: 0.8\n"
        "      Next Storage Pool: TAPEPOOL"
    )


def test_a_detailed_report_is_a_list_with_blank_lines_between_objects() -> None:
    text = layout(detailed=True, width=80)
    assert text.count("\n\n") == 1
    assert "      Next Storage Pool:\n" not in text
    assert text.endswith("      Next Storage Pool:")


def test_styles_overrule_the_natural_form() -> None:
    assert layout(LIST).startswith("      Storage Pool Name: BACKUPPOOL")
    assert "----------  ---------" in layout(TABLE, width=20)
    assert "----------     ---------" in layout(TABLE, detailed=True)


def test_comma_values_are_quoted_where_they_must_be() -> None:
    rows = [{"name": 'A "B"', "device_class": "x,y", "capacity": 1, "used": 0.0, "next": ""}]
    assert layout(COMMA, rows=rows) == '"A ""B""","x,y",1,0.0,'
    assert layout(COMMA).splitlines()[0] == 'BACKUPPOOL,DISK,"6,144",0.8,TAPEPOOL'


@pytest.mark.parametrize(("style", "mark"), [(TAB, "\t"), (COMMA, ",")])
def test_a_value_is_one_line_without_tabs_and_draws_nothing(style: str, mark: str) -> None:
    rows = [{"name": "A\tB\n\x1b[1mC", "device_class": "\u3000", "capacity": 1, "used": 0.0, "next": "z"}]
    assert layout(style, rows=rows) == mark.join(("A\\x09B\\x0a\\x1b[1mC", "\u3000", "1", "0.0", "z"))


def test_json_has_real_types_and_leaves_out_what_an_object_does_not_have() -> None:
    found = json.loads(layout(JSON))
    assert found[0] == {
        "name": "BACKUPPOOL",
        "device_class": "DISK",
        "capacity": 6144,
        "used": 0.84,
        "next": "TAPEPOOL",
    }
    assert "next" not in found[1]


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1500])
def test_json_of_any_length_is_one_complete_list(count: int) -> None:
    assert len(json.loads(layout(JSON, rows=ROWS[:1] * count))) == count


@pytest.mark.parametrize("style", ["", LIST, COMMA, TAB])
def test_no_rows_make_no_output(style: str) -> None:
    assert layout(style, rows=[]) == ""


def test_a_long_report_streams_and_keeps_its_columns() -> None:
    rows = ({**ROWS[0], "capacity": number} for number in range(1200))
    report = Report(columns=COLUMNS, rows=rows)
    blocks = list(render(report, "", 0))
    assert len(blocks) == 3
    lines = "\n".join(blocks).splitlines()
    assert len(lines) == 4 + 1200
    assert len({line.index("TAPEPOOL") for line in lines[4:]}) == 1


def test_messages_wrap_at_blanks() -> None:
    columns = (
        time_column("said_time", "Date/Time"),
        Column(key="text", label="Message", wrap_words=True),
    )
    row = {"said_time": 1_000_000_000, "text": "ANR0916I Server DELHI is ready on port 1500 of this machine."}
    lines = "\n".join(render(Report(columns=columns, rows=[row]), "", 60)).splitlines()
    assert lines[2].endswith("ANR0916I Server DELHI is ready on port")
    assert lines[3].strip() == "1500 of this machine."
    assert lines[3].index("1500") == lines[2].index("ANR0916I") + 1


def test_columns_of_attributes_follow_their_declaration() -> None:
    pool = StoragePool(
        name="COPYPOOL",
        device_class="VV",
        pool_type="COPY",
        variant=COPY,
        max_scratch=20000,
        offsite_reclaim_limit=None,
    )
    columns = tuple(
        of_attribute(StoragePool, field)
        for field in ("name", "high_migration_percent", "max_scratch", "offsite_reclaim_limit", "crc_data")
    )
    report = Report(columns=columns, rows=[row_of(pool, COPY)])
    assert "\n".join(render(report, COMMA, 0)) == 'COPYPOOL,,"20,000",No Limit,No'


def test_days_are_counted_from_a_time_until_now() -> None:
    column = days_column("seen", "Days Since", 10 * 86400)
    assert [column.show(t) for t in (0, None, 10 * 86400 - 5, 9 * 86400, 86400)] == ["", "", "<1", "1", "9"]


def test_json_times_are_iso_and_never_is_null() -> None:
    columns = (time_column("seen_time", "Seen"), yes_column("locked", "Locked?"))
    rows = [{"seen_time": 1_000_000_000, "locked": True}, {"seen_time": 0, "locked": False}]
    assert json.loads("\n".join(render(Report(columns=columns, rows=rows), JSON, 0))) == [
        {"seen_time": "2001-09-09T01:46:40Z", "locked": True},
        {"seen_time": None, "locked": False},
    ]
