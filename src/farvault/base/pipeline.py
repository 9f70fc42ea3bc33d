"""Two threads that overlap: one that runs ahead of its reader, one that works off what it is handed.

Both are bounded by tokens, so a ring of `depth` reused buffers is never overrun: a producer takes a token before it
fills a slot, and gets it back when the consumer has moved on. Neither outlives the block that uses it.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")

_STOP = object()


def run_ahead(source: Iterable[Item], depth: int, name: str = "read-ahead") -> Generator[Item, None, None]:
    """Yield what `source` yields, computed in its own thread up to `depth` items early.

    Item n may reuse the memory of item n - depth: an item is done with when the next one is asked for. An error
    of the source is raised here, after the items before it. Closing the generator ends the thread.
    """
    free: queue.SimpleQueue[object] = queue.SimpleQueue()
    full: queue.SimpleQueue[tuple[bool, object]] = queue.SimpleQueue()
    for _ in range(depth):
        free.put(None)

    closing = threading.Event()

    def produce() -> None:
        iterator = iter(source)
        try:
            while free.get() is not _STOP and not closing.is_set():
                try:
                    item = next(iterator)
                except StopIteration:
                    full.put((False, None))
                    return
                full.put((True, item))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asked
            full.put((False, error))
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    context = contextvars.copy_context()  # what asks the reader to stop asks its helper too
    thread = threading.Thread(target=context.run, args=(produce,), name=name, daemon=True)
    thread.start()
    try:
        while True:
            there, item = full.get()
            if not there:
                if item is not None:
                    raise item  # type: ignore[misc]
                return
            yield item  # type: ignore[misc]
            free.put(None)
    finally:
        closing.set()
        free.put(_STOP)
        thread.join()  # it may be filling a buffer or hold a file open


class Conveyor(Generic[Item]):
    """Hands items to a worker thread in order. `offer` blocks while `depth` items wait; `finish` raises the first error.

    After an error every further item is dropped.
    """

    def __init__(self, work: Callable[[Item], None], depth: int, name: str = "conveyor") -> None:
        self._work = work
        self._queue: queue.Queue[object] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._name = name
        self._thread: threading.Thread | None = None

    @property
    def failed(self) -> bool:
        """True once the work raised."""
        return self._error is not None

    def offer(self, item: Item) -> None:
        """Hand over one item."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._queue.put(item)

    def finish(self) -> None:
        """Wait until everything handed over is done; raises the first error."""
        self.stop()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the thread after what it holds; never raises."""
        if self._thread is not None:
            self._queue.put(_STOP)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (item := self._queue.get()) is not _STOP:
            if self._error is None:
                try:
                    self._work(item)  # type: ignore[arg-type]
                except BaseException as error:  # noqa: BLE001 - handed to the thread that asked
                    self._error = error
