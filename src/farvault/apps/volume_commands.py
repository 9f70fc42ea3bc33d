"""`farvault volume check`: verify volume files with nothing but the files themselves, and list what is on them.

Needs no server, no catalog and no keys; with `--instance` the keys of that folder also tell which objects a volume
holds. For the day on which nothing else is left.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import click

from farvault.base.errors import FarvaultError, MediaFailed, RecordDamaged
from farvault.base.units import show_path, show_size, show_time
from farvault.seal import label, volume_end
from farvault.seal.digest import Buffer
from farvault.seal.keyring import Keyring
from farvault.seal.pack import PackObject
from farvault.seal.record import RecordKind
from farvault.seal.walk import ReadAt, Step, list_objects, walk


@click.group()
def volume() -> None:
    """Check volume files without the catalog."""


@volume.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--list", "show_objects", is_flag=True, help="Also list the objects; needs --instance.")
@click.option(
    "--instance", type=click.Path(exists=True, file_okay=False), help="Folder whose keys open the records."
)
def check(paths: tuple[str, ...], show_objects: bool, instance: str | None) -> None:
    """Walk volume files, verify every record's digest, name every damaged place. Exit code 15 where there is damage."""
    keyring = _keyring(instance) if instance else None
    if show_objects and keyring is None:
        raise click.UsageError("--list needs --instance: names are enciphered")
    damaged = sum([_check_one(path, keyring if show_objects else None) for path in paths])
    if damaged:
        sys.exit(RecordDamaged.return_code)


def _check_one(path: str, keyring: Keyring | None) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _walk_one(path, _reader(descriptor, path), os.fstat(descriptor).st_size, keyring)
    finally:
        os.close(descriptor)


def _walk_one(path: str, read_at: ReadAt, size_bytes: int, keyring: Keyring | None) -> int:
    """Print what is there; returns how many places are damaged."""
    records = good_bytes = damaged = 0
    for step in walk(read_at, size_bytes):
        if step.is_damage:
            damaged += 1
            click.echo(f"{path}: damaged at {step.offset}, {step.length_bytes} bytes: {step.problem}")
        elif step.header is not None:
            records += 1
            good_bytes += step.length_bytes
            _show_record(path, read_at, step, keyring)
    click.echo(f"{path}: {records:,} good records, {show_size(good_bytes)}; {damaged} damaged places")
    return damaged


def _show_record(path: str, read_at: ReadAt, step: Step, keyring: Keyring | None) -> None:
    assert step.header is not None
    record = read_at(step.offset, step.length_bytes)
    if step.header.kind == RecordKind.LABEL:
        found = label.parse(record)
        click.echo(f"{path}: volume {found.volume} of server {found.server}, pool {found.pool}")
    elif step.header.kind == RecordKind.END:
        _show_end(path, record)
    elif step.header.kind == RecordKind.AGGREGATE and keyring is not None:
        try:
            directory = list_objects(record, keyring)
        except FarvaultError as error:
            click.echo(f"{path}: at {step.offset}: {error.message}")
            return
        for found_object in directory.objects:
            parts = (*found_object.directory.split(b"\0"), found_object.name)
            place = show_path(b"".join(b"/" + part for part in parts if part))
            file_space = show_path(directory.file_space.encode("utf-8", "surrogateescape"))
            piece = _piece(found_object)
            click.echo(f"  {directory.node} {file_space} {place} {found_object.size_bytes:,}{piece}")


def _show_end(path: str, record: Buffer) -> None:
    """What a database backup, export or plan says of itself; whether this server signed it, a restore finds out."""
    try:
        end = volume_end.parse_unproved(record)
    except RecordDamaged as error:
        click.echo(f"{path}: {error.message}")
        return
    place = f"volume {end.sequence}, {'the last' if end.is_last else 'more follow'}"
    click.echo(
        f"{path}: {end.type} of server {end.server}, {show_time(end.time)}: series {end.series}, "
        f"operation {end.operation}, {place}"
    )


def _piece(found: PackObject) -> str:
    """What of a long object stands here; nothing for one in one piece."""
    if not found.before and not found.more:
        return ""
    end = found.before + len(found.extents)
    return f" (extents {found.before + 1:,} to {end:,}, {'more follow' if found.more else 'the last'})"


def _reader(descriptor: int, path: str) -> Callable[[int, int], bytes]:
    def read_at(offset: int, length: int) -> bytes:
        try:
            return os.pread(descriptor, length, offset)
        except OSError as error:
            raise MediaFailed("ANR8359E", volume=path, operation="read", reason=error.strerror) from None

    return read_at


def _keyring(folder: str) -> Keyring:
    from farvault.apps.instance_folder import InstanceFolder

    instance = InstanceFolder(folder)
    try:
        return Keyring.from_bytes(instance.read_secret(instance.keyring_path))
    except FarvaultError as error:
        raise click.ClickException(str(error.message)) from None
