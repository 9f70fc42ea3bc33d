"""How fast bytes may travel, by the time of day, and how long to wait. Pure: who waits passes the time in.

The bucket fills with the rate of the moment, up to a second's worth. A record may go when the bucket is not in debt, and
takes all its bytes then, so the longest record passes at the lowest rate, and over any time no more goes than the rate
allows plus a second's worth and one record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from farvault.model.bandwidth import DAY_MINUTES, Rates

BURST_SECONDS: Final = 1.0


def rate_at(rates: Rates, minute_of_day: int) -> int | None:
    """Bytes a second in this minute; None: no limit."""
    minute = minute_of_day % DAY_MINUTES
    for start, end, rate in rates.windows:
        inside = start <= minute < end if start < end else minute >= start or minute < end
        if inside:
            return rate
    return rates.usual


@dataclass(slots=True)
class TokenBucket:
    """`level_bytes` below 0: a debt that has to be worked off before the next record."""

    level_bytes: float = 0.0
    filled_at: float = 0.0
    """Seconds of a clock that never jumps."""

    def fill(self, now: float, rate: int | None) -> None:
        """To be called before every look. Without a limit there is no debt."""
        passed, self.filled_at = max(0.0, now - self.filled_at), now
        if rate is None:
            self.level_bytes = 0.0
        else:
            self.level_bytes = min(self.level_bytes + passed * rate, rate * BURST_SECONDS)

    def take(self, size_bytes: int, rate: int | None) -> float:
        """Take them and return 0; or take nothing, and return after how many seconds to look again."""
        if rate is None:
            return 0.0
        if self.level_bytes >= 0:
            self.level_bytes -= size_bytes
            return 0.0
        return -self.level_bytes / rate
