"""What every device class can do: make, write, read and delete volumes of sealed records.

A record is an opaque run of bytes, a multiple of 4 KiB, that carries its own digest (`docs/volume-format.md`).
Buffers that records are written from and read into are page-aligned (`base.disk.aligned_buffer`). The first record
of a volume is its label; whoever fills the volume writes it like any other record, devices do not know it.
`disk.py`, `file.py`, `server.py` implement this; `faulty.py` wraps any of them. `tests/conformance/test_media.py`
is the contract: what it asserts, callers rely on. Ask `capabilities`, never the class's name.

Errors: `MediaFull` (no room; what was appended before is still there), `MediaFailed` (I/O error or the target
refused; the volume is suspect), `WriteUndone` (one of these after which it is not), `PeerUnreachable` (link down
after all retries), `NotFound` (no such volume).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What callers may ask of a device class."""

    random_access: bool
    """Space inside a volume is given out and taken back piecewise (`write_at`); else records are only appended."""
    remote: bool
    """The bytes are kept by another server."""
    refers: bool
    """`append_known` can add a record by its digest alone, without sending the bytes."""


class Span(NamedTuple):
    """A run of bytes on a volume; both numbers are multiples of 4 KiB."""

    offset_bytes: int
    stored_bytes: int


class VolumeWriter(Protocol):
    """Exclusive access for writing one volume. Close it in any case."""

    @property
    def position_bytes(self) -> int:
        """Where the next appended record will start."""
        ...

    def append(self, record: memoryview, digest: bytes) -> int:
        """Add a record at the end; returns its offset. Not durable before `commit`.

        The buffer may be reused by the caller when this returns. `MediaFull` when it does not fit the capacity.
        """
        ...

    def append_known(self, digests: Sequence[bytes], lengths: Sequence[int]) -> list[int | None]:
        """Where the device refers: append those it holds already; None marks each that it does not hold."""
        ...

    def write_at(self, offset_bytes: int, record: memoryview) -> None:
        """Random access only: put a record into a free span the caller has reserved. Not durable before `commit`."""
        ...

    def commit(self) -> bytes:
        """Everything written is durable when this returns. Returns the target's receipt (msgpack), or b''."""
        ...

    def abort(self) -> None:
        """Forget what was appended since the last commit; the volume is as long as it was then."""
        ...

    def close(self) -> None:
        """Let go of the volume. What was not committed is as after `abort`."""
        ...


class VolumeReader(Protocol):
    """Shared access for reading one volume."""

    def read(self, span: Span, into: memoryview) -> memoryview:
        """Read one record into the start of `into`; returns that part. Short or unreadable: `MediaFailed`.

        The caller checks the record's digest.
        """
        ...

    def read_many(self, spans: Iterable[Span]) -> Iterator[memoryview | None]:
        """Records in the order asked, read ahead where that helps. Each view is valid until the next step.

        None stands for a record that could not be read; the iteration goes on.
        """
        ...

    def close(self) -> None: ...


class Device(Protocol):
    """One device class at work."""

    @property
    def capabilities(self) -> Capabilities: ...

    def scratch_name(self, pool_name: str, sequence: int, use: str = "BFS") -> str:
        """Name for the next volume the pool makes by itself; `sequence` grows and is never used twice.

        `use`: BFS for pools; DBB, DSS, EXP, RPF for database backups, snapshots, exports and plan files.
        """
        ...

    def check_free(self, name: str) -> None:
        """`AlreadyExists` where something of this name is there. Asked before a row says that it is ours: after a kill between
        the row and `create`, what is there is taken for ours.
        """
        ...

    def create(self, name: str, capacity_bytes: int) -> None:
        """Make an empty volume. Random access: all its blocks are reserved. `AlreadyExists` where it is there."""
        ...

    def open_writer(self, name: str, written_bytes: int, capacity_bytes: int) -> VolumeWriter:
        """Open for writing after `written_bytes`, the length the catalog knows; anything beyond is cut off first."""
        ...

    def open_reader(self, name: str) -> VolumeReader: ...

    def verify(self, name: str, spans: Iterable[tuple[Span, bytes]]) -> Iterator[tuple[Span, bool]]:
        """Check records against their digests, where the bytes are: yields (span, is good)."""
        ...

    def idle_sessions(self) -> int:
        """Sessions with another server that are kept open for the next use; 0 where there is no other server."""
        ...

    def renew(self) -> None:
        """The other server's definition has changed: sessions that are only kept end, the next one is made by the new one.

        Who is in the middle of something goes on, and who cannot reach it tries again by the new one.
        """
        ...

    def last_record(self, name: str) -> Span:
        """Sequential: where the last record lies that was committed alone, told by the media without any catalog.

        `MediaFailed` where the volume has none.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove the volume (a target marks it for deletion). Fine where it is gone already."""
        ...

    def close(self) -> None:
        """Let go of everything held open between uses."""
        ...
