"""Errors across the wire: a server's error becomes `Refused`, and at the other end an error again.

The message id and text arrive as they were said. The class is chosen by the return code, and is never
`PeerUnreachable`: a refusal came over a link that works, so trying again is not the answer.
"""

from __future__ import annotations

import re
from typing import Final

from farvault.base.errors import (
    AlreadyExists,
    BadInput,
    FarvaultError,
    InUse,
    MediaFailed,
    MediaFull,
    NotAuthorized,
    NotAvailable,
    NotFound,
    StillReferenced,
)
from farvault.base.messages import Message
from farvault.protocol.frames import ProtocolError
from farvault.protocol.messages import Refused

_ID: Final = re.compile(r"(ANR|ANS)\d{4}[IWESD]")
_CLASSES: Final[dict[int, type[FarvaultError]]] = {
    error.return_code: error
    for error in (
        BadInput,
        MediaFull,
        NotAuthorized,
        AlreadyExists,
        NotFound,
        InUse,
        StillReferenced,
        NotAvailable,
        MediaFailed,
    )
}


def to_refused(error: FarvaultError) -> Refused:
    """What the other side is told."""
    return Refused(message_id=error.message.id, text=error.message.text, return_code=error.return_code)


def from_refused(refused: Refused, of: type[FarvaultError] | None = None) -> FarvaultError:
    """The error to raise at this end; `of` fixes its class. `ProtocolError` for an id that is none."""
    if not _ID.fullmatch(refused.message_id):
        raise ProtocolError("a refusal without a message id")
    chosen = of or _CLASSES.get(refused.return_code, FarvaultError)
    return chosen.from_message(Message(refused.message_id, refused.text))
