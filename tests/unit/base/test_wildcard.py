"""Patterns of names fit what they say, and none is slow: any node, partner or administrator may send one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.base.wildcard import matches, wildcard_of_bytes


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*", "", True),
        ("*", "ANY", True),
        ("A*", "ABC", True),
        ("A*", "BA", False),
        ("?BC", "ABC", True),
        ("?BC", "BC", False),
        ("*.BFS.*", "DELHI.BFS.12", True),
        ("A*B*C", "AXBXC", True),
        ("A*B*C", "AXBX", False),
        ("a", "A", False),
        ("*" * 40 + "b", "a" * 2000, False),
    ],
)
def test_a_pattern_fits_whole_names(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


@given(st.text("ab*?", max_size=9), st.text("ab", max_size=9))
def test_it_means_the_same_as_trying_everything(pattern: str, text: str) -> None:
    everything = re.escape(pattern).replace("\\*", "(?:.*)").replace("\\?", ".")
    assert matches(pattern, text) is (re.fullmatch(everything, text, re.DOTALL) is not None)


@pytest.mark.parametrize(
    "pattern", ["*a" * 30 + "*b", "*" + "?" * 40 + "*b", "*a?" * 2000 + "b", "?*" * 3000 + "b"]
)
def test_no_pattern_is_slow(pattern: str) -> None:
    """A pattern that was tried in every way would take longer than anybody lives."""
    assert not matches(pattern, "a" * 4000)


def test_names_are_bytes_one_by_one() -> None:
    assert wildcard_of_bytes(b"a?\xff*")(b"a\n\xff\xfe")
    assert not wildcard_of_bytes(b"?")("ü".encode())
