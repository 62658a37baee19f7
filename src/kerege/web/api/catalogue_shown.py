"""How each thing of the catalogue looks in JSON, and the JSON Schema of that: side by side, so that one is not changed without the other."""

from __future__ import annotations

from typing import Any, Final

from kerege.catalogue.board.doings import Board
from kerege.catalogue.codes.concepts import Concept
from kerege.catalogue.exports.publication import Outgoing
from kerege.catalogue.inventory.queries import FieldView
from kerege.catalogue.search.questions import KINDS, Hit
from kerege.ground.clock import iso
from kerege.membership.models import Contract, Member
from kerege.semantics.codelists.codelist import CodeList
from kerege.semantics.codelists.codelist import Concept as Code
from kerege.semantics.crosswalks.sssom import NOT, Crosswalk, Row

_STRING: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_MAYBE: Final = {"type": ["string", "null"]}
_TEXT: Final = {"type": "object", "additionalProperties": _STRING}
_TRUTH: Final = {"type": ["boolean", "null"]}


def _object(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [p for p in properties if p not in optional],
        "additionalProperties": False,
    }


def dataset(one: Outgoing) -> dict[str, Any]:
    view = one.view
    return {
        "id": one.key, "table": view.table, "organisation": view.organisation, "description": view.description,
        "personal": one.personal, "attributes": len(one.fields), "withheld": one.withheld,
        "published_at": iso(one.published_at) if one.published_at else None, "read_at": iso(view.harvested_at),
    }  # fmt: skip


_DATASET: Final = {
    "id": _STRING, "table": _STRING, "organisation": _STRING, "description": _STRING, "personal": {"type": "boolean"}, "attributes": _NUMBER,
    "withheld": {"type": "object", "additionalProperties": _NUMBER}, "published_at": _MAYBE, "read_at": _STRING,
}  # fmt: skip


def field(one: FieldView, of: Outgoing) -> dict[str, Any]:
    owner = one.owner
    return {
        "dataset": of.key, "table": of.view.table, "name": one.name, "type": one.profile.declared_type or one.profile.type,
        "description": one.profile.description, "concept": one.concept, "codelist": one.codelist,
        "owner": {"organisation": owner.organisation, "unit": owner.unit, "legal_basis": owner.legal_basis} if owner else None,
        "source_of_truth_of": list(one.truth_of),
    }  # fmt: skip


_FIELD: Final = {
    "dataset": _STRING, "table": _STRING, "name": _STRING, "type": _STRING, "description": _STRING, "concept": _STRING, "codelist": _STRING,
    "owner": {"anyOf": [_object({"organisation": _STRING, "unit": _STRING, "legal_basis": _STRING}), {"type": "null"}]},
    "source_of_truth_of": {"type": "array", "items": _STRING},
}  # fmt: skip


def concept(one: Concept) -> dict[str, Any]:
    return {
        "id": one.id,
        "label": one.text.as_dict(),
        "personal": one.personal,
        "codelist": one.codelist,
        "fields": list(one.fields),
    }


_CONCEPT: Final = {
    "id": _STRING,
    "label": _TEXT,
    "personal": _TRUTH,
    "codelist": _STRING,
    "fields": {"type": "array", "items": _STRING},
}


def codelist(one: CodeList) -> dict[str, Any]:
    return {"id": one.id, "title": dict(one.title), "version": one.version, "codes": len(one)}


def code(one: Code) -> dict[str, Any]:
    return {
        "code": one.notation, "label": dict(one.labels), "other_labels": [w for _, w in one.alt_labels], "broader": one.broader,
        "valid_from": one.valid_from.isoformat() if one.valid_from else None, "valid_to": one.valid_to.isoformat() if one.valid_to else None,
    }  # fmt: skip


def crosswalk(one: Crosswalk) -> dict[str, Any]:
    return {
        "id": one.id, "title": one.title, "version": one.version, "from": one.subject_source, "to": one.object_source,
        "match": one.match, "unmapped_policy": str(one.policy), "rows": len(one.rows),
    }  # fmt: skip


def crosswalk_rows(one: Crosswalk) -> dict[str, Any]:
    """Its rows: what is said (`mappings`), and apart from it what is said not to be so (`denied`), which nobody may take for a mapping."""
    return {
        "mappings": [_crosswalk_row(row) for row in one.rows if row.predicate_modifier != NOT],
        "denied": [_crosswalk_row(row) for row in one.rows if row.predicate_modifier == NOT],
    }


def _crosswalk_row(row: Row) -> dict[str, Any]:
    return {
        "code": row.subject or None, "label": row.subject_label, "target": row.object, "target_label": row.object_label,
        "predicate": row.predicate, "translates": row.translates, "justification": row.justification, "confidence": row.confidence,
        "valid_from": row.valid_from.isoformat() if row.valid_from else None, "valid_to": row.valid_to.isoformat() if row.valid_to else None,
        "conditions": [{"cell": c.cell, "values": list(c.values)} for c in row.conditions],
    }  # fmt: skip


def owner(member: Member, attributes: int) -> dict[str, Any]:
    return {
        "organisation": member.code,
        "name": {"ky": member.name_ky, "ru": member.name_ru, "en": member.name_en},
        "attributes": attributes,
    }


def contract(row: Contract) -> dict[str, Any]:
    return {
        "data_service": row.data_service, "method": row.method, "path": row.path, "organisation": row.provider.member.code,
        "mapping": row.mapping, "mode": row.mode, "translate": row.translate, "owner": row.owner, "legal_basis": row.legal_basis,
        "set_at": iso(row.set_at),
    }  # fmt: skip


