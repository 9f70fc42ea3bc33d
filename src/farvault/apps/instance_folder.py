"""The folder of one server: what lies where, its settings file, its keys, and the lock that lets only one server use it.

farvault.toml     settings an administrator may edit; written last by init, so its presence means "complete"
server.lock       held by the running server; its text is "process-id port"
keys/             keyring, keyring.wrapped, server.pem (identity), console (local administrator's secret): mode 0600
catalog/          the catalog
log/              the recovery log (`log_folder`), where LOGMODE is ROLLFORWARD: put it on another disk
volhist.out       volume history and
devconfig.out     device configuration in the clear: what restoring the database reads when there is none
volumes/          volume files of device classes that name no folder of their own
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import stat

import msgspec

from farvault.base.disk import make_folder, write_file
from farvault.base.errors import AlreadyExists, BadInput, InUse, MediaFailed, NotFound

LOCAL_ADMINISTRATOR = "SERVER_CONSOLE"
"""Who signs on with the secret in keys/console."""


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """What `farvault.toml` may say. Folders and files are taken from the instance folder where they are relative.

    `volumehistory`, `devconfig`: further copies of these files, on other disks.
    """

    data_port: int = 1500
    http_port: int = 1580
    bind: str = "127.0.0.1"
    catalog_folder: str = "catalog"
    volumes_folder: str = "volumes"
    log_folder: str = "log"
    log_capacity_mib: int = 1024
    max_sessions: int = 200
    volumehistory: tuple[str, ...] = ()
    devconfig: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, port in (("data_port", self.data_port), ("http_port", self.http_port)):
            if not 0 <= port <= 65535:
                raise ValueError(f"{name} is a number from 0 to 65535")
        if self.log_capacity_mib < 16:
            raise ValueError("log_capacity_mib is at least 16")
        if self.max_sessions < 1:
            raise ValueError("max_sessions is at least 1")


class InstanceFolder:
    """Paths and small files of one instance. Reading needs no running server and no catalog."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.settings_path = f"{self.path}/farvault.toml"
        self.lock_path = f"{self.path}/server.lock"
        self.keys = f"{self.path}/keys"
        self.keyring_path = f"{self.keys}/keyring"
        self.wrapped_keyring_path = f"{self.keys}/keyring.wrapped"
        self.identity_path = f"{self.keys}/server.pem"
        self.console_path = f"{self.keys}/console"
        self.volume_history_path = f"{self.path}/volhist.out"
        self.device_configuration_path = f"{self.path}/devconfig.out"

    @property
    def is_complete(self) -> bool:
        return os.path.isfile(self.settings_path)

    @property
    def is_unfinished(self) -> bool:
        """An init stopped in the middle: keys are there, settings are not."""
        return os.path.isdir(self.keys) and not self.is_complete

    def settings(self) -> Settings:
        """Raises `NotFound` where no server is, `BadInput` with the place of the mistake."""
        if self.is_unfinished:
            raise NotFound("ANR0996E", folder=self.path)
        try:
            with open(self.settings_path, "rb") as file:
                return msgspec.toml.decode(file.read(), type=Settings)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound("ANR0994E", folder=self.path) from None
        except OSError as problem:
            raise MediaFailed("ANR0906E", path=self.settings_path, reason=problem.strerror) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as reason:
            raise BadInput("ANR0901E", path=self.settings_path, reason=reason) from None

    def settings_text(self) -> str:
        """The settings file as it is."""
        with open(self.settings_path, encoding="utf-8") as file:
            return file.read()

    def write_settings(self, settings: Settings) -> None:
        lines = [f"{name} = {_toml_value(value)}" for name, value in msgspec.structs.asdict(settings).items()]
        heading = "# Settings of this Farvault server; read when it starts."
        write_file(self.settings_path, "\n".join([heading, *lines, ""]).encode())

    def make(self) -> None:
        """The folder itself and the one of the keys: from now on an init that stops leaves a trace."""
        make_folder(self.keys)

    def inside(self, folder: str) -> str:
        """A settings folder as an absolute path."""
        return os.path.join(self.path, folder)

    def read_secret(self, path: str) -> bytes:
        """A key file; `NotFound` where it is missing, `MediaFailed` where it cannot be read."""
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise NotFound("ANR0903E", path=path) from None
        except OSError as problem:
            raise MediaFailed("ANR0906E", path=path, reason=problem.strerror) from None

    def readable_secrets(self) -> list[tuple[str, str]]:
        """(path, mode) of key files that others may read."""
        found = []
        for path in (self.keyring_path, self.identity_path, self.console_path):
            mode = stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else 0o600
            if mode & 0o077:
                found.append((path, f"{mode:04o}"))
        return found

    def console_secret(self) -> str:
        """The local administrator's password: who can read this file may administer the server."""
        return self.read_secret(self.console_path).decode().strip()

    def fingerprint(self) -> str:
        """SHA-256 of the server's certificate, as `AA:BB:...`, without loading any cryptography."""
        pem = self.read_secret(self.identity_path).decode()
        body = pem.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END CERTIFICATE-----")[0]
        return ":".join(f"{byte:02X}" for byte in hashlib.sha256(base64.b64decode(body)).digest())

    def running_port(self) -> int:
        """The port of the running server (it may have been given by the system); else the one of the settings."""
        try:
            with open(self.lock_path) as file:
                words = file.read().split()
            return int(words[1])
        except (FileNotFoundError, IndexError, ValueError):
            return self.settings().data_port


def _toml_value(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(one) for one in value) + "]"
    if isinstance(value, int):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class InstanceLock:
    """flock on `server.lock`, held as long as the server lives; the kernel lets go of it when the process dies."""

    def __init__(self, folder: InstanceFolder) -> None:
        """Raises `InUse` with the other server's process id."""
        self._descriptor = os.open(folder.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 64, 0).split()
            os.close(self._descriptor)
            raise InUse(
                "ANR0998E", folder=folder.path, pid=holder[0].decode() if holder else "unknown"
            ) from None
        self.tell_port(0)

    def tell_port(self, port: int) -> None:
        """Write who holds the lock and where it listens; port 0 = not yet."""
        text = f"{os.getpid()} {port}\n" if port else f"{os.getpid()}\n"
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)

    def release(self) -> None:
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1


def check_new_folder(folder: InstanceFolder) -> None:
    """An instance is made only in a folder that is empty or not there; each other state has its own message."""
    if folder.is_complete:
        raise AlreadyExists("ANR0997E", folder=folder.path)
    if folder.is_unfinished:
        raise AlreadyExists("ANR0996E", folder=folder.path)
    if os.path.exists(folder.path) and (not os.path.isdir(folder.path) or os.listdir(folder.path)):
        raise AlreadyExists("ANR0995E", folder=folder.path)
