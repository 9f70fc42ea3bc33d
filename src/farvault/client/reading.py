"""Read the files of a unit: bytes, digests and attributes, consistent or not at all (TSM reference, clients 5.7).

A small file costs five system calls: open, read, fstat, listxattr, close. What the walk saw is the "before" of the
comparison, so nothing that changed since goes unnoticed. Long files pass through a ring of reused buffers.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec

from farvault.base.disk import crash_point
from farvault.base.units import MIB
from farvault.client.attributes import (
    Owners,
    TooLong,
    TooManyExtents,
    encode_attributes,
    object_type,
    read_extended,
)
from farvault.client.beneath import FOLDER_FLAGS, open_beneath
from farvault.client.sparse import Range, data_ranges, holes_between, may_be_sparse
from farvault.client.work import Entry, Failure, Retried, Unit
from farvault.model.stored_object import FileAttributes, ObjectType
from farvault.protocol.verbs import TRANSACTION_EXTENTS_MAX
from farvault.seal.chunk import EXTENT_MIN, cut
from farvault.seal.digest import Buffer, digest
from farvault.seal.pack import PIECE_EXTENTS

STREAMED_BYTES: Final = 16 * MIB
"""A longer file is read piece by piece, in a unit of its own; a shorter one is in memory as a whole before it is sent."""
GROUP_BYTES: Final = 4 * MIB
GROUP_OBJECTS: Final = 1000
WINDOW_BYTES: Final = 6 * MIB
AHEAD: Final = 4
"""Groups that may be read before they are asked for."""

STATIC, SHARED_STATIC, SHARED_DYNAMIC, DYNAMIC = "STATIC", "SHRSTATIC", "SHRDYNAMIC", "DYNAMIC"

_REASONS: Final = {
    errno.ENOENT: "ANS4005E",
    errno.EACCES: "ANS4007E",
    errno.EPERM: "ANS4007E",
    errno.EIO: "ANS4047E",
    errno.ELOOP: "ANS4037E",
    errno.ENOTDIR: "ANS4037E",
    errno.ENXIO: "ANS4037E",
    errno.ENAMETOOLONG: "ANS4017E",
    errno.EBUSY: "ANS4008E",
    errno.ETXTBSY: "ANS4008E",
}


class Extent(NamedTuple):
    """A piece of a file's data."""

    digest: bytes
    data: Buffer


class ReadObject(NamedTuple):
    """One object ready to be packed. `extents`: (digest, length) in file order.

    `more`: a piece of a long file, the next piece follows; `before`: extents in earlier pieces.
    """

    directory: bytes
    name: bytes
    type: int
    size_bytes: int
    attributes: bytes
    extents: list[tuple[bytes, int]]
    before: int = 0
    more: bool = False


class Group(NamedTuple):
    """Objects and the extents they need, in order. `reused`: the data lies in a buffer of the ring: copy it now.

    `restart`: the file changed and is read again from its start; what was sent of it is not needed.
    """

    objects: list[ReadObject]
    extents: list[Extent]
    reused: bool = False
    restart: bool = False


class Changed(Exception):
    """The file was not the same before and after it was read, too often."""


class Long(Exception):
    """The file is too long for memory: it grew since the walk, or a link points to it. It is to be read piece by piece."""


