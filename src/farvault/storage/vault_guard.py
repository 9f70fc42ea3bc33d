"""Target side: what a source is refused although it proved who it is. Mass deletion, a moved epoch, a full
quota, a vault that lies at the source itself.

All of it is decided here, by this server's rows and clock; what the source says about itself only ever makes it less.
"""

from __future__ import annotations

from farvault.base.errors import FarvaultError, MediaFull, NotAvailable
from farvault.base.log import Log
from farvault.base.units import show_size
from farvault.catalog import nouns, target_truth, vault_rules
from farvault.catalog import vault as rows
from farvault.catalog.inventory import every_volume
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.catalog.vault_rules import HOUR_SECONDS
from farvault.media.inventory_digest import InventoryDigest
from farvault.model.device_class import DeviceClass
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.model.vault_rules import VaultRules
from farvault.policy import vault_lock
from farvault.policy.clock_guard import DAY_SECONDS, Moment
from farvault.policy.destination import follow_chain
from farvault.protocol.truth import ReconcileDone
from farvault.storage.vault_trust import say_once_durable


class VaultGuard:
    """For one source, by its node."""

    def __init__(self, log: Log, node_id: int, node_name: str) -> None:
        self._log, self._node_id, self._node_name = log, node_id, node_name

    def deletion(self, tx: Transaction, volume: str, now: Moment) -> FarvaultError | None:
        """Why this volume may not be deleted, or None. Commit in any case: that too much was deleted is remembered."""
        rules = vault_rules.of_node(tx, self._node_id)
        if rules.reconcile_since_time:
            return self._unreconciled(volume)
        if rules.mass_stopped_time:
            return self._stopped(volume)
        if now.running < rules.mass_allowed_running:
            return None
        lately = vault_rules.count_marked(tx, self._node_id, now.running - HOUR_SECONDS)
        if not self._is_too_much(tx, rules, lately):
            return None
        vault_rules.change(tx, self._node_id, mass_stopped_time=now.wall)
        say_once_durable(tx, self._log, self._node_name, "ANR4865W", count=f"{lately:,}")
        return self._stopped(volume)

    def refuse_overwriting(self, r: Snapshot, volume: str, offset_bytes: int) -> None:
        """`NotAvailable` for a segment that would replace others while nothing may be deleted."""
        rules = vault_rules.of_node(r, self._node_id)
        if not (rules.reconcile_since_time or rules.mass_stopped_time):
            return
        if rows.is_overwritten(r, self._node_id, volume, offset_bytes):
            raise self._unreconciled(volume) if rules.reconcile_since_time else self._stopped(volume)

    def refuse_circle(self, r: Snapshot, destination: str) -> None:
        """`NotAvailable` where the destination, or a pool it hands data on to, lies at the source itself.

        Known by identity keys: the node's, and that of whoever answered where our own definition leads. A circle over more
        than one other server is noticed at its end, see `note_own_data`.
        """
        node = nouns.by_id(r, Node, self._node_id)
        pools = {pool.name: pool for pool in nouns.select(r, StoragePool)}
        for name in follow_chain(destination, {pool.name: pool.next_pool for pool in pools.values()}):
            device_class = nouns.find(r, DeviceClass, pools[name].device_class)
            server = device_class.server_name if device_class is not None else ""
            if server and target_truth.identity_of(r, server) == node.identity_public_key != b"":
                raise NotAvailable("ANR4842E", node=self._node_name, pool=name, server=server)

    def refuse_over_quota(self, r: Snapshot, volume: str, more_bytes: int = 0) -> None:
        """`MediaFull` where its volumes would be too many, or hold too much."""
        rules = vault_rules.of_node(r, self._node_id)
        most_volumes, most_bytes = rules.max_vault_volumes, rules.max_vault_bytes
        if most_volumes is not None and not rows.has_volume(r, self._node_id, volume):
            count = vault_rules.count_volumes(r, self._node_id)
            if count >= most_volumes:
                raise MediaFull(
                    "ANR4867W", node=self._node_name, count=f"{count:,}", most=f"{most_volumes:,}"
                )
        if most_bytes is not None:
            held = vault_rules.count_bytes(r, self._node_id)
            if held + more_bytes > most_bytes:
                raise MediaFull(
                    "ANR4866W",
                    node=self._node_name,
                    held=show_size(held),
                    more=show_size(more_bytes),
                    most=show_size(most_bytes),
                )

    def note_epoch(self, tx: Transaction, epoch: int, now: int) -> None:
        """What the source signed at its sign-on. One that moved stops deletions until a reconcile is believed."""
        rules = vault_rules.of_node(tx, self._node_id)
        if rules.epoch == epoch:
            return
        moved = rules.epoch is not None and vault_rules.has_volumes(tx, self._node_id)
        since = rules.reconcile_since_time or (now if moved else 0)
        vault_rules.change(tx, self._node_id, epoch=epoch, reconcile_since_time=since)
        if moved:
            say_once_durable(tx, self._log, self._node_name, "ANR4874W", old=rules.epoch, new=epoch)

    def believe_reconcile(self, tx: Transaction, body: ReconcileDone, epoch: int) -> bool:
        """The source says that it has compared all that is here: True where that mattered. `NotAvailable` says what differs.

        `epoch`: as it signed it at its sign-on; another one in the message is another state of its catalog.
        """
        seen = InventoryDigest()
        for row in every_volume(tx, self._node_id):
            if not row.marked:
                seen.add(row.volume, row.stored_bytes, row.records, row.digest)
        told = (body.epoch, body.volumes, body.stored_bytes, body.digest)
        if told != (epoch, seen.volumes, seen.stored_bytes, seen.digest()):
            raise NotAvailable(
                "ANR4872E", node=self._node_name, told=f"{body.volumes:,}", here=f"{seen.volumes:,}"
            )
        was_needed = bool(vault_rules.of_node(tx, self._node_id).reconcile_since_time)
        if was_needed:
            vault_rules.change(tx, self._node_id, reconcile_since_time=0)
        return was_needed

    def count_refused(self, tx: Transaction, count: int, now: int) -> None:
        """Changes that a read-only session was refused: QUERY NODE shows how many there were."""
        rules = vault_rules.of_node(tx, self._node_id)
        vault_rules.change(
            tx, self._node_id, refused_changes=rules.refused_changes + count, last_refused_time=now
        )

    def note_own_data(self, tx: Transaction, volume: str, now: int) -> None:
        """What this server had sealed itself has come back by this source: taken in, and said once a day."""
        before = vault_rules.of_node(tx, self._node_id).own_data_time
        vault_rules.change(tx, self._node_id, own_data_time=now)
        if now - before >= DAY_SECONDS:
            say_once_durable(tx, self._log, self._node_name, "ANR4990W", volume=volume)

    def _is_too_much(self, r: Snapshot, rules: VaultRules, lately: int) -> bool:
        percent, count = rules.mass_delete_percent, rules.mass_delete_count
        volumes = vault_rules.count_volumes(r, self._node_id) if lately >= vault_lock.LEAST_MARKS else 0
        return vault_lock.deletes_too_much(lately, volumes, percent=percent, count=count)

    def _unreconciled(self, volume: str) -> NotAvailable:
        return NotAvailable("ANR4862E", volume=volume, node=self._node_name)

    def _stopped(self, volume: str) -> NotAvailable:
        return NotAvailable("ANR4864E", volume=volume, node=self._node_name)
