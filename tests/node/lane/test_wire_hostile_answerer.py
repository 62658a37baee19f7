"""X-Road's wire and the native path, answered by a server in hostile hands: messages under one signature, some of them not right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hostilewire import TOGETHER, Answerer, Deal, Letter, changed_body, dealt, seal, well
from traffic import Asked, Crowd, consumer_alone, lane_calls, log_of, request

from box import Box
from kerege.exchange import faults
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import save_pair

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with consumer_alone(tmp_path_factory.mktemp("consumer"), link=False) as box:
        yield box


def signed_each(side: Answerer, letters: list[Letter]) -> None:
    for letter in letters:
        letter.body = None
        seal([letter], side.signer())


def anothers_answer(_: Answerer, letters: list[Letter]) -> None:
    one, two = letters[1], letters[2]
    one.content, two.content = two.content, one.content
    one.chain, two.chain = two.chain, one.chain


def answers_chain_swapped(_: Answerer, letters: list[Letter]) -> None:
    letters[1].chain = letters[2].chain


def not_what_was_asked(side: Answerer, letters: list[Letter]) -> None:
    letters[1].content = letters[1].content.replace(b"x-road-request-hash:", b"x-road-request-hash:0")
    seal(letters, side.signer())


def signed_by_another(side: Answerer, letters: list[Letter]) -> None:
    since = side.authority.ca.certificate.not_valid_before_utc
    pair = side.authority.sign_certificate(MemberId("KG", "GOV", "70000003"), "Education", "x", since)
    save_pair(pair, side.keys, "sign-stolen")
    seal(letters, side.signer("sign-stolen"))


def a_fault(_: Answerer, letters: list[Letter]) -> None:
    fault = faults.to_soap(faults.Fault("Server.ServerProxy.Odd", "as it is", "", ""))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/xml; charset=UTF-8\r\ncontent-length: %d\r\n\r\n" % len(fault)
    letters[1].data = head + fault


def a_refusal(_: Answerer, letters: list[Letter]) -> None:
    letters[1].data = b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy"


def nonsense(_: Answerer, letters: list[Letter]) -> None:
    letters[1].data = b"SSH-2.0-x\r\n\r\n"


def something_behind(_: Answerer, letters: list[Letter]) -> None:
    letters[1].data = letters[1].http_answer() + b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def with_more_headers(_: Answerer, letters: list[Letter]) -> None:
    letters[1].more = b"server: another\r\nx-own: 1\r\n"


def crumbs_and_silence(side: Answerer, letters: list[Letter]) -> list[list[bytes | None]]:
    """The first in crumbs, the second only half."""
    seal(letters, side.signer())
    first, second, *others = (one.http_answer() for one in letters)
    rest_of: list[list[bytes | None]] = [[one] for one in others]
    crumbs: list[bytes | None] = [first[at : at + 1500] for at in range(0, len(first), 1500)]
    return [crumbs, [second[: len(second) // 2]], *rest_of]


def half_and_gone(side: Answerer, letters: list[Letter]) -> list[list[bytes | None]]:
    found = crumbs_and_silence(side, letters)
    found[1].append(None)
    return found


REFUSED = [200, 500, 200, 200, 200, 200]
ANSWERS: list[tuple[Deal, str, list[int], str, int]] = [
    (dealt(well), "well", [200] * 6, "", 6),
    (dealt(signed_each), "signed-each", [200] * 6, "", 6),
    (dealt(with_more_headers), "more-headers", [200] * 6, "", 6),
    (dealt(changed_body), "changed-body", REFUSED, "digest", 5),
    (dealt(anothers_answer), "anothers-answer", [200, 500, 500, 200, 200, 200], "", 4),
    (dealt(answers_chain_swapped), "chain-swapped", REFUSED, "", 5),
    (dealt(not_what_was_asked), "not-what-was-asked", REFUSED, "x-road-request-hash", 5),
    (dealt(signed_by_another), "signed-by-another", [500] * 6, "exchange.signer_wrong", 0),
    (dealt(a_fault), "fault", REFUSED, "as it is", 5),
    (dealt(a_refusal), "refusal", REFUSED, "answered HTTP 503", 5),
    (dealt(nonsense), "nonsense", REFUSED, "valid HTTP", 5),
    (dealt(something_behind), "something-behind", [200] * 6, "", 5),
    (crumbs_and_silence, "crumbs", REFUSED, "did not answer within 1.9 s", 5),
    (half_and_gone, "half", REFUSED, "closed the connection before answering", 5),
]


@pytest.mark.parametrize(
    ("deal", "name", "statuses", "reason", "many"), ANSWERS, ids=[name for _, name, _, _, _ in ANSWERS]
)
def test_each_call_is_answered_or_refused_once_and_logged_as_it_was(
    consumer: Box, deal: Deal, name: str, statuses: list[int], reason: str, many: int
) -> None:
    side = Answerer(consumer, deal)
    try:
        with Crowd(consumer) as crowd:
            crowd.warm()
            # so many connections to the other server that every call finds one
            assert {one.status for one in crowd.ask(*[request("/warm")] * (2 * TOGETHER))} == {200}
            before = lane_calls(consumer, "node-edu")[0]
            wires = [request(f"/{n}", message_id=f"{name}-{n}") for n in range(TOGETHER)]
            answers: list[Asked] = crowd.ask(*wires)
            count = lane_calls(consumer, "node-edu")[0] - before
    finally:
        side.close()
    assert side.problems == []
    assert [one.status for one in answers] == statuses, [one.body for one in answers]
    for one in answers:
        if one.status != 200:
            assert reason in f"{one.json['message']} {one.json['detail']}"
    assert count == many
    records = [(one.message_id, one.direction) for one in log_of(consumer, "node-edu")]
    assert len(set(records)) == len([one for one in records if one[0].startswith(name)]) + len(
        {one for one in records if not one[0].startswith(name)}
    )
    for n, one in enumerate(answers):
        assert (f"{name}-{n}", "request") in records
        assert ((f"{name}-{n}", "response") in records) == (one.status == 200)
        if one.status == 200:
            assert one.headers["x-road-id"] == f"{name}-{n}"
