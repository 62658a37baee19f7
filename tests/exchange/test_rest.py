import base64
import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.exchange import rest, restheaders, resttarget
from kerege.exchange.errors import (
    ExchangeError,
    HeaderInvalid,
    HeaderMissing,
    IdentifierInvalid,
    MessageMalformed,
    PathRefused,
    ResponseInconsistent,
    TargetInvalid,
)
from kerege.exchange.rest import RestRequest

TARGET = "/r1/KG/GOV/70000002/population/persons/a%20b?q=1&z=%C3%A4"
HEADERS = ((b"X-Road-Client", b"KG/GOV/70000003/admission"), (b"Accept", b"*/*"))


def make(headers: rest.Headers = HEADERS, target: str = TARGET, verb: str = "GET") -> RestRequest:
    return rest.request_from_client(verb, target, headers, new_message_id="m-1", request_id="r-1")


def test_the_signed_form_has_no_space_after_the_colon_no_version_and_no_blank_line() -> None:
    assert make().encode() == (
        b"GET\r\n/r1/KG/GOV/70000002/population/persons/a%20b?q=1&z=%C3%A4\r\n"
        b"X-Road-Client:KG/GOV/70000003/admission\r\nAccept:*/*\r\nx-road-id:KG-m-1\r\nx-road-request-id:r-1\r\n"
    )


def test_what_was_signed_reads_back_the_same() -> None:
    request = make()
    assert rest.decode_request(request.encode()) == request


def test_hop_by_hop_headers_and_a_clients_own_request_id_do_not_travel() -> None:
    dropped = [(name, b"x") for name in rest.HOP_BY_HOP] + [
        (b"X-Road-Request-Id", b"evil"),
        (b"x-road-request-hash", b"evil"),
    ]
    request = make((*HEADERS, *dropped, (b"Authorization", b"kept"), (b"Cookie", b"kept"), (b"Date", b"kept")))
    names = [name.lower() for name, _ in request.headers]
    assert names == [
        b"x-road-client",
        b"accept",
        b"authorization",
        b"cookie",
        b"date",
        b"x-road-id",
        b"x-road-request-id",
    ]
    assert request.request_id == "r-1"


CLIENT_TWICE = ((b"x-road-client", b"KG/GOV/1/a"), (b"X-Road-Client", b"KG/GOV/2/b"))


@pytest.mark.parametrize(
    "headers",
    [
        CLIENT_TWICE,
        (*HEADERS, (b"x-road-userid", b"a"), (b"X-Road-UserId", b"a")),
        (*HEADERS, (b"X_Road_Client", b"KG/GOV/2/b")),
        (*HEADERS, (b"x-road_userid", b"b")),
    ],
)
def test_an_x_road_header_two_readers_could_read_differently_is_refused_on_both_sides(headers: rest.Headers) -> None:
    with pytest.raises(HeaderInvalid, match="more than once"):
        make(headers)
    sent = rest.encode_lines(b"GET", TARGET.encode(), headers)
    with pytest.raises(MessageMalformed, match="more than once"):
        rest.decode_request(sent)


def test_other_headers_may_repeat_and_may_hold_underscores() -> None:
    request = make((*HEADERS, (b"Accept", b"text/plain"), (b"my_road_client", b"x")))
    assert rest.decode_request(request.encode()) == request


def test_the_clients_message_id_is_kept_and_otherwise_made_from_the_instance() -> None:
    assert make((*HEADERS, (b"X-Road-Id", b"mine"))).message_id == "mine"
    assert make().message_id == "KG-m-1"


@pytest.mark.parametrize(
    "target",
    [
        "/r1/KG/GOV/70000002/population",
        "/r1/KG/GOV/70000002",
        "/r2/KG/GOV/70000002/population/persons",
        "//r1/KG/GOV/70000002/population/persons",
        "http://other/r1/KG/GOV/70000002/population/persons",
        "/r1/KG/GOV/70000002/population/persons#x",
        "/r1/KG/GOV/70000002/population/persons x",
        '/r1/KG/GOV/70000002/population/persons/"',
    ],
)
def test_a_target_without_all_five_parts_is_refused(target: str) -> None:
    with pytest.raises(TargetInvalid):
        make(target=target)


def test_an_encoded_slash_in_an_identifier_is_refused() -> None:
    with pytest.raises(IdentifierInvalid):
        make(target="/r1/KG/GOV/70000002%2Fpopulation/persons/x/y")


def test_a_call_without_client_is_refused() -> None:
    with pytest.raises(HeaderMissing):
        make(((b"Accept", b"*/*"),))


@pytest.mark.parametrize("value", [b"a\r\nX-Road-Client:KG/GOV/2/b", b"a\nb", b"a\x00b"])
def test_a_header_that_could_be_two_is_refused(value: bytes) -> None:
    with pytest.raises(HeaderInvalid):
        make((*HEADERS, (b"X-Thing", value)))


