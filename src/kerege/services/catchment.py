"""Is a registered address in a school's catchment? Three-valued, over the lines of every school. Pure.

Yes: one of the school's lines surely covers the address. No: none of its lines can cover it, *and* a line of another school surely
does; an address that lies nowhere is more likely one that was read badly than one the country forgot. Else: not known.
A line without a street is the whole unit, but only where nothing speaks against it: it has no house range, and no line of that unit
names a street. A list whose streets were lost on the way would else put every house of a town into every school.
What an address means (unit, street key, house) is `semantics`'.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from rapidfuzz.distance import JaroWinkler

from kerege.reconcile.link import Entry

STREETS_ALIKE: Final = 0.88  # street keys at least this alike may be one street written in two ways
_NUMBER: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Place:
    """A registered address as far as it is known."""

    soate: str | None
    street_key: str | None
    house: str | None

    @classmethod
    def of(cls, entry: Entry) -> Place:
        return cls(entry.get("soate"), entry.get("street_key"), entry.get("house"))


@dataclass(frozen=True, slots=True)
class Catchments:
    """Every school's lines. `incomplete`: some line could not be translated, so "no" is never said."""

    lines: tuple[Entry, ...]
    incomplete: bool = False
    _by_school: dict[str, list[Entry]] = field(init=False, repr=False, compare=False)
    _by_unit: dict[str | None, list[Entry]] = field(init=False, repr=False, compare=False)
    _split: frozenset[str | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_school: dict[str, list[Entry]] = defaultdict(list)
        by_unit: dict[str | None, list[Entry]] = defaultdict(list)
        for line in self.lines:
            by_school[line.get("school_code") or ""].append(line)
            by_unit[line.get("soate")].append(line)
        split = {unit for unit, lines in by_unit.items() if not all(_whole(line) for line in lines)}
        # One school naming the same unit twice without streets has lost them just as surely.
        split |= {
            unit for unit, lines in by_unit.items() if len({line.get("school_code") for line in lines}) < len(lines)
        }
        object.__setattr__(self, "_by_school", dict(by_school))
        object.__setattr__(self, "_by_unit", dict(by_unit))
        object.__setattr__(self, "_split", frozenset(split))

    def contains(self, school_code: str, place: Place) -> bool | None:
        """Whether `place` is in the catchment of `school_code`; None when that cannot be said."""
        own = [self._covers(line, place) for line in self._by_school.get(school_code, ())]
        if any(verdict is True for verdict in own):
            return True
        if self.incomplete or place.soate is None or any(verdict is None for verdict in own) or not own:
            return None
        elsewhere = (line for line in self._by_unit.get(place.soate, ()) if line.get("school_code") != school_code)
        return False if any(self._covers(line, place) is True for line in elsewhere) else None

    def _covers(self, line: Entry, place: Place) -> bool | None:
        verdict = covers(line, place)
        lost = line.get("street_key") is None and (line.get("soate") in self._split or not _whole(line))
        return None if verdict and lost else verdict


def _whole(line: Entry) -> bool:
    """Whether a line reads as "the whole unit": no street at all, no range, every house."""
    named = line.get("street") or line.get("street_key")
    return not named and line.get("house_from") is None and line.get("house_to") is None and line.get("parity") == "all"


def covers(line: Entry, place: Place) -> bool | None:
    """Whether one line of a catchment covers `place`: True, False, or None where a part of either is not known."""
    unread = {name for name, _ in line.flagged}
    return _all(
        (
            _unit(line.get("soate"), place.soate),
            None if unread & {"street", "street_key"} else _street(line.get("street_key"), place.street_key),
            None if unread & {"house_from", "house_to", "parity"} else _house(line, place.house),
        )
    )


def _all(verdicts: Iterable[bool | None]) -> bool | None:
    seen = set(verdicts)
    if False in seen:
        return False
    return None if None in seen else True


def _unit(line: str | None, place: str | None) -> bool | None:
    return None if line is None or place is None else line == place


def _street(line: str | None, place: str | None) -> bool | None:
    if line is None or line == place:
        return True  # a line without a street is the whole unit
    if place is None or JaroWinkler.similarity(line, place) >= STREETS_ALIKE:
        return None
    return False


def _house(line: Entry, house: str | None) -> bool | None:
    lowest, highest, parity = _number(line.get("house_from")), _number(line.get("house_to")), line.get("parity")
    if lowest is None and highest is None and parity == "all":
        return True
    number = _number(house)
    if number is None:
        return None
    if (lowest is not None and number < lowest) or (highest is not None and number > highest):
        return False
    if parity == "all":
        return True
    return None if parity not in {"odd", "even"} else (parity == "odd") == (number % 2 == 1)


def _number(text: str | None) -> int | None:
    found = _NUMBER.search(text or "")
    return int(found.group()) if found else None
