"""Soft keys: PEM with or without a passphrase, and PKCS#12; read strictly, and told about without a word of what is secret.

A file with a private key, or with a passphrase, may be read by its owner only. The passphrase comes from such a file (its first
line) or from the environment. Keys made by the node itself (renewals) are written here too: a new file beside the old ones, then a
pointer that is replaced whole, so that a cut at any moment leaves either the old pair or the new one. Keys on tokens are `pkcs11`.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from kerege.exchange.certs import readable
from kerege.exchange.pki import KeyPair
from kerege.exchange.xades import PrivateKey
from kerege.node.config_types import KeySource as KeySource
from kerege.node.errors import NodeKeyInvalid

_LARGEST: Final = 1024 * 1024  # of any key, certificate or passphrase file
_MOST_CHAIN: Final = 8
_POINTER: Final = "active.json"


def load(source: KeySource) -> KeyPair:
    """The key pair a source names. Raises NodeKeyInvalid naming the file and what to do, never a passphrase."""
    if source.pkcs12 is not None:
        return _from_pkcs12(source.pkcs12, passphrase(source), _secret_of(source))
    if source.key is None or source.certificate is None:
        where = source.token.module if source.token is not None else source.certificate or "(none)"
        raise NodeKeyInvalid(file=where, reason="a key from a file (PEM or PKCS#12) is needed here, not one on a token")
    key = _pem_key(source.key, passphrase(source), _secret_of(source))
    certificates = read_certificates(source.certificate)
    return _paired(key, certificates, source.key, source.certificate)


def passphrase(source: KeySource) -> bytes | None:
    """The passphrase (on a token: the PIN) of a source, None when it names none. Raises NodeKeyInvalid."""
    if source.passphrase_env is not None:
        found = os.environ.get(source.passphrase_env, "")
        if not found:
            raise NodeKeyInvalid(
                file=source.key or source.pkcs12 or source.certificate or "(token)",
                reason=f"the environment variable {source.passphrase_env} with its passphrase is not set",
            )
        return found.encode()
    if source.passphrase_file is None:
        return None
    first = private_bytes(source.passphrase_file).splitlines()[:1]
    if not first or not first[0]:
        raise NodeKeyInvalid(file=source.passphrase_file, reason="its first line holds no passphrase")
    return first[0]


def _secret_of(source: KeySource) -> str:
    """Where the passphrase of a source stands, in words."""
    if source.passphrase_env is not None:
        return f"the environment variable {source.passphrase_env}"
    return f"the first line of {source.passphrase_file}"


def private_bytes(file: Path) -> bytes:
    """The bytes of a file that only its owner may read. Raises NodeKeyInvalid."""
    data, mode = _bytes(file)
    if mode & 0o077:
        reason = "it may be read by others; it should have mode 0600"
        raise NodeKeyInvalid(file=file, reason=reason, do=f"chmod 600 {file}, and think of who may have read it.")
    return data


def read_certificates(file: Path) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM (or one DER) file, the holder's own first. Raises NodeKeyInvalid."""
    data, _ = _bytes(file)
    try:
        if data.lstrip().startswith(b"-----BEGIN"):
            found = tuple(x509.load_pem_x509_certificates(data))
        else:
            found = (x509.load_der_x509_certificate(data),)
    except (ValueError, x509.InvalidVersion):
        raise NodeKeyInvalid(file=file, reason="it holds no certificate in PEM or DER") from None
    if len(found) > _MOST_CHAIN:
        raise NodeKeyInvalid(
            file=file, reason=f"it holds {len(found)} certificates, at most {_MOST_CHAIN} are expected"
        )
    if not all(readable(one) for one in found):
        raise NodeKeyInvalid(file=file, reason="a certificate in it cannot be read in every field")
    return found


