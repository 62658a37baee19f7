"""What counts as the same word when people search: keys of words, and how well a typed word fits a word of the index.

A key is the coarse Latin key of `semantics.normalise.folding` word by word, so that case, script, look-alike letters, ө/ү/ң typed as о/у/н and usual
transliterations do not matter. Kyrgyz and Russian carry grammar at a word's end; nothing here knows endings. Instead a long common
beginning is enough ("жарандардын", "жарандарга" and "жаран"), and a slip of one or two letters is forgiven in longer words. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rapidfuzz.distance import OSA

from kerege.semantics.normalise.folding import latin_key, lower

LONGEST: Final = 100  # letters of a word that count; a longer one is no word
EXACT, PREFIX, STEM, KIN, TYPO = 1.0, 0.85, 0.8, 0.6, 0.55
_WORD: Final = re.compile(r"[^\W_]+")
_HUMP: Final = re.compile(r"(?<=[a-zа-яё])(?=[A-ZА-ЯЁ])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text: where it stands, and its key."""

    start: int
    end: int
    key: str


def words(text: str) -> list[Word]:
    """The words of `text` in order; `birthDate`, `birth_date` and `birth-date` are two words each."""
    found = []
    for piece in _WORD.finditer(text):
        at = piece.start()
        for part in _HUMP.split(piece.group()):
            key = key_of(part)
            if key:
                found.append(Word(at, at + len(part), key))
            at += len(part)
    return found


@lru_cache(maxsize=65536)
def key_of(word: str) -> str:
    """The key of one word: Latin letters; a number stays as it is, its digits are not a spelling."""
    key = lower(word) if word.isdecimal() else latin_key(word)
    return key[:LONGEST]


def keys(texts: Iterable[str]) -> list[str]:
    """The different keys of several texts, in order; a run of words written together is found by its whole too."""
    out: dict[str, None] = {}
    for text in texts:
        found = words(text)
        out.update((w.key, None) for w in found)
        for piece in _WORD.finditer(text):
            whole = key_of(piece.group())
            if whole:
                out[whole] = None
    return list(out)


def joined(texts: Iterable[str]) -> list[str]:
    """Each text as one key, its words run together: what a thing is called, to compare with a whole question.

    >>> joined(["Birth date", "birth_date"])
    ['birthdate']
    """
    return list(dict.fromkeys(whole for whole in ("".join(w.key for w in words(text)) for text in texts) if whole))


def likeness(typed: str, word: str) -> float:
    """How well `word` of the index answers `typed`: EXACT down to TYPO, 0.0 when it does not.

    >>> likeness("jaran", "jarandardin"), likeness("jarandardin", "jaran"), likeness("pin", "pins") > likeness("pin", "pen")
    (0.85, 0.8, True)
    """
    if typed == word:
        return EXACT
    if typed.isdecimal() or word.isdecimal():
        return PREFIX if len(typed) >= 2 and word.startswith(typed) else 0.0
    if word.startswith(typed) and len(typed) >= 2:
        return PREFIX
    if typed.startswith(word) and len(word) >= 4:
        return STEM
    shared = _shared(typed, word)
    shorter, longer = sorted((len(typed), len(word)))
    if shared >= 4 and shared >= 0.6 * shorter:
        return KIN * shared / shorter + 0.1
    allowed = 0 if shorter < 4 else 1 if shorter < 8 else 2
    if allowed and longer - shorter <= allowed:
        slips = OSA.distance(typed, word, score_cutoff=allowed)
        if slips <= allowed:
            return TYPO - 0.1 * (slips - 1)
    return 0.0


def _shared(a: str, b: str) -> int:
    n = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        n += 1
    return n


def triples(word: str) -> list[str]:
    """The letter triples of a key, without repeats."""
    return list(dict.fromkeys(word[i : i + 3] for i in range(len(word) - 2)))
