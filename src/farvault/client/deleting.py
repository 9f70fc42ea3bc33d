"""DELETE BACKUP, DELETE ARCHIVE, DELETE FILESPACE and EXPIRE (TSM reference, clients 8.3 and 8.4).

What is listed passes by in one session and is taken away in another, a few thousand objects at a time, so memory stays
flat. Everything is asked first, unless -noprompt says that a person has thought about it. A second run goes on where
the first one stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from farvault.base.errors import BadInput, FarvaultError, NotAuthorized, NotFound, PeerUnreachable
from farvault.client.job import Job
from farvault.client.moments import Moments, moments
from farvault.client.mounts import join_path, show_path
from farvault.client.report import WARNING
from farvault.client.selection import Found, Source, at_moments, find, resolve_source
from farvault.client.session import NodeSession
from farvault.model.stored_object import ObjectKind, ObjectState
from farvault.protocol import messages as m

_GONE: Final = "ANR0558W"
"""The server's answer where one of the objects is not there."""
BATCH_OBJECTS: Final = 5000
"""Objects in one request: their paths are kept until it is answered."""


def backup_copies(job: Job, operands: list[str]) -> None:
    """DELETE BACKUP: active versions, or those DELTYPE says."""
    wanted = {"ACTIVE": {ObjectState.ACTIVE}, "INACTIVE": {ObjectState.INACTIVE}}.get(job.options.delete_type)
    _check_right(job, ObjectKind.BACKUP)
    _each(job, operands, ObjectKind.BACKUP, "delete", lambda row: wanted is None or row.state in wanted)


def archive_copies(job: Job, operands: list[str]) -> None:
    _check_right(job, ObjectKind.ARCHIVE)
    _each(job, operands, ObjectKind.ARCHIVE, "delete", lambda _: True)


def expire(job: Job, operands: list[str]) -> None:
    """EXPIRE: active versions become inactive, whether the files are still here or not."""
    _each(job, operands, ObjectKind.BACKUP, "expire", lambda row: row.state == ObjectState.ACTIVE)


def file_space(job: Job, operands: list[str]) -> None:
    """DELETE FILESPACE: by name, by number, or chosen from a list."""
    session, report = job.session(), job.report
    rows = session.file_spaces()
    if not rows:
        report.say("ANS1092W", code=WARNING)
        return
    row = _chosen(job, rows, operands[0]) if operands else _asked_for(job, rows)
    if row is None:
        return
    if not _is_confirmed(job, f"delete file space {row.name} and everything in it"):
        return
    gone = _delete_file_space(session, row.name)
    job.sessions.give_back(session)
    if gone:
        report.line(f"File space {row.name} is deleted.")
    else:
        report.say("ANS9819W", file_space=row.name)


def _delete_file_space(session: NodeSession, name: str) -> bool:
    """Waits for the end; True where the file space is gone."""
    session.connection.send(m.DeleteFileSpace(name=name))
    while True:
        answer, _ = session.connection.expect(m.Deletion)
        if answer.last:
            return answer.gone


def _chosen(job: Job, rows: tuple[m.FileSpaceRow, ...], text: str) -> m.FileSpaceRow:
    for row in rows:
        if text in (row.name, f"{{{row.name}}}", str(row.number)):
            return row
    raise NotFound("ANS4000E", file_space=text, node=job.node)


def _asked_for(job: Job, rows: tuple[m.FileSpaceRow, ...]) -> m.FileSpaceRow | None:
    if not job.stdin.isatty():
        raise BadInput("ANS1079E")
    job.report.answer("  #     Type    File Space Name")
    for row in rows:
        job.report.answer(f"{row.number:>3}     {row.type:<7} {row.name}")
    print("Number of the file space to delete, or Quit (Q): ", end="", flush=True)
    answer = job.stdin.readline().strip()
    return None if answer.upper() in ("", "Q", "QUIT") else _chosen(job, rows, answer)


# --- objects -------------------------------------------------------------------------------------------------------


def _each(
    job: Job, operands: list[str], kind: ObjectKind, verb: str, wants: Callable[[m.ObjectRow], bool]
) -> None:
    report = job.report
    asked = moments(job.options, time.time())
    if not _is_confirmed(job, f"{verb} at the server what matches {' '.join(operands)}"):
        return
    work = _Deleting(job) if verb == "delete" else _Expiring(job)
    for text in operands:
        try:
            if not _one(job, text, kind, asked, wants, work):
                report.say("ANS1302E", spec=text)
        except PeerUnreachable:
            raise
        except FarvaultError as problem:
            report.error(problem)
    report.deletion_summary("deleted" if verb == "delete" else "expired")


