"""Device class DISK: random-access volumes, preallocated files whose space is given out and taken back piecewise.

Which spans are free is known to whoever owns the volume (`storage/free_space.py`): what no placement covers. A record
may be put into a free span only, so nothing here needs undoing: bytes in a span nobody refers to are no bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from farvault.base.disk import BLOCK_BYTES, VolumeFile, crash_point, make_folder, remove_file
from farvault.base.errors import AlreadyExists, MediaFailed, MediaFull, NotAvailable
from farvault.media.interface import Capabilities, Span
from farvault.media.local import LocalReader, ReadBuffers, check_free, failed, open_file, verify_file


class DiskDevice:
    """Volumes are files named by their full path."""

    def __init__(self) -> None:
        self._buffers = ReadBuffers()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(random_access=True, remote=False, refers=False)

    def scratch_name(self, pool_name: str, sequence: int, use: str = "BFS") -> str:  # noqa: ARG002
        raise NotAvailable("ANR1405W", pool=pool_name)  # its volumes are defined by a person

    def check_free(self, name: str) -> None:
        check_free(name)

    def create(self, name: str, capacity_bytes: int) -> None:
        try:
            make_folder(name.rpartition("/")[0] or ".")
            file = VolumeFile(name, create=True)
        except FileExistsError:
            raise AlreadyExists("ANR8356E", volume=name) from None
        except OSError as error:
            raise failed("create", name, error) from error
        try:
            file.preallocate(capacity_bytes // BLOCK_BYTES * BLOCK_BYTES)
        except OSError as error:
            remove_file(name)
            raise failed("create", name, error) from error
        finally:
            file.close()

    def open_writer(self, name: str, written_bytes: int, capacity_bytes: int) -> DiskWriter:  # noqa: ARG002
        return DiskWriter(name, capacity_bytes)

    def open_reader(self, name: str) -> LocalReader:
        return LocalReader(name, self._buffers)

    def verify(self, name: str, spans: Iterable[tuple[Span, bytes]]) -> Iterator[tuple[Span, bool]]:
        return verify_file(name, spans)

    def idle_sessions(self) -> int:
        return 0

    def renew(self) -> None:
        pass

    def last_record(self, name: str) -> Span:
        raise TypeError(f"{name} is random access: it has no last record")

    def delete(self, name: str) -> None:
        try:
            crash_point("volume.delete.before_unlink")
            remove_file(name)
        except OSError as error:
            raise failed("delete", name, error) from error

    def close(self) -> None:
        """Nothing is held open between uses."""


class DiskWriter:
    """Puts records into spans its caller has reserved."""

    def __init__(self, name: str, capacity_bytes: int) -> None:
        self._name = name
        self._capacity = capacity_bytes
        self._dirty = False
        self._file = open_file(name, write=True)
        if self._file.size_bytes < capacity_bytes // BLOCK_BYTES * BLOCK_BYTES:
            size = self._file.size_bytes
            self._file.close()
            reason = f"it is {size} bytes long, {capacity_bytes} are recorded"
            raise MediaFailed("ANR8359E", operation="open", volume=name, reason=reason)

    @property
    def position_bytes(self) -> int:
        return 0

    def append(self, record: memoryview, digest: bytes) -> int:  # noqa: ARG002
        raise TypeError(f"{self._name} is random access: records have their place")

    def append_known(self, digests: Sequence[bytes], lengths: Sequence[int]) -> list[int | None]:  # noqa: ARG002
        return [None] * len(digests)

    def write_at(self, offset_bytes: int, record: memoryview) -> None:
        if offset_bytes + record.nbytes > self._capacity:
            raise MediaFull("ANR8341I", volume=self._name)
        try:
            self._file.write_at(offset_bytes, [record])
        except OSError as error:
            raise failed("write", self._name, error) from error
        self._dirty = True

    def commit(self) -> bytes:
        if self._dirty:
            crash_point("volume.place.before_sync")
            try:
                self._file.sync()
            except OSError as error:
                raise failed("sync", self._name, error) from error
            crash_point("volume.place.after_sync")
            self._dirty = False
        return b""

    def abort(self) -> None:
        """Nothing refers to the spans written since: they are free again when their owner says so."""
        self._dirty = False

    def close(self) -> None:
        self._file.close()
