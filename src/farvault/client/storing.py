"""The commands INCREMENTAL, SELECTIVE and ARCHIVE: from operands to summary."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from farvault.base.errors import BadInput, FarvaultError, MediaFull, NotFound
from farvault.client.backup import Backup, Task
from farvault.client.binding import Binding
from farvault.client.crew import Crew
from farvault.client.job import Job
from farvault.client.mounts import FileSpaces, read_mounts
from farvault.client.outgoing import Limits, Outgoing
from farvault.client.report import SKIPPED_FILE, Report
from farvault.client.scopes import Scope, from_domain, from_operand
from farvault.model.stored_object import ObjectKind
from farvault.policy.inclexcl import Rules


def incremental(job: Job, operands: list[str]) -> None:
    options = job.options
    if options.by_date and options.absolute:
        raise BadInput("ANS9814E", one="INCRBYDATE", other="ABSOLUTE")
    _store(job, operands, ObjectKind.BACKUP, compares=not options.by_date, by_date=options.by_date)


def selective(job: Job, operands: list[str]) -> None:
    job.report.line("Selective Backup function invoked.")
    _store(job, operands, ObjectKind.BACKUP, compares=False)


def archive(job: Job, operands: list[str]) -> None:
    job.report.line("Archive function invoked.")
    _store(job, operands, ObjectKind.ARCHIVE, compares=False)


def _store(job: Job, operands: list[str], kind: ObjectKind, *, compares: bool, by_date: bool = False) -> None:
    is_incremental = compares or by_date
    options, report = job.options, job.report
    mounts = read_mounts()
    spaces = FileSpaces(mounts, [os.fsencode(os.path.realpath(p)) for p in options.virtual_mount_points])
    session = job.session()
    policy = session.policy()
    now = session.welcome.server_time
    most_objects = max(1, session.welcome.transaction_objects)
    job.sessions.give_back(session)
    binding = Binding(
        policy,
        Rules(options.statements),
        kind,
        options,
        lambda name: report.say("ANS9807W", management_class=name, default=policy.default_class),
    )
    description = options.description or _default_description() if kind is ObjectKind.ARCHIVE else ""
    backup = Backup(
        Task(kind, compares, description, by_date),
        options,
        binding,
        spaces,
        job.sessions,
        report,
        lambda give: Outgoing(Limits(most_objects, options.transaction_bytes), give),
        now,
    )
    crew = backup.crew = Crew(
        job.consumer_settings(policy.compression),
        job.processes(),
        job.sessions,
        backup.outcomes.on_result,
        backup.outcomes.on_notice,
    )

    def scopes() -> Iterator[Scope]:
        if not operands:
            yield from from_domain(options.domain, options.virtual_mount_points, mounts)
        for text in operands:
            try:
                yield from_operand(text, spaces, options.subdir, whole_allowed=is_incremental)
            except FarvaultError as problem:
                report.error(problem)

    verb = "archived" if kind is ObjectKind.ARCHIVE else "backed up"
    with crew.at_work(report):
        any_scope = False
        for scope in scopes():
            any_scope = True
            _store_one(backup, scope, report, kind, is_incremental)
        if not any_scope and not operands:
            report.say("ANS1149E")
    report.summary(verb)


def _store_one(backup: Backup, scope: Scope, report: Report, kind: ObjectKind, is_incremental: bool) -> None:

    what = "Incremental backup of volume" if scope.whole else "Incremental backup of"
    if is_incremental:
        report.line(f"{what} '{scope.text}'")
    failed_before = report.counts.failed
    try:
        fine = backup.run(scope)
    except (NotFound, MediaFull) as problem:
        report.error(problem)
        return
    except OSError as problem:
        report.say("ANS9833E", spec=scope.text, reason=problem.strerror or str(problem))
        return
    failed = report.counts.failed - failed_before
    if is_incremental:
        if fine:
            report.line(f"Successful incremental backup of '{scope.text}'")
        else:
            report.say("ANS1802E", code=SKIPPED_FILE, spec=scope.text, failures=failed)
    elif fine:
        word = "Archive" if kind is ObjectKind.ARCHIVE else "Selective Backup"
        report.line(f"{word} processing of '{scope.text}' finished without failure.")
    else:
        number = "ANS1803E" if kind is ObjectKind.ARCHIVE else "ANS1804E"
        report.say(number, code=SKIPPED_FILE, spec=scope.text, failures=failed)


def _default_description() -> str:
    return "Archive Date: " + time.strftime("%m/%d/%Y")
