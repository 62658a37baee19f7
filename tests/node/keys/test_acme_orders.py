"""Certificates ordered and renewed by ACME against a small server of the tests, and taken into use without a restart."""

import asyncio
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from kerege.exchange import certs
from kerege.exchange.errors import RevocationUnknown
from kerege.exchange.globalconf import SecurityServer, SharedParameters
from kerege.exchange.ids import MemberId, ServerId
from kerege.exchange.pki import KeyPair, TestAuthority, save_pair
from kerege.exchange.trust import Trust
from kerege.node.config_types import Address, KeySource, SignatureSettings, TokenKey
from kerege.node.errors import CertificateOrderFailed, NodeConfigInvalid
from kerege.node.http.listener import Listener
from kerege.node.http.messages import ServerLimits
from kerege.node.keys import files as keyfiles
from kerege.node.keys import pairs as keys
from kerege.node.keys.acme_client import Account, AcmeAuthority, Challenges, subject_for
from kerege.node.keys.acme_orders import PROFILES, Hooks, Renewals, order_now, read_settings
from kerege.node.ocsp.revocation import Revocation

sys.path.insert(0, str(Path(__file__).parents[1]))

from acme_server import AcmeServer, Refused

EDU = MemberId("KG", "GOV", "70000003")
SERVER = ServerId.parse("KG/GOV/70000003/node-edu")
NAMES = ["node-edu.test", "second.test"]


def usage(**on: bool) -> x509.KeyUsage:
    every = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    more = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: on.get(name, False) for name in (*every, *more)})


BOTH = usage(content_commitment=True, digital_signature=True)


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority.create("KG", datetime.now(UTC))


@dataclass
class Bench:
    """A node's configuration with `keys.acme`, its challenge listener, and the server it orders from."""

    folder: Path
    authority: TestAuthority
    server: AcmeServer
    challenge: Address
    changes: dict[str, Any] = field(default_factory=dict)
    token: TokenKey | None = None
    passphrase_file: Path | None = None
    listed: frozenset[str] = frozenset()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def config(self) -> Any:
        source = {"passphrase_file": self.passphrase_file}
        acme = {
            "directory": self.server.url,
            "contact": "ops@node-edu.test",
            "challenge": str(self.challenge),
            "names": NAMES,
            "organisation": "Билим берүү министрлиги",
            "orders": ["auth", str(EDU)],
            "key": "ec",
            **self.changes,
        }
        return SimpleNamespace(
            file=self.folder / "node.yaml",
            server=SERVER,
            state=self.folder / "state",
            acme={name: value for name, value in acme.items() if value is not None},
            auth=KeySource(key=self.folder / "auth.key", certificate=self.folder / "auth.pem", **source),
            sign={
                EDU: KeySource(certificate=self.folder / "sign.pem", token=self.token)
                if self.token is not None
                else KeySource(key=self.folder / "sign.key", certificate=self.folder / "sign.pem", **source)
            },
            signatures=SignatureSettings(),
        )

    def trust(self) -> Trust:
        server = SecurityServer(SERVER, "node-edu.test", self.listed, ())
        approved = self.authority.approved("http://127.0.0.1:1/ocsp")
        return Trust(SharedParameters("KG", (approved,), (), (server,), ocsp_freshness_seconds=600))

    def renewals(self, hooks: Hooks | None = None) -> tuple[Renewals, Challenges]:
        config, challenges = self.config(), Challenges()
        settings = read_settings(config)
        assert settings is not None
        made = AcmeAuthority(settings.account, config.state, challenges, seconds=8.0)
        return Renewals(config, settings, made, lambda: self.now, hooks or Hooks(trust=self.trust)), challenges

    def run(self, work: Any, hooks: Hooks | None = None, *, listen: bool = True) -> Any:
        """`work(renewals)` beside a challenge listener."""
        renewals, challenges = self.renewals(hooks)

        async def main() -> Any:
            listener = Listener(challenges.handle, ServerLimits(1000))
            if listen:
                await listener.open(self.challenge)
            try:
                return await work(renewals)
            finally:
                listener.close()

        return asyncio.run(main())


