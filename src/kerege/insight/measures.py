"""The measures: pure functions from case histories and a cohort to a result that says what it counted.

Implements M01, M01b, M02, M03, M05, M11, M12 and M13 of the delivery discipline, section 4. Every result carries the definition's
id and version, the cohort, n, what was left out and why. A share is kept as numerator and denominator, never as a rounded number.
When a definition changes, its version rises and docs/reference/measures.md says how.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from kerege.ground.text import Text
from kerege.insight.cases import CaseHistory
from kerege.insight.cohorts import Cohort
from kerege.insight.errors import MeasureUnknown
from kerege.insight.quantiles import Span, quantile

P90_NEEDS: Final = 100  # below, the ninetieth percentile is a handful of cases
CAUSES_MOST: Final = 25
OTHER_MOST_PERCENT: Final = 10


@dataclass(frozen=True, slots=True)
class Definition:
    """What a measure means; `kind` is "share" or "duration"."""

    id: str
    version: int
    kind: str
    title: Text
    cohort_rule: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """One result. `n` is what the denominator or the statistic rests on."""

    definition: Definition
    cohort: Cohort
    n: int
    excluded: Mapping[str, int]
    values: Mapping[str, int | None]
    breakdown: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def percent(self) -> str | None:
        """The share with one decimal, half up, or None for an empty denominator or a duration."""
        numerator, denominator = self.values.get("numerator"), self.values.get("denominator")
        if numerator is None or not denominator:
            return None
        permille = (numerator * 2000 + denominator) // (denominator * 2)
        return f"{permille // 10}.{permille % 10}"

    def as_dict(self) -> dict[str, Any]:
        """As stored and compared: canonical JSON takes it."""
        return {
            "id": self.definition.id,
            "version": self.definition.version,
            "cohort_rule": self.definition.cohort_rule,
            "cohort": self.cohort.as_dict(),
            "n": self.n,
            "excluded": dict(sorted(self.excluded.items())),
            "values": dict(self.values),
            "breakdown": dict(sorted(self.breakdown.items())),
            "warnings": list(self.warnings),
        }


def completion(cases: Iterable[CaseHistory], cohort: Cohort) -> Measurement:
    """M01: of the cases that started, those with a final decision of any kind; drop-out is the rest."""
    chosen, excluded = cohort.select(cases)
    done = sum(case.finally_decided for case in chosen)
    return _share(DEFINITIONS["M01"], cohort, excluded, done, len(chosen))


def success(cases: Iterable[CaseHistory], cohort: Cohort) -> Measurement:
    """M01b: granted, of the decided. Never shown as completion."""
    chosen, excluded = cohort.select(cases)
    decided = [case for case in chosen if case.finally_decided]
    _leave_out(excluded, "undecided", len(chosen) - len(decided))
    return _share(DEFINITIONS["M01b"], cohort, excluded, sum(c.outcome == "granted" for c in decided), len(decided))


def turnaround(cases: Iterable[CaseHistory], cohort: Cohort) -> Measurement:
    """M02: from submission to decision by the applicant's calendar; unfinished cases count as still running."""
    return _duration(DEFINITIONS["M02"], cases, cohort, agency_clock=False)


def agency_turnaround(cases: Iterable[CaseHistory], cohort: Cohort) -> Measurement:
    """M03: the same without the time the agency waited for the applicant."""
    return _duration(DEFINITIONS["M03"], cases, cohort, agency_clock=True)


def rejections(cases: Iterable[CaseHistory], cohort: Cohort) -> Measurement:
    """M05: refused or returned, of those decided or returned inside the window, with one primary cause each."""
    excluded: dict[str, int] = {}
    causes: Counter[str] = Counter()
    n = 0
    for case in cases:
        moments = [m for m in (case.returned_at, case.decided_at if case.finally_decided else None) if m is not None]
        if not moments or not cohort.start <= min(moments) < cohort.end:
            continue
        if case.synthetic or case.left:
            _leave_out(excluded, "synthetic" if case.synthetic else case.left, 1)
            continue
        n += 1
        if case.outcome == "refused":
            causes[case.decision_reason or "none-given"] += 1
        elif case.returned_at is not None:
            causes[case.return_reason or "none-given"] += 1
    rejected = sum(causes.values())
    warnings = []
    if len(causes) > CAUSES_MOST:
        warnings.append("too-many-causes")
    if (causes["other"] + causes["none-given"]) * 100 > rejected * OTHER_MOST_PERCENT:
        warnings.append("other-above-10-percent")
    return _share(DEFINITIONS["M05"], cohort, excluded, rejected, n, +causes, tuple(warnings))


def straight_through(cases: Iterable[CaseHistory], cohort: Cohort) -> Measurement:
    """M11: decided without any act of a person after submission, of those decided or handed to a person.

    A case that waits at a desk is in the denominator before it is decided: leaving it out until then would show a hundred
    percent on the day the rules decide the easy half.
    """
    chosen, excluded = cohort.select(cases)
    counted = [c for c in chosen if c.submitted_at is not None and not c.left and (c.finally_decided or c.manual_steps)]
    _leave_out(excluded, "undecided", len(chosen) - len(counted))
    through = sum(case.finally_decided and case.manual_steps == 0 for case in counted)
    return _share(DEFINITIONS["M11"], cohort, excluded, through, len(counted))


