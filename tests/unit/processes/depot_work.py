"""Background work on a depot, and what is done to its volumes behind its back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.unit.storage.depot import Depot, some_files

from farvault.base.disk import observe_crash_points
from farvault.base.messages import Message
from farvault.base.units import MIB
from farvault.catalog import nouns, placements
from farvault.catalog.placements import PlacementRow
from farvault.model.volume import Volume
from farvault.processes.audit_volume import audit_volume
from farvault.processes.process import Process, Processes
from farvault.storage.copying import copy_aggregates

FILES = some_files(12, 900_000)
"""Three or four to a record."""


class Killed(BaseException):
    """Stands for kill -9: nothing that handles errors handles it."""


def run(depot: Depot, work: Callable[[Process], None]) -> Process:
    """To its end, in this thread."""
    return Processes(depot.log, depot.clock).start("WORK", work, wait=True)


def killed_at(depot: Depot, label: str, work: Callable[[Process], None], nth: int = 1) -> None:
    """Run it until it comes past this step for the nth time; then the server starts again."""
    seen: list[str] = []

    def observe(passed: str) -> None:
        seen.extend([passed] * (passed == label))
        if len(seen) == nth:
            raise Killed

    observe_crash_points(observe)
    try:
        run(depot, work)
    except Killed:
        pass
    else:
        raise AssertionError(f"{label} was passed {len(seen)} times only")
    finally:
        observe_crash_points(None)
    depot.restart()


def said(depot: Depot, message_id: str) -> Message:
    """The last one of these."""
    return [line.message for line in depot.said if line.message.id == message_id][-1]


def back_up(depot: Depot, primary: str = "TAPEPOOL") -> None:
    """BACKUP STGPOOL to COPYPOOL."""
    with depot.catalog.read() as r:
        rows = placements.missing_in_copy(r, depot.pool(primary).id, depot.pool("COPYPOOL").id)
    copy_aggregates(depot.storage, rows, depot.pool("COPYPOOL"))


def damage(row: PlacementRow) -> None:
    """Flip one bit of the record on disk."""
    with Path(row.volume_name).open("r+b") as file:
        file.seek(row.offset_bytes + 300)
        byte = file.read(1)[0]
        file.seek(row.offset_bytes + 300)
        file.write(bytes([byte ^ 1]))


def volume_of(depot: Depot, row: PlacementRow) -> Volume:
    with depot.catalog.read() as r:
        return nouns.by_id(r, Volume, row.volume_id)


def define_random_volume(depot: Depot) -> Volume:
    return depot.storage.life.define(depot.pool("BACKUPPOOL"), "one.dsm", capacity_bytes=32 * MIB)


def audit(depot: Depot, row: PlacementRow, *, fix: bool = False, quiet: bool = False) -> Process:
    return run(depot, lambda p: audit_volume(depot.storage, p, row.volume_name, fix=fix, quiet=quiet))


def marks(depot: Depot, pool: str = "TAPEPOOL") -> list[bool]:
    return [row.damaged for row in depot.placed(pool)]
