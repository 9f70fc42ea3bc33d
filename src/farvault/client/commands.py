"""The commands of `farvault client`: their words and abbreviations, and what each of them runs.

`run(arguments)` is one command from option file to return code. Nothing is imported that the command does not need: an
unchanged backup of a small machine takes little longer than starting Python.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Final, NamedTuple, TextIO

from farvault import __version__
from farvault.base.errors import (
    BadInput,
    FarvaultError,
    LoginRefused,
    NotAvailable,
    NotFound,
    PeerUnreachable,
)
from farvault.base.messages.page import is_message_number, pages
from farvault.client.job import Job
from farvault.client.options import (
    OPTIONS,
    CommandLine,
    Options,
    Where,
    check_place,
    resolve,
    split_command_line,
)
from farvault.client.report import ERROR, OutputClosed, Report
from farvault.model.attribute import abbreviates
from farvault.policy.inclexcl import VERBS
from farvault.transport.known_servers import KnownServers


class Command(NamedTuple):
    """One command. `words` with capitals as the shortest abbreviation.

    `work`: `module.function` below `farvault.client`, called with the job and its operands; empty for a command that is
    known but not there yet. `operands`: least and most of them.
    """

    words: tuple[str, ...]
    summary: str = ""
    work: str = ""
    operands: tuple[int, int] = (0, 0)


COMMANDS: Final[tuple[Command, ...]] = (
    Command(
        ("Incremental",),
        "back up what is new or changed, expire what is gone",
        "storing.incremental",
        (0, 20),
    ),
    Command(("Selective",), "back up the files named, changed or not", "storing.selective", (1, 20)),
    Command(
        ("ARchive",),
        "keep a copy of the files named for as long as the class says",
        "storing.archive",
        (1, 20),
    ),
    Command(("RESTore",), "bring back backup copies: source [destination]", "getting_back.restore", (1, 2)),
    Command(
        ("RETrieve",), "bring back archive copies: source [destination]", "getting_back.retrieve", (1, 2)
    ),
    Command(("Query", "Backup"), "list backup copies", "query.backup_copies", (1, 1)),
    Command(("Query", "ARchive"), "list archive copies", "query.archive_copies", (1, 1)),
    Command(("Query", "Filespace"), "list this node's file spaces", "query.file_spaces"),
    Command(("Query", "SEssion"), "show the session with the server", "query.session_information"),
    Command(("Query", "Options"), "show the options in effect", "query.options_in_effect"),
    Command(
        ("Query", "Mgmtclass"), "list the management classes this node may use", "query.management_classes"
    ),
    Command(
        ("Query", "Inclexcl"),
        "list the include-exclude statements, or judge a path by them",
        "lists.query_list",
        (0, 1),
    ),
    Command(
        ("PREview", "Backup"),
        "write to a file what would be sent, left out, and the class",
        "preview.backup",
        (1, 20),
    ),
    Command(("PREview", "ARchive"), "the same for ARCHIVE", "preview.archive", (1, 20)),
    Command(("EXPire",), "make active backup copies inactive, whatever is here", "deleting.expire", (1, 20)),
    Command(("DELete", "BAckup"), "delete backup copies at the server", "deleting.backup_copies", (1, 20)),
    Command(("DELete", "ARchive"), "delete archive copies at the server", "deleting.archive_copies", (1, 20)),
    Command(
        ("DELete", "Filespace"), "delete a file space and all that is in it", "deleting.file_space", (0, 1)
    ),
    Command(
        ("Help",), "this page; with the number of a message: what it means", "commands.show_help", (0, 2)
    ),
    Command(("Query", "ACcess")),
    Command(("Query", "RESTore")),
    Command(("Query", "SChedule")),
    Command(("Query", "SYSTEMInfo")),
    Command(("RESTARt", "Restore")),
    Command(("CANcel", "Restore")),
    Command(("DELete", "ACcess")),
    Command(("MACro",)),
    Command(("LOOP",)),
    Command(("SCHedule",)),
    Command(("SET", "Access")),
    Command(("SET", "Password")),
)
"""Earlier ones win where an abbreviation fits two."""


def find_command(words: list[str]) -> tuple[Command, list[str]]:
    """The command a line begins with, and its operands. `BadInput` (ANS9808E) for an unknown one."""
    for command in COMMANDS:
        size = len(command.words)
        if len(words) >= size and all(map(abbreviates, words[:size], command.words)):
            return command, words[size:]
    raise BadInput("ANS9808E", command=" ".join(words[:2]))


def run(arguments: Sequence[str], *, output: TextIO | None = None, errors: TextIO | None = None) -> int:
    """One command line; returns 0, 4, 8 or 12."""
    report = Report(quiet=True, output=output, errors=errors)
    try:
        line = split_command_line(arguments)
        command, operands = find_command(line.words or ["help"])
        if not command.work:
            raise NotAvailable("ANS9809E", command=" ".join(command.words).upper())
        check_place(line, " ".join(command.words).upper())
        options = _options_for(command, line)
        least, most = command.operands
        if len(operands) < least:
            raise BadInput("ANS1079E")
        if len(operands) > most:
            raise BadInput("ANS9810E", operands=len(operands), most=most)
        report = Report(quiet=options.quiet, verbose=options.verbose, output=output, errors=errors)
        _execute(command, options, report, operands)
    except FarvaultError as problem:
        report.end_progress()
        report.error(problem)
    except KeyboardInterrupt:
        report.end_progress()
        report.say("ANS2820E")
    except (OutputClosed, BrokenPipeError):
        report.raise_code(ERROR)  # nobody is there any more to be told
    except OSError as problem:
        report.end_progress()
        path = f"{os.fsdecode(problem.filename)}: " if isinstance(problem.filename, str | bytes) else ""
        report.say("ANS9831E", reason=path + (problem.strerror or str(problem)))
    except Exception as defect:  # noqa: BLE001 - whatever it is, a person gets a message and a return code
        report.end_progress()
        place = traceback.extract_tb(defect.__traceback__)[-1]
        report.say("ANS9999E", error=repr(defect), place=f"{os.path.basename(place.filename)}:{place.lineno}")
    finally:
        report.end_progress()
        report.end()
    return report.return_code


def _options_for(command: Command, line: CommandLine) -> Options:
    if command.words == ("Help",):
        return replace(Options(), quiet=True)
    return resolve(line)


def _execute(command: Command, options: Options, report: Report, operands: list[str]) -> None:
    job = Job(options, report, sys.stdin)
    module, _, function = command.work.partition(".")
    work: Callable[[Job, list[str]], None] = getattr(import_module(f"farvault.client.{module}"), function)
    try:
        work(job, operands)
    except LoginRefused as refused:
        report.end_progress()
        report.repeat(refused.message, code=ERROR)
        report.say("ANS1025E", node=job.node)
        if refused.message.id == "ANR8599E" and not options.fingerprint:
            report.say("ANS9823I", server=f"{options.address}:{options.port}", path=KnownServers().path)
    except PeerUnreachable as problem:
        report.end_progress()
        report.repeat(problem.message, code=ERROR)
        report.say("ANS1017E", server=f"{options.address}:{options.port}")
    finally:
        job.sessions.close()


def show_help(job: Job, operands: list[str]) -> None:
    """The page of HELP, or what a message means: `help ANS9803E`."""
    report = job.report
    if len(operands) == 1 and is_message_number(operands[0]):
        found = pages(operands[0])
        if not found:
            raise NotFound("ANS9824E", number=operands[0].upper())
        report.answer("\n\n".join(found))
        return
    report.answer(f"Farvault backup-archive client, version {__version__}\n")
    report.answer("farvault client COMMAND [operands] [-option=value ...]\n")
    for each in COMMANDS:
        if each.work:
            report.answer(f"  {' '.join(each.words):<20} {each.summary}")
    shown = [(option.keyword, option.where) for option in OPTIONS if option.field]
    shown += [("OPTFile", Where.COMMAND), ("INCLExcl", Where.ANYWHERE)]
    report.answer("\nOptions (capitals are the shortest abbreviation):")
    _show_names(report, sorted(f"-{keyword}" for keyword, where in shown if where is not Where.FILE))
    report.answer("\nIn the option file only:")
    statements = [verb for verb, purposes in VERBS.items() if purposes]
    _show_names(report, sorted([*statements, *(keyword for keyword, where in shown if where is Where.FILE)]))


def _show_names(report: Report, names: list[str]) -> None:
    for start in range(0, len(names), 5):
        report.answer("  " + " ".join(f"{name:<23}" for name in names[start : start + 5]).rstrip())
