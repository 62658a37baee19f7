"""Native monitoring lines: the bytes of `opmon.line`, and sums that are those of the exchanges one by one."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import opmon, rest
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.opmon_health import Health
from kerege.exchange.resttarget import masked_path, parts_of

pytest.importorskip(
    "kerege.exchange.lane.lines", reason="not there: make setup compiles the native modules where a C compiler is"
)
from kerege.exchange.lane import lines
from kerege.exchange.lane.call import Call, Part, Way

BEGUN = 1_795_000_000_000
BOUNDS = (5, 20, 100, 500, 2000, 10000)
CLIENTS = ("KG/GOV/70000003/admission", "KG/GOV/%D0%91%D0%B8/one%22two", "KG/COM/1/x")
SERVICES = ("KG/GOV/70000002/population/persons", "KG/GOV/70000002/population/%D0%91.v1")
ADDRESSES = ("127.0.0.1", "node-edu.example", "", 'n"ö')


def way_of(client: str = CLIENTS[0], service: str = SERVICES[0]) -> Way:
    named = DataServiceId.parse(service) if service.count("/") == 5 else parts_of(f"/r1/{service}")[0]
    return Way(ClientId.parse(client), named, client.encode(), service.encode())


def call_of(
    way: Way,
    *,
    verb: str = "POST",
    path: str = "/persons",
    query: str | None = None,
    status: int = 200,
    message_id: bytes = b"KG-1",
    request_id: bytes = b"r-1",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    begun: int = BEGUN,
    times: tuple[int, int, int] = (1, 5, 7),
    body: bytes | None = b"body",
) -> Call:
    """A call as the native readers leave one behind, its request's content in the signed form."""
    call = Call()
    target = f"/r1/{way.service_written.decode()}{path}" + (f"?{query}" if query is not None else "")
    own = (
        (b"X-Road-Client", way.client_written),
        (b"x-road-id", message_id),
        (b"x-road-request-id", request_id),
    )
    call.way, call.verb, call.path = way, verb, path.encode()
    call.request = Part(rest.encode_lines(verb.encode(), target.encode(), (*headers, *own)), body)
    call.answer = Part(b"200\r\nOK\r\n", b"answer")
    call.message_id, call.request_id, call.status = message_id.strip(), request_id.strip(), status
    call.request_in = begun
    call.request_out, call.response_in, call.response_out = (begun + one for one in times)
    return call


def by_python(call: Call, *said: Any) -> bytes:
    return opmon.line(opmon.exchange_of(call, *said))


SAID = (opmon.PRODUCER, "127.0.0.1", "127.0.0.2", "127.0.0.3", None)

tokens = st.sampled_from(
    (b"X-Road-UserId", b"x-road-issue", b"X-ROAD-Represented-Party", b"Content-Type", b"x-road-useri", b"Accept", b"xy")
)
values = st.one_of(
    st.sampled_from(
        (b"", b"officer-1", b"COM/42", b"/", b'a"b', b"a\\b", b"\xc3\xa9", b" spaced ", b"e" * 255, b"e" * 256)
    ),
    st.binary(max_size=20).map(lambda raw: bytes(one for one in raw if one >= 32 and one != 127)),
)
ids = st.one_of(
    st.sampled_from((b"KG-1", b'quo"te', b"back\\slash", b" spaced", b"spaced ", b"i" * 255)),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40).map(str.encode),
)
segments = st.one_of(
    st.sampled_from(
        ("", "persons", "21203198000017", "a1b2", "a12", "-a", "A", "a_b-c", "a" * 40, "a" * 41, "%D0%91", "a9")
    ),
    st.text(st.sampled_from("abz09_-A.~"), max_size=45),
)
paths = st.lists(segments, max_size=4).map(lambda some: "".join(f"/{one}" for one in some))


