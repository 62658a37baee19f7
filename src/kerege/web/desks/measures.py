"""The measures page: every measure with its n, its definition's version, what was left out and why. No recomputation here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kerege.ground import clock
from kerege.insight import queries
from kerege.insight.measures import Measurement
from kerege.services import definitions
from kerege.web import labels
from kerege.web.words import has, word

SERVICE: Final = "grade1-admission"
# What people ask first comes first; the rest in the order of the definitions.
_FIRST: Final = ("M11", "M02", "M05", "M12", "M13", "M03")


def measures(request: HttpRequest) -> HttpResponse:
    now = clock.now()
    view = queries.measures_view(SERVICE, now)
    young = False
    if view.events and not any(measurement.n for measurement in view.measurements):
        # Nothing is a month old yet, as after a first run: say so, and show what there is.
        view, young = queries.measures_view(SERVICE, now, maturity=timedelta()), True
    order = {name: place for place, name in enumerate(_FIRST)}
    listed = sorted(view.measurements, key=lambda m: order.get(m.definition.id, len(order)))
    definition = labels.definition_of(SERVICE)
    context = {
        "service": definition,
        "view": view,
        "young": young,
        "measures": [_show(measurement, definition) for measurement in listed],
    }
    return render(request, "desks/measures.html", context)


def _show(measurement: Measurement, definition: definitions.AdmissionDefinition) -> dict[str, Any]:
    values = measurement.values
    numerator, denominator = values.get("numerator"), values.get("denominator")
    note = f"measure.{measurement.definition.id}"
    return {
        "definition": measurement.definition,
        "note": word(note) if has(note) else "",
        "n": measurement.n,
        "share": numerator / denominator if numerator is not None and denominator else None,
        "numerator": numerator,
        "denominator": denominator,
        "is_share": measurement.definition.kind == "share",
        "median": values.get("median_seconds"),
        "p90": values.get("p90_seconds"),
        "still_open": values.get("still_open"),
        "causes": _causes(measurement.breakdown, definition),
        "excluded": sorted(measurement.excluded.items()),
        "warnings": measurement.warnings,
    }


def _causes(breakdown: Mapping[str, int], definition: definitions.AdmissionDefinition) -> list[dict[str, Any]]:
    total = sum(breakdown.values())
    rows = sorted(breakdown.items(), key=lambda item: (-item[1], item[0]))
    return [{"text": labels.cause(code, definition), "count": count, "share": count / total} for code, count in rows]
