"""Canonical values in words: codes by the country pack's code lists, places by its gazetteer, dates in the page's language.

A canonical record holds codes (`1`, `valid`, `41708203850010`); a person reads words. What the pack does not know is shown as it is.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Final

import kerege
from kerege.ground import settings
from kerege.ground.errors import KeregeError
from kerege.semantics import Pack, load_pack
from kerege.web import formats, labels
from kerege.web.words import language

_LISTS: Final = {
    ("*", "sex"): "kg:sex",
    ("child.vaccination", "status"): "kg:vaccination-status",
    ("child.enrolment", "status"): "kg:enrolment-status",
    ("*", "language"): "kg:language",
}
_DATES: Final = frozenset({"birth_date", "act_date", "issued", "registered_since"})
_PLACES: Final = frozenset({"soate", "region_soate", "area_soate"})


@lru_cache(maxsize=1)
def pack() -> Pack | None:
    """The country pack, read once per process; None where it cannot be read (its own commands say why)."""
    folder = Path(kerege.__file__).parent / "country" / settings.get("country")
    data = settings.get("country_data")
    try:
        return load_pack(folder, data_dir=Path(data) if data else None)
    except KeregeError:
        return None


def shown(concept: str, field: str, value: str | None) -> str:
    """`value` of a canonical `field` as a person reads it."""
    if value is None or value == "":
        return "–"
    if field in _DATES:
        try:
            return formats.day(date.fromisoformat(value))
        except ValueError:
            return value
    if field in _PLACES:
        return place(value)
    codelist = _LISTS.get((concept, field)) or _LISTS.get(("*", field))
    return code(codelist, value) if codelist else value


def code(codelist: str, value: str) -> str:
    """A code's label; the code where the list does not have it."""
    known = pack()
    if known is None:
        return value
    found = known.codelist(codelist).get(value)
    return found.label(language()) if found else value


def codelist_name(codelist: str) -> str:
    """What a code list is called; its identifier where the pack does not have it."""
    known = pack()
    try:
        title = known.codelist(codelist).title.get(language(), "") if known else ""
    except KeregeError:
        return codelist
    return labels.codelist(codelist, title)


def known_place(code: str) -> str:
    """A place with all above it, as `place`; "" for a code that is no place's."""
    known = pack()
    return ", ".join(_names(known, code)) if known is not None and known.gazetteer.get(code) is not None else ""


def place(soate: str) -> str:
    """A place with the places above it, the smallest first. Where the gazetteer ends above it, the nearest place above and the code."""
    known = pack()
    if known is None:
        return soate
    for known_digits in range(len(soate), 4, -1):
        above = soate[:known_digits].ljust(len(soate), "0")
        if known.gazetteer.get(above) is not None:
            named = ", ".join(_names(known, above))
            return named if known_digits == len(soate) or above == soate else f"{named} ({soate})"
    return soate


def _names(known: Pack, soate: str) -> list[str]:
    """The place and all above it in the page's language, the smallest first."""
    names = []
    for part in reversed(known.gazetteer.path(soate)):
        by_language = {"ky": part.name_ky, "ru": part.name_ru, "en": part.name_en}
        names.append(by_language[language()] or part.name_ru or part.name_ky)
    return names
