"""INCREMENTAL, SELECTIVE and ARCHIVE: walk, compare, hand out, tell (TSM reference, clients 5 and 6).

This process only walks and compares; reading, packing and sending are the crew's (`crew.py`), and what became of it is
counted and shown in `outcomes.py`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from typing import NamedTuple

from farvault.base.errors import FarvaultError, MediaFull, NotFound
from farvault.client.attributes import (
    TIME_MOST_NS,
    Owners,
    TooLong,
    attributes_of,
    encode_attributes,
    read_extended,
)
from farvault.client.beneath import FOLDER_FLAGS, split_directory
from farvault.client.binding import Binding, Bound
from farvault.client.crew import Crew
from farvault.client.filespec import matcher
from farvault.client.inventory import Inventory
from farvault.client.merge import Merge, Stored
from farvault.client.mounts import FileSpaces, join_path, show_path
from farvault.client.options import Options
from farvault.client.outcomes import Outcomes
from farvault.client.outgoing import Destination, Lane, Outgoing
from farvault.client.reading import SHARED_STATIC, failure_message
from farvault.client.report import SKIPPED_FILE, Report
from farvault.client.scopes import Scope
from farvault.client.session import PLATFORM, Sessions
from farvault.client.walk import Folder, walk
from farvault.client.work import Unit
from farvault.model.stored_object import FileAttributes, ObjectKind, ObjectType
from farvault.policy.changed import Change, what_changed
from farvault.protocol import messages as m

_DAY_SECONDS = 86400
_TYPE_MASK, _FOLDER, _FILE, _SOCKET = 0o170000, 0o040000, 0o100000, 0o140000

Rows = dict[bytes, tuple[m.ObjectRow, str]]


class Task(NamedTuple):
    """What kind of run this is. `compares`: against the inventory (incremental); otherwise everything named is sent,
    with `by_date` what was modified since the last incremental backup of its file space.
    """

    kind: ObjectKind
    compares: bool
    description: str = ""
    by_date: bool = False


class Backup:
    """One command's run over its scopes. The caller owns sessions and crew."""

    def __init__(
        self,
        task: Task,
        options: Options,
        binding: Binding,
        spaces: FileSpaces,
        sessions: Sessions,
        report: Report,
        make_outgoing: Callable[[Callable[[Unit, bool], None]], Outgoing],
        now_seconds: int,
    ) -> None:
        """`now_seconds`: by the server's clock, which also says when a version was stored."""
        self._task = task
        self._options = options
        self._binding = binding
        self._spaces = spaces
        self._sessions = sessions
        self._report = report
        self._outgoing = make_outgoing(self._give)
        self.outcomes = Outcomes(report)
        self.crew: Crew | None = None
        self._owners = Owners()
        self._now = now_seconds
        self._since = 0
        self._parents_done: set[tuple[bytes, bytes]] = set()
        self._said_no_group: set[str] = set()
        self._lanes: dict[str, Lane] = {}
        self._has_objects: dict[bytes, bool] = {}
        self._flags = FOLDER_FLAGS | (os.O_NOATIME if os.geteuid() == 0 else 0)

    # --- scopes --------------------------------------------------------------------------------------------------

    def run(self, scope: Scope) -> bool:
        """One scope; True where nothing of it failed.

        Raises `NotFound` where there is none of it, `OSError` or `MediaFull` where it could not be gone through to its end
        (what was found until then is stored), `Stop`.
        """
        failed_before = self._report.counts.failed
        if self._binding.excludes_file_space(scope.root):
            self._report.say("ANS1115W", path=os.fsdecode(scope.root))
            return True
        is_full = scope.whole and (self._task.compares or self._task.by_date)
        if self._task.by_date:
            self._since = _last_incremental(self._register(scope))
        self._register(scope, started=is_full)
        self._run_parents(scope)
        try:
            matched = self._run_walk(scope)
        except (OSError, MediaFull):
            self._finish()
            raise
        self._finish()
        fine = self._report.counts.failed == failed_before
        # What failed would be missed by the next run by date: that one moves its date only where all went well.
        if is_full and (fine or self._task.compares):
            self._register(scope, ended=True)
        if not matched and scope.pattern:
            raise NotFound("ANS1083E", spec=scope.text)
        return fine

    def _finish(self) -> None:
        """Until all that was found is stored, or has failed."""
        self._outgoing.flush()
        if self.crew is not None:
            self.crew.wait()
        self.outcomes.raise_if_stopped()

    def _register(self, scope: Scope, *, started: bool = False, ended: bool = False) -> m.FileSpaceRow:
        name = _file_space_name(scope.root)
        st = os.statvfs(scope.root)
        answer = self._call(
            m.RegisterFileSpace(
                name=name,
                type=self._spaces.type_of(scope.root),
                platform=PLATFORM,
                capacity_bytes=st.f_blocks * st.f_frsize,
                occupied_bytes=(st.f_blocks - st.f_bfree) * st.f_frsize,
                backup_started=started,
                backup_ended=ended,
            )
        )
        if not ended:
            self._has_objects[scope.root] = answer.has_objects
            self._lanes.clear()
        return answer.file_space

    def _call(self, body: m.RegisterFileSpace) -> m.FileSpaceAnswer:
        """A session that idled through a long run may be gone: one more try on a new one."""
        session = self._sessions.take()
        try:
            answer = session.connection.call(body, m.FileSpaceAnswer)
        except FarvaultError:
            session.connection.close()
            session = self._sessions.take()
            answer = session.connection.call(body, m.FileSpaceAnswer)
        self._sessions.give_back(session)
        return answer

    def _run_parents(self, scope: Scope) -> None:
        """The folders on the way down to the scope: sent where the server lacks them, or always by SELECTIVE and ARCHIVE."""
        components = split_directory(scope.directory)
        for depth, name in enumerate(components):
            directory = b"\0".join(components[:depth])
            if (scope.root, directory + b"\0" + name) in self._parents_done:
                continue
            self._parents_done.add((scope.root, directory + b"\0" + name))
            path = join_path(scope.root, directory, name)
            try:
                st = os.lstat(path)
            except OSError as problem:
                raise NotFound("ANS1076E", path=show_path(path)) from problem
            rows: Rows = {}
            if self._task.compares and self._has_objects[scope.root]:
                query = self._query(scope.root, directory, name, below=False)
                with_session = self._sessions.take()
                for frame in Inventory(with_session, query):
                    rows.update((row.name, (row, frame.classes[row.management_class])) for row in frame.rows)
                self._sessions.give_back(with_session)
            kept = {name: rows[name]} if name in rows else {}
            self._look_at(scope, Folder(directory, [(name, st)]), kept, may_expire=False)

    def _query(self, root: bytes, directory: bytes, pattern: bytes, below: bool) -> m.QueryObjects:
        return m.QueryObjects(
            file_space=_file_space_name(root),
            kind=self._task.kind,
            directory=directory,
            below=below,
            name_pattern=pattern or b"*",
        )

    def _run_walk(self, scope: Scope) -> int:
        """Returns how much was found, here or at the server."""
        inventory = session = None
        if self._task.compares and self._has_objects[scope.root]:
            session = self._sessions.take()
            inventory = Inventory(
                session, self._query(scope.root, scope.directory, scope.pattern, scope.below)
            )
        merge = Merge(inventory if inventory is not None else ())
        root = os.open(scope.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = walk(
                root,
                scope.directory,
                below=scope.below,
                may_enter=lambda directory: self._may_enter(scope, directory),
                flags=self._flags,
            )
            matched = self._walk_and_compare(scope, found, merge)
        except BaseException:
            if session is not None:
                session.connection.close()  # its stream is not read to the end
            raise
        finally:
            os.close(root)
        if session is not None:
            self._sessions.give_back(session)
        return matched

    def _walk_and_compare(self, scope: Scope, found: Iterable[Folder], merge: Merge) -> int:
        matched = 0
        matches = matcher(scope.pattern) if scope.pattern else None
        for folder in found:
            if folder.problem is not None:
                merge.look_away(folder.directory)
                self._unreadable(scope, folder)
            passed, rows = merge.take(folder.directory)
            for stored in passed:
                self._expire_all(scope, stored)
            if matches is not None:
                entries = [entry for entry in folder.entries if matches(entry[0])]
                folder = folder._replace(entries=entries)
            matched += len(folder.entries) + len(rows)
            self._look_at(scope, folder, rows, may_expire=folder.problem is None)
            self._report.count_inspected()
            if self.crew is not None:
                self.crew.collect()
            self.outcomes.raise_if_stopped()
        for stored in merge.rest():
            matched += len(stored.rows)
            self._expire_all(scope, stored)
        return matched

    def _may_enter(self, scope: Scope, directory: bytes) -> bool:
        path = join_path(scope.root, directory)
        if self._spaces.is_root(path):
            return False
        return not (self._binding.has_rules and self._binding.excludes_folder(path))

    def _unreadable(self, scope: Scope, folder: Folder) -> None:
        """What is below stays as it is at the server: nobody knows whether it is gone."""
        assert folder.problem is not None
        path = show_path(join_path(scope.root, folder.directory))
        self._report.counts.failed += 1
        self._report.say("ANS1228E", code=SKIPPED_FILE, path=path)
        reason = folder.problem.strerror or str(folder.problem)
        self._report.say(failure_message(folder.problem), code=SKIPPED_FILE, path=path, reason=reason)

    # --- objects -------------------------------------------------------------------------------------------------

    def _look_at(self, scope: Scope, folder: Folder, rows: Rows, *, may_expire: bool) -> None:
        """Everything found in one folder against what the server has of it."""
        counts, options = self._report.counts, self._options
        has_rules, prefix = (
            self._binding.has_rules,
            join_path(scope.root, folder.directory).rstrip(b"/") + b"/",
        )
        compares = self._task.compares
        for name, st in folder.entries:
            kind = st.st_mode & _TYPE_MASK
            is_folder = kind == _FOLDER
            if kind == _SOCKET or (options.files_only if is_folder else options.directories_only):
                rows.pop(name, None)
                continue
            if is_folder:
                if has_rules and self._binding.excludes_folder(prefix + name):
                    continue
                bound = self._binding.of_folders
            elif has_rules:
                decided = self._binding.of_file(prefix + name)
                if decided is None:
                    self._tell_excluded(scope, name, prefix)
                    continue
                bound = decided
            else:
                bound = self._binding.default
            counts.inspected += 1
            if kind == _FILE:
                counts.inspected_bytes += st.st_size
            if self._since and not _is_newer(st, self._since):
                continue
            old = rows.pop(name, None) if compares else None
            if bound.group is None:
                self._no_copy_group(bound, prefix + name)
            elif old is None:
                self._send(scope, bound, folder.directory, name, st)
            else:
                self._compare(scope, folder.directory, name, st, bound, old)
        if may_expire and rows:
            self._expire_all(scope, Stored(folder.directory, rows))

    def _tell_excluded(self, scope: Scope, name: bytes, prefix: bytes) -> None:
        """SELECTIVE and ARCHIVE say so where the file was named; INCREMENTAL is expected to obey the list."""
        if name == scope.pattern and not (self._task.compares or self._task.by_date):
            self._report.say("ANS1115W", code=SKIPPED_FILE, path=show_path(prefix + name))

    def _compare(
        self,
        scope: Scope,
        directory: bytes,
        name: bytes,
        st: os.stat_result,
        bound: Bound,
        stored: tuple[m.ObjectRow, str],
    ) -> None:
        """An object the server has: nothing, new attributes, another class, or a new version."""
        row, old_class = stored
        group = bound.group
        assert group is not None
        if group.mode != "MODIFIED" or self._options.absolute or group.frequency_days:
            if self._is_too_early(scope, row, group):
                return
            if group.mode == "ABSOLUTE" or self._options.absolute:
                self._send(scope, bound, directory, name, st)
                return
        old = attributes_of(row.attributes)
        if old is None:  # nobody can say what has changed
            self._send(scope, bound, directory, name, st)
            return
        change, attributes = self._change(scope, directory, name, st, old)
        blob = b""
        if change is Change.ATTRIBUTES:
            try:
                blob = encode_attributes(attributes)
            except (TooLong, OverflowError, ValueError):
                change = Change.DATA  # whoever reads it says what is wrong
        if change is Change.DATA:
            self._send(scope, bound, directory, name, st)
            return
        if change is Change.ATTRIBUTES:
            self.outcomes.note(row.id, "Updating", join_path(scope.root, directory, name))
            self._lane(scope, bound).update(row.id, blob)
        if old_class != bound.name:
            self.outcomes.note(row.id, "Rebinding", join_path(scope.root, directory, name))
            self._lane(scope, bound).rebind(row.id)

    def _send(self, scope: Scope, bound: Bound, directory: bytes, name: bytes, st: os.stat_result) -> None:
        if not -TIME_MOST_NS <= st.st_mtime_ns <= TIME_MOST_NS:
            path = show_path(join_path(scope.root, directory, name))
            self._report.say("ANS9828W", path=path, seconds=st.st_mtime_ns // 10**9)
        self._lane(scope, bound).send(directory, name, st)

    def _is_too_early(self, scope: Scope, row: m.ObjectRow, group: m.CopyGroupRow) -> bool:
        """FREQUENCY counts in a full incremental only."""
        return (
            bool(group.frequency_days)
            and scope.whole
            and self._now - row.inserted_time < group.frequency_days * _DAY_SECONDS
        )

    def _change(
        self, scope: Scope, directory: bytes, name: bytes, st: os.stat_result, old: FileAttributes
    ) -> tuple[Change, FileAttributes]:
        mode = st.st_mode
        if (
            old.ctime_ns == st.st_ctime_ns
            and old.mtime_ns == st.st_mtime_ns
            and old.mode == mode
            and old.inode == st.st_ino
            and old.uid == st.st_uid
            and old.gid == st.st_gid
            and (old.size_bytes == st.st_size or mode & _TYPE_MASK != _FILE)
        ):
            return Change.NONE, old  # every change of an extended attribute moves ctime too
        path = join_path(scope.root, directory, name)
        try:
            target = os.readlink(path) if stat.S_ISLNK(mode) else b""
            skip = self._options.skip_acl or stat.S_ISLNK(mode)
            extended = {} if skip else read_extended(path)
        except OSError:
            return Change.DATA, old  # whoever reads it finds out what is wrong
        new = self._owners.attributes(st, link_target=target, extended=extended, holes=old.holes)
        compare_extended = not (self._options.skip_acl or self._options.skip_acl_update_check)
        return what_changed(old, new, compare_extended=compare_extended), new

    def _expire_all(self, scope: Scope, stored: Stored) -> None:
        if not self._task.compares:
            return
        lane = self._lane(scope, self._binding.of_changes)
        for name, (row, _) in stored.rows.items():
            is_folder = row.type == ObjectType.DIRECTORY
            if self._options.files_only if is_folder else self._options.directories_only:
                continue
            self.outcomes.note(row.id, "Expiring", join_path(scope.root, stored.directory, name))
            lane.expire(row.id)

    def _no_copy_group(self, bound: Bound, path: bytes) -> None:
        self._report.counts.failed += 1
        if bound.name not in self._said_no_group:
            self._said_no_group.add(bound.name)
            self._report.say(
                "ANS9803E",
                management_class=bound.name,
                path=show_path(path),
                kind=self._task.kind.name.lower(),
            )

    def _lane(self, scope: Scope, bound: Bound) -> Lane:
        """Where objects of this scope and class are collected."""
        lane = self._lanes.get(bound.name)
        if lane is None:
            to = Destination(
                scope.root,
                _file_space_name(scope.root),
                self._task.kind,
                bound.name,
                bound.group.serialization if bound.group else SHARED_STATIC,
                self._task.description,
                self._has_objects[scope.root],
                self._task.kind is ObjectKind.ARCHIVE and self._options.follow_links_at_archive,
            )
            lane = self._lanes[bound.name] = self._outgoing.lane(to)
        return lane

    def _give(self, unit: Unit, is_large: bool) -> None:
        assert self.crew is not None
        self.crew.give(unit, is_large=is_large)
        self.outcomes.raise_if_stopped()


def _last_incremental(file_space: m.FileSpaceRow) -> int:
    """Since when a file counts as new for a run by date; 0 = always.

    The start of the last run where that came to its end: what changed behind its back is not missed. Of a run that
    did not, only the end of the one before is known.
    """
    started, ended = file_space.backup_start_time or 0, file_space.backup_end_time or 0
    return started if 0 < started <= ended else ended


def _is_newer(st: os.stat_result, since: int) -> bool:
    """A folder that was moved here keeps its old modification time; its ctime tells."""
    moment = st.st_mtime_ns
    if st.st_mode & _TYPE_MASK == _FOLDER:
        moment = max(moment, st.st_ctime_ns)
    return moment // 10**9 >= since


def _file_space_name(root: bytes) -> str:
    """The name on the wire is text; a mount point that is no UTF-8 cannot be a file space."""
    try:
        return root.decode()
    except UnicodeDecodeError:
        raise NotFound("ANS1063E", path=show_path(root)) from None
