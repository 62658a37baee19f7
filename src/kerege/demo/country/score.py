"""Automatic decisions held against the truth, which nothing that decides has seen. Pure.

The truth's decision is the same rules and the same giving out of places, applied to true facts. A decision is wrong when its kind is
another one; an application left to a person or to the applicant is never wrong, only unfinished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerege.demo.world import TruthFacts
from kerege.services import places, rules
from kerege.services.admission import Decision
from kerege.services.definitions import AdmissionDefinition
from kerege.services.rules import Facts
from kerege.services.run import RunResult


@dataclass(frozen=True, slots=True)
class Wrong:
    """An automatic decision that is not the truth's."""

    application: str
    decided: str
    true: str


def true_decisions(
    truth: Sequence[TruthFacts], free: Mapping[str, int], definition: AdmissionDefinition
) -> dict[str, str]:
    """Application id -> admit, refuse, commission or no-place."""
    outcomes = {}
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
        outcomes[facts.application_id] = rules.decide(known, definition).kind
        eligible = outcomes[facts.application_id] == rules.ADMIT
        claims.append(places.Claim(facts.application_id, facts.school_code, facts.stage, facts.submitted_at, eligible))
    verdicts = places.allocate(claims, dict(free))
    for application, kind in outcomes.items():
        if kind == rules.ADMIT and verdicts[application] != places.PLACE:
            outcomes[application] = "no-place"
    return outcomes


def wrong(decisions: Mapping[str, Decision | None], true: Mapping[str, str]) -> list[Wrong]:
    """Every automatic decision whose kind differs from the truth's."""
    return [
        Wrong(application, decision.kind, true[application])
        for application, decision in decisions.items()
        if decision is not None and decision.kind != true[application]
    ]


def figures(run: RunResult, true: Mapping[str, str]) -> dict[str, Any]:
    """One way's figures as they stand in the summary."""
    return {
        **run.counters,
        "wrong_automatic": len(wrong(run.decisions, true)),
        "seconds_per_application": round(run.seconds_per_application, 5),
    }
