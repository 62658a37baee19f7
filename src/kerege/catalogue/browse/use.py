"""Who uses what, and what rests on an attribute, for pages: flows between registers and consumers, and the reach of a change. Bounded.

A flow is one consumer and one data service: measured where traffic of a node was read (`usage`), granted where a right says so
(`membership`), or both. What rests on a cell or field is the pack's own graph (`semantics.mappings.impact`), built once per pack, and after it the
data services and consumers that the tables know of the contracts it reaches.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Max, Q, Sum

from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.mappings import impact as reach
from kerege.catalogue.models import ConceptLink, ContractRoute, DeprecationNotice, ServiceUse
from kerege.ground.text import counted
from kerege.membership.models import Contract, Right
from kerege.semantics.mappings.impact import RANK, Action, Change, Graph, Hit, Node, impact
from kerege.semantics.pack import Pack

MOST: Final = 400  # flows of one answer; a graph of more is no picture, and a list of more is asked for by organisation


@dataclass(frozen=True, slots=True)
class Flow:
    """One consumer's use of one data service. `calls` None: a right is granted and no call was seen."""

    consumer: str
    service: str
    calls: int | None
    failed: int
    last_at: datetime | None
    dataset_id: int | None
    granted: bool

    @property
    def provider(self) -> str:
        """The subsystem whose data service it is."""
        return "/".join(self.service.split("/")[:4])


def member_of(code: str) -> str:
    """The member behind a subsystem or data service."""
    return "/".join(code.split("/")[:3])


def flows(
    now: datetime, *, organisation: str = "", concept: str = "", dataset_id: int | None = None, service: str = "", limit: int = MOST
) -> tuple[list[Flow], bool]:  # fmt: skip
    """Flows, most called first, then those only granted; and whether there are more than `limit`.

    organisation   member code: flows to it or from it
    concept        flows of data services that carry it, as datasets and contracts tell
    """
    uses, rights = ServiceUse.objects.all(), Right.objects.filter(revoked_at=None, valid_until__gte=now)
    if organisation:
        inside = f"{organisation}/"
        uses = uses.filter(Q(consumer__startswith=inside) | Q(service__startswith=inside))
        rights = rights.filter(Q(holder__code__startswith=inside) | Q(data_service__startswith=inside))
    if dataset_id is not None:
        uses = uses.filter(dataset_id=dataset_id)
        services = set(uses.values_list("service", flat=True)[:limit])
        rights = rights.filter(data_service__in=services)
    if service:
        uses, rights = uses.filter(service=service), rights.filter(data_service=service)
    if concept:
        carrying = services_of(concept)
        held = ConceptLink.objects.filter(concept=concept).values("field__dataset")
        uses = uses.filter(Q(dataset__in=held) | Q(service__in=carrying))
        rights = rights.filter(data_service__in=[*carrying, *uses.values_list("service", flat=True).distinct()[:limit]])
    summed = (
        uses.values("consumer", "service", "side")
        .annotate(n=Sum("calls"), f=Sum("failed"), last=Max("last_at"), about=Max("dataset"))
        .order_by("-n", "consumer", "service")[: 2 * limit + 1]
    )
    found: dict[tuple[str, str], Flow] = {}
    for row in sorted(summed, key=lambda r: r["side"] != "provider"):  # the provider's node knows best
        key = (row["consumer"], row["service"])
        found.setdefault(key, Flow(*key, row["n"], row["f"], row["last"], row["about"], False))
    for holder, called in (
        rights.values_list("holder__code", "data_service")
        .distinct()
        .order_by("holder__code", "data_service")[: limit + 1]
    ):
        seen = found.get((holder, called))
        found[holder, called] = (
            Flow(holder, called, None, 0, None, None, True)
            if seen is None
            else Flow(holder, called, seen.calls, seen.failed, seen.last_at, seen.dataset_id, True)
        )
    ordered = sorted(found.values(), key=lambda f: (f.calls is None, -(f.calls or 0), f.consumer, f.service))
    return ordered[:limit], len(ordered) > limit


