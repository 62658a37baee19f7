"""Names of people: taking them apart in any order, one comparison key for ky, ru and Latin spelling, and a careful comparison.

Kyrgyz official names have a surname, a given name and a patronymic in one of several styles: Russian (Бакытович, Бакытовна), Kyrgyz
(Бакыт уулу, Бакыт кызы), or none. A form's single cell holds them in any order. `compare` is conservative: it says "same" only when
it is sure, "different" only when the given names are clearly two names, and "similar" for all else, with reasons. Twins share surname,
patronymic and birth date, so everything but the given name weighs little there. Whether two *records* are one person is `reconcile`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from rapidfuzz.distance import OSA, JaroWinkler

from kerege.semantics.normalise.folding import collapse, latin_key, spelled_key, title

Part = Literal["surname", "given_name", "patronymic"]
Verdict = Literal["same", "similar", "different"]

# Kyrgyz, Kazakh and Uzbek words for "son of" and "daughter of" that follow the father's name, as `latin_key` writes them.
_SON: Final = frozenset({"ulu", "uluu", "uli", "ogli", "ugli", "tegin"})
_DAUGHTER: Final = frozenset({"kizi", "kisi", "kizy"})
_CHILD_OF: Final = _SON | _DAUGHTER
# Russian patronymic endings, as `latin_key` writes them, longest first.
_RUSSIAN: Final = ("inichna", "ichna", "ovich", "evich", "ovna", "evna", "ich")
_RUSSIAN_SURE: Final = ("ovich", "evich", "ovna", "evna", "ichna")
_IRREGULAR: Final = {"iakovl": "iakov", "pavl": "pavel", "lv": "lev"}
_SURNAME: Final = re.compile("(?:ov|ev|in|ova|eva|ina|ski|skii|skaia|skoi|ko|uk|iuk|dze|ian|shvili)$")
_GIVEN: Final = re.compile("(?:bek|gul|jan|bubu|kan|mira|nur|dana|rim|zat|lan|sel|bolot|kul)$")
_TOKEN: Final = re.compile(r"[^\s,;/]+")


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name taken apart, written as proper names are. `certain` is False when order or parts had to be assumed."""

    surname: str | None
    given_name: str | None
    patronymic: str | None
    certain: bool = True

    def keys(self) -> dict[str, str | None]:
        """The three comparison keys under their canonical names."""
        return keys(self.surname, self.given_name, self.patronymic)


@dataclass(frozen=True, slots=True)
class NameMatch:
    """How two names compare: 0 to 1, a verdict, and why."""

    score: float
    verdict: Verdict
    reasons: tuple[str, ...]


def proper(text: str) -> str:
    """A name part as it is written: "АСАНОВ" is "Асанов", "БАКЫТ УУЛУ" is "Бакыт уулу"."""
    words = title(collapse(text)).split(" ")
    for place, word in enumerate(words):
        if place and latin_key(word) in _CHILD_OF:
            words[place] = word.lower()
    return " ".join(words)


@lru_cache(maxsize=65536)
def father_root(text: str) -> str:
    """The father's name inside a patronymic, as a coarse key: "Бакытович", "Бакыт уулу", "Bakytovna" are all `bakit`.

    Final vowels fall away too, because Russian endings swallow them (Мамбетали, Мамбеталиевич).
    """
    words = [w for w in (latin_key(w) for w in _TOKEN.findall(collapse(text).replace("-", " "))) if w]
    if len(words) > 1 and words[-1] in _CHILD_OF:
        words.pop()
        root = latin_key("".join(words))
    else:
        root = latin_key("".join(words))
        for ending in (*_RUSSIAN, "uulu", "ulu", "kizi"):
            if root.endswith(ending) and len(root) >= len(ending) + 2:
                root = root.removesuffix(ending)
                break
    short = root.rstrip("aeiou")
    root = short if len(short) >= 2 else root
    return _IRREGULAR.get(root, root)


