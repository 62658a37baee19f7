"""What the catalogue's pages share: the way back, the parts of the catalogue, pages of long lists, names of things, the same for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from kerege.catalogue.browse.lists import PER_PAGE, Attribute, Card
from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.packs import current_pack
from kerege.ground.text import Text
from kerege.web import labels, values, words
from kerege.web.access import Audience, roles_of
from kerege.web.desks import desk_findings_words
from kerege.web.signin import who

# The parts of the catalogue, in the order in which they are read; the page of one thing belongs to the part before it.
PARTS: Final = (
    ("catalogue", ("catalogue", "catalogue-dataset", "catalogue-field")),
    ("catalogue-concepts", ("catalogue-concepts", "catalogue-concept")),
    ("catalogue-codelists", ("catalogue-codelists", "catalogue-codelist")),
    ("catalogue-crosswalks", ("catalogue-crosswalks", "catalogue-crosswalk")),
    ("catalogue-owners", ("catalogue-owners", "catalogue-owner")),
    ("catalogue-contracts", ("catalogue-contracts", "catalogue-contract")),
    ("catalogue-references", ("catalogue-references", "catalogue-reference")),
    ("catalogue-map", ("catalogue-map",)),
)
LONGEST: Final = 200  # characters of a question
_SCRIPT: Final = {ord("<"): "\\u003C", ord(">"): "\\u003E", ord("&"): "\\u0026"}


class Shown(Protocol):
    """What a page for everybody takes of a finding."""

    @property
    def kind(self) -> str: ...
    @property
    def column(self) -> str: ...
    @property
    def records(self) -> int: ...
    @property
    def found_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Crumb:
    """A step of the way back."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Machine:
    """The same thing for machines: media type, address, and a title for people who meet the link."""

    media: str
    address: str
    title: str


@dataclass(frozen=True, slots=True)
class Cut:
    """A page of a long list: where it begins, and the addresses of its neighbours ("" for none)."""

    at: int
    last: int
    total: int
    offset: int
    limit: int
    previous: str
    next: str
    first: int
    until: int


def to(name: str, *args: object) -> str:
    """A page's address in the current language."""
    return reverse(name, args=(words.language(), *args))


