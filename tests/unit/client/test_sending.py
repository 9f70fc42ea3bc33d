"""What the client sends is small enough for every pack, however long an object's list of extents or its attributes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import pytest
from tests.patience import PATIENCE_SECONDS
from tests.unit.storage.depot import some_bytes

from farvault.base.pipeline import run_ahead
from farvault.base.units import MIB
from farvault.client import idle
from farvault.client.attributes import decode_attributes
from farvault.client.reading import AHEAD, FileReader, Group, Reading, ReadObject
from farvault.client.sending import Sender
from farvault.client.session import NodeSession
from farvault.client.work import Entry, Unit, UnitResult, WorkFolder
from farvault.protocol import messages as m
from farvault.seal.compress import decompress
from farvault.seal.digest import digest
from farvault.seal.pack import (
    ATTRIBUTES_MAX_BYTES,
    PACK_DIRECTORY_BYTES,
    PIECE_EXTENTS,
    OpenPack,
    parse,
)
from farvault.seal.record import STORED_MAX_BYTES
from farvault.storage.arriving import Arriving
from farvault.transport.connection import Connection


class Server:
    """Stands for a session: keeps the packs, knows nothing, and acknowledges."""

    def __init__(self) -> None:
        self.packs: list[OpenPack] = []
        self.connection = self
        self.bytes_sent = 0
        self.transfer_seconds = 0.0
        self.committed: bool | None = None
        self.pings = 0
        self.pinged = threading.Event()

    def call(self, body: m.Body, *_: type[m.Body]) -> m.Body:
        if isinstance(body, m.Ping):
            self.pings += 1
            self.pinged.set()
        if isinstance(body, m.EndTransaction):
            self.committed = body.commit
            if body.commit:
                return m.TransactionAnswer(objects=0, expired=0, updated=0, new_extents=0, stored_bytes=0)
            self.packs.clear()
        return m.Done()

    def send(self, body: m.Body) -> None:
        raise AssertionError("nothing else is sent here")

    def send_pack(self, codec: int, plain_bytes: int, packed: bytes) -> None:
        assert plain_bytes + 64 * 1024 <= STORED_MAX_BYTES
        self.packs.append(parse(bytes(decompress(codec, packed, plain_bytes))))
        self.packs[-1].verify()

    def files(self) -> dict[bytes, bytes]:
        """What the server would keep."""
        arriving = Arriving()
        numbers: dict[bytes, int] = {}
        contents: dict[int, bytes] = {}
        for pack in self.packs:
            arriving.add(pack)
            for index, (name, _) in enumerate(pack.directory.extents):
                contents[numbers.setdefault(name, len(numbers))] = bytes(pack.extent(index))
        arriving.finish()
        return {
            new.name: b"".join(contents[each] for each in new.extents) for new in arriving.objects(numbers)
        }


def unit_of(root: Path) -> Unit:
    entries = [Entry.of(os.fsencode(each.name), os.lstat(each)) for each in sorted(root.iterdir())]
    folders = [WorkFolder(b"", entries)]
    return Unit(
        number=1,
        root=os.fsencode(root),
        file_space="/home",
        kind=1,
        management_class="STANDARD",
        may_be_known=False,
        folders=folders,
    )


def sent(server: Server, reading: Reading, groups: Iterable[Group], piece_extents: int) -> UnitResult:
    sender = Sender("ALICE", None, piece_extents=piece_extents)
    try:
        return sender.perform(cast(NodeSession, server), reading, groups)
    finally:
        sender.close()


def read_and_sent(server: Server, root: Path, piece_extents: int, reader: FileReader) -> UnitResult:
    reading = Reading(unit_of(root))
    ahead = run_ahead(reader.groups(reading), AHEAD)
    try:
        return sent(server, reading, ahead, piece_extents)
    finally:
        ahead.close()
        reader.close()


@pytest.mark.parametrize("piece_extents", [1, 2, 7, PIECE_EXTENTS])
def test_a_long_file_arrives_whole_whatever_its_pieces(tmp_path: Path, piece_extents: int) -> None:
    data = some_bytes(1, 33 * MIB)
    (tmp_path / "long").write_bytes(data)
    server = Server()
    result = read_and_sent(server, tmp_path, piece_extents, FileReader(piece_extents=piece_extents))
    assert (result.stored, result.failures, server.committed) == (1, [], True)
    assert server.files() == {b"long": data}
    objects = [each for pack in server.packs for each in pack.directory.objects]
    assert all(len(each.extents) <= piece_extents for each in objects)
    assert [bool(each.attributes) for each in objects] == [not each.more for each in objects]
    assert (len(objects) == 1) == (piece_extents == PIECE_EXTENTS)
    last = server.packs[-1].directory
    assert last.extents and last.objects  # a volume without its catalog tells whose these extents are


def test_a_file_that_is_in_memory_as_a_whole_is_cut_too(tmp_path: Path) -> None:
    files = {b"one": some_bytes(1, 9 * MIB), b"two": some_bytes(2, 100), b"zero": b""}
    for name, data in files.items():
        (tmp_path / name.decode()).write_bytes(data)
    server = Server()
    assert read_and_sent(server, tmp_path, 3, FileReader()).stored == 3
    assert server.files() == files


def test_a_file_that_changes_in_the_middle_leaves_no_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "long").write_bytes(some_bytes(1, 33 * MIB))
    reached: list[str] = []

    def touch(label: str) -> None:
        reached.append(label)
        if len(reached) == 1:
            os.utime(tmp_path / "long", ns=(1, os.stat(tmp_path / "long").st_mtime_ns + 1))

    monkeypatch.setattr("farvault.client.reading.crash_point", touch)
    server = Server()
    result = read_and_sent(server, tmp_path, 4, FileReader(piece_extents=4))
    assert (result.stored, len(reached)) == (1, 2)
    assert server.files() == {b"long": some_bytes(1, 33 * MIB)}
    reached.clear()
    server = Server()
    result = read_and_sent(server, tmp_path, 4, FileReader(changing_retries=0, piece_extents=4))
    assert (result.stored, len(result.failures), server.committed) == (0, 1, False)


def test_a_list_of_300_000_extents_is_cut_into_small_packs(tmp_path: Path) -> None:
    """As of a file of 300 GiB whose data the server knows."""
    extents = [(digest(b"%d" % number), 1) for number in range(300_000)]
    group = Group([ReadObject(b"", b"huge", 1, 300_000, b"attributes", extents)], [])
    server = Server()
    assert sent(server, Reading(unit_of(tmp_path)), [group], PIECE_EXTENTS).stored == 1
    pieces = [each for pack in server.packs for each in pack.directory.objects]
    assert sum(len(each.extents) for each in pieces) == 300_000
    assert all(len(pack.directory.references) <= 2 * PIECE_EXTENTS + 1 for pack in server.packs)


# --- attributes ----------------------------------------------------------------------------------------------------


def with_attributes(monkeypatch: pytest.MonkeyPatch, sizes: dict[str, int]) -> None:
    """No file system here takes so many: what is read is made up, by the file's name."""

    def extended(target: int | bytes) -> dict[str, bytes]:
        assert isinstance(target, int)
        size = sizes.get(os.path.basename(os.readlink(f"/proc/self/fd/{target}")), 0)
        return {f"user.{at}": os.urandom(min(65536, size - at)) for at in range(0, size, 65536)}

    monkeypatch.setattr("farvault.client.reading.read_extended", extended)


