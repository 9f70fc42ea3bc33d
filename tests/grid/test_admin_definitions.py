"""Definitions by command, against a real server: what they make, what they refuse, what QUERY shows of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.grid.grid_server import GridServer

from farvault.catalog import nouns
from farvault.model.node import Node
from farvault.model.server import Server
from farvault.protocol.login import ADMIN

MakeServer = Callable[[str], GridServer]


@pytest.fixture
def delhi(make_server: MakeServer) -> GridServer:
    return make_server("DELHI")


def refusal(server: GridServer, command: str, return_code: int) -> str:
    answer = server.admin(command, allow=(return_code,))
    return answer.text


TARGET = "define server tokyo password=secret1 hladdress=tokyo.example lladdress=1500 nodename=delhi"


class TestServers:
    def test_the_virtual_volume_form_names_our_node_and_makes_a_code(self, delhi: GridServer) -> None:
        assert "ANR1667I" in delhi.admin(TARGET).text
        (found,) = delhi.rows("query server format=detailed")
        assert found["node_name"] == "DELHI"
        assert found["virtual_volume_password_set"] is True
        assert found["verification_code_set"] is True
        assert found["server_password_set"] is False
        assert found["delete_grace_days"] == 5

    def test_secrets_are_neither_stored_in_the_clear_nor_shown_nor_logged(self, delhi: GridServer) -> None:
        delhi.admin("define server tokyo password=hush-hush-1 serverpassword=hush-hush-2 hla=h lla=1")
        assert "hush" not in delhi.admin("query server format=detailed").text
        with delhi.server.catalog.read() as r:
            server = nouns.get(r, Server, "TOKYO")
        assert b"hush" not in server.sealed_node_password + server.sealed_server_password
        assert not any("hush" in str(line) for line in delhi.lines.all)
        assert "password=?***? serverpassword=?***? hla=h" in str(delhi.lines.wait_for("ANR2017I"))

    def test_days_since_last_access_are_known_after_a_ping(
        self, delhi: GridServer, make_server: MakeServer
    ) -> None:
        tokyo = make_server("TOKYO")
        tokyo.admin("register node delhi secret1 type=server")
        delhi.admin(f"define server tokyo password=secret1 hla=127.0.0.1 lla={tokyo.port} nodename=delhi")
        delhi.admin(f"define server general hla=127.0.0.1 lla={tokyo.port}")
        assert [row["last_access_days"] for row in delhi.rows("query server")] == [0, 0]
        assert "ANR1707I" in delhi.admin("ping server tokyo").text
        assert "ANR1706I" in delhi.admin("ping server general").text
        assert delhi.admin("query server").text.count("<1") == 2
        assert all(row["last_access_time"] for row in delhi.rows("query server format=detailed"))

    def test_the_general_form_is_no_target(self, delhi: GridServer) -> None:
        delhi.admin("define server paris serverpassword=x hladdress=h lladdress=1500")
        assert "ANR1673E" in refusal(delhi, "define devclass c devtype=server servername=paris", 3)
        assert "ANR1665E" in refusal(delhi, "update server paris nodename=x", 3)
        assert "ANR1665E" in refusal(delhi, "update server paris forcesync=yes", 3)
        delhi.admin("update server paris password=now-a-target")
        delhi.admin("define devclass c devtype=server servername=paris")

    def test_a_server_is_never_its_own_target(self, delhi: GridServer) -> None:
        port = delhi.port
        assert "ANR1668E" in refusal(delhi, "define server delhi password=x hla=far.example lla=1500", 3)
        for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
            assert "ANR1669E" in refusal(delhi, f"define server me password=x hla={host} lla={port}", 3)
        delhi.admin("set serverhladdress delhi.example")
        assert "ANR1669E" in refusal(delhi, f"define server me password=x hla=delhi.example lla={port}", 3)
        delhi.admin(TARGET)
        assert "ANR1669E" in refusal(delhi, f"update server tokyo hla=127.0.0.1 lla={port}", 3)

    def test_a_server_that_a_class_names_cannot_go(self, delhi: GridServer) -> None:
        delhi.admin(TARGET)
        delhi.admin("define devclass targetclass devtype=server servername=tokyo")
        assert "TARGETCLASS" in refusal(delhi, "delete server tokyo", 13)
        delhi.admin("delete devclass targetclass")
        delhi.admin("delete server tokyo")
        assert "ANR1650E" in refusal(delhi, "delete server tokyo", 11)

    def test_update_keeps_what_is_not_named_and_the_code(self, delhi: GridServer) -> None:
        delhi.admin(TARGET)
        with delhi.server.catalog.read() as r:
            before = nouns.get(r, Server, "TOKYO")
        text = delhi.admin("update server tokyo delgraceperiod=9 forcesync=yes").text
        assert "ANR1662I" in text and "ANR1671I" in text
        with delhi.server.catalog.read() as r:
            after = nouns.get(r, Server, "TOKYO")
        assert after.sealed_verification_code == before.sealed_verification_code
        assert after.force_sync and after.delete_grace_days == 9
        assert after.high_level_address == "tokyo.example"
        delhi.admin("update server tokyo forcesync=no")
        assert delhi.rows("query server f=d")[0]["force_sync"] is False
        assert "ANR2026E" in refusal(delhi, "update server tokyo", 3)
        delhi.admin("update server tokyo ssl=yes transfermethod=tcpip sessionsecurity=strict")
        assert "ANR2991E" in refusal(delhi, "update server tokyo ssl=no", 14)

    def test_a_fingerprint_is_kept_in_one_form(self, delhi: GridServer) -> None:
        delhi.admin(TARGET)
        delhi.admin("update server tokyo fingerprint=" + "ab" * 32)
        assert delhi.rows("query server f=d")[0]["fingerprint"] == ":".join(["AB"] * 32)
        delhi.admin('update server tokyo fingerprint=""')
        assert delhi.rows("query server f=d")[0]["fingerprint"] == ""
        assert "ANR2020E" in refusal(delhi, "update server tokyo fingerprint=xyz", 3)

    def test_a_name_is_given_once(self, delhi: GridServer) -> None:
        delhi.admin(TARGET)
        assert "ANR1656E" in refusal(delhi, TARGET, 10)
        assert "ANR1668E" in refusal(delhi, "set servername tokyo", 3)

    def test_a_new_server_name_warns_of_targets_that_know_the_old_one(self, delhi: GridServer) -> None:
        delhi.admin(TARGET.removesuffix(" nodename=delhi"))
        assert "ANR2095W" not in delhi.admin("set servername delhi").text
        assert "ANR2095W" in delhi.admin("set servername mumbai").text

    def test_ping_says_what_it_found(self, make_server: MakeServer) -> None:
        delhi, tokyo = make_server("DELHI"), make_server("TOKYO")
        delhi.admin(f"define server tokyo password=secret1 hla=127.0.0.1 lla={tokyo.port}")
        assert "ANR0422W" in refusal(delhi, "ping server tokyo", 14)
        tokyo.admin("register node delhi secret1")
        assert "ANR0496W" in refusal(delhi, "ping server tokyo", 14)
        tokyo.admin("register node source secret1 type=server")
        delhi.admin("update server tokyo nodename=source")
        assert "read/write" in delhi.admin("ping server tokyo").text
        (found,) = delhi.rows("query server f=d")
        assert found["fingerprint"] == tokyo.server.fingerprint
        assert tokyo.rows("query node source f=d")[0]["code_registered"] == "Yes"
        tokyo.stop()
        assert "ANR1705W" in refusal(delhi, "ping server tokyo", 14)

    def test_a_server_under_another_name_is_still_ourselves(self, delhi: GridServer) -> None:
        delhi.admin(f"define server mirror hla=127.0.0.1 lla={delhi.port}")
        assert "ANR1668E" in refusal(delhi, "ping server mirror", 14)


class TestNodes:
    def test_mount_points_of_a_node_are_kept_and_shown(self, delhi: GridServer) -> None:
        text = delhi.admin("register node ann secret1 maxnummp=2 keepmp=yes").text
        assert "ANR2994W" not in text + delhi.admin("update node ann maxnummp=3").text
        (ann,) = delhi.rows("q node ann f=d")
        assert (ann["max_mount_points"], ann["keep_mount_point"]) == (3, True)

    def test_a_node_is_as_it_was_registered_and_updated(self, delhi: GridServer) -> None:
        delhi.admin('register node ann secret1 contact="Ann, room 5" archdelete=no')
        delhi.admin("update node ann backdelete=yes emailaddress=ann@example.org")
        (found,) = delhi.rows("query node ann format=detailed")
        assert found["contact"] == "Ann, room 5"
        assert found["archive_delete"] is False
        assert found["backup_delete"] is True
        assert found["type"] == "CLIENT"
        assert "last_access_time" in found and found["last_access_time"] is None

    def test_update_and_query_take_patterns_and_lists(self, delhi: GridServer) -> None:
        for name in ("ann", "anton", "bob"):
            delhi.admin(f"register node {name} secret1")
        assert [row["name"] for row in delhi.rows("q node an*")] == ["ANN", "ANTON"]
        delhi.admin("update node an*,bob contact=x")
        assert "ANR2097E" in refusal(delhi, "update node an* new-secret", 3)
        assert "ANR2034E" in refusal(delhi, "update node zz* contact=x", 11)
        assert "ANR2034E" in refusal(delhi, "query node zz*", 11)

    def test_the_password_can_be_changed_alone(self, delhi: GridServer) -> None:
        delhi.admin("register node ann secret1")
        with delhi.server.catalog.read() as r:
            before = nouns.get(r, Node, "ANN").password_verifier
        delhi.admin("update node ann secret2")
        with delhi.server.catalog.read() as r:
            assert nouns.get(r, Node, "ANN").password_verifier != before
        delhi.sign_on("ANN", "secret2")[0].close()

    def test_type_cannot_be_changed(self, delhi: GridServer) -> None:
        delhi.admin("register node ann secret1")
        assert "ANR2021E" in refusal(delhi, "update node ann type=server", 3)

    def test_a_source_whose_domain_cannot_take_archives_is_told_so_at_once(self, delhi: GridServer) -> None:
        for command in (
            "define domain vault",
            "define policyset vault standard",
            "define mgmtclass vault standard standard",
            "assign defmgmtclass vault standard standard",
            "activate policyset vault standard",
        ):
            delhi.admin(command)
        assert "ANR2096W" in delhi.admin("register node source secret1 domain=vault type=server").text
        assert "ANR2096W" not in delhi.admin("register node other secret1 type=server").text

    def test_rename_lock_unlock_remove(self, delhi: GridServer) -> None:
        delhi.admin("register node ann secret1")
        delhi.admin("rename node ann anne")
        delhi.admin("lock node anne")
        assert delhi.rows("query node")[0]["locked"] is True
        delhi.admin("unlock node anne")
        delhi.admin("remove node anne")
        assert "ANR2146E" in refusal(delhi, "lock node anne", 11)

    def test_a_node_with_a_session_is_not_removed(self, delhi: GridServer) -> None:
        delhi.admin("register node ann secret1")
        connection, _ = delhi.sign_on("ANN", "secret1")
        assert "ANR2099E" in refusal(delhi, "remove node ann", 12)
        connection.close()

    def test_an_administrator_with_a_session_keeps_the_name(self, delhi: GridServer) -> None:
        """Rights go by name: whoever had it next would lend theirs to the open session."""
        delhi.admin("register admin bob secret1")
        connection, _ = delhi.sign_on("BOB", "secret1", role=ADMIN)
        assert "ANR2102E" in refusal(delhi, "rename admin bob robert", 12)
        connection.close()

    def test_a_node_is_removed_while_an_administrator_of_its_name_is_signed_on(
        self, delhi: GridServer
    ) -> None:
        delhi.admin("register node bob secret1")
        delhi.admin("register admin bob secret1")
        connection, _ = delhi.sign_on("BOB", "secret1", role=ADMIN)
        delhi.admin("remove node bob")
        connection.close()

    def test_text_is_one_printable_line(self, delhi: GridServer) -> None:
        for text in ("a\u2028b", "a\x85b", "a\x1b[31mb"):
            assert "ANR2020E" in refusal(delhi, f'register node bob secret1 contact="{text}"', 3)

    def test_an_unknown_domain_is_refused(self, delhi: GridServer) -> None:
        assert "ANR1550E" in refusal(delhi, "register node ann secret1 domain=nowhere", 11)
        delhi.admin("register node bob secret1")
        assert "ANR2147E" in refusal(delhi, "register node bob secret1", 10)


class TestDeviceClassesAndPools:
    def test_disk_is_built_in(self, delhi: GridServer) -> None:
        assert delhi.rows("query devclass disk")[0]["strategy"] == "Random"
        assert "ANR2251E" in refusal(delhi, "update devclass disk mountlimit=3", 3)
        assert "ANR2251E" in refusal(delhi, "delete devclass disk", 3)

    @pytest.mark.parametrize(
        ("command", "message_id", "return_code"),
        [
            ("define devclass c devtype=server", "ANR2022E", 3),
            ("define devclass c devtype=server servername=nobody", "ANR1650E", 11),
            ("define devclass c devtype=file prefix=ADSM", "ANR2027E", 3),
            ("define devclass c devtype=file directory=relative/path", "ANR2250E", 3),
            ("define devclass c devtype=tape", "ANR2020E", 3),
            ("define devclass c devtype=server servername=tokyo prefix=9X", "ANR2249E", 3),
            ("define devclass c devtype=server servername=tokyo prefix=TOOLONGPREFIX", "ANR2020E", 3),
            ("delete devclass filedev", "ANR2252E", 13),
        ],
    )
    def test_classes_that_cannot_be(
        self, delhi: GridServer, command: str, message_id: str, return_code: int
    ) -> None:
        delhi.admin(TARGET)
        assert message_id in refusal(delhi, command, return_code)

    def test_defaults_follow_the_variant(self, delhi: GridServer) -> None:
        delhi.admin(TARGET)
        delhi.admin("define devclass targetclass devtype=server servername=tokyo")
        delhi.admin("define stgpool seq targetclass maxscratch=20")
        delhi.admin("define stgpool cop targetclass pooltype=copy maxscratch=20")
        delhi.admin("define stgpool ran disk")
        found = {row["name"]: row for row in delhi.rows("query stgpool format=detailed")}
        assert found["SEQ"]["reclaim_percent"] == 60 and found["SEQ"]["collocate"] == "GROUP"
        assert found["COP"]["reclaim_percent"] == 100 and found["COP"]["collocate"] == "NO"
        assert "high_migration_percent" not in found["COP"] and "max_scratch" not in found["RAN"]
        assert found["RAN"]["high_migration_percent"] == 90

    @pytest.mark.parametrize(
        ("command", "message_id", "return_code"),
        [
            ("define stgpool p nowhere maxscratch=1", "ANR8201E", 11),
            ("define stgpool p filedev", "ANR2022E", 3),
            ("define stgpool p disk pooltype=copy maxscratch=1", "ANR2253E", 3),
            ("define stgpool p disk maxscratch=1", "ANR2027E", 3),
            ("define stgpool p filedev pooltype=copy maxscratch=1 nextstgpool=filepool", "ANR2027E", 3),
            ("define stgpool p filedev maxscratch=1 highmig=50 lowmig=60", "ANR2254E", 3),
            ("define stgpool p filedev maxscratch=1 nextstgpool=nowhere", "ANR2382E", 11),
            ("define stgpool p filedev maxscratch=1 nextstgpool=copies", "ANR2255E", 3),
            ("define stgpool p filedev maxscratch=1 reclaimstgpool=backuppool", "ANR2255E", 3),
            ("define stgpool p filedev maxscratch=1 copystgpools=copies,copies", "ANR4779E", 3),
            ("define stgpool p filedev maxscratch=1 copystgpools=filepool", "ANR2255E", 3),
            ("define stgpool p filedev maxscratch=1 copystgpools=none", "ANR2382E", 11),
            ("define stgpool backuppool disk", "ANR2381E", 10),
            ("update stgpool filepool nextstgpool=backuppool", "ANR2256E", 3),
            ("update stgpool filepool nextstgpool=filepool", "ANR2256E", 3),
            ("delete stgpool filepool", "ANR2258E", 13),
            ("update stgpool copies highmig=5", "ANR2027E", 3),
        ],
    )
    def test_pools_that_cannot_be(
        self, delhi: GridServer, command: str, message_id: str, return_code: int
    ) -> None:
        delhi.admin("define stgpool copies filedev pooltype=copy maxscratch=5")
        assert message_id in refusal(delhi, command, return_code)

    def test_an_empty_value_takes_the_next_pool_away(self, delhi: GridServer) -> None:
        delhi.admin('update stgpool backuppool nextstgpool=""')
        assert {r["name"]: r for r in delhi.rows("q stg")}["BACKUPPOOL"]["next_pool"] == ""

    def test_deleting_a_pool_tells_which_policy_still_names_it(self, delhi: GridServer) -> None:
        assert "ANR2259W" in delhi.admin("delete stgpool archivepool").text


class TestVolumes:
    def test_define_query_update_delete_in_a_random_pool(self, delhi: GridServer) -> None:
        text = delhi.admin("define volume backuppool vol formatsize=8 numberofvolumes=2 wait=yes").text
        assert text.count("ANR2206I") == 2 and "SUCCESS" in text
        found = delhi.rows("query volume format=detailed")
        assert [row["status"] for row in found] == ["ONLINE", "ONLINE"]
        assert all(row["name"].endswith(("vol001", "vol002")) for row in found)
        name = found[0]["name"]
        assert "ANR2264I" in delhi.admin(f"update volume {name} access=readonly preview=yes").text
        delhi.admin(f"update volume {name} access=readonly")
        assert [row["name"] for row in delhi.rows("query volume access=readonly")] == [name]
        assert [row["name"] for row in delhi.rows("query volume stgpool=backup* status=online f=d")] == [
            row["name"] for row in found
        ]
        assert "ANR2034E" in refusal(delhi, "query volume devclass=filedev", 11)

    def test_a_random_volume_needs_a_size(self, delhi: GridServer) -> None:
        assert "ANR2261E" in refusal(delhi, "define volume backuppool vol", 3)
        assert "ANR2401E" in refusal(delhi, "delete volume nowhere", 11)

    def test_access_that_the_pool_cannot_have(self, delhi: GridServer) -> None:
        delhi.admin("define stgpool copies filedev pooltype=copy maxscratch=5")
        delhi.admin("define volume copies c1 wait=yes")
        delhi.admin("define volume filepool p1 wait=yes")
        assert "ANR2263E" in refusal(delhi, "update volume */p1 access=offsite", 3)
        text = refusal(delhi, "update volume * access=destroyed", 4)
        assert "ANR2263E" in text and "ANR2207I" in text
        delhi.admin("update volume */c1 access=offsite location='the vault'")
        assert delhi.rows("query volume */c1 f=d")[0]["location"] == "the vault"


class TestAnswers:
    def test_what_comes_later_is_one_clear_message(self, delhi: GridServer) -> None:
        for command in (
            "import server devclass=filedev",
            "export server devclass=filedev",
        ):
            assert "ANR2990E" in refusal(delhi, command, 14)

    def test_an_empty_list_is_still_json(self, delhi: GridServer) -> None:
        answer = delhi.admin("query node", allow=(11,), style="JSON")
        assert answer.text.splitlines()[0] == "[]"

    def test_every_query_answers_in_every_style(self, delhi: GridServer) -> None:
        delhi.admin("register node ann secret1")
        delhi.admin(TARGET)
        for query in (
            "admin",
            "devclass",
            "domain",
            "policyset",
            "mgmtclass",
            "copygroup",
            "stgpool",
            "node",
            "server",
        ):
            for form in ("standard", "detailed"):
                for style in ("", "TABLE", "LIST", "COMMA", "TAB", "JSON"):
                    assert delhi.admin(f"query {query} format={form}", style=style).text
        for query in ("status", "actlog"):
            assert delhi.admin(f"query {query}").text

    def test_the_activity_log_can_be_searched(self, delhi: GridServer) -> None:
        delhi.admin("register node ann secret1")
        asked = "query actlog search='node ann registered' begindate=today-1"
        found = [row["message"] for row in delhi.rows(asked)]
        assert found[0].startswith("ANR2060I"), "what was said just before is there"
        assert len(found) == 2 and asked in found[1], "and, always, that this was asked"
        assert delhi.rows("query actlog msgno=2060 begindate=-1 begintime=00:00")
        assert "ANR2034E" in refusal(delhi, "query actlog msgno=9998", 11)
        assert "ANR2106E" in refusal(delhi, "query actlog begindate=today enddate=today-2", 3)

    def test_nobody_is_locked_out(self, delhi: GridServer) -> None:
        assert "ANR2103E" in refusal(delhi, "remove admin admin", 13)
        assert "ANR2103E" in refusal(delhi, "revoke authority admin", 13)
        delhi.admin("register admin eve secret1")
        delhi.admin("grant authority eve classes=system")
        delhi.admin("lock admin admin")
        assert "ANR2103E" in refusal(delhi, "lock admin eve", 13)
