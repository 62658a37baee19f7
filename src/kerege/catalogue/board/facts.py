"""What the board counts, read from the platform's own facts; a few queries however many datasets are critical.

A meaning is a concept link; an owner is one whose time is now; a word is the source's own description, a concept's wording, or what a data
contract in force says; a code has its place when it is the common list's own or a crosswalk to that list (of the pack, or published in the
catalogue) places it or records that it has no counterpart. What was
withheld or never told is not known, and not done. Open findings of codes keep an attribute open whatever a crosswalk says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from kerege.catalogue.board.rules import AttributeFacts, DatasetFacts
from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle.rules import IN_FORCE
from kerege.catalogue.models import ContractVersion, CriticalDataset, Field, Finding, UnmappedCode
from kerege.catalogue.ownership.queries import AttributeOwnership, ownership_overview
from kerege.catalogue.packs import pack_in_force
from kerege.semantics.crosswalks.sssom import Crosswalk
from kerege.semantics.pack import Pack

_CODE_FINDINGS: Final = ("codes-new", "code-unknown")


def critical_facts(now: datetime) -> list[DatasetFacts]:
    """The facts of every dataset marked critical, in the order in which they were marked."""
    marks = list(CriticalDataset.objects.filter(ended_at=None).select_related("dataset").order_by("at", "pk"))
    ids = [m.dataset_id for m in marks]
    concepts = load_concepts()
    owned = {v.dataset_id: v for v in ownership_overview(now, dataset_ids=ids, vanished=True)}
    fields: dict[int, list[Field]] = {}
    for row in Field.objects.filter(dataset__in=ids, vanished=False).order_by("position", "pk"):
        fields.setdefault(row.dataset_id, []).append(row)
    findings: dict[int, Counter[str]] = {}
    unsettled: set[int] = set()
    for finding in Finding.objects.filter(dataset__in=ids, settled_at=None, ended_at=None):
        findings.setdefault(finding.dataset_id, Counter())[finding.kind] += 1
        if finding.kind in _CODE_FINDINGS and finding.field_id is not None:
            unsettled.add(finding.field_id)
    places = set(UnmappedCode.objects.filter(settled_at=None).values_list("place", flat=True))
    states, contracts = _states(), _contracts(ids)
    pack = pack_in_force()
    found = []
    for mark in marks:
        dataset = mark.dataset
        name = str(dataset)
        state, version = states.get(name, ("draft", ""))
        attributes = []
        for row, held in zip(fields.get(dataset.pk, ()), owned[dataset.pk].attributes, strict=True):
            concept = concepts.get(held.concept)
            codelist = row.codelist or (concept.codelist if concept else "")
            told = contracts.get(dataset.pk, frozenset())
            worded = bool(str(row.profile.get("description") or "").strip()) or concept is not None or row.name in told
            waits = row.pk in unsettled or f"{name}.{row.name}" in places
            attributes.append(_attribute(row, held, worded, codelist, waits, pack))
        found.append(
            DatasetFacts(
                dataset.pk, name, dataset.organisation, mark.reason, mark.by, tuple(attributes),
                described=bool(dataset.description.strip()), contract=dataset.pk in contracts, state=state, version=version,
                source=dataset.source, findings=dict(findings.get(dataset.pk, {})),
            )
        )  # fmt: skip
    return found


def _attribute(
    row: Field, held: AttributeOwnership, worded: bool, codelist: str, waits: bool, pack: Pack
) -> AttributeFacts:
    open_codes: tuple[str, ...] | None = ()
    by: tuple[str, ...] = ()
    if codelist:
        open_codes, by = _open_codes(row.name, row.profile, codelist, pack)
        if waits and open_codes == ():
            open_codes = ("?",)  # a finding says that there is one; which, the finding tells
    return AttributeFacts(
        row.name, mapped=bool(held.concept), owned=held.owner is not None,
        interim=held.owner is not None and held.owner.interim, documented=worded, codelist=codelist,
        names_lasting=held.owner.names_lasting if held.owner is not None else "",
        open_codes=open_codes, by=by,
    )  # fmt: skip


def _open_codes(
    column: str, profile: dict[str, Any], codelist: str, pack: Pack
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """(codes without a place in the list, the crosswalks that place the others); None when the codes are not known.

    Where the pack has a mapping that reads a column of this name with a crosswalk to the list, that one speaks; else every crosswalk to the
    list that places most of the codes, and a code on which two of them disagree is open.
    """
    codes = [str(code) for code, _ in profile.get("codes", ())]
    known = pack.codelists.get(codelist)
    if not codes or profile.get("codes_withheld") or known is None:
        return None, ()
    own = {c.notation for c in known.concepts}
    best = tuple(c for c in codes if c not in own)
    ways: list[Crosswalk] = []
    there = [c for c in pack.crosswalks.values() if c.object_source == codelist] if best else []
    meant = crosswalks_reading(column, pack)
    for crosswalk in [c for c in there if c.id in meant] or there:
        settled = settled_codes(crosswalk)
        left = tuple(c for c in codes if crosswalk.key(c) not in settled)
        if len(left) < len(best):
            best, ways = left, [crosswalk]
        elif left == best and ways:
            ways.append(crosswalk)
    torn = tuple(c for c in codes if c not in best and len({w.table.get(w.key(c)) for w in ways}) > 1)
    return best + torn, tuple(w.id for w in ways)


def crosswalks_reading(column: str, pack: Pack) -> frozenset[str]:
    """The crosswalks of the pack's mappings that read a column of this name."""
    found: set[str] = set()
    for mapping in pack.mappings.values():
        cells = {cell for target in mapping.fields for cell in mapping.sources_of(target.name)}
        if column in {mapping.source.cells.get(cell, cell).rsplit(".", 1)[-1] for cell in cells}:
            found.update(mapping.crosswalks)
    return frozenset(found)


