"""Signed REST messages read natively, and the HTTP made of them: byte for byte what the Python modules make, nothing they refuse."""

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import rest, restheaders
from kerege.exchange.errors import HeaderInvalid
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.resttarget import decision_path
from kerege.node.http import messages as httpmessages
from kerege.node.http.client import encode_request
from kerege.node.rest_consumer import http_answer
from kerege.node.rest_provider import Place, RestProvider

from . import rest_samples as samples

pytest.importorskip(
    "kerege.exchange.lane.restlines", reason="not there: make setup compiles the native modules where a C compiler is"
)
from kerege.exchange.lane import restfields, restlines
from kerege.exchange.lane.call import Call, Part, Way

SOME = settings(max_examples=400)
PLAIN = samples.signed(
    b"PUT", b"/r1/KG/GOV/70000002/registry/people/by/1?x=1",
    [(b"Accept", b"*/*"), (b"X-Road-Client", samples.CLIENT), (b"Host", b"h"), (b"x-road-id", b"KG-1"), (b"x-road-request-id", b"r-1")],
)  # fmt: skip
ANSWER = samples.signed(
    b"200", b"OK",
    [
        (b"Content-Type", b" text/plain"), (b"Server", b"s"), (b"Proxy-Thing", b"x"), (b"x-road-id", b"KG-1"),
        (b"x-road-client", samples.CLIENT), (b"x-road-service", samples.SERVICE), (b"x-road-request-id", b"r-1"),
        (b"x-road-request-hash", samples.HASH),
    ],
)  # fmt: skip
ADDRESSES = ("http://agency", "http://agency/", "http://agency:81/api", "http://a.b/api/v1//", "http://[::1]:8/x/")


def way(address: str = "http://agency:81/api") -> Way:
    client, service = ClientId.parse(samples.CLIENT.decode()), DataServiceId.parse(samples.SERVICE.decode())
    one, place = Way(client, service, samples.CLIENT, samples.SERVICE), Place(address)
    one.base, one.netloc = place.path.encode(), place.netloc.encode()
    return one


def to_agency(request: rest.RestRequest, address: str, body: bytes | None) -> bytes:
    """The HTTP request that the Python modules make of it."""
    provider = RestProvider(cast(Any, SimpleNamespace(place=lambda service: Place(service.url))), cast(Any, None))
    asked = provider._asked(request, cast(Any, SimpleNamespace(url=address)))
    verb, target, headers = asked
    return b"".join(cast(list[bytes], encode_request(verb, target, Place(address).netloc, headers, body)))


def same_request(content: bytes, address: str = ADDRESSES[0], body: bytes | None = None) -> bool:
    """Whether it was taken, after what was read and written of it was held against Python's."""
    part, call = Part(content, body), Call()
    taken = restlines.read_request(part, call)
    if not taken:
        assert call.request is None
        return False
    request = rest.decode_request(content)
    assert call.request is part
    assert (call.verb, call.target.decode()) == (request.verb, request.target)
    assert (call.message_id.decode(), call.request_id.decode()) == (request.message_id, request.request_id)
    assert (ClientId.parse(call.client_raw.decode()), request.server) == (request.client, None)
    assert call.client_raw.decode().count("/") == 3
    assert DataServiceId.parse(call.service_raw.decode()) == request.service
    assert (call.path.decode(), None if call.query is None else call.query.decode()) == (request.path, request.query)
    assert decision_path(request.path) == (request.path or "/")
    call.way = way(address)
    assert restlines.http_request_bytes(call) == to_agency(request, address, body)
    return True


def waiting() -> Call:
    call = Call()
    call.way, call.message_id, call.request_id, call.request_hash = way(), b"KG-1", b"r-1", samples.HASH
    return call


def same_answer(content: bytes, body: bytes | None = None) -> bool:
    part, call = Part(content, body), waiting()
    if not restlines.read_answer(part, call):
        assert call.answer is None
        return False
    response = rest.decode_response(content)
    rest.check_consistent(rest.decode_request(PLAIN), samples.HASH.decode(), response)
    assert response.headers[-5:] == tuple(
        (name, value)
        for name, value in zip(
            restheaders._SAID_ONCE, (b"KG-1", samples.CLIENT, samples.SERVICE, b"r-1", samples.HASH), strict=True
        )
    )
    assert call.answer is part
    assert call.status == response.status
    made = httpmessages.encode_response(http_answer(response, body), keep=True, head=False)
    assert restlines.http_answer_bytes(call) == made
    return True


