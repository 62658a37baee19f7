"""The intermediate form: a mapping is a tree of closed operators over one record's cells. No raw SQL, no regular expressions.

Every value is text or null. Three rules hold for all operators: null in gives null out (but for `const`, `coalesce`, `concat` and `when`); the
empty string is not a value, an operator that would yield it yields null; an operator never fails, it yields null (or what a policy says)
and a problem. Each operator declares its laws. What an operator computes is defined by `engines.emit_python`; `engines.emit_duckdb` must agree cell
by cell, by real SQL for the plain ones and, for grammars, by running the Python once per distinct value.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from kerege.semantics.mappings.ir_form import Coalesce, Concat, Const, Expr, Field, Laws, Reversible, Target, When
from kerege.semantics.mappings.ir_meanings import (
    AddressPart,
    Lookup,
    LookupAsOf,
    Member,
    NameCase,
    NameKey,
    NamePart,
    PlaceCode,
    Recode,
    RecodeAsOf,
    StreetKey,
    Together,
)
from kerege.semantics.mappings.ir_texts import (
    Code,
    Collapse,
    Extract,
    Fold,
    Lower,
    Number,
    Pad,
    ParseDate,
    Phone,
    Pin,
    Remove,
    Split,
    Take,
    Trim,
    Upper,
)
from kerege.semantics.patterns.pattern import Pattern

__all__ = [
    "OPERATORS",
    "AddressPart",
    "Coalesce",
    "Code",
    "Collapse",
    "Concat",
    "Const",
    "Expr",
    "Extract",
    "Field",
    "Fold",
    "Laws",
    "Lookup",
    "LookupAsOf",
    "Lower",
    "Member",
    "NameCase",
    "NameKey",
    "NamePart",
    "Number",
    "Pad",
    "ParseDate",
    "Phone",
    "Pin",
    "PlaceCode",
    "Recode",
    "RecodeAsOf",
    "Remove",
    "Reversible",
    "Split",
    "StreetKey",
    "Take",
    "Target",
    "Together",
    "Trim",
    "Upper",
    "When",
    "describe",
]

OPERATORS: Final[dict[str, type[Expr]]] = {
    operator.name: operator
    for operator in (
        *(Field, Target, Const, Concat, Coalesce, When),
        *(Trim, Collapse, Upper, Lower, Fold, Remove, Split, Extract, Take, Pad),
        *(ParseDate, Number, Code, Pin, Phone),
        *(Recode, Lookup, Member, Together, RecodeAsOf, LookupAsOf),
        *(NameCase, NamePart, NameKey, AddressPart, StreetKey, PlaceCode),
    )
}


def describe(expr: Expr | None) -> Any:
    """A tree as plain lists and texts: what a mapping's fingerprint is made of."""
    if expr is None:
        return None
    out: list[Any] = [expr.name]
    for item in fields(expr):  # type: ignore[arg-type]
        value = getattr(expr, item.name)
        if isinstance(value, Expr):
            value = describe(value)
        elif isinstance(value, tuple):
            value = [describe(v) if isinstance(v, Expr) else v for v in value]
        elif isinstance(value, Pattern):
            value = value.describe()
        out.append([item.name, value])
    return out
