"""Revocation: OCSP requests, and whether an OCSP answer says that a certificate is good, now and from someone entitled.

Implements what X-Road's verifiers check: certID match, status good, signature by a listed responder, by the authority itself or
by a delegate with the OCSP signing purpose; freshness measured from thisUpdate against ocspFreshnessSeconds (the code's
behaviour, not producedAt). Answers signed over SHA-1 are refused. An answer is a stranger's bytes until its signature has held:
whatever cannot be read in it, however deep, is an answer that is not accepted. Also how a server is asked for answers by the
hashes of certificates, and answers in several parts (X-Road's port 5577). Fetching is the node's affair.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from kerege.exchange.certs import UNREADABLE, der, issued_by, subject
from kerege.exchange.errors import REVOKED, RevocationUnknown

MOST_RESPONDERS: Final = 4  # certificates in one answer that are looked at
MOST_ASKED: Final = 16  # certificates in one question by hash
ANSWER_TYPE: Final = "application/ocsp-response"
_SKEW: Final = timedelta(seconds=60)
_NOT_KNOWN: Final = "the responder does not know the certificate"
_BOUNDARY: Final = re.compile(r'boundary\s*=\s*(?:"([^"\r\n]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)


def request_for(certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """The DER OCSP request for one certificate (SHA-1 certID as every responder knows it, no nonce)."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303
    return builder.build().public_bytes(serialization.Encoding.DER)


def file_name(request: bytes) -> str:
    """The name under which a static publisher keeps the answer to `request`: URL-safe, so that it is one path segment."""
    return base64.urlsafe_b64encode(request).decode().rstrip("=")


def check(
    response_der: bytes,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    listed: Sequence[x509.Certificate],
    now: datetime,
    freshness: timedelta,
) -> datetime:
    """Check that the answer says `certificate` is good, and return the moment until which it may be used.

    listed      responder certificates named for this authority in the global configuration
    freshness   how old thisUpdate may be

    Raises RevocationUnknown with the check that failed.
    """

    def refuse(reason: str) -> RevocationUnknown:
        return RevocationUnknown(subject=subject(certificate), reason=reason)

    try:
        return _check(response_der, certificate, issuer, listed, now, freshness, refuse)
    except UNREADABLE:
        raise refuse("it cannot be read") from None


def _check(
    response_der: bytes,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    listed: Sequence[x509.Certificate],
    now: datetime,
    freshness: timedelta,
    refuse: Callable[[str], RevocationUnknown],
) -> datetime:
    answer = ocsp.load_der_ocsp_response(response_der)
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise refuse(f"the responder answered {answer.response_status.name}")
    single = next((r for r in answer.responses if _is_about(r, certificate, issuer)), None)
    if single is None:
        raise refuse("it is about another certificate")
    if not isinstance(answer.signature_hash_algorithm, hashes.SHA256 | hashes.SHA384 | hashes.SHA512):
        raise refuse("it is signed over a digest that is not SHA-256, SHA-384 or SHA-512")
    if not _signed_by_entitled(answer, issuer, listed, now):
        raise refuse("it is not signed by a responder entitled to answer for the authority")
    if single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        when = single.revocation_time_utc
        raise refuse(REVOKED + (f" since {when:%Y-%m-%d %H:%M:%SZ}" if when else ""))
    if single.certificate_status is not ocsp.OCSPCertStatus.GOOD:
        raise refuse(_NOT_KNOWN)
    this_update = single.this_update_utc
    # X-Road's code looks at thisUpdate only for age, and a live responder was seen to set it a day ahead
    if answer.produced_at_utc - _SKEW > now:
        raise refuse(f"it was produced in the future ({answer.produced_at_utc:%Y-%m-%d %H:%M:%SZ})")
    until = this_update + freshness
    if until < now:
        raise refuse(
            f"it is too old: from {this_update:%Y-%m-%d %H:%M:%SZ}, {int(freshness.total_seconds())} s are allowed"
        )
    return until


def is_final(refusal: RevocationUnknown) -> bool:
    """Whether what was refused is an entitled responder's word against the certificate, and not a doubt about the answer."""
    return str(refusal.params.get("reason", "")).startswith((REVOKED, _NOT_KNOWN))


def is_revoked(refusal: RevocationUnknown) -> bool:
    """Whether an entitled responder says that the certificate is revoked; no other answer will follow."""
    return str(refusal.params.get("reason", "")).startswith(REVOKED)


def successful(response_der: bytes) -> bool:
    """Whether an answer says anything at all; a responder that does not understand a question says so in an answer."""
    try:
        return ocsp.load_der_ocsp_response(response_der).response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    except UNREADABLE:
        return False


def next_update(response_der: bytes) -> datetime | None:
    """When the responder means to say something newer; None when it does not say, or cannot be read."""
    try:
        return next(iter(ocsp.load_der_ocsp_response(response_der).responses)).next_update_utc
    except (*UNREADABLE, StopIteration):
        return None


