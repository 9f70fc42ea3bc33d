"""QUERY BACKUP, ARCHIVE, FILESPACE, SESSION: what the server has of this node (TSM reference, clients 8.1, 8.2)."""

from __future__ import annotations

import time
from collections.abc import Iterable

from farvault.base.errors import NotFound
from farvault.base.units import show_time
from farvault.client.attributes import attributes_of
from farvault.client.job import Job
from farvault.client.moments import moments
from farvault.client.mounts import join_path, show_path
from farvault.client.options import shown as shown_options
from farvault.client.report import WARNING, Report
from farvault.client.selection import (
    Found,
    at_moments,
    considers_inactive,
    find,
    newest,
    resolve_source,
)
from farvault.client.session import NodeSession
from farvault.model.stored_object import ObjectKind, ObjectState, ObjectType
from farvault.policy.retention import ArchiveRule, Grace
from farvault.policy.versions import decide_archive
from farvault.protocol import messages as m

_NUMBER_ENDS = 14


def backup_copies(job: Job, operands: list[str]) -> None:
    _query_objects(job, operands, ObjectKind.BACKUP)


def archive_copies(job: Job, operands: list[str]) -> None:
    _query_objects(job, operands, ObjectKind.ARCHIVE)


def _query_objects(job: Job, operands: list[str], kind: ObjectKind) -> None:

    options, report = job.options, job.report
    asked = moments(options, time.time())
    session = job.session()
    shown = 0
    try:
        source = resolve_source(operands[0], session, options.subdir)
        expiry = Expiry(_active_policy(session) if kind is ObjectKind.ARCHIVE else None)
        several = considers_inactive(options, asked)
        found = at_moments(find(session, source, kind, options, all_versions=several), asked)
        if options.latest and not options.inactive:
            found = newest(found)
        if kind is ObjectKind.BACKUP:
            shown = query_backup(found, source.root, report, options.detail)
        else:
            shown = query_archive(found, source.root, report, options.detail, expiry)
    except NotFound as problem:
        if problem.message.id != "ANS1084E":
            raise
    job.sessions.give_back(session)
    if not shown:
        report.say("ANS1092W", code=WARNING)


def _active_policy(session: NodeSession) -> m.Policy | None:
    try:
        return session.policy()
    except NotFound:
        return None


def file_spaces(job: Job, _: list[str]) -> None:
    session = job.session()
    shown = query_file_space(session, job.report, job.options.detail)
    job.sessions.give_back(session)
    if not shown:
        job.report.say("ANS1092W", code=WARNING)


def management_classes(job: Job, _: list[str]) -> None:
    session = job.session()
    query_classes(session.policy(), job.report, job.options.detail)
    job.sessions.give_back(session)


def session_information(job: Job, _: list[str]) -> None:
    session = job.session()
    query_session(session, job.node, job.report)
    job.sessions.give_back(session)


def options_in_effect(job: Job, _: list[str]) -> None:
    for keyword, value in shown_options(job.options):
        job.report.answer(f"{keyword:>24}: {value}")


def query_backup(found: Iterable[Found], root: bytes, report: Report, detail: bool) -> int:
    """Returns how many versions were shown."""
    shown = 0
    for each in found:
        row = each.row
        if not shown:
            report.answer("           Size      Backup Date                Mgmt Class           A/I File")
            report.answer("           ----      -----------                ----------           --- ----")
        shown += 1
        state = "A" if row.state == ObjectState.ACTIVE else "I"
        path = show_path(join_path(root, each.directory, row.name))
        size = _size(row)
        report.answer(
            f"{size}  {show_time(row.inserted_time)}  {each.management_class[:10]:>18}  {state:>13}  {path}"
        )
        if detail:
            _detail(row, path, report)
    return shown


class Expiry:
    """When archive copies go, as this node's policy says today. Without an active set nothing goes."""

    def __init__(self, policy: m.Policy | None) -> None:
        self._policy = policy
        self._groups = {row.name: row.archive for row in policy.classes} if policy is not None else {}

    def shown(self, each: Found) -> str:
        """A day, or `Never`; `Event` where it waits for one or counts from one: only the server knows of that."""
        rule = self._rule(each.management_class)
        if isinstance(rule, ArchiveRule) and rule.by_event:
            return "Event"
        goes = decide_archive(each.row.inserted_time, None, rule).goes
        return "Never" if goes is None else time.strftime("%m/%d/%Y", time.localtime(goes))

    def _rule(self, management_class: str) -> ArchiveRule | Grace | None:
        if self._policy is None:
            return None
        for name in (management_class, self._policy.default_class):
            if (group := self._groups.get(name)) is not None:
                by_event = group.retain_init == "EVENT"
                return ArchiveRule(name, group.retain_version_days, by_event, group.retain_min_days)
        return Grace(self._policy.archive_grace_days)


def query_archive(found: Iterable[Found], root: bytes, report: Report, detail: bool, expiry: Expiry) -> int:
    shown = 0
    for each in found:
        row = each.row
        if not shown:
            report.answer("             Size  Archive Date - Time    File - Expires on - Description")
            report.answer("             ----  -------------------    -------------------------------")
        shown += 1
        path = show_path(join_path(root, each.directory, row.name))
        told = f"{path} {expiry.shown(each)} {row.description}"
        report.answer(f"{_size(row)}  {show_time(row.inserted_time)}    {told}")
        if detail:
            _detail(row, path, report)
    return shown


