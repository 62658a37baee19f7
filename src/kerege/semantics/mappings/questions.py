"""Canonical questions as people type them, read into `pushback`'s trees: a closed grammar, nothing is evaluated.

    question  = term {"or" term}
    term      = factor {"and" factor}
    factor    = "(" question ")" | field "=" value | field "in" "(" value {"," value} ")" | field "from" value "to" value

A field is one of the mapping's; a value is a word, or any text between ' or " (twice for the quote itself). Words of the grammar are small letters.
Bounded in length, in terms and in brackets before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from kerege.semantics.errors import QuestionUnreadable
from kerege.semantics.mappings.pushback import All, Between, Equals, OneOf, Question, Some

LENGTH, TOKENS, DEPTH = 20_000, 4_000, 20
_TOKEN: Final = re.compile(r"""\s*(?:('(?:[^']|'')*'|"(?:[^"]|"")*")|([=(),])|([^\s=(),'"]+))""")
_WORDS: Final = frozenset({"and", "or", "in", "from", "to"})


def read_question(text: str, fields: Collection[str]) -> Question:
    """The question in `text` over canonical `fields`. QuestionUnreadable says at which character, and what was expected."""
    if len(text) > LENGTH:
        raise QuestionUnreadable(at=LENGTH, expected=f"the end of a question of at most {LENGTH} characters")
    halves = next((at for at, c in enumerate(text, start=1) if "\ud800" <= c <= "\udfff"), None)
    if halves is not None:
        raise QuestionUnreadable(at=halves, expected="a character (UTF-8)")
    return _Parser(text, fields).question()


class _Parser:
    """Recursive descent; each method reads one rule of the grammar."""

    def __init__(self, text: str, fields: Collection[str]) -> None:
        self.fields = fields
        self.tokens: list[tuple[int, str, bool]] = []  # (place, text, whether it was quoted)
        self.depth = self.next = at = 0
        end = len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None or len(self.tokens) == TOKENS:
                raise QuestionUnreadable(at=at + 1, expected=f"the end of a quoted text, or at most {TOKENS} words")
            quoted, sign, word = found.groups()
            value = quoted[1:-1].replace(quoted[0] * 2, quoted[0]) if quoted else sign or word
            self.tokens.append((found.start(found.lastindex or 0) + 1, value, bool(quoted)))
            at = found.end()
        self.end = end + 1

    def question(self) -> Question:
        found = self._any()
        if self.next < len(self.tokens):
            raise self._wrong("`and`, `or` or the end")
        return found

    def _any(self) -> Question:
        terms = [self._all()]
        while self._is("or"):
            terms.append(self._all())
        return terms[0] if len(terms) == 1 else Some(tuple(terms))

    def _all(self) -> Question:
        factors = [self._one()]
        while self._is("and"):
            factors.append(self._one())
        return factors[0] if len(factors) == 1 else All(tuple(factors))

    def _one(self) -> Question:
        if self._is("("):
            self.depth += 1
            if self.depth > DEPTH:
                raise self._wrong(f"at most {DEPTH} brackets inside each other")
            found = self._any()
            self._need(")")
            self.depth -= 1
            return found
        field = self._field()
        if self._is("="):
            return Equals(field, self._value())
        if self._is("in"):
            self._need("(")
            values = [self._value()]
            while self._is(","):
                values.append(self._value())
            self._need(")")
            return OneOf(field, tuple(values))
        self._need("from", "`=`, `in` or `from`")
        first = self._value()
        self._need("to")
        return Between(field, first, self._value())

    def _field(self) -> str:
        if self.next < len(self.tokens) and self.tokens[self.next][1] in self.fields:
            self.next += 1
            return self.tokens[self.next - 1][1]
        raise self._wrong(f"a field of the mapping ({', '.join(sorted(self.fields))})")

    def _value(self) -> str:
        if self.next < len(self.tokens):
            _, value, quoted = self.tokens[self.next]
            if quoted or (value not in "=()," and value not in _WORDS):
                self.next += 1
                return value
        raise self._wrong("a value")

    def _is(self, sign: str) -> bool:
        if self.next < len(self.tokens) and self.tokens[self.next][1:] == (sign, False):
            self.next += 1
            return True
        return False

    def _need(self, sign: str, expected: str = "") -> None:
        if not self._is(sign):
            raise self._wrong(expected or f"`{sign}`")

    def _wrong(self, expected: str) -> QuestionUnreadable:
        at = self.tokens[self.next][0] if self.next < len(self.tokens) else self.end
        return QuestionUnreadable(at=at, expected=expected)
