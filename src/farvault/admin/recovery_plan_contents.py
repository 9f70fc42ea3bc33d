"""What stands in a recovery plan: the stanzas of the TSM reference (database 2.3), filled from the catalog.

Text for people and data for `farvault recover`. Macros are administrative commands that somebody may type; nothing runs
them by itself, and nothing in them is for a shell.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from farvault.admin.device_configuration import device_configuration_text
from farvault.admin.volume_history_file import volume_history_text
from farvault.base.clock import Clock
from farvault.base.units import show_size, show_time
from farvault.catalog import nouns, volume_history
from farvault.catalog.catalog import Catalog
from farvault.catalog.drm_settings import drm_pools, drm_setting, is_chosen
from farvault.catalog.epoch import epoch
from farvault.catalog.settings import get_setting
from farvault.catalog.transaction import Snapshot
from farvault.model.device_class import DISK, SERVER, DeviceClass
from farvault.model.server import Server
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.model.volume_history import DBSNAPSHOT, OWN_VOLUME, SERIES_TYPES, HistoryVolume
from farvault.processes.prepare import Composed, Request
from farvault.seal import recovery_plan
from farvault.seal.identity import Identity, fingerprint
from farvault.seal.keyring import Keyring

INSTRUCTIONS = ("GENERAL", "OFFSITE", "INSTALL", "DATABASE", "STGPOOL")
_INSTRUCTION_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PlanComposer:
    """Writes the text of a plan as the catalog is now."""

    folder: str
    settings_text: Callable[[], str]
    product_version: str
    catalog: Catalog
    keyring: Keyring
    identity: Identity
    wrapped_keyring: Callable[[], bytes]
    clock: Clock

    def __call__(self, request: Request, now: int) -> Composed:
        missing: list[str] = []
        with self.catalog.read() as r:
            server = get_setting(r, "SERVERNAME") or ""
            instance = get_setting(r, "INSTANCE_ID") or ""
            types = (DBSNAPSHOT,) if request.snapshot else SERIES_TYPES
            newest = volume_history.newest_operation(r, types)
            history = volume_history.rows(r, OWN_VOLUME)
            pools = _Pools.of(r, request)
            stanzas = {
                recovery_plan.DESCRIPTION: self._description(r, request, server, instance, newest, now),
                "SERVER.REQUIREMENTS": self._requirements(pools),
                **self._instructions(r, request, missing),
                "RECOVERY.VOLUMES.REQUIRED": _volumes_required(history, newest, pools),
                "RECOVERY.DEVICES.REQUIRED": _devices_required(r),
                "RECOVERY.SCRIPT.DISASTER.RECOVERY.MODE": _disaster_script(r, server),
                "RECOVERY.SCRIPT.NORMAL.MODE": _normal_script(pools),
                "COPYSTGPOOL.VOLUMES.AVAILABLE": _lines(
                    f"UPDATE VOLUME {_quoted(volume.name)} ACCESS=READONLY"
                    for pool, volume in pools.copies
                    if pools.is_remote(pool)
                ),
                "COPYSTGPOOL.VOLUMES.DESTROYED": _lines(
                    f"UPDATE VOLUME {_quoted(volume.name)} ACCESS=UNAVAILABLE"
                    for pool, volume in pools.copies
                    if not pools.is_remote(pool)
                ),
                "PRIMARY.VOLUMES.DESTROYED": _lines(
                    f"UPDATE VOLUME {_quoted(volume.name)} ACCESS=DESTROYED"
                    for pool, volume in pools.primaries
                    if not pools.is_remote(pool)
                ),
                "PRIMARY.VOLUMES.REPLACEMENT": _replacements(pools, drm_setting(r, "DRMPLANVPOSTFIX")),
                "STGPOOLS.RESTORE": _lines(
                    f"RESTORE STGPOOL {pool.name}"
                    for pool in pools.chosen_primaries
                    if not pools.is_remote(pool)
                ),
                recovery_plan.VOLUME_HISTORY: volume_history_text(history, server, instance, now),
                recovery_plan.DEVICE_CONFIGURATION: device_configuration_text(r),
                recovery_plan.SERVER_OPTIONS: self.settings_text(),
            }
        wrapped = self.wrapped_keyring()
        text = recovery_plan.compose(stanzas, self.identity, self.keyring, wrapped)
        series = (
            f"series {newest[0].series}, operation {newest[0].operation}" if newest else "no database backup"
        )
        return Composed(text, server, wrapped, bool(newest), series, missing)

    def _description(
        self, r: Snapshot, request: Request, server: str, instance: str, newest: list[HistoryVolume], now: int
    ) -> str:
        last = newest[0] if newest else None
        lines = {
            "Server": server,
            "Instance": instance,
            "Version": self.product_version,
            "Identity": fingerprint(self.identity.certificate_der),
            "Created": str(now),
            "Created Date/Time": show_time(now),
            "Command": request.command,
            "Source": "DBSNAPSHOT" if request.snapshot else "DBBACKUP",
            "Backup Series": str(last.series) if last else "none",
            "Backup Operation": str(last.operation) if last else "none",
            "Backup Date/Time": show_time(last.time) if last else "none",
            "Catalog Epoch": str(epoch(r)),
            "Instance Folder": self.folder,
        }
        return _lines(f"{name}: {value}" for name, value in lines.items())

    def _requirements(self, pools: _Pools) -> str:
        figures = self.catalog.figures()
        local = sum(volume.written_bytes for pool, volume in pools.primaries if not pools.is_remote(pool))
        return _lines(
            [
                f"Database: {show_size(figures.pages * figures.page_bytes)}",
                f"LOGMODE: {self.catalog.log_mode}; recovery log in {self.catalog.log_folder}",
                f"Local primary pools: {show_size(local)} on volumes",
                f"Instance folder: {self.folder}",
            ]
        )

    def _instructions(self, r: Snapshot, request: Request, missing: list[str]) -> dict[str, str]:
        """The site's own text, one file a stanza; a missing one leaves its stanza empty."""
        prefix = request.instruction_prefix or drm_setting(r, "DRMINSTRPREFIX")
        prefix = os.path.join(self.folder, prefix) if prefix else f"{self.folder}/"
        found = {}
        for word in INSTRUCTIONS:
            name = f"RECOVERY.INSTRUCTIONS.{word}"
            path = prefix + name if prefix.endswith("/") else f"{prefix}.{name}"
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    found[name] = file.read(_INSTRUCTION_BYTES)
            except OSError:
                found[name] = ""
                if request.instruction_prefix or drm_setting(r, "DRMINSTRPREFIX"):
                    missing.append(path)
        return found


