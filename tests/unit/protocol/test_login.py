"""Sign-on without a network: who gets in, with what right, and what nobody between the two ends may do."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farvault.base.errors import FarvaultError, LoginRefused
from farvault.protocol import messages as m
from farvault.protocol.frames import ProtocolError
from farvault.protocol.login import (
    ADMIN,
    NODE,
    SOURCE,
    Account,
    ClientLogin,
    ServerLogin,
    SourceProof,
)
from farvault.protocol.login_states import CLIENT_STEPS, SERVER_STEPS, State
from farvault.protocol.scram import Verifier, make_verifier, parse_verifier
from farvault.protocol.transcript import proof_text, transcript
from farvault.seal.identity import Identity, code_identity, new_code, verify

CERTIFICATE = b"certificate of TOKYO"
VERIFIER = parse_verifier(make_verifier("secret"))
DELHI = Identity.create("DELHI")
TOKYO = Identity.create("TOKYO")
CODE = new_code()

Alter = Callable[[m.Body], m.Body]


def proof(identity: Identity = DELHI, code: bytes = CODE, *, force_sync: bool = False) -> SourceProof:
    code_key, sign_code = code_identity(code)
    return SourceProof(identity.public_key_bytes, identity.sign, code_key, sign_code, force_sync)


class Target:
    """TOKYO, with one name in its catalog."""

    def __init__(self, account: Account | None = None) -> None:
        self.account = account or Account(
            verifier=VERIFIER, session=12, server_time=99, transaction_objects=100
        )
        self.registered: list[tuple[bytes, bytes]] = []

    def lookup(self, hello: m.Hello) -> Account:
        if hello.name != "DELHI":
            raise LoginRefused("ANR0422W", name=hello.name, address="here")
        return self.account

    def register(self, hello: m.Hello, code_key: bytes, identity: bytes) -> bool:
        self.registered.append((code_key, identity))
        return True

    def login(self, **changes: object) -> ServerLogin:
        arguments: dict[str, object] = {
            "verify": verify,
            "decoy_key": b"k" * 32,
            "register": self.register,
            "features": ("resume", "dedup"),
            **changes,
        }
        return ServerLogin("TOKYO", TOKYO.public_key_bytes, CERTIFICATE, "1", self.lookup, **arguments)  # type: ignore[arg-type]


def registered(**changes: object) -> Account:
    """DELHI as a source whose code and identity TOKYO has stored."""
    arguments: dict[str, object] = {
        "verifier": VERIFIER,
        "registered_code_key": code_identity(CODE)[0],
        "registered_identity": DELHI.public_key_bytes,
        **changes,
    }
    return Account(**arguments)  # type: ignore[arg-type]


def source(proof: SourceProof | None, password: str = "secret", **changes: object) -> ClientLogin:
    return ClientLogin(SOURCE, "DELHI", password, CERTIFICATE, server_name="DELHI", proof=proof, **changes)  # type: ignore[arg-type]


def node(name: str = "DELHI", password: str = "secret", certificate: bytes = CERTIFICATE) -> ClientLogin:
    return ClientLogin(NODE, name, password, certificate, features=("dedup", "later"))


def unchanged(body: m.Body) -> m.Body:
    return body


def pump(client: ClientLogin, server: ServerLogin, alter: Alter = unchanged) -> m.Welcome:
    """Carry bodies between the two until the client is in or an error ends it; `alter` stands in the middle."""
    request: m.Body | None = client.start()
    while request is not None:
        for answer in server.receive(alter(request)):
            request = client.receive(alter(answer))
    assert client.welcome is not None
    return client.welcome


def told(client: ClientLogin, server: ServerLogin, alter: Alter = unchanged) -> str:
    with pytest.raises(LoginRefused) as refused:
        pump(client, server, alter)
    assert client.welcome is None
    assert client.state is State.REFUSED
    assert server.state is not State.SIGNED_ON
    return refused.value.message.id


def altering(kind: type[m.Body], **fields: object) -> Alter:
    return lambda body: msgspec.structs.replace(body, **fields) if isinstance(body, kind) else body


# --- password ----------------------------------------------------------------------------------------------------


def test_who_has_the_password_is_in_and_learns_what_the_server_says() -> None:
    client, server = node(), Target().login()
    welcome = pump(client, server)
    assert (welcome.session, welcome.read_only, welcome.server_time, welcome.transaction_objects) == (
        12,
        False,
        99,
        100,
    )
    assert server.hello == client.hello
    assert server.account is not None
    assert client.answer is not None
    assert client.answer.features == ("dedup",), "what both can"
    assert (client.state, server.state) == (State.SIGNED_ON, State.SIGNED_ON)


def test_the_password_never_crosses_the_wire() -> None:
    seen: list[bytes] = []

    def listen(body: m.Body) -> m.Body:
        seen.append(msgspec.msgpack.encode(body))
        return body

    pump(node(), Target().login(), listen)
    assert len(seen) == 6
    assert not [s for s in seen if b"secret" in s]


def test_a_wrong_password_is_refused() -> None:
    assert told(node(password="guess"), Target().login()) == "ANR0424W"


def test_an_unknown_name_gets_the_same_messages_and_is_refused_at_the_end() -> None:
    def kinds(name: str, password: str) -> list[str]:
        seen: list[str] = []

        def listen(body: m.Body) -> m.Body:
            seen.append(type(body).__name__)
            return body

        told(node(name, password), Target().login(), listen)
        return seen

    assert kinds("OSAKA", "secret") == kinds("DELHI", "guess")
    assert told(node("OSAKA"), Target().login()) == "ANR0422W"


def test_an_unknown_name_is_challenged_with_the_same_salt_each_time_like_a_known_one() -> None:
    def salt(name: str) -> str:
        client, server = node(name), Target().login()
        first = client.receive(server.receive(client.start())[0])
        assert first is not None
        challenge = server.receive(first)[0]
        assert isinstance(challenge, m.ScramChallenge)
        return challenge.message.split(",", 1)[1]  # without the nonce

    assert salt("OSAKA") == salt("OSAKA")
    assert salt("OSAKA") != salt("KYOTO")
    assert salt("DELHI") == salt("DELHI")
    assert len(salt("OSAKA")) == len(salt("DELHI"))


def test_why_a_known_name_may_not_come_in_is_told_only_to_who_has_its_password() -> None:
    locked = Target(
        Account(verifier=VERIFIER, refusal=LoginRefused("ANR0430W", name="DELHI", address="here"))
    )
    assert told(node(password="guess"), locked.login()) == "ANR0424W"
    assert told(node(), locked.login()) == "ANR0430W"


@pytest.mark.parametrize("name", ["", "x" * 65, "NAÏVE", "A\nB", "A\0B"])
def test_a_name_that_no_server_can_know_is_not_sent_and_not_accepted(name: str) -> None:
    with pytest.raises(LoginRefused):
        node(name).start()
    with pytest.raises(ProtocolError):
        pump(node(), Target().login(), altering(m.Hello, name=name))


@pytest.mark.parametrize("name", ["A,B=C", "with space", "n=x,r=y", "~!@#$%^&*()"])
def test_any_printable_name_is_carried_through(name: str) -> None:
    target = Target()
    target.lookup = lambda hello: target.account  # type: ignore[method-assign]
    pump(node(name), target.login())


def test_a_role_that_does_not_exist_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        pump(node(), Target().login(), altering(m.Hello, role="ROOT"))


# --- nobody in the middle ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "alter",
    [
        altering(m.Hello, features=()),
        altering(m.Hello, features=("dedup", "later", "more")),
        altering(m.Hello, role=ADMIN),
        altering(m.Hello, server_name="OSAKA"),
        altering(m.Hello, platform="other"),
        altering(m.Hello, nonce=b"n" * 32),
        altering(m.HelloAnswer, features=()),
        altering(m.HelloAnswer, server_name="OSAKA"),
        altering(m.HelloAnswer, identity=b"i" * 32),
        altering(m.HelloAnswer, nonce=b"n" * 32),
        altering(m.HelloAnswer, product_version="0"),
    ],
)
def test_a_hello_altered_on_the_way_ends_the_sign_on(alter: Alter) -> None:
    assert told(node(), Target().login(), alter) == "ANR0426W"


def test_a_server_that_invents_features_is_not_believed() -> None:
    with pytest.raises(ProtocolError, match="not offered"):
        pump(node(), Target().login(), altering(m.HelloAnswer, features=("dedup", "backdoor")))


def test_a_relay_with_its_own_certificate_gets_nowhere() -> None:
    """It holds two TLS connections and passes every body on unchanged: the certificates differ."""
    assert told(node(certificate=b"certificate of the relay"), Target().login()) == "ANR0426W"


def test_a_server_without_the_verifier_is_not_believed() -> None:
    client = node()
    with pytest.raises(LoginRefused, match="ANR0419E"):
        pump(client, Target().login(), altering(m.Welcome, scram="v=" + "A" * 43 + "="))
    assert client.welcome is None


def test_a_welcome_before_the_proof_is_a_protocol_error() -> None:
    client = node()
    client.start()
    with pytest.raises(ProtocolError):
        client.receive(m.Welcome(scram="v=AAAA", session=1, read_only=False, server_time=0))
    assert client.welcome is None


def test_a_conversation_replayed_to_another_sign_on_fails() -> None:
    recorded: list[m.Body] = []

    def record(body: m.Body) -> m.Body:
        recorded.append(body)
        return body

    pump(node(), Target().login(), record)
    hello, _, first, _, final, _ = recorded
    server = Target().login()
    server.receive(hello)
    server.receive(first)
    answer = server.receive(final)[0]
    assert isinstance(answer, m.Refused)
    assert server.state is State.REFUSED


def test_a_sign_on_reflected_to_its_own_sender_fails() -> None:
    """DELHI dials an attacker who hands everything back to DELHI's own door, where the same password holds."""

    def delhi() -> ServerLogin:
        return ServerLogin(
            "DELHI",
            DELHI.public_key_bytes,
            CERTIFICATE,
            "1",
            Target().lookup,
            verify=verify,
            decoy_key=b"k" * 32,
        )

    assert told(source(proof()), delhi()) == "ANR0499E", "the client sees its own identity answer"
    assert told(source(proof(), own_identity=b"unknowing"), delhi()) == "ANR0498W", "and so does the server"


