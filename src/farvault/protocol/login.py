"""Sign-on without I/O: bodies in, bodies out.

Both sides hash what they saw of each other (`transcript.py`). That hash is the channel binding of SCRAM and what a
source's keys sign, so names, roles, features and nonces cannot be altered, cut, reflected or relayed: a change by
anybody between the two ends the sign-on. After `Welcome` both are proven.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from scramp import ScramClient, ScramException, ScramMechanism
from scramp.utils import ServerError

from farvault.base.errors import LoginRefused
from farvault.protocol.frames import ProtocolError
from farvault.protocol.login_states import CLIENT_STEPS, SERVER_STEPS, State, next_state
from farvault.protocol.messages import (
    Body,
    Hello,
    HelloAnswer,
    Refused,
    ScramChallenge,
    ScramFinal,
    ScramFirst,
    Welcome,
)
from farvault.protocol.refusal import from_refused, to_refused
from farvault.protocol.scram import BINDING, ITERATIONS_MAX, MECHANISM, Verifier, decoy_verifier
from farvault.protocol.scram import make_verifier as make_verifier
from farvault.protocol.scram import parse_verifier as parse_verifier
from farvault.protocol.transcript import proof_text, transcript

NODE: Final = "NODE"
SOURCE: Final = "SOURCE"
ADMIN: Final = "ADMIN"
SERVER: Final = "SERVER"
ROLES: Final = frozenset({NODE, SOURCE, ADMIN, SERVER})
NONCE_BYTES: Final = 32
_NAME_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class SourceProof:
    """What a source shows besides its password: its identity key and the key derived from the verification code."""

    identity: bytes
    sign_identity: Callable[[bytes], bytes]
    code_key: bytes
    sign_code: Callable[[bytes], bytes]
    force_sync: bool = False


class ClientLogin:
    """The client's side. `start()`, then `receive` each body and send what it returns, until `welcome` is set.

    `own_identity`: where the caller is a server, its identity key: a server does not sign on to itself.
    """

    def __init__(
        self,
        role: str,
        name: str,
        password: str,
        server_certificate_der: bytes,
        *,
        server_name: str = "",
        features: tuple[str, ...] = (),
        platform: str = "",
        product_version: str = "",
        proof: SourceProof | None = None,
        own_identity: bytes = b"",
        epoch: int = 0,
    ) -> None:
        self.state = State.START
        self.welcome: Welcome | None = None
        self.answer: HelloAnswer | None = None
        self.hello = Hello(
            role=role,
            name=name,
            server_name=server_name,
            features=features,
            platform=platform,
            product_version=product_version,
            nonce=secrets.token_bytes(NONCE_BYTES),
            epoch=epoch,
        )
        self._password = password
        self._certificate_der = server_certificate_der
        self._proof = proof
        self._own_identity = own_identity or (proof.identity if proof else b"")

    def start(self) -> Hello:
        """The first body to send. `LoginRefused` for a name that no server can know."""
        if not _is_name(self.hello.name):
            raise LoginRefused("ANR0417E", name=self.hello.name)
        self.state = State.HELLO_SENT
        return self.hello

    def receive(self, body: Body) -> Body | None:
        """The next body to send; None when signed on. `LoginRefused` by either side, `ProtocolError`."""
        state = next_state(CLIENT_STEPS, self.state, body)
        self.state = State.REFUSED
        try:
            answer = self._respond(body)
        except ScramException as error:
            raise LoginRefused("ANR0419E", name=self.hello.name, reason=_reason(error)) from None
        self.state = state
        return answer

    def _respond(self, body: Body) -> Body | None:
        if isinstance(body, Refused):
            raise from_refused(body, LoginRefused)
        if isinstance(body, HelloAnswer):
            return self._first(body)
        if isinstance(body, ScramChallenge):
            return self._final(body)
        assert isinstance(body, Welcome)
        self._scram.set_server_final(body.scram)
        self.welcome = body
        return None

    def _first(self, answer: HelloAnswer) -> ScramFirst:
        self.answer = answer
        if self._own_identity and hmac.compare_digest(answer.identity, self._own_identity):
            raise LoginRefused("ANR0499E", server=answer.server_name)
        if extra := set(answer.features) - set(self.hello.features):
            raise ProtocolError(f"{len(extra)} features that were not offered")
        self._transcript = transcript(self.hello, answer, self._certificate_der)
        self._scram = ScramClient(
            [MECHANISM], self.hello.name, self._password, channel_binding=(BINDING, self._transcript)
        )
        return ScramFirst(message=self._scram.get_client_first())

    def _final(self, challenge: ScramChallenge) -> ScramFinal:
        self._scram.set_server_first(challenge.message)
        if int(self._scram.iterations) > ITERATIONS_MAX:
            raise ProtocolError(f"a demand for {self._scram.iterations} password iterations")
        final = ScramFinal(message=self._scram.get_client_final())
        if self._proof is None:
            return final
        proof = self._proof
        final = msgspec.structs.replace(
            final, identity=proof.identity, code_key=proof.code_key, force_sync=proof.force_sync
        )
        return msgspec.structs.replace(
            final,
            identity_signature=proof.sign_identity(proof_text("identity", self._transcript, final)),
            code_signature=proof.sign_code(proof_text("code", self._transcript, final)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What the server knows of a name, and what `Welcome` tells its owner.

    `verifier`: None where no password was ever set; who tries one meets a decoy, as for an unknown name.
    `refusal`: known, but may not sign on (locked, wrong type): told only to somebody who has the password.
    `registered_code_key`, `registered_identity`: of a source; empty where none was registered yet.
    `admits_readers`: a source that does not prove them may come in and read.
    """

    verifier: Verifier | None
    registered_code_key: bytes = b""
    registered_identity: bytes = b""
    refusal: LoginRefused | None = None
    admits_readers: bool = True
    session: int = 0
    server_time: int = 0
    last_access_time: int = 0
    transaction_objects: int = 4096