class Reading:
    """One unit while it is read: what failed, what was read again. `abandoned` stops the reading of long files."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.failures: list[Failure] = []
        self.retried: list[Retried] = []
        self.read_bytes = 0
        self.abandoned = False


class FileReader:
    """Reads units one after the other, in one thread. Holds the roots of file spaces open."""

    def __init__(
        self, changing_retries: int = 4, skip_acl: bool = False, piece_extents: int = PIECE_EXTENTS
    ) -> None:
        self._retries = changing_retries
        self._piece_extents = piece_extents
        self._skip_acl = skip_acl
        self._owners = Owners()
        self._roots: dict[bytes, int] = {}
        self._ring: list[memoryview] = []
        self._turn = 0
        self._flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        if os.geteuid() == 0:
            self._flags |= os.O_NOATIME  # only owner and root may ask for it

    def close(self) -> None:
        for descriptor in self._roots.values():
            os.close(descriptor)
        self._roots.clear()

    def groups(self, reading: Reading) -> Iterator[Group]:
        """The unit's files in order. An object that cannot be read is noted in `reading.failures` and left out."""
        objects: list[ReadObject] = []
        extents: list[Extent] = []
        size = 0
        unit = reading.unit
        for number, folder in enumerate(unit.folders):
            try:
                opened = open_beneath(self._root(unit.root), folder.directory, FOLDER_FLAGS)
            except OSError as problem:
                failed = range(len(folder.entries))
                reading.failures += [_failure(number, place, problem) for place in failed]
                continue
            try:
                for place in range(len(folder.entries)):
                    try:
                        size += self._read_one(reading, opened, number, place, objects, extents)
                    except OSError as problem:
                        reading.failures.append(_failure(number, place, problem))
                    except Long:
                        if objects:
                            yield Group(objects, extents)
                            objects, extents, size = [], [], 0
                        yield from self._stream(reading, opened, number, place)
                    except Changed:
                        reading.failures.append(Failure(number, place, "ANS4037E"))
                    except TooLong as wrong:
                        reading.failures.append(Failure(number, place, wrong.message_id, wrong.reason))
                    except (OverflowError, ValueError) as odd:
                        reading.failures.append(Failure(number, place, "ANS4014E", str(odd)))
                    if size >= GROUP_BYTES or len(objects) >= GROUP_OBJECTS:
                        yield Group(objects, extents)
                        objects, extents, size = [], [], 0
            finally:
                os.close(opened)
        if objects:
            yield Group(objects, extents)

    def _root(self, path: bytes) -> int:
        opened = self._roots.get(path)
        if opened is None:
            opened = self._roots[path] = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return opened

    def _read_one(
        self,
        reading: Reading,
        folder: int,
        number: int,
        place: int,
        objects: list[ReadObject],
        extents: list[Extent],
    ) -> int:
        """Read one object of any kind into the lists; returns its data bytes. Raises `Long`, `Changed`, `TooLong`."""
        work = reading.unit.folders[number]
        entry = work.entries[place]
        if not stat.S_ISREG(entry.mode):
            if not (stat.S_ISLNK(entry.mode) and reading.unit.follow_links):
                objects.append(self._special(folder, work.directory, entry))
                return 0
            followed = self._followed(folder, entry)
            if followed is None:
                objects.append(self._special(folder, work.directory, entry))
                return 0
            entry = followed
        if entry.size_bytes > STREAMED_BYTES:
            raise Long
        opened = self._open(reading.unit, entry.name, folder)
        try:
            pieces, holes, st = self._consistent(reading, opened, entry, number, place)
            extended = {} if self._skip_acl else read_extended(opened)
        finally:
            os.close(opened)
        attributes = encode_attributes(self._owners.attributes(st, extended=extended, holes=holes))
        refer: list[tuple[bytes, int]] = []
        size = 0
        for piece in pieces:
            size += len(piece)
            if len(piece) <= EXTENT_MIN:
                name = digest(piece)
                extents.append(Extent(name, piece))
                refer.append((name, len(piece)))
            else:
                _cut_into(memoryview(piece), extents, refer)
        reading.read_bytes += size
        objects.append(ReadObject(work.directory, entry.name, ObjectType.FILE, st.st_size, attributes, refer))
        return size

    def _open(self, unit: Unit, name: bytes, folder: int) -> int:
        flags = self._flags & ~os.O_NOFOLLOW if unit.follow_links else self._flags
        try:
            return os.open(name, flags, dir_fd=folder)
        except PermissionError:
            if not flags & os.O_NOATIME:
                raise
            # Root of a user namespace may read a file without being its owner.
            return os.open(name, flags & ~os.O_NOATIME, dir_fd=folder)

    def _consistent(
        self, reading: Reading, opened: int, entry: Entry, number: int, place: int
    ) -> tuple[list[bytes], tuple[Range, ...], os.stat_result]:
        """The file's data as its serialization asks for. Raises `Changed`, and `Long` where it has grown too much."""
        data = os.read(opened, entry.size_bytes + 1)
        crash_point("client.file.after_read")
        st = os.fstat(opened)
        if (
            st.st_mtime_ns == entry.mtime_ns
            and st.st_size == entry.size_bytes == len(data)
            and not may_be_sparse(st)
        ):
            return [data] if data else [], (), st
        if not stat.S_ISREG(st.st_mode):
            raise Changed
        serialization = reading.unit.serialization
        attempts = 1 + (self._retries if serialization in (SHARED_STATIC, SHARED_DYNAMIC) else 0)
        for attempt in range(attempts):
            if attempt:
                _note_retry(reading, number, place, attempt)
            before = st
            if before.st_size > STREAMED_BYTES:
                raise Long
            ranges = (
                data_ranges(opened, before.st_size)
                if may_be_sparse(before)
                else ([(0, before.st_size)] if before.st_size else [])
            )
            pieces = [_read_range(opened, each) for each in ranges]
            crash_point("client.file.after_read")
            st = os.fstat(opened)
            whole = sum(map(len, pieces)) == sum(length for _, length in ranges)
            if whole and st.st_mtime_ns == before.st_mtime_ns and st.st_size == before.st_size:
                return pieces, holes_between(ranges, st.st_size), st
        if serialization in (SHARED_DYNAMIC, DYNAMIC):
            return _as_far_as_read(opened, before.st_size)
        raise Changed

    def _special(self, folder: int, directory: bytes, entry: Entry) -> ReadObject:
        """A directory, link, FIFO or device: attributes only."""
        st = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
        kind = object_type(st.st_mode)
        if kind is None or stat.S_IFMT(st.st_mode) != stat.S_IFMT(entry.mode):
            raise Changed
        target = os.readlink(entry.name, dir_fd=folder) if kind is ObjectType.SYMLINK else b""
        extended = {} if self._skip_acl else self._special_extended(folder, entry.name, kind)
        attributes = self._owners.attributes(st, link_target=target, extended=extended)
        return ReadObject(directory, entry.name, kind, 0, encode_attributes(attributes), [])

    def _special_extended(self, folder: int, name: bytes, kind: ObjectType) -> dict[str, bytes]:
        """Of a directory through its descriptor, of the others through /proc: they must not be opened."""
        return extended_of(folder, name, is_folder=kind is ObjectType.DIRECTORY)

    def _followed(self, folder: int, entry: Entry) -> Entry | None:
        """What a link points to, where that is a file; None where it is stored as a link."""
        try:
            st = os.stat(entry.name, dir_fd=folder)
        except OSError:
            return None
        return Entry.of(entry.name, st) if stat.S_ISREG(st.st_mode) else None

    # --- long files --------------------------------------------------------------------------------------------

    def _stream(self, reading: Reading, folder: int, number: int, place: int) -> Iterator[Group]:
        """One long file, window by window, in pieces; its object is complete with the last window.

        Has it a unit of its own, the transaction starts over where the file is read again. Among other files (it was
        short when the walk saw it) extents of the first try stay in the transaction; the server drops what no object names.
        """
        unit = reading.unit
        directory, name = unit.folders[number].directory, unit.folders[number].entries[place].name
        is_alone = len(unit.folders) == len(unit.folders[0].entries) == 1
        attempts = 1 + (self._retries if unit.serialization in (SHARED_STATIC, SHARED_DYNAMIC) else 0)
        try:
            opened = self._open(unit, name, folder)
        except OSError as problem:
            reading.failures.append(_failure(number, place, problem))
            return
        try:
            for attempt in range(attempts):
                if attempt:
                    _note_retry(reading, number, place, attempt)
                    if is_alone:
                        yield Group([], [], restart=True)
                any_state = unit.serialization == DYNAMIC or (
                    unit.serialization == SHARED_DYNAMIC and attempt == attempts - 1
                )
                whole_file = _LongFile(directory, name, self._piece_extents)
                before = os.fstat(opened)
                if not stat.S_ISREG(before.st_mode):
                    break
                if not is_alone and before.st_size > self._piece_extents * EXTENT_MIN:
                    break  # it would leave in pieces, and a piece cannot be taken back
                ranges = (
                    data_ranges(opened, before.st_size)
                    if may_be_sparse(before)
                    else ([(0, before.st_size)] if before.st_size else [])
                )
                last: list[Extent] | None = None  # one behind, so that the object goes with its last extents
                for extents in self._windows(opened, ranges):
                    if reading.abandoned:
                        return
                    if last is not None:
                        yield Group(whole_file.piece(before.st_size), last, reused=True)
                    whole_file.add(extents)
                    last = extents
                crash_point("client.file.after_read")
                st = os.fstat(opened)
                length, size = whole_file.length, before.st_size
                whole = length == sum(map(itemgetter(1), ranges))
                same = whole and st.st_mtime_ns == before.st_mtime_ns and st.st_size == before.st_size
                if same or any_state:
                    if not whole:  # it became shorter; what has left in pieces has told its length already
                        ranges = _first_of(ranges, length)
                        size = size if whole_file.has_left else _end_of(ranges)
                    extended = {} if self._skip_acl else read_extended(opened)
                    holes = holes_between(ranges, size)
                    attributes = self._owners.attributes(st, extended=extended, holes=holes)
                    attributes = _with_size(attributes, size)
                    done = whole_file.end(size, encode_attributes(attributes))
                    reading.read_bytes += length
                    yield Group([done], last or [], reused=last is not None)
                    return
            reading.failures.append(Failure(number, place, "ANS4037E"))
        except OSError as problem:
            reading.failures.append(_failure(number, place, problem))
        except TooLong as wrong:
            reading.failures.append(Failure(number, place, wrong.message_id, wrong.reason))
        except (OverflowError, ValueError) as odd:
            reading.failures.append(Failure(number, place, "ANS4014E", str(odd)))
        finally:
            os.close(opened)

    def _windows(self, opened: int, ranges: list[Range]) -> Iterator[list[Extent]]:
        """Cut the ranges into extents through the ring of buffers. Ends early where the file became shorter."""
        for start, length in ranges:
            position, end, carried = start, start + length, memoryview(b"")
            while position < end or carried:
                window = self._next_buffer()
                window[: len(carried)] = carried
                filled, position = self._fill(opened, window, len(carried), position, end)
                short = filled == len(carried) and position < end
                extents: list[Extent] = []
                taken = 0
                for size in cut(window[:filled], final=position >= end or short):
                    piece = window[taken : taken + size]
                    extents.append(Extent(digest(piece), piece))
                    taken += size
                carried = window[taken:filled]
                yield extents
                if short:
                    return

    def _fill(self, opened: int, window: memoryview, filled: int, position: int, end: int) -> tuple[int, int]:
        while position < end and filled < WINDOW_BYTES:
            most = min(end - position, WINDOW_BYTES - filled)
            got = os.preadv(opened, [window[filled : filled + most]], position)
            if got == 0:
                break
            filled += got
            position += got
        return filled, position

    def _next_buffer(self) -> memoryview:
        """The buffer after the last one. Nobody fills the two before: what is carried over lies in one of them, and
        the window that is not handed on yet in the other.
        """
        if not self._ring:
            self._ring = [memoryview(bytearray(WINDOW_BYTES)) for _ in range(AHEAD + 2)]
        self._turn = (self._turn + 1) % len(self._ring)
        return self._ring[self._turn]


