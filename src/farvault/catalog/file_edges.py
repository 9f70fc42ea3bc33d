"""The edges of the catalog's file: one server at a time, how its connections are set, SQLite's errors as ours."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator

import apsw

from farvault.base.errors import CatalogFull, InUse, MediaFailed


def set_up(connection: apsw.Connection, cache_bytes: int) -> None:
    connection.set_busy_timeout(10_000)
    # A plan is made for the statement, not for the values bound to it: else some are made anew at each run.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute(f"PRAGMA cache_size=-{cache_bytes // 1024}")


def lock(path: str) -> int:
    """One server at a time: a second writer with checkpoints of its own is what this design excludes."""
    descriptor = os.open(f"{path}-lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InUse("ANR0134E", path=path) from None
    return descriptor


@contextlib.contextmanager
def translated(path: str, on_failure: Callable[[], None] | None = None) -> Iterator[None]:
    """SQLite's own errors as ours. Broken constraints stay as they are: callers know what they mean."""
    try:
        yield
    except apsw.ConstraintError:
        raise
    except apsw.FullError as error:
        raise CatalogFull("ANR0131E", path=path) from error
    except apsw.Error as error:
        if on_failure is not None and isinstance(error, apsw.IOError | apsw.CorruptError | apsw.NotADBError):
            on_failure()
        raise MediaFailed("ANR0132E", path=path, reason=str(error)) from error
