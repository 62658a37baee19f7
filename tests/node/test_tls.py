"""TLS between servers: every cipher family shakes hands, strangers do not, sessions resume, keys roll over."""

import asyncio
import shutil
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop

from kerege.exchange.ids import ServerId
from kerege.exchange.pki import KeyPair, TestAuthority, save_pair
from kerege.node import tls

NOW = datetime.now(UTC)
EDU, REG = ServerId.parse("KG/GOV/70000003/node-edu"), ServerId.parse("KG/GOV/70000002/node-reg")


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority.create("KG", NOW)


@pytest.fixture(scope="module")
def pairs(authority: TestAuthority) -> dict[str, KeyPair]:
    return {kind: authority.auth_certificate(REG, "Population", NOW, kind) for kind in ("rsa", "ec")}


def server(pair: KeyPair, authority: TestAuthority) -> ssl.SSLContext:
    context = tls.server_context(pair)
    tls.add_authorities(context, [authority.ca.certificate, authority.ca.certificate])
    return context


def client(pair: KeyPair, authority: TestAuthority) -> ssl.SSLContext:
    context = tls.client_context(pair)
    tls.add_authorities(context, [authority.ca.certificate])
    return context


def shake(one: ssl.SSLContext, other: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A handshake in memory, and a word each way, so that tickets arrive."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    at_client = one.wrap_bio(down, up, server_hostname="127.0.0.1")
    at_server = other.wrap_bio(up, down, server_side=True)
    for _ in range(5):
        for end in (at_client, at_server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    at_client.write(b"asked")
    assert at_server.read(100) == b"asked"
    at_server.write(b"answered")
    assert at_client.read(100) == b"answered"
    return at_client, at_server


FAMILIES = [
    ("rsa", "ECDHE-RSA-AES256-GCM-SHA384"),
    ("rsa", "ECDHE-RSA-AES128-GCM-SHA256"),
    ("rsa", "ECDHE-RSA-AES256-SHA384"),
    ("rsa", "DHE-RSA-AES256-SHA256"),
    ("rsa", "DHE-RSA-AES256-GCM-SHA384"),
    ("ec", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("ec", "ECDHE-ECDSA-AES256-SHA384"),
]


@pytest.mark.parametrize(("kind", "cipher"), FAMILIES)
def test_every_cipher_family_an_x_road_server_speaks_shakes_hands_both_ways(
    authority: TestAuthority, pairs: dict[str, KeyPair], kind: str, cipher: str
) -> None:
    for limited in ("client", "server"):
        ours, theirs = client(pairs[kind], authority), server(pairs[kind], authority)
        narrow = ours if limited == "client" else theirs
        narrow.maximum_version = ssl.TLSVersion.TLSv1_2
        narrow.set_ciphers(cipher)
        at_client, at_server = shake(ours, theirs)
        assert at_client.cipher() == at_server.cipher()
        assert (at_client.cipher() or ("",))[0] == cipher
        assert at_server.getpeercert(True) == ssl.PEM_cert_to_DER_cert(_pem(pairs[kind]))


def _pem(pair: KeyPair) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return pair.certificate.public_bytes(Encoding.PEM).decode()


def test_left_to_itself_a_pair_speaks_1_3_and_in_1_2_gcm(authority: TestAuthority, pairs: dict[str, KeyPair]) -> None:
    at_client, _ = shake(client(pairs["rsa"], authority), server(pairs["rsa"], authority))
    assert at_client.version() == "TLSv1.3"
    old = client(pairs["rsa"], authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    at_client, _ = shake(old, server(pairs["rsa"], authority))
    assert (at_client.version(), (at_client.cipher() or ("",))[0]) == ("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384")


def test_1_1_and_suites_without_forward_secrecy_are_not_spoken(
    authority: TestAuthority, pairs: dict[str, KeyPair]
) -> None:
    names = {one["name"] for one in server(pairs["rsa"], authority).get_ciphers()}
    assert {name for _, name in FAMILIES} <= names
    assert all(name.startswith(("TLS_", "ECDHE-", "DHE-RSA-")) for name in names)
    assert server(pairs["rsa"], authority).minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_without_certificate_or_of_a_strange_authority_is_refused(
    authority: TestAuthority, pairs: dict[str, KeyPair], version: ssl.TLSVersion
) -> None:
    strange = TestAuthority.create("XX", NOW)
    with_strange = client(strange.auth_certificate(EDU, "Stranger", NOW), authority)
    without = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    without.check_hostname, without.verify_mode = False, ssl.CERT_NONE
    for one in (with_strange, without):
        one.maximum_version = version
        with pytest.raises(ssl.SSLError):
            shake(one, server(pairs["rsa"], authority))


def test_what_a_server_showed_is_there_to_be_checked_whoever_issued_it(
    authority: TestAuthority, pairs: dict[str, KeyPair]
) -> None:
    """OpenSSL would refuse a server whose certificate is for client authentication only, as X-Road's may be; `peers` decides."""
    shown = TestAuthority.create("XX", NOW).auth_certificate(REG, "Stranger", NOW)
    at_client, _ = shake(client(pairs["ec"], authority), server(shown, authority))
    assert at_client.getpeercert(True) == ssl.PEM_cert_to_DER_cert(_pem(shown))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_second_connection_resumes_the_first_and_the_client_is_still_known(
    authority: TestAuthority, pairs: dict[str, KeyPair], version: ssl.TLSVersion
) -> None:
    ours, theirs = client(pairs["ec"], authority), server(pairs["rsa"], authority)
    ours.maximum_version = version
    first, _ = shake(ours, theirs)
    again, at_server = shake(ours, theirs)
    assert (first.session_reused, again.session_reused) == (False, True)
    assert at_server.getpeercert(True) == ssl.PEM_cert_to_DER_cert(_pem(pairs["ec"]))
    assert again.getpeercert(True) == ssl.PEM_cert_to_DER_cert(_pem(pairs["rsa"]))
    other = server(pairs["ec"], authority)  # another server under the same name: a full handshake, its own certificate
    third, _ = shake(ours, other)
    assert not third.session_reused
    assert third.getpeercert(True) == ssl.PEM_cert_to_DER_cert(_pem(pairs["ec"]))


def test_a_new_key_is_shown_on_the_next_connection_and_nothing_older_is_resumed(
    authority: TestAuthority, pairs: dict[str, KeyPair]
) -> None:
    ours, theirs = client(pairs["rsa"], authority), server(pairs["rsa"], authority)
    shake(ours, theirs)
    newer = authority.auth_certificate(EDU, "Education", NOW)
    tls.use_key(ours, newer)
    again, at_server = shake(ours, theirs)
    assert not again.session_reused
    assert at_server.getpeercert(True) == ssl.PEM_cert_to_DER_cert(_pem(newer))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_connections_of_an_event_loop_resume(
    authority: TestAuthority, pairs: dict[str, KeyPair], run: Callable[[Awaitable[list[bool]]], list[bool]]
) -> None:
    ours, theirs = client(pairs["ec"], authority), server(pairs["rsa"], authority)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"answer")
        writer.close()

    async def main() -> list[bool]:
        listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=theirs)
        port = listening.sockets[0].getsockname()[1]
        found = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=ours, server_hostname="127.0.0.1")
            writer.write(b"hello")
            assert await reader.read(100) == b"answer"
            found.append(bool(writer.get_extra_info("ssl_object").session_reused))
            writer.close()
        listening.close()
        return found

    assert run(main()) == [False, True, True]


def test_the_group_is_the_one_of_rfc_7919() -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_parameters

    numbers = load_pem_parameters(tls.FFDHE2048.encode()).parameter_numbers()  # type: ignore[attr-defined]
    # p = 2^2048 - 2^1984 + (floor(2^1918 * e) + 560316) * 2^64 - 1, e summed as a series of integers
    scale, term, total = 1 << 2100, 1 << 2100, 0
    for n in range(1, 400):
        total, term = total + term, term // n
    e = total * (1 << 1918) // scale
    assert numbers.p == 2**2048 - 2**1984 + (e + 560316) * 2**64 - 1
    assert numbers.g == 2


@pytest.fixture
def listening(authority: TestAuthority, pairs: dict[str, KeyPair]) -> Iterator[int]:
    loop = asyncio.new_event_loop()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    made = loop.run_until_complete(asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=server(pairs["rsa"], authority)))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield made.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(made.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


@pytest.mark.parametrize(
    "suite",
    ["ECDHE-RSA-AES256-SHA384", "DHE-RSA-AES256-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "TLS_AES_256_GCM_SHA384"],
)
def test_openssl_as_the_other_server_agrees(
    authority: TestAuthority, pairs: dict[str, KeyPair], listening: int, tmp_path: Path, suite: str
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("not there: openssl")
    save_pair(pairs["rsa"], tmp_path, "own")
    save_pair(authority.ca, tmp_path, "ca")
    version = ["-tls1_3", "-ciphersuites", suite] if suite.startswith("TLS_") else ["-tls1_2", "-cipher", suite]
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{listening}", "-cert", "own.pem", "-key", "own.key"]
    done = subprocess.run(
        [*command, "-CAfile", "ca.pem", "-verify_return_error", *version],
        cwd=tmp_path, input=b"", capture_output=True, timeout=30,
    )  # fmt: skip
    said = done.stdout.decode("utf-8", "replace")
    assert f"Cipher is {suite}" in said
    assert "Verify return code: 0 (ok)" in said
