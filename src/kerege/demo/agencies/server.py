"""The agencies' HTTP/1.1 server: small, on 127.0.0.1 only, keep-alive, one loop, one database connection.

httptools parses; an agency is one function from `Request` to `Response`, run on the loop because its queries take microseconds. Faults
(`faults`) and limits are kept here. Nothing of a request is logged: paths and bodies name people. A handler's failure becomes a 500
without its text. Starting, the ready line and stopping by signal are `process.serve`.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final, cast
from urllib.parse import parse_qsl, unquote

import httptools
import orjson

from kerege.demo.agencies.faults import NONE, Fault, FaultSwitch

MAX_BODY: Final = 1_000_000
MAX_HEAD: Final = 32_000
MAX_WAITING: Final = 64
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    whole_file: bool = False  # a file served as it lies there: half of it is half a file, not a broken connection


Handler = Callable[[Request], Response]


def json_response(value: object, status: int = 200) -> Response:
    return Response(status, orjson.dumps(value))


def is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip() == "application/json"


def problem(status: int, message: str) -> Response:
    """An error in JSON; `message` never repeats what was asked, because that may be a person."""
    return json_response({"error": _REASONS[status], "message": message}, status)


class Connection(asyncio.Protocol):
    """One client's connection: requests in, answers out in the same order."""

    def __init__(self, handler: Handler, faults: FaultSwitch) -> None:
        self._handler, self._faults = handler, faults
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request | Response, bool]] = deque()
        self._busy = False
        self._transport: asyncio.Transport | None = None
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._body = bytearray()
        self._head = 0
        self._content_type = ""
        self._too_large = False

    # -- asyncio ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class, not a child of asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._waiting.append((problem(400, "The request is not HTTP/1.1."), False))
            self._pump()

    # -- httptools ----------------------------------------------------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._grow(len(name) + len(value))
        lowered = name.lower()
        if lowered == b"content-type":
            self._content_type = value.decode("latin-1")
        elif lowered == b"expect" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if len(self._body) + len(body) > MAX_BODY:
            self._too_large = True
        else:
            self._body += body

    def on_message_complete(self) -> None:
        keep = self._parser.should_keep_alive() and not self._too_large and self._head <= MAX_HEAD
        item: Request | Response
        if self._too_large:
            item = problem(413, f"The body is larger than {MAX_BODY} bytes.")
        elif self._head > MAX_HEAD:
            item = problem(431, f"The head is larger than {MAX_HEAD} bytes.")
        else:
            item = self._request()
        self._begin()
        if len(self._waiting) >= MAX_WAITING:
            item, keep = problem(503, "Too many requests at once on one connection."), False
        self._waiting.append((item, keep))
        self._pump()

    def _grow(self, size: int) -> None:
        self._head += size

    def _request(self) -> Request | Response:
        path, _, query = self._url.decode("latin-1").partition("?")
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=20)
        except ValueError:
            return problem(400, "The query has too many parts.")
        if len(dict(pairs)) != len(pairs):
            return problem(400, "The query names something twice.")
        return Request(
            self._parser.get_method().decode(),
            unquote(path),
            dict(pairs),
            bytes(self._body),
            self._content_type.lower(),
        )

    # -- answering ----------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        if self._busy or not self._waiting or self._transport is None:
            return
        item, keep = self._waiting.popleft()
        fault = self._faults.now()
        if fault.mode == "slow" and fault.seconds:
            self._busy = True
            asyncio.get_running_loop().call_later(fault.seconds, self._answer, item, keep, fault)
        else:
            self._answer(item, keep, fault)

    def _answer(self, item: Request | Response, keep: bool, fault: Fault = NONE) -> None:
        self._busy = False
        if self._transport is None:
            return
        if fault.mode == "down":
            self._transport.abort()
            return
        response = (
            problem(503, "The register is closed for maintenance.") if fault.mode == "busy" else self._handle(item)
        )
        body, length = response.body, len(response.body)
        if fault.mode == "half" and length > 1:
            body = body[: length // 2]
            if response.whole_file:
                length = len(body)
            else:
                keep = False
        extra = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        head = (
            f"HTTP/1.1 {response.status} {_REASONS[response.status]}\r\ncontent-type: {response.content_type}\r\n"
            f"content-length: {length}\r\n{extra}connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        self._transport.write(head.encode("latin-1") + body)
        if not keep:
            self._transport.close()
        elif self._waiting:
            asyncio.get_running_loop().call_soon(self._pump)

    def _handle(self, item: Request | Response) -> Response:
        if isinstance(item, Response):
            return item
        try:
            return self._handler(item)
        except Exception as error:  # noqa: BLE001  one request must not end the agency; its text may name a person
            print(f"request failed: {type(error).__name__}", file=sys.stderr, flush=True)  # noqa: T201
            return problem(500, "The register could not answer.")


async def listen(handler: Handler, folder: Path, port: int) -> asyncio.Server:
    """A server on 127.0.0.1; port 0 takes any free one."""
    faults = FaultSwitch(folder)
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(handler, faults), "127.0.0.1", port, backlog=512)
