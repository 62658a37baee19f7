"""What each step of a message over the Kerege link costs when nothing disturbs it: `python bench/exchange/stages.py [--together 24]`.

Two real nodes are started in this process, without the native path (`lane: false`), and carry a few calls; then each step is done again
and again on what they left, for so many messages together, with nothing read from or written to network or disk and without the private
key's work. The least of many times counts, so it says the same on a busy machine as on a quiet one (within 3 %), which a load does not. It
reaches into the nodes' private parts: it is an instrument beside the bench, and what it gives is where the bench's CPU would be if every
step found its code and data in the processor's caches.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pairs
import uvloop
from single import one_pair

from kerege.exchange import linkframes, logframes, logwriter
from kerege.node import config
from kerege.node.http import messages as httpmessages
from kerege.node.http import server as httpserver
from kerege.node.http.connection import Connection
from kerege.node.http.messages import encode_head
from kerege.node.link import client as link_client
from kerege.node.link import ends as link
from kerege.node.link import server as link_server
from kerege.node.rest_consumer import http_answer
from kerege.node.serve import Node

TIMES = 40
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: keep-alive\r\n\r\n"
)


class Wire:
    """A transport that takes everything and sends nothing."""

    last = b""

    def write(self, data: bytes) -> None:
        self.last = data

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str) -> object:
        return ("127.0.0.1", 1) if name == "peername" else None

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class Key:
    """Signs at once, always the same."""

    def __init__(self, key: Any) -> None:
        self.method, self._value = key.method, key.sign_bytes(b"")

    def sign_bytes(self, data: bytes) -> bytes:
        return cast(bytes, self._value)


class Waiter:
    """A future whose end is told to nobody by itself."""

    def __init__(self) -> None:
        self.call: Callable[[Waiter], None] | None = None
        self.value: Any = None

    def add_done_callback(self, call: Callable[[Waiter], None]) -> None:
        self.call = call

    def set_result(self, value: Any) -> None:
        self.value = value

    def result(self) -> Any:
        return self.value

    def done(self) -> bool:
        return self.value is not None


class Still:
    """A loop in which nothing begins: what a frame would start is put aside."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def create_task(self, work: Any) -> Any:
        work.close()
        return self

    def add_done_callback(self, _: object) -> None: ...

    def create_future(self) -> Any:
        return Waiter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


class Stages:
    def __init__(self, together: int, size: int) -> None:
        self.together, self.size = together, size
        self.total = 0.0

    def time(
        self,
        name: str,
        work: Callable[[], object],
        before: Callable[[], object] = lambda: None,
        times: int = 1,
    ) -> None:
        best = float("inf")
        for _ in range(TIMES):
            before()
            began = time.perf_counter()
            work()
            best = min(best, time.perf_counter() - began)
        each = best / self.together * 1e6
        self.total += each * times
        print(f"{name:62} {each:6.1f}{f'  x {times}' if times > 1 else ''}", flush=True)


async def ask(host: str, port: int, request: bytes) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()


