"""Copying with dirt: how a name, a PIN or an address gets from the world into a register, and the marks of what went wrong.

A `Marker` goes with one record: it throws the declared dice, and remembers what could have shown (`open`) and what was planted, so
that `measure` counts planted dirt and not intentions. Every die is thrown whether its kind is open or not: changing one rate moves
nothing but that kind.
"""

from __future__ import annotations

from random import Random

from kerege.demo.world.addressing import AddressWriter, Way
from kerege.demo.world.dirt import Dirt
from kerege.demo.world.model import Address, PersonName, Sex
from kerege.demo.world.naming import patronymic, surname
from kerege.demo.world.spelling import HABITS, Habit, can_lose_letters, latin, lose_letters


class Marker:
    """The dice and the marks of one record."""

    __slots__ = ("_agency", "_dirt", "open", "planted", "rng")

    def __init__(self, dirt: Dirt, agency: str, rng: Random) -> None:
        self._dirt, self._agency, self.rng = dirt, agency, rng
        self.planted: list[str] = []
        self.open: list[str] = []

    def chance(self, kind: str, possible: bool = True) -> bool:
        fell = self.rng.random() < self._dirt.rate(kind, self._agency)
        if not possible:
            return False
        self.open.append(kind)
        if fell:
            self.planted.append(kind)
        return fell

    def marks(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(self.planted), tuple(self.open)


def parts(marker: Marker, name: PersonName, sex: Sex, *, may_miss: bool = True) -> tuple[str, str, str]:
    """Surname, given name, patronymic in Cyrillic, with the register's patronymic style."""
    own = patronymic(name, sex)
    if may_miss and marker.chance("patronymic_missing", bool(own)):
        father = ""
    elif marker.chance("patronymic_style", bool(own)):
        father = patronymic(name, sex, "ovich" if name.patronymic_style == "uulu" else "uulu")
    else:
        father = own
    return surname(name, sex), name.given, father


def spell(marker: Marker, words: tuple[str, ...]) -> tuple[str, ...]:
    """The same words, on a Russian keyboard when the dice say so."""
    if marker.chance("spelling_loss", any(can_lose_letters(word) for word in words)):
        return tuple(lose_letters(word) for word in words)
    return words


def one_string(marker: Marker, name: PersonName, sex: Sex) -> str:
    """A full name as a parent writes it: order, spelling, letters, capitals and blanks by the dice."""
    family, given, father = spell(marker, parts(marker, name, sex))
    in_latin = marker.chance("latin")
    habit = marker.rng.choice(HABITS)
    swapped = marker.chance("order_swapped")
    last = marker.rng.random() < 0.5  # "given patronymic surname" or "given surname patronymic"
    if swapped:
        words = [given, father, family] if last else [given, family, father]
    else:
        words = [family, given, father]
    text = " ".join(word for word in words if word)
    if in_latin:
        text = latin(text, habit)
    if marker.chance("capitals"):
        text = text.upper()
    if marker.chance("stray_blanks"):
        text = text.replace(" ", "  ", 1) + " "
    return text


def copy_pin(marker: Marker, pin: str, prefix: str = "") -> str:
    """A PIN as typed off a paper: whole, missing (empty), or with one digit changed or two neighbours swapped."""
    if marker.chance(f"{prefix}pin_missing"):
        return ""
    return mistype(marker.rng, pin) if marker.chance(f"{prefix}pin_mistyped") else pin


def mistype(rng: Random, pin: str) -> str:
    position = rng.randrange(len(pin))
    if rng.random() < 0.5:
        digit = str((int(pin[position]) + rng.randint(1, 9)) % 10)
        return pin[:position] + digit + pin[position + 1 :]
    swaps = [i for i in range(len(pin) - 1) if pin[i] != pin[i + 1]]
    at = rng.choice(swaps)
    return pin[:at] + pin[at + 1] + pin[at] + pin[at + 2 :]


def address_text(marker: Marker, writer: AddressWriter, address: Address) -> str:
    return writer.write(address, _way(marker))


def _way(marker: Marker) -> Way:
    if marker.chance("address_kyrgyz"):
        return "kyrgyz"
    return "short" if marker.chance("address_short") else "official"


def latin_habit(marker: Marker) -> Habit:
    """Education's habit for one record."""
    if marker.chance("latin_sloppy"):
        return "sloppy"
    return "bgn" if marker.chance("latin_bgn") else "passport"
