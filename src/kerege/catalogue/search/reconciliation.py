"""Matching other people's wordings against our code lists, places and organisations: what the W3C Reconciliation API asks, without HTTP.

Three services. `codelists`: every code of the lists in force, one type per list. `places`: the SOATE tree, one type per level. `organisations`: the
members of the network. A query gets ranked candidates with a score 0..100 and its features. `match` is true only where the suggestion engine
(`semantics.suggest.codes`) accepts by itself against the whole list, and nothing that was asked besides the name speaks against it.
Left to `web.api.reconciliation`: the wire format of the protocol's versions, bounds on what comes in.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Final, Literal

from kerege.catalogue.errors import ReconciliationSlow
from kerege.catalogue.packs import pack_in_force
from kerege.catalogue.search.words import words
from kerege.ground.text import Text
from kerege.membership.models import Member
from kerege.semantics.pack import SOATE, Pack
from kerege.semantics.suggest.codes import CodeRow, suggest_codes
from kerege.semantics.suggest.text import read_label, trigrams

POOL: Final = 60  # entities compared closely with one query
MOST_CANDIDATES: Final = 50
SERVICES: Final = ("codelists", "places", "organisations")
Match = Literal["any", "all", "none"]


@dataclass(frozen=True, slots=True)
class Type:
    """A kind of entity: a code list, a level of places."""

    id: str
    name: Text


@dataclass(frozen=True, slots=True)
class Property:
    """Something known of entities besides the name; `link` when its values are entities of the service."""

    id: str
    name: Text
    link: bool = False


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing to match against. `values`: property -> its values, entity ids where the property links."""

    id: str
    names: dict[str, str]
    others: tuple[str, ...]
    types: tuple[str, ...]
    code: str
    parent: str | None = None
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def name(self, language: str = "en") -> str:
        """Its name in `language`, else in another, else its code."""
        return self.names.get(language) or next((n for n in self.names.values() if n), self.code)

    def wordings(self) -> Iterator[str]:
        yield from (n for n in self.names.values() if n)
        yield from self.others


@dataclass(frozen=True, slots=True)
class Condition:
    """What a query asks besides the name: that a property has `values` (any, all or none of them)."""

    property: str
    values: tuple[str, ...]
    required: bool = False
    quantifier: Match = "any"


