"""The area tree the world stands on: the real classifier when its file is given, districts from the country pack otherwise.

The file's real dirt is met here: trailing and doubled blanks, a doubled word ("районрайон"), a unit whose parent is missing. The
city of Osh has two codes in it, one at each of the first two levels; people are registered at the first. Rows that cannot be
read at all are an error with file, row and column: a half-read country would look right and be wrong.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kerege.demo.world.errors import AreaFileBroken
from kerege.demo.world.model import Area

PACK_TOP: Final = Path(__file__).parents[2] / "country" / "kg" / "soate-top.csv"
_LEVELS: Final = {"RegionAndCity": 1, "District": 2, "Countryside": 3, "Village": 4, "region": 1, "district": 2}

_FEW: Final = (
    Area("41711000000000", "г. Бишкек", 1, None),
    Area("41711201000000", "Ленинский район", 2, "41711000000000"),
    Area("41711203000000", "Первомайский район", 2, "41711000000000"),
    Area("41702000000000", "Иссык-Кульская область", 1, None),
    Area("41702205000000", "Ак-Суйский район", 2, "41702000000000"),
    Area("41702410000010", "г. Каракол", 2, "41702000000000"),
    Area("41708000000000", "Чуйская область", 1, None),
    Area("41708222000000", "Сокулукский район", 2, "41708000000000"),
    Area("41708400000010", "г. Токмок", 2, "41708000000000"),
)


@dataclass(frozen=True, slots=True)
class Country:
    areas: tuple[Area, ...]
    source: str

    def by_soate(self) -> dict[str, Area]:
        return {area.soate: area for area in self.areas}


def load_country(soate_csv: Path | None) -> Country:
    """The areas from `soate_csv`; else from the pack's district-level list; else a few places of our own."""
    if soate_csv is not None and soate_csv.exists():
        return Country(_read(soate_csv), str(soate_csv))
    if PACK_TOP.exists():
        areas = _read(PACK_TOP)
        if sum(area.level == 2 for area in areas) >= len(_FEW):
            return Country(areas, "country pack, districts only")
    return Country(_FEW, "a few places of the demo's own")


def clean_name(name: str) -> str:
    """One blank between words, none around them, no word doubled onto itself."""
    collapsed = re.sub(r"\s+", " ", name).strip()
    return re.sub(r"\b(\w{4,}?)\1\b", r"\1", collapsed)


def _read(path: Path) -> tuple[Area, ...]:
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AreaFileBroken(
            file=path, row=0, column="-", problem=f"cannot be read ({type(error).__name__})"
        ) from error
    if not rows:
        raise AreaFileBroken(file=path, row=1, column="-", problem="the file has no rows")
    code_column = next((c for c in ("soate", "code", "notation") if c in rows[0]), None)
    name_column = next((c for c in ("name_ru", "ru", "label_ru", "name") if c in rows[0]), None)
    parent_column = next((c for c in ("parent_id", "parent", "parent_soate", "broader") if c in rows[0]), None)
    for wanted, found in (("soate", code_column), ("name_ru", name_column), ("parent_id", parent_column)):
        if found is None:
            raise AreaFileBroken(file=path, row=1, column=wanted, problem="the column is missing")
    assert code_column is not None
    assert name_column is not None
    assert parent_column is not None
    by_id = {row["id"]: row[code_column].strip() for row in rows if row.get("id")}
    areas: dict[str, Area] = {}
    for number, row in enumerate(rows, start=2):
        soate = (row[code_column] or "").strip()
        if not re.fullmatch(r"\d{14}", soate):
            raise AreaFileBroken(file=path, row=number, column=code_column, problem="expected 14 digits")
        given = (row[parent_column] or "").strip()
        parent = by_id.get(given, given if re.fullmatch(r"\d{14}", given) else None)
        level = _LEVELS.get((row.get("level") or "").strip()) or (1 if parent is None else 2)
        if soate not in areas:
            areas[soate] = Area(soate, clean_name(row[name_column] or ""), level, parent)
    return tuple(area for area in areas.values() if area.level == 1 or area.parent in areas)