@pytest.fixture
def bench(tmp_path: Path, authority: TestAuthority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    import socket

    from acme import client

    # the library asks once a second whether an order is done; here it always is, or never
    monkeypatch.setattr(client, "time", SimpleNamespace(sleep=lambda seconds: time.sleep(seconds / 50)))
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    server = AcmeServer(authority, port, BOTH)
    yield Bench(tmp_path, authority, server, Address("127.0.0.1", port))
    server.close()


def test_a_first_certificate_is_ordered_with_a_subject_that_names_the_member(bench: Bench) -> None:
    source = bench.run(lambda renewals: renewals.order(EDU))
    pair = keyfiles.load(source)
    assert certs.signer_of(pair.certificate, bench.trust().shared.authorities[0], "KG") == EDU
    assert pair.chain == (bench.authority.ca.certificate,)
    assert pair.certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)[0].value == "KG/node-edu/GOV"
    assert bench.server.orders["0"]["names"] == NAMES, "host names are proven, the member's code is no host name"
    assert bench.server.contacts == [["mailto:ops@node-edu.test"]]
    assert len(bench.server.asked) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_a_node_orders_under_names_the_member_it_is_for(profile: str) -> None:
    full = f"ee.ria.xroad.common.certificateprofile.impl.{profile}CertificateProfileInfoProvider"
    now = datetime.now(UTC)
    authority = TestAuthority.create("KG", now)
    from dataclasses import replace

    from cryptography.hazmat.primitives import hashes

    subject = subject_for(full, EDU, "node-edu", "Education", auth=False)
    key = authority.ca.key
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    certificate = built.sign(key, hashes.SHA256())
    assert certs.signer_of(certificate, replace(authority.approved("http://x"), profile=full), "KG") == EDU


def test_a_second_order_goes_over_the_same_account_with_a_new_key(bench: Bench) -> None:
    async def twice(renewals: Renewals) -> tuple[KeyPair, KeyPair]:
        first = keyfiles.load(await renewals.order(EDU))
        bench.now += timedelta(seconds=2)
        return first, keyfiles.load(await renewals.order(EDU))

    first, second = bench.run(twice)
    assert first.key.public_key() != second.key.public_key()
    assert len(bench.server.accounts) == 1
    account = next((bench.folder / "state/acme").iterdir())
    assert account.stat().st_mode & 0o777 == 0o600


def test_the_new_key_is_under_the_passphrase_of_the_old_one(bench: Bench) -> None:
    bench.passphrase_file = bench.folder / "passphrase"
    bench.passphrase_file.write_bytes(b"ak-kuu\n")
    bench.passphrase_file.chmod(0o600)
    source = bench.run(lambda renewals: renewals.order(EDU))
    assert b"ENCRYPTED" in source.key.read_bytes()
    assert keyfiles.load(source).certificate


def test_an_account_is_bound_to_one_the_authority_knows(bench: Bench) -> None:
    mac = bench.folder / "mac"
    mac.write_text("c2VjcmV0LW9mLXRoZS1hdXRob3JpdHk")
    mac.chmod(0o600)
    bench.changes["binding"] = {"key_id": "kid-7", "mac_key_file": "mac"}
    bench.run(lambda renewals: renewals.order(EDU))
    assert bench.server.external[0]["protected"]


def test_a_node_without_any_key_orders_its_first_ones_and_can_start(bench: Bench) -> None:
    renewals, challenges = bench.renewals(Hooks())
    assert renewals.due("auth", bench.now)
    assert renewals.due(EDU, bench.now)
    asyncio.run(order_now(renewals, challenges, ["auth", EDU]))
    held = keys.load_keys(bench.config())
    assert held.auth.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "node-edu"
    assert set(held.signers) == {EDU}
    assert renewals.waiting("auth") is None
    assert not renewals.due(EDU, bench.now)
    bench.now += timedelta(seconds=2)
    first = held.signers[EDU].certificate
    asyncio.run(order_now(renewals, challenges, [EDU]))
    assert keys.load_keys(bench.config()).signers[EDU].certificate == first, "where there is one, the new one waits"
    assert renewals.waiting(EDU) is not None


def test_an_order_whose_tokens_cannot_be_served_says_where(bench: Bench) -> None:
    import socket

    renewals, challenges = bench.renewals(Hooks())
    with socket.create_server(("127.0.0.1", bench.challenge.port)), pytest.raises(CertificateOrderFailed) as told:
        asyncio.run(order_now(renewals, challenges, [EDU]))
    assert "keys.acme.challenge" in told.value.text