@st.composite
def calls(draw: st.DrawFn, ways: tuple[Way, ...]) -> Call:
    names = draw(st.lists(tokens, max_size=4, unique_by=bytes.lower))
    times = sorted(draw(st.tuples(*[st.integers(1, 12_000)] * 3)))
    return call_of(
        draw(st.sampled_from(ways)),
        verb=draw(st.sampled_from(("GET", "POST", "DELETE"))),
        path=draw(paths),
        query=draw(st.sampled_from((None, "", "part=name"))),
        status=draw(st.sampled_from((200, 204, 399, 400, 404, 500))),
        message_id=draw(ids),
        request_id=draw(ids),
        headers=tuple((name, draw(values)) for name in names),
        begun=BEGUN + draw(st.integers(0, 40_000)),
        times=(times[0], times[1], times[2]),
        body=draw(st.one_of(st.none(), st.binary(max_size=30))),
    )


WAYS = tuple(way_of(client, service) for client, service in itertools.product(CLIENTS, SERVICES))


@settings(max_examples=250, deadline=None)
@given(
    calls(WAYS),
    st.tuples(
        st.sampled_from((opmon.CLIENT, opmon.PRODUCER)),
        *[st.sampled_from(ADDRESSES)] * 3,
        st.sampled_from((None, opmon.OPENAPI)),
    ),
)
def test_a_line_is_the_one_that_python_makes(call: Call, said: tuple[str, str, str, str, str | None]) -> None:
    assert lines.line(call, *said) == by_python(call, *said)


@settings(max_examples=200, deadline=None)
@given(paths)
def test_a_path_is_masked_as_python_masks_it(path: str) -> None:
    call = call_of(WAYS[0], path=path)
    made = lines.line(call, *SAID)
    assert b'"restPath":"%b"' % masked_path(path).encode() in made
    assert made == by_python(call, *SAID)


RESOURCES = ("", "a", "a1", "a11", "1a", "_a", "a_", "z9-9", "a" * 40, "a" * 41, "aA", "a.b", "*", "a~", "a-", "zz")


def test_what_is_a_resources_name_is_as_in_python() -> None:
    way = way_of()  # one for all: an end that is remembered for another path is not taken
    for _ in range(2):
        for text, before, after in itertools.product(RESOURCES, ("/", "//"), ("", "/", "/x", "//")):
            call = call_of(way, path=f"{before}{text}{after}")
            assert lines.line(call, *SAID) == by_python(call, *SAID)


LACKING = ("request", "answer", "way", "verb", "path", "message_id", "request_id", "status", "request_in", "request_out",
           "response_in", "response_out")  # fmt: skip


@pytest.mark.parametrize("lacking", LACKING)
def test_a_call_that_lacks_something_goes_through_python(lacking: str) -> None:
    call = call_of(way_of())
    setattr(call, lacking, 0 if isinstance(getattr(call, lacking), int) else None)
    assert lines.line(call, *SAID) == by_python(call, *SAID)
    assert len(lines.take([call], 0, *SAID, BOUNDS)) == 0


def test_a_call_with_an_exchange_of_its_own_has_its_line() -> None:
    call = call_of(way_of())
    call.exchange = opmon.Exchange(opmon.PRODUCER, BEGUN, response_out=BEGUN + 1, fault_code="x", fault_string="y")
    assert lines.line(call, *SAID) == opmon.line(call.exchange)
    assert opmon.exchange_of(call, *SAID) is call.exchange
    assert len(lines.take([call], 0, *SAID, BOUNDS)) == 0


def test_headers_are_looked_at_byte_by_byte() -> None:
    """Every byte of a request that says who asks is changed: the line is Python's, where Python still reads the request."""
    way, same, refused = way_of(), 0, 0
    call = call_of(way, headers=((b"X-Road-UserId", b"officer-1"), (b"X-Road-Issue", b"case-1")))
    content = call.request.content
    begin, end = content.index(b"X-Road-UserId"), content.index(b"X-Road-Client")
    for at in range(begin, end):
        for value in (0x0A, 0x0D, 0x20, 0x22, 0x3A, 0x58, 0x5C, 0x7F, 0xE9, content[at] ^ 0x20, content[at] ^ 1):
            call.request.content = content[:at] + bytes((value,)) + content[at + 1 :]
            try:
                expected = by_python(call, *SAID)
            except Exception:  # no such request gets as far as a call; what comes then is no matter
                refused += 1
                continue
            assert lines.line(call, *SAID) == expected, (at, value)
            same += 1
    assert same > 150
    assert refused > 50


