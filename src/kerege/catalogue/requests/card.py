"""A register's description: what it must say, and the same as a RIHA card. Pure.

    name, purpose       in Kyrgyz, Russian and English
    short_name          letters, digits, dot and hyphen, as RIHA has it
    owner               the member code of the body that answers for it
    legislations        acts it rests on, at least one: {"name": ..., "url": ...}
    sources             sources of the catalogue that hold its data (needed to take it into use)
    stored_data, topics, contacts (units, never persons)         optional
    data_goes_to        what becomes of its data (needed to close it)

Source: RIHA's `infosystem_schema.json` (vectors/riha): name, purpose, owner, short_name and uuid are required there.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from kerege.catalogue.requests.rules import Outcome, RegisterState, Request, Standing
from kerege.ground.clock import iso
from kerege.ground.ids import canonical_json, digest
from kerege.ground.text import LANGUAGES
from kerege.semantics.codelists.codelist import BASE

_SHORT: Final = re.compile(r"[a-zA-Z0-9.-]{1,100}\Z")
_MOST: Final = 64 * 1024  # bytes of canonical JSON
_LISTS: Final = {
    "sources": 100,
    "stored_data": 10,
    "topics": 30,
    "contacts": 10,
    "legislations": 50,
}  # 10: RIHA's own bound
_KNOWN: Final = frozenset({"name", "purpose", "short_name", "owner", "uuid", "data_goes_to", "homepage", *_LISTS})

# RIHA's own words for a system's status (infosystem_schema.json, meta.system_status)
_RIHA_STATUS: Final = {
    RegisterState.PLANNED: "asutamisel",
    RegisterState.ESTABLISHED: "asutamisel",
    RegisterState.IN_USE: "kasutusel",
    RegisterState.BEING_MODIFIED: "kasutusel",
    RegisterState.CLOSED: "lõpetatud",
}


def described(name: str, description: Mapping[str, Any], organisation: str) -> dict[str, Any]:
    """The description with what follows from the request itself: its short name, its owner and an identifier derived from both."""
    told = dict(description)
    told.setdefault("short_name", name)
    told.setdefault("owner", organisation)
    told.setdefault("uuid", str(uuid.uuid5(uuid.NAMESPACE_URL, f"register:{told['owner']}/{name}")))
    return told


def described_faults(told: Mapping[str, Any], *, closing: bool = False) -> list[str]:
    """What is wrong with a description, each as a sentence; empty when nothing is."""
    try:
        if len(canonical_json(dict(told))) > _MOST:
            return [f"its description is larger than {_MOST} bytes"]
    except (TypeError, ValueError):
        return ["its description is no plain JSON without floats"]
    faults = [f"its description has an unknown entry {key[:40]}" for key in sorted(map(str, told)) if key not in _KNOWN]
    for key in ("name", "purpose"):
        value = told.get(key)
        lacking = [lang for lang in LANGUAGES if not (isinstance(value, dict) and str(value.get(lang) or "").strip())]
        if lacking:
            faults.append(f"its {key} lacks {', '.join(lacking)}")
    if not _SHORT.match(str(told.get("short_name", ""))):
        faults.append("its short name is not 1 to 100 letters, digits, dots and hyphens")
    for key, most in _LISTS.items():
        value = told.get(key, [])
        if not isinstance(value, list) or len(value) > most:
            faults.append(f"its {key} is no list of at most {most}")
    acts = told.get("legislations")
    named = (
        [a for a in acts if isinstance(a, dict) and str(a.get("name") or "").strip()] if isinstance(acts, list) else []
    )
    if not named or (isinstance(acts, list) and len(named) != len(acts)):
        faults.append("its legislations name no act it rests on")
    if closing and not str(told.get("data_goes_to") or "").strip():
        faults.append("it does not say what becomes of its data (data_goes_to)")
    return faults


def riha_card(stands: Standing, requests: tuple[Request, ...], language: str = "en") -> dict[str, Any]:
    """The register in RIHA's properties, valid against its schema.

    RIHA wants a reference for every act: one without an address has the lasting name that the DCAT export gives it.
    """
    told = stands.description or (requests[0].description if requests else {})
    approved = [r for r in requests if r.outcome is Outcome.APPROVED]
    times = sorted(r.at for r in requests)
    last: datetime | None = max((r.decided_at for r in approved if r.decided_at), default=None)
    return {
        "name": told["name"][language],
        "purpose": told["purpose"][language],
        "short_name": told["short_name"],
        "uuid": told["uuid"],
        "owner": {"code": told["owner"]},
        "stored_data": [str(s) for s in told.get("stored_data", ())],
        "topics": [str(t) for t in told.get("topics", ())],
        "legislations": [
            {
                "url": act.get("url") or f"{BASE}law/{digest(act['name'])[:16]}",
                "name": act["name"],
                "type": "LEGAL_TYPE_OTHER",
            }
            for act in told.get("legislations", ())
        ],
        "meta": {
            "creation_timestamp": iso(times[0]),
            "update_timestamp": iso(times[-1]),
            "approval_status": {
                "status": "kooskõlastatud" if approved else "mitte kooskõlastatud",
                "timestamp": iso(last) if last else None,
            },
            "system_status": {
                "status": _RIHA_STATUS[stands.state],
                "timestamp": iso(stands.since) if stands.since else None,
            },
        },
    }
