"""Choosing one dataset of thousands in a form: the first ones by name, or those the catalogue's search finds. Works without scripts.

A form of its own asks (`?find=`), the page comes back with what was found in the list to choose from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from kerege.catalogue.errors import SearchNotBuilt
from kerege.catalogue.models import Dataset
from kerege.catalogue.search.questions import Filters, search

MOST: Final = 50  # datasets that are offered at once


@dataclass(frozen=True, slots=True)
class Choice:
    """What is offered: `find` was asked for ("" for nothing), `total` there are to choose from without it, `chosen` is chosen beforehand."""

    offered: tuple[Dataset, ...]
    total: int
    find: str
    chosen: int

    @property
    def asks(self) -> bool:
        """Whether the page needs the form to search at all."""
        return bool(self.find) or self.total > len(self.offered)


def choice(request: HttpRequest, among: QuerySet[Dataset] | None = None) -> Choice:
    """The datasets to offer of `among` (of all that are there), best first where something is searched for; at most `MOST`."""
    rows = (
        (Dataset.objects.all() if among is None else among)
        .filter(vanished=False)
        .only("pk", "source", "table", "description")
    )
    find, raw = request.GET.get("find", "").strip()[:200], request.GET.get("dataset", "")
    chosen = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 18 else 0
    if find:
        offered = _found(rows, find)
    else:
        offered = list(rows.order_by("table", "source")[:MOST])
        if chosen and chosen not in {d.pk for d in offered}:
            offered = [*rows.filter(pk=chosen), *offered]
    return Choice(tuple(offered), rows.count(), find, chosen)


def _found(rows: QuerySet[Dataset], find: str) -> list[Dataset]:
    try:
        keys = [int(hit.key) for hit in search(find, Filters(kinds=("dataset",)), limit=MOST).hits]
    except SearchNotBuilt:  # until somebody builds it: what is spelled so
        return list(
            rows.filter(Q(table__icontains=find) | Q(source__icontains=find)).order_by("table", "source")[:MOST]
        )
    there = rows.in_bulk(keys)
    return [there[key] for key in keys if key in there]
