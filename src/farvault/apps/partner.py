"""A partner seen from an empty machine: what it keeps of a node, read with nothing but the node's password.

No verification code is there, so the session only reads. Nothing that comes from the partner is believed before the
recovery code has opened the keys and these have proved the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from farvault import __version__
from farvault.base.clock import Clock
from farvault.base.errors import FarvaultError, MediaFailed, RecordDamaged
from farvault.media.kept_volumes import KeptVolume, kept_volumes
from farvault.media.server import ServerDevice
from farvault.media.target import DefinedTarget, TargetDefinition
from farvault.model.device_class import SERVER, DeviceClass
from farvault.model.volume_history import HistoryVolume
from farvault.policy.recovery_names import is_database, is_plan, plan_stamp
from farvault.seal import recovery_plan, volume_end
from farvault.seal.identity import Identity
from farvault.seal.keyring import Keyring
from farvault.seal.record import check
from farvault.seal.recovery_plan import PlanKeys
from farvault.seal.volume_end import VolumeEnd
from farvault.storage.history_reading import Place, read_contents, read_end_record, read_records


class Found(NamedTuple):
    """A volume outside of pools at the partner, with its end. `row`: as the volume history would have it."""

    kept: KeptVolume
    end: VolumeEnd
    record: bytes
    row: HistoryVolume


class Partner:
    """Reads what is there. `fingerprint`: empty = whoever answers; `seen_fingerprint` says who did."""

    def __init__(
        self, host: str, port: int, node: str, password: str, fingerprint: str, clock: Clock
    ) -> None:
        self.address = f"{host}:{port}"
        self._clock = clock
        self.seen_fingerprint = fingerprint
        definition = TargetDefinition(
            server_name=self.address,
            host=host,
            port=port,
            node_name=node,
            password=password,
            own_server_name=node,
            fingerprint=fingerprint,
        )
        self._target = DefinedTarget(
            self.address,
            lambda: definition,
            Identity.create(node),  # nobody: only told so that a server does not recover from itself
            pinned=self._pinned,
            code_registered=lambda: None,
            product_version=__version__,
        )
        self._devices: dict[str, ServerDevice] = {}

    def kept(self) -> list[KeptVolume]:
        """Plans and database backups, marked ones too."""
        session = self._target.open_session()
        try:
            return kept_volumes(session, lambda name: is_plan(name) or is_database(name))
        finally:
            session.close()

    def kept_of_names(self, names: set[str]) -> list[KeptVolume]:
        """Volumes of these names, whatever they look like."""
        session = self._target.open_session()
        try:
            return kept_volumes(session, lambda name: name in names)
        finally:
            session.close()

    def look(self, kept: KeptVolume) -> Found:
        """Read its end; nothing of it is proved yet. `RecordDamaged` where it has none: it may have been under way."""
        try:
            return self._look(kept)
        except MediaFailed as error:  # its last segment is no single record, or the partner has lost it
            name = kept.name.partition(".")[2]
            raise RecordDamaged("ANR4904E", volume=name, reason=error.message.text.rstrip(".")) from error

    def _look(self, kept: KeptVolume) -> Found:
        prefix, _, name = kept.name.partition(".")
        place = Place("", name, kept.last.offset_bytes + kept.last.stored_bytes, kept.last.stored_bytes)
        record = read_end_record(self._device(prefix), place)
        end = volume_end.parse_unproved(record)
        if end.volume != name:
            raise RecordDamaged("ANR4904E", volume=name, reason=f"it says it is {end.volume}")
        place = place._replace(digest=check(record).digest)
        row = HistoryVolume(
            time=end.time,
            type=end.type,
            series=end.series,
            operation=end.operation,
            sequence=end.sequence,
            volume=end.volume,
            records=len(end.lengths) // 4,
            stored_bytes=place.stored_bytes,
            end_bytes=place.end_bytes,
            digest=place.digest,
            contents=read_contents(self._device(prefix), place, end),
            epoch=end.epoch,
        )
        return Found(kept, end, record, row)

    def plan_bytes(self, found: Found, keyring: Keyring) -> bytes:
        """The text of a plan whose end was proved."""
        prefix, _, name = found.kept.name.partition(".")
        parts, size = list[bytes](), 0
        try:
            for part in read_records(self._device(prefix), name, found.end, keyring):
                parts.append(bytes(part))
                size += len(part)
                if size > recovery_plan.PLAN_MOST_BYTES:
                    raise RecordDamaged("ANR4940E", plan=name, reason="it is larger than any plan")
        except MediaFailed as error:
            raise RecordDamaged("ANR4940E", plan=name, reason=error.message.text.rstrip(".")) from error
        return b"".join(parts)

    def close(self) -> None:
        for device in self._devices.values():
            with contextlib.suppress(FarvaultError):
                device.close()

    def _pinned(self, fingerprint: str) -> None:
        self.seen_fingerprint = fingerprint

    def _device(self, prefix: str) -> ServerDevice:
        """A class that exists here only."""
        if prefix not in self._devices:
            definition = DeviceClass(
                name="RECOVERY",
                device_type=SERVER,
                server_name=self.address,
                prefix=prefix,
                max_capacity_bytes=1 << 40,
                mount_limit=1,
            )
            self._devices[prefix] = ServerDevice(definition, self._target, self._clock)
        return self._devices[prefix]


def keys_of(end: VolumeEnd) -> PlanKeys:
    """The keys that travel with every volume outside of pools."""
    return PlanKeys(end.key, end.wrapped_keyring, end.sealed_identity)


def newest_plans(kept: list[KeptVolume]) -> Iterator[KeptVolume]:
    """Plans that are not marked, the newest first."""
    plans = [one for one in kept if not one.marked and is_plan(one.name.partition(".")[2])]
    yield from sorted(plans, key=lambda one: (plan_stamp(one.name), one.name), reverse=True)


def proved(found: Found, recovery_code: str) -> tuple[Keyring, Identity]:
    """Open the keys of a volume and prove its end by them. `BadInput` for a wrong code, `RecordDamaged`."""
    keyring, identity = recovery_plan.open_keys(keys_of(found.end), recovery_code)
    volume_end.parse(found.record, identity.public_key_bytes)
    return keyring, identity
