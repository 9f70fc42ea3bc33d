"""What leaves its old place in the transaction that gives it a new one: that makes a copy a replacement, or a move."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from farvault.catalog import placements, superseded
from farvault.catalog.placements import PlacementRow
from farvault.catalog.transaction import Transaction
from farvault.storage.copying import Stored
from farvault.storage.storage import Storage


def leaving(storage: Storage, goes: Callable[[PlacementRow], bool]) -> Stored:
    """In the transaction that gives an aggregate another place, the places that `goes` names go.

    Once that is durable, space and empty volumes come back.
    """

    def leave(tx: Transaction, aggregate_ids: Sequence[int]) -> None:
        rows = placements.of_aggregates(tx, aggregate_ids).values()
        storage.leave_placements(tx, [row for places in rows for row in places if goes(row)])

    return leave


def moving(storage: Storage, goes: Callable[[PlacementRow], bool]) -> Stored:
    """What makes a copy a move: `leaving`, also for what the aggregate was rebuilt from: the new place stands for both.

    Where neither lies in such a place any more, somebody else has moved it: it stays there, and gets no second place.
    """

    def move(tx: Transaction, aggregate_ids: Sequence[int]) -> set[int]:
        older = superseded.predecessors(tx, aggregate_ids)
        families = {one: (one, *older[one]) for one in aggregate_ids}
        places = placements.of_aggregates(tx, {one for several in families.values() for one in several})
        going = {
            number: [row for one in several for row in places[one] if goes(row)]
            for number, several in families.items()
        }
        storage.leave_placements(tx, list(dict.fromkeys(row for rows in going.values() for row in rows)))
        return {number for number, rows in going.items() if not rows}

    return move
