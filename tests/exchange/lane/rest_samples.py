"""Requests, answers and header lines of all kinds, for the tests of the native path's REST messages; and how bytes get damaged."""

from collections.abc import Iterator

from hypothesis import strategies as st

Header = tuple[bytes, bytes]

CLIENT, SERVICE = b"KG/GOV/70000001/desk", b"KG/GOV/70000002/registry/people"
HASH = b"q" * 86 + b"=="

REQUEST = (
    b"POST /r1/KG/GOV/70000002/registry/people/by/1234?full=1&x=%D0%B0 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
    b"User-Agent: wrk/4.2\r\nAccept: application/json\r\nX-Road-Client: KG/GOV/70000001/desk\r\n"
    b"Content-Type: application/json\r\nX-Trace:\t0123\r\nContent-Length: 7\r\n\r\n{}\r\n\r\n "
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: application/json\r\nx-road-id: forged\r\nX_Road_Service: x\r\n"
    b"Content-Length: 4\r\nConnection: keep-alive\r\n\r\n\r\n{}"
)

verbs = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "get", "CONNECT", "GETS"])
_PARTS = ["KG", "GOV", "70000002", "registry", "people", "..", "", ".", "a%20b", "a b", "x:y", "x;y", "(a)", "k@", "a" * 256]  # fmt: skip
_PATHS = ["", "/", "/by/1234", "/a.b~c_d-e/", "//", "/.", "/..", "/a/../b", "/a;b", "/%41", "/.well", "/a//b", "/(x)", "x", '/"']  # fmt: skip
_QUERIES = ["", "?", "?a=1&b=%C3%A4", "?a/b?c", "?#", "?[x]", "?\x7f"]
plain_parts = ["KG", "GOV", "70000002", "registry", "people"]
targets = st.one_of(
    st.just("/r1/KG/GOV/70000002/registry/people/by/1"),
    st.builds(
        lambda parts, path, query: "/r1/" + "/".join(parts) + path + query,
        st.one_of(st.just(plain_parts), st.lists(st.sampled_from(_PARTS), min_size=4, max_size=6)),
        st.sampled_from(_PATHS),
        st.sampled_from(_QUERIES),
    ),
    st.sampled_from(["/", "/r1", "/r1/", "/r2/KG/GOV/1/a/b", "*", "http://a/b", "/listClients?x", ""]),
)

_CLIENTS = [
    *[CLIENT] * 12, b"KG/GOV/1", b"KG/GOV/1/%41", b"KG/GOV/1/a/b", b"KG/GOV//a", b"KG/GOV/1/..", b"", b"KG/GOV/1/a ", b"KG/GOV/1/\xd0",
    b"KG/GOV/1/a b", b"KG/GOV/1/(a)",
]  # fmt: skip
_IDS = [b"abc-1", b"KG-1 2", b"", b"a\tb", b"a ", b"x" * 255, b"x" * 256, b"\xd0\xb0"]
_OTHERS: list[Header] = [
    (b"Accept", b"*/*"), (b"ACCEPT", b"application/json, Application/VND.Kerege.Canonical+json;q=1"), (b"Accept", b""),
    (b"Content-Type", b"text/plain"), (b"content-type", b"application/json; charset=utf-8"), (b"Content-Type", b""),
    (b"X-Trace", b"a\tb \xff:c"), (b"X-Empty", b""), (b"!#$%&'*+-.^_`|~9", b"odd"), (b"Cookie", b"a=b" * 20),
    (b"X-Road-UserId", b"u"), (b"x-road-userid", b"v"), (b"X-Road-Issue", b"i"), (b"X_Road_Client", b"KG/GOV/1/x"),
    (b"x-road_issue", b"i"), (b"X-Road-Issue_2", b"i"), (b"X-Road-", b"x"), (b"X-Roads", b"x"), (b"x_roads", b"x"),
    (b"X-Road-Request-Id", b"evil"), (b"X-Road-Request-Hash", b"evil"), (b"X-Road-Service", b"evil"), (b"X-Road-Error", b"e"),
    (b"X-Road-Security-Server", b"KG/GOV/1/s"), (b"Keep-Alive", b"timeout=5"), (b"TE", b"trailers"), (b"Host", b"a:1"),
    (b"Proxy-Authorization", b"x"), (b"Proxy-Thing", b"x"), (b"Server", b"s"), (b"User-Agent", b"u"), (b"Etag", b'"x"'),
]  # fmt: skip
_FRAMING: list[Header] = [
    (b"Connection", b"keep-alive"), (b"connection", b"Keep-Alive"), (b"Connection", b"close"), (b"Connection", b"keep-alive "),
    (b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"identity"), (b"Content-Length", b"0"), (b"Expect", b"100-continue"),
    (b"Upgrade", b"h2c"), (b"Trailer", b"x"), (b"Proxy-Connection", b"close"), (b"Content-Length", b"2, 2"), (b"Connection", b""),
]  # fmt: skip

