"""What breaks if this changes: from a proposed change to everything that rests on it, before anything is published.

A country's meanings are a graph: codes are in lists, crosswalks lead from list to list, mappings use crosswalks and lists and read cells of a source,
fields are made by mappings, contracts promise fields and lists, public services, reference datasets and consumers use fields. `Graph` is that
graph as plain links, whoever knows them (`graph_of_pack` for a pack; `catalogue.mappings.impact` adds contracts, services and use). `impact` walks it
from a change and says for each thing met how heavily it is hit and why:

    breaks    it will refuse records, give no value, or cannot be loaded
    changes   it goes on and gives other values, or more unmapped codes than before
    notice    its owner should know; nothing changes by itself

Severity only falls along the way: what a step softens (a policy that flags, an optional field) stays soft. Pure.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from kerege.semantics.codelists.codelist import CodeList
from kerege.semantics.crosswalks.sssom import Crosswalk
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import Mapping

Kind = Literal[
    "code", "codelist", "crosswalk", "cell", "mapping", "field", "contract", "service", "consumer", "dataset"
]
Severity = Literal["breaks", "changes", "notice"]
Action = Literal["remove", "change", "add"]
RANK: Final[dict[Severity, int]] = {"notice": 0, "changes": 1, "breaks": 2}


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """One thing: `key` is its id; of a code `list code`, of a cell or field `mapping name` or the canonical concept's own id."""

    kind: Kind
    key: str

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


@dataclass(frozen=True, slots=True)
class Link:
    """`user` rests on `used`. At most `worst` comes over from it, and `why` says in words how the one rests on the other."""

    used: Node
    user: Node
    why: str
    worst: Severity = "breaks"


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody wants to do with one thing."""

    what: Node
    action: Action = "change"


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that the change reaches: how heavily, why, and over what (from the change on)."""

    node: Node
    severity: Severity
    reason: str
    path: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Impact:
    """All hits of a change, heaviest first; `publishable` when nothing breaks."""

    change: Change
    hits: tuple[Hit, ...]

    @property
    def publishable(self) -> bool:
        return all(hit.severity != "breaks" for hit in self.hits)

    def of(self, kind: Kind) -> tuple[Hit, ...]:
        """The hits of one kind."""
        return tuple(hit for hit in self.hits if hit.node.kind == kind)


class Links(Protocol):
    """Somebody who knows links: a pack, contracts, services, measured use."""

    def links(self) -> Iterable[Link]: ...


@dataclass
class Graph:
    """Links by what is used."""

    _users: dict[Node, list[Link]] = field(default_factory=lambda: defaultdict(list))
    _nodes: set[Node] = field(default_factory=set)

    def add(self, links: Iterable[Link]) -> Graph:
        for link in links:
            self._users[link.used].append(link)
            self._nodes |= {link.used, link.user}
        return self

    def __contains__(self, node: Node) -> bool:
        return node in self._nodes

    def known(self, kind: Kind) -> list[str]:
        """The keys of all things of a kind."""
        return sorted(node.key for node in self._nodes if node.kind == kind)

    def users(self, node: Node) -> list[Link]:
        return self._users.get(node, [])


_FIRST: Final[dict[Action, Severity]] = {"remove": "breaks", "change": "changes", "add": "notice"}


def impact(graph: Graph, change: Change) -> Impact:
    """Everything that rests on what changes, each thing once with the heaviest way in which it is hit."""
    found: dict[Node, Hit] = {}
    begin: tuple[Node, Severity, tuple[Node, ...]] = (change.what, _FIRST[change.action], (change.what,))
    waiting = deque([begin])
    while waiting:
        node, severity, path = waiting.popleft()
        for link in graph.users(node):
            hit = severity if RANK[severity] <= RANK[link.worst] else link.worst
            known = found.get(link.user)
            if link.user == change.what or (known is not None and RANK[known.severity] >= RANK[hit]):
                continue
            found[link.user] = Hit(link.user, hit, link.why, (*path, link.user))
            waiting.append((link.user, hit, (*path, link.user)))
    hits = sorted(found.values(), key=lambda h: (-RANK[h.severity], len(h.path), h.node))
    return Impact(change, tuple(hits))


