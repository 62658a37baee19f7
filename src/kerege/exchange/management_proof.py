"""Management requests proved: the signatures that go with one, made and checked.

Implements X-Road PR-MSERV: for `authCertReg` signatures by the authentication key and by the owner's signing key, for the others one by
the signing key of the member concerned, each with its certificate, and the OCSP answer about the signing one. `clientDeletion` and
`authCertDeletion` may come as plain SOAP; who sent those only the transport knows, so `Proof.signer` is None and it is the caller's policy
what that is worth. Signatures are over the SOAP bytes as they came.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from kerege.exchange import certs
from kerege.exchange.errors import ExchangeError
from kerege.exchange.ids import MemberId
from kerege.exchange.management import PLAIN, Envelope, Kind, invalid
from kerege.exchange.management_read import parse
from kerege.exchange.trust import Trust

_HASHES: Final = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_XML_METHODS: Final = {
    "rsa-sha512": "SHA512withRSA",
    "sha512-rsa-MGF1": "SHA512withRSAandMGF1",
    "ecdsa-sha512": "SHA512withECDSA",
}
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature over the SOAP bytes, as one part names it and another brings its certificate."""

    algorithm: str
    value: bytes
    certificate: bytes  # DER


@dataclass(frozen=True, slots=True)
class Submission:
    """A request as submitted: the SOAP bytes and what proves them."""

    soap: bytes
    owner: Signature | None = None
    ocsp: bytes | None = None
    auth: Signature | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What was verified: the request, and the member that signed it (None: nobody, it came plain)."""

    envelope: Envelope
    signer: MemberId | None
    auth_certificate: x509.Certificate | None = None


def sign(soap: bytes, key: PrivateKey, certificate: x509.Certificate) -> Signature:
    """A signature over the SOAP bytes, named as PR-MSERV names algorithms."""
    if isinstance(key, rsa.RSAPrivateKey):
        value, name = key.sign(soap, padding.PKCS1v15(), hashes.SHA512()), "SHA512withRSA"
    else:
        value, name = key.sign(soap, ec.ECDSA(hashes.SHA512())), "SHA512withECDSA"
    return Signature(name, value, certs.der(certificate))


def signature(method: str, value: bytes, certificate: x509.Certificate) -> Signature:
    """A value made by a `SigningKey` (its XML signature method; ECDSA as r||s) in the form management requests carry."""
    name = _XML_METHODS.get(method.partition("#")[2])
    if name is None:
        raise invalid("the key's signature method has no name in management requests")
    if name.endswith("ECDSA"):
        half = len(value) // 2
        value = encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
    return Signature(name, value, certs.der(certificate))


def _holds(soap: bytes, signature: Signature, what: str) -> x509.Certificate:
    """The certificate whose key made `signature` over `soap`. Raises ManagementRequestInvalid."""
    certificate = _load(signature.certificate, what)
    size, _, method = signature.algorithm.removeprefix("SHA").partition("with")
    key, algorithm = certificate.public_key(), _HASHES.get(size)
    if algorithm is None or not signature.algorithm.startswith("SHA"):
        raise invalid(f"the algorithm of the {what} signature is not known")
    try:
        if isinstance(key, rsa.RSAPublicKey) and method == "RSA":
            key.verify(signature.value, soap, padding.PKCS1v15(), algorithm)
        elif isinstance(key, rsa.RSAPublicKey) and method == "RSAandMGF1":
            salt = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
            key.verify(signature.value, soap, salt, algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and method == "ECDSA":
            key.verify(signature.value, soap, ec.ECDSA(algorithm))
        else:
            raise invalid(f"the algorithm of the {what} signature does not go with its certificate's key")
    except InvalidSignature:
        raise invalid(f"the {what} signature does not hold over the SOAP message") from None
    return certificate


def _load(der: bytes, what: str) -> x509.Certificate:
    try:
        certificate = certs.load(der, what)
    except ExchangeError:
        raise invalid(f"the {what} certificate cannot be read") from None
    if not certs.readable(certificate):
        raise invalid(f"the {what} certificate cannot be read in full")
    return certificate


def verify(submission: Submission, trust: Trust, now: datetime) -> Proof:
    """Check everything a submission proves, under the instance's configuration.

    Raises ManagementRequestInvalid, or the trust's own errors (CertificateInvalid, RevocationUnknown).
    """
    envelope = parse(submission.soap)
    request = envelope.request
    if request.server.instance != trust.shared.instance:
        raise invalid(f"the server is not of instance {trust.shared.instance}")
    if submission.owner is None:
        if request.kind not in PLAIN:
            raise invalid(f"a {request.kind} must be signed by the member concerned")
        return Proof(envelope, None)
    signer = _signer(submission, submission.owner, trust, now)
    allowed = {request.concerned, request.server.owner} if request.kind in PLAIN else {request.concerned}
    if signer not in allowed:
        raise invalid(f"it is signed by {signer}, a {request.kind} needs {request.concerned}")
    if request.kind is not Kind.AUTH_CERT_REG:
        return Proof(envelope, signer)
    if submission.auth is None:
        raise invalid("an authCertReg must also be signed with the authentication key")
    certificate = _holds(submission.soap, submission.auth, "authentication")
    if certs.der(certificate) != request.certificate:
        raise invalid("the authentication certificate beside it is not the one in it")
    trust.issuer_of(certificate, "authentication", now)
    certs.check_use(certificate, "authentication")
    return Proof(envelope, signer, certificate)


def _signer(submission: Submission, signature: Signature, trust: Trust, now: datetime) -> MemberId:
    certificate = _holds(submission.soap, signature, "owner's")
    certs.check_use(certificate, "signing")
    authority, _ = trust.issuer_of(certificate, "signing", now)
    if submission.ocsp is None:
        raise invalid("the OCSP answer about the signing certificate is missing")
    trust.check_own_ocsp(certificate, "signing", submission.ocsp, now)
    return certs.signer_of(certificate, authority, trust.shared.instance)
