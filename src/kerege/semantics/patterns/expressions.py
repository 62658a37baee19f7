"""Lines of a pattern as expressions that mean the same to RE2, Rust, Java and Python. Why they do: `patterns`."""

from __future__ import annotations

from typing import Final

from kerege.semantics.normalise.folding import WHITESPACE
from kerege.semantics.patterns.form import (
    CASE,
    DIGITS,
    LETTERS,
    AnyOf,
    Element,
    Line,
    Optional,
    Run,
    Upto,
    both,
    names_of,
    walk,
)


def literal_expression(literals: tuple[str, ...]) -> str:
    """Literals as an expression, longest first, letters in either case."""
    return "|".join(
        "".join(_class(both(c)) if c in CASE else _escaped(c) for c in text)
        for text in sorted(literals, key=lambda t: (-len(t), t))
    )


def _escaped(character: str) -> str:
    return "\\" + character if character in "\\.^$*+?()[]{}|-/#&~" else character


def _class(characters: str, negated: bool = False) -> str:
    inside = "".join("\\" + c if c in "\\]^-[&~" else c for c in characters)
    return f"[{'^' if negated else ''}{inside}]"


_KINDS: Final = {"digits": "[0-9]", "letters": _class(LETTERS), "blanks": _class(WHITESPACE)}
_ODD: Final = WHITESPACE.replace(" ", "")
_UPTO_BEGINS: Final = _class(LETTERS + DIGITS)


def expression(line: Line, lazy_any: str = r"[\s\S]*?") -> str:
    """The line as an expression to be matched against the whole text, one group for each of `names_of(line)`, in order.

    An engine that goes back may let an `upto` pass its first stop to save the match; such a match does not count: the text of no
    `upto` part may contain one of its stops (`stops_of`). With that, it is the definition.
    """
    return "".join(_expressed(element, lazy_any, "") for element in line)


def tidy(line: Line) -> str | None:
    """`expression` for texts whose only blanks are plain spaces, and never a match for others; None when a literal has another blank.

    RE2 reads it faster: blanks and other characters begin with different bytes, so that many lines need no second look for their groups.
    """
    literals = [
        t for e in walk(line) for t in (e.literals if isinstance(e, AnyOf) else e.stops if isinstance(e, Upto) else ())
    ]
    if any(c in _ODD for text in literals for c in text):
        return None
    return "".join(_expressed(element, f"[^{_ODD}]*?", _ODD) for element in line)


def stops_of(line: Line) -> tuple[tuple[int, str], ...]:
    """For each `upto`: the place of its group (from 0; every `upto` of an expression has one) and the expression of its stops."""
    names = names_of(line)
    return tuple((names.index(e.name), literal_expression(e.stops)) for e in line if isinstance(e, Upto))


def _expressed(element: Element, lazy_any: str, without: str) -> str:
    """`without`: characters that no run takes."""
    if isinstance(element, AnyOf):
        return f"(?:{literal_expression(element.literals)})"
    if isinstance(element, Run):
        return _run(element, without)
    if isinstance(element, Upto):
        return f"({_UPTO_BEGINS}{lazy_any})(?:{literal_expression(element.stops)})"
    inner = "".join(_expressed(e, lazy_any, without) for e in element.of)
    return f"(?:{inner})?" if isinstance(element, Optional) else f"({inner})"


def _run(run: Run, without: str) -> str:
    if run.kind == "not":
        first, more = _class(run.characters + WHITESPACE, True), _class(run.characters + without, True)
        low, high = max(run.low - 1, 0), "" if run.high is None else str(run.high - 1)
        many = "*" if (low, high) == (0, "") else f"{{{low},{high}}}"
        whole = f"{first}{more}{many}"
        return f"(?:{whole})?" if run.low == 0 else whole
    if run.low == run.high:
        many = "" if run.low == 1 else f"{{{run.low}}}"
    else:
        many = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((run.low, run.high), f"{{{run.low},{run.high or ''}}}")
    return (" " if run.kind == "blanks" and without else _KINDS[run.kind]) + many
