"""The contract that the tests of contracts are about: births, of the civil registry, and what is done with it most."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import ServiceUse
from kerege.semantics.contracts.contract import Contract
from kerege.semantics.contracts.odcs import parse

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ENDS = datetime(2027, 6, 30, 17, 59, 59, tzinfo=UTC)
SERVICE = "KG/GOV/70000001/civil/birth-records"
ME, OTHER = "a.asanova", "b.bakirov"
DOCUMENT: dict[str, Any] = {
    "kind": "DataContract", "apiVersion": "v3.1.0", "id": "kg:birth", "version": "1.0.0", "status": "active", "name": "Births",
    "team": {"name": "Civil registry", "customProperties": [{"property": "organisation", "value": "70000001"}]},
    "customProperties": [{"property": "legalBasis", "value": "Law on acts of civil status"}, {"property": "mode", "value": "quarantine"}],
    "servers": [{"server": "exchange", "type": "custom", "customProperties": [
        {"property": "dataService", "value": SERVICE}, {"property": "path", "value": "/"}, {"property": "at", "value": "provider"}]}],
    "schema": [{"name": "birth", "customProperties": [{"property": "mapping", "value": "kg:civil.birth-record"}], "properties": [
        {"name": "act_number", "logicalType": "string", "required": True},
        {"name": "sex", "logicalType": "string", "customProperties": [{"property": "codeList", "value": "kg:sex"}]},
    ]}],
}  # fmt: skip


def made(version: str = "1.0.0", **change: Any) -> Contract:
    document = copy.deepcopy(DOCUMENT) | {"version": version} | change
    return parse(document)


def without_sex(version: str) -> Contract:
    document = copy.deepcopy(DOCUMENT) | {"version": version}
    document["schema"][0]["properties"].pop()
    return parse(document)


def put(contract: Contract, *, dataset: str = "civil.sqlite#births", now: datetime = NOW) -> list[Any]:
    contracts.add(contract, ME, now, dataset=dataset)
    what = contracts.subject(contract.id, contract.version)
    lifecycle.act(what, "submit", ME, "new", now)
    lifecycle.act(what, "approve", OTHER, "looked at", now)
    return contracts.publish(contract.id, contract.version, ME, "agreed", now)


def called(consumer: str = "KG/GOV/70000003/admission", last: datetime = NOW) -> None:
    ServiceUse.objects.create(
        source="node",
        side="provider",
        consumer=consumer,
        service=SERVICE,
        endpoint="GET /",
        calls=7,
        first_at=last,
        last_at=last,
    )
