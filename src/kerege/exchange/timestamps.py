"""RFC 3161 time-stamps: the request, the answer, and the check of a token against the approved authorities.

A token counts only when an authority approved in the global configuration made it (approvedTSA, by its certificate), over exactly
the bytes given; an answer only when it says granted and repeats the nonce. Everything in it is an attacker's choice until the
signature holds, so each field is read for itself and what cannot be read is refused. Sending is the node's affair; what is
stamped for many records at once is `tschain`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final, TypeVar

from asn1crypto import algos, cms, core, tsp  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from kerege.exchange import certs
from kerege.exchange.errors import TimestampInvalid
from kerege.exchange.globalconf import TimestampAuthority
from kerege.exchange.safexml import parse_xml

REQUEST_TYPE: Final = "application/timestamp-query"
ANSWER_TYPE: Final = "application/timestamp-reply"
LARGEST_ANSWER: Final = 256 * 1024
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_T = TypeVar("_T")
_DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"
_XADES: Final = "{http://uri.etsi.org/01903/v1.3.2#}"


class _Answer(core.Sequence):  # type: ignore[misc]
    """TimeStampResp; the library's own form does not know that a refusal has no token."""

    _fields: ClassVar = [("status", tsp.PKIStatusInfo), ("time_stamp_token", cms.ContentInfo, {"optional": True})]


@dataclass(frozen=True, slots=True)
class Stamp:
    """A token that holds: when, and which approved authority says so."""

    time: datetime
    authority: str


def request(data: bytes, nonce: int) -> bytes:
    """A DER request to stamp `data` (SHA-512), with the authority's certificate asked for in the token."""
    imprint = {"hash_algorithm": {"algorithm": "sha512"}, "hashed_message": hashlib.sha512(data).digest()}
    made = tsp.TimeStampReq({"version": "v1", "message_imprint": imprint, "nonce": nonce, "cert_req": True})
    return bytes(made.dump())


def check_answer(
    answer: bytes, data: bytes, nonce: int, authorities: Sequence[TimestampAuthority]
) -> tuple[bytes, Stamp]:
    """The token of an authority's answer, and what it says. Raises TimestampInvalid with the check that failed."""
    if len(answer) > LARGEST_ANSWER:
        raise TimestampInvalid(check="answer", reason=f"it is larger than {LARGEST_ANSWER} bytes")

    def fields() -> tuple[str, bytes, int | None]:
        response = _Answer.load(answer, strict=True)
        status = str(response["status"]["status"].native)
        if status not in {"granted", "granted_with_mods"}:
            return status, b"", None
        token = response["time_stamp_token"].dump()
        return status, token, _info(token)["nonce"].native

    status, token, found = _guard("answer", fields)
    if not token:
        raise TimestampInvalid(check="status", reason=f"the authority answered {status[:40]!r}")
    if found != nonce:
        raise TimestampInvalid(check="nonce", reason="the answer is to another request")
    return token, check_token(token, data, authorities)


def check_token(token: bytes, data: bytes, authorities: Sequence[TimestampAuthority]) -> Stamp:
    """Check that an approved authority stamped exactly `data`. Raises TimestampInvalid."""
    signed, content = _guard("token", lambda: _open(token))
    info = _guard("token", lambda: tsp.TSTInfo.load(content, strict=True))

    def imprint() -> tuple[str, bytes, datetime]:
        algorithm = info["message_imprint"]["hash_algorithm"]["algorithm"].native
        return str(algorithm), info["message_imprint"]["hashed_message"].native, info["gen_time"].native

    algorithm, stamped, when = _guard("token", imprint)
    if algorithm not in _HASHES:
        raise TimestampInvalid(check="imprint", reason="its digest algorithm is not one that is accepted")
    if hashlib.new(algorithm, data).digest() != stamped:
        raise TimestampInvalid(check="imprint", reason="it stamps something else")
    if when.tzinfo is None:  # RFC 3161 2.4.2: in UTC, with its Z
        raise TimestampInvalid(check="token", reason="its time names no zone")
    signer = _guard("token", lambda: _only_signer(signed))
    authority = _guard("token", lambda: _authority_of(signer, authorities))
    if authority is None:
        raise TimestampInvalid(check="authority", reason="no approved authority made it")
    _check_certificate(authority.certificate, when)
    _check_signature(signer, content, authority.certificate)
    return Stamp(when, authority.name)


def stamped_signature(signatures_xml: bytes) -> tuple[bytes, bytes] | None:
    """A token inside a signature (SignatureTimeStamp) and the bytes it stamps; None without one.

    X-Road stamps the decoded signature value, not the canonical element that XAdES speaks of: so do its containers here.
    """
    if b"SignatureTimeStamp" not in signatures_xml:
        return None
    try:
        root = parse_xml(signatures_xml)
    except ValueError as problem:
        raise TimestampInvalid(check="signature", reason=str(problem)) from None
    values, stamps = list(root.iter(_DS + "SignatureValue")), list(root.iter(_XADES + "SignatureTimeStamp"))
    if len(values) != 1 or len(stamps) != 1:
        raise TimestampInvalid(check="signature", reason="it does not hold one signature with one time-stamp")
    texts = [values[0].text, stamps[0].findtext(_XADES + "EncapsulatedTimeStamp")]
    try:
        value, token = (base64.b64decode("".join((text or "").split()), validate=True) for text in texts)
    except ValueError:
        raise TimestampInvalid(check="signature", reason="its time-stamp is not base64") from None
    return token, value


# --- reading the token -----------------------------------------------------------------------------------------------


