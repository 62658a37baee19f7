"""What every table engine has to do for a mapping, said once: in which order columns can be computed, and which problems may be raised when.

`engines.emit_polars`, `engines.emit_postgres` and `engines.emit_spark` write this plan in their engine's words; the words are all they bring.
Conditions are symbols over the mapping's nodes, so the order of problems, the guards of branches not taken and the crosswalks' counters cannot
differ between engines by a slip of one emitter. `engines.emit_python` stays the law; `celldiff` holds every engine to it.

An operator an engine has no words for runs through a side table: Python once per distinct value (docs/decisions/0013). A new operator of
`ir` therefore works on every engine at once, and natively when its words are added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kerege.semantics.mappings import ir, problems
from kerege.semantics.mappings.documents import Mapping
from kerege.semantics.mappings.operators import Function, Lists, Outcome, Uncounted, check_lists, function_of, reader_of
from kerege.semantics.mappings.problems import Severity, Verdict
from kerege.semantics.patterns.pattern import Pattern

# What the failure of an operator that runs natively is called: input there, no value out.
FAILURES: Final[dict[type[ir.Expr], str]] = {
    ir.ParseDate: problems.DATE,
    ir.Number: problems.NUMBER,
    ir.Code: problems.CODE,
    ir.Pin: problems.PIN_MALFORMED,
    ir.Lookup: problems.NOT_IN_LIST,
    ir.Member: problems.NOT_IN_LIST,
}
VERDICTS: Final[tuple[Verdict, ...]] = ("ok", "flagged", "quarantined", "rejected")  # by the heaviest problem's rank
RANKS: Final[dict[Severity, int]] = {"flag": 1, "quarantine": 2, "reject": 3}
Test = Literal["null", "there", "too long", "missed", "told", "unread", "contradicts", "holds", "fails"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is true or false of a row, never null.

    null, there       the node's value is null, or is not
    too long          the field's cell is beyond the mapping's limit
    missed            the recode's code is not in its crosswalk (and is not null)
    told              the side table of the node names a problem for its input
    unread            there is a text and no line of the extract's pattern reads it, where patterns run natively
    contradicts       the PIN is there and at odds with the record's birth date or sex
    holds, fails      the test of a `when`
    """

    test: Test
    node: ir.Expr


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem a field may have: it is raised when all of `when` hold.

    code      None: the code, source code and severity are those of the side table of the last condition's node
    source    the node whose value, shortened, is the problem's source code (and, whole, what `crosswalk` counts)
    crosswalk the crosswalk whose counter this counts for
    """

    field: str
    when: tuple[Condition, ...]
    code: str | None
    severity: Severity = "flag"
    source: ir.Expr | None = None
    crosswalk: str | None = None


Way = Literal["native", "list", "side"]
Native = Callable[[ir.Expr], bool]


@dataclass(frozen=True)
class Plan:
    """A mapping's nodes in the order of `stages` and its possible problems in the order in which Python would raise them.

    Nodes of one stage need only nodes of earlier ones. A stage is either native (expressions, and joins with lists known now), or of
    side tables, which need the values of the stage before.
    """

    mapping: Mapping
    stages: tuple[tuple[ir.Expr, ...], ...]
    ways: dict[ir.Expr, Way]
    issues: tuple[Issue, ...]

    def resolved(self, node: ir.Expr) -> ir.Expr:
        """The node that computes `node`: a `target` stands for its field's tree."""
        while isinstance(node, ir.Target):
            node = next(f.expr for f in self.mapping.fields if f.name == node.field)
        return node

    def grammars(self, stage: tuple[ir.Expr, ...]) -> dict[ir.Expr, list[ir.Expr]]:
        """The nodes of a stage of side tables by the node they read: one table for each, whatever many parts are made of it."""
        out: dict[ir.Expr, list[ir.Expr]] = {}
        for node in stage:
            (of,) = node.inputs()
            out.setdefault(self.resolved(of), []).append(node)
        return out

    def readings(self, stage: tuple[ir.Expr, ...]) -> dict[tuple[ir.Expr, Pattern], list[ir.Extract]]:
        """The `extract`s of a native stage by text and pattern: each text is taken apart once for all its parts."""
        out: dict[tuple[ir.Expr, Pattern], list[ir.Extract]] = {}
        for node in stage:
            if isinstance(node, ir.Extract):
                out.setdefault((self.resolved(node.of), node.pattern), []).append(node)
        return out

    @property
    def fields(self) -> tuple[ir.Field, ...]:
        """The cells, in the order of the mapping's `cells`."""
        return tuple(ir.Field(cell) for cell in self.mapping.cells)


SIDE_PARTS: Final = ("code", "source", "severity")  # of a problem, beside the value, for operators that may raise one


def side_columns(nodes: Sequence[ir.Expr], names: Sequence[str]) -> tuple[str, ...]:
    """The columns of a side table after its key: for each node its value under its name, and what its problem is made of."""
    out: list[str] = []
    for node, name in zip(nodes, names, strict=True):
        out += [name, *(f"{name}_{part}" for part in (() if node.laws.total else SIDE_PARTS))]
    return tuple(out)


def side_row(nodes: Sequence[ir.Expr], pack: Lists) -> Callable[[str], tuple[str | None, ...]]:
    """What fills a side table: from one distinct value its row, the key first."""
    quiet = Uncounted(pack)
    readers: dict[Pattern, Callable[[str], dict[str, str] | None]] = {}
    functions: list[tuple[Function, bool]] = []
    for node in nodes:
        if isinstance(node, ir.Extract):
            read = readers.setdefault(node.pattern, _once(reader_of(node.pattern).read))
            functions.append((_part(read, node.part), False))
        else:
            functions.append((function_of(node, quiet), node.laws.total))

    def row(text: str) -> tuple[str | None, ...]:
        out: list[str | None] = [text]
        for function, total in functions:
            value, issue = function(text)
            out.append(value)
            if not total:
                out += issue or _NO_ISSUE
        return tuple(out)

    return row


