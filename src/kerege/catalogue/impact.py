"""What rests on what, gathered for `semantics.impact` from all the installation knows: pack, contracts, public services, routes, use, data sets.

The pack's folder gives code lists, crosswalks, mappings, contracts (`contracts/*.odcs.yaml`) and public services (`services/*.yaml`: the mappings
their evidence comes by); the database gives contract routes, measured use by consumers and published reference datasets. Each is a function that
yields links, so that another source of use is one function more. Questions only: nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from kerege.catalogue.errors import ImpactUnknown
from kerege.semantics import odcs
from kerege.semantics.impact import Action, Change, Graph, Impact, Kind, Link, Node, field_node, graph_of_pack, impact
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
        graph.add(route_links()).add(use_links()).add(reference_links())
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
    for path in sorted(folder.glob("*.odcs.yaml")) if folder.is_dir() else ():
        contract = odcs.read(path)
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


def service_links(folder: Path) -> Iterator[Link]:
    """A public service decides from the evidence that its definition names by mapping."""
    for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
        document = yaml.safe_load(path.read_text("utf-8"))
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


def use_links() -> Iterator[Link]:
    """A consumer that was seen calling a data service, with how often and when last."""
    from kerege.catalogue.models import ServiceUse

    for use in ServiceUse.objects.all():
        why = f"called it {use.calls} times, last on {use.last_at:%Y-%m-%d}"
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
