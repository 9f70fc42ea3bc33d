"""A server is believed about what it has, never about where it goes: hostile names, digests, lengths."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest

from farvault.client.attributes import encode_attributes
from farvault.client.fetching import Fetch
from farvault.client.inventory import Inventory
from farvault.client.options import Options
from farvault.client.query import query_backup
from farvault.client.report import Report
from farvault.client.restore import Restore
from farvault.client.selection import Found, Placement
from farvault.client.session import NodeSession
from farvault.client.work import Batch, RestoreFile, RestoreFolder
from farvault.model.stored_object import FileAttributes
from farvault.protocol import messages as m
from farvault.protocol.frames import ProtocolError
from farvault.seal.digest import digest
from farvault.seal.pack import PackBuilder, parse
from farvault.transport.connection import Connection

ATTRIBUTES = FileAttributes(0o100644, os.geteuid(), os.getegid(), 5, 10**18, 10**18)


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    folder = tmp_path / "destination"
    folder.mkdir()
    return folder


def found(directory: bytes, name: bytes, kind: int = 1) -> Found:
    row = m.ObjectRow(7, 0, name, kind, 1, 5, 0, 0, 0, encode_attributes(ATTRIBUTES))
    return Found(directory, row, "STANDARD")


@pytest.mark.parametrize("rule", ["COMPLETE", "SUBTREE", "NOBASE", "NONE"])
@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize(
    ("directory", "name"),
    [
        (b"", b".."),
        (b"", b"../escaped"),
        (b"", b"/escaped"),
        (b"..", b"escaped"),
        (b"a\0..\0..", b"escaped"),
        (b"a/../..", b"escaped"),
        (b"/", b"escaped"),
        (b"a\0\0b", b"escaped"),
        (b"\0", b"escaped"),
        (b"", b"."),
        (b"", b"x" * 256),
    ],
)
def test_names_that_lead_out_are_refused(
    inside: Path, directory: bytes, name: bytes, kind: int, rule: str
) -> None:
    if rule == "NONE" and name == b"escaped":
        pytest.skip("only the name is used, and that is harmless")
    errors = io.StringIO()
    report = Report(output=io.StringIO(), errors=errors)
    run = Restore(Placement(os.fsencode(inside), rule, ()), Options(replace="ALL"), report, "Restoring", None)
    run.run([found(directory, name, kind)])
    run.close()
    assert (report.counts.failed, report.return_code) == (1, 4)
    assert "ANS4028E" in errors.getvalue()
    assert not list(inside.iterdir()) and os.listdir(inside.parent) == ["destination"]


@pytest.fixture
def fetch(inside: Path) -> Iterator[Fetch]:
    file = RestoreFile(7, b"file", 1, 5, encode_attributes(ATTRIBUTES), "YES")
    made = Fetch(Batch(number=1, root=os.fsencode(inside), folders=[RestoreFolder(b"", [file])]))
    yield made
    made.close()


def maps(*extents: tuple[bytes, int]) -> m.ObjectMaps:
    row = m.MapRow(7, b"".join(name for name, _ in extents), tuple(length for _, length in extents))
    return m.ObjectMaps(rows=(row,))


def test_data_that_does_not_match_its_digest_is_not_written(fetch: Fetch, inside: Path) -> None:
    builder = PackBuilder("ANN", "/", 1, "STANDARD")
    builder.add_extent(digest(b"right"), b"wrong")
    fetch._map(maps((digest(b"right"), 5)))
    fetch._unpack(parse(builder.build()))
    assert [failure.message_id for failure in fetch.result.failures] == ["ANS1304E"]
    assert not list(inside.iterdir())


@pytest.mark.parametrize(
    "lying",
    [
        maps((digest(b"right"), 6)),
        maps((digest(b"right"), 5), (digest(b"more!"), 5)),
        m.ObjectMaps(rows=(m.MapRow(7, b"short", (5,)),)),
        maps((digest(b"rig"), 3)),
        maps(),
    ],
    ids=["too long", "too many", "half a digest", "too short", "nothing"],
)
def test_a_map_that_does_not_fit_the_file_is_refused(fetch: Fetch, inside: Path, lying: m.ObjectMaps) -> None:
    fetch._map(lying)
    assert [failure.message_id for failure in fetch.result.failures] == ["ANS1304E"]
    assert not list(inside.iterdir())


def test_an_extent_that_is_shorter_than_the_server_said_is_no_whole_file(fetch: Fetch, inside: Path) -> None:
    builder = PackBuilder("ANN", "/", 1, "STANDARD")
    builder.add_extent(digest(b"rig"), b"rig")
    fetch._map(maps((digest(b"rig"), 5)))
    fetch._unpack(parse(builder.build()))
    assert [failure.message_id for failure in fetch.result.failures] == ["ANS1304E"]
    assert not list(inside.iterdir())


@pytest.mark.parametrize(
    ("holes", "is_whole"),
    [
        (((0, 3),), True),
        (((2, 3),), True),
        (((0, 1), (3, 2)), True),
        (((1, 3),), False),
        (((0, 2),), False),
        (((0, 4),), False),
        (((3, 2), (0, 1)), False),
        (((-1, 1), (2, 3)), False),
        (((0, 3), (0, 3), (5, -3)), False),
    ],
)
def test_holes_and_extents_make_up_the_file(
    inside: Path, holes: tuple[tuple[int, int], ...], is_whole: bool
) -> None:
    attributes = FileAttributes(0o100644, os.geteuid(), os.getegid(), 5, 10**18, 10**18, holes=holes)
    file = RestoreFile(7, b"file", 1, 5, encode_attributes(attributes), "YES")
    builder = PackBuilder("ANN", "/", 1, "STANDARD")
    builder.add_extent(digest(b"xy"), b"xy")
    with contextlib.closing(
        Fetch(Batch(number=1, root=os.fsencode(inside), folders=[RestoreFolder(b"", [file])]))
    ) as fetch:
        fetch._map(maps((digest(b"xy"), 2)))
        fetch._unpack(parse(builder.build()))
        failed = [failure.message_id for failure in fetch.result.failures]
    assert (fetch.result.restored, failed) == ((1, []) if is_whole else (0, ["ANS1304E"]))
    assert [path.stat().st_size for path in inside.iterdir()] == ([5] if is_whole else [])


def test_a_list_of_extents_that_is_not_told_to_its_end_is_no_whole_file(fetch: Fetch, inside: Path) -> None:
    builder = PackBuilder("ANN", "/", 1, "STANDARD")
    builder.add_extent(digest(b"ri"), b"ri")
    fetch._map(m.ObjectMaps(rows=(m.MapRow(7, digest(b"ri"), (2,), more=True),)))
    fetch._unpack(parse(builder.build()))
    fetch._end(m.ReadEnd())
    assert [failure.message_id for failure in fetch.result.failures] == ["ANS1314E"]
    assert fetch.result.restored == 0
    assert not list(inside.iterdir())


def test_a_list_of_extents_that_grows_over_the_file_is_refused(fetch: Fetch, inside: Path) -> None:
    for _ in range(2):
        fetch._map(m.ObjectMaps(rows=(m.MapRow(7, digest(b"rig"), (3,), more=True),)))
    assert [failure.message_id for failure in fetch.result.failures] == ["ANS1304E"]
    assert not list(inside.iterdir())


def test_a_file_that_stays_incomplete_is_removed_and_reported(fetch: Fetch, inside: Path) -> None:
    builder = PackBuilder("ANN", "/", 1, "STANDARD")
    builder.add_extent(digest(b"ri"), b"ri")
    fetch._map(maps((digest(b"ri"), 2), (digest(b"ght"), 3)))
    fetch._unpack(parse(builder.build()))
    fetch._end(m.ReadEnd(lost=(7,), reason="volume V1 is away"))
    (failure,) = fetch.result.failures
    assert (failure.message_id, failure.reason) == ("ANS1314E", "volume V1 is away")
    assert not list(inside.iterdir())


class Talking:
    """A connection whose server answers with these frames."""

    peer = "delhi"

    def __init__(self, *frames: m.Objects) -> None:
        self.frames = list(frames)
        self.is_over = False

    def send(self, _: m.Body) -> None:
        pass

    def expect(self, _: type[m.Body]) -> tuple[m.Objects, memoryview]:
        return self.frames.pop(0), memoryview(b"")

    def shutdown(self) -> None:
        self.is_over = True


def listed(**changes: int) -> m.Objects:
    row = m.ObjectRow(7, 0, b"name", 1, 1, 5, 0, 0, 0, b"no attributes")
    return m.Objects(
        directories=(b"",),
        classes=("STANDARD",),
        rows=(row, msgspec.structs.replace(row, **changes)),
        last=True,
    )


def session_of(connection: Talking) -> NodeSession:
    welcome = m.Welcome(scram="", session=1, read_only=False, server_time=0)
    return NodeSession(cast(Connection, connection), welcome, "DELHI", "1")


@pytest.mark.parametrize(
    "changes",
    [
        {"directory": 1},
        {"management_class": 1},
        {"type": 77},
        {"type": 0},
        {"inserted_time": 2**62},
        {"deactivated_time": 2**62},
    ],
)
def test_an_inventory_with_rows_that_cannot_be_ends_the_session(changes: dict[str, int]) -> None:
    connection = Talking(listed(**changes))
    with pytest.raises(ProtocolError):
        list(Inventory(session_of(connection), m.QueryObjects(file_space="/")))
    assert connection.is_over
    assert len(list(session_of(Talking(listed())).inventory(m.QueryObjects(file_space="/")))) == 1


@pytest.mark.parametrize("blob", [b"", b"\xff", b"\xc1", b"\x90", b"\x91\xd9\x01\xff", b"\x01" * 50])
def test_attributes_that_are_none_are_told_and_the_list_goes_on(blob: bytes) -> None:
    row = m.ObjectRow(7, 0, b"name", 1, 1, 5, 0, 0, 0, blob)
    good = msgspec.structs.replace(row, attributes=encode_attributes(ATTRIBUTES))
    output, errors = io.StringIO(), io.StringIO()
    report = Report(output=output, errors=errors)
    query_backup([Found(b"", each, "STANDARD") for each in (row, good)], b"/", report, detail=True)
    assert "ANS9832W" in errors.getvalue() and report.return_code == 8
    assert output.getvalue().count("Object id: 7") == 1
