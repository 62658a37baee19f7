"""Names where a code would otherwise stand: registers, data services, fields, organisations, legal acts.

A page never shows a raw identifier where a name belongs. Names of organisations come from the network's register, of fields and
registers from the country pack; the code goes beside the name, small, for whoever has to quote it. Pure but for `organisations`,
which reads the members once per page.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from kerege.ground.errors import KeregeError
from kerege.ground.text import Text
from kerege.membership.models import Member
from kerege.reconcile import fields
from kerege.web.words import has, say, word

_REGISTERS = ("civil", "population", "education", "emis", "health", "admission", "application")


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
    """The member behind a member, subsystem or server code; the code itself when the member is not known."""
    member = "/".join(code.split("/")[:3])
    return say(known[member]) if member in known else code


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
