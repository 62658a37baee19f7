"""What every operator is, and those that give or choose a value: cells, constants, parts put together, conditions. The form as a whole: `ir`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

Reversible = Literal["yes", "by table", "no"]


@dataclass(frozen=True, slots=True)
class Laws:
    """What holds for an operator.

    idempotent   applying it to its own result changes nothing
    total        it never raises a problem
    reversible   whether source values can be had back: always, through the crosswalk's table, or not
    sql          it runs as SQL; otherwise Python runs it once per distinct value
    """

    idempotent: bool
    total: bool
    reversible: Reversible
    sql: bool = True


class Expr:
    """An operator with its arguments. Children are the frozen dataclasses below; equal trees are equal values."""

    __slots__ = ()
    name: ClassVar[str]
    laws: ClassVar[Laws]

    def inputs(self) -> Iterator[Expr]:
        """The expressions this one reads, in the order they are evaluated."""
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if isinstance(value, Expr):
                yield value
            elif isinstance(value, tuple):
                yield from (v for v in value if isinstance(v, Expr))

    def walk(self) -> Iterator[Expr]:
        """This expression and everything under it."""
        yield self
        for child in self.inputs():
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Field(Expr):
    """A cell of the source record. Absent, or nothing but blanks: null. Beyond the mapping's cell limit: null and a problem."""

    name: ClassVar[str] = "field"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=False, reversible="yes")
    cell: str


@dataclass(frozen=True, slots=True)
class Target(Expr):
    """A canonical field computed above in the same mapping."""

    name: ClassVar[str] = "target"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="yes")
    field: str


@dataclass(frozen=True, slots=True)
class Const(Expr):
    """A fixed text."""

    name: ClassVar[str] = "const"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="no")
    text: str


@dataclass(frozen=True, slots=True)
class Concat(Expr):
    """The non-null parts, with `separator` between them; null when there is none."""

    name: ClassVar[str] = "concat"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=True, reversible="no")
    parts: tuple[Expr, ...]
    separator: str = " "


@dataclass(frozen=True, slots=True)
class Coalesce(Expr):
    """The first non-null part. Parts after it are not evaluated and raise no problems."""

    name: ClassVar[str] = "coalesce"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="no")
    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class When(Expr):
    """`then` when `test` is one of `values` (or, without values, is not null), else `otherwise`. Only the branch taken is evaluated."""

    name: ClassVar[str] = "when"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=True, reversible="no")
    test: Expr
    values: tuple[str, ...]
    then: Expr
    otherwise: Expr | None = None
