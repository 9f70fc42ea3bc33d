"""What a rebuilt server does not have any more: volumes on the machine that is gone, and how its partner is reached now."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from farvault.catalog import nouns, volume_history
from farvault.catalog.settings import get_setting, set_setting
from farvault.catalog.transaction import Snapshot, Transaction
from farvault.model.device_class import SERVER, DeviceClass
from farvault.model.server import Server
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import DESTROYED, UNAVAILABLE, Volume
from farvault.model.volume_history import OWN_VOLUME

_RECOVERING = "RECOVERING"


class Lost(NamedTuple):
    """How many volumes, and of how many pools."""

    volumes: int
    pools: int


def mark_lost(tx: Transaction, is_there: Callable[[str], bool]) -> Lost:
    """Volumes whose file is gone: DESTROYED in primary pools, UNAVAILABLE in copy pools."""
    classes = {one.name: one for one in nouns.select(tx, DeviceClass)}
    volumes, pools = 0, set[int]()
    for pool in nouns.select(tx, StoragePool):
        if classes[pool.device_class].device_type == SERVER:
            continue
        access = UNAVAILABLE if pool.is_copy else DESTROYED
        for volume in nouns.select(tx, Volume, pool_id=pool.id):
            if not is_there(volume.name):
                nouns.update(tx, msgspec.structs.replace(volume, access=access))
                volumes += 1
                pools.add(pool.id)
    return Lost(volumes, len(pools))


def server_at(r: Snapshot, fingerprint: str, host: str, port: int, node: str) -> Server | None:
    """The target that was reached: by certificate, else by address, else the only one with this node name."""
    own_name = get_setting(r, "SERVERNAME") or ""
    return partner_of(nouns.select(r, Server), own_name, fingerprint, host, port, node)


def partner_of(
    servers: list[Server], own_name: str, fingerprint: str, host: str, port: int, node: str
) -> Server | None:
    """The same among these definitions."""
    targets = [one for one in servers if one.is_target]
    for found in (
        [one for one in targets if one.fingerprint and one.fingerprint == fingerprint],
        [one for one in targets if (one.high_level_address, one.low_level_address) == (host, port)],
        [one for one in targets if (one.node_name or own_name).upper() == node.upper()],
    ):
        if len(found) == 1:
            return found[0]
    return None


def rename_class(tx: Transaction, old: str, server_name: str) -> None:
    """Entries of the volume history that were found without their class get the one that reaches this server."""
    found = [one.name for one in nouns.select(tx, DeviceClass, server_name=server_name)]
    for row in volume_history.rows(tx, OWN_VOLUME):
        if row.device_class == old and found:
            nouns.update(tx, msgspec.structs.replace(row, device_class=found[0]))


def is_recovering(r: Snapshot) -> bool:
    """Was this server rebuilt, and is not whole again yet?"""
    return get_setting(r, _RECOVERING) == "YES"


def set_recovering(tx: Transaction, on: bool) -> None:
    set_setting(tx, _RECOVERING, "YES" if on else "NO")


def begin_anew_with_targets(tx: Transaction) -> None:
    """Once it serves, the server shows its code to every target anew, and both compare what they have."""
    for server in nouns.select(tx, Server):
        if server.is_target:
            nouns.update(tx, msgspec.structs.replace(server, force_sync=True))
    set_recovering(tx, True)
