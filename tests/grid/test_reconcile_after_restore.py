"""A source whose catalog was set back: its target refuses its deletions until RECONCILE VOLUMES has compared everything."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.grid.both_sides import COPY, files, marked, volumes
from tests.grid.grid_server import GridServer
from tests.grid.vaults import make_source, store_files

from farvault.base.errors import NotAvailable
from farvault.catalog.epoch import raise_epoch


def test_files_of_the_forgotten_time_are_marked_only_after_everything_was_compared(
    make_server: Callable[[str], GridServer], tokyo: GridServer, tmp_path: Path
) -> None:
    delhi = make_server("DELHI")
    make_source(delhi, tokyo)
    store_files(delhi, *range(7))  # a volume that is full
    delhi.admin(COPY)
    old = volumes(delhi)
    delhi.stop()
    shutil.copytree(delhi.folder, tmp_path / "last week")
    delhi.start()
    store_files(delhi, *range(100, 116))
    delhi.admin(COPY)
    later = set(volumes(delhi)) - set(old)
    assert later
    delhi.stop()
    shutil.rmtree(delhi.folder)
    shutil.copytree(tmp_path / "last week", delhi.folder)
    delhi.start()
    with delhi.server.catalog.write() as tx:
        raise_epoch(tx, delhi.server.clock.now_seconds())
    delhi.admin("ping server tokyo")
    tokyo.lines.wait_for("ANR4874W")
    with pytest.raises(NotAvailable, match="ANR4862E"):
        delhi.server.devices.device("TARGETCLASS").delete(old[0])
    assert "no volume" in delhi.admin("reconcile volumes wait=yes", allow=(4,)).text
    assert not any(files(tokyo).values()), "reporting changes nothing"

    said = delhi.admin("reconcile volumes fix=yes wait=yes").text
    assert "The target has taken note." in said
    tokyo.lines.wait_for("ANR4873I")
    assert later <= marked(tokyo) and not marked(tokyo) & (set(old) - later)
