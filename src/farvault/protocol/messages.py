"""The messages that cross the wire: bodies as strict msgpack structs, by subject. Numbers and limits: `verbs.py`.

What only a source and its target say to each other stands in `virtual_volumes.py` and `truth.py`.

Bodies are msgpack maps (or arrays where many travel at once: `array_like`); unknown fields are refused. Bulk bytes
never stand in a body: they follow it as the frame's raw tail. Digests are BLAKE3-256, 32 bytes. Times are seconds
UTC unless the name ends in `_ns`.
"""

from __future__ import annotations

from farvault.protocol.fields import LIST_MAX as LIST_MAX
from farvault.protocol.fields import Body as Body
from farvault.protocol.fields import Digest as Digest
from farvault.protocol.fields import Many as Many
from farvault.protocol.fields import Natural as Natural
from farvault.protocol.fields import Nonce as Nonce
from farvault.protocol.fields import Row as Row
from farvault.protocol.fields import TransactionId as TransactionId

# --- sign-on -----------------------------------------------------------------------------------------------------


class Hello(Body, frozen=True, kw_only=True):
    """First message. `role`: NODE, SOURCE (a server signing on as a node of TYPE=SERVER), ADMIN or SERVER (ping)."""

    role: str
    name: str
    server_name: str = ""
    """The caller's own server name, where it is a server."""
    features: Many[str] = ()
    platform: str = ""
    product_version: str = ""
    nonce: Nonce
    epoch: Natural = 0
    """Of a source's catalog: it moves when an older state was restored. 0 = not told."""


class HelloAnswer(Body, frozen=True, kw_only=True):
    """Who answers. Every field is part of the signed transcript."""

    server_name: str
    identity: bytes
    """Ed25519 public key of the server's identity (32 bytes)."""
    features: Many[str]
    product_version: str
    nonce: Nonce


class ScramFirst(Body, frozen=True, kw_only=True):
    """SCRAM client-first message (RFC 5802)."""

    message: str


class ScramChallenge(Body, frozen=True, kw_only=True):
    """SCRAM server-first message."""

    message: str


class ScramFinal(Body, frozen=True, kw_only=True):
    """SCRAM client-final message and, from a source, the proofs over the transcript.

    `identity`, `identity_signature`: the source's identity key and its Ed25519 signature. `code_key`,
    `code_signature`: public half of the key derived from the verification code, and its signature. `force_sync`:
    register this code anew (covered by both signatures).
    """

    message: str
    identity: bytes = b""
    identity_signature: bytes = b""
    code_key: bytes = b""
    code_signature: bytes = b""
    force_sync: bool = False


class Welcome(Body, frozen=True, kw_only=True):
    """Signed on. `scram` is the server-final message: it proves that the server knew the verifier too."""

    scram: str
    session: Natural
    read_only: bool
    server_time: Natural
    last_access_time: Natural = 0
    transaction_objects: Natural = 4096
    """Most objects in one transaction (TXNGROUPMAX)."""
    code_registered: bool = False
    """The target has stored the verification code that came with this sign-on."""
    sync_pending: bool = False
    """FORCESYNC waits for the approval of the target's administrator; read only until then."""


class Refused(Body, frozen=True, kw_only=True):
    """The answer to any request that failed, and to a sign-on that was refused. The session may go on (not after sign-on)."""

    message_id: str
    text: str
    return_code: Natural = 4


class Done(Body, frozen=True, kw_only=True):
    """The request is complete; nothing to tell."""


class Ping(Body, frozen=True, kw_only=True):
    """Are you there? Answered by Done; keeps an idle session alive."""


class SignOff(Body, frozen=True, kw_only=True):
    """The caller leaves; the other side closes."""


# --- policy and file spaces --------------------------------------------------------------------------------------


class QueryPolicy(Body, frozen=True, kw_only=True):
    """Ask for the node's active policy set."""


class CopyGroupRow(Row, frozen=True):
    """What the client needs of one copy group."""

    destination: str
    frequency_days: Natural
    mode: str
    serialization: str
    versions_exist: Natural | None
    versions_deleted: Natural | None
    retain_extra_days: Natural | None
    retain_only_days: Natural | None
    retain_version_days: Natural | None
    retain_init: str = "CREATION"
    retain_min_days: Natural = 0


