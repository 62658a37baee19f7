"""Keys on a token (SoftHSM): all methods verify, dropped sessions are opened again, a wrong PIN is tried once."""

import gc
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kerege.exchange import xades_verify
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import KeyPair, TestAuthority
from kerege.exchange.signingkeys import ECDSA_SHA512, PSS_SHA512, RSA_SHA512
from kerege.exchange.xades import Signer
from kerege.node.config_types import TokenKey
from kerege.node.errors import TokenFailed

MODULES = [Path("/usr/lib/softhsm/libsofthsm2.so"), *Path("/usr/lib").glob("*/softhsm/libsofthsm2.so")]
MODULE = next((one for one in MODULES if one.exists()), None)
PIN = "73920"
DATA = b"<ds:SignedInfo>" + b"x" * 3000

if MODULE is None or shutil.which("softhsm2-util") is None:
    pytest.skip("not there: softhsm2", allow_module_level=True)

from kerege.node.keys import pkcs11 as room  # noqa: E402


@pytest.fixture(scope="module")
def pairs() -> dict[str, KeyPair]:
    authority, now = TestAuthority.create("KG", datetime.now(UTC)), datetime.now(UTC)
    member = MemberId("KG", "GOV", "70000003")
    return {kind: authority.sign_certificate(member, "Education", "node-edu", now, kind) for kind in ("rsa", "ec")}