def _size(row: m.ObjectRow) -> str:
    """Right-aligned to column 14, the unit to column 17."""
    return f"{row.size_bytes:>{_NUMBER_ENDS},}  B"


def _detail(row: m.ObjectRow, path: str, report: Report) -> None:
    attributes = attributes_of(row.attributes)
    if attributes is None:
        report.say("ANS9832W", path=path)
        return
    modified = _moment(attributes.mtime_ns // 10**9)
    changed = _moment(attributes.ctime_ns // 10**9)
    kind = ObjectType(row.type).name.capitalize()
    owner = f"{attributes.user or attributes.uid}:{attributes.group or attributes.gid}"
    report.answer(f"         Modified: {modified}  Inode changed: {changed}  Inode#: {attributes.inode}")
    report.answer(
        f"         Type: {kind}  Mode: {attributes.mode & 0o7777:04o}  Owner: {owner}  Object id: {row.id}"
    )


def _moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def query_file_space(session: NodeSession, report: Report, detail: bool) -> int:
    rows = session.file_spaces()
    if rows:
        report.answer("  #     Last Incr Date          Type    File Space Name")
        report.answer("-" * 80)
    for row in rows:
        last = _moment(row.backup_end_time) if row.backup_end_time else ""
        report.answer(f"{row.number:>3}     {last:<19}     {row.type:<7} {row.name}")
        if detail:
            report.answer(f"         Capacity: {row.capacity_bytes:,} B  Occupied: {row.occupied_bytes:,} B")
    return len(rows)


def query_classes(policy: m.Policy, report: Report, detail: bool) -> None:
    """What the active set of this node's domain says (clients 8.2)."""
    rows = [
        ("Domain Name", policy.domain),
        ("Activated Policy Set Name", policy.policy_set),
        ("Activation date/time", _moment(policy.activated_time) if policy.activated_time else "unknown"),
        ("Default Mgmt Class Name", policy.default_class),
        ("Grace Period Backup Retn.", f"{policy.backup_grace_days} day(s)"),
        ("Grace Period Archive Retn.", f"{policy.archive_grace_days} day(s)"),
    ]
    _pairs(rows, report)
    for each in policy.classes:
        report.answer("")
        is_default = " (default)" if each.name == policy.default_class else ""
        _pairs([("MgmtClass Name", each.name + is_default), ("Description", each.description)], report)
        if detail:
            _groups(each, report)


def _groups(each: m.ClassRow, report: Report) -> None:
    backup, archive = each.backup, each.archive
    if backup is not None:
        rows = [
            ("Backup: Versions Exist", _limit(backup.versions_exist)),
            ("Backup: Versions Deleted", _limit(backup.versions_deleted)),
            ("Backup: Retain Extra", _limit(backup.retain_extra_days, " day(s)")),
            ("Backup: Retain Only", _limit(backup.retain_only_days, " day(s)")),
            ("Backup: Frequency", f"{backup.frequency_days} day(s)"),
            ("Backup: Mode", backup.mode),
            ("Backup: Serialization", backup.serialization),
            ("Backup: Destination", backup.destination),
        ]
        _pairs(rows, report)
    if archive is not None:
        rows = [
            ("Archive: Retain Version", _limit(archive.retain_version_days, " day(s)")),
            ("Archive: Retention from", archive.retain_init),
            ("Archive: Serialization", archive.serialization),
            ("Archive: Destination", archive.destination),
        ]
        if archive.retain_init == "EVENT":
            rows.insert(2, ("Archive: Retain Minimum", f"{archive.retain_min_days} day(s)"))
        _pairs(rows, report)


def _pairs(rows: list[tuple[str, str]], report: Report) -> None:
    for label, value in rows:
        report.answer(f"{label:<26}: {value}")


def _limit(number: int | None, unit: str = "") -> str:
    return "No limit" if number is None else f"{number}{unit}"


def query_session(session: NodeSession, node: str, report: Report) -> int:
    policy, welcome = session.policy(), session.welcome
    rows = (
        ("Server Name", session.server_name),
        ("Server Type", "Farvault"),
        ("Server Version", session.server_version),
        ("Server Address", session.connection.peer),
        ("Server Fingerprint", session.connection.fingerprint),
        ("Last Access Date", _moment(welcome.last_access_time) if welcome.last_access_time else "never"),
        ("Delete Backup Files", '"Yes"' if policy.backup_delete else '"No"'),
        ("Delete Archive Files", '"Yes"' if policy.archive_delete else '"No"'),
        ("Compression", policy.compression.capitalize()),
        ("Deduplication", "Client Or Server"),
        ("Policy Domain", policy.domain),
        ("Default Mgmt Class", policy.default_class),
        ("Node Name", node),
    )
    report.answer("Session information:")
    for label, value in rows:
        report.answer(f"{label:.<26}: {value}")
    return 1
