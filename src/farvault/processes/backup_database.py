"""BACKUP DB: the catalog as sealed records on volumes of any sequential class, while the server goes on.

Full: every page. Incremental: pages whose digest differs from what the previous backup of the series found. Snapshot:
every page, outside the series. A page record is: number of pages, their numbers (32 bits each, little endian), the pages.
The last volume's end carries the manifest. When all of it is durable and in the volume history, a full or incremental
backup lets the recovery log go as far as it reaches.
"""

from __future__ import annotations

import contextlib
import math
import struct
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Annotated, Final, NamedTuple

import msgspec

from farvault.base.disk import aligned_buffer, crash_point
from farvault.base.errors import BadInput, InUse, NotAvailable
from farvault.base.pipeline import map_ahead, run_ahead
from farvault.base.units import show_size, show_time
from farvault.catalog import volume_history
from farvault.catalog.epoch import epoch
from farvault.catalog.image import CHUNK_PAGES, PAGE_DIGEST_BYTES, Image, page_digests
from farvault.catalog.page_state import PageState, PageStates
from farvault.catalog.settings import get_setting, set_setting
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.volume_history import BACKUPFULL, BACKUPINCR, DBSNAPSHOT, SERIES_TYPES, HistoryVolume
from farvault.policy.database_backup import (
    FULL,
    INCREMENTAL,
    SNAPSHOT,
    Series,
    pause_seconds,
    why_not_incremental,
)
from farvault.processes.process import Process
from farvault.seal.compress import Compressor
from farvault.seal.digest import digest
from farvault.seal.record import STORED_MAX_BYTES, RecordKind
from farvault.storage.history_writing import HistoryWriter, Operation, Sealed
from farvault.storage.storage import Storage

