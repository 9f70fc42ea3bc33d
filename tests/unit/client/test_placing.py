"""A file is there whole or not at all, whatever ends a restore: it has its final name when it is complete."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from farvault.client import fetching
from farvault.client.attributes import encode_attributes, object_type
from farvault.client.fetching import Fetch
from farvault.client.placing import TEMPORARY_PREFIX, Placer, TargetFolder
from farvault.client.work import Batch, RestoreFile, RestoreFolder
from farvault.model.stored_object import FileAttributes, ObjectType
from farvault.protocol import messages as m
from farvault.seal.digest import digest
from farvault.seal.pack import OpenPack, PackBuilder, parse

MTIME_NS = 10**18


@pytest.fixture(params=["without a name", "with a temporary name"], autouse=True)
def file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the file system can do: O_TMPFILE or not."""
    if request.param == "with a temporary name":
        monkeypatch.setattr(Placer, "_try_nameless", lambda _self, _folder: False)


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    folder = tmp_path / "destination"
    folder.mkdir()
    return folder


class Restoring:
    """One batch of files `right`, each of two extents."""

    def __init__(self, destination: Path, *names: bytes, replace: str = "YES") -> None:
        self.names = names
        files = [restore_file(number, name, replace) for number, name in enumerate(names)]
        self.fetch = Fetch(
            Batch(number=1, root=os.fsencode(destination), folders=[RestoreFolder(b"", files)])
        )
        rows = [
            m.MapRow(number, b"".join(digest(each) for each in self.extents(name)), (len(name) + 1, 3))
            for number, name in enumerate(names)
        ]
        self.fetch._map(m.ObjectMaps(rows=tuple(rows)))

    @staticmethod
    def extents(name: bytes) -> tuple[bytes, bytes]:
        return name + b":", b"end"

    def arrives(self, number: int) -> None:
        """The first or the second extent of every file."""
        for name in self.names:
            self.fetch._unpack(pack_of(self.extents(name)[number]))

    def failures(self) -> list[tuple[int, str]]:
        return [(each.entry, each.message_id) for each in self.fetch.result.failures]


def restore_file(number: int, name: bytes, replace: str) -> RestoreFile:
    size = len(name) + 4
    attributes = FileAttributes(0o100640, os.geteuid(), os.getegid(), size, MTIME_NS, MTIME_NS)
    return RestoreFile(number, name, 1, size, encode_attributes(attributes), replace)


def pack_of(data: bytes) -> OpenPack:
    builder = PackBuilder("ANN", "/", 1, "STANDARD")
    builder.add_extent(digest(data), data)
    return parse(builder.build())


def write_all(batch: Batch, *extents: bytes) -> Fetch:
    """Each file has one extent."""
    fetch = Fetch(batch)
    ids = [file.id for folder in batch.folders for file in folder.files if file.size_bytes]
    rows = tuple(m.MapRow(one, digest(data), (len(data),)) for one, data in zip(ids, extents, strict=True))
    fetch._map(m.ObjectMaps(rows=rows))
    for data in extents:
        fetch._unpack(pack_of(data))
    fetch.close()
    return fetch


@pytest.fixture
def closing() -> Iterator[list[Restoring]]:
    begun: list[Restoring] = []
    yield begun
    for each in begun:
        each.fetch.close()


def final_names(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.startswith(os.fsdecode(TEMPORARY_PREFIX)))


def test_a_file_gets_its_name_with_its_last_byte_and_its_attributes(
    destination: Path, closing: list[Restoring]
) -> None:
    closing.append(restoring := Restoring(destination, b"file"))
    restoring.arrives(0)
    assert final_names(destination) == []
    restoring.arrives(1)
    assert os.listdir(destination) == ["file"]
    st = (destination / "file").stat()
    assert (st.st_mode & 0o7777, st.st_mtime_ns, st.st_nlink) == (0o640, MTIME_NS, 1)
    assert (destination / "file").read_bytes() == b"file:end"


@pytest.mark.parametrize("replace", ["YES", "NO", "IFNEWER"])
def test_after_a_restore_that_was_killed_the_next_one_restores_all(
    destination: Path, closing: list[Restoring], replace: str
) -> None:
    closing.append(killed := Restoring(destination, b"file", b"other", replace=replace))
    killed.arrives(0)  # and no more: nobody tidies up
    closing.append(again := Restoring(destination, b"file", b"other", replace=replace))
    again.arrives(0)
    again.arrives(1)
    assert (again.fetch.result.restored, again.failures()) == (2, [])
    assert final_names(destination) == ["file", "other"]
    assert (destination / "other").read_bytes() == b"other:end"


def test_what_was_begun_is_taken_away_when_a_restore_is_broken_off(destination: Path) -> None:
    restoring = Restoring(destination, b"file", b"other")
    restoring.arrives(0)
    restoring.fetch.close()
    assert os.listdir(destination) == []


def test_a_file_that_replaces_another_leaves_it_until_it_is_complete(
    destination: Path, closing: list[Restoring]
) -> None:
    (destination / "file").write_text("before")
    closing.append(restoring := Restoring(destination, b"file"))
    restoring.arrives(0)
    assert (destination / "file").read_text() == "before"
    restoring.arrives(1)
    assert (destination / "file").read_bytes() == b"file:end"
    assert os.listdir(destination) == ["file"]


def test_a_file_that_came_meanwhile_is_not_replaced_where_it_may_not_be(
    destination: Path, closing: list[Restoring]
) -> None:
    closing.append(restoring := Restoring(destination, b"file", replace="NO"))
    restoring.arrives(0)
    (destination / "file").write_text("somebody's")
    restoring.arrives(1)
    assert restoring.fetch.result.skipped == 1
    assert (destination / "file").read_text() == "somebody's"
    assert os.listdir(destination) == ["file"]


