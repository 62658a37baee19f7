"""Addresses as people write them, taken apart: places, street, house and flat, in Russian, Kyrgyz and Latin, in either order.

A hand-made grammar over tokens, not a model: marker words say what stands beside them (Russian ones mostly before: "ул. Токтогула", Kyrgyz
and English ones after: "Токтогул көчөсү", "Toktogul st."), commas part the pieces, a bare number after the street is the house, the next
one the flat. `street_key` is the same for "ул. Токтогула", "Токтогул көч." and "Toktogul street". Nothing is guessed from outside the text;
which place the names mean is the gazetteer's to say (`locate`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from kerege.semantics.normalise.folding import collapse, fold, latin_key, lower, spelled_key, title
from kerege.semantics.normalise.gazetteer import Gazetteer, Level, Resolution

Kind = Literal[
    "region", "district", "community", "village", "city", "street", "lane", "area", "house", "building", "flat"
]
Side = Literal["before", "after"]  # where the name stands, seen from the marker, when both sides have one

# Each marker, what it marks, and on which side its name usually stands. They are known by their Latin key, so that an address put into
# Latin letters by any habit (kochosu, köchösü; r-n; oblusu) is read with the same words.
_MARKER_WORDS: Final[tuple[tuple[Kind, Side, str], ...]] = (
    ("region", "before", "область обл облусу облус oblast oblasty region"),
    ("district", "before", "район районуну району р-н р-ну raion rayon district dist"),
    ("community", "before", "аймак аймагы а/а өкмөтү aimak aimagy aiyl-aimagy"),
    ("community", "after", "айыльный айылный аильный"),
    ("village", "after", "с село пос поселок пгт дер деревня selo vill"),
    ("village", "before", "айылы айыл а кыштагы кыштак aiyly aiyl ayil ayyl village"),
    ("city", "after", "г гор город gor"),
    ("city", "before", "ш шаар шаары city town shaary shaar"),
    ("street", "after", "ул улица ul ulitsa пр-т пр просп проспект б-р бул бульвар ш-се шоссе pr prosp bulvar"),
    (
        "street",
        "before",
        "көч көчөсү көчө koch kochosu str st street ave avenue av blvd boulevard проспектиси бульвары prospekt",
    ),
    ("lane", "after", "пер переулок проезд пр-д туп тупик per pereulok тар"),
    ("lane", "before", "lane ln чолок туюгу"),
    ("area", "after", "мкр мкр-н м-н микрорайон ж/м жм жилмассив mkr microdistrict mikroraion mkrn"),
    ("area", "before", "кичирайону кичирайон к/р турак-жай"),
    ("house", "after", "д дом үй д-м house h no № dom uy"),
    ("building", "after", "к корп корпус стр строение блок korp bldg building"),
    ("flat", "after", "кв квартира батир бат kv apt apartment flat ap"),
)
_MARKERS: Final[dict[str, tuple[Kind, Side]]] = {
    latin_key(word) or word: (kind, side) for kind, side, words in _MARKER_WORDS for word in words.split()
}
_AFTER_NUMBER: Final = frozenset(latin_key(w) for w in ("үй", "батир", "бат", "дом", "кв"))  # 125-үй, 14-батир
_NUMBERED: Final = frozenset({"house", "building", "flat"})
_PLACES: Final[dict[str, str]] = {
    "region": "region",
    "district": "district",
    "community": "community",
    "village": "village",
}
_ENGLISH_STREET: Final = frozenset({"st", "str", "street", "ave", "avenue", "av", "blvd", "boulevard", "lane", "ln"})
_MONTHS: Final = frozenset(
    {"ian", "fev", "mar", "apr", "mai", "iun", "iul", "avg", "sen", "okt", "noi", "dek"}
)  # 7 апреля is a name
_DIGITS: Final = frozenset("0123456789")
_PLAIN_LETTERS: Final = str.maketrans("абвгдежзик", "abvgdejzik")


@dataclass(frozen=True, slots=True)
class Address:
    """An address taken apart. Names as written (proper case, without their marker); `house` and `flat` in one plain form."""

    region: str | None = None
    district: str | None = None
    community: str | None = None
    settlement: str | None = None
    street: str | None = None
    street_key: str | None = None
    house: str | None = None
    flat: str | None = None
    soate: str | None = None
    settlement_kind: Literal["city", "village", "any"] = "any"
    rest: tuple[str, ...] = ()  # what the grammar could not place

    @property
    def house_number(self) -> int | None:
        """The leading number of the house, for odd, even and ranges; None without one."""
        digits = ""
        for char in self.house or "":
            if char not in _DIGITS:
                break
            digits += char
        return int(digits) if digits and len(digits) < 6 else None


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    kind: Literal["word", "number"]
    marker: tuple[Kind, Side] | None = None


def parse(text: str, gazetteer: Gazetteer | None = None) -> Address:
    """Take `text` apart; with a gazetteer the place is looked up as well and `soate` filled when it is one place."""
    found = _parse(collapse(text))
    if gazetteer is None:
        return found
    place = locate(found, gazetteer).place
    return replace(found, soate=gazetteer.canonical(place.soate)) if place is not None else found


def locate(address: Address, gazetteer: Gazetteer) -> Resolution:
    """Which place the address names, by its place names from the widest to the narrowest."""
    chain: list[tuple[str, Level | Literal["city", "any"]]] = []
    upper: tuple[tuple[str | None, Level], ...]
    upper = ((address.region, "region"), (address.district, "district"), (address.community, "community"))
    for name, kind in upper:
        if name:
            chain.append((name, kind))
    if address.settlement:
        chain.append((address.settlement, address.settlement_kind))
    return gazetteer.resolve_path(chain)


def street_key(name: str, kind: str = "street") -> str | None:
    """One key of a street's name over scripts and cases: "Токтогула", "Токтогул", "Toktogul" are `toktogul`.

    The Russian genitive and adjective endings are undone. A lane or a block of houses is another place than the street of its name.
    """
    words = [w for w in fold(name).replace(".", " ").split() if len(w) > 1 or w in _DIGITS]  # initials fall away
    joined = "".join(words) or name
    key = _stem(spelled_key(joined))
    if not key:
        return None
    return key if kind == "street" else f"{key} {kind}"


def _stem(key: str) -> str:
    for ending in ("skaia", "skii", "skogo", "skoi", "skoe", "sky", "ski"):
        if key.endswith(ending) and len(key) - len(ending) >= 3:
            key = key.removesuffix(ending)
            break
    else:
        for ending in ("ogo", "ego"):
            if key.endswith(ending) and len(key) - len(ending) >= 3:
                key = key.removesuffix(ending)
                break
    short = key.rstrip("aeiou")
    if len(short) >= 3:
        key = short
    elif key.endswith("ia") and len(key) > 4:  # Абая: abaia, Абай: abai
        key = key[:-1]
    return latin_key(key)


def house_form(raw: str) -> str:
    """A house or flat number in one form: small, no blanks, Latin letters: "12 А", "12-а" and "12a" are `12a`."""
    folded = lower(raw).translate(_PLAIN_LETTERS).replace(" ", "").replace("\\", "/").replace("№", "")
    out = folded.strip("-/.,")
    if "-" in out:
        number, _, letter = out.partition("-")
        if letter.isalpha():
            out = number + letter
    digits = out.lstrip("0")
    return digits if digits and digits[0] in _DIGITS else out


def _tokens(piece: str) -> list[_Token]:
    """The words and numbers of one piece between commas. A marker keeps its own; "125-үй" is a number and a marker."""
    out: list[_Token] = []
    for raw in piece.replace("№", " № ").replace(".", ". ").replace("(", " ").replace(")", " ").split():
        word = raw.strip(".;:\"'«»")
        if not word:
            continue
        key = fold(word)
        if not key:  # nothing but marks that folding takes away
            continue
        if key[0] in _DIGITS:
            out.extend(_number_tokens(word, key))
        elif (mark := latin_key(word) or word) in _MARKERS:
            out.append(_Token(word, "word", _MARKERS[mark]))
        else:
            out.extend(_glued(word, key))
    return out


def _number_tokens(word: str, key: str) -> list[_Token]:
    head, dash, rest = key.partition("-")
    tail = latin_key(rest)
    if dash and tail in _AFTER_NUMBER:
        kind = _MARKERS[tail]
        return [_Token("", "word", kind), _Token(head, "number")]
    if dash and tail in _MARKERS and _MARKERS[tail][0] == "area":
        return [_Token(head, "word"), _Token(word, "word", _MARKERS[tail])]
    if dash and len(rest) > 1 and rest[0] not in _DIGITS:  # 8-Марта, 3-я: part of a name
        return [_Token(word, "word")]
    return [_Token(word, "number")]


def _glued(word: str, key: str) -> list[_Token]:
    """A marker written onto its number, as in "кв14" or "д125"."""
    place = next((n for n, char in enumerate(key) if char in _DIGITS), 0)
    marker = _MARKERS.get(latin_key(key[:place]) or key[:place]) if place else None
    if marker is not None and marker[0] in _NUMBERED and len(word) == len(key):
        return [_Token(word[:place], "word", marker), _Token(word[place:], "number")]
    return [_Token(word, "word")]


class _Builder:
    """Collects what the pieces give. The first value for a part wins; later ones go to `rest`."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.street_kind = "street"
        self.settlement_kind: Literal["city", "village", "any"] = "any"
        self.rest: list[str] = []

    def put(self, kind: Kind | Literal["place"], value: str) -> None:
        part = {"city": "settlement", "village": "settlement", "place": "settlement"}.get(kind, kind)
        if kind in ("street", "lane", "area"):
            self._put_street(kind, value)
            return
        if kind in ("city", "village") and "settlement" in self.parts and self.settlement_kind == "any":
            self.parts.setdefault(
                "district", self.parts.pop("settlement")
            )  # an unmarked place before a marked one is wider
        if part in self.parts or not value:
            if value:
                self.rest.append(value)
            return
        self.parts[part] = value
        if kind in ("city", "village"):
            self.settlement_kind = "city" if kind == "city" else "village"

    def _put_street(self, kind: str, value: str) -> None:
        if not value:
            return
        if "street" not in self.parts or (self.street_kind == "area" and kind != "area"):
            if "street" in self.parts:  # a street inside a block of houses is the street; the block stays as a remark
                self.rest.append(self.parts["street"])
            self.parts["street"], self.street_kind = value, kind
        else:
            self.rest.append(value)

    def letter(self, value: str) -> bool:
        """Put a letter standing apart onto the house number before it ("12 А"); False when there is none."""
        house = self.parts.get("house", "")
        if "flat" in self.parts or not house or house[-1] not in _DIGITS:
            return False
        self.parts["house"] = house_form(house + value)
        return True

    def number(self, value: str, marked: Kind | None = None) -> None:
        if marked == "building":
            self.parts["house"] = (
                f"{self.parts['house']}/{house_form(value)}" if "house" in self.parts else house_form(value)
            )
        elif marked == "flat":
            self.put("flat", house_form(value))
        elif "house" not in self.parts:
            house, dash, flat = value.partition("-")
            plain = house if house[-1:] in _DIGITS else house[:-1]  # 20А-21
            if dash and plain and flat and _DIGITS.issuperset(plain + flat) and "flat" not in self.parts:
                self.put("house", house_form(house))
                self.put("flat", house_form(flat))
            else:
                self.put("house", house_form(value))
        else:
            self.put("flat", house_form(value))


