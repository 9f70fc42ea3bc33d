"""Every device class keeps every sentence of `media/interface.py`. A new one adds a line to DEVICES."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.grid.grid_server import GridServer
from tests.grid.vaults import HurriedClock, Source, make_target

from farvault.base.disk import BLOCK_BYTES, aligned_buffer
from farvault.base.errors import AlreadyExists, MediaFailed, MediaFull, NotFound
from farvault.base.units import KIB, MIB
from farvault.media.disk import DiskDevice
from farvault.media.faulty import Faults, FaultyDevice
from farvault.media.file import FileDevice
from farvault.media.interface import Device, Span, VolumeWriter
from farvault.media.throttle import Throttle, ThrottledDevice
from farvault.model.bandwidth import Rates
from farvault.seal.record import RecordKind, seal, sealed_bytes


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Device]:
    yield DiskDevice()


@contextlib.contextmanager
def file(folder: Path) -> Iterator[Device]:
    yield FileDevice([str(folder)])


@contextlib.contextmanager
def faulty_disk(folder: Path) -> Iterator[Device]:
    yield FaultyDevice(DiskDevice(), Faults())


@contextlib.contextmanager
def faulty_file(folder: Path) -> Iterator[Device]:
    yield FaultyDevice(FileDevice([str(folder)]), Faults())


@contextlib.contextmanager
def throttled_file(folder: Path) -> Iterator[Device]:
    """With a limit that every record meets, and time that passes as fast as anybody waits."""
    yield ThrottledDevice(FileDevice([str(folder)]), Throttle(lambda: Rates(64 * KIB, ()), HurriedClock()))


@contextlib.contextmanager
def throttled_server(folder: Path) -> Iterator[Device]:
    with server(folder) as device:
        yield ThrottledDevice(device, Throttle(lambda: Rates(64 * KIB, ()), HurriedClock()))


@contextlib.contextmanager
def server(folder: Path) -> Iterator[Device]:
    """Virtual volumes at a second server in this process, over TLS."""
    target = GridServer("TOKYO", str(folder / "tokyo")).start()
    try:
        make_target(target, "DELHI")
        yield Source(target.port).device()
    finally:
        target.stop()


MakeDevice = Callable[[Path], contextlib.AbstractContextManager[Device]]
DEVICES: dict[str, MakeDevice] = {
    "disk": disk,
    "file": file,
    "faulty-disk": faulty_disk,
    "faulty-file": faulty_file,
    "throttled-file": throttled_file,
    "server": server,
    "throttled-server": throttled_server,
}


@pytest.fixture(params=sorted(DEVICES))
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Device]:
    with DEVICES[request.param](tmp_path) as made:
        yield made
        made.close()


@pytest.fixture
def sequential(device: Device) -> Device:
    if device.capabilities.random_access:
        pytest.skip("sequential classes only")
    return device


@pytest.fixture
def random_access(device: Device) -> Device:
    if not device.capabilities.random_access:
        pytest.skip("random access only")
    return device


@pytest.fixture
def name(device: Device, tmp_path: Path) -> str:
    return str(tmp_path / "one.dsk") if device.capabilities.random_access else device.scratch_name("POOL", 1)


CAPACITY = 8 * MIB


def record(seed: int, size: int = 20 * KIB) -> tuple[memoryview, bytes]:
    """A sealed record of about `size` bytes, and its digest."""
    body = bytes([seed % 251]) * size
    buffer = aligned_buffer(sealed_bytes(len(body), 0))
    header = seal(buffer, [body], kind=RecordKind.AGGREGATE, codec=0, plain_bytes=len(body), keyring=None)
    return buffer[: header.stored_bytes], header.digest


class Book:
    """Puts records on a volume as its class wants it, and remembers where."""

    def __init__(self, device: Device, writer: VolumeWriter, position: int = 0) -> None:
        self.random = device.capabilities.random_access
        self.writer = writer
        self.next = position
        self.placed: list[tuple[Span, bytes, bytes]] = []

    def put(self, seed: int, size: int = 20 * KIB) -> Span:
        view, digest = record(seed, size)
        if self.random:
            offset = self.next
            self.writer.write_at(offset, view)
            self.next += view.nbytes
        else:
            offset = self.writer.append(view, digest)
        span = Span(offset, view.nbytes)
        self.placed.append((span, digest, bytes(view)))
        view[:] = bytes(view.nbytes)  # the caller may reuse its buffer at once
        return span


@contextlib.contextmanager
def writing(device: Device, name: str, written: int = 0) -> Iterator[Book]:
    writer = device.open_writer(name, written, CAPACITY)
    try:
        yield Book(device, writer, written)
    finally:
        writer.close()


def filled(device: Device, name: str, count: int, size: int = 20 * KIB) -> Book:
    device.create(name, CAPACITY)
    with writing(device, name) as book:
        for seed in range(count):
            book.put(seed, size)
        book.writer.commit()
    return book


def read_back(device: Device, name: str, spans: list[Span]) -> list[bytes | None]:
    reader = device.open_reader(name)
    try:
        return [None if view is None else bytes(view) for view in reader.read_many(spans)]
    finally:
        reader.close()


def test_committed_records_read_back_as_they_were_given(device: Device, name: str) -> None:
    book = filled(device, name, 5)
    assert read_back(device, name, [s for s, _, _ in book.placed]) == [b for _, _, b in book.placed]


def test_one_record_is_read_into_the_callers_buffer(device: Device, name: str) -> None:
    book = filled(device, name, 3)
    span, _, expected = book.placed[1]
    into = aligned_buffer(MIB)
    reader = device.open_reader(name)
    got = reader.read(span, into)
    reader.close()
    assert bytes(got) == expected == bytes(into[: span.stored_bytes])


def test_many_records_come_in_the_order_asked_also_backwards_and_with_gaps(device: Device, name: str) -> None:
    book = filled(device, name, 40, 150 * KIB)
    wanted = [*book.placed[::-3], *book.placed[5:30], book.placed[0]]
    assert read_back(device, name, [s for s, _, _ in wanted]) == [b for _, _, b in wanted]


def test_reading_nothing_gives_nothing(device: Device, name: str) -> None:
    filled(device, name, 1)
    assert read_back(device, name, []) == []


def test_a_reader_may_be_left_in_the_middle(device: Device, name: str) -> None:
    book = filled(device, name, 40, 190 * KIB)
    reader = device.open_reader(name)
    stream = reader.read_many([s for s, _, _ in book.placed])
    first = next(iter(stream))
    assert first is not None and bytes(first) == book.placed[0][2]
    del first, stream
    reader.close()


def test_a_record_that_cannot_be_read_is_none_and_the_rest_still_comes(device: Device, name: str) -> None:
    book = filled(device, name, 3)
    spans = [book.placed[0][0], Span(CAPACITY * 2, 8 * BLOCK_BYTES), book.placed[2][0]]
    assert read_back(device, name, spans) == [book.placed[0][2], None, book.placed[2][2]]


def test_reading_one_record_beyond_the_end_fails(device: Device, name: str) -> None:
    filled(device, name, 1)
    reader = device.open_reader(name)
    with pytest.raises(MediaFailed):
        reader.read(Span(CAPACITY * 2, BLOCK_BYTES), aligned_buffer(BLOCK_BYTES))
    reader.close()


def test_verify_tells_good_from_bad(device: Device, name: str) -> None:
    book = filled(device, name, 4)
    asked = [(s, d) for s, d, _ in book.placed]
    asked[2] = (asked[2][0], bytes(32))
    asked.append((Span(CAPACITY * 2, BLOCK_BYTES), bytes(32)))
    assert list(device.verify(name, asked)) == [(s, i not in (2, 4)) for i, (s, _) in enumerate(asked)]


def test_a_volume_is_made_once(device: Device, name: str) -> None:
    device.create(name, CAPACITY)
    if device.capabilities.remote:
        return  # a target knows a volume from its first segment on
    with pytest.raises(AlreadyExists):
        device.create(name, CAPACITY)


def test_deleting_twice_is_fine_and_afterwards_it_is_gone(device: Device, name: str) -> None:
    span = filled(device, name, 1).placed[0][0]
    device.delete(name)
    device.delete(name)
    if device.capabilities.remote:
        return  # marked at the target; whether it is still readable is the target's business
    with pytest.raises(NotFound):
        device.open_reader(name).read(span, aligned_buffer(MIB))


def test_a_device_that_is_renewed_goes_on_with_what_is_open(device: Device, name: str) -> None:
    device.create(name, CAPACITY)
    with writing(device, name) as book:
        book.put(1)
        device.renew()
        book.put(2)
        book.writer.commit()
    device.renew()
    assert device.idle_sessions() == 0
    assert read_back(device, name, [s for s, _, _ in book.placed]) == [b for _, _, b in book.placed]


def test_an_unknown_volume_is_not_found(device: Device, tmp_path: Path) -> None:
    if device.capabilities.remote:
        pytest.skip("opening talks to nobody; the first read tells")
    unknown = str(tmp_path / "unknown")
    with pytest.raises(NotFound):
        device.open_reader(unknown)
    with pytest.raises(NotFound):
        device.open_writer(unknown, 0, CAPACITY)


def test_closing_a_writer_twice_over_does_no_harm(device: Device, name: str) -> None:
    device.create(name, CAPACITY)
    with writing(device, name) as book:
        book.put(1)
        book.writer.commit()
        book.writer.commit()
        book.writer.abort()
    assert read_back(device, name, [book.placed[0][0]]) == [book.placed[0][2]]


# --- sequential --------------------------------------------------------------------------------------------------


def test_positions_grow_by_what_is_appended(sequential: Device, name: str) -> None:
    sequential.create(name, CAPACITY)
    with writing(sequential, name) as book:
        assert book.writer.position_bytes == 0
        first, second = book.put(1), book.put(2, 40 * KIB)
        assert (first.offset_bytes, second.offset_bytes) == (0, first.stored_bytes)
        assert book.writer.position_bytes == first.stored_bytes + second.stored_bytes


def test_a_volume_is_continued_where_the_catalog_says(sequential: Device, name: str) -> None:
    book = filled(sequential, name, 2)
    with writing(sequential, name, book.writer.position_bytes) as more:
        more.put(7)
        more.writer.commit()
    everything = [*book.placed, *more.placed]
    assert read_back(sequential, name, [s for s, _, _ in everything]) == [b for _, _, b in everything]


def test_abort_forgets_what_was_appended_since_the_last_commit(sequential: Device, name: str) -> None:
    sequential.create(name, CAPACITY)
    with writing(sequential, name) as book:
        kept = book.put(1)
        book.writer.commit()
        book.put(2)
        book.writer.abort()
        assert book.writer.position_bytes == kept.stored_bytes
        again = book.put(3)
        book.writer.commit()
    assert again.offset_bytes == kept.stored_bytes
    assert read_back(sequential, name, [kept, again]) == [book.placed[0][2], book.placed[2][2]]


def test_closing_without_commit_is_an_abort(sequential: Device, name: str) -> None:
    sequential.create(name, CAPACITY)
    with writing(sequential, name) as book:
        lost = book.put(1)
    assert read_back(sequential, name, [lost]) == [None]


def test_what_a_crash_left_behind_the_known_end_is_cut_off(sequential: Device, name: str) -> None:
    book = filled(sequential, name, 1)
    known = book.writer.position_bytes
    with writing(sequential, name, known) as beyond:
        beyond.put(8, 200 * KIB)
        beyond.writer.commit()  # durable, but the catalog never hears of it
    with writing(sequential, name, known) as again:
        assert again.writer.position_bytes == known
        again.put(9)
        again.writer.commit()
    spans = [book.placed[0][0], again.placed[0][0], beyond.placed[0][0]]
    assert read_back(sequential, name, spans) == [book.placed[0][2], again.placed[0][2], None]


def test_a_full_volume_refuses_the_next_record_and_keeps_the_others(sequential: Device, name: str) -> None:
    sequential.create(name, CAPACITY)
    with writing(sequential, name) as book:
        with pytest.raises(MediaFull):
            for seed in range(100):
                book.put(seed, 700 * KIB)
        assert book.writer.position_bytes <= CAPACITY
        assert len(book.placed) >= 10
        book.put(1, 4)  # a smaller one may still fit
        book.writer.commit()
    assert read_back(sequential, name, [s for s, _, _ in book.placed]) == [b for _, _, b in book.placed]


def test_known_records_are_appended_without_their_bytes_or_reported_missing(
    sequential: Device, name: str
) -> None:
    first = filled(sequential, name, 2)
    other = sequential.scratch_name("POOL", 2)
    sequential.create(other, CAPACITY)
    digests = [d for _, d, _ in first.placed] + [bytes(32)]
    lengths = [s.stored_bytes for s, _, _ in first.placed] + [BLOCK_BYTES]
    with writing(sequential, other) as book:
        placed = book.writer.append_known(digests, lengths)
        book.writer.commit()
    if not sequential.capabilities.refers:
        assert placed == [None, None, None]
        return
    assert placed == [0, lengths[0], None]
    spans = [Span(offset or 0, length) for offset, length in zip(placed[:2], lengths[:2], strict=True)]
    assert read_back(sequential, other, spans) == [b for _, _, b in first.placed]


def test_no_two_scratch_names_are_the_same(sequential: Device) -> None:
    assert len({sequential.scratch_name("POOL", sequence) for sequence in range(50)}) == 50


# --- random access -----------------------------------------------------------------------------------------------


def test_a_span_may_be_written_again(random_access: Device, name: str) -> None:
    book = filled(random_access, name, 3)
    with writing(random_access, name, book.placed[1][0].offset_bytes) as again:
        again.put(77)
        again.writer.commit()
    assert read_back(random_access, name, [s for s, _, _ in book.placed]) == [
        book.placed[0][2],
        again.placed[0][2],
        book.placed[2][2],
    ]


def test_nothing_is_written_beyond_the_capacity(random_access: Device, name: str) -> None:
    random_access.create(name, CAPACITY)
    with writing(random_access, name, CAPACITY - BLOCK_BYTES) as book, pytest.raises(MediaFull):
        book.put(1)
