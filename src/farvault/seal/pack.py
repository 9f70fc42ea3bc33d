"""A pack: what a client sends and a record holds before compression. Extents of many files and what they belong to.

Layout (`docs/volume-format.md`): u32 LE directory length, directory (msgpack arrays), extent bytes one after the
other. Object metadata travels inside, so a volume can be listed with the keys alone. Work per small file is a few
list appends: a pack may hold thousands. An object whose list of extents is long goes through several packs in pieces.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Final

import msgspec
from blake3 import blake3

from farvault.base.errors import RecordDamaged
from farvault.seal.chunk import EXTENT_MAX
from farvault.seal.digest import DIGEST_BYTES, Buffer

PACK_EXTENT_BYTES: Final = 4 * 1024 * 1024
"""A pack closes before its extents would exceed this; one extent always fits."""

PACK_DIRECTORY_BYTES: Final = 512 * 1024
"""A pack closes when its directory is about this long, so that it fits a record even where nothing compresses."""

PIECE_EXTENTS: Final = 4096
"""A longer list of extents goes on in another piece; about 4 GiB of a file, 200 KB of a directory."""

OBJECT_EXTENTS_MAX: Final = 64 * 1024 * 1024
"""One object in all its pieces: some 64 TiB, or 16 TiB of the shortest extents."""

ATTRIBUTES_MAX_BYTES: Final = 1024 * 1024
"""Of one object. A row with them fits every frame, a pack with them every record."""

LENGTH_MAX: Final = EXTENT_MAX + 1024 * 1024
"""A file's extents are at most `EXTENT_MAX`; a source's whole record is one extent at its target, and a little longer."""

OBJECT_BYTES: Final = 48
"""What an object takes in a directory at most, without its names, attributes, description and extents."""

_LENGTH: Final = struct.Struct("<I")
_INT64: Final = 2**63 - 1

Digest = Annotated[bytes, msgspec.Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES)]
Length = Annotated[int, msgspec.Meta(ge=1, le=LENGTH_MAX)]
Index = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
SmallNumber = Annotated[int, msgspec.Meta(ge=0, lt=256)]


class PackObject(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """One object. `extents` in file order: i < number of inline extents, else `references[i - that number]`.

    `size_bytes` is the file's length; the extents add up to less where holes were not sent.

    `more`: this is a piece, and the list goes on in the next object of the transaction, which has the same directory,
    name, type and size. `before`: extents of the object in earlier pieces. Attributes and description are the last
    piece's.
    """

    directory: bytes
    name: bytes
    type: SmallNumber
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=_INT64)]
    attributes: Annotated[bytes, msgspec.Meta(max_length=ATTRIBUTES_MAX_BYTES)]
    description: str
    extents: tuple[Index, ...]
    before: Annotated[int, msgspec.Meta(ge=0, le=OBJECT_EXTENTS_MAX)] = 0
    more: bool = False


class PackDirectory(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What a pack holds. All its objects are of one node, file space, kind and class.

    `extents`: (digest, length) of the bytes inside, in order. `references`: extents the server has already.
    """

    node: str
    file_space: str
    kind: SmallNumber
    management_class: str
    extents: list[tuple[Digest, Length]]
    references: list[tuple[Digest, Length]]
    objects: list[PackObject]


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(PackDirectory)


