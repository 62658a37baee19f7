"""The catalogue's front page: one box, typed hits with what fits marked, narrowed by facets; without a question the whole, by organisation.

What a dataset is called on the screen is the interface's own wording, which the index does not know; a question in those words finds it all the
same (`_worded`). A word that was only guessed is offered as "did you mean".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from math import ceil
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse

from kerege.catalogue.browse import lists as browse
from kerege.catalogue.browse.organisations import together
from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.packs import codelist_in_force, pack_in_force
from kerege.catalogue.reference import doings as reference
from kerege.catalogue.search.questions import KINDS, REACH, Filters, Found, Hit
from kerege.catalogue.search.questions import search as find
from kerege.catalogue.search.words import STEM, keys, likeness, words
from kerege.ground import clock
from kerege.ground.text import Text
from kerege.web import labels
from kerege.web.desks.catalogue import contracts, frame
from kerege.web.words import catalogue as wording
from kerege.web.words import language, term, word

_PER_PAGE: Final = 20
_EXAMPLES: Final = ("birth", "pin", "place", "sex")
_FACETS: Final = 8  # values of one facet that are offered
_CYRILLIC: Final = re.compile("[\u0400-\u04ff]")


def search(request: HttpRequest) -> HttpResponse:
    asked, now = frame.question(request), clock.now()
    known = labels.organisations()
    chosen = _chosen(request, known)
    context: dict[str, Any] = {"query": asked, "chosen": chosen}
    if asked:
        context |= _answer(request, asked, chosen, known)
    else:
        shape = browse.shape(now)
        size = (
            browse.cards(now, organisation=chosen["organisation"], limit=0)[1]
            if chosen["organisation"]
            else shape.datasets
        )
        cut = frame.cut(request, size, _PER_PAGE)
        cards, _ = browse.cards(now, organisation=chosen["organisation"], offset=cut.offset, limit=cut.limit)
        context |= {
            "any": shape.datasets > 0,
            "shape": shape,
            "cut": cut,
            "cards": [frame.card(c, known) for c in cards],
            "examples": [_example(request, name) for name in _EXAMPLES],
            "ways": _ways(shape),
            "organisations": [
                {
                    "name": frame.organisation(code, known).name, "count": n, "address": _with(request, organisation=code),
                    "on": code == chosen["organisation"],
                }
                for code, n in sorted(together(dict(shape.organisations), known).items(), key=lambda item: (-item[1], item[0]))
            ][: 3 * _FACETS],
        }  # fmt: skip
    machines = [
        frame.Machine(
            "application/json", f"/api/v1/search?{urlencode({'q': asked})}" if asked else "/api/v1/datasets", "JSON"
        )
    ]
    return frame.show(request, "search", context, machines=machines)


def _chosen(request: HttpRequest, known: Mapping[str, Text]) -> dict[str, str]:
    kind, code = request.GET.get("kind", ""), request.GET.get("organisation", "")[:20]
    yes_no = {
        name: value if (value := request.GET.get(name, "")) in ("yes", "no") else "" for name in ("personal", "owned")
    }
    return {"kind": kind if kind in KINDS else "", "organisation": code, **yes_no}


def _with(request: HttpRequest, **changed: str) -> str:
    """This page with parameters changed; "" takes one away. A change leads to the first page."""
    kept = {
        k: v[: frame.LONGEST] for k, v in request.GET.items() if k in ("q", "kind", "organisation", "personal", "owned")
    } | changed
    kept = {k: v for k, v in kept.items() if v}
    return f"{request.path}?{urlencode(kept)}" if kept else request.path


def _example(request: HttpRequest, name: str) -> dict[str, str]:
    text = word(f"search.example.{name}")
    return {"text": text, "address": f"{request.path}?{urlencode({'q': text})}"}


def _ways(shape: browse.Shape) -> list[dict[str, Any]]:
    """The doors into the catalogue, each with how much is behind it."""
    pack = pack_in_force()
    counts = {
        "catalogue-concepts": len(load_concepts()),
        "catalogue-codelists": len(pack.codelists),
        "catalogue-crosswalks": len(pack.crosswalks),
        "catalogue-owners": len(labels.organisations()),
        "catalogue-contracts": contracts.count(),
        "catalogue-references": len(reference.datasets()),
        "catalogue-map": None,
    }
    return [
        {"name": word(f"part.{name}"), "line": word(f"part.{name}.line"), "count": count, "address": frame.to(name)}
        for name, count in counts.items()
    ]


# --- an answer ---


def _answer(request: HttpRequest, asked: str, chosen: Mapping[str, str], known: Mapping[str, Text]) -> dict[str, Any]:
    filters = Filters(
        (chosen["kind"],) if chosen["kind"] else (), chosen["organisation"], _truth(chosen["personal"]), _truth(chosen["owned"]),
    )  # fmt: skip
    at = frame.asked_page(request, most=REACH // _PER_PAGE)
    found = find(asked, filters, offset=(at - 1) * _PER_PAGE, limit=_PER_PAGE)
    cut = frame.cut(request, min(found.total, REACH), _PER_PAGE)
    if cut.at != at:
        found = find(asked, filters, offset=cut.offset, limit=_PER_PAGE)
    named = _worded(asked, chosen) if cut.at == 1 else []
    hits = [h for h in found.hits if not (h.kind == "dataset" and int(h.key) in named)]
    parents = browse.named([*named, *(int(h.parent or h.key) for h in hits if h.kind in ("field", "dataset"))])
    shown = [_named_hit(pk, parents[pk]) for pk in named if pk in parents]
    meanings = browse.concepts_of([int(h.key) for h in hits if h.kind == "field"])
    shown += [_hit(h, parents, known, meanings) for h in hits]
    total = max(found.total, len(shown))
    return {
        "hits": shown, "total": total, "every": found.every or bool(named), "cut": cut,
        "meant": _meant(request, asked, found if shown else _nearest(asked), answered=bool(shown)),
        "facets": _facets(request, found, chosen, known), "narrowed": any(chosen.values()),
        "wider": _with(request, kind="", organisation="", personal="", owned=""), "beyond": found.total > REACH,
    }  # fmt: skip


def _truth(raw: str) -> bool | None:
    return None if not raw else raw == "yes"


@lru_cache(maxsize=1)
def _tables() -> dict[str, tuple[str, ...]]:
    """Table -> the keys of the words that the interface calls it by, in every language."""
    return {
        key.removeprefix("dataset."): tuple(keys(text.as_dict().values()))
        for key, text in wording().items()
        if key.startswith("dataset.")
    }


def _worded(asked: str, chosen: Mapping[str, str]) -> list[int]:
    """Datasets of which every typed word stands in what the interface calls them; none when the question is narrowed otherwise."""
    if chosen["kind"] not in ("", "dataset") or any(chosen[name] for name in ("organisation", "personal", "owned")):
        return []
    typed = [w.key for w in words(asked)]
    tables = [
        t for t, known in _tables().items() if typed and all(any(likeness(w, k) >= STEM for k in known) for w in typed)
    ]
    return browse.tables_named(tables) if tables else []


def _named_hit(pk: int, named: tuple[str, str]) -> dict[str, Any]:
    name = labels.dataset(*named)
    return {
        "kind": "dataset",
        "address": frame.to("catalogue-dataset", pk),
        "pieces": [(name, False)],
        "note": named[1],
        "code": named[0],
    }


def _hit(
    hit: Hit, parents: Mapping[int, tuple[str, str]], known: Mapping[str, Text], meanings: Mapping[int, str]
) -> dict[str, Any]:
    """A hit with its address, its name in marked pieces, and where it belongs."""
    pieces: list[tuple[str, bool]] = hit.marked(language())
    told: dict[str, Any] = {
        "kind": hit.kind, "pieces": pieces, "note": hit.note, "code": "", "within": None, "also": _also(hit), "personal": hit.personal,
        "agency": frame.organisation(hit.organisation, known) if hit.organisation and hit.kind != "owner" else None,
        "unowned": hit.owned is False and hit.kind in ("dataset", "field"),
    }  # fmt: skip
    if hit.kind == "dataset":
        table, text = parents.get(int(hit.key), (hit.name(""), ""))
        name = labels.dataset(table, text)
        told |= {
            "address": frame.to("catalogue-dataset", int(hit.key)),
            "pieces": pieces if name == table else [(name, False)],
            "code": table,
        }
    elif hit.kind == "field":
        table, text = parents.get(int(hit.parent), ("", ""))
        if meaning := meanings.get(int(hit.key)):
            told["note"] = frame.concept(meaning).name
        told |= {
            "address": frame.to("catalogue-field", int(hit.key)),
            "within": frame.Named(labels.dataset(table, text), frame.to("catalogue-dataset", int(hit.parent))),
        }
    elif hit.kind == "code":
        list_id, _, notation = hit.key.partition("#")
        told |= {
            "address": f"{frame.to('catalogue-codelist', list_id)}?{urlencode({'code': notation})}",
            "code": notation,
            "within": frame.Named(frame.codelist(list_id).name, frame.to("catalogue-codelist", list_id)),
        }
    elif hit.kind == "contract" and hit.key == hit.note:  # held against no data service yet
        told |= {"address": frame.to("catalogue-contract", hit.key), "code": hit.key}
    elif hit.kind == "contract":
        told |= {
            "address": frame.to("catalogue-contract", hit.note),
            "pieces": [(labels.data_service(hit.name("")), False)],
            "code": hit.name(""),
        }
    else:
        page = {
            "concept": "catalogue-concept",
            "codelist": "catalogue-codelist",
            "crosswalk": "catalogue-crosswalk",
            "owner": "catalogue-owner",
        }
        told |= {"address": frame.to(page.get(hit.kind, "catalogue-reference"), hit.key), "code": hit.key}
        if hit.kind == "crosswalk" and (name := labels.crosswalk(hit.key)) != hit.key:
            told["pieces"] = [(name, False)]
    if hit.kind in ("codelist", "owner", "contract"):
        told["note"] = ""
    elif hit.kind in ("concept", "code"):
        told["note"] = _names(hit)
    return told


def _also(hit: Hit) -> list[tuple[str, bool]]:
    """Where the answer lies in another language than the page's: that wording, with what fits marked. English is told on an English page only."""
    if any(lang == language() or lang == "" for lang, _, _ in hit.highlights):
        return []
    return next((hit.marked(lang) for lang, _, _ in hit.highlights if lang in hit.title and lang != "en"), [])


