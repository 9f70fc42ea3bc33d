"""`farvault server init` and `farvault server run`."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from farvault.base.errors import BadInput, FarvaultError
from farvault.base.messages import advice

if TYPE_CHECKING:
    from farvault.apps.server import Server


@click.group()
def server() -> None:
    """Make and run a server."""


@server.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--name", required=True, help="Name of the server: DELHI.")
@click.option("--data-port", type=click.IntRange(0, 65535), default=1500, show_default=True)
@click.option("--http-port", type=click.IntRange(0, 65535), default=1580, show_default=True)
@click.option("--bind", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 = all.")
@click.option("--admin", default="ADMIN", show_default=True, help="Name of the first administrator.")
@click.option(
    "--admin-password-file",
    type=click.Path(exists=True, dir_okay=False),
    help="Its first line is the administrator's password. Without it only -instance=FOLDER can sign on.",
)
def init(
    folder: str,
    name: str,
    data_port: int,
    http_port: int,
    bind: str,
    admin: str,
    admin_password_file: str | None,
) -> None:
    """Make a new server in FOLDER; prints its fingerprint and, once, its recovery code."""
    from farvault.apps.instance_folder import Settings
    from farvault.apps.make_instance import make_instance

    with errors_told():
        password = first_line(admin_password_file) if admin_password_file else ""
        made = make_instance(
            folder,
            name,
            Settings(data_port=data_port, http_port=http_port, bind=bind),
            administrator=admin,
            password=password,
        )
    click.echo(str(made.message))
    click.echo(f"\nFingerprint of the certificate:\n    {made.fingerprint}")
    click.echo(
        f"\nRecovery code. Write it down and keep it elsewhere; it is shown only now:\n    {made.recovery_code}"
    )
    click.echo(f"\nRun the server:\n    farvault server run {folder}")


@server.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option(
    "--new-log",
    is_flag=True,
    help="Begin a new recovery log: the old one is lost, or does not belong to this catalog. It is set aside.",
)
def run(folder: str, new_log: bool) -> None:
    """Run the server of FOLDER in the foreground until HALT, SIGTERM or SIGINT."""
    run_until_stopped(folder, new_log=new_log)


def run_until_stopped(folder: str, *, new_log: bool = False) -> None:
    """A server in the foreground, from start to stop; ends the program where it cannot start."""
    from farvault.apps.activity_log import StandardError
    from farvault.apps.server import Server
    from farvault.transport.notify import tell_service_manager

    gc.set_threshold(50_000, 20, 20)  # a transaction makes tens of thousands of live rows and hardly a cycle
    running = Server(folder, console=StandardError(), new_log=new_log)
    _stop_on_signals(running)  # before it starts its threads, and before it says that it is ready
    with errors_told():
        running.start()
    tell_service_manager("READY=1")
    running.wait_until_asked()
    tell_service_manager("STOPPING=1")
    running.stop()


@server.command(name="restore-db")
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--todate", help="As it was on this day: MM/DD/YYYY, TODAY, TODAY-3.")
@click.option("--totime", help="... until this time: HH:MM:SS; default: the end of the day.")
@click.option(
    "--source",
    type=click.Choice(["dbbackup", "dbsnapshot"], case_sensitive=False),
    default="dbbackup",
    show_default=True,
    help="Which backups count.",
)
@click.option("--devclass", default="", help="Class of the volumes named.")
@click.option(
    "--volumes",
    default="",
    help="These volumes, separated by commas, or FILE:list, whatever the volume history says.",
)
@click.option("--preview", is_flag=True, help="Only prove that everything is there.")
@click.option(
    "--reconcile",
    is_flag=True,
    help="Once it serves, the server signs on at its targets anew (FORCESYNC), reconciles with them and restores what "
    "is DESTROYED, by itself.",
)
@click.option("--volume-history", default="", help="Another volume history file than the folder's own.")
@click.option("--device-configuration", default="", help="Another device configuration file.")
def restore_db(
    folder: str,
    todate: str | None,
    totime: str | None,
    source: str,
    devclass: str,
    volumes: str,
    preview: bool,
    reconcile: bool,
    volume_history: str,
    device_configuration: str,
) -> None:
    """Restore the database of FOLDER from its backups: by default its most current state, with the recovery log.

    The server does not run meanwhile. The old database is set aside.
    """
    from farvault.admin.volume_list import listed_volumes
    from farvault.apps.restore_database import Request, restore_database
    from farvault.apps.restore_steps import steps_after

    with errors_told():
        request = Request(
            until=_until(todate, totime, snapshot=source.lower() == "dbsnapshot"),
            snapshot=source.lower() == "dbsnapshot",
            device_class=devclass.upper(),
            volumes=listed_volumes(tuple(name for name in volumes.split(",") if name)),
            preview=preview,
            volume_history=volume_history,
            device_configuration=device_configuration,
            reconcile=reconcile,
        )
        if bool(request.volumes) != bool(devclass):
            raise BadInput(
                "ANR0999E", value="restore-db", what="request", reason="--devclass and --volumes go together"
            )
        done = restore_database(folder, request, lambda said: click.echo(str(said)))
        if done is not None:
            click.echo(steps_after(done, folder, reconciles=reconcile))


def _until(todate: str | None, totime: str | None, *, snapshot: bool) -> int | None:
    """Seconds; None = the most current state."""
    import datetime
    import time

    from farvault.admin.kinds import Day, TimeOfDay, When, moment
    from farvault.model.attribute import BadValue

    if todate is None and totime is None:
        return 1 << 62 if snapshot else None
    try:
        day = Day().parse(todate or "TODAY")
        at = TimeOfDay().parse(totime) if totime else When(absolute=datetime.time(23, 59, 59))
    except BadValue as wrong:
        typed = " ".join(filter(None, (todate, totime)))
        raise BadInput("ANR0999E", value=typed, what="moment", reason=wrong) from None
    return moment(day, at, int(time.time()))


def _stop_on_signals(running: Server) -> None:
    """SIGTERM and SIGINT ask it to stop.

    A thread waits for them. A handler would run in the main thread between two steps of Python; one that comes just
    before the main thread blocks would not run before the next signal. Blocked signals stay pending, none is lost.
    """
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)

    def wait_for_signals() -> None:
        while True:
            signal.sigwait(stops)
            running.ask_to_stop()

    threading.Thread(target=wait_for_signals, name="signals", daemon=True).start()


_LONGEST_LINE = 4096


def first_line(path: str) -> str:
    """A password or recovery code from a file."""
    try:
        with open(path, encoding="utf-8") as file:
            line = file.readline(_LONGEST_LINE).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            "ANR0999E", value=path, what="file", reason=getattr(error, "strerror", None) or error
        ) from None
    if not line:
        raise BadInput("ANR0999E", value=path, what="file", reason="its first line is empty")
    return line


class errors_told:
    """`with`: a FarvaultError is told on standard error, with what to do now, and ends the program with its return code."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FarvaultError):
            click.echo(str(error.message), err=True)
            if hint := advice(error.message):
                click.echo(f"  {hint}", err=True)
            sys.exit(error.return_code)
