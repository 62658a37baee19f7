"""Patterns of a contract, in a closed dialect that means the same in every engine a contract runs on.

A pattern is read into a small tree and written anew for each engine (Rust's regex in `jsonschema-rs`, RE2 in DuckDB, PostgreSQL's ARE): classes are
spelled out, `.` is any character but a line feed, groups never capture. Only *whether* a value matches is asked, which in this dialect no engine's
greediness can change. Not read: look-around, back references, `\\b`, `\\w`, `\\s`, `\\p`, lazy and possessive quantifiers, flags, and
anchors anywhere but at the two ends: engines differ in them, or they can make an engine hang.

As in ECMA-262, whose syntax the standard and JSON Schema name, a pattern without `^` and `$` may match anywhere in the value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

LONGEST: Final = 1_000  # characters of one pattern
MOST_REPEATS: Final = 255  # PostgreSQL's own bound
MOST_COPIES: Final = 1_000  # RE2's: bounds within bounds multiplied
DEEPEST: Final = 20
_SPECIAL: Final = frozenset("\\^$.[]|()?*+{}")
_CLASS_SPECIAL: Final = frozenset("\\]^[-&~")
_ESCAPED: Final = {"t": "\t", "n": "\n", "r": "\r"}
_DIGITS: Final = (("0", "9"),)


class PatternUnusable(ValueError):
    """The pattern is outside the closed dialect; its text says where and why."""


@dataclass(frozen=True, slots=True)
class _Class:
    ranges: tuple[tuple[str, str], ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class _Repeat:
    of: _Node
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple[_Node, ...]


_Node = _Class | _Repeat | _Sequence | _Choice


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of the closed dialect. `written` is its one spelling, the same text for all three engines."""

    text: str
    written: str
    from_start: bool
    to_end: bool

    @property
    def anchored(self) -> bool:
        return self.from_start and self.to_end


@lru_cache(maxsize=2_000)
def read(text: str) -> Pattern:
    """The pattern in `text`. Raises PatternUnusable."""
    if len(text) > LONGEST:
        raise PatternUnusable(f"it is longer than {LONGEST} characters")
    inner, start, end = text, text.startswith("^"), False
    inner = inner[1:] if start else inner
    if inner.endswith("$") and (len(inner) - len(inner[:-1].rstrip("\\"))) % 2 == 1:
        end, inner = True, inner[:-1]
    reader = _Reader(inner, 1 if start else 0)
    tree = reader.choice(0)
    if reader.at < len(inner):
        raise reader.wrong("a closing parenthesis too many")
    if (start or end) and isinstance(tree, _Choice):
        raise PatternUnusable("^ and $ bind one side of | only; put the choice in parentheses")
    _copies(tree)
    written = ("^" if start else "") + _write(tree) + ("$" if end else "")
    return Pattern(text, written, start, end)


