"""The node's own keys: one authentication key for TLS, one signing key per member it serves."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kerege.exchange.errors import ExchangeError
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import KeyPair, load_files
from kerege.exchange.xades import Signer
from kerege.node.config import KeyFiles, NodeConfig
from kerege.node.errors import KeyNotReady, NodeKeyInvalid


@dataclass
class NodeKeys:
    auth: KeyPair
    signers: dict[MemberId, Signer]
    good_until: dict[MemberId, datetime] = field(default_factory=dict)  # of the OCSP answers the signers hold

    def ready(self, member: MemberId, now: datetime) -> bool:
        """Whether the member's signer holds an OCSP answer that is still good at `now`."""
        until = self.good_until.get(member)
        return until is not None and now < until and self.signers[member].ready

    def signer(self, member: MemberId, now: datetime) -> Signer:
        """The signer for `member`, ready to sign at `now`. Raises KeyNotReady."""
        signer = self.signers.get(member)
        if signer is None:
            raise KeyNotReady(member=member, reason="this node holds no signing key of the member")
        if not self.ready(member, now):
            raise KeyNotReady(member=member, reason="no OCSP answer for its signing certificate is at hand")
        return signer


def load_keys(config: NodeConfig) -> NodeKeys:
    """All keys the configuration names. Raises NodeKeyInvalid naming the file."""
    signers = {}
    for member, files in config.sign.items():
        pair = _load(files)
        signers[member] = Signer(pair.key, pair.certificate)
    return NodeKeys(_load(config.auth), signers)


def _load(files: KeyFiles) -> KeyPair:
    try:
        if stat.S_IMODE(files.key.stat().st_mode) & 0o077:
            raise NodeKeyInvalid(file=files.key, reason="it may be read by others; it should have mode 0600")
        return load_files(files.key, files.certificate)
    except OSError as problem:
        name = problem.filename or files.key
        raise NodeKeyInvalid(file=name, reason=problem.strerror or "it cannot be read") from None
    except ExchangeError as problem:
        raise NodeKeyInvalid(file=files.key, reason=problem.text) from None
    except (ValueError, TypeError):
        raise NodeKeyInvalid(file=files.key, reason="it is not an unencrypted PEM key with a PEM certificate") from None


def tls_context(config: NodeConfig, *, server: bool) -> ssl.SSLContext:
    """Mutual TLS, 1.2 and 1.3, between servers. Whose certificate it is gets decided per connection, by the configuration."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_cert_chain(config.auth.certificate, config.auth.key)
    return context


def add_authorities(context: ssl.SSLContext, authorities: Iterable[x509.Certificate]) -> None:
    """Let `context` finish handshakes with certificates of these authorities; known ones are passed over."""
    known = set(context.get_ca_certs(binary_form=True))
    for certificate in authorities:
        der = certificate.public_bytes(Encoding.DER)
        if der not in known:
            context.load_verify_locations(cadata=der)
