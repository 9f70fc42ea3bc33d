"""File specifications, mount points, and where restored objects go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from farvault.base.errors import BadInput
from farvault.client.filespec import FileSpec, longest_root, matcher, parse_filespec
from farvault.client.mounts import (
    FileSpaces,
    FileSystem,
    join_path,
    local_file_systems,
    read_mounts,
    show_path,
)
from farvault.client.options import Options
from farvault.client.scopes import from_domain
from farvault.client.selection import Placement, Source, place


@pytest.mark.parametrize(
    ("text", "directory", "pattern"),
    [
        ("/a/b/", b"/a/b", b""),
        ("/a/b", b"/a", b"b"),
        ("/a/b/*.c", b"/a/b", b"*.c"),
        ("/", b"/", b""),
        ("/a/./b/../c", b"/a", b"c"),
        ("//a//b", b"/a", b"b"),
        ("/a/..", b"/", b""),
    ],
)
def test_a_specification_is_a_directory_and_a_pattern(text: str, directory: bytes, pattern: bytes) -> None:
    spec = parse_filespec(text, resolve=False)
    assert (spec.directory, spec.pattern) == (directory, pattern)


def test_braces_force_the_file_space() -> None:
    spec = parse_filespec("{/home}/ann/x")
    assert (spec.root, spec.directory, spec.pattern) == (b"/home", b"/home/ann", b"x")


@pytest.mark.parametrize("text", ["", "/a*/b", "/a?/b/", "{home}x", "{/home", "/a\0b"])
def test_what_is_no_specification(text: str) -> None:
    with pytest.raises(BadInput, match="ANS1081E"):
        parse_filespec(text)


def test_links_on_the_way_are_resolved_and_the_last_component_is_not(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert parse_filespec(f"{tmp_path}/link/x").directory == os.fsencode(os.path.realpath(tmp_path / "real"))
    assert parse_filespec(f"{tmp_path}/link").pattern == b"link"


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        (b"*", b".hidden", True),
        (b"*.c", b"a.c", True),
        (b"*.c", b"a.cc", False),
        (b"a?c", b"a\xffc", True),
        (b"[ab]", b"a", False),
        (b"[ab]", b"[ab]", True),
        (b"a*", b"a\nb", True),
        (b"\\*", b"\\x", True),
    ],
)
def test_patterns_know_only_star_and_question_mark(pattern: bytes, name: bytes, expected: bool) -> None:
    assert matcher(pattern)(name) is expected


def system(point: bytes, device: bytes = b"", local: bool = True) -> FileSystem:
    return FileSystem(point, "ext4", device or point, local)


def test_the_longest_mount_point_wins() -> None:
    spaces = FileSpaces([system(b"/"), system(b"/home"), system(b"/home/ann")], [b"/srv/virtual"])
    assert spaces.divide(b"/home/ann/doc/a") == (b"/home/ann", b"doc\0a")
    assert spaces.divide(b"/homes/x") == (b"/", b"homes\0x")
    assert spaces.divide(b"/srv/virtual") == (b"/srv/virtual", b"")
    assert spaces.type_of(b"/srv/virtual") == "EXT4"


def test_mounts_are_read_with_their_escapes(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "22 21 8:2 / /a\\040b rw - xfs /dev/sdb rw\n"
        "23 21 0:5 / /proc rw - proc proc rw\n"
    )
    assert [(each.mount_point, each.type, each.local) for each in read_mounts(str(table))] == [
        (b"/", "ext4", True),
        (b"/a b", "xfs", True),
        (b"/proc", "proc", False),
    ]


def test_a_device_mounted_twice_is_backed_up_once() -> None:
    assert local_file_systems([system(b"/", b"8:1 /"), system(b"/tmp", b"8:1 /")]) == [system(b"/", b"8:1 /")]


def test_domain_adds_and_leaves_out() -> None:
    mounts = [system(b"/"), system(b"/tmp"), system(b"/proc", local=False)]
    assert [scope.root for scope in from_domain((), (), mounts)] == [b"/", b"/tmp"]
    assert [scope.root for scope in from_domain(("all-local", "-/tmp"), (), mounts)] == [b"/"]
    assert [scope.root for scope in from_domain(("/tmp",), (), mounts)] == [b"/tmp"]
    with pytest.raises(BadInput, match="ANS1071E"):
        from_domain(("/nowhere",), (), mounts)


def test_paths_are_joined_without_double_slashes() -> None:
    assert join_path(b"/", b"", b"x") == b"/x"
    assert join_path(b"/home", b"a\0b", b"x") == b"/home/a/b/x"
    assert join_path(b"/", b"") == b"/"
    assert show_path(b"/a\xff\n") == "/a\\xff\\x0a"


def source(directory: bytes, pattern: bytes, below: bool = True) -> Source:
    return Source(
        FileSpec("", b"/fs/" + directory.replace(b"\0", b"/"), pattern), "/fs", directory, pattern, below
    )


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("SUBTREE", (b"h2\0deep", b"f")),
        ("COMPLETE", (b"h1\0h2\0deep", b"f")),
        ("NOBASE", (b"deep", b"f")),
        ("NONE", (b"", b"f")),
    ],
)
def test_preservepath_says_where_a_file_goes(
    rule: str, expected: tuple[bytes, bytes], tmp_path: Path
) -> None:
    where = place(source(b"h1\0h2", b"*"), f"{tmp_path}/d/", Options(preserve_path=rule))
    assert where.target(b"h1\0h2\0deep", b"f") == expected


def test_without_a_destination_the_path_is_complete() -> None:
    assert place(source(b"h1", b"*"), None, Options()) == Placement(b"/fs", "COMPLETE", (b"h1",))


def test_the_longest_file_space_of_the_server_wins() -> None:
    spec = parse_filespec("/home/ann/x", resolve=False)
    assert longest_root(spec, [b"/", b"/home", b"/hom"]) == b"/home"
    assert longest_root(spec, [b"/srv"]) is None
    assert longest_root(parse_filespec("{/srv}/x"), [b"/", b"/srv"]) == b"/srv"
