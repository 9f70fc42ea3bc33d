"""`farvault recover`: a server made anew on an empty machine from what its partner keeps.

Only three things are known: the partner's address, the node's password, the recovery code. Everything is read and proved
first; then the instance is built in a folder beside, its database restored by the same code as `server restore-db`; the
folder gets its name last. Broken off at any point it is simply run again; the folder asked for is as it was until then.
What can wait (reconciling, restoring local pools) is done by the server once it serves: `processes/recover.py`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from farvault.admin.device_configuration import (
    DeviceConfiguration,
    configuration_text,
    parse_device_configuration,
)
from farvault.admin.server_secrets import node_password_context
from farvault.admin.volume_history_file import parse_volume_history, volume_history_text
from farvault.apps.instance_folder import InstanceFolder, InstanceLock, Settings, check_new_folder
from farvault.apps.make_instance import catalog_path
from farvault.apps.partner import Found, Partner, newest_plans, proved
from farvault.apps.restore_database import Request, restore_database
from farvault.base.clock import Clock, SystemClock
from farvault.base.disk import crash_point, make_folder, sync_folder, write_file
from farvault.base.errors import BadInput, FarvaultError, LoginRefused, MediaFailed, NotFound, RecordDamaged
from farvault.base.messages import Message, message
from farvault.base.units import show_size, show_time
from farvault.catalog import lost_volumes, nouns
from farvault.catalog.catalog import Catalog
from farvault.catalog.settings import get_setting
from farvault.media.kept_volumes import KeptVolume
from farvault.model.device_class import SERVER, DeviceClass
from farvault.model.server import Server
from farvault.model.volume_history import DBSNAPSHOT, OWN_VOLUME, SERIES_TYPES, HistoryVolume
from farvault.policy.recovery_choice import Choice, choose
from farvault.policy.recovery_names import is_plan
from farvault.seal import recovery_plan
from farvault.seal.identity import Identity, same_fingerprint
from farvault.seal.keyring import Keyring
from farvault.seal.recovery_code import parse_code
from farvault.seal.recovery_plan import Plan

Say = Callable[[Message], None]
_STAND_IN: Final = "RECOVERY"
"""Name of the class and server where no plan tells the real ones."""


class Wanted(NamedTuple):
    """What was asked for. `plan_file`: use this plan instead of the partner's newest."""

    folder: str
    host: str
    port: int
    node: str
    password: str
    recovery_code: str
    fingerprint: str = ""
    preview: bool = False
    plan_file: str = ""
    data_port: int | None = None


class Recovered(NamedTuple):
    """How it ended."""

    server: str
    backup_time: int
    epoch: int


class _Source(NamedTuple):
    """What was read and proved. `rows`: database backups and plans at the partner, as a volume history has them."""

    keyring: Keyring
    identity: Identity
    wrapped_keyring: bytes
    server: str
    instance: str
    settings: Settings
    configuration: DeviceConfiguration
    partner: Server
    rows: list[HistoryVolume]
    choice: Choice


def recover(wanted: Wanted, say: Say, clock: Clock | None = None) -> Recovered | None:
    """None after a preview. Raises what kept it from being done; the folder is as it was then."""
    return _Recovery(wanted, say, clock or SystemClock()).run()


