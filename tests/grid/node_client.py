"""A client made of raw protocol messages: what a node's session does, with nothing of `client/` between."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType

from farvault.base.errors import FarvaultError
from farvault.model.stored_object import ObjectKind, ObjectType
from farvault.protocol.messages import (
    BeginTransaction,
    Body,
    DeleteObjects,
    Done,
    EndTransaction,
    FileSpaceAnswer,
    Known,
    KnownAnswer,
    ObjectMaps,
    ObjectRow,
    Objects,
    Pack,
    QueryObjects,
    ReadEnd,
    ReadObjects,
    RegisterFileSpace,
    SignOff,
    StorePack,
    TransactionAnswer,
    Welcome,
)
from farvault.seal.compress import RAW, decompress
from farvault.seal.digest import digest
from farvault.seal.pack import PackBuilder, parse
from farvault.transport.connection import Connection

FILE_SPACE = "/home"


@dataclass(frozen=True)
class Restored:
    """What ReadObjects gave: contents by object id, ids that were lost."""

    contents: dict[int, bytes]
    lost: tuple[int, ...]


class NodeClient:
    """One signed-on session of a node with one file space."""

    def __init__(
        self, signed_on: tuple[Connection, Welcome], node: str, file_space: str = FILE_SPACE
    ) -> None:
        self.connection, self.welcome = signed_on
        self.node = node
        self.file_space = file_space

    def __enter__(self) -> NodeClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(FarvaultError):  # the test may have cut it
            self.connection.send(SignOff())
        self.connection.close()

    def register(self, **fields: object) -> FileSpaceAnswer:
        return self.connection.call(RegisterFileSpace(name=self.file_space, **fields), FileSpaceAnswer)  # type: ignore[arg-type]

    def begin(self, management_class: str = "STANDARD", kind: int = ObjectKind.BACKUP) -> None:
        begin = BeginTransaction(file_space=self.file_space, kind=kind, management_class=management_class)
        self.connection.call(begin, Done)

    def send_pack(
        self,
        files: Iterable[tuple[bytes, bytes]],
        *,
        known: Iterable[bytes] = (),
        kind: int = ObjectKind.BACKUP,
        change: Callable[[bytes], bytes] = lambda plain: plain,
    ) -> None:
        """One pack of whole files in the root directory. `known`: contents that are only referred to."""
        referred = set(known)
        builder = PackBuilder(self.node, self.file_space, kind, "STANDARD")
        for name, content in files:
            name_of = digest(content)
            extents = []
            if content:
                add = (
                    builder.add_reference(name_of, len(content))
                    if content in referred
                    else builder.add_extent(name_of, content)
                )
                extents = [add]
            builder.add_object(
                b"", name, ObjectType.FILE, len(content), b"attributes of " + name, "", extents
            )
        plain = change(bytes(builder.build()))
        self.connection.send(StorePack(codec=RAW, plain_bytes=len(plain)), plain)

    def commit(self) -> TransactionAnswer:
        return self.connection.call(EndTransaction(), TransactionAnswer)

    def store(self, files: dict[bytes, bytes], kind: int = ObjectKind.BACKUP) -> TransactionAnswer:
        """One whole transaction."""
        self.begin(kind=kind)
        self.send_pack(files.items(), kind=kind)
        return self.commit()

    def known(self, contents: Iterable[bytes]) -> bytes:
        return self.connection.call(Known(digests=b"".join(map(digest, contents))), KnownAnswer).known

    def inventory(self, *, active_only: bool = True, kind: int = ObjectKind.BACKUP) -> dict[bytes, ObjectRow]:
        """name -> row (the last version of each name)."""
        self.connection.send(QueryObjects(file_space=self.file_space, kind=kind, active_only=active_only))
        rows: dict[bytes, ObjectRow] = {}
        while True:
            frame, _ = self.connection.expect(Objects)
            rows.update({row.name: row for row in frame.rows})
            if frame.last:
                return rows

    def read(self, ids: Iterable[int]) -> Restored:
        self.connection.send(ReadObjects(ids=tuple(ids)))
        maps: dict[int, list[bytes]] = {}
        extents: dict[bytes, bytes] = {}
        while True:
            answer: Body
            answer, tail = self.connection.expect(ObjectMaps, Pack, ReadEnd)
            if isinstance(answer, ObjectMaps):
                for row in answer.rows:
                    names = [row.digests[at : at + 32] for at in range(0, len(row.digests), 32)]
                    maps.setdefault(row.id, []).extend(names)
            elif isinstance(answer, Pack):
                opened = parse(bytes(decompress(answer.codec, tail, answer.plain_bytes)))
                opened.verify()
                for index, (name, _) in enumerate(opened.directory.extents):
                    extents[name] = bytes(opened.extent(index))
            else:
                assert isinstance(answer, ReadEnd)
                whole = {
                    number: b"".join(extents[name] for name in names)
                    for number, names in maps.items()
                    if number not in answer.lost
                }
                return Restored(whole, answer.lost)

    def read_all(self) -> dict[bytes, bytes]:
        """name -> content of everything active."""
        rows = self.inventory()
        restored = self.read(row.id for row in rows.values())
        return {name: restored.contents[row.id] for name, row in rows.items()}

    def delete(self, ids: Iterable[int]) -> TransactionAnswer:
        return self.connection.call(DeleteObjects(ids=tuple(ids)), TransactionAnswer)


def some_files(count: int, size_bytes: int = 5000) -> dict[bytes, bytes]:
    """Different files of random bytes."""
    return {b"file%04d" % number: os.urandom(size_bytes) for number in range(count)}
