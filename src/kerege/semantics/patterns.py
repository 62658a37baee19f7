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
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from kerege.semantics.folding import LOWER, UPPER, WHITESPACE, lower, trim

Kind = Literal["digits", "letters", "blanks", "not"]
DIGITS: Final = "0123456789"
LETTERS: Final = UPPER + LOWER
LINES, ELEMENTS, LITERALS, LITERAL_LENGTH, RUN = (
    20,
    60,
    200,
    40,
    100,
)  # at most this many, or that long; RUN: of a counted run
_CASE: Final = {**dict(zip(UPPER, LOWER, strict=True)), **dict(zip(LOWER, UPPER, strict=True))}


@dataclass(frozen=True, slots=True)
class Characters:
    """A set of characters: these, or (negated) all but these."""

    these: frozenset[str]
    negated: bool = False

    def meets(self, other: Characters) -> bool:
        """Whether the two have a character in common."""
        if self.negated and other.negated:
            return True  # nobody lists all characters there are
        if self.negated or other.negated:
            some, rest = (other, self) if self.negated else (self, other)
            return not some.these <= rest.these
        return not self.these.isdisjoint(other.these)

    def __or__(self, other: Characters) -> Characters:
        if self.negated and other.negated:
            return Characters(self.these & other.these, True)
        if self.negated or other.negated:
            some, rest = (other, self) if self.negated else (self, other)
            return Characters(rest.these - some.these, True)
        return Characters(self.these | other.these)


_NOTHING: Final = Characters(frozenset())


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of `literals`."""

    literals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """At least `low`, at most `high` (None: any number of) characters of a kind; `characters` are those that `not` leaves out."""

    kind: Kind
    low: int = 1
    high: int | None = None
    characters: str = ""

    def whole(self) -> Characters:
        """What may stand anywhere in it."""
        if self.kind == "not":
            return Characters(frozenset(self.characters), True)
        return Characters(frozenset({"digits": DIGITS, "letters": LETTERS, "blanks": WHITESPACE}[self.kind]))

    def head(self) -> Characters:
        """What it may begin with."""
        return Characters(frozenset(self.characters + WHITESPACE), True) if self.kind == "not" else self.whole()


@dataclass(frozen=True, slots=True)
class Upto:
    """Text before the first of `stops`, the value `name`; the stop is read too."""

    stops: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Optional:
    """`of`, or nothing."""

    of: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """`of`, whose text is the value `name`."""

    name: str
    of: tuple[Element, ...]


Element = AnyOf | Run | Upto | Optional | Part
Line = tuple[Element, ...]
_UPTO_HEAD: Final = Characters(frozenset(LETTERS + DIGITS))


@dataclass(frozen=True, slots=True)
class Pattern:
    """Lines that were checked: `ValueError` says what leaves a choice, or what is too much."""

    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.lines) <= LINES:
            raise ValueError(f"a pattern has 1 to {LINES} lines")
        for number, line in enumerate(self.lines, start=1):
            try:
                _check_line(line)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of all values, in order of first standing."""
        return tuple(dict.fromkeys(name for line in self.lines for name in names_of(line)))

    def describe(self) -> list[Any]:
        """The pattern as plain lists and texts, for fingerprints."""
        return [[_describe(element) for element in line] for line in self.lines]


def _describe(element: Element) -> list[Any]:
    if isinstance(element, AnyOf):
        return ["any", list(element.literals)]
    if isinstance(element, Run):
        return [element.kind, element.low, element.high, element.characters]
    if isinstance(element, Upto):
        return ["upto", element.name, list(element.stops)]
    inner = [_describe(e) for e in element.of]
    return ["optional", inner] if isinstance(element, Optional) else ["part", element.name, inner]


def names_of(line: Line) -> tuple[str, ...]:
    """The names of a line's values, in the order in which they stand."""
    out: list[str] = []
    for element in line:
        if isinstance(element, Part | Upto):
            out.append(element.name)
        elif isinstance(element, Optional):
            out += names_of(element.of)
    return tuple(out)


def certain_of(line: Line) -> str:
    """A value that the line always has: whether it read a text shows in it."""
    return next(
        e.name for e in line if isinstance(e, Part | Upto) and not (isinstance(e, Part) and _may_be_empty(e.of))
    )


