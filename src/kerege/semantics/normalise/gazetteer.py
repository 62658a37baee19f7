"""Places: the SOATE tree, and finding a place by its name as people write it, in ky, ru or Latin, within a place above.

SOATE (the state classifier of administrative and territorial units, 14 digits) names regions, districts and cities, rural communities
(aiyl aimak) and villages. The top two levels ship with the country pack; the full list is read from the installation's data folder.
The list's own dirt is met here, not passed on: doubled words, stray blanks, and one city under two codes (the code below is an alias of
the code above when both bear the same name). Names repeat: a lookup answers all candidates and `resolve` only takes a single one.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from kerege.semantics.errors import GazetteerInvalid
from kerege.semantics.normalise.folding import collapse, fold, latin_key, lower, spelled_key

Level = Literal["region", "district", "community", "village"]
LEVELS: Final[tuple[Level, ...]] = ("region", "district", "community", "village")
_LEVEL_OF: Final[dict[str, Level]] = {
    "RegionAndCity": "region",
    "District": "district",
    "Countryside": "community",
    "Village": "village",
    **{level: level for level in LEVELS},
}
# Words that say what kind of place it is, folded and without a full stop; they are no part of the name.
_WORDS: Final = {
    "region": "область обл облусу облус oblast oblasty region",
    "district": "район районуну району р-н р-ну raion rayon district dist",
    "city": "город г гор шаар шаары ш city town gorod",
    "community": "айылный айыльный аильный аймак аймагы а/а аа айыл айылы аил айыл-аймагы окмоту aiyl aiyly aimak aimagy aimag okmotu",
    "village": "село с selo s village vill пгт поселок пос кыштак кыштагы участок уч-к",
    "": "им имени атындагы",
}
KIND_WORDS: Final = {fold(word): kind for kind, words in _WORDS.items() for word in words.split()}
_ADJECTIVE: Final = re.compile("(?:skaia|skii|skogo|skoi|skoe|ski)$")


@dataclass(frozen=True, slots=True)
class Place:
    """One unit of the tree. `parent` is the code above, None for a region. `names` are wordings in any language."""

    soate: str
    level: Level
    name_ru: str
    parent: str | None
    name_ky: str = ""
    name_en: str = ""
    aliases: tuple[str, ...] = ()

    def names(self) -> Iterator[str]:
        yield from (n for n in (self.name_ru, self.name_ky, self.name_en, *self.aliases) if n)

    def is_city(self) -> bool:
        """A city of district or region rank, as its official name says."""
        return fold(self.name_ru).startswith(("г.", "г ", "город "))


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a lookup came to: one place, or none with the candidates and a stable reason (found, none, several)."""

    place: Place | None
    candidates: tuple[Place, ...]
    reason: Literal["found", "none", "several"]


def bare_name(text: str) -> str:
    """A place's name without the words for its kind: "Ак-Суйский айылный аймак" is "Ак-Суйский"; doubled words are undone."""
    words = collapse(text.replace(".", ". ").replace(",", " ")).split(" ")
    kept = [w for w in words if fold(w).rstrip(".") not in KIND_WORDS and not _doubled_kind(w)]
    return " ".join(dict.fromkeys(kept)) or collapse(text)


def kind_of(text: str) -> str | None:
    """What kind of place the wording says it is (region, district, city, community, village), or None."""
    for word in collapse(text.replace(".", ". ").replace(",", " ")).split(" "):
        kind = KIND_WORDS.get(fold(word).rstrip("."))
        if kind:
            return kind
    return None


def _doubled_kind(word: str) -> bool:
    half, odd = divmod(len(word), 2)
    return not odd and half > 2 and word[:half] == word[half:] and fold(word[:half]) in KIND_WORDS


