"""The label: the first record of every sequential volume. It says in the clear whose volume this is and what it is called.

Not enciphered, so that a volume found without its catalog can be sent home. Its digest guards against accidents
only: nothing may be trusted because a label says so.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from farvault.base.errors import RecordDamaged
from farvault.seal.compress import RAW
from farvault.seal.digest import Buffer
from farvault.seal.record import CIPHER_NONE, Header, RecordKind, check, open_checked, seal

_MOST_BYTES: Final = 3072
"""A label's body; with its header it fits one block."""

Name = Annotated[str, msgspec.Meta(max_length=1024)]


class Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`server`: the owner; `pool`: empty for volumes outside pools; `created`: seconds UTC."""

    server: Name
    volume: Name
    pool: Name
    created: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


def make(into: memoryview, label: Label) -> Header:
    """Write the label record, one block of 4 KiB, into the start of `into`."""
    body = msgspec.msgpack.encode(label)
    if len(body) > _MOST_BYTES:
        raise ValueError("the names on the label are too long")
    return seal(into, [body], kind=RecordKind.LABEL, codec=RAW, plain_bytes=len(body), keyring=None)


def parse(record: Buffer) -> Label:
    """Check a label record and read it; `RecordDamaged` where it is none."""
    header = check(record)
    if header.kind != RecordKind.LABEL or header.cipher != CIPHER_NONE or header.codec != RAW:
        raise RecordDamaged("ANR9803E", reason="a record stands where a label should")
    try:
        return msgspec.msgpack.decode(open_checked(header, record, None), type=Label)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RecordDamaged("ANR9803E", reason=f"a label does not open: {error}") from None
