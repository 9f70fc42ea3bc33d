"""Who may issue what: the privilege classes against one command of each kind, and what protects the last administrator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.grid.grid_server import GridServer

from farvault.admin.execute import execute
from farvault.protocol.messages import CommandEnd, Output, Question

NOT_AUTHORIZED = 9

# Each command fails for a reason of its own (nothing it names exists), so asking changes nothing and the matrix can be
# run through with one server.
SYSTEM_ONLY = (
    "define domain standard",
    "copy domain nowhere x",
    "delete domain nowhere",
    "define stgpool p nowhere maxscratch=1",
    "delete stgpool nowhere",
    "define server x hladdress=h lladdress=1 nodename=x",  # NODENAME without PASSWORD
    "delete server nowhere",
    "register admin server_console secret1",
    "lock admin nowhere",
    "remove admin nowhere",
    "grant authority nowhere classes=system",
    "revoke authority nowhere",
    "cancel process 99999",
    "export server",
    "reconcile volumes",
)
POLICY_COMMANDS = (
    "lock node bob",
    "update domain direct backretention=1",
    "define mgmtclass direct nowhere m",
    "validate policyset direct nowhere",
    "delete filespace bob /none",
)
STORAGE_COMMANDS = (
    "update stgpool filepool highmig=1 lowmig=2",
    "backup stgpool nowhere filepool",
    "restore stgpool filepool copystgpool=nowhere",
    "audit volume stgpool=filepool fromdate=today",
    "migrate stgpool filepool",
)
STORAGE_UNRESTRICTED = ("define devclass c devtype=file prefix=X", "delete devclass nowhere")
OPERATOR_COMMANDS = ("update volume nowhere access=readonly", "cancel session 99999", "vary offline x")
ANYONE = (
    "query stgpool",
    "query node nobody",
    "query actlog msgno=9998",
    "query session 99999",
    "help",
    "ping server nowhere",
)

HOLDERS = {
    "SYS": "classes=system",
    "POL": "classes=policy",
    "STO": "classes=storage",
    "OPE": "classes=operator",
    "RESTRICTED_POL": "domains=direct",
    "RESTRICTED_STO": "stgpools=filepool",
    "NONE": "",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GridServer]:
    server = GridServer("DELHI", str(tmp_path_factory.mktemp("rights") / "delhi")).start()
    server.admin("copy domain standard direct")
    server.admin("activate policyset direct standard")
    server.admin("register node bob secret1 domain=direct")
    server.admin("register node ann secret1")
    for name, rights in HOLDERS.items():
        server.admin(f"register admin {name} secret1")
        if rights:
            server.admin(f"grant authority {name} {rights}")
    yield server
    server.stop()


def issue(server: GridServer, administrator: str, command: str) -> tuple[int, str]:
    """Return code and text; confirmed."""
    text, return_code = "", -1
    for body in execute(server.server.instance, administrator, command, width=0, confirmed=True):
        if isinstance(body, Output):
            text += body.text + "\n"
        if isinstance(body, CommandEnd):
            return_code = body.return_code
    return return_code, text


def is_let_through(server: GridServer, administrator: str, command: str) -> bool:
    """False where the answer is ANR2035E. Syntax errors would come before it, so they would be a mistake of the test."""
    _, text = issue(server, administrator, command)
    return "ANR2035E" not in text


MATRIX = [
    *((command, {"SYS"}) for command in SYSTEM_ONLY),
    *((command, {"SYS", "POL", "RESTRICTED_POL"}) for command in POLICY_COMMANDS),
    *((command, {"SYS", "STO", "RESTRICTED_STO"}) for command in STORAGE_COMMANDS),
    *((command, {"SYS", "STO"}) for command in STORAGE_UNRESTRICTED),
    *((command, {"SYS", "OPE"}) for command in OPERATOR_COMMANDS),
    *((command, set(HOLDERS)) for command in ANYONE),
]


@pytest.mark.parametrize(("command", "allowed"), MATRIX, ids=[command for command, _ in MATRIX])
def test_a_command_lets_those_through_whose_privilege_allows_it(
    server: GridServer, command: str, allowed: set[str]
) -> None:
    let_through = {name for name in HOLDERS if is_let_through(server, name, command)}
    assert let_through == allowed


@pytest.mark.parametrize(
    ("administrator", "command"),
    [
        ("RESTRICTED_POL", "lock node ann"),
        ("RESTRICTED_POL", "update node bob domain=standard"),
        ("RESTRICTED_POL", "update node * contact=x"),
        ("RESTRICTED_POL", "update domain standard backretention=1"),
        ("RESTRICTED_POL", "register node new secret1"),
        ("RESTRICTED_STO", "update stgpool backuppool highmig=1 lowmig=0"),
        ("RESTRICTED_STO", "restore stgpool backuppool newstgpool=filepool"),
        ("RESTRICTED_STO", "migrate stgpool backuppool"),
        ("RESTRICTED_STO", "define devclass c devtype=file"),
    ],
)
def test_restricted_authority_ends_at_its_names(server: GridServer, administrator: str, command: str) -> None:
    code, text = issue(server, administrator, command)
    assert code == NOT_AUTHORIZED
    assert "ANR2035E" in text


def test_a_list_of_volumes_is_read_for_the_system_privilege_only(server: GridServer, tmp_path: Path) -> None:
    """The server reads files that an administrator of its storage must not see, the console's secret among them."""
    listed = tmp_path / "secret"
    listed.write_text("0123456789abcdef\n")
    command = f"backup db type=full devclass=fileclass volumenames=FILE:{listed} wait=yes"
    server.admin(f"define devclass fileclass devtype=file directory={tmp_path}")
    code, text = issue(server, "STO", command)
    assert (code, "ANR2035E" in text) == (NOT_AUTHORIZED, True)
    assert "0123456789abcdef" not in server.admin("query volhistory", allow=(0, 11)).text
    listed.write_text("name\nno\x1bname\n")
    assert "line 2 is no name" in issue(server, "SYS", command)[1]