def may_end_blank(line: Line, name: str) -> bool:
    """Whether the text of the value `name` may have blanks to be cut off."""
    for outer in line:
        if isinstance(outer, Upto) and outer.name == name:
            return True
        if isinstance(outer, Optional) and may_end_blank(outer.of, name):
            return True
        if isinstance(outer, Part) and outer.name == name:
            inner = list(_walk(outer.of))
            runs = any(isinstance(e, Run) and e.kind in ("not", "blanks") for e in inner)
            return runs or any(
                text != text.strip(WHITESPACE) for e in inner if isinstance(e, AnyOf) for text in e.literals
            )
    return False


# --- no choice is left ------------------------------------------------------------------------------------------------------------


def _check_line(line: Line) -> None:
    names = names_of(line)
    if len(set(names)) != len(names):
        raise ValueError("a part is named twice")
    if not line or sum(1 for _ in _walk(line)) > ELEMENTS:
        raise ValueError(f"a line has 1 to {ELEMENTS} elements")
    if any(isinstance(e, Upto) for outer in line if isinstance(outer, Optional | Part) for e in _walk(outer.of)):
        raise ValueError("`upto` stands in a line itself, not in a part or an optional sequence")
    for outer in line:
        if (
            isinstance(outer, Part | Optional)
            and any(isinstance(e, Part) for e in _walk(outer.of))
            and isinstance(outer, Part)
        ):
            raise ValueError(f"the part {outer.name} holds another part")
    _check(line, _NOTHING)
    try:
        certain_of(line)
    except StopIteration:
        raise ValueError("it needs a part that is always there and never empty") from None


def _walk(line: Line) -> Iterator[Element]:
    for element in line:
        yield element
        if isinstance(element, Optional | Part):
            yield from _walk(element.of)


def _may_be_empty(line: Line) -> bool:
    for element in line:
        if isinstance(element, AnyOf | Upto) or (isinstance(element, Run) and element.low > 0):
            return False
        if isinstance(element, Part) and not _may_be_empty(element.of):
            return False
    return True


def _head(line: Line, follow: Characters) -> Characters:
    """What `line` followed by `follow` may begin with."""
    out = _NOTHING
    for element in line:
        if isinstance(element, AnyOf):
            return out | Characters(frozenset(c for text in element.literals for c in _both(text[0])))
        if isinstance(element, Upto):
            return out | _UPTO_HEAD
        if isinstance(element, Run):
            out |= element.head()
            if element.low > 0:
                return out
        else:
            out |= _head(element.of, _NOTHING)
            if isinstance(element, Part) and not _may_be_empty(element.of):
                return out
    return out | follow


def _check(line: Line, follow: Characters) -> None:
    for at, element in enumerate(line):
        after = _head(line[at + 1 :], follow)
        if isinstance(element, AnyOf):
            _check_literals(element.literals, after)
        elif isinstance(element, Upto):
            _check_literals(element.stops, after)
            _check_stops(element.stops)
        elif isinstance(element, Run):
            if element.low < 0 or (element.high is not None and not max(1, element.low) <= element.high <= RUN):
                raise ValueError(f"a run is of at least 0 and at most {RUN} characters")
            if element.kind == "not" and not element.characters:
                raise ValueError("`not` needs the characters that end it")
            if element.high != element.low and element.whole().meets(after):
                raise ValueError(
                    f"after {element.kind} may stand what is {element.kind} too: nothing says where it ends"
                )
        elif isinstance(element, Optional):
            if _may_be_empty(element.of):
                raise ValueError("an optional sequence may be empty anyway")
            if _head(element.of, _NOTHING).meets(after):
                raise ValueError("an optional sequence begins as what follows may: nothing says whether it is there")
            _check(element.of, after)
        else:
            _check(element.of, after)


def _both(character: str) -> str:
    return character + _CASE.get(character, "")


def _check_literals(literals: tuple[str, ...], after: Characters) -> None:
    if not 1 <= len(literals) <= LITERALS or not all(1 <= len(text) <= LITERAL_LENGTH for text in literals):
        raise ValueError(f"1 to {LITERALS} literals of 1 to {LITERAL_LENGTH} characters")
    small = sorted(set(map(lower, literals)))
    if len(small) != len(literals):
        raise ValueError("a literal stands twice")
    for short in small:
        for long in small:
            if long != short and long.startswith(short) and Characters(frozenset(_both(long[len(short)]))).meets(after):
                raise ValueError(f"after {short!r} may stand what makes it {long!r}")


