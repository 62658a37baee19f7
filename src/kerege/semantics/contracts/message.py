"""A contract's rules compiled for records: one call per record gives the breaches, for an answer the counts.

A record that keeps the contract is recognised by one call of `jsonschema-rs` over a JSON Schema made of the rules (`json_schema`, the one people and
other tools can have too) and a few closures for what JSON Schema cannot say (bounds on dates and on numbers in text form, rules between
fields). Only of others each rule is asked by itself. A breach names field, rule and severity, never the value. `contracts.sql` asks
the same of tables; tests hold both equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import orjson

from kerege.semantics.contracts.builder import rules_of
from kerege.semantics.contracts.contract import Contract, Severity
from kerege.semantics.contracts.rules import LARGEST_INTEGER, TYPE_PATTERNS, Rule, RuleSet
from kerege.semantics.errors import ContractUnrunnable

Lists = Callable[[str], Collection[str]]  # a code list's id -> its notations; raises KeregeError when it is not known
MOST_CODES: Final = 50_000  # of one code list
_TYPES: Final[dict[str | None, list[str]]] = {
    "string": ["string"], "date": ["string"], "time": ["string"], "timestamp": ["string"], "integer": ["integer", "string"],
    "number": ["number", "string"], "boolean": ["boolean", "string"], "object": ["object"], "array": ["array"],
}  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "less": lambda a, b: a < b, "lessOrEqual": lambda a, b: a <= b, "greater": lambda a, b: a > b,
    "greaterOrEqual": lambda a, b: a >= b, "equal": lambda a, b: a == b, "notEqual": lambda a, b: a != b,
}  # fmt: skip
_BOUND: Final = {
    "minimum": "greaterOrEqual", "maximum": "lessOrEqual", "exclusiveMinimum": "greater", "exclusiveMaximum": "less",
}  # fmt: skip


def no_lists(name: str) -> Collection[str]:
    """For contracts without code lists."""
    raise ContractUnrunnable(contract="(contract)", reason=f"no code lists are at hand for {name}")


@dataclass(frozen=True, slots=True)
class Breach:
    """One rule one record does not keep."""

    field: str
    rule: str
    severity: Severity = "error"

    def as_dict(self) -> dict[str, str]:
        return {"field": self.field, "rule": self.rule, "severity": self.severity}


@dataclass(slots=True)
class Checked:
    """What a look at many records gave. `counts` by (field, rule name), tolerant rules too; `broken` by place of the record, without them."""

    records: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: dict[int, tuple[Breach, ...]] = field(default_factory=dict)


def codes_of(rules: RuleSet, lists: Lists) -> dict[str, frozenset[str]]:
    """The notations of every code list the rules name. Raises ContractUnrunnable for an outsized one, and what `lists` raises."""
    out: dict[str, frozenset[str]] = {}
    for rule in rules.rules:
        if rule.kind == "codes":
            name = str(rule.value["list"])
            out[name] = frozenset(lists(name))
            if len(out[name]) > MOST_CODES:
                reason = (
                    f"the code list {name} has {len(out[name])} codes, at most {MOST_CODES} are held against values"
                )
                raise ContractUnrunnable(contract=rules.contract, reason=reason)
    return out


def text_of(value: Any) -> str:
    """A value in its text form: the same for 1, 1.0 and "1"."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_INTEGER:
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


# --- the schema ---