def test_a_server_does_not_make_the_client_compute_for_ever() -> None:
    def expensive(body: m.Body) -> m.Body:
        if isinstance(body, m.ScramChallenge):
            return m.ScramChallenge(message=body.message.rsplit(",i=", 1)[0] + ",i=9999999")
        return body

    with pytest.raises(ProtocolError, match="iterations"):
        pump(node(), Target().login(), expensive)


def test_a_server_cannot_ask_for_a_password_hash_that_is_cheap_to_guess_from() -> None:
    def cheap(body: m.Body) -> m.Body:
        if isinstance(body, m.ScramChallenge):
            return m.ScramChallenge(message=body.message.rsplit(",i=", 1)[0] + ",i=1")
        return body

    assert told(node(), Target().login(), cheap) == "ANR0419E"


def test_a_scram_name_other_than_the_hellos_is_a_protocol_error() -> None:
    def rename(body: m.Body) -> m.Body:
        return (
            m.ScramFirst(message=body.message.replace("n=DELHI", "n=OSAKA"))
            if isinstance(body, m.ScramFirst)
            else body
        )

    with pytest.raises(ProtocolError, match="SCRAM"):
        pump(node(), Target().login(), rename)


def test_a_proof_that_is_no_scram_text_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="SCRAM"):
        pump(node(), Target().login(), altering(m.ScramFinal, message="c=,r=,p="))


