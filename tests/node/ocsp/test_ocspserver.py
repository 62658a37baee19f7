"""The OCSP port: answers by certificate hash, in order, to X-Road's parameters; nothing about anybody else."""

import asyncio
import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import certs, ocsp
from kerege.exchange.ids import ServerId
from kerege.exchange.pki import KeyPair, TestAuthority
from kerege.node.config_types import Address
from kerege.node.http.listener import Listener
from kerege.node.http.messages import HttpRequest, HttpResponse, ServerLimits
from kerege.node.ocsp.fetch import ask_peer
from kerege.node.ocsp.server import OcspServer

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def pairs() -> list[KeyPair]:
    authority = TestAuthority.create("KG", NOW)
    servers = [ServerId.parse(f"KG/GOV/70000002/node-{n}") for n in range(2)]
    return [authority.auth_certificate(one, "Population", NOW) for one in servers]


def known(pairs: list[KeyPair]) -> dict[str, bytes]:
    out = {}
    for number, pair in enumerate(pairs):
        data = certs.der(pair.certificate)
        for name in ("sha1", "sha256"):
            out[hashlib.new(name, data).hexdigest()] = b"\x30answer %d\r\n" % number
    return out


def get(pairs: list[KeyPair], target: str, method: str = "GET") -> HttpResponse:
    request = HttpRequest(method, target, (), b"", None, "127.0.0.1")
    return asyncio.run(OcspServer(lambda: known(pairs)).handle(request))


def test_answers_come_one_part_per_certificate_in_the_order_asked(pairs: list[KeyPair]) -> None:
    for order in (pairs, pairs[::-1], [pairs[0]] * 2):
        answer = get(pairs, ocsp.query_by_hash([pair.certificate for pair in order]))
        assert answer.status == 200
        kind = dict(answer.headers)[b"content-type"].decode()
        assert kind.startswith("multipart/related")
        assert isinstance(answer.body, bytes)
        found = ocsp.parse_answers(kind, answer.body, 2)
        assert found == [known(pairs)[hashlib.sha1(certs.der(pair.certificate)).hexdigest()] for pair in order]


def test_either_hash_names_a_certificate_in_either_case(pairs: list[KeyPair]) -> None:
    data = certs.der(pairs[0].certificate)
    for target in (
        f"/?cert={hashlib.sha1(data).hexdigest().upper()}",
        f"/?cert={hashlib.sha256(data).hexdigest()}",
        f"/?cert_hash={hashlib.sha256(data).hexdigest()}",
    ):
        assert get(pairs, target).status == 200


def test_a_heartbeat_is_answered_and_other_methods_are_not(pairs: list[KeyPair]) -> None:
    assert get(pairs, "/", "HEAD").status == 200
    assert get(pairs, "/", "POST").status == 405


def test_an_unknown_certificate_among_known_ones_is_404(pairs: list[KeyPair]) -> None:
    data = certs.der(pairs[0].certificate)
    good, other = hashlib.sha1(data).hexdigest(), hashlib.sha1(b"other").hexdigest()
    answer = get(pairs, f"/?cert={good}&cert={other}")
    assert answer.status == 404
    assert other.encode() not in bytes(answer.body)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "cert=",
        "cert=zz",
        "cert=" + "0" * 39,
        "cert_hash=%00" + "a" * 39,
        "cert=" + "0" * 5000,
        "&".join(["cert=" + "0" * 40] * 17),
        "&".join(["x=1"] * 1000),
    ],
)
def test_a_question_that_names_no_certificate_or_too_many_is_400(pairs: list[KeyPair], query: str) -> None:
    assert get(pairs, f"/?{query}").status == 400


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=16))
@settings(max_examples=60, deadline=None)
def test_what_is_encoded_is_read_again(answers: list[bytes]) -> None:
    kind, body = ocsp.encode_answers(answers)
    assert ocsp.parse_answers(kind, body, len(answers)) == answers


@given(st.binary(max_size=400), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_anything_else_is_a_value_error(body: bytes, count: int) -> None:
    for kind in ("multipart/related; boundary=b", "text/html", "multipart/related", 'multipart/x; boundary="'):
        with pytest.raises(ValueError):
            ocsp.parse_answers(kind, body, count)


def test_it_is_asked_over_the_nodes_own_listener(pairs: list[KeyPair]) -> None:
    async def main() -> list[bytes]:
        listener = Listener(OcspServer(lambda: known(pairs)).handle, ServerLimits(1000))
        await listener.open(Address("127.0.0.1", 0))
        try:
            place = Address("127.0.0.1", listener.ports[0])
            return await asyncio.to_thread(ask_peer, place, [pair.certificate for pair in pairs])
        finally:
            listener.close()

    assert asyncio.run(main()) == [b"\x30answer 0\r\n", b"\x30answer 1\r\n"]
