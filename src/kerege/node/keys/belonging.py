"""Whether the node's own certificates are those that others expect: a signing certificate its member's, the other one registered.

Others refuse every message of a node whose certificates are not; `kerege node check`, GET /health and the node's log say so here already.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

from kerege.exchange import certs
from kerege.exchange.errors import ExchangeError
from kerege.exchange.ids import MemberId
from kerege.ground.clock import iso
from kerege.node.conf.picture import Picture
from kerege.node.config_types import NodeConfig
from kerege.node.keys.acme_orders import is_registered
from kerege.node.keys.pairs import NodeKeys


def not_of(certificate: x509.Certificate, member: MemberId, picture: Picture, now: datetime) -> str | None:
    """Why nobody takes a signing certificate for `member`'s; None when all do. Raises ExchangeError where nobody can tell whose it is."""
    authority, _ = picture.trust.issuer_of(certificate, "signing", now)
    found = certs.signer_of(certificate, authority, picture.shared.instance)
    same = (found.instance, found.member_code) == (member.instance, member.member_code)
    if same and found.member_class in ("", member.member_class):
        return None
    return f"expected a certificate of {member}, and this one names {found}"


def unlisted(config: NodeConfig, certificate: x509.Certificate, picture: Picture) -> str | None:
    """Why nobody lets the node connect with this authentication certificate; None when it is registered."""
    if is_registered(picture.shared, config, certificate):
        return None
    return f"the global configuration does not list the authentication certificate for {config.server}"


def refused_everywhere(config: NodeConfig, keys: NodeKeys, picture: Picture | None, now: datetime) -> str:
    """Why no server takes the authentication certificate that this node shows; empty where nothing is known against it."""
    certificate = keys.auth.certificate
    if now > certificate.not_valid_after_utc:
        return f"this node's authentication certificate is over (since {iso(certificate.not_valid_after_utc)})"
    if now < certificate.not_valid_before_utc:
        return f"this node's authentication certificate is valid only from {iso(certificate.not_valid_before_utc)} on"
    if said := keys.revoked_since(certificate):
        return f"this node's authentication certificate is revoked ({said})"
    return "" if picture is None else unlisted(config, certificate, picture) or ""


def strangers(config: NodeConfig, keys: NodeKeys, picture: Picture, now: datetime) -> list[str]:
    """What others hold against the certificates in use, but that one is over or revoked; nothing: each is who it should be."""
    told = []
    if config.peer_tls and (reason := unlisted(config, keys.auth.certificate, picture)) is not None:
        told.append(reason)
    for member, signer in sorted(keys.signers.items()):
        certificate = signer.certificate
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            continue
        try:
            wrong = not_of(certificate, member, picture, now)
        except ExchangeError as problem:
            wrong = problem.text.rstrip(".")
        if wrong is not None:
            told.append(f"signing certificate of {member}: {wrong}")
    return told
