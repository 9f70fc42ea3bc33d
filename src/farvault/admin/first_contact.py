"""At every sign-on to a target: who it is, and the newest receipt. What follows is durable before the session is used."""

from __future__ import annotations

from collections.abc import Callable

from farvault.base.clock import Clock
from farvault.base.log import Log
from farvault.catalog import target_truth
from farvault.catalog.catalog import Catalog
from farvault.media import receipt_head
from farvault.media.receipt_head import Told
from farvault.media.target import TargetSession


def set_back_check(
    catalog: Catalog, clock: Clock, log: Log, server_name: str
) -> Callable[[TargetSession], bool]:
    """What `DefinedTarget` calls with each new session; True: the target is in an older state than it has signed for.

    A target that knows its receipts again (its newer state came back) is believed again.
    """

    def check(session: TargetSession) -> bool:
        with catalog.read() as r:
            server = target_truth.server_id(r, server_name)
            known = target_truth.truth(r, server)
        if known.identity != session.identity_key:
            with catalog.write(uses_reserve=True) as tx:
                target_truth.note_identity(tx, server, session.identity_key)
        if not known.receipt_number:
            return False
        told = receipt_head.ask(session, known.receipt_number)
        is_behind = receipt_head.is_set_back(told, known.receipt_number, known.receipt_digest)
        if is_behind != bool(known.set_back_time):
            _note(server, is_behind, told)
        if is_behind:
            log.say("ANR4882E", server=server_name, told=told.last, known=known.receipt_number)
        return is_behind

    def _note(server: int, is_behind: bool, told: Told) -> None:
        now = clock.now_seconds()
        with catalog.write(uses_reserve=True) as tx:
            before = target_truth.truth(tx, server)
            target_truth.write(
                tx, before._replace(set_back_time=now if is_behind else 0, told_number=told.last)
            )
        if not is_behind:
            log.say("ANR4883I", server=server_name, number=told.last)

    return check
