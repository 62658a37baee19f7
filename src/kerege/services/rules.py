"""The decision on an application's facts, in a fixed order of reasons, three-valued. Pure.

A fact may be unknown. The rules then decide only when **every** value the unknown facts could have leads to the same outcome
kind and the same primary reason; otherwise the outcome is `undecided` and names the facts that matter. So a decision taken on
part of the facts is the one that would be taken on all of them. Free places are not a fact of the child: `services.places`.

The order (docs/decisions/0070): not_guardian, under_age, over_age, enrolled_elsewhere, outside_catchment, not_vaccinated.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import date
from typing import Final

from kerege.services.definitions import AdmissionDefinition

UNDECIDED: Final = "undecided"
ADMIT: Final = "admit"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one application. None: not known.

    birth_date          the source of truth's date
    other_birth_dates   dates other registers hold for the child where they differ; each is then held possible
    in_catchment        None also at a stage that does not ask
    """

    birth_date: date | None
    in_catchment: bool | None
    vaccinated: bool | None
    enrolled_elsewhere: bool | None
    guardian: bool | None
    stage: int = 1
    other_birth_dates: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """`kind`: admit (a place permitting), refuse, commission or undecided. `reasons`: codes, the primary one first.

    `open_facts` names, when undecided, the unknown facts on which the outcome hangs.
    """

    kind: str
    reasons: tuple[str, ...]
    open_facts: tuple[str, ...] = ()

    @property
    def primary(self) -> str:
        return self.reasons[0] if self.reasons else ""


_Choice = tuple[bool | str, ...]
FACTS: Final = ("guardian", "birth_date", "enrolled_elsewhere", "in_catchment", "vaccinated")


def _reasons(choice: _Choice) -> tuple[str, ...]:
    """The reasons against admission in one world: a value for each of `FACTS`, the birth date as its age class."""
    guardian, age, enrolled_elsewhere, in_catchment, vaccinated = choice
    checks = (
        (not guardian, "not_guardian"),
        (age == "under", "under_age"),
        (age == "over", "over_age"),
        (enrolled_elsewhere, "enrolled_elsewhere"),
        (not in_catchment, "outside_catchment"),
        (not vaccinated, "not_vaccinated"),
    )
    return tuple(code for holds, code in checks if holds)


def decide(facts: Facts, definition: AdmissionDefinition) -> Outcome:
    """The outcome that holds in every world the facts allow, or `undecided`.

    The reasons given are those that hold in every one of those worlds, in the fixed order.
    """
    options = _options(facts, definition)
    answers = [_reasons(choice) for choice in itertools.product(*options)]
    primaries = {answer[0] if answer else "admitted" for answer in answers}
    if len(primaries) == 1:
        primary = primaries.pop()
        if primary == "admitted":
            return Outcome(ADMIT, ("admitted",))
        in_all = tuple(code for code in answers[0] if all(code in answer for answer in answers))
        return Outcome(definition.reasons[primary].kind, in_all)
    return Outcome(UNDECIDED, (), _open_facts(options))


def may_be_admitted(facts: Facts, definition: AdmissionDefinition) -> bool:
    """Whether any world the facts allow ends in admission: then the application holds a place while it is undecided."""
    return any(not _reasons(choice) for choice in itertools.product(*_options(facts, definition)))


def _options(facts: Facts, definition: AdmissionDefinition) -> tuple[tuple[bool | str, ...], ...]:
    def of(value: bool | None) -> tuple[bool, ...]:
        return (value,) if value is not None else (True, False)

    if facts.birth_date is None:
        ages: tuple[str, ...] = ("under", "ok", "over")
    else:
        dates = {facts.birth_date, *facts.other_birth_dates}
        ages = tuple(sorted({definition.rules.age_class(day) for day in dates}))
    catchment = of(facts.in_catchment) if definition.asks_catchment(facts.stage) else (True,)
    return (of(facts.guardian), ages, of(facts.enrolled_elsewhere), catchment, of(facts.vaccinated))


def _open_facts(options: tuple[tuple[bool | str, ...], ...]) -> tuple[str, ...]:
    """The unknown facts that can change the primary reason, whatever the others are."""
    found = []
    for index, field in enumerate(FACTS):
        if len(options[index]) == 1:
            continue
        others = options[:index] + options[index + 1 :]
        for rest in itertools.product(*others):
            answers = {(*_reasons((*rest[:index], value, *rest[index:])), "admitted")[0] for value in options[index]}
            if len(answers) > 1:
                found.append(field)
                break
    return tuple(found)
