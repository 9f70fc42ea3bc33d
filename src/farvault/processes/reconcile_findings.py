"""What one run of RECONCILE VOLUMES finds at one target: kept for QUERY RECONCILE, counted, and said."""

from __future__ import annotations

from typing import Final

from farvault.catalog import target_truth
from farvault.catalog.target_truth import FindingRow
from farvault.policy import reconcile
from farvault.policy.reconcile import Action, Attributes, Finding, Kind
from farvault.processes.own_volumes import OwnVolume
from farvault.processes.process import Process
from farvault.protocol.truth import InventoryRow
from farvault.storage.storage import Storage

LINES_MOST: Final = 500
"""Differences said in the log one by one; QUERY RECONCILE has them all."""
AT_ONCE: Final = 500
"""Rows in a transaction."""
_WORDS: Final = {
    Action.REPORT: "reported",
    Action.MAKE_UNAVAILABLE: "volume set UNAVAILABLE",
    Action.UNMARK: "file made active",
    Action.MARK: "file marked for deletion",
    Action.RECOMMEND_AUDIT: "AUDIT VOLUME recommended",
    Action.NOTE_LOST: "noted as not provable",
}


class Findings:
    """`reported`: all. `open`: differences that are left; `open_history`: those of the volume history, which nothing here ends. `blocking`: those with which the target may not believe us."""

    def __init__(self, storage: Storage, process: Process, server: str, server_id: int) -> None:
        self._storage, self._process = storage, process
        self._server, self._server_id = server, server_id
        self._waiting: list[FindingRow] = []
        self.reported = self.open = self.blocking = self.open_history = 0

    def add(
        self, mine: OwnVolume | None, theirs: InventoryRow | None, finding: Finding, done: Action
    ) -> None:
        """One volume, of which one side may be missing, and what was done about it."""
        here = mine.attributes if mine is not None else None
        there = attributes_there(theirs)
        row = FindingRow(
            self._server_id,
            mine.at_target if mine is not None else theirs.volume if theirs is not None else "",
            mine.kind.value if mine is not None else "",
            finding.value,
            ", ".join(reconcile.differing(here, there)) if here and there else "",
            here.stored_bytes if here else 0,
            there.stored_bytes if there else 0,
            mine.receipts if mine is not None else "",
            _told(done),
            self._storage.clock.now_seconds(),
        )
        self._waiting.append(row)
        if len(self._waiting) >= AT_ONCE:
            self.flush()
        self.reported += 1
        self.open += reconcile.is_open(finding, done)
        self.open_history += mine is not None and mine.kind is Kind.HISTORY
        self.blocking += reconcile.blocks_trust(finding)
        if self.reported <= LINES_MOST:
            self._say(row)

    def note_marked(self, row: FindingRow) -> None:
        """Its file is marked for deletion now: a difference less."""
        with self._storage.catalog.write() as tx:
            target_truth.add_findings(tx, [row._replace(actions=_told(Action.MARK))])
        self.open -= 1

    def flush(self) -> None:
        """All of them are in the catalog."""
        rows, self._waiting = self._waiting, []
        if rows:
            with self._storage.catalog.write() as tx:
                target_truth.add_findings(tx, rows)

    def _say(self, row: FindingRow) -> None:
        self._process.say(
            "ANR4884W", volume=row.volume, server=self._server, finding=row.finding,
            differs=f" ({row.differs})" if row.differs else "", actions=row.actions,
        )  # fmt: skip


def attributes_there(row: InventoryRow | None) -> Attributes | None:
    return None if row is None else Attributes(row.stored_bytes, row.records, row.digest, row.epoch)


def _told(done: Action) -> str:
    return ", ".join(words for action, words in _WORDS.items() if action in done)
