"""OCSP answers: the node's own, kept fresh to go along with every signature, and its peers', fetched when first met.

Asks the responders the global configuration names: first with a GET for a published answer (what `network.publish` lays out), then
with a POST as RFC 6960 says. X-Road's fetch of peers' answers from their port 5577 is not used yet; the source is the same responder.
"""

from __future__ import annotations

import asyncio
import logging
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from kerege.exchange import certs, ocsp
from kerege.exchange.errors import ExchangeError, RevocationUnknown
from kerege.exchange.trust import Trust
from kerege.ground.errors import KeregeError
from kerege.node.keys import NodeKeys

_LOG: Final = logging.getLogger("kerege.node.revocation")
_TIMEOUT: Final = 5.0
_LARGEST: Final = 256 * 1024


class Revocation:
    """Fetches and keeps OCSP answers."""

    def __init__(self, keys: NodeKeys, clock: Callable[[], datetime]) -> None:
        self._keys, self._clock = keys, clock
        self._own: dict[bytes, tuple[bytes, datetime]] = {}  # certificate -> answer, good until
        self._peers: dict[bytes, tuple[bytes, datetime]] = {}
        self.auth_answer: tuple[bytes, ...] = ()
        self.problem: KeregeError | None = None

    async def refresh_own(self, trust: Trust) -> None:
        """Fetch answers for the node's own certificates that are past half their time. Keeps old ones while they are good."""
        now = self._clock()
        problem: KeregeError | None = None
        auth = self._keys.auth.certificate
        for role, certificate in [
            ("authentication", auth),
            *(("signing", signer.certificate) for signer in self._keys.signers.values()),
        ]:
            der = certs.der(certificate)
            kept = self._own.get(der)
            if kept is not None and kept[1] - now > trust.freshness / 2:
                continue
            try:
                answer = await asyncio.to_thread(self._fetch, trust, certificate, role, now)
                self._own[der] = (answer, trust.check_own_ocsp(certificate, role, answer, now))
            except ExchangeError as refused:
                problem = refused
                _LOG.warning("own %s certificate: %s", role, refused)
        for signer in self._keys.signers.values():
            answer_for = self._own.get(certs.der(signer.certificate))
            signer.with_ocsp([answer_for[0]] if answer_for and answer_for[1] > now else [])
        own_auth = self._own.get(certs.der(auth))
        self.auth_answer = (own_auth[0],) if own_auth and own_auth[1] > now else ()
        self.problem = problem

    async def of_peer(self, trust: Trust, der: bytes, now: datetime) -> tuple[x509.Certificate, bytes]:
        """A peer's authentication certificate with an answer about it that is good now. Raises RevocationUnknown and others."""
        certificate = x509.load_der_x509_certificate(der)
        kept = self._peers.get(der)
        if kept is None or kept[1] <= now:
            answer = await asyncio.to_thread(self._fetch, trust, certificate, "authentication", now)
            kept = (answer, trust.check_own_ocsp(certificate, "authentication", answer, now))
            # ask again when half the time is over, so that a revocation is noticed
            kept = (answer, now + max(timedelta(seconds=1), (kept[1] - now) / 2))
            self._peers[der] = kept
        return certificate, kept[0]

    def _fetch(self, trust: Trust, certificate: x509.Certificate, role: str, now: datetime) -> bytes:
        authority, issuer = trust.issuer_of(certificate, role, now)
        request = ocsp.request_for(certificate, issuer)
        reason = "the global configuration names no responder for its authority"
        for responder in authority.responders_of(issuer):
            for address, data in (
                (f"{responder.url.rstrip('/')}/{ocsp.file_name(request)}", None),
                (responder.url, request),
            ):
                try:
                    return _ask(address, data)
                except (OSError, ValueError) as problem:
                    reason = f"the responder {responder.url} did not answer ({getattr(problem, 'reason', problem)})"
        raise RevocationUnknown(subject=certs.subject(certificate), reason=reason)


def _ask(address: str, data: bytes | None) -> bytes:
    if urlsplit(address).scheme not in {"http", "https"}:
        raise ValueError("its address is not http(s)")
    headers = {"content-type": "application/ocsp-request"} if data is not None else {}
    request = urllib.request.Request(address, data=data, headers=headers)  # noqa: S310 - the scheme is checked above
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_TIMEOUT) as answer:
        body: bytes = answer.read(_LARGEST + 1)
    if len(body) > _LARGEST:
        raise ValueError("its answer is too large")
    return body
