"""A worker process: `python -m farvault.client.worker`. Settings and work arrive on standard input, results leave on
standard output. Started only for jobs large enough to pay for it; the password comes down the pipe with the settings.
"""

from __future__ import annotations

import gc
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator

from farvault.client.consumer import Consumer
from farvault.client.work import Answer, ConsumerSettings, Work, read_work, write_frame


def main() -> None:
    """Until standard input is closed."""
    gc.set_threshold(100_000, 50, 100)  # the data path makes no cycles
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the client decides when to stop
    # Nothing but results may reach the pipe: a stray print must not be read as a frame.
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    incoming = read_work(sys.stdin.buffer)
    settings = next(incoming, None)
    if not isinstance(settings, ConsumerSettings):
        return
    waiting: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
    telling = threading.Lock()

    def collect() -> None:
        """Always reads on, so that the client never waits at the pipe while we wait for the client."""
        for item in incoming:
            assert not isinstance(item, ConsumerSettings)
            waiting.put(item)
        waiting.put(None)

    def tell(answer: Answer) -> None:
        with telling:
            write_frame(results, answer)

    threading.Thread(target=collect, daemon=True).start()
    Consumer(settings, tell).run(_until_none(waiting))


def _until_none(waiting: queue.SimpleQueue[Work | None]) -> Iterator[Work]:
    while (item := waiting.get()) is not None:
        yield item


if __name__ == "__main__":
    main()
