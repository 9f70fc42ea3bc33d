"""The link breaks anywhere, also between a transaction's commit and its answer: nothing is stored twice, nothing is lost."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.proxy import DOWN, Cut, Proxy
from tests.grid.client_command import Client, Outcome, own_file_space
from tests.grid.grid_server import PASSWORD, GridServer
from tests.grid.node_client import NodeClient
from tests.patience import PATIENCE_SECONDS

from farvault.base.disk import observe_crash_points
from farvault.base.errors import PeerUnreachable
from farvault.catalog import audit
from farvault.protocol.messages import BeginTransaction, Done, EndTransaction, TransactionAnswer

ID = bytes(range(16))


class Link:
    """A node that stores a folder over a link that breaks where a test wants."""

    def __init__(self, server: GridServer, folder: Path) -> None:
        self.server = server
        self.proxy = Proxy(lambda: server.port)
        self.client = Client(server, port=self.proxy.port)
        self.tree = folder / "tree"
        self.tree.mkdir()
        self.restored = folder / "restored"

    def run(self, *words: str) -> Outcome:
        return self.client.run(*words, "-commrestartinterval=0", "-resourceutilization=1")

    def write(self, size: int) -> None:
        (self.tree / "file").write_text("x" * size)

    def sizes(self, kind: str = "backup") -> list[int]:
        """Of all versions of the file."""
        inactive = ["-inactive"] if kind == "backup" else []
        listed = self.client.run("query", kind, f"{self.tree}/*", *inactive).output
        return sorted(int(found) for found in re.findall(r"^ *(\d+) +B .*/file\b", listed, re.MULTILINE))


@pytest.fixture
def link(
    make_server: Callable[[str], GridServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Link]:
    own_file_space(tmp_path, monkeypatch)
    server = make_server("DELHI")
    server.admin(f"register node ann {PASSWORD}")
    made = Link(server, tmp_path)
    yield made
    made.proxy.close()
    with server.server.catalog.read() as r:
        assert list(audit.check_row_digests(r)) == []
        assert list(audit.check_sums(r)) == []


def test_wherever_the_link_breaks_the_version_before_stays(link: Link) -> None:
    """VEREXISTS is 2: a version stored twice would be both of them."""
    link.write(1)
    link.run("selective", f"{link.tree}/*")
    link.write(2)
    link.run("selective", f"{link.tree}/*")
    answers = link.proxy.connections[-1].records[DOWN]
    repeated = 0
    for record in range(answers + 1):
        link.write(3 + record)
        link.proxy.plan = [Cut(DOWN, record, 1)]
        outcome = link.run("selective", f"{link.tree}/*")
        if record and "ANS1809W" in outcome.errors:
            repeated += 1
            assert (outcome.code, outcome.count("backed up"), outcome.count("failed")) == (8, 2, 0)
        elif "ANS1017E" in outcome.errors or outcome.code == 12:  # broken before there was anything to repeat
            link.run("selective", f"{link.tree}/*")
        assert link.sizes() == [2 + record, 3 + record]
    assert repeated >= 2
    assert "ANR0572I" in link.server.lines.ids


def test_an_archive_whose_answer_is_lost_is_stored_once(link: Link) -> None:
    link.write(5)
    link.run("archive", f"{link.tree}/*")
    answers = link.proxy.connections[-1].records[DOWN]
    for number, record in enumerate(range(answers + 1), 2):
        link.proxy.plan = [Cut(DOWN, record, 1)]
        outcome = link.run("archive", f"{link.tree}/*")
        if outcome.code == 12:  # broken before there was anything to repeat
            outcome = link.run("archive", f"{link.tree}/*")
        assert outcome.count("archived") == 2, "the file and its folder"
        assert link.sizes("archive") == [5] * number
    assert "ANR0572I" in link.server.lines.ids


# --- the same, verb by verb ------------------------------------------------------------------------------------------


@pytest.fixture
def sessions(link: Link) -> Iterator[Callable[[], NodeClient]]:
    with contextlib.ExitStack() as stack:

        def sign_on() -> NodeClient:
            client = NodeClient(link.server.sign_on("ann"), "ANN")
            client.register()
            return stack.enter_context(client)

        yield sign_on


def begin(client: NodeClient, transaction_id: bytes = ID) -> Done | TransactionAnswer:
    body = BeginTransaction(
        file_space=client.file_space, kind=1, management_class="STANDARD", transaction_id=transaction_id
    )
    return client.connection.call(body, Done, TransactionAnswer)


def test_who_asks_again_gets_the_same_answer(sessions: Callable[[], NodeClient]) -> None:
    ann = sessions()
    assert begin(ann) == Done()
    ann.send_pack([(b"a", b"content"), (b"b", b"other")])
    answer = ann.commit()
    assert begin(ann) == answer == begin(sessions())
    assert begin(ann, b"another".ljust(16)) == Done()


def test_what_was_given_up_or_refused_is_begun_anew(sessions: Callable[[], NodeClient]) -> None:
    ann = sessions()
    assert begin(ann) == Done()
    ann.connection.call(EndTransaction(commit=False), Done)
    assert begin(ann) == Done()
    ann.send_pack([(b"a", b"content")])
    assert ann.commit().objects == 1


def test_where_the_session_before_does_not_end_in_time_the_new_one_is_cut_and_asks_again(
    link: Link, sessions: Callable[[], NodeClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("farvault.sessions.node_store.END_OF_OTHER_SECONDS", 0.0)
    old, new, third = sessions(), sessions(), sessions()
    assert begin(old) == Done()
    old.send_pack([(b"a", b"content")])
    is_committing, may_commit = threading.Event(), threading.Event()

    def hold(label: str) -> None:
        if label == "transaction.commit.before_catalog":
            is_committing.set()
            assert may_commit.wait(PATIENCE_SECONDS)

    observe_crash_points(hold)
    try:
        old.connection.send(EndTransaction())
        assert is_committing.wait(PATIENCE_SECONDS)
        with pytest.raises(PeerUnreachable):
            begin(new)
        link.server.lines.wait_for("ANR0480W")
        may_commit.set()
        monkeypatch.setattr("farvault.sessions.node_store.END_OF_OTHER_SECONDS", PATIENCE_SECONDS)
        answer = begin(third)
    finally:
        may_commit.set()
        observe_crash_points(None)
    assert isinstance(answer, TransactionAnswer) and answer.objects == 1


def test_the_session_before_is_ended_first_and_what_it_commits_counts(
    sessions: Callable[[], NodeClient],
) -> None:
    """The client has given its old session up, and the server is just making it durable."""
    old, new = sessions(), sessions()
    answers: list[Done | TransactionAnswer] = []
    asked: list[threading.Thread] = []

    def ask_meanwhile() -> None:
        thread = threading.Thread(target=lambda: answers.append(begin(new)))
        asked.append(thread)
        thread.start()
        assert old_session_is_cut.wait(PATIENCE_SECONDS)

    old_session_is_cut = threading.Event()
    assert begin(old) == Done()
    old.send_pack([(b"a", b"content")])
    observe_crash_points(
        lambda label: ask_meanwhile() if label == "transaction.commit.before_catalog" else None
    )
    try:
        old.connection.send(EndTransaction())
        with pytest.raises(PeerUnreachable):
            old.connection.receive()
        old_session_is_cut.set()
        asked[0].join(PATIENCE_SECONDS)
    finally:
        observe_crash_points(None)
    assert isinstance(answers[0], TransactionAnswer) and answers[0].objects == 1
