"""`farvault demo`: DELHI keeps its pool on TOKYO, loses its pool, then itself, and gets both back; byte for byte.

Two real server processes in a scratch folder, real files, real TLS. Every step is a command a person could type,
so this file is also the shortest complete example of how the parts are used.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import click
from rich.console import Console
from rich.table import Table

from farvault.apps.compare_trees import compare_trees
from farvault.base.units import MIB, show_size
from farvault.transport.ports import unused_port

PASSWORD = "demo-password-1"  # noqa: S105 - two throw-away servers on loopback
_ENVIRONMENT = {
    **os.environ,
    "PYTHONDONTWRITEBYTECODE": "1",
}  # the library tree that is backed up must hold still


_RECOVERED = "ANR4959I"


class DemoFailed(Exception):
    """A step did not do what the story says; the text says which."""


@dataclass
class Step:
    """One line of the closing table."""

    title: str
    seconds: float
    moved_bytes: int = 0

    @property
    def rate(self) -> str:
        return f"{self.moved_bytes / MIB / self.seconds:,.0f}" if self.moved_bytes and self.seconds else ""


@dataclass
class DemoServer:
    """One server process and its folder."""

    name: str
    folder: str
    port: int
    process: subprocess.Popen[str] | None = None
    lines: list[str] = field(default_factory=list)
    recovery_code: str = ""
    said: threading.Condition = field(default_factory=threading.Condition)

    def start(self, *words: str) -> None:
        """Start it and wait until it says that it is ready. `words`: another command that runs it in the end."""
        ready: queue.Queue[bool] = queue.Queue()
        self.process = subprocess.Popen(
            _farvault(*(words or ("server", "run", self.folder))),
            env=_ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._listen, args=(self.process, ready), daemon=True).start()
        try:
            is_ready = ready.get(timeout=30)
        except queue.Empty:
            is_ready = False
        if not is_ready:
            raise DemoFailed(f"server {self.name} did not start:\n" + "\n".join(self.lines[-20:]))

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)

    def wait_for(self, message_id: str, seconds: float = 60) -> None:
        """Until it has said this."""
        with self.said:
            if not self.said.wait_for(lambda: any(message_id in line for line in self.lines), seconds):
                raise DemoFailed(
                    f"server {self.name} did not say {message_id}:\n" + "\n".join(self.lines[-20:])
                )

    def _listen(self, process: subprocess.Popen[str], ready: queue.Queue[bool]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self.said:
                self.lines.append(line.rstrip())
                self.said.notify_all()
            if "ANR0916I" in line:
                ready.put(True)
        ready.put(False)


class Story:
    """Runs the steps one after the other and keeps their times."""

    def __init__(self, folder: str, console: Console) -> None:
        self.folder = folder
        self.console = console
        self.steps: list[Step] = []
        self.differences = 0
        self.delhi = DemoServer("DELHI", f"{folder}/delhi", unused_port())
        self.tokyo = DemoServer("TOKYO", f"{folder}/tokyo", unused_port())

    @contextmanager
    def step(self, title: str, moved_bytes: int = 0) -> Iterator[Step]:
        self.console.print(f"[bold]{len(self.steps) + 1:2}. {title}")
        started = time.monotonic()
        step = Step(title, 0.0, moved_bytes)
        yield step
        step.seconds = time.monotonic() - started
        self.steps.append(step)

    def admin(
        self, server: DemoServer, command: str, *, show: bool = False, allow: Sequence[int] = (0,)
    ) -> str:
        """Run one administrative command at a server; its output."""
        self.console.print(f"    [dim]{server.name}>[/dim] {command}", highlight=False, soft_wrap=True)
        done = _run("admin", f"-instance={server.folder}", "-dataonly=yes", "-noconfirm", command)
        if done.returncode not in allow:
            raise DemoFailed(f"{server.name}: {command}\n{done.stdout}{done.stderr}")
        if show:
            self.console.print(_indented(done.stdout), highlight=False, markup=False, soft_wrap=True)
        return done.stdout

    def client(self, node: str, *words: str) -> str:
        """Run one client command as a node of DELHI; its output."""
        self.console.print(
            f"    [dim]{node}$[/dim] farvault client {' '.join(words)}", highlight=False, soft_wrap=True
        )
        address = f"-servername=127.0.0.1:{self.delhi.port}"
        environment = {**_ENVIRONMENT, "XDG_CONFIG_HOME": f"{self.folder}/config"}
        done = _run(
            "client",
            words[0],
            address,
            f"-nodename={node}",
            f"-password={PASSWORD}",
            *words[1:],
            environment=environment,
        )
        if done.returncode > 4:
            raise DemoFailed(
                f"{node}: {' '.join(words)} ended with {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def compare(self, original: str, restored: str) -> None:
        found = compare_trees(original, restored)
        self.differences += len(found)
        for line in found[:20]:
            self.console.print(f"    [red]{line}")


def _farvault(*words: str) -> list[str]:
    return [sys.executable, "-m", "farvault", *words]


def _run(*words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _farvault(*words),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment or _ENVIRONMENT,
    )


def _indented(text: str) -> str:
    return "\n".join("      " + line for line in text.strip("\n").splitlines())


def make_servers(story: Story) -> None:
    """Two empty servers, each with its own keys, started as processes of their own."""
    with story.step("make and start two servers"):
        for server in (story.delhi, story.tokyo):
            done = _run(
                "server", "init", server.folder, "--name", server.name, "--data-port", str(server.port)
            )
            if done.returncode:
                raise DemoFailed(done.stdout + done.stderr)
            server.recovery_code = done.stdout.partition("it is shown only now:")[2].split()[0]
            server.start()


def set_up_tokyo(story: Story) -> None:
    """The target: a pool for vaults, a domain whose archive copy group names it, and the node DELHI."""
    with story.step("TOKYO: a pool, a policy domain and the node DELHI of TYPE=SERVER"):
        for command in (
            f"define devclass vaultclass devtype=file directory={story.folder}/tokyo-vault",
            "define stgpool vaultpool vaultclass maxscratch=100",
            "define domain vaultdomain",
            "define policyset vaultdomain standard",
            "define mgmtclass vaultdomain standard standard",
            "define copygroup vaultdomain standard standard type=archive destination=vaultpool",
            "assign defmgmtclass vaultdomain standard standard",
            "activate policyset vaultdomain standard",
            f"register node delhi {PASSWORD} domain=vaultdomain type=server",
        ):
            story.admin(story.tokyo, command)


def set_up_delhi(story: Story) -> None:
    """The source: TAPEPOOL on local files, TARGETCOPYPOOL and TARGETPOOL on TOKYO, one node for each primary pool."""
    with story.step("DELHI: the server TOKYO, the class TARGETCLASS, three pools and two nodes"):
        for command in (
            f"define server tokyo password={PASSWORD} hladdress=127.0.0.1 lladdress={story.tokyo.port} nodename=delhi",
            "define devclass targetclass devtype=server servername=tokyo",
            f"define devclass tapeclass devtype=file directory={story.folder}/delhi-tapes",
            "define stgpool tapepool tapeclass maxscratch=20",
            "define stgpool targetcopypool targetclass pooltype=copy maxscratch=20",
            "define stgpool targetpool targetclass maxscratch=20 reclaim=100",
            "update copygroup standard standard standard type=backup destination=tapepool",
            "activate policyset standard standard",
            "copy domain standard direct",
            "update copygroup direct standard standard type=backup destination=targetpool",
            "activate policyset direct standard",
            f"register node ann {PASSWORD}",
            f"register node bob {PASSWORD} domain=direct",
        ):
            story.admin(story.delhi, command)


def back_up_clients(story: Story, paths: Sequence[str], direct: str) -> None:
    """ANN's files go to the local pool, BOB's straight to TOKYO."""
    size = sum(_tree_bytes(path) for path in paths)
    with story.step("ANN backs up to TAPEPOOL", size):
        for path in paths:
            story.client("ann", "incremental", f"{path}/", "-subdir=yes")
    with story.step("ANN backs up again: nothing changed"):
        for path in paths:
            story.client("ann", "incremental", f"{path}/", "-subdir=yes")
    with story.step("BOB backs up to TARGETPOOL, which lies on TOKYO", _tree_bytes(direct)):
        story.client("bob", "incremental", f"{direct}/", "-subdir=yes")


def copy_to_tokyo(story: Story) -> None:
    """BACKUP STGPOOL, twice: the second run finds nothing left to copy. Then both sides' views."""
    with story.step("DELHI: BACKUP STGPOOL TAPEPOOL TARGETCOPYPOOL") as step:
        story.admin(story.delhi, "backup stgpool tapepool targetcopypool wait=yes")
        step.moved_bytes = _folder_bytes(f"{story.folder}/delhi-tapes")
    with story.step("the same again: nothing left to copy"):
        story.admin(story.delhi, "backup stgpool tapepool targetcopypool wait=yes")
    with story.step("both sides' views"):
        story.admin(story.delhi, "query volume", show=True)
        story.admin(story.delhi, "query occupancy", show=True)
        story.admin(story.tokyo, "query filespace delhi", show=True)
        story.admin(story.tokyo, "query occupancy delhi", show=True)


