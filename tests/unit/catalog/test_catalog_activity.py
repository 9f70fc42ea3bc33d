"""The activity log gives back what was said, filtered as QUERY ACTLOG asks."""

from __future__ import annotations

import pytest

from farvault.base.log import Line
from farvault.base.messages import Message
from farvault.catalog import activity
from farvault.catalog.catalog import Catalog

LINES = [
    Line(100, Message("ANR2034E", "No match found")),
    Line(100, Message("ANR0406I", "Session 5 started"), session=5, node="ALICE"),
    Line(200, Message("ANR0984I", "Process 7 started"), process=7),
    Line(300, Message("ANR0403I", "Session 5 ended"), session=5, node="ALICE"),
]


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    with catalog.write() as tx:
        activity.append(tx, LINES[:2])
        activity.append(tx, [])
        activity.append(tx, LINES[2:])
    return catalog


@pytest.mark.parametrize(
    ("begin", "end", "filters", "expected"),
    [
        (0, 1000, {}, [0, 1, 2, 3]),
        (100, 200, {}, [0, 1, 2]),
        (101, 299, {}, [2]),
        (0, 1000, {"message_number": 2034}, [0]),
        (0, 1000, {"message_number": 403}, [3]),
        (0, 1000, {"search": "STARTED"}, [1, 2]),
        (0, 1000, {"search": "anr0403"}, [3]),
        (0, 1000, {"node": "alice"}, [1, 3]),
        (0, 1000, {"session": 5}, [1, 3]),
        (0, 1000, {"session": 0, "process": 0}, [0]),
        (0, 1000, {"process": 7}, [2]),
        (0, 1000, {"process": 7, "session": 5}, []),
    ],
)
def test_a_query_gives_the_lines_asked_for_oldest_first(
    filled: Catalog, begin: int, end: int, filters: dict[str, object], expected: list[int]
) -> None:
    with filled.read() as r:
        found = list(activity.query(r, begin, end, **filters))  # type: ignore[arg-type]
    assert found == [LINES[number] for number in expected]


def test_pruning_drops_the_oldest_first_in_pieces(filled: Catalog) -> None:
    with filled.write() as tx:
        assert activity.prune(tx, before=300, limit=2) == 2
        assert list(activity.query(tx, 0, 1000)) == LINES[2:]
        assert activity.prune(tx, before=300, limit=2) == 1
        assert activity.prune(tx, before=300) == 0
        assert list(activity.query(tx, 0, 1000)) == LINES[3:]
