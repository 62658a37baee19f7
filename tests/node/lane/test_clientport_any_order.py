"""The native port of clients under anything: wherever pieces end, and whatever is done in whatever order."""

import contextlib
import os
import select

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)

from portworld import NOT_SIMPLE, PLAIN, World, answered, get, post, reset

from kerege.exchange.lane.call import Call
from kerege.node.lane.ports import ClientConnection

STREAMS = st.lists(
    st.one_of(
        st.integers(0, 3).map(get),
        st.binary(max_size=300).map(post),
        st.just(b"GET /listClients HTTP/1.1\r\nHost: node\r\n\r\n"),
        st.sampled_from(NOT_SIMPLE[:6]),
    ),
    min_size=1,
    max_size=4,
).map(b"".join)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    STREAMS, st.lists(st.integers(0, 2000), max_size=6), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)))
)
def test_every_byte_is_of_a_request_or_handed_over_wherever_the_pieces_end(
    stream: bytes, cuts: list[int], changes: list[tuple[int, int]]
) -> None:
    changed = bytearray(stream)
    for at, value in changes[:3]:
        changed[at % len(changed)] = value
    stream = bytes(changed)
    ends = sorted({cut % (len(stream) + 1) for cut in cuts} | {len(stream)})

    def seen(pieces: list[bytes]) -> tuple[list[bytes], bytes | int]:
        """The requests carried out, and what is left: the bytes handed over, or how many wait for more."""
        made, carried = World(), []

        def take(calls: list[Call], others: list[Call]) -> None:
            for call in (*calls, *others):
                carried.append(call.head + ((call.more if call.request is None else call.request.body) or b""))
                made.port.respond(call.end, PLAIN, True)

        made.take = take
        try:
            client, _ = made.connect()
            for piece in pieces:
                client.sendall(piece)
                while select.select([made.port.fileno()], [], [], 0)[0]:
                    made.port.drain()
            if not made.odd:
                return carried, made.port.held
            _, descriptor, read = made.odd[0]
            os.set_blocking(descriptor, False)
            with contextlib.suppress(BlockingIOError):
                read += os.read(descriptor, 1 << 16)
            return carried, read
        finally:
            made.close()

    whole, left = seen([stream])
    in_pieces, left_of_pieces = seen([stream[a:b] for a, b in zip([0, *ends], ends, strict=False)])
    assert whole == in_pieces
    taken = b"".join(whole)
    for remaining in (left, left_of_pieces):
        assert taken + (stream[-remaining:] if isinstance(remaining, int) and remaining else remaining or b"") == stream


DOINGS = st.sampled_from(
    [
        "whole",
        "two",
        "part",
        "odd",
        "close",
        "reset",
        "answer",
        "respond",
        "last",
        "drop",
        "stop",
        "take",
        "late",
        "drain",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(DOINGS, st.integers(0, 3)), max_size=40))
def test_each_connection_ends_once_whatever_is_done_in_whatever_order(doings: list[tuple[str, int]]) -> None:
    made = World()
    pairs = [made.connect() for _ in range(4)]
    taken: list[ClientConnection] = []
    said = {"whole": get(), "two": post(b"one") + get(), "part": post(b"half")[:-2], "odd": NOT_SIMPLE[0]}
    try:
        for doing, which in doings:
            client, connection = pairs[which]
            waiting = [call for call in (*made.calls, *made.others) if call.end is connection]
            if doing in said and client.fileno() >= 0:
                with contextlib.suppress(ConnectionError):
                    client.sendall(said[doing])
            elif doing == "close":
                client.close()
            elif doing == "reset" and client.fileno() >= 0:
                reset(client)
            elif doing == "answer":
                made.port.answer([answered(call, b"ok") for call in waiting])
            elif doing in {"respond", "last"}:
                made.port.respond(connection, PLAIN, doing == "respond")
            elif doing == "drop":
                connection.drop()
            elif doing == "stop":
                connection.stop()
            elif doing == "take":
                with contextlib.suppress(ValueError):
                    os.close(connection.take_over())
                    taken.append(connection)
            elif doing == "late":
                made.now += 30
                made.port.sweep(made.now)
            made.port.drain()
        made.port.close()
        ends = [*made.lost, *taken, *(one for one, _, _ in made.odd)]
        assert sorted(map(id, ends)) == sorted(id(connection) for _, connection in pairs)
        assert (made.port.connections, made.port.held) == (0, 0)
        assert not any(connection.connected or connection.busy or connection.idle for _, connection in pairs)
    finally:
        made.close()
