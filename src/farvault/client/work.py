"""What the walking process hands to a consumer, and what comes back. Also the bytes on the pipe between them.

A unit is one transaction: it is small enough for the server's limits, goes to one management class, and is repeated as
a whole where the link breaks. Entries carry what the walk saw, so a consumer notices what changed since.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from farvault.client.attributes import nearest_time
from farvault.protocol.messages import AttributesRow
from farvault.seal.pack import PIECE_EXTENTS


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One name in a folder, with the stat result that the walk got."""

    name: bytes
    mode: int
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, name: bytes, st: os.stat_result) -> Entry:
        return cls(name, st.st_mode, st.st_size, nearest_time(st.st_mtime_ns))


class WorkFolder(msgspec.Struct, array_like=True):
    """Entries of one folder; `directory` below the file space's root, components joined by NUL."""

    directory: bytes
    entries: list[Entry]


class Unit(msgspec.Struct, tag=True, kw_only=True):
    """One transaction's work: files to send, or changes of what the server has (ids as the inventory gave them).

    `serialization`: of the copy group. `may_be_known`: the server has objects of this file space, ask before sending.
    `follow_links`: a symbolic link stands for what it points to (ARCHSYMLINKASFILE).
    """

    number: int
    root: bytes
    file_space: str
    kind: int
    management_class: str
    serialization: str = "SHRSTATIC"
    description: str = ""
    may_be_known: bool = True
    follow_links: bool = False
    folders: list[WorkFolder] = []
    expire: list[int] = []
    updates: list[AttributesRow] = []
    rebind: list[int] = []
    size_bytes: int = 0
    largest_bytes: int = 0


class Failure(msgspec.Struct, array_like=True):
    """One object that was not done: its place in the unit or batch, and the message that says why (`path`, `reason`)."""

    folder: int
    entry: int
    message_id: str
    reason: str = ""


class Retried(msgspec.Struct, array_like=True):
    """One object that was read more than once because it changed meanwhile."""

    folder: int
    entry: int
    times: int


class UnitResult(msgspec.Struct, tag=True, kw_only=True):
    """What became of a unit. `refused`: the transaction's message (id and text) where nothing of it was stored.

    `read_bytes`: of the files. `new_bytes`: after leaving out what the server has. `packed_bytes`: those compressed.
    `processed_bytes`: as `new_bytes`, with what was read for nothing because the file changed.
    `deduplicated`: objects of which the server had a part already.
    `lost_link`: the server could not be reached any more; the consumer has given up.
    """

    number: int
    stored: int = 0
    expired: int = 0
    updated: int = 0
    rebound: int = 0
    failures: list[Failure] = []
    retried: list[Retried] = []
    read_bytes: int = 0
    new_bytes: int = 0
    processed_bytes: int = 0
    deduplicated: int = 0
    packed_bytes: int = 0
    sent_bytes: int = 0
    transfer_seconds: float = 0.0
    refused: tuple[str, str] | None = None
    lost_link: bool = False


class RestoreFile(msgspec.Struct, array_like=True):
    """One object to write: its id at the server, its name in the target folder, its type and attributes.

    `replace`: what an existing file may expect: `YES`, `NO`, `IFNEWER`.
    """

    id: int
    name: bytes
    type: int
    size_bytes: int
    attributes: bytes
    replace: str


class RestoreFolder(msgspec.Struct, array_like=True):
    """Objects of one target folder, below the destination's root."""

    directory: bytes
    files: list[RestoreFile]


class Batch(msgspec.Struct, tag=True, kw_only=True):
    """Objects to fetch and write in one request."""

    number: int
    root: bytes
    folders: list[RestoreFolder]
    make_sparse: bool = True
    skip_acl: bool = False


class BatchResult(msgspec.Struct, tag=True, kw_only=True):
    """What became of a batch. `warnings`: objects that were written, but not with everything."""

    number: int
    restored: int = 0
    skipped: int = 0
    failures: list[Failure] = []
    warnings: list[Failure] = []
    written_bytes: int = 0
    received_bytes: int = 0
    transfer_seconds: float = 0.0
    lost_link: bool = False


class Notice(msgspec.Struct, tag=True):
    """Something to tell a person at once, from a consumer: a message's id and text."""

    message_id: str
    text: str


class ConsumerSettings(msgspec.Struct, tag=True, kw_only=True):
    """All a consumer needs to know; it goes down the pipe, so no password stands in a command line."""

    host: str
    port: int
    fingerprint: str
    node: str
    password: str
    compression_level: int | None = 1
    changing_retries: int = 4
    restart_seconds: float = 3600.0
    restart_interval_seconds: float = 15.0
    skip_acl: bool = False
    piece_extents: int = PIECE_EXTENTS


Work = Unit | Batch
Answer = UnitResult | BatchResult | Notice

_LENGTH: Final = struct.Struct("<I")
_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE_WORK: Final = msgspec.msgpack.Decoder(Unit | Batch | ConsumerSettings).decode
_DECODE_ANSWER: Final = msgspec.msgpack.Decoder(UnitResult | BatchResult | Notice).decode


def write_frame(pipe: BinaryIO, item: Work | Answer | ConsumerSettings) -> None:
    """Put one item on a pipe: u32 length, msgpack."""
    body = _ENCODE(item)
    pipe.write(_LENGTH.pack(len(body)) + body)
    pipe.flush()


def read_work(pipe: BinaryIO) -> Iterator[Work | ConsumerSettings]:
    """Items until the pipe is closed."""
    for body in _frames(pipe):
        yield _DECODE_WORK(body)


def read_answers(pipe: BinaryIO) -> Iterator[Answer]:
    """Answers until the consumer has ended."""
    for body in _frames(pipe):
        yield _DECODE_ANSWER(body)


def _frames(pipe: BinaryIO) -> Iterator[bytes]:
    while len(head := pipe.read(_LENGTH.size)) == _LENGTH.size:
        length = _LENGTH.unpack(head)[0]
        body = pipe.read(length)
        if len(body) < length:
            return
        yield body
