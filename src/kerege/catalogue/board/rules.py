"""The 90-day board computed: five counts per critical dataset, the day, the pace, what to do next. Pure: facts in, a board out.

A count is of attributes (of datasets, for `published`), never an opinion: what the platform could not see does not count as done. An
attribute needs harmonising when its meaning has a code list; its codes must be known for that, and each must have its place in the list.
Source: issue 4, part 9; datafirst.md section 2 ("an inventory that ends in ownership decisions, and a 90-day board").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Final

from kerege.ground.text import Text


class Measure(StrEnum):
    MAPPED = "mapped"
    OWNED = "owned"
    DOCUMENTED = "documented"
    HARMONISED = "harmonised"
    PUBLISHED = "published"


WINDOW: Final = timedelta(days=14)  # the pace seen is that of the last two weeks


@dataclass(frozen=True, slots=True)
class MeasureRule:
    """A measure as the country pack words it; complete from `complete_at` per cent on."""

    id: Measure
    text: Text
    meaning: Text
    complete_at: int


@dataclass(frozen=True, slots=True)
class AttributeFacts:
    """What the platform knows of one attribute.

    names_lasting who must name the lasting owner where the present one is interim
    codelist      the list its meaning has, "" where it needs no harmonising
    open_codes    of its codes those without a place in the list; None when its codes are not known (withheld, or never told)
    by            the crosswalks that place its codes, none where they are the list's own
    """

    column: str
    mapped: bool
    owned: bool
    interim: bool
    documented: bool
    names_lasting: str = ""
    codelist: str = ""
    open_codes: tuple[str, ...] | None = ()
    by: tuple[str, ...] = ()

    @property
    def harmonised(self) -> bool:
        return self.open_codes == ()


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What the platform knows of one critical dataset."""

    dataset_id: int
    dataset: str
    organisation: str
    reason: str
    marked_by: str
    attributes: tuple[AttributeFacts, ...]
    described: bool
    contract: bool
    state: str = "draft"  # of its entry in the life cycle
    version: str = ""
    source: str = ""
    findings: Mapping[str, int] = field(default_factory=dict)  # open findings by kind