def renewing(bench: Bench) -> tuple[keys.NodeKeys, Hooks, list[KeyPair]]:
    """A node's keys about to run out, and hooks as the running node has them."""
    now = bench.now
    save_pair(bench.authority.auth_certificate(SERVER, "Education", now), bench.folder, "auth")
    save_pair(bench.authority.sign_certificate(EDU, "Education", "node-edu", now), bench.folder, "sign")
    config = bench.config()
    held = keys.load_keys(config)
    revocation = Revocation(held, bench.folder / "state", lambda: bench.now)
    revocation._fetch = lambda _, certificate, role, moment: bench.authority.ocsp_response(certificate, moment)  # type: ignore[method-assign,assignment]
    shown: list[KeyPair] = []

    async def use_auth(pair: KeyPair) -> None:
        await revocation.adopt_auth(bench.trust(), pair)
        shown.append(pair)

    async def use_signer(member: MemberId, source: KeySource) -> None:
        await revocation.adopt_signer(bench.trust(), member, keys.make_signer(config, source))

    return held, Hooks(bench.trust, use_auth, use_signer), shown


def test_nothing_is_ordered_while_there_is_time(bench: Bench) -> None:
    _, hooks, _ = renewing(bench)
    bench.run(lambda renewals: renewals.look(), hooks)
    assert bench.server.orders == {}


def test_a_signing_certificate_is_renewed_and_signs_at_once_and_after_a_restart(bench: Bench) -> None:
    bench.changes["orders"] = [str(EDU)]
    held, hooks, _ = renewing(bench)
    bench.changes["renew_days"] = 4000
    before = held.signers[EDU].certificate
    # the certificates of the test authority run ten years: the third of a life before the end begins after six and more
    pair = bench.run(lambda r: _due_then_look(r, bench), hooks)
    after = held.signers[EDU].certificate
    assert after != before
    assert after == pair.certificate
    assert held.ready(EDU, bench.now)
    assert keys.load_signer(bench.config(), EDU).certificate == after, "a restart finds the renewed pair"
    assert not (bench.folder / "state/keys" / keys.sign_name(EDU) / "waiting.json").exists()


async def _due_then_look(renewals: Renewals, bench: Bench) -> KeyPair:
    """Jump to the certificates' last years by making them look older: the clock is the bench's, the server's is real."""
    renewals._early = lambda certificate: timedelta(days=4000)  # type: ignore[method-assign]
    assert renewals.due(EDU, bench.now) or renewals.due("auth", bench.now)
    await renewals.look()
    renewals._early = lambda certificate: timedelta(0)  # type: ignore[method-assign]
    pair = renewals.in_use(renewals.settings.orders[0])
    assert pair is not None
    return pair


def test_an_authentication_certificate_waits_until_the_configuration_lists_it(bench: Bench) -> None:
    bench.changes["orders"] = ["auth"]
    held, hooks, shown = renewing(bench)
    before = held.auth.certificate

    async def work(renewals: Renewals) -> None:
        renewals._early = lambda certificate: timedelta(days=4000)  # type: ignore[method-assign]
        await renewals.look()
        assert "authCertReg" in renewals.problems["auth"].text
        assert held.auth.certificate == before
        renewals._early = lambda certificate: timedelta(0)  # type: ignore[method-assign]
        await renewals.look()
        assert len(bench.server.orders) == 1, "what waits is not ordered again"
        waiting = renewals.waiting("auth")
        assert waiting is not None
        bench.listed = frozenset(certs.auth_hashes(keyfiles.load(waiting).certificate)[:1])
        await renewals.look()
        assert renewals.problems == {}

    bench.run(work, hooks)
    assert held.auth.certificate != before
    assert [pair.certificate for pair in shown] == [held.auth.certificate]
    assert keys.load_auth(bench.config()).certificate == held.auth.certificate


def test_a_new_signing_certificate_without_a_good_ocsp_answer_leaves_the_old_one_signing(bench: Bench) -> None:
    bench.changes["orders"] = [str(EDU)]
    held, hooks, _ = renewing(bench)
    before = held.signers[EDU]

    async def refuses(member: MemberId, source: KeySource) -> None:
        raise RevocationUnknown(subject="x", reason="the responder does not know the certificate")

    hooks.signer = refuses

    async def work(renewals: Renewals) -> None:
        renewals._early = lambda certificate: timedelta(days=4000)  # type: ignore[method-assign]
        await renewals.look()
        assert "does not know" in renewals.problems[keys.sign_name(EDU)].text
        assert renewals.waiting(EDU) is not None

    bench.run(work, hooks)
    assert held.signers[EDU] is before
    assert keys.load_signer(bench.config(), EDU).certificate == before.certificate