Lookup = Callable[[Hello], Account]
"""Finds the account. Raises `LoginRefused` for an unknown name: it is told at the end, after a decoy exchange."""
Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, signature, data) -> the signature is the key's. Never raises: False for garbage."""
Register = Callable[[Hello, bytes, bytes], bool]
"""(hello, code key, identity): store them durably before returning. `LoginRefused` where that is not allowed.

False: they wait for a person's approval, which is durable too; until then the source only reads.
"""


class ServerLogin:
    """The server's side: `receive` each body and send what it returns, until `state` is SIGNED_ON or REFUSED.

    `decoy_key`: a secret of this server, the same at every start; makes the challenges of unknown names.
    `address`: of the other side, for messages. After a refusal `refusal` says what was told.
    """

    def __init__(
        self,
        server_name: str,
        identity: bytes,
        certificate_der: bytes,
        product_version: str,
        lookup: Lookup,
        *,
        verify: Verify,
        decoy_key: bytes,
        register: Register | None = None,
        features: tuple[str, ...] = (),
        address: str = "unknown address",
    ) -> None:
        self.state = State.AWAITS_HELLO
        self.hello: Hello | None = None
        self.account: Account | None = None
        self.refusal: LoginRefused | None = None
        self.read_only = False
        self.code_registered = False
        self.sync_pending = False
        self.code_key = b""
        """The code that was proved; empty in a read-only session."""
        self._server_name = server_name
        self._identity = identity
        self._certificate_der = certificate_der
        self._product_version = product_version
        self._lookup = lookup
        self._verify = verify
        self._register = register
        self._decoy_key = decoy_key
        self._features = features
        self._address = address

    @property
    def is_over(self) -> bool:
        """Signed on or refused."""
        return self.state in (State.SIGNED_ON, State.REFUSED)

    def receive(self, body: Body) -> list[Body]:
        """What to send. `ProtocolError` for a body that may not come now or is none of SCRAM."""
        state = next_state(SERVER_STEPS, self.state, body)
        self.state = State.REFUSED
        try:
            answer = self._respond(body)
        except LoginRefused as refusal:
            self.refusal = refusal
            return [to_refused(refusal)]
        except ScramException as error:
            raise ProtocolError(f"a sign-on message that is not SCRAM ({_reason(error)})") from None
        self.state = state
        return [answer]

    def _respond(self, body: Body) -> Body:
        if isinstance(body, Hello):
            return self._answer(body)
        if isinstance(body, ScramFirst):
            self._find_account()
            self._scram.set_client_first(body.message)
            return ScramChallenge(message=self._scram.get_server_first())
        assert isinstance(body, ScramFinal)
        return self._decide(body)

    def _answer(self, hello: Hello) -> HelloAnswer:
        if hello.role not in ROLES or not _is_name(hello.name):
            raise ProtocolError("a hello without a proper role and name")
        self.hello = hello
        answer = HelloAnswer(
            server_name=self._server_name,
            identity=self._identity,
            features=tuple(name for name in self._features if name in hello.features),
            product_version=self._product_version,
            nonce=secrets.token_bytes(NONCE_BYTES),
        )
        self._transcript = transcript(hello, answer, self._certificate_der)
        self._scram = ScramMechanism(MECHANISM).make_server(
            self._credentials, channel_binding=(BINDING, self._transcript)
        )
        return answer

    def _find_account(self) -> None:
        assert self.hello is not None
        # For known names too: the same work. Names are the same in any case, here as in every look-up.
        decoy = decoy_verifier(self._decoy_key, f"{self.hello.role} {self.hello.name.upper()}")
        self._verifier = decoy
        try:
            self.account = self._lookup(self.hello)
        except LoginRefused as unknown:
            self._unknown = unknown
        else:
            self._verifier = self.account.verifier or decoy

    def _credentials(self, name: str) -> tuple[bytes, bytes, bytes, int] | None:
        """Called by SCRAM with the name in its first message, which has to be the one in the hello."""
        assert self.hello is not None
        if name != self.hello.name:
            return None
        return (
            self._verifier.salt,
            self._verifier.stored_key,
            self._verifier.server_key,
            self._verifier.iterations,
        )

    def _decide(self, final: ScramFinal) -> Welcome:
        assert self.hello is not None
        try:
            self._scram.set_client_final(final.message)
        except ScramException as error:
            raise self._refusal_for(error) from None
        assert self.account is not None, "nobody has the password of a decoy"
        if self.account.refusal is not None:
            raise self.account.refusal
        if self.hello.role == SOURCE:
            self._decide_right(final)
        elif final.identity or final.code_key or final.force_sync:
            raise ProtocolError("a source's proof from somebody who is none")
        return Welcome(
            scram=self._scram.get_server_final(),
            session=self.account.session,
            read_only=self.read_only,
            server_time=self.account.server_time,
            last_access_time=self.account.last_access_time,
            transaction_objects=self.account.transaction_objects,
            code_registered=self.code_registered,
            sync_pending=self.sync_pending,
        )

    def _refusal_for(self, error: ScramException) -> LoginRefused:
        assert self.hello is not None
        if error.server_error is ServerError.CHANNEL_BINDINGS_DONT_MATCH:
            return LoginRefused("ANR0426W", name=self.hello.name, address=self._address)
        if error.server_error is not ServerError.INVALID_PROOF:
            raise error
        if self.account is None:
            return self._unknown
        return LoginRefused("ANR0424W", name=self.hello.name, address=self._address)

    def _decide_right(self, final: ScramFinal) -> None:
        """Read/write for who proves the registered code and identity, or registers; everybody else only reads."""
        assert self.hello is not None and self.account is not None
        account = self.account
        if hmac.compare_digest(final.identity, self._identity):
            raise LoginRefused("ANR0498W", name=self.hello.name, address=self._address)
        self.read_only = not (self._is_proven(final) and self._may_write(final, account))
        if not self.read_only:
            self.code_key = final.code_key
        elif not account.admits_readers:
            raise LoginRefused("ANR0497W", name=self.hello.name, address=self._address)

    def _may_write(self, final: ScramFinal, account: Account) -> bool:
        """The signatures are good: do they belong to the registered code and identity, or are they registered now?"""
        assert self.hello is not None
        if not account.registered_code_key or final.force_sync:
            if self._register is None:
                return False
            self.code_registered = self._register(self.hello, final.code_key, final.identity)
            self.sync_pending = not self.code_registered
            return self.code_registered
        return hmac.compare_digest(final.code_key, account.registered_code_key) and hmac.compare_digest(
            final.identity, account.registered_identity
        )

    def _is_proven(self, final: ScramFinal) -> bool:
        identity = self._verify(
            final.identity, final.identity_signature, proof_text("identity", self._transcript, final)
        )
        code = self._verify(final.code_key, final.code_signature, proof_text("code", self._transcript, final))
        return identity and code


def _is_name(name: str) -> bool:
    """Printable ASCII, so that both sides' SCRAM texts hold it unchanged."""
    return 0 < len(name) <= _NAME_MAX and name.isascii() and name.isprintable()


def _reason(error: ScramException) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(error))[:200]
