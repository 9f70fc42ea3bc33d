"""The sorted merge: what is at the server only is gone, except where nobody could look."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farvault.client.merge import Merge, by_folder
from farvault.protocol import messages as m


def row(number: int, directory: int, name: bytes) -> m.ObjectRow:
    return m.ObjectRow(number, directory, name, 1, 1, 0, 0, 0, 0, b"")


def frames(entries: list[tuple[bytes, bytes]], size: int = 2) -> list[m.Objects]:
    """An inventory of (directory, name), cut into frames of `size` rows."""
    cut = [entries[start : start + size] for start in range(0, len(entries), size)] or [[]]
    made = []
    for number, part in enumerate(cut):
        directories = tuple(dict.fromkeys(directory for directory, _ in part))
        rows = tuple(row(n, directories.index(d), name) for n, (d, name) in enumerate(part))
        made.append(
            m.Objects(directories=directories, classes=("STANDARD",), rows=rows, last=number == len(cut) - 1)
        )
    return made


def test_a_folder_may_span_frames() -> None:
    found = list(by_folder(frames([(b"a", b"1"), (b"a", b"2"), (b"a", b"3"), (b"b", b"1")])))
    assert [(each.directory, sorted(each.rows)) for each in found] == [
        (b"a", [b"1", b"2", b"3"]),
        (b"b", [b"1"]),
    ]


def test_folders_the_walk_passes_by_are_gone() -> None:
    merge = Merge(frames([(b"", b"a"), (b"a", b"x"), (b"b", b"y"), (b"c", b"z")]))
    assert merge.take(b"")[1].keys() == {b"a"}
    passed, rows = merge.take(b"b")
    assert [each.directory for each in passed] == [b"a"] and rows.keys() == {b"y"}
    assert [each.directory for each in merge.rest()] == [b"c"]


def test_below_an_unknown_folder_nothing_is_gone() -> None:
    entries = [(b"a", b"x"), (b"b", b"x"), (b"b\0deep", b"x"), (b"b-not below", b"x"), (b"c", b"x")]
    merge = Merge(frames(entries))
    merge.look_away(b"b")
    merge.take(b"b")
    passed, _ = merge.take(b"d")
    assert [each.directory for each in passed] == [b"b-not below", b"c"]


def test_an_unknown_root_hides_everything() -> None:
    merge = Merge(frames([(b"", b"a"), (b"a", b"x")]))
    merge.look_away(b"")
    merge.take(b"")
    assert list(merge.rest()) == []


DIRECTORIES = st.lists(st.binary(min_size=1, max_size=2).filter(lambda n: b"\0" not in n), max_size=3).map(
    b"\0".join
)
ENTRIES = st.sets(st.tuples(DIRECTORIES, st.binary(min_size=1, max_size=2)), max_size=15)


@given(stored=ENTRIES, present=ENTRIES, size=st.integers(1, 5))
def test_the_merge_finds_what_set_arithmetic_finds(
    stored: set[tuple[bytes, bytes]], present: set[tuple[bytes, bytes]], size: int
) -> None:
    merge = Merge(frames(sorted(stored), size))
    gone: set[tuple[bytes, bytes]] = set()
    both: set[tuple[bytes, bytes]] = set()
    for directory in sorted({directory for directory, _ in present}):
        passed, rows = merge.take(directory)
        gone |= {(each.directory, name) for each in passed for name in each.rows}
        here = {name for d, name in present if d == directory}
        both |= {(directory, name) for name in here & rows.keys()}
        gone |= {(directory, name) for name in rows.keys() - here}
    gone |= {(each.directory, name) for each in merge.rest() for name in each.rows}
    assert gone == stored - present
    assert both == stored & present