def test_each_side_makes_a_fresh_nonce() -> None:
    clients, servers = {node().hello.nonce for _ in range(3)}, set()
    for _ in range(3):
        answer = Target().login().receive(node().start())[0]
        assert isinstance(answer, m.HelloAnswer)
        servers.add(answer.nonce)
    assert len(clients) == len(servers) == 3


def test_the_transcript_is_what_the_document_says() -> None:
    hello = m.Hello(role="NODE", name="A", nonce=b"c" * 32)
    answer = m.HelloAnswer(
        server_name="T", identity=b"i" * 32, features=("x",), product_version="1", nonce=b"s" * 32
    )
    hello_bytes = b"\x83\xa4role\xa4NODE\xa4name\xa1A\xa5nonce\xc4\x20" + b"c" * 32
    answer_bytes = b"".join(
        (
            b"\x85\xabserver_name\xa1T\xa8identity\xc4\x20" + b"i" * 32,
            b"\xa8features\x91\xa1x\xafproduct_version\xa11\xa5nonce\xc4\x20" + b"s" * 32,
        )
    )
    expected = hashlib.sha256(
        b"farvault transcript 1\0"
        + struct.pack("<I", len(hello_bytes))
        + hello_bytes
        + struct.pack("<I", len(answer_bytes))
        + answer_bytes
        + hashlib.sha256(b"certificate").digest()
    )
    assert transcript(hello, answer, b"certificate") == expected.digest()


def test_what_a_source_signs_is_what_the_document_says() -> None:
    final = m.ScramFinal(message="", identity=b"i" * 32, code_key=b"c" * 32, force_sync=True)
    assert proof_text("identity", b"t" * 32, final) == (
        b"farvault identity proof 1\0" + b"t" * 32 + b"i" * 32 + b"c" * 32 + b"\x01"
    )
    assert proof_text("code", b"t" * 32, final).startswith(b"farvault code proof 1\0")


