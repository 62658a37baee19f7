"""How much a contract's version is used, and how its clock stands: what the rules of `contracts.clock` are asked with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kerege.catalogue.contracts.clock import Clock, Use
from kerege.catalogue.models import ContractRoute, ContractVersion, Deprecation, NodeReading, ServiceUse


def circumstances(
    row: ContractVersion, now: datetime
) -> tuple[Clock | None, datetime, list[Use], datetime | None, bool]:
    """What `clock.may_retire` asks of a version."""
    found = deprecation(row)
    routes = list(row.routes.all())
    clock = Clock(found.announced_at, found.ends_at) if found is not None else None
    return clock, now, uses_of(routes), _read_until(routes), bool(routes)


def _read_until(routes: Sequence[ContractRoute]) -> datetime | None:
    """Up to when the traffic of these routes is known: by the node read longest ago of those that ever saw it; where none did, by the newest."""
    services = {route.data_service for route in routes}
    nodes = ServiceUse.objects.filter(service__in=services).values("source")
    seen = NodeReading.objects.filter(source__in=nodes).order_by("read_until").first()
    found = seen or NodeReading.objects.order_by("-read_until").first()
    return found.read_until if found is not None else None


def deprecation(row: ContractVersion) -> Deprecation | None:
    """The clock that runs for a version."""
    return row.deprecations.filter(taken_back_at=None).first()


def uses_of(routes: Sequence[ContractRoute]) -> list[Use]:
    """Who calls the data services of these routes, from the traffic that was read from nodes."""
    services = {route.data_service for route in routes}
    rows = ServiceUse.objects.filter(service__in=services).order_by("consumer", "service", "-last_at")
    out: dict[tuple[str, str], Use] = {}
    for row in rows:
        out.setdefault((row.consumer, row.service), Use(row.consumer, row.service, row.calls, row.last_at))
    return list(out.values())
