"""A contract's rules as SQL over a table, for DuckDB and PostgreSQL: the same questions `contracts.message` asks of records, counted alike.

Every column is first brought into its text form, so that a typed table and a table of texts are judged by one definition; types are then the
written forms of `TYPE_PATTERNS`, patterns are spelled out for both engines' regular expressions, texts compare by code point. One pass counts every
rule; rules over many rows are queries of their own. Nothing of the contract stands in the text but quoted names, escaped literals
and patterns of the closed dialect. Running it is `catalogue.contracts.checks`.
"""

# ruff: noqa: S608 - names are quoted, literals escaped, everything else is our own text

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kerege.semantics.contracts.builder import rules_of
from kerege.semantics.contracts.contract import Contract
from kerege.semantics.contracts.message import Lists, codes_of, instant, no_lists
from kerege.semantics.contracts.rules import COMPARISONS, LARGEST_INTEGER, TYPE_PATTERNS, Rule, RuleSet, Unrun
from kerege.semantics.engines.duck_words import identifier, literal, quoted

Engine = Literal["duckdb", "postgresql"]
Kind = Literal["text", "integer", "float", "boolean", "date", "timestamp", "time", "other"]
_KINDS: Final[dict[Kind, tuple[str, ...]]] = {
    "text": ("varchar", "text", "character varying", "character", "bpchar", "char", "string", "uuid", "enum", "name"),
    "integer": ("tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint", "uhugeint", "int",
                "int2", "int4", "int8"),
    "float": ("double", "float", "real", "decimal", "numeric", "double precision", "float4", "float8"),
    "boolean": ("boolean", "bool"),
    "date": ("date",),
    "timestamp": ("timestamp", "timestamp with time zone", "timestamp without time zone", "timestamptz", "timestamp_s", "timestamp_ms",
                  "timestamp_ns", "datetime"),
    "time": ("time", "time without time zone"),
}  # fmt: skip
# logical type -> the kinds of column whose values may be of it
_CARRIED: Final[dict[str, tuple[Kind, ...]]] = {
    "string": ("text",), "integer": ("text", "integer", "float"), "number": ("text", "integer", "float"), "boolean": ("text", "boolean"),
    "date": ("text", "date"), "timestamp": ("text", "timestamp"), "time": ("text", "time"), "object": ("other",), "array": ("other",),
}  # fmt: skip
_BOUNDS: Final = {"minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
SOURCE: Final = "s"


def kind_of(database_type: str) -> Kind:
    """What a column of this declared type holds: `VARCHAR(20)`, `NUMERIC(10,2)`, `timestamp with time zone`."""
    bare = database_type.lower().partition("(")[0].strip()
    if database_type.lower().endswith("[]"):
        return "other"
    return next((kind for kind, names in _KINDS.items() if bare in names), "other")


@dataclass(frozen=True, slots=True)
class Counted:
    """A rule over many rows: `sql` gives one number, the rows that break it."""

    rule: Rule
    sql: str


@dataclass(frozen=True)
class SqlChecks:
    """The checks of one table. `sql` gives one row: the number of rows, then a count for each of `rules`."""

    engine: Engine
    relation: str
    sql: str
    rules: tuple[Rule, ...]
    counted: tuple[Counted, ...]
    freshness: tuple[Counted, ...]  # `sql` gives the newest instant in microseconds since 1970, or null
    missing_columns: tuple[str, ...]
    unrun: tuple[Unrun, ...]
    _rows: str
    _first: str

    @property
    def first_rows(self) -> str:
        """A query for one row: for each of `rules` the smallest value of `row` among the rows that break it, or null."""
        return self._first

    @property
    def kept_rows(self) -> str:
        """A query for the rows that keep every rule without tolerance, their columns as they are."""
        return self._rows.removesuffix("WHERE _breaches <> ''") + "WHERE _breaches = ''"

    @property
    def broken_rows(self) -> str:
        """A query for the rows that break a rule without tolerance: the table's columns as they are, last `_breaches`, the rules' names."""
        return self._rows


def sql_checks(
    contract: Contract,
    engine: Engine,
    relation: str,
    columns: Mapping[str, str],
    lists: Lists = no_lists,
    object_name: str = "",
) -> SqlChecks:
    """The contract compiled for a table. `columns`: its columns with their declared types. Raises ContractUnrunnable."""
    return compile_sql(rules_of(contract, object_name), engine, relation, columns, lists)


def compile_sql(
    rules: RuleSet, engine: Engine, relation: str, columns: Mapping[str, str], lists: Lists = no_lists, row: str = ""
) -> SqlChecks:
    """The rules compiled for a table; see `sql_checks`. `row`: a column of the relation that numbers the source's rows, for `first_rows`."""
    return _Writer(rules, engine, relation, columns, lists, row).written()


class _Writer:
    def __init__(
        self, rules: RuleSet, engine: Engine, relation: str, columns: Mapping[str, str], lists: Lists, row: str
    ) -> None:
        self.row = row
        self.rules, self.engine, self.relation = rules, engine, relation
        self.codes = codes_of(rules, lists)
        by_name = {name.casefold(): name for name in columns}
        self.place = {field: n for n, field in enumerate(rules.columns)}
        self.at = {field: by_name.get(column.casefold()) for field, column in rules.columns.items()}
        self.kinds: dict[str, Kind] = {
            field: "text" if name is None else kind_of(columns[name]) for field, name in self.at.items()
        }
        self.unrun = list(rules.unrun)
        self.names, self.declared = tuple(columns), dict(columns)

    def written(self) -> SqlChecks:
        one = [r for r in self.rules.rules if self.of_row(r)]
        counts = ", ".join(f"count(*) FILTER (WHERE {self.breaks(r)}) AS {quoted(f'c{n}')}" for n, r in enumerate(one))
        sql = f"{self.base()} SELECT count(*) AS {quoted('rows')}{', ' + counts if counts else ''} FROM k"
        many = [r for r in self.rules.rules if r.kind in ("unique", "primaryKey")]
        fresh = [r for r in self.rules.rules if r.kind == "freshness"]
        return SqlChecks(
            self.engine, self.relation, sql, tuple(one), tuple(Counted(r, self.shared(r)) for r in many),
            tuple(Counted(r, self.newest(r)) for r in fresh), tuple(f for f, name in self.at.items() if name is None),
            tuple(self.unrun), self.broken(one, many), self.first(one),
        )  # fmt: skip

    def of_row(self, rule: Rule) -> bool:
        if rule.kind in ("unique", "primaryKey", "rowCount", "freshness"):
            return False
        return all(name in self.place for name in rule.fields)

    # --- columns ---

    def v(self, field: str) -> str:
        return f"v{self.place[field]}"

    def ok(self, field: str) -> str:
        return f"k{self.place[field]}"

    def base(self, *, rows: bool = False, numbered: bool = False) -> str:
        """`s`: the table with each column's text form; `k`: with whether it is of its type."""
        whole = "".join(f"{SOURCE}.{quoted(name)} AS r{n}, " for n, name in enumerate(self.names)) if rows else ""
        whole += f"{SOURCE}.{quoted(self.row)} AS n, " if numbered else ""
        texts = [f"{self.text(field)} AS {self.v(field)}" for field in self.place]
        fits = [f"{self.fits(field)} AS {self.ok(field)}" for field in self.place]
        source = f"SELECT {whole}{', '.join(texts) or '1 AS none'} FROM {identifier(self.relation)} AS {SOURCE}"
        return f"WITH t AS ({source}), k AS (SELECT *{', ' if fits else ''}{', '.join(fits)} FROM t)"

    def text(self, field: str) -> str:
        name, kind = self.at[field], self.kinds[field]
        text = "VARCHAR" if self.engine == "duckdb" else "text"
        if name is None:
            return f"CAST(NULL AS {text})"
        x = f"{SOURCE}.{quoted(name)}"
        if kind == "float":
            whole = f"CAST(CAST({x} AS BIGINT) AS {text})"
            return f"CASE WHEN {x} = floor({x}) AND abs({x}) <= {LARGEST_INTEGER} THEN {whole} ELSE CAST({x} AS {text}) END"
        if self.declared[name].lower() == "timestamp_ns":  # written with nine digits, which no other has
            x = f"CAST({x} AS TIMESTAMP)"
        return f"CAST({x} AS {text})"

    def fits(self, field: str) -> str:
        """Whether the value, if there is one, is of its logical type; never null."""
        logical, kind, v = self.rules.types[field], self.kinds[field], self.v(field)
        if logical is None or not any(r.kind == "type" for r in self.rules.for_field(field)):
            return "true"
        if kind not in _CARRIED[logical]:
            return f"({v} IS NULL)"
        if logical not in TYPE_PATTERNS:
            return "true"
        if kind == "float" and logical == "number":
            x = self.double(field)
            return f"({v} IS NULL OR abs({x}) <= 1.7976931348623157e308)"
        if kind == "integer" and logical == "number":
            return "true"
        return f"({v} IS NULL OR {self.matches(v, TYPE_PATTERNS[logical])})"

    def double(self, field: str) -> str:
        return f"CAST({self.v(field)} AS {'DOUBLE' if self.engine == 'duckdb' else 'double precision'})"

    def matches(self, v: str, pattern: str) -> str:
        return f"regexp_matches({v}, {literal(pattern)})" if self.engine == "duckdb" else f"({v} ~ {literal(pattern)})"

    # --- one row ---

    def breaks(self, rule: Rule) -> str:
        """The condition that a row breaks the rule; never null."""
        v, kind = self.v(rule.field), rule.kind
        if kind == "required":
            return f"{v} IS NULL"
        if kind == "type":
            return f"NOT {self.ok(rule.field)}"
        if kind == "requires":
            return f"{v} IS NOT NULL AND {self.v(str(rule.value['other']))} IS NULL"
        if kind == "missingValues":
            among = self.among(v, rule.value)
            return f"({v} IS NULL OR ({self.ok(rule.field)} AND {among}))"
        if kind == "compare":
            other = str(rule.value["other"])
            sure = f"{v} IS NOT NULL AND {self.v(other)} IS NOT NULL AND {self.ok(rule.field)} AND {self.ok(other)}"
            sign = COMPARISONS[rule.value["operator"]]
            return self.guarded(sure, f"{self.ordered(rule.field)} {sign} {self.ordered(other)}")
        return self.guarded(f"{v} IS NOT NULL AND {self.ok(rule.field)}", self.kept(rule, v))

    def guarded(self, sure: str, kept: str) -> str:
        """CASE keeps an engine from computing on a value that is not of its type."""
        return f"(CASE WHEN {sure} THEN NOT ({kept}) ELSE false END)"

    def kept(self, rule: Rule, v: str) -> str:
        kind, value = rule.kind, rule.value
        if kind in ("minLength", "maxLength"):
            return f"length({v}) {'>=' if kind == 'minLength' else '<='} {int(value)}"
        if kind == "pattern":
            return self.matches(v, value)
        if kind == "codes":
            return self.among(v, sorted(self.codes[value["list"]]))
        if kind == "validValues":
            return self.among(v, value)
        if kind == "multipleOf":
            return f"CAST({v} AS BIGINT) % {int(value)} = 0"
        return f"{self.ordered(rule.field)} {_BOUNDS[kind]} {self.bound(rule)}"

    def among(self, v: str, values: Sequence[str]) -> str:
        return f"{v} IN ({', '.join(map(literal, values))})" if values else "false"

    def bound(self, rule: Rule) -> str:
        logical = self.rules.types[rule.field]
        if logical in ("integer", "number"):
            double = "DOUBLE" if self.engine == "duckdb" else "double precision"
            return f"CAST({literal(repr(float(rule.value)))} AS {double})"
        return str(instant(rule.value)) if logical == "timestamp" else literal(rule.value)

    def ordered(self, field: str) -> str:
        logical, v = self.rules.types[field], self.v(field)
        if logical in ("integer", "number"):
            return self.double(field)
        if logical == "timestamp":
            return self.instant(v)
        return v if self.engine == "duckdb" else f'({v} COLLATE "C")'

    def instant(self, v: str) -> str:
        """Microseconds since 1970 UTC of a timestamp's text; zones by arithmetic, because engines cast them differently."""
        second = f"CAST(replace(left({v}, 19), 'T', ' ') AS TIMESTAMP)"
        whole = (
            f"epoch_us({second})"
            if self.engine == "duckdb"
            else f"CAST(extract(epoch FROM {second}) * 1000000 AS bigint)"
        )
        rest = f"substr({v}, 20)"
        fraction = f"regexp_replace({rest}, '[Z+-].*$', '')"
        zone = f"substr({v}, 20 + length({fraction}))"
        micros = f"CAST(rpad(substr({fraction}, 2), 6, '0') AS BIGINT)"
        minutes = f"(CAST(substr({zone}, 2, 2) AS BIGINT) * 60 + CAST(coalesce(nullif(substr({zone}, 5, 2), ''), '0') AS BIGINT))"
        signed = f"CASE left({zone}, 1) WHEN '+' THEN {minutes} WHEN '-' THEN -{minutes} ELSE 0 END"
        return f"({whole} + {micros} - 60000000 * ({signed}))"

    def first(self, rules: Sequence[Rule]) -> str:
        if not self.row or not rules:
            return ""
        asked = ", ".join(f"min(CASE WHEN {self.breaks(r)} THEN n END)" for r in rules)
        return f"{self.base(numbered=True)} SELECT {asked} FROM k"

    # --- many rows ---

    def shared(self, rule: Rule) -> str:
        names = [self.v(name) for name in rule.value]
        there = " AND ".join(f"{name} IS NOT NULL" for name in names)
        groups = f"SELECT count(*) AS n FROM t WHERE {there} GROUP BY {', '.join(names)} HAVING count(*) > 1"
        return f"{self.base()} SELECT coalesce(sum(n), 0) FROM ({groups}) AS g"

    def newest(self, rule: Rule) -> str:
        v = self.v(rule.field)
        if self.rules.types[rule.field] == "date":
            moment = self.instant(f"({v} || ' 00:00:00')")
        else:
            moment = self.instant(v)
        return f"{self.base()} SELECT max(CASE WHEN {v} IS NOT NULL AND {self.ok(rule.field)} THEN {moment} END) FROM k"

    def broken(self, one: Sequence[Rule], many: Sequence[Rule]) -> str:
        told = []
        for rule in one:
            if rule.tolerance is None:
                told.append(f"CASE WHEN {self.breaks(rule)} THEN {literal(f'{rule.field} {rule.name}')} END")
        for rule in many:
            if rule.tolerance is None:
                names = [self.v(name) for name in rule.value]
                there = " AND ".join(f"{name} IS NOT NULL" for name in names)
                over = f"count(*) OVER (PARTITION BY {', '.join(names)}) > 1"
                told.append(f"CASE WHEN {there} AND {over} THEN {literal(f'{rule.field} {rule.name}')} END")
        if self.engine == "duckdb":
            named = f"concat_ws('; ', {', '.join(told)})" if told else "''"
        else:  # functions take a hundred arguments there
            named = f"array_to_string(ARRAY[{', '.join(told)}]::text[], '; ')"
        inner = f"SELECT k.*, {named} AS _breaches FROM k"
        kept = ", ".join(f"r{n} AS {quoted(name)}" for n, name in enumerate(self.names))
        return f"{self.base(rows=True)} SELECT {kept}, _breaches FROM ({inner}) AS b WHERE _breaches <> ''"