# --- order -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state", [State.AWAITS_HELLO, State.AWAITS_FIRST, State.AWAITS_FINAL, State.SIGNED_ON]
)
def test_the_server_takes_in_each_state_only_what_its_table_names(state: State) -> None:
    for body in _one_of_each():
        if (state, type(body)) in SERVER_STEPS:
            continue
        server = Target().login()
        server.state = state
        with pytest.raises(ProtocolError, match=state.value):
            server.receive(body)


@pytest.mark.parametrize(
    "state", [State.START, State.HELLO_SENT, State.FIRST_SENT, State.FINAL_SENT, State.SIGNED_ON]
)
def test_the_client_takes_in_each_state_only_what_its_table_names(state: State) -> None:
    for body in _one_of_each():
        if (state, type(body)) in CLIENT_STEPS:
            continue
        client = node()
        client.state = state
        with pytest.raises(ProtocolError, match=state.value):
            client.receive(body)


def _one_of_each() -> list[m.Body]:
    return [
        m.Hello(role="NODE", name="A", nonce=b"c" * 32),
        m.HelloAnswer(server_name="T", identity=b"", features=(), product_version="", nonce=b"s" * 32),
        m.ScramFirst(message=""),
        m.ScramChallenge(message=""),
        m.ScramFinal(message=""),
        m.Welcome(scram="", session=1, read_only=False, server_time=0),
        m.Refused(message_id="ANR0424W", text=""),
        m.Ping(),
    ]


SCRAM_WORDS = (
    *("n", "y", "p=tls-server-end-point", "p=tls-unique", "", "n=DELHI", "n=x", "r=abc", "m=x", "a=DELHI"),
    *("c=YmlvcA==", "p=AAAA", "p=!", "i=0", "i=4096", "i=99999999999999999999", "s=QSXCR+Q6sek8bf92"),
    *("e=other-error", "v=AAAA", "r=\U0001f600", "n==3Dx", "n=\u0627a"),
)
SCRAM_TEXTS = st.text(max_size=60) | st.lists(st.sampled_from(SCRAM_WORDS), max_size=8).map(",".join)


@given(SCRAM_TEXTS, SCRAM_TEXTS)
@settings(max_examples=150, deadline=None)
def test_any_text_a_client_sends_is_refused_or_a_protocol_error(first: str, final: str) -> None:
    client, server = node(), Target().login()
    server.receive(client.start())
    try:
        server.receive(m.ScramFirst(message=first))
        server.receive(m.ScramFinal(message=final))
    except ProtocolError:
        pass
    assert server.state in (State.REFUSED, State.AWAITS_FINAL)


@given(SCRAM_TEXTS, SCRAM_TEXTS)
@settings(max_examples=150, deadline=None)
def test_any_text_a_server_sends_is_refused_or_a_protocol_error(challenge: str, final: str) -> None:
    client, server = node(), Target().login()
    client.receive(server.receive(client.start())[0])
    with pytest.raises(FarvaultError):
        client.receive(m.ScramChallenge(message=challenge))
        client.receive(m.Welcome(scram=final, session=1, read_only=False, server_time=0))
    assert client.welcome is None


# --- the right of a source ---------------------------------------------------------------------------------------


def test_the_first_sign_on_of_a_source_registers_its_code() -> None:
    target = Target()
    welcome = pump(source(proof()), target.login())
    assert (welcome.read_only, welcome.code_registered) == (False, True)
    assert target.registered == [(code_identity(CODE)[0], DELHI.public_key_bytes)]


def test_the_code_is_durable_before_anybody_is_told() -> None:
    target = Target()

    def fail(hello: m.Hello, code_key: bytes, identity: bytes) -> None:
        raise LoginRefused("ANR0420W", name=hello.name, address="here")

    assert told(source(proof()), target.login(register=fail)) == "ANR0420W"


def test_the_registered_source_may_write() -> None:
    target = Target(registered())
    welcome = pump(source(proof()), target.login())
    assert (welcome.read_only, welcome.code_registered) == (False, False)
    assert not target.registered


