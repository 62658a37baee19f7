"""What changed between two versions of a contract, whom it breaks, and which version number that asks for.

A contract binds two sides. What was promised less strictly breaks *consumers*: a field gone, a value that may now be missing, a code that may now
come. What is asked more strictly breaks *providers*: their data, right until yesterday, is wrong today. Either is a breaking change. Rules are
compared as rules (`contracts.rules`), so a pattern written otherwise and meaning the same is no change, and meaning (unit, concept, code list)
as strictly as types: a number whose unit changes is another number.

Source: Semantic Versioning 2.0.0 (a breaking change before 1.0.0 asks for the minor number); issue 4, part 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from kerege.ground.text import Said
from kerege.semantics.contracts.builder import rules_of
from kerege.semantics.contracts.contract import Contract, Property
from kerege.semantics.contracts.message import ordered
from kerege.semantics.contracts.rules import Rule, RuleSet

Side = Literal["consumers", "providers"]
Level = Literal["none", "patch", "minor", "major"]
_LEVELS: Final[tuple[Level, ...]] = ("none", "patch", "minor", "major")
_BOTH: Final[frozenset[Side]] = frozenset({"consumers", "providers"})
_CONSUMERS: Final[frozenset[Side]] = frozenset({"consumers"})
_PROVIDERS: Final[frozenset[Side]] = frozenset({"providers"})
_NOBODY: Final[frozenset[Side]] = frozenset()
_WIDER: Final = {("integer", "number")}  # every value of the first is one of the second
_LOWER_BOUNDS: Final = ("minLength", "minimum", "exclusiveMinimum")
_UPPER_BOUNDS: Final = ("maxLength", "maximum", "exclusiveMaximum")
_MEANING: Final = {
    "unit": "unit",
    "concept": "meaning",
    "codeList": "code list",
    "codeListVersion": "code list version",
}
_STRICT: Final = ("observe", "warn", "quarantine", "reject")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `code` is stable, `breaks` says whom; nobody and `level` minor or patch otherwise. `message` is a `Said`."""

    code: str
    where: str
    message: str
    breaks: frozenset[Side] = _NOBODY
    level: Level = "minor"

    @property
    def breaking(self) -> bool:
        return bool(self.breaks)

    def as_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "where": self.where,
            "message": self.message,
            "breaks": sorted(self.breaks),
            "level": self.level,
        }


@dataclass(frozen=True)
class Judgement:
    """The changes, the step they need, the step the version number takes, and whether that is enough."""

    changes: tuple[Change, ...]
    needed: Level
    given: Level
    enough: bool
    reason: str = ""

    @property
    def breaking(self) -> tuple[Change, ...]:
        return tuple(c for c in self.changes if c.breaking)

    def as_dict(self) -> dict[str, Any]:
        return {"needed": self.needed, "given": self.given, "enough": self.enough, "reason": self.reason,
                "changes": [c.as_dict() for c in self.changes]}  # fmt: skip


def judge(old: Contract, new: Contract) -> Judgement:
    """How `new` follows `old`. Raises nothing for contracts that were read."""
    changes = tuple(diff(old, new))
    levels: list[Level] = [c.level for c in changes]
    needed: Level = max(levels, key=_LEVELS.index) if levels else "none"
    before, after = parts(old.version), parts(new.version)
    if before is None or after is None:
        return Judgement(changes, needed, "none", False, Said("version_form", "a version is not of the form 1.2.3"))
    given = step(before, after)
    if given is None:
        return Judgement(
            changes,
            needed,
            "none",
            False,
            Said("version_not_after", "{now} does not come after {was}", now=new.version, was=old.version),
        )
    asked = needed
    if before[0] == 0 and after[0] == 0 and needed == "major":
        asked = "minor"
    enough = _LEVELS.index(given) >= _LEVELS.index(asked)
    words = "the changes ask for a {level} version, {now} is a {given} one"
    reason = "" if enough else Said("version_too_small", words, level=asked, now=new.version, given=given)
    return Judgement(changes, needed, given, enough, reason)


