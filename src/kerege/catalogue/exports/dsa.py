"""The pack's mappings as a DSA manifest: Lithuania's "data structure description", which Spinta inspects, publishes and serves.

A mapping becomes a model, a canonical field a property: `source` is the register's column, an enum holds a crosswalk (`source` the register's code,
`prepare` the common one), `access` says whether it may be public, `uri` the concept. DSA has no other transformation, so what a mapping does beyond
copying and recoding is left out and said; Spinta stops at the first code an enum does not know, whatever the crosswalk's policy.
Source: DSA specification 1.1 (ivpk, data.gov.lt); Spinta 1.3.1.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Final

from kerege.catalogue.codes.concepts import Concept, load_concepts
from kerege.semantics.codelists.codelist import BASE
from kerege.semantics.crosswalks.sssom import Crosswalk
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import TargetField
from kerege.semantics.pack import Pack

COLUMNS: Final = (
    "id", "dataset", "resource", "base", "model", "property", "type", "ref", "source", "source.type", "prepare", "origin", "count",
    "level", "status", "visibility", "access", "uri", "eli", "title", "description",
)  # fmt: skip


def write(
    pack: Pack, mappings: Sequence[str] = (), source: str = "", tables: dict[str, str] | None = None
) -> tuple[bytes, list[str]]:
    """(manifest as CSV, what was left out and why).

    mappings   ids; all of the pack's without it (MappingUnknown for another)
    source     the resource's address in Spinta's words (`sqlite:///register.db`); may stay empty until it is served
    tables     mapping id -> table of the register; without it the mapping's own short name
    """
    concepts = {field: concept for concept in load_concepts().values() for field in concept.fields}
    rows: list[dict[str, str]] = []
    left: list[str] = []
    for mapping_id in mappings or sorted(pack.mappings):
        mapping = pack.mapping(mapping_id)
        dataset, model = _names(mapping_id)
        rows.append({"dataset": dataset, "title": mapping.title.en})
        rows.append({"resource": "register", "type": "sql", "source": source})
        told = [(f, *_property(f)) for f in mapping.fields]
        told = [
            (f, None, w, no) if w and (no := _untold(pack.crosswalk(w))) else (f, c, w, why) for f, c, w, why in told
        ]
        left += [f"{mapping_id}#{f.name}: {why}" for f, _, _, why in told if why]
        rows.append(
            {
                "model": model,
                "source": (tables or {}).get(mapping_id) or model.lower(),
                "title": mapping.title.en,
                "level": "4",
            }
        )
        for field, cell, crosswalk, _ in told:
            if cell is not None:
                rows += _rows(
                    pack,
                    field,
                    mapping.source.cells[cell],
                    crosswalk,
                    concepts.get(f"{mapping_id}#{field.name}"),
                )
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode(), left


def _names(mapping_id: str) -> tuple[str, str]:
    """`kg:education.school` is the model School of the dataset datasets/gov/kg/education."""
    country, _, rest = mapping_id.partition(":")
    parts = [re.sub("[^a-z0-9]+", "_", p.lower()).strip("_") for p in (rest or country).split(".")]
    model = "".join(p.capitalize() for p in parts[-1].split("_"))
    return "/".join(["datasets", "gov", country, *(parts[:-1] or parts)]), model


def _property(field: TargetField) -> tuple[str | None, str, str]:
    """(the cell it comes from, the crosswalk it is recoded by, why it cannot be told)."""
    expr = field.expr
    if isinstance(expr, ir.Field):
        return expr.cell, "", ""
    if isinstance(expr, ir.Trim | ir.Collapse) and isinstance(expr.of, ir.Field):
        return expr.of.cell, "", "blanks stay as the register has them"
    if isinstance(expr, ir.Recode):
        # blanks around a code make Spinta refuse it, never give another: an enum after `trim` stays true
        inner = expr.of.of if isinstance(expr.of, ir.Trim) else expr.of
        if isinstance(inner, ir.Field):
            return inner.cell, expr.crosswalk, ""
    return None, "", f"{type(expr).__name__} has no counterpart in DSA"


def _untold(walk: Crosswalk) -> str:
    """Why a crosswalk cannot be an enum, which knows a code and what it means, always."""
    if not walk.compiled.plain:
        return "its crosswalk depends on the record's day or on other cells"
    return "" if walk.table else "its crosswalk is empty"


def _rows(pack: Pack, field: TargetField, column: str, crosswalk: str, concept: Concept | None) -> list[dict[str, str]]:
    told = {
        "property": field.name, "type": "string", "source": column, "level": "4" if concept else "3", "title": concept.text.en if concept else "",
        "access": "open" if concept is not None and concept.personal is False else "private",
        "uri": f"{BASE}concept/{concept.id}" if concept else "",
    }  # fmt: skip
    if not crosswalk:
        return [told]
    walk = pack.crosswalk(crosswalk)
    labels = pack.codelists.get(walk.object_source)
    rows = [told]
    known = {r.subject: walk.table[walk.key(r.subject)] for r in walk.rows if walk.key(r.subject) in walk.table}
    for code, target in sorted(known.items()):
        named = labels.get(target) if labels is not None else None
        rows.append(
            {
                "type": "enum" if len(rows) == 1 else "", 
                "source": code, "prepare": f'"{target}"', "title": named.label("en") if named else "",
            }
        )  # fmt: skip
    return rows
