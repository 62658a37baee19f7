"""What leaves the catalogue, a page at a time: how much there is of what is found out once for each state of the catalogue, and kept.

A page of attributes asks for the datasets it shows and no others, however many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from kerege.catalogue.browse.organisations import together
from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.exports import publication
from kerege.catalogue.exports.publication import Outgoing
from kerege.catalogue.inventory import queries
from kerege.catalogue.inventory.queries import FieldView
from kerege.membership.models import Member
from kerege.web.api.catalogue_kept import kept


def published() -> Mapping[str, datetime | None]:
    """`publication.published_since`."""
    return kept("published", publication.published_since)


def datasets(ids: Sequence[int]) -> list[Outgoing]:
    """Of these datasets those that leave, with what leaves of them."""
    return publication.outgoing(queries.datasets(ids), published=published())


def owned() -> Counter[str]:
    """Organisation -> how many attributes that leave it owns."""
    return kept("owned", _owned)


def _owned() -> Counter[str]:
    held = Counter(f.owner.organisation for one in publication.outgoing() for f in one.fields if f.owner is not None)
    return Counter(together(held, Member.objects.values_list("code", flat=True)))


def fields(
    concept: str = "", codelist: str = "", *, offset: int = 0, limit: int | None = None
) -> tuple[list[tuple[FieldView, Outgoing]], int]:
    """Attributes that leave, by dataset and place, and how many there are in all; those that carry a concept, or take their codes from a list."""
    until = None if limit is None else offset + limit
    before, first, ids = 0, 0, list[int]()
    for pk, n in holding(concept, codelist):
        if before + n > offset and (until is None or before < until):
            first = first if ids else before
            ids.append(pk)
        before += n
    found = [(f, one) for one in datasets(ids) for f in one.fields if _carries(f, concept, codelist)]
    return found[offset - first : None if until is None else until - first], before


def holding(concept: str = "", codelist: str = "") -> list[tuple[int, int]]:
    """Datasets with attributes that leave and carry this, in their order, with how many; none for what nothing can carry."""
    if (concept and concept not in load_concepts()) or (codelist and codelist not in kept("codelists", _codelists)):
        return []

    def made() -> list[tuple[int, int]]:
        narrowed = queries.datasets(publication.leaving(concept=concept, codelist=codelist, published=published()))
        counted = [
            (one.view.id, sum(_carries(f, concept, codelist) for f in one.fields))
            for one in publication.outgoing(narrowed, published=published())
        ]
        return [(pk, n) for pk, n in counted if n]

    return kept(("holding", concept, codelist), made)


def _codelists() -> frozenset[str]:
    return frozenset(f.codelist for one in publication.outgoing() for f in one.fields if f.codelist)


def _carries(one: FieldView, concept: str, codelist: str) -> bool:
    return (not concept or one.concept == concept) and (not codelist or one.codelist == codelist)
