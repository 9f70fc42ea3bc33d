"""Servers that are source and target at once, chains of servers, and what a source shows of its links."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator

import msgspec
import pytest
from tests.faults.proxy import Proxy
from tests.grid.both_sides import volumes
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.vaults import (
    VAULT_DOMAIN,
    Source,
    file_bytes,
    make_source,
    make_target,
    restored,
    sealed_record,
    store_files,
)
from tests.patience import PATIENCE_SECONDS

from farvault.apps.server import Server
from farvault.base.clock import ManualClock
from farvault.base.units import MIB
from farvault.catalog import nouns
from farvault.catalog import vault as rows
from farvault.media.link_book import LinkBook
from farvault.model.node import Node
from farvault.model.policy import ACTIVE, ARCHIVE, CopyGroup

SEEDS = tuple(range(12))
SIZE = MIB
COPY = "backup stgpool tapepool targetcopypool wait=yes"

MakeServer = Callable[[str], GridServer]


def known(ids: list[int], seeds: tuple[int, ...] = SEEDS) -> dict[int, bytes]:
    return {number: file_bytes(seed, SIZE) for number, seed in zip(ids, seeds, strict=True)}


def lose_tapes(server: GridServer) -> None:
    server.admin("update volume * access=unavailable wherestgpool=tapepool")


def link_of(server: GridServer, target: str = "tokyo") -> dict[str, object]:
    """QUERY SERVER F=D as JSON."""
    (row,) = json.loads(server.admin(f"query server {target} f=d", style="JSON").text)
    return row


def source_of(source: GridServer, target: GridServer, **device_class: str) -> None:
    """As `make_source`, whatever the two are called."""
    settings = {"maxcapacity": "8m", "mountlimit": "4", "retryperiod": "0", **device_class}
    words = " ".join(f"{keyword}={value}" for keyword, value in settings.items())
    name = target.name.lower()
    for command in (
        f"define server {name} password={PASSWORD} hladdress=127.0.0.1 lladdress={target.port}",
        f"define devclass targetclass devtype=server servername={name} {words}",
        f"define devclass tapeclass devtype=file directory={source.folder}/tapes maxcapacity=8m",
        "define stgpool tapepool tapeclass maxscratch=100",
        "define stgpool targetcopypool targetclass pooltype=copy maxscratch=100",
        f"register node ann {PASSWORD}",
    ):
        source.admin(command)


def test_sessions_that_are_kept_are_signed_off_when_their_server_is_updated(make_server: MakeServer) -> None:
    delhi, tokyo = make_server("DELHI"), make_server("TOKYO")
    make_target(tokyo, "DELHI")
    source_of(delhi, tokyo, mountretention="60")
    store_files(delhi, 1)
    delhi.admin(COPY)
    delhi.admin("update server tokyo delgraceperiod=9")
    tokyo.lines.wait_for("ANR0409I")
    assert "ANR0480W" not in tokyo.lines.ids, "nothing was cut"


# --- both directions, and chains ---------------------------------------------------------------------------------------


def test_two_servers_vault_at_each_other_at_the_same_time(make_server: MakeServer) -> None:
    delhi, tokyo = make_server("DELHI"), make_server("TOKYO")
    for here, there in ((delhi, tokyo), (tokyo, delhi)):
        make_target(here, there.name)
    for here, there in ((delhi, tokyo), (tokyo, delhi)):
        source_of(here, there, mountlimit="2")
    ids = {server.name: store_files(server, *SEEDS) for server in (delhi, tokyo)}
    answers: dict[str, str] = {}

    def copy(server: GridServer) -> None:
        answers[server.name] = server.admin(f"{COPY} maxprocess=2").text

    threads = [threading.Thread(target=copy, args=(server,)) for server in (delhi, tokyo)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert all("SUCCESS" in answers[server.name] for server in (delhi, tokyo)), answers
    for here in (delhi, tokyo):
        lose_tapes(here)
        assert restored(here, ids[here.name]) == known(ids[here.name])
        assert " 0 differ" in here.admin("reconcile volumes wait=yes").text


def vault_pool_at(target: GridServer, source: GridServer, **pool: str) -> None:
    """What `target` receives goes to a pool that lies at `source`; with `pool`, that one is only the next pool."""
    target.admin("define stgpool backpool targetclass maxscratch=100")
    if pool:
        target.admin("update stgpool vaultpool nextstgpool=backpool")
        return
    with target.server.catalog.write() as tx:
        group = nouns.get(tx, CopyGroup, VAULT_DOMAIN, ACTIVE, "STANDARD", ARCHIVE)
        nouns.update(tx, msgspec.structs.replace(group, destination="BACKPOOL"))


@pytest.mark.parametrize(("met_before", "as_next_pool"), [(False, False), (True, False), (True, True)])
def test_a_vault_that_lies_at_its_own_source_is_refused(
    make_server: MakeServer, met_before: bool, as_next_pool: bool
) -> None:
    """TOKYO calls DELHI by another name, so that only the identity key tells."""
    delhi, tokyo = make_server("DELHI"), make_server("TOKYO")
    make_target(tokyo, "DELHI")
    make_target(delhi, "TOKYO")
    source_of(delhi, tokyo)
    source_of(tokyo, GridServerAt("ELSEWHERE", delhi.port))  # type: ignore[arg-type]
    vault_pool_at(tokyo, delhi, **({"next": "yes"} if as_next_pool else {}))
    ids = store_files(delhi, *SEEDS[:3])
    if met_before:
        tokyo.admin("ping server elsewhere")
    failed = delhi.admin(COPY, allow=(4,)).text
    assert "lies at server ELSEWHERE, which is that node itself" in failed
    with tokyo.server.catalog.read() as r:
        assert rows.list_volumes(r, nouns.get(r, Node, "DELHI").id) == [], "nothing was taken in"
    assert restored(delhi, ids) == known(ids, SEEDS[:3])
    tokyo.admin("update stgpool vaultpool nextstgpool=''", allow=(0, 3))
    with tokyo.server.catalog.write() as tx:
        group = nouns.get(tx, CopyGroup, VAULT_DOMAIN, ACTIVE, "STANDARD", ARCHIVE)
        nouns.update(tx, msgspec.structs.replace(group, destination="VAULTPOOL"))
    assert "SUCCESS" in delhi.admin(COPY).text, "on a pool of its own it is welcome"


def test_two_vaults_that_lie_in_each_other_end_in_a_refusal(make_server: MakeServer) -> None:
    """Each would hand on what it gets for ever."""
    delhi, tokyo = make_server("DELHI"), make_server("TOKYO")
    for here, there in ((delhi, tokyo), (tokyo, delhi)):
        make_target(here, there.name)
    for here, there in ((delhi, tokyo), (tokyo, delhi)):
        source_of(here, there)
    for here, there in ((delhi, tokyo), (tokyo, delhi)):
        vault_pool_at(here, there)
    store_files(delhi, *SEEDS[:2])
    assert "which is that node itself" in delhi.admin(COPY, allow=(4,)).text


@pytest.fixture
def chain(make_server: MakeServer) -> Iterator[tuple[GridServer, GridServer, GridServer]]:
    """DELHI's volumes lie at TOKYO, in a pool whose volumes lie at OSAKA."""
    delhi, tokyo, osaka = make_server("DELHI"), make_server("TOKYO"), make_server("OSAKA")
    make_target(osaka, "TOKYO")
    make_target(tokyo, "DELHI")
    for command in (
        f"define server osaka password={PASSWORD} hladdress=127.0.0.1 lladdress={osaka.port}",
        "define devclass farclass devtype=server servername=osaka maxcapacity=16m mountlimit=3 retryperiod=0",
        "define stgpool farpool farclass maxscratch=100",
    ):
        tokyo.admin(command)
    with tokyo.server.catalog.write() as tx:
        group = nouns.get(tx, CopyGroup, VAULT_DOMAIN, ACTIVE, "STANDARD", ARCHIVE)
        nouns.update(tx, msgspec.structs.replace(group, destination="FARPOOL"))
    make_source(delhi, tokyo)
    yield delhi, tokyo, osaka


