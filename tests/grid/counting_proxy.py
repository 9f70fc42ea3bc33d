"""A TCP forwarder on loopback that counts what passes at its sockets, in each direction."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

CHUNK_BYTES = 256 << 10


class CountingProxy:
    """Listens on `port` and passes everything on to `to_port`. Totals are of all connections so far."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sent_bytes = 0
        """From those who connect to the server behind."""
        self.returned_bytes = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        with self._lock:
            self.sent_bytes = self.returned_bytes = 0

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to_port))
                for source, sink, forward in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self._pump, args=(source, sink, forward), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, forward: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                with self._lock:
                    if forward:
                        self.sent_bytes += len(data)
                    else:
                        self.returned_bytes += len(data)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def counting_proxy(to_port: int) -> Iterator[CountingProxy]:
    proxy = CountingProxy(to_port)
    try:
        yield proxy
    finally:
        proxy.close()
