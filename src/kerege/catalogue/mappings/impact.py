"""What rests on what, gathered for `semantics.mappings.impact` from all the installation knows: pack, contracts, public services, routes, use, data
sets.

The pack's folder gives code lists, crosswalks, mappings, contracts (`contracts/*.odcs.yaml`) and public services (`services/*.yaml`: the mappings
their evidence comes by); the database gives contract routes, measured use by consumers and published reference datasets. A data service belongs to
a public service when it answers under a contract for a mapping that brings the service's evidence. Each is a function that yields links, so that
another source of use is one function more. `reach` counts records where profiles know the code, and says what could not be looked at. Questions
only: nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from kerege.catalogue.errors import ImpactUnknown
from kerege.catalogue.packs import pack_in_force
from kerege.ground.text import counted
from kerege.semantics.codelists.codelist import CodeList
from kerege.semantics.contracts import odcs
from kerege.semantics.contracts.contract import Contract
from kerege.semantics.crosswalks.sssom import Crosswalk
from kerege.semantics.mappings.impact import (
    Action,
    Change,
    Graph,
    Impact,
    Kind,
    Link,
    Node,
    field_node,
    graph_of_pack,
    impact,
)
from kerege.semantics.pack import Pack

KINDS: Final[dict[str, Kind]] = {
    "code": "code",
    "codelist": "codelist",
    "crosswalk": "crosswalk",
    "field": "field",
    "cell": "cell",
    "mapping": "mapping",
}


def gather(pack: Pack, *, database: bool = True) -> Graph:
    """The whole graph; without `database` only what the pack's folder says."""
    graph = graph_of_pack(pack.codelists.values(), pack.crosswalks.values(), pack.mappings.values())
    graph.add(contract_links(pack.folder / "contracts")).add(service_links(pack.folder / "services"))
    if database:
        graph.add(route_links()).add(evidence_links(pack.folder)).add(concept_links(pack.folder / "contracts"))
        graph.add(use_links()).add(reference_links())
    return graph


def asked(pack: Pack, kind: str, key: str, action: Action = "change", *, database: bool = True) -> Impact:
    """The impact of changing one thing. ImpactUnknown when nothing of that kind has that key, with the keys that come near."""
    graph = gather(pack, database=database)
    node = Node(KINDS[kind], key)
    if node not in graph:
        known = graph.known(node.kind)
        near = [k for k in known if key.split()[-1] in k or k.split()[0] == key.split()[0]] or known
        raise ImpactUnknown(kind=kind, key=key, known=", ".join(near[:8]) or "none")
    return impact(graph, Change(node, action))


def contract_links(folder: Path) -> Iterator[Link]:
    """A contract promises the fields of the mapping it names, and the code lists of its properties."""
    for contract in _contracts(folder):
        me = Node("contract", contract.id)
        for promised in contract.objects:
            mapping = promised.custom.get("mapping")
            for one in promised.properties:
                if mapping:
                    need = "it must be there" if one.required else "it may be missing"
                    yield Link(
                        field_node(str(mapping), one.name),
                        me,
                        f"it promises {one.name}; {need}",
                        "breaks" if one.required else "changes",
                    )
                if one.codelist:
                    yield Link(Node("codelist", one.codelist), me, f"codes of {one.name} are of the list", "changes")


def _contracts(folder: Path) -> Iterator[Contract]:
    for path in sorted(folder.glob("*.odcs.yaml")) if folder.is_dir() else ():
        yield odcs.read(path)


def service_links(folder: Path) -> Iterator[Link]:
    """A public service decides from the evidence that its definition names by mapping."""
    for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
        document = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
        me = Node("service", str(document.get("id") or path.stem))
        for mapping in sorted(set(_mappings(document))):
            yield Link(Node("mapping", mapping), me, "its evidence comes by the mapping")