class _LongFile:
    """What is known of a long file while it is read: its extents since the last piece, and how many went before."""

    def __init__(self, directory: bytes, name: bytes, piece_extents: int) -> None:
        self._directory, self._name = directory, name
        self._piece_extents = piece_extents
        self._refer: list[tuple[bytes, int]] = []
        self._before = 0
        self.length = 0

    def add(self, extents: list[Extent]) -> None:
        """`TooLong` where no object may have so many."""
        self._refer += [(each.digest, len(each.data)) for each in extents]
        self.length += sum(len(each.data) for each in extents)
        if self._before + len(self._refer) > TRANSACTION_EXTENTS_MAX:
            raise TooManyExtents(f"{TRANSACTION_EXTENTS_MAX:,}")

    def piece(self, size_bytes: int) -> list[ReadObject]:
        """The extents so far as a piece, where they are enough for one; more follow."""
        return [self._take(size_bytes, b"", more=True)] if len(self._refer) >= self._piece_extents else []

    @property
    def has_left(self) -> bool:
        """Has a piece been handed on?"""
        return self._before > 0

    def end(self, size_bytes: int, attributes: bytes) -> ReadObject:
        """The last piece, or the only one."""
        return self._take(size_bytes, attributes, more=False)

    def _take(self, size_bytes: int, attributes: bytes, *, more: bool) -> ReadObject:
        refer, before = self._refer, self._before
        self._refer, self._before = [], before + len(refer)
        return ReadObject(
            self._directory, self._name, ObjectType.FILE, size_bytes, attributes, refer, before, more
        )


