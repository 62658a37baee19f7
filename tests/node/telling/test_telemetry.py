"""Metrics as Prometheus reads them, traces that say no more than they should, and health by part."""

import asyncio
import gzip
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from prometheus_client.parser import text_string_to_metric_families

from kerege.exchange import rest
from kerege.exchange.ids import MemberId, ServerId
from kerege.exchange.opmon import CLIENT, PRODUCER, Exchange
from kerege.exchange.pki import TestAuthority
from kerege.node.local.health import FAILED, OK, WARNING, Health
from kerege.node.telling import tracing as traces
from kerege.node.telling.monitoring import Monitor, Noted
from kerege.node.telling.telemetry import Metrics
from kerege.node.telling.tracing import Tracing

SERVER = ServerId.parse("KG/GOV/70000003/node-edu")
EDU = MemberId.parse("KG/GOV/70000003")
NOW = datetime.now(UTC)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def request(*more: tuple[bytes, bytes]) -> rest.RestRequest:
    return rest.request_from_client(
        "GET",
        "/r1/KG/GOV/70000002/population/persons/21203198000017?name=Asan",
        ((b"X-Road-Client", b"KG/GOV/70000003/admission"), (b"X-Road-UserId", b"officer-1"), *more),
        new_message_id="m",
        request_id="r",
    )


@pytest.fixture(scope="module")
def certificate() -> Any:
    return TestAuthority.create("KG", NOW).configuration.certificate


@pytest.fixture(autouse=True)
def certificates_are_whose_they_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a configuration holds against them is tests/node/local's: there is none here."""
    monkeypatch.setattr("kerege.node.local.health.strangers", lambda *_: [])


def core_of(folder: Path, monitor: Monitor, certificate: Any, **changes: Any) -> Any:
    directory = SimpleNamespace(expires=NOW + timedelta(seconds=600))
    parts: dict[str, Any] = {
        "config": SimpleNamespace(
            server=SERVER,
            log=SimpleNamespace(folder=folder, least_free=1),
            state=folder,
            poll_seconds=60.0,
            peer_tls=True,
            internal=None,
            clients={},
            services={},
        ),
        "monitor": monitor,
        "clock": lambda: NOW,
        "log": SimpleNamespace(records=7, batches=3, waiting=2, failure=None, alive=True),
        "keeper": SimpleNamespace(
            picture=SimpleNamespace(directory=directory), problem=None, overdue=lambda *_: False, last_success=NOW
        ),
        "keys": SimpleNamespace(
            auth=SimpleNamespace(certificate=certificate),
            signers={EDU: SimpleNamespace(certificate=certificate)},
            revoked_since=lambda _: None,
            good_until={EDU: NOW + timedelta(seconds=300)},
            ready=lambda member, now: True,
        ),
        "revocation": SimpleNamespace(auth_until=NOW + timedelta(seconds=200), problem=None),
        "background": {},
        "translation": SimpleNamespace(problem=None),
        "lane": SimpleNamespace(
            clients=SimpleNamespace(calls=40, batches=4), agencies=SimpleNamespace(calls=30, batches=2)
        ),
        "contracting": SimpleNamespace(counts=None, originals=SimpleNamespace(problem=None)),
    }
    return SimpleNamespace(**(parts | changes))


def scraped(folder: Path, certificate: Any, exchanges: Sequence[Exchange], status: dict[str, Any]) -> dict[Any, float]:
    async def main() -> bytes:
        monitor = Monitor(folder / "m.jsonl")
        for one in exchanges:
            monitor.note(one)
        try:
            return Metrics(core_of(folder, monitor, certificate), None, lambda: status).render()
        finally:
            monitor.close()

    text = asyncio.run(main()).decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_totals_durations_and_faults_are_scraped_as_they_were_noted(tmp_path: Path, certificate: Any) -> None:
    exchanges = [Exchange(CLIENT, 1000, response_out=1000 + t, status=200, request_size=10) for t in (1, 50, 700)]
    exchanges.append(Exchange(PRODUCER, 1000, response_out=1001, fault_code="server.serverproxy.access_denied"))
    told = scraped(tmp_path, certificate, exchanges, {"oldest_unstamped": (NOW - timedelta(seconds=90)).isoformat()})
    assert told[("kerege_exchange_seconds_count", "client", "succeeded")] == 3
    assert told[("kerege_exchange_seconds_bucket", "0.1", "client", "succeeded")] == 2
    assert told[("kerege_exchange_seconds_bucket", "+Inf", "client", "succeeded")] == 3
    assert told[("kerege_exchange_seconds_sum", "client", "succeeded")] == pytest.approx(0.751)
    assert told[("kerege_exchange_bytes_total", "client", "request")] == 30
    assert told[("kerege_faults_total", "producer", "server.serverproxy.access_denied")] == 1
    assert told[("kerege_log_oldest_unstamped_seconds",)] == 90


def test_what_ends_and_what_waits_is_scraped_in_seconds_and_counts(tmp_path: Path, certificate: Any) -> None:
    told = scraped(tmp_path, certificate, [], {})
    assert told[("kerege_configuration_expires_seconds",)] == 600
    assert told[("kerege_ocsp_expires_seconds", str(EDU), "signing")] == 300
    assert told[("kerege_ocsp_expires_seconds", str(EDU), "authentication")] == 200
    assert told[("kerege_certificate_expires_seconds", str(EDU), "signing")] > 0
    assert (told[("kerege_lane_calls_total", "client")], told[("kerege_lane_batches_total", "producer")]) == (40, 2)
    assert (told[("kerege_log_records_total",)], told[("kerege_log_waiting",)]) == (7, 2)
    assert told[("kerege_disk_free_bytes", "log")] > 0
    assert ("kerege_log_oldest_unstamped_seconds",) not in told


