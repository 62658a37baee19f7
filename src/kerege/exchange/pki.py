"""A TEST network's public key infrastructure: authority, OCSP responder, keys and certificates. Never for production.

For the demo and for tests, where no ministry's certification service is at hand. Certificates name their members the way X-Road's
FiVRK profile does (serialNumber = instance/server/class, CN = member code), so any instance code works. Keys are EC P-256 unless
RSA is asked for. A real network uses its approved certification authority and never this module.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kerege.exchange.errors import CertificateInvalid
from kerege.exchange.globalconf import ApprovedAuthority, Authority, OcspResponder
from kerege.exchange.ids import MemberId, ServerId
from kerege.exchange.xades import PrivateKey

PROFILE: Final = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider"
_YEARS: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key with its certificate; `chain` is what stands between the certificate and its approved authority."""

    key: PrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()


def new_key(algorithm: str = "ec") -> PrivateKey:
    """A fresh key: "ec" (P-256) or "rsa" (2048 bits)."""
    if algorithm == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if algorithm == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    raise ValueError(f"a key algorithm is ec or rsa, not {algorithm!r}")


def _usage(**on: bool) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: on.get(name, False) for name in names})


def _name(*pairs: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])


def _issue(
    subject: x509.Name,
    public: PrivateKey,
    issuer: KeyPair | None,
    usage: x509.KeyUsage,
    now: datetime,
    *,
    ca: bool = False,
    purposes: tuple[x509.ObjectIdentifier, ...] = (),
    serial: int | None = None,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(public.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _YEARS)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public.public_key()), critical=False)
    )
    if issuer is not None:
        key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = builder.add_extension(key_id, critical=False)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(issuer.key if issuer else public, hashes.SHA256())


@dataclass(frozen=True, slots=True)
class TestAuthority:
    """A test network's certification authority with its OCSP responder and the configuration signing key."""

    __test__: ClassVar[bool] = False  # not a test case, whatever its name says to a test runner

    ca: KeyPair
    responder: KeyPair
    configuration: KeyPair

    @classmethod
    def create(cls, instance: str, now: datetime, algorithm: str = "ec") -> TestAuthority:
        def pair(name: str, issuer: KeyPair | None, usage: x509.KeyUsage, **kwargs: object) -> KeyPair:
            key = new_key(algorithm)
            subject = _name(
                (NameOID.ORGANIZATION_NAME, f"{instance} TEST"), (NameOID.COMMON_NAME, f"{instance} TEST {name}")
            )
            return KeyPair(key, _issue(subject, key, issuer, usage, now, **kwargs))  # type: ignore[arg-type]

        ca = pair("CA", None, _usage(key_cert_sign=True, crl_sign=True), ca=True)
        responder = pair("OCSP", ca, _usage(digital_signature=True), purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,))
        configuration = pair("configuration", None, _usage(digital_signature=True))
        return cls(ca, responder, configuration)

    def sign_certificate(
        self, member: MemberId, name: str, server: str, now: datetime, algorithm: str = "ec"
    ) -> KeyPair:
        """A signing key and certificate for `member` at `server`."""
        key = new_key(algorithm)
        subject = _name(
            (NameOID.ORGANIZATION_NAME, name[:64]),
            (NameOID.SERIAL_NUMBER, f"{member.instance}/{server}/{member.member_class}"),
            (NameOID.COMMON_NAME, member.member_code),
        )
        return KeyPair(key, _issue(subject, key, self.ca, _usage(content_commitment=True), now))

    def auth_certificate(self, server: ServerId, name: str, now: datetime, algorithm: str = "ec") -> KeyPair:
        """An authentication key and certificate for `server`, for TLS in both directions."""
        key = new_key(algorithm)
        subject = _name(
            (NameOID.ORGANIZATION_NAME, name[:64]),
            (NameOID.SERIAL_NUMBER, f"{server.instance}/{server.server}/{server.member_class}"),
            (NameOID.COMMON_NAME, server.server),
        )
        usage = _usage(digital_signature=True, key_encipherment=True, key_agreement=True)
        purposes = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
        return KeyPair(key, _issue(subject, key, self.ca, usage, now, purposes=purposes))

    def ocsp_response(self, certificate: x509.Certificate, now: datetime, revoked_at: datetime | None = None) -> bytes:
        """The responder's DER answer about `certificate`: good, or revoked since a moment."""
        status = ocsp.OCSPCertStatus.GOOD if revoked_at is None else ocsp.OCSPCertStatus.REVOKED
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=certificate,
                issuer=self.ca.certificate,
                algorithm=hashes.SHA1(),  # noqa: S303 - the certID form every verifier knows
                cert_status=status,
                this_update=now,
                next_update=now + timedelta(days=1),
                revocation_time=revoked_at,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.NAME, self.responder.certificate)
            .certificates([self.responder.certificate])
        )
        return builder.sign(self.responder.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def approved(self, ocsp_url: str) -> ApprovedAuthority:
        """This authority as it stands in the shared parameters."""
        top = Authority(self.ca.certificate, (OcspResponder(ocsp_url, self.responder.certificate),))
        return ApprovedAuthority("TEST authority", top, PROFILE)

    def save(self, folder: Path) -> None:
        for name, pair in (("ca", self.ca), ("ocsp", self.responder), ("configuration", self.configuration)):
            save_pair(pair, folder, name)

    @classmethod
    def load(cls, folder: Path) -> TestAuthority:
        return cls(*(load_pair(folder, name) for name in ("ca", "ocsp", "configuration")))


def save_pair(pair: KeyPair, folder: Path, name: str, passphrase: bytes | None = None) -> None:
    """Write `name`.key (readable by its owner only, encrypted when there is a passphrase) and `name`.pem."""
    folder.mkdir(parents=True, exist_ok=True)
    how = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    pem = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
    _write(folder / f"{name}.key", pem, 0o600)
    _write(folder / f"{name}.pem", pair.certificate.public_bytes(Encoding.PEM), 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)


def load_pair(folder: Path, name: str, passphrase: bytes | None = None) -> KeyPair:
    """The key and certificate saved as `name`.key and `name`.pem."""
    return load_files(folder / f"{name}.key", folder / f"{name}.pem", passphrase)


def load_files(key_file: Path, certificate_file: Path, passphrase: bytes | None = None) -> KeyPair:
    """A key and its certificate from PEM files; refuses a pair that does not belong together.

    The passphrase opens a key that is encrypted; one that is not needs none. Raises OSError, TypeError (a passphrase is needed), ValueError (what
    is there is no key or certificate, or the passphrase another), CertificateInvalid.
    """
    pem = key_file.read_bytes()
    key = load_pem_private_key(pem, passphrase if b"ENCRYPTED" in pem else None)
    certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise CertificateInvalid(role="own", subject=certificate_file.name, reason="its key is neither RSA nor EC")
    if key.public_key() != certificate.public_key():
        raise CertificateInvalid(role="own", subject=certificate_file.name, reason="its key file holds another key")
    return KeyPair(key, certificate)
