"""EXPIRE INVENTORY: what policy no longer keeps goes, file space by file space, those that waited longest first.

A piece of a file space is read and judged in a snapshot; then what is due is deleted in transactions so short that
other sessions do not notice. Policy and holds are looked at again in each of them: what was activated or held since
the piece was read counts. Stopped early, the next run goes on behind the last piece.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from farvault.base.disk import crash_point
from farvault.base.errors import Cancelled, FarvaultError, NotFound
from farvault.base.units import show_size
from farvault.catalog import directories, expiration, freeing, nouns
from farvault.catalog.expiration import START, ExaminedRow
from farvault.catalog.freeing import Freed
from farvault.catalog.objects import ObjectPlace
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Snapshot
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.stored_object import ObjectKind
from farvault.policy.retention import ArchiveRule, BackupRule, Grace
from farvault.policy.versions import Why
from farvault.processes.expire_recovery import expire_recovery
from farvault.processes.judge import Judge
from farvault.processes.process import Process, run_side_by_side
from farvault.storage.storage import Storage
from farvault.storage.vault_volumes import collect_deleted, count_deleted

DESCRIPTION = "EXPIRE INVENTORY"
ONE_RUNS = "ANR0815E"
"""Said to whoever starts a second one."""
EXPIRE_HOURS = 24
"""Where EXPINTERVAL is not set."""
PIECE_OBJECTS = 8192
TRANSACTION_SECONDS = 0.03
"""What a transaction should take; the limit others may feel is 0.1."""
FEWEST, MOST = 128, 8192
"""Objects, and extents of theirs, in a transaction."""
PAUSE_SECONDS = 0.001
"""Between two transactions: who waited for the writer has it then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for. `duration_seconds` None = until it is done."""

    nodes: Sequence[Node] | None = None
    """None = all."""
    duration_seconds: float | None = None
    resources: int = 4
    skip_directories: bool = False
    quiet: bool = False
    preview: bool = False


def is_quiet(r: Snapshot) -> bool:
    """EXPQUIET: what holds where nobody says QUIET."""
    return get_setting(r, "EXPQUIET") == "YES"


def expire_inventory(storage: Storage, process: Process, options: Options) -> None:
    """One run; `Cancelled` where somebody cancelled it. What it has deleted by then stays deleted."""
    _Run(storage, process, options).run()


@dataclass(slots=True)
class _Totals:
    examined: int = 0
    deleted: Counter[int] = field(default_factory=Counter)
    """By kind."""
    reasons: Counter[Why] = field(default_factory=Counter)
    held: int = 0
    live_bytes: int = 0

    def count(self, deleted: Iterable[tuple[ExaminedRow, Why]]) -> None:
        for row, why in deleted:
            self.deleted[row[3]] += 1
            self.reasons[why] += 1

    def add(self, other: _Totals) -> None:
        self.examined += other.examined
        self.deleted += other.deleted
        self.reasons += other.reasons
        self.held += other.held
        self.live_bytes += other.live_bytes


class _Run:
    """One expiration; several threads take file spaces off one list."""

    def __init__(self, storage: Storage, process: Process, options: Options) -> None:
        self._storage, self._process, self._options = storage, process, options
        clock = storage.clock
        self._now = clock.now_seconds()
        self._deadline = (
            None if options.duration_seconds is None else clock.monotonic_seconds() + options.duration_seconds
        )
        self._totals = _Totals()
        self._told: set[tuple[object, ...]] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def run(self) -> None:
        process, options = self._process, self._options
        process.say("ANR0811I", number=process.number)
        work = self._work()
        segments = 0
        try:
            if options.nodes is None:
                segments = self._segments()
                self._recovery()
            jobs = [lambda: self._take(work)] * options.resources
            run_side_by_side(jobs, process.cancel_event)
            process.raise_if_cancelled()
        except Cancelled:
            process.say("ANR0813I", **self._figures(), reason="cancelled")
            raise
        if self._stopped:
            process.say("ANR0813I", **self._figures(), reason="DURATION is over")
        elif options.preview:
            process.say("ANR0814I", **self._figures(), segments=f"{segments:,}")
        else:
            size = show_size(self._totals.live_bytes)
            process.say("ANR0812I", **self._figures(), segments=f"{segments:,}", size=size)

    def _segments(self) -> int:
        """Virtual volumes of sources: no policy concerns them, only those marked go that no grace or lock keeps."""
        if self._options.preview:
            return count_deleted(self._storage)
        return collect_deleted(self._storage)

    def _recovery(self) -> None:
        """Database backups and recovery plans; where there is nothing to say nothing is said."""
        expired = expire_recovery(self._storage, self._process, preview=self._options.preview)
        if any(expired):
            self._process.say("ANR4966I" if self._options.preview else "ANR4965I", **expired._asdict())

    def _work(self) -> Iterator[tuple[Node, FileSpace, ObjectPlace]]:
        """File spaces of clients, those that waited longest first, each with the place to begin behind."""
        with self._storage.catalog.read() as r:
            nodes = self._options.nodes if self._options.nodes is not None else nouns.select(r, Node)
            progress = expiration.progress(r)
            never = expiration.Progress(0, START)
            found = [
                (progress.get(space.id, never), node, space)
                for node in nodes
                if not node.is_source
                for space in nouns.select(r, FileSpace, node_id=node.id)
            ]
        found.sort(key=lambda item: (item[0].completed_time, item[2].id))
        return ((node, space, at.place) for at, node, space in found)

    def _take(self, work: Iterator[tuple[Node, FileSpace, ObjectPlace]]) -> None:
        while True:
            with self._lock:
                item = next(work, None)
            if item is None or self._stopped:
                return
            self._process.raise_if_cancelled()
            try:
                self._expire_file_space(*item)
            except NotFound:
                continue  # the node or the file space was deleted meanwhile

    def _expire_file_space(self, node: Node, space: FileSpace, place: ObjectPlace) -> None:
        """From `place` to the end, then from the start to `place`."""
        totals = _Totals()
        after, come_round, ended = place, place == START, False
        try:
            while not ended:
                after, is_last = self._expire_piece(node.id, space, after, totals)
                if is_last and not come_round:
                    after, come_round = START, True
                else:
                    ended = is_last or (come_round and START < place <= after)
                if not ended and self._is_over():
                    self._stopped = True
                    break
        except FarvaultError:
            self._finish(node, space, None if after == place else after, totals)
            raise
        self._finish(node, space, None if ended else after, totals, ended=ended)

    def _finish(
        self,
        node: Node,
        space: FileSpace,
        stopped_at: ObjectPlace | None,
        totals: _Totals,
        *,
        ended: bool = False,
    ) -> None:
        """What was counted is said, and how far it came is kept."""
        if not self._options.preview and (ended or stopped_at is not None):
            with self._storage.catalog.write() as tx:
                if ended:
                    expiration.completed(tx, [space.id], self._now)
                elif stopped_at is not None:
                    expiration.stopped_at(tx, space.id, stopped_at)
        with self._lock:
            self._totals.add(totals)
        if not self._options.quiet and totals.reasons:
            self._process.say(
                "ANR4392I" if self._options.preview else "ANR4391I",
                node=node.name,
                file_space=space.name,
                domain=node.domain,
                examined=f"{totals.examined:,}",
                deleted=f"{totals.deleted.total():,}",
                reasons=", ".join(f"{count:,} {why.value}" for why, count in totals.reasons.most_common()),
            )

    def _is_over(self) -> bool:
        self._process.raise_if_cancelled()
        return self._deadline is not None and self._storage.clock.monotonic_seconds() >= self._deadline

    # --- one piece -----------------------------------------------------------------------------------------------------

    def _expire_piece(
        self, node_id: int, space: FileSpace, after: ObjectPlace, totals: _Totals
    ) -> tuple[ObjectPlace, bool]:
        """Returns the place of the last object looked at, and whether there is nothing behind it."""
        with self._storage.catalog.read() as r:
            rows = expiration.piece(r, space.id, after, PIECE_OBJECTS)
            if not rows:
                return after, True
            judge = Judge(r, nouns.by_id(r, Node, node_id), space.id)
            due = judge.due(r, rows, self._now, skip_directories=self._options.skip_directories)
        self._tell_about_policy(judge)
        if self._options.preview:
            totals.count(due.rows)
        elif not self._delete(judge, space, due.rows, totals):
            return after, False  # policy or holds have changed: this piece is judged anew
        totals.examined += len(rows)
        totals.held += due.held
        self._process.advance(len(rows))
        return rows[-1][:3], len(rows) < PIECE_OBJECTS

    def _delete(
        self, judge: Judge, space: FileSpace, due: Sequence[tuple[ExaminedRow, Why]], totals: _Totals
    ) -> bool:
        """In short transactions, in the order of the rows; False where the judge may not be believed any more."""
        clock = self._storage.clock
        size, objects, at = FEWEST, FEWEST, 0
        while at < len(due):
            self._process.raise_if_cancelled()
            batch = due[at : at + min(size, objects)]
            crash_point("inventory.expire.before_delete")
            began = clock.monotonic_seconds()
            with self._storage.catalog.write() as tx:
                if not judge.is_current(tx):
                    return False
                ids = expiration.unchanged(tx, space.id, [row for row, _ in batch])
                freed = freeing.delete_objects(tx, ids, size)
                directories.remove_if_empty(tx, space.id, {row[0] for row, _ in batch})
                self._storage.freed(tx, freed)
            crash_point("inventory.expire.after_delete")
            did = size if freed.left else len(batch)
            size = _next_size(did, clock.monotonic_seconds() - began)
            objects = freeing.next_size(len(batch), freed, MOST)
            at += self._count(batch, ids, freed, totals)
            time.sleep(PAUSE_SECONDS)
        return True

    def _count(
        self, batch: Sequence[tuple[ExaminedRow, Why]], ids: Sequence[int], freed: Freed, totals: _Totals
    ) -> int:
        """What a transaction did; returns how many rows of the batch are done with."""
        left = set(freed.left)
        if (
            left and not freed.objects
        ):  # an object of more extents than fit: it is hidden by now and goes in pieces
            _, live_bytes = self._storage.delete_objects(freed.left[:1])
            left.discard(freed.left[0])
            totals.live_bytes += live_bytes
        totals.live_bytes += freed.live_bytes
        deleted = {one for one in ids if one not in left}
        totals.count([item for item in batch if item[0][2] in deleted])
        return next((at for at, (row, _) in enumerate(batch) if row[2] in left), len(batch))

    # --- what is said ----------------------------------------------------------------------------------------------------

    def _tell_about_policy(self, judge: Judge) -> None:
        """Once for each node and class: which of them are kept by other rules than their own."""
        if self._options.quiet:
            return
        for use, rules in (("backup", judge.backup_rules), ("archive", judge.archive_rules)):
            for class_id, rule in rules.items():
                key = (judge.node.id, judge.class_name(class_id) if rule else "", use if rule else "")
                with self._lock:
                    if key in self._told:
                        continue
                    self._told.add(key)
                self._tell(judge, judge.class_name(class_id), use, rule)

    def _tell(
        self, judge: Judge, class_name: str, use: str, rule: BackupRule | ArchiveRule | Grace | None
    ) -> None:
        names = {"node": judge.node.name, "domain": judge.node.domain}
        if rule is None:
            self._process.say("ANR0830W", **names)
        elif isinstance(rule, Grace):
            message_id = "ANR0832W" if use == "backup" else "ANR0833W"
            self._process.say(message_id, management_class=class_name, days=rule.days, **names)
        elif rule.management_class != class_name:
            self._process.say(
                "ANR0831I", management_class=class_name, use=use, default=rule.management_class, **names
            )

    def _figures(self) -> dict[str, object]:
        totals = self._totals
        return {
            "number": self._process.number,
            "examined": f"{totals.examined:,}",
            "backup": f"{totals.deleted[ObjectKind.BACKUP]:,}",
            "archive": f"{totals.deleted[ObjectKind.ARCHIVE]:,}",
            "held": f"{totals.held:,}",
        }


def _next_size(size: int, seconds: float) -> int:
    """As many as should take the wished time; never more than twice as many as just now."""
    wanted = int(size * TRANSACTION_SECONDS / seconds) if seconds > 0 else MOST
    return max(FEWEST, min(wanted, 2 * size, MOST))