def _bytes(file: Path) -> tuple[bytes, int]:
    """Content and mode, of the same open file, so that no other one is put in between."""
    try:
        with file.open("rb") as open_file:
            about = os.fstat(open_file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise NodeKeyInvalid(file=file, reason="it is not a plain file")
            data = open_file.read(_LARGEST + 1)
    except OSError as problem:
        do = (
            f"Let the node's user read it, a key nobody else: ls -l {file}"
            if isinstance(problem, PermissionError)
            else ""
        )
        raise NodeKeyInvalid(file=file, reason=problem.strerror or "it cannot be read", do=do) from None
    if len(data) > _LARGEST:
        raise NodeKeyInvalid(file=file, reason="it is larger than any key or certificate")
    return data, stat.S_IMODE(about.st_mode)


def _pem_key(file: Path, secret: bytes | None, stands: str) -> PrivateKey:
    data = private_bytes(file)
    if b"PRIVATE KEY-----" not in data:
        raise NodeKeyInvalid(file=file, reason="it holds no PEM private key")
    encrypted = b"ENCRYPTED" in data
    if encrypted and secret is None:
        raise NodeKeyInvalid(
            file=file, reason="it is encrypted; name its passphrase with passphrase_file or passphrase_env"
        )
    if secret is not None and not encrypted:
        raise NodeKeyInvalid(
            file=file, reason="a passphrase is named for it and it is not encrypted; encrypt it, or name no passphrase"
        )
    try:
        return _kind(load_pem_private_key(data, secret), file)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if not encrypted:
            raise NodeKeyInvalid(file=file, reason="its PEM private key cannot be read") from None
        reason, do = f"the passphrase in {stands} does not open it", f"Put the passphrase of this key into {stands}."
        raise NodeKeyInvalid(file=file, reason=reason, do=do) from None


def _from_pkcs12(file: Path, secret: bytes | None, stands: str) -> KeyPair:
    data = private_bytes(file)
    try:
        found = pkcs12.load_pkcs12(data, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        reason, do = (
            "it needs a passphrase, or is not PKCS#12",
            "Name its passphrase: passphrase_file or passphrase_env.",
        )
        if secret:
            reason = f"the passphrase in {stands} does not open it, or it is not PKCS#12"
            do = f"Put the passphrase of this file into {stands}."
        raise NodeKeyInvalid(file=file, reason=reason, do=do) from None
    if found.key is None or found.cert is None:
        raise NodeKeyInvalid(file=file, reason="it holds no private key with a certificate of its own")
    chain = tuple(one.certificate for one in found.additional_certs)
    if len(chain) > _MOST_CHAIN:
        raise NodeKeyInvalid(file=file, reason=f"it holds more than {_MOST_CHAIN} further certificates")
    return _paired(_kind(found.key, file), (found.cert.certificate, *chain), file, file)


def _kind(key: object, file: Path) -> PrivateKey:
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < 2048:
            raise NodeKeyInvalid(file=file, reason=f"its RSA key has {key.key_size} bits; at least 2048 are needed")
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key
    raise NodeKeyInvalid(file=file, reason="its key is neither RSA nor EC")


def _paired(key: PrivateKey, certificates: tuple[x509.Certificate, ...], file: Path, where: Path) -> KeyPair:
    own, *chain = certificates
    if key.public_key() != own.public_key():
        raise NodeKeyInvalid(
            file=file, reason=f"it holds another key than the (first) certificate in {where.name} is for"
        )
    return KeyPair(key, own, tuple(chain))


# --- keys the node makes itself ---


def write(pair: KeyPair, folder: Path, name: str, secret: bytes | None) -> KeySource:
    """Write `name`.key (0600, encrypted when there is a passphrase) and `name`.pem with its chain, durably."""
    protection = NoEncryption() if secret is None else BestAvailableEncryption(secret)
    key_file, certificate_file = folder / f"{name}.key", folder / f"{name}.pem"
    write_private(key_file, pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
    chain = b"".join(one.public_bytes(Encoding.PEM) for one in (pair.certificate, *pair.chain))
    write_private(certificate_file, chain)
    return KeySource(key=key_file, certificate=certificate_file)


def write_private(file: Path, data: bytes) -> None:
    """Put `data` in place of `file` whole, for its owner only, on the disk before this returns."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = file.with_name(file.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as open_file:
        os.fchmod(open_file.fileno(), 0o600)  # also where an older file stood under the name
        open_file.write(data)
        open_file.flush()
        os.fsync(open_file.fileno())
    new.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def point(folder: Path, name: str, pointer: str = _POINTER) -> None:
    """From now on `name` is the pair in use in `folder`."""
    write_private(folder / pointer, json.dumps({"name": name}).encode())


def pointed(folder: Path, like: KeySource, which: str = _POINTER) -> KeySource | None:
    """The pair in use in `folder`, with the passphrase of `like`; None when the node made none. Raises NodeKeyInvalid."""
    pointer = folder / which
    if not pointer.exists():
        return None
    try:
        name = json.loads(private_bytes(pointer))["name"]
        if not isinstance(name, str) or Path(name).name != name:
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise NodeKeyInvalid(
            file=pointer, reason="it does not name a key; remove it to use the configured key"
        ) from None
    return KeySource(
        key=folder / f"{name}.key",
        certificate=folder / f"{name}.pem",
        passphrase_file=like.passphrase_file,
        passphrase_env=like.passphrase_env,
    )
