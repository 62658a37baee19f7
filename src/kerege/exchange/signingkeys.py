"""Keys that sign: what a `xades.Signer` needs of one, and the soft ones. Keys on a token are the node's (`node.keys.pkcs11`).

Implements the signature methods X-Road's servers produce and accept: RSA PKCS#1 v1.5 and PSS, and ECDSA with the value as r||s
(RFC 6931, XML Signature 1.1), all over SHA-512.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

RSA_SHA512: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
PSS_SHA512: Final = "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1"
ECDSA_SHA512: Final = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=hashes.SHA512.digest_size)
_PKCS1: Final = padding.PKCS1v15()
_SHA512: Final = hashes.SHA512()
_ECDSA: Final = ec.ECDSA(hashes.SHA512())


@runtime_checkable
class SigningKey(Protocol):
    """A key that signs by one method. One that takes long (a token) says so with an attribute `slow = True`."""

    @property
    def method(self) -> str:
        """The XML signature method's URI."""

    def sign_bytes(self, data: bytes) -> bytes:
        """The signature value over `data` as XML signatures carry it."""


@runtime_checkable
class MethodKey(Protocol):
    """A key that signs by the method it is told."""

    def sign(self, data: bytes, method: str) -> bytes: ...


def method_for(public: object, *, pss: bool) -> str:
    """The method for a key of this kind."""
    if isinstance(public, rsa.RSAPublicKey):
        return PSS_SHA512 if pss else RSA_SHA512
    if isinstance(public, ec.EllipticCurvePublicKey):
        return ECDSA_SHA512
    raise ValueError("a signing key is RSA or EC")


class SoftKey:
    """A private key in memory."""

    slow: Final = False
    __slots__ = ("_half", "_key", "_pss", "method")

    def __init__(self, key: PrivateKey, *, pss: bool = False) -> None:
        self.method = method_for(key.public_key(), pss=pss)
        self._key, self._pss = key, pss
        self._half = (key.key_size + 7) // 8

    def sign_bytes(self, data: bytes) -> bytes:
        key = self._key
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(data, _PSS if self._pss else _PKCS1, _SHA512)
        r, s = decode_dss_signature(key.sign(data, _ECDSA))
        return r.to_bytes(self._half, "big") + s.to_bytes(self._half, "big")


@dataclass(frozen=True, slots=True)
class _Bound:
    """A key that is told its method, with the method settled."""

    key: MethodKey
    method: str

    def sign_bytes(self, data: bytes) -> bytes:
        return self.key.sign(data, self.method)


def signing_key(
    key: PrivateKey | SigningKey | MethodKey, certificate: x509.Certificate, *, pss: bool = False
) -> SigningKey:
    """Whatever signs, as a SigningKey; `pss` chooses for RSA keys that do not settle their method themselves."""
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        return SoftKey(key, pss=pss)
    if isinstance(key, SigningKey):
        return key
    return _Bound(key, method_for(certificate.public_key(), pss=pss))
