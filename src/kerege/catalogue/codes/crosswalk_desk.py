"""A crosswalk as a table to work through: open, accepted, refused, seen but not mapped; and a new version of what was decided.

The table is the newest version's rows, with what stewards decided after it was made and what was suggested for codes that it does not have.
Nothing of a version changes: `make_version` writes the next one, which takes the way of every version (submitted, approved by a second
person, published). Rows with days or conditions are kept as they are until somebody decides on their code. A page of the table is cut by
`codes.crosswalk_page`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Protocol

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet

from kerege.catalogue.codes import decisions
from kerege.catalogue.codes.column_desk import COLUMNS
from kerege.catalogue.codes.crosswalks import EXACT, OPEN
from kerege.catalogue.codes.decisions import OpenSuggestion
from kerege.catalogue.codes.versions import CROSSWALK, import_crosswalk, load_crosswalk
from kerege.catalogue.errors import CodeListVersionUnknown, DecisionRefused
from kerege.catalogue.lifecycle.doings import State, Subject
from kerege.catalogue.lifecycle.queries import states
from kerege.catalogue.models import CodeDecision, CodeSuggestion, CrosswalkVersion, SuggestedTarget, UnmappedCode
from kerege.semantics.crosswalks.sssom import LEXICAL, MANUAL, Crosswalk, Policy, Row, parse_sssom

STATES: Final = ("open", "accepted", "refused", "unmapped")
MACHINE: Final = "kerege:suggest"  # who says what no person said
_AT_ONCE: Final = 500


class Decided(Protocol):
    """What of a decision changes rows."""

    @property
    def code(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def verdict(self) -> str: ...
    @property
    def by(self) -> str: ...


@dataclass(frozen=True, slots=True)
class TableRow:
    """One line of the table. `state`: open, accepted, refused (no counterpart), unmapped (seen in data, in no row)."""

    code: str
    label: str
    state: str
    target: str = ""
    target_label: str = ""
    predicate: str = ""
    confidence: float | None = None
    by: str = ""
    when: str = ""  # the days and conditions under which the row holds, "" for always
    records: int = 0  # of an unmapped code: records that had it
    places: int = 0


@dataclass(frozen=True, slots=True)
class CrosswalkWork:
    """A crosswalk in the desk's list."""

    crosswalk: str
    version: str
    state: str
    waiting: int
    sure: int
    unmapped: int
    decided: int


def newest(crosswalk: str = "") -> QuerySet[CodeSuggestion]:
    """The newest suggestion for each code."""
    later = CodeSuggestion.objects.filter(crosswalk=OuterRef("crosswalk"), code=OuterRef("code"), pk__gt=OuterRef("pk"))
    rows = CodeSuggestion.objects.filter(~Exists(later)).exclude(crosswalk=COLUMNS)
    return rows.filter(crosswalk=crosswalk) if crosswalk else rows


def undecided(crosswalk: str = "") -> QuerySet[CodeSuggestion]:
    """The newest suggestions that no decision settled."""
    done = CodeDecision.objects.filter(crosswalk=OuterRef("crosswalk"), code=OuterRef("code"))
    return newest(crosswalk).filter(~Exists(done.exclude(verdict=decisions.REFUSED)))


def queue(crosswalk: str, *, start: int = 0, most: int = 10) -> tuple[list[OpenSuggestion], int]:
    """Codes that wait for a steward, those the engine was unsure of first, and how many there are; three queries for any number.

    A candidate that was refused before, or that the newest version denies, is left out of its code's candidates.
    """
    rows = undecided(crosswalk).prefetch_related("candidates").order_by("-said", "code", "pk")  # unsure, none, accept
    total = undecided(crosswalk).count()
    found = list(rows[start : start + most])
    no = set(
        CodeDecision.objects.filter(
            crosswalk=crosswalk, code__in=[r.code for r in found], verdict=decisions.REFUSED
        ).values_list("code", "target")
    )
    known = base_of(crosswalk)
    return [
        OpenSuggestion(
            r.crosswalk, r.code, r.label, r.said, r.reason, r.made_at,
            tuple(
                {"rank": c.rank, "target": c.target, "label": c.label, "score": c.score, "evidence": c.evidence}
                for c in r.candidates.all()
                if (r.code, c.target) not in no and not (known is not None and known.denies(r.code, c.target))
            ),
        )
        for r in found
    ], total  # fmt: skip


