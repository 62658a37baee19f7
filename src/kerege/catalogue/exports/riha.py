"""The card of a register as Estonia's RIHA has it: who owns it, what it is for, by what law, what it holds.

One card per organisation that runs published datasets; `stored_data` has at most ten lines there, so ours are the datasets with their counts, and the
whole description is linked. What is linked are pages of the hub (`dcat_graph.Addresses`); without its address there are no links, and no laws, of
which RIHA wants one each. Contacts of RIHA are named persons with an e-mail address; the catalogue keeps posts and units, so none are written.
Source: infosystem_schema.json of RIHA-Browser (JSON Schema draft 4).
"""

from __future__ import annotations

import re
import uuid
from typing import Any, Final

from kerege.catalogue.browse.organisations import spellings
from kerege.catalogue.errors import DatasetUnknown
from kerege.catalogue.exports.dcat_graph import Addresses
from kerege.catalogue.exports.publication import Outgoing, outgoing
from kerege.ground.clock import iso
from kerege.ground.text import counted
from kerege.membership.models import Contract, Member
from kerege.semantics.codelists.codelist import BASE

MOST_STORED: Final = 10
_NAMESPACE: Final = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # of addresses, RFC 9562


def card(organisation: str, addresses: Addresses | None = None) -> dict[str, Any]:
    """The card of what `organisation` (a member code, or its number alone) runs and published; DatasetUnknown when that is nothing.

    addresses   of the hub that shows it; a law is linked by the page of a dataset kept by it, which names it
    """
    spelled = spellings(organisation)
    leaving = [o for o in outgoing() if o.view.organisation in spelled]
    if not leaving:
        raise DatasetUnknown(what="published dataset of", name=organisation)
    member = Member.objects.filter(code__in=spelled).first()
    name, code = (member.name_en, member.code) if member else (organisation, organisation)
    laws = {f.owner.legal_basis: o.view.id for o in reversed(leaving) for f in o.fields if f.owner} if addresses else {}
    published = [o.published_at for o in leaving if o.published_at]
    on_exchange = Contract.objects.filter(provider__member__code__in=spelled).order_by("set_at").first()
    status: dict[str, Any] = {"status": "IN_USE", "timestamp": iso(min(published)) if published else None}
    return {
        "name": name,
        "short_name": re.sub(r"[^a-zA-Z0-9.-]+", "-", code).strip("-").lower() or "register",
        "uuid": str(uuid.uuid5(_NAMESPACE, f"{BASE}organisation/{code}")),
        "purpose": _purpose(name, leaving),
        "owner": {"code": code, "name": name},
        "stored_data": [_stored(o) for o in leaving[:MOST_STORED]],
        "data_files": [{"url": addresses.dataset(o.view.id), "name": o.view.table} for o in leaving]
        if addresses
        else [],
        "legislations": [
            {"url": addresses.dataset(dataset), "name": law, "type": "LEGAL_TYPE_STATUTE"}
            for law, dataset in sorted(laws.items())
            if addresses
        ],
        "topics": sorted({f.concept.partition(".")[0] for o in leaving for f in o.fields if f.concept}),
        "meta": {
            "update_timestamp": iso(max(o.view.harvested_at for o in leaving)),
            "system_status": status,
            "x_road_status": {
                "status": "JOINED" if on_exchange else None,
                "timestamp": iso(on_exchange.set_at) if on_exchange else None,
            },
        },
    }


def _purpose(name: str, leaving: list[Outgoing]) -> str:
    told = [o.view.description for o in leaving if o.view.description]
    return "; ".join(told) if told else f"Registers of {name}: {', '.join(o.view.table for o in leaving[:MOST_STORED])}"


def _stored(one: Outgoing) -> str:
    return (
        f"{one.view.table}: {counted(len(one.fields), 'attribute')} described, {sum(one.withheld.values())} not public"
    )
