"""Automatic decisions held against the truth, which nothing that decides has seen. Pure.

The truth's decision is the same rules and the same giving out of places, applied to true facts. A decision is wrong when its kind is
another one; a refusal of the right kind has a wrong reason when the primary one, which the applicant is told first, is not the truth's; a
link is wrong when the record taken for the child's is another person's. An application left to a person or to the applicant is never
wrong, only unfinished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kerege.demo.world import TruthFacts, World
from kerege.services import places, rules
from kerege.services.admission import Decision
from kerege.services.definitions import AdmissionDefinition
from kerege.services.rules import Facts
from kerege.services.run import RunResult

# How the registers of the services are called in the world, and which column numbers their records.
_TABLES: Final = {
    "civil": ("civil.births", "ActNo"),
    "population": ("population.persons", "pin"),
    "emis": ("education.institution_students", "student_id"),
    "health": ("health.certificates", "N_SPR"),
}


@dataclass(frozen=True, slots=True)
class TrueDecision:
    """What a perfect clerk decides: admit, refuse, commission or no-place, and the primary reason."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """An automatic decision that is not the truth's, told by its kinds or, of refusals, by its primary reasons."""

    application: str
    decided: str
    true: str


def true_decisions(
    truth: Sequence[TruthFacts], free: Mapping[str, int], definition: AdmissionDefinition
) -> dict[str, TrueDecision]:
    """Application id -> the decision on what is true."""
    outcomes: dict[str, TrueDecision] = {}
    claims = []
    for facts in truth:
        known = Facts(
            birth_date=facts.birth_date,
            in_catchment=facts.in_catchment,
            vaccinated=facts.vaccinated,
            enrolled_elsewhere=facts.enrolled_elsewhere,
            guardian=facts.guardian,
            stage=facts.stage,
        )
        outcome = rules.decide(known, definition)
        outcomes[facts.application_id] = TrueDecision(outcome.kind, outcome.primary)
        eligible = outcome.kind == rules.ADMIT
        claims.append(places.Claim(facts.application_id, facts.school_code, facts.stage, facts.submitted_at, eligible))
    verdicts = places.allocate(claims, dict(free))
    for application, decision in outcomes.items():
        if decision.kind == rules.ADMIT and verdicts[application] != places.PLACE:
            outcomes[application] = TrueDecision("no-place", "no_place")
    return outcomes


def wrong(decisions: Mapping[str, Decision | None], true: Mapping[str, TrueDecision]) -> list[Wrong]:
    """Every automatic decision whose kind differs from the truth's."""
    return [
        Wrong(application, decision.kind, true[application].kind)
        for application, decision in decisions.items()
        if decision is not None and decision.kind != true[application].kind
    ]


def wrong_reasons(decisions: Mapping[str, Decision | None], true: Mapping[str, TrueDecision]) -> list[Wrong]:
    """Every automatic refusal, rightly a refusal, whose primary reason differs from the truth's."""
    return [
        Wrong(application, decision.reasons[0], true[application].reason)
        for application, decision in decisions.items()
        if decision is not None
        and decision.kind == true[application].kind == "refuse"
        and decision.reasons[0] != true[application].reason
    ]


def owners(world: World) -> dict[tuple[str, str], int | None]:
    """(register, record number) -> who the record is really of."""
    return {
        (register, str(record.row[column])): record.person
        for register, (table, column) in _TABLES.items()
        for record in world.registers[table]
    }


def wrong_links(
    run: RunResult, truth: Sequence[TruthFacts], owner: Mapping[tuple[str, str], int | None]
) -> list[tuple[str, str]]:
    """(application, register) of every record a run took for the child's that is another person's, decided or not."""
    children = {facts.application_id: facts.child for facts in truth}
    return [
        (item.application.id, register)
        for item in run.processed
        for register, view in item.views.items()
        if register in _TABLES and owner.get((register, view.record_id)) != children[item.application.id]
    ]


def figures(run: RunResult, true: Mapping[str, TrueDecision], world: World) -> dict[str, Any]:
    """One way's figures as they stand in the summary."""
    return {
        **run.counters,
        "wrong_automatic": len(wrong(run.decisions, true)),
        "wrong_reason": len(wrong_reasons(run.decisions, true)),
        "wrong_links": len(wrong_links(run, world.truth, owners(world))),
        "seconds_per_application": round(run.seconds_per_application, 5),
    }
