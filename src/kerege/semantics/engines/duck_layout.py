"""The columns of a mapping in DuckDB: which operator becomes which column of the query, and what runs before the pass.

Plain operators and patterns are SQL (`sql`, `engines.duck_patterns`); lists are constants that a value's code points into, or joined; grammars, and
patterns that are too large for DuckDB, run once per different value; operators over values by code run on the constants. `engines.duck_columns`
lays out the query's text; `engines.emit_duckdb` adds problems and runs it.
"""

# ruff: noqa: S608  every name and text that goes into SQL here is quoted by `sql`; there is no other way to write SQL for any table

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kerege.semantics.engines import duck_words as sql
from kerege.semantics.engines.duck_columns import Coded, Columns
from kerege.semantics.engines.duck_patterns import PatternColumns, readable
from kerege.semantics.errors import TableInvalid
from kerege.semantics.mappings import ir, problems
from kerege.semantics.mappings.dated import require_plain
from kerege.semantics.mappings.documents import Mapping
from kerege.semantics.mappings.operators import Lists, Uncounted, function_of, lookup_table

if TYPE_CHECKING:
    import duckdb

RUNS: Final[itertools.count[int]] = itertools.count(1)
_FEW: Final = 500  # different values of a cell that is worked out by value and not by row


class Layout:
    """The columns of one run over one table. After `lay_out`, `column` answers where a node's value stands.

    long   cell -> the condition that it is too long
    told   node -> the condition of its problem, where that is not "input there, no value"
    """

    def __init__(self, mapping: Mapping, pack: Lists, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        self.mapping, self.pack = mapping, pack
        self.con, self.relation = connection, relation
        self.columns = Columns(connection, f"kerege_{next(RUNS)}")
        self.patterns = PatternColumns(self.columns)
        self.targets = {f.name: f.expr for f in self.mapping.fields}
        self.names: dict[ir.Expr, str] = {}
        self.coded: dict[ir.Expr, Coded] = {}
        self.long: dict[str, str] = {}
        self.told: dict[ir.Expr, str] = {}
        self.parsed: Counter[str] = Counter()

    def lay_out(self) -> None:
        """All columns, with one look at the table for each round of grammars."""
        self._source()
        waiting = list(
            dict.fromkeys(
                node for f in self.mapping.fields for node in _bottom_up(f.expr) if not isinstance(node, ir.Target)
            )
        )
        while waiting:  # everything that can be laid out, then the grammars that are due, in one look at the table
            due: list[ir.Expr] = []
            for node in waiting:
                if node not in self.names and all(self._node_of(child) in self.names for child in node.inputs()):
                    self._node(node, due)
            self._grammars(due)
            waiting = [node for node in waiting if node not in self.names]

    # --- columns ------------------------------------------------------------------------------------------------------------------

    def _source(self) -> None:
        """The cells as columns: blank is null, too long is null and marked."""
        import duckdb

        try:
            described = self.con.execute(f"SELECT * FROM {sql.identifier(self.relation)} LIMIT 0").description or []
        except duckdb.Error as error:
            raise TableInvalid(table=self.relation, mapping=self.mapping.id, reason="there is no such table") from error
        types = {column[0]: str(column[1]) for column in described}
        missing = [cell for cell in self.mapping.cells if cell not in types]
        if missing:
            reason = f"columns missing: {', '.join(missing)}"
            raise TableInvalid(table=self.relation, mapping=self.mapping.id, reason=reason)
        self.columns.relation = self.relation
        limit = self.mapping.cell_limit
        for cell in self.mapping.cells:
            name = sql.quoted(cell)
            raw = self.columns.cell(name if types[cell] == "VARCHAR" else f"CAST({name} AS VARCHAR)")
            # bytes are counted first: no text has more characters than bytes
            long = self.long[cell] = f"strlen({raw}) > {limit} AND length({raw}) > {limit}"
            plain = f"strlen({raw}) <= {limit} AND {sql.visible(raw)}"
            there = f"CASE WHEN {plain} THEN {raw} WHEN ({long}) OR {sql.blank(raw)} THEN NULL ELSE {raw} END"
            self.names[ir.Field(cell)] = self.columns.define(there, raw)
        self._repeated()

    def _repeated(self) -> None:
        """Cells of few different values, by a look at the first rows: everything over them is worked out on those values alone."""
        fields = [ir.Field(cell) for cell in self.mapping.cells]
        columns = [self.names[field_] for field_ in fields]
        few = [n for n, count in enumerate(self.columns.look(columns)) if 0 < count <= _FEW]
        for n, found in zip(few, self.columns.distinct([columns[n] for n in few]), strict=True):
            if self.columns.fits(found):
                code = self.columns.complete(columns[n], self.columns.code(columns[n], found))
                self.coded[fields[n]] = Coded(code, tuple(found), (None,) * len(found))

    def column(self, expr: ir.Expr) -> str:
        """The column of a node that was laid out."""
        return self.names[self._node_of(expr)]

    def _node_of(self, expr: ir.Expr) -> ir.Expr:
        while isinstance(expr, ir.Target):
            expr = self.targets[expr.field]
        return expr

    def _node(self, node: ir.Expr, due: list[ir.Expr]) -> None:
        inputs = [self._node_of(child) for child in node.inputs()]
        of = self.names[inputs[0]] if inputs else ""
        coded = self.coded.get(inputs[0]) if len(inputs) == 1 else None
        if isinstance(node, ir.Recode) and coded is not None:
            self._recoded(node, of, coded)
        elif isinstance(node, ir.Recode) or (isinstance(node, ir.Lookup | ir.Member) and coded is None):
            self._listed(node, of)
        elif coded is not None and not isinstance(node, ir.Concat | ir.Coalesce | ir.When | ir.Together):
            self._on_constants(node, coded)
        elif isinstance(node, ir.Extract) and readable(node.pattern):
            self.names[node], self.told[node] = self.patterns.part(node, of)
        elif isinstance(node, ir.Extract) or not node.laws.sql:
            due.append(node)
        else:
            let, reads = self.columns.let(*(self.names[child] for child in inputs))
            text = self._expression(node, of, let)
            self.names[node] = self.columns.define(text, *reads)

    def _expression(self, node: ir.Expr, of: str, let: sql.Let) -> str:
        if isinstance(node, ir.Const):
            return sql.literal(node.text) if node.text else "CAST(NULL AS VARCHAR)"
        if isinstance(node, ir.Concat):
            return f"nullif(concat_ws({sql.literal(node.separator)}, {', '.join(map(self.column, node.parts))}), '')"
        if isinstance(node, ir.Together):
            first, *rest = map(self.column, node.parts)
            bare = (f"coalesce(replace(replace({column}, chr(31), ''), chr(30), ''), chr(30))" for column in rest)
            return f"CASE WHEN {first} IS NOT NULL THEN concat_ws(chr(31), {', '.join([first, *bare])}) END"
        if isinstance(node, ir.Coalesce):
            return f"coalesce({', '.join(map(self.column, node.parts))}, NULL)"
        if isinstance(node, ir.When):
            other = self.column(node.otherwise) if node.otherwise is not None else "NULL"
            return f"CASE WHEN {self.condition(node)} THEN {self.column(node.then)} ELSE {other} END"
        written = sql.one_input(node, of, let)
        assert written is not None, f"{node.name} has no SQL"
        return written

    def condition(self, node: ir.When) -> str:
        """Whether the first branch is taken; never null."""
        test = self.column(node.test)
        if not node.values:
            return f"{test} IS NOT NULL"
        return f"coalesce({test} IN ({', '.join(map(sql.literal, node.values))}), false)"

    # --- lists and grammars -------------------------------------------------------------------------------------------------------

    def _recoded(self, node: ir.Recode, of: str, coded: Coded) -> None:
        """A crosswalk over values by code. What is unmapped is counted after the pass, so not here."""
        crosswalk = require_plain(self.pack.crosswalk(node.crosswalk))
        found = [crosswalk.table.get(crosswalk.key(text)) if text is not None else None for text in coded.values]
        missed = [text is not None and target is None for text, target in zip(coded.values, found, strict=True)]
        given = [
            crosswalk.policy.value(text or "") if gone else target
            for text, target, gone in zip(coded.values, found, missed, strict=True)
        ]
        self._coded(
            node, Coded(coded.code, tuple(given), tuple(problems.UNMAPPED if gone else None for gone in missed))
        )

    def _listed(self, node: ir.Recode | ir.Lookup | ir.Member, of: str) -> None:
        """A crosswalk or code list: constants that the value's code points into, or a join."""
        folded = False
        if isinstance(node, ir.Recode):
            crosswalk = require_plain(self.pack.crosswalk(node.crosswalk))
            table, folded = dict(crosswalk.table), crosswalk.match == "folded"
        elif isinstance(node, ir.Lookup):
            table, folded = lookup_table(node, self.pack), node.by == "wording"
        else:
            table = {concept.notation: concept.notation for concept in self.pack.codelist(node.codelist)}
        key = self.columns.define(sql.fold(of), of) if folded else of
        keys, values = list(table), list(table.values())
        if self.columns.fits(keys, values):
            code = self.columns.code(key, keys)
            value, missed = self.columns.at(code, values), f"({of} IS NOT NULL AND {code} IS NULL)"
        else:
            value, _, found = self.columns.side(key, key, keys, values, [None] * len(keys))
            missed = f"({of} IS NOT NULL AND {found} IS NULL)"
        if isinstance(node, ir.Recode):
            policy = self.pack.crosswalk(node.crosswalk).policy
            otherwise = (
                of if policy.kind == "pass-and-flag" else sql.literal(policy.default) if policy.default else "NULL"
            )
            if otherwise != "NULL":
                value = self.columns.define(f"CASE WHEN {missed} THEN {otherwise} ELSE {value} END", of, value)
        self.names[node], self.told[node] = value, missed

    def _grammars(self, due: list[ir.Expr]) -> None:
        """Run grammars over the different values of their inputs, before the pass."""
        inputs = {node: self.column(next(iter(node.inputs()))) for node in due}
        columns = list(dict.fromkeys(inputs.values()))
        different = dict(zip(columns, self.columns.distinct(columns), strict=True))
        for node in due:
            of, found = inputs[node], different[inputs[node]]
            values, issues = self._outcomes(node, found)
            self.parsed[node.name] += len(found)
            if self.columns.fits(found, values):
                code = self.columns.complete(of, self.columns.code(of, found))
                self._coded(node, Coded(code, values, issues))
                continue
            value, issue, _ = self.columns.side(of, of, found, values, issues)
            self.names[node] = value
            self.told[node] = f"({issue} IS NOT NULL)" if any(issues) else "false"

    def _on_constants(self, node: ir.Expr, coded: Coded) -> None:
        """An operator over values by code: over the few constants instead of the rows."""
        there = [value for value in coded.values if value is not None]
        done = dict(zip(there, zip(*self._outcomes(node, there), strict=True), strict=True)) if there else {}
        pairs = [(None, None) if value is None else done[value] for value in coded.values]
        self._coded(node, Coded(coded.code, tuple(v for v, _ in pairs), tuple(i for _, i in pairs)))

    def _outcomes(self, node: ir.Expr, texts: list[str]) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
        function = function_of(node, Uncounted(self.pack))  # what is unmapped is counted after the pass, by rows
        outcomes = [function(text) for text in texts]
        return tuple(value for value, _ in outcomes), tuple(
            issue[0] if issue is not None else None for _, issue in outcomes
        )

    def _coded(self, node: ir.Expr, coded: Coded) -> None:
        self.coded[node] = coded
        self.names[node] = self.columns.at(coded.code, coded.values)
        told = self.columns.at(coded.code, coded.issues) if any(coded.issues) else None
        self.told[node] = f"({told} IS NOT NULL)" if told else "false"


def _bottom_up(expr: ir.Expr) -> Iterator[ir.Expr]:
    for child in expr.inputs():
        yield from _bottom_up(child)
    yield expr
