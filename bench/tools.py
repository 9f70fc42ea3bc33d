"""The programs compared: each knows how to take a first backup, an unchanged one, verify, restore (and vault)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Protocol

from bench.measure import Figure, folder_bytes, run
from farvault.transport.ports import unused_port

PASSWORD = "bench-password-1"


class Tool(Protocol):
    """One program under test, on one corpus, in one scratch folder."""

    name: str

    def steps(self, corpus: str) -> Iterator[tuple[str, Figure, int]]:
        """(step, figure, stored bytes or 0) in order: first, unchanged, verify, restore, ..."""
        ...

    def close(self) -> None:
        """Stop what was started."""
        ...


def installed() -> list[str]:
    """Tools that can run here."""
    found = ["farvault"]
    if shutil.which("restic") and shutil.which("rclone"):
        found.append("restic")
    return found + [name for name in ("borg", "rclone") if shutil.which(name)]


class Farvault:
    """Client and server over TLS, then BACKUP STGPOOL to a second server."""

    name = "farvault"

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "XDG_CONFIG_HOME": f"{folder}/config",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.servers: dict[str, subprocess.Popen[bytes]] = {}
        self.ports: dict[str, int] = {}
        for name in ("delhi", "tokyo"):
            self._start(name)
        for command in (
            f"define devclass vaultclass devtype=file directory={folder}/vault",
            "define stgpool vaultpool vaultclass maxscratch=1000",
            "update copygroup standard standard standard type=archive destination=vaultpool",
            "activate policyset standard standard",
            f"register node delhi {PASSWORD} type=server",
        ):
            self._admin("tokyo", command)
        for command in (
            f"define devclass tapeclass devtype=file directory={folder}/tapes",
            "define stgpool tapepool tapeclass maxscratch=1000",
            "update copygroup standard standard standard type=backup destination=tapepool",
            "activate policyset standard standard",
            f"register node bench {PASSWORD}",
            f"define server tokyo password={PASSWORD} hladdress=127.0.0.1 lladdress={self.ports['tokyo']}",
            "define devclass targetclass devtype=server servername=tokyo maxcapacity=10g",
            "define stgpool targetcopypool targetclass pooltype=copy maxscratch=1000",
        ):
            self._admin("delhi", command)

    def steps(self, corpus: str) -> Iterator[tuple[str, Figure, int]]:
        restored = f"{self.folder}/restored"
        yield (
            "first",
            self._client("incremental", f"{corpus}/", "-subdir=yes"),
            folder_bytes(f"{self.folder}/tapes"),
        )
        yield "unchanged", self._client("incremental", f"{corpus}/", "-subdir=yes"), 0
        yield "verify", self._admin("delhi", "audit volume stgpool=tapepool wait=yes"), 0
        os.makedirs(restored)
        yield (
            "restore",
            self._client("restore", f"{corpus}/*", f"{restored}/", "-subdir=yes", "-replace=all"),
            0,
        )
        shutil.rmtree(restored)
        vault = self._admin("delhi", "backup stgpool tapepool targetcopypool wait=yes")
        yield "vault", vault, folder_bytes(f"{self.folder}/vault")

    def close(self) -> None:
        for process in self.servers.values():
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    def _start(self, name: str) -> None:
        port = self.ports[name] = unused_port()
        run(
            [
                sys.executable,
                "-m",
                "farvault",
                "server",
                "init",
                f"{self.folder}/{name}",
                "--name",
                name.upper(),
                "--data-port",
                str(port),
            ],
            environment=self.environment,
        )
        log = f"{self.folder}/{name}.log"
        with open(log, "wb") as output:
            self.servers[name] = subprocess.Popen(
                [sys.executable, "-m", "farvault", "server", "run", f"{self.folder}/{name}"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
            )
        _wait_for_text(log, b"ANR0916I")

    def _pids(self) -> list[int]:
        return [process.pid for process in self.servers.values()]

    def _admin(self, server: str, command: str) -> Figure:
        words = [
            sys.executable,
            "-m",
            "farvault",
            "admin",
            f"-instance={self.folder}/{server}",
            "-dataonly=yes",
            "-noconfirm",
            command,
        ]
        return run(words, servers=self._pids(), environment=self.environment)

    def _client(self, command: str, *words: str) -> Figure:
        options = [f"-servername=127.0.0.1:{self.ports['delhi']}", "-nodename=bench", f"-password={PASSWORD}"]
        return run(
            [sys.executable, "-m", "farvault", "client", command, *options, *words],
            servers=self._pids(),
            environment=self.environment,
        )


class Restic:
    """restic through `rclone serve restic`: client and server, as Farvault has them."""

    name = "restic"

    def __init__(self, folder: str) -> None:
        self.folder = folder
        port = unused_port()
        self.environment = {
            **os.environ,
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_REPOSITORY": f"rest:http://127.0.0.1:{port}/",
            "RESTIC_CACHE_DIR": f"{folder}/cache",
            "RCLONE_CONFIG": f"{folder}/rclone.conf",
        }
        os.makedirs(f"{folder}/repository")
        log = f"{folder}/rclone.log"
        with open(log, "wb") as output:
            self.server = subprocess.Popen(
                ["rclone", "serve", "restic", "-v", "--addr", f"127.0.0.1:{port}", f"{folder}/repository"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
            )
        _wait_for_text(log, b"Serving restic")
        self._run("init", "--repository-version", "2")

    def steps(self, corpus: str) -> Iterator[tuple[str, Figure, int]]:
        restored = f"{self.folder}/restored"
        yield "first", self._run("backup", corpus), folder_bytes(f"{self.folder}/repository")
        yield "unchanged", self._run("backup", corpus), 0
        yield "verify", self._run("check", "--read-data"), 0
        yield "restore", self._run("restore", "latest", "--target", restored), 0
        shutil.rmtree(restored)

    def close(self) -> None:
        self.server.send_signal(signal.SIGTERM)
        self.server.wait(30)

    def _run(self, *words: str) -> Figure:
        return run(["restic", "-q", *words], servers=[self.server.pid], environment=self.environment)


class Borg:
    """borg on a local repository, encrypted and compressed with zstd."""

    name = "borg"

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.repository = f"{folder}/repository"
        self.environment = {**os.environ, "BORG_PASSPHRASE": PASSWORD, "BORG_BASE_DIR": folder}
        self._run("init", "-e", "repokey-blake2", self.repository)

    def steps(self, corpus: str) -> Iterator[tuple[str, Figure, int]]:
        restored = f"{self.folder}/restored"
        create = ("create", "-C", "zstd,1")
        yield "first", self._run(*create, f"{self.repository}::one", corpus), folder_bytes(self.repository)
        yield "unchanged", self._run(*create, f"{self.repository}::two", corpus), 0
        yield "verify", self._run("check", "--verify-data", self.repository), 0
        os.makedirs(restored)
        yield "restore", self._run("extract", f"{self.repository}::two", cwd=restored), 0
        shutil.rmtree(restored)

    def close(self) -> None:
        pass

    def _run(self, *words: str, cwd: str | None = None) -> Figure:
        return run(["borg", *words], environment=self.environment, cwd=cwd)


class Rclone:
    """rclone to a local folder: plain copies, no versions, no compression; a floor for file handling."""

    name = "rclone"

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.environment = {**os.environ, "RCLONE_CONFIG": f"{folder}/rclone.conf"}

    def steps(self, corpus: str) -> Iterator[tuple[str, Figure, int]]:
        copy, restored = f"{self.folder}/copy", f"{self.folder}/restored"
        yield "first", self._run("copy", corpus, copy), folder_bytes(copy)
        yield "unchanged", self._run("copy", corpus, copy), 0
        yield "verify", self._run("check", corpus, copy), 0
        yield "restore", self._run("copy", copy, restored), 0
        shutil.rmtree(restored)

    def close(self) -> None:
        pass

    def _run(self, *words: str) -> Figure:
        return run(["rclone", "-q", "--links", *words], environment=self.environment)


TOOLS: dict[str, type[Farvault] | type[Restic] | type[Borg] | type[Rclone]] = {
    tool.name: tool for tool in (Farvault, Restic, Borg, Rclone)
}


def _wait_for_text(path: str, text: bytes) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with open(path, "rb") as file:
            if text in file.read():
                return
        time.sleep(0.05)
    with open(path, "rb") as file:
        raise RuntimeError(f"server did not start:\n{file.read().decode(errors='replace')}")