def test_a_vault_may_lie_at_a_third_server(chain: tuple[GridServer, GridServer, GridServer]) -> None:
    delhi, tokyo, osaka = chain
    ids = store_files(delhi, *SEEDS)
    assert "SUCCESS" in delhi.admin(COPY).text
    with osaka.server.catalog.read() as r:
        kept = rows.list_volumes(r, nouns.get(r, Node, "TOKYO").id)
    assert sum(row.stored_bytes for row in kept) >= len(SEEDS) * SIZE, "the bytes are at OSAKA"
    with tokyo.server.catalog.read() as r:
        assert rows.list_volumes(r, nouns.get(r, Node, "DELHI").id)
    lose_tapes(delhi)
    assert restored(delhi, ids) == known(ids)
    assert "would copy 0 records" in delhi.admin(f"{COPY} preview=yes").text


def test_a_circle_over_three_servers_is_told_where_it_closes(
    chain: tuple[GridServer, GridServer, GridServer],
) -> None:
    """DELHI at TOKYO at OSAKA at DELHI. OSAKA's own data, and TOKYO's, are welcome at DELHI as anybody's are."""
    delhi, tokyo, osaka = chain
    make_target(delhi, "OSAKA")
    source_of(osaka, delhi)
    osaka.admin("backup db devclass=targetclass type=full wait=yes")
    vault_pool_at(osaka, delhi)
    tokyo.admin("backup db devclass=farclass type=full wait=yes")
    assert "ANR4990W" not in delhi.lines.ids
    ids = store_files(delhi, *SEEDS)
    assert "SUCCESS" in delhi.admin(COPY).text, "it may be a copy of a copy: nothing is refused"
    assert delhi.lines.ids.count("ANR4990W") == 1, "for all volumes of a day"
    assert re.search(r"Our Own Data Came Back: \d", delhi.admin("query node osaka f=d").text)
    lose_tapes(delhi)
    assert restored(delhi, ids) == known(ids)