def json_schema(rules: RuleSet, lists: Lists = no_lists) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one record. What it cannot say stands in `x-kerege-rules`, in words of this module."""
    codes = codes_of(rules, lists)
    root: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{rules.contract} {rules.object} {rules.version}", "type": "object", "properties": {},
    }  # fmt: skip
    nodes: dict[str, dict[str, Any]] = {"": root}
    for path in rules.types:
        _node(nodes, path)
    rest: list[dict[str, Any]] = []
    for rule in rules.of_records:
        _write(rule, rules, codes, nodes, rest)
    if rest:
        root["x-kerege-rules"] = rest
    return root


def _node(nodes: dict[str, dict[str, Any]], path: str) -> dict[str, Any]:
    """The place of a path in the schema, made with all above it: a property may be called `data[].code` and have no property `data` above."""
    missing = [path]
    while (above := _parent(missing[-1])[0]) not in nodes:
        missing.append(above)
    for one in reversed(missing):
        parent, name = _parent(one)
        if one not in nodes:
            held = nodes[parent]
            nodes[one] = (
                held.setdefault("items", {}) if name == "[]" else held.setdefault("properties", {}).setdefault(name, {})
            )
    return nodes[path]


def _parent(path: str) -> tuple[str, str]:
    if path.endswith("[]"):
        return path[:-2], "[]"
    parent, _, name = path.rpartition(".")
    return parent, name


def _write(
    rule: Rule, rules: RuleSet, codes: Mapping[str, frozenset[str]], nodes: dict[str, Any], rest: list[dict[str, Any]]
) -> None:
    node = nodes[rule.field] if rule.field in nodes else nodes[""]
    if rule.kind in ("required", "missingValues"):
        parent, name = _parent(rule.field)
        if name != "[]":
            nodes[parent].setdefault("required", [])
            if name not in nodes[parent]["required"]:
                nodes[parent]["required"].append(name)
        missing = [None] if rule.kind == "required" else [None, *_forms(rule.value)]
        node.setdefault("allOf", []).append({"not": {"enum": missing}})
    elif rule.kind == "type":
        node["type"] = [*_TYPES[rule.value], "null"]
        if rule.value in TYPE_PATTERNS:
            node["pattern"] = TYPE_PATTERNS[rule.value]
        if rule.value == "integer":
            node |= {"minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER}
    elif rule.kind in ("minLength", "maxLength"):
        node.setdefault("allOf", []).append({rule.kind: rule.value})
    elif rule.kind == "pattern":
        node.setdefault("allOf", []).append({"pattern": rule.value})
    elif rule.kind in ("codes", "validValues"):
        values = sorted(codes[rule.value["list"]]) if rule.kind == "codes" else rule.value
        node.setdefault("allOf", []).append({"enum": [None, *_forms(values)]})
    else:
        told = rule.value if isinstance(rule.value, dict) else {"value": rule.value}
        rest.append({"field": rule.field, "rule": rule.kind, **told})


def _forms(values: Iterable[str]) -> list[Any]:
    """Every JSON value with one of these text forms."""
    out: list[Any] = []
    for text in values:
        out.append(text)
        if text in ("true", "false"):
            out.append(text == "true")
        elif text.lstrip("-").isdigit() and len(text) < 19 and str(int(text)) == text:
            out.append(int(text))
    return out


# --- the checker ---

_Ask = Callable[[Any], bool]  # a value that is not null -> whether it breaks the rule


class Checker:
    """The compiled contract. Safe to share between threads; holds no record."""

    def __init__(self, rules: RuleSet, lists: Lists = no_lists) -> None:
        self.rules = rules
        self._codes = codes_of(rules, lists)
        schema = json_schema(rules, lists)
        try:
            self._fits = compiled(schema).is_valid
            self._single = [(r, _steps(r.field), _asked(r, rules, self._codes)) for r in rules.rules if _of_one(r)]
        except (jsonschema_rs.ValidationError, ValueError, KeyError) as problem:
            raise ContractUnrunnable(contract=rules.contract, reason=str(problem).splitlines()[0][:200]) from None
        self._pairs = [(r, _between(r, rules)) for r in rules.rules if r.kind in ("compare", "requires")]
        beyond = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
        closures = [
            (steps, ask)
            for r, steps, ask in self._single
            if r.kind in beyond and r.tolerance is None and ask is not None
        ]
        self._quick = [(steps[0], ask) for steps, ask in closures if len(steps) == 1]
        self._slow = [(steps, ask) for steps, ask in closures if len(steps) > 1]
        self._strict = [one for one in self._single if one[0].tolerance is None]
        self._types = {r.field: _type_fits(r.value) for r in rules.rules if r.kind == "type"}

    def __call__(self, record: Any) -> tuple[Breach, ...]:
        """The breaches of one record, in the rules' order; empty when it keeps the contract."""
        if self._fits(record) and not self._more(record):
            return ()
        return tuple(Breach(r.field, r.name, r.severity) for r in self._asked_one_by_one(record, self._strict))

    def _more(self, record: Mapping[str, Any]) -> bool:
        for name, ask in self._quick:
            value = record.get(name)
            if value is not None and ask(value):
                return True
        for steps, ask in self._slow:
            if any(value is not None and ask(value) for value in _values(record, steps)):
                return True
        return any(between(record, self._types) for _, between in self._pairs)

    def _asked_one_by_one(
        self, record: Any, single: Sequence[tuple[Rule, tuple[str, ...], _Ask | None]]
    ) -> Iterator[Rule]:
        if not isinstance(record, Mapping):
            yield Rule("", "type", "object")
            return
        for rule, steps, ask in single:
            if any(self._breaks(rule, value, ask) for value in _values(record, steps)):
                yield rule
        for rule, between in self._pairs:
            if between(record, self._types):
                yield rule

    def _breaks(self, rule: Rule, value: Any, ask: _Ask | None) -> bool:
        if value is None:
            return rule.kind in ("required", "missingValues")
        if rule.kind == "required" or ask is None:
            return False
        if rule.kind != "type":
            fits = self._types.get(rule.field)
            if fits is not None and not fits(value):
                return False
        return ask(value)

    def check_all(self, records: Iterable[Any], *, tolerant: bool = False) -> Checked:
        """Every record of one answer or table, with what only many records can break. `tolerant`: count what tolerances are about too."""
        out = Checked()
        groups: list[tuple[Rule, dict[tuple[str, ...], list[int]]]] = [
            (r, {})
            for r in self.rules.rules
            if r.kind in ("unique", "primaryKey") and (tolerant or r.tolerance is None)
        ]
        loose = [one for one in self._single if one[0].tolerance is not None] if tolerant else []
        found: dict[int, list[Breach]] = {}
        for place, record in enumerate(records):
            out.records += 1
            breaches = self(record)
            if breaches:
                found[place] = list(breaches)
            if not isinstance(record, Mapping):
                continue
            for rule, steps, ask in loose:
                if any(self._breaks(rule, value, ask) for value in _values(record, steps)):
                    out.counts[rule.field, rule.name] += 1
            for rule, places in groups:
                values = [record.get(name) for name in rule.value]
                if None not in values:
                    places.setdefault(tuple(map(text_of, values)), []).append(place)
        for rule, places in groups:
            for shared in places.values():
                if len(shared) > 1 and rule.tolerance is not None:
                    out.counts[rule.field, rule.name] += len(shared)
                elif len(shared) > 1:
                    for place in shared:
                        found.setdefault(place, []).append(Breach(rule.field, rule.name, rule.severity))
        for place in sorted(found):
            out.broken[place] = tuple(found[place])
            out.counts.update((b.field, b.rule) for b in found[place])
        return out


