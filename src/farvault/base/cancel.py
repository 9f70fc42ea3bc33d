"""Which event asks the present thread's work to stop, for waits that lie far below whoever can cancel it.

A process passes its event on to the threads it starts. Retrying a target that is away may last for hours: CANCEL
PROCESS and the end of the server are heard there without every layer in between having to carry the event.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_event: ContextVar[threading.Event | None] = ContextVar("cancel_event", default=None)


@contextmanager
def cancelled_by(event: threading.Event) -> Iterator[None]:
    """What runs inside the block is asked to stop by this event."""
    before = _event.set(event)
    try:
        yield
    finally:
        _event.reset(before)


def cancel_event() -> threading.Event | None:
    """The event of the work this thread does; None where nobody can cancel it."""
    return _event.get()
