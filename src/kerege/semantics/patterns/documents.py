"""The `patterns` section of a mapping document: name -> lines -> elements, read into `patterns.Pattern` with every element checked.

patterns:
  address:
    - - any: [г., с.]                       # a literal alone is a text: ","
      - {as: locality, of: {not: ","}}
      - ","
      - blanks
      - {as: street, upto: [" көч.", " көчөсү"]}
      - optional: [",", blanks, digits]
"""

from __future__ import annotations

from typing import Any, Final

from kerege.semantics.mappings.reading import Reader
from kerege.semantics.patterns.pattern import AnyOf, Element, Line, Optional, Part, Pattern, Run, Upto

_DEEPEST: Final = 6
_RUNS: Final = ("digits", "letters", "blanks")


def read_patterns(raw: Any, file: str) -> dict[str, Pattern]:
    """The patterns of a document; MappingInvalid names the pattern that is wrong."""
    if raw is None:
        return {}
    if not isinstance(raw, dict) or not all(isinstance(name, str) and name for name in raw):
        raise Reader(file, "patterns").wrong("patterns must map names to lists of lines")
    return {name: _pattern(lines, Reader(file, f"patterns.{name}")) for name, lines in raw.items()}


def _pattern(raw: Any, at: Reader) -> Pattern:
    if not isinstance(raw, list) or not raw or not all(isinstance(line, list) and line for line in raw):
        raise at.wrong("a pattern is a list of lines, each a list of elements")
    try:
        return Pattern(tuple(_line(line, at, 0) for line in raw))
    except ValueError as error:
        raise at.wrong(str(error)) from error


def _line(raw: Any, at: Reader, depth: int) -> Line:
    if depth > _DEEPEST:
        raise at.wrong(f"sequences stand inside each other more than {_DEEPEST} deep")
    elements = raw if isinstance(raw, list) else [raw]
    if not elements:
        raise at.wrong("a sequence is empty")
    return tuple(_element(element, at, depth) for element in elements)


def _element(raw: Any, at: Reader, depth: int) -> Element:
    if isinstance(raw, str) and raw:
        if raw == "blanks":
            return Run("blanks", 0)
        return Run(raw) if raw in _RUNS else AnyOf((raw,))  # type: ignore[arg-type]
    if not isinstance(raw, dict) or not raw:
        raise at.wrong("an element is a literal, digits, letters, blanks, or one of any, not, upto, optional, as")
    if "as" in raw:
        name = at.text(raw, "as")
        if "upto" in raw:
            at.only(raw, {"as", "upto"})
            return Upto(_literals(raw["upto"], at), name)
        at.only(raw, {"as", "of"})
        return Part(name, _line(raw.get("of"), at, depth + 1))
    if len(raw) != 1:
        raise at.wrong(f"one key for each element; {', '.join(map(str, raw))} came together")
    key, argument = next(iter(raw.items()))
    if key == "any":
        return AnyOf(_literals(argument, at))
    if key == "not" and isinstance(argument, str):
        return Run("not", characters=argument)
    if key == "optional":
        return Optional(_line(argument, at, depth + 1))
    if key in _RUNS:
        return _run(key, argument, at)
    raise at.wrong("an element is a literal, digits, letters, blanks, or one of any, not, upto (with as), optional, as")


def _run(kind: Any, argument: Any, at: Reader) -> Run:
    """`digits: 4` are four, `letters: [1, 3]` one to three."""
    bounds = argument if isinstance(argument, list) else [argument, argument]
    if len(bounds) != 2:
        raise at.wrong(f"{kind} takes a number, or the least and the most")
    return Run(kind, at.whole(bounds[0], kind), at.whole(bounds[1], kind))


def _literals(raw: Any, at: Reader) -> tuple[str, ...]:
    if not isinstance(raw, list) or not raw or not all(isinstance(text, str) and text for text in raw):
        raise at.wrong("a list of texts was expected")
    return tuple(raw)
