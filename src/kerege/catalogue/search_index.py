"""Keeping the search index true: what of the catalogue and the country pack can be found, and by which words.

A doing that changes something findable calls `changed` with what it changed, inside its own transaction; `rebuild` makes everything anew.
Indexed are names, descriptions, meanings, owners and codes of code lists: never a value, mask or count out of a register.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal, TypeVar

from django.db import connection, transaction
from django.db.models import QuerySet

from kerege.catalogue.exports import publication
from kerege.catalogue.models import Dataset, Field, ReferenceDataset, SearchEntry, SearchFacet, SearchWord
from kerege.catalogue.packs import current_pack, pack_in_force
from kerege.catalogue.queries import DatasetView, FieldView, datasets
from kerege.catalogue.search_engines import Engine, engine
from kerege.catalogue.search_ids import Facet, prefix
from kerege.catalogue.search_tables import trigrams
from kerege.catalogue.search_words import joined, keys
from kerege.membership.models import Contract, Member
from kerege.semantics.pack import Pack

Kind = Literal["dataset", "field", "concept", "codelist", "code", "crosswalk", "owner", "contract", "reference"]
KINDS: Final[tuple[Kind, ...]] = (
    "dataset",
    "concept",
    "codelist",
    "field",
    "crosswalk",
    "contract",
    "owner",
    "reference",
    "code",
)
SMALL: Final = 2000  # entries that are indexed on the way, where there is no index
_HELD: Final[ContextVar[dict[str, None] | None]] = ContextVar("kerege_search_held", default=None)  # see `together`
_BATCH: Final = 500
_NOTE: Final = 300  # characters of the second line
_BODY: Final = 4000  # words of one entry that are indexed


@dataclass(frozen=True, slots=True)
class Item:
    """Something that can be found: `names` weigh more than `text`."""

    kind: Kind
    key: str
    title: dict[str, str]
    names: tuple[str, ...]
    text: tuple[str, ...] = ()
    note: str = ""
    parent: str = ""
    organisation: str = ""
    personal: bool | None = None
    owned: bool | None = None
    public: bool = True

    def row(self) -> SearchEntry:
        """As it is stored, but for its id."""
        names = (*self.names, *self.title.values())
        return SearchEntry(
            kind=self.kind, key=self.key[:500], parent=self.parent[:500], title=self.title, note=self.note[:_NOTE],
            head=" ".join(keys(names)[:_BODY]), whole=" ".join(joined(names)[:_BODY]), body=" ".join(keys(self.text)[:_BODY]),
            organisation=self.organisation[:20], personal=self.personal, owned=self.owned, public=self.public,
        )  # fmt: skip


@dataclass(slots=True)
class _Wordings:
    """What the pack says of concepts, for the words of fields that carry them."""

    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, pack: Pack) -> _Wordings:
        found = cls()
        for entry in pack.concepts.get("concepts") or ():
            if isinstance(entry, dict) and isinstance(entry.get("label"), dict):
                found.labels[str(entry["id"])] = {str(k): str(v) for k, v in entry["label"].items()}
                found.aliases[str(entry["id"])] = tuple(str(a) for a in entry.get("aliases") or ())
        return found


T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """`items` in tuples of `size`, the last one shorter."""
    walk = iter(items)
    while some := tuple(islice(walk, size)):
        yield some


def _names() -> dict[str, dict[str, str]]:
    return {m.code: {"ky": m.name_ky, "ru": m.name_ru, "en": m.name_en} for m in Member.objects.all()}


def _dataset_items(
    view: DatasetView, wordings: _Wordings, members: dict[str, dict[str, str]], published: Collection[str]
) -> Iterator[Item]:
    if view.vanished:
        return
    verdict = publication.dataset_verdict(view, published)
    fields = [f for f in view.fields if not f.vanished]
    key = str(view.id)
    runs = tuple(members.get(view.organisation, {}).values())
    # what stays is found by itself, by those who may see it, and not through the dataset's entry
    told = [f for f in fields if (publication.may_leave(f, verdict).allowed if verdict.allowed else not f.personal)]
    meanings = tuple(w for f in told for w in wordings.labels.get(f.concept, {}).values())
    yield Item(
        "dataset", key, {"": view.table}, (view.table,), (view.source, view.description, *runs, *(f.name for f in told), *meanings),
        view.description, organisation=view.organisation, personal=any(f.personal for f in fields),
        owned=bool(fields) and all(f.owner is not None for f in fields), public=verdict.allowed,
    )  # fmt: skip
    for one in fields:
        yield _field_item(one, view, wordings, runs, publication.may_leave(one, verdict).allowed)


def _field_item(one: FieldView, view: DatasetView, wordings: _Wordings, runs: tuple[str, ...], public: bool) -> Item:
    labels = wordings.labels.get(one.concept, {})
    description = str(getattr(one.profile, "description", "") or "")
    return Item(
        "field", str(one.id), {"": one.name}, (one.name, *labels.values(), *wordings.aliases.get(one.concept, ())),
        (view.table, one.concept, one.codelist, description, one.owner.unit if one.owner else "", *runs),
        description or labels.get("en", ""), str(view.id), view.organisation, one.personal, one.owner is not None, public,
    )  # fmt: skip


def _concept_items(pack: Pack) -> Iterator[Item]:
    wordings = _Wordings.of(pack)
    raw = {str(e["id"]): e for e in pack.concepts.get("concepts") or () if isinstance(e, dict)}
    for concept, labels in wordings.labels.items():
        personal = raw[concept].get("personal")
        yield Item(
            "concept", concept, labels, (concept, *wordings.aliases[concept]), (str(raw[concept].get("codelist") or ""),),
            ", ".join(wordings.aliases[concept]), personal=personal if isinstance(personal, bool) else None,
        )  # fmt: skip


def _chosen(known: Mapping[str, T], only: str) -> list[T]:
    return [one for key, one in known.items() if not only or key == only]


def _codelist_items(pack: Pack, only: str = "") -> Iterator[Item]:
    for found in _chosen(pack.codelists, only):
        yield Item("codelist", found.id, dict(found.title) or {"": found.id}, (found.id,), (), f"{len(found)} codes")
        for one in found:
            others = tuple(w for _, w in one.alt_labels)
            yield Item(
                "code", f"{found.id}#{one.notation}", dict(one.labels) or {"": one.notation}, (one.notation, *others),
                tuple(found.title.values()), ", ".join(others), found.id,
            )  # fmt: skip


def _crosswalk_items(pack: Pack, only: str = "") -> Iterator[Item]:
    for found in _chosen(pack.crosswalks, only):
        title = found.title or found.id
        yield Item(
            "crosswalk", found.id, {"": title}, (found.id, title), (found.subject_source, found.object_source),
            f"{found.subject_source} → {found.object_source}",
        )  # fmt: skip


def _owner_items(_pack: Pack) -> Iterator[Item]:
    for code, title in _names().items():
        yield Item("owner", code, title, (code.rsplit("/", 1)[-1],), (), code, organisation=code)


def _contract_items(_pack: Pack) -> Iterator[Item]:
    for row in Contract.objects.select_related("provider__member"):
        member = row.provider.member
        yield Item(
            "contract", f"{row.data_service}#{row.method}#{row.path}", {"": row.data_service}, (row.data_service, row.mapping),
            (row.path, row.owner, row.legal_basis, member.name_ky, member.name_ru, member.name_en), row.mapping,
            organisation=member.code[:20],
        )  # fmt: skip


def _reference_items(_pack: Pack) -> Iterator[Item]:
    for row in ReferenceDataset.objects.order_by("pk"):
        title = {str(k): str(v) for k, v in row.title.items()}
        yield Item(
            "reference", row.ref_id, title or {"": row.ref_id}, (row.ref_id, row.subject), tuple(str(v) for v in row.description.values()),
            row.subject, organisation=row.organisation,
        )  # fmt: skip


_PARTS: Final[dict[str, tuple[tuple[str, ...], Callable[[Pack], Iterator[Item]]]]] = {
    "concepts": (("concept",), _concept_items),
    "codelists": (("codelist", "code"), _codelist_items),
    "crosswalks": (("crosswalk",), _crosswalk_items),
    "owners": (("owner",), _owner_items),
    "contracts": (("contract",), _contract_items),
    "references": (("reference",), _reference_items),
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
            written += _write(index, _codelist_items(pack, subject[9:]))
        elif subject.startswith("crosswalk:"):
            _remove(index, kind="crosswalk", key=subject[10:])
            written += _write(index, _crosswalk_items(pack, subject[10:]))
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
    wordings, members, published = _Wordings.of(pack), _names(), publication.published_since()
    written = 0
    for some in batched(which.order_by("pk").values_list("pk", flat=True), _BATCH):
        views = (item for view in datasets(some) for item in _dataset_items(view, wordings, members, published))
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


def built() -> bool:
    """Whether there is an index."""
    return SearchFacet.objects.exists()


def changed(*subjects: str) -> int:
    """What a doing calls when it changed something findable: `reindex`; the number of entries written.

    A small catalogue without an index gets the whole of it here, so that one that grows from nothing always has it; a large one that has none
    waits for `rebuild`.
    """
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
    """The whole index anew, in one transaction: who searches meanwhile sees the old one."""
    index = engine()
    index.clear()
    with connection.cursor() as cursor:
        for model in (SearchEntry, SearchWord, SearchFacet):
            cursor.execute(f"DELETE FROM {model._meta.db_table}")  # noqa: S608 - the table of our own model
    if connection.vendor == "postgresql":
        trigrams(connection)  # the extension may have come since
    pack = pack_in_force()
    written = _write_datasets(index, Dataset.objects.filter(vanished=False), pack, learn=False)
    for _, make in _PARTS.values():
        written += _write(index, make(pack), learn=False)
    index.learn_all()
    return written
