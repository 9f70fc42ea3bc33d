"""What a fresh server is born with, so that it can take a backup at once (decision 5).

TSM's STANDARD policy, BACKUPPOOL and ARCHIVEPOOL on DISK without volumes, and behind both FILEPOOL, which makes its
own volume files. The administrator ADMIN has SYSTEM privilege and, unless a password is given, cannot sign on yet.
"""

from __future__ import annotations

from typing import Any, TypeVar

from farvault.catalog import nouns
from farvault.catalog.settings import set_setting
from farvault.catalog.transaction import Transaction
from farvault.model import device_class, policy, storage_pool
from farvault.model.administrator import Administrator
from farvault.model.attribute import REQUIRED, Noun, attributes
from farvault.model.device_class import DeviceClass
from farvault.model.policy import ARCHIVE, BACKUP, STANDARD, CopyGroup, Domain, ManagementClass, PolicySet
from farvault.model.storage_pool import StoragePool

FILE_POOL_SCRATCH_VOLUMES = 1_000_000
"""FILEPOOL may grow until the disk is full: the disk is its limit, not a count."""
_BY = "SERVER_INIT"
AnyNoun = TypeVar("AnyNoun", bound=Noun)


def make_first_definitions(
    tx: Transaction, *, server_name: str, instance_id: str, administrator: str, verifier: str, now: int
) -> None:
    """Everything in one transaction: an init that stops before its end leaves an empty catalog."""
    for name, value in (
        ("SERVERNAME", server_name),
        ("INSTANCE_ID", instance_id),
        ("INSTALLED", str(now)),
        ("EPOCH", "1"),
    ):
        set_setting(tx, name, value)
    _make_pools(tx)
    _make_policy(tx, now)
    nouns.insert(
        tx,
        Administrator(
            name=administrator,
            classes=("SYSTEM",),
            password_verifier=verifier,
            password_set_time=now if verifier else 0,
            registered_time=now,
            registering_administrator=_BY,
        ),
    )


def _make_pools(tx: Transaction) -> None:
    if nouns.find(tx, DeviceClass, "DISK") is None:
        nouns.insert(tx, _made(DeviceClass, device_class.DISK, name="DISK", device_type=device_class.DISK))
    nouns.insert(tx, _made(DeviceClass, device_class.FILE, name="FILEDEV", device_type=device_class.FILE))
    sequential = storage_pool.SEQUENTIAL
    nouns.insert(
        tx,
        _made(
            StoragePool,
            sequential,
            name="FILEPOOL",
            device_class="FILEDEV",
            variant=sequential,
            description="Makes its own volume files",
            max_scratch=FILE_POOL_SCRATCH_VOLUMES,
        ),
    )
    for name in ("BACKUPPOOL", "ARCHIVEPOOL"):
        random = storage_pool.RANDOM
        nouns.insert(
            tx,
            _made(StoragePool, random, name=name, device_class="DISK", variant=random, next_pool="FILEPOOL"),
        )


def _make_policy(tx: Transaction, now: int) -> None:
    """The set STANDARD and its copy ACTIVE, as ACTIVATE POLICYSET would leave them."""
    nouns.insert(
        tx,
        _made(
            Domain,
            name=STANDARD,
            description="Installed default policy domain",
            activated_set=STANDARD,
            activated_time=now,
            updated_time=now,
            updated_by=_BY,
        ),
    )
    stamp: dict[str, Any] = {"updated_time": now, "updated_by": _BY}
    for policy_set in (STANDARD, policy.ACTIVE):
        place: dict[str, Any] = {"domain": STANDARD, "policy_set": policy_set}
        nouns.insert(
            tx,
            _made(
                PolicySet,
                domain=STANDARD,
                name=policy_set,
                default_class=STANDARD,
                description="Installed default policy set",
                **stamp,
            ),
        )
        nouns.insert(
            tx,
            _made(
                ManagementClass,
                name=STANDARD,
                description="Installed default management class",
                **place,
                **stamp,
            ),
        )
        for kind, pool in ((BACKUP, "BACKUPPOOL"), (ARCHIVE, "ARCHIVEPOOL")):
            nouns.insert(
                tx,
                _made(
                    CopyGroup, kind, management_class=STANDARD, type=kind, destination=pool, **place, **stamp
                ),
            )


def _made(noun: type[AnyNoun], variant: str = "", /, **given: Any) -> AnyNoun:
    """A noun as DEFINE would make it: what is not given has the default of its variant."""
    values: dict[str, Any] = {}
    for field, attribute in attributes(noun).items():
        if attribute.applies_to(variant) and attribute.default_for(variant) is not REQUIRED:
            values[field] = attribute.default_for(variant)
    return noun(**{**values, **given})
