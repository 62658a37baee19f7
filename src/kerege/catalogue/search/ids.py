"""What the id of an entry of the search index says: how likely it is before anything is asked, and what it is counted under.

    | 8 bits: place | 20 bits: facet | 32 bits: number |

The database gives entries in the order of their ids, so the likeliest come first without any being ranked, and the few hundred that are ranked
are reached without looking at the rest; what is found is counted and narrowed by the facet in the id, without reading a row. An entry that
changes is removed and written with another id. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FACET_SHIFT: Final = 32
PLACE_SHIFT: Final = 52
FACETS: Final = 1 << (PLACE_SHIFT - FACET_SHIFT)
NUMBERS: Final = 1 << FACET_SHIFT
_PLACES: Final = 256
BOOST: Final[dict[str, float]] = {
    "dataset": 1.15,
    "concept": 1.12,
    "codelist": 1.1,
    "crosswalk": 1.0,
    "owner": 1.05,
    "contract": 1.0,
    "field": 1.0,
    "code": 0.9,
}
_TRUTHS: Final = {None: "-", True: "y", False: "n"}
_READ: Final = {sign: truth for truth, sign in _TRUTHS.items()}


@dataclass(frozen=True, slots=True)
class Facet:
    """What hits are narrowed by."""

    kind: str
    organisation: str
    personal: bool | None
    owned: bool | None
    public: bool

    @property
    def told(self) -> str:
        """As it is stored.

        >>> Facet("field", "KG/GOV/70000002", True, None, False).told
        'field|y-n|KG/GOV/70000002'
        """
        return f"{self.kind}|{_TRUTHS[self.personal]}{_TRUTHS[self.owned]}{_TRUTHS[self.public]}|{self.organisation}"

    @classmethod
    def of(cls, told: str) -> Facet:
        kind, truths, organisation = told.split("|", 2)
        return cls(kind, organisation, _READ[truths[0]], _READ[truths[1]], truths[2] == "y")


def likely(kind: str, words: int) -> float:
    """How likely an entry is meant before anything is asked: its kind, and of two names that fit the one with fewer other words."""
    return BOOST.get(kind, 1.0) / (1.0 + 0.02 * words)


def prefix(facet: int, kind: str, words: int) -> int:
    """The id's upper bits; the likeliest entries have the lowest.

    >>> prefix(7, "dataset", 1) < prefix(7, "dataset", 30) < prefix(7, "code", 300)
    True
    """
    if not 0 < facet < FACETS:
        raise ValueError(f"a facet's number is from 1 to {FACETS - 1}, not {facet}")
    place = _PLACES - 1 - min(_PLACES - 1, int(likely(kind, words) / 1.2 * _PLACES))
    return place << PLACE_SHIFT | facet << FACET_SHIFT


def facet_of(entry: int) -> int:
    """The number of an entry's facet."""
    return entry >> FACET_SHIFT & FACETS - 1
