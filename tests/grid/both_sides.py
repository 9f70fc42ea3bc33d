"""What DELHI and TOKYO each know of DELHI's virtual volumes, and how a test makes them differ."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.grid.grid_server import GridServer
from tests.grid.trusting import mark
from tests.grid.vaults import Source, sealed_record

from farvault.catalog import kept_receipts, nouns, owners, target_truth
from farvault.catalog import vault as rows
from farvault.catalog.target_truth import Truth
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.node import Node
from farvault.model.pending_deletion import PendingDeletion
from farvault.model.volume import Volume

COPY = "backup stgpool tapepool targetcopypool wait=yes"


# --- the source --------------------------------------------------------------------------------------------------------


def volumes(delhi: GridServer) -> list[str]:
    """Pool volumes of TARGETCLASS that have data, by name."""
    with delhi.server.catalog.read() as r:
        return [one.name for one in kept_receipts.volumes_here(r, ["TARGETCLASS"])]


def access(delhi: GridServer, name: str) -> str:
    with delhi.server.catalog.read() as r:
        return nouns.get(r, Volume, name).access


def truth(delhi: GridServer) -> Truth:
    """What DELHI knows of TOKYO's receipts."""
    with delhi.server.catalog.read() as r:
        return target_truth.truth(r, target_truth.server_id(r, "TOKYO"))


def waiting(delhi: GridServer) -> list[PendingDeletion]:
    """Deletions that TOKYO was not told yet."""
    with delhi.server.catalog.read() as r:
        return nouns.select(r, PendingDeletion)


def reconcile(delhi: GridServer, words: str = "", *, allow: tuple[int, ...] = (0,)) -> str:
    return delhi.admin(f"reconcile volumes targetclass {words} wait=yes", allow=allow).text


def forget_volume(delhi: GridServer, name: str) -> None:
    """DELHI's catalog is one that does not know the volume."""
    with delhi.server.catalog.write() as tx:
        volume = nouns.get(tx, Volume, name)
        forget_placements(tx, volume.id, 0)
        nouns.delete(tx, volume)


def forget_placements(tx: Transaction, volume_id: int, from_offset: int) -> None:
    gone = tx.all(
        "SELECT aggregate_id, volume_id FROM placements WHERE volume_id = ? AND offset_bytes >= ?",
        (volume_id, from_offset),
    )
    owners.removed(tx, gone)
    tx.run("DELETE FROM placements WHERE volume_id = ? AND offset_bytes >= ?", (volume_id, from_offset))


# --- the target --------------------------------------------------------------------------------------------------------


def node_id(r: Snapshot) -> int:
    return nouns.get(r, Node, "DELHI").id


def files(tokyo: GridServer) -> dict[str, bool]:
    """Archive file -> is it marked?"""
    with tokyo.server.catalog.read() as r:
        return {row.volume: bool(row.marked_time) for row in rows.list_volumes(r, node_id(r))}


def marked(tokyo: GridServer) -> set[str]:
    """Volumes whose files are marked."""
    return {name.removeprefix("ADSM.") for name, is_marked in files(tokyo).items() if is_marked}


def lose_file(tokyo: GridServer, name: str) -> None:
    """TOKYO forgets a file for good."""
    with tokyo.server.catalog.read() as r:
        gone = [row.object_id for row in rows.list_volumes(r, node_id(r), f"ADSM.{name}")]
    tokyo.server.storage.delete_objects(gone)


def mark_file(tokyo: GridServer, name: str) -> None:
    with tokyo.server.catalog.write() as tx:
        assert rows.mark(tx, node_id(tx), f"ADSM.{name}", tokyo.server.clock.now_seconds(), 5)


def change_file(tokyo: GridServer, name: str) -> None:
    """TOKYO's catalog says something else of the file."""
    with tokyo.server.catalog.write() as tx:
        (row, *_) = rows._segments(tx, node_id(tx), f"ADSM.{name}")
        rows._write(tx, row._replace(digest=bytes(32)))


def write_marked_volumes(tokyo: GridServer, *names: str) -> None:
    """Volumes of a DELHI that is not running, all marked without a grace."""
    source = Source(tokyo.port)
    device = source.device()
    for number, name in enumerate(names):
        writer = device.open_writer(name, 0, 1 << 20)
        writer.append(*sealed_record(number))
        writer.commit()
        writer.close()
    device.close()
    session = source.target().open_session()
    for name in names:
        mark(session, f"ADSM.{name}")
    session.close()


class Disk:
    """TOKYO's disk as it was, to be put back."""

    def __init__(self, server: GridServer, kept: Path) -> None:
        self._server, self._kept = server, str(kept)
        server.stop()
        shutil.copytree(server.folder, self._kept)
        server.start()

    def put_back(self) -> None:
        self._server.stop()
        shutil.rmtree(self._server.folder)
        shutil.copytree(self._kept, self._server.folder)
        self._server.start()
