"""Renewing the node's own certificates by ACME: when, with a new key, and taken into use without a restart.

Settings are `keys.acme` of the node's configuration. A certificate is ordered anew when its time is nearly over: a new key in a new
file, the request in the form of the authority's certificate profile. It is taken into use when others will believe it: a signing
certificate when its OCSP answer is good, an authentication certificate when the global configuration lists it for this server (so it
must be registered; until then it waits, and the one in use stays). Ordering itself is `acme_client`'s.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from kerege.exchange import certs
from kerege.exchange.errors import ExchangeError
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import KeyPair, new_key
from kerege.exchange.trust import Trust
from kerege.ground.errors import KeregeError
from kerege.node.config_reading import Section
from kerege.node.config_types import Address, KeySource, NodeConfig
from kerege.node.errors import CertificateOrderFailed
from kerege.node.http.listener import Listener
from kerege.node.http.messages import ServerLimits
from kerege.node.keys import files as keyfiles
from kerege.node.keys import pairs as keys
from kerege.node.keys.acme_client import Account, AcmeAuthority, CertificateAuthorityPort, Challenges, subject_for

_LOG: Final = logging.getLogger("kerege.node.orders")
_WAITING: Final = "waiting.json"
PROFILES: Final = ("FiVRK", "CamDX", "Ejbca", "Basic")
_EVERY: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class AcmeSettings:
    """`keys.acme`: one authority, and what is ordered from it. `orders` holds "auth" and members."""

    account: Account
    challenge: Address
    names: tuple[str, ...]
    organisation: str
    profile: str
    orders: tuple[str | MemberId, ...]
    renew: timedelta
    algorithm: str


def read_settings(config: NodeConfig) -> AcmeSettings | None:
    """The `keys.acme` section, None when there is none. Raises NodeConfigInvalid naming the key."""
    if config.acme is None:
        return None
    section = Section(config.acme, "keys.acme", config.file, ("keys", "acme"))
    orders: list[str | MemberId] = []
    for one in section.listing("orders"):
        orders.append(keys.AUTH if one == keys.AUTH else section.parse(MemberId, one, "orders"))
        if isinstance(orders[-1], MemberId) and orders[-1] not in config.sign:
            raise section.bad("orders", f"{orders[-1]} is not a member of keys.sign")
        source = config.auth if orders[-1] == keys.AUTH else config.sign.get(orders[-1])  # type: ignore[arg-type]
        if source is not None and source.token is not None:
            raise section.bad("orders", f"the key of {orders[-1]} is on a token; only keys in files are renewed")
    names = tuple(str(one) for one in section.listing("names"))
    if not names or not all(name.isascii() and name.strip(".") for name in names):
        raise section.bad("names", "expected the host names under which the authority reaches the node")
    binding = None
    if section.has("binding"):
        bound = section.section("binding")
        binding = (bound.text("key_id"), bound.place("mac_key_file"))
        bound.close()
    profile = section.text("profile", "FiVRK")
    if profile not in PROFILES:
        raise section.bad("profile", f"expected one of {', '.join(PROFILES)}")
    algorithm = section.text("key", "same")
    if algorithm not in {"same", "rsa", "ec"}:
        raise section.bad("key", "expected same, rsa or ec")
    out = AcmeSettings(
        Account(
            section.text("directory"),
            section.text("contact") if section.has("contact") else None,
            binding,
            section.place("trust") if section.has("trust") else None,
            section.text("certificate_kind") if section.has("certificate_kind") else None,
        ),
        section.address("challenge"),
        names,
        section.text("organisation"),
        profile,
        tuple(orders),
        timedelta(days=section.number("renew_days", 30, 0.001)),
        algorithm,
    )
    section.close()
    return out


@dataclass
class Hooks:
    """What the running node does to take a new pair into use; the tools that only order leave them out."""

    trust: Callable[[], Trust | None] = lambda: None
    auth: Callable[[KeyPair], Any] | None = None  # awaited when it returns something to await
    signer: Callable[[MemberId, KeySource], Any] | None = None


@dataclass
class Renewals:
    """Orders what is due, and takes into use what others will believe."""

    config: NodeConfig
    settings: AcmeSettings
    authority: CertificateAuthorityPort
    clock: Callable[[], datetime]
    hooks: Hooks = field(default_factory=Hooks)
    problems: dict[str, KeregeError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "orders")

    @classmethod
    def of(
        cls, config: NodeConfig, clock: Callable[[], datetime], challenges: Challenges, hooks: Hooks | None = None
    ) -> Renewals | None:
        """None when the configuration orders nothing."""
        settings = read_settings(config)
        if settings is None:
            return None
        authority = AcmeAuthority(settings.account, config.state, challenges)
        return cls(config, settings, authority, clock, hooks or Hooks())

    def name(self, order: str | MemberId) -> str:
        return keys.AUTH if isinstance(order, str) else keys.sign_name(order)

    def folder(self, order: str | MemberId) -> Path:
        return keys.own_folder(self.config, self.name(order))

    def source(self, order: str | MemberId) -> KeySource:
        return self.config.auth if isinstance(order, str) else self.config.sign[order]

    def waiting(self, order: str | MemberId) -> KeySource | None:
        """A pair that was ordered and is not in use yet."""
        return keyfiles.pointed(self.folder(order), self.source(order), _WAITING)

    def in_use(self, order: str | MemberId) -> KeyPair | None:
        """The pair in use, None when there is none yet (a node whose first certificate is being ordered)."""
        configured = self.source(order)
        source = keyfiles.pointed(self.folder(order), configured) or configured
        files = (source.pkcs12,) if source.pkcs12 is not None else (source.key, source.certificate)
        if not all(file is not None and file.exists() for file in files):
            return None
        return keyfiles.load(source)

    def due(self, order: str | MemberId, now: datetime) -> bool:
        """Whether a new certificate is wanted: none there, or little of its time left; and none waits already."""
        found = self.waiting(order)
        pair = keyfiles.load(found) if found is not None else self.in_use(order)
        return pair is None or pair.certificate.not_valid_after_utc - now < self._early(pair.certificate)

    def _early(self, certificate: x509.Certificate) -> timedelta:
        """How long before its end a certificate is renewed; of a short-lived one a third of its life at most."""
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        return min(self.settings.renew, life / 3)

    async def run(self) -> None:
        """Look every hour, with jitter, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY.total_seconds() * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret

    async def look(self) -> None:
        """Order what is due and take into use what can be. Problems are kept by what they are about, never raised."""
        for order in self.settings.orders:
            name = self.name(order)
            try:
                if self.due(order, self.clock()):
                    await self.order(order)
                await self.take(order)
                self.problems.pop(name, None)
            except KeregeError as problem:
                self._told(name, problem)
            except Exception as unforeseen:  # noqa: BLE001 - the loop ends only when the node does
                _LOG.error("renewing %s: unforeseen %s", name, type(unforeseen).__name__, exc_info=unforeseen)
                self._told(name, self._failed(name, f"it failed with {type(unforeseen).__name__}"))

    def _told(self, name: str, problem: KeregeError) -> None:
        before = self.problems.get(name)
        if before is None or before.text != problem.text:
            _LOG.warning("renewing %s: %s", name, problem)
        self.problems[name] = problem

    def _failed(self, purpose: str, reason: str) -> CertificateOrderFailed:
        return CertificateOrderFailed(purpose=purpose, authority=self.settings.account.directory, reason=reason)

    def _algorithm(self, order: str | MemberId) -> str:
        """The kind of the new key: as configured, or that of the one in use (a TLS key of another kind needs a restart)."""
        if self.settings.algorithm != "same":
            return self.settings.algorithm
        pair = self.in_use(order)
        return "ec" if pair is not None and isinstance(pair.key, ec.EllipticCurvePrivateKey) else "rsa"

    async def order(self, order: str | MemberId) -> KeySource:
        """Order now, in a thread; what came is checked, kept in new files and waits to be taken into use."""
        name, settings, now = self.name(order), self.settings, self.clock()
        key = new_key(self._algorithm(order))
        subject = subject_of(self.config, settings, order)
        loop = asyncio.get_running_loop()
        chain = await loop.run_in_executor(self._thread, self.authority.order, name, key, subject, settings.names)
        pair = KeyPair(key, chain[0], chain[1:])
        self._check(order, pair, now)
        file = f"{name}-{now:%Y%m%d%H%M%S}"
        secret = keyfiles.passphrase(self.source(order))
        await asyncio.to_thread(keyfiles.write, pair, self.folder(order), file, secret)
        await asyncio.to_thread(keyfiles.point, self.folder(order), file, _WAITING)
        _LOG.info(
            "%s: a new certificate, valid to %s, waits to be taken into use", name, pair.certificate.not_valid_after_utc
        )
        found = self.waiting(order)
        assert found is not None
        return found

    def _check(self, order: str | MemberId, pair: KeyPair, now: datetime) -> None:
        """What the authority made must be what was wanted, before anything points to it."""
        role = "authentication" if isinstance(order, str) else "signing"
        if not certs.readable(pair.certificate) or pair.certificate.public_key() != pair.key.public_key():
            raise self._failed(self.name(order), "the certificate is not for the key that was sent")
        try:
            certs.check_validity(pair.certificate, role, now)
            certs.check_use(pair.certificate, role)
            trust = self.hooks.trust()
            if trust is not None:
                authority, _ = trust.issuer_of(pair.certificate, role, now)
                if isinstance(order, MemberId):
                    found = certs.signer_of(pair.certificate, authority, self.config.server.instance)
                    if found != order:
                        raise self._failed(self.name(order), f"the certificate is for {found}")
        except ExchangeError as refused:
            raise self._failed(self.name(order), refused.text.rstrip(".")) from None

    async def take(self, order: str | MemberId) -> bool:
        """Take the waiting pair into use if others will believe it; True when it is in use from now on."""
        source, trust = self.waiting(order), self.hooks.trust()
        if source is None or source.key is None or trust is None:
            return False
        pair = keyfiles.load(source)
        if isinstance(order, MemberId):
            done = self.hooks.signer(order, source) if self.hooks.signer is not None else None
        else:
            if not is_registered(trust.shared, self.config, pair.certificate):
                raise self._failed(
                    keys.AUTH,
                    "it was issued and waits: the global configuration does not list it for this server yet; register it "
                    f"(management request authCertReg; certificate file {source.certificate})",
                )
            done = self.hooks.auth(pair) if self.hooks.auth is not None else None
        if asyncio.iscoroutine(done):
            await done
        await asyncio.to_thread(keyfiles.point, self.folder(order), source.key.stem)
        await asyncio.to_thread((self.folder(order) / _WAITING).unlink, True)
        _LOG.info("%s: the new certificate is in use", self.name(order))
        return True


