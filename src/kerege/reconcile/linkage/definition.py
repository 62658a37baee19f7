"""A linkage definition: how records of two registers are found to be of one person. The country's file, loaded and checked whole.

Declared are, over canonical fields and their keys (never over raw cells): which records meet at all (`block`), what is compared and in
which levels (`comparisons`, the highest level first), how the model is trained without labels (`prior`, `train`), and from which
probability a pair is accepted, looked at by a clerk, or rejected (`thresholds`). Levels are a closed set, so that the same definition
runs on DuckDB, on Spark and for one pair in Python:

    exact                the values are equal; with `frequency` a rare value weighs more than a common one
    jaro_winkler: 0.9    Jaro-Winkler similarity of at least that
    edits: 1             at most so many Damerau-Levenshtein edits
    day_month            two ISO dates with day and month changed round
    first: 4             the first characters are equal
    swapped_with: field  the two fields stand in each other's place

Source: Fellegi and Sunter 1969 (weights, three regions); Splink's documentation (levels, blocking, unsupervised training).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

import kerege
from kerege.ground import settings
from kerege.ground.text import Text
from kerege.reconcile.errors import LinkageInvalid

EXACT: Final = "exact"
JARO_WINKLER: Final = "jaro_winkler"
EDITS: Final = "edits"
DAY_MONTH: Final = "day_month"
FIRST: Final = "first"
SWAPPED: Final = "swapped_with"
KINDS: Final = (EXACT, JARO_WINKLER, EDITS, DAY_MONTH, FIRST, SWAPPED)

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_MOST: Final = 40  # blocking rules, comparisons, levels: more is a mistake, not a definition


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a comparison. `value`: the threshold, the number of edits or characters, or the other field's name."""

    kind: str
    value: float | int | str | None = None

    def __post_init__(self) -> None:
        ok = {
            EXACT: self.value is None,
            DAY_MONTH: self.value is None,
            JARO_WINKLER: _number(self.value) and 0 < float(self.value or 0) < 1,
            EDITS: type(self.value) is int and 0 < self.value <= 5,
            FIRST: type(self.value) is int and 0 < self.value <= 20,
            SWAPPED: isinstance(self.value, str) and bool(_NAME.match(self.value)),
        }.get(self.kind, False)
        if not ok:
            raise ValueError(f"a level {self.kind}: {self.value!r} is not one of {', '.join(KINDS)} with its value")

    @property
    def label(self) -> str:
        """A stable code, such as `jaro_winkler:0.9`."""
        return self.kind if self.value is None else f"{self.kind}:{self.value}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared: a field, its levels from the closest down; `frequency`: the exact level is weighed by how rare the value is."""

    name: str
    field: str
    levels: tuple[Level, ...]
    titles: Text
    frequency: bool = False

    def __post_init__(self) -> None:
        if not _NAME.match(self.name) or not _NAME.match(self.field):
            raise ValueError(f"the names {self.name!r} and {self.field!r} should be small letters, digits and _")
        if not self.levels or len(self.levels) > _MOST:
            raise ValueError(f"{self.name}: one to {_MOST} levels are needed")
        if self.frequency and self.levels[0].kind != EXACT:
            raise ValueError(f"{self.name}: frequency needs `exact` as its first level")

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.field, *(str(level.value) for level in self.levels if level.kind == SWAPPED))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From `accept` on a pair is linked by itself, below `reject` it is not; between them a clerk looks. Probabilities."""

    accept: float
    reject: float

    def __post_init__(self) -> None:
        if not 0 <= self.reject <= self.accept <= 1:
            raise ValueError("thresholds should be 0 <= reject <= accept <= 1")

    def region(self, probability: float) -> str:
        """`accept`, `clerical` or `reject`."""
        if probability >= self.accept:
            return "accept"
        return "reject" if probability < self.reject else "clerical"


@dataclass(frozen=True, slots=True)
class Training:
    """How the weights are learnt. `seed` makes the random pairs, and so the whole model, the same every time.

    random_pairs  pairs drawn for the chance of agreeing by accident (u)
    rules         one run of expectation maximisation (m) per rule, over the pairs that agree on its fields
    otherwise     rules run besides when no pair agrees on one of `rules`: two registers need not have every field
    prior_rules, prior_recall  rules so strict that almost every pair they find is a match, and the share of matches they find
    """

    seed: int
    random_pairs: int
    rules: tuple[tuple[str, ...], ...]
    prior_rules: tuple[tuple[str, ...], ...]
    prior_recall: float
    em_pairs: int | None = None
    otherwise: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.random_pairs < 1000 or not 0 < self.prior_recall <= 1 or not self.rules or not self.prior_rules:
            raise ValueError(
                "training needs random_pairs of 1000 or more, rules, prior.rules and 0 < prior.recall <= 1"
            )


@dataclass(frozen=True, slots=True)
class LinkageDefinition:
    """The whole. `double_review`: a clerk's `same` or `different` counts only when a second one says it too.

    one_to_one  a record of one register has at most one counterpart in the other: the likelier pair wins
    registers   the two registers it was made for, for the desk's wording and the audit; empty when it is for any
    """

    id: str
    version: str
    titles: Text
    block: tuple[tuple[str, ...], ...]
    comparisons: tuple[Comparison, ...]
    thresholds: Thresholds
    training: Training
    one_to_one: bool = True
    double_review: bool = False
    registers: tuple[str, ...] = ()
    legal_basis: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """Every canonical field that is looked at, once each."""
        used = [f for c in self.comparisons for f in c.fields]
        used += [
            f
            for rule in (*self.block, *self.training.rules, *self.training.otherwise, *self.training.prior_rules)
            for f in map(bare, rule)
        ]
        return tuple(dict.fromkeys(used))

    def comparison(self, name: str) -> Comparison:
        return next(c for c in self.comparisons if c.name == name)


def bare(part: str) -> str:
    """The field of a part of a rule: `surname_key:4` (its first four characters) is of `surname_key`."""
    return part.partition(":")[0]


def prefix(part: str) -> int | None:
    """How many first characters a part of a rule looks at; None for the whole value."""
    number = part.partition(":")[2]
    return int(number) if number else None


def folder(country: str | None = None) -> Path:
    """Where the country's linkage definitions lie."""
    name = country or settings.get("country")
    return Path(kerege.__file__).parent / "country" / name / "reconcile" / "linkage"


