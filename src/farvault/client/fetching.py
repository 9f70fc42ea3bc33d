"""Fetch the objects of one batch and write them as their extents arrive, in whatever order the server reads them.

The server sends first which extents make up which object, then packs. Every extent is verified by its digest before a
byte of it is written. A file of one extent is written in one go; longer ones are kept open and filled at offsets, holes
left as holes. What was written stays written when the link breaks: `run` again asks for the rest.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from farvault.base.errors import FarvaultError, PeerUnreachable, RecordDamaged
from farvault.base.pipeline import run_ahead
from farvault.client.attributes import decode_attributes
from farvault.client.placing import NewFile, Placer, Skipped, TargetFolder
from farvault.client.reading import failure_message
from farvault.client.session import NodeSession
from farvault.client.work import Batch, BatchResult, Failure, RestoreFile
from farvault.model.stored_object import FileAttributes, ObjectType
from farvault.protocol import messages as m
from farvault.protocol.frames import ProtocolError
from farvault.seal import pack
from farvault.seal.compress import RAW, decompress
from farvault.seal.digest import DIGEST_BYTES, digest

OPEN_MOST: Final = 64
CANNOT_BE_DONE: Final = (OSError, ValueError, OverflowError)
"""What fails one object: the operating system said no, or its attributes are none that anything could have."""
AHEAD: Final = 4
"""How many arrivals the receiver is ahead of the writer: enough to ask for the next batch while the last pack is written."""
UNUSED_SECONDS: Final = 50.0
"""The shortest IDLETIMEOUT is a minute."""

Arrived = m.ObjectMaps | m.ReadEnd | pack.OpenPack
"""What the server answers to one request, packs opened."""


class Received(NamedTuple):
    """One answer, what it had of bytes on the wire, and how long the receiver waited for it."""

    what: Arrived
    wire_bytes: int = 0
    seconds: float = 0.0


class Arrival(NamedTuple):
    """Something for a batch; after a `ReadEnd` or an error no more comes for it."""

    batch: Batch
    what: Received | FarvaultError


class _File:
    """One file on its way."""

    __slots__ = (
        "attributes",
        "data_bytes",
        "end",
        "file",
        "folder",
        "map_goes_on",
        "missing",
        "new",
        "place",
    )

    def __init__(self, folder: int, place: int, file: RestoreFile, attributes: FileAttributes) -> None:
        self.folder = folder
        self.place = place
        self.file = file
        self.attributes = attributes
        self.missing = 0
        self.map_goes_on = False
        self.end = self.data_bytes = 0  # of what the map has told so far
        self.new: NewFile | None = None  # not made yet


class Fetch:
    """One batch. Call `run` with a session until it returns; then `result` is complete. Call `close` in the end."""

    def __init__(self, batch: Batch, skip_acl: bool = False) -> None:
        self.result = BatchResult(number=batch.number)
        self._batch = batch
        self._placer = Placer(skip_acl or batch.skip_acl)
        self._root = os.open(batch.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._folders: dict[int, TargetFolder] = {}
        self._waiting: dict[int, _File] = {}
        self._wanted: dict[bytes, list[tuple[_File, int, int]]] = {}
        self._open: OrderedDict[int, _File] = OrderedDict()
        self._place_what_has_no_data()

    def close(self) -> None:
        """Close everything; files that are not complete are removed."""
        for waiting in self._waiting.values():
            self._drop(waiting)
        for folder in self._folders.values():
            folder.close()
        self._folders.clear()
        os.close(self._root)

    def run(self, session: NodeSession) -> None:
        """Ask for what is still missing and write it. `PeerUnreachable` where the link breaks: call again."""
        self._wanted.clear()
        for waiting in self._waiting.values():  # begun files are written anew from their start
            self._drop(waiting)
            waiting.missing, waiting.map_goes_on, waiting.end, waiting.data_bytes = 0, False, 0, 0
        if not self._waiting:
            return
        with contextlib.closing(run_ahead(_ask(session, list(self._waiting)), AHEAD, "receive")) as answers:
            self.take(answers)

    def take(self, answers: Iterable[Received]) -> None:
        """Write what the server answers. `PeerUnreachable` where the link breaks: call `run`."""
        for arrived, wire_bytes, seconds in answers:
            self.result.received_bytes += wire_bytes
            self.result.transfer_seconds += seconds
            if isinstance(arrived, m.ObjectMaps):
                self._map(arrived)
            elif isinstance(arrived, m.ReadEnd):
                self._end(arrived)
            else:
                self._unpack(arrived)

    # --- objects without data ------------------------------------------------------------------------------------

    def _place_what_has_no_data(self) -> None:
        for number, folder in enumerate(self._batch.folders):
            for place, file in enumerate(folder.files):
                try:
                    attributes = decode_attributes(file.attributes)
                except ValueError:
                    self._fail(number, place, "ANS1304E", "its attributes cannot be read")
                    continue
                state = _File(number, place, file, attributes)
                if _has_data(file):
                    self._waiting[file.id] = state
                    continue
                try:
                    if file.type == ObjectType.FILE:
                        self._complete(state)
                    else:
                        refused = self._placer.make_special(self._folder(number), file, attributes)
                        self._done(state, refused)
                except Skipped:
                    self._skip(state)
                except CANNOT_BE_DONE as problem:
                    self._os_failure(state, problem)

    # --- what arrives --------------------------------------------------------------------------------------------

    def _map(self, maps: m.ObjectMaps) -> None:
        for row in maps.rows:
            state = self._waiting.get(row.id)
            if state is None:
                continue
            offsets = _offsets(row.lengths, state.attributes.holes, state.end)
            if len(row.digests) != DIGEST_BYTES * len(row.lengths):
                self._give_up(state, "ANS1304E", "the server's list of its extents is not complete")
                continue
            state.end = offsets[-1] if offsets else state.end
            state.data_bytes += sum(row.lengths)
            if state.end > state.file.size_bytes:
                self._give_up(state, "ANS1304E", "its extents are longer than the file")
                continue
            if not row.more and not _is_whole(state):
                self._give_up(state, "ANS1304E", "its extents and holes do not make up the file")
                continue
            state.missing += (
                len(row.lengths) + row.more - state.map_goes_on
            )  # what is not told yet counts as one
            state.map_goes_on = row.more
            if not state.missing:  # all of it is a hole
                self._begin_and_complete(state)
                continue
            for number, offset in enumerate(offsets[:-1]):
                name = row.digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]
                self._wanted.setdefault(name, []).append((state, offset, row.lengths[number]))

    def _begin_and_complete(self, state: _File) -> None:
        try:
            self._complete(state)
        except Skipped:
            self._skip(state)
        except CANNOT_BE_DONE as problem:
            self._os_failure(state, problem)

    def _unpack(self, opened: pack.OpenPack) -> None:
        wanted = self._wanted
        for number, (name, _) in enumerate(opened.directory.extents):
            targets = wanted.pop(name, None)
            if targets is None:
                continue
            data = opened.extent(number)
            intact = digest(data) == name
            for state, offset, length in targets:
                if state.file.id not in self._waiting:
                    continue
                if intact and len(data) == length:
                    self._write(state, offset, data)
                elif intact:
                    self._give_up(state, "ANS1304E", "an extent is not as long as the server said")
                else:
                    self._give_up(state, "ANS1304E", "data arrived that does not match its digest")

    def _write(self, state: _File, offset: int, data: memoryview) -> None:
        try:
            descriptor = self._make(state).descriptor
            done = os.pwrite(descriptor, data, offset)
            while done < len(data):
                done += os.pwrite(descriptor, data[done:], offset + done)
            self.result.written_bytes += len(data)
            state.missing -= 1
            if not state.missing:
                self._complete(state)
            else:
                self._keep_open(state)
        except Skipped:
            self._skip(state)
        except CANNOT_BE_DONE as problem:
            self._os_failure(state, problem)

    def _end(self, end: m.ReadEnd) -> None:
        lost = set(end.lost)
        for state in list(self._waiting.values()):
            reason = end.reason if state.file.id in lost else "the server did not send all of it"
            self._give_up(state, "ANS1314E", reason)

    def give_up_rest(self, reason: str, message_id: str) -> None:
        """Nothing more will come: what is missing has failed."""
        for state in list(self._waiting.values()):
            self._give_up(state, message_id, reason)

    # --- one file ------------------------------------------------------------------------------------------------

    def _make(self, state: _File) -> NewFile:
        """Open, for the first time or again."""
        if state.new is None:
            folder = self._folder(state.folder)
            state.new = self._placer.create(folder, state.file, state.attributes.mtime_ns)
        elif state.new.descriptor < 0:
            self._placer.reopen(self._folder(state.folder), state.new)
        return state.new

    def _keep_open(self, state: _File) -> None:
        """Long files stay open, a bounded number of them."""
        self._open[state.file.id] = state
        self._open.move_to_end(state.file.id)
        if len(self._open) > OPEN_MOST:
            _, oldest = self._open.popitem(last=False)
            assert oldest.new is not None
            try:
                self._placer.put_aside(self._folder(oldest.folder), oldest.new)
            except CANNOT_BE_DONE as problem:
                self._os_failure(oldest, problem)

    def _complete(self, state: _File) -> None:
        size = state.file.size_bytes
        new = self._make(state)
        if state.attributes.holes:
            os.ftruncate(new.descriptor, size)
            if not self._batch.make_sparse:
                os.posix_fallocate(new.descriptor, 0, size)
        refused = self._placer.finish(self._folder(state.folder), state.file, state.attributes, new)
        self._open.pop(state.file.id, None)
        state.new = None
        new.close()
        self._done(state, refused)

    def _done(self, state: _File, refused: list[str]) -> None:
        self._waiting.pop(state.file.id, None)
        self.result.restored += 1
        if refused:
            warning = Failure(state.folder, state.place, "ANS1587W", ", ".join(refused))
            self.result.warnings.append(warning)

    def _skip(self, state: _File) -> None:
        self._waiting.pop(state.file.id, None)
        self._drop(state)
        self.result.skipped += 1
        self.result.warnings.append(Failure(state.folder, state.place, "ANS1946W"))

    def _os_failure(self, state: _File, problem: Exception) -> None:
        self._give_up(state, *restore_failure(problem))

    def _give_up(self, state: _File, message_id: str, reason: str) -> None:
        self._waiting.pop(state.file.id, None)
        self._drop(state)
        self._fail(state.folder, state.place, message_id, reason)

    def _drop(self, state: _File) -> None:
        """Close and remove what is there of a file that is not complete."""
        self._open.pop(state.file.id, None)
        if state.new is not None:
            with contextlib.suppress(OSError):
                state.new.close()
                self._placer.discard(self._folder(state.folder), state.new)
            state.new = None

    def _fail(self, folder: int, place: int, message_id: str, reason: str) -> None:
        self.result.failures.append(Failure(folder, place, message_id, reason))

    def _folder(self, number: int) -> TargetFolder:
        folder = self._folders.get(number)
        if folder is None:
            if len(self._folders) >= OPEN_MOST:
                self._folders.pop(next(iter(self._folders))).close()
            directory = self._batch.folders[number].directory
            folder = self._folders[number] = TargetFolder.open(self._root, directory)
        return folder


def restore_failure(problem: Exception) -> tuple[str, str]:
    """The catalogue number and the reason for what stopped the writing of one object (`CANNOT_BE_DONE`)."""
    if not isinstance(problem, OSError):
        return "ANS1304E", f"its attributes cannot be given to a file ({problem})"
    return _message_id(problem), problem.strerror or str(problem)


def _message_id(problem: OSError) -> str:
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return "ANS4009E"
    if problem.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR):
        return "ANS4029E"
    if problem.errno == errno.EINVAL:
        return "ANS4028E"
    return failure_message(problem)


def receive_each(session: NodeSession, batches: Iterable[Batch]) -> Iterator[Arrival]:
    """What the server answers for one batch after the other: this runs in its own thread, beside the writing.

    The next batch is asked for as soon as the last answer is complete. A broken link is the last that is told. Ends without
    asking where the session was left idle while it waited for a batch.
    """
    for batch in batches:
        if is_unused(session):
            return
        try:
            ids = [file.id for folder in batch.folders for file in folder.files if _has_data(file)]
            for received in _ask(session, ids) if ids else (Received(m.ReadEnd()),):
                yield Arrival(batch, received)
        except FarvaultError as problem:
            yield Arrival(batch, problem)
            if isinstance(problem, PeerUnreachable | ProtocolError):
                return


def is_unused(session: NodeSession) -> bool:
    """Has nothing gone over it for so long that the server may have ended it?"""
    return time.monotonic() - session.connection.state_since > UNUSED_SECONDS


def _has_data(file: RestoreFile) -> bool:
    return file.type == ObjectType.FILE and file.size_bytes > 0


def _is_whole(state: _File) -> bool:
    """Do all extents, with the holes between and after them, end where the file does, and none lie over another?"""
    holes = state.attributes.holes
    end = state.end
    for start, length in holes:
        if start < 0 or length < 0:
            return False
        if start >= state.end:
            end = start + length if start == end else -1
    data = state.data_bytes + sum(length for _, length in holes)
    return end == data == state.file.size_bytes


def _ask(session: NodeSession, ids: Sequence[int]) -> Iterator[Received]:
    connection = session.connection
    connection.send(m.ReadObjects(ids=tuple(ids)))
    while True:
        before, started = connection.bytes_received, time.monotonic()
        body: m.ObjectMaps | m.Pack | m.ReadEnd
        body, tail = connection.expect(m.ObjectMaps, m.Pack, m.ReadEnd)
        wire_bytes, seconds = connection.bytes_received - before, time.monotonic() - started
        if not isinstance(body, m.Pack):
            yield Received(body, wire_bytes, seconds)
            if isinstance(body, m.ReadEnd):
                return
            continue
        try:
            plain = decompress(body.codec, tail, body.plain_bytes)
            opened = pack.parse(bytes(plain) if body.codec == RAW else plain)
        except RecordDamaged as damaged:
            raise ProtocolError(f"a pack that does not open: {damaged.message.text}") from None
        yield Received(opened, wire_bytes, seconds)


def _offsets(lengths: tuple[int, ...], holes: tuple[tuple[int, int], ...], position: int = 0) -> list[int]:
    """Where each extent begins in the file, and at last where the data ends. Extents never reach over a hole.

    `position`: where the extents before these end.
    """
    offsets = []
    waiting = list(reversed(holes))
    for length in lengths:
        while waiting and waiting[-1][0] <= position:
            start, size = waiting.pop()
            position = max(position, start + size)
        offsets.append(position)
        position += length
    return [*offsets, position] if offsets else []
