import asyncio
import http.client
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kerege.exchange import certs
from kerege.exchange.errors import RevocationUnknown
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import MemberId, ServerId
from kerege.exchange.pki import KeyPair, TestAuthority
from kerege.exchange.trust import Trust
from kerege.exchange.xades import Signer
from kerege.node import revocation
from kerege.node.errors import KeyNotReady
from kerege.node.keys import NodeKeys
from kerege.node.revocation import Revocation

NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(
    hours=2
)  # after the real moment at which OCSP answers are produced
EDU = MemberId("KG", "GOV", "70000003")


class Responder:
    """Stands where the network is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer: bytes | None = None
        self.asked = 0
        monkeypatch.setattr(revocation, "_ask", self.ask)

    def ask(self, address: str, data: bytes | None) -> bytes:
        self.asked += 1
        if self.answer is None:
            raise OSError("connection refused")
        return self.answer


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority.create("KG", NOW)


@pytest.fixture(scope="module")
def peer(authority: TestAuthority) -> KeyPair:
    return authority.auth_certificate(ServerId.parse("KG/GOV/70000002/node-reg"), "Population", NOW)


@pytest.fixture
def responder(monkeypatch: pytest.MonkeyPatch) -> Responder:
    return Responder(monkeypatch)


@pytest.fixture
def trust(authority: TestAuthority) -> Trust:
    return Trust(
        SharedParameters("KG", (authority.approved("http://127.0.0.1:1/ocsp"),), (), (), ocsp_freshness_seconds=600)
    )


class Bench:
    def __init__(self, authority: TestAuthority, folder: Path) -> None:
        auth = authority.auth_certificate(ServerId.parse("KG/GOV/70000003/node-edu"), "Education", NOW)
        sign = authority.sign_certificate(EDU, "Education", "node-edu", NOW)
        self.keys = NodeKeys(auth, {EDU: Signer(sign.key, sign.certificate)})
        self.folder = folder
        self.now = NOW
        self.revocation = self.again()

    def again(self) -> Revocation:
        self.revocation = Revocation(self.keys, self.folder, lambda: self.now)
        return self.revocation


@pytest.fixture
def bench(authority: TestAuthority, tmp_path: Path) -> Bench:
    return Bench(authority, tmp_path)


def ask(bench: Bench, trust: Trust, peer: KeyPair) -> bytes:
    return asyncio.run(bench.revocation.of_peer(trust, certs.der(peer.certificate), bench.now))[1]


def test_a_peers_answer_is_fetched_once_and_again_at_half_time(
    bench: Bench, trust: Trust, peer: KeyPair, authority: TestAuthority, responder: Responder
) -> None:
    responder.answer = authority.ocsp_response(peer.certificate, NOW)
    ask(bench, trust, peer)
    ask(bench, trust, peer)
    assert responder.asked == 1
    bench.now = NOW + timedelta(seconds=301)
    ask(bench, trust, peer)
    assert responder.asked == 2


def test_a_revocation_is_noticed_and_no_older_answer_stands_in(
    bench: Bench, trust: Trust, peer: KeyPair, authority: TestAuthority, responder: Responder
) -> None:
    responder.answer = authority.ocsp_response(peer.certificate, NOW)
    ask(bench, trust, peer)
    bench.now = NOW + timedelta(seconds=301)
    responder.answer = authority.ocsp_response(peer.certificate, NOW, NOW)
    for _ in range(2):
        with pytest.raises(RevocationUnknown, match="revoked"):
            ask(bench, trust, peer)
    responder.answer = None  # not even when the responder goes away, or the node starts anew
    for _ in range(2):
        with pytest.raises(RevocationUnknown, match="did not answer"):
            ask(bench, trust, peer)
        bench.again()


def test_while_the_responder_is_away_the_old_answer_serves_until_its_own_time_is_over(
    bench: Bench, trust: Trust, peer: KeyPair, authority: TestAuthority, responder: Responder
) -> None:
    responder.answer = good = authority.ocsp_response(peer.certificate, NOW)
    ask(bench, trust, peer)
    responder.answer = None
    bench.now = NOW + timedelta(seconds=500)
    assert ask(bench, trust, peer) == good
    bench.now = NOW + timedelta(seconds=601)
    with pytest.raises(RevocationUnknown):
        ask(bench, trust, peer)


def test_a_node_starts_with_the_answer_kept_on_disk_when_its_responder_is_away(
    bench: Bench, trust: Trust, authority: TestAuthority, monkeypatch: pytest.MonkeyPatch, responder: Responder
) -> None:
    answers = {
        certs.der_sha256(c): authority.ocsp_response(c, NOW)
        for c in (bench.keys.auth.certificate, bench.keys.signers[EDU].certificate)
    }
    away = False

    def fetch(self: Revocation, _: Trust, certificate: object, role: str, now: datetime) -> bytes:
        if away:
            return original(self, trust, certificate, role, now)  # type: ignore[arg-type]
        return answers[certs.der_sha256(certificate)]  # type: ignore[arg-type]

    original = Revocation._fetch
    monkeypatch.setattr(Revocation, "_fetch", fetch)
    asyncio.run(bench.revocation.refresh_own(trust))
    assert bench.keys.signers[EDU].ready
    away = True
    bench.keys.signers[EDU].with_ocsp([])
    asyncio.run(bench.again().refresh_own(trust))
    assert bench.keys.signers[EDU].ready
    assert len(bench.revocation.auth_answer) == 1
    bench.now = NOW + timedelta(seconds=601)
    asyncio.run(bench.again().refresh_own(trust))
    assert not bench.keys.signers[EDU].ready, "an answer past its time signs nothing"


def test_an_own_certificate_that_was_revoked_stops_signing_at_once(
    bench: Bench, trust: Trust, authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    revoked_at: datetime | None = None

    def fetch(self: Revocation, _: Trust, certificate: object, role: str, now: datetime) -> bytes:
        return authority.ocsp_response(certificate, NOW, revoked_at)  # type: ignore[arg-type]

    monkeypatch.setattr(Revocation, "_fetch", fetch)
    asyncio.run(bench.revocation.refresh_own(trust))
    assert bench.keys.signers[EDU].ready
    revoked_at = NOW
    bench.now = NOW + timedelta(seconds=301)
    asyncio.run(bench.revocation.refresh_own(trust))
    assert not bench.keys.signers[EDU].ready
    assert "revoked" in str(bench.revocation.problem)


def test_a_signing_key_is_ready_only_as_long_as_its_answer_is_good(
    bench: Bench, trust: Trust, authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(self: Revocation, _: Trust, certificate: object, role: str, now: datetime) -> bytes:
        return authority.ocsp_response(certificate, NOW)  # type: ignore[arg-type]

    monkeypatch.setattr(Revocation, "_fetch", fetch)
    asyncio.run(bench.revocation.refresh_own(trust))
    bench.keys.signer(EDU, NOW + timedelta(seconds=599))
    with pytest.raises(KeyNotReady):  # although nobody refreshed in between
        bench.keys.signer(EDU, NOW + timedelta(seconds=600))
    assert bench.revocation.auth_until == NOW + timedelta(seconds=600)


@pytest.mark.parametrize("problem", [http.client.BadStatusLine("garbage"), http.client.IncompleteRead(b"")])
def test_a_responder_that_does_not_speak_http_is_one_that_is_away(
    bench: Bench, trust: Trust, peer: KeyPair, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def ask_nothing(address: str, data: bytes | None) -> bytes:
        raise problem

    monkeypatch.setattr(revocation, "_ask", ask_nothing)
    with pytest.raises(RevocationUnknown, match=type(problem).__name__):
        ask(bench, trust, peer)
    asyncio.run(bench.revocation.refresh_own(trust))
    assert type(problem).__name__ in str(bench.revocation.problem)


def test_an_answer_that_breaks_its_reader_counts_as_none_and_the_good_one_stays(
    bench: Bench, trust: Trust, authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(self: Revocation, _: Trust, certificate: object, role: str, now: datetime) -> bytes:
        return authority.ocsp_response(certificate, NOW)  # type: ignore[arg-type]

    monkeypatch.setattr(Revocation, "_fetch", fetch)
    asyncio.run(bench.revocation.refresh_own(trust))

    def breaks(*_: object) -> datetime:
        raise TypeError("deep inside")

    monkeypatch.setattr(trust, "check_own_ocsp", breaks)
    bench.now = NOW + timedelta(seconds=301)
    asyncio.run(bench.revocation.refresh_own(trust))
    assert "TypeError" in str(bench.revocation.problem)
    assert bench.keys.ready(EDU, bench.now)
