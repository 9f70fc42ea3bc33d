"""A source asks whether its volumes are still here: inventory, receipts, challenges.

Nothing of it changes anything. What is asked for in one request is limited, what it costs follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Final

from farvault.catalog import inventory
from farvault.catalog.vault import last_receipt
from farvault.protocol.frames import ProtocolError
from farvault.protocol.messages import Body
from farvault.protocol.truth import (
    Challenge,
    Inventory,
    InventoryRow,
    Proofs,
    QueryInventory,
    QueryReceipts,
    Receipts,
)
from farvault.seal import probe
from farvault.sessions.node_session import NodeSession
from farvault.storage.vault_volumes import VaultVolumes

VOLUMES_AT_ONCE: Final = 1000
PROBES_AT_ONCE: Final = 64
RECEIPTS_AT_ONCE: Final = 500


def answers(
    session: NodeSession, volumes: VaultVolumes
) -> Mapping[type[Body], Callable[[Body], Body | None]]:
    """Verb -> its answer, for one session."""
    return {
        QueryInventory: lambda body: _inventory(session, body),
        QueryReceipts: lambda body: _receipts(session, body),
        Challenge: lambda body: _proofs(session, volumes, body),
    }


def _inventory(session: NodeSession, body: Body) -> Body:
    assert isinstance(body, QueryInventory)
    with session.catalog.read() as r:
        found = inventory.inventory(r, session.node_id, body.prefix, body.after, VOLUMES_AT_ONCE)
    return Inventory(rows=tuple(InventoryRow(*row) for row in found), last=len(found) < VOLUMES_AT_ONCE)


def _receipts(session: NodeSession, body: Body) -> Body:
    assert isinstance(body, QueryReceipts)
    if len(body.numbers) > RECEIPTS_AT_ONCE:
        raise ProtocolError(f"a request for {len(body.numbers)} receipts", session.node_name)
    with session.catalog.read() as r:
        last = last_receipt(r, session.node_id)
        found = inventory.receipts_by_number(r, session.node_id, body.numbers)
    return Receipts(last=last[0] if last else 0, receipts=tuple(found))


def _proofs(session: NodeSession, volumes: VaultVolumes, body: Body) -> Body:
    """Each record is read, checked by its own digest and hashed; one that is damaged here has no answer.

    `NotAvailable` where one is out of reach just now: that is neither a proof nor a loss.
    """
    assert isinstance(body, Challenge)
    if len(body.probes) > PROBES_AT_ONCE:
        raise ProtocolError(f"a challenge about {len(body.probes)} records", session.node_name)
    questions = [
        probe.Question(
            one.offset_bytes,
            one.stored_bytes,
            one.start_bytes,
            min(one.size_bytes, probe.RANGE_BYTES),
            one.nonce,
        )
        for one in body.probes
    ]
    found: list[bytes] = []
    wanted = [(one.offset_bytes, one.stored_bytes) for one in questions]
    with closing(volumes.read(body.volume, wanted)) as records:
        for question, record in zip(questions, records, strict=True):
            try:
                found.append(probe.NO_ANSWER if record is None else probe.answer(question, record))
            except ValueError as error:
                raise ProtocolError(str(error), session.node_name) from None
    return Proofs(answers=b"".join(found))
