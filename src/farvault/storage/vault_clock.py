"""Target side: the clock that grace and retention count on. It is looked at often, and remembers what it saw.

What is stamped and what is removed looks at it in its own transaction, so after any crash the remembered running time
is not behind a stamp. See `policy/clock_guard.py` for what is believed.
"""

from __future__ import annotations

from farvault.base.clock import Clock
from farvault.base.log import Log
from farvault.base.messages import Message, message
from farvault.base.units import show_time
from farvault.catalog import vault_rules
from farvault.catalog.catalog import Catalog
from farvault.catalog.transaction import Transaction
from farvault.policy import clock_guard
from farvault.policy.clock_guard import ClockState


class VaultClock:
    """One per server. Thread safe: every look is inside the one write transaction."""

    def __init__(self, catalog: Catalog, clock: Clock, log: Log) -> None:
        self._clock, self._log = clock, log
        with catalog.read() as r:
            last = vault_rules.clock(r)
        self._ran_before = last.running if last else 0
        self._started = clock.monotonic_seconds()

    def look(self, tx: Transaction) -> ClockState:
        """What may be believed now; kept with the transaction."""
        last = vault_rules.clock(tx)
        running = self._ran_before + int(self._clock.monotonic_seconds() - self._started)
        seen = clock_guard.look(last, self._clock.now_seconds(), running)
        if seen != last:
            vault_rules.set_clock(tx, seen)
        if last is not None and seen.frozen_time and not last.frozen_time:
            said = message("ANR4868W", before=show_time(last.wall), now=show_time(seen.wall))
            tx.after_commit.append(lambda: self._tell(said))
        return seen

    def confirm(self, tx: Transaction) -> bool:
        """CONFIRM CLOCK: an administrator has looked at it. False where it was believed anyway."""
        seen = self.look(tx)
        vault_rules.set_clock(tx, clock_guard.confirmed(seen))
        return bool(seen.frozen_time)

    def _tell(self, said: Message) -> None:
        self._log.repeat(said)
