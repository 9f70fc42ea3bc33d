"""Target side: a source's code and identity become the node's, by themselves or with an administrator's word."""

from __future__ import annotations

import msgspec

from farvault.base.log import Log
from farvault.base.messages import message
from farvault.catalog import nouns, vault_rules
from farvault.catalog.transaction import Transaction
from farvault.model.node import Node
from farvault.model.vault_rules import VaultRules
from farvault.policy.clock_guard import Moment
from farvault.policy.vault_lock import SLEEP_DAYS


def accept(
    tx: Transaction, log: Log, node: Node, rules: VaultRules, code_key: bytes, identity: bytes, now: Moment
) -> None:
    """From now on these are the node's. With another identity over volumes that are here, deletions sleep first."""
    is_new = identity != node.identity_public_key
    changed = msgspec.structs.replace(node, verification_public_key=code_key, identity_public_key=identity)
    if changed != node:
        nouns.update(tx, changed)
    if rules.pending_code_key:
        forget_pending(tx, node.id)
    if is_new and vault_rules.has_volumes(tx, node.id):
        days = max(rules.min_grace_days, SLEEP_DAYS)
        vault_rules.change(tx, node.id, asleep_time=now.wall, asleep_running=now.running, asleep_days=days)
        say_once_durable(tx, log, node.name, "ANR4877W", days=days)


def forget_pending(tx: Transaction, node_id: int) -> None:
    """Nothing waits for approval any more."""
    vault_rules.change(
        tx, node_id, pending_code_key=b"", pending_identity=b"", pending_time=0, pending_address=""
    )


def say_once_durable(tx: Transaction, log: Log, node: str, message_id: str, /, **values: object) -> None:
    """A line about a node, said when the transaction is durable and never where it was undone."""
    said = message(message_id, node=node, **values)

    def say() -> None:
        log.repeat(said, node=node)

    tx.after_commit.append(say)