def test_a_signed_request_is_taken_with_all_its_parts_and_made_an_http_request() -> None:
    assert same_request(PLAIN, "http://agency:81/api", b"{}")
    call = Call()
    restlines.read_request(Part(PLAIN, b"{}"), call)
    call.way = way()
    assert restlines.http_request_bytes(call) == (
        b"PUT /api/by/1?x=1 HTTP/1.1\r\nhost: agency:81\r\nAccept: */*\r\nX-Road-Client: KG/GOV/70000001/desk\r\n"
        b"x-road-id: KG-1\r\nx-road-request-id: r-1\r\ncontent-length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("path", [b"", b"/", b"/a", b"/a/b/?q", b"?", b"?a=/b"])
@pytest.mark.parametrize("verb", [b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS"])
def test_every_address_path_and_verb_makes_the_python_clients_request(address: str, path: bytes, verb: bytes) -> None:
    content = PLAIN.replace(b"/by/1?x=1", path).replace(b"PUT", verb)
    assert all(same_request(content, address, body) for body in (None, b"", b"x" * 1000))


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"PUT", b"HEAD"),
        (b"PUT", b"TRACE"),
        (b"PUT", b"put"),
        (b"/by/1", b"/by/%31"),
        (b"/registry/", b"/reg%69stry/"),
        (b"/desk", b""),
        (b"desk", b"%64esk"),
        (b"x-road-id:KG-1\r\n", b""),
        (b"x-road-id:KG-1", b"x-road-id: KG-1"),
        (b"x-road-request-id:r-1\r\n", b""),
        (b"Host:h", b"x-road-security-server:KG/GOV/1/s"),
        (b"Host:h", b"x_road_id:KG-2"),
        (b"Host:h", b"X-ROAD-ID:KG-1"),
        (b"Host:h", b"x-road-other:a\r\nX-Road-Other:b"),
        (b"Host:h", b""),
        (b"Host:h", b"Host"),
        (b"Host:h", b"Ho st:h"),
        (b"Host:h", b"Host:h\x01"),
        (b"r-1\r\n", b"r-1"),
        (b"r-1\r\n", b"r-1\r\n\r\n"),
        (b"PUT\r\n", b"PUT\n"),
    ],
)
def test_a_signed_request_that_is_not_plain_is_not_taken(was: bytes, becomes: bytes) -> None:
    assert not same_request(PLAIN.replace(was, becomes))


def test_what_two_empty_lines_or_nothing_is_is_no_message() -> None:
    for content in (b"", b"\n", b"\r\n", b"\r\n\r\n", b"GET\r\n\r\n", b"GET", b"\r\n\r\n:\r\n"):
        assert not same_request(content)
        assert not same_answer(content)
    assert not restlines.read_request(Part(None), Call())
    assert not restlines.read_answer(Part(None), waiting())


def test_a_message_of_very_many_header_lines_is_not_taken() -> None:
    many = b"".join(b"a%d:x\r\n" % number for number in range(67))
    assert same_request(PLAIN + many)
    assert not same_request(PLAIN + many + b"b:x\r\n")
    assert not same_request(PLAIN + many * 1000)


@SOME
@given(samples.scratched(samples.signed_requests()), st.sampled_from(ADDRESSES), st.sampled_from([None, b"", b"{}"]))
def test_signed_requests_of_all_kinds_are_read_as_by_python_or_not_at_all(
    content: bytes, address: str, body: bytes | None
) -> None:
    same_request(content, address, body)


def test_a_signed_request_damaged_anywhere_is_read_as_by_python_or_not_at_all() -> None:
    assert {same_request(content) for content in samples.damaged(PLAIN)} == {True, False}


