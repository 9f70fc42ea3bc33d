"""Answers to committed transactions are kept for whoever lost them, and not for ever."""

from __future__ import annotations

import pytest
from tests.unit.catalog.catalog_world import World

from farvault.catalog import client_transactions, nouns
from farvault.catalog.catalog import Catalog
from farvault.catalog.client_transactions import KEPT_SECONDS, CommittedTransaction
from farvault.model.node import Node

ANSWER = CommittedTransaction(1, 2, 3, 4, 5, 6)


def keep(catalog: Catalog, node_id: int, *moments: int) -> None:
    """One transaction at each of these moments, which also is its id."""
    with catalog.write() as tx:
        for now in moments:
            client_transactions.keep(tx, node_id, bytes([now % 256]), ANSWER, now)


def kept(catalog: Catalog, node_id: int) -> list[int]:
    with catalog.read() as r:
        return [id for id in range(256) if client_transactions.find(r, node_id, bytes([id])) is not None]


def test_an_answer_is_found_by_the_node_that_got_it_only(world: World) -> None:
    keep(world.catalog, world.node, 7)
    with world.catalog.read() as r:
        assert client_transactions.find(r, world.node, b"\7") == ANSWER
    assert kept(world.catalog, world.other_node) == []


def test_after_a_day_they_go(world: World) -> None:
    keep(world.catalog, world.node, *range(10))
    keep(world.catalog, world.node, 5 + KEPT_SECONDS)
    assert kept(world.catalog, world.node) == [*range(5, 10), (5 + KEPT_SECONDS) % 256]


def test_of_very_many_the_newest_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(world.catalog, world.other_node, 1)
    monkeypatch.setattr(client_transactions, "KEPT_MOST", 3)
    keep(world.catalog, world.node, *range(30))
    assert kept(world.catalog, world.node) == [27, 28, 29]
    assert kept(world.catalog, world.other_node) == [1]


def test_they_go_with_their_node(world: World) -> None:
    with world.catalog.write() as tx:
        node_id = nouns.insert(tx, Node(name="GONE"))
        client_transactions.keep(tx, node_id, b"id", ANSWER, 1)
        nouns.delete(tx, nouns.get(tx, Node, "GONE"))
        assert client_transactions.find(tx, node_id, b"id") is None
