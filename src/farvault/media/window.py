"""The sender's window: copies of records that the other side has not made durable yet, in one ring of memory.

The ring is touched only as far as it was ever filled, and then used again and again. Records leave in order; a few
may leave early (the target turned out to hold them), their room comes back when those before them have gone.
"""

from __future__ import annotations

from collections import deque

from farvault.base.disk import aligned_buffer
from farvault.base.units import MIB

WINDOW_BYTES = 48 * MIB
WINDOW_RECORDS = 768
"""Three times what a target makes durable at once (`storage/vault.py`): sending, writing and acknowledging overlap."""


class Window:
    """Records by number, oldest first."""

    def __init__(self, size_bytes: int = WINDOW_BYTES, most_records: int = WINDOW_RECORDS) -> None:
        self._room = aligned_buffer(size_bytes)
        self._most = most_records
        self._order: deque[tuple[int, int]] = deque()
        """(number, start in the ring), as they came; some may have left."""
        self._views: dict[int, memoryview] = {}
        self._head = 0

    def __contains__(self, number: int) -> bool:
        return number in self._views

    def __len__(self) -> int:
        return len(self._views)

    @property
    def numbers(self) -> list[int]:
        return sorted(self._views)

    def view(self, number: int) -> memoryview:
        return self._views[number]

    def put(self, number: int, record: memoryview) -> bool:
        """Copy a record in; False where there is no room before others leave. Numbers grow."""
        start = self._place(record.nbytes)
        if start is None:
            return False
        view = self._room[start : start + record.nbytes]
        view[:] = record
        self._order.append((number, start))
        self._views[number] = view
        self._head = start + record.nbytes
        return True

    def let_go(self, number: int) -> None:
        """This one is not needed any more; fine where it is gone."""
        self._views.pop(number, None)
        while self._order and self._order[0][0] not in self._views:
            self._order.popleft()

    def let_go_below(self, number: int) -> None:
        """All before this number."""
        for gone in [one for one in self._views if one < number]:
            self.let_go(gone)

    def clear(self) -> None:
        self._views.clear()
        self._order.clear()

    def _place(self, size_bytes: int) -> int | None:
        if not self._order:
            return 0 if size_bytes <= len(self._room) else None
        if len(self._order) >= self._most:
            return None
        oldest = self._order[0][1]
        if self._head > oldest:  # in use: oldest..head
            if self._head + size_bytes <= len(self._room):
                return self._head
            return 0 if size_bytes < oldest else None
        return self._head if self._head + size_bytes < oldest else None