@pytest.mark.parametrize(
    ("who", "shown"),
    [
        ("a third server with DELHI's password but no code", None),
        ("one with another code", proof(code=new_code())),
        ("one that stole the code but has another identity", proof(Identity.create("OSAKA"))),
        ("one that stole the code and claims DELHI's identity without its key",
         SourceProof(DELHI.public_key_bytes, TOKYO.sign, *code_identity(CODE))),
        ("one that knows DELHI's public keys only",
         SourceProof(DELHI.public_key_bytes, TOKYO.sign, code_identity(CODE)[0], TOKYO.sign)),
    ],
)  # fmt: skip
def test_any_other_source_only_reads(who: str, shown: SourceProof | None) -> None:
    target = Target(registered())
    server = target.login()
    welcome = pump(source(shown), server)
    assert welcome.read_only
    assert server.read_only
    assert not target.registered


@pytest.mark.parametrize(
    "shown",
    [
        None,
        SourceProof(DELHI.public_key_bytes, TOKYO.sign, *code_identity(CODE)),
        SourceProof(DELHI.public_key_bytes, DELHI.sign, code_identity(CODE)[0], TOKYO.sign),
        SourceProof(b"", DELHI.sign, *code_identity(CODE)),
        SourceProof(b"short", lambda data: b"junk", b"short", lambda data: b""),
        SourceProof(DELHI.public_key_bytes, DELHI.sign, b"", lambda data: b"", force_sync=True),
    ],
)
def test_nothing_is_registered_without_both_signatures(shown: SourceProof | None) -> None:
    target = Target()
    assert pump(source(shown), target.login()).read_only
    assert not target.registered


def test_a_registration_that_waits_for_approval_only_reads() -> None:
    target = Target(registered())
    server = target.login(register=lambda hello, code, identity: False)
    welcome = pump(source(proof(code=new_code(), force_sync=True)), server)
    assert (welcome.read_only, welcome.sync_pending, welcome.code_registered) == (True, True, False)
    assert server.read_only and not server.code_key


def test_who_would_only_read_is_refused_where_nobody_may() -> None:
    told_id = told(source(proof(code=new_code())), Target(registered(admits_readers=False)).login())
    assert told_id == "ANR0497W"
    server = Target(registered(admits_readers=False)).login()
    assert not pump(source(proof()), server).read_only and server.code_key == code_identity(CODE)[0]


def test_the_epoch_is_signed_with_everything_else() -> None:
    server = Target(registered()).login()
    with pytest.raises(LoginRefused, match="ANR0426W"):
        pump(source(proof(), epoch=7), server, altering(m.Hello, epoch=8))
    server = Target(registered()).login()
    pump(source(proof(), epoch=7), server)
    assert server.hello is not None and server.hello.epoch == 7


def test_force_sync_registers_a_new_code() -> None:
    target, code, identity = Target(registered()), new_code(), Identity.create("DELHI")
    welcome = pump(source(proof(identity, code, force_sync=True)), target.login())
    assert (welcome.read_only, welcome.code_registered) == (False, True)
    assert target.registered == [(code_identity(code)[0], identity.public_key_bytes)]


def test_force_sync_needs_the_password() -> None:
    target = Target(registered())
    assert (
        told(source(proof(code=new_code(), force_sync=True), password="guess"), target.login()) == "ANR0424W"
    )
    assert not target.registered


def test_force_sync_cannot_be_set_on_the_way() -> None:
    target = Target(registered())
    welcome = pump(source(proof(code=new_code())), target.login(), altering(m.ScramFinal, force_sync=True))
    assert welcome.read_only
    assert not target.registered


def test_a_proof_is_good_for_one_sign_on_only() -> None:
    """A thief who saw one sign-on from inside cannot use its signatures in the next."""
    seen: list[m.ScramFinal] = []

    def record(body: m.Body) -> m.Body:
        if isinstance(body, m.ScramFinal):
            seen.append(body)
        return body

    pump(source(proof()), Target(registered()).login(), record)
    stolen = {name: getattr(seen[0], name) for name in m.ScramFinal.__struct_fields__ if name != "message"}
    welcome = pump(source(None), Target(registered()).login(), altering(m.ScramFinal, **stolen))
    assert welcome.read_only


def test_a_server_that_keeps_no_codes_lets_a_source_only_read() -> None:
    assert pump(source(proof()), Target().login(register=None)).read_only


def test_a_node_has_no_proof_to_show() -> None:
    client = ClientLogin(NODE, "DELHI", "secret", CERTIFICATE, proof=proof())
    with pytest.raises(ProtocolError, match="proof"):
        pump(client, Target().login())


def test_a_verifier_in_the_catalog_opens_nothing() -> None:
    """What a thief of the catalog has does not sign on: stored and server key are hashes of what is needed."""
    assert told(node(password=VERIFIER.to_text()), Target().login()) == "ANR0424W"
    assert isinstance(VERIFIER, Verifier)
