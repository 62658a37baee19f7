"""Names where a code would otherwise stand: registers, data services, fields, organisations, legal acts.

A page never shows a raw identifier where a name belongs. Names of organisations come from the network's register, of fields and
registers from the country pack; the code goes beside the name, small, for whoever has to quote it. Pure but for `organisations`,
which reads the members once per page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.conf import settings

from kerege.ground.errors import KeregeError
from kerege.ground.text import Text
from kerege.membership.models import Member
from kerege.reconcile import fields
from kerege.services import definitions
from kerege.services.definitions import AdmissionDefinition
from kerege.web.words import catalogue, has, say, word

OF_THE_COUNTRY: Final = " of the Kyrgyz Republic"  # what a contract's short English citation of an act leaves out


def organisations() -> dict[str, Text]:
    """Every member by its code, `KG/GOV/70000001`."""
    return {m.code: Text(ky=m.name_ky, ru=m.name_ru, en=m.name_en) for m in Member.objects.all()}


def register(code: str) -> str:
    """A register by its short code, or by the subsystem it runs in (`KG/GOV/70000002/population`)."""
    short = code.rstrip("/").rsplit("/", 1)[-1]
    return word(f"register.{short}") if has(f"register.{short}") else short


def data_service(code: str) -> str:
    """A data service such as `KG/GOV/70000002/population/persons` or `population/persons`, in words."""
    for size in (2, 1):
        short = "/".join(code.split("/")[-size:])
        if has(f"data-service.{short}"):
            return word(f"data-service.{short}")
    return "/".join(code.split("/")[-2:])


def organisation(code: str, known: Mapping[str, Text]) -> str:
    """The member behind a member, subsystem or server code, or behind its bare number; the code itself when it is not known."""
    parts = code.split("/")
    if len(parts) == 1:
        return next((say(name) for member, name in known.items() if member.rsplit("/", 1)[-1] == code), code)
    member = "/".join(parts[:3])
    return say(known[member]) if member in known else code


def responsible(text: str, known: Mapping[str, Text]) -> str:
    """Who a contract in force names as its owner: a member by its code or its English name, as the member is called; else as `team`."""
    if text in known or any(code.rsplit("/", 1)[-1] == text for code in known):
        return organisation(text, known)
    return next((say(name) for name in known.values() if name.en == text), "") or team(text)


def dataset(table: str, description: str = "") -> str:
    """A dataset by its table's name: worded where the demo's agencies are known, else as its owner described it.

    What a description of a data service, or a node, tells of carries the name of the dataset or of the data service itself.
    """
    if has(f"dataset.{table}"):
        return word(f"dataset.{table}")
    path = table.partition(" ")[2]
    last = path.rstrip("/").rsplit("/", 1)[-1]
    if path and has(f"dataset.{last}"):
        return word("dataset-described", name=word(f"dataset.{last}"))
    if has(f"data-service.{'/'.join(table.split('/')[-2:])}"):
        return word("dataset-seen", name=data_service(table))
    return description or table


def crosswalk(code: str, title: str = "") -> str:
    """A crosswalk by its identifier, in words where the interface knows it; else its own title, which has one language; else the identifier."""
    return word(f"crosswalk-name.{code}") if has(f"crosswalk-name.{code}") else title or code


def codelist(code: str, title: str = "") -> str:
    """A code list by its own title; a table of codes has none and is called as the interface words it, else by its identifier."""
    return title or (word(f"codelist-name.{code}") if has(f"codelist-name.{code}") else code)


def team(name: str) -> str:
    """Who a contract's document, which has one language, names as its owner; in words where the interface knows the name."""
    return _from_english("team", name)


def _from_english(group: str, text: str) -> str:
    """A text of a document that has one language, in the page's; as it is where the interface has no words for it."""
    told = _english(group).get(text)
    return say(told) if told is not None else text


@lru_cache(maxsize=4)
def _english(group: str) -> dict[str, Text]:
    return {text.en: text for key, text in catalogue().items() if key.startswith(f"{group}.")}


def unit(code: str) -> str:
    """A unit that answers for data, in words where the interface knows it."""
    return word(f"unit.{code}") if has(f"unit.{code}") else code


def legal(code: str, service: str = "grade1-admission") -> str:
    """A legal act by its short code, or by its English title as contracts cite it; other text as it is, "to be confirmed" in words."""
    try:
        acts = definition_of(service).legal_basis
    except KeregeError:
        return _from_english("legal", code)
    if code in acts:
        return say(acts[code].title)
    cited = next((say(act.title) for act in acts.values() if act.title.en.replace(OF_THE_COUNTRY, "") == code), "")
    return cited or _from_english("legal", code)


def field(name: str) -> str:
    """A field of the canonical records."""
    compared = _compared().get(name)
    if compared is not None:
        return say(compared)
    return word(f"field.{name}") if has(f"field.{name}") else name.replace("_", " ")


@lru_cache(maxsize=1)
def _compared() -> dict[str, Text]:
    try:
        return {name: spec.titles for name, spec in fields.of_country().fields.items()}
    except KeregeError:  # a country pack without compared fields: the interface's own words serve
        return {}


def cause(code: str, definition: AdmissionDefinition) -> str:
    """A reason's code in words: the public service's own text first, a pair of fields (`civil:population:sex`), or the code."""
    if code in definition.reasons:
        return say(definition.reasons[code].text)
    if code in definition.open_reasons:
        return say(definition.open_reasons[code])
    if has(f"cause.{code}"):
        return word(f"cause.{code}")
    parts = [part for part in re.split(r"[:/]", code) if part]
    if len(parts) > 1:
        return " – ".join(word(f"register.{p}") if has(f"register.{p}") else field(p) for p in parts)
    return word(f"register.{code}") if has(f"register.{code}") else field(code)


def public_service(code: str) -> Text | str:
    """A public service by its identifier, in the words of its definition."""
    try:
        return definition_of(code).titles
    except KeregeError:
        return code


@lru_cache(maxsize=8)
def definition_of(code: str) -> AdmissionDefinition:
    """The public service's definition, read once per process: the country pack does not change while the hub runs."""
    return definitions.of(code)


def school(code: str) -> str:
    """A school by its name as the education register gave it; its code where no name is at hand."""
    name = _schools(_schools_stamp()).get(code)
    return say(name) if name else word("applications.school_code", code=code)


def _schools_file() -> Path:
    return Path(settings.HOME) / "schools.json"


def _schools_stamp() -> int:
    file = _schools_file()
    return file.stat().st_mtime_ns if file.is_file() else 0


@lru_cache(maxsize=2)
def _schools(stamp: int) -> dict[str, str | dict[str, str]]:
    """School code -> name (one, or one per language), from `KEREGE_HOME/schools.json`, read again when the file changes."""
    if not stamp:
        return {}
    try:
        raw = json.loads(_schools_file().read_text(encoding="utf-8"))
    except ValueError:
        return {}
    if not isinstance(raw, dict):
        return {}
    return {str(code): name for code, name in raw.items() if isinstance(name, str | dict)}
