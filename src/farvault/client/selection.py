"""Which stored objects a restore or query is about, and where each of them goes (TSM reference, clients 7.2 and 7.4)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from farvault.base.errors import BadInput, NotFound
from farvault.client.beneath import split_directory
from farvault.client.filespec import FileSpec, longest_root, matcher, parse_filespec
from farvault.client.inventory import Inventory
from farvault.client.moments import Moments
from farvault.client.mounts import components_below
from farvault.client.options import Options
from farvault.client.session import NodeSession
from farvault.model.stored_object import ObjectKind, ObjectState, ObjectType
from farvault.protocol import messages as m


class Found(NamedTuple):
    """One stored version. `directory`: components joined by NUL."""

    directory: bytes
    row: m.ObjectRow
    management_class: str


class Source(NamedTuple):
    """A specification of stored objects, resolved: file space, folder, pattern."""

    spec: FileSpec
    file_space: str
    directory: bytes
    pattern: bytes
    below: bool

    @property
    def root(self) -> bytes:
        return os.fsencode(self.file_space)

    @property
    def is_folder(self) -> bool:
        """`dir/`: the folder and what is in it."""
        return not self.spec.pattern


def resolve_source(text: str, session: NodeSession, subdir: bool) -> Source:
    """Find the file space at the server: the mounts of this machine may be others now. `NotFound` (ANS1084E)."""
    spaces = {os.fsencode(row.name): row.name for row in session.file_spaces()}
    for resolve in (True, False):  # the real path first; as typed where the links on it are new
        spec = parse_filespec(text, resolve=resolve)
        root = longest_root(spec, [name for name in spaces if name.startswith(b"/")])
        if root is not None:
            if spec.path == root and spec.pattern:
                spec = spec._replace(directory=root, pattern=b"")
            directory = components_below(root, spec.directory)
            return Source(spec, spaces[root], directory, spec.pattern, subdir)
    raise NotFound("ANS1084E", spec=text)


def find(
    session: NodeSession,
    source: Source,
    kind: ObjectKind,
    options: Options,
    *,
    all_versions: bool,
) -> Iterator[Found]:
    """Objects that match, in order of directory and name; all their versions, or the active ones. The reader may pause."""
    if source.is_folder and source.directory:
        yield from _one_folder(session, source, kind, options, all_versions)
    query = m.QueryObjects(
        file_space=source.file_space,
        kind=kind,
        directory=source.directory,
        below=source.below,
        name_pattern=source.pattern or b"*",
        active_only=not all_versions and kind is ObjectKind.BACKUP,
    )
    yield from _matching(session, query, source.pattern, options)


def _one_folder(
    session: NodeSession, source: Source, kind: ObjectKind, options: Options, all_versions: bool
) -> Iterator[Found]:
    """The folder's own entry, which lies in its parent."""
    components = split_directory(source.directory)
    query = m.QueryObjects(
        file_space=source.file_space,
        kind=kind,
        directory=b"\0".join(components[:-1]),
        below=False,
        name_pattern=components[-1],
        active_only=not all_versions and kind is ObjectKind.BACKUP,
    )
    for found in _matching(session, query, b"", options):
        if found.row.name == components[-1] and found.row.type == ObjectType.DIRECTORY:
            yield found


def _matching(
    session: NodeSession, query: m.QueryObjects, pattern: bytes, options: Options
) -> Iterator[Found]:
    matches = matcher(pattern)
    described = matcher(os.fsencode(options.description)) if options.description else None
    for frame in Inventory(session, query):
        for row in frame.rows:
            is_folder = row.type == ObjectType.DIRECTORY
            if options.files_only if is_folder else options.directories_only:
                continue
            if described is not None and not described(os.fsencode(row.description)):
                continue
            if matches(row.name):
                yield Found(frame.directories[row.directory], row, frame.classes[row.management_class])


def considers_inactive(options: Options, asked: Moments) -> bool:
    """Do inactive versions count? A point in time looks at all of them."""
    return options.inactive or options.latest or asked.point_in_time is not None


def at_moments(found: Iterable[Found], asked: Moments) -> Iterator[Found]:
    """Those stored in the interval, or active at the point in time. The versions of a name come together, oldest first."""
    if asked.point_in_time is not None:
        return as_of(found, asked.point_in_time)
    return (each for each in found if asked.holds(each.row.inserted_time))


def as_of(found: Iterable[Found], moment: int) -> Iterator[Found]:
    """Of each name the version that was active then: the newest stored by that time, unless it had ended by then."""
    last: Found | None = None
    for each in found:
        if last is not None and (each.directory, each.row.name) != (last.directory, last.row.name):
            if _is_active_at(last, moment):
                yield last
            last = None
        if each.row.inserted_time <= moment:
            last = each
    if last is not None and _is_active_at(last, moment):
        yield last


def _is_active_at(found: Found, moment: int) -> bool:
    return found.row.state == ObjectState.ACTIVE or found.row.deactivated_time > moment


def newest(found: Iterable[Found]) -> Iterator[Found]:
    """One version of each name: the active one, else the newest. They come together, oldest first."""
    best: Found | None = None
    for each in found:
        if best is not None and (each.directory, each.row.name) != (best.directory, best.row.name):
            yield best
            best = None
        if best is None or _rank(each) >= _rank(best):
            best = each
    if best is not None:
        yield best


def _rank(found: Found) -> tuple[bool, int, int]:
    row = found.row
    return row.state == ObjectState.ACTIVE, row.inserted_time, row.id


class Placement(NamedTuple):
    """Where objects go: below `root` (a folder of this machine), by `rule`; `name`: one file's new name."""

    root: bytes
    rule: str
    base: tuple[bytes, ...]
    name: bytes = b""

    def target(self, directory: bytes, name: bytes) -> tuple[bytes, bytes]:
        """(directory below the root, name) for a stored object. An empty name is the root itself."""
        if self.name:
            return b"", self.name
        path = [*split_directory(directory), name]
        if self.rule == "NONE":
            return b"", name
        if self.rule == "NOBASE":
            path = path[len(self.base) :]
        elif self.rule == "SUBTREE" and self.base:
            path = path[len(self.base) - 1 :]
        return (b"\0".join(path[:-1]), path[-1]) if path else (b"", b"")


def place(source: Source, destination: str | None, options: Options) -> Placement:
    """From the command's second operand. `BadInput` (ANS1082E, ANS1089E) for one that cannot be."""
    base = tuple(split_directory(source.directory))
    if destination is None:
        return Placement(source.root, "COMPLETE", base)
    raw = os.fsencode(destination)
    if not raw or b"*" in raw or b"?" in raw or b"\0" in raw:
        raise BadInput("ANS1082E", destination=destination)
    single = bool(source.pattern) and not source.spec.has_wildcard and not source.below
    path = os.path.abspath(raw)
    if raw.endswith(b"/") or os.path.isdir(path):
        # One named object goes straight into the destination; its folder's name would say nothing.
        rule = "NOBASE" if single and options.preserve_path == "SUBTREE" else options.preserve_path
        return Placement(os.path.realpath(path), rule, base)
    if not single:
        raise BadInput("ANS1089E", destination=destination)
    folder, name = os.path.split(path)
    return Placement(os.path.realpath(folder), "NONE", base, name)
