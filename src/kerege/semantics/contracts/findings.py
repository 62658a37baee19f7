"""What is wrong with a contract before any data is held against it: it says two things, asks what can't be asked, names what is not there.

An *error* keeps a contract from being published; a *warning* is for the eyes of whoever writes it. Pure. Whether its attributes have
owners is for `catalogue.contracts.doings`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from kerege.ground.errors import KeregeError
from kerege.ground.text import Said
from kerege.semantics.contracts.builder import rules_of
from kerege.semantics.contracts.contract import STATUSES, Contract, Property, SchemaObject
from kerege.semantics.contracts.message import Checker, Lists, no_lists, ordered
from kerege.semantics.contracts.rules import Rule, RuleSet

_VERSION: Final = re.compile(r"(0|[1-9][0-9]{0,8})[.](0|[1-9][0-9]{0,8})[.](0|[1-9][0-9]{0,8})(-[0-9A-Za-z.-]{1,40})?")
CODES: Final[dict[str, str]] = {
    "null_twice": "the contract says two things about null: a value is required, and none is allowed",
    "bounds_crossed": "no value can be within the bounds",
    "not_run": "something it says is not asked of data, with the reason",
    "codelist_unknown": "a code list it names is not at hand",
    "codelist_version": "it names another version of a code list than the one at hand",
    "key_optional": "a part of the primary key is said to be optional",
    "version_not_semantic": "the version is not of the form 1.2.3, so changes cannot be judged by it",
    "status_unknown": "the status is none of the standard's",
    "owner_missing": "nobody is named as owner (team)",
    "legal_basis_missing": "no legal basis is named",
    "nothing_asked": "a schema object asks nothing of its data",
    "uncompilable": "the rules cannot be compiled",
    "twice_the_same_column": "two properties are of one column",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a contract, and where. `message` is a `Said`."""

    code: str
    where: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def as_dict(self) -> dict[str, str]:
        return {"code": self.code, "where": self.where, "message": self.message, "severity": self.severity}


def findings(
    contract: Contract, lists: Lists = no_lists, versions: dict[str, str] | None = None
) -> tuple[Finding, ...]:
    """Everything wrong with the contract, errors first. `versions`: of the code lists at hand, by id, where they have one."""
    found = [*_of_document(contract)]
    for one in contract.objects:
        rules = rules_of(contract, one.name)
        found += [*_of_object(one), *_of_rules(one, rules, lists), *_of_lists(one, lists, versions or {})]
    return tuple(sorted(found, key=lambda f: f.severity != "error"))


def _of_document(contract: Contract) -> Iterator[Finding]:
    if not _VERSION.fullmatch(contract.version):
        message = Said("version_not_semantic", "{version} is not of the form 1.2.3", version=contract.version)
        yield Finding("version_not_semantic", "version", message)
    if contract.status not in STATUSES:
        message = Said(
            "status_unknown", "{status} is none of {known}", status=contract.status, known=", ".join(STATUSES)
        )
        yield Finding("status_unknown", "status", message, "warning")
    if not contract.owner_unit:
        yield Finding(
            "owner_missing", "team.name", Said("owner_missing", "the contract names no unit that answers for it")
        )
    if not contract.legal_basis:
        message = Said("legal_basis_missing", "the contract names no act")
        yield Finding("legal_basis_missing", "customProperties.legalBasis", message)


def _of_object(one: SchemaObject) -> Iterator[Finding]:
    columns: dict[str, str] = {}
    for top in one.properties:
        other = columns.setdefault(top.column.casefold(), top.name)
        if other != top.name:
            message = Said(
                "twice_the_same_column", "{other} is the column {column} too", other=other, column=top.column
            )
            yield Finding("twice_the_same_column", f"{one.name}.{top.name}", message)
        for path, inner in top.walk():
            yield from _of_null(f"{one.name}.{path}", inner)


