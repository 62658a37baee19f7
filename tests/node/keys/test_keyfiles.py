"""Keys in files: every form that is read, every way they can be wrong, and never a passphrase in what is told."""

import base64
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from kerege.exchange.ids import MemberId, ServerId
from kerege.exchange.pki import KeyPair, TestAuthority, save_pair
from kerege.node.config_types import KeySource, SignatureSettings, TokenKey
from kerege.node.errors import NodeKeyInvalid
from kerege.node.keys import files as keyfiles
from kerege.node.keys import pairs as keys

SECRET = b"ak-kuu-7"


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority.create("KG", datetime.now(UTC))


@pytest.fixture(scope="module")
def pair(authority: TestAuthority) -> KeyPair:
    return authority.sign_certificate(
        MemberId("KG", "GOV", "70000003"), "Education", "node-edu", datetime.now(UTC), "rsa"
    )


def pem(pair: KeyPair, folder: Path, secret: bytes | None = None) -> KeySource:
    save_pair(pair, folder, "own")
    protection = NoEncryption() if secret is None else BestAvailableEncryption(secret)
    (folder / "own.key").write_bytes(pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
    return KeySource(key=folder / "own.key", certificate=folder / "own.pem")


def secret_file(folder: Path, secret: bytes = SECRET, mode: int = 0o600) -> Path:
    file = folder / "passphrase"
    file.write_bytes(secret + b"\n")
    file.chmod(mode)
    return file


def refused(source: KeySource) -> str:
    with pytest.raises(NodeKeyInvalid) as told:
        keyfiles.load(source)
    assert SECRET.decode() not in str(told.value)
    return told.value.text


def test_a_pem_key_without_passphrase_is_read(pair: KeyPair, tmp_path: Path) -> None:
    found = keyfiles.load(pem(pair, tmp_path))
    assert found.certificate == pair.certificate
    assert found.key.public_key() == pair.key.public_key()


def test_a_pem_key_opens_with_a_passphrase_from_a_file_or_the_environment(
    pair: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pem(pair, tmp_path, SECRET)
    monkeypatch.setenv("KEREGE_TEST_PASSPHRASE", SECRET.decode())
    for more in ({"passphrase_file": secret_file(tmp_path)}, {"passphrase_env": "KEREGE_TEST_PASSPHRASE"}):
        found = keyfiles.load(KeySource(key=source.key, certificate=source.certificate, **more))  # type: ignore[arg-type]
        assert found.key.public_key() == pair.key.public_key()


def test_a_passphrase_that_is_missing_wrong_or_for_nothing_is_told_apart(
    pair: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, opened = tmp_path / "locked", tmp_path / "open"
    with_secret, without = pem(pair, locked, b"another"), pem(pair, opened)
    file = secret_file(tmp_path)
    assert "it is encrypted" in refused(with_secret)
    assert "does not open it" in refused(
        KeySource(key=with_secret.key, certificate=with_secret.certificate, passphrase_file=file)
    )
    assert "it is not encrypted" in refused(
        KeySource(key=without.key, certificate=without.certificate, passphrase_file=file)
    )
    monkeypatch.delenv("KEREGE_TEST_PASSPHRASE", raising=False)
    assert "KEREGE_TEST_PASSPHRASE" in refused(
        KeySource(key=with_secret.key, certificate=with_secret.certificate, passphrase_env="KEREGE_TEST_PASSPHRASE")
    )
    file.write_bytes(b"\n")
    assert "no passphrase" in refused(
        KeySource(key=with_secret.key, certificate=with_secret.certificate, passphrase_file=file)
    )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_or_a_passphrase_that_others_may_touch_is_refused(pair: KeyPair, tmp_path: Path, mode: int) -> None:
    source = pem(pair, tmp_path)
    assert source.key is not None
    source.key.chmod(mode)
    assert "0600" in refused(source)
    source.key.chmod(0o600)
    file = secret_file(tmp_path, mode=mode)
    told = refused(KeySource(key=source.key, certificate=source.certificate, passphrase_file=file))
    assert str(file) in told


def test_a_pkcs12_file_brings_its_key_certificate_and_chain(
    pair: KeyPair, authority: TestAuthority, tmp_path: Path
) -> None:
    file = tmp_path / "own.p12"
    data = pkcs12.serialize_key_and_certificates(
        b"own", pair.key, pair.certificate, [authority.ca.certificate], BestAvailableEncryption(SECRET)
    )
    file.write_bytes(data)
    file.chmod(0o600)
    found = keyfiles.load(KeySource(pkcs12=file, passphrase_file=secret_file(tmp_path)))
    assert (found.certificate, found.chain) == (pair.certificate, (authority.ca.certificate,))
    assert "passphrase" in refused(KeySource(pkcs12=file))
    file.write_bytes(b"\x30\x03junk")
    assert "PKCS#12" in refused(KeySource(pkcs12=file, passphrase_file=secret_file(tmp_path)))


def test_a_key_of_another_certificate_is_refused(pair: KeyPair, authority: TestAuthority, tmp_path: Path) -> None:
    source = pem(pair, tmp_path)
    other = authority.sign_certificate(MemberId("KG", "GOV", "70000002"), "Other", "node-reg", datetime.now(UTC))
    save_pair(other, tmp_path, "other")
    assert "another key" in refused(KeySource(key=source.key, certificate=tmp_path / "other.pem"))


def test_weak_keys_odd_keys_and_things_that_are_no_keys_are_refused(pair: KeyPair, tmp_path: Path) -> None:
    source = pem(pair, tmp_path)
    assert source.key is not None
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    odd = ed25519.Ed25519PrivateKey.generate()
    for key, reason in ((weak, "1024 bits"), (odd, "neither RSA nor EC")):
        source.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        assert reason in refused(source)
    for data in (b"", b"hello", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff" * 2_000_000):
        source.key.write_bytes(data)
        refused(source)
    source.key.unlink()
    assert "No such file" in refused(source)
    source.key.mkdir()
    refused(source)


def test_a_certificate_file_that_holds_none_or_too_many_is_refused(pair: KeyPair, tmp_path: Path) -> None:
    source = pem(pair, tmp_path)
    assert source.certificate is not None
    one = source.certificate.read_bytes()
    source.certificate.write_bytes(one * 9)
    assert "at most 8" in refused(source)
    source.certificate.write_bytes(b"nothing")
    assert "no certificate" in refused(source)


def test_a_token_where_a_file_is_needed_is_told_as_such(tmp_path: Path) -> None:
    source = KeySource(certificate=tmp_path / "own.pem", token=TokenKey(Path("/usr/lib/module.so"), "token", "key"))
    assert "on a token" in refused(source)


def test_what_the_node_writes_itself_it_reads_again_and_only_what_is_pointed_to(pair: KeyPair, tmp_path: Path) -> None:
    folder, like = tmp_path / "keys", KeySource(passphrase_file=secret_file(tmp_path))
    assert keyfiles.pointed(folder, like) is None
    keyfiles.write(pair, folder, "first", SECRET)
    assert keyfiles.pointed(folder, like) is None, "a pair written and not pointed to is not in use"
    keyfiles.point(folder, "first")
    source = keyfiles.pointed(folder, like)
    assert source is not None
    assert keyfiles.load(source).certificate == pair.certificate
    assert b"ENCRYPTED" in (folder / "first.key").read_bytes()
    assert {one.stat().st_mode & 0o777 for one in folder.iterdir()} == {0o600}
    (folder / "active.json").write_bytes(b'{"name": "../first"}')
    with pytest.raises(NodeKeyInvalid):
        keyfiles.pointed(folder, like)


def test_a_signer_takes_the_chain_along_without_its_top(
    tmp_path: Path, authority: TestAuthority, pair: KeyPair
) -> None:
    """Who verifies knows the approved authority; what lies between is in the certificate file or nowhere."""
    other = authority.auth_certificate(ServerId.parse("KG/GOV/1/between"), "B", datetime.now(UTC), "ec").certificate
    source = pem(pair, tmp_path)
    chain = b"".join(one.public_bytes(Encoding.PEM) for one in (pair.certificate, other, authority.ca.certificate))
    (tmp_path / "own.pem").write_bytes(chain)
    config: Any = SimpleNamespace(signatures=SignatureSettings(style="chain"))
    signer = keys.make_signer(config, source)
    signer.with_ocsp([b"answer"])
    xml = signer.sign(bytes(64), (), datetime.now(UTC)).xml
    assert xml.count(b"<xades:EncapsulatedX509Certificate") == 1
    assert base64.b64encode(other.public_bytes(Encoding.DER)) in xml
    assert keys.make_signer(SimpleNamespace(signatures=SignatureSettings(style="parts")), source).style == "parts"  # type: ignore[arg-type]


def step(source: KeySource) -> str:
    with pytest.raises(NodeKeyInvalid) as told:
        keyfiles.load(source)
    return told.value.next_step


def test_what_to_do_about_a_passphrase_and_a_mode_is_said_with_the_file_it_is_about(
    pair: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, file = pem(pair, tmp_path, b"another"), secret_file(tmp_path)
    locked = KeySource(key=source.key, certificate=source.certificate, passphrase_file=file)
    assert f"the passphrase in the first line of {file} does not open it" in refused(locked)
    assert step(locked) == f"Put the passphrase of this key into the first line of {file}."
    monkeypatch.setenv("KEREGE_TEST_PASSPHRASE", SECRET.decode())
    named = KeySource(key=source.key, certificate=source.certificate, passphrase_env="KEREGE_TEST_PASSPHRASE")
    assert "the environment variable KEREGE_TEST_PASSPHRASE does not open it" in refused(named)
    assert source.key is not None
    source.key.chmod(0o644)
    assert step(source).startswith(f"chmod 600 {source.key}")


def test_a_key_that_this_user_may_not_read_is_not_asked_for_anew(
    pair: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object, **__: object) -> object:  # root may read everything, so the system's answer is given here
        raise PermissionError(13, "Permission denied")

    source = pem(pair, tmp_path)
    monkeypatch.setattr(Path, "open", closed)
    assert step(source) == f"Let the node's user read it, a key nobody else: ls -l {source.key}"
