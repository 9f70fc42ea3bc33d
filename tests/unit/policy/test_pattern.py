"""Include-exclude patterns: the worked table of the reference, and agreement with a matcher that tries everything."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farvault.policy.pattern import translate


def matches(pattern: str, path: str) -> bool:
    return re.fullmatch(translate(pattern), path) is not None


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/.../core", "/core", True),
        ("/.../core", "/a/core", True),
        ("/.../core", "/a/b/core", True),
        ("/.../core", "/a/b/cores", False),
        ("/.../core", "/a/bcore", False),
        ("/home/*", "/home/x", True),
        ("/home/*", "/home/x/y", False),
        ("/home/.../*", "/home/x", True),
        ("/home/.../*", "/home/x/y", True),
        ("/home/.../*", "/home", False),
        ("/var/tmp/.../*", "/var/tmp", False),
        ("/a/file[1-3]", "/a/file2", True),
        ("/a/file[1-3]", "/a/file4", False),
        ("/a/file[13]", "/a/file2", False),
        ("/a/x?z", "/a/xyz", True),
        ("/a/x?z", "/a/x/z", False),
        ("/a/x?z", "/a/xz", False),
        ("/.../*.o", "/src/m.o", True),
        ("/.../*.o", "/src/mo", False),
        ("/.../*.*", "/src/mo", False),
        ("/.../*.*", "/src/.", True),
        ("/a/[\\*]", "/a/*", True),
        ("/a/[\\*]", "/a/x", False),
        ("/a/[*]", "/a/*", True),
        ("/a/[\\]x]", "/a/]", True),
        ("/a/[\\\\]", "/a/\\", True),
        ("/a/[^b]", "/a/^", True),
        ("/a/[^b]", "/a/c", False),
        ("/a/[b-]", "/a/-", True),
        ("/a/[+-9]b", "/a/5b", True),
        ("/a[+-9]b", "/a/b", False),
        ("/a/b\\*", "/a/b\\c", True),
        ("/a/b\\*", "/a/b*", False),
        ("/a/.../b/.../c", "/a/b/c", True),
        ("/a/.../b/.../c", "/a/x/b/y/z/c", True),
        ("/a/.../b/.../c", "/a/b/b/b/c", True),
        ("/a/.../b/.../c", "/a/c", False),
        ("/a/.../.../c", "/a/c", True),
        ("/a*b*c", "/abcbc", True),
        ("/a*b*c", "/abcb", False),
        ("/a.b", "/axb", False),
        ("/A", "/a", False),
        ("/*", "/", False),
        ("/a b/(c)+$", "/a b/(c)+$", True),
        ("/?", "/ä", True),
        ("/[ä-ü]", "/ö", True),
        ("/a*", "/a\nb", True),
        ("/?", "/\udcff", True),
    ],
)
def test_a_pattern_matches_as_the_reference_says(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "must start with /"),
        ("core", "must start with /"),
        ("*/core", "must start with /"),
        ("/a/...", "must stand between two /"),
        ("/a/.../", "must not end with /"),
        ("/a/", "must not end with /"),
        ("/a...b/c", "must stand between two /"),
        ("/a/[abc", "has no ]"),
        ("/a/[abc\\]", "has no ]"),
        ("/a/[]", "names no character"),
        ("/a/[c-a]", "range c-a is empty"),
        ("/" + "a" * 1100, "longer than"),
    ],
)
def test_a_pattern_that_cannot_be_one_says_why(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        translate(pattern)


def slow_match(pattern: list[str], path: list[str]) -> bool:
    """Tries every way there is; components as lists."""
    if not pattern:
        return not path
    if pattern[0] == "...":
        return any(slow_match(pattern[1:], path[i:]) for i in range(len(path) + 1))
    return bool(path) and slow_component(pattern[0], path[0]) and slow_match(pattern[1:], path[1:])


def slow_component(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(slow_component(pattern[1:], name[i:]) for i in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and slow_component(pattern[1:], name[1:])


COMPONENT = st.text("ab*?", min_size=1, max_size=6)
PATTERN = st.tuples(st.lists(COMPONENT | st.just("..."), max_size=5), COMPONENT).map(lambda t: [*t[0], t[1]])
PATH = st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=6)


@given(PATTERN, PATH)
@settings(deadline=None, max_examples=1500)
def test_it_agrees_with_a_matcher_that_tries_everything(pattern: list[str], path: list[str]) -> None:
    assert matches("/" + "/".join(pattern), "/" + "/".join(path)) == slow_match(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/" + "*a" * 100 + "b", "/" + "a" * 250),
        ("/" + ".../*a*/" * 30 + "b", "/a" * 1000),
        ("/" + "*" * 500 + "b", "/" + "a" * 250),
    ],
)
def test_no_pattern_makes_a_match_slow(pattern: str, path: str) -> None:
    start = time.process_time()
    assert not matches(pattern, path)
    assert time.process_time() - start < 0.5
