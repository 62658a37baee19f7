"""Data contracts: what each promises in words, how its versions differ, what is held against it, and how long it still holds."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue.browse import lists as browse
from kerege.catalogue.browse import use as browse_use
from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.contracts.queries import contracts as listed
from kerege.catalogue.contracts.queries import not_run, rules_in_words, show
from kerege.catalogue.contracts.words import RuleView
from kerege.catalogue.errors import ContractUnknown
from kerege.catalogue.models import ContractVersion
from kerege.catalogue.packs import current_pack
from kerege.ground import clock
from kerege.semantics.contracts import odcs
from kerege.semantics.contracts.contract import Contract, Property
from kerege.semantics.contracts.diff import judge
from kerege.web import labels
from kerege.web.desks.catalogue import frame
from kerege.web.words import has, say, term, word

_PER_PAGE: Final = 50
_OF_MAPPING: Final = "What the canonical records of {} are, whichever node or file they come from"


@lru_cache(maxsize=4)
def _read(folder: Path, _newest: int) -> dict[str, Contract]:
    found = {}
    for path in sorted(folder.glob("*.odcs.yaml")) if folder.is_dir() else ():
        contract = odcs.read(path)
        found[contract.id] = contract
    return found


def packed() -> dict[str, Contract]:
    """The country pack's contracts by id, read again when a file changed."""
    folder = current_pack().folder / "contracts"
    return _read(folder, max((f.stat().st_mtime_ns for f in folder.glob("*.odcs.yaml")), default=0))


def is_shown(contract_id: str) -> bool:
    """Whether a contract has a page: the country pack's, or a version of the hub's own."""
    return contract_id in packed() or ContractVersion.objects.filter(contract=contract_id).exists()


def title(made: Contract) -> str:
    """What a contract is called."""
    return say(made.custom.get("title")) or made.name or made.id


def named(contract_id: str, otherwise: str = "") -> str:
    """A contract by its id, in the page's language where the country pack says it; `otherwise` its document's own name, else the id."""
    found = packed().get(contract_id)
    return title(found) if found is not None else otherwise or contract_id


def _filed() -> dict[str, str]:
    """The contracts that were filed at the desks, by id, each with its newest version's name."""
    return dict(ContractVersion.objects.order_by("added_at").values_list("contract", "name"))


def count() -> int:
    """How many contracts the list has."""
    return len({*packed(), *_filed()})


def listing(request: HttpRequest) -> HttpResponse:
    pack = packed()
    newest = _filed()
    ids = sorted({*pack, *newest})
    cut = frame.cut(request, len(ids), _PER_PAGE)
    about = browse.datasets_of_contracts()
    page = ids[cut.offset : cut.offset + cut.limit]
    states = browse.states_of("contract", page)
    services = {mapping: code for code, mapping in browse_use.services_of_mappings(page)}
    rows = [
        {
            "id": i, "name": title(pack[i]) if i in pack else newest[i] or i, "state": states.get(i, ("pack" if i not in newest else "draft", ""))[0],
            "version": states.get(i, ("", pack[i].version if i in pack else ""))[1], "dataset": about.get(i),
            "service": labels.data_service(services[i]) if i in services else "",
        }
        for i in page
    ]  # fmt: skip

    return frame.show(
        request,
        "contracts",
        {"rows": rows, "cut": cut},
        machines=[frame.Machine("application/json", "/api/v1/contracts", "JSON")],
    )