def test_the_ends_a_way_remembers_are_bounded() -> None:
    way = way_of()
    for number in range(500):
        call = call_of(
            way, path="/" + "".join("abcdefghij"[int(digit)] for digit in str(number)), status=200 + number % 7
        )
        said = (opmon.PRODUCER, "127.0.0.1", f"peer-{number % 50}", "127.0.0.3", None)
        assert lines.line(call, *said) == by_python(call, *said)
    assert len(way.lines) <= 32


# --- sums ---


def health_of(health: Health) -> dict[str, Any]:
    return {
        str(service): (
            known.kind,
            known.last_good,
            known.last_bad,
            [
                (
                    slot.number,
                    slot.succeeded,
                    slot.failed,
                    *map(figures, (slot.durations, slot.requests, slot.responses)),
                )
                for slot in known.slots
                if slot is not None
            ],
        )
        for service, known in health._services.items()
    }


def figures(spread: Any) -> tuple[int, ...]:
    return spread.count, spread.total, spread.squares, spread.least, spread.greatest


@settings(max_examples=60, deadline=None)
@given(st.lists(calls(WAYS), max_size=30), st.sampled_from((opmon.CLIENT, opmon.PRODUCER)))
def test_many_calls_are_taken_and_added_up_as_one_by_one(given: list[Call], side: str) -> None:
    said = (side, "127.0.0.1", "127.0.0.2", "127.0.0.3", None)
    expected, added, at = Health(0), Health(0), 0
    while at < len(given):
        taken = lines.take(given, at, *said, BOUNDS)
        here = given[at : at + len(taken)]
        exchanges = [opmon.exchange_of(call, *said) for call in here]
        assert taken.lines == [opmon.line(one) for one in exchanges]
        assert taken.ended == [(call.response_out, line) for call, line in zip(here, taken.lines, strict=True)]
        assert taken.succeeded == sum(one.succeeded for one in exchanges)
        assert taken.failed == len(here) - taken.succeeded
        for good in (True, False):
            some = [one for one in exchanges if one.succeeded is good]
            took = [(one.response_out or 0) - one.request_in for one in some]
            counts = [
                sum(low < one <= high for one in took)
                for low, high in zip((-1, *BOUNDS), (*BOUNDS, 10**9), strict=True)
            ]
            sizes = sum(one.request_size or 0 for one in some), sum(one.response_size or 0 for one in some)
            assert taken.total(good) == (counts, sum(took), *sizes)
        added.add_sums(taken.sums, None)
        expected.add(exchanges)
        at += len(taken)
        if at < len(given):  # the one that it left to Python
            one = opmon.exchange_of(given[at], *said)
            added.add([one])
            expected.add([one])
            at += 1
    assert health_of(added) == health_of(expected)
    assert (side == opmon.PRODUCER) or not health_of(added)


def test_a_clock_that_was_set_leaves_nothing_wrong() -> None:
    back = call_of(way_of(), times=(1, 2, -50))
    forth = call_of(way_of(), times=(1, 2, 10**12))
    taken = lines.take([back, forth], 0, *SAID, BOUNDS)
    assert len(taken) == 1  # squares of a duration of years are Python's
    assert taken.total(True)[:2] == ([1, 0, 0, 0, 0, 0, 0], 0)
    assert taken.lines == [by_python(back, *SAID)]
    assert len(lines.take([forth], 0, *SAID, BOUNDS)) == 0


def test_a_long_list_is_taken_some_at_a_time() -> None:
    way = way_of()
    many = [call_of(way) for _ in range(1030)]
    sizes, at = [], 0
    while at < len(many):
        sizes.append(len(lines.take(many, at, *SAID, BOUNDS)))
        at += sizes[-1]
    assert sizes == [512, 512, 6]
    assert len(lines.take(many, -1, *SAID, BOUNDS)) == 0
    assert len(lines.take(many, 5000, *SAID, BOUNDS)) == 0
    assert len(lines.take([SimpleNamespace()], 0, *SAID, BOUNDS)) == 0  # type: ignore[list-item]
