"""A worker process: `python -m farvault.client.worker`. Settings and work arrive on standard input, results leave on
standard output. Started only for jobs large enough to pay for it; the password comes down the pipe with the settings.

It ends with its client: standard input that closes while there is work means that the client has gone.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading

from farvault.client.consumer import ABORT_SECONDS, Consumer, WorkQueue
from farvault.client.work import Answer, ConsumerSettings, Notice, read_work, write_frame


def main() -> int:
    """Until standard input is closed. Returns what the process ends with."""
    gc.set_threshold(100_000, 50, 100)  # the data path makes no cycles
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the client decides when to stop
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # and a thread waits for its word
    # Nothing but results may reach the pipe: a stray print must not be read as a frame.
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    incoming = read_work(sys.stdin.buffer)
    settings = next(incoming, None)
    if not isinstance(settings, ConsumerSettings):
        return 0
    work = WorkQueue()
    held: set[int] = set()
    telling = threading.Lock()

    def abort() -> None:
        timer = threading.Timer(ABORT_SECONDS, os._exit, (1,))
        timer.daemon = True
        timer.start()
        consumer.abort()
        work.end()

    def await_word() -> None:
        signal.sigwait([signal.SIGTERM])
        abort()

    def collect() -> None:
        """Always reads on, so that the client never waits at the pipe while we wait for the client."""
        for item in incoming:
            assert not isinstance(item, ConsumerSettings)
            held.add(item.number)
            work.put(item)
        work.end()
        if held:
            abort()

    def tell(answer: Answer) -> None:
        with telling:
            if not isinstance(answer, Notice):
                held.discard(answer.number)
            write_frame(results, answer)

    consumer = Consumer(settings, tell)
    for target in (await_word, collect):
        threading.Thread(target=target, daemon=True).start()
    try:
        consumer.run(work)
    except Exception:  # noqa: BLE001 - told by the consumer, or there is nobody to tell
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # not by way of the pipe's buffer, which nobody may be there to read
