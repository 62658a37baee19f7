"""The definition of patterns as it runs in Python (`Reader`), and as `patterns` reads, for tests that hold both equal (`scan`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kerege.semantics.normalise.folding import WHITESPACE, lower, trim
from kerege.semantics.patterns.expressions import expression, literal_expression
from kerege.semantics.patterns.form import (
    UPTO_HEAD,
    AnyOf,
    Characters,
    Line,
    Optional,
    Pattern,
    Run,
    Upto,
    may_end_blank,
    names_of,
)

Values = dict[str, str]


class Reader:
    """A pattern compiled for Python: `read(text)` gives the values by name, or None when no line reads the text. Linear in the text."""

    __slots__ = ("_lines",)

    def __init__(self, pattern: Pattern) -> None:
        self._lines: list[Callable[[str], Values | None]] = [_line_reader(line) for line in pattern.lines]

    def read(self, text: str) -> Values | None:
        """Values without blanks at their ends; those that were not there, or empty, are left out."""
        for line in self._lines:
            found = line(text)
            if found is not None:
                return found
        return None


def _line_reader(line: Line) -> Callable[[str], Values | None]:
    """Pieces between `upto`s are matched where they stand, stops are searched: no going back, whatever the text."""
    pieces: list[tuple[Any, tuple[str, ...], bool]] = []  # (matcher, names of its groups, whether it is an upto)
    start = 0
    for at, element in enumerate(line):
        if isinstance(element, Upto):
            if at > start:
                pieces.append((re.compile(expression(line[start:at])).match, names_of(line[start:at]), False))
            pieces.append((re.compile(literal_expression(element.stops)).search, (element.name,), True))
            start = at + 1
    ends = frozenset(name for name in names_of(line) if may_end_blank(line, name))
    last, last_names = re.compile(expression(line[start:])).fullmatch, names_of(line[start:])

    def read(text: str) -> Values | None:
        at = 0
        out: Values = {}
        for match, names, upto in pieces:
            found = match(text, at)
            if found is None:
                return None
            if upto:
                begin = found.start()
                if begin == at or text[at] not in UPTO_HEAD.these:
                    return None
                value = text[at:begin].strip(WHITESPACE)
                if value:
                    out[names[0]] = value
            else:
                _take(out, names, found.groups(), ends)
            at = found.end()
        found = last(text, at)
        if found is None:
            return None
        _take(out, last_names, found.groups(), ends)
        return out

    return read


def _take(out: Values, names: tuple[str, ...], groups: tuple[str | None, ...], ends: frozenset[str]) -> None:
    """`ends`: the values that may have blanks at their ends."""
    for name, value in zip(names, groups, strict=True):
        if value and name in ends:
            value = value.strip(WHITESPACE)
        if value:
            out[name] = value


def scan(pattern: Pattern, text: str) -> Values | None:
    """What `Reader` gives, character by character; slow, for tests that hold both equal."""
    for line in pattern.lines:
        out: Values = {}
        if _scan(line, text, 0, out) == len(text):
            return {name: bare for name, value in out.items() if (bare := trim(value))}
    return None


def _scan(line: Line, text: str, at: int, out: Values) -> int:
    """Where reading `line` from `at` ends, or -1."""
    for element in line:
        begin = at
        if isinstance(element, AnyOf):
            at = _literal(element.literals, text, at)
        elif isinstance(element, Upto):
            ends = [(n, end) for n in range(at, len(text)) if (end := _literal(element.stops, text, n)) >= 0]
            if not ends or ends[0][0] == at or text[at] not in UPTO_HEAD.these:
                return -1
            out[element.name] = text[at : ends[0][0]]
            at = ends[0][1]
        elif isinstance(element, Run):
            at = _scan_run(element, text, at)
        elif isinstance(element, Optional):
            kept = dict(out)
            end = _scan(element.of, text, at, out)
            if end < 0:
                out.clear()
                out.update(kept)
            at = begin if end < 0 else end
        else:
            at = _scan(element.of, text, at, out)
            if at >= 0:
                out[element.name] = text[begin:at]
        if at < 0:
            return -1
    return at


def _literal(literals: tuple[str, ...], text: str, at: int) -> int:
    found = [len(t) for t in literals if lower(text[at : at + len(t)]) == lower(t)]
    return at + max(found) if found else -1


def _scan_run(run: Run, text: str, at: int) -> int:
    end = at
    while end < len(text) and (run.high is None or end - at < run.high):
        allowed = run.head() if end == at else run.whole()
        if not allowed.meets(Characters(frozenset(text[end]))):
            break
        end += 1
    return end if end - at >= run.low else -1
