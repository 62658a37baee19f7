"""A contract in words, from the contract alone: what it asks, what of it is not run. No database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kerege.catalogue.packs import current_pack
from kerege.semantics.contracts.builder import rules_of
from kerege.semantics.contracts.contract import Contract


def codes(list_id: str) -> frozenset[str]:
    """The notations of a code list of the country pack. Raises CodeListUnknown."""
    return frozenset(concept.notation for concept in current_pack().codelist(list_id))


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule as people read it."""

    field: str
    rule: str
    value: str
    severity: str
    tolerance: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "field": self.field,
            "rule": self.rule,
            "value": self.value,
            "severity": self.severity,
            "tolerance": self.tolerance,
        }


def rules_in_words(made: Contract) -> tuple[RuleView, ...]:
    """Every rule of every schema object; the field's name carries the object's where there are several."""
    out = []
    for one in made.objects:
        prefix = f"{one.name}." if len(made.objects) > 1 else ""
        for rule in rules_of(made, one.name).rules:
            value = rule.value
            if isinstance(value, dict):
                value = " ".join(str(v) for v in value.values() if v)
            elif isinstance(value, list):
                value = ", ".join(value[:20]) + (" ..." if len(value) > 20 else "")
            told = "" if value is None else str(value)
            out.append(RuleView(prefix + rule.field, rule.name, told, rule.severity, str(rule.tolerance or "")))
    return tuple(out)


def not_run(made: Contract) -> tuple[dict[str, str], ...]:
    """What the contract says that is not asked, where not, and why."""
    return tuple(
        {"object": one.name, "field": u.field, "what": u.what, "where": u.where, "reason": u.reason}
        for one in made.objects
        for u in rules_of(made, one.name).unrun
    )
