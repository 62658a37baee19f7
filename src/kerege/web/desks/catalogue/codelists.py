"""Code lists: their codes as a tree one walks down, versions and what changed, what is wrong with them, and what uses them."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue.browse import lists as browse
from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.codes.queries import versions
from kerege.catalogue.codes.versions import changes_to, load_codelist
from kerege.catalogue.errors import CodeListVersionUnknown
from kerege.catalogue.models import CodeListVersion
from kerege.catalogue.packs import codelist_in_force, pack_in_force
from kerege.catalogue.reference import doings as reference
from kerege.ground import clock
from kerege.ground.text import LANGUAGES
from kerege.semantics.codelists.codelist import CodeList, Concept, Finding
from kerege.semantics.normalise.folding import fold
from kerege.web import labels
from kerege.web.desks.catalogue import frame
from kerege.web.words import language, say, word

_CODES: Final = 60
_CHANGES: Final = 40
_FINDINGS: Final = 15


def listing(request: HttpRequest) -> HttpResponse:
    pack, used = pack_in_force(), browse.codelists_in_use()
    titles = {str(i): t for i, t in CodeListVersion.objects.order_by("imported_at").values_list("list_id", "title")}
    ids = sorted({*pack.codelists, *titles, *used})
    cut = frame.cut(request, len(ids), _CODES)
    rows = []
    for list_id in ids[cut.offset : cut.offset + cut.limit]:
        found = pack.codelists.get(list_id)
        rows.append({
            "id": list_id, "title": labels.codelist(list_id, say(found.title) if found and found.title else say(titles.get(list_id))),
            "codes": len(found) if found else None, "version": found.version if found else "", "used": used.get(list_id, 0),
            "there": found is not None or list_id in titles,
        })  # fmt: skip
    machines = [frame.Machine("application/json", "/api/v1/codelists", "JSON")]
    return frame.show(request, "codelists", {"rows": rows, "cut": cut}, machines=machines)


def find(list_id: str, version: str = "") -> CodeList | None:
    """A version as asked for, else the one in force (the pack's where none was published), else the newest kept; None when there is none."""
    shown = codelist_in_force(list_id) if not version else None
    if shown is not None:
        return shown
    try:
        return load_codelist(list_id, version)
    except CodeListVersionUnknown:
        return None


def codelist(request: HttpRequest, list_id: str) -> HttpResponse:
    now = clock.now()
    asked = request.GET.get("version", "")[:60]
    found = find(list_id, asked)
    if found is None:
        raise Http404
    typed, wanted = frame.question(request), request.GET.get("code", "")[:200]
    under = request.GET.get("under", "")[:200]
    if wanted in found and not under:
        under = found.get(wanted).broader or ""  # type: ignore[union-attr]
    codes, below = _part(found, typed, under)
    place = next((n for n, c in enumerate(codes) if c.notation == wanted), None)
    cut = frame.cut(request, len(codes), _CODES)
    if place is not None and "page" not in request.GET:
        cut = frame.cut(_at_page(request, place // _CODES + 1), len(codes), _CODES)
    holders, many = browse.attributes(now, codelist=list_id)
    known = labels.organisations()
    findings = _checked(found)
    kept = versions("codelist", list_id)
    changes = changes_to(list_id, found.version) if any(v.version == found.version for v in kept) else ()
    pack = pack_in_force()
    context: dict[str, Any] = {
        "found": found, "id": list_id, "title": labels.codelist(list_id, say(found.title)),
        "description": say(found.description), "query": typed, "wanted": wanted,
        "titles": [(code, found.title.get(code, "")) for code in LANGUAGES], "cut": cut, "under": under,
        "codes": [_code(c, below) for c in codes[cut.offset : cut.offset + cut.limit]], "tree": bool(below),
        "above": [(n, _label(found, n)) for n in reversed(found.ancestors(under))] + [(under, _label(found, under))] if under in found else [],
        "versions": kept[:20], "changes": changes[:_CHANGES], "asked": asked,
        "changes_more": max(0, len(changes) - _CHANGES), "breaking": sum(c.breaking for c in changes),
        "findings": findings[:_FINDINGS], "findings_more": max(0, len(findings) - _FINDINGS), "finding_counts": _summed(findings),
        "holders": [frame.attribute(one, known) for one in holders], "holders_more": max(0, many - len(holders)),
        "concepts": [frame.concept(c.id) for c in load_concepts().values() if c.codelist == list_id],
        "crosswalks": [
            {"id": w.id, "title": labels.crosswalk(w.id, w.title), "to": w.object_source == list_id}
            for w in pack.crosswalks.values() if list_id in (w.subject_source, w.object_source)
        ],
        "mappings": [m.title for m in pack.mappings.values() if list_id in m.codelists],
        "references": [(r.ref_id, r.title) for r in reference.datasets() if r.kind == "codelist" and r.subject == list_id],
    }  # fmt: skip
    crumbs = [frame.Crumb(word("part.catalogue-codelists"), frame.to("catalogue-codelists"))]
    machines = (
        [frame.Machine("application/json", f"/api/v1/codelists/{list_id}/codes", "JSON")]
        if list_id in pack.codelists
        else []
    )
    return frame.show(request, "codelist", context, crumbs, machines, _linked(found))


def _at_page(request: HttpRequest, number: int) -> HttpRequest:
    """The request as if that page had been asked for, so that a code that was looked up is on the page that is shown."""
    asked = request.GET.copy()
    asked["page"] = str(number)
    request.GET = asked  # type: ignore[assignment]
    return request


def _part(found: CodeList, typed: str, under: str) -> tuple[list[Concept], dict[str, int]]:
    """The codes to list: those that match, or one step of the tree; and how many stand below each."""
    below = Counter(above for c in found for above in c.above())
    if typed:
        needle = fold(typed)
        return [c for c in found if needle in fold(f"{c.notation} {' '.join(c.wordings())}")], below
    if not below:
        return list(found), below
    if under in found:
        return [c for c in found if under in c.above()], below
    return [c for c in found if not any(a in found for a in c.above())], below


def _code(concept: Concept, below: dict[str, int]) -> dict[str, Any]:
    others = [(lang, concept.labels[lang]) for lang in LANGUAGES if lang != language() and concept.labels.get(lang)]
    return {
        "notation": concept.notation, "label": concept.label(language()), "others": others, "below": below.get(concept.notation, 0),
        "since": concept.valid_from, "until": concept.valid_to, "replaced_by": ", ".join(concept.replaced_by),
        "also": ", ".join(dict.fromkeys(w for _, w in concept.alt_labels)), 
        "notes": [n.text for n in concept.notes if n.language in ("", language())],
        "down": urlencode({"under": concept.notation}),
    }  # fmt: skip


def _label(found: CodeList, notation: str) -> str:
    concept = found.get(notation)
    return concept.label(language()) if concept else notation


_CHECKED: dict[tuple[str, str], tuple[CodeList, tuple[Finding, ...]]] = {}


def _checked(found: CodeList) -> tuple[Finding, ...]:
    """What is wrong with a list, remembered while the same list is in memory: a large one takes long to check."""
    known = _CHECKED.get((found.id, found.version))
    if known is None or known[0] is not found:
        if len(_CHECKED) > 64:
            _CHECKED.clear()
        known = _CHECKED[found.id, found.version] = (found, found.check())
    return known[1]


def _summed(findings: tuple[Finding, ...]) -> list[tuple[str, int]]:
    return sorted(Counter(f.code for f in findings).items(), key=lambda item: -item[1])


def _linked(found: CodeList) -> dict[str, Any]:
    return {
        "@context": "https://schema.org", "@type": "DefinedTermSet", "identifier": found.id, "version": found.version,
        "name": [{"@language": code, "@value": title} for code, title in found.title.items()],
    }  # fmt: skip
