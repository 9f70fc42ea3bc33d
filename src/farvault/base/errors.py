"""What can go wrong, named by situation and by whose fault it is.

Every error carries one row of the message catalogue (`messages/`), so a person always reads a number, what
happened, to what, and what to do. `return_code` is what an administrative command ends with (TSM's numbers).
"""

from __future__ import annotations

from typing import ClassVar, Self

from farvault.base.messages import Message, message


class FarvaultError(Exception):
    """Root of every error a person may see. `FarvaultError("ANR2034E", command="QUERY NODE")`."""

    return_code: ClassVar[int] = 4

    def __init__(self, message_id: str, /, **values: object) -> None:
        self.message: Message = message(message_id, **values)
        super().__init__(str(self.message))

    @classmethod
    def from_message(cls, said: Message) -> Self:
        """An error around a message that was filled in elsewhere, for example by another server."""
        error = cls.__new__(cls)
        error.message = said
        Exception.__init__(error, str(said))
        return error


class BadInput(FarvaultError):
    """A person typed something that cannot be understood or is out of range."""

    return_code = 3


class NotFound(FarvaultError):
    """The thing named does not exist, or nothing matches."""

    return_code = 11


class AlreadyExists(FarvaultError):
    """The name is taken."""

    return_code = 10


class InUse(FarvaultError):
    """Somebody works with it right now; later it may go."""

    return_code = 12


class StillReferenced(FarvaultError):
    """Other definitions name it, or it holds data; they must go first."""

    return_code = 13


class NotAuthorized(FarvaultError):
    """Known, but not allowed to do this."""

    return_code = 9


class NotAvailable(FarvaultError):
    """It exists but cannot be used now: unavailable, locked, or a function that comes later."""

    return_code = 14


class LoginRefused(FarvaultError):
    """The other side did not let us in, or we did not let it in."""

    return_code = 9


class PeerUnreachable(FarvaultError):
    """The link is down: no connection, cut, or a deadline passed. Trying again may help."""

    return_code = 14


class PeerMisbehaved(FarvaultError):
    """The other side broke the protocol or returned bytes that are not what was stored."""

    return_code = 4


class MediaFull(FarvaultError):
    """No room on this volume, this file system, or anywhere in the pool."""

    return_code = 8


class CatalogFull(MediaFull):
    """No room for a change of the catalog, or for it in the recovery log: no other volume or pool would help."""


class MediaFailed(FarvaultError):
    """The operating system or the target refused to read or write. The volume is suspect."""

    return_code = 15


class WriteUndone(MediaFailed):
    """What was written since the last commit is lost, and the volume is as good as before: trying again helps."""


class RecordDamaged(FarvaultError):
    """Stored bytes do not match their digest or do not open with their key."""

    return_code = 15


class Cancelled(FarvaultError):
    """A person asked for it."""

    return_code = 4