# --- what a pack knows ------------------------------------------------------------------------------------------------------------


def graph_of_pack(codelists: Iterable[CodeList], crosswalks: Iterable[Crosswalk], mappings: Iterable[Mapping]) -> Graph:
    """The links inside a pack; add others' with `Graph.add`."""
    graph = Graph()
    walks = {walk.id: walk for walk in crosswalks}
    for codelist in codelists:
        graph.add(
            Link(Node("code", f"{codelist.id} {c.notation}"), Node("codelist", codelist.id), "the list has the code")
            for c in codelist
        )
        graph.add(
            Link(
                Node("code", f"{codelist.id} {c.broader}"),
                Node("code", f"{codelist.id} {c.notation}"),
                "the code stands below it",
            )
            for c in codelist
            if c.broader is not None
        )
    for walk in walks.values():
        graph.add(_crosswalk_links(walk))
    for mapping in mappings:
        graph.add(_mapping_links(mapping, walks))
    return graph


def field_node(mapping_id: str, name: str) -> Node:
    """A canonical field as one mapping makes it."""
    return Node("field", f"{mapping_id} {name}")


def _crosswalk_links(walk: Crosswalk) -> Iterator[Link]:
    """A target that goes takes its rows with it; a source code that goes leaves a row nobody meets."""
    me = Node("crosswalk", walk.id)
    soft: Severity = "changes" if walk.policy.severity == "flag" else "breaks"
    said = f"codes without a counterpart get the policy {walk.policy}"
    for number, row in enumerate(walk.rows, start=1):
        if not row.translates or row.object is None:
            continue
        if walk.object_source:
            yield Link(Node("code", f"{walk.object_source} {row.object}"), me, f"row {number} leads to it", "breaks")
        if walk.subject_source:
            yield Link(
                Node("code", f"{walk.subject_source} {row.subject}"),
                me,
                f"row {number} starts from it; {said}",
                "changes",
            )
    if walk.object_source:
        yield Link(Node("codelist", walk.object_source), me, "its targets are of the list", "changes")
        if walk.policy.default is not None:
            yield Link(
                Node("code", f"{walk.object_source} {walk.policy.default}"), me, "its policy gives the code", "breaks"
            )
    if walk.subject_source:
        yield Link(Node("codelist", walk.subject_source), me, f"its source codes are of the list; {said}", soft)


def _mapping_links(mapping: Mapping, walks: dict[str, Crosswalk]) -> Iterator[Link]:
    me = Node("mapping", mapping.id)
    for target in mapping.fields:
        made = field_node(mapping.id, target.name)
        hard: Severity = "breaks" if target.required in ("quarantine", "reject") else "changes"
        needs = "must have a value" if target.required is not None else "is made of it"
        yield Link(made, me, "the mapping makes the field")
        for expr in target.expr.walk():
            if isinstance(expr, ir.Field):
                cell = Node("cell", f"{mapping.id} {expr.cell}")
                optional = expr.cell in mapping.source.optional
                worst: Severity = hard if optional else "breaks"
                yield Link(
                    cell,
                    made,
                    f"the field {needs}; {'the cell may be absent' if optional else 'a payload without it is refused'}",
                    worst,
                )
            elif isinstance(expr, ir.Target):
                yield Link(field_node(mapping.id, expr.field), made, f"the field {needs}", hard)
            elif isinstance(expr, ir.Recode | ir.RecodeAsOf):
                policy = walks[expr.crosswalk].policy if expr.crosswalk in walks else None
                flags = policy is not None and policy.severity == "flag"
                said = f"it recodes by it; unmapped codes: {policy}" if policy is not None else "it recodes by it"
                yield Link(Node("crosswalk", expr.crosswalk), made, said, hard if flags else "breaks")
            elif isinstance(expr, ir.Lookup | ir.LookupAsOf | ir.Member):
                yield Link(Node("codelist", expr.codelist), made, f"it looks codes up in it; the field {needs}", hard)
