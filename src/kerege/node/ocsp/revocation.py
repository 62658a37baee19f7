"""OCSP answers: the node's own, kept fresh to go along with every signature, and its peers', fetched when first met.

Own answers come from the responders the global configuration names: with a POST as RFC 6960 says, and where that is refused with a
GET for a published answer (what `network.publish` lays out); each responder in turn, those that failed lately last. A peer's answer is asked of the
peer itself first (X-Road's port 5577, by certificate hash), then of the responders; whoever hands it over, its responder signed it.
Everything is refreshed well before its time is over, with jitter, in threads of its own (`ocsp.fetch` blocks, the loop never does), and
an answer that is still good outlives any outage, silence or nonsense, until its own time is over; one that says no is final. `ocsp.server` hands
the node's own answers out.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from kerege.exchange import certs, ocsp
from kerege.exchange.errors import ExchangeError, RevocationUnknown
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import KeyPair
from kerege.exchange.trust import Trust
from kerege.exchange.xades import Signer
from kerege.ground.errors import KeregeError
from kerege.node.config_types import Address
from kerege.node.errors import NodeKeyInvalid
from kerege.node.keys.pairs import NodeKeys
from kerege.node.ocsp import fetch as ocspfetch
from kerege.node.ocsp.check import ResponderAway, check, middles
from kerege.node.ocsp.fetch import ask as _ask

_LOG: Final = logging.getLogger("kerege.node.revocation")
_AGAIN: Final = timedelta(seconds=30)
_PEER_SECONDS: Final = 3.0  # a peer's own port; its responder is asked after that
_MOST_PEERS: Final = 4096
_RECENTLY: Final = timedelta(minutes=30)
_KEPT_SECONDS: Final = 30 * 86400  # files about certificates that nobody asked about since

Kept = tuple[bytes, datetime, datetime]  # answer, ask again, good until


class Revocation:
    """Fetches and keeps OCSP answers; what is kept on disk lets a node start while its responder is away."""

    def __init__(self, keys: NodeKeys, state: Path, clock: Callable[[], datetime], *, keeps: bool = True) -> None:
        self._keys, self._folder, self._clock = keys, state / "ocsp", clock
        self._keeps = keeps  # False in a command beside the node: it reads what is kept, and changes nothing there
        self._own: dict[bytes, Kept] = {}
        self._peers: dict[bytes, Kept] = {}
        self._used: dict[bytes, tuple[datetime, Address | None]] = {}  # peers met: when last, and where to ask them
        self._asking: dict[bytes, asyncio.Task[bytes]] = {}
        self._refreshing = asyncio.Lock()
        self._threads = {role: ThreadPoolExecutor(4, f"ocsp-{role}") for role in ("own", "peers")}
        self._shunned = ocspfetch.Shunned()
        self.auth_answer: tuple[bytes, ...] = ()
        self.auth_until: datetime | None = None
        self.problem: KeregeError | None = None
        if keeps:
            self._tidy()

    # --- the node's own ---

    async def refresh_own(self, trust: Trust) -> None:
        """Fetch answers for the node's own certificates that are past half their time. Keeps old ones while they are good."""
        async with self._refreshing:
            await self._refresh_own(trust)

    async def _refresh_own(self, trust: Trust) -> None:
        now = self._clock()
        auth = self._keys.auth.certificate
        signers = dict(self._keys.signers)
        between = middles(trust, auth, now)
        problems = await asyncio.gather(
            self._refresh_one(trust, auth, "authentication", now),
            *(self._refresh_one(trust, signer.certificate, "signing", now) for signer in signers.values()),
        )
        # of intermediates too, where their authority answers for them; X-Road's servers take them along
        await asyncio.gather(*(self._refresh_one(trust, one, "intermediate", now) for one in between))
        self.problem = next((problem for problem in problems if problem is not None), None)
        for member, signer in signers.items():
            der = certs.der(signer.certificate)
            answers = self._good(der, now)
            signer.with_ocsp(answers)
            self._keys.good_until[member] = self._own[der][2] if answers else now
        of_auth = self._good(certs.der(auth), now)
        self.auth_answer = tuple(of_auth + [one for middle in between for one in self._good(certs.der(middle), now)])
        self.auth_until = self._own[certs.der(auth)][2] if of_auth else None
        if not of_auth:
            self.auth_answer = ()
        wanted = {certs.der(one) for one in (auth, *between, *(signer.certificate for signer in signers.values()))}
        for der in set(self._own) - wanted:  # of keys that were replaced
            del self._own[der]
        for der in set(self._keys.revoked) - wanted:
            del self._keys.revoked[der]

    def _good(self, der: bytes, now: datetime) -> list[bytes]:
        kept = self._own.get(der)
        return [kept[0]] if kept is not None and kept[2] > now else []

    def own_answers(self) -> dict[str, bytes]:
        """The node's own answers that are good now, by the certificates' SHA-1 and SHA-256 in hex: what port 5577 gives."""
        now, out = self._clock(), {}
        for der, (answer, _, until) in self._own.items():
            if until > now:
                out[hashlib.sha1(der, usedforsecurity=False).hexdigest()] = answer
                out[hashlib.sha256(der).hexdigest()] = answer
        return out

    def own_until(self, certificate: x509.Certificate) -> datetime | None:
        """Until when the answer kept about one of the node's own certificates is good."""
        kept = self._own.get(certs.der(certificate))
        return kept[2] if kept is not None else None

    async def adopt_signer(self, trust: Trust, member: MemberId, signer: Signer) -> None:
        """Put `signer` in the place of the member's signer, ready at once. Raises RevocationUnknown: the old one stays."""
        der = certs.der(signer.certificate)
        async with self._refreshing:  # a renewal under way would take its answer for one of a key that was replaced
            await self._adopt(trust, signer.certificate, "signing")
            signer.with_ocsp([self._own[der][0]])
            self._keys.good_until[member] = self._own[der][2]
            self._keys.signers[member] = signer

    async def adopt_auth(self, trust: Trust, pair: KeyPair) -> None:
        """Put `pair` in the place of the authentication pair. Raises RevocationUnknown, NodeKeyInvalid: the old one stays."""
        if isinstance(self._keys.auth.key, rsa.RSAPrivateKey) != isinstance(pair.key, rsa.RSAPrivateKey):
            # a TLS context holds a key of each kind side by side, and would go on showing the old one to some
            raise NodeKeyInvalid(
                file="keys.auth",
                reason="it is of another kind (RSA, EC) than the one in use; restart the node to use it",
            )
        async with self._refreshing:  # as above
            await self._adopt(trust, pair.certificate, "authentication")
            self._keys.auth = pair
            await self._refresh_own(trust)

    async def _adopt(self, trust: Trust, certificate: x509.Certificate, role: str) -> None:
        now = self._clock()
        try:
            answer, until = await self._answer(trust, certificate, role, now, fall_back=False)
        except ResponderAway as away:
            raise away.error from None
        self._own[certs.der(certificate)] = (answer, now + _share(until - now), until)

    async def _refresh_one(
        self, trust: Trust, certificate: x509.Certificate, role: str, now: datetime
    ) -> KeregeError | None:
        der = certs.der(certificate)
        kept = self._own.get(der)
        if kept is not None and kept[1] > now and kept[2] - now > trust.freshness / 2:
            return None
        level = logging.DEBUG if role == "intermediate" else logging.WARNING
        try:
            answer, until = await self._answer(trust, certificate, role, now, fall_back=kept is None)
            self._own[der] = (answer, now + _share(until - now), until)
            self._keys.revoked.pop(der, None)
        except ResponderAway as away:
            _LOG.log(level, "own %s certificate: %s", role, away.error)
            return away.error
        except ExchangeError as refused:
            self._own.pop(der, None)
            if isinstance(refused, RevocationUnknown) and ocsp.is_revoked(refused):
                self._keys.revoked[der] = str(refused.params["reason"])
            _LOG.log(level, "own %s certificate: %s", role, refused)
            return refused
        return None

    async def run(self, trust: Callable[[], Trust | None]) -> None:
        """Keep everything fresh for ever: own answers, and those of peers met lately; `trust` gives the one in force."""
        while True:
            current = trust()
            tick = 30.0 if current is None else min(30.0, max(0.5, current.freshness.total_seconds() / 20))
            await asyncio.sleep(tick * random.uniform(0.7, 1.3))  # noqa: S311 - jitter, not a secret
            current = trust()
            if current is None:
                continue
            try:
                await self.refresh_own(current)
                await self.refresh_peers(current)
            except Exception as unforeseen:  # noqa: BLE001 - the loop ends only when the node does
                _LOG.error("OCSP: unforeseen %s", type(unforeseen).__name__, exc_info=unforeseen)

    def close(self) -> None:
        """Wait for no question under way."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    # --- peers' ---

    async def of_peer(
        self, trust: Trust, der: bytes, now: datetime, at: Address | None = None
    ) -> tuple[x509.Certificate, bytes]:
        """A peer's authentication certificate with an answer about it that is good now. Raises RevocationUnknown and others.

        at   the peer's own OCSP port; it is asked before the responders
        """
        certificate = x509.load_der_x509_certificate(der)
        self._used[der] = (now, at)
        kept = self._peers.get(der)
        if kept is not None and kept[1] > now:
            return certificate, kept[0]
        task = self._asking.get(der)
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            # one question for all who wait; whoever gives up waiting does not end it for the others
            task = self._asking[der] = asyncio.get_running_loop().create_task(
                self._renew(trust, certificate, der, now, at)
            )
            task.add_done_callback(lambda done: self._asked(der, done))
        return certificate, await asyncio.shield(task)

    def _asked(self, der: bytes, done: asyncio.Task[bytes]) -> None:
        if self._asking.get(der) is done:
            del self._asking[der]
        if not done.cancelled():
            done.exception()  # nobody may be left who waits for it

    async def _renew(
        self, trust: Trust, certificate: x509.Certificate, der: bytes, now: datetime, at: Address | None
    ) -> bytes:
        kept = self._peers.get(der)
        try:
            answer, until = await self._answer(trust, certificate, "authentication", now, fall_back=kept is None, at=at)
        except ResponderAway as away:
            if kept is None or kept[2] <= now:
                raise away.error from None
            # nobody answers: the old answer is good until its own time is over; ask again in a while
            self._peers[der] = (kept[0], min(now + _AGAIN, kept[2]), kept[2])
            return kept[0]
        if len(self._peers) >= _MOST_PEERS:
            self._peers.clear()
            self._used.clear()
        # ask again when half the time is over, so that a revocation is noticed
        self._peers[der] = (answer, now + max(timedelta(seconds=1), (until - now) / 2), until)
        return answer

    async def refresh_peers(self, trust: Trust) -> None:
        """Ask about peers met lately before a message has to wait for it: from a third of an answer's time on."""
        now = self._clock()
        for der, (last, at) in list(self._used.items()):
            kept = self._peers.get(der)
            if now - last > _RECENTLY or kept is None:
                del self._used[der]
                continue
            if (kept[1] - now) * 3 > kept[2] - kept[1] or der in self._asking:
                continue
            with contextlib.suppress(ExchangeError):  # the next message will be told
                await self._renew(trust, x509.load_der_x509_certificate(der), der, now, at)

    # --- asking ---

    async def _answer(
        self,
        trust: Trust,
        certificate: x509.Certificate,
        role: str,
        now: datetime,
        *,
        fall_back: bool,
        at: Address | None = None,
    ) -> tuple[bytes, datetime]:
        """A checked answer, fetched; or, when `fall_back`, the one kept on disk when the responder is away."""
        place = self._folder / f"{certs.der_sha256(certificate)}.der"
        loop = asyncio.get_running_loop()
        if at is not None and not self._shunned.is_shunned(str(at)):
            found = await loop.run_in_executor(
                self._threads["peers"], self._of_peer_itself, trust, certificate, role, now, at
            )
            if found is not None:
                self._keep(place, found[0])
                return found
        threads = self._threads["own" if at is None else "peers"]
        try:
            answer = await loop.run_in_executor(threads, self._fetch, trust, certificate, role, now)
        except ResponderAway as away:
            if not fall_back or not place.exists():
                raise
            answer = place.read_bytes()
            try:
                return answer, check(trust, certificate, role, answer, now)
            except RevocationUnknown:
                raise away from None
        try:
            until = check(trust, certificate, role, answer, now)
        except RevocationUnknown as refused:
            if not ocsp.is_final(refused):
                raise ResponderAway(refused) from None
            self._forget(certificate, place)
            self._keep(revoked_place(place), answer)  # for tools beside the node, which verify it anew
            raise
        if self._keeps:
            revoked_place(place).unlink(missing_ok=True)
        self._keep(place, answer)
        return answer, until

    def _of_peer_itself(
        self, trust: Trust, certificate: x509.Certificate, role: str, now: datetime, at: Address
    ) -> tuple[bytes, datetime] | None:
        """What the peer itself hands over, None when that is nothing good. Raises RevocationUnknown when it says revoked."""
        name = str(at)
        try:
            (answer,) = ocspfetch.ask_peer(at, [certificate], _PEER_SECONDS)
            until = check(trust, certificate, role, answer, now)
        except RevocationUnknown as refused:
            if ocsp.is_final(refused):
                raise
            _LOG.info("the OCSP answer from %s: %s", name, refused.text)
        except (OSError, ValueError, http.client.HTTPException, ResponderAway) as problem:
            _LOG.info("no OCSP answer from %s (%s)", name, type(problem).__name__)
        else:
            self._shunned.answered(name)
            return answer, until
        self._shunned.failed(name)
        return None

    def _fetch(self, trust: Trust, certificate: x509.Certificate, role: str, now: datetime) -> bytes:
        authority, issuer = trust.issuer_of(certificate, role, now)
        request = ocsp.request_for(certificate, issuer)
        reason = "the global configuration names no responder for its authority"
        last: bytes | None = None
        for url in self._shunned.order([responder.url for responder in authority.responders_of(issuer)]):
            # a real responder first: some end when they are asked in a form they do not know
            for address, data in ((url, request), (f"{url.rstrip('/')}/{ocsp.file_name(request)}", None)):
                try:
                    answer = _ask(address, data)
                except http.client.HTTPException as problem:  # neither an OSError nor a ValueError
                    reason = f"the responder {url} did not answer in valid HTTP ({type(problem).__name__})"
                except ocspfetch.StatusRefused as problem:
                    reason = f"the responder {url} did not answer ({problem})"
                except (OSError, ValueError) as problem:
                    reason = f"the responder {url} did not answer ({getattr(problem, 'strerror', None) or problem})"
                    break  # it is away or broken, not of another opinion about the form of the question
                else:
                    if not ocsp.successful(answer):
                        last = last or answer  # the check says what is wrong with it
                        break
                    try:
                        check(trust, certificate, role, answer, now)
                    except RevocationUnknown as refused:
                        if not ocsp.is_final(refused):
                            last = answer
                            continue
                    except ResponderAway:
                        last = answer
                        continue
                    self._shunned.answered(url)
                    return answer
            self._shunned.failed(url)
        if last is not None:
            return last
        raise ResponderAway(RevocationUnknown(subject=certs.subject(certificate), reason=reason))

    # --- on disk ---

    def _keep(self, place: Path, answer: bytes) -> None:
        if not self._keeps:
            return
        with contextlib.suppress(OSError):  # kept for a start without responder; nothing depends on it now
            self._folder.mkdir(parents=True, exist_ok=True)
            new = place.with_suffix(".new")
            new.write_bytes(answer)
            new.replace(place)

    def _forget(self, certificate: x509.Certificate, place: Path) -> None:
        self._peers.pop(certs.der(certificate), None)
        if self._keeps:
            place.unlink(missing_ok=True)

    def _tidy(self) -> None:
        oldest = time.time() - _KEPT_SECONDS
        with contextlib.suppress(OSError):
            for file in self._folder.iterdir():
                if file.stat().st_mtime < oldest:
                    file.unlink(missing_ok=True)


def revoked_place(place: Path) -> Path:
    """Where the answer that a certificate is revoked lies, beside the place of good ones."""
    return place.with_suffix(".revoked")


def _share(time_left: timedelta) -> timedelta:
    """When to ask again: at 35 to 50 hundredths of the time, so that nodes do not ask together."""
    return time_left * random.uniform(0.35, 0.5)  # noqa: S311 - jitter, not a secret