def compile_message(contract: Contract, lists: Lists = no_lists, object_name: str = "") -> Checker:
    """The contract compiled for canonical records of one schema object. Raises ContractUnrunnable."""
    return Checker(rules_of(contract, object_name), lists)


def compiled(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """The validator of a schema; patterns take time linear in the text, and nothing is fetched."""

    def nowhere(_: str) -> Any:
        raise ValueError("a schema refers to nothing outside itself")

    return jsonschema_rs.validator_for(dict(schema), pattern_options=jsonschema_rs.RegexOptions(), retriever=nowhere)


def _of_one(rule: Rule) -> bool:
    return rule.kind not in ("unique", "primaryKey", "compare", "requires", "rowCount", "freshness")


def _steps(path: str) -> tuple[str, ...]:
    return tuple(step for piece in path.split(".") for step in piece.replace("[]", "\0[]").split("\0"))


def _values(record: Any, steps: tuple[str, ...]) -> Iterator[Any]:
    """The values at a path: one (None when absent) of each object there is on the way."""
    if not steps:
        yield record
    elif steps[0] == "[]":
        if isinstance(record, list):
            for item in record:
                yield from _values(item, steps[1:])
    elif isinstance(record, Mapping):
        yield from _values(record.get(steps[0]), steps[1:]) if len(steps) > 1 else (record.get(steps[0]),)


@lru_cache(maxsize=64)
def _type_fits(kind: str) -> _Ask:
    schema: dict[str, Any] = {"type": _TYPES[kind]}
    if kind in TYPE_PATTERNS:
        schema["pattern"] = TYPE_PATTERNS[kind]
    if kind == "integer":
        schema |= {"minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER}
    return compiled(schema).is_valid


def _asked(rule: Rule, rules: RuleSet, codes: Mapping[str, frozenset[str]]) -> _Ask | None:
    kind, value = rule.kind, rule.value
    if kind == "type":
        fits = _type_fits(value)
        return lambda v: not fits(v)
    if kind == "minLength":
        return lambda v: isinstance(v, str) and len(v) < value
    if kind == "maxLength":
        return lambda v: isinstance(v, str) and len(v) > value
    if kind == "pattern":
        matches = compiled({"pattern": value}).is_valid
        return lambda v: isinstance(v, str) and not matches(v)
    if kind in ("codes", "validValues"):
        known = codes[value["list"]] if kind == "codes" else frozenset(value)
        return lambda v: text_of(v) not in known
    if kind == "missingValues":
        missing = frozenset(value)
        return lambda v: text_of(v) in missing
    if kind == "multipleOf":
        return lambda v: int(text_of(v)) % value != 0
    if kind in _BOUND:
        logical = rules.types[rule.field]
        order, holds = ordered(logical), _COMPARE[_BOUND[kind]]
        limit = order(value)
        return lambda v: not holds(order(v), limit)
    return None


def ordered(logical: str | None) -> Callable[[Any], Any]:
    """What values of a type are compared by."""
    if logical in ("integer", "number"):
        return float
    return instant if logical == "timestamp" else text_of


def instant(text: str) -> int:
    """Microseconds since 1970 UTC of a timestamp in its written form; without a zone it is UTC."""
    found = datetime.fromisoformat(text)
    offset = found.utcoffset() or timedelta(0)
    return (found.replace(tzinfo=UTC) - _EPOCH - offset) // timedelta(microseconds=1)


def _between(rule: Rule, rules: RuleSet) -> Callable[[Mapping[str, Any], Mapping[str, _Ask]], bool]:
    left, right = _steps(rule.field), _steps(str(rule.value["other"]))
    names = (rule.field, str(rule.value["other"]))

    def one(record: Mapping[str, Any], steps: tuple[str, ...]) -> Any:
        return next(_values(record, steps), None)

    if rule.kind == "requires":
        return lambda record, _: one(record, left) is not None and one(record, right) is None
    numbers = rules.types[rule.field] in ("integer", "number")
    order: Callable[[Any], Any] = float if numbers else ordered(rules.types[rule.field])
    holds = _COMPARE[rule.value["operator"]]

    def breaks(record: Mapping[str, Any], types: Mapping[str, _Ask]) -> bool:
        a, b = one(record, left), one(record, right)
        if a is None or b is None:
            return False
        if any(name in types and not types[name](value) for name, value in zip(names, (a, b), strict=True)):
            return False
        return not holds(order(a), order(b))

    return breaks