def place_keys(text: str) -> tuple[str, ...]:
    """The keys under which a place's name is looked up, the surest first.

    The Russian adjective is undone (Чуйская, Чүй); a second key reads ө as е, as Russian spellings of places do (Дөбө, Дебе).
    """
    name = bare_name(text)
    found = [_place_key(name)]
    for other in (lower(name).replace("ө", "е"), lower(name).replace("ө", "е").replace("ү", "у")):
        if other != lower(name):
            found.append(_place_key(other))
    return tuple(key for key in dict.fromkeys(found) if key)


def _place_key(name: str) -> str:
    key = spelled_key(name)
    stem = _ADJECTIVE.sub("", key)
    key = stem if len(stem) >= 3 else key
    key = latin_key(key)
    return key.rstrip("i") if len(key) > 5 else key


class Gazetteer:
    """The tree in memory, with lookups. Built once, never changed."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._by_code: dict[str, Place] = {}
        self._below: dict[str | None, list[Place]] = {}
        self._by_key: dict[str, list[Place]] = {}
        self._alias: dict[str, str] = {}
        for place in places:
            self._add(place)

    def _add(self, place: Place) -> None:
        if place.soate in self._by_code:
            raise GazetteerInvalid(
                file="places", row=len(self._by_code) + 1, reason=f"the code {place.soate} stands twice"
            )
        self._by_code[place.soate] = place
        above = self._by_code.get(place.parent) if place.parent else None
        if (
            above is not None
            and place_keys(above.name_ru) == place_keys(place.name_ru)
            and above.is_city()
            and place.is_city()
        ):
            self._alias[place.soate] = above.soate
            return
        self._below.setdefault(place.parent, []).append(place)
        for key in dict.fromkeys(key for name in place.names() for key in place_keys(name)):
            self._by_key.setdefault(key, []).append(place)

    def __len__(self) -> int:
        return len(self._by_code)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._by_code.values())

    def get(self, soate: str) -> Place | None:
        """The place with this code (an alias answers its own row), or None."""
        return self._by_code.get(soate)

    def canonical(self, soate: str) -> str:
        """The code itself, or, for a second code of the same city, the code of the city."""
        return self._alias.get(soate, soate)

    def children(self, soate: str | None) -> tuple[Place, ...]:
        """The places right below; below None the regions."""
        return tuple(self._below.get(soate, ()))

    def path(self, soate: str) -> tuple[Place, ...]:
        """From the region down to the place itself; empty for an unknown code."""
        out: list[Place] = []
        place = self._by_code.get(self.canonical(soate))
        while place is not None:
            out.append(place)
            place = self._by_code.get(self.canonical(place.parent)) if place.parent else None
        return tuple(reversed(out))

    def is_within(self, soate: str, above: str) -> bool:
        """Whether the place is `above` or somewhere under it."""
        return any(place.soate == self.canonical(above) for place in self.path(soate))

    def find(self, name: str, within: str | None = None, level: Level | None = None) -> tuple[Place, ...]:
        """Every place bearing `name` (compared by `place_keys`), under `within` and of `level` when given.

        When the wording says its kind ("г. Ош", "Ош облусу"), places of that kind are preferred.
        """
        found: dict[str, Place] = {}
        for key in place_keys(name):
            for place in self._by_key.get(key, ()):
                above = within is None or (place.soate != within and self.is_within(place.soate, within))
                if above and (level is None or place.level == level):
                    found[place.soate] = place
        kind = kind_of(name)
        fitting = [place for place in found.values() if kind is None or _fits(place, kind)]
        return tuple(fitting or found.values())

    def resolve(self, name: str, within: str | None = None, level: Level | None = None) -> Resolution:
        """The one place that `name` can mean. Of a place and others below it bearing its name, the upper one is meant."""
        found = self.find(name, within, level)
        top = [p for p in found if not any(q is not p and self.is_within(p.soate, q.soate) for q in found)]
        if len(top) == 1:
            return Resolution(top[0], found, "found")
        return Resolution(None, found, "several" if found else "none")

    def resolve_path(self, names: Iterable[tuple[str, Level | Literal["city", "any"]]]) -> Resolution:
        """The place that a chain of names, widest first, leads to.

        Each link narrows the one before, or names a place above it and confirms it. A wider link that names nothing known is stepped
        over; when the narrowest names nothing known, nothing is found: the place above it is not the place meant.
        """
        here: list[Place] | None = None
        last = "none"
        for name, kind in names:
            found = self._candidates(name, kind)
            if here is not None and found:
                below = [p for p in found if any(p is not a and self.is_within(p.soate, a.soate) for a in here)]
                confirmed = [p for p in here if any(self.is_within(p.soate, a.soate) for a in found)]
                found = below or confirmed
            last = "found" if found else "none"
            here = found or here
        if here is None or last == "none":
            return Resolution(None, (), "none")
        top = [p for p in here if not any(q is not p and self.is_within(p.soate, q.soate) for q in here)]
        return Resolution(top[0], tuple(here), "found") if len(top) == 1 else Resolution(None, tuple(here), "several")

    def _candidates(self, name: str, kind: str) -> list[Place]:
        found = [p for p in self.find(name) if _fits(p, kind)]
        if kind in ("city", "any") and any(p.is_city() for p in found):  # "Талас, Манас 5": the city, not the region
            return [p for p in found if p.is_city()]
        return found


def _fits(place: Place, kind: str) -> bool:
    if kind == "any":
        return True
    if kind == "city":
        return place.is_city() or place.level == "village"
    if kind in ("district", "region"):
        return place.level == kind and not place.is_city()
    return place.level == kind


def read_places(path: Path) -> list[Place]:
    """Places from CSV: the pack's columns (soate, level, parent, name_ru, name_ky, name_en, aliases) or the full list's (id, parent_id)."""
    try:
        reader = csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise GazetteerInvalid(file=path.name, row="?", reason=f"byte {error.start} is not UTF-8") from error
    missing = {"soate", "level", "name_ru"} - set(reader.fieldnames or ())
    if missing:
        raise GazetteerInvalid(file=path.name, row=1, reason=f"columns missing: {', '.join(sorted(missing))}")
    out: list[Place] = []
    code_of: dict[str, str] = {}
    for number, row in enumerate(reader, start=2):
        place = _place(row, code_of, path.name, number)
        code_of[row.get("id") or place.soate] = place.soate
        out.append(place)
    return out


def _place(row: dict[str, str], code_of: dict[str, str], file: str, number: int) -> Place:
    code, level, name = (
        (row.get("soate") or "").strip(),
        _LEVEL_OF.get(row.get("level") or ""),
        collapse(row.get("name_ru") or ""),
    )
    if len(code) != 14 or not code.isascii() or not code.isdigit():
        raise GazetteerInvalid(file=file, row=number, reason="soate must have 14 digits")
    if level is None or not name:
        raise GazetteerInvalid(file=file, row=number, reason="the level is unknown or the name is empty")
    above = row.get("parent_id") or row.get("parent") or ""
    if above and above not in code_of:
        raise GazetteerInvalid(file=file, row=number, reason="its parent does not stand above it in the file")
    aliases = tuple(a.strip() for a in (row.get("aliases") or "").split("|") if a.strip())
    return Place(
        code,
        level,
        name,
        code_of[above] if above else None,
        row.get("name_ky") or "",
        row.get("name_en") or "",
        aliases,
    )


@dataclass(frozen=True)
class _Sources:
    top: list[Place]
    full: list[Place] = field(default_factory=list)


def load_gazetteer(top: Path, full: Path | None = None) -> Gazetteer:
    """The pack's top levels, with everything below from the full list when there is one; names of the pack win."""
    sources = _Sources(read_places(top), read_places(full) if full is not None and full.is_file() else [])
    known = {place.soate: place for place in sources.top}
    below = [known.pop(place.soate, place) for place in sources.full]
    ranked = [*(known.values()), *below]
    return Gazetteer(sorted(ranked, key=lambda place: LEVELS.index(place.level)))
