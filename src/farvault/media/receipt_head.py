"""First contact: does a target still know the newest receipt we hold of it? One that was set back does not.

Its counter is behind ours, or under our number it has signed something else since.
"""

from __future__ import annotations

from typing import NamedTuple

from farvault.base.errors import PeerMisbehaved
from farvault.media.target import TargetSession
from farvault.protocol.truth import QueryReceipts, Receipts
from farvault.seal.digest import digest


class Told(NamedTuple):
    """What the target says: number of its newest receipt, and the digest of the one we asked for (empty: it has none)."""

    last: int
    digest: bytes


def ask(session: TargetSession, number: int) -> Told:
    """One request and its answer. `number` 0: only the newest is asked for."""
    numbers = (number,) if number else ()
    answer = receipts(session, numbers)
    found = answer.receipts[0] if number else b""
    return Told(answer.last, digest(found) if found else b"")


def receipts(session: TargetSession, numbers: tuple[int, ...]) -> Receipts:
    """What it has signed under these numbers; `PeerMisbehaved` where it does not answer to each of them."""
    answer = session.connection.call(QueryReceipts(numbers=numbers), Receipts)
    if len(answer.receipts) != len(numbers):
        raise PeerMisbehaved("ANR4881E", peer=session.connection.peer, what="receipts")
    return answer


def is_set_back(told: Told, number: int, known: bytes) -> bool:
    """`number` and `known`: our newest receipt of this target and its digest; 0 where we have none."""
    return number > 0 and (told.last < number or told.digest != known)