def test_a_copy_of_the_vault_that_lies_at_its_own_source_is_told_too(make_server: MakeServer) -> None:
    delhi, tokyo = make_server("DELHI"), make_server("TOKYO")
    make_target(tokyo, "DELHI")
    make_target(delhi, "TOKYO")
    source_of(delhi, tokyo)
    source_of(tokyo, delhi)
    store_files(delhi, *SEEDS[:2])
    store_files(tokyo, *SEEDS[2:4])
    delhi.admin(COPY)
    tokyo.admin(COPY)
    assert "ANR4990W" not in delhi.lines.ids
    assert "SUCCESS" in tokyo.admin("backup stgpool vaultpool targetcopypool wait=yes").text
    assert delhi.lines.ids.count("ANR4990W") == 1
    assert "ANR4990W" not in tokyo.lines.ids


def test_when_the_third_server_is_away_the_first_one_is_told_and_goes_on_when_it_is_back(
    chain: tuple[GridServer, GridServer, GridServer],
) -> None:
    delhi, tokyo, osaka = chain
    ids = store_files(delhi, *SEEDS)
    port = osaka.port
    osaka.stop()
    failed = delhi.admin(COPY, allow=(4,)).text
    assert "OSAKA" in failed, "the server that is away is named"
    assert restored(delhi, ids) == known(ids)
    osaka.start()
    assert osaka.port != port
    tokyo.admin(f"update server osaka lladdress={osaka.port}")
    delhi.admin("update volume * access=readwrite wherestgpool=targetcopypool", allow=(0, 11))
    assert "SUCCESS" in delhi.admin(COPY).text
    lose_tapes(delhi)
    assert restored(delhi, ids) == known(ids)


def test_what_lies_at_a_third_server_that_is_away_is_not_taken_for_lost(
    chain: tuple[GridServer, GridServer, GridServer],
) -> None:
    """TOKYO cannot answer for OSAKA: no alert, no volume taken away, nothing marked damaged or dropped."""
    delhi, tokyo, osaka = chain
    ids = store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    delhi.admin("backup db devclass=targetclass type=full wait=yes")
    (volume, *_) = volumes(delhi)
    osaka.stop()
    tokyo.admin("define stgpool nearpool vaultclass maxscratch=100")
    with tokyo.server.catalog.write() as tx:
        group = nouns.get(tx, CopyGroup, VAULT_DOMAIN, ACTIVE, "STANDARD", ARCHIVE)
        nouns.update(tx, msgspec.structs.replace(group, destination="NEARPOOL"))
    delhi.admin("backup db devclass=targetclass type=full wait=yes")
    said = delhi.admin("challenge server tokyo count=1000 wait=yes", allow=(4,)).text
    assert "ANR4843E" in said and "OSAKA" in said
    assert " 0 missed" in said and "about 0 records" not in said, "what lies at TOKYO itself is asked about"
    delhi.admin(f"audit volume {volume} fix=yes wait=yes", allow=(4,))
    lose_tapes(delhi)
    assert not restored(delhi, ids)
    osaka.start()
    tokyo.admin(f"update server osaka lladdress={osaka.port}")
    assert "ANR4888E" not in delhi.lines.ids and "ANR4891E" not in delhi.lines.ids
    assert restored(delhi, ids) == known(ids)
    assert "40 records: 40 proven" in delhi.admin("challenge server tokyo count=40 wait=yes").text
    delhi.admin(f"audit volume {volume} wait=yes")
    assert "ANR1330E" not in delhi.lines.ids


