"""What a server that was rebuilt does once it serves: partners, reconciling, local pools. Clients do not wait for it.

Each step can be repeated; the mark that the server is not whole goes only when all of them succeeded, so a server that is
stopped meanwhile goes on at its next start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from farvault.base.disk import crash_point
from farvault.base.errors import Cancelled, FarvaultError
from farvault.catalog import lost_volumes, nouns
from farvault.catalog.catalog import Catalog
from farvault.catalog.drm_settings import drm_setting
from farvault.media.target import Target
from farvault.model.device_class import SERVER, DeviceClass
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import DESTROYED, READWRITE, Volume
from farvault.processes.process import Process, Processes
from farvault.processes.reconcile_volumes import reconcile_volumes
from farvault.processes.restore_pool import restore_pool
from farvault.storage.storage import Storage

DESCRIPTION: Final = "RECOVERY"
PERIOD_SECONDS: Final = 60.0
"""A partner that does not take our code yet, or is away, is asked again so often."""


class RecoverRest:
    """A piece of housekeeping: starts the process where this server was rebuilt and is not whole yet."""

    def __init__(
        self,
        storage: Storage,
        processes: Processes,
        target: Callable[[str], Target],
    ) -> None:
        self._storage, self._processes, self._target = storage, processes, target

    def __call__(self) -> None:
        if not is_recovering(self._storage.catalog):
            return
        if self._processes.is_running(DESCRIPTION):
            return
        self._processes.start(DESCRIPTION, self._run)

    def _run(self, process: Process) -> None:
        process.say("ANR4957I", number=process.number)
        failed = self._reach_partners(process)
        if not failed:
            failed += self._try(process, lambda: self._reconcile(process))
        pools = self._pools()
        for pool in pools:
            failed += self._try(process, lambda pool=pool: self._restore(process, pool))  # type: ignore[misc]
        if failed:
            process.say("ANR4960W", failed=failed, seconds=int(PERIOD_SECONDS))
            return
        crash_point("recover.rest.before_done")
        with self._storage.catalog.write() as tx:
            lost_volumes.set_recovering(tx, False)
        process.say("ANR4959I", pools=len(pools))

    def _try(self, process: Process, step: Callable[[], None]) -> int:
        """1 where it failed; the others go on."""
        process.raise_if_cancelled()
        before = process.failed_objects
        try:
            step()
        except Cancelled:
            raise
        except FarvaultError as error:
            process.repeat(error.message)
            process.count_failed()
        return int(process.failed_objects > before)

    def _reach_partners(self, process: Process) -> int:
        """Each target once, so that it takes our verification code anew; how many do not let us write."""
        with self._storage.catalog.read() as r:
            names = sorted({one.server_name for one in nouns.select(r, DeviceClass, device_type=SERVER)})
        return sum(self._try(process, lambda name=name: self._reach(process, name)) for name in names)  # type: ignore[misc]

    def _reach(self, process: Process, name: str) -> None:
        session = self._target(name).open_session()
        try:
            if session.read_only:
                process.say("ANR4958W", server=name, seconds=int(PERIOD_SECONDS))
                process.count_failed()
        finally:
            session.close()
        self._storage.devices.forget()

    def _reconcile(self, process: Process) -> None:
        """Targets take deletions from us again only when our inventories agree."""
        crash_point("recover.rest.before_reconcile")
        reconcile_volumes(self._storage, process, self._target, "*", fix=True)

    def _pools(self) -> list[StoragePool]:
        """Primary pools that have lost volumes."""
        with self._storage.catalog.read() as r:
            lost = {volume.pool_id for volume in nouns.select(r, Volume, access=DESTROYED)}
            return [pool for pool in nouns.select(r, StoragePool) if pool.id in lost and not pool.is_copy]

    def _restore(self, process: Process, pool: StoragePool) -> None:
        crash_point("recover.rest.before_pool")
        if pool.is_random:
            self._replace_volumes(process, pool)
        restore_pool(self._storage, process, pool.name)

    def _replace_volumes(self, process: Process, pool: StoragePool) -> None:
        """A random-access pool has no scratch volumes: a new one for each lost, named as PREPARE names it."""
        with self._storage.catalog.read() as r:
            volumes = nouns.select(r, Volume, pool_id=pool.id)
            postfix = drm_setting(r, "DRMPLANVPOSTFIX")
        if any(volume.access == READWRITE for volume in volumes):
            return
        for volume in volumes:
            made = self._storage.life.define(
                pool, volume.name + postfix, capacity_bytes=volume.capacity_bytes
            )
            process.say("ANR2206I", volume=made.name, pool=pool.name, device_class=pool.device_class)


def is_recovering(catalog: Catalog) -> bool:
    with catalog.read() as r:
        return lost_volumes.is_recovering(r)
