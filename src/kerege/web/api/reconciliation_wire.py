"""The Reconciliation API's messages: reading queries of 0.2 and of the 1.0 draft into one form, and writing answers back in each.

Everything that comes in is bounded and typed here; what is not understood is refused with its reason, never guessed. Pure: no request, no database.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import kerege
from kerege.catalogue.errors import ReconciliationInvalid
from kerege.catalogue.search.reconciliation import (
    MOST_CANDIDATES,
    Candidate,
    Condition,
    Entity,
    Match,
    Query,
    Service,
)
from kerege.catalogue.search.words import words

BATCH: Final = 50
LONGEST: Final = 300  # characters of a text that is matched
_CONDITIONS: Final = 10
_VALUES: Final = 20
_FEATURES: Final = {
    "name_similarity": "Likeness of the names, 0 to 1",
    "name_exact": "The name is the same",
    "code": "The text is its code",
    "id": "The id is its own",
}


def _wrong(reason: str) -> ReconciliationInvalid:
    return ReconciliationInvalid(reason=reason)


def _values(raw: Any, where: str) -> tuple[str, ...]:
    many = raw if isinstance(raw, list) else [raw]
    if not many or len(many) > _VALUES:
        raise _wrong(f"{where} should have 1 to {_VALUES} values")
    out = []
    for one in many:
        if isinstance(one, dict):
            one = one.get("id")
        if isinstance(one, bool):
            one = "true" if one else "false"
        if isinstance(one, int | float):
            one = f"{one:g}" if isinstance(one, float) else str(one)
        if not isinstance(one, str):
            raise _wrong(f"{where} should be text, a number, a truth value or an entity with an id")
        out.append(one[:LONGEST])
    return tuple(out)


def _limit(raw: Any) -> int:
    if raw is None:
        return 10
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 1 <= raw < math.inf:
        raise _wrong("limit should be a number from 1")
    return min(int(raw), MOST_CANDIDATES)


def _types(raw: Any) -> tuple[str, ...]:
    many = [] if raw in (None, "") else raw if isinstance(raw, list) else [raw]
    if len(many) > _VALUES or not all(isinstance(t, str) for t in many):
        raise _wrong("type should be a type's id or a list of them")
    return tuple(t[:LONGEST] for t in many)


def read_queries_02(raw: Any) -> tuple[list[str], list[Query]]:
    """The batch of 0.2: keys of the caller's choosing, and the queries."""
    if not isinstance(raw, dict):
        raise _wrong("queries should be an object of queries by key")
    _bounded(len(raw))
    return list(raw), [_query_02(str(key)[:40], one) for key, one in raw.items()]


def _query_02(key: str, raw: Any) -> Query:
    if not isinstance(raw, dict):
        raise _wrong(f"query {key} should be an object")
    if unknown := set(raw) - {"query", "type", "limit", "properties", "type_strict"}:
        raise _wrong(f"query {key}: nobody knows {', '.join(sorted(unknown))[:100]}")
    text = raw.get("query", "")
    if not isinstance(text, str):
        raise _wrong(f"query {key}: `query` should be text")
    properties = raw.get("properties", [])
    if not isinstance(properties, list) or len(properties) > _CONDITIONS:
        raise _wrong(f"query {key}: `properties` should be a list of at most {_CONDITIONS}")
    conditions = []
    for one in properties:
        if not isinstance(one, dict) or not isinstance(one.get("pid"), str) or "v" not in one:
            raise _wrong(f"query {key}: a property should have `pid` and `v`")
        conditions.append(Condition(one["pid"][:LONGEST], _values(one["v"], f"query {key}: v")))
    if not text.strip() and not conditions:
        raise _wrong(f"query {key} has neither a text nor properties")
    return Query(text[:LONGEST], "", _types(raw.get("type")), tuple(conditions), _limit(raw.get("limit")))


def read_queries_10(raw: Any) -> list[Query]:
    """The batch of the 1.0 draft."""
    if not isinstance(raw, dict) or not isinstance(raw.get("queries"), list):
        raise _wrong("the body should be an object with a list `queries`")
    _bounded(len(raw["queries"]))
    return [_query_10(n, one) for n, one in enumerate(raw["queries"])]