def of_country(name: str, country: str | None = None) -> LinkageDefinition:
    """The definition `name` of the installation's country pack (the file's name without .yaml)."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        raise LinkageInvalid(file=f"{name!r}", count=1, faults="a definition's name is small letters, digits and -")
    return load(folder(country) / f"{name}.yaml")


def by_id(definition_id: str, country: str | None = None) -> LinkageDefinition:
    """The definition that calls itself so (`kg:persons`); LinkageInvalid when the country pack has none of that id."""
    for path in sorted(folder(country).glob("*.yaml")):
        found = load(path)
        if found.id == definition_id:
            return found
    raise LinkageInvalid(file=definition_id[:80], count=1, faults="no definition of the country pack has this id")


def load(path: Path) -> LinkageDefinition:
    """Read and check a definition; raises LinkageInvalid with all its faults, or returns it whole."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        fault = f"cannot be read as YAML ({type(error).__name__})"
        raise LinkageInvalid(file=path.name, count=1, faults=fault) from error
    return parse(raw, path.name)


def parse(raw: Any, file: str) -> LinkageDefinition:
    """The definition in a parsed document."""
    faults: list[str] = []
    if not isinstance(raw, dict):
        raise LinkageInvalid(
            file=file, count=1, faults="expected an object with id, version, titles, block, comparisons"
        )
    known = {
        "id", "version", "titles", "block", "comparisons", "thresholds", "prior", "train", "one_to_one", "double_review",
        "registers", "legal_basis",
    }  # fmt: skip
    faults += [f"unknown key {key}" for key in sorted(map(str, set(raw) - known))]
    comparisons = []
    for number, item in enumerate(_listed(raw.get("comparisons"), "comparisons", faults)):
        try:
            comparisons.append(_comparison(item))
        except (KeyError, TypeError, ValueError) as error:
            faults.append(f"comparisons[{number}]: {_told(error)}")
    names = [c.name for c in comparisons]
    faults += [f"comparisons: {name} stands there twice" for name in sorted({n for n in names if names.count(n) > 1})]
    block = _rules(raw.get("block"), "block", faults)
    prior, train = _object(raw.get("prior"), "prior", faults), _object(raw.get("train"), "train", faults)
    found = None
    try:
        training = Training(
            int(train.get("seed", 1)), int(train.get("random_pairs", 1_000_000)), _rules(train.get("rules"), "train.rules", faults),
            _rules(prior.get("rules"), "prior.rules", faults), float(prior.get("recall", 0)),
            int(train["em_pairs"]) if train.get("em_pairs") else None,
            _rules(train["otherwise"], "train.otherwise", faults) if "otherwise" in train else (),
        )  # fmt: skip
        limits = _object(raw.get("thresholds"), "thresholds", faults)
        found = LinkageDefinition(
            str(raw["id"]), str(raw["version"]), Text.of(raw["titles"]), block, tuple(comparisons),
            Thresholds(float(limits["accept"]), float(limits["reject"])), training,
            bool(raw.get("one_to_one", True)), bool(raw.get("double_review", False)),
            tuple(map(str, raw.get("registers") or ())), str(raw.get("legal_basis") or ""),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        faults.append(_told(error))
    if faults or found is None:
        raise LinkageInvalid(file=file, count=len(faults), faults="; ".join(faults))
    return found


def _comparison(item: Mapping[str, Any]) -> Comparison:
    field = str(item["field"])
    levels = []
    for one in item["levels"]:
        if isinstance(one, str):
            levels.append(Level(one))
        else:
            [(kind, value)] = one.items()
            levels.append(Level(str(kind), value))
    return Comparison(
        str(item.get("name", field)), field, tuple(levels), Text.of(item["titles"]), bool(item.get("frequency", False))
    )


def _rules(raw: object, name: str, faults: list[str]) -> tuple[tuple[str, ...], ...]:
    """Rules as tuples of fields that must agree; a part may be `field:n`, its first n characters."""
    rules = []
    for number, item in enumerate(_listed(raw, name, faults)):
        parts = tuple(map(str, item)) if isinstance(item, Sequence) and not isinstance(item, str) else (str(item),)
        if parts and all(re.fullmatch(r"[a-z][a-z0-9_]{0,62}(:[1-9][0-9]?)?", part) for part in parts):
            rules.append(parts)
        else:
            faults.append(f"{name}[{number}]: expected fields, or field:n for its first n characters")
    return tuple(rules)


def _listed(raw: object, name: str, faults: list[str]) -> Sequence[Any]:
    if isinstance(raw, Sequence) and not isinstance(raw, str) and 0 < len(raw) <= _MOST:
        return raw
    faults.append(f"{name}: a list of 1 to {_MOST} is needed")
    return ()


def _object(raw: object, name: str, faults: list[str]) -> Mapping[str, Any]:
    if isinstance(raw, dict):
        return raw
    faults.append(f"{name}: an object is needed")
    return {}


def _told(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
