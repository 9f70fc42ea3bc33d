"""What RECONCILE VOLUMES thinks of one virtual volume and does about it (TSM reference, storage 1.7, row by row).

| here | at the target | FIX=NO | FIX=YES |
|---|---|---|---|
| volume | the same file | - | - |
| volume | no file | reported | reported; pool: UNAVAILABLE |
| volume | marked file, same attributes | reported | reported; pool: UNAVAILABLE, file active again, audit recommended |
| volume | marked file, other attributes | reported | reported; pool: UNAVAILABLE |
| volume | active file, other attributes | reported | reported; pool: UNAVAILABLE, audit recommended |
| volume | the same file and more behind its end | reported | what is behind the end is marked for deletion |
| none | active file | reported | marked for deletion |
| none | marked file | - | - |

The last row but two is the chapter's "volumes do not exist, active files exist", said of the files of one volume: a
volume is one or more files, and those behind the end that we know belong to no volume of ours. Volumes of the volume
history are only ever reported: they have no access to take away. FIX=YES notes here which are lost (no file, or another
one), so that no incremental backup follows a full one that is not there.
"""

from __future__ import annotations

from enum import Flag, StrEnum, auto
from typing import NamedTuple


class Attributes(NamedTuple):
    """What is compared. `digest`: BLAKE3 over the digests of the volume's segments in order.

    Empty here where nobody knows it: an entry of the volume history that was found from its media alone. Then only the
    length is compared; the volume's end proves the rest when it is read.
    """

    stored_bytes: int
    records: int
    digest: bytes
    epoch: int


class Kind(StrEnum):
    """What a volume is here."""

    POOL = "POOL"
    HISTORY = "HISTORY"


class Finding(StrEnum):
    """How a volume and its files stand to each other."""

    SAME = "same"
    NO_FILE = "no file"
    MARKED_SAME = "file is marked"
    MARKED_OTHER = "file is marked and differs"
    OTHER = "differs"
    LONGER = "longer there"
    NO_VOLUME = "no volume"
    NO_VOLUME_MARKED = "no volume, file is marked"


class Action(Flag):
    """What is done; a finding may have several."""

    NONE = 0
    REPORT = auto()
    MAKE_UNAVAILABLE = auto()
    UNMARK = auto()
    MARK = auto()
    RECOMMEND_AUDIT = auto()
    NOTE_LOST = auto()


_REPORTED = {
    Finding.NO_FILE,
    Finding.MARKED_SAME,
    Finding.MARKED_OTHER,
    Finding.OTHER,
    Finding.LONGER,
    Finding.NO_VOLUME,
}
_FIXES = {
    Finding.NO_FILE: Action.MAKE_UNAVAILABLE,
    Finding.MARKED_SAME: Action.MAKE_UNAVAILABLE | Action.UNMARK | Action.RECOMMEND_AUDIT,
    Finding.MARKED_OTHER: Action.MAKE_UNAVAILABLE,
    Finding.OTHER: Action.MAKE_UNAVAILABLE | Action.RECOMMEND_AUDIT,
    Finding.LONGER: Action.MARK,
    Finding.NO_VOLUME: Action.MARK,
}


def agree(here: Attributes | None, there: Attributes | None) -> bool:
    """Are these the same volume, as far as we know ours?"""
    if here is not None and there is not None and not here.digest:
        return here.stored_bytes == there.stored_bytes
    return here == there


def find(
    here: Attributes | None, there: Attributes | None, *, marked: bool, front_is_same: bool = False
) -> Finding:
    """`marked`: the file is marked for deletion. `front_is_same`: the target's files up to our end are ours."""
    if there is None:
        if here is None:
            raise ValueError("neither a volume nor a file")
        return Finding.NO_FILE
    if here is None:
        return Finding.NO_VOLUME_MARKED if marked else Finding.NO_VOLUME
    if marked:
        return Finding.MARKED_SAME if agree(here, there) else Finding.MARKED_OTHER
    if agree(here, there):
        return Finding.SAME
    return Finding.LONGER if front_is_same else Finding.OTHER


def actions(finding: Finding, kind: Kind | None, *, fix: bool) -> Action:
    """What is done about it. `kind` None: there is no volume here."""
    if finding not in _REPORTED:
        return Action.NONE
    if fix and kind is Kind.HISTORY and is_lost(finding):
        return Action.REPORT | Action.NOTE_LOST
    if not fix or kind is Kind.HISTORY:
        return Action.REPORT
    if finding is Finding.NO_VOLUME:
        return Action.MARK
    return Action.REPORT | _FIXES[finding]


def is_lost(finding: Finding) -> bool:
    """Does the target not have what it has signed for?"""
    return finding in (Finding.NO_FILE, Finding.MARKED_OTHER, Finding.OTHER)


def differing(here: Attributes, there: Attributes) -> tuple[str, ...]:
    """The names of the attributes that differ, as reports show them."""
    names = {"stored_bytes": "bytes", "records": "records", "digest": "digest", "epoch": "epoch"}
    return tuple(shown for field, shown in names.items() if getattr(here, field) != getattr(there, field))


def is_open(finding: Finding, done: Action) -> bool:
    """Is a difference left after `done`? Files that no volume knows are settled by marking them, nothing else is."""
    if finding in (Finding.NO_VOLUME, Finding.LONGER):
        return Action.MARK not in done
    return finding in _REPORTED


def blocks_trust(finding: Finding) -> bool:
    """Does it say that something of ours is missing or wrong? Files that we do not know do not."""
    return finding in _REPORTED - {Finding.NO_VOLUME, Finding.LONGER}