async def measure(stages: Stages, pair: pairs.Pair) -> None:
    nodes = {side: Node(config.load(pair.configs[side])) for side in ("provider", "consumer")}
    for node in nodes.values():
        await node.start()
    near, far = nodes["consumer"].core, nodes["provider"].core
    near_link: list[Any] = []
    ends: dict[str, Any] = {}
    sealed = link_client.Link.sealed, link_server.LinkServer.sealed
    link_client.Link.sealed = lambda self, items: (near_link.append(self), sealed[0](self, items))[1]  # type: ignore[method-assign]
    link_server.LinkServer.sealed = lambda self, items: (ends.update(far=self), sealed[1](self, items))[1]  # type: ignore[method-assign]
    host, _, port = pair.clients_url.partition("://")[2].partition(":")
    body = b'{"text":"' + b"k" * (stages.size - 11) + b'"}'
    head = (
        f"POST /r1/{pairs.SERVICE}/k1 HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nX-Road-Client: {pairs.CLIENT}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    for _ in range(3):
        await ask(host, int(port), request)
    link_client.Link.sealed, link_server.LinkServer.sealed = sealed  # type: ignore[method-assign]
    at_consumer(stages, nodes, near_link[-1], ends["far"], request)
    await asyncio.sleep(0)
    print(f"{'all of it, both nodes':62} {stages.total:6.1f}")
    for core in (near, far):
        core.log.close()


def at_consumer(stages: Stages, nodes: dict[str, Node], near_end: Any, far_end: Any, request: bytes) -> None:
    """Everything, in the order a message goes."""
    near, far, count = nodes["consumer"].core, nodes["provider"].core, stages.together
    loop, now = asyncio.get_running_loop(), datetime.now(UTC)

    begun: list[Any] = []
    near.sealing.submit = begun.append  # type: ignore[method-assign]
    limits, budget = httpmessages.ServerLimits(10**8), httpmessages.BodyBudget(10**9)
    callers = [httpserver.HttpProtocol(nodes["consumer"].parts.consumer.handle, limits, budget) for _ in range(count)]
    for one in callers:
        one.connection_made(cast(Any, Wire()))

    def idle() -> None:
        for one in callers:
            one._work = one._response = None
        begun.clear()
        near_end._calls.clear()

    stages.time(
        "consumer: a client's request read, decided on, hashed",
        lambda: [c.data_received(request) for c in callers],
        before=idle,
    )
    items = list(begun)
    assert len(items) == count

    def seal(items: list[Any]) -> list[Any]:
        signed = items[0].signer.sign_batch([item.digests for item in items], now)
        for item, one in zip(items, signed, strict=True):
            item.signed = one
        return [item.record(item, now) for item in items]

    def sealing(name: str, items: list[Any]) -> list[Any]:
        signer = items[0].signer
        real, signer._key = signer._key, Key(signer._key)
        stages.time(name, lambda: seal(items))
        signer._key = real
        return seal(items)

    records = sealing("consumer: tree, signature's text, records", items)
    payload, start = logwriter.encode_records(records), near.log.writer._start
    stages.time("log: records encoded", lambda: logwriter.encode_records(records), times=4)
    stages.time("log: frame", lambda: logframes.frame_bytes(start, bytes(32), 1, count, payload), times=4)
    wire, own = Wire(), near_end._transport
    near_end._transport = wire
    stages.time("consumer: link frame written", lambda: near_end.sealed(items))
    asked_frame, near_end._transport = wire.last, own

    goods: list[Any] = []
    kept = link_server.LinkServer._carry_out, link_client.Link._keep

    async def nothing() -> None: ...

    def carry_out(self: object, good: list[Any], made: list[Any]) -> Any:
        goods[:] = good
        return nothing()

    link_server.LinkServer._carry_out = link_client.Link._keep = carry_out  # type: ignore[assignment,method-assign]
    far_end._loop = near_end._loop = Still(loop)

    def arrives(end: Any, data: bytes) -> None:
        end._decoder = linkframes.Decoder()
        link.LinkProtocol.data_received(end, data)

    def fresh() -> None:
        far_end._under_way.clear()
        far_end._held.clear()

    stages.time("provider: link frame read, verified, decided on", lambda: arrives(far_end, asked_frame), before=fresh)
    accepted = list(goods)
    assert len(accepted) == count

    place = next(iter(far.agencies._idle))
    agencies = [Connection(10**8) for _ in range(count)]
    for agency in agencies:
        agency.connection_made(cast(Any, Wire()))
        agency._loop = cast(Any, Still(loop))
    answers: list[Any] = []
    far.sealing.submit = answers.append  # type: ignore[method-assign]

    def free() -> None:
        for agency in agencies:
            agency.idle_since, agency._waiter = time.monotonic(), None
        far.agencies._idle[place] = list(agencies)
        answers.clear()

    stages.time("provider: the agency asked", lambda: [far_end._begin(one) for one in accepted], before=free)
    answer = ANSWER % stages.size + b"r" * stages.size

    def asked() -> None:
        free()
        for one in accepted:
            far_end._begin(one)

    stages.time("provider: its answer read", lambda: [a.data_received(answer) for a in agencies], before=asked)
    waiters: list[Any] = []

    def read() -> None:
        asked()
        for agency in agencies:
            agency.data_received(answer)
        waiters[:] = [agency._waiter for agency in agencies]

    stages.time(
        "provider: the answering message made, hashed", lambda: [waiter.call(waiter) for waiter in waiters], before=read
    )
    answered = answers[:count]
    sealing("provider: tree, signature's text, records", answered)
    far_end._transport = wire
    stages.time(
        "provider: link frame written, noted", lambda: far_end.sealed(answered), before=far.monitor._pending.clear
    )
    answer_frame = wire.last

    calls_of = {item.tag.stream: item.tag for item in items}

    def awaited() -> None:
        near_end._calls = dict(calls_of)
        for call in calls_of.values():
            call.answered = False

    stages.time(
        "consumer: link frame read, verified, compared", lambda: arrives(near_end, answer_frame), before=awaited
    )
    given = [http_answer(result, message.body) for _, message, result in goods]
    assert len(given) == count
    stages.time("consumer: the client's answer made", lambda: [http_answer(r, m.body) for _, m, r in goods])
    stages.time("consumer: its head", lambda: [encode_head(one, keep=True, head=False) for one in given])
    monitor, exchanges = far.monitor, [one.exchange for one in accepted]

    def note() -> None:
        monitor._made.clear()
        monitor._pending.extend(exchanges)
        monitor._take()
        monitor._make(count)

    stages.time("monitoring: records made", note, times=2)
    stages.time("monitoring: records kept", monitor._write, before=note, times=2)
    link_server.LinkServer._carry_out, link_client.Link._keep = kept  # type: ignore[method-assign]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--together", type=int, default=24, help="messages in a batch")
    parser.add_argument("--size", type=int, default=1024, help="bytes of a body")
    options = parser.parse_args()
    with one_pair("stages", algorithm="rsa", link=True, also={"lane": False}) as pair:
        print(
            f"microseconds a message of {options.size} bytes, {options.together} together, without RSA, network and disk"
        )
        uvloop.run(measure(Stages(options.together, options.size), pair))
        return 0


if __name__ == "__main__":
    code = main()
    os._exit(code)  # the nodes were taken apart; there is nothing left to end in order
