"""What needs a person now, on both sides of virtual volumes: read from the present state, so an alert goes with its cause.

Each names the message that was said when it began: HELP shows its explanation, and what to do is the message's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from farvault.base.messages import catalogue
from farvault.catalog import nouns, pending_deletions, target_truth, vault_rules, volume_history
from farvault.catalog.transaction import Snapshot
from farvault.model.node import Node
from farvault.model.server import Server
from farvault.model.vault_rules import VaultRules
from farvault.policy.clock_guard import DAY_SECONDS

LONG_WAIT_SECONDS: Final = DAY_SECONDS
"""Deletions that wait for a target are said after so long; the next try is never further than ten minutes away."""
ECHO_SECONDS: Final = DAY_SECONDS
"""How long something that happened, and has no state of its own, is listed."""


class Alert(NamedTuple):
    """`concerns`: a node, a server, or with the volume. `volume`: without the server, for what to do."""

    since_time: int
    concerns: str
    what: str
    message_id: str
    name: str = ""
    volume: str = ""

    @property
    def to_do(self) -> str:
        action = catalogue()[self.message_id].action
        name = self.name or self.concerns
        return action.format(node=name, server=name, name=name, volume=self.volume)


def alerts(r: Snapshot, now_seconds: int) -> Iterator[Alert]:
    """All of them: the server's own, then by node, then by target."""
    clock = vault_rules.clock(r)
    if clock is not None and clock.frozen_time:
        yield Alert(clock.frozen_time, "this server", "its clock jumped: no volume is removed", "ANR4868W")
    for node in nouns.select(r, Node, type="SERVER"):
        yield from _of_source(node.name, vault_rules.of_node(r, node.id), now_seconds)
    for server in nouns.select(r, Server):
        if server.is_target:
            yield from _of_target(r, server, now_seconds)


def _of_source(node: str, rules: VaultRules, now: int) -> Iterator[Alert]:
    if rules.pending_code_key:
        yield Alert(rules.pending_time, node, "its FORCESYNC waits for approval", "ANR0570W")
    if rules.mass_stopped_time:
        yield Alert(rules.mass_stopped_time, node, "it deleted too much: deletions are stopped", "ANR4865W")
    if rules.reconcile_since_time:
        yield Alert(
            rules.reconcile_since_time, node, "its epoch moved: deletions wait for a reconcile", "ANR4874W"
        )
    if now < rules.asleep_time + rules.asleep_days * DAY_SECONDS:
        yield Alert(
            rules.asleep_time, node, "another identity key was registered: deletions sleep", "ANR4877W"
        )
    if rules.last_refused_time > now - ECHO_SECONDS:
        yield Alert(
            rules.last_refused_time, node, "a read-only session tried to change its volumes", "ANR4863W"
        )
    if rules.own_data_time > now - ECHO_SECONDS:
        yield Alert(rules.own_data_time, node, "it brought our own data back", "ANR4990W")


def _of_target(r: Snapshot, server: Server, now: int) -> Iterator[Alert]:
    truth = target_truth.truth(r, server.id)
    if truth.set_back_time:
        what = "it was set back to an older state: nothing is stored or deleted there"
        yield Alert(truth.set_back_time, server.name, what, "ANR4882E")
    count, first = target_truth.unavailable_at(r, server.name)
    if count:
        what = f"volumes there that are UNAVAILABLE: {count:,}, the first is {first}"
        yield Alert(truth.missed_time, server.name, what, "ANR4888E", volume=first)
    for row in volume_history.missed_at(r, server.name):
        what = f"it cannot prove that it has the {row.described}"
        about = f"{server.name}, {row.volume}"
        yield Alert(row.missed_time, about, what, "ANR4891E", name=server.name, volume=row.volume)
    for last in target_truth.reconciliations(r, server.id):
        if last.whole and last.left_open:
            what = f"differences left by RECONCILE VOLUMES: {last.left_open:,}"
            yield Alert(last.ended_time, server.name, what, "ANR4884W")
    waiting, since, _ = pending_deletions.of_server(r, server.name)
    if waiting and now - since >= LONG_WAIT_SECONDS:
        yield Alert(since, server.name, f"deletions that it could not be told of: {waiting:,}", "ANR4870W")
