"""The state machine: what nodes, administrators, bad luck and time do to DELHI and TOKYO, and what is checked after each step.

A rule does one thing and says what it may have changed; `check` then holds everything against the reference model. Each rule
takes plain numbers, so that a failing history can be written down as a few calls (see `test_histories.py`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.grid.node_client import NodeClient
from tests.model.reference_model import DAY_SECONDS, ReferenceModel
from tests.model.world import (
    ANY_CODE,
    COPY_POOL,
    NODES,
    POOLS,
    PRIMARY_POOLS,
    World,
    content,
    flip_a_byte,
    is_whole,
    lose,
)

from farvault.admin.figures import pool_figures, volume_figures
from farvault.base.errors import FarvaultError
from farvault.catalog import audit, nouns, placements
from farvault.catalog.content import users_of_aggregates
from farvault.catalog.occupancy import occupancy
from farvault.model.storage_pool import StoragePool
from farvault.model.stored_object import ObjectKind, ObjectState
from farvault.model.volume import Volume
from farvault.protocol.messages import (
    DeleteObjects,
    ExpireObjects,
    Objects,
    QueryObjects,
    TransactionAnswer,
)

NAMES = st.integers(0, 5)
SEEDS = st.integers(0, 11)
FILES = st.lists(st.tuples(NAMES, SEEDS), min_size=1, max_size=5, unique_by=lambda one: one[0])
NODE = st.sampled_from(NODES)
INDEX = st.integers(0, 99)
SETTINGS = (
    "diskpool cache=yes",
    "diskpool cache=no",
    "diskpool highmig=5 lowmig=0",
    "diskpool highmig=100 lowmig=99",
    "diskpool maxsize=50k",
    "diskpool maxsize=nolimit",
    f"diskpool copystgpools={COPY_POOL} copycontinue=yes",
    'diskpool copystgpools=""',
    "tapepool highmig=1 lowmig=0",
    "tapepool highmig=100 lowmig=99",
    "tapepool collocate=node",
    "tapepool collocate=filespace",
    "tapepool reusedelay=1",
    "tapepool reusedelay=0",
    "tapepool reclaim=10",
    "targetpool reclaim=10",
    "targetpool collocate=no",
    f"{COPY_POOL} reclaim=10",
    f"{COPY_POOL} reusedelay=1",
    f"{COPY_POOL} collocate=node",
)


class Hierarchy(RuleBasedStateMachine):
    """`make_world` is set by the test: a fresh world from the template."""

    make_world: ClassVar[Callable[[], World]]

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).make_world()
        self.delhi, self.tokyo = self.world.delhi, self.world.tokyo
        self.model = ReferenceModel()
        self.clients: dict[str, NodeClient] = {}
        self.armed: tuple[bool, int] | None = None
        self.may_go: set[int] = set()
        """Objects that this step may have deleted, wholly or in part."""
        self.may_come: tuple[str, int, list[tuple[int, int]]] | None = None
        """A transaction that was not acknowledged: it may be there as a whole."""
        self.may_have_left: set[tuple[str, bytes]] = set()
        self.thrown_away: set[str] = set()

    def teardown(self) -> None:
        try:
            for client in self.clients.values():
                with contextlib.suppress(FarvaultError, OSError):
                    client.close()
        finally:
            self.world.close()

    # --- nodes -------------------------------------------------------------------------------------------------------

    @initialize(first=FILES, second=FILES)
    def begin(self, first: Sequence[tuple[int, int]], second: Sequence[tuple[int, int]]) -> None:
        for node, files in zip(NODES, (first, second), strict=True):
            self.back_up(node, files)

    @rule(node=NODE, files=FILES)
    def back_up(self, node: str, files: Sequence[tuple[int, int]]) -> None:
        """New versions, some of contents that somebody has stored already."""
        self._store(node, files, ObjectKind.BACKUP)

    @rule(node=NODE, seeds=st.lists(SEEDS, min_size=3, max_size=6))
    def back_up_again(self, node: str, seeds: Sequence[int]) -> None:
        """The same as `back_up`, with more files: so that it comes by more often."""
        self._store(node, list(enumerate(seeds)), ObjectKind.BACKUP)

    @rule(node=NODE, files=FILES)
    def archive(self, node: str, files: Sequence[tuple[int, int]]) -> None:
        self._store(node, files, ObjectKind.ARCHIVE)

    @rule(node=NODE, names=st.lists(NAMES, min_size=1, max_size=4, unique=True))
    def files_are_gone(self, node: str, names: Sequence[int]) -> None:
        """The next backup finds that these files are no longer there."""
        active = {
            file[1]: several[0].number
            for file, several in self.model.versions.items()
            if file[0] == node and several[0].gone_time is None
        }
        wanted = [name_of(name) for name in names if name_of(name) in active]
        if not wanted:
            return

        def work() -> None:
            client = self.client(node)
            client.begin()
            client.connection.send(ExpireObjects(ids=tuple(active[name] for name in wanted)))
            client.commit()

        if self._run(work):
            for name in wanted:
                self.model.gone((node, name), self.now)
        else:
            self.may_have_left = {(node, name) for name in wanted}

    @rule(node=NODE, which=st.lists(INDEX, min_size=1, max_size=3))
    def node_deletes(self, node: str, which: Sequence[int]) -> None:
        numbers = sorted(self.model.numbers_of(node))
        if not numbers:
            return
        chosen = {numbers[one % len(numbers)] for one in which}

        def work() -> None:
            self.client(node).connection.call(DeleteObjects(ids=tuple(chosen)), TransactionAnswer)

        if self._run(work):
            self.model.deleted(chosen)
        else:
            self.may_go = chosen

    @rule(node=NODE)
    @precondition(lambda self: len(self.model.contents) > 15)
    def delete_file_space(self, node: str) -> None:
        numbers = set(self.model.numbers_of(node))
        self.may_go = numbers
        if self._command(f"delete filespace {node} /home wait=yes") in (0, 11):
            self.model.deleted(numbers)
        if client := self.clients.pop(node, None):
            client.close()

    # --- time --------------------------------------------------------------------------------------------------------

    @rule(days=st.integers(1, 6))
    def days_pass(self, days: int) -> None:
        self.world.clock.advance(days * DAY_SECONDS)

    @rule()
    def expire_inventory(self) -> None:
        before = set(self.model.contents)
        after = self.model.copy()
        after.expired(self.now)
        self.may_go = before - set(after.contents)
        if self._command("expire inventory wait=yes") == 0:
            self.model.expired(self.now)

    @rule()
    def housekeeping(self) -> None:
        """What DELHI does by itself once an hour: reclaim, migrate, tidy."""
        if self.armed is None:
            self.world.housekeeping(self.delhi)
        else:
            self._run(lambda: self.world.housekeeping(self.delhi))

    @rule()
    def housekeeping_at_the_target(self) -> None:
        """Deleted virtual volumes go when their grace is over."""
        self._run(lambda: self.world.housekeeping(self.tokyo))

    @rule(reclaims=st.booleans())
    def work_at_the_target(self, reclaims: bool) -> None:
        """TOKYO reclaims the pool in which it keeps volumes for others, or audits it."""
        command = (
            "reclaim stgpool vaultpool threshold=1" if reclaims else "audit volume stgpool=vaultpool fix=yes"
        )
        self._run(lambda: self.tokyo.admin(f"{command} wait=yes", allow=ANY_CODE))

    # --- moving ------------------------------------------------------------------------------------------------------

    @rule(pool=st.sampled_from(("DISKPOOL", "TAPEPOOL")), low=st.sampled_from((0, 0, 20, 50)))
    def migrate(self, pool: str, low: int) -> None:
        self._command(f"update stgpool {pool} highmig=100 lowmig={min(low, 99)}", plain=True)
        self._must_work(self._command(f"migrate stgpool {pool} lowmig={low} wait=yes"))

    @rule(pool=st.sampled_from(("TAPEPOOL", "TARGETPOOL", COPY_POOL)), threshold=st.sampled_from((1, 20, 50)))
    def reclaim(self, pool: str, threshold: int) -> None:
        self._must_work(self._command(f"reclaim stgpool {pool} threshold={threshold} wait=yes"))

    @rule(which=INDEX, to=st.sampled_from(("", *PRIMARY_POOLS)))
    def move_data(self, which: int, to: str) -> None:
        name = self._volume(POOLS, which)
        target = f" stgpool={to}" if to and name not in self._names((COPY_POOL,)) else ""
        self._command(f"move data {name}{target} wait=yes")

    @rule(
        node=NODE, source=st.sampled_from(("TAPEPOOL", "TARGETPOOL")), to=st.sampled_from(PRIMARY_POOLS[1:])
    )
    def move_nodedata(self, node: str, source: str, to: str) -> None:
        self._command(f"move nodedata {node} fromstgpool={source} tostgpool={to} wait=yes")

    # --- copies ------------------------------------------------------------------------------------------------------

    @rule(pool=st.sampled_from(PRIMARY_POOLS))
    def back_up_pool(self, pool: str) -> None:
        counted_on = {number for number, homes in self.world.survey().items() if homes.is_unnoticed}
        for volume in self.world.volumes(COPY_POOL):
            if volume.access == "UNAVAILABLE":  # a copy there counts: the volume may come back
                counted_on |= self._objects_on(volume.name)
        code = self._command(f"backup stgpool {pool} {COPY_POOL} wait=yes")
        self._must_work(code)
        if code == 0 and self.world.link.is_up:
            homes, here = self.world.survey(), {one.name for one in self.world.volumes(pool)}
            readable = here & self.world.reachable()
            for number in set(self.model.contents) - counted_on:
                found = homes.get(number)
                if found and found.primary & readable and not found.copy and not found.is_trusted:
                    raise AssertionError(f"object {number} of {pool} was not copied: {found}")

    @rule(pool=st.sampled_from(PRIMARY_POOLS))
    def restore_pool(self, pool: str) -> None:
        before = self.world.survey()
        lost = self._objects_on_lost_places(pool)
        code = self._command(f"restore stgpool {pool} wait=yes")
        self._must_work(code)
        if code == 0:
            after, reachable = self.world.survey(), self.world.reachable()
            for number in lost & set(self.model.contents):
                if before[number].copy & reachable:
                    assert after[number].primary, f"object {number} was not brought back"

    @rule(which=INDEX)
    def restore_volume(self, which: int) -> None:
        """Also of a volume that is fine: it is given up, and what has no copy stays on it, DESTROYED."""
        name = self._volume(PRIMARY_POOLS, which)
        self.thrown_away = {name}
        self._command(f"restore volume {name} wait=yes")
        if self.world.access().get(name) == "DESTROYED":
            self.model.access[name] = "DESTROYED"

    # --- finding and mending -----------------------------------------------------------------------------------------

    @rule(pool=st.sampled_from(POOLS), fix=st.booleans())
    def audit_pool(self, pool: str, fix: bool) -> None:
        if fix:
            self.may_go = self.model.without_home()
        self._command(f"audit volume stgpool={pool} fix={'yes' if fix else 'no'} wait=yes")

    @rule()
    def audit_catalog(self) -> None:
        """It finds what is lost of this machine, and nothing else."""
        here = self.world.access()
        missing = {
            name for name in self.model.broken if here.get(name) in ("READWRITE", "READONLY", "UNAVAILABLE")
        }
        code = self._command("audit catalog wait=yes")
        assert code is None or (code == 0) >= (not missing), (
            f"AUDIT CATALOG found something: {self._last_lines}"
        )

    @rule(which=INDEX)
    def delete_volume(self, which: int) -> None:
        """DISCARDDATA=YES: of a primary volume the objects go with it, of a copy volume the copies."""
        name = self._volume(POOLS, which)
        if name not in self._names((COPY_POOL,)):
            self.may_go = self._objects_on(name)
        self.thrown_away = {name}
        self._command(f"delete volume {name} discarddata=yes wait=yes")

    # --- bad luck ----------------------------------------------------------------------------------------------------

    @rule(which=INDEX, byte=st.sampled_from((5, 40, 100, 300)))
    def a_record_is_damaged(self, which: int, byte: int) -> None:
        rows = [*self.world.placed("DISKPOOL"), *self.world.placed("TAPEPOOL")]
        rows = [row for row in rows if is_whole(row)]
        if rows:
            row = rows[which % len(rows)]
            flip_a_byte(row.volume_name, row.offset_bytes + byte)
            self._broke_something()

    @rule(which=INDEX)
    def a_volume_is_lost(self, which: int) -> None:
        names = [name for name in self._names(("TAPEPOOL", "DISKPOOL")) if os.path.exists(name)]
        if names:
            name = names[which % len(names)]
            lose(name)
            self.model.broken.add(name)
            self._broke_something()

    @rule(which=INDEX, byte=st.sampled_from((5, 100, 300)))
    def a_record_is_damaged_at_the_target(self, which: int, byte: int) -> None:
        rows = [row for row in self.world.placed("VAULTPOOL", self.tokyo) if is_whole(row)]
        if rows:
            row = rows[which % len(rows)]
            flip_a_byte(row.volume_name, row.offset_bytes + byte)
            self._broke_something()

    @rule(which=INDEX)
    def a_volume_is_lost_at_the_target(self, which: int) -> None:
        names = [one.name for one in self.world.volumes("VAULTPOOL", self.tokyo) if os.path.exists(one.name)]
        if names:
            lose(names[which % len(names)])
            self._broke_something()

    @rule(of_target=st.booleans(), at=st.integers(1, 16))
    @precondition(lambda self: self.armed is None)
    def arm_kill(self, of_target: bool, at: int) -> None:
        """The next work will be cut short by the death of one of the servers."""
        self.armed = self.armed or (of_target, at)

    @rule(of_target=st.booleans())
    def restart(self, of_target: bool) -> None:
        self._forget_clients()
        self.world.restart(self.tokyo if of_target else self.delhi)

    @rule(up=st.sampled_from((True, True, False)))
    def link(self, up: bool) -> None:
        """The line to the target is cut, or comes back."""
        if up:
            self.world.link.mend()
        else:
            self.world.link.cut()

    # --- settings ----------------------------------------------------------------------------------------------------

    @rule(setting=st.sampled_from(SETTINGS))
    def set(self, setting: str) -> None:
        self._command(f"update stgpool {setting}", plain=True)
        self.world.settle()

    @rule(
        which=INDEX,
        access=st.sampled_from(
            ("READWRITE", "READONLY", "READONLY", "UNAVAILABLE", "UNAVAILABLE", "DESTROYED")
        ),
    )
    def set_access(self, which: int, access: str) -> None:
        name = self._volume(POOLS, which)
        if self._command(f"update volume {name} access={access}", plain=True) == 0:
            self.model.access.pop(name, None)
            if access != "READWRITE":
                self.model.access[name] = access
            self._broke_something()

    @rule()
    @precondition(lambda self: self.model.access or not self.world.link.is_up)
    def everything_is_given_back(self) -> None:
        """All volumes READWRITE, the line up."""
        self.world.link.mend()
        self._command("update volume * access=readwrite", plain=True)
        self.model.access.clear()

    # --- checking ----------------------------------------------------------------------------------------------------

    @invariant()
    def check(self) -> None:
        """Everything that must be true is."""
        self.world.settle()
        self._inventories_are_right()
        homes = self.world.survey()
        assert self.model.lost_homes(homes, self.thrown_away) == []
        self.model.seen(homes)
        self._volumes_stand_as_set()
        self._everything_restores()
        self._catalogs_are_right()
        self.may_go, self.may_come, self.may_have_left, self.thrown_away = set(), None, set(), set()

    def _inventories_are_right(self) -> None:
        self._adopt_what_came()
        listed = {node: self._listed(node) for node in NODES}
        here = {number for backups, archives in listed.values() for number, *_ in (*backups, *archives)}
        self.model.deleted((set(self.model.contents) - here) & self.may_go)
        for file in sorted(self.may_have_left):
            if (self.model.versions[file][0].number, file[1], True) not in listed[file[0]][0]:
                self.model.gone(file, self.now)
        for node in NODES:
            backups, archives = listed[node]
            assert backups == self.model.inventory(node), f"versions of {node}"
            assert archives == self.model.archives(node), f"archive copies of {node}"

    def _adopt_what_came(self) -> None:
        if self.may_come is None:
            return
        node, kind, files = self.may_come
        backups, archives = self._listed(node)
        listed = backups if kind == ObjectKind.BACKUP else archives
        came = [row for row in listed if row[0] not in self.model.contents]
        assert not came or len(came) == len(files), "a part of a transaction is there"
        numbers = {row[1]: row[0] for row in came}
        for name, seed in files if came else ():
            self._is_stored((node, name_of(name)), numbers[name_of(name)], seed, kind)

    def _listed(self, node: str) -> tuple[set[tuple[int, bytes, bool]], set[tuple[int, bytes]]]:
        backups = {
            (row.id, row.name, row.state == ObjectState.ACTIVE) for row in self._rows(node, ObjectKind.BACKUP)
        }
        return backups, {(row.id, row.name) for row in self._rows(node, ObjectKind.ARCHIVE)}

    def _rows(self, node: str, kind: int) -> list:
        client = self.client(node)
        client.connection.send(QueryObjects(file_space=client.file_space, kind=kind, active_only=False))
        rows = []
        while True:
            frame, _ = client.connection.expect(Objects)
            rows += frame.rows
            if frame.last:
                return rows

    def _volumes_stand_as_set(self) -> None:
        now = self.world.access()
        doubted = self.model.broken | self._volumes_with_lost_records()
        self.model.access.update((name, "UNAVAILABLE") for name in doubted if now.get(name) == "UNAVAILABLE")
        wrong = self.model.wrong_access(now)
        assert not wrong, f"{wrong}: {self._last_lines}"
        self.model.access = {name: access for name, access in self.model.access.items() if name in now}
        self.model.broken &= set(now)

    def _volumes_with_lost_records(self) -> set[str]:
        """Virtual volumes of which TOKYO cannot prove every record: a challenge makes them UNAVAILABLE."""
        rows = [*self.world.placed("TARGETPOOL"), *self.world.placed(COPY_POOL)]
        away = {row for row in rows if row.volume_access == "UNAVAILABLE"}
        return {row.volume_name for row in away if not self.world.is_intact(row, True)}

    def _everything_restores(self) -> None:
        must = self.model.must_restore(self.world.reachable())
        for node in NODES:
            numbers = sorted(self.model.numbers_of(node))
            restored = self.client(node).read(numbers)
            wanted = {number: content(self.model.contents[number]) for number in numbers}
            for number in numbers:
                if number in restored.contents:
                    assert restored.contents[number] == wanted[number], (
                        f"object {number} is not what was stored"
                    )
                else:
                    assert number not in must, f"object {number} does not restore: {self.model.homes[number]}"

    def _catalogs_are_right(self) -> None:
        for server in (self.delhi, self.tokyo):
            with server.server.catalog.read() as r:
                assert list(audit.check_sums(r)) == [], server.name
                assert list(audit.check_row_digests(r)) == [], server.name
        self._figures_add_up()

    def _figures_add_up(self) -> None:
        """Over its volumes, and over the nodes: what a pool holds."""
        with self.delhi.server.catalog.read() as r:
            used = occupancy(r)
            for pool in nouns.select(r, StoragePool):
                shown, volumes = pool_figures(r, pool), nouns.select(r, Volume, pool_id=pool.id)
                assert shown.live_bytes == sum(volume_figures(r, one).live_bytes for one in volumes), (
                    pool.name
                )
                stored = sum(placements.volume_stored_bytes(r, one.id) for one in volumes)
                assert shown.stored_bytes == stored, pool.name
                rows = [row.physical_bytes for row in used if row.pool == pool.name]
                records = len(self.world.placed(pool.name))
                assert abs(sum(rows) - shown.live_bytes) <= len(rows) + records, pool.name

    # --- doing -------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        return self.world.clock.now_seconds()

    def client(self, node: str) -> NodeClient:
        if node not in self.clients:
            client = NodeClient(self.delhi.sign_on(node), node)
            client.register()
            self.clients[node] = client
        return self.clients[node]

    def _store(self, node: str, files: Sequence[tuple[int, int]], kind: int) -> None:
        numbers: dict[bytes, int] = {}

        def work() -> None:
            client = self.client(node)
            before = {row.id for row in self._rows(node, kind)}
            client.begin(kind=kind)
            contents = [content(seed) for _, seed in files]
            known = [one for one, is_known in zip(contents, client.known(contents), strict=True) if is_known]
            client.send_pack([(name_of(name), content(seed)) for name, seed in files], kind=kind, known=known)
            client.commit()
            numbers.update({row.name: row.id for row in self._rows(node, kind) if row.id not in before})

        if self._run(work):
            for name, seed in files:
                self._is_stored((node, name_of(name)), numbers[name_of(name)], seed, kind)
        else:
            self.may_come = (node, kind, list(files))

    def _is_stored(self, file: tuple[str, bytes], number: int, seed: int, kind: int) -> None:
        if kind == ObjectKind.BACKUP:
            self.model.stored(file, number, seed, self.now)
        else:
            self.model.archive(file, number, seed, self.now)
        self.model.homes[number] = self.world.survey()[number]
        homes = self.model.homes[number]
        reachable = homes.all & self.world.reachable() if self.world.link.is_up else homes.all
        assert reachable or homes.is_unnoticed, (
            f"object {number} was acknowledged and cannot be read: {homes}"
        )

    def _run(self, work: Callable[[], object]) -> bool:
        """Did it come to its end? Not where one of the servers was killed meanwhile."""
        if self.armed is None:
            work()
            return True
        of_target, at = self.armed
        self.armed = None
        self.world.kill_while(self.tokyo if of_target else self.delhi, at, work)
        self._forget_clients()
        return False

    def _command(self, command: str, *, plain: bool = False) -> int | None:
        """Its return code; None where a server was killed meanwhile. `plain`: nothing that is worth a kill."""
        codes: list[int] = []

        def work() -> None:
            codes.append(self.delhi.admin(command, allow=ANY_CODE).return_code)

        if plain:
            work()
            return codes[0]
        return codes[0] if self._run(work) else None

    def _must_work(self, code: int | None) -> None:
        """Nothing is wrong anywhere: then the command has no excuse."""
        if code is not None and self.model.is_whole and self.world.link.is_up:
            assert code in (0, 11), f"failed with {code}: {self._last_lines}"

    @property
    def _last_lines(self) -> list[str]:
        """What DELHI said last."""
        return [str(one) for one in self.delhi.lines.all[-12:]]

    def _broke_something(self) -> None:
        self.model.seen(self.world.survey())

    def _forget_clients(self) -> None:
        for client in self.clients.values():
            with contextlib.suppress(FarvaultError, OSError):
                client.close()
        self.clients.clear()

    def _names(self, pools: Sequence[str]) -> list[str]:
        return [name for pool in pools for name in sorted(one.name for one in self.world.volumes(pool))]

    def _volume(self, pools: Sequence[str], which: int) -> str:
        names = self._names(pools)
        return names[which % len(names)] if names else "NONE"

    def _objects_on(self, volume: str) -> set[int]:
        with self.delhi.server.catalog.read() as r:
            rows = r.all(
                "SELECT DISTINCT x.object_id FROM object_extents x JOIN extents e ON e.id = x.extent_id"
                " JOIN aggregates a ON a.first_extent_id <= e.id AND e.id < a.first_extent_id + a.extents"
                " JOIN placements p ON p.aggregate_id = a.id JOIN volumes v ON v.id = p.volume_id WHERE v.name = ?",
                (volume,),
            )
        return {row[0] for row in rows}

    def _objects_on_lost_places(self, pool: str) -> set[int]:
        lost = [row.aggregate_id for row in self.world.placed(pool) if row.is_lost]
        with self.delhi.server.catalog.read() as r:
            return set(users_of_aggregates(r, lost))


def name_of(number: int) -> bytes:
    return b"file%d" % number
