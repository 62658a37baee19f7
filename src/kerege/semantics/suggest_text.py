"""How labels are read before they are compared: folding, words, kinds of place.

A label of a code list is a short name in some language and script ("Жайылский район", "Jayyl district", "Bwrdeistref Caerffili"). The
fold is coarse on purpose: Kyrgyz, Russian and Latin spellings of one name should fall together, and where two different names fall
together as well, the margin rule of `suggest_codes` sees two equal candidates and leaves the code open. Pure; people's names are not
folded here but in `semantics.names`.

Kinds ("district", "oblast", "village") are words that say what a thing is and not what it is called. The table below is a closed list in
ky, ru, en and cy; it decides ties and raises doubts, it never makes two names equal.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_CYRILLIC: Final = str.maketrans(
    {
        "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "e", "ж": "j", "з": "z", "и": "i", "й": "i",
        "к": "k", "л": "l", "м": "m", "н": "n", "ң": "n", "о": "o", "ө": "o", "п": "p", "р": "r", "с": "s", "т": "t",
        "у": "u", "ү": "u", "ф": "f", "х": "h", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sh", "ъ": "", "ы": "i", "ь": "",
        "э": "e", "ю": "iu", "я": "ia",
    }
)  # fmt: skip

# Latin ways to write one Cyrillic letter, made one. Order matters: longer first.
_LATIN: Final = (
    ("shch", "sh"), ("dzh", "j"), ("zh", "j"), ("kh", "h"), ("yu", "iu"), ("ju", "iu"), ("ya", "ia"), ("yo", "e"),
    ("ye", "e"), ("y", "i"), ("ts", "ts"),
)  # fmt: skip

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
    """One way to write `text`: lower-case Latin letters and digits, one space between words.

    >>> fold("Жайылский"), fold("Jayylskiy"), fold("Ынтымак")
    ('jaiilskii', 'jaiilskii', 'intimak')
    """
    lowered = text.casefold().replace("&", " and ").replace("’", "").replace("'", "").replace("ʼ", "")
    latin = lowered.translate(_CYRILLIC)
    cyrillic_came = latin != lowered
    plain = "".join(c for c in unicodedata.normalize("NFKD", latin) if not unicodedata.combining(c))
    if not cyrillic_came or not plain.isascii():
        plain = plain.replace("ı", "i")
    for written, one in _LATIN:
        plain = plain.replace(written, one)
    return " ".join("".join(c if c.isalnum() else " " for c in plain).split())


_FOLDED_KINDS: Final = {fold(word).replace(" ", ""): kind for word, kind in _KINDS.items()}
_FOLDED_OFFICE: Final = frozenset(fold(word) for word in _OFFICE)


def squeeze(word: str) -> str:
    """`word` with doubled letters made single: "suu" and "su", "issik" and "isik" are one word to a listener."""
    return "".join(c for i, c in enumerate(word) if i == 0 or c != word[i - 1])


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
    kinds = frozenset(_FOLDED_KINDS[w] for w in words if w in _FOLDED_KINDS)
    office = frozenset(w for w in words if w in _FOLDED_OFFICE)
    names = tuple(w for w in words if w not in _FOLDED_KINDS and w not in _FOLDED_OFFICE) or tuple(words)
    return Label(names, tuple(root(w) for w in names), kinds, office)


def _open_abbreviations(text: str) -> str:
    """Kinds glued by a slash or hyphen in abbreviations, before punctuation is dropped: "а/о", "р-н"."""
    return text.replace("а/о", " аймак ").replace("р-н", " район ").replace("А/О", " аймак ").replace("Р-Н", " район ")


def trigrams(key: str) -> frozenset[str]:
    """Letter triples of a key with its ends marked, for finding candidates."""
    padded = f"  {key} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))