def _guard(check: str, read: Callable[[], _T]) -> _T:
    """What `read` gives; whatever a malformed structure raises in the library becomes a refusal."""
    try:
        return read()
    except TimestampInvalid:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
        raise TimestampInvalid(check=check, reason="it cannot be read") from None


def _open(token: bytes) -> tuple[Any, bytes]:
    if len(token) > LARGEST_ANSWER:
        raise ValueError
    outer = cms.ContentInfo.load(token)
    if outer["content_type"].native != "signed_data":
        raise ValueError
    signed = outer["content"]
    if signed["encap_content_info"]["content_type"].native != "tst_info":
        raise ValueError
    return signed, bytes(signed["encap_content_info"]["content"])


def _info(token: bytes) -> Any:
    return tsp.TSTInfo.load(_open(token)[1], strict=True)


def _only_signer(signed: Any) -> Any:
    signers = signed["signer_infos"]
    if len(signers) != 1:
        raise TimestampInvalid(check="signature", reason="it does not hold exactly one")
    return signers[0]


def _authority_of(signer: Any, authorities: Sequence[TimestampAuthority]) -> TimestampAuthority | None:
    sid = signer["sid"]
    for authority in authorities:
        certificate = authority.certificate
        if sid.name == "issuer_and_serial_number":
            if sid.chosen["serial_number"].native != certificate.serial_number:
                continue
            if sid.chosen["issuer"].dump() == certificate.issuer.public_bytes():
                return authority
        elif sid.native == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest:
            return authority
    return None


def _check_certificate(certificate: x509.Certificate, when: datetime) -> None:
    if not certificate.not_valid_before_utc <= when <= certificate.not_valid_after_utc:
        raise TimestampInvalid(check="authority", reason="its certificate was not valid at the time it states")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return  # listed by its certificate in the global configuration; some authorities' say no purpose
    except certs.UNREADABLE:
        raise TimestampInvalid(check="authority", reason="its certificate cannot be read") from None
    if ExtendedKeyUsageOID.TIME_STAMPING not in usage:
        raise TimestampInvalid(check="authority", reason="its certificate is not for time-stamping")


def _check_signature(signer: Any, content: bytes, certificate: x509.Certificate) -> None:
    def read() -> tuple[str, dict[str, Any], bytes, bytes, str, Any]:
        attributes = {}
        for attribute in signer["signed_attrs"]:
            name = attribute["type"].native
            if name in attributes or len(attribute["values"]) != 1:
                raise ValueError
            attributes[name] = attribute["values"][0]
        covered = bytes(signer["signed_attrs"].untag().dump(force=True))
        algorithm: algos.SignedDigestAlgorithm = signer["signature_algorithm"]
        return (
            str(signer["digest_algorithm"]["algorithm"].native),
            attributes,
            covered,
            bytes(signer["signature"].native),
            str(algorithm.signature_algo),
            algorithm,
        )

    digest, attributes, covered, value, kind, algorithm = _guard("signature", read)
    if digest not in _HASHES:
        raise TimestampInvalid(check="signature", reason="its digest algorithm is not one that is accepted")
    if not {"content_type", "message_digest"} <= set(attributes) or attributes["content_type"].native != "tst_info":
        raise TimestampInvalid(check="signature", reason="it does not cover the kind and digest of its content")
    if attributes["message_digest"].native != hashlib.new(digest, content).digest():
        raise TimestampInvalid(check="signature", reason="the digest of its content differs")
    if not _guard("signature", lambda: _names_certificate(attributes, certs.der(certificate))):
        raise TimestampInvalid(check="signature", reason="it does not name the authority's certificate")
    try:
        _verify(certificate, kind, algorithm, value, covered, _HASHES[digest])
    except (InvalidSignature, *certs.UNREADABLE, UnsupportedAlgorithm):
        raise TimestampInvalid(
            check="signature", reason="it does not verify with the authority's certificate"
        ) from None


def _names_certificate(attributes: dict[str, Any], der: bytes) -> bool:
    if "signing_certificate_v2" in attributes:
        first = attributes["signing_certificate_v2"]["certs"][0]
        name = str(first["hash_algorithm"]["algorithm"].native)
        return name in _HASHES and first["cert_hash"].native == hashlib.new(name, der).digest()
    if "signing_certificate" in attributes:
        first = attributes["signing_certificate"]["certs"][0]
        return bool(first["cert_hash"].native == hashlib.sha1(der, usedforsecurity=False).digest())
    return False


def _verify(
    certificate: x509.Certificate, kind: str, algorithm: Any, value: bytes, data: bytes, digest: hashes.HashAlgorithm
) -> None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and kind == "rsassa_pkcs1v15":
        key.verify(value, data, padding.PKCS1v15(), _named(algorithm) or digest)
    elif isinstance(key, rsa.RSAPublicKey) and kind == "rsassa_pss":
        parameters = algorithm["parameters"]
        used = _HASHES[str(parameters["hash_algorithm"]["algorithm"].native)]
        salt = int(parameters["salt_length"].native)
        key.verify(value, data, padding.PSS(padding.MGF1(used), salt), used)
    elif isinstance(key, ec.EllipticCurvePublicKey) and kind == "ecdsa":
        key.verify(value, data, ec.ECDSA(_named(algorithm) or digest))
    else:
        raise InvalidSignature


def _named(algorithm: Any) -> hashes.HashAlgorithm | None:
    """The digest a combined algorithm names (sha512_rsa); None when it names none and the signer's digest counts."""
    name = str(algorithm["algorithm"].native)
    if name in {"rsassa_pkcs1v15", "rsa"}:
        return None
    found = _HASHES.get(str(algorithm.hash_algo))
    if found is None:
        raise InvalidSignature
    return found
