"""Gates and criteria as data: what must hold, measured how, signed by whom, fresh for how long. Pure.

Read from the country pack (`country/<code>/gates/*.yaml`). A rule is a list of conditions, all of which must hold, over a closed
set of comparators; there is no "or" and no "not", so no rule can be met by the absence of something. Source: delivery discipline,
sections 3.3 and 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import yaml

from kerege.delivery.errors import GateFileInvalid
from kerege.ground.ids import digest
from kerege.ground.text import Text
from kerege.membership.states import PermitState

FactValue = bool | int | str
COMPARATORS: Final = ("equals", "at_least", "at_most")
COLLECTORS: Final = ("owners", "contract-tests", "message-log", "code-lists", "access-denials")


class Layer(StrEnum):
    """Who signs: technical owner, policy owner, legal officer, administration, data protection officer."""

    TECH = "TECH"
    POL = "POL"
    LEGAL = "LEGAL"
    ADM = "ADM"
    DPO = "DPO"


OWNER_LAYERS: Final = (Layer.POL, Layer.TECH)


@dataclass(frozen=True, slots=True)
class Condition:
    """`fact` compared with `value`; a boolean is never compared with a number."""

    fact: str
    comparator: str
    value: FactValue

    def holds(self, measured: FactValue) -> bool | None:
        """True, False, or None when what was measured is of another kind and says nothing."""
        if type(measured) is not type(self.value):
            return None
        if self.comparator == "equals":
            return measured == self.value
        assert isinstance(measured, int)
        assert isinstance(self.value, int)
        return measured >= self.value if self.comparator == "at_least" else measured <= self.value

    def __str__(self) -> str:
        return f"{self.fact} {self.comparator.replace('_', ' ')} {self.value}"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One version of one criterion. `collector` is None when a person provides the evidence."""

    id: str
    version: int
    layer: Layer
    title: Text
    evidence_type: str
    collector: str | None
    conditions: tuple[Condition, ...]
    minimum_sample: int
    fresh_for: timedelta
    waivable: bool

    @property
    def measured(self) -> bool:
        """Whether the platform measures it itself."""
        return self.collector is not None

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "version": self.version,
            "layer": self.layer.value,
            "title": self.title.as_dict(),
            "evidence_type": self.evidence_type,
            "collector": self.collector,
            "conditions": [{"fact": c.fact, c.comparator: c.value} for c in self.conditions],
            "minimum_sample": self.minimum_sample,
            "fresh_for_hours": int(self.fresh_for.total_seconds()) // 3600,
            "waivable": self.waivable,
        }

    def digest(self) -> str:
        return digest(self.as_dict())


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate: what it opens, for how long at most, and its criteria."""

    id: str
    public_service: str
    title: Text
    opens: PermitState
    permit_for: timedelta
    criteria: tuple[Criterion, ...]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer that must sign: both owners always, and whoever signs a criterion."""
        named = {*OWNER_LAYERS, *(criterion.layer for criterion in self.criteria)}
        return tuple(layer for layer in Layer if layer in named)

    def criterion(self, name: str) -> Criterion | None:
        return next((c for c in self.criteria if c.id == name), None)

    def as_dict(self) -> dict[str, Any]:
        return {
            "gate": self.id,
            "public_service": self.public_service,
            "title": self.title.as_dict(),
            "opens": self.opens.value,
            "permit_days": self.permit_for.days,
            "criteria": [criterion.as_dict() for criterion in self.criteria],
        }

    def digest(self) -> str:
        return digest(self.as_dict())


