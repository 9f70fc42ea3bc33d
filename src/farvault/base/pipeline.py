"""Threads that overlap: some that run ahead of their reader, one that works off what it is handed.

All are bounded by tokens, so a ring of `depth` reused buffers is never overrun: a producer takes a token before it
fills a slot, and gets it back when the consumer has moved on. None outlives the block that uses it.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_STOP = object()
_Slot = queue.SimpleQueue[tuple[bool, object]]
"""One result: (True, it) or (False, the error instead; None = there is no more)."""


def run_ahead(source: Iterable[Item], depth: int, name: str = "read-ahead") -> Generator[Item, None, None]:
    """Yield what `source` yields, computed in its own thread up to `depth` items early.

    Item n may reuse the memory of item n - depth: an item is done with when the next one is asked for. An error
    of the source is raised here, after the items before it. Closing the generator ends the thread.
    """
    return map_ahead(source, _same, depth, lanes=1, name=name)


def map_ahead(
    source: Iterable[Item], work: Callable[[Item], Result], depth: int, *, lanes: int, name: str
) -> Generator[Result, None, None]:
    """The same with `work` done to each item: by `lanes` threads side by side, yielded in the order of the source.

    Only one thread at a time asks the source. Items and results may reuse the memory of those `depth` before them.
    """
    ahead = _Ahead(source, work, depth, lanes, name)
    try:
        while True:
            there, result = ahead.slots.get().get()
            if not there:
                if result is not None:
                    raise result  # type: ignore[misc]
                return
            yield result  # type: ignore[misc]
            ahead.free.put(None)
    finally:
        ahead.stop()


def _same(item: Item) -> Item:
    return item


class _Ahead(Generic[Item, Result]):
    """The threads of one `map_ahead`. `slots`: where results will be, in the order of the source."""

    def __init__(
        self, source: Iterable[Item], work: Callable[[Item], Result], depth: int, lanes: int, name: str
    ) -> None:
        self._source, self._work = source, work
        self._iterator: Iterator[Item] | None = None
        self._turn = threading.Lock()
        self._is_over = False
        self._left = lanes
        self.free: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.slots: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
        for _ in range(depth):
            self.free.put(None)
        # What asks the reader to stop asks its helpers too.
        contexts = [contextvars.copy_context() for _ in range(lanes)]
        self._threads = [
            threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True)
            for context in contexts
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Wait for the threads: they may be filling a buffer or hold a file open."""
        self._is_over = True
        for _ in self._threads:
            self.free.put(_STOP)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        try:
            while self.free.get() is not _STOP and (taken := self._take()):
                slot, item = taken
                try:
                    slot.put((True, self._work(item)))
                except BaseException as error:  # noqa: BLE001 - handed to the thread that asked
                    slot.put((False, error))
        finally:
            self._end()

    def _take(self) -> tuple[_Slot, Item] | None:
        """The next item and the place of its result; None where there is no more."""
        slot: _Slot = queue.SimpleQueue()
        with self._turn:
            if self._is_over:
                return None
            try:
                if self._iterator is None:
                    self._iterator = iter(self._source)
                item = next(self._iterator)
            except BaseException as error:  # noqa: BLE001 - handed to the thread that asked
                self._is_over = True
                slot.put((False, None if isinstance(error, StopIteration) else error))
                self.slots.put(slot)
                return None
            self.slots.put(slot)
        return slot, item

    def _end(self) -> None:
        """The last thread closes the source."""
        with self._turn:
            self._left -= 1
            if not self._left and isinstance(self._iterator, Generator):
                self._iterator.close()


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
