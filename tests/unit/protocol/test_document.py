"""`docs/protocol.md` says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from farvault.base.units import KIB
from farvault.protocol.document import PARTS, message_fields, refreshed
from farvault.protocol.frames import encode
from farvault.protocol.login_states import CLIENT_STEPS, SERVER_STEPS
from farvault.protocol.messages import LIST_MAX, Ping
from farvault.protocol.scram import ITERATIONS, ITERATIONS_MAX
from farvault.protocol.verbs import VERBS
from farvault.sessions.node_session import TRANSACTION_SECONDS
from farvault.sessions.source import SEGMENT_IDLE_SECONDS
from farvault.transport.connection import FRAME_SECONDS, TAIL_PIECE_BYTES
from farvault.transport.dial import CONNECT_SECONDS, SIGN_ON_SECONDS
from farvault.transport.heartbeat import Pulse
from farvault.transport.listen import Limits

PAGE = Path(__file__).parents[3] / "docs" / "protocol.md"


def test_the_tables_are_current() -> None:
    page = PAGE.read_text()
    assert refreshed(page) == page, (
        "python -m farvault.protocol.document < docs/protocol.md > new; then replace it"
    )


def test_the_page_has_every_part() -> None:
    page = PAGE.read_text()
    assert all(f"<!-- begin {name} -->" in page for name in PARTS)


def test_a_marker_for_nothing_is_an_error() -> None:
    with pytest.raises(KeyError):
        refreshed("<!-- begin nothing -->\n<!-- end nothing -->")


def test_every_message_has_its_fields_described() -> None:
    fields = message_fields()
    for verb in VERBS:
        assert f"#### {verb.number} {verb.name}\n" in fields
        assert all(f"| `{name}` |" in fields for name in verb.body.__struct_fields__)


def test_every_sign_on_step_is_in_the_picture() -> None:
    page = PAGE.read_text()
    for steps in (CLIENT_STEPS, SERVER_STEPS):
        for (old, body), new in steps.items():
            assert f"{old.name} --> {new.name}: {body.__name__}\n" in page


def test_the_example_frame_is_what_is_sent() -> None:
    assert encode(Ping(), request=1).hex() in PAGE.read_text().replace(" ", "")


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    page, limits = PAGE.read_text(), Limits()
    for text in (
        f"more than {LIST_MAX:,} entries",
        f"{ITERATIONS:,} iterations",
        f"more than {ITERATIONS_MAX:,}",
        f"TCP and TLS | {CONNECT_SECONDS:g} s",
        f"TCP and TLS | {limits.tls_seconds:g} s",
        f"sign-on, all of it | {SIGN_ON_SECONDS:g} s",
        f"sign-on, all of it | {limits.sign_on_seconds:g} s",
        f"begun to arrive | {FRAME_SECONDS:g} s",
        f"60 s for every {TAIL_PIECE_BYTES // KIB} KiB",
        f"heartbeats included | {Pulse().silence_seconds:g} s",
        f"SourceBeat and TargetBeat every {Pulse().beat_seconds:g} s",
        f"between two requests | {(limits.idle_seconds or 0) / 60:g} min",
        f"inside a client's transaction, until its next frame | {TRANSACTION_SECONDS / 60:g} min",
        f"with a segment open, until its next frame | {SEGMENT_IDLE_SECONDS / 60:g} min",
        f"{limits.max_strangers_per_address} connections that have not signed on",
        f"the whole server {limits.max_strangers}",
    ):
        assert text in page, text
