"""Files that are not what the walk saw: grown, shrunk, behind links, with times and names that cannot be."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.client.test_sending import Server, sent, unit_of
from tests.unit.storage.depot import some_bytes

from farvault.base.units import MIB
from farvault.client import reading
from farvault.client.attributes import Owners, decode_attributes, encode_attributes
from farvault.client.outgoing import Destination, Limits, Outgoing
from farvault.client.reading import STREAMED_BYTES, FileReader, Group, Reading
from farvault.client.work import Entry, Unit, UnitResult
from farvault.model.stored_object import FileAttributes, ObjectType
from farvault.seal.pack import PIECE_EXTENTS

LONG = 2 * STREAMED_BYTES + 5


class Backup:
    """One unit, read and sent while `at_group(number)` changes the files."""

    def __init__(self, unit: Unit, piece_extents: int = PIECE_EXTENTS) -> None:
        self.server = Server()
        self.reading = Reading(unit)
        self.largest_group = 0
        self._piece_extents = piece_extents
        self.at_group: Callable[[int], None] = lambda _: None

    def run(self) -> UnitResult:
        reader = FileReader(piece_extents=self._piece_extents)
        try:
            return sent(self.server, self.reading, self._groups(reader), self._piece_extents)
        finally:
            reader.close()

    def _groups(self, reader: FileReader) -> Iterator[Group]:
        for number, group in enumerate(reader.groups(self.reading)):
            size = sum(len(each.data) for each in group.extents)
            self.largest_group = max(self.largest_group, size)
            yield group
            self.at_group(number)

    def sizes(self) -> dict[bytes, int]:
        """What the objects say of their lengths, twice."""
        objects = [each for pack in self.server.packs for each in pack.directory.objects if not each.more]
        for each in objects:
            assert decode_attributes(each.attributes).size_bytes == each.size_bytes
        return {each.name: each.size_bytes for each in objects}


def grown(folder: Path, serialization: str = "SHRSTATIC") -> tuple[Unit, dict[bytes, bytes]]:
    """Three files, of which one has become long since the walk."""
    contents = {name: name * 10 for name in (b"a", b"b", b"c")}
    for name, content in contents.items():
        (folder / os.fsdecode(name)).write_bytes(content)
    unit = unit_of(folder)
    unit.serialization = serialization
    contents[b"b"] = some_bytes(1, LONG)
    (folder / "b").write_bytes(contents[b"b"])
    return unit, contents


def test_a_file_that_grew_since_the_walk_is_read_piece_by_piece(tmp_path: Path) -> None:
    unit, contents = grown(tmp_path)
    backup = Backup(unit)
    result = backup.run()
    assert (result.stored, result.failures) == (3, [])
    assert backup.server.files() == contents
    assert backup.largest_group < STREAMED_BYTES


def test_one_that_goes_on_growing_takes_nothing_of_the_others_with_it(tmp_path: Path) -> None:
    unit, contents = grown(tmp_path)
    backup = Backup(unit)

    def grow(number: int) -> None:
        if number == 2:
            contents[b"b"] += b"more"
            (tmp_path / "b").write_bytes(contents[b"b"])

    backup.at_group = grow
    result = backup.run()
    assert (result.stored, result.failures, [each.times for each in result.retried]) == (3, [], [1])
    assert backup.server.files() == contents


def test_one_that_would_leave_in_pieces_fails_alone(tmp_path: Path) -> None:
    unit, contents = grown(tmp_path)
    backup = Backup(unit, piece_extents=7)
    result = backup.run()
    assert [(each.entry, each.message_id) for each in result.failures] == [(1, "ANS4037E")]
    del contents[b"b"]
    assert backup.server.files() == contents


@pytest.mark.parametrize("piece_extents", [1, PIECE_EXTENTS])
def test_dynamic_serialization_stores_a_long_file_that_becomes_shorter(
    tmp_path: Path, piece_extents: int
) -> None:
    data = some_bytes(1, LONG)
    (tmp_path / "long").write_bytes(data)
    unit = unit_of(tmp_path)
    unit.serialization = "DYNAMIC"
    backup = Backup(unit, piece_extents)
    backup.at_group = lambda number: os.truncate(tmp_path / "long", 20 * MIB) if number == 0 else None
    result = backup.run()
    assert (result.stored, result.failures) == (1, [])
    assert backup.server.files() == {b"long": data[: 20 * MIB]}
    in_pieces = piece_extents == 1  # the first ones have told the length already: the end is a hole
    assert backup.sizes() == {b"long": LONG if in_pieces else 20 * MIB}


def test_static_serialization_does_not(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(some_bytes(1, LONG))
    unit = unit_of(tmp_path)
    unit.serialization = "STATIC"
    backup = Backup(unit)
    backup.at_group = lambda number: os.truncate(tmp_path / "long", 20 * MIB) if number == 0 else None
    assert [each.message_id for each in backup.run().failures] == ["ANS4037E"]


def test_a_link_to_a_long_file_is_archived_as_the_file_piece_by_piece(tmp_path: Path) -> None:
    data = some_bytes(1, LONG)
    (tmp_path / "data").write_bytes(data)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(tmp_path / "data")
    (tree / "short").write_bytes(b"short")
    given: list[Unit] = []
    to = Destination(os.fsencode(tree), "/home", 1, "STANDARD", "SHRSTATIC", "", False, True)
    outgoing = Outgoing(Limits(100, 1 << 30), lambda unit, _: given.append(unit))
    lane = outgoing.lane(to)
    for name in ("link", "short"):
        lane.send(b"", os.fsencode(name), os.lstat(tree / name))
    outgoing.flush()
    assert [unit.largest_bytes for unit in given] == [LONG, 5], "it has a unit of its own"
    backup = Backup(given[0])
    assert backup.run().stored == 1
    assert backup.server.files() == {b"link": data}
    assert backup.largest_group < STREAMED_BYTES
    (stored,) = (each for pack in backup.server.packs for each in pack.directory.objects)
    assert stored.type == ObjectType.FILE and stat.S_ISREG(decode_attributes(stored.attributes).mode)


def test_a_time_beyond_what_can_be_kept_becomes_the_nearest(tmp_path: Path) -> None:
    """File systems in memory know times up to 2^63 seconds; a stat result of any other one stands for them."""
    for name, moment in (("future", 2**62), ("past", -(2**62))):
        (tmp_path / name).write_bytes(b"data")
        st = os.lstat(tmp_path / name)
        odd = os.stat_result((*st[:8], moment, st[9]), {"st_mtime_ns": moment * 10**9, "st_ctime_ns": 1})
        assert abs(Entry.of(b"name", odd).mtime_ns) == 2**63 - 1
        attributes = Owners().attributes(odd)
        kept = decode_attributes(encode_attributes(attributes))
        assert abs(kept.mtime_ns) == 2**63 - 1 and (kept.mtime_ns > 0) == (moment > 0)


def test_a_user_whose_name_is_no_utf8_is_kept_with_what_can_be_shown_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"data")
    odd = pwd.struct_passwd((os.fsdecode(b"j\xfcrgen"), "x", 0, 0, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: odd)
    backup = Backup(unit_of(tmp_path))
    assert backup.run().stored == 1
    (stored,) = (each for pack in backup.server.packs for each in pack.directory.objects)
    assert decode_attributes(stored.attributes).user == "j\\xfcrgen"


@pytest.mark.parametrize("odd", [OverflowError("too large"), ValueError("no number")])
@pytest.mark.parametrize("size", [1, LONG])
def test_an_object_that_cannot_be_put_into_words_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: Exception, size: int
) -> None:
    (tmp_path / "a").write_bytes(b"fine")
    (tmp_path / "b").write_bytes(bytes(size))
    unit = unit_of(tmp_path)
    kept = reading.encode_attributes

    def encode(attributes: FileAttributes) -> bytes:
        if attributes.size_bytes == size:
            raise odd
        return kept(attributes)

    monkeypatch.setattr(reading, "encode_attributes", encode)
    backup = Backup(unit)
    result = backup.run()
    failures = [(each.entry, each.message_id, each.reason) for each in result.failures]
    assert (result.stored, failures) == (1, [(1, "ANS4014E", str(odd))])
    assert backup.server.files() == {b"a": b"fine"}