def files_with(tmp_path: Path, names: Iterable[str], size: int) -> Iterator[tuple[bytes, bytes]]:
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(some_bytes(number, size))
        yield name.encode(), some_bytes(number, size)


@pytest.mark.parametrize("data_bytes", [10, 700_000, 15 * MIB])
def test_very_long_attributes_are_stored_or_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_bytes: int
) -> None:
    sizes = {
        "a": 100,
        "b": ATTRIBUTES_MAX_BYTES - 2000,
        "c": ATTRIBUTES_MAX_BYTES + 1,
        "d": PACK_DIRECTORY_BYTES,
        "e": 0,
    }
    files = dict(files_with(tmp_path, sizes, data_bytes))
    with_attributes(monkeypatch, sizes)
    server = Server()
    result = read_and_sent(server, tmp_path, PIECE_EXTENTS, FileReader())
    assert (result.stored, server.committed) == (4, True)
    assert [(each.entry, each.message_id) for each in result.failures] == [(2, "ANS9811E")]
    assert "at most 1,048,576" in result.failures[0].reason
    del files[b"c"]
    assert server.files() == files
    found = {each.name.decode(): each for pack in server.packs for each in pack.directory.objects}
    assert {
        name: sum(map(len, decode_attributes(each.attributes).extended.values()))
        for name, each in found.items()
    } == {name: size for name, size in sizes.items() if name != "c"}


def test_a_long_file_with_too_many_attributes_is_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dict(files_with(tmp_path, ["long"], 20 * MIB))
    with_attributes(monkeypatch, {"long": 2 * MIB})
    server = Server()
    result = read_and_sent(server, tmp_path, 3, FileReader(piece_extents=3))
    assert [each.message_id for each in result.failures] == ["ANS9811E"]
    assert (result.stored, result.refused, server.committed) == (0, None, False)


def test_a_file_of_too_many_extents_is_refused_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dict(files_with(tmp_path, ["long"], 20 * MIB))
    monkeypatch.setattr("farvault.client.reading.TRANSACTION_EXTENTS_MAX", 5)
    server = Server()
    result = read_and_sent(server, tmp_path, 3, FileReader(piece_extents=3))
    assert [each.message_id for each in result.failures] == ["ANS9812E"]
    assert (result.stored, server.committed) == (0, False)


def test_the_server_hears_of_a_transaction_in_which_nothing_is_read_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "PING_SECONDS", 0.001)
    (tmp_path / "file").write_bytes(b"data")
    server, reading = Server(), Reading(unit_of(tmp_path))

    def slow() -> Iterator[Group]:
        yield from FileReader().groups(reading)
        assert server.pinged.wait(PATIENCE_SECONDS)

    assert sent(server, reading, slow(), PIECE_EXTENTS).stored == 1
    assert server.files() == {b"file": b"data"}


def test_nothing_is_sent_beside_a_transaction_that_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers come in the order of the questions: two threads must not ask at once."""
    monkeypatch.setattr(idle, "PING_SECONDS", 0.0001)
    busy, beside = threading.Event(), threading.Event()

    class Watched(Server):
        def call(self, body: m.Body, *_: type[m.Body]) -> m.Body:
            if busy.is_set():
                beside.set()
            self.pinged.set()
            return m.Done()

    server = Watched()

    def items() -> Iterator[int]:
        for number in range(50):
            server.pinged.clear()
            assert server.pinged.wait(PATIENCE_SECONDS)
            yield number

    for _ in idle.kept_alive(cast(Connection, server), items()):
        busy.set()
        digest(bytes(100_000))
        busy.clear()
    assert not beside.is_set()