def contract(request: HttpRequest, contract_id: str) -> HttpResponse:
    now = clock.now()
    known = labels.organisations()
    asked = request.GET.get("version", "")[:60]
    try:
        view = show(contract_id, now, asked)
        row = contracts.find(contract_id, view.head.version)
        made = contracts.contract_of(row)
        versions = listed(now, contract_id)[:20]
        head: dict[str, Any] = {
            "state": view.head.state, "deprecation": view.head.deprecation, "last_run": view.head.last_run, "dataset": row.dataset,
            "versions": versions, "rules": view.rules, "not_run": view.not_run, "findings": view.findings,
        }  # fmt: skip
        before = next((v.version for v in versions[_place(versions, view.head.version) + 1 :]), "")
        head |= {
            "judgement": judge(contracts.contract_of(contracts.find(contract_id, before)), made) if before else None,
            "before": before,
        }
    except ContractUnknown as error:
        if contract_id not in packed() or asked:
            raise Http404 from error
        made = packed()[contract_id]
        head = {
            "state": "pack",
            "rules": rules_in_words(made),
            "not_run": not_run(made),
            "versions": [],
            "findings": (),
            "judgement": None,
        }
    mapping, about = current_pack().mappings.get(contract_id), head.get("dataset")
    services = browse_use.services_of_mappings([contract_id])
    context: dict[str, Any] = {
        **head, "made": made, "title": title(made), "purpose": _purpose(made),
        "owner": frame.organisation(made.owner, known) if made.owner else None, "unit": made.owner_unit, "legal": labels.legal(made.legal_basis),
        "mode": str(made.mode), "fields": _fields(made, head["rules"]), 
        "routes": [(labels.data_service(r.data_service), r.path) for r in made.routes],
        "services": [(labels.data_service(code), code) for code, _ in services], "mapping": mapping,
        "calls": sum(f.calls or 0 for code, _ in services[:4] for f in browse_use.flows(now, service=code)[0]),
        "whole": [r for r in head["rules"] if not r.field], 
        "dataset_name": labels.dataset(about.table, about.description) if about else "",
    }  # fmt: skip
    crumbs = [frame.Crumb(word("part.catalogue-contracts"), frame.to("catalogue-contracts"))]
    return frame.show(
        request, "contract", context, crumbs, [frame.Machine("application/json", "/api/v1/contracts", "JSON")]
    )


def _purpose(made: Contract) -> str:
    """What a contract is for. The country pack's say all the same of the records their mapping makes; that is told in the page's language."""
    told = made.document.get("description")
    written = say(told.get("purpose")) if isinstance(told, dict) else ""
    return word("contract.purpose_of_mapping", mapping=made.id) if written == _OF_MAPPING.format(made.id) else written


def _place(versions: list[Any], version: str) -> int:
    return next((n for n, v in enumerate(versions) if v.version == version), len(versions))


def _fields(made: Contract, rules: tuple[RuleView, ...]) -> list[dict[str, Any]]:
    """Every field the contract promises, with its rules in words."""
    by: dict[str, list[str]] = {}
    for rule in rules:
        by.setdefault(rule.field, []).append(rule_text(rule))
    out = []
    for one in made.objects:
        prefix = f"{one.name}." if len(made.objects) > 1 else ""
        for top in one.properties:
            for path, prop in top.walk():
                out.append(_field(prefix + path, prop, by.get(prefix + path, [])))
    return out


def _field(path: str, prop: Property, rules: list[str]) -> dict[str, Any]:
    return {
        "name": path, "concept": frame.concept(prop.concept) if prop.concept else None, 
        "codelist": frame.codelist(prop.codelist) if prop.codelist else None,
        "description": prop.description, "rules": [r for r in dict.fromkeys(rules) if r],
    }  # fmt: skip


def rule_text(rule: RuleView) -> str:
    """A rule as a sentence in the page's language; the type's pattern is not repeated."""
    kind = rule.rule.partition(":")[0].partition(".")[0]
    key = f"rule.{kind}"
    value = _value(kind, rule.value)
    text = word(key, value=value) if has(key) else f"{rule.rule} {value}".strip()
    return f"{text} ({word('rule.tolerance', value=rule.tolerance)})" if rule.tolerance else text


_SIGNS: Final = {"less": "<", "lessOrEqual": "≤", "greater": ">", "greaterOrEqual": "≥", "equal": "=", "notEqual": "≠"}


def _value(kind: str, value: str) -> str:
    """What a rule asks for, as people write it."""
    if kind == "type":
        return term("ltype", value)
    first, blank, rest = value.partition(" ")
    if kind == "compare" and first in _SIGNS:
        return f"{_SIGNS[first]}{blank}{rest}"
    return _short(value)


def _short(value: str) -> str:
    return value if len(value) <= 120 else f"{value[:117]}…"
