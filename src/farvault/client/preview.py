"""PREVIEW BACKUP and PREVIEW ARCHIVE: what the list and the policy say about each file, as a report. Sends nothing.

The report is a text file with a line an object, its columns divided by tabs. It says what may be sent and to which
class it would be bound; whether the server has it already is not asked.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Final, TextIO

from farvault.base.errors import BadInput, FarvaultError
from farvault.client.attributes import object_type
from farvault.client.binding import Binding, Bound
from farvault.client.filespec import matcher
from farvault.client.job import Job
from farvault.client.lists import text_of
from farvault.client.mounts import FileSpaces, join_path, read_mounts, show_path
from farvault.client.reading import failure_message
from farvault.client.report import SKIPPED_FILE
from farvault.client.scopes import Scope, from_operand
from farvault.client.walk import walk
from farvault.model.stored_object import ObjectKind
from farvault.policy.inclexcl import Purpose, Rules, Statement

DEFAULT_NAME: Final = "dsmprev.txt"
_HEADER: Final = ("Status", "Type", "Size", "Mgmt Class", "Path", "Decided by")


def backup(job: Job, operands: list[str]) -> None:
    _preview(job, operands, ObjectKind.BACKUP)


def archive(job: Job, operands: list[str]) -> None:
    _preview(job, operands, ObjectKind.ARCHIVE)


def _preview(job: Job, operands: list[str], kind: ObjectKind) -> None:
    options, report = job.options, job.report
    session = job.session()
    policy = session.policy()
    job.sessions.give_back(session)
    rules = Rules(options.statements)
    binding = Binding(
        policy,
        rules,
        kind,
        options,
        lambda name: report.say("ANS9807W", management_class=name, default=policy.default_class),
    )
    spaces = FileSpaces(
        read_mounts(), [os.fsencode(os.path.realpath(path)) for path in options.virtual_mount_points]
    )
    path = options.file_name or DEFAULT_NAME
    with _Writer(None if options.console else path, report.answer) as writer:
        preview = _Preview(job, binding, rules, spaces, kind, writer)
        for text in operands:
            try:
                scope = from_operand(text, spaces, options.traverse, whole_allowed=kind is ObjectKind.BACKUP)
                preview.run(scope)
            except FarvaultError as problem:
                report.error(problem)
    report.answer(
        f"{preview.included:,} objects would be sent or compared, {preview.excluded:,} are left out."
    )
    if not options.console:
        report.answer(f"Preview report written to {os.path.abspath(path)}")


class _Writer:
    """Lines to a file or to the person."""

    def __init__(self, path: str | None, show: Callable[[str], None]) -> None:
        self._file: TextIO | None = None
        self._show = show
        if path is not None:
            try:
                self._file = open(path, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
            except OSError as problem:
                raise BadInput("ANS4028E", path=path, reason=problem.strerror or str(problem)) from None
        self.row(*_HEADER)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def row(self, *values: str) -> None:
        line = "\t".join(value.replace("\t", " ") for value in values)
        if self._file is None:
            self._show(line)
        else:
            self._file.write(line + "\n")


class _Preview:
    """One report over all operands."""

    def __init__(
        self, job: Job, binding: Binding, rules: Rules, spaces: FileSpaces, kind: ObjectKind, writer: _Writer
    ) -> None:
        self._report = job.report
        self._options = job.options
        self._binding = binding
        self._rules = rules
        self._spaces = spaces
        self._purpose = Purpose.ARCHIVE if kind is ObjectKind.ARCHIVE else Purpose.BACKUP
        self._writer = writer
        self.included = self.excluded = 0

    def run(self, scope: Scope) -> None:
        if self._binding.excludes_file_space(scope.root):
            self._leave_out(
                "Filespace", 0, scope.root, self._rules.decide(scope.root, Purpose.FILE_SPACE).statement
            )
            return
        matches = matcher(scope.pattern) if scope.pattern else None
        root = os.open(scope.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for folder in walk(
                root,
                scope.directory,
                below=scope.below,
                may_enter=lambda directory: self._may_enter(join_path(scope.root, directory)),
            ):
                prefix = join_path(scope.root, folder.directory)
                if folder.problem is not None:
                    number, reason = failure_message(folder.problem), folder.problem.strerror or ""
                    self._report.say(number, code=SKIPPED_FILE, path=show_path(prefix), reason=reason)
                for name, st in folder.entries:
                    if matches is None or matches(name):
                        self._judge(prefix.rstrip(b"/") + b"/" + name, st)
        finally:
            os.close(root)

    def _may_enter(self, path: bytes) -> bool:
        return not self._spaces.is_root(path) and not self._binding.excludes_folder(path)

    def _judge(self, path: bytes, st: os.stat_result) -> None:
        is_folder = stat.S_ISDIR(st.st_mode)
        found = object_type(st.st_mode)
        if found is None or (self._options.files_only if is_folder else self._options.directories_only):
            return
        kind = found.name.capitalize()
        size = st.st_size if stat.S_ISREG(st.st_mode) else 0
        if is_folder:
            decision = self._rules.decide(path, Purpose.DIRECTORY)
            bound: Bound | None = None if decision.excluded else self._binding.of_folders
        else:
            decision = self._rules.decide(path, self._purpose)
            bound = self._binding.of_file(path)
        if bound is None:
            self._leave_out(kind, size, path, decision.statement)
        elif bound.group is None:
            self.excluded += 1
            why = f"class {bound.name} has no {self._purpose.value} copy group"
            self._writer.row("Failed", kind, f"{size:,}", bound.name, show_path(path), why)
        else:
            self.included += 1
            by = "" if is_folder else text_of(decision.statement)
            self._writer.row("Included", kind, f"{size:,}", bound.name, show_path(path), by)

    def _leave_out(self, kind: str, size: int, path: bytes, by: Statement | None) -> None:
        self.excluded += 1
        self._writer.row("Excluded", kind, f"{size:,}", "", show_path(path), text_of(by))