def lose_and_restore(story: Story, paths: Sequence[str], direct: str) -> None:
    """DELHI's volume files are deleted; TOKYO's copies answer; then the pool is made whole again."""
    size = sum(_tree_bytes(path) for path in paths)
    with story.step("DELHI loses every volume of TAPEPOOL"):
        shutil.rmtree(f"{story.folder}/delhi-tapes")
        os.mkdir(f"{story.folder}/delhi-tapes")
    with story.step("ANN restores all the same: read from TOKYO", size):
        _restore(story, "ann", paths, f"{story.folder}/restored-from-tokyo")
    with story.step("BOB restores from TARGETPOOL", _tree_bytes(direct)):
        _restore(story, "bob", [direct], f"{story.folder}/restored-bob")
    with story.step("DELHI: RESTORE STGPOOL TAPEPOOL") as step:
        story.admin(story.delhi, "update volume * access=destroyed wherestgpool=tapepool")
        story.admin(story.delhi, "restore stgpool tapepool wait=yes")
        step.moved_bytes = _folder_bytes(f"{story.folder}/delhi-tapes")
    with story.step("TOKYO is switched off; ANN restores locally", size):
        story.tokyo.stop()
        _restore(story, "ann", paths, f"{story.folder}/restored-locally")
    with story.step("compare every byte and attribute"):
        for folder, originals in (
            ("restored-from-tokyo", paths),
            ("restored-bob", [direct]),
            ("restored-locally", paths),
        ):
            for number, original in enumerate(originals):
                story.compare(original, f"{story.folder}/{folder}/{number}/{os.path.basename(original)}")


