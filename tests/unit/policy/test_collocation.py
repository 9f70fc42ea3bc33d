"""Which volume is written next: exactly the reference's order, and owners apart while there is room for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farvault.policy.collocation import (
    FILE_SPACE,
    GROUP,
    NEW_SCRATCH,
    NO,
    NODE,
    Candidate,
    Key,
    Owner,
    key_of,
    order_of_choice,
)

ANN = Owner(node_id=1, file_space_id=11)
OWN_GROUP, OWN_NODE = Key(GROUP, 7), Key(NODE, 1)
OWN_SPACE = Key(FILE_SPACE, 11, node_id=1)

EMPTY = Candidate(1, False, 0, 100)
NEARLY_FULL = Candidate(2, True, 90, 100)
HALF_FULL = Candidate(3, True, 50, 100)
OF_NODE = Candidate(4, True, 70, 100, has_node=True)
OF_KEY = Candidate(5, True, 20, 100, has_key=True, has_node=True)
OF_KEY_FULLER = Candidate(6, True, 60, 100, has_key=True, has_node=True)
ALL = [EMPTY, NEARLY_FULL, HALF_FULL, OF_NODE, OF_KEY, OF_KEY_FULLER]
NEW = NEW_SCRATCH


@pytest.mark.parametrize(
    ("collocate", "owner", "group", "key"),
    [
        (NO, ANN, 7, None),
        (GROUP, None, None, None),
        (GROUP, ANN, 7, OWN_GROUP),
        (GROUP, ANN, None, OWN_NODE),
        (NODE, ANN, 7, OWN_NODE),
        (FILE_SPACE, ANN, 7, OWN_SPACE),
    ],
)
def test_what_is_kept_together(
    collocate: str, owner: Owner | None, group: int | None, key: Key | None
) -> None:
    assert key_of(collocate, owner, group) == key


@pytest.mark.parametrize(
    ("key", "continuing", "order"),
    [
        # off: the fullest with room, then an empty one; going on: an empty one, then any with room
        (None, False, [2, 4, 6, 3, 5, 1, NEW]),
        (None, True, [1, NEW, 2, 4, 6, 3, 5]),
        # on: own volumes, empty defined, scratch, then the one with most free space
        (OWN_GROUP, False, [6, 5, 1, NEW, 3, 4, 2]),
        (OWN_NODE, False, [6, 5, 1, NEW, 3, 4, 2]),
        # by file space: before strangers' volumes those of the same node
        (OWN_SPACE, False, [6, 5, 1, NEW, 4, 3, 2]),
        # going on: empty defined, scratch, most free space
        (OWN_NODE, True, [1, NEW, 5, 3, 6, 4, 2]),
        (OWN_SPACE, True, [1, NEW, 5, 3, 6, 4, 2]),
    ],
)
def test_the_order_of_choice(key: Key | None, continuing: bool, order: list[int]) -> None:
    assert order_of_choice(key, ALL, continuing=continuing) == order


def test_an_empty_pool_makes_a_volume() -> None:
    assert order_of_choice(OWN_NODE, [], continuing=False) == [NEW]


_CANDIDATES = st.lists(
    st.builds(
        lambda number, filling, written, has_key, has_node: Candidate(
            number, filling, written if filling else 0, 100, filling and has_key, filling and has_node
        ),
        st.integers(1, 50),
        st.booleans(),
        st.integers(1, 100),
        st.booleans(),
        st.booleans(),
    ),
    unique_by=lambda one: one.volume_id,
)


@given(_CANDIDATES, st.sampled_from([None, OWN_GROUP, OWN_NODE, OWN_SPACE]), st.booleans())
def test_every_volume_stands_in_the_order_once(
    candidates: list[Candidate], key: Key | None, continuing: bool
) -> None:
    order = order_of_choice(key, candidates, continuing=continuing)
    assert sorted(order) == sorted([NEW, *(one.volume_id for one in candidates)])


@given(_CANDIDATES, st.sampled_from([OWN_GROUP, OWN_NODE, OWN_SPACE]), st.booleans())
def test_strangers_volumes_are_behind_every_other_choice(
    candidates: list[Candidate], key: Key, continuing: bool
) -> None:
    order = order_of_choice(key, candidates, continuing=continuing)
    strangers = {one.volume_id for one in candidates if one.is_filling and not one.has_key}
    assert not strangers & set(order[: order.index(NEW)])
