"""QUERY INCLEXCL: the include-exclude list in the order in which it is asked, or what it says about one path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from farvault.client.job import Job
from farvault.client.mounts import show_path
from farvault.client.report import WARNING, Report
from farvault.policy.inclexcl import Purpose, Rules, Statement

_FUNCTIONS: Final = {
    "EXCLUDE": "All",
    "EXCLUDE.FILE": "All",
    "EXCLUDE.BACKUP": "Backup",
    "EXCLUDE.FILE.BACKUP": "Backup",
    "EXCLUDE.ARCHIVE": "Archive",
    "EXCLUDE.SPACEMGMT": "Spacemgmt",
    "EXCLUDE.DIR": "Directory",
    "EXCLUDE.FS": "Filespace",
    "INCLUDE": "All",
    "INCLUDE.FILE": "Backup",
    "INCLUDE.BACKUP": "Backup",
    "INCLUDE.ARCHIVE": "Archive",
}
"""Statement -> what the column Function shows. `All` is backup and space management, never archive."""


def query_list(job: Job, operands: list[str]) -> None:
    rules = Rules(job.options.statements)
    if operands:
        _judge(rules, os.path.abspath(os.fsencode(operands[0])), job.report)
        return
    rows = list(in_order(rules))
    if not rows:
        job.report.say("ANS1092W", code=WARNING)
        return
    detail = job.options.detail
    job.report.answer("*** FILE INCLUDE/EXCLUDE ***")
    title = "Mode Function   Pattern (match from top down)       "
    job.report.answer(f"{title}{'Mgmt Class  ' if detail else ''}Source File")
    job.report.answer(
        f"---- ---------- ----------------------------------- {'----------- ' if detail else ''}-----------"
    )
    for each in rows:
        mode = "Excl" if each.is_exclude else "Incl"
        management_class = f"{each.management_class or '-':<11} " if detail else ""
        job.report.answer(
            f"{mode} {_FUNCTIONS[each.verb]:<10} {each.pattern:<35} {management_class}{each.source or 'Command line'}"
        )


def in_order(rules: Rules) -> Iterator[Statement]:
    """As they are asked: file spaces, then directories, then files, the last statement first."""
    first = (Purpose.FILE_SPACE, Purpose.DIRECTORY)
    for purpose in first:
        yield from (each for each in reversed(rules.statements) if purpose in each.purposes)
    yield from (each for each in reversed(rules.statements) if not set(first) & set(each.purposes))


def decided_by(rules: Rules, path: bytes, purpose: Purpose) -> tuple[bool, str, Statement | None]:
    """(excluded, class, the statement that says so) for a file, folders above it included."""
    ends = [i for i, byte in enumerate(path) if byte == 0x2F and i]
    for end in ends:
        above = rules.decide(path[:end], Purpose.DIRECTORY)
        if above.excluded:
            return True, "", above.statement
    decision = rules.decide(path, purpose)
    return decision.excluded, decision.management_class, decision.statement


def text_of(statement: Statement | None) -> str:
    """The statement as it was written, and where."""
    if statement is None:
        return ""
    words = (statement.verb, statement.pattern, statement.management_class)
    return " ".join(word for word in words if word) + (f" ({statement.source})" if statement.source else "")


def _judge(rules: Rules, path: bytes, report: Report) -> None:
    report.answer(f"File: {show_path(path)}")
    for purpose in (Purpose.BACKUP, Purpose.ARCHIVE):
        excluded, management_class, statement = decided_by(rules, path, purpose)
        word = "excluded" if excluded else "included"
        bound = "" if excluded else f", class {management_class or 'as by default'}"
        reason = f", by {text_of(statement)}" if statement is not None else ", no statement matches"
        report.answer(f"  {purpose.value.capitalize():<8}: {word}{bound}{reason}")
