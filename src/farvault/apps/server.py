"""One server: reads its folder, wires the parts together, runs until it is asked to stop.

Several servers may live in one process; each has its own parts and nothing is shared. Parts are started in the order
in which they need each other and stopped in the reverse one, so that every line said on the way reaches its sinks.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import traceback
from collections.abc import Iterable

from farvault import __version__
from farvault.admin.first_contact import set_back_check
from farvault.admin.instance import Instance
from farvault.admin.server_secrets import defined_target
from farvault.apps.activity_log import ActivityLog
from farvault.apps.database_switch import finish_or_give_up
from farvault.apps.housekeeping import (
    RECLAIM,
    TELL_DELETIONS,
    Housekeeping,
    look_at_clock,
    pieces,
    watch_pools,
)
from farvault.apps.instance_folder import LOCAL_ADMINISTRATOR, InstanceFolder, InstanceLock, Settings
from farvault.apps.make_instance import catalog_path
from farvault.apps.self_protection import SelfProtection
from farvault.apps.target_checks import TargetChecks
from farvault.base.clock import Clock, SystemClock
from farvault.base.errors import FarvaultError, LoginRefused
from farvault.base.log import Log, Sink
from farvault.base.messages import Message
from farvault.base.units import MIB
from farvault.catalog.catalog import Catalog
from farvault.catalog.roll_forward import LogPlace
from farvault.catalog.settings import get_setting
from farvault.media.interface import Device
from farvault.media.link_book import LinkBook
from farvault.media.server import ServerDevice
from farvault.media.target import DefinedTarget
from farvault.model.device_class import DeviceClass
from farvault.processes.migrate_when_due import MigrateWhenDue
from farvault.processes.process import Processes
from farvault.processes.reclaim import AfterDeletions
from farvault.protocol.throttle import Throttle
from farvault.seal.identity import Identity, fingerprint
from farvault.seal.keyring import Keyring
from farvault.sessions.accounts import Accounts
from farvault.sessions.dispatch import Dispatcher
from farvault.sessions.last_access import LastAccess
from farvault.storage.devices import Devices
from farvault.storage.history_volumes import delete_left_behind
from farvault.storage.storage import Storage
from farvault.storage.vault_volumes import give_up_unclosed
from farvault.transport.connection import Connection
from farvault.transport.heartbeat import STEADY
from farvault.transport.listen import Limits, Listener
from farvault.transport.session_table import SessionTable

_PROCESSES_END_SECONDS = 60.0
_ANSWERS_OUT_SECONDS = 2.0


class Server:
    """One instance folder at work. `start`, then `wait_until_asked`, then `stop`; a stopped one is not started again.

    `console`: an additional sink for its lines. `new_log`: begin a new recovery log, the old one is lost or does not
    belong to this catalog. Raises on `start` what keeps it from running; then nothing is left over.
    """

    def __init__(
        self, folder: str, *, console: Sink | None = None, clock: Clock | None = None, new_log: bool = False
    ) -> None:
        self.folder = InstanceFolder(folder)
        self.clock = clock or SystemClock()
        self.log = Log(self.clock)
        self.port = 0
        self.pulse = STEADY
        """Of its sessions with other servers, as source and as target."""
        self.links = LinkBook(self.clock)
        self._console = console
        self._new_log = new_log
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stops = contextlib.ExitStack()

    def start(self) -> None:
        """Returns when sessions are accepted."""
        with contextlib.ExitStack() as undo:
            self._start(undo)
            self._stops = undo.pop_all()

    def ask_to_stop(self) -> None:
        """What HALT, SIGTERM and SIGINT do. Returns at once; whoever waits in `wait_until_asked` stops the server."""
        self._asked.put(None)

    def wait_until_asked(self, timeout_seconds: float | None = None) -> bool:
        """True when somebody asked."""
        try:
            self._asked.get(timeout=timeout_seconds)
        except queue.Empty:
            return False
        self._asked.put(None)
        return True

    def stop(self) -> None:
        """Orderly: sessions are cut, processes cancelled, everything durable written. Fine when stopped already."""
        self._stops.close()

    @property
    def name(self) -> str:
        with self.catalog.read() as r:
            return get_setting(r, "SERVERNAME") or ""

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.identity.certificate_der)

    # --- start, in the order in which the parts need each other --------------------------------------------------

    def _start(self, undo: contextlib.ExitStack) -> None:
        if self._console is not None:
            self.log.add_sink(self._console)
        settings = self.folder.settings()
        lock = InstanceLock(self.folder)
        undo.callback(lock.release)
        self.log.say("ANR0917I", version=__version__, folder=self.folder.path, pid=os.getpid())
        for path, mode in self.folder.readable_secrets():
            self.log.say("ANR0902W", path=path, mode=mode)
        self._open_catalog(settings, undo)
        self._open_storage(settings, undo)
        self._open_sessions(settings, undo)
        lock.tell_port(self.port)
        undo.callback(self._end_work)
        self.self_protection.serving()
        self.log.say(
            "ANR0916I",
            server=self.name,
            address=settings.bind or "any address",
            port=self.port,
            fingerprint=self.fingerprint,
        )

    def _open_catalog(self, settings: Settings, undo: contextlib.ExitStack) -> None:
        self.keyring = Keyring.from_bytes(self.folder.read_secret(self.folder.keyring_path))
        self.identity = identity_of(self.folder)
        log = LogPlace(
            self.folder.inside(settings.log_folder), settings.log_capacity_mib * MIB, self._new_log
        )
        path = catalog_path(self.folder, settings)
        left = finish_or_give_up(path, self.folder.path, self.clock.now_seconds())
        notes = [left] if left is not None else []
        try:
            self.catalog = Catalog.open(path, self.keyring.row_key(), self.clock, log=log)
        except FarvaultError:
            self._repeat(notes)  # it is not said again at the next start
            raise
        undo.callback(self.catalog.close)
        self.last_access = LastAccess()
        activity_log = ActivityLog(self.catalog, self.log, self.last_access.write)
        activity_log.start()
        undo.callback(activity_log.stop)
        self.log.add_sink(activity_log)
        undo.callback(self.log.remove_sink, activity_log)
        self.log.settle = activity_log.settle
        self._repeat([*notes, *self.catalog.notes])
        undo.callback(lambda: self.log.say("ANR0991I", server=self.name))

    def _repeat(self, notes: Iterable[Message]) -> None:
        for note in notes:
            self.log.repeat(note)

    def _open_storage(self, settings: Settings, undo: contextlib.ExitStack) -> None:
        volumes = self.folder.inside(settings.volumes_folder)
        self.devices = Devices(self.catalog, volumes, self._server_device, self._wrap_device, self.clock)
        self.storage = Storage(self.catalog, self.keyring, self.identity, self.devices, self.log, self.clock)
        undo.callback(self.storage.close)
        with self.catalog.starting():
            self.storage.recover()
            give_up_unclosed(self.storage)
            look_at_clock(self.storage)
            delete_left_behind(self.storage, remote=False)
        self.processes = Processes(self.log, self.clock)
        self.self_protection = SelfProtection(
            self.folder, settings, self.storage, self.processes, self._target
        )
        self.database_backups = self.self_protection.database_backups
        migrate = MigrateWhenDue(self.storage, self.processes)
        parts = (self.catalog, self.storage, self.processes, self.clock)
        work = [*pieces(*parts, migrate), *TargetChecks(*parts, self._target).pieces()]
        work += self.self_protection.pieces
        self.housekeeping = Housekeeping(work, self.log, self.clock)
        self.self_protection.watch(self.housekeeping)
        watch_pools(self.storage, self.housekeeping, migrate)
        self.housekeeping.start()
        self.storage.tell_deleted = AfterDeletions(lambda: self.housekeeping.poke(RECLAIM))
        undo.callback(self.processes.close, _PROCESSES_END_SECONDS)
        undo.callback(self.self_protection.last_look)
        undo.callback(self.housekeeping.stop)

    def _open_sessions(self, settings: Settings, undo: contextlib.ExitStack) -> None:
        """The port is taken first, because the instance tells it; who connects meanwhile waits for the rest."""
        console = self.folder.console_secret()
        self.session_table = SessionTable(self.clock)
        ready = threading.Event()

        def serve(connection: Connection) -> None:
            ready.wait()
            dispatcher.serve(connection)

        listener = Listener(
            settings.bind,
            settings.data_port,
            self.identity,
            serve,
            Limits(max_sessions=settings.max_sessions),
            failed=self._connection_failed,
        )
        undo.callback(listener.close)
        self.port = listener.port
        self.instance = self._assemble()
        accounts = Accounts(
            self.catalog, self.keyring, self.clock, self.instance.availability, LOCAL_ADMINISTRATOR, console
        )
        throttle = Throttle(self.clock)
        dispatcher = Dispatcher(
            self.instance,
            accounts,
            throttle,
            self.last_access,
            lambda: self.name,
            most_of_a_source=max(settings.max_sessions // 2, 1),
            pulse=self.pulse,
        )
        ready.set()

    def _assemble(self) -> Instance:
        return Instance(
            folder=self.folder.path,
            data_port=self.port,
            product_version=__version__,
            started_time=self.clock.now_seconds(),
            catalog=self.catalog,
            storage=self.storage,
            processes=self.processes,
            database_backups=self.database_backups,
            recovery_plans=self.self_protection.plans,
            protection_files=self.self_protection.files,
            session_table=self.session_table,
            keyring=self.keyring,
            identity=self.identity,
            log=self.log,
            clock=self.clock,
            halt=self.ask_to_stop,
            target=self._target,
            links=self.links,
        )

    def _server_device(self, device_class: DeviceClass) -> Device:
        """Virtual volumes: nothing is dialled before the first use."""
        return ServerDevice(
            device_class,
            self._target(device_class.server_name),
            self.clock,
            self.log,
            self.links.of(device_class.server_name),
        )

    def _target(self, name: str) -> DefinedTarget:
        return defined_target(
            self.catalog,
            self.keyring,
            self.identity,
            name,
            __version__,
            signed_on=lambda: self._reached(name),
            is_set_back=set_back_check(self.catalog, self.clock, self.log, name),
            pulse=self.pulse,
            record=self.links.of(name),
        )

    def _reached(self, server_name: str) -> None:
        """A target has let us in: what it could not be told before can be told now."""
        self.last_access.server_reached(server_name, self.clock.now_seconds())
        if not self.storage.deletions.is_telling:
            self.housekeeping.poke(TELL_DELETIONS)

    def _wrap_device(self, device: Device) -> Device:
        """Tests put a throttle or faults around each device here."""
        return device

    # --- while it runs -------------------------------------------------------------------------------------------

    def _connection_failed(self, address: str, error: Exception) -> None:
        """A connection that did not come as far as a session, or a defect in the sign-on."""
        if isinstance(error, LoginRefused):
            self.log.repeat(error.message)
            return
        if isinstance(error, FarvaultError):
            self.log.say("ANR0440W", address=address, reason=error.message.text)
            return
        traceback.print_exception(error, file=sys.stderr)
        self.log.say("ANR9999D", place=f"connection from {address}", error=repr(error))

    def _end_work(self) -> None:
        """Processes are asked to end, and who said HALT is still being answered: a moment before sessions are cut."""
        for process in self.processes.list():
            process.cancel_event.set()
        self.devices.close()  # a target that is away is not waited for any longer
        moment = threading.Event()
        for _ in range(int(_ANSWERS_OUT_SECONDS / 0.02)):
            if all(entry.state == "IdleW" for entry in self.session_table.list() if entry.type == "Admin"):
                return
            moment.wait(0.02)


def identity_of(folder: InstanceFolder) -> Identity:
    """The identity file holds the private key first, then the certificate."""
    pem = folder.read_secret(folder.identity_path)
    begin = pem.find(b"-----BEGIN CERTIFICATE-----")
    return Identity.from_pem(pem[:begin], pem[begin:])