class PackBuilder:
    """Collects extents and objects of one node, file space, kind and class; `build` joins them once.

    Buffers given to `add_extent` are kept, not copied: leave them alone until `build` has returned.
    """

    def __init__(self, node: str, file_space: str, kind: int, management_class: str) -> None:
        self._labels = (node, file_space, kind, management_class)
        self._label_bytes = 64 + 4 * (len(node) + len(file_space) + len(management_class))
        self.reset()

    def reset(self) -> None:
        """Start the next pack."""
        self._data: list[Buffer] = []
        self._extents: list[tuple[bytes, int]] = []
        self._references: list[tuple[bytes, int]] = []
        self._objects: list[PackObject] = []
        self._index: dict[bytes, int] = {}
        self._with_references: list[PackObject] = []
        self.extent_bytes = 0
        # An estimate from above, kept with every add.
        self.directory_bytes = self._label_bytes

    @property
    def is_empty(self) -> bool:
        """Nothing to send: neither objects nor extents."""
        return not self._objects and not self._extents

    @property
    def object_count(self) -> int:
        return len(self._objects)

    def fits(self, extent_bytes: int) -> bool:
        """May an extent of this length still go in? An empty pack takes any."""
        return self.is_empty or (
            self.extent_bytes + extent_bytes <= PACK_EXTENT_BYTES and self._has_room(extent_bytes, 48)
        )

    def fits_object(self, name_bytes: int, extents: int) -> bool:
        """May an object still go in, none of whose extents is named yet? `name_bytes`: all of it that is not a number.

        An empty pack takes any.
        """
        return self.is_empty or self._has_room(0, OBJECT_BYTES + name_bytes + (5 + 48) * extents)

    def _has_room(self, extent_bytes: int, directory_bytes: int) -> bool:
        """One object with long attributes may take more than a directory's share where its extents leave it."""
        directory = self.directory_bytes + directory_bytes
        return directory <= PACK_DIRECTORY_BYTES or (
            not self._objects and self.extent_bytes + extent_bytes + directory <= PACK_EXTENT_BYTES
        )

    def add_extent(self, digest: bytes, data: Buffer) -> int:
        """Put bytes in; returns the index objects use. An extent that is here already is not put in twice."""
        index = self._index.get(digest)
        if index is not None:
            return index
        length = len(data)
        index = self._index[digest] = len(self._extents)
        self._extents.append((digest, length))
        self._data.append(data)
        self.extent_bytes += length
        self.directory_bytes += 48
        return index

    def add_reference(self, digest: bytes, length: int) -> int:
        """Name an extent the server has; returns the index objects use (a negative one, until `build`)."""
        index = self._index.get(digest)
        if index is not None:
            return index
        self._references.append((digest, length))
        index = self._index[digest] = -len(self._references)
        self.directory_bytes += 48
        return index

    def add_object(
        self,
        directory: bytes,
        name: bytes,
        type: int,
        size_bytes: int,
        attributes: bytes,
        description: str = "",
        extents: Sequence[int] = (),
        before: int = 0,
        more: bool = False,
    ) -> None:
        """Put an object or a piece of one in, its extents by the indexes the other two gave, in file order."""
        new = PackObject(
            directory, name, type, size_bytes, attributes, description, tuple(extents), before, more
        )
        self._objects.append(new)
        if extents and min(extents) < 0:
            self._with_references.append(new)
        self.directory_bytes += (
            OBJECT_BYTES
            + len(directory)
            + len(name)
            + len(attributes)
            + 4 * len(description)
            + 5 * len(extents)
        )

    def build(self) -> bytes:
        """The plain pack. The builder still holds it: `reset` before the next one."""
        return b"".join(self.parts())

    def parts(self) -> list[Buffer]:
        """`build` without joining: the pack's pieces in order, the extents as they were put in."""
        first_reference = len(self._extents)
        for each in self._with_references:
            each.extents = tuple(i if i >= 0 else first_reference - 1 - i for i in each.extents)
        self._with_references.clear()
        directory = _ENCODER.encode(
            PackDirectory(*self._labels, self._extents, self._references, self._objects)
        )
        return [_LENGTH.pack(len(directory)) + directory, *self._data]


class OpenPack:
    """A parsed pack; extents are views into its bytes. Digests are not checked before `verify`."""

    __slots__ = ("_offsets", "_view", "directory")

    def __init__(self, directory: PackDirectory, view: memoryview, offsets: list[int]) -> None:
        self.directory = directory
        self._view = view
        self._offsets = offsets

    def extent(self, index: int) -> memoryview:
        """The bytes of an inline extent; `IndexError` for a reference."""
        return self._view[self._offsets[index] : self._offsets[index + 1]]

    def extents_of(self, wanted: PackObject) -> list[tuple[bytes, int]]:
        """(digest, length) of an object's extents in file order, inline and referenced alike."""
        inline, references = self.directory.extents, self.directory.references
        first_reference = len(inline)
        return [inline[i] if i < first_reference else references[i - first_reference] for i in wanted.extents]

    def verify(self) -> None:
        """`RecordDamaged` where an extent's bytes do not have its digest."""
        start, view = self._offsets[0], self._view
        for (expected, _), end in zip(self.directory.extents, self._offsets[1:], strict=True):
            if blake3(view[start:end]).digest() != expected:
                raise RecordDamaged(
                    "ANR9803E", reason=f"extent {expected.hex()[:16]} does not match its digest"
                )
            start = end


def parse(plain: Buffer) -> OpenPack:
    """Open a plain pack; `RecordDamaged` for anything that is not exactly one."""
    view = memoryview(plain).toreadonly()
    if len(view) < _LENGTH.size:
        raise RecordDamaged("ANR9803E", reason="a pack is cut short")
    start = _LENGTH.size + _LENGTH.unpack_from(view)[0]
    if start > len(view):
        raise RecordDamaged("ANR9803E", reason="a pack is shorter than its directory")
    try:
        directory = _DECODER.decode(view[_LENGTH.size : start])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordDamaged("ANR9803E", reason=f"a pack's directory does not open: {error}") from None
    offsets = list(accumulate((length for _, length in directory.extents), initial=start))
    if offsets[-1] != len(view):
        raise RecordDamaged("ANR9803E", reason="a pack's extents do not add up to its length")
    known = len(directory.extents) + len(directory.references)
    for each in directory.objects:
        if each.extents and max(each.extents) >= known:
            raise RecordDamaged("ANR9803E", reason="an object names an extent that the pack does not")
        if each.more and not each.extents:
            raise RecordDamaged("ANR9803E", reason="a piece of an object is empty")
    return OpenPack(directory, view, offsets)


def verify(open_pack: OpenPack) -> None:
    """Check every inline extent's digest; `RecordDamaged` at the first that differs."""
    open_pack.verify()