def this_update(response_der: bytes) -> datetime:
    """When the (first) status in an answer was true; used to see what needs fetching, not to trust it.

    Raises RevocationUnknown when the answer cannot be read or holds no status.
    """
    try:
        return next(iter(ocsp.load_der_ocsp_response(response_der).responses)).this_update_utc
    except (*UNREADABLE, StopIteration):
        raise RevocationUnknown(subject="(unread)", reason="it cannot be read") from None


# --- by certificate hash, as servers ask each other (PR-MESSTRANSP; the code's parameters) ---


def query_by_hash(certificates: Sequence[x509.Certificate]) -> str:
    """The request target that asks a server for its answers: `cert` is SHA-1 (what X-Road reads), `cert_hash` SHA-256."""
    pairs = []
    for data in map(der, certificates):
        pairs.append(f"cert={hashlib.sha1(data, usedforsecurity=False).hexdigest()}")
        pairs.append(f"cert_hash={hashlib.sha256(data).hexdigest()}")
    return "/?" + "&".join(pairs)


def asked_hashes(query: str) -> list[str]:
    """The certificates a query names, hex, in order: by `cert` as X-Road does, by `cert_hash` when there is no `cert`.

    Raises ValueError when it names none, too many, or something that is no hash.
    """
    pairs = parse_qsl(query, max_num_fields=4 * MOST_ASKED)
    asked = [value for name, value in pairs if name == "cert"] or [
        value for name, value in pairs if name == "cert_hash"
    ]
    if not 1 <= len(asked) <= MOST_ASKED:
        raise ValueError(f"between 1 and {MOST_ASKED} certificates are asked for by cert=HASH")
    for value in asked:
        if len(value) not in (40, 64) or not re.fullmatch("[0-9A-Fa-f]+", value):
            raise ValueError("a certificate hash is 40 (SHA-1) or 64 (SHA-256) hexadecimal digits")
    return [value.lower() for value in asked]


def encode_answers(answers: Sequence[bytes]) -> tuple[str, bytes]:
    """Media type and body of an answer with one DER part per certificate, in order."""
    boundary = f"ocsp{hashlib.sha256(b''.join(answers)).hexdigest()[:40]}"
    out = []
    for answer in answers:
        out.append(f"--{boundary}\r\ncontent-type: {ANSWER_TYPE}\r\n\r\n".encode() + answer + b"\r\n")
    out.append(f"--{boundary}--\r\n".encode())
    return f"multipart/related; charset=UTF-8; boundary={boundary}", b"".join(out)


def parse_answers(content_type: str, body: bytes, expected: int) -> list[bytes]:
    """The parts of such an answer. Raises ValueError unless it is whole and has one part per certificate asked for."""
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/") or found is None:
        raise ValueError("it is not a multipart answer")
    mark = b"--" + (found[1] or found[2]).encode("latin-1")
    pieces = (b"\r\n" + body).split(b"\r\n" + mark, expected + 2)
    if len(pieces) != expected + 2 or not pieces[-1].startswith(b"--"):
        raise ValueError(f"it has not {expected} parts")
    parts = []
    for piece in pieces[1:-1]:
        head, separator, content = piece.partition(b"\r\n\r\n")
        if not separator or ANSWER_TYPE.encode() not in head.lower():
            raise ValueError("a part of it is no OCSP answer")
        parts.append(content)
    return parts


def _is_about(single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if single.serial_number != certificate.serial_number:
        return False
    algorithm = single.hash_algorithm
    if isinstance(algorithm, hashes.SHA1):
        name = "sha1"
    elif isinstance(algorithm, hashes.SHA256):
        name = "sha256"
    else:
        return False
    key = issuer.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return (
        single.issuer_name_hash == hashlib.new(name, issuer.subject.public_bytes(), usedforsecurity=False).digest()
        and single.issuer_key_hash == hashlib.new(name, _key_bits(key), usedforsecurity=False).digest()
    )


def _key_bits(spki: bytes) -> bytes:
    """The BIT STRING content of a SubjectPublicKeyInfo: what issuerKeyHash is over."""

    def head(data: bytes, at: int) -> tuple[int, int]:
        first = data[at + 1]
        if first < 0x80:
            return at + 2, first
        count = first & 0x7F
        return at + 2 + count, int.from_bytes(data[at + 2 : at + 2 + count], "big")

    start, _ = head(spki, 0)
    algorithm_start, algorithm_size = head(spki, start)
    bits_start, bits_size = head(spki, algorithm_start + algorithm_size)
    return spki[bits_start + 1 : bits_start + bits_size]


def _signed_by_entitled(
    answer: ocsp.OCSPResponse, issuer: x509.Certificate, listed: Sequence[x509.Certificate], now: datetime
) -> bool:
    for responder in (*listed, issuer):
        if _verifies(answer, responder):
            return True
    for responder in answer.certificates[:MOST_RESPONDERS]:
        if (
            _may_sign_ocsp(responder)
            and responder.not_valid_before_utc <= now <= responder.not_valid_after_utc
            and issued_by(responder, issuer)
            and _verifies(answer, responder)
        ):
            return True
    return False


def _may_sign_ocsp(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _verifies(answer: ocsp.OCSPResponse, responder: x509.Certificate) -> bool:
    key, algorithm = responder.public_key(), answer.signature_hash_algorithm
    if algorithm is None:
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True