@lru_cache(maxsize=65536)
def _parse(text: str) -> Address:
    build = _Builder()
    for piece in text.replace(";", ",").split(","):
        tokens = _tokens(piece)
        if tokens:
            _piece(tokens, build)
    parts = build.parts
    street = parts.get("street")
    return Address(
        region=_named(parts.get("region")),
        district=_named(parts.get("district")),
        community=_named(parts.get("community")),
        settlement=_named(parts.get("settlement")),
        street=_named(street),
        street_key=street_key(street, build.street_kind) if street else None,
        house=parts.get("house"),
        flat=parts.get("flat"),
        settlement_kind=build.settlement_kind,
        rest=tuple(build.rest),
    )


def _named(text: str | None) -> str | None:
    return title(text) if text else None


def _piece(tokens: list[_Token], build: _Builder) -> None:
    """One piece between commas: walk the tokens, giving pending words to the markers beside them."""
    pending: list[str] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if (
            at
            and tokens[at - 1].kind == "number"
            and len(token.text) == 1
            and token.kind == "word"
            and build.letter(token.text)
        ):
            at += 1  # 12 А
        elif token.marker is not None:
            at = _marked(tokens, at, pending, build)
        elif token.kind == "number" and not _begins_a_name(tokens, at, pending, build):
            _unmarked(pending, build, before_number=True)
            build.number(token.text)
            at += 1
        else:
            pending.append(token.text)
            at += 1
    _unmarked(pending, build, before_number=False)


