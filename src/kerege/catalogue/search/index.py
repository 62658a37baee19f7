"""Keeping the search index true: what of the catalogue and the country pack can be found, and by which words.

A doing that changes something findable calls `changed` with what it changed, inside its own transaction; `rebuild` makes everything anew.
What can be found, and by which words, is `search.items`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any, Final, TypeVar

from django.db import connection, transaction
from django.db.models import QuerySet

from kerege.catalogue.exports import publication
from kerege.catalogue.inventory.queries import datasets
from kerege.catalogue.models import (
    Dataset,
    Field,
    SearchEntry,
    SearchFacet,
    SearchWord,
)
from kerege.catalogue.packs import current_pack, pack_in_force
from kerege.catalogue.revision import touched
from kerege.catalogue.search.engines import Engine, engine
from kerege.catalogue.search.ids import Facet, prefix
from kerege.catalogue.search.items import (
    Item,
    Wordings,
    codelist_items,
    concept_items,
    contract_items,
    crosswalk_items,
    dataset_items,
    names_spelled,
    owner_items,
    reference_items,
)
from kerege.catalogue.search.tables import trigrams
from kerege.semantics.pack import Pack

SMALL: Final = 2000  # entries that are indexed on the way, where there is no index
_HELD: Final[ContextVar[dict[str, None] | None]] = ContextVar("kerege_search_held", default=None)  # see `together`
_BATCH: Final = 500
T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """`items` in tuples of `size`, the last one shorter."""
    walk = iter(items)
    while some := tuple(islice(walk, size)):
        yield some


_PARTS: Final[dict[str, tuple[tuple[str, ...], Callable[[Pack], Iterator[Item]]]]] = {
    "concepts": (("concept",), concept_items),
    "codelists": (("codelist", "code"), codelist_items),
    "crosswalks": (("crosswalk",), crosswalk_items),
    "owners": (("owner",), owner_items),
    "contracts": (("contract",), contract_items),
    "references": (("reference",), reference_items),
}


@transaction.atomic
def reindex(*subjects: str) -> int:
    """Make the entries of `subjects` anew; the number written. Inside the caller's transaction, if there is one.

    subjects   "dataset:<id>", "source:<name as harvested>", "codelist:<id>", "crosswalk:<id>", "datasets", "concepts", "codelists", "crosswalks",
               "owners", "contracts"
    """
    index, written = engine(), 0
    pack = pack_in_force()
    for subject in dict.fromkeys(subjects):
        if subject in _PARTS:
            kinds, make = _PARTS[subject]
            _remove(index, kind__in=kinds)
            written += _write(index, make(pack))
        elif subject.startswith("codelist:"):
            _remove(index, kind="codelist", key=subject[9:])
            _remove(index, kind="code", parent=subject[9:])
            written += _write(index, codelist_items(pack, subject[9:]))
        elif subject.startswith("crosswalk:"):
            _remove(index, kind="crosswalk", key=subject[10:])
            written += _write(index, crosswalk_items(pack, subject[10:]))
        else:
            written += _reindex_datasets(index, subject, pack)
    return written


def _reindex_datasets(index: Engine, subject: str, pack: Pack) -> int:
    what, _, name = subject.partition(":")
    if what == "dataset" and name.isdecimal():
        ids = [int(name)]
    elif what == "source" and name:
        ids = list(Dataset.objects.filter(source=name).values_list("pk", flat=True))
    elif subject == "datasets":
        ids = list(Dataset.objects.values_list("pk", flat=True))
        _remove(index, kind__in=("dataset", "field"))
    else:
        raise ValueError(f"nothing can be indexed as {subject!r}")
    if subject != "datasets":
        for some in batched(ids, _BATCH):
            _remove(index, kind="dataset", key__in=[str(i) for i in some])
            _remove(index, kind="field", parent__in=[str(i) for i in some])
    present = Dataset.objects.filter(vanished=False)
    return _write_datasets(index, present if subject == "datasets" else present.filter(pk__in=ids), pack)


def _write_datasets(index: Engine, which: QuerySet[Dataset], pack: Pack, learn: bool = True) -> int:
    wordings, members, published = Wordings.of(pack), names_spelled(), publication.published_since()
    written = 0
    for some in batched(which.order_by("pk").values_list("pk", flat=True), _BATCH):
        views = (item for view in datasets(some) for item in dataset_items(view, wordings, members, published))
        written += _write(index, views, learn)
    return written


def _remove(index: Engine, **which: Any) -> None:
    rows = list(SearchEntry.objects.filter(**which).values_list("pk", "head", "whole", "body"))
    index.forget(rows)
    for some in batched(rows, _BATCH):
        SearchEntry.objects.filter(pk__in=[row[0] for row in some]).delete()


def _write(index: Engine, items: Iterable[Item], learn: bool = True) -> int:
    """Write entries; `learn` False leaves the finding of them to `Engine.learn_all`."""
    written = 0
    known = {told: number for number, told in index.facets().items()}
    for some in batched(items, _BATCH):
        rows = [item.row() for item in some]
        told = [Facet(r.kind, r.organisation, r.personal, r.owned, r.public).told for r in rows]
        for fresh in dict.fromkeys(t for t in told if t not in known):
            known[fresh] = SearchFacet.objects.get_or_create(told=fresh)[0].pk
        prefixes = [prefix(known[t], r.kind, len(r.head.split())) for t, r in zip(told, rows, strict=True)]
        for row, number in zip(rows, index.numbered(prefixes), strict=True):
            row.pk = number
        SearchEntry.objects.bulk_create(rows)
        if learn:
            index.learn([(row.pk, row.head, row.whole, row.body) for row in rows])
        _learn_words(index, {w for row in rows for w in (*row.head.split(), *row.body.split())}, learn)
        written += len(rows)
    return written


def _learn_words(index: Engine, found: set[str], learn: bool) -> None:
    for some in batched(sorted(found), _BATCH):
        known = set(SearchWord.objects.filter(word__in=some).values_list("word", flat=True))
        fresh = [w for w in some if w not in known]
        if fresh:
            SearchWord.objects.bulk_create([SearchWord(word=w) for w in fresh], ignore_conflicts=True)
            if learn:
                index.learn_words(list(SearchWord.objects.filter(word__in=fresh).values_list("pk", "word")))


def contracts_changed() -> None:
    """What a doing on contracts calls: `changed`, where there is an index; a small catalogue makes it with its first question."""
    if built():
        changed("contracts")


def built() -> bool:
    """Whether there is an index."""
    return SearchFacet.objects.exists()


def changed(*subjects: str) -> int:
    """What a doing calls when it changed something findable: `reindex`; the number of entries written.

    A small catalogue without an index gets the whole of it here, so that one that grows from nothing always has it; a large one that has none
    waits for `rebuild`. What can be found is what everybody may read, so the catalogue's revision is another one from here on.
    """
    touched()
    held = _HELD.get()
    if held is not None:
        held.update(dict.fromkeys(subjects))
        return 0
    if built():
        return reindex(*subjects)
    return rebuild() if small() else 0


@contextmanager
def together() -> Iterator[None]:
    """What many doings change one after the other is indexed once, at the end; also when one of them fails."""
    if _HELD.get() is not None:
        yield
        return
    held: dict[str, None] = {}
    token = _HELD.set(held)
    try:
        yield
    finally:
        _HELD.reset(token)
        if held:
            changed(*held)


def small() -> bool:
    """Whether an index of everything is made within a second, on the way: at most `SMALL` entries."""
    codes = sum(len(found) for found in current_pack().codelists.values())
    return codes <= SMALL and codes + Field.objects.count() + Dataset.objects.count() <= SMALL


@transaction.atomic
def rebuild() -> int:
    """The whole index anew, in one transaction: who searches meanwhile sees the old one.

    A facet keeps its number for as long as an entry has it: who read the facets before and the entries after takes none for another, and the
    numbers, of which an id holds a million, do not run out however often this is done.
    """
    index = engine()
    index.clear()
    with connection.cursor() as cursor:
        for model in (SearchEntry, SearchWord):
            cursor.execute(f"DELETE FROM {model._meta.db_table}")  # noqa: S608 - the table of our own model
    if connection.vendor == "postgresql":
        trigrams(connection)  # the extension may have come since
    pack = pack_in_force()
    written = _write_datasets(index, Dataset.objects.filter(vanished=False), pack, learn=False)
    for _, make in _PARTS.values():
        written += _write(index, make(pack), learn=False)
    SearchFacet.objects.exclude(pk__in=index.facets_used()).delete()
    index.learn_all()
    return written
