"""What a bench finds, and the file of results: parts under headings of the first level, each written by its own bench."""

from __future__ import annotations

import os
import platform
import sys
import time

import click


class Findings:
    """What was measured, said at once and kept for the file of results. `bench`: the module; `note`: what the rows mean."""

    def __init__(self, bench: str, note: str) -> None:
        self._bench, self._note = bench, note
        self._rows: list[tuple[str, str]] = []
        self._load = os.getloadavg()[0]

    def timed(self, what: str, count: int, start: float) -> None:
        """`count` things were done since `start` (of `time.perf_counter`)."""
        seconds = time.perf_counter() - start
        self.say(what, f"{count:,} in {seconds:.1f} s, {count / seconds:,.0f}/s")

    def say(self, what: str, figure: str) -> None:
        self._rows.append((what, figure))
        click.echo(f"{what}: {figure}")

    def write(self, path: str | None, title: str) -> None:
        """Put the table under this title; nowhere without a path."""
        if path:
            write_part(path, title, self._table())

    def _table(self) -> str:
        machine = f"{os.cpu_count()} processors, {platform.system()} {platform.release()}, Python {platform.python_version()}"
        lines = [
            f"Made with `python -m bench.{self._bench} {' '.join(sys.argv[1:])}`.",
            "",
            f"{time.strftime('%Y-%m-%d')}, {machine}, load {self._load:.1f} from elsewhere at the start. {self._note}",
            "",
            "| what | figure |",
            "|---|---|",
        ]
        return "\n".join([*lines, *(f"| {what} | {figure} |" for what, figure in self._rows)])


def write_part(path: str, title: str, text: str) -> None:
    """Put `text` under `# title`, in the place of what stood there; the other parts stay."""
    parts: dict[str, str] = {}
    heading = ""
    if os.path.exists(path):
        with open(path) as file:
            for line in file:
                if line.startswith("# "):
                    heading = line[2:].strip()
                parts[heading] = parts.get(heading, "") + line
    parts[title] = f"# {title}\n\n{text.strip()}\n"
    with open(path, "w") as file:
        file.write("\n".join(part.strip() + "\n" for part in parts.values()))
