"""An issuer's key folder: a private key, its certificate, and a certificate authority of the issuer's own.

    ca.key  ca.pem          the authority; its certificate goes on the trust list, its key may be taken offline
    issuer.key  issuer.pem  what signs credentials; renewed from time to time under the same authority

Keys are PKCS #8 PEM, mode 0600, made once and never overwritten. A hardware module would take the place of `issuer.key`; that is
not built. Self-contained on purpose: who may issue documents is another question than who may exchange messages.
"""

from __future__ import annotations

import os
import stat
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from kerege.credentials.errors import IssuerExists, IssuerKeyInvalid
from kerege.credentials.issuer import Issuer
from kerege.ground.clock import require_utc

_AUTHORITY_DAYS: Final = 3650
_ISSUER_DAYS: Final = 1095


def create_issuer(folder: Path, issuer_id: str, organisation: str, now: datetime, country: str = "KG") -> Issuer:
    """Make the keys of a new issuer in `folder` and load it.

    issuer_id     a URI that stands as `iss` in everything it signs
    organisation  the name in the certificates, as in the register of legal persons

    Raises IssuerExists rather than overwrite a key.
    """
    require_utc(now)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any((folder / name).exists() for name in ("ca.key", "issuer.key")):
        raise IssuerExists(folder=folder)
    authority_key, issuer_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _certificate(
        _name(country, organisation, "credential authority"), None, authority_key, now, _AUTHORITY_DAYS
    )
    leaf = _certificate(
        _name(country, organisation, "credential issuer"),
        (authority, authority_key),
        issuer_key,
        now,
        _ISSUER_DAYS,
        issuer_id,
    )
    _write_key(folder / "ca.key", authority_key)
    _write_key(folder / "issuer.key", issuer_key)
    (folder / "ca.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    (folder / "issuer.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    return load_issuer(folder)


def open_issuer(folder: Path, issuer_id: str, organisation: str, now: datetime) -> Issuer:
    """The issuer in `folder`, made when the folder has none. Refuses a folder that belongs to another issuer."""
    if not (folder / "issuer.key").exists():
        return create_issuer(folder, issuer_id, organisation, now)
    found = load_issuer(folder)
    if found.issuer_id != issuer_id:
        raise IssuerKeyInvalid(folder=folder, reason=f"it is the key of {found.issuer_id}")
    return found


def load_issuer(folder: Path) -> Issuer:
    """The issuer whose keys are in `folder`. Refuses a private key that others may read."""
    path = folder / "issuer.key"
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise IssuerKeyInvalid(folder=folder, reason="issuer.key may be read by others; it should have mode 0600")
        key = load_pem_private_key(path.read_bytes(), password=None)
        leaf = tuple(x509.load_pem_x509_certificates((folder / "issuer.pem").read_bytes()))
        anchors = tuple(x509.load_pem_x509_certificates((folder / "ca.pem").read_bytes()))
        names = leaf[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        [issuer_id] = names.get_values_for_type(x509.UniformResourceIdentifier)
    except FileNotFoundError as error:
        raise IssuerKeyInvalid(folder=folder, reason=f"{Path(str(error.filename)).name} is missing") from error
    except (ValueError, TypeError, x509.ExtensionNotFound) as error:
        raise IssuerKeyInvalid(folder=folder, reason="a key or certificate cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise IssuerKeyInvalid(folder=folder, reason="issuer.key is not an elliptic curve key")
    return Issuer(key, leaf, issuer_id, anchors)


def _name(country: str, organisation: str, common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, country),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _certificate(
    subject: x509.Name,
    authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    days: int,
    issuer_id: str | None = None,
) -> x509.Certificate:
    """A certificate for `key`: self-signed authority without `authority`, else a signing leaf for `issuer_id`."""
    is_authority = authority is None
    issued_by, signing_key = (subject, key) if authority is None else (authority[0].subject, authority[1])
    usage = x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    start = now.replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issued_by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - timedelta(minutes=5))
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )
    if issuer_id is not None:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(issuer_id)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signing_key, hashes.SHA256())


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
