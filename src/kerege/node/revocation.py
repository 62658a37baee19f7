"""OCSP answers: the node's own, kept fresh to go along with every signature, and its peers', fetched when first met.

Asks the responders the global configuration names: first with a GET for a published answer (what `network.publish` lays out), then
with a POST as RFC 6960 says. X-Road's fetch of peers' answers from their port 5577 is not used yet; the source is the same responder.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
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
_AGAIN: Final = timedelta(seconds=30)


class _ResponderAway(Exception):
    """No responder answered. Only then may an older answer that is still good stand in; an answer that says no is final."""

    def __init__(self, error: RevocationUnknown) -> None:
        super().__init__(error.text)
        self.error = error


class Revocation:
    """Fetches and keeps OCSP answers; what is kept on disk lets a node start while its responder is away."""

    def __init__(self, keys: NodeKeys, state: Path, clock: Callable[[], datetime]) -> None:
        self._keys, self._folder, self._clock = keys, state / "ocsp", clock
        self._own: dict[bytes, tuple[bytes, datetime]] = {}  # certificate -> answer, good until
        self._peers: dict[bytes, tuple[bytes, datetime, datetime]] = {}  # certificate -> answer, ask again, good until
        self.auth_answer: tuple[bytes, ...] = ()
        self.auth_until: datetime | None = None
        self.problem: KeregeError | None = None

    async def refresh_own(self, trust: Trust) -> None:
        """Fetch answers for the node's own certificates that are past half their time. Keeps old ones while they are good."""
        now = self._clock()
        auth = self._keys.auth.certificate
        signers = self._keys.signers.values()
        problems = await asyncio.gather(
            self._refresh_one(trust, auth, "authentication", now),
            *(self._refresh_one(trust, signer.certificate, "signing", now) for signer in signers),
        )
        self.problem = next((problem for problem in problems if problem is not None), None)
        for member, signer in self._keys.signers.items():
            der = certs.der(signer.certificate)
            answers = self._good(der, now)
            signer.with_ocsp(answers)
            self._keys.good_until[member] = self._own[der][1] if answers else now
        self.auth_answer = tuple(self._good(certs.der(auth), now))
        self.auth_until = self._own[certs.der(auth)][1] if self.auth_answer else None

    def _good(self, der: bytes, now: datetime) -> list[bytes]:
        kept = self._own.get(der)
        return [kept[0]] if kept is not None and kept[1] > now else []

    async def _refresh_one(
        self, trust: Trust, certificate: x509.Certificate, role: str, now: datetime
    ) -> KeregeError | None:
        der = certs.der(certificate)
        kept = self._own.get(der)
        if kept is not None and kept[1] - now > trust.freshness / 2:
            return None
        try:
            self._own[der] = await self._answer(trust, certificate, role, now, fall_back=kept is None)
        except _ResponderAway as away:
            _LOG.warning("own %s certificate: %s", role, away.error)
            return away.error
        except ExchangeError as refused:
            self._own.pop(der, None)
            _LOG.warning("own %s certificate: %s", role, refused)
            return refused
        return None

    async def of_peer(self, trust: Trust, der: bytes, now: datetime) -> tuple[x509.Certificate, bytes]:
        """A peer's authentication certificate with an answer about it that is good now. Raises RevocationUnknown and others."""
        certificate = x509.load_der_x509_certificate(der)
        kept = self._peers.get(der)
        if kept is not None and kept[1] > now:
            return certificate, kept[0]
        try:
            answer, until = await self._answer(trust, certificate, "authentication", now, fall_back=kept is None)
        except _ResponderAway as away:
            if kept is None or kept[2] <= now:
                raise away.error from None
            # the responder is away: the old answer is good until its own time is over; ask again in a while
            answer, until = kept[0], kept[2]
            self._peers[der] = (answer, now + _AGAIN, until)
            return certificate, answer
        # ask again when half the time is over, so that a revocation is noticed
        self._peers[der] = (answer, now + max(timedelta(seconds=1), (until - now) / 2), until)
        return certificate, answer

    async def _answer(
        self, trust: Trust, certificate: x509.Certificate, role: str, now: datetime, *, fall_back: bool
    ) -> tuple[bytes, datetime]:
        """A checked answer, fetched; or, when `fall_back`, the one kept on disk when the responder is away."""
        place = self._folder / f"{certs.der_sha256(certificate)}.der"
        try:
            answer = await asyncio.to_thread(self._fetch, trust, certificate, role, now)
        except _ResponderAway:
            if not fall_back or not place.exists():
                raise
            answer = place.read_bytes()
            return answer, _check(trust, certificate, role, answer, now)
        try:
            until = _check(trust, certificate, role, answer, now)
        except RevocationUnknown:
            self._peers.pop(certs.der(certificate), None)
            place.unlink(missing_ok=True)
            raise
        with contextlib.suppress(OSError):  # kept for a start without responder; nothing depends on it now
            self._folder.mkdir(parents=True, exist_ok=True)
            new = place.with_suffix(".new")
            new.write_bytes(answer)
            new.replace(place)
        return answer, until

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
                except http.client.HTTPException as problem:  # neither an OSError nor a ValueError
                    reason = f"the responder {responder.url} did not answer in valid HTTP ({type(problem).__name__})"
                except (OSError, ValueError) as problem:
                    reason = f"the responder {responder.url} did not answer ({getattr(problem, 'reason', problem)})"
        raise _ResponderAway(RevocationUnknown(subject=certs.subject(certificate), reason=reason))


def _check(trust: Trust, certificate: x509.Certificate, role: str, answer: bytes, now: datetime) -> datetime:
    """Until when the answer is good. One so damaged that reading it fails in a way nobody foresaw counts as none given."""
    try:
        return trust.check_own_ocsp(certificate, role, answer, now)
    except KeregeError:
        raise
    except Exception as unforeseen:  # noqa: BLE001 - bytes from the network
        _LOG.error("an OCSP answer could not be read: %s", type(unforeseen).__name__, exc_info=unforeseen)
        reason = f"the responder's answer cannot be read ({type(unforeseen).__name__})"
        raise _ResponderAway(RevocationUnknown(subject=certs.subject(certificate), reason=reason)) from None


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
