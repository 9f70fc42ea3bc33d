"""What UPDATE NODE sets and QUERY NODE shows of a source's rights here: vault lock, quota, approvals, what was refused."""

from __future__ import annotations

from typing import Any

from farvault.admin.command import Call
from farvault.admin.output import Column, count_column, of_attribute, time_column
from farvault.base.errors import BadInput
from farvault.base.units import show_size
from farvault.catalog import vault_rules
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.attribute import attributes
from farvault.model.node import Node
from farvault.model.vault_rules import ALLOW, APPROVE, VaultRules
from farvault.policy.clock_guard import DAY_SECONDS
from farvault.seal.identity import key_fingerprint
from farvault.storage.storage import Storage

_SHOWN = tuple(attributes(VaultRules))


def vault_values(call: Call) -> dict[str, Any]:
    """What of the rules was typed. FORCESYNC=ALLOW and APPROVE are rules, YES and NO are not."""
    typed = {field: call[field] for field in _SHOWN if field in call.given}
    if call["forcesync"] in (ALLOW, APPROVE):
        typed["force_sync"] = call["forcesync"]
    return typed


def set_rules(tx: Transaction, storage: Storage, node: Node, values: dict[str, Any]) -> None:
    """Change a source's rules; `BadInput` for a node that is none."""
    if not values:
        return
    if not node.is_source:
        raise BadInput("ANR2268E", node=node.name)
    vault_rules.change_lock(tx, node.id, storage.vault_clock.look(tx).running, **values)


def vault_figures(r: Snapshot, node: Node) -> dict[str, Any]:
    """The rules, what the vault holds, and what waits or was stopped; nothing for a node that is no source."""
    if not node.is_source:
        return {}
    rules = vault_rules.of_node(r, node.id)
    waits = rules.pending_identity
    return {
        **{field: getattr(rules, field) for field in _SHOWN},
        "vault_bytes": vault_rules.count_bytes(r, node.id),
        "vault_volumes": vault_rules.count_volumes(r, node.id),
        "marked_volumes": vault_rules.count_marked(r, node.id, -1),
        "identity_fingerprint": key_fingerprint(node.identity_public_key) if node.identity_public_key else "",
        "epoch": rules.epoch,
        "pending_time": rules.pending_time,
        "pending_address": rules.pending_address,
        "pending_fingerprint": key_fingerprint(waits) if waits else "",
        "asleep_until_time": rules.asleep_time + rules.asleep_days * DAY_SECONDS,
        "mass_stopped_time": rules.mass_stopped_time,
        "reconcile_since_time": rules.reconcile_since_time,
        "refused_changes": rules.refused_changes,
        "last_refused_time": rules.last_refused_time,
        "own_data_time": rules.own_data_time,
    }


def vault_columns() -> list[Column]:
    """Headings of `vault_figures`."""
    return [
        *(of_attribute(VaultRules, field) for field in _SHOWN),
        Column(key="vault_bytes", label="Vault Bytes", show=show_size, number=True),
        count_column("vault_volumes", "Vault Volumes"),
        count_column("marked_volumes", "Volumes Marked for Deletion"),
        Column(key="identity_fingerprint", label="Identity Fingerprint"),
        Column(key="epoch", label="Epoch", show=lambda value: "" if value is None else str(value)),
        time_column("pending_time", "FORCESYNC Waits for Approval Since"),
        Column(key="pending_address", label="It Came From"),
        Column(key="pending_fingerprint", label="Its Identity Fingerprint"),
        time_column("asleep_until_time", "Deletions Sleep Until"),
        time_column("mass_stopped_time", "Deletions Stopped Since"),
        time_column("reconcile_since_time", "Reconcile Needed Since"),
        count_column("refused_changes", "Refused Changes"),
        time_column("last_refused_time", "Last Refused Change"),
        time_column("own_data_time", "Our Own Data Came Back"),
    ]
