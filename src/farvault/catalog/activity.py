"""The activity log: every line the server said, for QUERY ACTLOG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from farvault.base.log import Line
from farvault.base.messages import Message
from farvault.catalog.sequences import take_values
from farvault.catalog.transaction import Snapshot, Transaction

_PRUNE_ROWS = 10_000


def append(tx: Transaction, lines: Sequence[Line]) -> None:
    """Keep these lines, in order."""
    first = take_values(tx, "activity_log", len(lines))
    tx.run_many(
        "INSERT INTO activity_log (id, time_seconds, message_id, message_number, text, session, process, node)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                first + position,
                line.time_seconds,
                line.message.id,
                _number(line.message.id),
                line.message.text,
                line.session,
                line.process,
                line.node,
            )
            for position, line in enumerate(lines)
        ],
    )


def query(
    r: Snapshot,
    begin: int,
    end: int,
    message_number: int | None = None,
    search: str = "",
    node: str = "",
    session: int | None = None,
    process: int | None = None,
) -> Iterator[Line]:
    """Lines said from `begin` to `end` (both included), oldest first. `search`: part of the whole line, any case."""
    tests, values = ["time_seconds >= ?", "time_seconds <= ?"], [begin, end]
    for column, wanted in (("message_number", message_number), ("session", session), ("process", process)):
        if wanted is not None:
            tests.append(f"{column} = ?")
            values.append(wanted)
    needle, wanted_node = search.casefold(), node.upper()
    for time_seconds, message_id, text, at_session, at_process, at_node in r.rows(
        "SELECT time_seconds, message_id, text, session, process, node FROM activity_log"
        f" WHERE {' AND '.join(tests)} ORDER BY time_seconds, id",
        values,
    ):
        line = Line(time_seconds, Message(message_id, text), at_session, at_process, at_node)
        if (not needle or needle in str(line).casefold()) and (not node or at_node.upper() == wanted_node):
            yield line


def prune(tx: Transaction, before: int, limit: int = _PRUNE_ROWS) -> int:
    """Drop lines older than `before`, at most `limit` of them; returns how many went. Repeat until it returns 0."""
    return tx.run(
        "DELETE FROM activity_log WHERE id IN"
        " (SELECT id FROM activity_log WHERE time_seconds < ? ORDER BY time_seconds, id LIMIT ?)",
        (before, limit),
    )


def _number(message_id: str) -> int:
    """ANR2034E -> 2034; 0 for an id of another shape."""
    digits = message_id[3:7]
    return int(digits) if digits.isdigit() else 0
