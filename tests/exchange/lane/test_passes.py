"""What is done to every call of a batch: who waited is answered once, who came twice ends the frame, what was held is let go."""

from __future__ import annotations

from typing import Any

import pytest

from kerege.exchange import rest
from kerege.exchange.batch import Batch, batch
from kerege.exchange.ids import ClientId, DataServiceId

NOT_THERE = "not there: make setup compiles the native modules where a C compiler is"
passes = pytest.importorskip("kerege.exchange.lane.passes", reason=NOT_THERE)
digest = pytest.importorskip("kerege.exchange.lane.digest", reason=NOT_THERE)

from kerege.exchange.lane.call import Call, Part, Way  # noqa: E402

CLIENT, SERVICE = ClientId.parse("KG/GOV/1/a"), DataServiceId.parse("KG/GOV/2/b/persons")


def request(number: int, stream: int = 0) -> Part:
    lines = (
        (b"x-road-client", b"KG/GOV/1/a"),
        (b"x-road-id", b"KG-%d" % number),
        (b"x-road-request-id", b"r-%d" % number),
    )
    content = rest.encode_lines(b"POST", b"/r1/KG/GOV/2/b/persons/x", lines)
    return Part(content, b"{}" if number % 2 else None, stream)


def call_of(part: Part, stream: int) -> Call:
    way = Way(CLIENT, SERVICE, rest.written(CLIENT), rest.written(SERVICE))
    calls, others = passes.requests([part], {}, None, None, 5, lambda *_: way, lambda *_: False)
    assert others == []
    (call,) = calls
    call.stream = stream
    return call


def answer(call: Call, body: bytes | None = b"[]") -> Part:
    digest.request_hashes([call])
    lines = (
        (b"content-type", b"application/json"),
        (b"x-road-id", call.message_id),
        (b"x-road-client", call.way.client_written),
        (b"x-road-service", call.way.service_written),
        (b"x-road-request-id", call.request_id),
        (b"x-road-request-hash", call.request_hash),
    )
    return Part(rest.encode_lines(b"200", b"OK", lines), body, call.stream)


@pytest.fixture
def calls() -> list[Call]:
    return [call_of(request(number), 0) for number in range(5)]


def test_calls_get_streams_in_order_and_wait(calls: list[Call]) -> None:
    waiting: dict[int, Any] = {}
    parts = passes.begin(calls, waiting, 7, 12.5)
    assert [part.stream for part in parts] == [7, 8, 9, 10, 11]
    assert list(waiting) == [call.stream for call in calls] == [7, 8, 9, 10, 11]
    assert all(waiting[call.stream] is call and call.deadline == 12.5 for call in calls)


def test_an_answer_ends_the_call_that_waits_for_it_and_only_once(calls: list[Call]) -> None:
    waiting: dict[int, Any] = {}
    passes.begin(calls, waiting, 1, 1.0)
    parts = [answer(call) for call in calls]
    twice = answer(calls[0])
    foreign, wrong = answer(calls[1]), answer(calls[2])
    foreign.stream, wrong.stream = 99, 4
    digest.digest_parts([*parts, twice, foreign, wrong])
    whole = [parts[0], twice, parts[1]]
    assert passes.answers(waiting, whole) == ([], [1, 1, 2]), "which of two counts is the link's own way's affair"
    assert calls[0].answer is None
    good, others = passes.answers(waiting, [parts[0], parts[1], foreign, wrong])
    assert good == [calls[0], calls[1]]
    assert sorted(others) == [4, 99]
    assert good[0].status == 200
    assert good[0].answer is parts[0]
    assert passes.answers(waiting, [parts[0]]) == ([], [1]), "it has its answer"
    assert not any(call.answered for call in calls), "whether it is signed is not known here"
    assert passes.answered(good, 77) == parts[:2]
    assert [call.answered for call in calls] == [True, True, False, False, False]
    assert {call.response_in for call in good} == {77}
    assert passes.answers(waiting, [parts[0]]) == ([], [1]), "it was answered before"


def test_what_waits_as_a_python_call_is_left_to_python(calls: list[Call]) -> None:
    passes.begin(calls, {}, 1, 1.0)
    part = answer(calls[0])
    digest.digest_parts([part])
    assert passes.answers({1: object()}, [part]) == ([], [1])


def test_only_who_still_waits_is_given_an_answer(calls: list[Call]) -> None:
    waiting: dict[int, Any] = {}
    passes.begin(calls, waiting, 1, 1.0)
    del waiting[2]
    waiting[3] = "another"
    assert passes.drop(waiting, calls) == [calls[0], calls[3], calls[4]]
    assert waiting == {3: "another"}


def test_each_way_is_asked_for_once_and_each_path_where_that_counts() -> None:
    way = Way(CLIENT, SERVICE, b"", b"")
    way.more = {}
    asked: list[object] = []
    allowed: list[bytes] = []

    def way_of(key: object, call: Call) -> Way:
        asked.append(key)
        return way

    def may(found: Way, call: Call) -> bool:
        assert found is way
        allowed.append(call.message_id)
        return call.message_id != b"KG-2"

    end = object()
    parts = [request(number, number + 1) for number in range(4)]
    calls, others = passes.requests(parts, {1: None}, end, "10.0.0.7", 123, way_of, may)
    assert asked == [(b"KG/GOV/2/b/persons", b"KG/GOV/1/a", "POST")]
    assert allowed == [b"KG-1", b"KG-2", b"KG-3"]
    assert others == [1, 3]
    assert [(call.stream, call.end, call.request_in, call.way) for call in calls] == [
        (2, end, 123, way),
        (4, end, 123, way),
    ]
    assert {call.more for call in calls} == {"10.0.0.7"}
    assert passes.requests(parts, {}, end, None, 1, lambda *_: None, may) == ([], [1, 2, 3, 4])


