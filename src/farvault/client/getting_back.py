"""The commands RESTORE and RETRIEVE: from operands to summary."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from farvault.client.crew import Crew
from farvault.client.job import Job
from farvault.client.moments import moments
from farvault.client.restore import Restore
from farvault.client.selection import (
    Found,
    at_moments,
    considers_inactive,
    find,
    newest,
    place,
    resolve_source,
)
from farvault.model.stored_object import ObjectKind


def restore(job: Job, operands: list[str]) -> None:
    job.report.line("Restore function invoked.")
    _get_back(job, operands, ObjectKind.BACKUP)


def retrieve(job: Job, operands: list[str]) -> None:
    job.report.line("Retrieve function invoked.")
    _get_back(job, operands, ObjectKind.ARCHIVE)


def _get_back(job: Job, operands: list[str], kind: ObjectKind) -> None:

    options, report = job.options, job.report
    asked = moments(options, time.time())
    session = job.session()
    source = resolve_source(operands[0], session, options.subdir)
    placement = place(source, operands[1] if len(operands) > 1 else None, options)
    verb = "Restoring" if kind is ObjectKind.BACKUP else "Retrieving"
    ask = _asker(job) if job.stdin.isatty() and not options.no_prompt else None
    run = Restore(placement, options, report, verb, ask)
    crew = run.crew = Crew(
        job.consumer_settings(),
        job.processes(),
        job.sessions,
        run.on_result,
        run.on_notice,
    )
    count = 0

    def counted() -> Iterator[Found]:
        nonlocal count
        several = considers_inactive(options, asked)
        found = find(session, source, kind, options, all_versions=several)
        for each in newest(at_moments(found, asked)):
            count += 1
            yield each
        job.sessions.give_back(session)

    with contextlib.closing(run), crew.at_work(report):
        run.run(counted())
        if not count:
            report.say("ANS1084E", spec=operands[0])
    report.summary("restored" if kind is ObjectKind.BACKUP else "retrieved")


def _asker(job: Job) -> Callable[[str], str]:
    """Asks about each existing file, as TSM does (clients 12.3)."""
    choices = {"1": "YES", "2": "ALL", "3": "NO", "4": "NONE", "A": "ABORT"}

    def ask(path: str) -> str:
        job.report.end_progress()
        write = job.report.answer
        write("--- User Action is Required ---")
        write(f"File '{path}' exists\n")
        write("Select an appropriate action")
        for number, text in enumerate(
            ("Replace this object", "Replace all objects that already exist", "Skip this object"), 1
        ):
            write(f"  {number}. {text}")
        write("  4. Skip all objects that already exist")
        write("  A. Abort this operation")
        while True:
            print("Action [1,2,3,4,A] : ", end="", flush=True)
            answer = job.stdin.readline()
            if not answer:
                return "ABORT"
            if (chosen := choices.get(answer.strip().upper())) is not None:
                return chosen

    return ask
