"""An error said at one end is raised at the other with its number and text."""

from __future__ import annotations

import pytest

from farvault.base.errors import FarvaultError, LoginRefused, NotAuthorized, PeerUnreachable
from farvault.protocol.frames import ProtocolError
from farvault.protocol.messages import Refused
from farvault.protocol.refusal import _CLASSES, from_refused, to_refused


@pytest.mark.parametrize("kind", sorted(_CLASSES.values(), key=lambda kind: kind.__name__))
def test_an_error_crosses_the_wire(kind: type[FarvaultError]) -> None:
    error = kind("ANR0424W", name="DELHI", address="here")
    arrived = from_refused(to_refused(error))
    assert type(arrived) is kind
    assert arrived.message == error.message
    assert str(arrived) == str(error)


def test_a_number_this_program_does_not_know_arrives_as_it_is() -> None:
    arrived = from_refused(Refused(message_id="ANR7777E", text="from the future {braces}", return_code=9))
    assert isinstance(arrived, NotAuthorized)
    assert str(arrived) == "ANR7777E from the future {braces}"


def test_a_refusal_at_sign_on_is_a_login_refused() -> None:
    assert isinstance(from_refused(Refused(message_id="ANR0424W", text="no"), LoginRefused), LoginRefused)


@pytest.mark.parametrize("return_code", [0, 4, 14, 9999])
def test_a_refusal_never_looks_like_a_link_that_is_down(return_code: int) -> None:
    assert not isinstance(
        from_refused(Refused(message_id="ANR0001E", text="", return_code=return_code)), PeerUnreachable
    )


@pytest.mark.parametrize("message_id", ["", "ANR", "XYZ0001E", "ANR0001E\n", "ANR0001Q"])
def test_a_refusal_without_a_number_is_a_protocol_error(message_id: str) -> None:
    with pytest.raises(ProtocolError):
        from_refused(Refused(message_id=message_id, text="x"))