_NO_ISSUE: Final = (None, None, None)
_UNREAD: Final = (problems.PATTERN, None, "flag")


def _once(read: Callable[[str], dict[str, str] | None]) -> Callable[[str], dict[str, str] | None]:
    """`read`, which is asked for every part of one text before the next: it reads the text once."""
    last: tuple[str | None, dict[str, str] | None] = (None, None)

    def again(text: str) -> dict[str, str] | None:
        nonlocal last
        if last[0] != text:
            last = (text, read(text))
        return last[1]

    return again


def _part(read: Callable[[str], dict[str, str] | None], part: str) -> Function:
    """As `operators` has it for one `extract`: the part, or a problem where no line of the pattern reads the text."""

    def run(text: str) -> Outcome:
        found = read(text)
        return (None, _UNREAD) if found is None else (found.get(part), None)

    return run


def plan_of(mapping: Mapping, pack: Lists, native: Native) -> Plan:
    """The plan for an engine that has words for the nodes `native` says yes to; ids the mapping names are looked up now."""
    check_lists(mapping, pack)
    ways: dict[ir.Expr, Way] = {}
    waiting: list[ir.Expr] = []
    for target in mapping.fields:
        for node in _bottom_up(target.expr):
            if isinstance(node, ir.Target) or node in ways:
                continue
            ways[node] = _way(node, native)
            if not isinstance(node, ir.Field):
                waiting.append(node)
    stages = _stages(mapping, waiting, ways)
    issues = tuple(_Problems(mapping, pack, ways).all())
    return Plan(mapping, stages, ways, issues)


def _way(node: ir.Expr, native: Native) -> Way:
    if isinstance(node, ir.Recode | ir.Lookup | ir.Member) and len(tuple(node.inputs())) == 1:
        return "list"
    return "native" if native(node) else "side"


def _stages(mapping: Mapping, waiting: list[ir.Expr], ways: dict[ir.Expr, Way]) -> tuple[tuple[ir.Expr, ...], ...]:
    targets = {f.name: f.expr for f in mapping.fields}
    done: set[ir.Expr] = {node for node in ways if isinstance(node, ir.Field)}

    def ready(node: ir.Expr) -> bool:
        while isinstance(node, ir.Target):
            node = targets[node.field]
        return node in done

    stages: list[tuple[ir.Expr, ...]] = []
    while waiting:
        able = [node for node in waiting if all(map(ready, node.inputs()))]
        chosen = [node for node in able if ways[node] != "side"] or able
        assert chosen, "a tree has no cycles"
        stages.append(tuple(chosen))
        done.update(chosen)
        waiting = [node for node in waiting if node not in done]
    return tuple(stages)


def _bottom_up(expr: ir.Expr) -> Iterator[ir.Expr]:
    for child in expr.inputs():
        yield from _bottom_up(child)
    yield expr


class _Problems:
    """Walks the trees as `engines.emit_python` evaluates them."""

    def __init__(self, mapping: Mapping, pack: Lists, ways: dict[ir.Expr, Way]) -> None:
        self.mapping, self.pack, self.ways = mapping, pack, ways

    def all(self) -> Iterator[Issue]:
        for target in self.mapping.fields:
            yield from self.of(target.expr, target.name, ())
            if target.required is not None:
                empty = (Condition("null", target.expr),)
                yield Issue(target.name, empty, problems.REQUIRED, target.required)

    def of(self, node: ir.Expr, name: str, guard: tuple[Condition, ...]) -> Iterator[Issue]:
        if isinstance(node, ir.Field):
            yield Issue(name, (*guard, Condition("too long", node)), problems.TOO_LONG)
        elif isinstance(node, ir.Coalesce):
            for part in node.parts:
                yield from self.of(part, name, guard)
                guard = (*guard, Condition("null", part))
        elif isinstance(node, ir.When):
            yield from self.of(node.test, name, guard)
            yield from self.of(node.then, name, (*guard, Condition("holds", node)))
            if node.otherwise is not None:
                yield from self.of(node.otherwise, name, (*guard, Condition("fails", node)))
        elif not isinstance(node, ir.Target | ir.Const):
            for part in node.inputs():
                yield from self.of(part, name, guard)
            if not node.laws.total:
                yield from self.own(node, name, guard)

    def own(self, node: ir.Expr, name: str, guard: tuple[Condition, ...]) -> Iterator[Issue]:
        given = next(iter(node.inputs()))
        failed = (*guard, Condition("there", given), Condition("null", node))
        if self.ways[node] == "side":
            counted = node.crosswalk if isinstance(node, ir.RecodeAsOf) else None
            source = node.of.parts[0] if isinstance(node, ir.RecodeAsOf) else None
            yield Issue(name, (*guard, Condition("told", node)), None, source=source, crosswalk=counted)
            return
        if isinstance(node, ir.Recode):
            severity = self.pack.crosswalk(node.crosswalk).policy.severity
            missed = (*guard, Condition("missed", node))
            yield Issue(name, missed, problems.UNMAPPED, severity, given, node.crosswalk)
            return
        if isinstance(node, ir.Extract):  # a part that is not there is no failure
            yield Issue(name, (*guard, Condition("unread", node)), problems.PATTERN)
            return
        yield Issue(name, failed, FAILURES[type(node)])
        if isinstance(node, ir.Pin):
            yield Issue(name, (*guard, Condition("contradicts", node)), problems.PIN_CONTRADICTS)