def _names(hit: Hit) -> str:
    """Other names of a concept or code, those of the page's language; "" rather than another's."""
    if hit.kind == "concept":
        others = [w for w in hit.note.split(", ") if language() == "en" or _CYRILLIC.search(w)]
    else:
        list_id, _, notation = hit.key.partition("#")
        found = codelist_in_force(list_id)
        concept = found.get(notation) if found is not None else None
        others = [w for lang, w in concept.alt_labels if lang in ("", language())] if concept is not None else []
    return ", ".join(dict.fromkeys(others))


def _meant(request: HttpRequest, asked: str, found: Found, *, answered: bool) -> dict[str, str] | None:
    """The question with guessed words written as the catalogue has them; None when nothing was guessed.

    answered   the question itself found something: then another form of the same word is no guess
    """
    seen: dict[str, str] = {}
    for hit in found.hits[:10]:
        title = hit.name(language())
        for w in words(title):
            seen.setdefault(w.key, title[w.start : w.end])
        for w in words(hit.note):
            seen.setdefault(w.key, hit.note[w.start : w.end])
    out, guessed, at = "", False, 0
    for w in words(asked):
        best = max(((likeness(w.key, key), key) for key in seen), default=(0.0, ""))
        out += asked[at : w.start]
        shorter = min(len(w.key), len(best[1]))
        begun = max(4, ceil(0.6 * shorter))
        form = answered and shorter >= begun and w.key[:begun] == best[1][:begun]
        slip = 0 < best[0] < STEM and len(w.key) > 3 and not form
        out += seen[best[1]].lower() if slip else asked[w.start : w.end]
        guessed = guessed or slip
        at = w.end
    out += asked[at:]
    if not guessed or out.casefold() == asked.casefold():
        return None
    return {"text": out, "address": _with(request, q=out)}