def test_restricted_policy_suffices_inside_its_domain(server: GridServer) -> None:
    assert issue(server, "RESTRICTED_POL", "register node carl secret1 domain=direct")[0] == 0
    assert issue(server, "RESTRICTED_POL", "update node carl contact=x")[0] == 0
    assert issue(server, "RESTRICTED_POL", "remove node carl")[0] == 0


def test_a_revoked_right_is_gone_with_the_next_command(server: GridServer) -> None:
    server.admin("register admin temp secret1")
    server.admin("grant authority temp classes=system")
    assert issue(server, "TEMP", "register admin other secret1")[0] == 0
    server.admin("revoke authority temp classes=system")
    assert issue(server, "TEMP", "remove admin other")[0] == NOT_AUTHORIZED
    server.admin("remove admin temp")
    assert "ANR2036E" in issue(server, "TEMP", "query node")[1]


def test_everybody_may_change_his_own_password_and_no_other(server: GridServer) -> None:
    assert issue(server, "NONE", "update admin none secret2")[0] == 0
    assert issue(server, "NONE", "update admin sys secret2")[0] == NOT_AUTHORIZED


def test_restricted_beside_unrestricted_is_refused_and_narrowing_works(server: GridServer) -> None:
    assert "ANR2104E" in issue(server, "SYS", "grant authority pol domains=direct")[1]
    server.admin("register admin narrow secret1")
    server.admin("grant authority narrow domains=standard,direct")
    server.admin("revoke authority narrow domains=standard")
    assert "DIRECT" in server.admin("query admin narrow format=detailed").text
    assert "STANDARD" not in server.admin("query admin narrow format=detailed").text
    assert server.admin("grant authority narrow", allow=(3,))
    assert "ANR1550E" in server.admin("grant authority narrow domains=nowhere", allow=(11,)).text


def test_nobody_locks_himself_or_takes_the_consoles_name(server: GridServer) -> None:
    assert "ANR2101E" in issue(server, "SYS", "lock admin sys")[1]
    assert "ANR2100E" in issue(server, "SYS", "register admin server_console secret1")[1]


def test_a_risky_command_asks_first(server: GridServer) -> None:
    answers = list(execute(server.server.instance, "SYS", "delete domain direct"))
    assert len(answers) == 1 and isinstance(answers[0], Question)
    assert "DIRECT" in answers[0].text


def test_rights_are_checked_before_the_question(server: GridServer) -> None:
    answers = list(execute(server.server.instance, "NONE", "delete domain direct"))
    assert isinstance(answers[-1], CommandEnd) and answers[-1].return_code == NOT_AUTHORIZED
