"""What a spreadsheet does to data, seen in a column's profile: dates become numbers, codes lose their leading zeros, cells are formulas.

Suspicions, each with its reason and naming the column; a person decides. How a cell is written so that no spreadsheet runs it is
`semantics.codelists.spreadsheets`. Pure.
"""

from __future__ import annotations

import re
from typing import Final

from kerege.catalogue.inventory.profile import FieldProfile
from kerege.ground.text import counted

SUSPECTED: Final = frozenset({"formula-cells", "serial-dates", "lost-zeros"})
_CODE_WORDS: Final = (
    *("code", "kod", "код", "коду", "soate", "соате", "okpo", "окпо", "inn", "инн", "pin", "пин", "index", "индекс"),
    *("zip", "postcode", "bik", "бик", "oked", "uid", "номери"),
)
_DATE_WORDS: Final = (
    "date",
    "day",
    "дата",
    "күн",
    "күнү",
    "birth",
    "born",
    "рождения",
    "туулган",
    "datum",
    "dob",
    "since",
    "until",
)


def suspicions(profile: FieldProfile) -> list[tuple[str, str]]:
    """(kind, sentence) of what looks like a spreadsheet's doing in a column, or like an attack on one."""
    out = []
    if profile.formulas:
        out.append(
            (
                "formula-cells",
                f"{counted(profile.formulas, 'cell')} {'begins' if profile.formulas == 1 else 'begin'} as a spreadsheet's formulas do; "
                "they are data, and written with ' before them",
            )
        )
    words = set(_words(profile.name))
    if profile.type == "integer" and profile.serials and words & set(_DATE_WORDS):
        out.append(
            (
                "serial-dates",
                "the name says dates, the values are numbers as spreadsheets count days (1900-01-01 is 1): "
                "format the column as text yyyy-mm-dd before it is exported",
            )
        )
    digits = {len(m): n for m, n in profile.masks if m.strip("9") == ""}
    if len(digits) >= 2 and sum(digits.values()) >= 980 and words & set(_CODE_WORDS) and profile.type == "integer":
        longest = max(digits)
        if longest >= 3 and digits[longest] >= 500 and max(digits, key=lambda n: digits[n]) == longest:
            out.append(
                (
                    "lost-zeros",
                    f"the name says codes, most have {longest} digits and {sum(digits.values()) - digits[longest]} per mille fewer: "
                    "leading zeros may be lost; keep codes as text in the spreadsheet",
                )
            )
    return out


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-zа-я])(?=[A-ZА-Я])", " ", name)
    return [w for w in re.split(r"[\W_\d]+", spaced.casefold()) if w]