@pytest.fixture(scope="module")
def token(pairs: dict[str, KeyPair], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A token of its own with both keys. The module reads its configuration once per process, so this is made once."""
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(settings)

    def util(*arguments: str) -> None:
        subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True, timeout=60)

    util("--init-token", "--free", "--label", "kerege", "--so-pin", "12345678", "--pin", PIN)
    for number, (kind, pair) in enumerate(pairs.items(), 1):
        file = folder / f"{kind}.pk8"
        file.write_bytes(pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        util("--import", str(file), "--token", "kerege", "--label", f"sign-{kind}", "--id", f"0{number}", "--pin", PIN)
    yield "kerege"
    for one in room._TOKENS.values():
        one.again(thoroughly=False)
    room._TOKENS.clear()
    if before is None:
        os.environ.pop("SOFTHSM2_CONF", None)
    else:
        os.environ["SOFTHSM2_CONF"] = before


def key(token: str, pairs: dict[str, KeyPair], kind: str, pin: str = PIN, label: str = "") -> room.TokenSigningKey:
    assert MODULE is not None
    place = TokenKey(MODULE, token, label or f"sign-{kind}")
    return room.TokenSigningKey(place, pin, pairs[kind].certificate)


def verify(certificate: x509.Certificate, method: str, value: bytes, data: bytes = DATA) -> None:
    public = certificate.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        assert len(value) == 64
        numbers = int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big")
        public.verify(encode_dss_signature(*numbers), data, ec.ECDSA(hashes.SHA512()))
        return
    assert isinstance(public, rsa.RSAPublicKey)
    form: Any = padding.PKCS1v15()
    if method == PSS_SHA512:
        form = padding.PSS(padding.MGF1(hashes.SHA512()), 64)
    public.verify(value, data, form, hashes.SHA512())


@pytest.mark.parametrize(("kind", "method"), [("rsa", RSA_SHA512), ("rsa", PSS_SHA512), ("ec", ECDSA_SHA512)])
def test_what_the_token_signs_verifies_with_the_certificate(
    token: str, pairs: dict[str, KeyPair], kind: str, method: str
) -> None:
    value = key(token, pairs, kind).sign(DATA, method)
    verify(pairs[kind].certificate, method, value)
    with pytest.raises(InvalidSignature):
        verify(pairs[kind].certificate, method, value, DATA + b"x")


@pytest.mark.parametrize(("kind", "pss"), [("rsa", False), ("rsa", True), ("ec", False)])
def test_messages_signed_by_the_token_verify_alone_and_in_a_batch(
    token: str, pairs: dict[str, KeyPair], kind: str, pss: bool
) -> None:
    signer = Signer(key(token, pairs, kind), pairs[kind].certificate, pss=pss)
    assert signer.slow, "signing on a token is done in a thread"
    signer.with_ocsp([b"an answer"])
    messages = [b"message %d" % n for n in range(3)]
    digests = [(hashlib.sha512(one).digest(), ()) for one in messages]
    now = datetime.now(UTC)
    alone = signer.sign(digests[0][0], (), now)
    assert xades_verify.verify(alone.xml, messages[0], (), alone.chain).certificate == pairs[kind].certificate
    together = signer.sign_batch(digests, now)
    for message, signed in zip(messages, together, strict=True):
        xades_verify.verify(signed.xml, message, (), signed.chain)
    assert len({signed.xml for signed in together}) == 1


def test_a_token_that_hashes_itself_is_given_the_data(token: str, pairs: dict[str, KeyPair]) -> None:
    one = key(token, pairs, "rsa")
    one._raw_pkcs1 = False
    verify(pairs["rsa"].certificate, RSA_SHA512, one.sign(DATA, RSA_SHA512))


def test_a_method_that_does_not_fit_the_key_is_a_mistake(token: str, pairs: dict[str, KeyPair]) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        key(token, pairs, "ec").sign(DATA, RSA_SHA512)


def test_a_session_that_the_token_dropped_is_opened_again_and_the_signature_made(
    token: str, pairs: dict[str, KeyPair]
) -> None:
    both = {kind: key(token, pairs, kind) for kind in pairs}
    both["rsa"]._token._session.close()  # as a token does that was put to sleep
    verify(pairs["rsa"].certificate, RSA_SHA512, both["rsa"].sign(DATA, RSA_SHA512))
    verify(pairs["ec"].certificate, ECDSA_SHA512, both["ec"].sign(DATA, ECDSA_SHA512))


def test_a_module_that_forgot_everything_is_begun_anew(token: str, pairs: dict[str, KeyPair]) -> None:
    one = key(token, pairs, "ec")
    room.pkcs11.lib(str(MODULE)).reinitialize()  # all handles of before are void
    verify(pairs["ec"].certificate, ECDSA_SHA512, one.sign(DATA, ECDSA_SHA512))


def test_an_operation_is_tried_again_after_a_device_error_and_then_told(
    token: str, pairs: dict[str, KeyPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = key(token, pairs, "ec")
    real, failures = one._token.key, 1

    def failing(label: str) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise room.exceptions.DeviceError
        return real(label)

    monkeypatch.setattr(one._token, "key", failing)
    verify(pairs["ec"].certificate, ECDSA_SHA512, one.sign(DATA, ECDSA_SHA512))
    failures = 99
    with pytest.raises(TokenFailed, match="DeviceError"):
        one.sign(DATA, ECDSA_SHA512)
    assert failures == 99 - 3


def test_a_wrong_pin_is_tried_once_and_never_told(token: str, pairs: dict[str, KeyPair]) -> None:
    for one in room._TOKENS.values():
        one.again(thoroughly=False)
    tried = 0
    real = room._Token._open

    def counted(self: room._Token) -> None:
        nonlocal tried
        tried += self._barred is None
        real(self)

    room._Token._open = counted  # type: ignore[method-assign]
    try:
        for _ in range(3):
            with pytest.raises(TokenFailed, match="PIN is refused") as told:
                key(token, pairs, "ec", pin="666666")
            assert "666666" not in str(told.value)
    finally:
        room._Token._open = real  # type: ignore[method-assign]
    assert tried == 1
    key(token, pairs, "ec")  # and the right one still opens it


def test_labels_are_only_names_the_key_must_be_the_certificates(token: str, pairs: dict[str, KeyPair]) -> None:
    with pytest.raises(TokenFailed, match="label"):
        key(token, pairs, "ec", label="sign-nobody")
    with pytest.raises(TokenFailed, match="no token"):
        key("no-such-token", pairs, "ec")
    wrong = {"rsa": pairs["ec"], "ec": pairs["rsa"]}
    with pytest.raises((TokenFailed, ValueError)):
        key(token, wrong, "rsa")


def test_a_module_begun_anew_for_one_token_is_begun_anew_for_the_others_too(
    token: str, pairs: dict[str, KeyPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, unheard = key(token, pairs, "ec"), list[Any]()
    monkeypatch.setattr(sys, "unraisablehook", unheard.append)
    with pytest.raises(TokenFailed, match="label"):
        key(token, pairs, "ec", label="sign-nobody")  # leaves a session that knows no key yet
    with pytest.raises(TokenFailed, match="no token"):
        key("no-such-token", pairs, "ec")
    verify(pairs["ec"].certificate, ECDSA_SHA512, one.sign(DATA, ECDSA_SHA512))
    gc.collect()
    assert unheard == [], "nothing was looked for in a session that was over"


def test_threads_that_sign_at_the_same_time_each_get_their_own(token: str, pairs: dict[str, KeyPair]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    one = key(token, pairs, "ec")
    contents = [hashlib.sha256(bytes([n])).digest() for n in range(24)]
    with ThreadPoolExecutor(4) as pool:
        values = list(pool.map(lambda content: one.sign(content, ECDSA_SHA512), contents))
    for content, value in zip(contents, values, strict=True):
        verify(pairs["ec"].certificate, ECDSA_SHA512, value, content)


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_certificate_is_asked_for_with_the_tokens_own_key(token: str, pairs: dict[str, KeyPair], kind: str) -> None:
    assert MODULE is not None
    subject = x509.Name.from_rfc4514_string("CN=70000003,O=Ministry\\, of Education,C=KG")
    made = room.certificate_request(TokenKey(MODULE, token, f"sign-{kind}"), PIN, subject)
    request = x509.load_pem_x509_csr(made)
    assert request.is_signature_valid
    assert request.subject == subject
    assert request.public_key() == pairs[kind].certificate.public_key()
    with pytest.raises(TokenFailed, match="no public key with this label"):
        room.certificate_request(TokenKey(MODULE, token, "none"), PIN, subject)