def _query_10(n: int, raw: Any) -> Query:
    if not isinstance(raw, dict) or not isinstance(raw.get("conditions"), list) or not raw["conditions"]:
        raise _wrong(f"query {n} should have a list `conditions` that is not empty")
    if unknown := set(raw) - {"type", "limit", "lang", "dir", "conditions"}:
        raise _wrong(f"query {n}: nobody knows {', '.join(sorted(unknown))[:100]}")
    if len(raw["conditions"]) > _CONDITIONS:
        raise _wrong(f"query {n} has more than {_CONDITIONS} conditions")
    if isinstance(raw.get("type"), list):
        raise _wrong(f"query {n}: one type, not several")
    text, entity, conditions = "", "", []
    for one in raw["conditions"]:
        kind = one.get("matchType") if isinstance(one, dict) else None
        if kind not in ("name", "id", "property") or "propertyValue" not in one:
            raise _wrong(f"query {n}: a condition should have matchType (name, id or property) and propertyValue")
        values = _values(one["propertyValue"], f"query {n}: propertyValue")
        if kind == "name":
            text = values[0]
        elif kind == "id":
            entity = values[0]
        else:
            conditions.append(_condition_10(n, one, values))
    return Query(text, entity, _types(raw.get("type")), tuple(conditions), _limit(raw.get("limit")))


def _condition_10(n: int, one: dict[str, Any], values: tuple[str, ...]) -> Condition:
    name, quantifier, qualifier = (
        one.get("propertyId"),
        one.get("matchQuantifier", "any"),
        one.get("matchQualifier", "ExactMatch"),
    )
    if not isinstance(name, str):
        raise _wrong(f"query {n}: a condition on a property should name it in propertyId")
    if quantifier not in ("any", "all", "none"):
        raise _wrong(f"query {n}: matchQuantifier is any, all or none")
    if qualifier != "ExactMatch":
        raise _wrong(f"query {n}: this service knows the matchQualifier ExactMatch only")
    chosen: Match = quantifier
    return Condition(name[:LONGEST], values, bool(one.get("required", False)), chosen)


def _bounded(count: int) -> None:
    if count > BATCH:
        raise _wrong(f"a batch has at most {BATCH} queries, {count} came")


def read_extension(raw: Any) -> tuple[list[str], list[str]]:
    """A data extension query: ids of entities, ids of properties."""
    if not isinstance(raw, dict) or not isinstance(raw.get("ids"), list) or not isinstance(raw.get("properties"), list):
        raise _wrong("a data extension should have lists `ids` and `properties`")
    ids, properties = raw["ids"], raw["properties"]
    if len(ids) > 10 * BATCH or len(properties) > _CONDITIONS:
        raise _wrong(f"a data extension has at most {10 * BATCH} ids and {_CONDITIONS} properties")
    if not all(isinstance(i, str) for i in ids) or not all(
        isinstance(p, dict) and isinstance(p.get("id"), str) for p in properties
    ):
        raise _wrong("ids should be texts, properties objects with an id")
    return [str(i) for i in ids], [str(p["id"]) for p in properties]


def _type(of: Service, type_id: str, language: str) -> dict[str, str]:
    return {"id": type_id, "name": of.types[type_id].name.in_(language)}


def _candidate(of: Service, one: Candidate, language: str, named: bool) -> dict[str, Any]:
    features = []
    for key, value in one.features.items():
        told: dict[str, Any] = {"id": key, "value": value}
        if named:
            known = of.properties.get(key)
            told["name"] = known.name.in_(language) if known else _FEATURES.get(key, key)
        features.append(told)
    return {
        "id": one.entity.id, "name": one.entity.name(language), "description": of.describe(one.entity, language), "score": one.score,
        "match": one.match, "features": features, "type": [_type(of, t, language) for t in one.entity.types],
    }  # fmt: skip


def results_02(of: Service, keys: Sequence[str], found: Sequence[Sequence[Candidate]], language: str) -> dict[str, Any]:
    """Answers by the caller's keys."""
    return {
        k: {"result": [_candidate(of, c, language, False) for c in some]} for k, some in zip(keys, found, strict=True)
    }


def results_10(of: Service, found: Sequence[Sequence[Candidate]], language: str) -> dict[str, Any]:
    """Answers in the order of the queries."""
    return {"results": [{"candidates": [_candidate(of, c, language, True) for c in some]} for some in found]}


