"""Crosswalks: which code is which, under what conditions and when, what happens to a code nobody knows, and who decided what and why."""

from __future__ import annotations

from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue import browse
from kerege.catalogue.codelists import load_crosswalk
from kerege.catalogue.codelists_queries import versions
from kerege.catalogue.codelists_unmapped import unmapped
from kerege.catalogue.errors import CodeListVersionUnknown
from kerege.catalogue.models import CrosswalkVersion
from kerege.catalogue.packs import codelist_in_force, crosswalk_in_force, pack_in_force
from kerege.semantics.crosswalk import Crosswalk, Row
from kerege.semantics.folding import fold
from kerege.web.desks.catalogue import frame
from kerege.web.words import has, language, word

_ROWS: Final = 50
_DECISIONS: Final = 20
_UNMAPPED: Final = 30


def listing(request: HttpRequest) -> HttpResponse:
    pack, counts = pack_in_force(), browse.unmapped_by_crosswalk()
    ids = sorted({*pack.crosswalks, *CrosswalkVersion.objects.values_list("crosswalk", flat=True)})
    cut = frame.cut(request, len(ids), _ROWS)
    rows = []
    for crosswalk_id in ids[cut.offset : cut.offset + cut.limit]:
        found = pack.crosswalks.get(crosswalk_id) or load_crosswalk(crosswalk_id)
        open_codes, records = counts.get(crosswalk_id, (0, 0))
        rows.append({
            "id": crosswalk_id, "title": found.title or crosswalk_id, "rows": len(found.rows), "source": found.subject_source,
            "target": frame.codelist(found.object_source), "policy": policy(found), "open": open_codes, "records": records,
        })  # fmt: skip
    machines = [frame.Machine("application/json", "/api/v1/crosswalks", "JSON")]
    return frame.show(request, "crosswalks", {"rows": rows, "cut": cut}, machines=machines)


def find(crosswalk_id: str, version: str = "") -> Crosswalk | None:
    """A version as asked for, else the one in force (the pack's where none was published), else the newest kept; None when there is none."""
    shown = crosswalk_in_force(crosswalk_id) if not version else None
    if shown is not None:
        return shown
    try:
        return load_crosswalk(crosswalk_id, version)
    except CodeListVersionUnknown:
        return None


def policy(found: Crosswalk) -> str:
    """What happens to a code nobody knows, in words."""
    return word(f"cw-policy.{found.policy.kind}", code=found.policy.default or "")


def crosswalk(request: HttpRequest, crosswalk_id: str) -> HttpResponse:
    asked = request.GET.get("version", "")[:60]
    found = find(crosswalk_id, asked)
    if found is None:
        raise Http404
    typed = frame.question(request)
    rows = [
        row
        for row in found.rows
        if not typed or fold(typed) in fold(f"{row.subject} {row.subject_label} {row.object or ''} {row.object_label}")
    ]
    cut = frame.cut(request, len(rows), _ROWS)
    at = frame.asked_page(request, "decisions")
    decided, many = browse.decided(crosswalk_id, offset=(at - 1) * _DECISIONS, limit=_DECISIONS)
    twice = found.ambiguous
    used = [m for m in pack_in_force().mappings.values() if crosswalk_id in m.crosswalks]
    open_codes, records = browse.unmapped_by_crosswalk().get(crosswalk_id, (0, 0))
    target = codelist_in_force(found.object_source)
    context: dict[str, Any] = {
        "found": found, "title": found.title or crosswalk_id, "query": typed, "cut": cut, "asked": asked,
        "rows": [_row(row, target) for row in rows[cut.offset : cut.offset + cut.limit]], "source": found.subject_source,
        "target": frame.codelist(found.object_source), "policy": policy(found), "policy_kind": found.policy.kind,
        "unmapped": unmapped(crosswalk_id, most=_UNMAPPED), "open": open_codes, "records": records, "twice": len(twice),
        "open_more": max(0, open_codes - _UNMAPPED), "findings": found.check()[:20], "versions": versions("crosswalk", crosswalk_id)[:20],
        "decided": [_decided(d) for d in decided], "decisions": many, "decided_cut": frame.cut(request, many, _DECISIONS, "decisions"),
        "used": [{"id": m.id, "title": m.title} for m in used],
    }  # fmt: skip
    crumbs = [frame.Crumb(word("part.catalogue-crosswalks"), frame.to("catalogue-crosswalks"))]
    packed = crosswalk_id in pack_in_force().crosswalks
    machines = [frame.Machine("application/json", f"/api/v1/crosswalks/{crosswalk_id}", "JSON")] if packed else []
    return frame.show(request, "crosswalk", context, crumbs, machines)


def _row(row: Row, target: Any) -> dict[str, Any]:
    """One row: labels in the page's language where the target's list has them."""
    concept = target.get(row.object) if target is not None and row.object else None
    return {
        "subject": row.subject or "", "label": row.subject_label, "object": row.object,
        "object_label": concept.label(language()) if concept else row.object_label,
        "translates": row.translates, "relation": "" if row.predicate == "skos:exactMatch" and row.translates else _relation(row),
        "conditions": [(c.cell, ", ".join(c.values)) for c in row.conditions],
        "since": row.valid_from, "until": row.valid_to, "confidence": row.confidence, "why": _why(row.justification),
        "by": row.reviewer or row.author, "comment": row.comment,
    }  # fmt: skip


def _relation(row: Row) -> str:
    if row.predicate_modifier == "Not":
        return word("relation.not")
    if row.object is None:
        return word("relation.none")
    key = f"relation.{row.predicate.partition(':')[2]}"
    return word(key) if has(key) else row.predicate


def _why(justification: str) -> str:
    key = f"justification.{justification.partition(':')[2]}"
    return word(key) if has(key) else justification


def _decided(one: browse.Decided) -> dict[str, Any]:
    return {
        "code": one.code,
        "verdict": one.verdict,
        "target": one.target,
        "by": one.by,
        "reason": one.reason,
        "at": one.at,
    }
