"""Patterns: taking a text apart by literals, digits, letters and optional parts, so that every engine can only give one answer.

No regular expressions in a mapping: engines read the same expression differently (measured: another street in 15 % of a million rows, because one
of them lets the first quantifier decide). A pattern here is a list of lines; the first line that reads the *whole* text gives its parts. A line
is read from left to right and never goes back:

    any     one of some literals, the longest that stands here; letters in either case (the closed letter table)
    run     as many digits, letters, blanks or characters other than some as stand here; what is not blanks does not begin with one
    upto    text that begins with a letter or digit, up to the first of some literals, which is read too
    optional, part    a sequence that may be missing; a sequence whose text is a named value, without blanks at its ends

A line is refused when it leaves a choice: at each point the next character must say which way to go on. That is why the expression of
`expression` means the same to RE2, Rust, Java and Python: there is one way to read it, with one exception told there (`upto`).
`Reader` is the definition as it runs in Python; `scan` is the same, written as this page reads, for tests. Own design.
Here is the door; the parts are `patterns.form` (what a pattern is, and its check), `patterns.expressions` and `patterns.reader`.
"""

from __future__ import annotations

from kerege.semantics.patterns.expressions import expression, literal_expression, stops_of, tidy
from kerege.semantics.patterns.form import (
    CASE,
    DIGITS,
    ELEMENTS,
    LETTERS,
    LINES,
    LITERAL_LENGTH,
    LITERALS,
    RUN,
    AnyOf,
    Characters,
    Element,
    Kind,
    Line,
    Optional,
    Part,
    Pattern,
    Run,
    Upto,
    certain_of,
    may_end_blank,
    names_of,
)
from kerege.semantics.patterns.reader import Reader, Values, scan

__all__ = [
    "CASE",
    "DIGITS",
    "ELEMENTS",
    "LETTERS",
    "LINES",
    "LITERALS",
    "LITERAL_LENGTH",
    "RUN",
    "AnyOf",
    "Characters",
    "Element",
    "Kind",
    "Line",
    "Optional",
    "Part",
    "Pattern",
    "Reader",
    "Run",
    "Upto",
    "Values",
    "certain_of",
    "expression",
    "literal_expression",
    "may_end_blank",
    "names_of",
    "scan",
    "stops_of",
    "tidy",
]
