"""The OCSP listener (X-Road's port 5577): the node's answers about its own certificates, asked for by their hash.

Plain HTTP, as X-Road has it; an answer is signed by its responder and needs no secrecy. `GET /?cert=<SHA-1>&cert_hash=<SHA-256>...`
gives a multipart with one DER part per certificate, in order; HEAD is a heartbeat. Only answers that are good now are given, and
only about this node's own certificates: 404 names no reason beyond that, 400 says what a question looks like. Whose answers there
are is `revocation`'s affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from kerege.exchange import ocsp
from kerege.node.http.messages import HttpRequest, HttpResponse

Answers = Callable[[], Mapping[str, bytes]]  # by hash (hex, SHA-1 and SHA-256), only those good now
_TEXT: Final = ((b"content-type", b"text/plain; charset=utf-8"),)


class OcspServer:
    """Answers the OCSP listener; `answers` is asked anew for each request."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._encoded: dict[tuple[bytes, ...], tuple[str, bytes]] = {}

    async def handle(self, http: HttpRequest) -> HttpResponse:
        if http.method == "HEAD":
            return HttpResponse(200)
        if http.method != "GET":
            return _plain(405, "ask with GET, or HEAD for a heartbeat")
        try:
            asked = ocsp.asked_hashes(urlsplit(http.target).query)
        except ValueError as problem:
            return _plain(400, str(problem) if "certificate" in str(problem) else "the query cannot be read")
        known = self._answers()
        if any(one not in known for one in asked):
            return _plain(404, "this server has no OCSP answer at hand for a certificate that was asked for")
        found = tuple(known[one] for one in asked)
        ready = self._encoded.get(found)
        if ready is None:
            if len(self._encoded) >= 64:
                self._encoded.clear()
            ready = self._encoded[found] = ocsp.encode_answers(found)
        kind, body = ready
        return HttpResponse(200, ((b"content-type", kind.encode()),), body)


def _plain(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, _TEXT, text.encode() + b"\n")
