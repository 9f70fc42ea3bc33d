"""RESTORE and RETRIEVE: find the objects, make the folders, hand out batches, link hard links, attributes of folders last.

This process makes every folder (it alone knows the order) and decides about existing files where a person has to be asked;
data is fetched and written by the crew. Everything happens below the destination's root (`beneath.py`).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from farvault.base.errors import NotFound
from farvault.base.units import MIB
from farvault.client.attributes import decode_attributes
from farvault.client.beneath import is_safe_name, open_beneath, split_directory
from farvault.client.crew import Crew, Result, Stop
from farvault.client.fetching import CANNOT_BE_DONE, restore_failure
from farvault.client.mounts import join_path, show_path
from farvault.client.options import Options
from farvault.client.placing import Placer, check_name
from farvault.client.report import ERROR, SKIPPED_FILE, WARNING, Report
from farvault.client.selection import Found, Placement
from farvault.client.work import Batch, BatchResult, Failure, Notice, RestoreFile, RestoreFolder, Work
from farvault.model.stored_object import FileAttributes, ObjectType

BATCH_OBJECTS = 3000
BATCH_BYTES = 128 * MIB
_ROOM_KEPT = 4 * MIB

Ask = Callable[[str], str]
"""Asks a person what to do with an existing file: `YES`, `NO`, `ALL`, `NONE` or `ABORT`."""


class _Link(NamedTuple):
    """A further name of a file that is restored in this run."""

    directory: bytes
    name: bytes
    file: RestoreFile
    first: tuple[bytes, bytes]


class Restore:
    """One command's run. The caller owns the crew. `verb`: `Restoring` or `Retrieving`."""

    def __init__(
        self, placement: Placement, options: Options, report: Report, verb: str, ask: Ask | None
    ) -> None:
        self._placement = placement
        self._options = options
        self._report = report
        self._verb = verb
        self._ask = ask
        self.crew: Crew | None = None
        self._placer = Placer(options.skip_acl)
        self._replace = options.replace
        self._root = _open_root(placement.root)
        self._numbers = 0
        self._batch: list[RestoreFolder] = []
        self._batch_objects = self._batch_bytes = 0
        self._made: dict[bytes, bool] = {}
        self._folders: list[tuple[bytes, FileAttributes]] = []
        self._links: list[_Link] = []
        self._firsts: dict[tuple[int, int, int, int], tuple[bytes, bytes]] = {}
        self._lost_link = False
        self._out_of_room = False

    def close(self) -> None:
        os.close(self._root)

    def run(self, found: Iterable[Found]) -> None:
        """Restore all of it. Raises `Stop`."""
        for each in found:
            self._plan(each)
            self._report.count_inspected()
            self._raise_if_stopped()
        self._flush(is_large=False)
        if self.crew is not None:
            self.crew.wait()
        self._raise_if_stopped()
        self._link_all()
        self._finish_folders()
        self._raise_if_stopped()

    # --- planning ------------------------------------------------------------------------------------------------

    def _plan(self, found: Found) -> None:
        row = found.row
        directory, name = self._placement.target(found.directory, row.name)
        parts = split_directory(directory)
        if not all(map(is_safe_name, parts)) or (name and not is_safe_name(name)):
            self._failed(directory, name, "ANS4028E", "its name could lead out of the destination")
            return
        if row.type == ObjectType.DIRECTORY:
            self._plan_folder(directory, name, row.attributes)
            return
        if not name or not self._make_folder(directory):
            if name:
                self._failed(directory, name, "ANS4029E", "a file or symbolic link stands in the way")
            return
        file = RestoreFile(row.id, name, row.type, row.size_bytes, row.attributes, "YES")
        if row.type == ObjectType.FILE and self._is_further_link(directory, file):
            return
        decision = self._decide(directory, name)
        if decision is None:
            return
        file.replace = decision
        self._add(directory, file)

    def _plan_folder(self, directory: bytes, name: bytes, blob: bytes) -> None:
        if not name:  # the destination itself: a person made it, its attributes are theirs
            return
        path = directory + b"\0" + name if directory else name
        if self._placement.rule == "NONE":
            return
        try:
            attributes = decode_attributes(blob)
        except ValueError:
            self._failed(directory, name, "ANS1304E", "its attributes cannot be read")
            return
        if not self._make_folder(path, mode=0o700):
            self._failed(directory, name, "ANS4029E", "a file or symbolic link stands in the way")
            return
        self._folders.append((path, attributes))

    def _make_folder(self, directory: bytes, mode: int = 0o777) -> bool:
        """Make a folder and its parents where they are missing; False where something else has the name.

        A folder that gets its own attributes in the end is closed to others until then (`mode`); parents that nobody
        asked for get what the umask leaves.
        """
        known = self._made.get(directory)
        if known is not None:
            return known
        if not directory:
            return True
        parent, _, name = directory.rpartition(b"\0")
        made = self._make_folder(parent) and self._make_one(parent, name, mode)
        self._made[directory] = made
        return made

    def _make_one(self, parent: bytes, name: bytes, mode: int) -> bool:
        check_name(name)
        try:
            opened = open_beneath(self._root, parent)
        except OSError:
            return False
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, mode, dir_fd=opened)
                return True
            os.close(open_beneath(opened, name))  # there already: a folder, and no link to one?
            return True
        except OSError as problem:
            if problem.errno in (errno.ENOSPC, errno.EDQUOT):
                self._out_of_room = True
            return False
        finally:
            os.close(opened)

    def _is_further_link(self, directory: bytes, file: RestoreFile) -> bool:
        """A name of an inode whose first name is restored in this run: linked at the end instead of fetched."""
        try:
            attributes = decode_attributes(file.attributes)
        except ValueError:
            return False  # the crew reports it
        if not attributes.hard_link:
            return False
        key = (attributes.hard_link, attributes.device, attributes.size_bytes, attributes.mtime_ns)
        first = self._firsts.setdefault(key, (directory, file.name))
        if first == (directory, file.name):
            return False
        self._links.append(_Link(directory, file.name, file, first))
        return True

    def _decide(self, directory: bytes, name: bytes) -> str | None:
        """What the crew may do with an existing file; None: a person said to leave this one."""
        if self._options.if_newer and self._replace != "NO":
            return "IFNEWER"
        if self._replace == "ALL":
            return "YES"
        if self._replace in ("NO", "IFNEWER"):
            return self._replace
        exists, is_writable = self._existing(directory, name)
        if not exists or (self._replace == "YES" and is_writable):
            return "YES"
        answer = self._ask(show_path(self._path(directory, name))) if self._ask is not None else "NO"
        if answer == "ABORT":
            self._report.say("ANS2820E")
            raise Stop
        if answer in ("ALL", "NONE"):
            self._replace = "ALL" if answer == "ALL" else "NO"
        if answer in ("YES", "ALL"):
            return "YES"
        self._report.say("ANS1946W", code=SKIPPED_FILE, path=show_path(self._path(directory, name)))
        return None

    def _existing(self, directory: bytes, name: bytes) -> tuple[bool, bool]:
        try:
            opened = open_beneath(self._root, directory)
        except OSError:
            return False, True
        try:
            st = os.stat(name, dir_fd=opened, follow_symlinks=False)
            return True, bool(st.st_mode & 0o222)
        except FileNotFoundError:
            return False, True
        finally:
            os.close(opened)

    # --- handing out -----------------------------------------------------------------------------------------------

    def _add(self, directory: bytes, file: RestoreFile) -> None:
        if self._batch and self._batch[-1].directory == directory:
            self._batch[-1].files.append(file)
        else:
            self._batch.append(RestoreFolder(directory, [file]))
        self._batch_objects += 1
        self._batch_bytes += file.size_bytes
        if self._batch_objects >= BATCH_OBJECTS or self._batch_bytes >= BATCH_BYTES:
            self._flush(is_large=True)

    def _flush(self, *, is_large: bool) -> None:
        folders, size = self._batch, self._batch_bytes
        self._batch, self._batch_objects, self._batch_bytes = [], 0, 0
        if not folders:
            return
        self._check_room(size)
        self._numbers += 1
        batch = Batch(
            number=self._numbers,
            root=self._placement.root,
            folders=folders,
            make_sparse=self._options.make_sparse,
            skip_acl=self._options.skip_acl,
        )
        assert self.crew is not None
        self.crew.give(batch, is_large=is_large)

    def _check_room(self, size_bytes: int) -> None:
        """Sparse files need less than they say, so only a file system that is all but full stops the run here."""
        st = os.statvfs(self._root)
        free = st.f_bavail * st.f_frsize
        if free < _ROOM_KEPT and size_bytes > free:
            self._out_of_room = True
            self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self._out_of_room:
            self._report.say(
                "ANS4009E", path=show_path(self._placement.root), reason="no space left on device"
            )
            raise Stop
        if self._lost_link:
            raise Stop

    # --- what the crew tells ---------------------------------------------------------------------------------------

    def on_notice(self, notice: Notice) -> None:
        self._report.notice(notice)

    def on_result(self, work: Work, result: Result | None) -> None:
        assert isinstance(work, Batch)
        if not isinstance(result, BatchResult):
            self._report.say("ANS9804E", objects=sum(len(folder.files) for folder in work.folders))
            self._lost_link = True
            return
        counts = self._report.counts
        counts.done += result.restored
        counts.transferred_bytes += result.received_bytes
        counts.transfer_seconds += result.transfer_seconds
        for failure in result.failures:
            self._out_of_room = self._out_of_room or failure.message_id == "ANS4009E"
            self._tell(work, failure, SKIPPED_FILE)
            counts.failed += 1
        for warning in result.warnings:
            self._tell(work, warning, SKIPPED_FILE if warning.message_id == "ANS1946W" else WARNING)
        if result.lost_link:
            counts.failed += _objects(work) - result.restored - result.skipped - len(result.failures)
            self._report.raise_code(ERROR)
            self._lost_link = True
        if self._report.lines:
            with self._report.together():
                self._show(work, result)

    def _tell(self, work: Batch, failure: Failure, code: int) -> None:
        folder = work.folders[failure.folder]
        path = show_path(self._path(folder.directory, folder.files[failure.entry].name))
        self._report.say(failure.message_id, code=code, path=path, reason=failure.reason)

    def _show(self, work: Batch, result: BatchResult) -> None:
        left_out = {(each.folder, each.entry) for each in result.failures}
        left_out |= {(each.folder, each.entry) for each in result.warnings if each.message_id == "ANS1946W"}
        for number, folder in enumerate(work.folders):
            prefix = show_path(self._path(folder.directory, b"")).rstrip("/") + "/"
            for place, file in enumerate(folder.files):
                if (number, place) not in left_out:
                    self._show_one(file.size_bytes, prefix + show_path(file.name))

    def _show_one(self, size_bytes: int, path: str) -> None:
        self._report.answer(f"{self._verb}{size_bytes:>{32 - len(self._verb)},} {path} [Done]")

    def _failed(self, directory: bytes, name: bytes, message_id: str, reason: str) -> None:
        self._report.counts.failed += 1
        path = show_path(self._path(directory.replace(b"/", b"?"), name.replace(b"/", b"?")))
        self._report.say(message_id, code=SKIPPED_FILE, path=path, reason=reason)

    def _path(self, directory: bytes, name: bytes) -> bytes:
        return join_path(self._placement.root, directory, name)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _link_all(self) -> None:
        """Further names of restored files; where linking is impossible the file is fetched as one of its own."""
        if not self._links:
            return
        for link in self._links:
            decision = self._decide(link.directory, link.name)
            if decision is None:
                continue
            link.file.replace = decision
            if self._link(link):
                self._report.counts.done += 1
                if self._report.lines:
                    path = show_path(self._path(link.directory, link.name))
                    self._show_one(link.file.size_bytes, path)
            else:
                self._add(link.directory, link.file)
        self._flush(is_large=False)
        if self.crew is not None:
            self.crew.wait()

    def _link(self, link: _Link) -> bool:
        try:
            source = open_beneath(self._root, link.first[0])
        except OSError:
            return False
        try:
            target = open_beneath(self._root, link.directory)
        except OSError:
            os.close(source)
            return False
        try:
            if not self._is_same_file(source, link):
                return False
            if self._exists(target, link.name):
                if link.file.replace != "YES":
                    return False  # the crew knows what NO and IFNEWER mean
                self._placer.link_over(source, link.first[1], target, link.name)
            else:
                os.link(link.first[1], link.name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
            return True
        except OSError:
            return False
        finally:
            os.close(source)
            os.close(target)

    @staticmethod
    def _exists(folder: int, name: bytes) -> bool:
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _is_same_file(self, source: int, link: _Link) -> bool:
        """Was the first name restored, or is it an older file that stayed?"""
        st = os.stat(link.first[1], dir_fd=source, follow_symlinks=False)
        attributes = decode_attributes(link.file.attributes)
        return st.st_size == attributes.size_bytes and st.st_mtime_ns == attributes.mtime_ns

    def _finish_folders(self) -> None:
        """Deepest first: giving a folder its times comes after everything in it."""
        for directory, attributes in reversed(self._folders):
            parent, _, name = directory.rpartition(b"\0")
            try:
                opened = open_beneath(self._root, directory)
            except CANNOT_BE_DONE as problem:
                self._failed(parent, name, *restore_failure(problem))
                continue
            try:
                refused = self._placer.give_folder(opened, attributes)
                self._report.counts.done += 1
                if refused:
                    self._report.say(
                        "ANS1587W", path=show_path(self._path(parent, name)), reason=", ".join(refused)
                    )
                if self._report.lines:
                    self._show_one(0, show_path(self._path(parent, name)))
            except CANNOT_BE_DONE as problem:
                self._failed(parent, name, *restore_failure(problem))
            finally:
                os.close(opened)


def _objects(work: Batch) -> int:
    return sum(len(folder.files) for folder in work.folders)


def _open_root(path: bytes) -> int:
    """The destination, made with its parents where it is missing. `NotFound` (ANS1082E) where that is impossible."""
    try:
        os.makedirs(path, exist_ok=True)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as problem:
        raise NotFound("ANS1082E", destination=show_path(path)) from problem
