"""Crosswalks: which code is which, under what conditions and when, what happens to a code nobody knows, and how much was decided.

Everybody may read this, so the rows of a version that was never published stay at the desk, and so do codes that were met in the data and that no
published row knows, who decided, and why: a code somebody met may be anything that stood in a register's column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue.browse import lists as browse
from kerege.catalogue.codes.queries import VersionView, versions
from kerege.catalogue.errors import CodeListVersionUnknown
from kerege.catalogue.lifecycle.rules import IN_FORCE, State
from kerege.catalogue.models import CrosswalkVersion
from kerege.catalogue.packs import codelist_in_force, crosswalk_in_force, current_pack, kept_crosswalk, pack_in_force
from kerege.semantics.crosswalks.sssom import Crosswalk, Row
from kerege.semantics.normalise.folding import fold
from kerege.web.desks.catalogue import frame
from kerege.web.words import has, language, word

_ROWS: Final = 50
_PUBLISHED: Final = frozenset({*(s.value for s in IN_FORCE), State.RETIRED.value})


def listing(request: HttpRequest) -> HttpResponse:
    pack, counts = pack_in_force(), browse.unmapped_by_crosswalk()
    ids = sorted({*pack.crosswalks, *CrosswalkVersion.objects.values_list("crosswalk", flat=True)})
    cut = frame.cut(request, len(ids), _ROWS)
    rows = []
    for crosswalk_id in ids[cut.offset : cut.offset + cut.limit]:
        found = pack.crosswalks.get(crosswalk_id) or kept_crosswalk(crosswalk_id)
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
        return kept_crosswalk(crosswalk_id, version)
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
    kept = versions("crosswalk", crosswalk_id)
    withheld = not _is_public(found, crosswalk_id, kept)
    rows = [
        row
        for row in (() if withheld else found.rows)
        if not typed or fold(typed) in fold(f"{row.subject} {row.subject_label} {row.object or ''} {row.object_label}")
    ]
    cut = frame.cut(request, len(rows), _ROWS)
    decided = browse.decided(crosswalk_id)
    twice = found.ambiguous
    used = [m for m in pack_in_force().mappings.values() if crosswalk_id in m.crosswalks]
    open_codes, records = browse.unmapped_by_crosswalk().get(crosswalk_id, (0, 0))
    target = codelist_in_force(found.object_source)
    packed = found is current_pack().crosswalks.get(crosswalk_id)
    context: dict[str, Any] = {
        "found": found, "title": found.title or crosswalk_id, "query": typed, "cut": cut, "asked": asked,
        "rows": [_row(row, target, packed) for row in rows[cut.offset : cut.offset + cut.limit]], "source": found.subject_source,
        "target": frame.codelist(found.object_source), "policy": policy(found), "policy_kind": found.policy.kind,
        "open": open_codes, "records": records, "twice": len(twice), "withheld": withheld, "findings": () if withheld else found.check()[:20],
        "versions": kept[:20], "decided": decided, "decisions": sum(d.number for d in decided),
        "at_desk": frame.at_desk(request, "desks-crosswalk", crosswalk_id),
        "used": [{"id": m.id, "title": m.title} for m in used],
    }  # fmt: skip
    crumbs = [frame.Crumb(word("part.catalogue-crosswalks"), frame.to("catalogue-crosswalks"))]
    offered = crosswalk_id in pack_in_force().crosswalks
    machines = [frame.Machine("application/json", f"/api/v1/crosswalks/{crosswalk_id}", "JSON")] if offered else []
    return frame.show(request, "crosswalk", context, crumbs, machines)


def _is_public(found: Crosswalk, crosswalk_id: str, kept: Sequence[VersionView]) -> bool:
    """Whether a version's rows may be read by everybody: the one in force, the pack's, and those that were published before."""
    if found is crosswalk_in_force(crosswalk_id) or found is current_pack().crosswalks.get(crosswalk_id):
        return True
    return any(v.version == found.version and v.state in _PUBLISHED for v in kept)


def _row(row: Row, target: Any, packed: bool) -> dict[str, Any]:
    """One row: labels in the page's language where the target's list has them. The comment is the pack's own; one typed at a desk stays there."""
    concept = target.get(row.object) if target is not None and row.object else None
    return {
        "subject": row.subject or "", "label": row.subject_label, "object": row.object,
        "object_label": concept.label(language()) if concept else row.object_label,
        "translates": row.translates, "relation": "" if row.predicate == "skos:exactMatch" and row.translates else _relation(row),
        "conditions": [(c.cell, ", ".join(c.values)) for c in row.conditions],
        "since": row.valid_from, "until": row.valid_to, "confidence": row.confidence, "why": _why(row.justification),
        "comment": row.comment if packed else "",
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
