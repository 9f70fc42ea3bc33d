"""Whether a source is who its node belongs to: codes and identities that are registered, wait, or are taken anew.

A third server that reads exports knows the password too. So a new code is taken at once from the known identity only;
with another identity key, or where the node says FORCESYNC=APPROVE, it waits for this server's administrator.
"""

from __future__ import annotations

from farvault.base.errors import FarvaultError, LoginRefused
from farvault.base.log import Log
from farvault.catalog import nouns, vault_rules
from farvault.catalog.catalog import Catalog
from farvault.catalog.transaction import Transaction
from farvault.model.node import Node
from farvault.model.vault_rules import ALLOW, VaultRules
from farvault.protocol.messages import Hello
from farvault.seal.identity import key_fingerprint
from farvault.storage.vault_clock import VaultClock
from farvault.storage.vault_trust import accept, say_once_durable


class Registrar:
    """Keeps what sources prove at their sign-on."""

    def __init__(self, catalog: Catalog, clock: VaultClock, log: Log) -> None:
        self._catalog, self._clock, self._log = catalog, clock, log

    def register(self, hello: Hello, code_key: bytes, identity: bytes, address: str) -> bool:
        """Durable when this returns. False: it waits for approval. `LoginRefused` where nothing can be kept."""
        try:
            with self._catalog.write() as tx:
                node = nouns.get(tx, Node, hello.name.upper())
                rules = vault_rules.of_node(tx, node.id)
                now = self._clock.look(tx).moment
                if _is_taken(node, rules, code_key, identity):
                    accept(tx, self._log, node, rules, code_key, identity, now)
                    return True
                self._keep_waiting(tx, node, rules, code_key, identity, address, now.wall)
                return False
        except FarvaultError as failed:
            raise LoginRefused.from_message(failed.message) from failed

    def _keep_waiting(
        self,
        tx: Transaction,
        node: Node,
        rules: VaultRules,
        code_key: bytes,
        identity: bytes,
        address: str,
        now: int,
    ) -> None:
        """The first one waits; others are told of and do not take its place: the fingerprint is compared by people."""
        if not rules.pending_code_key:
            vault_rules.change(
                tx,
                node.id,
                pending_code_key=code_key,
                pending_identity=identity,
                pending_time=now,
                pending_address=address,
            )
        say_once_durable(
            tx, self._log, node.name, "ANR0570W", address=address, fingerprint=key_fingerprint(identity)
        )


def _is_taken(node: Node, rules: VaultRules, code_key: bytes, identity: bytes) -> bool:
    known = (node.verification_public_key, node.identity_public_key)
    if known == (b"", b"") or known == (code_key, identity):
        return True
    return rules.force_sync == ALLOW and identity == node.identity_public_key