class ClassRow(Row, frozen=True):
    """One management class of the active set."""

    name: str
    description: str
    backup: CopyGroupRow | None
    archive: CopyGroupRow | None


class Policy(Body, frozen=True, kw_only=True):
    """The active set of the node's domain."""

    domain: str
    policy_set: str
    default_class: str
    classes: Many[ClassRow]
    compression: str = "CLIENT"
    backup_delete: bool = False
    archive_delete: bool = True
    activated_time: Natural = 0
    backup_grace_days: Natural = 0
    archive_grace_days: Natural = 0


class RegisterFileSpace(Body, frozen=True, kw_only=True):
    """Make or refresh a file space. Answer: FileSpaceAnswer. `backup_started`/`backup_ended`: stamp the server's time."""

    name: str
    type: str = ""
    platform: str = ""
    capacity_bytes: Natural = 0
    occupied_bytes: Natural = 0
    backup_started: bool = False
    backup_ended: bool = False


class FileSpaceRow(Row, frozen=True):
    """One file space of the node."""

    number: Natural
    name: str
    type: str
    capacity_bytes: Natural
    occupied_bytes: Natural
    backup_start_time: Natural | None
    backup_end_time: Natural | None


class FileSpaceAnswer(Body, frozen=True, kw_only=True):
    """The file space as stored. `has_objects` False: nothing can be known yet, skip KNOWN questions for it."""

    file_space: FileSpaceRow
    has_objects: bool


class QueryFileSpaces(Body, frozen=True, kw_only=True):
    """List the node's file spaces. Answer: FileSpaces."""


class FileSpaces(Body, frozen=True, kw_only=True):
    """The node's file spaces by number."""

    rows: Many[FileSpaceRow]


class DeleteFileSpace(Body, frozen=True, kw_only=True):
    """Delete a file space with all that is stored in it, where the node may. Answers: Deletion..., the last one `last=True`."""

    name: str


class Deletion(Body, frozen=True, kw_only=True):
    """How far a deletion is, every few seconds. `gone`: at its end nothing is left, not even the file space."""

    objects: Natural
    last: bool = False
    gone: bool = False


# --- inventory ---------------------------------------------------------------------------------------------------


class QueryObjects(Body, frozen=True, kw_only=True):
    """Stream of Objects frames, ordered by (directory, name, insertion), the last one with `last=True`.

    `directory`: components joined by NUL, no leading NUL; the root is empty (that order equals a depth-first walk).
    `below`: the directory itself and everything under it. `name_pattern`: `*` and `?`. `kind`: ObjectKind.
    """

    file_space: str
    kind: Natural = 1
    directory: bytes = b""
    below: bool = True
    name_pattern: bytes = b"*"
    active_only: bool = True
    with_attributes: bool = True


class ObjectRow(Row, frozen=True):
    """One stored version. `management_class` indexes Objects.classes, `directory` indexes Objects.directories."""

    id: Natural
    directory: Natural
    name: bytes
    type: Natural
    state: Natural
    size_bytes: Natural
    inserted_time: Natural
    deactivated_time: Natural
    management_class: Natural
    attributes: bytes
    description: str = ""


class Objects(Body, frozen=True, kw_only=True):
    """One batch of an inventory."""

    directories: Many[bytes]
    classes: Many[str]
    rows: Many[ObjectRow]
    last: bool


# --- storing -----------------------------------------------------------------------------------------------------


class BeginTransaction(Body, frozen=True, kw_only=True):
    """Everything until EndTransaction is visible at once or not at all. Answer: Done, TransactionAnswer or Refused.

    All objects of one transaction go to one destination: the copy group of `management_class`. `size_estimate_bytes`: of
    all of them, for which there must be room; `largest_object_bytes`: of the largest, for MAXSIZE. 0: not known.
    `transaction_id`: by which it is repeated where its answer is lost. TransactionAnswer: this node has committed a
    transaction of this id, that is its answer, and no other one has begun.
    """

    file_space: str
    kind: Natural
    management_class: str
    size_estimate_bytes: Natural = 0
    largest_object_bytes: Natural = 0
    transaction_id: TransactionId = b""


class Known(Body, frozen=True, kw_only=True):
    """Which of these extents has this node sent before (to this destination)? `digests`: 32 bytes each. Answer: KnownAnswer."""

    digests: bytes


