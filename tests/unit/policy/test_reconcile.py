"""The chapter's table: what a pair of volume and file is, and what is done about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.policy.reconcile import (
    Action,
    Attributes,
    Finding,
    Kind,
    actions,
    blocks_trust,
    differing,
    find,
    is_open,
)

ONE = Attributes(4096, 1, b"a" * 32, 1)
OTHERS = {
    "bytes": ONE._replace(stored_bytes=8192),
    "records": ONE._replace(records=2),
    "digest": ONE._replace(digest=b"b" * 32),
    "epoch": ONE._replace(epoch=2),
}
REPORT, UNAVAILABLE, NONE = Action.REPORT, Action.MAKE_UNAVAILABLE, Action.NONE
AUDIT, UNMARK, MARK = Action.RECOMMEND_AUDIT, Action.UNMARK, Action.MARK
LOST = Action.NOTE_LOST
OTHER = OTHERS["digest"]

ROWS = [
    # here, there, marked, front is the same; finding; FIX=NO; FIX=YES pool; FIX=YES history
    (ONE, ONE, False, False, Finding.SAME, NONE, NONE, NONE),
    (ONE, None, False, False, Finding.NO_FILE, REPORT, REPORT | UNAVAILABLE, REPORT | LOST),
    (ONE, ONE, True, False, Finding.MARKED_SAME, REPORT, REPORT | UNAVAILABLE | UNMARK | AUDIT, REPORT),
    (ONE, OTHER, True, False, Finding.MARKED_OTHER, REPORT, REPORT | UNAVAILABLE, REPORT | LOST),
    (ONE, OTHER, False, False, Finding.OTHER, REPORT, REPORT | UNAVAILABLE | AUDIT, REPORT | LOST),
    (ONE, OTHERS["bytes"], False, True, Finding.LONGER, REPORT, REPORT | MARK, REPORT),
    (None, ONE, False, False, Finding.NO_VOLUME, REPORT, MARK, None),
    (None, ONE, True, False, Finding.NO_VOLUME_MARKED, NONE, NONE, None),
]


@pytest.mark.parametrize(("here", "there", "marked", "front", "finding", "report", "fix", "history"), ROWS)
def test_every_row_of_the_table(
    here: Attributes | None,
    there: Attributes | None,
    marked: bool,
    front: bool,
    finding: Finding,
    report: Action,
    fix: Action,
    history: Action | None,
) -> None:
    assert find(here, there, marked=marked, front_is_same=front) is finding
    kind = Kind.POOL if here else None
    assert actions(finding, kind, fix=False) == report
    assert actions(finding, kind, fix=True) == fix
    if history is not None:
        assert actions(finding, Kind.HISTORY, fix=True) == history
        assert actions(finding, Kind.HISTORY, fix=False) == report


@pytest.mark.parametrize("name", OTHERS)
def test_each_attribute_counts(name: str) -> None:
    assert differing(ONE, OTHERS[name]) == (name,)
    assert find(ONE, OTHERS[name], marked=False) is Finding.OTHER


def test_neither_a_volume_nor_a_file_is_no_question() -> None:
    with pytest.raises(ValueError, match="neither"):
        find(None, None, marked=False)


def test_only_marking_settles_what_no_volume_knows_and_nothing_settles_what_is_missing() -> None:
    assert is_open(Finding.NO_VOLUME, REPORT) and not is_open(Finding.NO_VOLUME, MARK)
    assert is_open(Finding.LONGER, REPORT) and not is_open(Finding.LONGER, REPORT | MARK)
    assert is_open(Finding.NO_FILE, REPORT | UNAVAILABLE)
    assert not is_open(Finding.SAME, NONE) and not is_open(Finding.NO_VOLUME_MARKED, NONE)


ATTRIBUTES = st.builds(
    Attributes,
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from([b"a" * 32, b"b" * 32]),
    st.integers(0, 2),
)


@given(
    here=st.none() | ATTRIBUTES,
    there=st.none() | ATTRIBUTES,
    marked=st.booleans(),
    front=st.booleans(),
    fix=st.booleans(),
    kind=st.sampled_from(Kind),
)
def test_nothing_of_ours_is_ever_marked_and_nothing_becomes_active_with_rights(
    here: Attributes | None, there: Attributes | None, marked: bool, front: bool, fix: bool, kind: Kind
) -> None:
    if here is None and there is None:
        return
    finding = find(here, there, marked=marked, front_is_same=front)
    done = actions(finding, kind if here else None, fix=fix)
    if not fix or (here and kind is Kind.HISTORY):
        noted = LOST if fix else NONE
        assert done in (NONE, REPORT, REPORT | noted), "only a report, and with FIX=YES a note here"
    if MARK in done:
        assert here is None or finding is Finding.LONGER
    if UNMARK in done:
        assert UNAVAILABLE in done and here == there
    if here is not None and there == here and not marked:
        assert done is NONE and not blocks_trust(finding)
    if here is not None and (there is None or marked):
        assert blocks_trust(finding) and is_open(finding, done)