def _one(
    job: Job,
    text: str,
    kind: ObjectKind,
    asked: Moments,
    wants: Callable[[m.ObjectRow], bool],
    work: _Deleting | _Expiring,
) -> bool:
    """One operand; False where nothing matches. A session that was refused something half-way is not used again."""
    listing, session = job.session(), job.sessions.take()
    matched = False
    try:
        source = resolve_source(text, listing, job.options.subdir)
        found = find(
            listing,
            source,
            kind,
            job.options,
            all_versions=isinstance(work, _Deleting),
        )
        for batch in _batches(each for each in at_moments(found, asked) if wants(each.row)):
            matched = True
            work.take(session, source, batch)
    except BaseException:
        listing.connection.close()
        session.connection.close()
        raise
    job.sessions.give_back(listing)
    job.sessions.give_back(session)
    return matched


def _batches(found: Iterator[Found]) -> Iterator[list[Found]]:
    batch: list[Found] = []
    for each in found:
        batch.append(each)
        if len(batch) >= BATCH_OBJECTS:
            yield batch
            batch = []
    if batch:
        yield batch


class _Deleting:
    """For good."""

    def __init__(self, job: Job) -> None:
        self._report = job.report

    def take(self, session: NodeSession, source: Source, batch: list[Found]) -> None:
        by_id = {each.row.id: each for each in batch}
        held = self._delete(session, list(by_id))
        counts = self._report.counts
        for object_id, each in by_id.items():
            path = show_path(join_path(source.root, each.directory, each.row.name))
            if object_id in held:
                counts.failed += 1
                self._report.say("ANS9818W", code=WARNING, path=path, holds=held[object_id])
            else:
                counts.deleted += 1
                if self._report.lines:
                    self._report.object_line("Deleting", each.row.size_bytes, path, " [Done]")

    def _delete(self, session: NodeSession, ids: list[int]) -> dict[int, str]:
        """Returns what a hold keeps. What went meanwhile makes the server refuse the rest: found by halving."""
        try:
            answer = session.connection.call(m.DeleteObjects(ids=tuple(ids)), m.TransactionAnswer)
        except NotFound as problem:
            if problem.message.id != _GONE:
                raise
            if len(ids) == 1:
                return {}
            middle = len(ids) // 2
            return self._delete(session, ids[:middle]) | self._delete(session, ids[middle:])
        return dict.fromkeys(answer.held, answer.holds)


class _Expiring:
    """Inactive from now on; policy says for how long they stay."""

    def __init__(self, job: Job) -> None:
        self._report = job.report
        session = job.session()
        self._class = _takes_backups(session.policy())
        job.sessions.give_back(session)

    def take(self, session: NodeSession, source: Source, batch: list[Found]) -> None:
        connection = session.connection
        connection.call(
            m.BeginTransaction(
                file_space=source.file_space, kind=ObjectKind.BACKUP, management_class=self._class
            ),
            m.Done,
        )
        connection.send(m.ExpireObjects(ids=tuple(each.row.id for each in batch)))
        answer = connection.call(m.EndTransaction(), m.TransactionAnswer)
        self._report.counts.expired += answer.expired
        for each in batch if self._report.lines else ():
            path = show_path(join_path(source.root, each.directory, each.row.name))
            self._report.object_line("Expiring", 0, path, " [Done]")


def _takes_backups(policy: m.Policy) -> str:
    """A transaction has a class also where it stores nothing: the default one, or any that has a backup copy group."""
    names = [row.name for row in policy.classes if row.backup is not None]
    return policy.default_class if policy.default_class in names or not names else names[0]


# --- asking first --------------------------------------------------------------------------------------------------


def _check_right(job: Job, kind: ObjectKind) -> None:
    """The server checks too; this says it before anything is listed or asked."""
    session = job.session()
    policy = session.policy()
    job.sessions.give_back(session)
    allowed = policy.archive_delete if kind is ObjectKind.ARCHIVE else policy.backup_delete
    if not allowed:
        keyword = "ARCHDELETE" if kind is ObjectKind.ARCHIVE else "BACKDELETE"
        raise NotAuthorized("ANS1126E", kind=kind.name.lower(), node=job.node, keyword=keyword)


def _is_confirmed(job: Job, what: str) -> bool:
    """Does a person agree? `BadInput` (ANS9817E) where there is none to ask."""
    if job.options.no_prompt:
        return True
    if not job.stdin.isatty():
        raise BadInput("ANS9817E", what=what)
    print(f"Do you wish to {what}? (Yes (Y)/No (N)) ", end="", flush=True)
    if job.stdin.readline().strip().upper() in ("Y", "YES"):
        return True
    job.report.say("ANS9820I", what=what)
    return False
