"""Asking trust services over HTTP: an OCSP responder (RFC 6960), a peer's own port 5577 by certificate hash; `exchange` for `keeping`'s TSA.

Blocking, for the threads of `revocation`, never for the event loop. Whoever is asked may hang, drip, send garbage or gigabytes: a
question has one time limit for everything (`deadline`), an answer one size limit, and what comes back is bytes that
nobody trusts before `exchange.ocsp` has checked them. Responders that did not answer are asked last for a while.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from kerege.exchange import ocsp
from kerege.node.conf.deadline import Deadline
from kerege.node.config_types import Address

SECONDS: Final = 5.0
LARGEST: Final = 256 * 1024
FORGET_SECONDS: Final = 30.0
_PIECE: Final = 16 * 1024
_MOST_MEMORY: Final = 256


class StatusRefused(ValueError):
    """An answer in HTTP that is no OCSP answer: the next form of the question may be understood."""


def ask(address: str, data: bytes | None) -> bytes:
    """What is answered to GET (or, with `data`, POST) of a responder. Raises OSError, ValueError, http.client.HTTPException."""
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("its address is not http(s)")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"content-type": "application/ocsp-request"} if data is not None else {}
    _, body = exchange(
        parts.scheme, parts.hostname, parts.port, "POST" if data is not None else "GET", target, data, headers
    )
    return body


def ask_peer(place: Address, certificates: Sequence[x509.Certificate], seconds: float = SECONDS) -> list[bytes]:
    """A peer's answers about certificates (its own chain), in order. Raises as `ask` does, ValueError when it is no such answer."""
    target = ocsp.query_by_hash(certificates)
    kind, body = exchange("http", place.host, place.port, "GET", target, None, {}, seconds)
    return ocsp.parse_answers(kind, body, len(certificates))


def exchange(
    scheme: str,
    host: str,
    port: int | None,
    method: str,
    target: str,
    data: bytes | None,
    headers: dict[str, str],
    seconds: float = SECONDS,
    largest: int = LARGEST,
) -> tuple[str, bytes]:
    """Content type and body of one call with a deadline over all of it. Raises OSError, ValueError, http.client.HTTPException."""
    connection = http.client.HTTPConnection(host, port)
    connection.auto_open = 0  # a connection that was cut is not opened again
    limit = Deadline(seconds)
    try:
        with limit:
            connection.sock = limit.connect(host, port or (443 if scheme == "https" else 80), tls=scheme == "https")
            connection.request(method, target, data, {**headers, "connection": "close"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise StatusRefused(f"it answered {answer.status}")
            length = answer.length
            if length is not None and length > largest:
                raise ValueError("its answer is too large")
            pieces, size = [], 0
            while piece := answer.read(_PIECE):
                size += len(piece)
                if size > largest:
                    raise ValueError("its answer is too large")
                pieces.append(piece)
            if limit.over:
                raise TimeoutError
            if length is not None and size != length:
                raise ValueError("its answer is cut short")
            return answer.headers.get("content-type", ""), b"".join(pieces)
    except (OSError, http.client.HTTPException, ValueError):
        if limit.over:
            raise TimeoutError(f"it was not done within {seconds:g} s") from None
        raise


class Shunned:
    """Who did not answer lately: asked after the others, never left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def failed(self, name: str) -> None:
        with self._lock:
            if len(self._until) >= _MOST_MEMORY:
                self._until.clear()
            self._until[name] = self._clock() + FORGET_SECONDS

    def answered(self, name: str) -> None:
        with self._lock:
            self._until.pop(name, None)

    def is_shunned(self, name: str) -> bool:
        with self._lock:
            return self._until.get(name, 0.0) > self._clock()

    def order(self, names: Sequence[str]) -> list[str]:
        """The names in their own order, those that failed lately behind the others."""
        return sorted(dict.fromkeys(names), key=self.is_shunned)
