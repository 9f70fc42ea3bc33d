"""Which server key belongs to which address: the pins that clients and administrators remember.

One line a server, `host:port fingerprint`, in `~/.config/farvault/known_servers` (`XDG_CONFIG_HOME` moves it). The
first contact is trusted and written down, every later one must show the same certificate. Lines that start with
`#` are comments; a person may edit the file, for example to forget a server that was rebuilt.
"""

from __future__ import annotations

import os

from farvault.base.disk import locked_folder, make_folder, write_file
from farvault.base.errors import NotAvailable


def default_path() -> str:
    """Where this user's pins are."""
    folder = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(folder, "farvault", "known_servers")


class KnownServers:
    """The pins in one file. Two programs may read and write it at once: a change is one program's turn, and rewrites it."""

    def __init__(self, path: str = "") -> None:
        self.path = path or default_path()

    def fingerprint(self, host: str, port: int) -> str | None:
        """The pinned fingerprint; None where this server was never met. `NotAvailable` (ANR8221E) where nobody can tell."""
        return self._pins().get(_address(host, port))

    def remember(self, host: str, port: int, fingerprint: str) -> None:
        """Pin a server, replacing what was pinned for its address. `OSError` where the file cannot be written."""
        wanted, folder = _address(host, port), os.path.dirname(self.path) or "."
        make_folder(folder)
        with locked_folder(folder):
            lines = [line for line in self._lines() if _pin(line)[0] != wanted]
            text = "\n".join([*lines, f"{wanted} {fingerprint}"]) + "\n"
            write_file(self.path, os.fsencode(text))

    def _pins(self) -> dict[str, str]:
        return {address: pin for address, pin in map(_pin, self._lines()) if address}

    def _lines(self) -> list[str]:
        """What is no UTF-8, in a comment for example, stays as it is."""
        try:
            with open(self.path, encoding="utf-8", errors="surrogateescape") as file:
                return file.read().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as problem:
            # Not "never met": whoever stands at that address would be trusted.
            reason = problem.strerror or str(problem)
            raise NotAvailable("ANR8221E", path=self.path, reason=reason) from None


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host.lower()}:{port}"


def _pin(line: str) -> tuple[str, str]:
    """(address, fingerprint) of one line; two empty strings for a comment or anything that is not a pin."""
    words = line.split()
    if len(words) != 2 or line.lstrip().startswith("#"):
        return "", ""
    return words[0], words[1]