@dataclass(frozen=True, slots=True)
class _Pools:
    """Pools and volumes the plan speaks of."""

    classes: dict[str, DeviceClass]
    chosen_primaries: list[StoragePool]
    primaries: list[tuple[StoragePool, Volume]]
    copies: list[tuple[StoragePool, Volume]]

    @classmethod
    def of(cls, r: Snapshot, request: Request) -> _Pools:
        primary = drm_pools(r, "DRMPRIMSTGPOOL", request.primary_pools)
        copy = drm_pools(r, "DRMCOPYSTGPOOL", request.copy_pools)
        pools = nouns.select(r, StoragePool)
        chosen = [pool for pool in pools if is_chosen(pool.name, copy if pool.is_copy else primary)]
        by_id = {pool.id: pool for pool in chosen}
        volumes = [(by_id[one.pool_id], one) for one in nouns.select(r, Volume) if one.pool_id in by_id]
        return cls(
            {one.name: one for one in nouns.select(r, DeviceClass)},
            [pool for pool in chosen if not pool.is_copy],
            [(pool, volume) for pool, volume in volumes if not pool.is_copy],
            [(pool, volume) for pool, volume in volumes if pool.is_copy],
        )

    def is_remote(self, pool: StoragePool) -> bool:
        return self.classes[pool.device_class].device_type == SERVER


def _volumes_required(history: list[HistoryVolume], newest: list[HistoryVolume], pools: _Pools) -> str:
    """Database backup first, then copies: each with its class, and its state for movable media."""
    types = {row.type for row in newest} and ((DBSNAPSHOT,) if newest[0].type == DBSNAPSHOT else SERIES_TYPES)
    lines = ["Database backup:"]
    for row in history:
        if newest and row.type in types and row.series == newest[0].series:
            lines.append(
                f"  {row.volume} (class {row.device_class}, {row.type}, operation {row.operation},"
                f" volume {row.sequence}) {row.location}".rstrip()
            )
    lines.append("Copy pools, and primary pools kept by other servers:")
    for pool, volume in [*pools.copies, *((p, v) for p, v in pools.primaries if pools.is_remote(p))]:
        where = (
            f"at server {pools.classes[pool.device_class].server_name}"
            if pools.is_remote(pool)
            else volume.location
        )
        lines.append(f"  {volume.name} (pool {pool.name}, class {pool.device_class}) {where}".rstrip())
    return _lines(lines)


def _devices_required(r: Snapshot) -> str:
    return _lines(
        f"{one.name}: {one.device_type}"
        + (f" at server {one.server_name}" if one.device_type == SERVER else f" {one.directory}")
        for one in nouns.select(r, DeviceClass)
        if one.device_type != DISK
    )


def _disaster_script(r: Snapshot, server: str) -> str:
    """One command for each target that could be asked."""
    lines = ["On an empty machine, with the node's password and the recovery code at hand, one of:"]
    for one in nouns.select(r, Server):
        if one.is_target:
            address = f"{one.high_level_address}:{one.low_level_address}"
            pin = f" --fingerprint {one.fingerprint}" if one.fingerprint else ""
            lines.append(f"  farvault recover FOLDER --from {address} --node {one.node_name or server}{pin}")
    lines.append("Add --plan FILE to use this file instead of the newest plan at the partner.")
    return _lines(lines)


def _normal_script(pools: _Pools) -> str:
    return _lines(
        [
            "farvault recover goes on with these by itself; otherwise, in this order:",
            "  RECONCILE VOLUMES * FIX=YES",
            *(f"  RESTORE STGPOOL {one.name}" for one in pools.chosen_primaries if not pools.is_remote(one)),
            "  BACKUP DB TYPE=FULL",
            "  PREPARE",
        ]
    )


def _replacements(pools: _Pools, postfix: str) -> str:
    return _lines(
        f"DEFINE VOLUME {pool.name} {_quoted(volume.name + postfix)} FORMATSIZE={volume.capacity_bytes >> 20}"
        for pool, volume in pools.primaries
        if pool.is_random
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)
