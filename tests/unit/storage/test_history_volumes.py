"""Volumes outside of pools: written over as many as it takes, known only as a whole, read back only where proved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.storage.depot import Depot, some_bytes

from farvault.base.disk import observe_crash_points
from farvault.base.errors import AlreadyExists, BadInput, MediaFull, RecordDamaged
from farvault.base.units import MIB
from farvault.catalog import nouns, volume_history
from farvault.model.volume_history import EXPORT, QUERY_TYPES, HistoryVolume
from farvault.seal.compress import Compressor
from farvault.seal.identity import Identity
from farvault.seal.record import RecordKind
from farvault.storage.history_reading import Place, place_of, read_ends, read_records
from farvault.storage.history_volumes import delete_left_behind, delete_volume
from farvault.storage.history_writing import HistoryWriter, Operation


@pytest.fixture(autouse=True)
def no_observer() -> Iterator[None]:
    yield
    observe_crash_points(None)


def operation(series: int = 1, time: int = 1000) -> Operation:
    return Operation(EXPORT, RecordKind.EXPORT, series, 0, time, "EXPORT SERVER")


def write(depot: Depot, pieces: list[bytes], **how: object) -> list[HistoryVolume]:
    with HistoryWriter(depot.storage, "TAPECLASS", operation(), **how) as writer:  # type: ignore[arg-type]
        for piece in pieces:
            writer.put(piece)
        return writer.commit(b"body")


def read(depot: Depot, places: list[Place], identity: Identity | None = None) -> list[bytes]:
    device_of = depot.storage.devices.device
    ends = read_ends(device_of, places, (identity or depot.identity).public_key_bytes)
    return [
        bytes(plain)
        for end, place in zip(ends, places, strict=True)
        for plain in read_records(device_of(place.device_class), place.volume, end, depot.keyring)
    ]


def entries(depot: Depot) -> list[HistoryVolume]:
    with depot.catalog.read() as r:
        return volume_history.rows(r, QUERY_TYPES["ALL"], complete=None)


def files(depot: Depot) -> list[str]:
    folder = depot.folder / "tapeclass"
    return os.listdir(folder) if folder.exists() else []


def test_a_run_goes_over_as_many_volumes_as_it_takes_and_comes_back(depot: Depot) -> None:
    pieces = [some_bytes(n, 3 * MIB) for n in range(12)]
    rows = write(depot, pieces, compressor=Compressor(1))
    assert [row.sequence for row in rows] == [1, 2, 3]
    assert {(row.time, row.series, row.complete) for row in rows} == {(1000, 1, True)}
    assert entries(depot) == rows
    for row in rows:
        assert os.path.getsize(row.volume) == row.stored_bytes <= 16 * MIB
        assert row.volume.endswith(".exp")
    assert read(depot, [place_of(row) for row in rows]) == pieces
    assert depot.storage.use.open_now == [] and not depot.storage.history_in_use


def test_the_media_alone_are_enough_to_read_it(depot: Depot) -> None:
    pieces = [some_bytes(n, 3 * MIB) for n in range(6)]
    rows = write(depot, pieces)
    assert read(depot, [Place("TAPECLASS", row.volume) for row in rows]) == pieces


def test_an_empty_run_is_a_volume_with_an_end(depot: Depot) -> None:
    (row,) = write(depot, [])
    assert row.records == 0 and read(depot, [place_of(row)]) == []


def test_what_is_not_committed_leaves_nothing(depot: Depot) -> None:
    with HistoryWriter(depot.storage, "TAPECLASS", operation()) as writer:
        for n in range(12):
            writer.put(some_bytes(n, 3 * MIB))
        assert len(entries(depot)) == 3
    assert entries(depot) == []
    assert files(depot) == []


@pytest.mark.parametrize(
    "label",
    [
        "history.volume.before_create",
        "history.volume.before_end",
        "history.volume.after_end",
        "history.commit.before_catalog",
    ],
)
def test_what_a_crash_leaves_behind_goes_at_the_next_start(depot: Depot, label: str) -> None:
    """The process is not there to undo anything: what stands on disk at the label is all there is."""
    copied: list[list[HistoryVolume]] = []

    def stop(at: str) -> None:
        if at == label and not copied:
            copied.append(entries(depot))
            raise KeyboardInterrupt

    observe_crash_points(stop)
    writer = HistoryWriter(depot.storage, "TAPECLASS", operation())
    with pytest.raises(KeyboardInterrupt):
        writer.put(some_bytes(1, MIB))
        writer.commit()
    observe_crash_points(None)
    assert copied[0] and not any(row.complete for row in copied[0])
    writer._close_volume()
    depot.restart()
    delete_left_behind(depot.storage, remote=False)
    assert entries(depot) == []
    assert files(depot) == []


def test_volumes_of_a_running_operation_are_left_alone(depot: Depot) -> None:
    with HistoryWriter(depot.storage, "TAPECLASS", operation()) as writer:
        writer.put(b"x")
        assert delete_left_behind(depot.storage, remote=True) == 0
        (row,) = writer.commit()
    assert entries(depot) == [row]


def test_an_operation_that_ends_while_others_leftovers_go_is_left_alone(depot: Depot) -> None:
    with depot.catalog.write() as tx:
        name = f"{depot.folder}/tapeclass/left.exp"
        left = HistoryVolume(time=1, type=EXPORT, device_class="TAPECLASS", volume=name, complete=False)
        nouns.insert(tx, left)
    with HistoryWriter(depot.storage, "TAPECLASS", operation()) as writer:
        writer.put(b"x")
        done: list[HistoryVolume] = []

        def finish(label: str) -> None:
            if label == "history.delete.before_row" and not done:
                observe_crash_points(None)
                done.extend(writer.commit())

        observe_crash_points(finish)
        assert delete_left_behind(depot.storage, remote=True) == 1
    assert done and entries(depot) == done
    assert files(depot) == [os.path.basename(done[0].volume)]


def test_what_another_epoch_began_is_forgotten_but_never_deleted(depot: Depot) -> None:
    (row,) = write(depot, [b"x"])
    with depot.catalog.write() as tx:
        left = HistoryVolume(
            time=1, type=EXPORT, device_class="TAPECLASS", volume=row.volume + "x", complete=False, epoch=7
        )
        nouns.insert(tx, left)
    (depot.folder / "tapeclass" / os.path.basename(left.volume)).write_bytes(b"of the lost time")
    assert delete_left_behind(depot.storage, remote=True) == 0
    assert entries(depot) == [row] and os.path.exists(left.volume)


def test_named_volumes_come_first_in_their_order(depot: Depot) -> None:
    pieces = [some_bytes(n, 3 * MIB) for n in range(12)]
    rows = write(depot, pieces, volume_names=("one", "two"))
    assert [os.path.basename(row.volume) for row in rows[:2]] == ["one", "two"]
    assert [row.scratch for row in rows] == [False, False, True]


def test_without_scratch_the_named_volumes_must_do(depot: Depot) -> None:
    with pytest.raises(MediaFull, match="SCRATCH=NO"):
        write(depot, [some_bytes(n, 3 * MIB) for n in range(12)], volume_names=("one",), scratch=False)
    assert entries(depot) == []


def test_a_volume_that_is_there_is_never_written_over(depot: Depot) -> None:
    (row,) = write(depot, [b"precious"], volume_names=("one",))
    with pytest.raises(AlreadyExists, match="in use"):
        write(depot, [b"other"], volume_names=("one",))
    stray = depot.folder / "tapeclass" / "stray"
    stray.write_bytes(b"somebody's")
    with pytest.raises(AlreadyExists):
        write(depot, [b"other"], volume_names=("stray",))
    assert stray.read_bytes() == b"somebody's"
    assert entries(depot) == [row] and read(depot, [place_of(row)]) == [b"precious"]


def test_every_flipped_byte_is_found(depot: Depot) -> None:
    (row,) = write(depot, [some_bytes(1, 9000), some_bytes(2, 9000)])
    good = Path(row.volume).read_bytes()
    for at in range(4096, len(good), 997):
        with open(row.volume, "r+b") as file:
            file.seek(at)
            file.write(bytes([good[at] ^ 1]))
        with pytest.raises(RecordDamaged):
            read(depot, [place_of(row)])
        with open(row.volume, "r+b") as file:
            file.seek(at)
            file.write(good[at : at + 1])
    assert read(depot, [place_of(row)]) == [some_bytes(1, 9000), some_bytes(2, 9000)]


def test_a_volume_of_another_server_is_refused(depot: Depot) -> None:
    (row,) = write(depot, [b"x"])
    with pytest.raises(RecordDamaged, match="not signed by this server"):
        read(depot, [place_of(row)], Identity.create("EVIL"))


def test_a_missing_volume_and_a_stranger_among_them_are_refused(depot: Depot) -> None:
    rows = write(depot, [some_bytes(n, 3 * MIB) for n in range(12)])
    places = [place_of(row) for row in rows]
    with pytest.raises(BadInput, match="volume 2"):
        read(depot, [places[0], places[2]])
    with pytest.raises(BadInput, match="volume 2"):
        read(depot, places[:2])
    with HistoryWriter(depot.storage, "TAPECLASS", operation(series=2)) as writer:
        (other,) = writer.commit()
    with pytest.raises(BadInput, match="another operation"):
        read(depot, [*places, place_of(other)])


def test_deleting_an_entry_takes_its_volume_along(depot: Depot) -> None:
    (row,) = write(depot, [b"x"])
    delete_volume(depot.storage, row)
    assert entries(depot) == [] and not os.path.exists(row.volume)
