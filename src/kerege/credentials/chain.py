"""Certificates of issuers: reading them, checking a chain up to an anchor, naming a key.

RFC 5280 as far as issuing certificates need it: signatures, validity, basic constraints with path length, key usage. A chain that
has critical extensions beyond those is refused. X.509's own revocation is not used: a key is withdrawn by taking it off the trust list.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from kerege.credentials.errors import CredentialRefused

_CHAIN_MAX: Final = 4
_UNDERSTOOD: Final = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.EXTENDED_KEY_USAGE,
}
_REFUSED: Final = "credentials.certificate_refused"
# what the library raises, early or late, from a certificate that loads but cannot be read in every field
UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def x5c(chain: Sequence[x509.Certificate]) -> list[str]:
    """The chain as in a JWS header: standard base64, leaf first."""
    return [base64.b64encode(der(certificate)).decode() for certificate in chain]


def read_x5c(value: object) -> tuple[x509.Certificate, ...]:
    """The chain of a JWS header, as it came; refused when it is not one."""
    if not isinstance(value, list) or not 1 <= len(value) <= _CHAIN_MAX:
        raise CredentialRefused(_REFUSED)
    try:
        return tuple(x509.load_der_x509_certificate(base64.b64decode(item, validate=True)) for item in value)
    except UNREADABLE:
        raise CredentialRefused(_REFUSED) from None


def key_id(leaf: x509.Certificate) -> bytes:
    """Eight bytes that name a leaf certificate on paper: the beginning of its SHA-256."""
    return hashlib.sha256(der(leaf)).digest()[:8]


def key_id_text(leaf: x509.Certificate) -> str:
    """`key_id` as base64url, for JSON."""
    return base64.urlsafe_b64encode(key_id(leaf)).rstrip(b"=").decode()


def public_key(leaf: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """The leaf's key, which must be on P-256: the only curve of ES256."""
    try:
        key = leaf.public_key()
    except UNREADABLE:  # a key of an algorithm nobody knows loads with its certificate and is refused only here
        raise CredentialRefused(_REFUSED) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CredentialRefused(_REFUSED)
    return key


def speaks_for(leaf: x509.Certificate, issuer_id: str) -> bool:
    """Whether `leaf` names `issuer_id` as a URI (SD-JWT VC: the `iss` of an x5c-signed credential stands in the certificate)."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return False
    return issuer_id in names.get_values_for_type(x509.UniformResourceIdentifier)


def check_chain(chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], now: datetime) -> None:
    """Refuse unless `chain` (leaf first, anchor left out) leads to one of `anchors` and all of it is valid at `now`."""
    try:
        ok = _leads_to_anchor(chain, anchors, now)
    except (InvalidSignature, x509.ExtensionNotFound, *UNREADABLE):
        ok = False
    if not ok:
        raise CredentialRefused(_REFUSED)


def _leads_to_anchor(chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], now: datetime) -> bool:
    leaf, *above = chain
    if len(chain) > _CHAIN_MAX or leaf.subject == leaf.issuer or not _is_leaf(leaf):
        return False
    for depth, authority in enumerate(above):
        if not _is_authority(authority, depth):
            return False
        chain[depth].verify_directly_issued_by(authority)
    if not all(_in_force(certificate, now) for certificate in chain):
        return False
    return any(_anchored(chain[-1], anchor, len(above), now) for anchor in anchors)


def _anchored(last: x509.Certificate, anchor: x509.Certificate, depth: int, now: datetime) -> bool:
    try:
        last.verify_directly_issued_by(anchor)
    except (InvalidSignature, *UNREADABLE):
        return False
    return _in_force(anchor, now) and _is_authority(anchor, depth)


def _in_force(certificate: x509.Certificate, now: datetime) -> bool:
    unknown = {e.oid for e in certificate.extensions if e.critical} - _UNDERSTOOD
    return not unknown and certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _is_leaf(certificate: x509.Certificate) -> bool:
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    return not basic.ca and usage.digital_signature


def _is_authority(certificate: x509.Certificate, below: int) -> bool:
    """Whether `certificate` may sign certificates with `below` further authorities under it."""
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    deep_enough = basic.path_length is None or below <= basic.path_length
    return basic.ca and usage.key_cert_sign and deep_enough