def _nearest(asked: str) -> Found:
    """What the question would find with every word replaced by the word of the index that is one slip away."""
    out, at = "", 0
    for w in words(asked):
        out += asked[at : w.start] + (browse.nearest_word(w.key) or asked[w.start : w.end])
        at = w.end
    out += asked[at:]
    return find(out, limit=10) if out != asked else Found(asked)


def _facets(
    request: HttpRequest, found: Found, chosen: Mapping[str, str], known: Mapping[str, Text]
) -> list[dict[str, Any]]:
    """What hits can be narrowed to, with counts; a chosen value stays offered, to be taken away again."""
    out = []
    for name in ("kind", "organisation", "personal", "owned"):
        counts = dict(found.facets.get(name, {}))
        if chosen[name]:
            counts.setdefault(chosen[name], 0)
        if not counts or (len(counts) == 1 and not chosen[name]):
            continue
        lines = [
            {
                "name": frame.organisation(value, known).name if name == "organisation" else term(f"facet.{name}", value), "count": count,
                "on": value == chosen[name], "address": _with(request, **{name: "" if value == chosen[name] else value}),
            }
            for value, count in list(counts.items())[: max(_FACETS, len(KINDS))]
        ]  # fmt: skip
        out.append({"name": word(f"facet.{name}"), "lines": lines})
    return out
