"""Names in the Kyrgyz styles: composed from the country pack's stems, declined by rule.

Surnames take -ов/-ев (-ова/-ева) or are themselves "<father> уулу/кызы"; patronymics are -ович/-евич (-овна/-евна) or
"<father> уулу/кызы". Stems: src/kerege/country/kg/names.yaml. Spelling and order in a register are `copies` and `spelling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import yaml

from kerege.demo.world.model import PersonName, Sex

NAMES_FILE: Final = Path(__file__).parents[2] / "country" / "kg" / "names.yaml"
_VOWELS: Final = "аеёиоуыэюяөү"
_SOFTENING: Final = "жшчщц"


@dataclass(frozen=True, slots=True)
class Stems:
    male: tuple[str, ...]
    female: tuple[str, ...]
    surnames: tuple[str, ...]
    streets: tuple[str, ...]
    twins: dict[str, tuple[tuple[str, str], ...]]
    districts_ky: dict[str, str]


def load_stems(path: Path = NAMES_FILE) -> Stems:
    raw: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return Stems(
        male=_compose(raw["male"]),
        female=_compose(raw["female"]),
        surnames=_compose(raw["surnames"]),
        streets=tuple(raw["streets"]),
        twins={kind: tuple((first, second) for first, second in pairs) for kind, pairs in raw["twins"].items()},
        districts_ky=dict(raw["districts_ky"]),
    )


def _compose(stems: dict[str, list[str]]) -> tuple[str, ...]:
    """Every whole name, and every first part with every second that does not repeat it; order as in the file, no doubles."""
    joined = [
        first + second
        for first in stems["first"]
        for second in stems["second"]
        if first.lower() != second and not (first[-1] in _VOWELS and second[0] in _VOWELS) and first[-1] != second[0]
    ]
    return tuple(dict.fromkeys([*stems["whole"], *joined]))


def pick(rng: Random, names: tuple[str, ...]) -> str:
    """A name, the front of the list more often than its end: some names are common, as in life."""
    return names[int(len(names) * rng.random() ** 1.5)]


def surname(name: PersonName, sex: Sex) -> str:
    if name.surname_style == "uulu":
        return f"{name.surname_root} {'уулу' if sex == 'M' else 'кызы'}"
    return _stem(name.surname_root, "ов", "ев") + ("" if sex == "M" else "а")


def patronymic(name: PersonName, sex: Sex, style: str | None = None) -> str:
    """The patronymic in `style`, or in the person's own; empty where there is none."""
    if name.father is None or name.surname_style == "uulu":
        return ""
    if (style or name.patronymic_style) == "uulu":
        return f"{name.father} {'уулу' if sex == 'M' else 'кызы'}"
    return _stem(name.father, "ов", "ев") + ("ич" if sex == "M" else "на")


def _stem(root: str, hard: str, soft: str) -> str:
    last = root[-1].lower()
    if last in "йь":
        return root[:-1] + soft
    if last in _VOWELS or last in _SOFTENING:
        return root + soft
    return root + hard
