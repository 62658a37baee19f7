"""Answers that come for calls of the native path from a server in hostile hands: each call is refused or answered once, as by the other way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hostile import Answerer, Wire, is_messages, requests_in
from traffic import Asked, Crowd, consumer_alone, lane_calls, log_of, request

from box import Box
from kerege.exchange import linkmessages as lm
from kerege.exchange import multipart
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import save_pair

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey

Mischief = Callable[[Answerer, Wire, list[lm.LinkMessage]], None]
TOGETHER = 6


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with consumer_alone(tmp_path_factory.mktemp("consumer")) as box:
        yield box


def run(box: Box, mischief: Mischief, name: str) -> tuple[list[Asked], int]:
    """Answers to calls of the native path that `mischief` answers, and how many of them that path gave."""

    def script(side: Answerer, wire: Wire) -> None:
        wire.send(lm.Hello("KG/GOV/70000002/node-reg"))
        waiting: list[lm.LinkMessage] = []
        while not wire.closed:
            frame = wire.read(is_messages, 10)
            if frame is None:
                return
            for message in requests_in(frame):
                if b"/warm" in message.content:
                    side.reply(wire, side.answer(message))
                else:
                    waiting.append(message)
            if len(waiting) == TOGETHER:
                mischief(side, wire, waiting)

    side = Answerer(box, script)
    try:
        with Crowd(box) as crowd:
            crowd.warm()
            before = lane_calls(box, "node-edu")[0]
            answers = crowd.ask(*[request(f"/{n}", message_id=f"{name}-{n}") for n in range(TOGETHER)])
            assert lane_calls(box, "node-edu")[0] - before <= sum(one.status == 200 for one in answers)
            return answers, lane_calls(box, "node-edu")[0] - before
    finally:
        side.close()
        assert side.problems == []
        time.sleep(0.05)


def leaves(side: Answerer, asked: list[lm.LinkMessage]) -> list[lm.LinkMessage]:
    answers = [side.answer(one) for one in asked]
    for leaf, one in enumerate(answers):
        one.leaf = leaf
    return answers


def send(side: Answerer, wire: Wire, answers: list[lm.LinkMessage], **how: Any) -> None:
    for leaf, one in enumerate(answers):
        one.leaf = leaf
    wire.send(lm.Messages((side.group(answers, **how),)))


def well(side: Answerer, wire: Wire, asked: list[lm.LinkMessage]) -> None:
    send(side, wire, leaves(side, asked))


def to_another(side: Answerer, wire: Wire, asked: list[lm.LinkMessage]) -> None:
    answers = leaves(side, asked)
    changed = answers[2].content.replace(b"request-id:", b"request-id:0")
    answers[2] = lm.LinkMessage(answers[2].stream, answers[2].kind, changed, answers[2].attachments)
    send(side, wire, answers)


def twice_in_a_group(side: Answerer, wire: Wire, asked: list[lm.LinkMessage]) -> None:
    answers = leaves(side, asked)
    send(side, wire, [side.answer(asked[0]), *answers, side.answer(asked[3])])


def twice_one_after_the_other(side: Answerer, wire: Wire, asked: list[lm.LinkMessage]) -> None:
    for _ in range(2):
        send(side, wire, leaves(side, asked))


def also_to_nobody(side: Answerer, wire: Wire, asked: list[lm.LinkMessage]) -> None:
    send(side, wire, [side.answer(asked[0], stream=4711), *leaves(side, asked)])


def by_another_member(side: Answerer, wire: Wire, asked: list[lm.LinkMessage]) -> None:
    member = MemberId("KG", "GOV", "70000003")
    since = side.authority.ca.certificate.not_valid_before_utc
    save_pair(side.authority.sign_certificate(member, "Education", "x", since), side.keys, "sign-stolen")
    send(side, wire, leaves(side, asked), signer=side.signer("sign-stolen"))


def on_others_leaves(side: Answerer, wire: Wire, asked: list[lm.LinkMessage]) -> None:
    answers = leaves(side, asked)
    signature = side.group(answers).signature
    answers.reverse()
    for leaf, one in enumerate(answers):
        one.leaf = leaf
    wire.send(lm.Messages((lm.Group(signature, tuple(answers), len(answers), b"", chained=True),)))


def as_requests(side: Answerer, wire: Wire, asked: list[lm.LinkMessage]) -> None:
    made = [
        lm.LinkMessage(one.stream, multipart.REST_REQUEST, one.content, one.attachments) for one in leaves(side, asked)
    ]
    send(side, wire, made)


def some_and_then_gone(side: Answerer, wire: Wire, asked: list[lm.LinkMessage]) -> None:
    send(side, wire, leaves(side, asked[:4]))
    time.sleep(0.1)
    wire.close()


def some_faults(side: Answerer, wire: Wire, asked: list[lm.LinkMessage]) -> None:
    wire.send(lm.FaultFrame(asked[1].stream, b"<x/>"), lm.Cancel(asked[2].stream))
    send(side, wire, leaves(side, asked))


def too_large(side: Answerer, wire: Wire, asked: list[lm.LinkMessage]) -> None:
    answers = leaves(side, asked)
    answers[1] = side.answer(asked[1], b"x" * 70_000)
    send(side, wire, answers)


def interim(side: Answerer, wire: Wire, asked: list[lm.LinkMessage]) -> None:
    answers = leaves(side, asked)
    content = answers[1].content.replace(b"200\r\n", b"100\r\n", 1)
    answers[1] = lm.LinkMessage(answers[1].stream, answers[1].kind, content, answers[1].attachments)
    send(side, wire, answers)


def silence(side: Answerer, wire: Wire, asked: list[lm.LinkMessage]) -> None:
    send(side, wire, leaves(side, asked[:5]))


@pytest.mark.parametrize(
    ("mischief", "statuses", "told"),
    [
        (well, [200] * 6, ""),
        (to_another, [200, 200, 500, 200, 200, 200], "x-road-request-id"),
        (twice_in_a_group, [200] * 6, ""),
        (twice_one_after_the_other, [200] * 6, ""),
        (also_to_nobody, [200] * 6, ""),
        (by_another_member, [500] * 6, "exchange.signer_wrong"),
        (on_others_leaves, [500] * 6, "exchange.signature_invalid"),
        (as_requests, [500] * 6, "not a REST response"),
        (some_and_then_gone, [200] * 4 + [500] * 2, "closed the connection before answering"),
        (some_faults, [200, 500, 500, 200, 200, 200], ""),
        (too_large, [200, 500, 200, 200, 200, 200], "without being announced"),
        (interim, [200, 500, 200, 200, 200, 200], "status code"),
        (silence, [200] * 5 + [500], "did not answer within 1.9 s"),
    ],
)
def test_each_call_is_answered_or_refused_once_and_logged_as_it_was(
    consumer: Box, mischief: Mischief, statuses: list[int], told: str
) -> None:
    name = mischief.__name__
    answers, native = run(consumer, mischief, name)
    by_id = {one.wire.split(b"X-Road-Id: ")[1].split(b"\r\n")[0].decode(): one for one in answers}
    order = [by_id[f"{name}-{n}"] for n in range(TOGETHER)]
    assert sorted(one.status for one in order) == sorted(statuses)
    refused = [one for one in order if one.status != 200]
    for one in refused:
        assert told in f"{one.json['message']} {one.json['detail']}"
    records = [(one.message_id, one.direction) for one in log_of(consumer, "node-edu") if one.message_id in by_id]
    assert len(records) == len(set(records)), "each message is logged once"
    for message_id, one in by_id.items():
        assert (message_id, "request") in records
        assert ((message_id, "response") in records) == (one.status == 200)
        if one.status == 200:
            assert one.headers["x-road-id"] == message_id
            assert one.body == b"answer"
    if not refused:
        assert native == (0 if mischief is twice_in_a_group else TOGETHER), "it was the native path that was tried"
