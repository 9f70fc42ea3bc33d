"""RUN DRILL: prove that this server could be rebuilt from its partners today, and measure how long that takes.

The newest database backup kept by another server is restored into a scratch folder, looked at in whole, and thrown away
afterwards; a random sample of its objects is read from the partners, straight from their records and with nothing but the
restored catalog and the keys, down to the digest of every extent. What the running server has is not touched. The
evidence is kept: RPO is the age of the state that would come back, RTO the time until clients could restore.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from farvault.base.disk import aligned_buffer, crash_point, make_folder
from farvault.base.errors import Cancelled, FarvaultError, MediaFailed, NotAvailable, RecordDamaged
from farvault.base.units import show_size, show_time
from farvault.catalog import drill_sample, drills, nouns, restored, volume_history
from farvault.catalog.catalog import Catalog
from farvault.catalog.drills import FAILED, SUCCESS, Drill
from farvault.catalog.placements import PlacementRow
from farvault.catalog.settings import get_setting
from farvault.catalog.writer import PAGE_BYTES
from farvault.media.interface import Span, VolumeReader
from farvault.model.device_class import SERVER, DeviceClass
from farvault.model.volume_history import DBSNAPSHOT, SERIES_TYPES, HistoryVolume
from farvault.policy.recovery_choice import Choice, choose
from farvault.processes.database_pages import check_root, manifest_of, remove_database, write_pages, written
from farvault.processes.process import Process, Processes
from farvault.seal.compress import decompress
from farvault.seal.digest import digest
from farvault.seal.pack import parse
from farvault.seal.record import STORED_MAX_BYTES, check, open_checked
from farvault.storage.history_reading import place_of, read_ends, read_records
from farvault.storage.storage import Storage

DESCRIPTION: Final = "DRILL"
ONE_RUNS: Final = "ANR4939E"
"""Said to whoever starts a second one."""
OBJECTS: Final = 100
"""Sample where nobody says how many."""
DAY_SECONDS: Final = 86_400
SIGN_ON_SECONDS: Final = 5
"""What recovering takes besides restoring the database: signing on, the plan, keys, the start."""


class Options(NamedTuple):
    """`class_name` empty: any class of DEVTYPE=SERVER. `scratch`: a folder that may be filled for a while."""

    scratch: str
    class_name: str = ""
    objects: int = OBJECTS


@dataclass(slots=True)
class _Evidence:
    """What is found on the way; also what there is when the drill fails half-way."""

    last: HistoryVolume | None = None
    database_bytes: int = 0
    database_seconds: float = 0.0
    objects: int = 0
    object_bytes: int = 0
    object_seconds: float = 0.0
    total_bytes: int = 0
    bad: dict[int, str] = field(default_factory=dict)
    note: str = ""


def run_drill(storage: Storage, process: Process, options: Options) -> Drill:
    """One drill; the evidence is in the catalog when this returns. A drill that fails makes the process fail."""
    drill = _Run(storage, process, options).run()
    if drill.result == FAILED:
        process.say("ANR4968E", number=drill.id, note=drill.note)
        process.count_failed(objects=max(1, drill.bad_objects))
    else:
        process.say(
            "ANR4967I",
            number=drill.id,
            time=show_time(drill.backup_time),
            database_seconds=f"{drill.database_ms / 1000:.1f}",
            database=show_size(drill.database_bytes),
            objects=f"{drill.objects:,}",
            size=show_size(drill.object_bytes),
            rpo=show_seconds(drill.rpo_seconds),
            rto=show_seconds(drill.rto_seconds),
        )
    return drill


def show_seconds(seconds: int) -> str:
    """`90 seconds`, `12 minutes`, `5.3 hours`, `3.1 days`."""
    for limit, unit, name in ((120, 1, "seconds"), (7200, 60, "minutes"), (172_800, 3600, "hours")):
        if seconds < limit:
            return f"{seconds / unit:.1f} {name}" if unit == 3600 else f"{seconds // unit} {name}"
    return f"{seconds / 86_400:.1f} days"


class _Run:
    def __init__(self, storage: Storage, process: Process, options: Options) -> None:
        self._storage, self._process, self._options = storage, process, options
        self._found = _Evidence()
        self._folder = os.path.join(options.scratch, f"drill-{process.number}")

    def run(self) -> Drill:
        storage, found = self._storage, self._found
        started = storage.clock.now_seconds()
        try:
            choice = self._newest()
            found.last = choice.volumes[-1]
            self._restore_and_read(choice)
        except Cancelled:
            raise
        except FarvaultError as error:
            found.note = error.message.text
        except OSError as error:
            found.note = MediaFailed(
                "ANR0132E", path=self._folder, reason=error.strerror or error
            ).message.text
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        if found.bad and not found.note:
            number, reason = next(iter(found.bad.items()))
            found.note = f"{len(found.bad)} of {found.objects} objects, the first {number}: {reason}"
        with storage.catalog.write() as tx:
            return drills.add(tx, self._drill(started))

    def _drill(self, started: int) -> Drill:
        """Without any backup elsewhere it has nothing but its first problem: no recovery would have been possible."""
        found, last, now = self._found, self._found.last, self._storage.clock.now_seconds()
        if last is None:
            return Drill(
                0, started, now, FAILED, device_class=self._options.class_name, note=found.note[:1000]
            )
        return Drill(
            0,
            started,
            now,
            FAILED if found.note else SUCCESS,
            last.series,
            last.operation,
            last.device_class,
            last.time,
            found.database_bytes,
            int(found.database_seconds * 1000),
            found.objects,
            found.object_bytes,
            int(found.object_seconds * 1000),
            len(found.bad),
            found.total_bytes,
            max(0, started - last.time),
            SIGN_ON_SECONDS + int(found.database_seconds),
            found.note[:1000],
        )

    def _newest(self) -> Choice:
        """The database backup that a recovery would take."""
        wanted = self._options.class_name
        with self._storage.catalog.read() as r:
            remote = {
                one.name
                for one in nouns.select(r, DeviceClass, device_type=SERVER)
                if wanted in ("", one.name)
            }
            rows = volume_history.rows(r, (*SERIES_TYPES, DBSNAPSHOT))
        choice = choose(rows, [row.volume for row in rows if row.device_class in remote])
        if not choice.operations:
            raise NotAvailable(
                "ANR4969E", what=f"of device class {wanted}" if wanted else "of DEVTYPE=SERVER"
            )
        return choice

    # --- the database ------------------------------------------------------------------------------------------

    def _restore_and_read(self, choice: Choice) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)  # of a drill that was killed
        make_folder(self._folder)
        path = f"{self._folder}/catalog.db"
        clock = self._storage.clock
        began = clock.monotonic_seconds()
        self._restore(choice, path)
        catalog = Catalog.open(path, self._storage.keyring.row_key(), clock)
        try:
            restored.check_whole(catalog)
            self._found.database_seconds = clock.monotonic_seconds() - began
            crash_point("drill.database_restored")
            began = clock.monotonic_seconds()
            self._read_sample(catalog)
            self._found.object_seconds = clock.monotonic_seconds() - began
        finally:
            catalog.close()
            remove_database(path)

    def _restore(self, choice: Choice, path: str) -> None:
        device, key = self._storage.devices.device, self._storage.identity.public_key_bytes
        with written(path) as descriptor:
            for volumes in choice.operations:
                ends = read_ends(device, [place_of(row) for row in volumes], key)
                manifest = manifest_of(ends[-1])
                pages = 0
                for row, end in zip(volumes, ends, strict=True):
                    for record in read_records(
                        device(row.device_class), row.volume, end, self._storage.keyring
                    ):
                        self._process.raise_if_cancelled()
                        pages += write_pages(descriptor, memoryview(record), manifest, row.volume)
                        self._process.advance(bytes=len(record))
                if pages != manifest.pages:
                    raise RecordDamaged("ANR4904E", volume=volumes[-1].volume, reason="pages are missing")
                os.ftruncate(descriptor, manifest.page_count * PAGE_BYTES)
            check_root(descriptor, manifest, choice.volumes[-1].volume)
        self._found.database_bytes = manifest.page_count * PAGE_BYTES

    # --- objects -----------------------------------------------------------------------------------------------

    def _read_sample(self, catalog: Catalog) -> None:
        """Object by object: each extent from a record at a partner, checked down to its own digest."""
        found = self._found
        with catalog.read() as r, _Records(self._storage) as records:
            found.total_bytes = drill_sample.remote_bytes(r)
            for number in drill_sample.pick(r, self._options.objects, random.SystemRandom()):
                self._process.raise_if_cancelled()
                extents = drill_sample.extents(r, number)
                found.objects += 1
                try:
                    found.object_bytes += sum(
                        records.read_extent(
                            drill_sample.remote_places(r, one.aggregate_id), one.digest, one.length
                        )
                        for one in extents
                    )
                    self._process.advance(objects=1)
                except FarvaultError as error:
                    found.bad[number] = error.message.text


class _Records:
    """Reads records of volumes at partners; the last one opened stays, because neighbours lie together."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._readers: dict[str, VolumeReader] = {}
        self._buffer = aligned_buffer(STORED_MAX_BYTES)
        self._into = memoryview(bytearray(STORED_MAX_BYTES))
        self._last: tuple[int, dict[bytes, bytes]] = (0, {})

    def __enter__(self) -> _Records:
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._readers.values():
            with contextlib.suppress(FarvaultError):
                reader.close()

    def read_extent(self, places: Sequence[tuple[PlacementRow, str]], address: bytes, length: int) -> int:
        """Its length; `NotAvailable` where no partner has it, `RecordDamaged` where it is not what was stored."""
        if not places:
            raise NotAvailable("ANR4938E")
        aggregate = places[0][0].aggregate_id
        if self._last[0] != aggregate:
            self._last = aggregate, self._open(places)
        data = self._last[1].get(address)
        if data is None or len(data) != length or digest(data) != address:
            raise RecordDamaged("ANR9803E", reason=f"extent {address.hex()[:16]} is not what was stored")
        return length

    def _open(self, places: Sequence[tuple[PlacementRow, str]]) -> dict[bytes, bytes]:
        problem: FarvaultError | None = None
        for place, class_name in places:
            try:
                return dict(self._extents(place, class_name))
            except FarvaultError as error:
                problem = error
        assert problem is not None
        raise problem

    def _extents(self, place: PlacementRow, class_name: str) -> Iterator[tuple[bytes, bytes]]:
        span = Span(place.offset_bytes, place.stored_bytes)
        view = self._reader(place.volume_name, class_name).read(span, self._buffer[: span.stored_bytes])
        header = check(view)
        if header.digest != place.digest:
            raise RecordDamaged("ANR9803E", reason=f"another record stands on {place.volume_name}")
        packed = open_checked(header, view, self._storage.keyring, self._into)
        pack = parse(decompress(header.codec, packed, header.plain_bytes))
        for index, (address, _) in enumerate(pack.directory.extents):
            yield address, bytes(pack.extent(index))

    def _reader(self, volume: str, class_name: str) -> VolumeReader:
        if volume not in self._readers:
            for reader in self._readers.values():
                reader.close()
            self._readers.clear()
            self._readers[volume] = self._storage.devices.device(class_name).open_reader(volume)
        return self._readers[volume]


class DrillWhenDue:
    """DRILLPERIOD, as it is when one looks: a piece of housekeeping."""

    def __init__(self, storage: Storage, processes: Processes, scratch: str) -> None:
        self._storage, self._processes, self._scratch = storage, processes, scratch

    def __call__(self) -> None:
        with self._storage.catalog.read() as r:
            days = int(get_setting(r, "DRILLPERIOD") or 0)
            last = drills.last(r)
        now = self._storage.clock.now_seconds()
        is_due = days and (last is None or now - last.started_time >= days * DAY_SECONDS)
        if not is_due or self._processes.is_running(DESCRIPTION):
            return
        options = Options(self._scratch)
        self._processes.start(
            DESCRIPTION,
            lambda process: _discard(run_drill(self._storage, process, options)),
            refusal=ONE_RUNS,
        )


def _discard(drill: Drill) -> None:
    del drill
