"""X-Road's wire and the native path, called by a server in hostile hands: messages under one signature, some of them not right."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hostilewire import TOGETHER, Caller, Letter, native, read_http, seal, told
from traffic import Office, provider_alone

from box import PERSONS, Box
from kerege.exchange.hashchain import HashChain
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import load_pair, save_pair

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def provider(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with provider_alone(tmp_path_factory.mktemp("provider"), office) as box:
        yield box


@pytest.fixture
def caller(provider: Box) -> Iterator[Caller]:
    made = Caller(provider)
    yield made
    made.close()


def test_messages_under_one_signature_on_several_connections_are_answered_natively(
    provider: Box, caller: Caller
) -> None:
    for bodies in ([b"body"] * 6, [None] * 6, [b"", None, b"x" * 60_000, b"y" * 30_000, None, b"z"]):
        letters = [caller.letter(f"well-{at}", body) for at, body in enumerate(bodies)]
        seal(letters, caller.signer())
        assert native(provider, caller, letters) == (["200"] * 6, 6)


def test_each_with_a_signature_of_its_own_with_a_chain_and_without(provider: Box, caller: Caller) -> None:
    letters = [caller.letter(f"own-{at}", b"x" if at % 2 else None) for at in range(TOGETHER)]
    for letter in letters:
        seal([letter], caller.signer())
    assert native(provider, caller, letters) == (["200"] * 6, 6)


def other_body(letters: list[Letter], _: Caller) -> None:
    letters[1].body = b"other"


def other_content(letters: list[Letter], _: Caller) -> None:
    letters[1].content = letters[1].content.replace(b"/a\r\n", b"/b\r\n")


def body_left_out(letters: list[Letter], _: Caller) -> None:
    letters[1].body = None


def anothers_chain(letters: list[Letter], _: Caller) -> None:
    letters[1].chain = letters[2].chain


def result_of_another_tree(letters: list[Letter], caller: Caller) -> None:
    other = [caller.letter("other"), caller.letter("another")]
    seal(other, caller.signer())
    assert letters[1].chain is not None
    assert other[0].chain is not None
    letters[1].chain = HashChain(other[0].chain.result, letters[1].chain.chain)


def signature_of_another_tree(letters: list[Letter], caller: Caller) -> None:
    other = [caller.letter("other"), caller.letter("another")]
    seal(other, caller.signer())
    letters[1].signature = other[0].signature


def chain_left_out(letters: list[Letter], _: Caller) -> None:
    letters[1].chain = None


def another_tree_altogether(letters: list[Letter], caller: Caller) -> None:
    """A tree that holds in itself, and a signature that holds: but not over it."""
    other = [caller.letter("other"), letters[1]]
    signature = letters[1].signature
    seal(other, caller.signer())
    letters[1].signature = signature


def value_spoiled(letters: list[Letter], _: Caller) -> None:
    at = letters[1].signature.index(b'Id="signature-value">') + 40
    byte = b"A" if letters[1].signature[at : at + 1] != b"A" else b"B"
    letters[1].signature = letters[1].signature[:at] + byte + letters[1].signature[at + 1 :]


def other_request_id(letters: list[Letter], _: Caller) -> None:
    letters[1].request_id = str(uuid.uuid4())


def other_type(letters: list[Letter], _: Caller) -> None:
    letters[1].message_type = "SOAP"


def no_service(letters: list[Letter], caller: Caller) -> None:
    letters[1] = caller.letter("nothing", service=str(PERSONS).replace("persons", "nothing"))
    seal(letters, caller.signer())


def no_ocsp(letters: list[Letter], _: Caller) -> None:
    letters[1].ocsp = []


def old_ocsp(letters: list[Letter], caller: Caller) -> None:
    certificate = load_pair(caller.keys, "auth").certificate
    letters[1].ocsp = [caller.authority.ocsp_response(certificate, datetime(2026, 1, 1, tzinfo=UTC))]


def by_another_member(letters: list[Letter], caller: Caller) -> None:
    since = caller.authority.ca.certificate.not_valid_before_utc
    pair = caller.authority.sign_certificate(MemberId("KG", "GOV", "70000002"), "Registry", "x", since)
    save_pair(pair, caller.keys, "sign-stolen")
    seal([letters[1]], caller.signer("sign-stolen"))


MISCHIEF: list[tuple[Callable[[list[Letter], Caller], None], str]] = [
    *((one, "invalid_hash_chain") for one in (other_body, other_content, body_left_out, anothers_chain)),
    *((one, "signature_verification") for one in (result_of_another_tree, signature_of_another_tree)),
    *((another_tree_altogether, "signature_verification"), (value_spoiled, "invalid_signature")),
    *((chain_left_out, "invalid_reference"), (by_another_member, "incorrect_certificate")),
    *((one, "") for one in (other_request_id, other_type, no_service, no_ocsp, old_ocsp)),
]


@pytest.mark.parametrize(("mischief", "code"), MISCHIEF, ids=[one.__name__ for one, _ in MISCHIEF])
def test_one_message_that_is_not_right_is_refused_and_its_neighbours_are_answered(
    provider: Box, caller: Caller, office: Office, mischief: Any, code: str
) -> None:
    letters = [caller.letter(f"{mischief.__name__}-{at}") for at in range(TOGETHER)]
    seal(letters, caller.signer())
    mischief(letters, caller)
    office.seen.clear()
    found, count = native(provider, caller, letters)
    assert [at for at, one in enumerate(found) if one != "200"] == [1], found
    assert found[1].lower().startswith("server.serverproxy")
    assert code in found[1].lower()
    assert len(office.seen) == TOGETHER - 1
    assert count == TOGETHER - 1, "its neighbours went the native way"


def test_messages_in_pieces_of_any_size_are_answered(provider: Box, caller: Caller) -> None:
    letters = [caller.letter(f"crumbs-{at}", b"c" * 20_000) for at in range(TOGETHER)]
    seal(letters, caller.signer())
    sent = [letter.http_request() for letter in letters]
    cuts = [1, 100, 16_384, len(sent[0]) - 1]
    before = [0] * TOGETHER
    for cut in [*cuts, None]:
        for at, connection in enumerate(caller.connections):
            connection.sendall(sent[at][before[at] : cut])
            before[at] = cut or 0
        time.sleep(0.02)
    assert [told(*read_http(one)) for one in caller.connections] == ["200"] * TOGETHER


def test_requests_sent_ahead_on_one_connection_are_answered_in_their_order(provider: Box, caller: Caller) -> None:
    letters = [caller.letter(f"ahead-{at}") for at in range(4)]
    seal(letters, caller.signer())
    letters[2].body = b"changed"
    connection = caller.connections[0]
    connection.sendall(b"".join([one.http_request() for one in letters]))
    assert [told(*read_http(connection))[:6] for _ in letters] == ["200", "200", "server", "200"]


def test_a_caller_that_leaves_in_the_middle_leaves_nothing_behind(
    provider: Box, caller: Caller, office: Office
) -> None:
    letters = [caller.letter(f"gone-{at}", b"g" * 30_000) for at in range(TOGETHER)]
    seal(letters, caller.signer())
    for at, (letter, connection) in enumerate(zip(letters, caller.connections, strict=True)):
        sent = letter.http_request()
        connection.sendall(sent if at % 2 else sent[:20_000])
    caller.close()
    other = Caller(provider)
    try:
        letters = [other.letter(f"after-{at}") for at in range(TOGETHER)]
        seal(letters, other.signer())
        assert other.ask(letters) == ["200"] * TOGETHER
    finally:
        other.close()