def _begins_a_name(tokens: list[_Token], at: int, pending: list[str], build: _Builder) -> bool:
    """Whether a number belongs to a street's name ("7 апреля", "50 лет Октября"): a plain word follows, and no street is known yet."""
    following = tokens[at + 1] if at + 1 < len(tokens) else None
    if following is None or "street" in build.parts or pending:
        return False
    if following.marker is not None:
        return following.marker[0] in ("area",)
    return following.kind == "word"


def _marked(tokens: list[_Token], at: int, pending: list[str], build: _Builder) -> int:
    """Give the marker at `at` its name or number; returns where to go on."""
    marker = tokens[at].marker
    assert marker is not None
    kind, side = marker
    following = tokens[at + 1] if at + 1 < len(tokens) else None
    if kind in _NUMBERED:
        if following is not None and following.kind == "number":
            _unmarked(pending, build, before_number=True)
            build.number(following.text, kind)
            return at + 2
        if kind == "house" and latin_key(tokens[at].text) == "d" and following is not None and following.marker is None:
            kind, side = "village", "after"  # "д." before a word is a village (деревня)
        elif following is not None and following.marker is None and kind != "house" and len(following.text) <= 2:
            build.number(following.text, kind)  # корп. А
            return at + 2
        else:
            pending.append(tokens[at].text)
            return at + 1
    after, end = _words_after(tokens, at + 1, kind)
    if pending and (side == "before" or not after):
        english = lower(tokens[at].text) in _ENGLISH_STREET
        if english and len(pending) > 1 and _DIGITS.issuperset(pending[0]) and latin_key(pending[1])[:3] not in _MONTHS:
            build.number(pending.pop(0))  # 125 Toktogul Street
        build.put(kind, " ".join(pending))
        pending.clear()
        return at + 1
    if after:
        _unmarked(pending, build, before_number=False)
        build.put(kind, " ".join(after))
        return end
    return at + 1