def _of_null(where: str, one: Property) -> Iterator[Finding]:
    """Whether the property's parts agree on null."""
    optional = one.document.get("required") is False
    if one.primary_key and optional:
        message = Said("key_optional", "it is part of the primary key and required: false")
        yield Finding("key_optional", where, message)
    needed = one.required or one.primary_key
    for quality in one.quality:
        if quality.type != "library":
            continue
        values = quality.arguments.get("validValues")
        if quality.metric == "invalidValues" and isinstance(values, list) and None in values and needed:
            message = Said("null_among_values", "it is required, and null stands among its validValues")
            yield Finding("null_twice", where, message)
        if quality.metric in ("nullValues", "missingValues"):
            some, none = _allows(quality.operator, quality.threshold)
            if needed and some:
                message = Said(
                    "null_allowed", "it is required, and {metric} {operator} {threshold} allows some without a value",
                    metric=quality.metric, operator=quality.operator, threshold=quality.threshold,
                )  # fmt: skip
                yield Finding("null_twice", where, message)
            if optional and none and quality.severity == "error" and quality.metric == "nullValues":
                message = Said("null_none", "it is required: false, and nullValues allows none")
                yield Finding("null_twice", where, message)


def _allows(operator: str, threshold: object) -> tuple[bool, bool]:
    """Whether more than none are allowed, and whether none are the most."""
    if isinstance(threshold, list):
        some = (operator == "mustBeBetween" and threshold[1] > 0) or operator == "mustNotBeBetween"
        return some, not some
    number = float(threshold) if isinstance(threshold, int | float) else 0.0
    none = (operator in ("mustBe", "mustBeLessOrEqualTo") and number == 0) or (
        operator == "mustBeLessThan" and number <= 1
    )
    return not none, none


def _of_rules(one: SchemaObject, rules: RuleSet, lists: Lists) -> Iterator[Finding]:
    for unrun in rules.unrun:
        where = f"{one.name}.{unrun.field}".rstrip(".")
        severity: Literal["error", "warning"] = "error" if unrun.what == "pattern" else "warning"
        told = {"what": unrun.what, "reason": unrun.reason}
        message = (
            Said("rule_not_run", "{what} is not asked: {reason}", **told)
            if unrun.where == "everywhere"
            else Said("rule_not_run_in", "{what} is not asked (in {place}): {reason}", place=unrun.where, **told)
        )
        yield Finding("not_run", where, message, severity)
    if not rules.rules:
        message = Said("nothing_asked", "no property is required, typed or otherwise ruled")
        yield Finding("nothing_asked", one.name, message, "warning")
    for field in rules.types:
        yield from _crossed(f"{one.name}.{field}", rules, field)
    try:
        Checker(rules, lists)
    except KeregeError as problem:
        code = "codelist_unknown" if "codelist" in problem.code else "uncompilable"
        yield Finding(code, one.name, problem.said)


def _crossed(where: str, rules: RuleSet, field: str) -> Iterator[Finding]:
    asked: dict[str, Rule] = {r.kind: r for r in rules.for_field(field)}
    for low, high in (("minLength", "maxLength"), ("minimum", "maximum"), ("exclusiveMinimum", "maximum"),
                      ("minimum", "exclusiveMaximum"), ("exclusiveMinimum", "exclusiveMaximum")):  # fmt: skip
        if low in asked and high in asked:
            order = int if low == "minLength" else ordered(rules.types[field])
            a, b = order(asked[low].value), order(asked[high].value)
            if a > b or (a == b and "exclusive" in low + high):
                bounds = {"rule": low, "low": asked[low].value, "other_rule": high, "high": asked[high].value}
                message = Said("bounds_crossed", "{rule} {low} and {other_rule} {high}", **bounds)
                yield Finding("bounds_crossed", where, message)


def _of_lists(one: SchemaObject, lists: Lists, versions: dict[str, str]) -> Iterator[Finding]:
    for top in one.properties:
        for path, inner in top.walk():
            at_hand = versions.get(inner.codelist, "")
            if inner.codelist and inner.codelist_version and at_hand and at_hand != inner.codelist_version:
                message = Said(
                    "codelist_version", "{codelist} {named} is named, {at_hand} is at hand",
                    codelist=inner.codelist, named=inner.codelist_version, at_hand=at_hand,
                )  # fmt: skip
                yield Finding("codelist_version", f"{one.name}.{path}", message, "warning")
