"""What a pattern is made of, as frozen dataclasses, and the check that a line leaves no choice. What it is for: `patterns`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from kerege.semantics.normalise.folding import LOWER, UPPER, WHITESPACE, lower

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
CASE: Final = {**dict(zip(UPPER, LOWER, strict=True)), **dict(zip(LOWER, UPPER, strict=True))}


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
UPTO_HEAD: Final = Characters(frozenset(LETTERS + DIGITS))


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
            inner = list(walk(outer.of))
            runs = any(isinstance(e, Run) and e.kind in ("not", "blanks") for e in inner)
            return runs or any(
                text != text.strip(WHITESPACE) for e in inner if isinstance(e, AnyOf) for text in e.literals
            )
    return False


# --- no choice is left ---


def _check_line(line: Line) -> None:
    names = names_of(line)
    if len(set(names)) != len(names):
        raise ValueError("a part is named twice")
    if not line or sum(1 for _ in walk(line)) > ELEMENTS:
        raise ValueError(f"a line has 1 to {ELEMENTS} elements")
    if any(isinstance(e, Upto) for outer in line if isinstance(outer, Optional | Part) for e in walk(outer.of)):
        raise ValueError("`upto` stands in a line itself, not in a part or an optional sequence")
    for outer in line:
        if (
            isinstance(outer, Part | Optional)
            and any(isinstance(e, Part) for e in walk(outer.of))
            and isinstance(outer, Part)
        ):
            raise ValueError(f"the part {outer.name} holds another part")
    _check(line, _NOTHING)
    try:
        certain_of(line)
    except StopIteration:
        raise ValueError("it needs a part that is always there and never empty") from None


def walk(line: Line) -> Iterator[Element]:
    """Every element of a line, those inside others too."""
    for element in line:
        yield element
        if isinstance(element, Optional | Part):
            yield from walk(element.of)


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
            return out | Characters(frozenset(c for text in element.literals for c in both(text[0])))
        if isinstance(element, Upto):
            return out | UPTO_HEAD
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


def both(character: str) -> str:
    return character + CASE.get(character, "")


def _check_literals(literals: tuple[str, ...], after: Characters) -> None:
    if not 1 <= len(literals) <= LITERALS or not all(1 <= len(text) <= LITERAL_LENGTH for text in literals):
        raise ValueError(f"1 to {LITERALS} literals of 1 to {LITERAL_LENGTH} characters")
    small = sorted(set(map(lower, literals)))
    if len(small) != len(literals):
        raise ValueError("a literal stands twice")
    for short in small:
        for long in small:
            if long != short and long.startswith(short) and Characters(frozenset(both(long[len(short)]))).meets(after):
                raise ValueError(f"after {short!r} may stand what makes it {long!r}")


def _check_stops(stops: tuple[str, ...]) -> None:
    small = [lower(stop) for stop in stops]
    for one in small:
        for at in range(1, len(one)):
            if any(one[at:].startswith(other) or other.startswith(one[at:]) for other in small):
                raise ValueError(f"{one!r} may overlap another stop, or itself")