def keys(surname: str | None, given_name: str | None, patronymic: str | None) -> dict[str, str | None]:
    """Comparison keys of the three parts; None where there is nothing to compare.

    A surname that is itself "Бакыт уулу" is a patronymic in the surname's place: it gives the patronymic key when there is no other.
    """
    in_place = surname is not None and is_child_of(surname)
    father = patronymic or (surname if in_place else None)
    return {
        "surname_key": (latin_key(surname) or None) if surname and not in_place else None,
        "given_name_key": (latin_key(given_name) or None) if given_name else None,
        "patronymic_key": (father_root(father) or None) if father else None,
    }


def full_key(text: str) -> str | None:
    """One key of a whole name in any order: surname, given name and father's name, single-spaced; missing parts left out."""
    found = person_name(text).keys()
    return " ".join(part for part in found.values() if part) or None


def is_child_of(text: str) -> bool:
    """Whether `text` is a father's name with уулу or кызы."""
    words = text.split()
    return len(words) > 1 and latin_key(words[-1]) in _CHILD_OF


@lru_cache(maxsize=65536)
def person_name(text: str) -> PersonName:
    """Take one string apart into surname, given name and patronymic, whatever their order.

    The patronymic shows itself by its ending or by уулу/кызы; the surname by its ending; else the official order is assumed
    (surname, given name, patronymic; or given name, patronymic, surname when the patronymic stands in the middle).
    """
    groups, fathers = _groups(text)
    others = [n for n in range(len(groups)) if n not in fathers]
    certain = len(fathers) <= 1 and len(groups) <= 3
    father = fathers[-1] if fathers else None
    if father is None and len(groups) >= 3:  # three words and none shows itself: the official order
        father, others, certain = 2, [0, 1, *range(3, len(groups))], False
    surname, given, sure = _surname_and_given(groups, others, father)
    rest = [n for n in others if n not in (surname, given)]
    name = " ".join(groups[n] for n in ([given] if given is not None else []) + rest) or None
    return PersonName(
        surname=proper(groups[surname]) if surname is not None else None,
        given_name=proper(name) if name else None,
        patronymic=proper(groups[father]) if father is not None else None,
        certain=certain and sure and not rest,
    )


def _groups(text: str) -> tuple[list[str], list[int]]:
    """The words of a name, father's name and уулу/кызы as one; and which groups are patronymics."""
    groups: list[str] = []
    fathers: list[int] = []
    for word in _TOKEN.findall(collapse(text)):
        key = latin_key(word)
        if not key:
            continue
        if key in _CHILD_OF and groups:
            groups[-1] += " " + word
            fathers.append(len(groups) - 1)
            continue
        groups.append(word)
        if (key.endswith(_RUSSIAN_SURE) and len(key) > 5) or (
            re.search("(?:uulu|kizi)$", spelled_key(word)) and len(key) > 6
        ):
            fathers.append(len(groups) - 1)
    return groups, sorted(set(fathers))


def _surname_and_given(groups: list[str], others: list[int], father: int | None) -> tuple[int | None, int | None, bool]:
    if not others:
        return None, None, False
    if len(others) == 1:
        only = others[0]
        if father is not None and _SURNAME.search(latin_key(groups[only])) and not is_child_of(groups[father]):
            return only, None, False
        return None, only, father is not None
    first, second = others[0], others[1]
    weight_first, weight_second = _surname_weight(groups[first]), _surname_weight(groups[second])
    if weight_first != weight_second:
        return (first, second, True) if weight_first > weight_second else (second, first, True)
    if father is not None and first < father < second:  # Azamat Bakytovich Asan: given, patronymic, surname
        return second, first, False
    return first, second, father is not None and father > second


def _surname_weight(word: str) -> int:
    key = latin_key(word)
    return (2 if _SURNAME.search(key) and len(key) > 3 else 0) - (1 if _GIVEN.search(key) else 0)