@dataclass(frozen=True, slots=True)
class Query:
    """One question: a name, or an id, of a type, with conditions."""

    text: str = ""
    id: str = ""
    types: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    limit: int = 10


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entity that may be meant: score 0..100, whether it certainly is, and what the score is made of."""

    entity: Entity
    score: float
    match: bool
    features: dict[str, float | bool]


def _text(ky: str, ru: str, en: str) -> Text:
    return Text(ky, ru, en)


PROPERTIES: Final[dict[str, tuple[Property, ...]]] = {
    "codelists": (
        Property("code", _text("Коду", "Код", "Code")),
        Property("broader", _text("Жогорку код", "Вышестоящий код", "Broader code"), link=True),
        Property("valid_on", _text("Күнүнө карата күчүндө", "Действует на дату", "In force on")),
        Property("name_ky", _text("Кыргызча аты", "Название на кыргызском", "Name in Kyrgyz")),
        Property("name_ru", _text("Орусча аты", "Название на русском", "Name in Russian")),
        Property("name_en", _text("Англисче аты", "Название на английском", "Name in English")),
    ),
    "places": (
        Property("soate", _text("СОАТЕ коду", "Код СОАТЕ", "SOATE code")),
        Property("within", _text("Кайсы бирдикте", "В составе единицы", "Within"), link=True),
        Property("level", _text("Деңгээли", "Уровень", "Level")),
        Property("name_ky", _text("Кыргызча аты", "Название на кыргызском", "Name in Kyrgyz")),
        Property("name_ru", _text("Орусча аты", "Название на русском", "Name in Russian")),
        Property("name_en", _text("Англисче аты", "Название на английском", "Name in English")),
    ),
    "organisations": (
        Property("code", _text("Мүчөнүн коду", "Код участника", "Member code")),
        Property("name_ky", _text("Кыргызча аты", "Название на кыргызском", "Name in Kyrgyz")),
        Property("name_ru", _text("Орусча аты", "Название на русском", "Name in Russian")),
        Property("name_en", _text("Англисче аты", "Название на английском", "Name in English")),
    ),
}
TITLES: Final = {
    "codelists": _text("Kerege: код тизмелери", "Kerege: справочники кодов", "Kerege: code lists"),
    "places": _text("Kerege: жерлер (СОАТЕ)", "Kerege: места (СОАТЕ)", "Kerege: places (SOATE)"),
    "organisations": _text("Kerege: уюмдар", "Kerege: организации", "Kerege: organisations"),
}
_LEVELS: Final = {
    "region": _text("Облус же шаар", "Область или город", "Region or city"),
    "district": _text("Район", "Район", "District"),
    "community": _text("Айыл аймагы", "Айылный аймак", "Rural community"),
    "village": _text("Айыл", "Село", "Village"),
}


class Service:
    """One service: its entities in memory, looked up by letter triples, decided by the suggestion engine."""

    def __init__(self, name: str, entities: Iterable[Entity], types: Sequence[Type]) -> None:
        self.name = name
        self.types = {t.id: t for t in types}
        self.properties = {p.id: p for p in PROPERTIES[name]}
        self.entities = {e.id: e for e in entities}
        self._order = list(self.entities.values())
        self._grams: dict[str, list[int]] = defaultdict(list)
        self._by_code: dict[str, list[Entity]] = defaultdict(list)
        for n, entity in enumerate(self._order):
            self._by_code[entity.code].append(entity)
            for gram in frozenset().union(*(trigrams(read_label(w).key) for w in entity.wordings())):
                self._grams[gram].append(n)
        self._rows = {e.id: _row(e) for e in self._order}
        self._verdicts: dict[tuple[str, tuple[str, ...]], str | None] = {}

    def reconcile(
        self, queries: Sequence[Query], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> list[list[Candidate]]:
        """Candidates for each query, in order. Raises ReconciliationSlow when `seconds` are over before the last."""
        end = clock() + seconds
        answers = []
        for n, query in enumerate(queries):
            if clock() > end:
                raise ReconciliationSlow(done=n, asked=len(queries), seconds=seconds)
            answers.append(self.candidates(query))
        return answers

    def candidates(self, query: Query) -> list[Candidate]:
        """What `query` may mean, likeliest first."""
        if query.id:
            entity = self.entities.get(query.id)
            return [Candidate(entity, 100.0, True, {"id": True})] if entity and _of(entity, query.types) else []
        text = query.text.strip()
        if not text:
            return self._conditioned([Candidate(e, 0.0, False, {}) for e in self._order if query.conditions], query)
        coded = [e for e in self._by_code.get(text, ()) if _of(e, query.types)]
        if coded:
            sure = len(coded) == 1
            return self._conditioned([Candidate(e, 100.0, sure, {"code": True}) for e in coded], query)
        pool = self._pool(text, query.types)
        if not pool:
            return []
        found = suggest_codes([CodeRow("?", text)], [self._rows[e.id] for e in pool], top=MOST_CANDIDATES)[0]
        accepted = None
        if found.decision == "accept":
            accepted = self._verdict(text, query.types) if found.reason != "same-name" else found.best
        out = [
            Candidate(
                self.entities[c.code], round(100 * min(1.0, max(0.0, c.score)), 2), c.code == accepted,
                {"name_similarity": round(c.score, 4), "name_exact": any(_same(text, w) for w in self.entities[c.code].wordings())},
            )
            for c in found.candidates
        ]  # fmt: skip
        return self._conditioned(out, query)

    def _pool(self, text: str, types: tuple[str, ...]) -> list[Entity]:
        votes: dict[int, float] = defaultdict(float)
        total = len(self._order) + 1
        for gram in trigrams(read_label(text).key):
            postings = self._grams.get(gram, ())
            for n in postings:
                votes[n] += total / (1 + len(postings))
        ranked = sorted(votes, key=lambda n: (-votes[n], n))
        return [self._order[n] for n in ranked if _of(self._order[n], types)][:POOL]

    def _verdict(self, text: str, types: tuple[str, ...]) -> str | None:
        """What the engine accepts for `text` against every entity of the types; remembered, a batch often repeats itself."""
        key = (text, types)
        if key not in self._verdicts:
            if len(self._verdicts) > 10_000:
                self._verdicts.clear()
            rows = [self._rows[e.id] for e in self._order if _of(e, types)]
            found = suggest_codes([CodeRow("?", text)], rows, top=1)[0]
            self._verdicts[key] = found.best if found.decision == "accept" else None
        return self._verdicts[key]

    def _conditioned(self, found: list[Candidate], query: Query) -> list[Candidate]:
        """Conditions met raise nothing and break no tie by themselves: an unmet one costs a third, a required one the place."""
        out = []
        for one in found:
            score, match, features = one.score, one.match, dict(one.features)
            keep = True
            for condition in query.conditions:
                met = self._meets(one.entity, condition)
                features[condition.property] = met
                if not met:
                    keep = keep and not condition.required
                    score, match = round(score * 2 / 3, 2), False
            if keep:
                out.append(Candidate(one.entity, score, match, features))
        if query.conditions and not any(
            c.match for c in out
        ):  # of several of one name, the only one that meets every condition is meant
            full = [c for c in out if all(c.features.get(k.property) for k in query.conditions)]
            exact = [c for c in full if c.features.get("name_exact") or c.features.get("code")]
            if len(exact) == 1:
                out = [Candidate(c.entity, c.score, c is exact[0], c.features) for c in out]
        out.sort(key=lambda c: (-c.match, -c.score))
        return out[: max(1, min(query.limit, MOST_CANDIDATES))]

    def _meets(self, entity: Entity, condition: Condition) -> bool:
        if condition.property not in self.properties:
            return False
        hits = [self._has(entity, condition.property, value) for value in condition.values]
        if condition.quantifier == "all":
            return all(hits)
        return not any(hits) if condition.quantifier == "none" else any(hits)

    def _has(self, entity: Entity, name: str, value: str) -> bool:
        if name == "valid_on":
            return _in_force(entity, value)
        own = entity.values.get(name, ())
        if not self.properties[name].link:
            return any(_same(value, v) for v in own)
        above = self._above(entity)
        return any(e.id == value or e.code == value or any(_same(value, w) for w in e.wordings()) for e in above)

    def _above(self, entity: Entity) -> list[Entity]:
        line: list[Entity] = []
        up = entity.parent
        while up is not None and up in self.entities and self.entities[up] not in line:
            line.append(self.entities[up])
            up = self.entities[up].parent
        return line

    def describe(self, entity: Entity, language: str) -> str:
        """A line that tells namesakes apart: type and what is above."""
        kinds = ", ".join(self.types[t].name.in_(language) for t in entity.types if t in self.types)
        above = " / ".join(e.name(language) for e in reversed(self._above(entity)))
        return " · ".join(x for x in (entity.code, kinds, above) if x)

    def suggest(self, prefix: str, limit: int, offset: int = 0) -> list[Entity]:
        """Entities with words that begin as typed, shortest names first."""
        typed = [w.key for w in words(prefix)]
        if not typed:
            return []
        found = []
        for entity in self._order:
            if entity.code.startswith(prefix.strip()):
                found.append((0, len(entity.code), entity))
                continue
            for wording in entity.wordings():
                keys = [w.key for w in words(wording)]
                if all(any(k.startswith(t) for k in keys) for t in typed):
                    found.append((0 if keys[: len(typed)] == typed else 1, len(wording), entity))
                    break
        found.sort(key=lambda f: (f[0], f[1], f[2].id))
        return [entity for _, _, entity in found[offset : offset + limit]]

    def property_values(self, entity: Entity, name: str) -> list[str | Entity]:
        """The values of a property for data extension; entities where it links."""
        if name not in self.properties:
            return []
        if self.properties[name].link:
            return list(self._above(entity)[:1])
        return list(entity.values.get(name, ()))


def _row(entity: Entity) -> CodeRow:
    names = list(dict.fromkeys(entity.wordings())) or [entity.code]
    return CodeRow(entity.id, names[0], None, tuple(names[1:]))


def _of(entity: Entity, types: tuple[str, ...]) -> bool:
    return not types or any(t in types for t in entity.types)


def _same(a: str, b: str) -> bool:
    return a.strip() == b or read_label(a).words == read_label(b).words


def _in_force(entity: Entity, value: str) -> bool:
    try:
        day = date.fromisoformat(value[:10])
    except ValueError:
        return False
    begin, end = (next(iter(entity.values.get(k, ())), "") for k in ("valid_from", "valid_to"))
    return (not begin or begin <= day.isoformat()) and (not end or day.isoformat() <= end)


def service(name: str) -> Service:
    """The service with this name over what is in force today and the members; KeyError for another name."""
    if name not in SERVICES:
        raise KeyError(name)
    if name == "organisations":
        rows = Member.objects.order_by("code").values_list("code", "name_ky", "name_ru", "name_en")
        return _organisations(tuple(rows))
    pack = pack_in_force()
    of = pack if name == "codelists" else pack.gazetteer
    made = _MADE.get(name)
    if made is None or made[0] is not of:
        made = _MADE[name] = (of, _codelists(pack) if name == "codelists" else _places(pack))
    return made[1]


_MADE: Final[dict[str, tuple[object, Service]]] = {}  # with what it was made of, so that another is never taken for it


def _codelists(pack: Pack) -> Service:
    entities, types = [], []
    for found in pack.codelists.values():
        if found.id == SOATE:
            continue
        title = {lang: found.title.get(lang) or found.id for lang in ("ky", "ru", "en")}
        types.append(Type(found.id, Text.of(title)))
        for one in found:
            values: dict[str, tuple[str, ...]] = {"code": (one.notation,)}
            values |= {f"name_{lang}": (label,) for lang, label in one.labels.items() if label}
            if one.valid_from:
                values["valid_from"] = (one.valid_from.isoformat(),)
            if one.valid_to:
                values["valid_to"] = (one.valid_to.isoformat(),)
            parent = f"{found.id}#{one.broader}" if one.broader else None
            others = tuple(w for _, w in one.alt_labels)
            key = f"{found.id}#{one.notation}"
            entities.append(Entity(key, dict(one.labels), others, (found.id,), one.notation, parent, values))
    return Service("codelists", entities, types)


def _places(pack: Pack) -> Service:
    entities = []
    for place in pack.gazetteer:
        if pack.gazetteer.canonical(place.soate) != place.soate:
            continue  # a second code of the same city
        names = {"ky": place.name_ky, "ru": place.name_ru, "en": place.name_en}
        values: dict[str, tuple[str, ...]] = {"soate": (place.soate,), "level": (place.level,)}
        values |= {f"name_{lang}": (name,) for lang, name in names.items() if name}
        parent = pack.gazetteer.canonical(place.parent) if place.parent else None
        entities.append(Entity(place.soate, names, place.aliases, (place.level,), place.soate, parent, values))
    return Service("places", entities, [Type(level, name) for level, name in _LEVELS.items()])


@lru_cache(maxsize=2)
def _organisations(rows: tuple[tuple[str, str, str, str], ...]) -> Service:
    entities = []
    for code, ky, ru, en in rows:
        names = {"ky": ky, "ru": ru, "en": en}
        values: dict[str, tuple[str, ...]] = {"code": (code,)}
        values |= {f"name_{lang}": (name,) for lang, name in names.items() if name}
        entities.append(Entity(code, names, (code.rsplit("/", 1)[-1],), ("member",), code, None, values))
    return Service(
        "organisations", entities, [Type("member", _text("Тармактын мүчөсү", "Участник сети", "Member of the network"))]
    )