def _check_stops(stops: tuple[str, ...]) -> None:
    small = [lower(stop) for stop in stops]
    for one in small:
        for at in range(1, len(one)):
            if any(one[at:].startswith(other) or other.startswith(one[at:]) for other in small):
                raise ValueError(f"{one!r} may overlap another stop, or itself")


# --- the definition, as it runs ---------------------------------------------------------------------------------------------------


def literal_expression(literals: tuple[str, ...]) -> str:
    """Literals as an expression, longest first, letters in either case."""
    return "|".join(
        "".join(_class(_both(c)) if c in _CASE else _escaped(c) for c in text)
        for text in sorted(literals, key=lambda t: (-len(t), t))
    )


def _escaped(character: str) -> str:
    return "\\" + character if character in "\\.^$*+?()[]{}|-/#&~" else character


def _class(characters: str, negated: bool = False) -> str:
    inside = "".join("\\" + c if c in "\\]^-[&~" else c for c in characters)
    return f"[{'^' if negated else ''}{inside}]"


_KINDS: Final = {"digits": "[0-9]", "letters": _class(LETTERS), "blanks": _class(WHITESPACE)}
_UPTO_BEGINS: Final = _class(LETTERS + DIGITS)


def expression(line: Line, lazy_any: str = r"[\s\S]*?") -> str:
    """The line as an expression to be matched against the whole text, one group for each of `names_of(line)`, in order.

    An engine that goes back may let an `upto` pass its first stop to save the match; such a match does not count: the text of no
    `upto` part may contain one of its stops (`stops_of`). With that, it is the definition.
    """
    return "".join(_expressed(element, lazy_any) for element in line)


def stops_of(line: Line) -> tuple[tuple[int, str], ...]:
    """For each `upto`: the place of its group (from 0; every `upto` of an expression has one) and the expression of its stops."""
    names = names_of(line)
    return tuple((names.index(e.name), literal_expression(e.stops)) for e in line if isinstance(e, Upto))


def _expressed(element: Element, lazy_any: str) -> str:
    if isinstance(element, AnyOf):
        return f"(?:{literal_expression(element.literals)})"
    if isinstance(element, Run):
        return _run(element)
    if isinstance(element, Upto):
        return f"({_UPTO_BEGINS}{lazy_any})(?:{literal_expression(element.stops)})"
    inner = "".join(_expressed(e, lazy_any) for e in element.of)
    return f"(?:{inner})?" if isinstance(element, Optional) else f"({inner})"


def _run(run: Run) -> str:
    if run.kind == "not":
        first, more = _class(run.characters + WHITESPACE, True), _class(run.characters, True)
        low, high = max(run.low - 1, 0), "" if run.high is None else str(run.high - 1)
        many = "*" if (low, high) == (0, "") else f"{{{low},{high}}}"
        whole = f"{first}{more}{many}"
        return f"(?:{whole})?" if run.low == 0 else whole
    if run.low == run.high:
        many = "" if run.low == 1 else f"{{{run.low}}}"
    else:
        many = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((run.low, run.high), f"{{{run.low},{run.high or ''}}}")
    return _KINDS[run.kind] + many


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
                if begin == at or text[at] not in _UPTO_HEAD.these:
                    return None
                value = text[at:begin].strip(WHITESPACE)
                if value:
                    out[names[0]] = value
            else:
                _take(out, names, found.groups())
            at = found.end()
        found = last(text, at)
        if found is None:
            return None
        _take(out, last_names, found.groups())
        return out

    return read


def _take(out: Values, names: tuple[str, ...], groups: tuple[str | None, ...]) -> None:
    for name, value in zip(names, groups, strict=True):
        if value:
            value = value.strip(WHITESPACE)
            if value:
                out[name] = value


# --- the definition, as it reads --------------------------------------------------------------------------------------------------


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
            if not ends or ends[0][0] == at or text[at] not in _UPTO_HEAD.these:
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
