"""Who was here last and how much moved is not lost with a transaction that was undone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farvault.base.clock import ManualClock
from farvault.catalog import nouns
from farvault.catalog.catalog import Catalog
from farvault.model.node import Node
from farvault.sessions.last_access import LastAccess


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog.create(str(tmp_path / "catalog.db"), b"k" * 32, ManualClock())
    with made.write() as tx:
        nouns.insert(tx, Node(name="ANN"))
    yield made
    made.close()


def test_notes_of_an_undone_transaction_come_with_the_next_one(catalog: Catalog) -> None:
    last = LastAccess()
    last.node_came("ANN", "Linux", 10)
    last.node_left("ANN", 100, 7)
    with pytest.raises(RuntimeError, match="no room"), catalog.write() as tx:
        last.write(tx)
        raise RuntimeError("no room")
    last.node_came("ANN", "", 20)
    last.node_left("ANN", 1, 1)
    for _ in range(2):
        with catalog.write() as tx:
            last.write(tx)
    with catalog.read() as r:
        ann = nouns.get(r, Node, "ANN")
    assert (ann.last_access_time, ann.platform) == (20, "Linux")
    assert (ann.total_bytes_received, ann.total_bytes_sent) == (101, 8)