def works() -> list[CrosswalkWork]:
    """Every crosswalk that somebody suggested, imported or met unmapped codes in, what waits most first; six queries for any number."""

    def counted(rows: QuerySet[Any]) -> Counter[str]:
        return Counter(dict(rows.order_by().values("crosswalk").annotate(n=Count("pk")).values_list("crosswalk", "n")))

    waiting, sure = counted(undecided()), counted(undecided().filter(said="accept"))
    decided = counted(CodeDecision.objects.exclude(crosswalk=COLUMNS))
    seen = counted(UnmappedCode.objects.filter(settled_at=None))
    later = CrosswalkVersion.objects.filter(crosswalk=OuterRef("crosswalk"), pk__gt=OuterRef("pk"))
    versions = dict(CrosswalkVersion.objects.filter(~Exists(later)).values_list("crosswalk", "version"))
    standing = states(CROSSWALK, versions)
    found = [
        CrosswalkWork(
            name, versions.get(name, ""),
            standing.get(Subject(CROSSWALK, name, versions[name]), State.DRAFT).value if name in versions else "",
            waiting[name], sure[name], seen[name], decided[name],
        )
        for name in {*waiting, *decided, *seen, *versions}
    ]  # fmt: skip
    return sorted(found, key=lambda w: (-w.waiting - w.unmapped, w.crosswalk))


def base_of(crosswalk: str, version: str = "") -> Crosswalk | None:
    """The newest version (or the one named) as it was imported; None when there is none. Parsed once."""
    key = _key_of(crosswalk, version)
    return _parsed(*key) if key is not None else None


def rows_of(crosswalk: str, version: str = "") -> dict[str, list[Row]]:
    """The rows of the newest version (or of the one named) by their code, put together once; not to be changed."""
    key = _key_of(crosswalk, version)
    return _by_code(*key) if key is not None else {}


def states_of(crosswalk: str, version: str = "") -> dict[str, str]:
    """How each code of that version stands, found out once; not to be changed."""
    key = _key_of(crosswalk, version)
    return _states(*key) if key is not None else {}


def _key_of(crosswalk: str, version: str) -> tuple[str, str, str] | None:
    rows = CrosswalkVersion.objects.filter(crosswalk=crosswalk)
    row = (rows.filter(version=version) if version else rows.order_by("-pk")).values_list("version", "digest").first()
    return (crosswalk, row[0], row[1]) if row is not None else None


@lru_cache(maxsize=8)
def _parsed(crosswalk: str, version: str, _digest: str) -> Crosswalk:
    row = CrosswalkVersion.objects.get(crosswalk=crosswalk, version=version)
    return parse_sssom(row.content, f"{crosswalk}@{version}")


