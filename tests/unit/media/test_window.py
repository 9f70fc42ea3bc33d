"""The sender's window keeps records apart, in order, in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farvault.media.window import Window


def record(number: int, size: int) -> memoryview:
    return memoryview(bytes([number % 251]) * size)


def test_a_record_is_a_copy_and_stays_until_it_is_let_go() -> None:
    window = Window(100, 10)
    original = bytearray(b"abc")
    assert window.put(0, memoryview(original))
    original[:] = b"xyz"
    assert bytes(window.view(0)) == b"abc"
    window.let_go(0)
    assert 0 not in window and len(window) == 0


def test_full_by_bytes_and_by_number() -> None:
    window = Window(100, 3)
    assert window.put(0, record(0, 60))
    assert not window.put(1, record(1, 60))
    window.clear()
    assert all(window.put(number, record(number, 1)) for number in range(3))
    assert not window.put(3, record(3, 1))
    window.let_go_below(1)
    assert window.put(3, record(3, 1))


def test_a_record_longer_than_the_ring_never_fits() -> None:
    assert not Window(100, 3).put(0, record(0, 101))
    assert Window(100, 3).put(0, record(0, 100))


def test_room_of_one_that_leaves_early_comes_back_with_those_before_it() -> None:
    window = Window(100, 10)
    for number in range(3):
        assert window.put(number, record(number, 30))
    window.let_go(1)
    assert not window.put(3, record(3, 30))
    window.let_go(0)
    assert window.put(3, record(3, 30))
    assert [window.numbers, bytes(window.view(2))[:1]] == [[2, 3], b"\x02"]


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3)), max_size=60))
def test_what_is_in_the_window_is_never_overwritten(steps: list[tuple[int, int]]) -> None:
    window = Window(100, 5)
    inside: dict[int, bytes] = {}
    for number, (size, leaving) in enumerate(steps):
        for gone in sorted(inside)[:leaving]:
            window.let_go(gone)
            del inside[gone]
        if window.put(number, record(number, size)):
            inside[number] = bytes(record(number, size))
        elif not inside:
            raise AssertionError("an empty window refused a record that fits")
        assert {one: bytes(window.view(one)) for one in window.numbers} == inside
        assert sum(map(len, inside.values())) <= 100
