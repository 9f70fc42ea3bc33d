"""The layouts scripts read: columns of lines and figures, and the return code (TSM reference, clients 12)."""

from __future__ import annotations

import io

import pytest

from farvault.base.units import GIB
from farvault.client.report import Report


def report() -> tuple[Report, io.StringIO, io.StringIO]:
    output, errors = io.StringIO(), io.StringIO()
    return Report(output=output, errors=errors), output, errors


def test_lines_of_objects_are_those_of_the_reference() -> None:
    made, output, _ = report()
    made.object_line("Normal File", 85113, "/var/log/secure", "  Changed")
    made.object_line("Normal File", 21841, "/var/log/messages", " [Sent]", retry=1)
    assert output.getvalue().splitlines() == [
        "Normal File-->            85,113 /var/log/secure  Changed",
        "Retry # 1  Normal File-->            21,841 /var/log/messages [Sent]",
    ]


def test_every_figure_of_the_summary_ends_in_column_47() -> None:
    made, output, _ = report()
    made.counts.inspected, made.counts.inspected_bytes = 27_843_085, int(438.16 * GIB)
    made.summary("backed up")
    lines = output.getvalue().splitlines()
    assert "Total number of objects inspected:   27,843,085" in lines
    assert "Total number of bytes inspected:         438.16 GB" in lines
    assert "Total number of bytes transferred:            0  B" in lines
    assert all(line[46].isdigit() for line in lines if line)


def test_the_summary_of_a_backup_has_the_lines_of_the_reference_in_its_order() -> None:
    made, output, _ = report()
    made.summary("backed up")
    assert [line.partition(":")[0] for line in output.getvalue().splitlines() if line] == [
        "Total number of objects inspected",
        "Total number of objects backed up",
        "Total number of objects updated",
        "Total number of objects rebound",
        "Total number of objects deleted",
        "Total number of objects expired",
        "Total number of objects failed",
        "Total number of objects encrypted",
        "Total objects deduplicated",
        "Total number of objects grew",
        "Total number of retries",
        "Total number of bytes inspected",
        "Total number of bytes processed",
        "Total bytes before deduplication",
        "Total bytes after deduplication",
        "Total number of bytes transferred",
        "Data transfer time",
        "Network data transfer rate",
        "Aggregate data transfer rate",
        "Objects compressed by",
        "Deduplication reduction",
        "Total data reduction ratio",
        "Elapsed processing time",
    ]


def test_a_restore_counts_only_what_a_restore_has() -> None:
    made, output, _ = report()
    made.summary("restored")
    text = output.getvalue()
    assert "objects restored:" in text and "inspected" not in text and "expired" not in text


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ([], 0),
        ([("ANS9806I", None)], 0),
        ([("ANS1092W", None)], 8),
        ([("ANS1079E", None)], 12),
        ([("ANS1079E", 4)], 4),
        ([("ANS1092W", None), ("ANS1079E", 4)], 8),
    ],
)
def test_the_return_code_is_the_highest(said: list[tuple[str, int | None]], code: int) -> None:
    made, _, _ = report()
    for message_id, weight in said:
        made.say(message_id, code=weight, server="x", fingerprint="x")
    assert made.return_code == code


def test_messages_go_to_the_error_stream_and_quiet_keeps_them() -> None:
    output, errors = io.StringIO(), io.StringIO()
    made = Report(quiet=True, output=output, errors=errors)
    made.line("chatter")
    made.say("ANS1079E")
    assert output.getvalue() == "" and "ANS1079E" in errors.getvalue()


class Terminal(io.StringIO):
    """Something a person looks at."""

    def isatty(self) -> bool:
        return True


def test_the_progress_line_begins_with_the_work_so_that_a_question_stands_alone() -> None:
    screen = Terminal()
    made = Report(output=screen, errors=screen)
    made.answer("Do you wish to delete it?")
    made.summary("restored")
    assert "\x1b" not in screen.getvalue(), "nothing moves where nothing is counted"
    made.count_inspected()
    assert "0 done, 0 failed" in screen.getvalue()
    made.end_progress()


def test_errors_go_where_errors_go_also_beside_a_progress_line() -> None:
    screen, errors = Terminal(), io.StringIO()
    made = Report(output=screen, errors=errors)
    made.count_inspected()
    made.say("ANS1079E")
    made.end_progress()
    assert errors.getvalue().startswith("ANS1079E") and "ANS1079E" not in screen.getvalue()
