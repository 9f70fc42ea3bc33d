"""RECONCILE VOLUMES: virtual volumes here against archive files at their target, both ways (TSM reference, storage 1.7).

Both sides are walked in order of names, page by page, and joined: what agrees costs nothing more, and memory does not
grow with their number. What seems to differ is looked at once more while nobody can write the volume, because between
the two listings work goes on. What is found is kept for QUERY RECONCILE; what FIX=YES does follows the table in
`policy/reconcile.py`. Rights go first: a volume is UNAVAILABLE here before its file becomes active there.

Files that no volume knows are marked last, after the target was told that all of ours was compared (ReconcileDone):
a source whose catalog was restored may delete nothing there before.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from farvault.base.disk import crash_point
from farvault.base.errors import (
    Cancelled,
    FarvaultError,
    InUse,
    NotAuthorized,
    PeerMisbehaved,
    PeerUnreachable,
)
from farvault.catalog import kept_receipts, nouns, target_truth, volume_history
from farvault.catalog.target_truth import FindingRow, Reconciliation
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.media import receipt_head
from farvault.media.inventory_digest import InventoryDigest
from farvault.media.target import Target
from farvault.media.target_link import VOLUMES_MAX, TargetLink
from farvault.model.device_class import SERVER, DeviceClass
from farvault.model.volume import READONLY, READWRITE, UNAVAILABLE, Volume
from farvault.policy import reconcile
from farvault.policy.reconcile import Action, Attributes, Finding, Kind
from farvault.processes.own_volumes import OwnVolume, of_pool, own_volumes
from farvault.processes.process import Process
from farvault.processes.reconcile_findings import Findings, attributes_there
from farvault.protocol.messages import Done
from farvault.protocol.truth import InventoryRow, ReconcileDone
from farvault.seal.digest import digest_parts
from farvault.storage.storage import Storage

DESCRIPTION: Final = "RECONCILE VOLUMES"
ONE_RUNS: Final = "ANR4899E"
"""Said to whoever starts a second one."""
PAGE: Final = 1000


@dataclass(slots=True)
class Totals:
    """How many volumes; what differs is counted in `Findings`."""

    here: int = 0
    there: int = 0
    same: int = 0
    fixed: int = 0
    skipped: int = 0


def servers_of(r: Snapshot, pattern: str) -> dict[str, list[DeviceClass]]:
    """The device classes of DEVTYPE=SERVER that match, by target."""
    found: dict[str, list[DeviceClass]] = {}
    for one in nouns.select(r, DeviceClass, pattern, device_type=SERVER):
        found.setdefault(one.server_name, []).append(one)
    return found


def reconcile_volumes(
    storage: Storage,
    process: Process,
    open_target: Callable[[str], Target],
    pattern: str,
    *,
    fix: bool = False,
) -> None:
    """One target after the other. One that cannot be reached counts as failed, the others go on."""
    with storage.catalog.read() as r:
        chosen = servers_of(r, pattern)
        every = servers_of(r, "*")
    for server, classes in chosen.items():
        process.raise_if_cancelled()
        try:
            with TargetLink(open_target(server)) as link:
                _Run(storage, process, link, classes, every[server], fix=fix).run()
        except Cancelled:
            raise
        except FarvaultError as error:
            process.repeat(error.message)
            process.count_failed()


class _Run:
    """One target. `classes`: what was asked for; `every`: all classes that keep volumes there."""

    def __init__(
        self,
        storage: Storage,
        process: Process,
        link: TargetLink,
        classes: Sequence[DeviceClass],
        every: Sequence[DeviceClass],
        *,
        fix: bool,
    ) -> None:
        self._storage, self._process, self._link, self._fix = storage, process, link, fix
        self._catalog = storage.catalog
        self._every = every
        prefixes = {one.prefix for one in classes}
        self._prefixes = {
            prefix: [one.name for one in every if one.prefix == prefix] for prefix in sorted(prefixes)
        }
        self._is_whole = prefixes == {one.prefix for one in every}
        self._inventory = InventoryDigest()
        self._totals = Totals()
        self._server = link.target.name
        with self._catalog.read() as r:
            self._server_id = target_truth.server_id(r, self._server)
        self._findings = Findings(storage, process, self._server, self._server_id)

    def run(self) -> None:
        definition = self._link.target.definition()
        read_only = self._link.run(lambda session: session.read_only)
        if self._fix and read_only:
            raise NotAuthorized("ANR4802E", server=self._server)
        self._process.note = f"Server {self._server}"
        if self._is_whole:
            self._compare("", list(self._prefixes))
        else:
            for prefix in self._prefixes:
                self._compare(f"{prefix}.", [prefix])
        trusted = self._is_whole and not read_only and self._tell_done(definition.epoch)
        if self._fix:
            self._mark_unknown(definition.delete_grace_days)
        self._end(accepted=self._is_whole and not self._totals.skipped, trusted=trusted)

    # --- comparing -------------------------------------------------------------------------------------------------

    def _compare(self, listed: str, prefixes: list[str]) -> None:
        """Everything whose name at the target begins with `listed` against our volumes with these prefixes."""
        with self._catalog.write() as tx:
            target_truth.begin_findings(tx, self._server_id, listed)
        by_prefix = [own_volumes(self._catalog, prefix, self._prefixes[prefix]) for prefix in prefixes]
        here = heapq.merge(*by_prefix, key=lambda one: one.at_target)
        there = self._volumes_there(listed)
        mine, theirs = next(here, None), next(there, None)
        while mine is not None or theirs is not None:
            if theirs is None or (mine is not None and mine.at_target < theirs.volume):
                self._pair(mine, None)
                mine = next(here, None)
            elif mine is None or theirs.volume < mine.at_target:
                self._pair(None, theirs)
                theirs = next(there, None)
            else:
                self._pair(mine, theirs)
                mine, theirs = next(here, None), next(there, None)
        self._findings.flush()

    def _volumes_there(self, listed: str) -> Iterator[InventoryRow]:
        after, is_last = "", False
        while not is_last:
            self._process.raise_if_cancelled()
            rows, is_last = self._link.inventory(listed, after)
            self._process.advance(len(rows))
            if self._totals.there > VOLUMES_MAX:
                raise PeerMisbehaved("ANR4881E", peer=self._server, what="an inventory that ends")
            for row in rows:
                self._totals.there += 1
                if self._is_whole and not row.marked:
                    self._inventory.add(row.volume, row.stored_bytes, row.records, row.digest)
                after = row.volume
                yield row

    def _pair(self, mine: OwnVolume | None, theirs: InventoryRow | None) -> None:
        self._totals.here += mine is not None
        if mine is None:
            assert theirs is not None
            self._unknown(theirs)
        elif mine.attributes is None:
            self._totals.skipped += 1
        elif (
            theirs is not None
            and not theirs.marked
            and reconcile.agree(mine.attributes, attributes_there(theirs))
        ):
            self._totals.same += 1
        elif mine.kind is Kind.HISTORY:
            self._settle_history(mine)
        else:
            self._look_again(mine)

    # --- what differs ----------------------------------------------------------------------------------------------

    def _look_again(self, mine: OwnVolume) -> None:
        """Both sides once more, while nobody writes the volume; then what is to be done."""
        with self._catalog.read() as r:
            volume = nouns.find(r, Volume, mine.name)
        if volume is None:
            return
        try:
            with self._storage.use.hold(volume):
                with self._catalog.read() as r:
                    now = kept_receipts.volume_here(r, mine.name)
                if now is not None:
                    self._settle(of_pool(mine.at_target[: -len(mine.name) - 1], now))
        except InUse as busy:
            self._process.repeat(busy.message)
            self._totals.skipped += 1

    def _settle_history(self, mine: OwnVolume) -> None:
        """The target's side once more; an entry that has gone meanwhile is no difference."""
        assert mine.attributes is not None
        theirs = self._link.volume(mine.at_target)
        if not self._is_ours(mine.at_target):
            return
        marked = theirs is not None and theirs.marked
        finding = reconcile.find(mine.attributes, attributes_there(theirs), marked=marked)
        if finding is Finding.SAME:
            self._totals.same += 1
            return
        done = reconcile.actions(finding, Kind.HISTORY, fix=self._fix)
        if Action.NOTE_LOST in done:
            with self._catalog.write() as tx:
                volume_history.note_missed(tx, mine.number, self._storage.clock.now_seconds())
        self._findings.add(mine, theirs, finding, done)

    def _settle(self, mine: OwnVolume) -> None:
        assert mine.attributes is not None
        theirs = self._link.volume(mine.at_target)
        there = attributes_there(theirs)
        marked = theirs is not None and theirs.marked
        longer = theirs is not None and not marked and theirs.stored_bytes > mine.attributes.stored_bytes
        front = longer and self._front_is(mine.at_target, mine.attributes)
        finding = reconcile.find(mine.attributes, there, marked=marked, front_is_same=front)
        if finding is Finding.SAME:
            self._totals.same += 1
            return
        wanted = reconcile.actions(finding, Kind.POOL, fix=self._fix)
        if Action.MAKE_UNAVAILABLE in wanted:
            crash_point("reconcile.volume.before_catalog")
            with self._catalog.write() as tx:
                _make_unavailable(tx, mine.name)
            crash_point("reconcile.volume.before_target")
            if Action.UNMARK in wanted:
                self._link.unmark(mine.at_target)
                crash_point("reconcile.volume.after_target")
            self._totals.fixed += 1
        self._findings.add(mine, theirs, finding, wanted & ~Action.MARK)

    def _front_is(self, at_target: str, mine: Attributes) -> bool:
        """Do the target's segments up to our end make up our volume, and all others lie behind it?"""
        front = [one for one in self._link.segments(at_target) if one.offset_bytes < mine.stored_bytes]
        return (
            sum(one.stored_bytes for one in front),
            sum(one.records for one in front),
            digest_parts(one.digest for one in front),
        ) == mine[:3]

    def _unknown(self, theirs: InventoryRow) -> None:
        """No volume of ours in what is compared. That of another class, or one that is just coming or going, is none of it."""
        if theirs.marked or self._is_ours(theirs.volume):
            return
        self._findings.add(None, theirs, Finding.NO_VOLUME, Action.REPORT)

    def _is_ours(self, at_target: str) -> bool:
        with self._catalog.read() as r:
            for one in self._every:
                if at_target.startswith(f"{one.prefix}."):
                    name = at_target[len(one.prefix) + 1 :]
                    if nouns.find(r, Volume, name) is not None:
                        return True
                    if volume_history.is_there(r, one.name, name):
                        return True
        return False

    # --- the end ---------------------------------------------------------------------------------------------------

    def _tell_done(self, epoch: int) -> bool:
        """Tell the target that all of ours was compared and is there; False where it is not, or is not believed."""
        unknown_left = self._findings.open and not self._fix
        if self._findings.blocking or self._totals.skipped or unknown_left:
            return False
        body = ReconcileDone(
            epoch=epoch,
            volumes=self._inventory.volumes,
            stored_bytes=self._inventory.stored_bytes,
            digest=self._inventory.digest(),
        )
        crash_point("reconcile.done.before")
        try:
            self._link.run(lambda session: session.connection.call(body, Done))
        except PeerUnreachable:
            raise
        except FarvaultError as refused:
            self._process.say("ANR4886W", server=self._server, reason=refused.message.text)
            return False
        crash_point("reconcile.done.after")
        return True

    def _mark_unknown(self, grace_days: int) -> None:
        """What no volume knows, from the list of findings: memory stays flat whatever their number."""
        for row in self._to_mark():
            self._process.raise_if_cancelled()
            crash_point("reconcile.mark.before")
            try:
                is_marked = self._mark(row, grace_days)
            except (NotAuthorized, PeerUnreachable):
                raise
            except FarvaultError as refused:
                self._process.say("ANR4886W", server=self._server, reason=refused.message.text)
                return
            crash_point("reconcile.mark.after")
            if is_marked:
                self._findings.note_marked(row)
                self._totals.fixed += 1

    def _to_mark(self) -> Iterator[FindingRow]:
        kinds = (Finding.NO_VOLUME.value, Finding.LONGER.value)
        after = ""
        while True:
            with self._catalog.read() as r:
                page = target_truth.findings_behind(r, self._server_id, after, kinds, PAGE)
            if not page:
                return
            yield from (row for row in page if self._is_compared(row.volume))
            after = page[-1].volume

    def _mark(self, row: FindingRow, grace_days: int) -> bool:
        """False where it is not so any more: a volume of that name has come, or was written since."""
        if row.finding == Finding.NO_VOLUME:
            if self._is_ours(row.volume):
                return False
            self._link.mark(row.volume, grace_days)
            return True
        prefix = next(one for one in self._prefixes if row.volume.startswith(f"{one}."))
        with self._catalog.read() as r:
            volume = nouns.find(r, Volume, row.volume[len(prefix) + 1 :])
        if volume is None:
            return False
        with self._storage.use.hold(volume), self._catalog.read() as r:
            now = kept_receipts.volume_here(r, volume.name)
            if now is None or now.written_bytes != row.here_bytes:
                return False
            if not self._front_is(row.volume, now.attributes):
                return False
            self._link.mark(row.volume, grace_days, now.written_bytes)
        return True

    def _is_compared(self, at_target: str) -> bool:
        return self._is_whole or any(at_target.startswith(f"{prefix}.") for prefix in self._prefixes)

    def _end(self, *, accepted: bool, trusted: bool) -> None:
        """`accepted`: all was compared; `trusted`: the target has taken note that nothing of ours is missing."""
        totals, findings = self._totals, self._findings
        if accepted and (self._fix or not findings.open):
            self._accept_head()
        ended = Reconciliation(
            self._server_id,
            int(self._is_whole),
            self._storage.clock.now_seconds(),
            int(self._fix),
            totals.here,
            totals.there,
            totals.same,
            findings.reported,
            totals.fixed,
            findings.open,
            totals.skipped,
            int(trusted),
        )
        with self._catalog.write() as tx:
            target_truth.note_reconciliation(tx, ended)
        self._process.note = ""
        self._process.count_failed(findings.open + totals.skipped)
        self._process.say(
            "ANR4885I", server=self._server, here=f"{totals.here:,}", there=f"{totals.there:,}",
            same=f"{totals.same:,}", reported=f"{findings.reported:,}", fixed=f"{totals.fixed:,}",
            open=f"{findings.open:,}", skipped=f"{totals.skipped:,}",
            trusted="The target has taken note." if trusted else "The target was not told that all is well.",
        )  # fmt: skip
        if findings.open_history:
            self._process.say("ANR4991W", server=self._server, count=f"{findings.open_history:,}")

    def _accept_head(self) -> None:
        """A target that was set back goes on from what it has: what it lost is UNAVAILABLE here, or was never ours."""
        with self._catalog.read() as r:
            if not target_truth.truth(r, self._server_id).set_back_time:
                return
        last = self._link.run(lambda session: receipt_head.ask(session, 0)).last
        kept = (
            self._link.run(lambda session: receipt_head.receipts(session, (last,))).receipts[0]
            if last
            else b""
        )
        with self._catalog.write() as tx:
            target_truth.accept_head(tx, self._server_id, last, kept)
        self._process.say("ANR4883I", server=self._server, number=last)


def _make_unavailable(tx: Transaction, name: str) -> None:
    """What a person has set to less stays."""
    volume = nouns.find(tx, Volume, name)
    if volume is not None and volume.access in (READWRITE, READONLY):
        nouns.update(tx, msgspec.structs.replace(volume, access=UNAVAILABLE))