def _manifest(of: Service, name: str, language: str, version: str) -> dict[str, Any]:
    return {
        "versions": [version], "name": name, "serviceVersion": kerege.__version__,
        "defaultTypes": [_type(of, t, language) for t in list(of.types)[:50]], "batchSize": BATCH,
    }  # fmt: skip


def manifest_02(of: Service, root: str, name: str, language: str) -> dict[str, Any]:
    """The manifest of version 0.2."""
    here = f"{root}{of.name}"
    suggested = {
        "entity": {"service_url": here, "service_path": "/suggest/entity"},
        "type": {"service_url": here, "service_path": "/suggest/type"},
        "property": {"service_url": here, "service_path": "/suggest/property"},
    }
    return _manifest(of, name, language, "0.2") | {
        "identifierSpace": f"https://kerege.kg/id/{of.name}/", "schemaSpace": "https://kerege.kg/id/property/",
        "view": {"url": f"{here}/view?id={{{{id}}}}"}, "suggest": suggested,
        "preview": {"url": f"{here}/preview?id={{{{id}}}}", "width": 400, "height": 160},
        "extend": {"propose_properties": {"service_url": here, "service_path": "/propose"}, "property_settings": []},
    }  # fmt: skip


def manifest_10(of: Service, root: str, name: str, language: str) -> dict[str, Any]:
    """The manifest of the 1.0 draft."""
    return _manifest(of, name, language, "1.0-draft") | {
        "lang": language, "view": {"url": f"{root}{of.name}/view?id={{id}}"}, "suggest": {"entity": True, "type": True, "property": True},
        "preview": {"width": 400, "height": 160}, "extend": {"proposeProperties": True, "propertySettings": []}, "standardizedScore": True,
    }  # fmt: skip


def suggested(of: Service, what: str, prefix: str, limit: int, cursor: int, language: str) -> dict[str, Any]:
    """Completions: `what` is entity, type or property."""
    if what == "entity":
        found = of.suggest(prefix, limit, cursor)
        return {
            "result": [
                {"id": e.id, "name": e.name(language), "description": of.describe(e, language), "notable": [_type(of, t, language) for t in e.types]}
                for e in found
            ]
        }  # fmt: skip
    if what not in ("type", "property"):
        raise _wrong("suggestions are of entity, type or property")
    listed: list[tuple[str, Any]] = [(x.id, x.name) for x in (of.types if what == "type" else of.properties).values()]
    typed = [w.key for w in words(prefix)]
    kept = []
    for key, name in listed:
        has = [w.key for text in (key, *name.as_dict().values()) for w in words(text)]
        if all(any(h.startswith(t) for h in has) for t in typed):
            kept.append({"id": key, "name": name.in_(language)})
    return {"result": kept[cursor : cursor + limit]}


def proposed(of: Service, type_id: str, limit: int, language: str) -> dict[str, Any]:
    """What can be fetched of entities; the same for every type of a service."""
    listed = [{"id": p.id, "name": p.name.in_(language)} for p in of.properties.values() if p.id != "valid_on"]
    return {"limit": limit, "properties": listed[:limit]} | ({"type": type_id} if type_id else {})


def extended(
    of: Service, ids: Sequence[str], properties: Sequence[str], language: str, *, rows_as_list: bool
) -> dict[str, Any]:
    """The values of properties: rows as an object by id (0.2) or as a list (1.0 draft); nothing known is an empty object."""
    known = [p for p in dict.fromkeys(properties) if p in of.properties]
    meta: list[dict[str, Any]] = []
    for p in known:
        told: dict[str, Any] = {"id": p, "name": of.properties[p].name.in_(language)}
        if of.properties[p].link and of.types:
            told["type"] = _type(of, next(iter(of.types)), language)
        meta.append(told)

    def cells(entity: Entity | None, name: str) -> list[dict[str, str]]:
        found = of.property_values(entity, name) if entity else []
        return [{"str": v} if isinstance(v, str) else {"id": v.id, "name": v.name(language)} for v in found] or [{}]

    if rows_as_list:
        rows: Any = [
            {"id": i, "properties": [{"id": p, "values": cells(of.entities.get(i), p)} for p in known]}
            for i in dict.fromkeys(ids)
        ]
    else:
        rows = {i: {p: cells(of.entities.get(i), p) for p in known} for i in ids}
    return {"meta": meta, "rows": rows}