def test_files_that_are_too_many_to_stay_open_are_put_aside(
    destination: Path, closing: list[Restoring], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "OPEN_MOST", 1)
    closing.append(restoring := Restoring(destination, b"a", b"b", b"c"))
    restoring.arrives(0)
    assert final_names(destination) == [] and len(os.listdir(destination)) >= 2
    restoring.arrives(1)
    assert sorted(os.listdir(destination)) == ["a", "b", "c"]
    assert [(destination / name).read_bytes() for name in "abc"] == [b"a:end", b"b:end", b"c:end"]


def test_what_was_put_aside_and_exchanged_is_not_written_to(
    destination: Path, closing: list[Restoring], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fetching, "OPEN_MOST", 1)
    (tmp_path / "precious").write_text("precious")
    closing.append(restoring := Restoring(destination, b"a", b"b"))
    restoring.arrives(0)
    aside = next(
        path for path in destination.iterdir() if path.read_bytes() == b"a:"
    )  # closed, unlike that of `b`
    aside.unlink()
    os.link(tmp_path / "precious", aside)
    restoring.arrives(1)
    assert restoring.failures() == [(0, "ANS4014E")]
    assert (tmp_path / "precious").read_text() == "precious"
    assert (destination / "b").read_bytes() == b"b:end"


IMPOSSIBLE: list[dict[str, object]] = [
    {"uid": 2**40, "gid": 2**40},
    {"mode": stat.S_IFLNK | 0o777, "link_target": b"a\0b"},
    {"mode": stat.S_IFLNK | 0o777, "link_target": b""},
    {"mode": stat.S_IFCHR | 0o600, "device_number": 2**63},
    {"mode": stat.S_IFSOCK | 0o600},
    {"mode": stat.S_IFIFO | 0o600, "uid": 2**40},
]


@pytest.mark.parametrize("wrong", IMPOSSIBLE, ids=str)
def test_attributes_that_nothing_can_have_fail_that_object_only(
    destination: Path, wrong: dict[str, object]
) -> None:
    good = FileAttributes(0o100600, os.geteuid(), os.getegid(), 4, MTIME_NS, MTIME_NS)
    bad = msgspec.structs.replace(good, **wrong)
    kind = object_type(bad.mode) or ObjectType.DEVICE
    files = [
        RestoreFile(1, b"bad", kind, 4 if kind is ObjectType.FILE else 0, encode_attributes(bad), "YES"),
        RestoreFile(2, b"good", 1, 4, encode_attributes(good), "YES"),
    ]
    batch = Batch(number=1, root=os.fsencode(destination), folders=[RestoreFolder(b"", files)])
    fetch = write_all(batch, *([b"data"] if kind is ObjectType.FILE else []), b"more")
    assert [failure.entry for failure in fetch.result.failures] == [0]
    assert os.listdir(destination) == ["good"]


@pytest.mark.parametrize("name", ["user.a\0b", "no namespace", "user." + "x" * 400])
def test_extended_attributes_that_nothing_can_have_are_told(destination: Path, name: str) -> None:
    attributes = FileAttributes(
        0o100600, os.geteuid(), os.getegid(), 4, MTIME_NS, MTIME_NS, extended={name: b"1"}
    )
    file = RestoreFile(1, b"file", 1, 4, encode_attributes(attributes), "YES")
    batch = Batch(number=1, root=os.fsencode(destination), folders=[RestoreFolder(b"", [file])])
    fetch = write_all(batch, b"data")
    assert [each.message_id for each in fetch.result.warnings] == ["ANS1587W"]
    assert (destination / "file").read_bytes() == b"data"


@pytest.mark.parametrize("replace", ["YES", "NO"])
def test_links_and_pipes_get_their_names_with_their_attributes(destination: Path, replace: str) -> None:
    placer = Placer()
    opened = os.open(destination, os.O_RDONLY)
    folder = TargetFolder(opened)
    me = (os.geteuid(), os.getegid())
    link = FileAttributes(stat.S_IFLNK | 0o777, *me, 0, 5, 5, link_target=b"nowhere")
    pipe = FileAttributes(stat.S_IFIFO | 0o640, *me, 0, 6, 6)
    placer.make_special(folder, RestoreFile(1, b"link", ObjectType.SYMLINK, 0, b"", replace), link)
    placer.make_special(folder, RestoreFile(2, b"pipe", ObjectType.FIFO, 0, b"", replace), pipe)
    folder.close()
    assert sorted(os.listdir(destination)) == ["link", "pipe"]
    assert (destination / "link").lstat().st_mtime_ns == 5
    st = (destination / "pipe").stat()
    assert (st.st_mtime_ns, st.st_mode & 0o777, st.st_nlink) == (6, 0o640, 1)


def test_a_pipe_that_is_exchanged_gives_nobody_its_owner_and_mode(
    destination: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    precious.chmod(0o600)

    def exchange(name: bytes, _mode: int, *, dir_fd: int) -> None:
        os.link(precious, name, dst_dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkfifo", exchange)
    folder = TargetFolder(os.open(destination, os.O_RDONLY))
    pipe = FileAttributes(stat.S_IFIFO | 0o666, os.geteuid(), os.getegid(), 0, 6, 6)
    with pytest.raises(OSError, match="somebody put another file"):
        Placer().make_special(folder, RestoreFile(1, b"pipe", ObjectType.FIFO, 0, b"", "YES"), pipe)
    folder.close()
    assert stat.S_IMODE(precious.stat().st_mode) == 0o600 and precious.stat().st_mtime_ns > 6
    assert not (destination / "pipe").exists()
