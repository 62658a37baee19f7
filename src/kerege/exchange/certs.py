"""Certificates: which authority stands behind one, what it may be used for, and which member it speaks for.

Implements the certificate rules of X-Road's verifiers: chain to an approved authority of the global configuration, validity at
the moment that counts, key usage (content commitment for signing), and the subject read the way the authority's certificate
profile says (certificateProfileInfo). Revocation is `ocsp`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kerege.exchange.errors import CertificateInvalid, ConfigurationMalformed
from kerege.exchange.globalconf import ApprovedAuthority
from kerege.exchange.ids import MemberId
from kerege.exchange.profiles import READERS

# what the library raises, late, from a certificate or an OCSP answer that loads but cannot be read in every field
UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
_NAMES: Final = {NameOID.SERIAL_NUMBER: "serialNumber", NameOID.ORGANIZATION_IDENTIFIER: "organizationIdentifier"}
_TLS_PURPOSES: Final = (
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
)
MOST_EXTRA: Final = 4  # intermediates a signature may bring; real chains need one or two


def load(data: bytes, part: str = "certificate") -> x509.Certificate:
    """A certificate from DER or PEM (shared parameters carry both)."""
    try:
        if data.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except (ValueError, x509.InvalidVersion):
        raise ConfigurationMalformed(part=part, reason="a certificate cannot be read") from None


def readable(certificate: x509.Certificate) -> bool:
    """Whether every field that is looked at can be read; the library reads them late and one by one."""
    try:
        certificate.subject.rfc4514_string()
        certificate.issuer.rfc4514_string()
        _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.extensions)
        certificate.public_key()
    except UNREADABLE:
        return False
    return True


_DER: Final[dict[int, tuple[x509.Certificate, bytes]]] = {}
_MOST_DER: Final = 1024


def der(certificate: x509.Certificate) -> bytes:
    """Its bytes; remembered, because the same few certificates are asked for with every message."""
    known = _DER.get(id(certificate))
    if known is not None and known[0] is certificate:
        return known[1]
    if len(_DER) >= _MOST_DER:
        _DER.clear()
    data = certificate.public_bytes(Encoding.DER)
    _DER[id(certificate)] = (certificate, data)
    return data


def der_sha256(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER certificate, hex: a name for files about it."""
    return hashlib.sha256(der(certificate)).hexdigest()


def auth_hashes(certificate: x509.Certificate | bytes) -> tuple[str, str]:
    """The two forms in which `authCertHash` names a certificate: SHA-256 (v3 and later) and SHA-1 (v2), base64."""
    data = certificate if isinstance(certificate, bytes) else der(certificate)
    old = hashlib.sha1(data, usedforsecurity=False).digest()
    return base64.b64encode(hashlib.sha256(data).digest()).decode(), base64.b64encode(old).decode()


def subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string(_NAMES)


def signer_of(certificate: x509.Certificate, authority: ApprovedAuthority, instance: str) -> MemberId:
    """The member a signing certificate belongs to, by its authority's certificate profile. Raises CertificateInvalid."""
    read = READERS.get(authority.profile)
    if read is None:
        raise CertificateInvalid(
            role="signing",
            subject=subject(certificate),
            reason=f"the certificate profile {authority.profile} is not known",
        )
    member = read(certificate.subject, instance)
    if member is not None:
        return member
    raise CertificateInvalid(
        role="signing", subject=subject(certificate), reason="its subject does not name a member of this instance"
    )


def check_use(certificate: x509.Certificate, role: str) -> None:
    """A signing certificate must say content commitment; an authentication one must not be for signing only."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (*UNREADABLE, x509.ExtensionNotFound):
        raise CertificateInvalid(role=role, subject=subject(certificate), reason="it has no key usage") from None
    if role == "signing" and not usage.content_commitment:
        raise CertificateInvalid(role=role, subject=subject(certificate), reason="its key usage is not for signing")
    if role == "authentication" and not (usage.digital_signature or usage.key_encipherment or usage.data_encipherment):
        raise CertificateInvalid(
            role=role, subject=subject(certificate), reason="its key usage is not for authentication"
        )
    if role == "authentication" and not _for_tls(certificate):
        raise CertificateInvalid(
            role=role, subject=subject(certificate), reason="its extended key usage is not for authentication"
        )


def _for_tls(certificate: x509.Certificate) -> bool:
    """Where purposes are listed, TLS is among them; X-Road asks for the client's, also of a server."""
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except UNREADABLE:
        return False
    return any(one in purposes for one in _TLS_PURPOSES)


def check_validity(certificate: x509.Certificate, role: str, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise CertificateInvalid(
            role=role,
            subject=subject(certificate),
            reason=f"it is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M:%SZ} "
            f"to {certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%SZ}, the moment that counts is {now:%Y-%m-%d %H:%M:%SZ}",
        )


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` signed `certificate` (names first, they cost nothing, then the signature)."""
    try:
        if certificate.issuer != issuer.subject:
            return False
        certificate.verify_directly_issued_by(issuer)
    except (*UNREADABLE, InvalidSignature):
        return False
    return True


def chain_to_authority(
    certificate: x509.Certificate,
    extra: Sequence[x509.Certificate],
    authorities: Sequence[ApprovedAuthority],
    role: str,
    now: datetime,
) -> tuple[ApprovedAuthority, x509.Certificate]:
    """The approved authority behind `certificate` and its direct issuer. Raises CertificateInvalid with the reason.

    extra   intermediates that came with the signature, at most MOST_EXTRA; each must be valid, a CA, and chain on

    The extra ones are a stranger's choice until the chain is found, so each is looked at once per authority.
    """
    if not readable(certificate):
        raise CertificateInvalid(role=role, subject="(unreadable)", reason="it cannot be read in full")
    check_validity(certificate, role, now)
    if len(extra) > MOST_EXTRA:
        raise CertificateInvalid(
            role=role,
            subject=subject(certificate),
            reason=f"{len(extra)} more certificates came with it, at most {MOST_EXTRA} are looked at",
        )
    middles = [middle for middle in dict.fromkeys(extra) if readable(middle) and _is_ca(middle)]
    for authority in authorities:
        if authority.authentication_only and role == "signing":
            continue
        known = [authority.top.certificate, *(c.certificate for c in authority.intermediates)]
        seen: set[x509.Certificate] = set()
        for issuer in [*known, *middles]:
            if issued_by(certificate, issuer) and _leads_up(issuer, [*known, *middles], now, seen):
                return authority, issuer
    raise CertificateInvalid(
        role=role, subject=subject(certificate), reason="no approved certification authority stands behind it"
    )


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (*UNREADABLE, x509.ExtensionNotFound):
        return False


def _leads_up(
    start: x509.Certificate, pool: Sequence[x509.Certificate], now: datetime, seen: set[x509.Certificate]
) -> bool:
    """Whether `start` is the approved top (first of `pool`) or is signed, step by step, up to it.

    seen   certificates already found not to lead up; a certificate is walked from once, so n of them cost n² checks
    """
    waiting = [start]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        if not current.not_valid_before_utc <= now <= current.not_valid_after_utc:
            continue
        if current == pool[0]:
            return True
        waiting += [one for one in pool if one not in seen and _is_ca(one) and issued_by(current, one)]
    return False
