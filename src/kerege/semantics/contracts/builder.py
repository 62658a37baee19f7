"""From a contract to its rules: what the schema, the quality rules and the service levels ask, and what of it cannot be asked.

Source: open-data-contract-standard v3.1.0, Schema (logicalTypeOptions), Data quality (library metrics), SLA. Rules between fields have no form in the
standard; they stand in quality rules of `type: custom` with `engine: kerege`, as the standard means it for engines of one's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from kerege.ground.text import Said
from kerege.semantics.contracts import patterns as contract_patterns
from kerege.semantics.contracts.contract import (
    Contract,
    LogicalType,
    Property,
    Quality,
    SchemaObject,
    ServiceLevel,
    Severity,
)
from kerege.semantics.contracts.rules import (
    COMPARISONS,
    LARGEST_INTEGER,
    Rule,
    RuleSet,
    Tolerance,
    Unrun,
    Where,
    bound_fits,
    number_text,
)
from kerege.semantics.errors import ContractUnrunnable

_UUID: Final = "^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_BITS: Final = {f"{sign}{bits}": (sign, bits) for sign in "iu" for bits in (8, 16, 32, 64, 128)}
_RANGES: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_ORDERED: Final = ("integer", "number", "date", "time", "timestamp")
MOST_VALUES: Final = 10_000  # of one list of valid values


ENGINE: Final = "kerege"  # of custom quality rules that are ours


def rules_of(contract: Contract, object_name: str = "") -> RuleSet:
    """The rules of one schema object (the only one when none is named). Raises ContractUnrunnable when there is none such."""
    try:
        found = contract.object_named(object_name)
    except KeyError:
        names = ", ".join(o.name for o in contract.objects) or "none"
        reason = (
            f"it has no schema object {object_name!r}; it has {names}"
            if object_name
            else f"say which schema object: {names}"
        )
        raise ContractUnrunnable(contract=contract.id, reason=reason) from None
    return _Builder(found, contract.service_levels).built(contract)


class _Builder:
    def __init__(self, found: SchemaObject, levels: Sequence[ServiceLevel]) -> None:
        self.object, self.levels = found, levels
        self.rules: list[Rule] = []
        self.unrun: list[Unrun] = []
        self.types: dict[str, LogicalType | None] = {}
        self.columns: dict[str, str] = {}

    def built(self, contract: Contract) -> RuleSet:
        for top in self.object.properties:
            self.columns[top.name] = top.column
            for path, one in top.walk():
                self.types[path] = one.logical_type
        for top in self.object.properties:
            for path, one in top.walk():
                self.property(path, one)
        self.keys()
        for quality in self.object.quality:
            self.quality("", None, quality)
        self.freshness()
        return RuleSet(
            contract.id,
            contract.version,
            self.object.name,
            tuple(_numbered(self.rules)),
            self.types,
            self.columns,
            tuple(self.unrun),
        )

    def add(
        self, field: str, kind: str, value: Any = None, severity: Severity = "error", tolerance: Tolerance | None = None
    ) -> None:
        if tolerance is not None and tolerance.none_allowed:
            tolerance = None
        self.rules.append(Rule(field, kind, value, severity, tolerance))
        if "." in field or "[]" in field:
            self.unrun.append(
                Unrun(field, kind, Said("unrun.nested", "nested values are asked in messages only"), "tables")
            )

    def not_run(self, field: str, what: str, reason: str, where: Where = "everywhere") -> None:
        self.unrun.append(Unrun(field, what, reason, where))

    # --- what the schema says ---

    def property(self, path: str, one: Property) -> None:
        if one.required or one.primary_key:
            self.add(path, "required")
        self.type(path, one)
        if one.unique and "[]" not in path and "." not in path:
            self.add(path, "unique", [path])
        elif one.unique:
            self.not_run(path, "unique", Said("unrun.unique_inside", "uniqueness is asked of top-level fields only"))
        if one.codelist:
            self.add(path, "codes", {"list": one.codelist, "version": one.codelist_version})
        for quality in one.quality:
            self.quality(path, one, quality)
        if one.document.get("relationships"):
            self.not_run(
                path, "relationships", Said("unrun.references", "references into other schema objects are not followed")
            )

    def type(self, path: str, one: Property) -> None:
        kind, options = one.logical_type, dict(one.options)
        written = str(options.pop("format", "") or "")
        if kind in ("date", "timestamp", "time") and written and written not in _ISO_FORMATS:
            self.not_run(
                path,
                "type",
                Said(
                    "unrun.date_form",
                    "dates written as {form} are not read; canonical records carry ISO dates",
                    form=written,
                ),
            )
            options.clear()
        elif kind is not None:
            self.add(path, "type", kind)
        if kind == "string" and written == "uuid":
            self.add(path, "pattern", _UUID)
        elif kind == "string" and written:
            self.not_run(
                path,
                f"format {written}",
                Said("unrun.format", "engines judge this format differently; write a pattern"),
            )
        elif kind == "integer" and written in _BITS:
            self.bits(path, *_BITS[written])
        for name, value in options.items():
            self.option(path, kind, name, value)

    def bits(self, path: str, sign: str, bits: int) -> None:
        low, high = (0, 2**bits - 1) if sign == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if sign == "u":
            self.add(path, "minimum", "0")
        if high <= LARGEST_INTEGER:
            self.add(path, "maximum", str(high))
            if sign == "i":
                self.add(path, "minimum", str(low))

    def option(self, path: str, kind: LogicalType | None, name: str, value: Any) -> None:
        if name in ("minLength", "maxLength") and kind == "string" and _whole(value):
            self.add(path, name, value)
        elif name == "pattern" and kind == "string" and isinstance(value, str):
            self.pattern(path, value, "error", None)
        elif name in _RANGES and kind in _ORDERED:
            self.range(path, kind, name, value)
        elif name == "multipleOf" and kind in ("integer", "number"):
            if kind == "integer" and _whole(value) and 0 < value <= LARGEST_INTEGER:
                self.add(path, "multipleOf", value)
            else:
                self.not_run(
                    path,
                    name,
                    Said(
                        "unrun.multiples",
                        "multiples are asked of whole numbers by whole numbers only: doubles have no exact ones",
                    ),
                )
        elif name in ("timezone", "defaultTimezone"):
            if name == "defaultTimezone" and value not in ("Etc/UTC", "UTC", "Z"):
                self.not_run(path, name, Said("unrun.zone", "timestamps without a zone are read as UTC"))
        else:
            self.not_run(
                path,
                name,
                Said(
                    "unrun.structure",
                    "it is asked of messages' structure nowhere; describe it by the nested properties",
                ),
            )

    def range(self, path: str, kind: LogicalType, name: str, value: Any) -> None:
        text = number_text(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
        if not bound_fits(kind, text):
            self.not_run(path, name, Said("unrun.bound", "its bound is no {type}", type=kind))
            return
        self.add(path, name, text)

    def pattern(self, path: str, text: str, severity: Severity, tolerance: Tolerance | None) -> None:
        try:
            written = contract_patterns.read(text).written
        except contract_patterns.PatternUnusable as problem:
            self.not_run(
                path, "pattern", Said("unrun.dialect", "outside the closed dialect: {problem}", problem=str(problem))
            )
            return
        self.add(path, "pattern", written, severity, tolerance)

    def keys(self) -> None:
        names = [p.name for p in self.object.keys]
        if names:
            self.add(", ".join(names), "primaryKey", names)

    # --- what the quality rules say ---

    def quality(self, path: str, one: Property | None, quality: Quality) -> None:
        if quality.type == "custom" and quality.engine == ENGINE:
            self.own(path, quality)
        elif quality.type == "sql":
            self.not_run(
                path, quality.told, Said("unrun.sql", "type: sql: text of some engine's own, run by nobody here")
            )
        elif quality.type == "custom":
            self.not_run(
                path,
                quality.told,
                Said("unrun.engine", "type: custom: for {engine}", engine=quality.engine or "another engine"),
            )
        elif quality.type == "text":
            self.not_run(path, quality.told, Said("unrun.text", "type: text: words for people"))
        elif not quality.metric:
            self.not_run(path, quality.told, Said("unrun.no_metric", "no metric is named"))
        else:
            self.library(path, one, quality)

    def library(self, path: str, one: Property | None, quality: Quality) -> None:
        limit = quality.threshold
        threshold = (float(limit[0]), float(limit[1])) if isinstance(limit, list) else float(limit)
        if quality.unit not in ("rows", "percent"):
            self.not_run(
                path,
                quality.metric,
                Said("unrun.unit", "the unit {unit} is none of rows and percent", unit=quality.unit),
            )
            return
        tolerance, severity, metric = (
            Tolerance(quality.operator, threshold, quality.unit),
            quality.severity,
            quality.metric,
        )
        if metric == "rowCount":
            if one is not None:
                self.not_run(
                    path, metric, Said("unrun.rows_of_field", "rows are counted of a schema object, not of a property")
                )
            else:
                self.rules.append(Rule("", "rowCount", None, severity, tolerance))
        elif metric == "duplicateValues":
            names = [path] if one is not None else quality.arguments.get("properties")
            known = isinstance(names, list) and names and all(isinstance(n, str) and n in self.columns for n in names)
            if not known:
                self.not_run(
                    path,
                    metric,
                    Said("unrun.no_fields", "arguments.properties names no top-level fields of this object"),
                )
            else:
                assert isinstance(names, list)
                self.add(", ".join(names), "unique", names, severity, tolerance)
        elif one is None:
            self.not_run(path, metric, Said("unrun.of_a_field", "it is asked of a property, not of a schema object"))
        elif metric == "nullValues":
            self.add(path, "required", None, severity, tolerance)
        elif metric == "missingValues":
            values = _texts(quality.arguments.get("missingValues"))
            if values is None:
                self.not_run(
                    path,
                    metric,
                    Said(
                        "unrun.missing_values",
                        "arguments.missingValues is no list of texts, whole numbers, true, false or null",
                    ),
                )
            else:
                self.add(path, "missingValues", [v for v in values if v is not None], severity, tolerance)
        else:
            self.invalid(path, one, quality, tolerance)

    def invalid(self, path: str, one: Property, quality: Quality, tolerance: Tolerance) -> None:
        values, pattern = quality.arguments.get("validValues"), quality.arguments.get("pattern")
        if values is None and pattern is None:
            self.not_run(
                path, quality.metric, Said("unrun.nothing_valid", "arguments names neither validValues nor pattern")
            )
        if values is not None:
            texts = _texts(values)
            if texts is None or one.logical_type in ("number", "object", "array"):
                self.not_run(
                    path,
                    quality.metric,
                    Said("unrun.valid_values", "validValues are asked as texts, whole numbers, true and false only"),
                )
            else:
                self.add(path, "validValues", [v for v in texts if v is not None], quality.severity, tolerance)
        if pattern is not None:
            self.pattern(path, str(pattern), quality.severity, tolerance)

    def own(self, path: str, quality: Quality) -> None:
        """`engine: kerege`: rules between fields, `{rule: compare, left: a, operator: lessOrEqual, right: b}` or `{rule: requires, ...}`."""
        told = quality.document.get("implementation")
        spec = told if isinstance(told, Mapping) else {}
        left, right = spec.get("left") or path, spec.get("right")
        names = (left, right)
        if not all(isinstance(n, str) and n in self.types and "[]" not in n for n in names):
            self.not_run(
                path, quality.told, Said("unrun.not_two_fields", "left and right are not two fields of this object")
            )
        elif spec.get("rule") == "requires":
            self.add(str(left), "requires", {"other": right}, quality.severity)
        elif spec.get("rule") == "compare" and spec.get("operator") in COMPARISONS:
            problem = self.comparable(str(left), str(right), str(spec["operator"]))
            if problem:
                self.not_run(path, quality.told, problem)
            else:
                value = {"operator": spec["operator"], "other": right}
                self.add(str(left), "compare", value, quality.severity)
        else:
            self.not_run(
                path,
                quality.told,
                Said(
                    "unrun.own_rule",
                    "rule is compare (with operator {known}) or requires",
                    known=", ".join(COMPARISONS),
                ),
            )

    def comparable(self, left: str, right: str, operator: str) -> str:
        kinds = {self.types[left], self.types[right]}
        if kinds <= {"integer", "number"} and None not in kinds:
            return ""
        if len(kinds) > 1 or not kinds <= {"string", "date", "time", "timestamp"}:
            return Said("unrun.two_types", "the two fields are not of one comparable type")
        if kinds == {"string"} and operator not in ("equal", "notEqual"):
            return Said("unrun.text_order", "texts are compared for equality only: engines sort them differently")
        return ""

    def freshness(self) -> None:
        """slaProperties `freshness` and `latency` with an element `object.property`."""
        for level in self.levels:
            if level.property not in ("freshness", "latency", "ly"):
                continue
            for element in level.element.split(","):
                name, _, field = element.strip().partition(".")
                if name != self.object.name:
                    continue
                seconds = _seconds(level.value, level.unit)
                if field not in self.columns or self.types.get(field) not in ("date", "timestamp") or seconds is None:
                    reason = Said(
                        "unrun.freshness",
                        "its element is no top-level date or timestamp, or its value and unit (d, h, m, s) are no duration",
                    )
                    self.not_run(field, level.property, reason)
                else:
                    self.rules.append(Rule(field, "freshness", seconds, "error", Tolerance("mustBe", 0.0)))


_ISO_FORMATS: Final = frozenset(
    {"yyyy-MM-dd", "yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-ddTHH:mm:ss", "yyyy-MM-ddTHH:mm:ssZ", "yyyy-MM-dd HH:mm:ssZ",
     "HH:mm:ss", "date", "date-time", "time"}
)  # fmt: skip


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _texts(values: Any) -> list[str | None] | None:
    """Scalars in their text form, or None when one has none that every engine shares."""
    if values is None:
        return []
    if (
        not isinstance(values, list)
        or len(values) > MOST_VALUES
        or any(isinstance(v, float | list | Mapping) for v in values)
    ):
        return None
    return [None if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in values]


def _seconds(value: Any, unit: str) -> int | None:
    scale = {"d": 86_400, "day": 86_400, "days": 86_400, "h": 3_600, "hour": 3_600, "hours": 3_600, "m": 60, "min": 60, "minutes": 60,
             "s": 1, "seconds": 1}.get(unit.lower())  # fmt: skip
    if scale is None or isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    return round(value * scale)


def _numbered(rules: Sequence[Rule]) -> Iterator[Rule]:
    """Without repetitions, and each of one field and kind under a number of its own."""
    seen: dict[tuple[str, str], list[tuple[Any, Tolerance | None]]] = {}
    for rule in rules:
        said = seen.setdefault((rule.field, rule.kind), [])
        if (rule.value, rule.tolerance) in said:
            continue
        said.append((rule.value, rule.tolerance))
        yield Rule(rule.field, rule.kind, rule.value, rule.severity, rule.tolerance, len(said) - 1)