@pytest.mark.parametrize(
    "path",
    [
        "/a/../b",
        "/a/./b",
        "/..",
        "/%2e%2e/b",
        "/a/%2E%2E",
        "/a%2Fb",
        "/a%2fb",
        "/a%5Cb",
        "/a//b",
        "/a/%252e%252e/b",
        "/a%252Fb",
        "/a%2541b",
        "/a/%25D0%25B0",
        "/a%2500b",
        "/a%00b",
        "/a%0Ab",
        "/a/..;x=1/b",
        "/%C0%AE%C0%AE/",
        "/a%zz",
    ],
)
def test_a_path_two_readers_could_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(PathRefused):
        resttarget.decision_path(path)


@pytest.mark.parametrize(
    ("path", "decided"),
    [
        ("", "/"),
        ("/", "/"),
        ("/a%20b", "/a b"),
        ("/a/b/", "/a/b/"),
        ("/%D0%B1", "/б"),
        ("/a..b/...", "/a..b/..."),
        ("/100%25", "/100%"),
    ],
)
def test_an_honest_path_is_decided_on_decoded(path: str, decided: str) -> None:
    assert resttarget.decision_path(path) == decided


def test_the_request_hash_covers_the_body_only_when_there_is_one() -> None:
    head, body = hashlib.sha512(b"head").digest(), hashlib.sha512(b"body").digest()
    assert rest.request_hash(head, None) == base64.b64encode(head).decode()
    assert rest.request_hash(head, body) == base64.b64encode(hashlib.sha512(head + body).digest()).decode()


def answer(request: RestRequest, **changes: bytes) -> rest.RestResponse:
    made = rest.response_from_provider(
        200, "OK", ((b"Content-Type", b"text/plain"), (b"X-Road-Id", b"evil")), request, "hash"
    )
    headers = tuple((n, changes.get(n.decode().replace("-", "_"), v)) for n, v in made.headers)
    return rest.RestResponse(made.status, made.reason, headers)


def test_the_providers_own_x_road_headers_are_replaced_by_the_servers_in_order() -> None:
    assert [name for name, _ in answer(make()).headers] == [
        b"Content-Type",
        b"x-road-id",
        b"x-road-client",
        b"x-road-service",
        b"x-road-request-id",
        b"x-road-request-hash",
    ]


def test_a_response_to_this_request_is_consistent() -> None:
    request = make()
    response = answer(request)
    rest.check_consistent(request, "hash", rest.decode_response(response.encode()))


@pytest.mark.parametrize(
    "field", ["x_road_id", "x_road_client", "x_road_service", "x_road_request_id", "x_road_request_hash"]
)
def test_a_response_to_another_request_is_refused(field: str) -> None:
    request = make()
    other = b"KG/GOV/1/a/b" if field == "x_road_service" else b"KG/GOV/1/a"
    with pytest.raises(ResponseInconsistent):
        rest.check_consistent(request, "hash", answer(request, **{field: other}))


@pytest.mark.parametrize(
    ("path", "masked"),
    [
        ("/persons/21203198000017", "/persons/*"),
        ("/by-name/%D0%90", "/by-name/*"),
        ("/by-name/Asanov/Bakyt", "/by-name/*"),
        ("/by-name/asanov/bakyt", "/by-name/*"),
        ("/v5/institution_students/search", "/v5/*"),
        ("/born/2019-05-03", "/born/*"),
        ("/Asanov", "/*"),
        ("/%D0%90", "/*"),
        ("/21203198000017/name", "/*/*"),
        ("/p21203198000017", "/*"),
        ("/asanov.b@example", "/*"),
        ("/persons", "/persons"),
        ("/persons/", "/persons/"),
        ("/", "/"),
        ("", "/"),
    ],
)
def test_of_a_path_only_a_first_segment_that_is_plainly_a_resource_is_told(path: str, masked: str) -> None:
    assert resttarget.masked_path(path) == masked


@given(st.text(alphabet="abcXYZ019-_./%", max_size=40))
def test_nothing_after_the_first_segment_is_ever_told(tail: str) -> None:
    assert resttarget.masked_path(f"/persons/{tail}") == ("/persons/*" if tail else "/persons/")


POISON = "OK\nContent-Length: 2\n\nokHTTP/1.1 200 OK\nX-Poison: yes"


@pytest.mark.parametrize("reason", [POISON, "a\rb", "a\x00b", "a\x7fb", "\x1b[2J"])
def test_a_reason_that_could_be_more_than_a_reason_is_refused(reason: str) -> None:
    with pytest.raises(MessageMalformed, match="control character"):
        rest.decode_response(rest.encode_lines(b"200", reason.encode("latin-1"), ()))


@pytest.mark.parametrize("line", [b"x:a\nb:c", b"x:a\rb", b"x\ny:a", b"\x00x:a", b"x:\x08"])
@pytest.mark.parametrize(
    "first", [b"200\r\nOK\r\n", b"GET\r\n" + TARGET.encode() + b"\r\nX-Road-Client:KG/GOV/1/a\r\n"]
)
def test_a_header_line_that_could_be_two_is_a_malformed_message(first: bytes, line: bytes) -> None:
    read = rest.decode_response if first.startswith(b"200") else rest.decode_request
    read(first)
    with pytest.raises(MessageMalformed, match="control character"):
        read(first + line + b"\r\n")