def rebuild_delhi(story: Story, direct: str) -> None:
    """Nothing of DELHI is left. Its partner's address, the node's password and the recovery code bring it back."""
    with story.step("DELHI: BACKUP DB to TOKYO, with a recovery plan"):
        story.tokyo.start()
        story.admin(story.delhi, "backup db type=full devclass=targetclass wait=yes")
        story.admin(story.delhi, "query rpfile devclass=*", show=True)
    with story.step("DELHI burns: its folder and its tapes are deleted"):
        assert story.delhi.process is not None
        story.delhi.process.kill()
        story.delhi.process.wait(timeout=30)
        for folder in (story.delhi.folder, f"{story.folder}/delhi-tapes"):
            shutil.rmtree(folder)
    with story.step("farvault recover: DELHI is made anew from TOKYO, and serves"):
        for name, secret in (("password", PASSWORD), ("code", story.delhi.recovery_code)):
            with open(f"{story.folder}/{name}", "w", encoding="utf-8") as file:
                file.write(secret + "\n")
        words = (
            *("recover", story.delhi.folder, "--from", f"127.0.0.1:{story.tokyo.port}", "--node", "delhi"),
            *("--password-file", f"{story.folder}/password", "--recovery-code-file", f"{story.folder}/code"),
        )
        story.console.print(f"    [dim]$[/dim] farvault {' '.join(words)}", highlight=False, soft_wrap=True)
        story.delhi.lines.clear()
        story.delhi.start(*words)
    with story.step("ANN and BOB restore at once, straight from TOKYO", 2 * _tree_bytes(direct)):
        for node in ("ann", "bob"):
            _restore(story, node, [direct], f"{story.folder}/rebuilt-{node}")
    with story.step("TAPEPOOL was restored in the background meanwhile, or is waited for"):
        story.delhi.wait_for(_RECOVERED)
    with story.step("TOKYO is switched off; ANN restores from the new TAPEPOOL", _tree_bytes(direct)):
        story.tokyo.stop()
        _restore(story, "ann", [direct], f"{story.folder}/rebuilt-locally")
    with story.step("compare every byte and attribute of the rebuilt server"):
        for folder in ("rebuilt-ann", "rebuilt-bob", "rebuilt-locally"):
            story.compare(direct, f"{story.folder}/{folder}/0/{os.path.basename(direct)}")