class _Reader:
    def __init__(self, text: str, offset: int) -> None:
        self.text, self.at, self.offset = text, 0, offset

    def wrong(self, reason: str) -> PatternUnusable:
        return PatternUnusable(f"{reason} (character {self.at + self.offset + 1})")

    def peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def take(self) -> str:
        if self.at >= len(self.text):
            raise self.wrong("it ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def choice(self, depth: int) -> _Node:
        if depth > DEEPEST:
            raise self.wrong(f"groups are nested more than {DEEPEST} deep")
        options = [self.sequence(depth)]
        while self.peek() == "|":
            self.take()
            options.append(self.sequence(depth))
        return options[0] if len(options) == 1 else _Choice(tuple(options))

    def sequence(self, depth: int) -> _Node:
        parts: list[_Node] = []
        while self.peek() and self.peek() not in "|)":
            parts.append(self.repeated(self.atom(depth)))
        return _Sequence(tuple(parts))

    def atom(self, depth: int) -> _Node:
        char = self.take()
        if char == "(":
            if self.peek() == "?":
                self.take()
                if self.take() != ":":
                    raise self.wrong("look-around, names and flags in groups are not read")
            inner = self.choice(depth + 1)
            if self.peek() != ")":
                raise self.wrong("a group is not closed")
            self.take()
            return inner
        if char == "[":
            return self.klass()
        if char == ".":
            return _Class((("\n", "\n"),), True)
        if char == "\\":
            return self.escape()
        if char in "^$":
            raise self.wrong("^ and $ are read at the two ends only")
        if char in _SPECIAL:
            raise self.wrong(f"{char!r} has nothing to stand for; write \\{char}")
        return _Class(((char, char),))

    def escape(self) -> _Class:
        char = self.take()
        if char in "dD":
            return _Class(_DIGITS, char == "D")
        if char in _ESCAPED:
            return _Class(((_ESCAPED[char], _ESCAPED[char]),))
        if char.isalnum():
            raise self.wrong(f"\\{char} is not read: engines differ in it")
        return _Class(((char, char),))

    def klass(self) -> _Class:
        negated = self.peek() == "^"
        if negated:
            self.take()
        ranges: list[tuple[str, str]] = []
        while True:
            if self.peek() == "]" and not ranges:
                raise self.wrong("an empty class, or ] first in it, is not read")
            if self.peek() == "]":
                self.take()
                return _Class(tuple(sorted(set(ranges))), negated)
            low = self.member()
            if low is None:
                ranges += _DIGITS
                continue
            high = low
            if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("", "]"):
                self.take()
                found = self.member()
                if found is None or found < low:
                    raise self.wrong("a range of a class runs backwards or ends in \\d")
                high = found
            ranges.append((low, high))

    def member(self) -> str | None:
        """One character of a class; None for \\d."""
        char = self.take()
        if char == "[" or (char in "&~-" and self.peek() == char):
            raise self.wrong("a class within a class is not read; write \\[")
        if char != "\\":
            return char
        char = self.take()
        if char == "d":
            return None
        if char in _ESCAPED:
            return _ESCAPED[char]
        if char.isalnum():
            raise self.wrong(f"\\{char} in a class is not read: engines differ in it")
        return char

    def repeated(self, atom: _Node) -> _Node:
        char = self.peek()
        if char not in ("*", "+", "?", "{"):
            return atom
        self.take()
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(char, (0, None))
        if char == "{":
            least, most = self.bounds()
        if self.peek() in ("?", "+", "*", "{") and self.peek():
            raise self.wrong("lazy, possessive and doubled quantifiers are not read")
        return _Repeat(atom, least, most)

    def bounds(self) -> tuple[int, int | None]:
        end = self.text.find("}", self.at)
        inner = self.text[self.at : end] if end >= 0 else ""
        low, comma, high = inner.partition(",")
        if (
            not (low.isascii() and low.isdigit() and (not high or (high.isascii() and high.isdigit())))
            or len(inner) > 9
        ):
            raise self.wrong("a bound is written {2}, {2,} or {2,5}")
        least, most = int(low), int(high) if high else (None if comma else int(low))
        if least > MOST_REPEATS or (most is not None and (most > MOST_REPEATS or most < least)):
            raise self.wrong(f"a bound is at most {MOST_REPEATS} and does not run backwards")
        self.at = end + 1
        return least, most


def _copies(node: _Node) -> int:
    if isinstance(node, _Repeat):
        found = _copies(node.of) * max(node.least, node.most or 1, 1)
        if found > MOST_COPIES:
            raise PatternUnusable(f"bounds within bounds multiply to more than {MOST_COPIES}")
        return found
    if isinstance(node, _Sequence | _Choice):
        return max((_copies(part) for part in (node.parts if isinstance(node, _Sequence) else node.options)), default=1)
    return 1


def _write(node: _Node) -> str:
    if isinstance(node, _Sequence):
        return "".join(map(_write, node.parts))
    if isinstance(node, _Choice):
        return "(?:" + "|".join(map(_write, node.options)) + ")"
    if isinstance(node, _Repeat):
        inner = _write(node.of)
        inner = inner if isinstance(node.of, _Class | _Choice) else f"(?:{inner})"
        most = "" if node.most is None else str(node.most)
        bounds = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((node.least, node.most))
        return inner + (bounds or (f"{{{node.least}}}" if node.least == node.most else f"{{{node.least},{most}}}"))
    if len(node.ranges) == 1 and not node.negated and node.ranges[0][0] == node.ranges[0][1]:
        char = node.ranges[0][0]
        return f"\\{char}" if char in _SPECIAL else char
    spelled = "".join(_member(low) if low == high else f"{_member(low)}-{_member(high)}" for low, high in node.ranges)
    return f"[{'^' if node.negated else ''}{spelled}]"


def _member(char: str) -> str:
    return f"\\{char}" if char in _CLASS_SPECIAL else char
