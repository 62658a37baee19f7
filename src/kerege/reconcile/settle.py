"""What becomes of a compared field: settled by stated rules and sources of truth, with reasons; the rest is a clerk's. Pure.

The rules are the country's (`country/<code>/reconcile/rules.yaml`), looked at in their order; the first that fits decides and is named. Which
register is the source of truth of a field says the list of compared fields; on what legal basis says the catalogue, handed in as `bases`
(`queries.legal_bases`). A basis nobody declared is told as such, never made up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import yaml

import kerege
from kerege.ground import clock, settings
from kerege.ground.text import Text
from kerege.reconcile.compare import CLASSES, TO_SETTLE, FieldComparison
from kerege.reconcile.errors import RulesInvalid
from kerege.reconcile.fields import ComparedFields

SOURCE: Final = "source"
OWNER: Final = "owner"
STEWARD: Final = "steward"
CLERK: Final = "clerk"
NOTHING: Final = "nothing"
OUTCOMES: Final = (SOURCE, OWNER, STEWARD, CLERK)
NO_RULE: Final = "none"
_LONGEST_TERM: Final = 365


@dataclass(frozen=True, slots=True)
class Rule:
    """One stated rule. `fields` empty: any; `source`: the source of truth must be one of the two registers."""

    id: str
    classes: frozenset[str]
    outcome: str
    titles: Text
    fields: frozenset[str] = frozenset()
    source: bool = False
    together: int = 1

    def __post_init__(self) -> None:
        if not self.classes or not self.classes <= set(CLASSES):
            raise ValueError(f"{self.id}: classes are {', '.join(CLASSES)}")
        if self.outcome not in OUTCOMES or self.together < 1:
            raise ValueError(f"{self.id}: the outcome is {', '.join(OUTCOMES)}, together 1 or more")
        if self.outcome == SOURCE and not self.source:
            raise ValueError(f"{self.id}: the outcome source needs `source: true`")


@dataclass(frozen=True, slots=True)
class Terms:
    """Within how many working days a finding is to be answered, by outcome, and on what basis.

    holidays, working  days off beside Saturdays and Sundays, and the Saturdays and Sundays that were worked for one
    years              the first and last year whose holidays are known whole; None: there is no calendar
    """

    days: Mapping[str, int]
    legal_basis: str
    holidays: frozenset[date] = frozenset()
    working: frozenset[date] = frozenset()
    years: tuple[int, int] | None = None

    def is_working(self, day: date) -> bool:
        return (day.weekday() < 5 or day in self.working) and day not in self.holidays

    def sure(self, sent_at: datetime, outcome: str = "") -> bool:
        """Whether the holidays between sending and term are known: a term beyond the calendar knows weekends only, and may be too short."""
        last = clock.local_date(self.due(sent_at, outcome))
        return self.years is not None and self.years[0] <= clock.local_date(sent_at).year <= last.year <= self.years[1]

    def due(self, sent_at: datetime, outcome: str = "") -> datetime:
        """The last second of the last working day, in Bishkek; the day of sending does not count."""
        left = self.days.get(outcome, self.days["default"])
        day = clock.local_date(sent_at)
        while left:
            day += timedelta(days=1)
            left -= self.is_working(day)
        return datetime.combine(day, time(23, 59, 59), clock.BISHKEK).astimezone(clock.require_utc(sent_at).tzinfo)

    def overdue_before(self, now: datetime, outcome: str = "") -> datetime:
        """What was sent before this moment is past its term at `now`, what was sent at it or later is not: terms grow with the day of sending."""
        day = clock.local_date(clock.require_utc(now))
        while self.due(datetime.combine(day, time(), clock.BISHKEK).astimezone(now.tzinfo), outcome) >= now:
            day -= timedelta(days=1)
        return datetime.combine(day + timedelta(days=1), time(), clock.BISHKEK).astimezone(now.tzinfo)


@dataclass(frozen=True, slots=True)
class Rules:
    version: str
    rules: tuple[Rule, ...]
    terms: Terms


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of one comparison.

    rule         the rule's id, or `none` where no rule fits (then a clerk looks)
    value_of     the register whose value counts, or "" where nobody can say yet
    tell         the register that is told, or for a steward the one whose code it is about; "" where both are, or it was not said whose
                 value could not be read
    legal_basis  on which the value counts; "" where the catalogue declares none
    """

    comparison: FieldComparison
    outcome: str
    rule: str
    value_of: str = ""
    tell: str = ""
    legal_basis: str = ""
    titles: Text | None = None


def settle(
    comparisons: Sequence[FieldComparison],
    compared: ComparedFields,
    rules: Rules,
    bases: Mapping[str, str] | None = None,
) -> tuple[Settlement, ...]:
    """Settle every comparison of one record.

    bases  field -> legal basis of its source of truth, as the catalogue declares it
    """
    found = []
    for one in comparisons:
        if one.cls not in TO_SETTLE:
            found.append(Settlement(one, NOTHING, "agree" if one.cls != "missing" else "missing"))
            continue
        rule = next((r for r in rules.rules if _fits(r, one, comparisons, compared)), None)
        found.append(_by_rule(rule, one, compared, bases or {}))
    return tuple(found)