@dataclass(frozen=True, slots=True)
class Count:
    """`done` of `total`; `missing` names what is not done, for people to go and do it."""

    measure: Measure
    done: int
    total: int
    complete: bool
    missing: tuple[str, ...] = ()

    @property
    def percent(self) -> int:
        """Whole per cent, rounded down so that 100 means all; nothing to do is all done only where `complete` says so."""
        return self.done * 100 // self.total if self.total else 100 * self.complete

    def as_dict(self) -> dict[str, Any]:
        return {
            "done": self.done, "total": self.total, "percent": self.percent, "complete": self.complete,
            "missing": list(self.missing),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next. `kind` is a stable word the reports have texts for; a command to type, or the page that does it.

    open   codes without a place, where that is what is to be done
    """

    kind: str
    columns: tuple[str, ...] = ()
    command: str = ""
    page: str = ""
    open: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "columns": list(self.columns), "command": self.command, "page": self.page,
            "open": self.open,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class DatasetLine:
    """One critical dataset on the board; `steps` the most urgent first."""

    facts: DatasetFacts
    counts: Mapping[Measure, Count]
    steps: tuple[Step, ...]

    @property
    def complete(self) -> bool:
        return all(c.complete for c in self.counts.values())

    @property
    def left(self) -> int:
        """How much is left to do, in counted things."""
        return sum(c.total - c.done for c in self.counts.values())

    def as_dict(self) -> dict[str, Any]:
        return {
            "dataset_id": self.facts.dataset_id, "dataset": self.facts.dataset, "organisation": self.facts.organisation,
            "reason": self.facts.reason, "marked_by": self.facts.marked_by, "complete": self.complete,
            "state": self.facts.state, "interim": sum(a.interim for a in self.facts.attributes),
            "findings": dict(self.facts.findings), "counts": {m.value: c.as_dict() for m, c in self.counts.items()},
            "next": [s.as_dict() for s in self.steps],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Total:
    """One measure over all critical datasets: things done of all, datasets complete of all."""

    measure: Measure
    done: int
    total: int
    datasets: int
    of: int

    def as_dict(self) -> dict[str, int]:
        return {"done": self.done, "total": self.total, "datasets": self.datasets, "of": self.of}


@dataclass(frozen=True, slots=True)
class Pace:
    """Things to do a day to be done in time, and things done a day lately, both in tenths; None where it cannot be known.

    needed   None when the days are over and something is left
    seen     None until there is a snapshot of an earlier day
    """

    needed: int | None
    seen: int | None

    @property
    def enough(self) -> bool | None:
        if self.needed == 0:
            return True
        return None if self.seen is None or self.needed is None else self.seen >= self.needed

    def as_dict(self) -> dict[str, Any]:
        def tenth(value: int | None) -> float | None:
            return None if value is None else value / 10

        return {"needed": tenth(self.needed), "seen": tenth(self.seen), "enough": self.enough}


@dataclass(frozen=True, slots=True)
class DayPoint:
    """The board on one day: measure -> (done, total, datasets complete)."""

    day: date
    counts: Mapping[Measure, tuple[int, int, int]]

    @property
    def done(self) -> int:
        return sum(done for done, _, _ in self.counts.values())


def count(facts: DatasetFacts, rules: Mapping[Measure, MeasureRule]) -> dict[Measure, Count]:
    """The five counts of one dataset."""
    there = facts.attributes
    coded = [a for a in there if a.codelist]
    found: dict[Measure, Count] = {}

    def put(measure: Measure, done: int, total: int, missing: Sequence[str], ready: bool = True) -> None:
        whole = bool(there) and ready and done * 100 >= rules[measure].complete_at * total
        found[measure] = Count(measure, done, total, whole, tuple(missing))

    mapped = [a.column for a in there if not a.mapped]
    put(Measure.MAPPED, len(there) - len(mapped), len(there), mapped)
    unowned = [a.column for a in there if not a.owned]
    put(Measure.OWNED, len(there) - len(unowned), len(there), unowned)
    untold = [a.column for a in there if not a.documented]
    about = facts.described or facts.contract  # the dataset itself is one thing to document
    put(Measure.DOCUMENTED, len(there) - len(untold) + about, len(there) + 1, untold, ready=about)
    open_ones = [a.column for a in coded if not a.harmonised]
    # until the meanings are known nobody can say which attributes need harmonising
    put(Measure.HARMONISED, len(coded) - len(open_ones), len(coded), open_ones, ready=found[Measure.MAPPED].complete)
    published = facts.state in ("published", "deprecated")
    put(Measure.PUBLISHED, int(published), 1, () if published else (facts.dataset,))
    return found


def totals(lines: Iterable[DatasetLine]) -> dict[Measure, Total]:
    """The measures over all lines."""
    listed = list(lines)
    return {
        m: Total(
            m, sum(x.counts[m].done for x in listed), sum(x.counts[m].total for x in listed),
            sum(x.counts[m].complete for x in listed), len(listed),
        )
        for m in Measure
    }  # fmt: skip


def day_number(started_on: date, today: date) -> int:
    """1 on the first day; 0 or less before it."""
    return (today - started_on).days + 1


def pace(left: int, started_on: date, days: int, today: date, done: int, history: Sequence[DayPoint]) -> Pace:
    """The pace needed from today on, today included, and the pace seen in the last `WINDOW`."""
    remaining = started_on + timedelta(days=days) - today
    needed = 0 if left == 0 else None if remaining.days <= 0 else -(-left * 10 // remaining.days)
    earlier = [p for p in history if today - WINDOW <= p.day < today]
    if not earlier:
        return Pace(needed, None)
    first = min(earlier, key=lambda p: p.day)
    return Pace(needed, (done - first.done) * 10 // (today - first.day).days)


def steps(facts: DatasetFacts, counts: Mapping[Measure, Count]) -> tuple[Step, ...]:
    """What to do next with one dataset, the most urgent first: owners, meanings, codes, words, then the approval."""
    page = f"catalogue/datasets/{facts.dataset_id}/"
    name = shown(facts.dataset)
    found: list[Step] = []
    if not facts.attributes:
        return (Step("harvest", command=f"kerege harvest {shown(facts.source)} --plan", page=page),)
    if counts[Measure.OWNED].missing:
        runs = facts.organisation or "ORG"
        command = f"kerege owner name {name} --organisation {runs} --unit UNIT --legal-basis ACT --by WHO"
        found.append(Step("own", counts[Measure.OWNED].missing, command, page))
    if not counts[Measure.MAPPED].complete:
        column = counts[Measure.MAPPED].missing[0]
        command = f"kerege concept link {name} --column {shown(column)} --concept CONCEPT --by WHO"
        found.append(Step("map", counts[Measure.MAPPED].missing, command, page))
    for a in facts.attributes:
        if not a.codelist or a.harmonised:
            continue
        if a.open_codes is None:
            command = f"kerege harvest {shown(facts.source)} --share {shown(a.column)}"
            found.append(Step("tell-codes", (a.column,), command, page))
        else:
            command = f"kerege crosswalk suggest {name} LIST --code {shown(a.column)} --to-code CODE --out FILE"
            found.append(Step("harmonise", (a.column,), command, page, len(a.open_codes)))
    if not counts[Measure.DOCUMENTED].complete:
        found.append(
            Step("document", counts[Measure.DOCUMENTED].missing, f"kerege harvest {shown(facts.source)} --plan", page)
        )
    if not counts[Measure.PUBLISHED].complete:
        following = {"draft": "submit", "returned": "submit", "submitted": "approve", "approved": "publish"}
        action = following.get(facts.state)
        if action and not (action == "publish" and counts[Measure.OWNED].missing):
            version = facts.version or "1"
            command = f"kerege lifecycle act {action} dataset {name} {version} --by WHO --reason WHY"
            found.append(Step(action, (), command, page))
    for who in sorted({a.names_lasting for a in facts.attributes if a.interim}):
        held = tuple(a.column for a in facts.attributes if a.interim and a.names_lasting == who)
        command = f"kerege owner hand-over {name} --organisation ORG --unit UNIT --legal-basis ACT --by {shown(who)}"
        found.append(Step("name-lasting", held, command, page))
    return tuple(found)


def shown(word: str) -> str:
    """A word as a shell takes it."""
    plain = bool(word) and all(c.isalnum() or c in "-_./#:@+=,%" for c in word) and not word.startswith("#")
    return word if plain else "'" + word.replace("'", "'\\''") + "'"
