"""How labels are read before they are compared: folding, words, kinds of place.

A label of a code list is a short name in some language and script ("Жайылский район", "Jayyl district", "Bwrdeistref Caerffili"). The
fold is coarse on purpose: Kyrgyz, Russian and Latin spellings of one name should fall together, and where two different names fall
together as well, the margin rule of `suggest.codes` sees two equal candidates and leaves the code open. Letters are folded by
`semantics.normalise.folding`; people's names by `semantics.normalise.names`. Pure.

Kinds ("district", "oblast", "village") are words that say what a thing is and not what it is called. The table below is a closed list in
ky, ru, en and cy; it decides ties and raises doubts, it never makes two names equal.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kerege.semantics.normalise.folding import spelled_key

# Endings by which Russian makes an adjective of a place name: "Жайылский район" is the district of Жайыл.
_ADJECTIVE: Final = ("skaia", "skogo", "skoe", "skii", "skoi", "skie", "ski", "skiy")

_KINDS: Final[dict[str, str]] = {
    word: kind
    for kind, words in {
        "region": "область обл oblast облусу облус region regions county counties sir swydd",
        "district": "район районы району р-н raion rayon district districts dosbarth",
        "city": "город г гор шаары шаар ш city gorod shaar shaary town dinas tref",
        "community": "айыл айылный аильный айылныи аймак аймагы а/о аа ао aiyl aimak aimagy ayil ayyl aiylnyi okmotu community cymuned okrug округ",
        "village": "село с айылы айыл_кыштагы village selo pentref пгт посёлок поселок пос",
    }.items()
    for word in words.split()
}  # fmt: skip

# Words of office that name no place: they may stand on one side only without making two names differ.
_OFFICE: Final = frozenset(
    [
        *("council", "councils", "borough", "metropolitan", "unitary", "authority", "authorities", "corporation"),
        *("cyngor", "bwrdeistref", "sirol", "area", "the", "of", "and", "y", "a", "yr", "им", "имени", "атындагы"),
    ]
)


@lru_cache(maxsize=65536)
def fold(text: str) -> str:
    """One way to write `text`: the words' keys (`folding.spelled_key`), one space between.

    >>> fold("Жайылский"), fold("Jayylskiy"), fold("Dzhany-Dzher"), fold("Джаны-Джер")
    ('jaiilskii', 'jaiilskii', 'jani jer', 'jani jer')
    """
    apart = text.replace("&", " and ").replace("’", "").replace("'", "").replace("ʼ", "")
    words = "".join(c if c.isalnum() or unicodedata.combining(c) else " " for c in apart).split()
    return " ".join(key for key in map(spelled_key, words) if key)


def squeeze(word: str) -> str:
    """`word` with doubled letters made single: "suu" and "su", "issik" and "isik" are one word to a listener."""
    return "".join(c for i, c in enumerate(word) if i == 0 or c != word[i - 1])


_FOLDED_KINDS: Final = {squeeze(fold(word).replace(" ", "")): kind for word, kind in _KINDS.items()}
_FOLDED_OFFICE: Final = frozenset(squeeze(fold(word)) for word in _OFFICE)


def root(word: str) -> str:
    """A place adjective without its Russian ending, squeezed; other words only squeezed."""
    for ending in _ADJECTIVE:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            stem = word[: -len(ending)]
            # "Сууский", "Сууйский", "Суйский" are all "of Суу": the glide before the ending is Russian, not the name's
            return squeeze(stem[:-1] if stem.endswith(("ui", "oi", "ai")) else stem)
    return squeeze(word)


@dataclass(frozen=True, slots=True)
class Label:
    """A label as it is compared.

    words    what the thing is called: folded words without kind and office words, in order
    roots    the same words squeezed and without adjective endings
    kinds    what the thing is, as far as the label says
    office   office words that were taken off ("borough"), kept to settle ties
    """

    words: tuple[str, ...]
    roots: tuple[str, ...]
    kinds: frozenset[str]
    office: frozenset[str]

    @property
    def key(self) -> str:
        """Words run together: "Ак-Суу", "Ak Suu" and "Aksu" have one key."""
        return squeeze("".join(self.roots))


@lru_cache(maxsize=65536)
def read_label(text: str) -> Label:
    """`text` as a `Label`. A label of kind words only ("City") keeps them as its name."""
    words = [w for w in fold(_open_abbreviations(text)).split() if w]
    kinds = frozenset(_FOLDED_KINDS[squeeze(w)] for w in words if squeeze(w) in _FOLDED_KINDS)
    office = frozenset(w for w in words if squeeze(w) in _FOLDED_OFFICE)
    names = tuple(w for w in words if squeeze(w) not in _FOLDED_KINDS and squeeze(w) not in _FOLDED_OFFICE) or tuple(
        words
    )
    return Label(names, tuple(root(w) for w in names), kinds, office)


def _open_abbreviations(text: str) -> str:
    """Kinds glued by a slash or hyphen in abbreviations, before punctuation is dropped: "а/о", "р-н"."""
    return text.replace("а/о", " аймак ").replace("р-н", " район ").replace("А/О", " аймак ").replace("Р-Н", " район ")


def trigrams(key: str) -> frozenset[str]:
    """Letter triples of a key with its ends marked, for finding candidates."""
    padded = f"  {key} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))