@lru_cache(maxsize=8)
def _by_code(crosswalk: str, version: str, digest: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in _parsed(crosswalk, version, digest).rows:
        found.setdefault(row.subject, []).append(row)
    return found


@lru_cache(maxsize=8)
def _states(crosswalk: str, version: str, digest: str) -> dict[str, str]:
    return {code: line(code, rows).state for code, rows in _by_code(crosswalk, version, digest).items() if code}


def working(crosswalk: str) -> Crosswalk:
    """The crosswalk as it stands with every decision: what the next version would hold. Its `version` is the newest one's, "" before."""
    return _worked(crosswalk, undone(crosswalk))


def undone(crosswalk: str) -> QuerySet[CodeDecision]:
    """Decisions that stand in no version yet, as they were taken."""
    return CodeDecision.objects.filter(crosswalk=crosswalk, written_in=None).order_by("pk")


def _worked(crosswalk: str, decided: Iterable[CodeDecision]) -> Crosswalk:
    """The newest version's rows with what was decided, and with what was suggested for codes that it does not have."""
    walk = base_of(crosswalk) or Crosswalk(crosswalk)
    by_code = _work(crosswalk, dict(rows_of(crosswalk)), newest(crosswalk).order_by("code"), decided)
    return replace(walk, rows=tuple(row for found in by_code.values() for row in found), unmapped=Counter())


def worked_rows(crosswalk: str, codes: Sequence[str]) -> dict[str, list[Row]]:
    """These codes' rows as they stand with every decision: only what is about them is read."""
    base = rows_of(crosswalk)
    suggested = newest(crosswalk).filter(code__in=codes).order_by("code")
    decided = undone(crosswalk).filter(code__in=codes)
    return _work(crosswalk, {code: base[code] for code in codes if code in base}, suggested, decided)


def _work(
    crosswalk: str, by_code: dict[str, list[Row]], suggested: QuerySet[CodeSuggestion], decided: Iterable[CodeDecision]
) -> dict[str, list[Row]]:
    base, decided = base_of(crosswalk), list(decided)
    for suggestion in suggested.prefetch_related("candidates"):
        if suggestion.code not in by_code:
            by_code[suggestion.code] = list(_suggested(suggestion, base))
    labels = {t: label for t, label in _target_labels(crosswalk, {d.target for d in decided}) if label}
    wordings = base is not None and bool(decided) and any(row.literal for row in base.rows)
    for decision in decided:
        rows = with_decision(by_code.get(decision.code, []), decision, labels)
        by_code[decision.code] = [replace(row, literal=True) for row in rows] if wordings else rows
        if decision.verdict == decisions.ACCEPTED and "" in by_code:  # somebody found a code for what had none
            by_code[""] = [r for r in by_code[""] if r.object != decision.target]
    return by_code


def _target_labels(crosswalk: str, targets: Collection[str]) -> Iterator[tuple[str, str]]:
    """Targets with the labels they were suggested under; asked for some hundreds at a time, of many all are read."""
    rows = SuggestedTarget.objects.filter(suggestion__crosswalk=crosswalk)
    if len(targets) <= _AT_ONCE:
        rows = rows.filter(target__in=targets)
    yield from rows.values_list("target", "label").distinct()


def _suggested(suggestion: CodeSuggestion, base: Crosswalk | None) -> Iterator[Row]:
    """Open rows: what the engine was sure of too, for here a person decides."""
    blank = Row(
        suggestion.code, None, OPEN, LEXICAL, suggestion.label, author=MACHINE, comment=f"open: {suggestion.reason}"
    )
    every = suggestion.candidates.all()
    found = [c for c in every if base is None or not base.denies(suggestion.code, c.target)][:3]
    yield from (
        [replace(blank, object=c.target, object_label=c.label, confidence=round(min(1.0, max(0.0, c.score)), 4)) for c in found]
        or [blank]
    )  # fmt: skip


def with_decision(rows: list[Row], decision: Decided, labels: dict[str, str]) -> list[Row]:
    """A code's rows after a decision on it."""
    code, label = decision.code, next((r.subject_label for r in rows if r.subject_label), "")
    no = [r for r in rows if r.predicate_modifier == "Not"]
    row = Row(
        code, decision.target or None, EXACT, MANUAL, label, labels.get(decision.target, ""), reviewer=decision.by
    )
    if decision.verdict == decisions.ACCEPTED:
        return [*(r for r in no if r.object != decision.target), replace(row, confidence=1.0)]
    if decision.verdict == decisions.NO_COUNTERPART:
        return [*no, replace(row, comment="no counterpart")]
    kept = [r for r in rows if r.object != decision.target]
    if not any(r.predicate_modifier != "Not" for r in kept):
        kept.append(Row(code, None, OPEN, MANUAL, label, comment="open: every candidate refused"))
    return [*kept, replace(row, predicate_modifier="Not")]


def line(code: str, rows: list[Row]) -> TableRow:
    """A code's line of the table, from its rows."""
    leading = [r for r in rows if r.translates]
    label = next((r.subject_label for r in rows if r.subject_label), "")
    if leading:
        first = leading[0]
        when = "; ".join(f"{r.object}: {r.when}" for r in leading if r.when)
        target = ", ".join(dict.fromkeys(str(r.object) for r in leading))
        return TableRow(
            code, label, "accepted", target, first.object_label, first.predicate, first.confidence,
            first.reviewer or first.author or ("" if first.justification == MANUAL else MACHINE), when,
        )  # fmt: skip
    absent = next((r for r in rows if r.object is None and r.predicate == EXACT), None)
    if absent is not None:
        return TableRow(code, label, "refused", by=absent.reviewer)
    best = next((r for r in rows if r.predicate == OPEN and r.object is not None), None)
    if best is None:
        return TableRow(code, label, "open")
    return TableRow(code, label, "open", str(best.object), best.object_label, best.predicate, best.confidence)


@transaction.atomic
def make_version(crosswalk: str, version: str, policy: str, by: str, now: datetime) -> str:
    """Write what was decided as a new version, a draft; codes it answers are settled when it is published. Gives the version's number.

    Raises DecisionRefused for a policy or number that is none, CrosswalkTwice, CodeListVersionTaken.
    """

    def refuse(why: str) -> DecisionRefused:
        return DecisionRefused(code_given="(all)", crosswalk=crosswalk, reason=why)

    number = version.strip()
    if not number or len(number) > 60 or not number.isprintable():
        raise refuse("a version needs a number of 1 to 60 characters")
    try:
        wanted = Policy.parse(policy)
    except ValueError as error:
        raise refuse(str(error)) from error
    # one version after the other, and nobody takes back what is being written; what is decided meanwhile waits for the next version
    list(CrosswalkVersion.objects.select_for_update().filter(crosswalk=crosswalk).only("pk"))
    decided = list(undone(crosswalk).select_for_update())
    walk = replace(_worked(crosswalk, decided), version=number, policy=wanted)
    if not walk.rows:
        raise refuse("there is nothing to make a version of")
    import_crosswalk(walk, by, now, decided=[d.pk for d in decided])
    return number


def next_version(crosswalk: str) -> str:
    """A number for the next version: the last part of the newest one counted up; 1.0.0 for the first."""
    try:
        newest_one = load_crosswalk(crosswalk).version
    except CodeListVersionUnknown:
        return "1.0.0"
    head, dot, last = newest_one.rpartition(".")
    return f"{head}{dot}{int(last) + 1}" if last.isdigit() else f"{newest_one}.1"
