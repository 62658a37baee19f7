"""One address in three ways of writing: Russian official, Kyrgyz, and short without region and marks.

Always of a clean `Address`; the Russian way has Russian letters only, as in offices. In Latin letters (education) the written text is
put through a habit of `spelling` afterwards.
"""

from __future__ import annotations

from typing import Literal

from kerege.demo.world.model import Address, Area
from kerege.demo.world.regions import KYRGYZ, region_of
from kerege.demo.world.spelling import lose_letters

Way = Literal["official", "kyrgyz", "short"]


class AddressWriter:
    """Writes addresses on a country's areas; caches the words of each unit, because people share units."""

    def __init__(self, areas: tuple[Area, ...], districts_ky: dict[str, str]) -> None:
        self._areas = {area.soate: area for area in areas}
        self._districts_ky = districts_ky
        self._units: dict[tuple[str, Way], str] = {}

    def write(self, address: Address, way: Way) -> str:
        unit = self._unit(address.soate, way)
        street, house, flat = address.street, address.house, address.flat
        if way == "short":
            at = f"{street} {house}" if street else house
            return f"{unit}, {at}" + (f"-{flat}" if flat else "")
        if way == "kyrgyz":
            parts = [unit, f"{street} көчөсү" if street else "", f"{house}-үй", f"{flat}-батир" if flat else ""]
            return ", ".join(part for part in parts if part)
        parts = [unit, f"ул. {street}" if street else "", f"д. {house}", f"кв. {flat}" if flat else ""]
        return lose_letters(", ".join(part for part in parts if part))

    def _unit(self, soate: str, way: Way) -> str:
        key = (soate, way)
        if key not in self._units:
            self._units[key] = self._write_unit(soate, way)
        return self._units[key]

    def _write_unit(self, soate: str, way: Way) -> str:
        chain: list[Area] = []
        area = self._areas.get(soate)
        while area is not None:
            chain.append(area)
            area = self._areas.get(area.parent) if area.parent else None
        words = [self._word(area, way) for area in reversed(chain) if area.level != 3]
        if way == "short":
            inner = len(words) > 1 and words[0] in ("Бишкек", "Ош")  # a district of the city means nothing without it
            return ", ".join(words[:2]) if inner else words[-1]
        return ", ".join(words)

    def _word(self, area: Area, way: Way) -> str:
        name = area.name_ru
        if way == "short":
            return name.removeprefix("г. ").removesuffix(" район").removesuffix(" область")
        if way == "kyrgyz":
            if area.level == 1:
                return KYRGYZ.get(region_of(area.soate), name)
            if area.level == 4:
                return f"{name} айылы"
            return self._districts_ky.get(area.soate, name)
        if area.level == 4:
            return f"с. {name}"
        return name.replace(" область", " обл.").replace(" район", " р-н")