def parts(version: str) -> tuple[int, int, int] | None:
    """The three numbers of a semantic version; None when it is none."""
    found = re.fullmatch(
        r"(0|[1-9][0-9]{0,8})[.](0|[1-9][0-9]{0,8})[.](0|[1-9][0-9]{0,8})(?:-[0-9A-Za-z.-]{1,40})?", version
    )
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def step(before: tuple[int, int, int], after: tuple[int, int, int]) -> Level | None:
    """Which number grew; None when none did."""
    if after <= before:
        return "none" if after == before else None
    return "major" if after[0] > before[0] else "minor" if after[1] > before[1] else "patch"


def diff(old: Contract, new: Contract) -> Iterator[Change]:
    """Every difference that somebody could notice, objects and fields in their order."""
    before, after = {o.name: o for o in old.objects}, {o.name: o for o in new.objects}
    for name in before:
        if name not in after:
            yield Change("object_removed", name, Said("object_removed", "the schema object is gone"), _BOTH, "major")
    for name in after:
        if name not in before:
            yield Change("object_added", name, Said("object_added", "a new schema object"))
            continue
        yield from _fields(name, _all(before[name].properties), _all(after[name].properties))
        yield from _rules(name, rules_of(old, name), rules_of(new, name))
        if before[name].mapping != after[name].mapping:
            now, was = after[name].mapping or "no mapping", before[name].mapping or "none"
            message = Said("mapping_changed", "made by {now} in place of {was}", now=now, was=was)
            yield Change("mapping_changed", name, message)
    yield from _whole(old, new)


def _all(properties: tuple[Property, ...]) -> dict[str, Property]:
    return {path: one for top in properties for path, one in top.walk()}


def _fields(name: str, before: Mapping[str, Property], after: Mapping[str, Property]) -> Iterator[Change]:
    for path, old in before.items():
        where = f"{name}.{path}"
        new = after.get(path)
        if new is None:
            yield Change("field_removed", where, Said("field_removed", "the field is gone"), _CONSUMERS, "major")
            continue
        if old.logical_type != new.logical_type:
            yield _type(where, old.logical_type, new.logical_type)
        if old.column != new.column:
            message = Said("column_renamed", "the column {was} is now {now}", was=old.column, now=new.column)
            yield Change("column_renamed", where, message, _CONSUMERS, "major")
        a, b = old.custom, new.custom
        for key, told in _MEANING.items():
            if a.get(key) != b.get(key):
                was, now = a.get(key) or "none", b.get(key) or "none"
                message = Said("meaning_changed", "{meaning}: {was} is now {now}", meaning=told, was=was, now=now)
                added = key != "codeList" and not a.get(
                    key
                )  # said for the first time; the rule itself is compared below
                level: Level = "minor" if added else "major"
                yield Change(f"{key}_changed", where, message, _NOBODY if added else _BOTH, level)
        if old.description != new.description:
            yield Change("described", where, Said("described", "the description changed"), level="patch")
    for path, new in after.items():
        if path not in before:
            needed = new.required or new.primary_key
            if needed:
                message = Said("required_field_added", "a new field that must have a value")
                yield Change("required_field_added", f"{name}.{path}", message, _PROVIDERS, "major")
            else:
                yield Change("field_added", f"{name}.{path}", Said("field_added", "a new field"))


def _type(where: str, old: str | None, new: str | None) -> Change:
    message = Said("type_changed", "{was_type} is now {type}", was_type=old or "any type", type=new or "any type")
    if old is None or (new, old) in _WIDER:
        return Change("type_narrowed", where, message, _PROVIDERS, "major")
    if new is None or (old, new) in _WIDER:
        return Change("type_widened", where, message, _CONSUMERS, "major")
    return Change("type_changed", where, message, _BOTH, "major")


def _rules(name: str, before: RuleSet, after: RuleSet) -> Iterator[Change]:
    old = {(r.field, r.name): r for r in before.rules if r.kind != "type"}
    new = {(r.field, r.name): r for r in after.rules if r.kind != "type"}
    for key, rule in old.items():
        if key not in new and not _gone(rule, after):
            yield _change("removed", name, rule, _CONSUMERS, "rule_gone", "{rule} is no longer asked")
    for key, rule in new.items():
        if key in old:
            yield from _compared(name, old[key], rule, before)
        elif not _gone(rule, before):
            yield _change("added", name, rule, _PROVIDERS, "rule_new", "{rule} is asked now")


