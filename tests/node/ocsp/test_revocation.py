import asyncio
import http.client
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as form

from kerege.exchange import certs, ocsp
from kerege.exchange.errors import RevocationUnknown
from kerege.exchange.globalconf import OcspResponder, SharedParameters
from kerege.exchange.ids import MemberId, ServerId
from kerege.exchange.pki import KeyPair, TestAuthority
from kerege.exchange.trust import Trust
from kerege.exchange.xades import Signer
from kerege.node.config_types import Address
from kerege.node.errors import CertificateRevoked, KeyNotReady
from kerege.node.keys.expiry import kept_revocations
from kerege.node.keys.pairs import NodeKeys
from kerege.node.ocsp import fetch as ocspfetch
from kerege.node.ocsp import revocation
from kerege.node.ocsp.revocation import Revocation

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
    with pytest.raises(CertificateRevoked) as refused:
        bench.keys.signer(EDU, bench.now)
    assert (
        f"{bench.keys.server} cannot sign for {EDU}: the certificate is revoked since {NOW:%Y-%m-%d %H:%M:%SZ}"
        in str(refused.value)
    )
    assert "order a new certificate" in refused.value.next_step
    assert "orders a new one" in bench.revocation.problem.next_step  # type: ignore[union-attr]
    later = NodeKeys(bench.keys.auth, dict(bench.keys.signers))
    kept_revocations(SimpleNamespace(state=bench.folder), later, trust, bench.now)  # type: ignore[arg-type]
    assert later.revoked == bench.keys.revoked, (
        "a tool beside the node reads it from the answer kept, and verifies that"
    )
    revoked_at = None
    asyncio.run(bench.revocation.refresh_own(trust))
    assert bench.keys.signer(EDU, bench.now).ready
    assert bench.keys.revoked == {}


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


# --- several responders, nonsense, and the peer's own port ---