def _words_after(tokens: list[_Token], start: int, kind: Kind) -> tuple[list[str], int]:
    """The words after a marker that can be its name: up to the next marker or number; a number may begin it when a word follows."""
    out: list[str] = []
    at = start
    while at < len(tokens):
        token = tokens[at]
        follows = tokens[at + 1] if at + 1 < len(tokens) else None
        if token.marker is not None:
            break
        if token.kind == "number":
            in_name = (
                kind in ("street", "lane")
                and not out
                and follows is not None
                and follows.kind == "word"
                and follows.marker is None
            )
            alone = kind == "area" and not out  # мкр. 7
            if not (in_name or alone):
                break
        out.append(token.text)
        at += 1
    if at < len(tokens) and tokens[at].marker is not None and out and kind not in ("street", "lane", "area"):
        marker = tokens[at].marker
        if (
            marker is not None and marker[1] == "before" and len(out) > 1
        ):  # "г. Бишкек Токтогул көчөсү": the last word is the next one's
            return out[:-1], at - 1
    return out, at


def _unmarked(pending: list[str], build: _Builder, *, before_number: bool) -> None:
    """Words without a marker: a street when a house number follows, else a place."""
    if not pending:
        return
    name = " ".join(pending)
    pending.clear()
    if before_number and "street" not in build.parts:
        build.put("street", name)
    elif before_number or {"settlement", "district"} <= build.parts.keys():
        build.rest.append(name)
    elif "settlement" in build.parts:  # "Бишкек, Ленинский, ...": a district of the city
        build.put("district", name)
    else:
        build.put("place", name)
