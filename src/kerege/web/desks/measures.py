"""The measures page: every measure with its n, its definition's version, what was left out and why. No recomputation here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kerege.ground import clock
from kerege.insight import queries
from kerege.insight.cases import fold
from kerege.insight.cohorts import MATURITY, Cohort
from kerege.insight.measures import MEASURES, Measurement, measure
from kerege.insight.queries import MeasuresView
from kerege.services import definitions
from kerege.web import labels
from kerege.web.words import has, word

SERVICE: Final = "grade1-admission"
# What people ask first comes first; the rest in the order of the definitions.
_FIRST: Final = ("M11", "M02", "M05", "M12", "M13", "M01", "M01b")


def measures(request: HttpRequest) -> HttpResponse:
    view, note = _view(clock.now())
    order = {name: place for place, name in enumerate(_FIRST)}
    listed = sorted(view.measurements, key=lambda m: order.get(m.definition.id, len(order)))
    definition = labels.definition_of(SERVICE)
    context = {
        "service": definition,
        "view": view,
        "note": word(note) if note else "",
        "measures": [_show(measurement, definition) for measurement in listed],
    }
    return render(request, "desks/measures.html", context)


def _view(now: datetime) -> tuple[MeasuresView, str]:
    """The measures, and the wording's key of what is out of the ordinary about them.

    Where the regular cohort counts nobody, the page shows what there is and says so: cases that are all invented, as in the
    demonstration, or all younger than a cohort takes. Nothing of this is stored; `kerege measures` and reports keep to the rule.
    """
    regular = queries.measures_view(SERVICE, now)
    if not regular.events or _counts_anybody(regular.measurements):
        return regular, ""
    events = queries.events_of(SERVICE)
    invented = all(event.synthetic for event in events)
    cases = fold([replace(event, synthetic=False) for event in events] if invented else events, now)
    for maturity in (MATURITY, timedelta()):
        cohort = Cohort.everything(now, maturity)
        taken = tuple(measure(name, cases, cohort) for name in MEASURES)
        if _counts_anybody(taken):
            break
    return MeasuresView(SERVICE, cohort, len(events), taken), "measures.invented" if invented else "measures.young"


def _counts_anybody(measurements: Iterable[Measurement]) -> bool:
    """Whether the cohort has cases: the widest measure, of all that started, rests on some."""
    return any(measurement.n for measurement in measurements if measurement.definition.id == "M01")


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
        "few": "too-few-for-p90" in measurement.warnings,
        "still_open": values.get("still_open"),
        "causes": _causes(measurement.breakdown, definition),
        "excluded": sorted(measurement.excluded.items()),
        "warnings": measurement.warnings,
    }


def _causes(breakdown: Mapping[str, int], definition: definitions.AdmissionDefinition) -> list[dict[str, Any]]:
    total = sum(breakdown.values())
    rows = sorted(breakdown.items(), key=lambda item: (-item[1], item[0]))
    return [{"text": labels.cause(code, definition), "count": count, "share": count / total} for code, count in rows]
