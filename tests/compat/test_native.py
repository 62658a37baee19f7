"""Requests as 7.3.2 sends them, in chunks on a connection each, go the native way at our node; answers, records and containers are those of a
node without it."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import peer732
import pytest
from bench732 import Bench, bench
from peer732 import RestMessage
from test_both_directions import AS_PRODUCER, OUR_SERVICE
from wire732 import chunked

from kerege.exchange import asic, lane
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.messagelog import read

pytestmark = pytest.mark.skipif(not lane.BUILT, reason="not there: make setup compiles the native modules")

# verb, path and body; and how large the chunks are
SIMPLE: dict[str, tuple[str, str, bytes | None, int]] = {
    "post": ("POST", "svc/x", b'{"a":1}', 8000),
    "get": ("GET", "svc/x", None, 8000),
    "query": ("GET", "svc/x?q=1&z=%C3%A4", None, 8000),
    "delete": ("DELETE", "svc/x", None, 8000),
    "not-found": ("GET", "svc/e404", None, 8000),
    "empty": ("POST", "svc/empty", b"", 8000),
    "in-one": ("POST", "svc/x", b"a" * 1000, 1 << 20),
    "small-chunks": ("POST", "svc/x", b"b" * 3000, 7),
    "60k": ("POST", "svc/x", b"\r\n--" * 15_000, 8000),
}
OTHERS: dict[str, tuple[str, str, bytes | None, int]] = {
    "percent": ("GET", "svc/a%20b?q=1", None, 8000),
    "large": ("POST", "svc/x", b"c" * 300_000, 8000),
}
ALL = SIMPLE | OTHERS
_OTHER_EACH_TIME = {"date", "server", "x-road-request-id", "x-road-request-hash"}
_MASKED = re.compile(rb"(?i)(date|server|x-road-request-id|x-road-request-hash):[^\r]*")


def native_calls(live: Bench) -> int:
    """Calls that the native path answered; -1 where there is none."""
    with urllib.request.urlopen(f"http://127.0.0.1:{live.admin}/metrics", timeout=10) as answer:
        found = re.search(r'kerege_lane_calls_total{side="producer"} ([0-9.e+]+)', answer.read().decode())
    return -1 if found is None else int(float(found[1]))


def call(live: Bench, name: str, size: int | None = None) -> tuple[RestMessage, bytes | None]:
    verb, path, body, own = ALL[name]
    headers = [(one, f"native-{name}" if one == "X-Road-Id" else value) for one, value in AS_PRODUCER]
    with chunks_of(size or own):
        return live.peer.call_rest(live.address, live.ocsp, verb, OUR_SERVICE + path, headers, body)


@contextmanager
def chunks_of(size: int) -> Iterator[None]:
    before = peer732.chunked
    peer732.chunked = lambda data: chunked(data, size)
    try:
        yield
    finally:
        peer732.chunked = before


def told(answer: RestMessage, body: bytes | None) -> Any:
    return answer.first, answer.second, [one for one in answer.headers if one[0].lower() not in _OTHER_EACH_TIME], body


def shape(record: LogRecord) -> Any:
    """A record but for its moment, its identifiers and the signature."""
    return (
        *(record.message_id, record.direction, record.side, str(record.client), str(record.service), record.kind),
        *(_MASKED.sub(rb"\1:", record.message), record.body, record.attachment_digests and len(record.attachment_digests)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, dict[str, Any]]:
    """The same calls to a node with the native path and to one without."""
    done: dict[bool, dict[str, Any]] = {}
    for native in (True, False):
        runs = bench(tmp_path_factory.mktemp("native" if native else "python"), tls=True, lane=native)
        live = next(runs)
        try:
            answers, taken = {}, {}
            for name in ALL:
                call(live, "get")  # the way is decided on, for a second
                before = native_calls(live)
                answers[name] = told(*call(live, name))
                taken[name] = native_calls(live) - before
        finally:
            next(runs, None)
        done[native] = {"answers": answers, "taken": taken, "log": [one[2] for one in read(live.folder / "log")]}
    return done


@pytest.mark.parametrize("name", ALL)
def test_requests_in_chunks_go_the_native_way_where_they_are_plain(both: Any, name: str) -> None:
    assert both[True]["taken"][name] == (1 if name in SIMPLE else 0)
    assert both[False]["taken"][name] == 0


@pytest.mark.parametrize("name", ALL)
def test_answers_are_the_same_with_and_without(both: Any, name: str) -> None:
    status = both[True]["answers"][name][0]
    assert status == {"delete": "204", "not-found": "404"}.get(name, "200")
    assert both[True]["answers"][name] == both[False]["answers"][name]


def test_the_logs_hold_the_same_records_and_every_container_holds(both: Any) -> None:
    logs = [sorted(map(shape, both[native]["log"]), key=repr) for native in (True, False)]
    assert len(logs[0]) == 2 * 2 * len(ALL)
    assert logs[0] == logs[1]
    for record in both[True]["log"]:
        found = asic.read(asic.container(record))
        found.verify(bodies=record.body is not None)
        assert found.message == record.message
