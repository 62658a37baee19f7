"""One time limit for everything a blocking exchange over a socket does: connecting, handshake, request, and the answer to its end.

A socket's own timeout counts from each piece anew, so whoever drips is waited for without end; here a watchdog shuts the sockets when
the time is over, and what waits on them fails. For threads, never for the event loop: `conf.fetch` and `ocsp.fetch` ask with it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from types import TracebackType


class Deadline:
    """`with Deadline(seconds) as limit:` around the exchange; `limit.over` tells whether it was cut."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._over = threading.Event()
        # held here: a connection lets go of its socket while the body is still being read
        self._sockets: list[socket.socket] = []
        self._watchdog = threading.Timer(seconds, self._cut)
        self._watchdog.daemon = True

    def __enter__(self) -> Deadline:
        self._watchdog.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchdog.cancel()
        for one in self._sockets:
            one.close()

    @property
    def over(self) -> bool:
        return self._over.is_set()

    def connect(self, host: str, port: int, *, tls: bool) -> socket.socket:
        """A connected socket; known to the watchdog before the handshake, which the other side could drip as well. Raises OSError."""
        plain = socket.create_connection((host, port), timeout=self._seconds)
        self._sockets.append(plain)
        if not tls:
            return plain
        wrapped = ssl.create_default_context().wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        self._sockets.append(wrapped)
        wrapped.do_handshake()
        return wrapped

    def _cut(self) -> None:
        self._over.set()
        for one in list(self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