class _Exported(SpanExporter):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass


def traced(exchange: Exchange, succeeded: bool = True, ratio: float = 1.0) -> list[ReadableSpan]:
    exported = _Exported()
    tracing = Tracing(SERVER, "http://127.0.0.1:1/v1/traces", ratio, exported)
    tracing.keep([Noted(exchange, succeeded, b"{}")] * 3)
    tracing.close()
    return exported.spans


def test_a_span_says_the_service_and_the_outcome_and_nothing_of_a_person() -> None:
    spans = traced(Exchange(CLIENT, 1000, request(), 1001, 1005, 1007, status=200, fault_string="Asan is not there"))
    assert len(spans) == 6
    whole = "".join(span.to_json() for span in spans)
    assert "KG/GOV/70000002/population/persons" in whole
    for secret in ("21203198000017", "Asan", "officer-1"):
        assert secret not in whole
    outer = next(span for span in spans if span.name == "consumer")
    inner = next(s for s in spans if s.parent is not None and s.parent.span_id == outer.context.span_id)
    assert (inner.start_time, inner.end_time) == (1_001_000_000, 1_005_000_000)


def test_a_callers_trace_is_a_link_of_the_consumers_span_and_never_its_parent() -> None:
    exchange = Exchange(CLIENT, 1000, request((b"traceparent", PARENT.encode())), response_out=1001, status=200)
    outer = traced(exchange)[0]
    assert outer.parent is None
    assert [f"{link.context.span_id:016x}" for link in outer.links] == ["b7ad6b7169203331"]
    exchange.side = PRODUCER
    assert traced(exchange)[0].links == ()


@pytest.mark.parametrize("raw", ["", "x", PARENT[:-1], PARENT.replace("00-", "ff-", 1), "00-" + "0" * 32 + PARENT[35:]])
def test_a_trace_header_that_is_none_is_passed_over(raw: str) -> None:
    exchange = Exchange(CLIENT, 1000, request(), response_out=1001, status=200, trace=raw)
    assert traced(exchange)[0].links == ()


def test_a_ratio_of_nothing_traces_nothing() -> None:
    assert traced(Exchange(CLIENT, 1000, response_out=1001), ratio=0.0) == []


def test_a_dead_collector_holds_up_neither_exchanges_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_SEND_SECONDS", 1)
    tracing = Tracing(SERVER, "http://127.0.0.1:1/v1/traces", 1.0)
    begun = datetime.now(UTC)
    tracing.keep([Noted(Exchange(CLIENT, 1000, response_out=1001), True, b"{}")])
    assert datetime.now(UTC) - begun < timedelta(seconds=1)
    tracing.close()
    assert datetime.now(UTC) - begun < timedelta(seconds=20)


def states(folder: Path, certificate: Any, status: dict[str, Any] | None = None, **changes: Any) -> dict[str, str]:
    async def main() -> dict[str, str]:
        monitor = Monitor(folder / "m.jsonl")
        core = core_of(folder, monitor, certificate, **changes)
        health = Health(core, None, lambda: status or {})
        health.expiry = lambda now: []  # type: ignore[method-assign]  # what ends when is test_expiry's
        parts = health.parts(NOW)
        monitor.close()
        for part in parts:
            assert bool(part.do) == (part.state != OK), "what is not well says what to do"
        return {part.name: part.state for part in parts}

    return asyncio.run(main())


def test_a_node_that_is_well_is_well_in_every_part(tmp_path: Path, certificate: Any) -> None:
    assert set(states(tmp_path, certificate).values()) == {OK}


def test_each_trouble_is_told_of_the_part_it_is_in(tmp_path: Path, certificate: Any) -> None:
    stale = SimpleNamespace(picture=None, problem=None, overdue=lambda *_: True, last_success=None)
    broken = SimpleNamespace(records=0, batches=0, waiting=0, failure="disk", alive=True)
    blind = SimpleNamespace(auth_until=NOW, problem=None)
    near = core_of(tmp_path, None, certificate).keys  # type: ignore[arg-type]
    assert states(tmp_path, certificate, keeper=stale)["configuration"] == FAILED
    assert states(tmp_path, certificate, log=broken)["log"] == FAILED
    assert states(tmp_path, certificate, {"refusing": "a record has waited too long"})["log"] == FAILED
    assert states(tmp_path, certificate, {"problems": {"stamping": "no answer"}})["stamps"] == WARNING
    assert states(tmp_path, certificate, revocation=blind)["ocsp"] == FAILED
    near.ready = lambda member, now: False
    assert states(tmp_path, certificate, keys=near)["ocsp"] == FAILED
    assert states(tmp_path / "", certificate, translation=SimpleNamespace(problem="x"))["translation"] == WARNING
    stuck = SimpleNamespace(counts=None, originals=SimpleNamespace(problem="x"))
    assert states(tmp_path / "", certificate, contracting=stuck)["contracts"] == WARNING


def test_spans_reach_a_collector_over_http() -> None:
    came: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        tracing = Tracing(SERVER, f"http://127.0.0.1:{server.server_port}/v1/traces", 1.0)
        tracing.keep([Noted(Exchange(CLIENT, 1000, request(), 1001, 1005, 1007, status=200), True, b"{}")])
        tracing.close()
    finally:
        server.shutdown()
        server.server_close()
    (resource,) = ExportTraceServiceRequest.FromString(
        gzip.decompress(came[0]) if came[0][:1] == b"\x1f" else came[0]
    ).resource_spans
    assert sorted(span.name for span in resource.scope_spans[0].spans) == ["consumer", "other server"]
    assert b"21203198000017" not in came[0]