def _restore(story: Story, node: str, paths: Sequence[str], destination: str) -> None:
    for number, path in enumerate(paths):
        os.makedirs(f"{destination}/{number}")
        story.client(node, "restore", f"{path}/*", f"{destination}/{number}/", "-subdir=yes", "-replace=all")


def _tree_bytes(path: str) -> int:
    return sum(
        os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names
    )


def _folder_bytes(path: str) -> int:
    return _tree_bytes(path) if os.path.isdir(path) else 0


def _default_paths() -> list[str]:
    found = [sysconfig.get_paths()["stdlib"], "/usr/share/doc"]
    return [path for path in map(os.path.realpath, found) if os.path.isdir(path)]


def _show_table(story: Story) -> None:
    table = Table(title="farvault demo")
    for heading in ("", "step", "seconds", "MB", "MB/s"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    for number, step in enumerate(story.steps, 1):
        size = f"{step.moved_bytes / MIB:,.0f}" if step.moved_bytes else ""
        table.add_row(str(number), step.title, f"{step.seconds:.1f}", size, step.rate)
    story.console.print(table)


def _say_how_to_go_on(story: Story) -> None:
    story.tokyo.start()
    for server in (story.delhi, story.tokyo):
        assert server.process is not None
        story.console.print(
            f"{server.name} runs as process {server.process.pid}, port {server.port}; talk to it with\n"
            f"    farvault admin -instance={server.folder}\nand stop it with\n    kill {server.process.pid}",
            highlight=False,
        )


def _pick_direct(paths: Sequence[str]) -> str:
    """A smaller tree for the node whose data goes straight to TOKYO: the first folder below 100 MB that holds files."""
    for path in paths:
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False) and MIB < _tree_bytes(entry.path) < 100 * MIB:
                return entry.path
    return paths[0]


def run(paths: Sequence[str], keep: bool, folder: str | None, console: Console) -> int:
    """Tell the whole story; returns the exit code."""
    sources = [os.path.realpath(path) for path in paths] or _default_paths()
    root = folder or tempfile.mkdtemp(prefix="farvault-demo-")
    os.makedirs(root, exist_ok=True)
    story = Story(root, console)
    chapters: list[Callable[[], None]] = [
        lambda: make_servers(story),
        lambda: set_up_tokyo(story),
        lambda: set_up_delhi(story),
        lambda: back_up_clients(story, sources, _pick_direct(sources)),
        lambda: copy_to_tokyo(story),
        lambda: lose_and_restore(story, sources, _pick_direct(sources)),
        lambda: rebuild_delhi(story, _pick_direct(sources)),
    ]
    failed = ""
    try:
        for chapter in chapters:
            chapter()
    except DemoFailed as problem:
        failed = str(problem)
    _show_table(story)
    if failed:
        console.print(failed, style="red", markup=False, highlight=False)
        console.print(f"demo: failed at step {len(story.steps) + 1}; the servers' folders are in {root}")
    else:
        files = sum(len(names) for path in sources for _, _, names in os.walk(path))
        console.print(f"{files:,} files, {show_size(sum(map(_tree_bytes, sources)))}")
        console.print(f"demo: {story.differences} differences", highlight=False)
    if keep and not failed:
        _say_how_to_go_on(story)
    else:
        for server in (story.delhi, story.tokyo):
            server.stop()
        if not failed and folder is None:
            shutil.rmtree(root)
    return 1 if failed or story.differences else 0


@click.command()
@click.option(
    "--path", "paths", multiple=True, type=click.Path(exists=True, file_okay=False), help="Folder to back up."
)
@click.option(
    "--folder", type=click.Path(file_okay=False), help="Where the servers live (default: a scratch folder)."
)
@click.option("--keep", is_flag=True, help="Leave the servers running and say how to talk to them.")
def demo(paths: tuple[str, ...], folder: str | None, keep: bool) -> None:
    """DELHI keeps its pool on TOKYO, loses everything, gets it back: on this machine, checked byte for byte."""
    sys.exit(run(paths, keep, folder, Console()))
