"""Compile a mapping to one Python function of one record: generated source, no interpretation of the tree at run time.

The function reads each source cell once, then computes the canonical fields in order, straight-line code with an `if` only where an
operator asks for one. What the operators compute is `operators`; this module only strings them together. `engines.emit_duckdb` must give the same
values and the same problems in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kerege.semantics.mappings import ir, problems
from kerege.semantics.mappings.dated import together
from kerege.semantics.mappings.documents import Mapping as FieldMapping
from kerege.semantics.mappings.operators import Lists, function_of, plain_of, reader_of
from kerege.semantics.mappings.problems import Problem, Verdict, verdict_of
from kerege.semantics.normalise.folding import WHITESPACE


@dataclass(frozen=True, slots=True)
class Mapped:
    """One record translated: canonical values, what was wrong, and what follows for the record."""

    values: dict[str, str | None]
    problems: tuple[Problem, ...]
    verdict: Verdict


Mapper = Callable[[Mapping[str, str | None]], Mapped]
_RECORD: Final = "record"


def compile_record(mapping: FieldMapping, pack: Lists) -> Mapper:
    """One function that takes a record (cell name to text or None) and answers its `Mapped`."""
    source, names = _Writer(mapping, pack).write()
    namespace: dict[str, Any] = dict(names)
    exec(compile(source, f"<mapping {mapping.id}>", "exec"), namespace)  # noqa: S102 - our own text, built from closed operators
    mapper: Mapper = namespace["mapper"]
    return mapper


def source_of(mapping: FieldMapping, pack: Lists) -> str:
    """The generated source, for people who want to see what runs."""
    return _Writer(mapping, pack).write()[0]


class _Writer:
    """Writes the function: every helper it calls is bound to a short name in the function's globals."""

    def __init__(self, mapping: FieldMapping, pack: Lists) -> None:
        self.mapping, self.pack = mapping, pack
        self.lines: list[str] = []
        self.bound: dict[str, Any] = {
            "Mapped": Mapped,
            "Problem": Problem,
            "verdict_of": verdict_of,
            "WS": WHITESPACE,
            "NONE": (),
            "BLANK": (None, None),
            "EMPTY": {},
        }
        self.count = 0
        self.cells: dict[str, str] = {}
        self.target = ""
        # what has been computed where we are: an operator on the same input is not run twice, only its problem is told again
        self.scopes: list[dict[Any, tuple[str, str]]] = [{}]

    def write(self) -> tuple[str, dict[str, Any]]:
        out = self.lines
        for field in self.mapping.fields:
            for expr in field.expr.walk():
                if isinstance(expr, ir.Field):
                    self.cells.setdefault(expr.cell, f"s{len(self.cells)}")
        for cell, name in self.cells.items():
            out += [
                f"    {name} = get({cell!r}); {name}_long = False",
                f"    if {name}:",
                f"        if len({name}) > {self.mapping.cell_limit}: {name} = None; {name}_long = True",
                f"        elif {name}[0] in WS and not {name}.strip(WS): {name} = None",
                f"    else: {name} = None",
            ]
        self.slots = {field.name: f"t{n}" for n, field in enumerate(self.mapping.fields)}
        for field in self.mapping.fields:
            self.target = field.name
            value = self.emit(field.expr, "    ")
            out.append(f"    {self.slots[field.name]} = {value}")
            if field.required is not None:
                problem = self.bind(Problem(field.name, problems.REQUIRED, None, field.required))
                out.append(f"    if {self.slots[field.name]} is None: issues.append({problem})")
        pairs = ", ".join(f"{name!r}: {slot}" for name, slot in self.slots.items())
        head = ["def mapper(record):", "    get = record.get", "    issues = []"]
        tail = [
            f"    values = {{{pairs}}}",
            "    if not issues: return Mapped(values, NONE, 'ok')",
            "    return Mapped(values, tuple(issues), verdict_of(issues))",
        ]
        return "\n".join([*head, *out, *tail]) + "\n", self.bound

    def bind(self, thing: Any) -> str:
        self.count += 1
        name = f"g{self.count}"
        self.bound[name] = thing
        return name

    def fresh(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def emit(self, expr: ir.Expr, indent: str) -> str:
        """Write what computes `expr`; answers the name of the variable that holds it."""
        if isinstance(expr, ir.Field):
            return self.field(expr, indent)
        if isinstance(expr, ir.Target):
            return self.slots[expr.field]
        if isinstance(expr, ir.Const):
            return self.bind(expr.text or None)
        if isinstance(expr, ir.Concat):
            return self.concat(expr, indent)
        if isinstance(expr, ir.Coalesce):
            return self.coalesce(expr, indent)
        if isinstance(expr, ir.When):
            return self.when(expr, indent)
        if isinstance(expr, ir.Pin):
            return self.pin(expr, indent)
        if isinstance(expr, ir.Together):
            return self.together(expr, indent)
        return self.one_input(expr, indent)

    def field(self, expr: ir.Field, indent: str) -> str:
        name = self.cells[expr.cell]
        problem = self.bind(Problem(self.target, problems.TOO_LONG))
        self.lines.append(f"{indent}if {name}_long: issues.append({problem})")
        return name

    def one_input(self, expr: ir.Expr, indent: str) -> str:
        (of,) = expr.inputs()
        source = self.emit(of, indent)
        if isinstance(expr, ir.Extract):
            return self.extract(expr, source, indent)
        plain = plain_of(expr)
        done = self.done(expr)
        if plain is not None:
            if done is not None:
                return done[0]
            out, function = self.keep(expr), self.bind(plain)
            self.lines.append(f"{indent}{out} = ({function}({source}) or None) if {source} is not None else None")
            return out
        if done is not None and not isinstance(
            expr, ir.Recode | ir.RecodeAsOf
        ):  # those count each time they meet an unmapped code
            out, issue = done
        else:
            out = self.keep(expr)
            issue = f"{out}_issue"
            function = self.bind(function_of(expr, self.pack))
            self.lines.append(f"{indent}{out}, {issue} = {function}({source}) if {source} is not None else BLANK")
        self.lines.append(f"{indent}if {issue} is not None: issues.append(Problem({self.target!r}, *{issue}))")
        return out

    def extract(self, expr: ir.Extract, source: str, indent: str) -> str:
        """All parts of a text come from reading it once."""
        read = (expr.of, expr.pattern)
        done = self.done(read)
        if done is None:
            found, reader = self.keep(read), self.bind(reader_of(expr.pattern).read)
            self.lines.append(f"{indent}{found} = {reader}({source}) if {source} is not None else EMPTY")
        else:
            found = done[0]
        out = self.fresh()
        problem = self.bind(Problem(self.target, problems.PATTERN))
        self.lines += [
            f"{indent}if {found} is None: {out} = None; issues.append({problem})",
            f"{indent}else: {out} = {found}.get({expr.part!r})",
        ]
        return out

    def done(self, key: Any) -> tuple[str, str] | None:
        """The variables of what is computed already, here or around here."""
        return next((scope[key] for scope in reversed(self.scopes) if key in scope), None)

    def keep(self, key: Any) -> str:
        """A variable for what is computed now, to be found by `done` while it surely has been."""
        out = self.fresh()
        self.scopes[-1][key] = (out, f"{out}_issue")
        return out

    def branch(self, expr: ir.Expr, indent: str) -> str:
        """As `emit`, for code that may not run: what it computes is not there afterwards."""
        self.scopes.append({})
        value = self.emit(expr, indent)
        self.scopes.pop()
        return value

    def concat(self, expr: ir.Concat, indent: str) -> str:
        parts, out = [self.emit(part, indent) for part in expr.parts], self.fresh()
        listed = ", ".join(parts)
        self.lines.append(f"{indent}{out} = {expr.separator!r}.join([p for p in ({listed},) if p is not None]) or None")
        return out

    def together(self, expr: ir.Together, indent: str) -> str:
        parts = [self.emit(part, indent) for part in expr.parts]
        out, function = self.fresh(), self.bind(together)
        self.lines.append(f"{indent}{out} = {function}(({', '.join(parts)},))")
        return out

    def coalesce(self, expr: ir.Coalesce, indent: str) -> str:
        out = self.fresh()
        self.lines.append(f"{indent}{out} = None")
        for part in expr.parts:
            self.lines.append(f"{indent}if {out} is None:")
            value = self.branch(part, indent + "    ")
            self.lines.append(f"{indent}    {out} = {value}")
        return out

    def when(self, expr: ir.When, indent: str) -> str:
        test, out = self.emit(expr.test, indent), self.fresh()
        condition = f"{test} in {self.bind(frozenset(expr.values))}" if expr.values else f"{test} is not None"
        self.lines.append(f"{indent}if {condition}:")
        self.lines.append(f"{indent}    {out} = {self.branch(expr.then, indent + '    ')}")
        self.lines.append(f"{indent}else:")
        other = "None" if expr.otherwise is None else self.branch(expr.otherwise, indent + "    ")
        self.lines.append(f"{indent}    {out} = {other}")
        return out

    def pin(self, expr: ir.Pin, indent: str) -> str:
        """The number itself, then what it says against what the record says; only both known can contradict."""
        source, out = self.emit(expr.of, indent), self.fresh()
        birth = self.emit(expr.birth_date, indent) if expr.birth_date is not None else "None"
        sex = self.emit(expr.sex, indent) if expr.sex is not None else "None"
        function = self.bind(function_of(expr, self.pack))
        problem = self.bind(Problem(self.target, problems.PIN_CONTRADICTS))
        contradicts = self.bind(pin_contradicts)
        self.lines += [
            f"{indent}{out} = None",
            f"{indent}if {source} is not None:",
            f"{indent}    {out}, issue = {function}({source})",
            f"{indent}    if issue is not None: issues.append(Problem({self.target!r}, *issue))",
            f"{indent}    elif {contradicts}({out}, {birth}, {sex}): issues.append({problem})",
        ]
        return out


def pin_contradicts(pin: str, birth_date: str | None, sex: str | None) -> bool:
    """Whether the date or sex inside a well-formed PIN differs from the record's ISO date or ISO 5218 sex; `0` and `9` say nothing."""
    if birth_date is not None and f"{pin[5:9]}-{pin[3:5]}-{pin[1:3]}" != birth_date:
        return True
    return sex in ("1", "2") and pin[0] == sex  # digit 2 male, ISO 1 male: equal digits are opposite sexes
