"""`farvault recover`: DELHI's folder is gone; its partner's address, a password and the recovery code bring it back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.faults.two_servers import prepare_source, prepare_target
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.vaults import file_bytes, restored, store_files

from farvault.apps.recover import Recovered, Wanted, recover
from farvault.catalog import audit, nouns, volume_history
from farvault.model.volume import DESTROYED, Volume

SEEDS = tuple(range(6))
COPY = "backup stgpool tapepool targetcopypool wait=yes"
FULL = "backup db type=full devclass=targetclass wait=yes"
INCREMENTAL = "backup db type=incremental devclass=targetclass wait=yes"


@dataclass
class Story:
    delhi: GridServer
    tokyo: GridServer
    said: list[str]

    def wanted(self, **values: object) -> Wanted:
        one = Wanted(
            folder=self.delhi.folder,
            host="127.0.0.1",
            port=self.tokyo.port,
            node="DELHI",
            password=PASSWORD,
            recovery_code=self.delhi.made.recovery_code,
        )
        return one._replace(**values)

    def burn(self) -> None:
        """Nothing of DELHI is left."""
        self.delhi.stop()
        shutil.rmtree(self.delhi.folder)

    def recover(self, **values: object) -> Recovered | None:
        return recover(self.wanted(**values), lambda said: self.said.append(str(said)))

    @property
    def text(self) -> str:
        return "\n".join(self.said)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    tokyo = GridServer("TOKYO", str(tmp_path / "tokyo")).start()
    delhi = GridServer("DELHI", str(tmp_path / "delhi")).start()
    prepare_target(tokyo)
    prepare_source(delhi, tokyo.port)
    yield Story(delhi, tokyo, [])
    delhi.stop()
    tokyo.stop()


def is_whole(server: GridServer, ids: list[int]) -> bool:
    with server.server.catalog.read() as r:
        assert list(audit.check_row_digests(r)) == [] and list(audit.check_sums(r)) == []
    return restored(server, ids) == {
        number: file_bytes(seed, 1 << 20) for number, seed in zip(ids, SEEDS, strict=True)
    }


def test_a_burned_server_comes_back_from_its_partner_alone(story: Story) -> None:
    delhi, tokyo = story.delhi, story.tokyo
    ids = store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    delhi.admin(FULL)
    delhi.admin("register node late correct-horse-1")
    delhi.admin(INCREMENTAL)
    fingerprint = delhi.server.fingerprint
    story.burn()
    done = story.recover()
    assert done is not None and done.server == "DELHI" and done.epoch == 2, story.text
    delhi.start()
    assert delhi.server.fingerprint == fingerprint, "clients that pinned it go on"
    assert is_whole(delhi, ids), "straight from TOKYO"
    assert "LATE" in delhi.admin("query node late").text, "the incremental backup counts"
    delhi.lines.wait_for("ANR4959I")
    with delhi.server.catalog.read() as r:
        assert not nouns.select(r, Volume, access=DESTROYED)
        assert volume_history.epoch(r) == 2
    tokyo.stop()
    assert is_whole(delhi, ids), "the local pool is whole again"
