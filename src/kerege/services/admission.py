"""Processing one application for admission to grade 1: the application, what came of it, and what both ways share.

Two ways exist on the same registers, so that their difference can be measured: `data_first.DataFirst` works on canonical
messages, `integration_only.IntegrationOnly` on values as they come. Each gathers, settles facts and asks `rules`; free places are
given out afterwards, over all applications, by `run`. Source: issue 2, item 1; order of admission as declared in the country pack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Final, Protocol

from kerege.ground.clock import BISHKEK
from kerege.reconcile.compare import FieldComparison, RecordView
from kerege.reconcile.link import Entry
from kerege.services import places, rules
from kerege.services.definitions import AdmissionDefinition
from kerege.services.evidence import Reply, Source, Value
from kerege.services.rules import Facts, Outcome

DATA_FIRST: Final = "data_first"
INTEGRATION_ONLY: Final = "integration_only"
STRAIGHT_THROUGH: Final = "straight_through"
MANUAL: Final = "manual"
ASKED_AGAIN: Final = "asked_again"


@dataclass(frozen=True, slots=True)
class Application:
    """A form as sent in. `raw`: the fields of `kg:application`, as written."""

    id: str
    raw: Mapping[str, str | None]
    school_code: str
    stage: int
    submitted_at: datetime

    @classmethod
    def of(cls, application_id: str, raw: Mapping[str, str | None]) -> Application:
        """From the form's raw fields; a time without a zone is read as Bishkek's."""
        at = datetime.fromisoformat(str(raw["submitted_at"]).replace("Z", "+00:00"))
        at = at.replace(tzinfo=BISHKEK) if at.tzinfo is None else at
        return cls(application_id, raw, str(raw["school_code"]), int(str(raw["stage"])), at.astimezone(UTC))

    @property
    def parent_pin(self) -> str:
        """From the sign-in, so it is the applicant's own."""
        return (self.raw.get("parent_pin") or "").strip()


@dataclass(frozen=True, slots=True)
class Decision:
    """What the machine decided by itself. `kind`: admit, refuse, commission or no-place; `reasons`: codes, primary first."""

    kind: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Processed:
    """One application after one way of processing.

    kind         straight_through (then `decision` is there), manual or asked_again
    outcome      what the rules say before places are given out
    reasons      why a person must look or the applicant is asked, as codes of the definition's open_reasons; empty when straight
                 through
    views        one record view per register that was linked to the child, for the comparison of fields
    """

    application: Application
    way: str
    kind: str
    decision: Decision | None
    facts: Facts
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    evidence: tuple[Value, ...] = ()
    sources: tuple[Source, ...] = ()
    views: Mapping[str, RecordView] = field(default_factory=dict)
    comparisons: tuple[FieldComparison, ...] = ()
    links: tuple[str, ...] = ()
    may_be_admitted: bool = True
    seconds: float = 0.0


class Way(Protocol):
    """A way of processing: `prepare` once per run, then `process` per application, from many threads."""

    name: str

    def prepare(self) -> None:
        """Fetch what is the same for every application (catchments, places, the nightly list)."""
        ...

    def free_places(self) -> Mapping[str, int | None]:
        """Places left at each school before the first application."""
        ...

    def process(self, application: Application) -> Processed:
        """Gather, settle the facts, ask the rules. Never raises for what a register does."""
        ...


def conclude(
    processed: Processed,
    definition: AdmissionDefinition,
    *,
    blocked: str = "",
    absent: Mapping[str, str] = MappingProxyType({}),
) -> Processed:
    """`processed` with the rules' outcome: straight through when they decide (a place permitting), else to a person or the applicant.

    blocked   the kind of every undecided application, where the caller has its own
    absent    open facts that only the applicant can settle, because the record is surely not in its register -> the reason why.
              The applicant is asked when nothing else is open; what a person must look at first, a person looks at first.
    """
    outcome = rules.decide(processed.facts, definition)
    may = rules.may_be_admitted(processed.facts, definition)
    if outcome.kind == rules.UNDECIDED:
        reasons = unique([*(absent.get(fact, fact) for fact in outcome.open_facts), *processed.reasons])
        kind = ASKED_AGAIN if all(fact in absent for fact in outcome.open_facts) else MANUAL
        return replace(
            processed, outcome=outcome, may_be_admitted=may, kind=blocked or kind, decision=None, reasons=reasons
        )
    decision = Decision(outcome.kind, outcome.reasons)
    return replace(
        processed, outcome=outcome, may_be_admitted=may, kind=STRAIGHT_THROUGH, decision=decision, reasons=()
    )


def claim_of(processed: Processed) -> places.Claim:
    """What this application asks of the school's places: surely, surely not, or perhaps."""
    application = processed.application
    eligible: bool | None
    if processed.kind == STRAIGHT_THROUGH:
        eligible = processed.outcome.kind == rules.ADMIT
    else:
        eligible = None if processed.may_be_admitted else False
    return places.Claim(application.id, application.school_code, application.stage, application.submitted_at, eligible)


def with_place(processed: Processed, verdict: str, capacity_known: bool) -> Processed:
    """`processed` after places were given out; only those the rules would admit are touched."""
    if processed.kind != STRAIGHT_THROUGH or processed.outcome.kind != rules.ADMIT:
        return processed
    if verdict == places.PLACE:
        return processed
    if verdict == places.NO_PLACE:
        return replace(processed, decision=Decision("no-place", ("no_place",)))
    return replace(processed, kind=MANUAL, decision=None, reasons=("place" if capacity_known else "capacity",))


def free_from(reply: Reply, grade: str) -> dict[str, int | None]:
    """Places left per school from canonical places records; a school whose figures cannot be read is not known."""
    free: dict[str, int | None] = {}
    for entry in reply.entries:
        school = entry.get("school_code")
        if school is None or entry.get("grade") not in {grade, None}:
            continue
        unread = {name for name, _ in entry.flagged} & {"capacity", "taken", "grade"}
        capacity, taken = _count(entry.get("capacity")), _count(entry.get("taken"))
        known = capacity is not None and taken is not None and not unread and school not in free
        free[school] = max(0, capacity - taken) if known and capacity is not None and taken is not None else None
    return free


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def read_application(mapper: Callable[[Mapping[str, str | None]], Any]) -> Callable[[Mapping[str, str | None]], Entry]:
    """A reader of forms from a compiled mapping of `kg:application` (semantics), for `DataFirst`."""

    def read(raw: Mapping[str, str | None]) -> Entry:
        mapped = mapper(dict(raw))
        return Entry(mapped.values, frozenset((problem.field, problem.code) for problem in mapped.problems))

    return read


def iso_date(text: str | None) -> date | None:
    """A canonical date, or None."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def unique(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