def cut(request: HttpRequest, total: int, limit: int = PER_PAGE, name: str = "page") -> Cut:
    """Which page of a list of `total` was asked for by `?page=`; a number beyond the end is the last page, nonsense the first."""
    last = max(1, -(-total // limit))
    raw = request.GET.get(name, "")
    at = min(max(1, int(raw)), last) if raw.isascii() and raw.isdecimal() and len(raw) < 8 else 1

    def address(number: int) -> str:
        kept = {k: v[:LONGEST] for k, v in request.GET.items() if k != name} | (
            {name: str(number)} if number > 1 else {}
        )
        return f"{request.path}?{urlencode(kept)}" if kept else request.path

    offset = (at - 1) * limit
    return Cut(
        at, last, total, offset, limit, address(at - 1) if at > 1 else "", address(at + 1) if at < last else "", min(offset + 1, total),
        min(offset + limit, total),
    )  # fmt: skip


def asked_page(request: HttpRequest, name: str = "page", most: int = 100_000) -> int:
    """The number in `?page=`, 1 where it is none: for lists whose length is known only after asking."""
    raw = request.GET.get(name, "")
    return min(max(1, int(raw)), most) if raw.isascii() and raw.isdecimal() and len(raw) < 8 else 1


def question(request: HttpRequest, name: str = "q") -> str:
    """What was typed, without control characters and never long."""
    return " ".join("".join(c if c.isprintable() else " " for c in request.GET.get(name, "")[:LONGEST]).split())


def show(
    request: HttpRequest, template: str, context: Mapping[str, Any], crumbs: Sequence[Crumb] = (), machines: Sequence[Machine] = (),
    linked: Mapping[str, Any] | None = None,
) -> HttpResponse:  # fmt: skip
    """A page of the catalogue.

    crumbs     the way back after "Data catalogue", without the page itself
    machines   the same thing in other forms; the whole catalogue as DCAT is always among them
    linked     schema.org description as JSON-LD
    """
    here = (request.resolver_match.url_name or "") if request.resolver_match else ""
    parts = [
        {"name": words.word(f"part.{name}"), "address": to(name), "current": "page" if here == name else "true" if here in of else ""}
        for name, of in PARTS
    ]  # fmt: skip
    frame = {
        "parts": parts,
        "part": next((p["name"] for p in parts if p["current"]), parts[0]["name"]),
        "crumbs": (Crumb(words.word("catalogue.title"), to("catalogue")), *crumbs) if here != "catalogue" else (),
        "machines": (*machines, Machine("text/turtle", "/api/v1/catalogue.ttl", "DCAT-AP 3")),
        "linked": as_script(linked) if linked else "",
        "at_search": here == "catalogue",
    }
    return render(request, f"desks/catalogue/{template}.html", {**frame, **context})


def as_script(data: Mapping[str, Any]) -> SafeString:
    """JSON that can stand within a script element."""
    return mark_safe(json.dumps(data, ensure_ascii=False).translate(_SCRIPT))  # noqa: S308 - no character of it can end the element


@dataclass(frozen=True, slots=True)
class Named:
    """A thing to link to: what it is called, and the key its page is found by ("" where there is no page)."""

    name: str
    key: str = ""
    note: str = ""


def organisation(code: str, known: Mapping[str, Text]) -> Named:
    """The organisation behind a member, subsystem or service code, or behind its bare number."""
    parts = code.split("/")
    member = "/".join(parts[:3]) if len(parts) > 1 else next((m for m in known if m.rsplit("/", 1)[-1] == code), "")
    return Named(labels.organisation(code, known), member if member in known else "")


def concept(concept_id: str) -> Named:
    """A concept in the words of the country pack; the end of its id made readable where the pack does not know it."""
    if not concept_id:
        return Named("")
    known = load_concepts().get(concept_id)
    return Named(words.say(known.text) if known else labels.field(concept_id.rsplit(".", 1)[-1]), concept_id)


def codelist(list_id: str) -> Named:
    """A code list by its title."""
    return Named(values.codelist_name(list_id), list_id) if list_id else Named("")


def contract(contract_id: str, name: str = "") -> Named:
    """A data contract, by the title of the canonical record it is about."""
    mapping = current_pack().mappings.get(contract_id)
    return Named(words.say(mapping.title) if mapping else name or contract_id, contract_id)


def finding(one: Shown) -> dict[str, Any]:
    """A finding as everybody may see it: what kind, where and how often. What was seen (codes, masks) is told at the desks, to those it concerns."""
    return {
        "name": desk_findings_words.name(one.kind),
        "column": one.column,
        "records": one.records,
        "found_at": one.found_at,
        "count": getattr(one, "count", 1),
    }


def at_desk(request: HttpRequest, name: str, *args: object, **query: str) -> str:
    """The address of a desk that tells more, for whoever works at the desks; "" for everybody else. What it then shows is the desk's to say."""
    person = who(request)
    if person is None or not person.roles & roles_of(Audience.DATA):
        return ""
    asked = urlencode({k: v for k, v in query.items() if v})
    return to(name, *args) + (f"?{asked}" if asked else "")


def card(one: Card, known: Mapping[str, Text]) -> dict[str, Any]:
    """A dataset of a list as the templates show it."""
    return {
        "id": one.id, "name": labels.dataset(one.table, one.description), "table": one.table, "rows": one.rows, "sampled": one.sampled,
        "agency": organisation(one.organisation, known) if one.organisation else None, "fields": one.fields, "owned": one.owned,
        "meant": one.meant, "personal": one.personal, "findings": one.findings, "state": one.state,
    }  # fmt: skip


def attribute(one: Attribute, known: Mapping[str, Text]) -> dict[str, Any]:
    """An attribute of a list as the templates show it."""
    return {
        "id": one.id, "name": one.name, "dataset_id": one.dataset_id, "dataset": labels.dataset(one.table, one.description),
        "table": one.table, "agency": organisation(one.organisation, known) if one.organisation else None,
        "concept": concept(one.concept), "codelist": codelist(one.codelist), "owner": organisation(one.owner, known) if one.owner else None,
        "unit": labels.unit(one.unit) if one.unit else "", "legal": labels.legal(one.legal_basis) if one.legal_basis else "",
        "interim_until": one.interim_until, "is_truth": one.is_truth,
    }  # fmt: skip
