"""Prometheus metrics of a node.

Metrics are made when they are scraped, from totals that `monitoring` adds up aside and from what the parts know of themselves; no
message waits for one. Traces are `tracing`'s.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from kerege.node.core import Core
from kerege.node.telling.environment import KnownCertificate
from kerege.node.telling.monitoring import BUCKETS, OUTCOMES
from kerege.node.telling.opmonitor import Store

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST

LogStatus = Callable[[], Mapping[str, Any]]


def certificates_of(core: Core) -> list[KnownCertificate]:
    """The certificates the node itself uses."""
    signers = sorted(core.keys.signers.items())
    return [
        KnownCertificate("authentication", core.keys.auth.certificate),
        *(KnownCertificate("signing", signer.certificate) for _, signer in signers),
    ]


class Metrics(Collector):
    """GET /metrics. `log_status` is `LogKeeping.status`, where there is one."""

    def __init__(self, core: Core, store: Store | None = None, log_status: LogStatus | None = None) -> None:
        self._core, self._store, self._log_status = core, store, log_status
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def render(self) -> bytes:
        """All metrics in Prometheus' text form."""
        self._core.monitor.flush()
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._exchanges()
        yield from self._native()
        yield from self._log()
        yield from self._ends()
        yield from self._contracts()
        free = GaugeMetricFamily("kerege_disk_free_bytes", "Free space where the node writes.", labels=("folder",))
        for name, folder in (("log", self._core.config.log.folder), ("state", self._core.config.state)):
            try:
                free.add_metric((name,), shutil.disk_usage(folder).free)
            except OSError:
                continue
        yield free
        lost = CounterMetricFamily(
            "kerege_monitoring_lost_records", "Monitoring records not written.", labels=("where",)
        )
        lost.add_metric(("file",), self._core.monitor.failed_writes)
        if self._store is not None:
            lost.add_metric(("store",), self._store.dropped)
        yield lost

    def _exchanges(self) -> Iterator[Metric]:
        totals = self._core.monitor.totals
        seconds = HistogramMetricFamily(
            "kerege_exchange_seconds",
            "How long exchanges took in this node, from request to answer.",
            labels=("side", "outcome"),
        )
        sizes = CounterMetricFamily(
            "kerege_exchange_bytes", "Bytes of signed messages with their bodies.", labels=("side", "message")
        )
        sums: dict[tuple[str, str], int] = {}
        for (side, succeeded), total in sorted(totals.by_outcome.items()):
            counts = list(accumulate(total.buckets))
            buckets = [(str(le), float(n)) for le, n in zip((*BUCKETS, "+Inf"), counts, strict=True)]
            seconds.add_metric((side.lower(), OUTCOMES[succeeded]), buckets, total.seconds)
            for name, size in (("request", total.bytes_in), ("response", total.bytes_out)):
                sums[(side.lower(), name)] = sums.get((side.lower(), name), 0) + size
        for labels, size in sums.items():
            sizes.add_metric(labels, size)
        yield seconds
        yield sizes
        faults = CounterMetricFamily(
            "kerege_faults", "Exchanges that ended in a fault, by its code.", labels=("side", "code")
        )
        for (side, code), count in sorted(totals.by_fault.items()):
            faults.add_metric((side.lower(), code), count)
        yield faults

    def _native(self) -> Iterator[Metric]:
        lane = self._core.lane
        if lane is None:
            return
        calls = CounterMetricFamily(
            "kerege_lane_calls", "Calls answered by the native path from beginning to end.", labels=("side",)
        )
        batches = CounterMetricFamily(
            "kerege_lane_batches", "Batches they went in; calls by batches is how large those are.", labels=("side",)
        )
        for side, port in (("client", lane.clients), ("producer", lane.agencies)):
            calls.add_metric((side,), port.calls)
            batches.add_metric((side,), port.batches)
        yield calls
        yield batches

    def _log(self) -> Iterator[Metric]:
        log, now = self._core.log, self._core.clock()
        yield CounterMetricFamily("kerege_log_records", "Records made durable.", value=log.records)
        yield CounterMetricFamily(
            "kerege_log_batches", "Durable writes; records by writes is how large batches are.", value=log.batches
        )
        yield GaugeMetricFamily("kerege_log_waiting", "Records waiting to be written.", value=log.waiting)
        yield GaugeMetricFamily(
            "kerege_log_working", "1 when the log takes messages.", value=float(log.alive and log.failure is None)
        )
        status = self._log_status() if self._log_status is not None else {}
        oldest = status.get("oldest_unstamped")
        if oldest is not None:
            age = (now - datetime.fromisoformat(oldest)).total_seconds()
            yield GaugeMetricFamily(
                "kerege_log_oldest_unstamped_seconds",
                "Age of the oldest record without a time-stamp.",
                value=max(0.0, age),
            )

    def _contracts(self) -> Iterator[Metric]:
        """Contracts by service, method and path; fields and kinds are the contract's words."""
        answers = CounterMetricFamily(
            "kerege_contract_answers",
            "Answers held against a contract, by outcome.",
            labels=("contract", "at", "outcome"),
        )
        breaches = CounterMetricFamily(
            "kerege_contract_breaches", "Values that broke a contract.", labels=("contract", "field", "kind")
        )
        counts = self._core.contracting.counts
        sums: dict[tuple[str, str, str], int] = {}
        outcomes: dict[tuple[str, str, str], int] = {}
        for terms, count in counts.rows() if counts is not None else ():
            method = "" if terms["method"] == "*" else terms["method"] + " "
            contract = f"{method}{terms['service']} {terms['path']}"
            for name in ("answers", "broken", "refused", "unchecked"):
                label = (contract, terms["at"], name)
                outcomes[label] = outcomes.get(label, 0) + getattr(count, name)
            for (name, kind), (values, _) in count.fields.items():
                sums[(contract, name, kind)] = sums.get((contract, name, kind), 0) + values
        for label, number in sorted(outcomes.items()):
            answers.add_metric(label, number)
        for label, number in sorted(sums.items()):
            breaches.add_metric(label, number)
        yield answers
        yield breaches

    def _ends(self) -> Iterator[Metric]:
        """Until when things hold, in seconds from now; negative when it is past."""
        core, now = self._core, self._core.clock()
        picture = core.keeper.picture
        if picture is not None:
            yield GaugeMetricFamily(
                "kerege_configuration_expires_seconds",
                "Until the global configuration expires and traffic stops.",
                value=(picture.directory.expires - now).total_seconds(),
            )
        certificates = GaugeMetricFamily(
            "kerege_certificate_expires_seconds", "Until the node's own certificates end.", labels=("use", "member")
        )
        answers = GaugeMetricFamily(
            "kerege_ocsp_expires_seconds", "Until the OCSP answers at hand end.", labels=("use", "member")
        )
        auth = (core.config.server.owner, "authentication")
        ends = core.keys.auth.certificate.not_valid_after_utc
        certificates.add_metric((auth[1], str(auth[0])), (ends - now).total_seconds())
        if core.revocation.auth_until is not None:
            answers.add_metric((auth[1], str(auth[0])), (core.revocation.auth_until - now).total_seconds())
        for member, signer in sorted(core.keys.signers.items()):
            ends = signer.certificate.not_valid_after_utc
            certificates.add_metric(("signing", str(member)), (ends - now).total_seconds())
            until = core.keys.good_until.get(member)
            if until is not None:
                answers.add_metric(("signing", str(member)), (until - now).total_seconds())
        yield certificates
        yield answers