def is_registered(shared: SharedParameters, config: NodeConfig, certificate: x509.Certificate) -> bool:
    """Whether the global configuration lists an authentication certificate for this server."""
    hashes = set(certs.auth_hashes(certificate))
    return any(one.id == config.server and hashes & one.auth_cert_hashes for one in shared.servers)


def subject_of(config: NodeConfig, settings: AcmeSettings, order: str | MemberId) -> x509.Name:
    """The subject the authority's certificate profile wants."""
    member = config.server.owner if isinstance(order, str) else order
    return subject_for(
        settings.profile, member, config.server.server, settings.organisation, auth=isinstance(order, str)
    )


async def order_now(renewals: Renewals, challenges: Challenges, wanted: Sequence[str | MemberId]) -> list[KeySource]:
    """Order beside a node that is not running, with a challenge listener for as long. What came waits for the node's start.

    Where there is no pair yet at all, the new one is pointed to at once: the node could not start without. Raises
    CertificateOrderFailed.
    """
    out: list[KeySource] = []
    listener = Listener(challenges.handle, ServerLimits(4096, 64, 64))
    try:
        await listener.open(renewals.settings.challenge)
    except OSError as problem:
        place, reason = renewals.settings.challenge, problem.strerror or "refused"
        raise renewals._failed("(any)", f"tokens cannot be served on {place} (keys.acme.challenge): {reason}") from None
    try:
        for order in wanted:
            source = await renewals.order(order)
            if renewals.in_use(order) is None and source.key is not None:
                keyfiles.point(renewals.folder(order), source.key.stem)
                (renewals.folder(order) / _WAITING).unlink(missing_ok=True)
            out.append(source)
    finally:
        listener.close()
    return out