DESCRIPTION: Final = "DATABASE BACKUP"
TYPES: Final = {FULL: BACKUPFULL, INCREMENTAL: BACKUPINCR, SNAPSHOT: DBSNAPSHOT}
LEVEL: Final = -1
"""Of zstd: pages shrink to a third at the speed of a disk."""
_AHEAD: Final = 3
_LANES: Final = 2
"""Threads that seal. Compressing is what costs most: one alone is slower than the disk."""
_SEALED_AHEAD: Final = 2 * _LANES
_PROGRESS_STEPS: Final = 10


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of the end of a database backup. `pages`: in this operation; `page_count`: of the database afterwards.

    `previous`: address of the end of the operation this one builds on; empty for full ones and snapshots. `root`: digest
    of the digests of all pages of the database. `log_id`, `log_sequence`: entry of the recovery log it reaches.
    """

    page_bytes: int
    page_count: int
    pages: int
    previous: Annotated[bytes, msgspec.Meta(max_length=32)]
    root: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    log_id: str
    log_sequence: int


class Options(NamedTuple):
    """`kind`: FULL, INCREMENTAL, DBSNAPSHOT. `compress` None: where the volumes are kept by another server."""

    kind: str
    class_name: str
    volume_names: Sequence[str] = ()
    scratch: bool = True
    compress: bool | None = None


class DatabaseBackups:
    """Database backups of one server, one at a time.

    `wrapped_keyring`: the keyring under the recovery code, which travels along. `written`: called after each success.
    """

    def __init__(
        self,
        storage: Storage,
        wrapped_keyring: Callable[[], bytes],
        written: Callable[[], None] = lambda: None,
    ) -> None:
        self._storage = storage
        self._wrapped_keyring, self._written = wrapped_keyring, written
        self._states = PageStates(storage.catalog.path)
        self._busy = threading.Lock()
        self.poke: Callable[[], None] = lambda: None
        """Look at the trigger now: set by who runs it."""
        self.running = ""
        """Kind of the backup that runs now; empty = none."""
        self._failed: dict[str, tuple[int, float]] = {}
        """Device class -> how many to it have failed since the log's reserve was scarce, and when the last one did."""

    def check(self, options: Options) -> None:
        """Refuse at once what cannot succeed: `NotFound`, `BadInput`, `InUse`, `NotAvailable`."""
        device = self._storage.devices.device(options.class_name)
        if device.capabilities.random_access:
            raise BadInput("ANR4920E", device_class=options.class_name)
        if not options.scratch and not options.volume_names:
            raise BadInput("ANR4923E")
        if self.running:
            raise InUse("ANR4924E", kind=self.running)
        if wait := self.pause_seconds(options.class_name):
            failures, _ = self._failed[options.class_name]
            until = show_time(self.now_seconds() + wait)
            raise NotAvailable("ANR4974E", device_class=options.class_name, failures=failures, until=until)
        if options.kind == INCREMENTAL:
            with self._storage.catalog.read() as r:
                self._check_incremental(r)

    def now_seconds(self) -> int:
        return self._storage.clock.now_seconds()

    def series(self, r: Snapshot) -> Series:
        """How the newest series stands."""
        newest = volume_history.newest_operation(r, SERIES_TYPES)
        needed = get_setting(r, "FULLBACKUPNEEDED") or ""
        if not newest:
            return Series(full_needed=needed)
        last = newest[0]
        if not needed and last.epoch != epoch(r):
            needed = "the database was restored since the last full backup"
        lost = volume_history.newest_series_hurt(r)
        hurt = f"the target of {lost.volume} cannot prove that it has it" if lost is not None else ""
        return Series(True, last.operation, needed, hurt)

    def run(self, process: Process, options: Options) -> list[HistoryVolume]:
        """The work of the process; returns the volumes."""
        if not self._busy.acquire(blocking=False):
            raise InUse("ANR4924E", kind=self.running)
        try:
            self.running = options.kind
            done = self._run(process, options)
            self._failed.clear()
            return done
        except BaseException:
            self._note_failure(options.class_name)
            raise
        finally:
            self.running = ""
            self._busy.release()

    def pause_seconds(self, class_name: str) -> int:
        """How long no backup to this class is tried, because those before it failed and took of a scarce reserve."""
        if not self._is_log_scarce():
            self._failed.clear()
        failures, failed_at = self._failed.get(class_name, (0, 0.0))
        passed = self._storage.clock.monotonic_seconds() - failed_at
        return max(math.ceil(pause_seconds(failures) - passed), 0) if failures else 0

    def forget_failures(self) -> None:
        """An administrator has changed what they may have come from: the next one is tried at once."""
        self._failed.clear()

    def _note_failure(self, class_name: str) -> None:
        if self._is_log_scarce():
            failures, _ = self._failed.get(class_name, (0, 0.0))
            self._failed[class_name] = failures + 1, self._storage.clock.monotonic_seconds()

    def _is_log_scarce(self) -> bool:
        figures = self._storage.catalog.log_figures()
        return figures is not None and figures.is_scarce

    def _run(self, process: Process, options: Options) -> list[HistoryVolume]:
        catalog = self._storage.catalog
        operation, previous, state = self._begin(options.kind)
        names = {"series": operation.series, "operation": operation.operation, "number": process.number}
        process.say(_STARTED[options.kind], **names)
        remote = self._storage.devices.device(options.class_name).capabilities.remote
        compress = remote if options.compress is None else options.compress
        with (
            catalog.image() as image,
            HistoryWriter(
                self._storage,
                options.class_name,
                operation,
                wrapped_keyring=self._wrapped_keyring(),
                volume_names=options.volume_names,
                scratch=options.scratch,
                compressor=Compressor(LEVEL) if compress else None,
            ) as writer,
        ):
            copy = _Copy(process, image, writer, state)
            digests = copy.run()
            manifest = Manifest(
                page_bytes=image.page_bytes,
                page_count=image.page_count,
                pages=copy.pages,
                previous=previous,
                root=digest(digests),
                log_id=image.log_id,
                log_sequence=image.log_sequence,
            )
            in_series = options.kind != SNAPSHOT
            if in_series:
                page_state = PageState(
                    operation.series, operation.operation, writer.epoch, image.page_count, digests
                )
                self._states.save(page_state)
            volumes = writer.commit(
                msgspec.msgpack.encode(manifest), lambda tx: self._complete(tx, options.kind, image)
            )
        if in_series:
            self._states.keep_only(operation.series, operation.operation)
            crash_point("database.backup.before_prune")
            catalog.prune_log(image.log_id, image.log_sequence)
        process.note = ""
        size = sum(volume.stored_bytes for volume in volumes)
        process.say(
            _ENDED[options.kind],
            pages=f"{copy.pages:,}",
            total=f"{image.page_count:,}",
            size=show_size(size),
            volumes=", ".join(volume.volume for volume in volumes),
            **names,
        )
        self._written()
        return volumes

    def _begin(self, kind: str) -> tuple[Operation, bytes, PageState | None]:
        """Numbers of the operation, the end it builds on, and the pages as that one found them."""
        storage = self._storage
        now = storage.clock.now_seconds()
        type = TYPES[kind]
        if kind == INCREMENTAL:
            with storage.catalog.read() as r:
                newest, state = self._check_incremental(r)
            last = newest[-1]
            one = Operation(type, RecordKind.DATABASE, last.series, last.operation + 1, now)
            return one, last.digest, state
        with storage.catalog.write(uses_reserve=True) as tx:
            series = volume_history.next_series(tx, type)
        return Operation(type, RecordKind.DATABASE, series, 0, now), b"", None

    def _complete(self, tx: Transaction, kind: str, image: Image) -> None:
        """What follows from a complete backup, unless another log was begun while it ran."""
        figures = self._storage.catalog.log_figures()
        if kind == SNAPSHOT or image.log_id != (figures.log_id if figures is not None else ""):
            return
        if image.log_id:
            set_setting(tx, "LOGPRUNED", str(image.log_sequence))
        if kind == FULL:
            set_setting(tx, "FULLBACKUPNEEDED", "")

    def full_needed(self, r: Snapshot) -> str:
        """Why only a full backup is possible now; empty where an incremental one is. Reads the page digests."""
        return self._basis(r)[2]

    def _check_incremental(self, r: Snapshot) -> tuple[list[HistoryVolume], PageState]:
        newest, state, reason = self._basis(r)
        if state is None:
            raise NotAvailable("ANR2361E", reason=reason)
        return newest, state

    def _basis(self, r: Snapshot) -> tuple[list[HistoryVolume], PageState | None, str]:
        """What an incremental backup builds on: the newest operation and the pages as it found them; or why it cannot be."""
        newest = volume_history.newest_operation(r, SERIES_TYPES)
        if reason := why_not_incremental(self.series(r)):
            return newest, None, reason
        state = self._states.load(newest[0].series, newest[0].operation)
        if state is None:
            return newest, None, "the page digests of the last backup are not there"
        if state.epoch != epoch(r):
            return newest, None, "the page digests are those of another epoch"
        return newest, state, ""