def test_two_calls_on_one_stream_leave_the_whole_frame_to_python() -> None:
    way = Way(CLIENT, SERVICE, b"", b"")
    parts = [request(0, 1), request(1, 2), request(2, 1)]
    assert passes.requests(parts, {}, None, None, 1, lambda *_: way, lambda *_: True) == ([], [1, 2, 1])


def test_what_calls_hold_is_counted_and_let_go(calls: list[Call]) -> None:
    passes.begin(calls, {}, 1, 1.0)
    under_way: dict[int, Any] = {50: None}
    held: dict[int, int] = {50: 3}
    unwanted = {2, 50}
    parts = passes.accepted(calls, under_way, held)
    size = sum(part.size for part in parts)
    assert passes.size_of(calls) == size == sum(held.values()) - 3
    assert sorted(under_way) == [1, 2, 3, 4, 5, 50]
    del held[5]
    assert passes.done(calls, under_way, held, unwanted, 88) == size - calls[4].request.size
    assert (under_way, held, unwanted) == ({50: None}, {50: 3}, {50})
    assert {call.response_out for call in calls} == {88}


def test_answers_go_on_the_streams_of_their_requests(calls: list[Call]) -> None:
    passes.begin(calls, {}, 3, 1.0)
    for call in calls:
        call.answer = Part(b"x", None)
    assert [part.stream for part in passes.replies(calls)] == [3, 4, 5, 6, 7]


def test_calls_are_told_apart_by_what_their_ways_and_they_themselves_have(calls: list[Call]) -> None:
    one, other = object(), object()
    for at, call in enumerate(calls):
        call.way = Way(CLIENT, SERVICE, b"", b"")
        call.way.decided = one if at % 2 else other
    assert passes.by(calls, lambda way: way.decided) == [calls[0::2], calls[1::2]]
    calls[3].more = "10.0.0.7"
    assert passes.by(calls, lambda way: way.decided) == [calls[0::2], [calls[1]], [calls[3]]]
    assert passes.by([], lambda way: way.decided) == []


def test_what_is_no_call_is_refused() -> None:
    for work in (
        lambda: passes.begin([None], {}, 1, 1.0),
        lambda: passes.sent(["x"], 1),
        lambda: passes.given([3], 1),
        lambda: passes.answers({}, [None]),
        lambda: passes.drop({}, [None]),
        lambda: passes.done([b""], {}, {}, set(), 1),
    ):
        with pytest.raises((TypeError, AttributeError)):
            work()


def test_calls_are_grouped_by_end_by_way_and_by_who_asks_whom_in_the_order_they_came(calls: list[Call]) -> None:
    one, other = object(), object()
    for call, end in zip(calls, (one, other, one, one, other), strict=True):
        call.end = end
    assert passes.ends(calls) == [[calls[0], calls[2], calls[3]], [calls[1], calls[4]]]
    assert passes.ways(calls) == [call.way for call in calls]
    calls[3].way = calls[4].way = calls[0].way
    assert passes.ways(calls) == [calls[0].way, calls[1].way, calls[2].way]
    calls[1].client_raw, calls[2].service_raw = b"KG/GOV/1/z", b"KG/GOV/2/b/other"
    mine = calls[0].service_raw, calls[0].client_raw
    assert passes.sources(calls) == [
        (mine, [calls[0], calls[3], calls[4]]),
        ((mine[0], b"KG/GOV/1/z"), [calls[1]]),
        ((b"KG/GOV/2/b/other", mine[1]), [calls[2]]),
    ]
    for of in (passes.ends, passes.ways, passes.sources):
        assert of([]) == []


def test_calls_that_go_a_way_have_it_and_their_messages_are_told(calls: list[Call]) -> None:
    way = Way(CLIENT, SERVICE, b"c", b"s")
    assert passes.go(calls, way) == [call.request for call in calls]
    assert all(call.way is way for call in calls)


def test_a_call_that_ended_meanwhile_is_not_carried_out(calls: list[Call]) -> None:
    for stream, call in enumerate(calls):
        call.stream = stream
    assert passes.still(calls, {1: None, 3: None, 9: None}) == [calls[1], calls[3]]


def test_the_leaves_of_a_tree_are_numbered_and_its_parts_are_those_of_each_message(calls: list[Call]) -> None:
    parts = [call.request for call in calls]
    digest.digest_parts(parts)
    leaves, digests = passes.tree(parts)
    assert [part.index for part in parts] == list(range(5))
    assert leaves == [part.leaf for part in parts]
    assert [len(some) for some in digests] == [1, 2, 1, 2, 1]
    assert digests == [(part.digest, *part.digests[1]) for part in parts]
    made, known = Batch(leaves, digests), batch([part.digests for part in parts])
    assert [made.hash_chain(at) for at in range(5)] == [known.hash_chain(at) for at in range(5)]


@pytest.mark.parametrize("of", [passes.ends, passes.ways, passes.sources])
def test_what_is_no_call_is_refused_and_nothing_is_read_from_it(of: Any) -> None:
    with pytest.raises(TypeError):
        of([object()])
