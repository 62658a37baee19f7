"""How the services of a server are doing: last success and failure, and statistics of the last ten minutes per service.

What getSecurityServerHealthData answers (X-Road PR-OPMON). Counted as exchanges end, in slots of ten seconds that are added together
when somebody asks: memory per service is fixed, and no record is read again. Durations and sizes are those of successful exchanges.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from lxml import etree

from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.opmon import PRODUCER, REST, Exchange
from kerege.exchange.opmon_query import HEALTH, ID_NS, NS

if TYPE_CHECKING:
    from kerege.exchange.lane.lines import Spread, Sum

PERIOD_SECONDS: Final = 600
SLOT_SECONDS: Final = 10  # `lane.lines` adds calls up by it
_SLOTS: Final = PERIOD_SECONDS // SLOT_SECONDS
_MOST_SERVICES: Final = 5_000  # calls of services that do not exist are not counted, and this is the last word


class _Spread:
    """Count, sum, sum of squares, least and greatest of whole numbers."""

    __slots__ = ("count", "greatest", "least", "squares", "total")

    def __init__(self) -> None:
        self.count = self.total = self.squares = self.greatest = self.least = 0

    def add(self, value: int) -> None:
        if value < self.least or not self.count:
            self.least = value
        if value > self.greatest:
            self.greatest = value
        self.count += 1
        self.total += value
        self.squares += value * value

    def merge(self, other: _Spread | Spread) -> None:
        if other.count:
            self.least = other.least if self.count == 0 else min(self.least, other.least)
            self.greatest = max(self.greatest, other.greatest)
            self.count += other.count
            self.total += other.total
            self.squares += other.squares

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def deviation(self) -> float:
        """Of the whole period, not of a sample; from whole numbers, so that nothing is lost to rounding."""
        return math.sqrt(max(0, self.count * self.squares - self.total * self.total)) / self.count


class _Slot:
    __slots__ = ("durations", "failed", "number", "requests", "responses", "succeeded")

    def __init__(self, number: int) -> None:
        self.number = number
        self.succeeded = self.failed = 0
        self.durations, self.requests, self.responses = _Spread(), _Spread(), _Spread()


class _Service:
    __slots__ = ("kind", "last_bad", "last_good", "slots")

    def __init__(self) -> None:
        self.kind = ""
        self.last_good: int | None = None
        self.last_bad: int | None = None
        self.slots: list[_Slot | None] = [None] * _SLOTS

    def slot(self, number: int) -> _Slot:
        found = self.slots[number % _SLOTS]
        if found is None or found.number < number:
            found = self.slots[number % _SLOTS] = _Slot(number)
        return found


class Health:
    """Collects exchanges of the provider's side; not thread-safe, one thread adds and asks."""

    def __init__(self, started_ms: int) -> None:
        self.started_ms = started_ms
        self._services: dict[DataServiceId, _Service] = {}

    def add(self, exchanges: Iterable[Exchange]) -> None:
        for x in exchanges:
            if x.side != PRODUCER or x.response_out is None or (service := x.service) is None:
                continue
            known = self._services.get(service)
            if known is None:
                # the service was truly called, or its refusal proves nothing about a service of this server
                if x.request_out is None or len(self._services) >= _MOST_SERVICES:
                    continue
                known = self._services[service] = _Service()
            known.kind = x.kind
            slot = known.slot(x.response_out // 1000 // SLOT_SECONDS)
            if x.succeeded:
                known.last_good = max(x.response_out, known.last_good or 0)
                slot.succeeded += 1
                slot.durations.add(max(0, x.response_out - x.request_in))
                if x.request_size is not None:
                    slot.requests.add(x.request_size)
                if x.response_size is not None:
                    slot.responses.add(x.response_size)
            else:
                known.last_bad = max(x.response_out, known.last_bad or 0)
                slot.failed += 1

    def add_sums(self, sums: Iterable[Sum], service_type: str | None) -> None:
        """Calls of the native path that were answered, added up where their lines were made; all have called the service."""
        for one in sums:
            known = self._services.get(one.service)
            if known is None:
                if len(self._services) >= _MOST_SERVICES:
                    continue
                known = self._services[one.service] = _Service()
            known.kind = service_type or REST
            slot = known.slot(one.slot)
            if one.succeeded:
                known.last_good = max(one.last_good, known.last_good or 0)
                slot.succeeded += one.succeeded
                slot.durations.merge(one.durations)
                slot.requests.merge(one.requests)
                slot.responses.merge(one.responses)
            if one.failed:
                known.last_bad = max(one.last_bad, known.last_bad or 0)
                slot.failed += one.failed

    def response(self, now_ms: int, provider: ClientId | None) -> etree._Element:
        """The body of the answer at `now_ms`, with the services of `provider` or of everyone."""
        root = etree.Element(f"{{{NS}}}{HEALTH}Response", nsmap={"om": NS, "id": ID_NS})
        _add(root, "monitoringStartupTimestamp", self.started_ms)
        _add(root, "statisticsPeriodSeconds", PERIOD_SECONDS)
        events = etree.SubElement(root, f"{{{NS}}}servicesEvents")
        for service, known in sorted(self._services.items(), key=lambda item: str(item[0])):
            if provider is None or provider == service.provider_client:
                _events(events, service, known, now_ms // 1000 // SLOT_SECONDS)
        return root


def _events(parent: etree._Element, service: DataServiceId, known: _Service, slot_now: int) -> None:
    node = etree.SubElement(parent, f"{{{NS}}}serviceEvents")
    service_element(node, f"{{{NS}}}service", service)
    if known.last_good is not None:
        _add(node, "lastSuccessfulRequestTimestamp", known.last_good)
    if known.last_bad is not None:
        _add(node, "lastUnsuccessfulRequestTimestamp", known.last_bad)
    if known.kind:
        _add(node, "serviceType", known.kind)
    whole = _Slot(0)
    for slot in known.slots:
        if slot is not None and slot_now - _SLOTS < slot.number <= slot_now:
            whole.succeeded += slot.succeeded
            whole.failed += slot.failed
            whole.durations.merge(slot.durations)
            whole.requests.merge(slot.requests)
            whole.responses.merge(slot.responses)
    statistics = etree.SubElement(node, f"{{{NS}}}lastPeriodStatistics")
    _add(statistics, "successfulRequestCount", whole.succeeded)
    _add(statistics, "unsuccessfulRequestCount", whole.failed)
    for prefix, suffix, spread in (
        ("request", "Duration", whole.durations),
        ("request", "Size", whole.requests),
        ("response", "Size", whole.responses),
    ):
        if spread.count:
            _add(statistics, f"{prefix}Min{suffix}", spread.least)
            _add(statistics, f"{prefix}Average{suffix}", spread.mean)
            _add(statistics, f"{prefix}Max{suffix}", spread.greatest)
            _add(statistics, f"{prefix}{suffix}StdDev", spread.deviation)


def service_element(parent: etree._Element, tag: str, service: DataServiceId) -> etree._Element:
    """A SERVICE identifier as X-Road writes it; the parts that do not apply are left out."""
    node = etree.SubElement(parent, tag)
    node.set(f"{{{ID_NS}}}objectType", "SERVICE")
    for name, value in (
        ("xRoadInstance", service.instance),
        ("memberClass", service.member_class),
        ("memberCode", service.member_code),
        ("subsystemCode", service.subsystem),
        ("serviceCode", service.service),
        ("serviceVersion", service.version),
    ):
        if value:
            etree.SubElement(node, f"{{{ID_NS}}}{name}").text = value
    return node


def _add(parent: etree._Element, name: str, value: int | float | str) -> None:
    etree.SubElement(parent, f"{{{NS}}}{name}").text = str(value)