class Network:
    """Responders and peers by address: each answers with bytes, or an exception."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.responders: dict[str, bytes | Exception] = {}
        self.peers: dict[str, bytes | Exception] = {}
        self.asked: list[str] = []
        monkeypatch.setattr(revocation, "_ask", self.ask)
        monkeypatch.setattr(ocspfetch, "ask_peer", self.ask_peer)

    def ask(self, address: str, data: bytes | None) -> bytes:
        name = next(one for one in self.responders if address.startswith(one))
        self.asked.append(name)
        return _given(self.responders[name])

    def ask_peer(self, place: Address, certificates: list[object], seconds: float) -> list[bytes]:
        self.asked.append(str(place))
        return [_given(self.peers[str(place)])]


def _given(what: bytes | Exception) -> bytes:
    if isinstance(what, Exception):
        raise what
    return what


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    return Network(monkeypatch)


@pytest.fixture
def two(authority: TestAuthority) -> Trust:
    approved = authority.approved("http://one.test/ocsp")
    both = tuple(OcspResponder(f"http://{name}.test/ocsp") for name in ("one", "two"))
    changed = replace(approved, top=replace(approved.top, responders=both))
    return Trust(SharedParameters("KG", (changed,), (), (), ocsp_freshness_seconds=600))


AT = Address("127.0.0.9", 5577)


def ask_at(bench: Bench, trust: Trust, peer: KeyPair) -> bytes:
    return asyncio.run(bench.revocation.of_peer(trust, certs.der(peer.certificate), bench.now, AT))[1]


@pytest.mark.parametrize("first", ["away", "garbage", "stale", "about another", "unsuccessful"])
def test_the_next_responder_is_asked_when_one_gives_nothing_good(
    bench: Bench, two: Trust, peer: KeyPair, authority: TestAuthority, network: Network, first: str
) -> None:
    good = authority.ocsp_response(peer.certificate, NOW)
    network.responders = {
        "http://one.test": {
            "away": OSError("refused"),
            "garbage": b"<html>please log in</html>",
            "stale": authority.ocsp_response(peer.certificate, NOW - timedelta(seconds=700)),
            "about another": authority.ocsp_response(bench.keys.auth.certificate, NOW),
            "unsuccessful": form.OCSPResponseBuilder.build_unsuccessful(form.OCSPResponseStatus.TRY_LATER).public_bytes(
                Encoding.DER
            ),
        }[first],
        "http://two.test": good,
    }
    assert ask(bench, two, peer) == good
    bench.revocation._peers.clear()
    network.asked.clear()
    assert ask(bench, two, peer) == good
    assert network.asked[0] == "http://two.test", "who failed is asked last for a while"


def test_a_no_of_the_first_responder_is_final_whatever_the_second_would_say(
    bench: Bench, two: Trust, peer: KeyPair, authority: TestAuthority, network: Network
) -> None:
    network.responders = {
        "http://one.test": authority.ocsp_response(peer.certificate, NOW, NOW),
        "http://two.test": authority.ocsp_response(peer.certificate, NOW),
    }
    with pytest.raises(RevocationUnknown, match="revoked"):
        ask(bench, two, peer)
    assert set(network.asked) == {"http://one.test"}


@pytest.mark.parametrize("nonsense", [b"<html>please log in</html>", b"", OSError("refused"), ValueError("too large")])
def test_nonsense_and_outages_of_an_hour_leave_the_good_answer_in_place(
    bench: Bench, authority: TestAuthority, network: Network, peer: KeyPair, nonsense: bytes | Exception
) -> None:
    approved = authority.approved("http://one.test/ocsp")
    slow = Trust(SharedParameters("KG", (approved,), (), (), ocsp_freshness_seconds=2 * 3600))
    network.responders = {"http://one.test": authority.ocsp_response(peer.certificate, NOW)}
    good = ask(bench, slow, peer)
    network.responders = {"http://one.test": nonsense}
    for minutes in range(0, 119, 7):
        bench.now = NOW + timedelta(minutes=minutes)
        assert ask(bench, slow, peer) == good
    bench.now = NOW + timedelta(minutes=121)
    with pytest.raises(RevocationUnknown):
        ask(bench, slow, peer)


def test_own_answers_outlive_nonsense_too(
    bench: Bench, trust: Trust, authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(self: Revocation, _: Trust, certificate: object, role: str, now: datetime) -> bytes:
        return authority.ocsp_response(certificate, NOW)  # type: ignore[arg-type]

    monkeypatch.setattr(Revocation, "_fetch", fetch)
    asyncio.run(bench.revocation.refresh_own(trust))
    monkeypatch.setattr(Revocation, "_fetch", lambda *_: b"<html>please log in</html>")
    bench.now = NOW + timedelta(seconds=500)
    asyncio.run(bench.revocation.refresh_own(trust))
    assert "cannot be read" in str(bench.revocation.problem)
    assert bench.keys.ready(EDU, bench.now)
    assert len(bench.revocation.own_answers()) == 4, "two certificates, each by two hashes"
    bench.now = NOW + timedelta(seconds=601)
    assert bench.revocation.own_answers() == {}, "an answer past its time is handed to nobody"


def test_an_answer_that_should_have_been_replaced_is_not_taken(
    bench: Bench, authority: TestAuthority, network: Network, peer: KeyPair
) -> None:
    approved = authority.approved("http://one.test/ocsp")
    long = Trust(SharedParameters("KG", (approved,), (), (), ocsp_freshness_seconds=7 * 86400))
    network.responders = {"http://one.test": authority.ocsp_response(peer.certificate, NOW - timedelta(days=2))}
    with pytest.raises(RevocationUnknown, match="to be replaced"):
        ask(bench, long, peer)


def test_a_responders_clock_may_be_a_little_ahead_and_not_more(authority: TestAuthority, peer: KeyPair) -> None:
    trust = Trust(SharedParameters("KG", (authority.approved("http://one.test"),), (), (), ocsp_freshness_seconds=600))
    answer = authority.ocsp_response(peer.certificate, NOW)
    produced = form.load_der_ocsp_response(answer).produced_at_utc
    trust.check_own_ocsp(peer.certificate, "authentication", answer, produced - timedelta(seconds=60))
    with pytest.raises(RevocationUnknown, match="future"):
        trust.check_own_ocsp(peer.certificate, "authentication", answer, produced - timedelta(seconds=61))


def test_the_peer_is_asked_itself_first_and_its_responder_not_at_all(
    bench: Bench, two: Trust, peer: KeyPair, authority: TestAuthority, network: Network
) -> None:
    network.peers = {str(AT): authority.ocsp_response(peer.certificate, NOW)}
    assert ask_at(bench, two, peer) == network.peers[str(AT)]
    assert network.asked == [str(AT)]


@pytest.mark.parametrize(
    "given", [OSError("refused"), TimeoutError(), ValueError("gigabytes"), http.client.BadStatusLine("x"), b"", b"junk"]
)
def test_a_peer_whose_port_gives_nothing_good_is_passed_over_for_its_responder(
    bench: Bench, two: Trust, peer: KeyPair, authority: TestAuthority, network: Network, given: bytes | Exception
) -> None:
    network.peers = {str(AT): given}
    network.responders = {"http://one.test": authority.ocsp_response(peer.certificate, NOW)}
    for asked in ([str(AT), "http://one.test"], ["http://one.test"]):  # and not asked again for a while
        assert ask_at(bench, two, peer) == network.responders["http://one.test"]
        assert network.asked == asked
        network.asked.clear()
        bench.revocation._peers.clear()


def test_a_stranger_signs_no_answer_for_a_peer(bench: Bench, two: Trust, peer: KeyPair, network: Network) -> None:
    stranger = TestAuthority.create("KG", NOW)
    network.peers = {str(AT): stranger.ocsp_response(peer.certificate, NOW)}
    network.responders = {f"http://{name}.test": OSError("refused") for name in ("one", "two")}
    with pytest.raises(RevocationUnknown):
        ask_at(bench, two, peer)


def test_a_peers_own_word_that_it_is_revoked_is_final(
    bench: Bench, two: Trust, peer: KeyPair, authority: TestAuthority, network: Network
) -> None:
    network.peers = {str(AT): authority.ocsp_response(peer.certificate, NOW)}
    ask_at(bench, two, peer)
    bench.now = NOW + timedelta(seconds=301)
    network.peers = {str(AT): authority.ocsp_response(peer.certificate, NOW, NOW)}
    network.responders = {f"http://{name}.test": OSError("refused") for name in ("one", "two")}
    with pytest.raises(RevocationUnknown, match="revoked"):
        ask_at(bench, two, peer)


def test_all_who_wait_for_one_peer_share_one_question(
    bench: Bench, two: Trust, peer: KeyPair, authority: TestAuthority, network: Network
) -> None:
    network.peers = {str(AT): authority.ocsp_response(peer.certificate, NOW)}

    async def many() -> None:
        der = certs.der(peer.certificate)
        waiting = [asyncio.create_task(bench.revocation.of_peer(two, der, NOW, AT)) for _ in range(20)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # the one who asked first went away
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert sum(isinstance(one, tuple) for one in done) == 19

    asyncio.run(many())
    assert network.asked == [str(AT)]


def test_a_question_that_hangs_does_not_hold_the_loop(
    bench: Bench, two: Trust, peer: KeyPair, authority: TestAuthority, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(address: str, data: bytes | None) -> bytes:
        time.sleep(0.5)
        raise TimeoutError

    monkeypatch.setattr(revocation, "_ask", hang)

    async def main() -> float:
        asked = asyncio.create_task(bench.revocation.of_peer(two, certs.der(peer.certificate), NOW))
        longest, last = 0.0, time.monotonic()
        while not asked.done():
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        with pytest.raises(RevocationUnknown):
            await asked
        return longest

    assert asyncio.run(main()) < 0.4


def test_peers_met_lately_are_asked_about_before_a_message_must_wait(
    bench: Bench, two: Trust, peer: KeyPair, authority: TestAuthority, network: Network
) -> None:
    network.peers = {str(AT): authority.ocsp_response(peer.certificate, NOW)}
    ask_at(bench, two, peer)
    asyncio.run(bench.revocation.refresh_peers(two))
    assert len(network.asked) == 1, "too early"
    bench.now = NOW + timedelta(seconds=250)
    network.peers = {str(AT): authority.ocsp_response(peer.certificate, bench.now)}
    asyncio.run(bench.revocation.refresh_peers(two))
    bench.now = NOW + timedelta(seconds=400)
    assert ask_at(bench, two, peer) == network.peers[str(AT)]
    assert len(network.asked) == 2
    bench.now = NOW + timedelta(hours=2)
    asyncio.run(bench.revocation.refresh_peers(two))
    assert len(network.asked) == 2, "a peer nobody talks to any more is let go"


def test_refreshing_goes_on_for_ever_whatever_happens(
    bench: Bench, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 0

    async def broken(self: Revocation, _: Trust) -> None:
        nonlocal rounds
        rounds += 1
        raise RuntimeError("nobody foresaw this")

    pause = asyncio.sleep
    monkeypatch.setattr(Revocation, "refresh_own", broken)
    monkeypatch.setattr(revocation.asyncio, "sleep", lambda _: pause(0))

    async def main() -> None:
        task = asyncio.create_task(bench.revocation.run(lambda: trust))
        while rounds < 5:
            await pause(0)
        assert not task.done()
        task.cancel()

    asyncio.run(main())


def test_a_key_that_is_adopted_during_a_renewal_keeps_the_answer_about_it(
    bench: Bench, trust: Trust, authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The renewal was begun with the old keys, and clears away what is about none of them."""
    new = authority.auth_certificate(ServerId.parse("KG/GOV/70000003/node-edu"), "Education", NOW)
    about = [new.certificate, bench.keys.auth.certificate, *(one.certificate for one in bench.keys.signers.values())]
    answers = {ocsp.request_for(one, authority.ca.certificate): authority.ocsp_response(one, NOW) for one in about}
    asked: list[bytes] = []

    def slow(_: str, data: bytes | None) -> bytes:
        assert data is not None
        asked.append(data)
        if answers[data] != authority_says_of_new:
            time.sleep(0.2)
        return answers[data]

    authority_says_of_new = answers[ocsp.request_for(new.certificate, authority.ca.certificate)]
    monkeypatch.setattr(revocation, "_ask", slow)

    async def main() -> None:
        under_way = asyncio.create_task(bench.revocation.refresh_own(trust))
        await asyncio.sleep(0.05)
        await bench.revocation.adopt_auth(trust, new)
        await under_way
        assert bench.revocation.own_until(new.certificate) is not None
        assert bench.revocation.auth_answer == (authority_says_of_new,)
        assert asked.count(ocsp.request_for(new.certificate, authority.ca.certificate)) == 1

    asyncio.run(main())