@pytest.mark.parametrize(
    "code", [b"100", b"101", b"199", b"600", b"0200", b"20", b"2000", b"2 0", b"+20", b"", b"\xb200"]
)
def test_a_status_that_is_not_a_final_one_is_refused(code: bytes) -> None:
    with pytest.raises(MessageMalformed):
        rest.decode_response(rest.encode_lines(code, b"OK", ()))


def test_an_answers_own_headers_occur_once() -> None:
    sent = answer(make()).encode()
    for more in (b"X-Road-Id:other\r\n", b"x_road_id:other\r\n"):
        with pytest.raises(MessageMalformed, match="more than once"):
            rest.decode_response(sent + more)


def test_what_frames_an_answer_or_says_it_is_a_fault_does_not_reach_the_client() -> None:
    signed = (
        *((name, b"x") for name in rest.HOP_BY_HOP),
        (b"X-Road-Error", b"server.fake"),
        (b"Connection", b"close, X-Listed"),
        (b"x-listed", b"1"),
        (b"Content-Type", b"text/plain"),
        (b"x-road-id", b"m"),
    )
    assert rest.for_the_client(signed) == signed[-2:]


def test_an_agencys_odd_reason_and_shadowing_headers_are_not_signed() -> None:
    made = rest.response_from_provider(200, POISON, ((b"X_Road_Id", b"evil"), (b"My_Own", b"1")), make(), "hash")
    assert rest.decode_response(made.encode()) == made
    assert [name for name, _ in made.headers][:2] == [b"My_Own", b"x-road-id"]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_but_never_break_the_reader(data: bytes) -> None:
    for read in (rest.decode_request, rest.decode_response):
        with contextlib.suppress(ExchangeError):
            assert read(data).encode() == data


def test_a_status_has_three_digits() -> None:
    with pytest.raises(MessageMalformed):
        rest.decode_response(b"20\r\nOK\r\n")


_NAMES = st.sampled_from(
    [b"X-Road-Client", b"x-road-id", b"X-ROAD-ID", b"x_road_id", b"X-Road-Request-Id", b"x-road-request-hash", b"Accept",
     b"Connection", b"Host", b"content-type", b"X-Road-Error", b"Proxy-Thing", b"x-road-security-server", b"Etag"]
)  # fmt: skip


@given(st.lists(_NAMES, max_size=8))
def test_a_sequence_of_names_says_what_its_names_say_one_by_one(names: list[bytes]) -> None:
    shape = restheaders.Shape(tuple(names))
    low = [name.lower() for name in names]
    shadows = [b"_" in name for name in names]
    own = [name for name in low if name.startswith(b"x-road-")]
    dropped = rest.HOP_BY_HOP | {b"x-road-request-id", b"x-road-request-hash"}
    kept = [at for at, name in enumerate(low) if name not in dropped]
    own_kept = [low[at] for at in kept if low[at].startswith(b"x-road-")]
    assert list(shape.from_client) == kept
    assert shape.plain == (len(own) == len(set(own)) and not any(shadows))
    assert shape.from_client_plain == (len(own_kept) == len(set(own_kept)) and not any(shadows[at] for at in kept))
    assert list(shape.for_agency) == [at for at, name in enumerate(low) if name not in rest.HOP_BY_HOP]
    headers = tuple((name, b"v%d" % at) for at, name in enumerate(names))
    assert rest.for_the_client(headers, shape) == rest.for_the_client(headers)
    for at, name in (
        (shape.client, b"x-road-client"), (shape.message_id, b"x-road-id"), (shape.request_id, b"x-road-request-id"),
        (shape.server, b"x-road-security-server"), (shape.accept, b"accept"), (shape.content_type, b"content-type"),
    ):  # fmt: skip
        assert (None if at < 0 else headers[at][1]) == rest.header(headers, name)


@given(
    st.text("/r1?#ab%20\\", max_size=14), st.sampled_from(["", "/r1", "/r1/KG/GOV/1/sub/code", "/r1/KG/GOV//sub/code"])
)
def test_a_target_is_taken_apart_as_its_slashes_say(rest_of: str, begin: str) -> None:
    target = begin + rest_of
    path, mark, query = target.partition("?")
    pieces = path.split("/", 7)
    good = not set(target) & set("#\\") and len(pieces) >= 7 and pieces[:2] == ["", "r1"]
    try:
        found = resttarget.parts_of(target)
    except TargetInvalid:
        assert not good
    except IdentifierInvalid:
        assert good  # a part of an identifier that cannot be one
    else:
        assert good
        assert found[1:] == ("/" + pieces[7] if len(pieces) == 8 else "", query if mark else None)
        assert found[0] == resttarget.parse_target(target).service
