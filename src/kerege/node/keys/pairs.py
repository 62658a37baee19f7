"""The node's own keys: one authentication key for TLS, one signing key per member it serves.

Where each is comes from the configuration: PEM or PKCS#12 files (`keys.files`), or a PKCS#11 token for signing (`pkcs11`). The TLS key
must be a file's: the TLS library signs with it in the middle of handshakes and cannot ask a token. A pair that the node renewed
itself (`acme_orders`) takes the place of the configured one.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from kerege.exchange import certs
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import KeyPair
from kerege.exchange.xades import Signer
from kerege.node import tls
from kerege.node.config_types import KeySource, NodeConfig
from kerege.node.errors import CertificateRevoked, KeyNotReady, NodeKeyInvalid
from kerege.node.keys import files as keyfiles
from kerege.node.tls import add_authorities as add_authorities

AUTH: Final = "auth"


@dataclass
class NodeKeys:
    auth: KeyPair
    signers: dict[MemberId, Signer]
    good_until: dict[MemberId, datetime] = field(default_factory=dict)  # of the OCSP answers the signers hold
    server: str = "of this node"
    revoked: dict[bytes, str] = field(default_factory=dict)  # of certificates (DER) that their responder calls revoked

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
            said = self.revoked_since(signer.certificate)
            if said:
                raise CertificateRevoked(server=self.server, member=member, reason=said)
            raise KeyNotReady(member=member, reason="no OCSP answer for its signing certificate is at hand")
        return signer

    def revoked_since(self, certificate: x509.Certificate) -> str:
        """What its responder said against a certificate of this node ("the certificate is revoked since ..."), or nothing."""
        return self.revoked.get(certs.der(certificate), "")


def load_keys(config: NodeConfig) -> NodeKeys:
    """All keys the configuration names. Raises NodeKeyInvalid naming the file, TokenFailed naming token and key."""
    auth = load_auth(config)
    return NodeKeys(auth, {member: load_signer(config, member) for member in config.sign}, server=str(config.server))


def newer(config: NodeConfig, held: NodeKeys) -> tuple[KeyPair | None, dict[MemberId, Signer]]:
    """What the files hold now that is not in use: the authentication pair if it changed, and signers that changed or are new.

    Told by the certificates, so that a file replaced under its old name counts. Raises as `load_keys` does.
    """
    found = load_keys(config)
    auth = found.auth if found.auth.certificate != held.auth.certificate else None
    signers = {
        member: signer
        for member, signer in found.signers.items()
        if member not in held.signers or held.signers[member].certificate != signer.certificate
    }
    return auth, signers


def load_auth(config: NodeConfig) -> KeyPair:
    """The authentication pair: the renewed one where there is one."""
    source = config.auth
    if source.token is not None:
        raise NodeKeyInvalid(
            file=f"keys.auth (token {source.token.token})",
            reason="the key for TLS must be a PEM or PKCS#12 file; only signing keys (keys.sign) may be on a token",
        )
    return keyfiles.load(keyfiles.pointed(own_folder(config, AUTH), source) or source)


def load_signer(config: NodeConfig, member: MemberId) -> Signer:
    """The signer of one member."""
    source = config.sign[member]
    renewed = keyfiles.pointed(own_folder(config, sign_name(member)), source)
    return make_signer(config, renewed or source)


def make_signer(config: NodeConfig, source: KeySource) -> Signer:
    if source.token is not None:
        if source.certificate is None:
            raise NodeKeyInvalid(file="keys.sign", reason="a key on a token needs its certificate in a file")
        certificate, *chain = keyfiles.read_certificates(source.certificate)
        pin = keyfiles.passphrase(source)
        if pin is None:
            raise NodeKeyInvalid(
                file=source.certificate,
                reason="its key is on a token; name the PIN with passphrase_file or passphrase_env",
            )
        from kerege.node.keys.pkcs11 import TokenSigningKey  # loads a native library: only where a token is used

        token_key: Any = TokenSigningKey(source.token, pin.decode("utf-8", "replace"), certificate)
        return Signer(
            token_key, certificate, intermediates=[one for one in chain if one.subject != one.issuer], **_style(config)
        )
    pair = keyfiles.load(source)
    return Signer(pair.key, pair.certificate, intermediates=_between(pair), **_style(config))


def _between(pair: KeyPair) -> tuple[x509.Certificate, ...]:
    """The chain without its top: who verifies knows the authority already."""
    return tuple(one for one in pair.chain if one.subject != one.issuer)


def _style(config: NodeConfig) -> Mapping[str, Any]:
    return {"pss": config.signatures.pss, "style": config.signatures.style}


def own_folder(config: NodeConfig, name: str) -> Path:
    """Where the node keeps keys it made itself, by what they are for."""
    return config.state / "keys" / name


def sign_name(member: MemberId) -> str:
    return f"sign-{member}".replace("/", "+")


def tls_context(config: NodeConfig, *, server: bool) -> ssl.SSLContext:
    """Mutual TLS between servers with the configured authentication key."""
    return tls.server_context(load_auth(config)) if server else tls.client_context(load_auth(config))