def services_of(concept: str) -> list[str]:
    """Data services whose contract is about canonical records with this concept."""
    known = load_concepts().get(concept)
    mappings = {name.partition("#")[0] for name in known.fields} if known else set()
    return (
        list(Contract.objects.filter(mapping__in=mappings).values_list("data_service", flat=True).distinct())
        if mappings
        else []
    )


def services_of_mappings(mappings: Collection[str]) -> list[tuple[str, str]]:
    """(data service, mapping) where the nodes hold a contract of one of these mappings."""
    rows = Contract.objects.filter(mapping__in=list(mappings)).order_by("data_service")
    return list(rows.values_list("data_service", "mapping").distinct()[:MOST])


_GRAPHS: dict[int, tuple[Pack, Graph]] = {}


def _graph(pack: Pack) -> Graph:
    """The pack's own graph, kept while the pack is (a pack is replaced when a file of it changes)."""
    known = _GRAPHS.get(id(pack))
    if known is None or known[0] is not pack:
        _GRAPHS.clear()
        known = _GRAPHS[id(pack)] = (pack, reach.gather(pack, database=False))
    return known[1]


def dependants(pack: Pack, nodes: Collection[Node], action: Action = "remove") -> list[Hit]:
    """What rests on any of `nodes`, each thing once, heaviest first: the pack's, then data services and consumers from the tables."""
    graph = _graph(pack)
    found: dict[Node, Hit] = {}
    for node in nodes:
        if node not in graph:
            continue
        for hit in impact(graph, Change(node, action)).hits:
            known = found.get(hit.node)
            if hit.node not in nodes and (known is None or RANK[known.severity] < RANK[hit.severity]):
                found[hit.node] = hit
    for hit in _behind([h for n, h in found.items() if n.kind == "contract"]):
        found.setdefault(hit.node, hit)
    return sorted(found.values(), key=lambda h: (-RANK[h.severity], len(h.path), h.node))


def _behind(contracts: list[Hit]) -> list[Hit]:
    """Data services under the contracts, in the catalogue or at the nodes, and who was seen calling them: three queries."""
    by = {hit.node.key: hit for hit in contracts}
    pairs = [
        *ContractRoute.objects.filter(contract__contract__in=by)
        .values_list("data_service", "contract__contract")
        .distinct()[:MOST],
        *Contract.objects.filter(mapping__in=by).values_list("data_service", "mapping").distinct()[:MOST],
    ]
    out: dict[Node, Hit] = {}
    for service, contract in pairs:
        node, hit = Node("service", service), by[contract]
        out.setdefault(node, Hit(node, hit.severity, "it answers under the contract", (*hit.path, node)))
    services = {node.key: hit for node, hit in out.items()}
    uses = ServiceUse.objects.filter(service__in=services).values_list("consumer", "service").annotate(n=Sum("calls"))
    for consumer, service, calls in uses.order_by("consumer")[:MOST]:
        node, hit = Node("consumer", consumer), services[service]
        out.setdefault(node, Hit(node, hit.severity, f"called it {counted(calls, 'time')}", (*hit.path, node)))
    return list(out.values())


@dataclass(frozen=True, slots=True)
class Ending:
    """A contract's version that ends and that an organisation's systems use."""

    contract: str
    version: str
    ends_at: datetime
    successor: str
    consumer: str


def endings(organisation: str, limit: int = 20) -> list[Ending]:
    """Deprecations an organisation was told of that still run, the first to end in front."""
    rows = DeprecationNotice.objects.filter(
        consumer__startswith=f"{organisation}/", deprecation__taken_back_at=None
    ).select_related("deprecation__contract")
    return [
        Ending(r.deprecation.contract.contract, r.deprecation.contract.version, r.deprecation.ends_at, r.deprecation.successor, r.consumer)
        for r in rows.order_by("deprecation__ends_at", "pk")[:limit]
    ]  # fmt: skip