clients = st.sampled_from(_CLIENTS)
ids = st.sampled_from(_IDS)
own: st.SearchStrategy[Header] = st.one_of(
    st.tuples(st.sampled_from([b"X-Road-Client", b"x-road-client"]), clients),
    st.tuples(st.sampled_from([b"X-Road-Id", b"x-road-id", b"x-road-request-id"]), ids),
)
headers = st.lists(st.one_of(*[st.sampled_from(_OTHERS)] * 4, own), max_size=9)
with_client = st.builds(
    lambda before, client, after: [*before, (b"X-Road-Client", client), *after],
    headers, st.one_of(st.just(CLIENT), clients), st.lists(st.sampled_from(_OTHERS), max_size=2),
)  # fmt: skip
framing = st.one_of(st.just([]), st.just([]), st.lists(st.sampled_from(_FRAMING), max_size=2))
spaces = st.sampled_from([b" ", b" ", b"", b"\t", b" \t "])
BYTES = (0, 9, 10, 11, 13, 32, 37, 46, 47, 48, 58, 63, 95, 120, 127, 128, 255)


def damaged(data: bytes) -> Iterator[bytes]:
    """`data` with every byte in turn taken out, doubled, or replaced by those that mean something."""
    for at in range(len(data)):
        yield data[:at] + data[at + 1 :]
        yield data[:at] + data[at : at + 1] * 2 + data[at + 1 :]
        for byte in BYTES:
            yield data[:at] + bytes((byte,)) + data[at + 1 :]


@st.composite
def scratched(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """As it is, or with a byte or two changed."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.sampled_from(BYTES))
    return bytes(data)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """HTTP requests of all kinds, most of them for the native path."""
    body = draw(st.sampled_from([b"", b"", b"{}", b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]))
    fields = [*draw(with_client), *draw(framing)]
    if body or draw(st.booleans()):
        fields.insert(draw(st.integers(0, len(fields))), (b"Content-Length", b"%d" % len(body)))
    first = f"{draw(verbs)} {draw(targets)} {draw(st.sampled_from(['HTTP/1.1'] * 9 + ['HTTP/1.0', 'HTTP/1.2', 'http/1.1']))}"
    lines = b"".join(b"%b:%b%b\r\n" % (name, draw(spaces), value) for name, value in fields)
    return first.encode("latin-1") + b"\r\n" + lines + b"\r\n" + body


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """HTTP answers of all kinds, most of them for the native path."""
    body = draw(st.sampled_from([b"", b"{}", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]))
    status = draw(st.sampled_from(b"200 200 404 500 599 204 304 100 199 600 20 2000".split()))
    reasons = [b" OK", b" OK", b" Not Found", b"", b" ", b"  two ", b" a\tb", b" \xe9", b" \x01", b"\tOK"]
    reason = draw(st.sampled_from(reasons))
    fields = [*draw(headers), *draw(framing)]
    if draw(st.sampled_from([True, True, True, False])) and status not in (b"204", b"304"):
        fields.insert(draw(st.integers(0, len(fields))), (b"Content-Length", b"%d" % len(body)))
    lines = b"".join(b"%b:%b%b\r\n" % (name, draw(spaces), value) for name, value in fields)
    return b"HTTP/1.1 " + status + reason + b"\r\n" + lines + b"\r\n" + body


def signed(first: bytes, second: bytes, fields: list[Header]) -> bytes:
    return b"%b\r\n%b\r\n%b" % (first, second, b"".join([b"%b:%b\r\n" % one for one in fields]))


@st.composite
def signed_requests(draw: st.DrawFn) -> bytes:
    fields = draw(with_client)
    for name, value in ((b"x-road-id", b"KG-1"), (b"x-road-request-id", b"r-1")):
        if draw(st.sampled_from([True, True, True, False])):
            fields.append((name, draw(st.one_of(st.just(value), ids))))
    return signed(draw(verbs).encode(), draw(targets).encode("latin-1"), fields)


@st.composite
def signed_answers(draw: st.DrawFn) -> bytes:
    five = [
        (b"x-road-id", b"KG-1"), (b"x-road-client", CLIENT), (b"x-road-service", SERVICE), (b"x-road-request-id", b"r-1"),
        (b"x-road-request-hash", HASH),
    ]  # fmt: skip
    change = draw(st.sampled_from(["", "", "", "value", "name", "order", "gone", "after"]))
    if change == "value":
        at = draw(st.integers(0, 4))
        five[at] = (
            five[at][0],
            draw(st.sampled_from([five[at][1] + b" ", b"", b"KG/GOV/70000001/%64esk", five[at][1][1:]])),
        )
    elif change == "name":
        at = draw(st.integers(0, 4))
        five[at] = (five[at][0].upper(), five[at][1])
    elif change == "order":
        five.reverse()
    elif change == "gone":
        five.pop(draw(st.integers(0, 4)))
    elif change == "after":
        five.append((b"x-more", b"1"))
    status = draw(
        st.sampled_from(
            [b"200", b"404", b"599", b"204", b"304", b"199", b"600", b"20", b"2x0", b"\xd9\xa2\xd9\xa0\xd9\xa0"]
        )
    )
    reason = draw(st.sampled_from([b"OK", b"OK", b"", b" two ", b"a\tb", b"\xe9"]))
    plain = [
        one
        for one in draw(headers)
        if not one[0].lower().startswith((b"x-road-client", b"x-road-id", b"x-road-request"))
    ]
    more = draw(st.one_of(st.just(plain), st.just(plain), headers))
    if draw(st.sampled_from([False, False, True])):
        more.append(draw(st.sampled_from(_FRAMING)))
    return signed(status, reason, [*more, *five])