def test_a_server_that_reaches_itself_through_somebody_else_is_refused_by_its_identity(
    make_server: MakeServer,
) -> None:
    """Neither its name nor its address tells: a forwarded port leads back."""
    delhi = make_server("DELHI")
    make_target(delhi, "DELHI")
    way_round = Proxy(lambda: delhi.port)
    try:
        source_of(delhi, GridServerAt("MIRROR", way_round.port))  # type: ignore[arg-type]
        ids = store_files(delhi, *SEEDS[:2])
        failed = delhi.admin(COPY, allow=(4,)).text
        assert "ANR0499E" in failed
        assert "ANR0499E" in delhi.admin("ping server mirror", allow=(14,)).text
        assert "ANR0499E" in str(link_of(delhi, "mirror")["link_error"])
        with delhi.server.catalog.read() as r:
            assert rows.list_volumes(r, nouns.get(r, Node, "DELHI").id) == []
        assert len(restored(delhi, ids)) == 2
    finally:
        way_round.close()


class GridServerAt(msgspec.Struct):
    """Only a name and a port."""

    name: str
    port: int


# --- what is shown -----------------------------------------------------------------------------------------------------


def test_query_server_counts_sessions_bytes_and_errors(delhi: GridServer, tokyo: GridServer) -> None:
    before = link_of(delhi)
    assert (before["sessions_open"], before["link_bytes_sent"]) == (0, 0)
    store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    after = link_of(delhi)
    assert after["sessions_open"] == after["sessions_idle"] == 1
    assert after["sessions_waiting"] == after["links_broken"] == after["records_again"] == 0
    assert int(str(after["link_bytes_sent"])) > len(SEEDS) * SIZE
    assert not after.get("link_error")
    shown = delhi.admin("query mount").text
    assert "1 session(s) with TOKYO kept open" in shown
    tokyo.stop()
    failed = delhi.admin("reconcile volumes wait=yes", allow=(4,)).text
    assert "ANR4376E" in failed
    row = link_of(delhi)
    assert row["links_broken"] and row["link_error_time"] and "ANR82" in str(row["link_error"])


def test_an_unreachable_target_shows_since_when_and_why_and_is_found_at_its_new_address(
    delhi: GridServer, tokyo: GridServer
) -> None:
    ids = store_files(delhi, *SEEDS)
    delhi.admin("update devclass targetclass retryperiod=9999 retryinterval=1 bandwidth=16K maxcapacity=100m")
    delhi.admin("backup stgpool tapepool targetcopypool")
    wait_for_open_volume(delhi)
    tokyo.stop()
    delhi.admin("update devclass targetclass bandwidth=nolimit")
    delhi.lines.wait_for("ANR4800W")
    row = link_of(delhi)
    assert row["retrying_since_time"] and row["retry_next_time"] and row["link_error"] and row["links_broken"]
    shown = delhi.admin("query mount").text
    assert "RETRYING since" in shown and "DELHI.BFS" in shown
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE_SECONDS)
        delhi.admin(f"update server tokyo lladdress={silent.getsockname()[1]}")
        dialled, _ = silent.accept()
        assert link_of(delhi)["retrying_since_time"], "a try that gets no answer is one"
        assert "RETRYING since" in delhi.admin("query mount").text
        tokyo.start()
        delhi.admin(f"update server tokyo lladdress={tokyo.port}")
        dialled.close()
    delhi.lines.wait_for("ANR0986I")
    assert not link_of(delhi).get("retrying_since_time")
    lose_tapes(delhi)
    assert restored(delhi, ids) == known(ids)


def wait_for_open_volume(server: GridServer) -> None:
    storage = server.server.storage
    changed = storage.volumes.mounts.changed
    with changed:
        assert changed.wait_for(lambda: bool(storage.use.open_now), PATIENCE_SECONDS)


# --- MOUNTRETENTION, MOUNTLIMIT, MAXCAPACITY, unfinished transfers, BANDWIDTH --------------------------------------------


def test_idle_sessions_are_closed_by_the_clock_when_mountretention_is_over(
    make_server: MakeServer, tokyo: GridServer
) -> None:
    delhi = make_server("DELHI")
    clock = ManualClock(delhi.server.clock.now_seconds())
    delhi.stop()
    delhi.change = lambda server: _set_clock(server, clock)
    delhi.start()
    make_source(delhi, tokyo, mountretention="5")
    store_files(delhi, *SEEDS[:2])
    delhi.admin(COPY)
    assert link_of(delhi)["sessions_idle"] == 1
    clock.advance(4 * 60)
    assert link_of(delhi)["sessions_idle"] == 1
    ended = tokyo.lines.ids.count("ANR0409I")
    clock.advance(2 * 60)
    tokyo.lines.wait_for("ANR0409I", ended + 1)  # nobody asked for it: the server's own clockwork did it
    assert link_of(delhi)["sessions_idle"] == 0