def test_a_signed_answer_is_taken_and_made_the_clients_http_answer() -> None:
    call = waiting()
    assert same_answer(ANSWER, b"body")
    assert restlines.read_answer(Part(ANSWER, b"body"), call)
    assert restlines.http_answer_bytes(call).startswith(
        b"HTTP/1.1 200 OK\r\nContent-Type:  text/plain\r\nx-road-id: KG-1\r\n"
    )
    assert restlines.http_answer_bytes(call).endswith(b"\r\ncontent-length: 4\r\n\r\nbody")


@pytest.mark.parametrize("status", sorted({*httpmessages._REASONS, 201, 299, 301, 304, 418, 599}))
@pytest.mark.parametrize("reason", [b"", b"Some Reason"])
def test_every_status_makes_the_python_servers_answer(status: int, reason: bytes) -> None:
    content = ANSWER.replace(b"200", b"%d" % status, 1).replace(b"OK", reason, 1)
    assert all(same_answer(content, body) for body in (None, b"", b"{}"))


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"200", b"199"),
        (b"200", b"600"),
        (b"200", b"200 "),
        (b"Server:s", b"Connection:x-thing"),
        (b"Server:s", b"x_road_id:x"),
        (b"Server:s", b"X-Road-Id:KG-1"),
        (b"Server:s", b"Server:\x7f"),
        (b"x-road-id", b"X-Road-Id"),
        (b"x-road-id:KG-1", b"x-road-id:KG-2"),
        (b"x-road-client:KG", b"x-road-client:%4BG"),
        (samples.HASH, samples.HASH[:-1]),
        (b"x-road-service", b"x-more:1\r\nx-road-service"),
    ],
)
def test_a_signed_answer_that_is_not_plain_or_answers_something_else_is_not_taken(was: bytes, becomes: bytes) -> None:
    assert not same_answer(ANSWER.replace(was, becomes, 1))


def test_an_answer_is_not_taken_where_it_is_not_known_what_was_asked() -> None:
    for name in ("message_id", "request_id", "request_hash", "way"):
        call = waiting()
        setattr(call, name, None)
        assert not restlines.read_answer(Part(ANSWER), call)
    assert not restlines.read_answer(Part(ANSWER), Call())


@SOME
@given(samples.scratched(samples.signed_answers()), st.sampled_from([None, b"", b"{}"]))
def test_signed_answers_of_all_kinds_are_read_as_by_python_or_not_at_all(content: bytes, body: bytes | None) -> None:
    same_answer(content, body)


def test_a_signed_answer_damaged_anywhere_is_read_as_by_python_or_not_at_all() -> None:
    assert {same_answer(content) for content in samples.damaged(ANSWER)} == {True, False}


def test_http_is_not_made_of_what_was_not_read() -> None:
    for call in (Call(), waiting()):
        assert restlines.http_request_bytes(call) is None
        assert restlines.http_answer_bytes(call) is None
        call.request = call.answer = Part(b"nothing")
        assert restlines.http_request_bytes(call) is None
        assert restlines.http_answer_bytes(call) is None


# --- what names say ---

FLAGS = (
    ("xroad", 1), ("shadows", 2), ("once", 4), ("hop_by_hop", 8), ("dropped_from_client", 16), ("dropped_from_provider", 32),
    ("not_for_client", 64),
)  # fmt: skip
names = st.one_of(
    st.sampled_from(
        sorted(restheaders._NOT_FROM_CLIENT | restheaders._NOT_FROM_PROVIDER | restheaders.NOT_FOR_THE_CLIENT)
    ),
    st.from_regex(re.compile(rb"[xX][-_][rR]oad[-_][a-z_-]{0,5}\Z")),
    st.from_regex(re.compile(rb"[pP]rox[yY]?-?[a-z]{0,3}\Z")),
    st.binary(max_size=12),
)


@settings(max_examples=600)
@given(names, st.randoms(use_true_random=False))
def test_a_name_says_natively_what_it_says_in_python(name: bytes, dice: Any) -> None:
    name = bytes(dice.choice((one, ord(chr(one).swapcase()))) if one < 128 else one for one in name)
    try:
        known = restheaders.name_of(name)
    except HeaderInvalid:
        assert restfields.flags_of(name) is None
        return
    assert restfields.flags_of(name) == sum(flag for what, flag in FLAGS if getattr(known, what))