def _mappings(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("mapping"), str):
            yield part["mapping"]
        for inner in part.values():
            yield from _mappings(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _mappings(inner)


def route_links() -> Iterator[Link]:
    """A data service answers under a contract; it is counted among the services."""
    from kerege.catalogue.models import ContractRoute

    for route in ContractRoute.objects.select_related("contract"):
        yield Link(
            Node("contract", route.contract.contract),
            Node("service", route.data_service),
            "it answers under the contract",
        )


def evidence_links(folder: Path) -> Iterator[Link]:
    """A data service that answers under a contract brings the evidence of the public services that ask for the contract's mapping."""
    from kerege.catalogue.models import ContractRoute

    wanted: dict[str, set[str]] = {}
    for link in service_links(folder / "services"):
        wanted.setdefault(link.used.key, set()).add(link.user.key)
    for route in ContractRoute.objects.select_related("contract"):
        promised = odcs.parse(route.contract.document, str(route.contract)).objects
        for mapping in sorted({str(o.custom["mapping"]) for o in promised if o.custom.get("mapping")}):
            for service in sorted(wanted.get(mapping, ())):
                why = f"its evidence by {mapping} comes from the data service, under the contract {route.contract.contract}"
                yield Link(Node("service", route.data_service), Node("service", service), why)


def concept_links(folder: Path) -> Iterator[Link]:
    """A data service in use whose dataset has a field of a concept rests on whatever makes that concept; how, nobody has agreed."""
    from kerege.catalogue.models import ConceptLink, ServiceUse

    made: dict[str, set[Node]] = {}
    for contract in _contracts(folder):
        for promised in contract.objects:
            for one in promised.properties:
                if promised.custom.get("mapping") and one.custom.get("concept"):
                    field = field_node(str(promised.custom["mapping"]), one.name)
                    made.setdefault(str(one.custom["concept"]), set()).add(field)
    used = {u.dataset_id: u.service for u in ServiceUse.objects.exclude(dataset=None).order_by("pk")}
    for said in ConceptLink.objects.filter(field__dataset__in=list(used)).select_related("field").order_by("pk"):
        for field in sorted(made.get(said.concept, ())):
            why = f"its dataset holds {said.concept} too; no contract says how the two hang together"
            yield Link(field, Node("service", used[said.field.dataset_id]), why, "notice")


def use_links() -> Iterator[Link]:
    """A consumer that was seen calling a data service, with how often and when last."""
    from kerege.catalogue.models import ServiceUse

    for use in ServiceUse.objects.all():
        why = f"called it {counted(use.calls, 'time')}, last on {use.last_at:%Y-%m-%d}"
        yield Link(Node("service", use.service), Node("consumer", use.consumer), why)


def reference_links() -> Iterator[Link]:
    """A reference dataset is made of a code list, a crosswalk or a mapping's table."""
    from kerege.catalogue.models import ReferenceDataset

    kinds: dict[str, Kind] = {"codelist": "codelist", "crosswalk": "crosswalk", "table": "mapping"}
    for dataset in ReferenceDataset.objects.all():
        kind = kinds.get(dataset.kind)
        if kind is not None:
            yield Link(
                Node(kind, dataset.subject),
                Node("dataset", dataset.ref_id),
                "it is published from it; a new version is due",
                "changes",
            )


# --- how many records, and what was not looked at ---


@dataclass(frozen=True, slots=True)
class Affected:
    """`records` of a catalogued field that have the code, or codes that the crosswalks in `by` lead to it; of a sample where `sampled`."""

    dataset: str
    field: str
    records: int
    sampled: bool
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """Records known to be hit, most first, and in words what nobody could look at: no count is not a count of none."""

    affected: tuple[Affected, ...]
    unseen: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"affected": [asdict(a) for a in self.affected], "not_looked_at": list(self.unseen)}


