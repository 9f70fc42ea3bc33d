"""Messages by which a source finds out whether its target still holds what it signed for: inventory, receipts, challenges."""

from __future__ import annotations

from farvault.protocol.fields import Body, Digest, Many, Natural, Nonce, Row


class ReconcileDone(Body, frozen=True, kw_only=True):
    """The source has compared all its volumes with all that are here; none of its own is missing, marked or different.

    `volumes`, `stored_bytes`, `digest`: the active volumes it was told of (`Inventory`), their sum, and BLAKE3 over the
    msgpack arrays (volume, stored_bytes, records, digest) in order of names. Answer: Done, or Refused where what is here
    is not that any more.
    """

    epoch: Natural
    volumes: Natural
    stored_bytes: Natural
    digest: Digest


class QueryInventory(Body, frozen=True, kw_only=True):
    """The volumes whose names begin with `prefix` and come behind `after`. Answer: one Inventory."""

    prefix: str = ""
    after: str = ""


class InventoryRow(Row, frozen=True):
    """One virtual volume as the target holds it: the sum of its segments that count.

    Where some are not marked, those; where all are marked, those that UnmarkVolume would bring back. `digest`: BLAKE3
    over the digests of these segments in order. `epoch`: the highest in their receipts.
    """

    volume: str
    marked: bool
    stored_bytes: Natural
    records: Natural
    digest: Digest
    epoch: Natural


class Inventory(Body, frozen=True, kw_only=True):
    """The next volumes in order of names. `last`: there are no more."""

    rows: Many[InventoryRow]
    last: bool


class Probe(Row, frozen=True):
    """A range of a record: `offset_bytes` and `stored_bytes` name the record, the others the range in it."""

    offset_bytes: Natural
    stored_bytes: Natural
    start_bytes: Natural
    size_bytes: Natural
    nonce: Nonce


class Challenge(Body, frozen=True, kw_only=True):
    """Prove that these ranges are there, now. At most 64 in a request. Answer: Proofs."""

    volume: str
    probes: Many[Probe]


class Proofs(Body, frozen=True, kw_only=True):
    """For each probe BLAKE3 of the range keyed by its nonce, 32 bytes; zeros where the record cannot be read."""

    answers: bytes


class QueryReceipts(Body, frozen=True, kw_only=True):
    """What did you sign under these numbers, and which is your newest? At most 500 numbers. Answer: Receipts."""

    numbers: Many[Natural] = ()


class Receipts(Body, frozen=True, kw_only=True):
    """The receipts asked for, as they were given; empty where there is none of that number. `last`: newest number, 0 = none."""

    last: Natural
    receipts: Many[bytes] = ()