class KnownAnswer(Body, frozen=True, kw_only=True):
    """One byte per digest asked: 1 known, 0 not."""

    known: bytes


class StorePack(Body, frozen=True, kw_only=True):
    """Tail: one pack (`seal/pack.py`), compressed as `codec` says. No answer: the transaction's end answers for all."""

    codec: Natural
    plain_bytes: Natural


class ExpireObjects(Body, frozen=True, kw_only=True):
    """Within a transaction: these active backup versions are gone at the client. No answer."""

    ids: Many[Natural]


class AttributesRow(Row, frozen=True):
    """New attributes of a version whose data did not change."""

    id: Natural
    attributes: bytes


class UpdateObjects(Body, frozen=True, kw_only=True):
    """Within a transaction: only attributes changed. No answer."""

    rows: Many[AttributesRow]


class RebindObjects(Body, frozen=True, kw_only=True):
    """Within a transaction: bind all versions of these objects to another class. No answer."""

    ids: Many[Natural]
    management_class: str


class EndTransaction(Body, frozen=True, kw_only=True):
    """Make it durable and visible. Answer: TransactionAnswer, or Refused and nothing of it is kept."""

    commit: bool = True


class TransactionAnswer(Body, frozen=True, kw_only=True):
    """Durable. Figures of this transaction."""

    objects: Natural
    expired: Natural
    updated: Natural
    """Objects with new attributes."""
    new_extents: Natural
    stored_bytes: Natural
    rebound: Natural = 0
    """Versions that are bound to another class now, the inactive ones of a name too."""
    held: Many[Natural] = ()
    """DeleteObjects: those that a hold keeps; they stay."""
    holds: str = ""
    """The names of these holds."""


class DeleteObjects(Body, frozen=True, kw_only=True):
    """Delete these backup or archive objects, where the node may.

    All of them or, if one is not its own or may not be deleted, none; held ones stay in any case. Answer:
    TransactionAnswer (`expired` counts the deleted ones, `held` names those that stay).
    """

    ids: Many[Natural]


# --- reading -----------------------------------------------------------------------------------------------------


class ReadObjects(Body, frozen=True, kw_only=True):
    """Send these objects' data. Answers: ObjectMaps..., Pack..., ReadEnd. At most 20,000 ids a request."""

    ids: Many[Natural]


class MapRow(Row, frozen=True):
    """The content of one object: `digests` (32 bytes each) and `lengths`, in file order.

    `more`: a long list, it goes on in the next row, which is of the same object.
    """

    id: Natural
    digests: bytes
    lengths: Many[Natural]
    more: bool = False


class ObjectMaps(Body, frozen=True, kw_only=True):
    """Which extents make up which object; all of them come before the first Pack."""

    rows: Many[MapRow]


class Pack(Body, frozen=True, kw_only=True):
    """Tail: a pack as in StorePack. It may hold extents that were not asked for, never another node's."""

    codec: Natural
    plain_bytes: Natural


class ReadEnd(Body, frozen=True, kw_only=True):
    """All that could be sent was sent. `lost`: ids of objects with an extent that no volume could give, and why."""

    lost: Many[Natural] = ()
    reason: str = ""


# --- administration ----------------------------------------------------------------------------------------------


class Command(Body, frozen=True, kw_only=True):
    """One administrative command line. Answers: Output..., CommandEnd. `width`: columns of the terminal, 0 = unlimited.

    `style`: TABLE, LIST, COMMA, TAB or JSON; empty = as the command likes best.
    """

    text: str
    width: Natural = 80
    style: str = ""
    confirmed: bool = False
    """The person has said yes, or the program runs with -NOConfirm."""


class Output(Body, frozen=True, kw_only=True):
    """Text to show, as it is. `message_id` is set where it is a catalogue message."""

    text: str
    message_id: str = ""


class Question(Body, frozen=True, kw_only=True):
    """The command is risky: ask, and send it again with `confirmed=True`. Ends the command."""

    text: str


class CommandEnd(Body, frozen=True, kw_only=True):
    """The command's return code (TSM's numbers)."""

    return_code: Natural


class WatchConsole(Body, frozen=True, kw_only=True):
    """Stream of Output: every line the server says, until the session ends."""
