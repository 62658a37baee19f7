"""The rules of a contract as they stand in the nodes' signed configuration: plain JSON without floats, strict when read.

Only what can be asked of the records of one answer is written; code lists go by id and are the node's own, so that a list of eight thousand places
is not in every configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from kerege.semantics.contracts.contract import LOGICAL_TYPES, SEVERITIES, LogicalType
from kerege.semantics.contracts.message import Checker, Lists
from kerege.semantics.contracts.rules import BOUNDS, COMPARISONS, KINDS, Rule, RuleSet, bound_fits
from kerege.semantics.errors import ContractUnrunnable

# a contract's mode -> the configuration's word for it
WIRE_MODES: Final = {"observe": "observe", "warn": "warn", "quarantine": "quarantine", "reject": "refuse"}
_TEXTS: Final = ("type", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_WHOLE: Final = ("minLength", "maxLength", "multipleOf")
_LISTS: Final = ("validValues", "missingValues", "unique", "primaryKey")


def to_wire(rules: RuleSet) -> dict[str, Any]:
    """What a node needs to ask the rules of canonical records."""
    asked = [r for r in rules.rules if r.tolerance is None and r.kind not in ("rowCount", "freshness")]
    return {
        "contract": rules.contract, "version": rules.version, "object": rules.object,
        "types": {field: kind for field, kind in rules.types.items() if kind is not None},
        "rules": [_rule(rule) for rule in asked],
    }  # fmt: skip


def _rule(rule: Rule) -> dict[str, Any]:
    out: dict[str, Any] = {"field": rule.field, "kind": rule.kind}
    if rule.value is not None:
        out["value"] = rule.value
    if rule.severity != "error":
        out["severity"] = rule.severity
    if rule.number:
        out["number"] = rule.number
    return out


def from_wire(document: Any) -> RuleSet:
    """The rules in `document`. Raises ContractUnrunnable for anything this version does not know: half understood is worse than none."""
    try:
        types = {str(field): _type(kind) for field, kind in document["types"].items()}
        rules = tuple(_read(row) for row in document["rules"])
        for rule in rules:
            for name in rule.fields:
                types.setdefault(name, None)
            if rule.kind in BOUNDS and not bound_fits(types[rule.field], rule.value):
                raise ValueError(f"the bound of {rule.field}")
        return RuleSet(
            str(document["contract"]), str(document["version"]), str(document["object"]), rules, types,
            {name: name for name in types if "." not in name and "[]" not in name},
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        name = document.get("contract", "(contract)") if isinstance(document, Mapping) else "(contract)"
        raise ContractUnrunnable(contract=name, reason=f"its rules are not of this version ({problem})") from None


def _type(kind: Any) -> LogicalType | None:
    if kind not in LOGICAL_TYPES:
        raise ValueError(f"the type {kind!r}")
    return cast(LogicalType, kind)


def _read(row: Mapping[str, Any]) -> Rule:
    unknown = set(row) - {"field", "kind", "value", "severity", "number"}
    kind, value, severity = row["kind"], row.get("value"), row.get("severity", "error")
    if unknown or kind not in KINDS or severity not in SEVERITIES:
        raise ValueError(f"the rule {kind!r}")
    fits = (
        (kind in _TEXTS and isinstance(value, str))
        or (kind in _WHOLE and isinstance(value, int) and not isinstance(value, bool) and value >= (kind == "multipleOf"))
        or (kind in _LISTS and isinstance(value, list) and all(isinstance(v, str) for v in value))
        or (kind == "required" and value is None)
        or (kind == "codes" and isinstance(value, dict) and isinstance(value.get("list"), str))
        or (kind == "requires" and isinstance(value, dict) and isinstance(value.get("other"), str))
        or (kind == "compare" and isinstance(value, dict) and isinstance(value.get("other"), str) and value.get("operator") in COMPARISONS)
    )  # fmt: skip
    if not fits:
        raise ValueError(f"the argument of {kind!r}")
    return Rule(str(row["field"]), kind, value, severity, None, int(row.get("number", 0)))


def checker_of(text: str, lists: Lists) -> Checker:
    """The checker of rules written in the configuration. Raises ContractUnrunnable, and what `lists` raises for a list that is not there."""
    return Checker(from_wire(orjson.loads(text)), lists)
