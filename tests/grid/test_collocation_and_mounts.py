"""Collocation, mount points and simultaneous write as an administrator sets them up, between two servers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.node_client import NodeClient, some_files
from tests.grid.vaults import file_bytes, make_source, restored, store_files

from farvault.base.errors import FarvaultError
from farvault.catalog import audit, nouns, owners, placements
from farvault.model.node import Node
from farvault.model.storage_pool import StoragePool
from farvault.model.volume import Volume
from farvault.policy.mount_points import Priority

MIB = 1 << 20


@pytest.fixture
def delhi(make_server: Callable[[str], GridServer], tokyo: GridServer) -> GridServer:
    """Backups go to TAPEPOOL (class TAPECLASS); copies to TARGETCOPYPOOL at TOKYO."""
    server = make_server("DELHI")
    make_source(server, tokyo, mountlimit="1")
    for command in (
        f"register node bob {PASSWORD}",
        f"register node carol {PASSWORD}",
        "update copygroup standard standard standard destination=tapepool",
        "activate policyset standard standard",
    ):
        server.admin(command)
    return server


def connect(server: GridServer, node: str) -> NodeClient:
    client = NodeClient(server.sign_on(node), node)
    client.register()
    return client


def back_up(server: GridServer, node: str, *, count: int = 3, file_size: int = 50_000) -> dict[bytes, bytes]:
    files = some_files(count, file_size)
    with connect(server, node) as client:
        client.store(files)
    return files


def nodes_on_volumes(server: GridServer, pool: str) -> list[set[str]]:
    with server.server.catalog.read() as r:
        names = {node.id: node.name for node in nouns.select(r, Node)}
        return [
            {names[row.node_id] for row in owners.on_volume(r, volume.id)}
            for volume in nouns.select(r, Volume, pool_id=nouns.get(r, StoragePool, pool).id)
        ]


def set_access(server: GridServer, pool: str, access: str) -> None:
    server.admin(f"update volume * access={access} wherestgpool={pool}")


# --- collocation -----------------------------------------------------------------------------------------------------


def test_a_group_shares_volumes_here_and_at_the_target(delhi: GridServer) -> None:
    for command in (
        'define collocgroup family description="one house"',
        "define collocmember family ann,carol",
        "update stgpool tapepool collocate=group",
        "update stgpool targetcopypool collocate=group",
    ):
        delhi.admin(command)
    files = {}
    for _ in range(2):
        for node in ("ANN", "BOB", "CAROL"):
            files[node] = back_up(delhi, node)
    assert nodes_on_volumes(delhi, "TAPEPOOL") == [{"ANN", "CAROL"}, {"BOB"}]
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    assert nodes_on_volumes(delhi, "TARGETCOPYPOOL") == [{"ANN", "CAROL"}, {"BOB"}]
    set_access(delhi, "TAPEPOOL", "unavailable")
    for node in files:
        with connect(delhi, node) as client:
            assert client.read_all() == files[node]


def test_a_lost_volume_comes_back_sorted(delhi: GridServer) -> None:
    delhi.admin("update stgpool tapepool collocate=no")
    files = {node: back_up(delhi, node) for node in ("ANN", "BOB")}
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    delhi.admin("update stgpool tapepool collocate=node")
    with delhi.server.catalog.read() as r:
        (volume,) = nouns.select(r, Volume, pool_id=nouns.get(r, StoragePool, "TAPEPOOL").id)
    delhi.admin(f"restore volume {volume.name} wait=yes")
    assert sorted(map(sorted, nodes_on_volumes(delhi, "TAPEPOOL"))) == [["ANN"], ["BOB"]]
    for node in files:
        with connect(delhi, node) as client:
            assert client.read_all() == files[node]


def test_groups_are_defined_shown_and_deleted(delhi: GridServer) -> None:
    delhi.admin("define collocgroup family")
    assert "ANR4765E" in delhi.admin("define collocgroup family", allow=(10,)).text
    delhi.admin("define collocmember family ann,bob")
    assert "ANR4767E" in delhi.admin("define collocmember family bob", allow=(10,)).text
    assert "ANN BOB" in delhi.admin("query collocgroup f=d").text
    assert "FAMILY" in delhi.admin("query node ann f=d").text
    assert "ANR4768E" in delhi.admin("delete collocgroup family", allow=(13,)).text
    assert "ANR4766E" in delhi.admin("delete collocmember family carol", allow=(11,)).text
    delhi.admin("remove node bob")
    delhi.admin("delete collocmember family *")
    delhi.admin('update collocgroup family description="empty now"')
    assert "empty now" in delhi.admin("query collocgroup").text
    delhi.admin("delete collocgroup family")
    assert "ANR4764E" in delhi.admin("define collocmember family ann", allow=(11,)).text


def test_query_nodedata_tells_where_the_data_of_nodes_lies(delhi: GridServer) -> None:
    delhi.admin("define collocgroup family")
    delhi.admin("define collocmember family ann,carol")
    for node in ("ANN", "BOB", "CAROL"):
        back_up(delhi, node)
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    rows = json.loads(delhi.admin("query nodedata", style="JSON").text)
    assert len(rows) == 6 and {row["collocation_group"] for row in rows} == {"FAMILY", ""}
    with delhi.server.catalog.read() as r:
        for pool in nouns.select(r, StoragePool):
            stored = sum(
                row.stored_bytes
                for volume in nouns.select(r, Volume, pool_id=pool.id)
                for row in placements.on_volume(r, volume.id)
            )
            assert stored == sum(row["stored_bytes"] for row in rows if row["pool"] == pool.name)
    text = delhi.admin("query nodedata collocgroup=family stgpool=tapepool").text
    assert "ANN" in text and "CAROL" in text and "BOB" not in text and "TARGET" not in text
    assert "ANR2034E" in delhi.admin("query nodedata ann volume=nosuch", allow=(11,)).text


# --- simultaneous write ----------------------------------------------------------------------------------------------


def test_a_backup_is_at_the_target_when_the_client_hears_that_it_is_stored(delhi: GridServer) -> None:
    delhi.admin("update stgpool tapepool copystgpools=targetcopypool")
    files = back_up(delhi, "ANN", count=20)
    assert (
        "would copy 0 records"
        in delhi.admin("backup stgpool tapepool targetcopypool preview=yes wait=yes").text
    )
    set_access(delhi, "TAPEPOOL", "unavailable")
    with connect(delhi, "ANN") as client:
        assert client.read_all() == files


def test_with_copycontinue_a_target_that_is_away_costs_the_copy_only(
    delhi: GridServer, tokyo: GridServer
) -> None:
    delhi.admin("update stgpool tapepool copystgpools=targetcopypool copycontinue=yes")
    tokyo.stop()
    files = back_up(delhi, "ANN")
    assert "TARGETCOPYPOOL is left out" in str(delhi.lines.wait_for("ANR4774W"))
    tokyo.start()
    with connect(delhi, "ANN") as client:
        assert client.read_all() == files


def test_without_copycontinue_a_target_that_is_away_keeps_everything_out(
    delhi: GridServer, tokyo: GridServer
) -> None:
    delhi.admin("update stgpool tapepool copystgpools=targetcopypool copycontinue=no")
    tokyo.stop()
    with connect(delhi, "ANN") as client, pytest.raises(FarvaultError, match="ANR4775W"):
        client.store(some_files(3))
    tokyo.start()
    delhi.admin(f"update server tokyo lladdress={tokyo.port}")
    with connect(delhi, "ANN") as client:
        assert client.inventory() == {}
        client.store(some_files(3))


def test_a_listed_copy_pool_is_not_deleted(delhi: GridServer) -> None:
    delhi.admin("update stgpool tapepool copystgpools=targetcopypool")
    assert "ANR2258E" in delhi.admin("delete stgpool targetcopypool", allow=(13,)).text
    delhi.admin('update stgpool tapepool copystgpools=""')
    delhi.admin("delete stgpool targetcopypool")


# --- mount points ----------------------------------------------------------------------------------------------------


def test_query_mount_shows_what_is_open_what_waits_and_what_is_idle(delhi: GridServer) -> None:
    store_files(delhi, *range(4))
    delhi.admin("backup stgpool tapepool targetcopypool wait=yes")
    text = delhi.admin("query mount").text
    assert "ANR4778I Device class TARGETCLASS: 1 session(s) with TOKYO kept open" in text
    mounts = delhi.server.storage.volumes.mounts
    holder = mounts.worker(Priority.STORE, "a test")
    holder.claim({"TARGETCLASS": 1})
    set_access(delhi, "TAPEPOOL", "unavailable")
    with connect(delhi, "ANN") as client:
        wanted = [row.id for row in client.inventory().values()]
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(len(client.read(wanted).contents)))
        thread.start()
        with mounts.changed:
            assert mounts.changed.wait_for(lambda: len(mounts.waiting) > 0, 30)
        text = delhi.admin("query mount").text
        assert "of node ANN waits for TARGETCLASS" in text
        assert "ANR4777I Device class TARGETCLASS: 1 mount point(s) kept by a test" in text
        assert "WAITING: session" in delhi.admin("query mount f=d").text
        holder.rest()
        thread.join(30)
    assert answers == [4]


def test_a_copy_within_the_only_mount_point_of_a_target_takes_turns(delhi: GridServer) -> None:
    """A primary and a copy pool on one class with MOUNTLIMIT=1: the copy reads and writes by the same session slot."""
    delhi.admin("define stgpool targetpool targetclass maxscratch=100")
    ids = store_files(delhi, *range(6), pool="TARGETPOOL")
    text = delhi.admin("backup stgpool targetpool targetcopypool maxprocess=4 wait=yes").text
    assert "SUCCESS" in text
    set_access(delhi, "TARGETPOOL", "unavailable")
    assert restored(delhi, ids) == {number: file_bytes(seed, MIB) for seed, number in enumerate(ids)}
    with delhi.server.catalog.read() as r:
        assert list(audit.check_sums(r)) == []


def test_two_sessions_of_a_node_take_turns_with_maxnummp_1(delhi: GridServer) -> None:
    delhi.admin("update node ann maxnummp=1")
    errors: list[Exception] = []

    def store(number: int) -> None:
        try:
            with connect(delhi, "ANN") as client:
                client.store({b"file%d" % number: b"%d" % number * 100_000})
        except FarvaultError as error:
            errors.append(error)

    threads = [threading.Thread(target=store, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    with delhi.server.catalog.read() as r:
        assert nouns.count(r, Volume, pool_id=nouns.get(r, StoragePool, "TAPEPOOL").id) == 1
