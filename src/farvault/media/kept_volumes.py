"""What a target keeps of a node, asked by somebody who knows only its address and the node's password."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from farvault.base.errors import PeerMisbehaved
from farvault.media.interface import Span
from farvault.media.target import TargetSession
from farvault.protocol.virtual_volumes import QueryVolumes, Volumes

ROWS_MOST: Final = 50_000_000
KEPT_MOST: Final = 1_000_000
"""More than any vault has; a partner whose list does not end is not listened to any longer."""


class KeptVolume(NamedTuple):
    """`name`: as the target has it, PREFIX first. `last`: its last segment. `marked`: marked for deletion."""

    name: str
    stored_bytes: int
    last: Span
    received_time: int
    marked: bool


def kept_volumes(session: TargetSession, wanted: Callable[[str], bool]) -> list[KeptVolume]:
    """Volumes whose name (behind PREFIX) is wanted, in order. Only what was closed is told by the target."""
    session.connection.send(QueryVolumes(pattern="*"))
    found: dict[tuple[str, bool], KeptVolume] = {}
    rows = 0
    while True:
        answer, _ = session.connection.expect(Volumes)
        rows += len(answer.rows)
        if rows > ROWS_MOST or len(found) > KEPT_MOST:
            raise PeerMisbehaved("ANR4961E", rows=f"{rows:,}")
        for row in answer.rows:
            if not wanted(row.volume.partition(".")[2]):
                continue
            key = row.volume, bool(row.marked_time)
            before = found.get(key)
            last = Span(row.offset_bytes, row.stored_bytes)
            found[key] = KeptVolume(
                row.volume,
                row.stored_bytes + (before.stored_bytes if before else 0),
                max(last, before.last) if before else last,
                max(row.received_time, before.received_time if before else 0),
                bool(row.marked_time),
            )
        if answer.last:
            return sorted(found.values())
