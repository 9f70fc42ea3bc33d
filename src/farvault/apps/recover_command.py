"""`farvault recover DIR --from tokyo:1500 --node DELHI`."""

from __future__ import annotations

import click

from farvault.base.errors import BadInput
from farvault.model.attribute import BadValue, Name


@click.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--from", "address", required=True, help="The partner: tokyo.example.com:1500.")
@click.option("--node", required=True, help="Name of the lost server as the partner's node: DELHI.")
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False),
    help="Its first line is the node's password; otherwise you are asked.",
)
@click.option(
    "--recovery-code-file",
    type=click.Path(exists=True, dir_okay=False),
    help="Its first line is the recovery code; otherwise you are asked.",
)
@click.option("--fingerprint", default="", help="The partner's certificate; default: the one the plan pins.")
@click.option(
    "--plan",
    "plan_file",
    default="",
    type=click.Path(dir_okay=False),
    help="A recovery plan you have at hand, instead of the newest one at the partner.",
)
@click.option("--data-port", type=click.IntRange(0, 65535), help="Another port than the lost server had.")
@click.option("--preview", is_flag=True, help="Only say what would be recovered and how old it is.")
@click.option("--no-start", is_flag=True, help="Rebuild the folder; start the server yourself.")
def recover(
    folder: str,
    address: str,
    node: str,
    password_file: str | None,
    recovery_code_file: str | None,
    fingerprint: str,
    plan_file: str,
    data_port: int | None,
    preview: bool,
    no_start: bool,
) -> None:
    """Rebuild a lost server in FOLDER from what its partner keeps, and run it.

    Needs the partner's address, the node's password and the recovery code, nothing else. Clients restore at once,
    straight from the partner; local pools are restored in the background.
    """
    from farvault.apps.recover import Wanted
    from farvault.apps.recover import recover as run
    from farvault.apps.server_commands import errors_told, first_line, run_until_stopped

    with errors_told():
        host, port = _host_and_port(address)
        password = first_line(password_file) if password_file else _ask("Password of the node")
        code = first_line(recovery_code_file) if recovery_code_file else _ask("Recovery code")
        wanted = Wanted(
            folder=folder,
            host=host,
            port=port,
            node=_name(node),
            password=password,
            recovery_code=code,
            fingerprint=_fingerprint(fingerprint),
            preview=preview,
            plan_file=plan_file,
            data_port=data_port,
        )
        done = run(wanted, lambda said: click.echo(str(said)))
    if done is not None and no_start:
        click.echo(f"Start it: farvault server run {folder}")
    elif done is not None:
        run_until_stopped(folder)


def _host_and_port(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    host = host.strip("[]") if colon else address
    if not host or (colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
        raise BadInput("ANR0999E", value=address, what="address", reason="it must be HOST:PORT")
    return host, int(port) if colon else 1500


def _name(typed: str) -> str:
    try:
        return str(Name(64).parse(typed))
    except BadValue as wrong:
        raise BadInput("ANR0999E", value=typed or "nothing", what="node", reason=wrong) from None


def _fingerprint(typed: str) -> str:
    """As it is compared: `AA:BB:...`."""
    digits = "".join(typed.replace(":", " ").split()).upper()
    if digits and (len(digits) != 64 or set(digits) - set("0123456789ABCDEF")):
        raise BadInput("ANR0999E", value=typed, what="fingerprint", reason="it must be 64 hexadecimal digits")
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))


def _ask(what: str) -> str:
    return str(click.prompt(what, hide_input=True, err=True))
