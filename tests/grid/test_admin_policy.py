"""Policy by command: definitions, copies, validation, activation, against a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.grid.grid_server import GridServer


@pytest.fixture
def server(make_server: Callable[[str], GridServer]) -> GridServer:
    return make_server("DELHI")


def refusal(server: GridServer, command: str, return_code: int) -> str:
    return server.admin(command, allow=(return_code,)).text


def make_policy(server: GridServer, domain: str = "vault") -> None:
    for command in (
        f"define domain {domain} backretention=10",
        f"define policyset {domain} standard",
        f"define mgmtclass {domain} standard standard",
        f"define copygroup {domain} standard standard type=archive destination=filepool",
        f"assign defmgmtclass {domain} standard standard",
    ):
        server.admin(command)


def test_the_standard_policy_is_ready_made(server: GridServer) -> None:
    (domain,) = server.rows("query domain format=detailed")
    assert (domain["name"], domain["activated_set"], domain["active_default"]) == ("STANDARD",) * 3
    (backup,) = server.rows("query copygroup standard active standard")
    assert (backup["versions_exist"], backup["versions_deleted"]) == (2, 1)
    assert (backup["retain_extra_days"], backup["retain_only_days"]) == (30, 60)
    (archive,) = server.rows("query copygroup standard active type=archive")
    assert archive["retain_version_days"] == 365


def test_a_domain_is_built_up_and_activated(server: GridServer) -> None:
    make_policy(server)
    text = server.admin("activate policyset vault standard").text
    assert "ANR1514I" in text
    assert "ANR1555W" in text, "the default class has no backup copy group: that is worth a warning"
    (domain,) = server.rows("query domain vault f=d")
    assert domain["activated_set"] == "STANDARD" and domain["backup_retention_days"] == 10


def test_active_is_a_copy_that_later_changes_do_not_touch(server: GridServer) -> None:
    make_policy(server)
    server.admin("activate policyset vault standard")
    server.admin("update copygroup vault standard standard type=archive retver=30")
    active, standard = server.rows("query copygroup vault * standard type=archive")
    assert (active["policy_set"], active["retain_version_days"]) == ("ACTIVE", 365)
    assert standard["retain_version_days"] == 30
    server.admin("activate policyset vault standard")
    assert server.rows("query copygroup vault active type=archive")[0]["retain_version_days"] == 30


def test_archiving_has_no_other_frequency_than_by_command(server: GridServer) -> None:
    make_policy(server)
    group = "copygroup vault standard standard"
    server.admin(f"update {group} type=archive frequency=cmd retver=30")
    assert server.rows("query copygroup vault standard type=archive")[0]["retain_version_days"] == 30
    assert "ANR2027E" in refusal(server, f"update {group} type=archive frequency=3", 3)
    assert "0 to 9999" in refusal(server, f"define {group} destination=filepool frequency=cmd", 3)
    server.admin(f"define {group} destination=filepool frequency=3")
    assert server.rows("query copygroup vault standard f=d")[0]["frequency_days"] == 3

    (archive,) = server.rows("query copygroup vault standard type=archive f=d")
    assert archive["frequency"] == "Cmd"


def test_what_there_is_no_function_for_is_refused_and_may_be_empty(server: GridServer) -> None:
    """NAS tables of contents and active-data pools: known words, so that macros get a plain answer."""
    make_policy(server)
    group = "copygroup vault standard standard"
    for command in (
        f"define {group} destination=filepool tocdestination=filepool",
        f"update {group} type=archive tocdestination=filepool",
        "define domain other activedestination=filepool",
        "update domain vault activedestination=filepool",
    ):
        assert "ANR2991E" in refusal(server, command, 14)
    assert "ANR2034E" in refusal(server, "query domain other", 11)
    server.admin(f'define {group} destination=filepool tocdestination=""')
    server.admin('update domain vault activedestination="" description=kept')


def test_space_management_is_kept_with_a_warning(server: GridServer) -> None:
    make_policy(server)
    assert "ANR2994W" not in server.admin("define mgmtclass vault standard plain").text
    text = server.admin("define mgmtclass vault standard hsm spacemgtechnique=automatic automignonuse=3").text
    assert "ANR2994W SPACEMGTECHNIQUE, AUTOMIGNONUSE of management class HSM" in text


def test_active_cannot_be_changed(server: GridServer) -> None:
    for command in (
        "define policyset standard active",
        "update policyset standard active description=x",
        "delete policyset standard active",
        "define mgmtclass standard active other",
        "update copygroup standard active standard destination=filepool",
        "assign defmgmtclass standard active standard",
        "copy policyset standard standard active",
    ):
        assert "ANR1570E" in refusal(server, command, 3)


def test_activation_without_a_default_class_fails_and_changes_nothing(server: GridServer) -> None:
    server.admin("define policyset standard empty")
    assert "ANR1554E" in refusal(server, "validate policyset standard empty", 4)
    assert "ANR1574E" in refusal(server, "activate policyset standard empty", 4)
    assert server.rows("query domain")[0]["activated_set"] == "STANDARD"
    assert server.rows("query copygroup standard active")


def test_a_copied_domain_needs_activation(server: GridServer) -> None:
    server.admin("copy domain standard direct")
    assert {row["name"] for row in server.rows("query policyset direct")} == {"STANDARD"}
    assert server.rows("query domain direct")[0]["activated_set"] == ""
    server.admin("update copygroup direct standard standard type=backup destination=filepool")
    server.admin("activate policyset direct standard")
    assert server.rows("query copygroup direct active f=d")[0]["destination"] == "FILEPOOL"
    assert server.rows("query copygroup standard active f=d")[0]["destination"] == "BACKUPPOOL"


@pytest.mark.parametrize(
    ("command", "message_id", "return_code"),
    [
        ("define domain standard", "ANR1566E", 10),
        ("define policyset nowhere x", "ANR1550E", 11),
        ("define mgmtclass standard nowhere x", "ANR1551E", 11),
        ("define mgmtclass standard standard default", "ANR1571E", 3),
        ("define copygroup standard standard standard destination=filepool", "ANR1569E", 10),
        ("define copygroup standard standard nowhere destination=filepool", "ANR1552E", 11),
        ("define copygroup standard standard standard type=archive", "ANR2022E", 3),
        ("update copygroup standard standard standard type=archive verexists=3", "ANR2027E", 3),
        ("update copygroup standard standard standard retver=3", "ANR2027E", 3),
        ("update copygroup standard standard standard destination=copies", "ANR1575E", 3),
        ("update copygroup standard standard standard type=archive mode=modified", "ANR1577E", 3),
        ("define mgmtclass standard standard m migdestination=copies", "ANR1575E", 3),
        ("delete mgmtclass standard standard standard", "ANR1576E", 13),
        ("delete domain standard", "ANR1572E", 13),
        ("assign defmgmtclass standard standard nowhere", "ANR1552E", 11),
    ],
)
def test_policy_that_cannot_be(server: GridServer, command: str, message_id: str, return_code: int) -> None:
    server.admin("define stgpool copies filedev pooltype=copy maxscratch=5")
    server.admin("register node ann secret1")
    assert message_id in refusal(server, command, return_code)


def test_retention_may_start_with_an_event(server: GridServer) -> None:
    server.admin("define mgmtclass standard standard events")
    server.admin(
        "define copygroup standard standard events type=archive dest=filepool retinit=event retmin=30"
    )
    shown = server.admin("query copygroup standard standard events type=archive format=detailed").text
    assert "Retention Initiation: Event" in shown and "Retain Minimum Days: 30" in shown
    server.admin("update copygroup standard standard events type=archive retinit=creation")


@pytest.mark.parametrize(
    "command",
    [
        "define copygroup standard standard new type=archive dest=filepool retmin=30",
        "define copygroup standard standard new type=archive dest=filepool retinit=creation retmin=30",
        "update copygroup standard standard standard type=archive retmin=30",
    ],
)
def test_retmin_needs_an_event(server: GridServer, command: str) -> None:
    server.admin("define mgmtclass standard standard new")
    assert "ANR1578E" in refusal(server, command, 3)


def test_deleting_what_is_active_tells_the_grace_rule(server: GridServer) -> None:
    server.admin("define mgmtclass standard standard extra")
    server.admin("define copygroup standard standard extra destination=filepool")
    server.admin("activate policyset standard standard")
    text = server.admin("delete copygroup standard standard extra").text
    assert "ANR1563I" in text and "30 days" in text and "365 days" in text
    assert "ANR1563I" in server.admin("delete mgmtclass standard standard extra").text
    assert "ANR1559W" in server.admin("activate policyset standard standard").text
    assert "ANR1563I" not in server.admin("define mgmtclass standard standard extra").text


def test_a_destination_that_is_not_there_yet_is_a_warning(server: GridServer) -> None:
    text = server.admin("update copygroup standard standard standard destination=tapepool").text
    assert "ANR1562W" in text
    assert "ANR1557W" in server.admin("validate policyset standard standard").text


def test_deleting_goes_from_the_leaves_up(server: GridServer) -> None:
    make_policy(server)
    server.admin("define mgmtclass vault standard other")
    server.admin("copy mgmtclass vault standard standard third")
    assert server.rows("query copygroup vault standard third type=archive")
    server.admin("delete copygroup vault standard third type=archive")
    server.admin("delete mgmtclass vault standard other")
    server.admin("copy policyset vault standard second")
    server.admin("delete policyset vault second")
    server.admin("activate policyset vault standard")
    server.admin("delete domain vault")
    assert "ANR2034E" in refusal(server, "query policyset vault", 11)
    assert "ANR2034E" in refusal(server, "query mgmtclass vault", 11)


def test_nolimit_and_default_marks(server: GridServer) -> None:
    server.admin("update copygroup standard standard standard verexists=nol retonly=nolimit")
    (found,) = server.rows("query copygroup standard standard")
    assert found["versions_exist"] is None and found["retain_only_days"] is None
    text = server.admin("query copygroup standard standard", style="COMMA").text
    assert "No Limit,1,30,No Limit" in text
    assert [row["is_default"] for row in server.rows("query mgmtclass")] == [True, True]


def test_a_change_is_pending_until_the_set_is_activated(server: GridServer) -> None:
    make_policy(server)
    queries = (
        "query domain vault",
        "query policyset vault standard",
        "query mgmtclass vault standard",
        "query copygroup vault standard type=archive",
    )

    def pending() -> list[bool]:
        return [server.rows(f"{query} f=d")[0]["changes_pending"] for query in queries]

    assert pending() == [False] * 4, "a draft, nothing is activated yet"
    server.admin("activate policyset vault standard")
    assert pending() == [False] * 4
    server.admin("update mgmtclass vault standard standard description=new")
    assert pending() == [True, True, True, False]
    server.admin("update copygroup vault standard standard type=archive retver=30")
    assert pending() == [True] * 4
    server.admin("activate policyset vault standard")
    assert pending() == [False] * 4


@pytest.mark.parametrize("query", ["domain", "policyset", "mgmtclass", "copygroup", "copygroup type=archive"])
def test_a_detailed_policy_query_ends_as_tsm_does(server: GridServer, query: str) -> None:
    labels = [line.partition(":")[0].strip() for line in server.admin(f"query {query} f=d").text.splitlines()]
    first = labels[: labels.index("")] if "" in labels else labels
    assert first[-4:] == [
        "Last Update by (administrator)",
        "Last Update Date/Time",
        "Managing Profile",
        "Changes Pending",
    ]
    assert "Managing Profile:\n" in server.admin(f"query {query} f=d").text


def test_a_copy_group_is_shown_in_tsms_words(server: GridServer) -> None:
    text = server.admin("query copygroup standard active f=d").text
    assert "Copy Serialization: Shared Static\n" in text
    assert "Table of Contents (TOC) Destination:\n" in text
    server.admin("update copygroup standard standard standard serialization=shrdynamic")
    assert "Shared Dynamic\n" in server.admin("query copygroup standard standard f=d").text