def wrong_owner(name: x509.Name) -> x509.Name:
    return subject_for("FiVRK", MemberId("KG", "GOV", "70000002"), "node-edu", "Other", auth=False)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("use", "key usage is not for signing"),
        ("owner", "is for KG/GOV/70000002"),
        ("authority", "no approved certification authority"),
        ("expired", "the moment that counts"),
    ],
)
def test_what_the_authority_made_wrong_is_never_pointed_to(bench: Bench, spoil: str, reason: str) -> None:
    if spoil == "use":
        bench.server.usage = usage(digital_signature=True)
    elif spoil == "owner":
        bench.server.subject = wrong_owner
    elif spoil == "authority":
        bench.server.authority = TestAuthority.create("KG", datetime.now(UTC))
    else:
        bench.now += timedelta(days=100)
    with pytest.raises(CertificateOrderFailed, match=reason):
        bench.run(lambda renewals: renewals.order(EDU))
    assert bench.renewals()[0].waiting(EDU) is None


def test_refusals_and_silence_of_the_authority_are_told_with_what_to_do(bench: Bench) -> None:
    bench.server.refuse = Refused("rateLimited", "too many\nthis week", 429)
    with pytest.raises(CertificateOrderFailed, match=r"rateLimited: too many this week\."):
        bench.run(lambda renewals: renewals.order(EDU))
    bench.server.refuse = None
    with pytest.raises(CertificateOrderFailed, match="could not confirm the node's host name"):
        bench.run(lambda renewals: renewals.order(EDU), listen=False)
    bench.server.close()
    with pytest.raises(CertificateOrderFailed, match="could not be reached"):
        bench.run(lambda renewals: renewals.order(EDU))


def test_looking_never_raises_and_keeps_what_went_wrong(bench: Bench) -> None:
    bench.server.close()

    async def work(renewals: Renewals) -> None:
        await renewals.look()
        assert set(renewals.problems) == {"auth", keys.sign_name(EDU)}

        def broken(*_: object) -> None:
            raise RuntimeError("nobody foresaw this")

        renewals.authority.order = broken  # type: ignore[method-assign,assignment]
        await renewals.look()
        assert "RuntimeError" in renewals.problems["auth"].text

    bench.run(work)


def test_the_challenge_listener_answers_tokens_and_nothing_else() -> None:
    from kerege.node.http.messages import HttpRequest

    challenges = Challenges()
    challenges.put("/.well-known/acme-challenge/tok", b"tok.thumb")

    def status(method: str, target: str) -> int:
        return asyncio.run(challenges.handle(HttpRequest(method, target, (), b"", None, "127.0.0.1"))).status

    assert status("GET", "/.well-known/acme-challenge/tok") == 200
    assert status("POST", "/.well-known/acme-challenge/tok") == 404
    assert status("GET", "/.well-known/acme-challenge/other") == 404
    assert status("GET", "/r1") == 404
    challenges.drop("/.well-known/acme-challenge/tok")
    assert status("GET", "/.well-known/acme-challenge/tok") == 404


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"names": []}, "names"),
        ({"orders": ["KG/GOV/1"]}, "orders"),
        ({"profile": "Mine"}, "profile"),
        ({"key": "dsa"}, "key"),
        ({"surprise": 1}, "surprise"),
        ({"challenge": "everywhere"}, "challenge"),
        ({"directory": None}, "directory"),
    ],
)
def test_a_section_that_is_wrong_is_told_by_its_key(bench: Bench, changes: dict[str, Any], key: str) -> None:
    bench.changes = changes
    with pytest.raises(NodeConfigInvalid, match=key):
        read_settings(bench.config())


def test_keys_on_tokens_are_not_renewed_and_plain_http_is_spoken_on_this_machine_only(bench: Bench) -> None:
    bench.token = TokenKey(Path("/x.so"), "t", "k")
    with pytest.raises(NodeConfigInvalid, match="token"):
        read_settings(bench.config())
    with pytest.raises(CertificateOrderFailed, match="not https"):
        AcmeAuthority(Account("http://ca.test/directory"), bench.folder, Challenges())
