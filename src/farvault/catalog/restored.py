"""What changes in a catalog that was restored from a backup, before it is put in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from farvault.base.errors import MediaFailed
from farvault.catalog import audit, nouns, volume_history
from farvault.catalog.catalog import Catalog
from farvault.catalog.epoch import raise_epoch
from farvault.catalog.sequences import take_values
from farvault.catalog.settings import set_setting
from farvault.catalog.transaction import Transaction
from farvault.model.volume_history import OWN_VOLUME, SERIES_TYPES, HistoryVolume

_NAMES_SKIPPED: Final = 1000
"""Names of scratch volumes that may have been given since the backup: each that is taken would cost a question."""


def check_whole(catalog: Catalog) -> None:
    """Structure of every page, and the keyed digest of every protected row; `MediaFailed` with the first that is wrong."""
    with catalog.read() as r:
        found = [str(row[0]) for row in r.all("PRAGMA quick_check(1)")]
        if found != ["ok"]:
            raise MediaFailed("ANR0132E", path=catalog.path, reason=found[0])
        for table, number in audit.check_row_digests(r):
            raise MediaFailed("ANR0132E", path=catalog.path, reason=f"row {number} of {table} was altered")


class Adapted(NamedTuple):
    """`forgotten`: volumes that may be there and that no entry names any more."""

    epoch: int
    forgotten: list[HistoryVolume]


def adapt(tx: Transaction, known: Sequence[HistoryVolume], now: int) -> Adapted:
    """Raise the epoch, and know all volumes of `known` (the volume history file).

    Operations that were under way when the backup was made are forgotten: whether they ended is written only in what was
    lost, so their volumes are not touched. Series that came later keep their numbers.
    """
    unfinished = volume_history.incomplete(tx)
    for row in unfinished:
        nouns.delete(tx, row)
    present = {(row.volume, row.time) for row in volume_history.rows(tx, OWN_VOLUME)}
    rows = [row for row in known if row.has_own_volume and (row.volume, row.time) not in present]
    for row in rows:
        nouns.insert(tx, msgspec.structs.replace(row, id=0, complete=True))
    for type in OWN_VOLUME:
        shared = SERIES_TYPES if type in SERIES_TYPES else (type,)
        highest = max((row.series for row in volume_history.rows(tx, shared)), default=0)
        volume_history.skip_series(tx, type, highest)
    take_values(tx, "scratch_volumes", _NAMES_SKIPPED)
    set_setting(tx, "FULLBACKUPNEEDED", "the database was restored")
    set_setting(tx, "LOGID", "")
    names = {(row.device_class, row.volume) for row in known}
    forgotten = [row for row in unfinished if (row.device_class, row.volume) not in names]
    return Adapted(raise_epoch(tx, now), forgotten)