def _set_clock(server: Server, clock: ManualClock) -> None:
    server.clock = clock
    server.links = LinkBook(clock)


def test_with_one_mount_point_the_second_one_waits_and_is_shown_waiting(
    delhi: GridServer, tokyo: GridServer
) -> None:
    delhi.admin("update devclass targetclass mountlimit=1")
    ids = store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    lose_tapes(delhi)
    storage = delhi.server.storage
    with delhi.server.catalog.read() as r:
        name = r.all("SELECT name FROM volumes WHERE name LIKE 'DELHI.BFS.%' ORDER BY name")[0][0]
    got: dict[int, bytes] = {}
    with storage.volumes.open_reader("TARGETCLASS", name):
        thread = threading.Thread(target=lambda: got.update(restored(delhi, ids)))
        thread.start()
        with storage.volumes.mounts.changed:
            assert storage.volumes.mounts.changed.wait_for(
                lambda: bool(storage.volumes.mounts._table.waiting), PATIENCE_SECONDS
            )
        assert "TARGETCLASS" in delhi.admin("query mount f=d").text
        assert "WAITING" in delhi.admin("query mount f=d").text
        assert got == {}
    thread.join(PATIENCE_SECONDS)
    assert got == known(ids)


def test_no_volume_is_longer_than_maxcapacity(delhi: GridServer, tokyo: GridServer) -> None:
    delhi.admin("update devclass targetclass maxcapacity=9m")
    store_files(delhi, *SEEDS)
    delhi.admin(COPY)
    with tokyo.server.catalog.read() as r:
        kept = rows.list_volumes(r, nouns.get(r, Node, "DELHI").id)
    sizes: dict[str, int] = {}
    for row in kept:
        sizes[row.volume] = sizes.get(row.volume, 0) + row.stored_bytes
    assert len(sizes) == 2 and max(sizes.values()) <= 9 * MIB


def test_what_an_unfinished_transfer_left_is_kept_for_as_long_as_is_set(make_server: MakeServer) -> None:
    clock = ManualClock(1_900_000_000)
    tokyo = make_server("TOKYO")
    tokyo.stop()
    tokyo.change = lambda server: _set_clock(server, clock)
    tokyo.start()
    make_target(tokyo, "DELHI")
    tokyo.admin("setopt unfinishedretention 48")
    device = Source(tokyo.port).device()
    writer = device.open_writer("DELHI.BFS.1", 0, 1 << 30)
    record, address = sealed_record(1)
    writer.append(record, address)
    writer.close()
    device.close()
    tokyo.lines.wait_for("ANR0409I")

    def left() -> int:
        with tokyo.server.catalog.read() as r:
            return len(rows.abandoned(r, clock.now_seconds() + 1))

    assert left() == 1
    clock.advance(47 * 3600)
    tokyo.server.housekeeping.do_everything()
    assert left() == 1
    clock.advance(2 * 3600)
    tokyo.server.housekeeping.do_everything()
    assert left() == 0
    assert "ANR2020E" in tokyo.admin("setopt unfinishedretention 0", allow=(3,)).text


def test_bandwidth_is_defined_shown_changed_and_heard_by_the_class(
    delhi: GridServer, tokyo: GridServer
) -> None:
    delhi.admin('update devclass targetclass bandwidth="10M,08:00-18:00=1M"')
    assert "10M,08:00-18:00=1M" in delhi.admin("query devclass targetclass f=d").text
    refused = delhi.admin("update devclass targetclass bandwidth=fast", allow=(3,)).text
    assert "BANDWIDTH" in refused and "HH:MM-HH:MM=rate" in refused
    delhi.admin("update devclass targetclass bandwidth=16K")
    store_files(delhi, 1, 2)
    answer = delhi.admin("backup stgpool tapepool targetcopypool").text
    assert "started" in answer
    wait_for_open_volume(delhi)
    assert "IN USE" in delhi.admin("query mount").text, "at 16 KiB a second it takes two minutes"
    delhi.admin("update devclass targetclass bandwidth=nolimit")
    delhi.lines.wait_for("ANR0986I")
    assert "No Limit" in delhi.admin("query devclass targetclass f=d").text
    assert "would copy 0 records" in delhi.admin(f"{COPY} preview=yes").text
