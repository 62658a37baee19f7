"""What can be found: the catalogue's and the country pack's things as entries of the search index, each with the words it is found by.

Names, descriptions, meanings, owners and codes of code lists: never a value, mask or count out of a register. `search.index` keeps them true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, TypeVar

from kerege.catalogue.exports import publication
from kerege.catalogue.inventory.queries import DatasetView, FieldView
from kerege.catalogue.lifecycle.queries import standing
from kerege.catalogue.models import ContractVersion, ReferenceDataset, SearchEntry
from kerege.catalogue.search.words import joined, keys
from kerege.ground.text import counted
from kerege.membership.models import Contract, Member
from kerege.semantics.contracts import odcs
from kerege.semantics.contracts.contract import Contract as DataContract
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
_NOTE: Final = 300  # characters of the second line
_BODY: Final = 4000  # words of one entry that are indexed
T = TypeVar("T")


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
class Wordings:
    """What the pack says of concepts, for the words of fields that carry them."""

    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, pack: Pack) -> Wordings:
        found = cls()
        for entry in pack.concepts.get("concepts") or ():
            if isinstance(entry, dict) and isinstance(entry.get("label"), dict):
                found.labels[str(entry["id"])] = {str(k): str(v) for k, v in entry["label"].items()}
                found.aliases[str(entry["id"])] = tuple(str(a) for a in entry.get("aliases") or ())
        return found


def names() -> dict[str, dict[str, str]]:
    return {m.code: {"ky": m.name_ky, "ru": m.name_ru, "en": m.name_en} for m in Member.objects.all()}


def names_spelled() -> dict[str, dict[str, str]]:
    """The same under the bare number too, where it is one member's only."""
    whole = names()
    numbers = Counter(code.rsplit("/", 1)[-1] for code in whole)
    bare = {code.rsplit("/", 1)[-1]: told for code, told in whole.items()}
    return {number: told for number, told in bare.items() if numbers[number] == 1} | whole


def dataset_items(
    view: DatasetView, wordings: Wordings, members: dict[str, dict[str, str]], published: Collection[str]
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


def _field_item(one: FieldView, view: DatasetView, wordings: Wordings, runs: tuple[str, ...], public: bool) -> Item:
    labels = wordings.labels.get(one.concept, {})
    description = str(getattr(one.profile, "description", "") or "")
    return Item(
        "field", str(one.id), {"": one.name}, (one.name, *labels.values(), *wordings.aliases.get(one.concept, ())),
        (view.table, one.concept, one.codelist, description, one.owner.unit if one.owner else "", *runs),
        description or labels.get("en", ""), str(view.id), view.organisation, one.personal, one.owner is not None, public,
    )  # fmt: skip


def concept_items(pack: Pack) -> Iterator[Item]:
    wordings = Wordings.of(pack)
    raw = {str(e["id"]): e for e in pack.concepts.get("concepts") or () if isinstance(e, dict)}
    for concept, labels in wordings.labels.items():
        personal = raw[concept].get("personal")
        yield Item(
            "concept", concept, labels, (concept, *wordings.aliases[concept]), (str(raw[concept].get("codelist") or ""),),
            ", ".join(wordings.aliases[concept]), personal=personal if isinstance(personal, bool) else None,
        )  # fmt: skip


def _chosen(known: Mapping[str, T], only: str) -> list[T]:
    return [one for key, one in known.items() if not only or key == only]


def codelist_items(pack: Pack, only: str = "") -> Iterator[Item]:
    for found in _chosen(pack.codelists, only):
        yield Item(
            "codelist", found.id, dict(found.title) or {"": found.id}, (found.id,), (), counted(len(found), "code")
        )
        for one in found:
            others = tuple(w for _, w in one.alt_labels)
            yield Item(
                "code", f"{found.id}#{one.notation}", dict(one.labels) or {"": one.notation}, (one.notation, *others),
                tuple(found.title.values()), ", ".join(others), found.id,
            )  # fmt: skip


def crosswalk_items(pack: Pack, only: str = "") -> Iterator[Item]:
    for found in _chosen(pack.crosswalks, only):
        title = found.title or found.id
        yield Item(
            "crosswalk", found.id, {"": title}, (found.id, title), (found.subject_source, found.object_source),
            f"{found.subject_source} → {found.object_source}",
        )  # fmt: skip


def owner_items(_pack: Pack) -> Iterator[Item]:
    for code, title in names().items():
        yield Item("owner", code, title, (code.rsplit("/", 1)[-1],), (), code, organisation=code)


def contract_items(pack: Pack) -> Iterator[Item]:
    for row in Contract.objects.select_related("provider__member"):
        member = row.provider.member
        yield Item(
            "contract", f"{row.data_service}#{row.method}#{row.path}", {"": row.data_service}, (row.data_service, row.mapping),
            (row.path, row.owner, row.legal_basis, member.name_ky, member.name_ru, member.name_en), row.mapping,
            organisation=member.code[:20],
        )  # fmt: skip
    yield from _unrouted_items(pack, set(Contract.objects.values_list("mapping", flat=True)))


@lru_cache(maxsize=2048)
def _read(contract: str, version: str, _fingerprint: str) -> DataContract:
    """A version as it was added, parsed once per process while it says the same."""
    row = ContractVersion.objects.get(contract=contract, version=version)
    return odcs.parse(row.document, str(row))


def _unrouted_items(pack: Pack, routed: Collection[str]) -> Iterator[Item]:
    """Data contracts that no data service is held against: the country pack's and the hub's own, by their ids; those of the hub's that were
    never published are found as other drafts are, by who does not ask for what is public."""
    members = names_spelled()
    documents: dict[str, tuple[DataContract, bool]] = {
        made.id: (made, True) for made in map(odcs.read, sorted((pack.folder / "contracts").glob("*.odcs.yaml")))
    }
    in_force = standing("contract")[1]
    chosen: dict[str, tuple[str, str, str]] = {}  # of each contract the version in force, else the newest
    for told in ContractVersion.objects.order_by("added_at", "pk").values_list("contract", "version", "fingerprint"):
        if in_force.get(told[0], told[1]) == told[1]:
            chosen[told[0]] = told
    for contract, told in chosen.items():
        known = contract in documents and documents[contract][1]
        documents[contract] = (_read(*told), known or contract in in_force)
    for contract, (made, public) in documents.items():
        if contract not in routed:
            titles = made.custom.get("title")
            title = {str(k): str(v) for k, v in titles.items()} if isinstance(titles, dict) else {}
            yield Item(
                "contract", contract, title or {"": made.name or contract}, (contract, made.name), (made.owner, made.owner_unit, made.legal_basis),
                contract, organisation=made.owner if made.owner in members else "", public=public,
            )  # fmt: skip


def reference_items(_pack: Pack) -> Iterator[Item]:
    for row in ReferenceDataset.objects.order_by("pk"):
        title = {str(k): str(v) for k, v in row.title.items()}
        yield Item(
            "reference", row.ref_id, title or {"": row.ref_id}, (row.ref_id, row.subject), tuple(str(v) for v in row.description.values()),
            row.subject, organisation=row.organisation,
        )  # fmt: skip
