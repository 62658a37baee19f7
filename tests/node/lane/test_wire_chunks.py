"""Requests in chunks at the provider's node, and answers in chunks or that end their connection at the consumer's, from a server in hostile
hands: natively what is plain, as ever what is not, and the neighbours under the same signature are answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hostilewire import TOGETHER, Answerer, Caller, Letter, changed_body, native, read_http, seal, told
from traffic import Asked, Crowd, Office, consumer_alone, lane_calls, log_of, provider_alone, request

from box import Box

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey

LAST = b"0\r\n\r\n"


def in_chunks(body: bytes, size: int, form: str = "%x", last: bytes = LAST) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join((form % len(one)).encode() + b"\r\n" + one + b"\r\n" for one in pieces) + last


def changed(
    data: bytes, says: str = "transfer-encoding: chunked", body: Callable[[bytes], bytes] | None = None
) -> bytes:
    """A message with a length, saying otherwise where its body ends."""
    head, _, content = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
    return b"\r\n".join([*lines, *says.encode().split(b"\n"), b"", content if body is None else body(content)])


def chunked(data: bytes, size: int = 8000, **how: Any) -> bytes:
    return changed(data, body=lambda content: in_chunks(content, size, **how))


@pytest.fixture(scope="module")
def provider(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with provider_alone(tmp_path_factory.mktemp("provider"), office) as box:
        yield box


@pytest.fixture
def caller(provider: Box) -> Iterator[Caller]:
    made = Caller(provider)
    yield made
    made.close()


def letters_of(caller: Caller, name: str, body: bytes | None = b"body") -> list[Letter]:
    letters = [caller.letter(f"{name}-{at}", body) for at in range(TOGETHER)]
    seal(letters, caller.signer())
    return letters


def test_requests_in_chunks_of_any_size_are_answered_natively(provider: Box, caller: Caller) -> None:
    for number, body in enumerate((b"body", None, b"x" * 60_000)):
        letters = letters_of(caller, f"chunks-{number}", body)
        hows: list[dict[str, Any]] = [
            *({"size": 1 << 20}, {"size": 8000}, {"size": 700}, {"size": 100, "form": "%08X"}),
            *({"size": 2000, "last": b"000\r\n\r\n"}, {"size": 13}),
        ]
        for letter, how in zip(letters, hows, strict=True):
            letter.data = chunked(letter.http_request(), **how)
        assert native(provider, caller, letters) == (["200"] * 6, 6)


ODD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "trailer": (lambda data: chunked(data, last=b"0\r\nx-more: 1\r\n\r\n"), "200"),
    "extension": (lambda data: chunked(data, form="%x;a=b"), "200"),
    "many-zeros": (lambda data: chunked(data, form="%020x"), "200"),
    "capital": (lambda data: changed(data, "Transfer-Encoding: Chunked", lambda body: in_chunks(body, 99)), "200"),
    "length-too": (lambda data: changed(data, "content-length: 5\ntransfer-encoding: chunked"), "400"),
    "twice": (lambda data: changed(data, "transfer-encoding: chunked\ntransfer-encoding: chunked"), "400"),
    "not-last": (lambda data: changed(data, "transfer-encoding: chunked, gzip"), "400"),
    "no-size": (lambda data: changed(data, body=lambda body: b"\r\n" + body), "400"),
    "bare-lf": (lambda data: chunked(data).replace(b"\r\n0\r\n\r\n", b"\n0\n\n"), "400"),
    "short": (lambda data: chunked(data).replace(LAST, b"x" + LAST), "400"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_read_as_ever_and_its_neighbours_natively(provider: Box, caller: Caller, name: str) -> None:
    change, told_of_it = ODD[name]
    letters = letters_of(caller, name)
    for letter in letters:
        letter.data = chunked(letter.http_request())
    letters[1].data = b""
    letters[1].data = change(letters[1].http_request())
    found, count = native(provider, caller, letters)
    assert found == ["200", told_of_it, *["200"] * 4]
    assert count == TOGETHER - 1


def test_a_request_in_chunks_that_does_not_hold_is_refused_and_its_neighbours_are_answered(
    provider: Box, caller: Caller
) -> None:
    letters = letters_of(caller, "changed")
    for at, letter in enumerate(letters):
        data = letter.http_request()
        letter.data = chunked(data.replace(b"\r\nbody\r\n", b"\r\nBODY\r\n") if at == 1 else data, 50)
    found, count = native(provider, caller, letters)
    assert [at for at, one in enumerate(found) if one != "200"] == [1]
    assert "invalid_hash_chain" in found[1].lower()
    assert count == TOGETHER - 1


def test_requests_in_chunks_that_come_in_pieces_are_answered_each_once(provider: Box, caller: Caller) -> None:
    before, logged = lane_calls(provider, "node-reg")[0], len(log_of(provider, "node-reg"))
    letters = letters_of(caller, "pieces", b"c" * 9000)
    sent = [
        chunked(letter.http_request(), size)
        for letter, size in zip(letters, (1 << 20, 8000, 2000, 900, 8000, 1), strict=True)
    ]
    cuts: list[list[int]] = [[at * 1500 for at in range(1, 20)] for _ in letters[:4]]
    cuts.append([len(sent[4]) - at for at in range(40, 0, -1)])  # the end of it byte by byte
    cuts.append([at * 600 for at in range(1, 100)])  # many small chunks, more often than it is asked
    at = [0] * TOGETHER
    for step in range(max(map(len, cuts)) + 1):
        for n, connection in enumerate(caller.connections):
            if at[n] < len(sent[n]):
                to = cuts[n][step] if step < len(cuts[n]) else len(sent[n])
                connection.sendall(sent[n][at[n] : to])
                at[n] = max(at[n], to)
        time.sleep(0.002)
    assert [told(*read_http(one)) for one in caller.connections] == ["200"] * TOGETHER
    time.sleep(0.05)
    assert len(log_of(provider, "node-reg")) - logged == 2 * TOGETHER
    # all but the one that was handed over; the first of all may have found no decision yet
    assert TOGETHER - 2 <= lane_calls(provider, "node-reg")[0] - before <= TOGETHER - 1


def test_requests_in_chunks_sent_ahead_are_answered_in_their_order(provider: Box, caller: Caller) -> None:
    letters = [caller.letter(f"ahead-chunks-{at}") for at in range(5)]
    seal(letters, caller.signer())
    letters[2].body = b"changed"
    sent = [letter.http_request() if at == 3 else chunked(letter.http_request()) for at, letter in enumerate(letters)]
    connection = caller.connections[0]
    connection.sendall(b"".join(sent))
    assert [told(*read_http(connection))[:6] for _ in letters] == ["200", "200", "server", "200", "200"]


def test_a_caller_that_leaves_in_the_middle_of_a_chunk_leaves_nothing_behind(provider: Box, caller: Caller) -> None:
    letters = letters_of(caller, "left", b"l" * 30_000)
    for letter, connection in zip(letters, caller.connections, strict=True):
        sent = chunked(letter.http_request())
        connection.sendall(sent[: len(sent) - 4000])
    caller.close()
    other = Caller(provider)
    try:
        letters = letters_of(other, "after-left")
        for letter in letters:
            letter.data = chunked(letter.http_request())
        assert other.ask(letters) == ["200"] * TOGETHER
    finally:
        other.close()


# --- answers ---


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with consumer_alone(tmp_path_factory.mktemp("consumer"), link=False) as box:
        yield box


Pieces = list[bytes | None]
WELL = [200] * TOGETHER
SECOND = [200, 500, 200, 200, 200, 200]


def each(piece: Callable[[bytes], Pieces], change: Callable[[Any, list[Letter]], None] | None = None) -> Any:
    def deal(side: Answerer, letters: list[Letter]) -> list[Pieces]:
        seal(letters, side.signer())
        if change is not None:
            change(side, letters)
        return [piece(one.http_answer()) for one in letters]

    return deal


def second(piece: Callable[[bytes], Pieces]) -> Any:
    """The second answer only; the others have a length."""

    def deal(side: Answerer, letters: list[Letter]) -> list[Pieces]:
        seal(letters, side.signer())
        return [piece(one.http_answer()) if at == 1 else [one.http_answer()] for at, one in enumerate(letters)]

    return deal


def with_length(data: bytes, more: str) -> bytes:
    return data.replace(b"\r\ncontent-length:", f"\r\n{more}\r\ncontent-length:".encode(), 1)


def crumbs(data: bytes, size: int) -> Pieces:
    start = data.index(b"\r\n\r\n") + 4
    return [data[:start], *(data[at : at + size] for at in range(start, len(data), size))]


ANSWERS: dict[str, tuple[Any, list[int], int]] = {
    "chunks": (each(lambda data: [chunked(data, 900)]), WELL, 6),
    "chunks-in-pieces": (each(lambda data: crumbs(chunked(data, 2000), 1200)), WELL, 6),
    "chunks-changed": (each(lambda data: [chunked(data, 900)], changed_body), SECOND, 5),
    "close": (each(lambda data: [with_length(data, "connection: close")]), WELL, 6),
    "close-and-end": (each(lambda data: [with_length(data, "Connection: close"), None]), WELL, 6),
    "chunks-close": (each(lambda data: [changed(data, "transfer-encoding: chunked\nconnection: close", lambda b: in_chunks(b, 900)), None]), WELL, 6),
    "to-the-end": (each(lambda data: [changed(data, "connection: close"), None]), WELL, 6),
    "to-the-end-in-pieces": (each(lambda data: [*crumbs(changed(data, "x-own: 1"), 1500), None]), WELL, 6),
    "cut-to-the-end": (second(lambda data: [changed(data, "connection: close")[:-9], None]), SECOND, 5),
    "cut-chunks": (second(lambda data: [chunked(data, 900)[:-2], None]), SECOND, 5),
    "cut-in-a-chunk": (second(lambda data: [chunked(data, 900)[:-400], None]), SECOND, 5),
    "cut-close": (second(lambda data: [with_length(data, "connection: close")[:-1], None]), SECOND, 5),
    "trailer": (second(lambda data: [chunked(data, last=b"0\r\nx: y\r\n\r\n")]), WELL, 5),
    "something-behind": (second(lambda data: [chunked(data) + b"HTTP/1.1 200 OK\r\n\r\n"]), WELL, 5),
    "behind-the-end": (second(lambda data: [changed(data, "connection: close") + b"HTTP/1.1 200 OK\r\n\r\n", None]), SECOND, 5),
    "silence": (second(lambda data: [chunked(data, 900)[:-3]]), SECOND, 5),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_each_answer_is_taken_or_refused_once_and_logged_as_it_was(consumer: Box, name: str) -> None:
    deal, statuses, many = ANSWERS[name]
    side = Answerer(consumer, deal)
    try:
        with Crowd(consumer) as crowd:
            crowd.warm()
            assert {one.status for one in crowd.ask(*[request("/warm")] * (2 * TOGETHER))} == {200}
            before = lane_calls(consumer, "node-edu")[0]
            answers: list[Asked] = crowd.ask(*[request(f"/{n}", message_id=f"{name}-{n}") for n in range(TOGETHER)])
            count = lane_calls(consumer, "node-edu")[0] - before
            # and no connection is used again that said it closes, or on which something was left
            assert {one.status for one in crowd.ask(*[request("/warm")] * (2 * TOGETHER))} == {200}
    finally:
        side.close()
    assert side.problems == []
    assert [one.status for one in answers] == statuses, [one.body for one in answers]
    assert count == many
    records = [(one.message_id, one.direction) for one in log_of(consumer, "node-edu")]
    for n, one in enumerate(answers):
        assert records.count((f"{name}-{n}", "request")) == 1
        assert records.count((f"{name}-{n}", "response")) == (one.status == 200)
