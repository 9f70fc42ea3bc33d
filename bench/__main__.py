"""`python -m bench`: make the corpora, run every tool on them, print one table (and write it with --write)."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import time

import click

from bench.corpora import MAKERS, make
from bench.measure import CommandFailed, Figure
from bench.results import write_part
from bench.tools import TOOLS, installed

STEPS = ("first", "unchanged", "verify", "restore", "vault")
Results = dict[tuple[str, str, str], tuple[Figure, int]]


@click.command()
@click.option("--scale", default=1.0, help="Size of the corpora; 1 is full size, 0.05 a quick look.")
@click.option(
    "--corpus", "corpora", multiple=True, type=click.Choice(sorted(MAKERS)), help="Default: all three."
)
@click.option(
    "--tool", "tools", multiple=True, type=click.Choice(sorted(TOOLS)), help="Default: all installed."
)
@click.option("--folder", default=None, help="Scratch folder (default: a new one below the system's).")
@click.option(
    "--write", default=None, help="Also write the table to this file, for example bench/RESULTS.md."
)
def main(
    scale: float, corpora: tuple[str, ...], tools: tuple[str, ...], folder: str | None, write: str | None
) -> None:
    """First backup, unchanged backup, verify, restore and vault, side by side."""
    root = folder or tempfile.mkdtemp(prefix="farvault-bench-")
    os.makedirs(root, exist_ok=True)
    chosen = list(tools) or installed()
    results: Results = {}
    sizes: dict[str, tuple[int, int]] = {}
    for name in corpora or ("mixed", "big", "tiny"):
        click.echo(f"making corpus {name} ...", err=True)
        path = make(name, os.path.join(root, "corpus"), scale)
        sizes[name] = _size(path)
        for tool in chosen:
            _run_tool(tool, name, path, root, results)
    text = _report(results, sizes, scale)
    click.echo(text)
    if write:
        write_part(write, "Results", f"Made with `make bench BENCH='{' '.join(sys.argv[1:])}'`.\n\n{text}")
    if folder is None:
        shutil.rmtree(root)


def _run_tool(tool: str, corpus: str, path: str, root: str, results: Results) -> None:
    scratch = tempfile.mkdtemp(prefix=f"{tool}-", dir=root)
    under_test = TOOLS[tool](scratch)
    try:
        for step, figure, stored in under_test.steps(path):
            results[corpus, step, tool] = figure, stored
            click.echo(f"  {corpus} {tool} {step}: {figure.wall_seconds:.1f} s", err=True)
    except CommandFailed as failure:
        click.echo(f"  {corpus} {tool} failed: {failure}", err=True)
    finally:
        under_test.close()
        shutil.rmtree(scratch)


def _report(results: Results, sizes: dict[str, tuple[int, int]], scale: float) -> str:
    machine = f"{os.cpu_count()} processors, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    lines = [
        f"{time.strftime('%Y-%m-%d')}, {machine}, scale {scale:g}. Seconds and CPU seconds of all processes;",
        "peak memory of the command's process tree / of the largest server; ratio of wall time to restic's",
        "(restic runs through `rclone serve restic`; rclone alone keeps no versions and compresses nothing).",
        "MiB/s counts the bytes of the files; for vault the stored bytes, which is what travels. The line below it is",
        "the process alone, as its message ANR2970I tells; the wall time also starts the command and signs it on.",
        "",
    ]
    for corpus, (files, size) in sizes.items():
        lines += [
            f"## {corpus}: {files:,} files, {size / (1 << 20):,.0f} MiB",
            "",
            "| step | tool | wall s | CPU s | client MiB | server MiB | stored MiB | MiB/s | ratio |",
            "|---|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for step in STEPS:
            for tool in TOOLS:
                if (corpus, step, tool) in results:
                    lines.append(_row(results, corpus, step, tool, size))
                    lines += _process_row(*results[corpus, step, tool], step, tool)
        lines.append("")
    return "\n".join(lines)


def _row(results: Results, corpus: str, step: str, tool: str, size: int) -> str:
    figure, stored = results[corpus, step, tool]
    peer = results.get((corpus, step, "restic"))
    ratio = f"{figure.wall_seconds / peer[0].wall_seconds:.2f}" if peer and tool == "farvault" else ""
    moved = stored if step == "vault" else size
    mib = 1 << 20
    cells = (
        step,
        tool,
        f"{figure.wall_seconds:.1f}",
        f"{figure.cpu_seconds:.1f}",
        f"{figure.client_peak_bytes / mib:,.0f}",
        f"{figure.server_peak_bytes / mib:,.0f}" if figure.server_peak_bytes else "",
        f"{stored / mib:,.0f}" if stored else "",
        f"{moved / mib / figure.wall_seconds:,.0f}",
        ratio,
    )
    return f"| {' | '.join(cells)} |"


def _process_row(figure: Figure, stored: int, step: str, tool: str) -> list[str]:
    """Where the command started a process at the server: its own time, without starting the command and signing on."""
    found = re.search(r"ANR2970I Process \d+ took ([\d.]+) seconds", figure.output)
    if step != "vault" or not found:
        return []
    seconds = float(found[1])
    rate = f"{stored / (1 << 20) / seconds:,.0f}"
    return [f"| {step}, the process | {tool} | {seconds:.1f} | | | | {stored / (1 << 20):,.0f} | {rate} | |"]


def _size(path: str) -> tuple[int, int]:
    files = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    return len(files), sum(map(os.path.getsize, files))


if __name__ == "__main__":
    main()
