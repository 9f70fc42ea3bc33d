"""What a sign-on shows to somebody who only tries names: the same salt every time, whatever stands behind the name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farvault.admin.instance import Availability
from farvault.admin.server_secrets import server_password_context
from farvault.base.clock import ManualClock
from farvault.catalog import nouns
from farvault.catalog.catalog import Catalog
from farvault.model.administrator import Administrator
from farvault.model.node import Node
from farvault.model.server import Server
from farvault.protocol.login import ADMIN, NODE, SERVER, SOURCE, ClientLogin, ServerLogin
from farvault.protocol.messages import ScramChallenge
from farvault.protocol.scram import make_verifier
from farvault.seal.identity import Identity, verify
from farvault.seal.keyring import Keyring
from farvault.sessions.accounts import Accounts

CERTIFICATE = b"certificate of TOKYO"
TOKYO = Identity.create("TOKYO")


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    """Known are the node ANN, the server DELHI, and NEW and BOSS whose passwords were never set."""
    clock, keyring = ManualClock(), Keyring.create()
    catalog = Catalog.create(str(tmp_path / "catalog.db"), keyring.row_key(), clock)
    sealed = keyring.seal_secret(b"password of DELHI", server_password_context("DELHI"))
    with catalog.write() as tx:
        nouns.insert(tx, Node(name="ANN", password_verifier=make_verifier("password of ANN")))
        nouns.insert(tx, Node(name="NEW"))
        nouns.insert(tx, Administrator(name="BOSS"))
        nouns.insert(
            tx,
            Server(
                name="DELHI",
                high_level_address="delhi",
                low_level_address=1500,
                sealed_server_password=sealed,
            ),
        )
    yield Accounts(catalog, keyring, clock, Availability(), "SERVER_CONSOLE", "console")
    catalog.close()


def salt(accounts: Accounts, role: str, name: str) -> str:
    server = ServerLogin(
        "TOKYO",
        TOKYO.public_key_bytes,
        CERTIFICATE,
        "1",
        lambda hello: accounts.find(hello, "here"),
        verify=verify,
        decoy_key=b"k" * 32,
    )
    client = ClientLogin(role, name, "guess", CERTIFICATE)
    first = client.receive(server.receive(client.start())[0])
    assert first is not None
    challenge = server.receive(first)[0]
    assert isinstance(challenge, ScramChallenge)
    return challenge.message.split(",", 1)[1]  # without the nonce


@pytest.mark.parametrize(
    ("role", "known"), [(NODE, "ANN"), (NODE, "NEW"), (SOURCE, "NEW"), (ADMIN, "BOSS"), (SERVER, "DELHI")]
)
def test_known_and_unknown_names_are_challenged_alike(accounts: Accounts, role: str, known: str) -> None:
    for name in (known, "OSAKA"):
        assert salt(accounts, role, name) == salt(accounts, role, name)
        assert salt(accounts, role, name) == salt(accounts, role, name.lower())
        assert len(salt(accounts, role, name)) == len(salt(accounts, NODE, "ANN"))


def test_a_name_that_is_known_in_one_role_does_not_show_by_its_salt_in_another(accounts: Accounts) -> None:
    for name in ("ANN", "OSAKA"):
        assert salt(accounts, NODE, name) != salt(accounts, ADMIN, name)
