"""The numbered verb table. A number is never reused; limits stand here and nowhere else.

`to`: which end may receive it. `before_login`: accepted before sign-on is complete. `changes`: refused in a
read-only session. `tail_max_bytes`: longest raw tail. `body_max_bytes`: longest body; before sign-on no frame may
be over 64 KiB whatever stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from farvault.base.units import KIB, MIB
from farvault.protocol import beat
from farvault.protocol import messages as m
from farvault.protocol import truth as t
from farvault.protocol import virtual_volumes as v

FRAME_MAX_BYTES = 8 * MIB
FRAME_MAX_BYTES_BEFORE_LOGIN = 64 * KIB
RECORD_MAX_BYTES = 5 * MIB
"""No sealed record is longer: 4 MiB of extents, their directory, header and padding."""
TRANSACTION_EXTENTS_MAX = 16 * 1024 * 1024
"""Of all objects of a transaction: some 16 TiB of data. At its commit the server needs about 500 bytes for each."""


class End(Enum):
    """The two ends of a connection: who dialled is the client, also where it is a server."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Verb:
    """One row of the table."""

    number: int
    body: type[m.Body]
    to: End = End.SERVER
    body_max_bytes: int = 64 * KIB
    tail_max_bytes: int = 0
    before_login: bool = False
    changes: bool = False

    @property
    def name(self) -> str:
        return self.body.__name__

    @property
    def is_beat(self) -> bool:
        """It only says that the sender lives: no request, no answer, taken wherever a frame is waited for."""
        return self.body in (beat.SourceBeat, beat.TargetBeat)


VERBS: tuple[Verb, ...] = (
    # sign-on
    Verb(1, m.Hello, before_login=True),
    Verb(2, m.HelloAnswer, End.CLIENT, before_login=True),
    Verb(3, m.ScramFirst, before_login=True),
    Verb(4, m.ScramChallenge, End.CLIENT, before_login=True),
    Verb(5, m.ScramFinal, before_login=True),
    Verb(6, m.Welcome, End.CLIENT, before_login=True),
    Verb(7, m.Refused, End.CLIENT, before_login=True),
    Verb(8, m.Done, End.CLIENT),
    Verb(9, m.Ping),
    Verb(10, m.SignOff),
    # policy and file spaces
    Verb(20, m.QueryPolicy),
    Verb(21, m.Policy, End.CLIENT, body_max_bytes=4 * MIB),
    Verb(22, m.RegisterFileSpace, changes=True),
    Verb(23, m.FileSpaceAnswer, End.CLIENT),
    Verb(24, m.QueryFileSpaces),
    Verb(25, m.FileSpaces, End.CLIENT, body_max_bytes=4 * MIB),
    Verb(26, m.DeleteFileSpace, changes=True),
    Verb(27, m.Deletion, End.CLIENT),
    # inventory
    Verb(30, m.QueryObjects),
    Verb(31, m.Objects, End.CLIENT, body_max_bytes=6 * MIB),
    # storing
    Verb(40, m.BeginTransaction, changes=True),
    Verb(41, m.Known, body_max_bytes=4 * MIB),
    Verb(42, m.KnownAnswer, End.CLIENT, body_max_bytes=MIB),
    Verb(43, m.StorePack, tail_max_bytes=RECORD_MAX_BYTES, changes=True),
    Verb(44, m.ExpireObjects, body_max_bytes=MIB, changes=True),
    Verb(45, m.UpdateObjects, body_max_bytes=4 * MIB, changes=True),
    Verb(46, m.RebindObjects, body_max_bytes=MIB, changes=True),
    Verb(47, m.EndTransaction, changes=True),
    Verb(48, m.TransactionAnswer, End.CLIENT, body_max_bytes=MIB),
    Verb(49, m.DeleteObjects, body_max_bytes=MIB, changes=True),
    # reading
    Verb(60, m.ReadObjects, body_max_bytes=MIB),
    Verb(61, m.ObjectMaps, End.CLIENT, body_max_bytes=6 * MIB),
    Verb(62, m.Pack, End.CLIENT, tail_max_bytes=RECORD_MAX_BYTES),
    Verb(63, m.ReadEnd, End.CLIENT, body_max_bytes=MIB),
    # administration
    Verb(80, m.Command),
    Verb(81, m.Output, End.CLIENT, body_max_bytes=MIB),
    Verb(82, m.Question, End.CLIENT),
    Verb(83, m.CommandEnd, End.CLIENT),
    Verb(84, m.WatchConsole),
    # virtual volumes
    Verb(100, v.OpenSegment, changes=True),
    Verb(101, v.SegmentAnswer, End.CLIENT),
    Verb(102, v.KnownRecords, body_max_bytes=4 * MIB),
    Verb(103, v.StoreRecord, tail_max_bytes=RECORD_MAX_BYTES, changes=True),
    Verb(104, v.ReferRecords, body_max_bytes=4 * MIB, changes=True),
    Verb(105, v.CloseSegment, changes=True),
    Verb(106, v.Receipt, End.CLIENT),
    Verb(107, v.AbortSegment, changes=True),
    Verb(108, v.ReadRecords, body_max_bytes=MIB),
    Verb(109, v.RecordAnswer, End.CLIENT, tail_max_bytes=RECORD_MAX_BYTES),
    Verb(110, v.QueryVolumes),
    Verb(111, v.Volumes, End.CLIENT, body_max_bytes=6 * MIB),
    Verb(112, v.MarkVolume, changes=True),
    Verb(113, v.UnmarkVolume, changes=True),
    Verb(114, v.VerifyVolume, body_max_bytes=MIB),
    Verb(115, v.VerifyAnswer, End.CLIENT, body_max_bytes=MIB),
    Verb(116, v.RecordsDurable, End.CLIENT),
    # truth between source and target
    Verb(120, t.ReconcileDone, changes=True),
    Verb(130, t.QueryInventory),
    Verb(131, t.Inventory, End.CLIENT, body_max_bytes=6 * MIB),
    Verb(132, t.Challenge),
    Verb(133, t.Proofs, End.CLIENT),
    Verb(134, t.QueryReceipts),
    Verb(135, t.Receipts, End.CLIENT, body_max_bytes=2 * MIB),
    # heartbeats between servers
    Verb(140, beat.SourceBeat, body_max_bytes=64),
    Verb(141, beat.TargetBeat, End.CLIENT, body_max_bytes=64),
)

BY_NUMBER: dict[int, Verb] = {verb.number: verb for verb in VERBS}
BY_BODY: dict[type[m.Body], Verb] = {verb.body: verb for verb in VERBS}
