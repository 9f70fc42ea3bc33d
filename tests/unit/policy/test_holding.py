"""What a hold holds: a golden table, and a comparison with a matcher and a search that try everything."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farvault.model.hold import HoldRule
from farvault.policy.holding import Holding, path_matches, path_of

TABLE = Path(__file__).parents[2] / "golden" / "policy" / "holding.txt"
KINDS = {"any": 0, "backup": 1, "archive": 2}
HOLDS = {1: "G", 2: "H"}
SPACE = 1


class Case(NamedTuple):
    what: str
    rules: str
    object: str
    expected: str


CASES = [
    Case(*(part.strip() for part in line.split("|")))
    for line in TABLE.read_text().splitlines()
    if line and not line.startswith("#")
]


def rule(number: int, text: str) -> HoldRule:
    name, space, pattern, kind, period = text.split()
    begin, _, end = period.partition("-")
    return HoldRule(
        id=number,
        hold_id={name: number for number, name in HOLDS.items()}[name[0]],
        node_id=1,
        file_space_id=None if space == "*" else int(space),
        pattern=pattern,
        kind=KINDS[kind],
        from_time=int(begin) if begin else None,
        to_time=int(end) if end else None,
        holds=name[1] == "+",
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_what_the_table_says_is_held(case: Case) -> None:
    rules = [rule(number, text) for number, text in enumerate(filter(None, case.rules.split(";")), 1)]
    path, kind, day = case.object.split()
    found = Holding(HOLDS, rules, SPACE).by(path.encode(), KINDS[kind], int(day))
    assert " ".join(found) == case.expected.strip("-")


def slow_match(pattern: str, path: str) -> bool:
    """Tries every way there is."""
    if not pattern:
        return not path
    if pattern[0] == "*":
        return any(slow_match(pattern[1:], path[i:]) for i in range(len(path) + 1))
    return bool(path) and pattern[0] in ("?", path[0]) and slow_match(pattern[1:], path[1:])


def slow_holds(rules: list[HoldRule], path: str, kind: int, day: int) -> set[str]:
    """As one would with the rules on paper: go through them in order, note hold or release, look what stands at the end."""
    state: dict[str, bool] = {}
    for each in sorted(rules, key=lambda one: one.id):
        in_space = each.file_space_id is None or each.file_space_id == SPACE
        of_kind = each.kind == 0 or each.kind == kind
        begun = each.from_time is None or each.from_time <= day
        over = each.to_time is not None and each.to_time < day
        if in_space and of_kind and begun and not over and slow_match(each.pattern, path):
            state[HOLDS[each.hold_id]] = each.holds
    return {name for name, holds in state.items() if holds}


_PATTERNS = st.just("*") | st.text("/ab*?", min_size=1, max_size=7)
_RULES = st.lists(
    st.builds(
        HoldRule,
        hold_id=st.sampled_from(sorted(HOLDS)),
        node_id=st.just(1),
        file_space_id=st.sampled_from([None, 1, 1, 2]),
        pattern=_PATTERNS,
        kind=st.integers(0, 2),
        from_time=st.none() | st.integers(0, 9),
        to_time=st.none() | st.integers(0, 9),
        holds=st.booleans(),
    ),
    max_size=6,
)


@given(_RULES, st.text("/ab", max_size=7), st.integers(1, 2), st.integers(0, 9), st.randoms())
@settings(max_examples=500, deadline=None)
def test_it_agrees_with_a_search_that_tries_everything(
    rules: list[HoldRule], rest: str, kind: int, day: int, random: object
) -> None:
    numbered = [
        HoldRule(
            **{field: getattr(one, field) for field in one.__struct_fields__ if field != "id"}, id=number
        )
        for number, one in enumerate(rules, 1)
    ]
    random.shuffle(numbered)  # type: ignore[attr-defined]
    holding, path = Holding(HOLDS, numbered, SPACE), "/" + rest
    expected = slow_holds(numbered, path, kind, day)
    assert set(holding.by(path.encode(), kind, day)) == expected
    assert holding or not expected, "who says that nothing can be held is believed"


@given(_PATTERNS, st.text("/ab", max_size=8))
@settings(max_examples=500, deadline=None)
def test_a_pattern_agrees_with_a_matcher_that_tries_everything(pattern: str, path: str) -> None:
    assert path_matches(pattern)(path.encode()) == slow_match(pattern, path)


def test_names_that_are_no_text_are_matched_too() -> None:
    assert path_matches("/a?c*")(b"/a\xffc\n\xfe")
    assert path_of(b"", b"name") == b"/name" and path_of(b"a\0b", b"name") == b"/a/b/name"


@pytest.mark.parametrize("pattern", ["/" + "*a" * 300 + "b", "*" * 900 + "b", "/*" + "?" * 900 + "*b"])
def test_no_pattern_makes_a_match_slow(pattern: str) -> None:
    start = time.process_time()
    assert not path_matches(pattern)(b"/" + b"a" * 1000)
    assert time.process_time() - start < 0.5


def test_the_table_is_about_one_thing_a_line() -> None:
    assert len({(case.rules, case.object) for case in CASES}) == len(CASES)
    assert not [case.what for case in CASES if not re.fullmatch(r"-|[GH]( [GH])*", case.expected)]