def manual_reconciliation(cases: Iterable[CaseHistory], cohort: Cohort) -> Measurement:
    """M12: cases where a person reconciled a value by hand or was asked to, of the submitted; by reason."""
    chosen, excluded = _submitted(cases, cohort)
    by_hand = [case for case in chosen if case.reconciled_by_hand]
    pairs = Counter(reason or "none-given" for case in by_hand for reason in set(case.reconciled_by_hand))
    return _share(DEFINITIONS["M12"], cohort, excluded, len(by_hand), len(chosen), pairs)


def once_only_breach(cases: Iterable[CaseHistory], cohort: Cohort) -> Measurement:
    """M13: cases asked for something a connected register could give, of the submitted; things asked, by register."""
    chosen, excluded = _submitted(cases, cohort)
    asked = [case for case in chosen if case.asked_despite_register]
    by_register = Counter(reason for case in asked for reason in case.asked_despite_register)
    return _share(DEFINITIONS["M13"], cohort, excluded, len(asked), len(chosen), by_register)


def measure(name: str, cases: Iterable[CaseHistory], cohort: Cohort) -> Measurement:
    """The measure called `name`. Raises MeasureUnknown."""
    function = MEASURES.get(name)
    if function is None:
        raise MeasureUnknown(name=name, known=", ".join(MEASURES))
    return function(cases, cohort)


def _submitted(cases: Iterable[CaseHistory], cohort: Cohort) -> tuple[list[CaseHistory], dict[str, int]]:
    chosen, excluded = cohort.select(cases)
    kept = [case for case in chosen if case.submitted_at is not None]
    _leave_out(excluded, "not-submitted", len(chosen) - len(kept))
    return kept, excluded


def _duration(
    definition: Definition, cases: Iterable[CaseHistory], cohort: Cohort, *, agency_clock: bool
) -> Measurement:
    chosen, excluded = _submitted(cases, cohort)
    spans: list[Span] = []
    for case in chosen:
        if case.left:
            _leave_out(excluded, case.left, 1)
            continue
        assert case.submitted_at is not None
        spent = (case.decided_at or cohort.as_of) - case.submitted_at - (case.waiting if agency_clock else timedelta())
        spans.append(Span(int(spent.total_seconds()), case.decided_at is not None))
    enough = len(spans) >= P90_NEEDS
    values = {
        "median_seconds": quantile(spans, 0.5),
        "p90_seconds": quantile(spans, 0.9) if enough else None,
        "still_open": sum(not span.ended for span in spans),
    }
    warnings = () if enough else ("too-few-for-p90",)
    return Measurement(definition, cohort, len(spans), excluded, values, {}, warnings)


def _share(
    definition: Definition,
    cohort: Cohort,
    excluded: Mapping[str, int],
    numerator: int,
    denominator: int,
    breakdown: Mapping[str, int] | None = None,
    warnings: tuple[str, ...] = (),
) -> Measurement:
    values = {"numerator": numerator, "denominator": denominator}
    return Measurement(definition, cohort, denominator, excluded, values, dict(breakdown or {}), warnings)


def _leave_out(excluded: dict[str, int], reason: str, count: int) -> None:
    if count:
        excluded[reason] = excluded.get(reason, 0) + count


_STARTED: Final = "started in the window and mature"
DEFINITIONS: Final[dict[str, Definition]] = {
    d.id: d
    for d in (
        Definition("M01", 1, "share", Text(ky="Аягына чыккандар", ru="Доведено до решения", en="Completion"), _STARTED),
        Definition(
            "M01b", 1, "share", Text(ky="Оң чечимдер", ru="Положительные решения", en="Success"), f"{_STARTED}, decided"
        ),
        Definition(
            "M02",
            1,
            "duration",
            Text(
                ky="Чечимге чейинки убакыт (арыз ээсинин сааты)",
                ru="Срок до решения (по часам заявителя)",
                en="Turnaround, applicant's clock",
            ),
            f"{_STARTED}, submitted, not withdrawn or duplicate",
        ),
        Definition(
            "M03",
            1,
            "duration",
            Text(
                ky="Чечимге чейинки убакыт (ведомствонун сааты)",
                ru="Срок до решения (по часам ведомства)",
                en="Turnaround, agency's clock",
            ),
            f"{_STARTED}, submitted, not withdrawn or duplicate",
        ),
        Definition(
            "M05",
            1,
            "share",
            Text(ky="Четке кагуулар жана себептери", ru="Отказы и их причины", en="Rejections and their causes"),
            "decided or returned in the window",
        ),
        Definition(
            "M11",
            1,
            "share",
            Text(
                ky="Адамдын катышуусуз чечилгендер",
                ru="Решено без участия человека",
                en="Decided straight through",
            ),
            f"{_STARTED}, decided or handed to a person",
        ),
        Definition(
            "M12",
            1,
            "share",
            Text(ky="Кол менен тактоо", ru="Ручная сверка", en="Manual reconciliation"),
            f"{_STARTED}, submitted",
        ),
        Definition(
            "M13",
            1,
            "share",
            Text(
                ky="Реестрде бар маалымат кайра суралган",
                ru="Повторно запрошено то, что есть в реестре",
                en="Asked for what a register holds",
            ),
            f"{_STARTED}, submitted",
        ),
    )
}
MEASURES: Final[dict[str, Callable[[Iterable[CaseHistory], Cohort], Measurement]]] = {
    "M01": completion,
    "M01b": success,
    "M02": turnaround,
    "M03": agency_turnaround,
    "M05": rejections,
    "M11": straight_through,
    "M12": manual_reconciliation,
    "M13": once_only_breach,
}