def extended_of(folder: int, name: bytes, *, is_folder: bool) -> dict[str, bytes]:
    """Extended attributes of an entry that is no regular file."""
    if not is_folder:
        return read_extended(b"/proc/self/fd/%d/%s" % (folder, name))
    try:
        opened = os.open(name, FOLDER_FLAGS, dir_fd=folder)
    except PermissionError:
        return {}  # not even listable for us: its own attributes are kept all the same
    try:
        return read_extended(opened)
    finally:
        os.close(opened)


def failure_message(problem: OSError) -> str:
    """The catalogue number for what the operating system said."""
    return _REASONS.get(problem.errno or 0, "ANS4014E")


def _failure(folder: int, entry: int, problem: OSError) -> Failure:
    return Failure(folder, entry, failure_message(problem), problem.strerror or str(problem))


def _note_retry(reading: Reading, number: int, place: int, attempt: int) -> None:
    if attempt > 1:
        reading.retried.pop()
    reading.retried.append(Retried(number, place, attempt))


def _read_range(opened: int, wanted: Range) -> bytes:
    """Up to the whole range: less where the file became shorter."""
    offset, length = wanted
    first = os.pread(opened, length, offset)
    if len(first) == length or not first:
        return first
    parts = [first]
    done = len(first)
    while done < length and (more := os.pread(opened, length - done, offset + done)):
        parts.append(more)
        done += len(more)
    return b"".join(parts)


