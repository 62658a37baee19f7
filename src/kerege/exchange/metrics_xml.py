"""Environmental monitoring: the tree of metrics that getSecurityServerMetrics answers with (X-Road PR-ENVMON).

A tree of named sets, numbers, texts and histograms under the schema of http://x-road.eu/xsd/monitoring. What stands in it is measured by
`node.telling.environment`; names of metrics are X-Road's where it has one.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from lxml import etree

from kerege.exchange.errors import MetaserviceInvalid
from kerege.exchange.ids import ServerId
from kerege.ground.clock import iso

NS: Final = "http://x-road.eu/xsd/monitoring"
METRICS: Final = "getSecurityServerMetrics"
_LONGEST: Final = 8192


@dataclass(frozen=True, slots=True)
class Number:
    name: str
    value: int | float


@dataclass(frozen=True, slots=True)
class Text:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Samples of one quantity; none make no element."""

    name: str
    updated: datetime
    samples: Sequence[int | float]


@dataclass(frozen=True, slots=True)
class MetricSet:
    name: str
    metrics: tuple[Metric, ...]


Metric = Number | Text | Histogram | MetricSet


def server_set(server: ServerId, metrics: Sequence[Metric]) -> MetricSet:
    return MetricSet(
        f"SERVER:{server.instance}/{server.member_class}/{server.member_code}/{server.server}", tuple(metrics)
    )


def read_metrics(body: etree._Element) -> frozenset[str]:
    """The names of the metrics asked for; empty means all. Raises MetaserviceInvalid.

    Newer servers let a caller name metrics in `outputSpec/outputField`; older ones send an empty element.
    """
    names: set[str] = set()
    for child in body:
        if not isinstance(child.tag, str) or etree.QName(child).localname != "outputSpec":
            continue  # X-Road's own samples put elements here that mean nothing
        for field in child:
            if not isinstance(field.tag, str):
                continue
            if etree.QName(field).localname != "outputField" or not (field.text or "").strip() or len(names) >= 200:
                raise MetaserviceInvalid(service=METRICS, reason="outputSpec holds something else than output fields")
            names.add((field.text or "").strip())
    return frozenset(names)


def picked(tree: MetricSet, names: frozenset[str]) -> MetricSet:
    """`tree` with the metrics named, wherever they stand, and the sets that lead to them; all of it when none are named."""
    if not names or tree.name in names:
        return tree
    kept: list[Metric] = []
    for metric in tree.metrics:
        if isinstance(metric, MetricSet):
            inner = picked(metric, names)
            if inner.metrics:
                kept.append(inner)
        elif metric.name in names:
            kept.append(metric)
    return MetricSet(tree.name, tuple(kept))


def response(tree: MetricSet) -> etree._Element:
    """The body of the answer. A set that holds nothing is left out: the schema wants at least one metric in each."""
    root = etree.Element(f"{{{NS}}}{METRICS}Response", nsmap={"m": NS})
    if not _set(root, tree):
        raise MetaserviceInvalid(service=METRICS, reason="outputSpec names no metric that there is")
    return root


def _set(parent: etree._Element, tree: MetricSet) -> bool:
    node = etree.SubElement(parent, f"{{{NS}}}metricSet")
    _add(node, "name", tree.name)
    for metric in tree.metrics:
        if isinstance(metric, MetricSet):
            _set(node, metric)
        elif isinstance(metric, Number):
            one = etree.SubElement(node, f"{{{NS}}}numericMetric")
            _add(one, "name", metric.name)
            _add(one, "value", _decimal(metric.value))
        elif isinstance(metric, Text):
            one = etree.SubElement(node, f"{{{NS}}}stringMetric")
            _add(one, "name", metric.name)
            _add(one, "value", metric.value)
        elif metric.samples:
            _histogram(node, metric)
    if len(node) == 1:
        parent.remove(node)
        return False
    return True


def _histogram(parent: etree._Element, metric: Histogram) -> None:
    node = etree.SubElement(parent, f"{{{NS}}}histogramMetric")
    samples = metric.samples
    _add(node, "name", metric.name)
    _add(node, "updated", iso(metric.updated))
    for name, value in (
        ("min", min(samples)),
        ("max", max(samples)),
        ("mean", statistics.fmean(samples)),
        ("median", statistics.median(samples)),
        ("stddev", statistics.pstdev(samples)),
    ):
        _add(node, name, _decimal(value))


def _decimal(value: float) -> str:
    """xs:decimal knows no exponent."""
    return (
        str(value)
        if isinstance(value, int)
        else format(Decimal(str(round(value, 6) if math.isfinite(value) else 0.0)), "f")
    )


def _add(parent: etree._Element, name: str, text: str) -> None:
    """A text element; characters that XML cannot hold (process arguments may) become a replacement character."""
    clean = "".join(
        c
        if c in "\t\n\r" or (ord(c) >= 32 and not 0xD800 <= ord(c) <= 0xDFFF and ord(c) not in (0xFFFE, 0xFFFF))
        else "\ufffd"
        for c in text[:_LONGEST]
    )
    etree.SubElement(parent, f"{{{NS}}}{name}").text = clean
