"""A first draft of a data contract from what the catalogue knows of a dataset: fields, meanings, owner, legal basis.

A draft says what was seen and decided, nothing more: a field is required where the last harvest found none empty, part of the key where the
profile says so, and its type is the profile's own; a description's paths (`data[].code`) are nested (`contracts.paths`). No code list is promised: a
source's own codes are not those of the list. What people expect beyond that (tolerances, freshness, patterns) they add to the document. Keeping
it is `contracts.add`; nothing is in force by it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.contracts.paths import flat, nested
from kerege.catalogue.contracts.words import codes
from kerege.catalogue.errors import DatasetUnknown
from kerege.catalogue.inventory.profile import FieldProfile
from kerege.catalogue.models import ContractVersion, Dataset, Field
from kerege.catalogue.ownership.face import owners_by_field
from kerege.catalogue.ownership.rules import Tenure
from kerege.semantics.contracts import odcs
from kerege.semantics.contracts.findings import findings
from kerege.semantics.errors import ContractInvalid

_DECLARED: Final = {name: name for name in ("string", "integer", "number", "boolean", "object", "array")}
_TYPES: Final = {"integer": "integer", "decimal": "number", "number": "number", "boolean": "boolean"}


def document(dataset: Dataset, contract: str, version: str, now: datetime) -> dict[str, Any]:
    """The draft as an ODCS 3.1 document."""
    fields = list(dataset.fields.filter(vanished=False).select_related("concept_link").order_by("position", "pk"))
    owners = owners_by_field([dataset.pk], now)
    key = [str(name) for name in dataset.profile.get("key") or ()]
    described = bool(dataset.profile.get("described"))
    shape = nested if described else flat
    held = [owners[f.pk] for f in fields if f.pk in owners]
    told: dict[str, Any] = {
        "kind": "DataContract", "apiVersion": "v3.1.0", "id": contract, "version": version, "name": dataset.description or dataset.table,
        "status": "draft",
        "schema": [
            {
                "name": dataset.table, "physicalName": dataset.table,
                "properties": shape({f.name: _property(f, owners.get(f.pk), key, described) for f in fields}),
            }
        ],
        "customProperties": [{"property": "mode", "value": "observe"}],
    }  # fmt: skip
    if held:
        first = held[0]
        told["team"] = {
            "name": first.unit,
            "customProperties": [{"property": "organisation", "value": first.organisation}],
        }
        told["customProperties"].append({"property": "legalBasis", "value": first.legal_basis})
    return told


def _property(field: Field, owner: Tenure | None, key: list[str], described: bool) -> dict[str, Any]:
    profile = FieldProfile.from_dict(field.profile)
    link = getattr(field, "concept_link", None)
    concept = load_concepts().get(link.concept) if link is not None else None
    # a number that names somebody, or a code of digits, is text: its leading zeros mean something
    named = bool(profile.identifier or field.codelist or profile.codes or field.personal)
    told: dict[str, Any] = {"name": field.name}
    if not described:
        told["logicalType"] = "string" if named else _TYPES.get(profile.type, "string")
    elif (declared := profile.declared_type.partition(",")[0].partition("(")[0]) in _DECLARED:
        told["logicalType"] = _DECLARED[declared]  # what answers carry; of a table a code of digits is text
    if concept is not None:
        told["description"] = concept.text.en
    if profile.rows and not profile.nulls:
        told["required"] = True
    if field.name in key:
        told |= {"primaryKey": True, "primaryKeyPosition": key.index(field.name) + 1}
    if field.personal:
        told["classification"] = "personal"
    if told.get("logicalType") == "string" and profile.max_length:
        told["logicalTypeOptions"] = {"maxLength": max(profile.max_length, 1)}
    custom = [("concept", link.concept if link is not None else "")]
    if owner is not None:
        custom.append(("legalBasis", owner.legal_basis))
    kept = [{"property": name, "value": value} for name, value in custom if value]
    return told | ({"customProperties": kept} if kept else {})


def draft(dataset_id: int, contract: str, version: str, by: str, now: datetime) -> ContractVersion:
    """Keep a draft made from a dataset. Raises DatasetUnknown, ContractInvalid for an id or version that is none, ContractVersionTaken."""
    dataset = Dataset.objects.filter(pk=dataset_id, vanished=False).first()
    if dataset is None:
        raise DatasetUnknown(what="dataset", name=str(dataset_id))
    made = odcs.named(odcs.parse(document(dataset, contract.strip(), version.strip(), now), f"draft of {dataset}"))
    for wrong in findings(made, codes):
        if wrong.code == "uncompilable":  # a draft nobody could open is not kept
            raise ContractInvalid(file=made.file, where=wrong.where, reason=wrong.message)
    return contracts.add(made, by, now, dataset=str(dataset))


def pasted(text: str, by: str, now: datetime, *, dataset: str = "") -> ContractVersion:
    """Keep a contract that was given as YAML, whole.

    Raises ContractInvalid with where it is wrong, ContractRefused when it is too large, ContractVersionTaken, DatasetUnknown.
    """
    return contracts.add(odcs.loads(text, "pasted contract"), by, now, dataset=dataset)
