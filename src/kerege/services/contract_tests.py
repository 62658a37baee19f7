"""Contract tests run by the platform itself: does a data service really answer as its contract says, through the real exchange?

A probe is one call whose canonical answer is checked against the mapping the contract names: the answer came, the mapping is
that one, the original can be traced, every record has exactly the mapping's fields, what must be there is there, and every coded
value is a notation of its list. Pure but for the client handed in; values never leave this module, only counts and field names do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kerege.semantics.mappings import ir, problems
from kerege.semantics.mappings.documents import Mapping as MappingDocument
from kerege.semantics.pack import Pack
from kerege.services.evidence import Answer, Call, ExchangeClient

CHECKS: Final = ("answered", "mapping", "traceable", "shape", "required", "codes", "withheld")


@dataclass(frozen=True, slots=True)
class Probe:
    """One call and the mapping its answer must have gone through."""

    call: Call
    mapping: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that did not hold. `fields` names canonical fields, never values."""

    data_service: str
    mapping: str
    check: str
    fields: tuple[str, ...] = ()


@dataclass(slots=True)
class CrosswalkCount:
    """How often a crosswalk was asked, how often it had no answer, and for which of the register's codes."""

    seen: int = 0
    unmapped: int = 0
    codes: set[str] = field(default_factory=set)


@dataclass(slots=True)
class ContractReport:
    """What a round of probes came to, by (data service, mapping). `unmapped`: (mapping, canonical field) -> code -> values."""

    passed: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    crosswalks: dict[str, CrosswalkCount] = field(default_factory=lambda: defaultdict(CrosswalkCount))
    unmapped: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    records: int = 0

    def failed(self, key: tuple[str, str]) -> int:
        """How many checks of one data service and mapping did not hold."""
        return sum((f.data_service, f.mapping) == key for f in self.failures)

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        return tuple(sorted({*self.passed, *((f.data_service, f.mapping) for f in self.failures)}))


def run(probes: Iterable[Probe], client: ExchangeClient, pack: Pack) -> ContractReport:
    """Send every probe and check its answer. A probe that gets no canonical answer fails all its checks."""
    report = ContractReport()
    for probe in probes:
        answer = client.send(probe.call)
        document = pack.mapping(probe.mapping)
        found = _failures(probe, answer, document, pack)
        for check in CHECKS:
            if check in found:
                report.failures.append(Failure(probe.call.data_service, probe.mapping, check, found[check]))
            else:
                report.passed[(probe.call.data_service, probe.mapping)] += 1
        report.records += len(answer.records)
        _count_codes(answer, document, report)
    return report


def _failures(probe: Probe, answer: Answer, document: MappingDocument, pack: Pack) -> dict[str, tuple[str, ...]]:
    if not answer.ok or answer.status == 404:
        return dict.fromkeys(CHECKS, ())
    found: dict[str, tuple[str, ...]] = {}
    if answer.mapping_id != probe.mapping or not answer.mapping_version:
        found["mapping"] = ()
    if len(answer.original_sha256) != 64 or not answer.message_id:
        found["traceable"] = ()
    expected = {target.name for target in document.fields}
    strange = sorted({name for record in answer.records for name in expected ^ set(record)})
    if strange:
        found["shape"] = tuple(strange)
    empty = sorted(
        t.name for t in document.fields if t.required and any(r.get(t.name) in (None, "") for r in answer.records)
    )
    if empty:
        found["required"] = tuple(empty)
    outside = sorted(name for name, notations in _coded(document, pack).items() if _outside(answer, name, notations))
    if outside:
        found["codes"] = tuple(outside)
    if answer.withheld:
        found["withheld"] = ()
    return found


def _outside(answer: Answer, name: str, notations: frozenset[str]) -> bool:
    return any(record.get(name) is not None and record[name] not in notations for record in answer.records)


def _coded(document: MappingDocument, pack: Pack) -> Mapping[str, frozenset[str]]:
    """Canonical field -> the notations it may have, for fields that end in a code list."""
    allowed = {}
    for target in document.fields:
        expr = target.expr
        listed = ""
        if isinstance(expr, ir.Recode):
            listed = pack.crosswalk(expr.crosswalk).object_source
        elif isinstance(expr, ir.Member):
            listed = expr.codelist
        if listed in pack.codelists:
            allowed[target.name] = frozenset(concept.notation for concept in pack.codelist(listed).concepts)
    return allowed


def recoded(document: MappingDocument) -> dict[str, tuple[str, ...]]:
    """Crosswalk id -> the canonical fields it makes."""
    found: dict[str, list[str]] = defaultdict(list)
    for target in document.fields:
        for expr in target.expr.walk():
            if isinstance(expr, ir.Recode):
                found[expr.crosswalk].append(target.name)
    return {crosswalk: tuple(fields) for crosswalk, fields in found.items()}


def _count_codes(answer: Answer, document: MappingDocument, report: ContractReport) -> None:
    unmapped: dict[str, list[str]] = defaultdict(list)
    for problem in answer.problems:
        if problem.get("code") == problems.UNMAPPED:
            unmapped[str(problem.get("field"))].append(str(problem.get("source_code") or ""))
    for crosswalk, fields in recoded(document).items():
        count = report.crosswalks[crosswalk]
        for name in fields:
            missed = unmapped.get(name, [])
            count.unmapped += len(missed)
            count.codes.update(missed)
            if missed:
                report.unmapped[document.id, name].update(missed)
            count.seen += len(missed) + sum(record.get(name) is not None for record in answer.records)


def used_crosswalks(mappings: Sequence[str], pack: Pack) -> frozenset[str]:
    """Every crosswalk the named mappings ask."""
    return frozenset(crosswalk for name in mappings for crosswalk in pack.mapping(name).crosswalks)
