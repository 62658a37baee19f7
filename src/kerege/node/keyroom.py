"""The running node's keys, kept together: TLS contexts, the OCSP port, connection rules, renewals, and taking new keys into use.

`serve` makes one, opens its `openings` beside its own listeners, runs its `tasks`, and calls `reload` when told to. A key that was
replaced (renewed, or put in place of the old file) is used for new connections and signatures from then on; what is under way ends
under the old one. Nothing is taken into use that others would refuse, and what cannot be taken leaves the old in place.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from kerege.exchange.certs import der
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import KeyPair
from kerege.exchange.trust import Trust
from kerege.ground.errors import KeregeError
from kerege.node import expiry, tls
from kerege.node.acme_client import Challenges
from kerege.node.acme_orders import Hooks, Renewals
from kerege.node.config_types import Address, KeySource, NodeConfig
from kerege.node.connections import Connections
from kerege.node.errors import NodeKeyInvalid
from kerege.node.expiry_kept import other_certificates
from kerege.node.httpserver import Handler, ServerLimits
from kerege.node.keys import NodeKeys, load_keys, make_signer
from kerege.node.ocspserver import OcspServer
from kerege.node.picture import Picture
from kerege.node.revocation import Revocation

_LOG: Final = logging.getLogger("kerege.node.keys")
_SMALL: Final = ServerLimits(body=4096, connections=256, per_address=32, bodies=1024 * 1024)


@dataclass(frozen=True, slots=True)
class Opening:
    """A listener the keys need: where, what for, who answers."""

    address: Address
    purpose: str
    handler: Handler
    limits: ServerLimits
    tls: ssl.SSLContext | None = None


class KeyRoom:
    """See the module. `connections` holds the rules of information systems, replaced whole by `reload`."""

    def __init__(
        self,
        config: NodeConfig,
        keys: NodeKeys,
        revocation: Revocation,
        picture: Callable[[], Picture | None],
        clock: Callable[[], datetime],
    ) -> None:
        self._config, self._keys, self._revocation = config, keys, revocation
        self._picture, self._clock = picture, clock
        self.connections = Connections.load(config, clock())
        self.clients_tls = self.connections.clients_context()
        self._contexts: list[ssl.SSLContext] = []
        self._challenges = Challenges()
        hooks = Hooks(self._trust, self.use_auth, self.use_signer)
        self.renewals = Renewals.of(config, clock, self._challenges, hooks)
        self.problem: KeregeError | None = None

    def peer_context(self, *, server: bool) -> ssl.SSLContext:
        """A context for connections with other servers, which follows the authentication key from now on."""
        context = tls.server_context(self._keys.auth) if server else tls.client_context(self._keys.auth)
        self._contexts.append(context)
        return context

    def trust_authorities(self, picture: Picture) -> None:
        """Let handshakes end well with certificates of the picture's authorities; the contexts `peer_context` made."""
        known = [one.certificate for a in picture.authorities for one in (a.top, *a.intermediates)]
        for context in self._contexts:
            tls.add_authorities(context, known)

    def openings(self) -> list[Opening]:
        """The OCSP port, and where tokens of orders are served."""
        out = []
        if self._config.ocsp_address is not None:
            handler = OcspServer(self._revocation.own_answers).handle
            out.append(Opening(self._config.ocsp_address, "ocsp", handler, _SMALL))
        if self.renewals is not None:
            out.append(Opening(self.renewals.settings.challenge, "challenge", self._challenges.handle, _SMALL))
        return out

    def tasks(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What must run as long as the node does, by name."""
        out = {"ocsp": self._revocation.run(self._trust)}
        if self.renewals is not None:
            out["orders"] = self.renewals.run()
        return out

    def close(self) -> None:
        self._revocation.close()

    def _trust(self) -> Trust | None:
        picture = self._picture()
        return picture.trust if picture is not None else None

    # --- new keys ---

    async def use_auth(self, pair: KeyPair) -> None:
        """Show `pair` on connections made from now on. Raises when no good OCSP answer about it is to be had."""
        _same_kind(self._keys.auth, pair, "keys.auth")
        trust = self._trust()
        if trust is not None:
            await self._revocation.adopt_auth(trust, pair)
        self._keys.auth = pair
        for context in self._contexts:
            await asyncio.to_thread(tls.use_key, context, pair)

    async def use_signer(self, member: MemberId, source: KeySource) -> None:
        """Sign for `member` with the key at `source` from now on. Raises when no good OCSP answer about it is to be had."""
        signer = await asyncio.to_thread(make_signer, self._config, source)
        trust = self._trust()
        if trust is not None:
            await self._revocation.adopt_signer(trust, member, signer)

    async def reload(self) -> None:
        """Read keys and certificates again and take into use what changed. What is wrong is kept in `problem` and raised."""
        self.problem = None
        try:
            await self._reload()
        except KeregeError as problem:
            self.problem = problem
            raise

    async def _reload(self) -> None:
        found = await asyncio.to_thread(load_keys, self._config)
        connections = await asyncio.to_thread(Connections.load, self._config, self._clock())
        trust = self._trust()
        for member, signer in found.signers.items():
            if der(signer.certificate) != der(self._keys.signers[member].certificate) and trust is not None:
                await self._revocation.adopt_signer(trust, member, signer)
                _LOG.info("signing for %s goes on with a new key", member)
        if der(found.auth.certificate) != der(self._keys.auth.certificate):
            await self.use_auth(found.auth)
            _LOG.info("connections with other servers go on with a new key")
        if der(connections.internal.certificate) != der(self.connections.internal.certificate):
            _same_kind(self.connections.internal, connections.internal, "keys.internal")
            await asyncio.to_thread(tls.use_key, self.clients_tls, connections.internal)
        pins = {one for rule in connections.rules.values() for one in rule.certificates}
        if pins:
            self.clients_tls.verify_mode = ssl.CERT_OPTIONAL
            tls.add_authorities(self.clients_tls, map(x509.load_der_x509_certificate, sorted(pins)))
        self.connections = connections  # a certificate no longer listed may shake hands until a restart, and is refused

    # --- for people ---

    def calendar(self, now: datetime) -> list[expiry.Entry]:
        """When everything the node depends on ends."""
        return expiry.calendar(
            self._config, self._keys, self._picture(), self._revocation.own_until, now, self._others()
        )

    def _others(self) -> Iterable[tuple[str, x509.Certificate, str]]:
        yield from other_certificates(self._config)

    def problems(self) -> list[str]:
        """What waits for somebody: keys that could not be taken, orders that failed or wait."""
        out = [str(self.problem)] if self.problem is not None else []
        if self.renewals is not None:
            out += [problem.text for problem in self.renewals.problems.values()]
        return out


def _same_kind(old: KeyPair, new: KeyPair, key: str) -> None:
    """A TLS context holds a key of each kind side by side, so going from one kind to the other takes new contexts."""
    if isinstance(old.key, rsa.RSAPrivateKey) != isinstance(new.key, rsa.RSAPrivateKey):
        raise NodeKeyInvalid(
            file=key, reason="the new key is of another kind (RSA, EC) than the one in use; restart the node to use it"
        )
