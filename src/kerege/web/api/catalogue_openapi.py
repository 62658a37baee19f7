"""The OpenAPI 3.1 document of /api/v1/, made from the table of its addresses."""

from __future__ import annotations

import json
import re
from typing import Any

import kerege
from kerege.web.api.catalogue import ENDPOINTS, Endpoint, Parameter
from kerege.web.api.catalogue_http import MOST_PAGES, MOST_PER_PAGE
from kerege.web.api.catalogue_shown import SCHEMAS, SEARCH_TOLD

_PAGED = (
    Parameter("page", "Which page, from 1.", kind="integer", most=MOST_PAGES),
    Parameter("per_page", "How many on a page.", kind="integer", most=MOST_PER_PAGE),
)


def document(part: str = "") -> dict[str, Any]:
    """The whole document, or that of the addresses below `part` alone, as an exchange node wants it of a data service made of them."""
    told = [e for e in ENDPOINTS if not part or e.path.split("/")[0] == part]
    paths = {address(e): {"get": _operation(e)} for e in told}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kerege catalogue",
            "version": kerege.__version__,
            "description": "What government registers hold, who answers for it, and reference data. Read-only, open, without personal data.",
        },
        "servers": [{"url": "/api/v1"}],
        "paths": paths,
        "components": {"schemas": _used(paths) if part else SCHEMAS},
    }


def _used(told: Any) -> dict[str, Any]:
    """The schemas that `told` refers to, and those that they do."""
    found: dict[str, Any] = {}
    asked = [told]
    while asked:
        for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(asked.pop())):
            if name not in found:
                found[name] = SCHEMAS[name]
                asked.append(SCHEMAS[name])
    return found


def address(endpoint: Endpoint) -> str:
    """Its path as OpenAPI writes it."""
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", endpoint.path)


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    parameters = (*endpoint.parameters, *(_PAGED if endpoint.paged else ()))
    return {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": [_parameter(p) for p in parameters],
        "responses": {
            "200": {"description": endpoint.summary, "content": {m: {"schema": _schema(endpoint, m)} for m in endpoint.media}},
            "304": {"description": "You have it: If-None-Match names its ETag."},
            "400": _problem("A parameter cannot be read."),
            **({"404": _problem("It is not there, or not published.")} if "<" in endpoint.path or endpoint.name == "board" else {}),
            **({"503": _problem("There is no search index yet.")} if endpoint.name == "search" else {}),
        },
    }  # fmt: skip


def _schema(endpoint: Endpoint, media: str) -> dict[str, Any]:
    if endpoint.schema == "File":
        return (
            {"type": ["object", "array"]} if media.endswith("json") else {"type": "string", "contentMediaType": media}
        )
    one = {"$ref": f"#/components/schemas/{endpoint.schema}"}
    if not endpoint.paged:
        return one
    listed = {
        "items": {"type": "array", "items": one},
        "page": {"type": "integer"},
        "per_page": {"type": "integer", "maximum": MOST_PER_PAGE},
        "total": {"type": "integer"},
    }
    if endpoint.name == "search":
        listed |= {k: {"$ref": f"#/components/schemas/{v}"} for k, v in SEARCH_TOLD.items()}
    return {"type": "object", "properties": listed, "required": list(listed), "additionalProperties": False}


def _parameter(one: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": one.kind}
    if one.among:
        schema["enum"] = list(one.among)
    if one.kind == "integer":
        schema |= {"minimum": 1, "maximum": one.most}
    return {
        "name": one.name,
        "in": one.where,
        "description": one.help,
        "required": one.where == "path",
        "schema": schema,
    }


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