def _as_far_as_read(opened: int, size_bytes: int) -> tuple[list[bytes], tuple[Range, ...], os.stat_result]:
    """Dynamic serialization: whatever is there now, and its length as read."""
    data = _read_range(opened, (0, size_bytes))
    st = os.fstat(opened)
    holes = ((len(data), st.st_size - len(data)),) if st.st_size > len(data) else ()
    if st.st_size < len(data):
        data = data[: st.st_size]
    return [data] if data else [], holes, st


def _first_of(ranges: list[Range], length: int) -> list[Range]:
    """The ranges of the first `length` bytes of data."""
    found = []
    for start, size in ranges:
        if length > 0:
            found.append((start, min(size, length)))
        length -= size
    return found


def _end_of(ranges: list[Range]) -> int:
    return sum(ranges[-1]) if ranges else 0


def _cut_into(data: memoryview, extents: list[Extent], refer: list[tuple[bytes, int]]) -> None:
    taken = 0
    for size in cut(data, final=True):
        piece = data[taken : taken + size]
        name = digest(piece)
        extents.append(Extent(name, piece))
        refer.append((name, size))
        taken += size


def _with_size(attributes: FileAttributes, size_bytes: int) -> FileAttributes:
    """Of a file stored while it changed: the length is that of the bytes sent."""
    if attributes.size_bytes == size_bytes:
        return attributes
    return msgspec.structs.replace(attributes, size_bytes=size_bytes)