def settled_codes(crosswalk: Crosswalk) -> frozenset[str]:
    """The codes (as `key` makes them) that somebody placed, or recorded as having no counterpart; two targets at once settle nothing."""
    placed = (
        crosswalk.key(row.subject) for row in crosswalk.rows if row.translates or (row.subject and row.object is None)
    )
    return frozenset(placed) - crosswalk.ambiguous


def _states() -> dict[str, tuple[str, str]]:
    """Dataset -> the state of its entry that is farthest, and its version: the one in force before the one acted on last."""
    found: dict[str, tuple[str, str]] = {}
    for status in reversed(lifecycle.subjects("dataset")):  # oldest action first, so that the newest stays
        before = found.get(status.subject.id)
        if before is None or before[0] not in IN_FORCE or status.state in IN_FORCE:
            found[status.subject.id] = (status.state.value, status.subject.version)
    return found


def _contracts(dataset_ids: Sequence[int]) -> dict[int, frozenset[str]]:
    """Dataset -> the columns that its data contracts in force describe; a dataset without one is not there."""
    versions = ContractVersion.objects.filter(dataset__in=dataset_ids)
    rows = [(r, lifecycle.Subject("contract", r.contract, r.version)) for r in versions]
    states = {s.subject: s.state for s in lifecycle.subjects("contract")} if rows else {}
    found: dict[int, frozenset[str]] = {}
    for row, subject in rows:
        if row.dataset_id is not None and states.get(subject) in IN_FORCE:
            found[row.dataset_id] = found.get(row.dataset_id, frozenset()) | _described(row.document)
    return found


def _described(document: dict[str, Any]) -> frozenset[str]:
    """The properties of an ODCS document that have a description, by their names at the source and their own."""
    named: set[str] = set()
    for table in document.get("schema") or ():
        for prop in table.get("properties") or () if isinstance(table, dict) else ():
            if isinstance(prop, dict) and str(prop.get("description") or "").strip():
                named.update(str(prop[key]) for key in ("name", "physicalName") if prop.get(key))
    return frozenset(named)
