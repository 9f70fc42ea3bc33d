"""The objects of one transaction as its packs come in: names checked, long objects joined from their pieces.

Until the commit knows the numbers of extents an object holds digests, joined: 32 bytes for each extent. All extents
and attributes together are bounded here, so a transaction's memory is, whatever a client sends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from farvault.catalog.objects import NewObject
from farvault.model.stored_object import ObjectType
from farvault.protocol.verbs import TRANSACTION_EXTENTS_MAX
from farvault.seal.digest import DIGEST_BYTES
from farvault.seal.pack import OpenPack, PackObject

ATTRIBUTES_MOST_BYTES: Final = 1 << 30
"""Of all objects of a transaction."""
_TYPES: Final = frozenset(
    (ObjectType.FILE, ObjectType.DIRECTORY, ObjectType.SYMLINK, ObjectType.FIFO, ObjectType.DEVICE)
)


_LEADS_NOWHERE: Final = frozenset((b"", b".", b".."))


class Unacceptable(Exception):
    """What came cannot be an object; the text says why."""


class _Whole(NamedTuple):
    """An object, or the last piece of one, and all its digests."""

    source: PackObject
    digests: bytes


class Arriving:
    """Takes packs in the order in which they were sent. `most_extents`: of all objects together."""

    def __init__(self, most_extents: int = TRANSACTION_EXTENTS_MAX) -> None:
        self._whole: list[_Whole] = []
        self._begun: PackObject | None = None
        self._joined = bytearray()
        self._room_extents = most_extents
        self._room_attributes = ATTRIBUTES_MOST_BYTES
        self._checked_directory = b""

    def __len__(self) -> int:
        """Objects so far; one of which pieces are missing counts."""
        return len(self._whole) + (self._begun is not None)

    def add(self, pack: OpenPack) -> None:
        """Take a pack's objects. `Unacceptable` where one is not as it should be."""
        directory = pack.directory
        digests = [digest for digest, _ in directory.extents]
        digests += [digest for digest, _ in directory.references]
        for each in directory.objects:
            _check_name(each)
            if each.directory != self._checked_directory:  # a folder's objects mostly follow each other
                _check_directory(each.directory)
                self._checked_directory = each.directory
            self._room_extents -= len(each.extents)
            self._room_attributes -= len(each.attributes)
            if self._room_extents < 0 or self._room_attributes < 0:
                raise Unacceptable("it is longer than a transaction may be")
            named = b"".join([digests[index] for index in each.extents])
            if each.more or each.before or self._begun is not None:
                self._join(each, named)
            else:
                self._whole.append(_Whole(each, named))

    def finish(self) -> None:
        """Nothing more comes. `Unacceptable` where an object is not complete."""
        if self._begun is not None:
            raise Unacceptable(f"an object is not complete: {self._begun.name[:80]!r}")

    def objects(self, numbers: Mapping[bytes, int]) -> Iterator[NewObject]:
        """What came, by the numbers of its extents."""
        for source, digests in self._whole:
            yield NewObject(
                source.directory,
                source.name,
                source.type,
                source.size_bytes,
                source.attributes,
                source.description,
                _numbered(digests, numbers),
            )

    def _join(self, piece: PackObject, named: bytes) -> None:
        """The pieces of an object follow each other: nothing comes between them, and none twice."""
        begun = self._begun or piece
        same = (piece.directory, piece.name, piece.type, piece.size_bytes) == (
            begun.directory,
            begun.name,
            begun.type,
            begun.size_bytes,
        )
        if not same or piece.before * DIGEST_BYTES != len(self._joined):
            raise Unacceptable(f"the pieces of an object do not fit together: {piece.name[:80]!r}")
        self._joined += named
        self._begun = piece
        if not piece.more:
            self._whole.append(_Whole(piece, bytes(self._joined)))
            self._begun, self._joined = None, bytearray()


def _numbered(digests: bytes, numbers: Mapping[bytes, int]) -> Sequence[int]:
    if len(digests) == DIGEST_BYTES:  # nearly every file
        return (numbers[digests],)
    return [numbers[digests[at : at + DIGEST_BYTES]] for at in range(0, len(digests), DIGEST_BYTES)]


def _check_name(each: PackObject) -> None:
    """Names as a file system has them: a client that restores them later must not be led astray."""
    name = each.name
    bad = b"/" in name or b"\0" in name or name in (b".", b"..")
    if bad or not (name or not each.directory) or each.type not in _TYPES:
        raise Unacceptable(f"an object's name or type is not valid: {name[:80]!r}")


def _check_directory(directory: bytes) -> None:
    """Components joined by NUL; each a name that leads one folder down. Not called for the root, which has none."""
    if directory and (b"/" in directory or not _LEADS_NOWHERE.isdisjoint(directory.split(b"\0"))):
        raise Unacceptable(f"an object's directory is not valid: {directory[:80]!r}")