def _gone(rule: Rule, other: RuleSet) -> bool:
    """Whether the rule is of a field the other version does not have, which is told once, of the field."""
    return any(name not in other.types for name in rule.fields)


def _change(how: str, name: str, rule: Rule, breaks: frozenset[Side], said: str, words: str, **facts: object) -> Change:
    where = f"{name}.{rule.field}".rstrip(".")
    soft = rule.severity != "error"
    message = Said(said, words, rule=rule.kind, **facts)
    return Change(f"{rule.kind}_{how}", where, message, _NOBODY if soft else breaks, "minor" if soft else "major")


def _compared(name: str, old: Rule, new: Rule, rules: RuleSet) -> Iterator[Change]:
    if (old.value, old.tolerance) != (new.value, new.tolerance):
        if old.kind == "codes":
            pass  # told as the field's meaning
        elif old.kind in ("validValues", "missingValues") and old.tolerance == new.tolerance:
            yield from _values(name, old, new)
        elif old.kind in _LOWER_BOUNDS + _UPPER_BOUNDS:
            order = int if "Length" in old.kind else ordered(rules.types.get(old.field))
            stricter = (order(new.value) > order(old.value)) == (old.kind in _LOWER_BOUNDS)
            how, breaks = ("tightened", _PROVIDERS) if stricter else ("loosened", _CONSUMERS)
            words = "{rule} is {now} in place of {was}"
            yield _change(how, name, new, breaks, "rule_bound", words, now=new.value, was=old.value)
        else:
            yield _change("changed", name, new, _BOTH, "rule_other", "{rule} is another one now")
    if old.severity != new.severity:
        weaker = new.severity != "error"
        breaks = (_CONSUMERS if weaker else _PROVIDERS) if "error" in (old.severity, new.severity) else _NOBODY
        words = "{rule} is {weight} in place of {was_weight}"
        message = Said("rule_weight", words, rule=old.kind, weight=new.severity, was_weight=old.severity)
        yield Change("severity_changed", f"{name}.{old.field}", message, breaks, "major" if breaks else "minor")


def _values(name: str, old: Rule, new: Rule) -> Iterator[Change]:
    """Valid values taken away break who sends them, new ones break who does not know them; of missing values the other way round."""
    added, removed = sorted(set(new.value) - set(old.value)), sorted(set(old.value) - set(new.value))
    valid = old.kind == "validValues"
    if added:
        breaks, words = _CONSUMERS if valid else _PROVIDERS, "{rule} has {n} more: {values}"
        yield _change("values_added", name, new, breaks, "rule_values_added", words, n=len(added), values=_few(added))
    if removed:
        breaks, words = _PROVIDERS if valid else _CONSUMERS, "{rule} has {n} fewer: {values}"
        yield _change(
            "values_removed", name, new, breaks, "rule_values_removed", words, n=len(removed), values=_few(removed)
        )


def _few(values: list[str]) -> str:
    return f"{', '.join(values[:5])}{' ...' if len(values) > 5 else ''}"


def _whole(old: Contract, new: Contract) -> Iterator[Change]:
    if old.mode != new.mode:
        stricter = _STRICT.index(new.mode) > _STRICT.index(old.mode)
        both = stricter and new.mode in ("quarantine", "reject")
        message = Said("breach_mode", "a breach: {mode} in place of {was_mode}", mode=new.mode, was_mode=old.mode)
        yield Change("mode_changed", "mode", message, _PROVIDERS if both else _NOBODY, "major" if both else "minor")
    for code, where, a, b in (
        ("owner_changed", "team", old.owner or old.owner_unit, new.owner or new.owner_unit),
        ("legal_basis_changed", "legalBasis", old.legal_basis, new.legal_basis),
        ("routes_changed", "servers", str(old.routes), str(new.routes)),
    ):
        if a != b:
            yield Change(
                code,
                where,
                Said("routes_changed", "other data services")
                if code == "routes_changed"
                else Said("terms_changed", "{was} is now {now}", was=a or "none", now=b or "none"),
            )
    for key in ("name", "description", "support", "price", "tags"):
        if old.document.get(key) != new.document.get(key):
            yield Change("described", key, Said("part_described", "{part} changed", part=key), level="patch")
