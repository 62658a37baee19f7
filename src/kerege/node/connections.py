"""Connections with information systems: what each client must come over, and whom the node believes behind a data service.

Implements X-Road's three connection types of a client subsystem (UG-SS section 9): HTTP, HTTPS, and HTTPS with a certificate that is
one of the client's, compared byte for byte. No authority stands behind such certificates: the listed ones themselves are the trust
anchors of the HTTPS listener, so a handshake proves the key to one of them, and whose it is gets decided per request. A certificate
that is not listed ends the handshake; whoever needs none shows none. Towards a data service with listed certificates the same holds:
the other side's certificate must be one of them, and its name does not matter. The node shows its internal certificate both ways.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kerege.exchange.certs import der
from kerege.exchange.errors import ClientConnectionRefused
from kerege.exchange.ids import DataServiceId, MemberId, SubsystemId
from kerege.exchange.pki import KeyPair, new_key
from kerege.node import tls
from kerege.node.config_types import ClientSettings, KeySource, NodeConfig, Service
from kerege.node.errors import NodeKeyInvalid
from kerege.node.http.messages import HttpRequest
from kerege.node.keys import files as keyfiles

HTTP: Final = "http"
HTTPS: Final = "https"
CERTIFICATE: Final = "https-certificate"
INTERNAL: Final = "internal"
_VALID: Final = timedelta(days=5 * 365)


@dataclass(frozen=True, slots=True)
class Rule:
    """What one client must come over: the connection type, and its certificates in DER."""

    connection: str = HTTP
    certificates: frozenset[bytes] = frozenset()


def check_connection(rule: Rule, http: HttpRequest, client: SubsystemId | MemberId) -> None:
    """Raises ClientConnectionRefused when `client` may not come over the connection `http` came over."""
    if rule.connection == HTTP:
        return
    if not http.secure:
        raise ClientConnectionRefused(client=client, reason="it is plain HTTP, and this client is set to HTTPS")
    if rule.connection == HTTPS:
        return
    if http.peer_certificate is None:
        raise ClientConnectionRefused(
            client=client, reason="no client certificate was shown, and this client needs one"
        )
    if http.peer_certificate not in rule.certificates:
        raise ClientConnectionRefused(client=client, reason="the certificate shown is not one of this client's")


@dataclass(frozen=True)
class Connections:
    """The rules and TLS contexts of one configuration, files read once."""

    rules: Mapping[SubsystemId | MemberId, Rule]
    internal: KeyPair
    services: Mapping[DataServiceId, tuple[x509.Certificate, ...]]

    @classmethod
    def load(cls, config: NodeConfig, now: datetime) -> Connections:
        """Raises NodeKeyInvalid naming the file, also where a client is set to certificates and has none."""
        rules: dict[SubsystemId | MemberId, Rule] = {}
        listed: list[tuple[SubsystemId | MemberId, ClientSettings]] = [*config.clients.items(), *config.members.items()]
        for client, settings in listed:
            pins = [one for file in settings.certificates for one in keyfiles.read_certificates(file)[:1]]
            if settings.connection == CERTIFICATE and not pins:
                raise NodeKeyInvalid(
                    file=f"clients: {client}", reason="its connection is https-certificate and it lists no certificates"
                )
            rules[client] = Rule(settings.connection, frozenset(map(der, pins)))
        services = {
            service.id: tuple(keyfiles.read_certificates(file)[0] for file in service.certificates)
            for service in config.services.values()
            if service.certificates
        }
        return cls(rules, internal_pair(config, now), services)

    def check(self, client: SubsystemId | MemberId, http: HttpRequest) -> None:
        """Raises ClientConnectionRefused. A client without a rule is not this node's; it is refused by whoever knows that."""
        rule = self.rules.get(client)
        if rule is not None:
            check_connection(rule, http, client)

    def plain(self, client: SubsystemId | MemberId) -> bool:
        """Whether `client` may come over plain HTTP."""
        rule = self.rules.get(client)
        return rule is None or rule.connection == HTTP

    def clients_context(self) -> ssl.SSLContext:
        """For the HTTPS listener: a certificate is asked for where any client has one, and may be left out."""
        context = tls.modern(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        tls.use_key(context, self.internal)
        pins = {one for rule in self.rules.values() for one in rule.certificates}
        if pins:
            context.verify_mode = ssl.CERT_OPTIONAL
            tls.add_authorities(context, map(x509.load_der_x509_certificate, sorted(pins)))
        return context

    def service_context(self, service: Service) -> ssl.SSLContext:
        """For calls of one data service over HTTPS: its listed certificates, or else the system's authorities and the host's name."""
        pins = self.services.get(service.id, ())
        if not pins:
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        else:
            pinned = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
            pinned.check_hostname = False
            pinned.verify_mode = ssl.CERT_REQUIRED
            pinned.pins = frozenset(map(der, pins))
            context = tls.modern(pinned)
            tls.add_authorities(context, pins)
        tls.use_key(context, self.internal)
        return context


class _Pinned(ssl.SSLObject):
    """A client's end that is ready only when the certificate shown is itself one of its context's."""

    def do_handshake(self) -> None:
        super().do_handshake()
        context = self.context
        if isinstance(context, PinnedContext) and self.getpeercert(True) not in context.pins:
            # an authority among the listed certificates must not vouch for others
            problem = ssl.SSLCertVerificationError(1, "the certificate shown is not one of the listed ones")
            problem.reason = "CERTIFICATE_NOT_LISTED"  # where the library puts its own
            raise problem


class PinnedContext(ssl.SSLContext):
    """A client context that accepts exactly the certificates in `pins`."""

    pins: frozenset[bytes] = frozenset()

    def __new__(cls, *args: Any, **kwargs: Any) -> PinnedContext:
        context = super().__new__(cls, *args, **kwargs)
        context.sslobject_class = _Pinned
        return context


# --- the node's own certificate towards information systems ---


def internal_pair(config: NodeConfig, now: datetime) -> KeyPair:
    """The configured internal certificate; or one signed by itself, made once and kept in the state folder."""
    kept = internal_kept(config, now)
    if kept is not None:
        return kept
    folder = config.state / "keys" / INTERNAL
    made = self_signed(config.server.server, _hosts(config), now)
    name = f"internal-{now:%Y%m%d%H%M%S}"
    keyfiles.write(made, folder, name, None)
    keyfiles.point(folder, name)
    return made


def internal_kept(config: NodeConfig, now: datetime) -> KeyPair | None:
    """The configured internal certificate, or the one the node made; None when it made none, or that has ended."""
    if config.internal is not None:
        return keyfiles.load(config.internal)
    source = keyfiles.pointed(config.state / "keys" / INTERNAL, KeySource())
    kept = None if source is None else keyfiles.load(source)
    return None if kept is None or kept.certificate.not_valid_after_utc <= now else kept


def self_signed(name: str, hosts: list[str], now: datetime) -> KeyPair:
    """A fresh key with a certificate signed by itself, for servers and clients of TLS."""
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    usage = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(host) for host in hosts]), critical=False)
    )
    return KeyPair(key, builder.sign(key, hashes.SHA256()))


def _hosts(config: NodeConfig) -> list[str]:
    address = config.clients_tls_address or config.clients_address
    found = [address.host, "localhost", socket.gethostname()]
    return [host for host in dict.fromkeys(found) if host and host.isascii() and host not in {"0.0.0.0", "::"}]  # noqa: S104


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)
