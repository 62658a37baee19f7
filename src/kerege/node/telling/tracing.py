"""OpenTelemetry traces of a node, where they are configured.

Made from finished exchanges, a sample of them, and sent by OTLP over HTTP from a thread of the library's. A span says the data service
and how the exchange ended: no path, no identifier of a message or a person. A caller's W3C traceparent becomes a link of the consumer's
span, never its parent: another organisation does not decide what is sampled. Loaded by nodes that trace: the library is neither in the
memory nor in the start of the others.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, set_span_in_context

from kerege.exchange.ids import ServerId
from kerege.exchange.opmon import CLIENT, Exchange
from kerege.exchange.rest import header
from kerege.node.telling.monitoring import OUTCOMES, Noted, NotedCalls

_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?\Z")
_SEND_SECONDS: Final = 5
_MOST_SPANS: Final = 2048


class Tracing:
    """Spans of a sample of exchanges. `keep` is a `monitoring.Keeper`; `exporter` is for tests."""

    def __init__(self, server: ServerId, endpoint: str, ratio: float, exporter: SpanExporter | None = None) -> None:
        self._ratio = ratio
        resource = Resource({"service.name": "kerege-node", "service.instance.id": str(server)})
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter or _otlp(endpoint), max_queue_size=_MOST_SPANS, max_export_batch_size=256)
        )
        self._tracer = self._provider.get_tracer("kerege.node")

    def keep(self, noted: Sequence[Noted | NotedCalls]) -> None:
        """Of each with its exchange: a `Monitor` that gives its records to this is told to (`exchanges`)."""
        for one in noted:
            if isinstance(one, Noted) and random.random() < self._ratio:  # noqa: S311 - a sample, not a secret
                self._trace(one.exchange, one.succeeded)

    def _trace(self, x: Exchange, succeeded: bool) -> None:
        attributes: dict[str, str] = {"kerege.outcome": OUTCOMES[succeeded]}
        if x.service is not None:
            attributes["kerege.service"] = str(x.service)
        consumer = x.side == CLIENT
        span = self._tracer.start_span(
            "consumer" if consumer else "provider",
            kind=SpanKind.SERVER,
            attributes=attributes,
            links=_links(x) if consumer else (),
            start_time=x.request_in * 1_000_000,
        )
        if not succeeded:
            span.set_status(Status(StatusCode.ERROR))
        if x.request_out is not None and x.response_in is not None:
            inner = self._tracer.start_span(
                "other server" if consumer else "agency's system",
                context=set_span_in_context(span),
                kind=SpanKind.CLIENT,
                start_time=x.request_out * 1_000_000,
            )
            inner.end(x.response_in * 1_000_000)
        span.end((x.response_out or x.request_in) * 1_000_000)

    def close(self) -> None:
        """Send what waits, for a bounded time. Blocks: call it in a thread."""
        self._provider.force_flush(_SEND_SECONDS * 1000)
        self._provider.shutdown()


def _otlp(endpoint: str) -> SpanExporter:
    # imported here: tests with an exporter of their own need no HTTP library
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint, timeout=_SEND_SECONDS)


def _links(x: Exchange) -> tuple[Link, ...]:
    raw = x.trace.encode("latin-1", "replace") if x.trace is not None else None
    if raw is None and x.request is not None:
        raw = header(x.request.headers, b"traceparent")
    match = _TRACEPARENT.match(raw.strip()) if raw else None
    if match is None or match[1] == b"ff":
        return ()
    context = SpanContext(int(match[2], 16), int(match[3], 16), True, TraceFlags(int(match[4], 16)))
    return (Link(context),) if context.is_valid else ()
