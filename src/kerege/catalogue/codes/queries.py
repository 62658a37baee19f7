"""What pages and the API show of code lists and crosswalks in the catalogue: plain dataclasses, no models."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kerege.catalogue.codes.versions import CODELIST, CROSSWALK, load_codelist
from kerege.catalogue.lifecycle.doings import State, Subject, subjects
from kerege.catalogue.models import CodeListVersion, CrosswalkVersion
from kerege.semantics.codelists.codelist import CodeList, Concept


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of a code list or crosswalk: `size` in codes or rows, `state` in the life cycle."""

    kind: str
    id: str
    version: str
    follows: str
    title: dict[str, str]
    size: int
    state: str
    imported_by: str
    imported_at: datetime

    def as_dict(self) -> dict[str, Any]:
        out = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return out | {"imported_at": self.imported_at.isoformat()}


def versions(kind: str = "", of: str = "") -> list[VersionView]:
    """Versions by kind, id and time of import; of one list or crosswalk with `of`. Four queries for any number."""
    found: list[VersionView] = []
    states = {
        s.subject: s.state.value for one in (CODELIST, CROSSWALK) if kind in ("", one) for s in subjects(one, thing=of)
    }
    if kind in ("", CODELIST):
        rows = CodeListVersion.objects.order_by("list_id", "pk").defer("content")
        found += [
            VersionView(
                CODELIST, row.list_id, row.version, row.follows, row.title, row.codes,
                states.get(Subject(CODELIST, row.list_id, row.version), State.DRAFT.value), row.imported_by, row.imported_at,
            )
            for row in (rows.filter(list_id=of) if of else rows)
        ]  # fmt: skip
    if kind in ("", CROSSWALK):
        walks = CrosswalkVersion.objects.order_by("crosswalk", "pk").defer("content")
        found += [
            VersionView(
                CROSSWALK, walk.crosswalk, walk.version, "", {}, walk.rows,
                states.get(Subject(CROSSWALK, walk.crosswalk, walk.version), State.DRAFT.value), walk.imported_by, walk.imported_at,
            )
            for walk in (walks.filter(crosswalk=of) if of else walks)
        ]  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class CodeView:
    """One code as a page shows it: labels, validity, place in the tree, notes."""

    notation: str
    labels: dict[str, str]
    alternatives: tuple[str, ...]
    broader: tuple[str, ...]
    narrower: int
    depth: int
    valid_from: str
    valid_to: str
    notes: tuple[tuple[str, str, str], ...]
    replaced_by: tuple[str, ...]


def codes(list_id: str, version: str = "") -> list[CodeView]:
    """The codes of a version (the newest when not said), in order; CodeListVersionUnknown when it is not there."""
    return codes_of(load_codelist(list_id, version))


def codes_of(found: CodeList) -> list[CodeView]:
    """The codes of a list in memory, the pack's for instance, as a page shows them."""
    below: dict[str, int] = {}
    for concept in found:
        for above in concept.above():
            below[above] = below.get(above, 0) + 1
    return [_code(concept, found, below.get(concept.notation, 0)) for concept in found]


def _code(concept: Concept, found: CodeList, narrower: int) -> CodeView:
    return CodeView(
        notation=concept.notation,
        labels=dict(concept.labels),
        alternatives=tuple(wording for _, wording in concept.alt_labels),
        broader=tuple(concept.above()),
        narrower=narrower,
        depth=len(found.ancestors(concept.notation)),
        valid_from=concept.valid_from.isoformat() if concept.valid_from else "",
        valid_to=concept.valid_to.isoformat() if concept.valid_to else "",
        notes=tuple((n.kind, n.language, n.text) for n in concept.notes),
        replaced_by=concept.replaced_by,
    )