class _Recovery:
    def __init__(self, wanted: Wanted, say: Say, clock: Clock) -> None:
        self._wanted, self._say, self._clock = wanted, say, clock
        self._folder = InstanceFolder(wanted.folder)
        self._building = InstanceFolder(f"{self._folder.path}.recovering")
        self._address = f"{wanted.host}:{wanted.port}"
        self._fingerprint = ""

    def run(self) -> Recovered | None:
        began = time.monotonic()
        parse_code(self._wanted.recovery_code)  # a typing error is told before anything is asked
        self._check_folders()
        wanted = self._wanted
        partner = Partner(
            wanted.host, wanted.port, wanted.node, wanted.password, wanted.fingerprint, self._clock
        )
        try:
            source = self._read(partner)
        finally:
            partner.close()
        if wanted.preview:
            self._tell(source)
            return None
        done = self._build(source)
        self._say(
            message(
                "ANR4955I",
                server=done.server,
                folder=self._folder.path,
                time=show_time(done.backup_time),
                epoch=done.epoch,
                seconds=f"{time.monotonic() - began:.1f}",
            )
        )
        return done

    # --- reading and proving -----------------------------------------------------------------------------------

    def _read(self, partner: Partner) -> _Source:
        wanted = self._wanted
        self._say(message("ANR4948I", address=self._address, node=wanted.node))
        kept = partner.kept()
        there = [one for one in kept if not one.marked]
        if not there:
            marked = len(kept)
            raise NotFound("ANR4942E", address=self._address, node=wanted.node, marked=marked)
        self._fingerprint = partner.seen_fingerprint
        plan, found = self._plan(partner, kept)
        if plan is None:
            keyring, identity, wrapped = self._keys_of_a_backup(partner, there)
            settings, configuration, history = (
                Settings(),
                self._stand_in(keyring, there[0]),
                list[HistoryVolume](),
            )
            self._say(message("ANR4950W", address=self._address))
        else:
            keyring, identity = recovery_plan.open_keys(plan.keys, wanted.recovery_code)
            wrapped = plan.keys.wrapped_keyring
            settings = self._settings(plan)
            configuration = parse_device_configuration(
                plan.stanzas[recovery_plan.DEVICE_CONFIGURATION], keyring, recovery_plan.DEVICE_CONFIGURATION
            )
            history = parse_volume_history(
                plan.stanzas[recovery_plan.VOLUME_HISTORY], recovery_plan.VOLUME_HISTORY
            )
        server = self._partner_definition(configuration, keyring)
        classes = {c.name: c for c in configuration.classes.values() if c.server_name == server.name}
        rows, ends = self._rows(partner, there, history, classes, identity, found)
        backups = [row for row in rows if row.type in (*SERIES_TYPES, DBSNAPSHOT)]
        choice = choose(
            [
                *backups,
                *(row for row in history if row.type in (*SERIES_TYPES, DBSNAPSHOT) and row not in backups),
            ],
            {row.volume for row in backups},
        )
        if not choice.operations:
            raise NotFound("ANR4944E", address=self._address)
        if choice.unreachable:
            self._say(message("ANR4951W", count=choice.unreachable))
        name = configuration.server_name if plan else ends
        instance = plan.description.get("Instance", "") if plan else ""
        return _Source(
            keyring, identity, wrapped, name, instance, settings, configuration, server, rows, choice
        )

    def _plan(self, partner: Partner, kept: list[KeptVolume]) -> tuple[Plan | None, Found | None]:
        """The plan to use, proved. A damaged one at the partner is passed over for the one before it."""
        wanted = self._wanted
        if wanted.plan_file:
            return self._checked(_read_file(wanted.plan_file), wanted.plan_file), None
        problem: FarvaultError | None = None
        for one in newest_plans(kept):
            try:
                found = partner.look(one)
                keyring, _ = proved(found, wanted.recovery_code)
                return self._checked(partner.plan_bytes(found, keyring), one.name), found
            except RecordDamaged as error:
                self._say(
                    message("ANR4956W", volume=one.name, address=self._address, reason=error.message.text)
                )
                problem = problem or error
        if problem is not None and not any(not is_plan(_local(one)) for one in kept if not one.marked):
            raise problem
        return None, None

    def _checked(self, data: bytes, name: str) -> Plan:
        plan = recovery_plan.parse(data, name)
        own = plan.description.get("Server", "")
        _, identity = self._opened(plan, own)
        recovery_plan.prove(plan, identity.public_key_bytes, name)
        created = show_time(int(plan.description.get("Created", "0") or 0))
        self._say(message("ANR4949I", plan=name, time=created, server=own))
        return plan

    def _opened(self, plan: Plan, own: str) -> tuple[Keyring, Identity]:
        """A code that does not fit another server's plan is no typing error: say so."""
        try:
            return recovery_plan.open_keys(plan.keys, self._wanted.recovery_code)
        except BadInput:
            if self._wanted.plan_file and own.upper() != self._wanted.node.upper():
                raise BadInput("ANR4943E", found=own, node=self._wanted.node) from None
            raise

    def _keys_of_a_backup(self, partner: Partner, there: list[KeptVolume]) -> tuple[Keyring, Identity, bytes]:
        for one in sorted(there, key=lambda one: one.received_time, reverse=True):
            try:
                found = partner.look(one)
                keyring, identity = proved(found, self._wanted.recovery_code)
                return keyring, identity, found.end.wrapped_keyring
            except RecordDamaged as error:
                self._say(
                    message("ANR4956W", volume=one.name, address=self._address, reason=error.message.text)
                )
        raise NotFound("ANR4944E", address=self._address)

    def _stand_in(self, keyring: Keyring, kept: KeptVolume) -> DeviceConfiguration:
        """One class and one server, enough to read with."""
        wanted = self._wanted
        sealed = keyring.seal_secret(wanted.password.encode(), node_password_context(_STAND_IN))
        server = Server(
            name=_STAND_IN,
            high_level_address=wanted.host,
            low_level_address=wanted.port,
            node_name=wanted.node,
            sealed_node_password=sealed,
        )
        only = DeviceClass(
            name=_STAND_IN,
            device_type=SERVER,
            server_name=_STAND_IN,
            prefix=kept.name.partition(".")[0],
            max_capacity_bytes=1 << 40,
            mount_limit=2,
            retry_interval_seconds=30,
        )
        return DeviceConfiguration(wanted.node, {_STAND_IN: server}, {_STAND_IN: only})

    def _settings(self, plan: Plan) -> Settings:
        """The server's own; folders outside of the instance were the lost machine's."""
        try:
            settings = msgspec.toml.decode(plan.stanzas[recovery_plan.SERVER_OPTIONS], type=Settings)
        except msgspec.MsgspecError as reason:
            raise BadInput("ANR0901E", path=recovery_plan.SERVER_OPTIONS, reason=reason) from None
        changed: dict[str, object] = {}
        for name in ("catalog_folder", "log_folder", "volumes_folder"):
            old, new = getattr(settings, name), getattr(Settings(), name)
            if os.path.isabs(old) or old.startswith(".."):
                changed[name] = new
                self._say(message("ANR4953I", name=name, old=old, new=new))
        if self._wanted.data_port is not None:
            changed["data_port"] = self._wanted.data_port
        return msgspec.structs.replace(settings, **changed)

    def _partner_definition(self, configuration: DeviceConfiguration, keyring: Keyring) -> Server:
        """The definition of who answered, as it is reached now. Its certificate must be the one that is pinned."""
        wanted = self._wanted
        found = lost_volumes.partner_of(
            list(configuration.servers.values()),
            configuration.server_name,
            self._fingerprint,
            wanted.host,
            wanted.port,
            wanted.node,
        )
        if found is None:
            raise NotFound("ANR4946E", server=configuration.server_name, address=self._address)
        pinned = found.fingerprint
        if pinned and not wanted.fingerprint and not same_fingerprint(self._fingerprint, pinned):
            raise LoginRefused("ANR4945E", address=self._address, found=self._fingerprint, pinned=pinned)
        return msgspec.structs.replace(
            found,
            high_level_address=wanted.host,
            low_level_address=wanted.port,
            node_name=wanted.node,
            fingerprint=self._fingerprint,
            sealed_node_password=keyring.seal_secret(
                wanted.password.encode(), node_password_context(found.name)
            ),
        )

    def _rows(
        self,
        partner: Partner,
        there: list[KeptVolume],
        history: list[HistoryVolume],
        classes: dict[str, DeviceClass],
        identity: Identity,
        plan: Found | None,
    ) -> tuple[list[HistoryVolume], str]:
        """Entries whose volumes are at the partner: of the plan's history, and those that came after it.

        Returns them and the server's name as the newest volume tells it.
        """
        listed = [row for row in history if row.type in OWN_VOLUME and row.device_class in classes]
        by_name = {f"{classes[row.device_class].prefix}.{row.volume}": row for row in listed}
        odd = {row.volume for row in listed} - {_local(one) for one in there}
        if odd:  # names that an administrator gave
            there = [*there, *(one for one in partner.kept_of_names(odd) if not one.marked)]
        class_of = {one.prefix: one.name for one in classes.values()}
        rows, name = [], ""
        looked: dict[tuple[object, ...], list[Found]] = {}
        for one in there:
            if (row := by_name.get(one.name)) is not None:
                rows.append(row)
                continue
            try:
                found = plan if plan is not None and plan.kept == one else partner.look(one)
                if found.end.key != identity.public_key_bytes:
                    continue
            except RecordDamaged as error:
                self._say(
                    message("ANR4956W", volume=one.name, address=self._address, reason=error.message.text)
                )
                continue
            name = found.end.server
            looked.setdefault(found.end.operation_key, []).append(found)
        for volumes in looked.values():
            if not any(each.end.is_last for each in volumes):
                continue  # it was under way when the server was lost
            for each in volumes:
                prefix = each.kept.name.partition(".")[0]
                class_name = class_of.get(prefix, next(iter(class_of.values()), ""))
                rows.append(msgspec.structs.replace(each.row, device_class=class_name))
        return rows, name

    def _tell(self, source: _Source) -> None:
        volumes = source.choice.volumes
        last = volumes[-1]
        seconds = max(0, self._clock.now_seconds() - last.time)
        self._say(
            message(
                "ANR4952I",
                server=source.server,
                time=show_time(last.time),
                age=_age(seconds),
                series=last.series,
                operation=last.operation,
                volumes=len(volumes),
                size=show_size(sum(row.stored_bytes for row in volumes)),
            )
        )

    # --- building ----------------------------------------------------------------------------------------------

    def _build(self, source: _Source) -> Recovered:
        """Where it fails nothing is left of it; where it is killed the next try clears it away."""
        try:
            lock = self._begin()
            try:
                return self._build_in_folder(source, lock)
            except BaseException:
                shutil.rmtree(self._building.path, ignore_errors=True)
                raise
            finally:
                lock.release()
        except OSError as error:
            reason = error.strerror or error
            raise MediaFailed("ANR0905E", folder=self._building.path, reason=reason) from error

    def _build_in_folder(self, source: _Source, lock: InstanceLock) -> Recovered:
        building = self._building
        self._write_instance(source)
        last = source.choice.volumes[-1]
        request = Request(until=last.time, snapshot=source.choice.is_snapshot)
        lock.release()  # it takes the lock itself
        restored = restore_database(building.path, request, self._say, self._clock)
        assert restored is not None
        self._adapt(source)
        crash_point("recover.before_rename")
        self._give_name()
        crash_point("recover.after_rename")
        return Recovered(source.server, restored.backup_time, restored.epoch)

    def _check_folders(self) -> None:
        """What cannot be used in the end is refused at the beginning: the last step renames what was built to this name."""
        path, building = self._folder.path, self._building
        check_new_folder(self._folder)
        if os.path.islink(path) or os.path.ismount(path):
            raise BadInput("ANR4998E", folder=path)
        if (
            os.path.lexists(building.path)
            and not os.path.isdir(building.keys)
            and not _is_empty(building.path)
        ):
            raise BadInput("ANR4999E", folder=building.path)

    def _begin(self) -> InstanceLock:
        """What an earlier try left behind goes: nothing in it is needed."""
        building = self._building
        if os.path.isdir(building.path):
            InstanceLock(building).release()  # InUse where somebody is at work
            shutil.rmtree(building.path)
        building.make()
        os.chmod(building.keys, 0o700)
        return InstanceLock(building)

    def _write_instance(self, source: _Source) -> None:
        building, now = self._building, self._clock.now_seconds()
        identity = source.identity
        write_file(building.keyring_path, source.keyring.to_bytes())
        write_file(building.wrapped_keyring_path, source.wrapped_keyring)
        write_file(building.identity_path, identity.private_pem + identity.certificate_pem)
        write_file(building.console_path, secrets.token_hex(32).encode() + b"\n")
        crash_point("recover.keys_written")
        for inner in (source.settings.catalog_folder, source.settings.volumes_folder):
            make_folder(building.inside(inner))
        configuration = source.configuration
        servers = {**configuration.servers, source.partner.name: source.partner}
        text = configuration_text(source.server, servers.values(), configuration.classes.values())
        write_file(building.device_configuration_path, text.encode())
        chosen = {row.volume for row in source.choice.volumes}
        kept = [
            row for row in source.rows if row.volume in chosen or row.type not in (*SERIES_TYPES, DBSNAPSHOT)
        ]
        history = volume_history_text(kept, source.server, source.instance, now)
        write_file(building.volume_history_path, history.encode())
        building.write_settings(source.settings)
        crash_point("recover.instance_written")

    def _adapt(self, source: _Source) -> None:
        """The restored catalog learns where its partner is now, what burned, and that it is not whole yet."""
        building, wanted = self._building, self._wanted
        path = catalog_path(building, source.settings)
        catalog = Catalog.open(path, source.keyring.row_key(), self._clock)
        try:
            with catalog.write() as tx:
                server = lost_volumes.server_at(tx, self._fingerprint, wanted.host, wanted.port, wanted.node)
                own_name = get_setting(tx, "SERVERNAME") or ""
                if server is None:
                    raise NotFound("ANR4946E", server=own_name, address=self._address)
                sealed = source.keyring.seal_secret(
                    wanted.password.encode(), node_password_context(server.name)
                )
                node_name = "" if wanted.node.upper() == own_name.upper() else wanted.node
                changed = msgspec.structs.replace(
                    server,
                    high_level_address=wanted.host,
                    low_level_address=wanted.port,
                    node_name=server.node_name or node_name,
                    fingerprint=self._fingerprint,
                    sealed_node_password=sealed,
                    force_sync=True,
                )
                nouns.update(tx, changed)
                lost_volumes.rename_class(tx, _STAND_IN, server.name)
                lost = lost_volumes.mark_lost(tx, os.path.exists)
                lost_volumes.set_recovering(tx, True)
        finally:
            catalog.close()
        self._say(message("ANR4954I", lost=lost.volumes, pools=lost.pools))
        crash_point("recover.adapted")

    def _give_name(self) -> None:
        """From here on it is the server."""
        path = self._folder.path
        if os.path.isdir(path):
            os.rmdir(path)  # it was empty
        os.rename(self._building.path, path)
        sync_folder(os.path.dirname(path) or ".")


def _local(kept: KeptVolume) -> str:
    """Its name at the source: without PREFIX."""
    return kept.name.partition(".")[2]


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(recovery_plan.PLAN_MOST_BYTES + 1)
    except OSError as error:
        raise BadInput("ANR0999E", value=path, what="plan file", reason=error.strerror or error) from None


def _is_empty(path: str) -> bool:
    return os.path.isdir(path) and not os.listdir(path)


def _age(seconds: int) -> str:
    if seconds < 3600:
        return f"{seconds // 60} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f} days"
