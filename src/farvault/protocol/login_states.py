"""The states of a sign-on, as two tables of what may be received when. `docs/protocol.md` is drawn from them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from farvault.protocol.frames import ProtocolError
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


class State(Enum):
    """Where a sign-on stands; each side has its own table of the steps between them."""

    START = "start"
    HELLO_SENT = "hello sent"
    FIRST_SENT = "first sent"
    FINAL_SENT = "final sent"
    AWAITS_HELLO = "awaits hello"
    AWAITS_FIRST = "awaits first"
    AWAITS_FINAL = "awaits final"
    SIGNED_ON = "signed on"
    REFUSED = "refused"


CLIENT_STEPS: Final[Mapping[tuple[State, type[Body]], State]] = {
    (State.HELLO_SENT, HelloAnswer): State.FIRST_SENT,
    (State.HELLO_SENT, Refused): State.REFUSED,
    (State.FIRST_SENT, ScramChallenge): State.FINAL_SENT,
    (State.FIRST_SENT, Refused): State.REFUSED,
    (State.FINAL_SENT, Welcome): State.SIGNED_ON,
    (State.FINAL_SENT, Refused): State.REFUSED,
}
"""What the client may receive in each state, and the state after it. Anything else is a `ProtocolError`."""

SERVER_STEPS: Final[Mapping[tuple[State, type[Body]], State]] = {
    (State.AWAITS_HELLO, Hello): State.AWAITS_FIRST,
    (State.AWAITS_FIRST, ScramFirst): State.AWAITS_FINAL,
    (State.AWAITS_FINAL, ScramFinal): State.SIGNED_ON,
}
"""The same for the server, which refuses by itself: from any state to `REFUSED`."""


def next_state(steps: Mapping[tuple[State, type[Body]], State], state: State, body: Body) -> State:
    try:
        return steps[state, type(body)]
    except KeyError:
        raise ProtocolError(f"{type(body).__name__} while the sign-on is in state '{state.value}'") from None