def _fits(rule: Rule, one: FieldComparison, all_: Sequence[FieldComparison], compared: ComparedFields) -> bool:
    pair = (one.left_register, one.right_register)
    if one.cls not in rule.classes or (rule.fields and one.field not in rule.fields):
        return False
    if rule.source and _owner(one, compared) not in pair:
        return False
    alike = Counter(
        (c.left_register, c.right_register)
        for c in all_
        if c.cls in rule.classes and (not rule.fields or c.field in rule.fields)
    )
    return alike[pair] >= rule.together


def _by_rule(rule: Rule | None, one: FieldComparison, compared: ComparedFields, bases: Mapping[str, str]) -> Settlement:
    if rule is None:
        return Settlement(one, CLERK, NO_RULE)
    owner, pair = _owner(one, compared), (one.left_register, one.right_register)
    if rule.outcome == SOURCE:
        copy = next(register for register in pair if register != owner)
        return Settlement(one, SOURCE, rule.id, owner, copy, bases.get(one.field, ""), rule.titles)
    tell = one.unread_in[0] if rule.outcome in (OWNER, STEWARD) and len(one.unread_in) == 1 else ""
    return Settlement(one, rule.outcome, rule.id, "", tell, "", rule.titles)


def _owner(one: FieldComparison, compared: ComparedFields) -> str:
    spec = compared.fields.get(one.field)
    return spec.owner if spec else ""


def of_country(country: str | None = None) -> Rules:
    """The rules of the installation's country pack, with its holidays where it has a calendar."""
    folder = Path(kerege.__file__).parent / "country" / (country or settings.get("country"))
    return load(folder / "reconcile" / "rules.yaml", folder / "calendar.yaml")


def load(path: Path, calendar: Path | None = None) -> Rules:
    """Read and check the rules; raises RulesInvalid with all faults, or returns them whole."""
    faults: list[str] = []
    raw = _yaml(path, faults)
    rules = []
    for number, item in enumerate(raw.get("rules") or ()):
        try:
            rules.append(
                Rule(
                    str(item["id"]),
                    frozenset(map(str, item["classes"])),
                    str(item["outcome"]),
                    Text.of(item["titles"]),
                    frozenset(map(str, item.get("fields") or ())),
                    bool(item.get("source", False)),
                    int(item.get("together", 1)),
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            faults.append(f"rules[{number}]: {type(error).__name__}: {error}")
    told = raw.get("terms")
    terms: dict[str, Any] = told if isinstance(told, dict) else {}
    days: dict[str, int] = {}
    for name, item in terms.items():
        if name == "legal_basis":
            continue
        limit = item.get("working_days") if isinstance(item, dict) else None
        if type(limit) is int and 0 < limit <= _LONGEST_TERM:
            days[str(name)] = limit
        else:
            faults.append(f"terms.{name}: working_days of 1 to {_LONGEST_TERM} is needed")
    if "default" not in days:
        faults.append("terms.default: working_days is needed")
    holidays, working, years = _calendar(calendar, faults)
    if not rules:
        faults.append("at least one rule is needed")
    if faults:
        raise RulesInvalid(file=path.name, count=len(faults), faults="; ".join(faults))
    return Rules(
        str(raw.get("version", "")),
        tuple(rules),
        Terms(days, str(terms.get("legal_basis") or ""), holidays, working, years),
    )


def _calendar(
    calendar: Path | None, faults: list[str]
) -> tuple[frozenset[date], frozenset[date], tuple[int, int] | None]:
    """Holidays, worked days and the years they are known for; an installation without a calendar has weekends only."""
    if calendar is None or not calendar.is_file():
        return frozenset(), frozenset(), None
    raw = _yaml(calendar, faults)
    days: dict[str, frozenset[date]] = {}
    for name in ("holidays", "working"):
        listed = raw.get(name) or []
        # a moment is a date too for Python, and equals none
        if not isinstance(listed, list) or not all(type(day) is date for day in listed):
            faults.append(f"{calendar.name}: {name} should be a list of dates")
            listed = []
        days[name] = frozenset(listed)
    years = raw.get("years")
    if not isinstance(years, list) or [type(year) for year in years] != [int, int] or years[0] > years[1]:
        faults.append(f"{calendar.name}: years should be the first and the last that are listed whole")
        years = [0, 0]
    elif outside := sorted({d.year for ds in days.values() for d in ds if not years[0] <= d.year <= years[1]}):
        faults.append(f"{calendar.name}: dates in {', '.join(map(str, outside))}, outside its years")
    if days["holidays"] & days["working"]:
        faults.append(f"{calendar.name}: a day is a holiday or worked, not both")
    return days["holidays"], days["working"], (years[0], years[1])


def _yaml(path: Path, faults: list[str]) -> dict[str, Any]:
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        faults.append(f"{path.name} cannot be read as YAML ({type(error).__name__})")
        return {}
    return raw if isinstance(raw, dict) else {}