class _Step(NamedTuple):
    """`done`: pages looked at. `numbers`, `pages`: the next record to make, where it became full; `into`: where."""

    done: int
    numbers: Sequence[int] = ()
    pages: memoryview = memoryview(b"")
    into: memoryview = memoryview(b"")


class _Copy:
    """Pages from an image to a writer. A thread reads and digests ahead, more of them seal, the caller's own writes."""

    def __init__(
        self, process: Process, image: Image, writer: HistoryWriter, state: PageState | None
    ) -> None:
        self._process, self._image, self._writer, self._state = process, image, writer, state
        self.pages = 0
        self._digests: list[bytes] = []
        self._numbers: list[int] = []
        self._batch = bytearray()
        self._ring = [aligned_buffer(STORED_MAX_BYTES) for _ in range(_SEALED_AHEAD)]

    def run(self) -> bytes:
        """Returns the digests of all pages."""
        total, said = self._image.page_count, 0
        sealed = map_ahead(self._steps(), self._seal, _SEALED_AHEAD, lanes=_LANES, name="seal database")
        with contextlib.closing(sealed) as ahead:
            for step, record in ahead:
                self._process.raise_if_cancelled()
                if record is not None:
                    self._put(record, len(step.numbers))
                done = step.done
                self._process.note = f"{done:,} of {total:,} pages"
                if done * _PROGRESS_STEPS // total > said and done < total:
                    said = done * _PROGRESS_STEPS // total
                    self._process.say("ANR4554I", done=f"{done:,}", total=f"{total:,}")
        return b"".join(self._digests)

    def _read(self) -> Generator[tuple[int, memoryview, bytes], None, None]:
        for first, pages in self._image.chunks(_AHEAD + _SEALED_AHEAD):
            yield first, pages, page_digests(pages, self._image.page_bytes)

    def _steps(self) -> Generator[_Step, None, None]:
        done = 0
        with contextlib.closing(run_ahead(self._read(), _AHEAD, "read database")) as ahead:
            for first, pages, found in ahead:
                self._digests.append(found)
                done = first + len(found) // PAGE_DIGEST_BYTES - 1
                yield self._take(first, pages, found, done)
        if self._numbers:
            yield self._flush(done)

    def _take(self, first: int, pages: memoryview, found: bytes, done: int) -> _Step:
        """At most one record: never more pages wait than make one, and no chunk has more."""
        size = self._image.page_bytes
        if self._state is None:
            return self._record(done, range(first, first + len(pages) // size), pages)
        step = _Step(done)
        known = self._state.digests[(first - 1) * PAGE_DIGEST_BYTES :][: len(found)]
        if known == found:
            return step
        for place in range(len(pages) // size):
            at = place * PAGE_DIGEST_BYTES
            if known[at : at + PAGE_DIGEST_BYTES] != found[at : at + PAGE_DIGEST_BYTES]:
                self._numbers.append(first + place)
                self._batch += pages[place * size : (place + 1) * size]
                if len(self._numbers) == CHUNK_PAGES:
                    step = self._flush(done)
        return step

    def _flush(self, done: int) -> _Step:
        step = self._record(done, self._numbers, memoryview(self._batch))
        self._numbers, self._batch = [], bytearray()
        return step

    def _record(self, done: int, numbers: Sequence[int], pages: memoryview) -> _Step:
        """The buffers of the ring are taken in turn: those before are still being filled and written."""
        into = self._ring[0]
        self._ring.append(self._ring.pop(0))
        return _Step(done, numbers, pages, into)

    def _seal(self, step: _Step) -> tuple[_Step, Sealed | None]:
        if not step.numbers:
            return step, None
        count = struct.pack(f"<{len(step.numbers) + 1}I", len(step.numbers), *step.numbers)
        return step, self._writer.seal(step.into, count, step.pages)

    def _put(self, record: Sealed, pages: int) -> None:
        crash_point("database.backup.before_record")
        self._writer.put_sealed(record)
        self.pages += pages
        self._process.advance(objects=pages, bytes=pages * self._image.page_bytes)


def unpack_pages(record: memoryview, page_bytes: int) -> Iterator[tuple[int, memoryview]]:
    """(number, page) of a page record; `ValueError` where it is none."""
    (count,) = struct.unpack_from("<I", record)
    start = 4 * (count + 1)
    if not 0 < count <= CHUNK_PAGES or len(record) != start + count * page_bytes:
        raise ValueError("its lengths do not agree")
    for place, number in enumerate(struct.unpack_from(f"<{count}I", record, 4)):
        yield number, record[start + place * page_bytes : start + (place + 1) * page_bytes]


_STARTED: Final = {FULL: "ANR2280I", INCREMENTAL: "ANR2281I", SNAPSHOT: "ANR2287I"}
_ENDED: Final = {FULL: "ANR4550I", INCREMENTAL: "ANR4551I", SNAPSHOT: "ANR4558I"}