def reach(found: Impact, *, database: bool = True, pack: Pack | None = None) -> Reach:
    """The records hit by the change of one code, by the profiles of catalogued fields; for other things only what is unseen.

    A register mostly keeps codes of its own: counted are those too that a crosswalk leads to the code, and of a source's code the fields that a
    mapping reads with its crosswalk.

    pack   whose crosswalks lead; what is in force when not given
    """
    if not database:
        return Reach(
            (), ("the database was not asked: contract routes, use, reference datasets and counts of records",)
        )
    what = found.change.what
    affected, unseen = _counts(what, pack or pack_in_force()) if what.kind == "code" else ((), _no_counts(found))
    return Reach(affected, (*unseen, *_unknown_services()))


def _no_counts(found: Impact) -> tuple[str, ...]:
    return (f"records are counted for single codes only, not for a {found.change.what.kind}",)


def _counts(code: Node, pack: Pack) -> tuple[tuple[Affected, ...], tuple[str, ...]]:
    from kerege.catalogue.board.facts import crosswalks_reading
    from kerege.catalogue.models import Field

    list_id, _, notation = code.key.partition(" ")
    back = [w for w in pack.crosswalks.values() if w.object_source == list_id]
    forth = [w for w in pack.crosswalks.values() if w.subject_source == list_id]
    lists = {list_id, *(w.subject_source for w in back), *(w.object_source for w in forth)} - {""}
    affected, unseen, met = [], [], False
    there = Field.objects.filter(vanished=False, dataset__vanished=False, codelist__in=lists)
    for field in there.select_related("dataset").order_by("dataset__source", "position"):
        known: dict[str, int] = {str(c): int(n) for c, n in field.profile.get("codes", ())}
        read = crosswalks_reading(field.name, pack)
        ways = _ways(field.codelist, list_id, back, read)
        mine = field.codelist == list_id or any(w.object_source == field.codelist and w.id in read for w in forth)
        if not mine and not ways:
            continue
        met = True
        plain = None if any(w.id in read for w in ways) else pack.codelists.get(list_id)
        records, by = _hit(known, notation, plain, ways, mine=mine)
        if records:
            sampled = bool(field.dataset.profile.get("sampled"))
            affected.append(Affected(str(field.dataset), field.name, records, sampled, by))
        if not known or field.profile.get("codes_withheld"):
            unseen.append(f"{field}: its profile keeps no count of {'some of its codes' if known else 'this code'}")
    if not met:
        unseen.append(f"no catalogued field is said to have values of {list_id}: records cannot be counted")
    return tuple(sorted(affected, key=lambda a: (-a.records, a.dataset, a.field))), tuple(unseen)


def _ways(of: str, list_id: str, back: list[Crosswalk], read: frozenset[str]) -> list[Crosswalk]:
    """The crosswalks by which a field's own codes may lead to the list: those its mapping reads it with, else all that could."""
    fits = [w for w in back if of in (list_id, w.subject_source)]
    return [w for w in fits if w.id in read] or fits


def _hit(known: dict[str, int], notation: str, own: CodeList | None, ways: list[Crosswalk], *, mine: bool) -> _Hit:
    """Records of the code itself and of codes that lead to it, and the crosswalks that lead.

    own   the list, where its codes stand for themselves in this field; None where a crosswalk reads it
    mine  whether codes that no crosswalk translates are codes of the list
    """
    records, by = 0, set[str]()
    for code, times in known.items():
        ruled = [] if own is not None and code in own else [w for w in ways if w.key(code) in w.compiled.rules]
        led = [w.id for w in ruled if any(r.target == notation for r in w.compiled.rules[w.key(code)])]
        if led or (not ruled and mine and code == notation):
            records += times
            by.update(led)
    return records, tuple(sorted(by))


_Hit = tuple[int, tuple[str, ...]]


def _unknown_services() -> Iterator[str]:
    from kerege.catalogue.models import ContractRoute, ServiceUse

    routed = set(ContractRoute.objects.values_list("data_service", flat=True))
    loose = sorted(set(ServiceUse.objects.filter(dataset=None).values_list("service", flat=True)) - routed)
    if loose:
        named = ", ".join(loose[:5]) + (f" and {len(loose) - 5} more" if len(loose) > 5 else "")
        yield f"data services in use that no contract and no dataset describes: {named}"