def compare(a: Mapping[str, str | None], b: Mapping[str, str | None]) -> NameMatch:
    """How the names of two records compare, by their `surname_key`, `given_name_key` and `patronymic_key`.

    same       given name equal, and of surname and patronymic one equal and the other equal or unknown on a side
               (unknown surname on one side only: similar); or the two fields were swapped and the patronymic is equal
    different  the given names are clearly two names; or surname and patronymic both are
    similar    everything else
    """
    given = _part(a.get("given_name_key"), b.get("given_name_key"))
    surname = _part(a.get("surname_key"), b.get("surname_key"), surname=True)
    patronymic = _part(a.get("patronymic_key"), b.get("patronymic_key"))
    score = _score(((0.45, given), (0.30, surname), (0.25, patronymic)))
    reasons = tuple(
        f"{name} {part.word}"
        for name, part in (("given name", given), ("surname", surname), ("patronymic", patronymic))
    )
    if _swapped(a, b) and given.word != "equal":
        verdict: Verdict = "same" if patronymic.word == "equal" else "similar"
        return NameMatch(
            0.95 if verdict == "same" else 0.85, verdict, (*reasons, "surname and given name change places")
        )
    return NameMatch(round(score, 4), _verdict(a, b, given, surname, patronymic), reasons)


@dataclass(frozen=True, slots=True)
class _Compared:
    word: Literal["equal", "near", "unlike", "unknown"]
    likeness: float


def _part(a: str | None, b: str | None, *, surname: bool = False) -> _Compared:
    if not a or not b:
        return _Compared("unknown", 0.0)
    if a == b:
        return _Compared("equal", 1.0)
    likeness = JaroWinkler.similarity(a, b)
    if surname and _without_gender(a) == _without_gender(b):
        return _Compared("near", max(likeness, 0.95))
    shorter = min(len(a), len(b))
    edits = OSA.distance(a, b)
    if shorter == 1 and a[0] == b[0]:  # an initial
        return _Compared("near", likeness)
    close = edits <= 1 + (shorter >= 8) or (shorter >= 4 and (a.startswith(b) or b.startswith(a)))
    return _Compared("near" if close or likeness >= 0.93 else "unlike", likeness)


def _without_gender(key: str) -> str:
    if key.endswith(("ova", "eva", "ina")):
        return key[:-1]
    return key[:-4] + "ski" if key.endswith("skaia") else key


def _score(parts: tuple[tuple[float, _Compared], ...]) -> float:
    known = [(weight, part.likeness) for weight, part in parts if part.word != "unknown"]
    total = sum(weight for weight, _ in known)
    return sum(weight * likeness for weight, likeness in known) / total if total else 0.0


def _swapped(a: Mapping[str, str | None], b: Mapping[str, str | None]) -> bool:
    surname, given = a.get("surname_key"), a.get("given_name_key")
    return bool(surname and given) and surname == b.get("given_name_key") and given == b.get("surname_key")


def _verdict(
    a: Mapping[str, str | None],
    b: Mapping[str, str | None],
    given: _Compared,
    surname: _Compared,
    patronymic: _Compared,
) -> Verdict:
    others = (surname.word, patronymic.word)
    if given.word == "unlike":
        return "similar" if _across(a, b) and others != ("unlike", "unlike") else "different"
    if others == ("unlike", "unlike"):
        return "different"
    if given.word != "equal":
        return "similar"
    if others in (("equal", "equal"), ("equal", "unknown")):
        return "same"
    if others == ("unknown", "equal") and not a.get("surname_key") and not b.get("surname_key"):
        return "same"
    return "similar"


def _across(a: Mapping[str, str | None], b: Mapping[str, str | None]) -> bool:
    """Whether the given name of one stands in another field of the other: a cell filled in the wrong order."""
    for one, two in ((a, b), (b, a)):
        given = one.get("given_name_key")
        if given and (given == two.get("surname_key") or father_root(given) == (two.get("patronymic_key") or "")):
            return True
    return False