def hit(one: Hit) -> dict[str, Any]:
    return {
        "kind": one.kind, "key": one.key, "parent": one.parent, "title": one.title, "note": one.note, "organisation": one.organisation,
        "personal": one.personal, "owned": one.owned, "score": one.score,
        "highlights": [{"language": lang, "start": s, "end": e} for lang, s, e in one.highlights],
    }  # fmt: skip


def board(view: Board) -> dict[str, Any]:
    """Its counts: neither datasets nor attributes are named, most of them are not published; nor who began it."""
    whole = view.as_dict()
    return {k: whole[k] for k in _BOARD}


_COUNTS: Final = _object(dict.fromkeys(("done", "total", "datasets", "of"), _NUMBER))
_TENTH: Final = {"type": ["number", "null"]}
_BOARD: Final = {
    "at": _STRING, "started_on": _STRING, "days": _NUMBER, "day": _NUMBER, "days_left": _NUMBER, "critical": _NUMBER, "complete": _NUMBER,
    "totals": {"type": "object", "additionalProperties": _COUNTS},
    "pace": _object({"needed": _TENTH, "seen": _TENTH, "enough": _TRUTH}),
    "history": {
        "type": "array",
        "items": _object(
            {"day": _STRING, "counts": {"type": "object", "additionalProperties": {"type": "array", "items": _NUMBER, "minItems": 3, "maxItems": 3}}}
        ),
    },
}  # fmt: skip
_FILE: Final = _object({"name": _STRING, "media_type": _STRING, "format": _STRING, "bytes": _NUMBER, "sha256": _STRING})
_VERSION: Final = _object(
    {
        "version": _STRING, "digest": _STRING, "rows": _NUMBER, "files": {"type": "array", "items": _FILE}, "provenance": {"type": "object"},
        "published_at": _STRING, "note": _STRING, "withdrawn": _STRING,
    }
)  # fmt: skip
_REFERENCE: Final = {
    **dict.fromkeys(("id", "kind", "subject"), _STRING), "title": _TEXT, "description": _TEXT,
    **dict.fromkeys(("organisation", "unit", "legal_basis", "frequency", "theme"), _STRING), "versions": {"type": "array", "items": _VERSION},
}  # fmt: skip
_FACET: Final = {"type": "object", "additionalProperties": _NUMBER}
SEARCH_TOLD: Final = {
    "question": "Question",
    "every_word": "EveryWord",
    "facets": "Facets",
}  # beside a page's own, and their schemas

_ROW: Final = _object(
    {
        "code": _MAYBE, "label": _STRING, "target": _MAYBE, "target_label": _STRING, "predicate": _STRING, "translates": {"type": "boolean"},
        "justification": _STRING, "confidence": {"type": ["number", "null"]}, "valid_from": _MAYBE, "valid_to": _MAYBE,
        "conditions": {"type": "array", "items": _object({"cell": _STRING, "values": {"type": "array", "items": _STRING}})},
    }
)  # fmt: skip
_CROSSWALK: Final = {
    "id": _STRING, "title": _STRING, "version": _STRING, "from": _STRING, "to": _STRING,
    "match": {"type": "string", "enum": ["exact", "folded"]}, "unmapped_policy": _STRING, "rows": _NUMBER,
}  # fmt: skip

SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "Start": _object({"kerege": _STRING, "version": _NUMBER, "addresses": _TEXT}),
    "Any": {"type": "object"},
    "Board": _object(_BOARD),
    "Reference": _object(_REFERENCE),
    "Question": _STRING,
    "EveryWord": {"type": "boolean"},
    "Facets": {
        "type": "object", "properties": dict.fromkeys(("kind", "organisation", "personal", "owned"), _FACET), "additionalProperties": False,
    },
    "Dataset": _object(_DATASET),
    "DatasetWithFields": _object(_DATASET | {"fields": {"type": "array", "items": {"$ref": "#/components/schemas/Field"}}}),
    "Field": _object(_FIELD),
    "Concept": _object(_CONCEPT),
    "ConceptWithHolders": _object(_CONCEPT | {"held_by": {"type": "array", "items": {"$ref": "#/components/schemas/Field"}}}),
    "CodeList": _object({"id": _STRING, "title": _TEXT, "version": _STRING, "codes": _NUMBER}),
    "Code": _object(
        {
            "code": _STRING, "label": _TEXT, "other_labels": {"type": "array", "items": _STRING}, "broader": _MAYBE, "valid_from": _MAYBE,
            "valid_to": _MAYBE,
        }
    ),
    "Crosswalk": _object(_CROSSWALK),
    "CrosswalkWithRows": _object(_CROSSWALK | {key: {"type": "array", "items": _ROW} for key in ("mappings", "denied")}),
    "Owner": _object({"organisation": _STRING, "name": _TEXT, "attributes": _NUMBER}),
    "Contract": _object(
        {
            "data_service": _STRING, "method": _STRING, "path": _STRING, "organisation": _STRING, "mapping": _STRING, "mode": _STRING,
            "translate": _STRING, "owner": _STRING, "legal_basis": _STRING, "set_at": _STRING,
        }
    ),
    "Hit": _object(
        {
            "kind": {"type": "string", "enum": list(KINDS)}, "key": _STRING, "parent": _STRING, "title": _TEXT, "note": _STRING,
            "organisation": _STRING, "personal": _TRUTH, "owned": _TRUTH, "score": {"type": "number"},
            "highlights": {"type": "array", "items": _object({"language": _STRING, "start": _NUMBER, "end": _NUMBER})},
        }
    ),
    "Problem": {
        "type": "object",
        "properties": {"type": _STRING, "title": _STRING, "status": _NUMBER, "detail": _STRING, "code": _STRING, "hint": _STRING},
        "required": ["type", "title", "status", "detail"],
    },
}  # fmt: skip
