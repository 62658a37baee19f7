"""Keys: every kind and digest X-Road's servers use is accepted, soft keys sign over SHA-512, keys of others fit in."""

import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from kerege.exchange.errors import SignatureInvalid
from kerege.exchange.pki import TestAuthority, new_key
from kerege.exchange.xades import PSS_SHA512, PrivateKey, Signer, SoftKey
from kerege.exchange.xades_verify import verify

from .conftest import NOW


def sha(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


class Other:
    """A key that signs by a method of its own choice, as a token or another server may."""

    def __init__(self, key: PrivateKey, method: str, digest: hashes.HashAlgorithm) -> None:
        self.key, self.method, self.digest = key, method, digest

    def sign_bytes(self, data: bytes) -> bytes:
        if isinstance(self.key, rsa.RSAPrivateKey):
            pss = padding.PSS(padding.MGF1(self.digest), self.digest.digest_size)
            return self.key.sign(data, pss if "MGF1" in self.method else padding.PKCS1v15(), self.digest)
        half = (self.key.key_size + 7) // 8
        r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(self.digest)))
        return r.to_bytes(half, "big") + s.to_bytes(half, "big")


@pytest.fixture(scope="module")
def keys() -> dict[str, PrivateKey]:
    curves = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    found: dict[str, PrivateKey] = {name: ec.generate_private_key(curve) for name, curve in curves.items()}
    found["RSA"] = new_key("rsa")
    return found


def certificate_for(authority: TestAuthority, key: PrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a member")])
    builder = x509.CertificateBuilder(
        authority.ca.certificate.subject, name, key.public_key(), 7, NOW - timedelta(days=1), NOW + timedelta(days=1)
    )
    return builder.sign(authority.ca.key, hashes.SHA256())


@pytest.mark.parametrize("size", ["256", "384", "512"])
@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "RSA", "PSS"])
@pytest.mark.parametrize("style", ["chain", "parts"])
def test_every_kind_of_key_and_digest_x_road_uses_is_accepted(
    authority: TestAuthority, keys: dict[str, PrivateKey], style: str, kind: str, size: str
) -> None:
    key = keys["RSA" if kind == "PSS" else kind]
    family = "2001/04/xmldsig-more#rsa-sha" if kind == "RSA" else "2001/04/xmldsig-more#ecdsa-sha"
    method = f"2007/05/xmldsig-more#sha{size}-rsa-MGF1" if kind == "PSS" else family + size
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[size]
    certificate = certificate_for(authority, key)
    made = Signer(Other(key, "http://www.w3.org/" + method, digest), certificate, style=style)
    made.with_ocsp([b"\x30\x00"])
    signed = made.sign(sha(b"message"), (sha(b"body"),), NOW)
    assert verify(signed.xml, b"message", (b"body",), signed.chain).method.endswith(method)
    forged = Other(new_key("rsa" if kind in ("RSA", "PSS") else "ec"), made.method, digest)
    wrong = Signer(forged, certificate, style=style)
    wrong.with_ocsp([b"\x30\x00"])
    signed = wrong.sign(sha(b"message"), (sha(b"body"),), NOW)
    with pytest.raises(SignatureInvalid, match="signature value"):
        verify(signed.xml, b"message", (b"body",), signed.chain)


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "RSA"])
def test_soft_keys_sign_over_sha_512(authority: TestAuthority, keys: dict[str, PrivateKey], kind: str) -> None:
    made = Signer(keys[kind], certificate_for(authority, keys[kind]))
    made.with_ocsp([b"\x30\x00"])
    assert "sha512" in verify(made.sign(sha(b"m"), (), NOW).xml, b"m").method
    assert not made.slow


def test_a_weak_digest_is_refused(authority: TestAuthority, keys: dict[str, PrivateKey]) -> None:
    key = Other(keys["RSA"], "http://www.w3.org/2000/09/xmldsig#rsa-sha1", hashes.SHA512())
    made = Signer(key, certificate_for(authority, keys["RSA"]))
    made.with_ocsp([b"\x30\x00"])
    with pytest.raises(SignatureInvalid, match="algorithm"):
        verify(made.sign(sha(b"m"), (), NOW).xml, b"m")


class Told:
    """A key that is told its method with each signature, and takes its time."""

    slow = True

    def __init__(self, key: PrivateKey) -> None:
        self.soft, self.methods = SoftKey(key, pss=True), set[str]()

    def sign(self, data: bytes, method: str) -> bytes:
        self.methods.add(method)
        return self.soft.sign_bytes(data)


def test_a_key_that_is_told_its_method_gets_the_one_its_certificate_and_the_setting_call_for(
    authority: TestAuthority, keys: dict[str, PrivateKey]
) -> None:
    key = Told(keys["RSA"])
    made = Signer(key, certificate_for(authority, keys["RSA"]), pss=True)
    made.with_ocsp([b"\x30\x00"])
    assert made.slow
    verify(made.sign(sha(b"m"), (), NOW).xml, b"m")
    assert key.methods == {PSS_SHA512}
