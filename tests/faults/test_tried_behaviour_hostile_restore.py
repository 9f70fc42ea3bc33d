"""A restore writes nothing outside its destination, whatever the catalog says and whatever lies in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.grid.grid_server import PASSWORD, GridServer

from farvault.catalog import nouns, objects
from farvault.catalog.objects import NewObject
from farvault.client.attributes import encode_attributes
from farvault.model.file_space import FileSpace
from farvault.model.node import Node
from farvault.model.stored_object import FileAttributes, ObjectKind, ObjectType


@dataclass
class Ann:
    """ANN with a tree stored at DELHI, and a picture of everything around the destination."""

    server: GridServer
    root: Path

    def run(self, *words: str) -> tuple[int, str]:
        named = [f"-se=127.0.0.1:{self.server.port}", "-nodename=ann", f"-password={PASSWORD}"]
        done = subprocess.run(
            [sys.executable, "-m", "farvault", "client", *words, *named],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout.decode(errors="surrogateescape")

    @property
    def tree(self) -> Path:
        return self.root / "tree"

    @property
    def destination(self) -> Path:
        return self.root / "destination"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    def picture(self) -> dict[str, bytes]:
        """Every name outside the destination with what it holds."""
        found = {}
        for where, folders, names in os.walk(self.root):
            if where == str(self.root):
                folders.remove("destination")
                folders.remove("delhi")
                if "config" in folders:
                    folders.remove("config")
            found[where] = b""
            for name in names:
                path = os.path.join(where, name)
                found[path] = b"link" if os.path.islink(path) else Path(path).read_bytes()
        return found


@pytest.fixture
def ann(make_server: Callable[[str], GridServer], tmp_path: Path) -> Ann:
    server = make_server("DELHI")
    server.admin(f"register node ann {PASSWORD}")
    node = Ann(server, tmp_path)
    (node.tree / "deep" / "er").mkdir(parents=True)
    for name in ("a", "deep/b", "deep/er/c"):
        (node.tree / name).write_text(f"content of {name}")
    node.destination.mkdir()
    node.outside.mkdir()
    (node.outside / "precious").write_text("precious")
    code, output = node.run("incremental", f"{node.tree}/", "-subdir=yes")
    assert code == 0, output
    return node


@pytest.mark.parametrize("planted", ["tree", "tree/deep", "tree/deep/er"])
@pytest.mark.parametrize("replace", ["all", "no"])
def test_a_link_planted_in_the_destination_leads_nowhere(ann: Ann, planted: str, replace: str) -> None:
    link = ann.destination / planted
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(ann.outside)
    before = ann.picture()
    code, output = ann.run(
        "restore", f"{ann.tree}/*", f"{ann.destination}/", "-subdir=yes", f"-replace={replace}"
    )
    assert ann.picture() == before
    assert code >= 4 and "ANS4029E" in output, output
    assert link.is_symlink() or replace == "all"


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_link_in_the_place_of_a_file_is_replaced_and_never_written_through(ann: Ann, kind: str) -> None:
    place = ann.destination / "tree" / "a"
    place.parent.mkdir()
    if kind == "symbolic":
        place.symlink_to(ann.outside / "precious")
    else:
        place.hardlink_to(ann.outside / "precious")
    before = ann.picture()
    code, output = ann.run("restore", f"{ann.tree}/*", f"{ann.destination}/", "-subdir=yes", "-replace=all")
    assert code == 0, output
    assert ann.picture() == before
    assert place.read_text() == "content of a" and not place.is_symlink()


def test_a_destination_that_is_itself_a_link_is_where_the_person_said(ann: Ann) -> None:
    (ann.root / "here").symlink_to(ann.destination)
    code, output = ann.run("restore", f"{ann.tree}/*", f"{ann.root}/here/", "-subdir=yes")
    assert code == 0, output
    assert (ann.destination / "tree" / "deep" / "b").read_text() == "content of deep/b"


LEAD_OUT = (
    (b"", b".."),
    (b"", b"../../escaped"),
    (b"", b"/tmp/escaped-farvault"),
    (b"\0..\0..\0..\0outside", b"escaped"),
    (b"\0../../outside", b"escaped"),
    (b"\0.", b"escaped"),
    (b"\0", b"escaped"),
)
"""(directory below the tree, name): what no client of ours would send."""


@pytest.mark.parametrize("type", [ObjectType.FILE, ObjectType.DIRECTORY, ObjectType.SYMLINK])
def test_a_catalog_with_names_that_lead_out_restores_the_rest_and_counts_them(
    ann: Ann, type: ObjectType
) -> None:
    """The server is not believed about where something goes."""
    mode = {ObjectType.FILE: 0o100644, ObjectType.DIRECTORY: 0o40755, ObjectType.SYMLINK: 0o120777}[type]
    link = os.fsencode(ann.outside) if type is ObjectType.SYMLINK else b""
    attributes = encode_attributes(FileAttributes(mode, 0, 0, 0, 10**18, 10**18, link_target=link))
    with ann.server.server.catalog.write() as tx:
        node = nouns.get(tx, Node, "ANN")
        (space,) = nouns.select(tx, FileSpace, node_id=node.id)
        folder = os.path.relpath(os.fsencode(ann.tree), os.fsencode(space.name)).replace(b"/", b"\0")
        objects.store_objects(
            tx,
            node_id=node.id,
            file_space_id=space.id,
            kind=ObjectKind.BACKUP,
            management_class="STANDARD",
            objects=[
                NewObject(folder + below, name, type, 0, attributes, "", ()) for below, name in LEAD_OUT
            ],
            now=1,
        )
    before = ann.picture()
    code, output = ann.run("restore", f"{ann.tree}/*", f"{ann.destination}/", "-subdir=yes", "-replace=all")
    assert ann.picture() == before, output
    assert not os.path.lexists("/tmp/escaped-farvault")
    assert code >= 4 and "Traceback" not in output, output
    assert f"Total number of objects failed: {len(LEAD_OUT):15}" in output, output
    restored = [path for path in ann.destination.rglob("*") if path.is_file()]
    assert {str(path.relative_to(ann.destination / "tree")) for path in restored} == {
        "a",
        "deep/b",
        "deep/er/c",
    }
