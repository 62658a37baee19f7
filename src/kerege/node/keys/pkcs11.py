"""Signing keys on PKCS#11 tokens: RSA (PKCS#1 and PSS) and ECDSA, over SHA-512, by the labels of token and key.

A token drops sessions (power saving, a restarted daemon, a network HSM failing over), which is the commonest complaint about them:
the session is opened again and the operation tried once more, then with the module initialised anew, before anybody is told.
Digests are made here and the token signs those, so what goes over a slow wire to it is short. One session per token, one operation
at a time on it; the call blocks for as long as the token takes: call it in a thread (`blocking` says so). Which key belongs to
whom is the configuration's affair; signatures in XML are `exchange.xades`'.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import Any, Final

import pkcs11
from asn1crypto import csr, keys  # type: ignore[import-untyped]
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from pkcs11 import exceptions
from pkcs11.util.ec import encode_ec_public_key
from pkcs11.util.rsa import encode_rsa_public_key

from kerege.exchange.signingkeys import ECDSA_SHA512, PSS_SHA512, RSA_SHA512
from kerege.node.config_types import TokenKey
from kerege.node.errors import TokenFailed

# DigestInfo of SHA-512 up to the digest itself (RFC 8017, 9.2 note 1)
_SHA512_INFO: Final = bytes.fromhex("3051300d060960864801650304020305000440")
_PSS: Final = (pkcs11.Mechanism.SHA512, pkcs11.MGF.SHA512, 64)
_FINAL: Final = (  # trying again would not help, or would lock the PIN
    exceptions.PinIncorrect,
    exceptions.PinLocked,
    exceptions.PinExpired,
    exceptions.PinInvalid,
    exceptions.PinLenRange,
    exceptions.UserPinNotInitialized,
)


class _Token:
    """One token, logged in, shared by all its keys of this process."""

    def __init__(self, module: str, label: str, pin: str) -> None:
        self._module, self._label, self._pin = module, label, pin
        self._session: Any = None
        self._keys: dict[str, Any] = {}
        self._barred: str | None = None
        self._begun = 0
        self.lock = threading.Lock()

    def key(self, label: str) -> Any:
        session = self._current()
        found = self._keys.get(label)
        if found is None:
            found = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=label)
            self._keys[label] = found
        return found

    def mechanisms(self) -> set[Any]:
        return set(self._current().token.slot.get_mechanisms())

    def _current(self) -> Any:
        """The session, opened where there is none; one from before the module was begun anew is forgotten: its handles are void."""
        begun = _BEGUN.get(self._module, 0)
        if self._begun != begun:
            self._session, self._keys, self._begun = None, {}, begun
        if self._session is None:
            self._open()
        return self._session

    def _open(self) -> None:
        if self._barred is not None:
            raise exceptions.PinIncorrect(self._barred)
        token = pkcs11.lib(self._module).get_token(token_label=self._label)
        try:
            try:
                self._session = token.open(user_pin=self._pin)
            except exceptions.UserAlreadyLoggedIn:  # another session of this process is
                self._session = token.open()
        except _FINAL as refused:
            self._barred = type(refused).__name__  # a second try with the same PIN only brings the lock nearer
            raise

    def again(self, thoroughly: bool) -> None:
        """Forget the session; `thoroughly`: the module too."""
        session, self._session, self._keys = self._session, None, {}
        try:
            if session is not None:
                session.close()
        except (exceptions.PKCS11Error, RuntimeError):
            pass  # it was gone already
        if thoroughly:
            _BEGUN[self._module] = _BEGUN.get(self._module, 0) + 1
            pkcs11.lib(self._module).reinitialize()


_BEGUN: Final[dict[str, int]] = {}  # how often a module was begun anew: sessions with its other tokens end with that
_TOKENS: Final[dict[tuple[str, str], _Token]] = {}
_TOKENS_LOCK: Final = threading.Lock()


class TokenSigningKey:
    """A private key that never leaves its token. Raises TokenFailed when made, when the certificate is not this key's."""

    blocking: Final = True  # a signature may take long: make it in a thread

    def __init__(self, place: TokenKey, pin: str, certificate: x509.Certificate | _Uncertified) -> None:
        self._place = place
        self._public = certificate.public_key()
        if not isinstance(self._public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise self._failed("its certificate is for a key that is neither RSA nor EC")
        if not place.module.is_file():
            raise self._failed(f"the PKCS#11 module {place.module} is not there")
        with _TOKENS_LOCK:
            name = (str(place.module), place.token)
            self._token = _TOKENS.get(name) or _TOKENS.setdefault(name, _Token(*name, pin))
            if self._token._pin != pin:  # another one was given: what was said of the old one no longer holds
                self._token = _TOKENS[name] = _Token(*name, pin)
        self._raw_pkcs1 = self._attempt(lambda: pkcs11.Mechanism.RSA_PKCS in self._token.mechanisms())
        self._check()

    @property
    def public_key(self) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
        assert isinstance(self._public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
        return self._public

    def sign(self, data: bytes, method: str) -> bytes:
        """The signature value over `data` as XML signatures carry it (ECDSA as r||s). Raises TokenFailed, ValueError."""
        digest = hashlib.sha512(data).digest()
        options: dict[str, Any]
        if method == ECDSA_SHA512 and isinstance(self._public, ec.EllipticCurvePublicKey):
            half = (self._public.key_size + 7) // 8  # the token gets the bits that count; some refuse more
            content, options = digest[:half], {"mechanism": pkcs11.Mechanism.ECDSA}
        elif method == RSA_SHA512 and isinstance(self._public, rsa.RSAPublicKey):
            if self._raw_pkcs1:
                content, options = _SHA512_INFO + digest, {"mechanism": pkcs11.Mechanism.RSA_PKCS}
            else:
                content, options = data, {"mechanism": pkcs11.Mechanism.SHA512_RSA_PKCS}
        elif method == PSS_SHA512 and isinstance(self._public, rsa.RSAPublicKey):
            content = digest
            options = {"mechanism": pkcs11.Mechanism.RSA_PKCS_PSS, "mechanism_param": _PSS}
        else:
            raise ValueError("the method does not fit the kind of key")
        return bytes(self._attempt(lambda: self._token.key(self._place.key).sign(content, **options)))

    def _attempt(self, work: Any) -> Any:
        """Do `work` on the token; when the session has gone, once more on a new one, then on a module begun anew."""
        problem: Exception | None = None
        with self._token.lock:
            for thoroughly in (False, True, None):
                try:
                    return work()
                except _FINAL as refused:
                    raise self._failed(f"the PIN is refused ({type(refused).__name__})") from None
                except (exceptions.NoSuchKey, exceptions.MultipleObjectsReturned):
                    problem = exceptions.NoSuchKey()
                except (exceptions.PKCS11Error, RuntimeError) as trouble:
                    problem = trouble
                if thoroughly is not None:
                    try:
                        self._token.again(thoroughly)
                    except (exceptions.PKCS11Error, RuntimeError) as trouble:
                        problem = trouble
        reasons = {
            "NoSuchKey": "the token has no private key with this label, or several",
            "NoSuchToken": "no token with this label is there",
            "MultipleTokensReturned": "several tokens have this label",
        }
        name = type(problem).__name__
        raise self._failed(reasons.get(name, f"the token answered {name}, again on a new session"))

    def _check(self) -> None:
        """Sign something and verify it with the certificate: labels are only names."""
        sample = b"kerege: is this the key of the certificate?"
        public = self._public
        try:
            if isinstance(public, rsa.RSAPublicKey):
                public.verify(self.sign(sample, RSA_SHA512), sample, padding.PKCS1v15(), hashes.SHA512())
            elif isinstance(public, ec.EllipticCurvePublicKey):
                value = self.sign(sample, ECDSA_SHA512)
                half = len(value) // 2
                numbers = (int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
                public.verify(encode_dss_signature(*numbers), sample, ec.ECDSA(hashes.SHA512()))
        except InvalidSignature:
            raise self._failed("it is another key than the certificate is for") from None

    def _failed(self, reason: str) -> TokenFailed:
        return TokenFailed(key=self._place.key, token=self._place.token, reason=reason)


@dataclass(frozen=True)
class _Uncertified:
    """A public key that no certificate is there for yet."""

    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey

    def public_key(self) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
        return self.public


def certificate_request(place: TokenKey, pin: str, subject: x509.Name) -> bytes:
    """A request (PKCS#10, PEM) for a certificate of a key on the token, signed by that key. Raises TokenFailed."""
    public = _public_of(place, pin)
    key = TokenSigningKey(place, pin, _Uncertified(public))
    info = csr.CertificationRequestInfo(
        {
            "version": "v1",
            "subject": asn1.Name.load(subject.public_bytes()),
            "subject_pk_info": keys.PublicKeyInfo.load(
                public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            ),
            "attributes": [],
        }
    )
    is_rsa = isinstance(public, rsa.RSAPublicKey)
    value = key.sign(info.dump(), RSA_SHA512 if is_rsa else ECDSA_SHA512)
    if not is_rsa:
        half = len(value) // 2
        value = encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
    whole = csr.CertificationRequest(
        {
            "certification_request_info": info,
            "signature_algorithm": {"algorithm": "sha512_rsa" if is_rsa else "sha512_ecdsa"},
            "signature": value,
        }
    )
    return x509.load_der_x509_csr(whole.dump()).public_bytes(Encoding.PEM)


def _public_of(place: TokenKey, pin: str) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    def failed(reason: str) -> TokenFailed:
        return TokenFailed(key=place.key, token=place.token, reason=reason)

    try:
        token = pkcs11.lib(str(place.module)).get_token(token_label=place.token)
        try:
            opened = token.open(user_pin=pin)
        except exceptions.UserAlreadyLoggedIn:
            opened = token.open()
        with opened as session:
            found: Any = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=place.key)
            encode = encode_rsa_public_key if found.key_type is pkcs11.KeyType.RSA else encode_ec_public_key
            public = load_der_public_key(_spki(encode(found)))
    except exceptions.NoSuchKey:
        raise failed("the token has no public key with this label") from None
    except _FINAL as refused:
        raise failed(f"the PIN is refused ({type(refused).__name__})") from None
    except (exceptions.PKCS11Error, RuntimeError, ValueError) as problem:
        raise failed(f"its public key cannot be read ({type(problem).__name__})") from None
    if not isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise failed("it is neither an RSA nor an EC key")
    return public


def _spki(encoded: bytes) -> bytes:
    """A SubjectPublicKeyInfo; of an RSA key the library gives what is inside one (PKCS#1)."""
    try:
        load_der_public_key(encoded)
        return encoded
    except ValueError:
        return bytes(keys.PublicKeyInfo.wrap(keys.RSAPublicKey.load(encoded), "rsa").dump())
