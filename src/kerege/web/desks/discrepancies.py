"""Discrepancies per field and pair of registers: counts of the eight classes, never values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kerege.reconcile import queries
from kerege.web import labels, summary
from kerege.web.charts import CLASSES
from kerege.web.errors import SummaryInvalid
from kerege.web.words import word


@dataclass(frozen=True, slots=True)
class Row:
    """The classes of one field between two registers; without registers, over all pairs together."""

    field: str
    left: str
    right: str
    counts: dict[str, int]

    @property
    def pair(self) -> str:
        return f"{self.left}~{self.right}"


def overview(request: HttpRequest) -> HttpResponse:
    rows = list(_rows())
    pairs = {row.pair: _pair_name(row) for row in rows if row.left}
    chosen = request.GET.get("pair", "")
    chosen = chosen if chosen in pairs else ""
    kept = [row for row in rows if not chosen or row.pair == chosen]
    context = {
        "classes": CLASSES,
        "pairs": sorted(pairs.items(), key=lambda item: item[1]),
        "chosen": chosen,
        "fields": [_line(labels.field(name), counts) for name, counts in _sum(kept, "field")],
        "by_pair": []
        if chosen
        else [_line(pairs[pair], counts) for pair, counts in _sum(kept, "pair") if pair in pairs],
    }
    return render(request, "desks/discrepancies.html", context)


def _rows() -> Iterable[Row]:
    """One row per field and pair from what reconcile recorded; without any, the last run's summary, which knows no pairs."""
    recorded = [field for field in queries.discrepancies_by_field() if field.total]
    for field in recorded:
        counts: dict[tuple[str, str], dict[str, int]] = {}
        for left, right, kind, number in field.pairs:
            counts.setdefault((left, right), dict.fromkeys(CLASSES, 0))[kind] += number
        for (left, right), classes in counts.items():
            yield Row(field.field, left, right, classes)
    if recorded:
        return
    try:
        run = summary.read()
    except SummaryInvalid:
        return
    for agreement in run.fields if run else ():
        if sum(agreement.counts.values()):
            yield Row(agreement.field, "", "", dict(agreement.counts))


def _pair_name(row: Row) -> str:
    return word("discrepancies.between", left=labels.register(row.left), right=labels.register(row.right))


def _sum(rows: Iterable[Row], by: str) -> list[tuple[str, dict[str, int]]]:
    """The rows' counts added up by `field` or `pair`, in the order in which these first come."""
    sums: dict[str, Counter[str]] = {}
    for row in rows:
        sums.setdefault(getattr(row, by), Counter()).update(row.counts)
    return [(name, {kind: counts[kind] for kind in CLASSES}) for name, counts in sums.items()]


def _line(name: str, counts: dict[str, int]) -> dict[str, Any]:
    total = sum(counts.values())
    return {
        "name": name,
        "counts": counts,
        "total": total,
        "cells": [(kind, counts[kind], counts[kind] / total if total else None) for kind in CLASSES],
    }