def load_gate(path: Path) -> Gate:
    """A gate from its file. Raises GateFileInvalid naming the place."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise GateFileInvalid(file=path, where="whole file", expected="readable YAML in UTF-8") from fault
    return parse_gate(raw, str(path))


def parse_gate(raw: Any, source: str) -> Gate:
    """A gate from plain data, as in the file or as stored. Raises GateFileInvalid."""
    top = _Reader(raw, source, "gate")
    criteria = top.take("criteria", list)
    gate = Gate(
        id=top.take("gate", str),
        public_service=top.take("public_service", str),
        title=top.text("title"),
        opens=top.one_of("opens", PermitState),
        permit_for=timedelta(days=top.positive("permit_days")),
        criteria=tuple(_criterion(_Reader(c, source, f"criteria[{i}]")) for i, c in enumerate(criteria)),
    )
    top.close()
    names = [criterion.id for criterion in gate.criteria]
    if len(set(names)) != len(names):
        raise GateFileInvalid(file=source, where="criteria", expected="each id once")
    if not gate.opens.carries:
        raise GateFileInvalid(file=source, where="opens", expected="a state that carries traffic")
    return gate


def loosened(old: Gate, new: Gate) -> tuple[str, ...]:
    """In what the new edition is easier to pass than the old, as short clauses; empty when it is not."""
    found = []
    for before in old.criteria:
        after = new.criterion(before.id)
        if after is None:
            found.append(f"{before.id} left out")
        else:
            found += [f"{before.id} {what}" for what in _easier(before, after)]
    if new.permit_for > old.permit_for:
        found.append("longer permit")
    return tuple(found)


def _easier(before: Criterion, after: Criterion) -> list[str]:
    found = []
    for condition in before.conditions:
        kept = [c for c in after.conditions if c.fact == condition.fact and c.comparator == condition.comparator]
        if not any(_as_strict(condition, c) for c in kept):
            found.append(f"no longer asks {condition}")
    if after.minimum_sample < before.minimum_sample:
        found.append("smaller sample")
    if after.fresh_for > before.fresh_for:
        found.append("older evidence")
    if after.waivable and not before.waivable:
        found.append("waivable")
    if after.collector != before.collector:
        found.append("measured otherwise")
    if after.layer is not before.layer:
        found.append("signed by another layer")
    return found


def _as_strict(before: Condition, after: Condition) -> bool:
    if before.comparator == "equals" or isinstance(before.value, bool | str) or isinstance(after.value, bool | str):
        return after.value == before.value and type(after.value) is type(before.value)
    return after.value >= before.value if before.comparator == "at_least" else after.value <= before.value


class _Reader:
    """One mapping read strictly: what is asked for must be there, and nothing else may be."""

    def __init__(self, raw: Any, source: str, where: str) -> None:
        if not isinstance(raw, Mapping):
            raise GateFileInvalid(file=source, where=where, expected="a mapping")
        self._raw, self._source, self._where, self._left = raw, source, where, set(raw)

    def fail(self, key: str, expected: str) -> GateFileInvalid:
        return GateFileInvalid(file=self._source, where=f"{self._where}.{key}", expected=expected)

    def take(self, key: str, kind: type) -> Any:
        self._left.discard(key)
        value = self._raw.get(key)
        if type(value) is not kind:
            raise self.fail(key, f"a {kind.__name__}")
        return value

    def optional(self, key: str) -> Any:
        self._left.discard(key)
        return self._raw.get(key)

    def positive(self, key: str) -> int:
        value: int = self.take(key, int)
        if value < 1:
            raise self.fail(key, "a whole number of at least 1")
        return value

    def text(self, key: str) -> Text:
        try:
            return Text.of(self.take(key, dict))
        except ValueError as fault:
            raise self.fail(key, "a text in ky, ru and en") from fault

    def one_of(self, key: str, kind: type[Any]) -> Any:
        value = self.take(key, str)
        try:
            return kind(value)
        except ValueError as fault:
            raise self.fail(key, "one of " + ", ".join(str(member) for member in kind)) from fault

    def close(self) -> None:
        if self._left:
            raise self.fail(sorted(map(str, self._left))[0], "no such key")


def _criterion(reader: _Reader) -> Criterion:
    collector = reader.optional("collector")
    if collector is not None and collector not in COLLECTORS:
        raise reader.fail("collector", "one of " + ", ".join(COLLECTORS))
    raw_conditions = reader.take("conditions", list)
    if not raw_conditions:
        raise reader.fail("conditions", "at least one condition")
    criterion = Criterion(
        id=reader.take("id", str),
        version=reader.positive("version"),
        layer=reader.one_of("layer", Layer),
        title=reader.text("title"),
        evidence_type=reader.take("evidence_type", str),
        collector=collector,
        conditions=tuple(_condition(reader, raw) for raw in raw_conditions),
        minimum_sample=reader.positive("minimum_sample"),
        fresh_for=timedelta(hours=reader.positive("fresh_for_hours")),
        waivable=reader.take("waivable", bool),
    )
    reader.close()
    return criterion


def _condition(reader: _Reader, raw: Any) -> Condition:
    expected = "a fact and one of " + ", ".join(COMPARATORS)
    if not isinstance(raw, dict) or len(raw) != 2 or not isinstance(raw.get("fact"), str):
        raise reader.fail("conditions", expected)
    [(comparator, value)] = [(key, value) for key, value in raw.items() if key != "fact"]
    if comparator not in COMPARATORS or not isinstance(value, bool | int | str):
        raise reader.fail("conditions", expected)
    if comparator != "equals" and type(value) is not int:
        raise reader.fail("conditions", "a whole number to compare with")
    return Condition(raw["fact"], comparator, value)
