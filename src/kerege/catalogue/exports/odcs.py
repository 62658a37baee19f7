"""A data contract of the catalogue as ODCS 3.1 YAML: the writer is `semantics.contracts.odcs`, the contract the one in force."""

from __future__ import annotations

from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.errors import ContractUnknown
from kerege.catalogue.packs import current_pack
from kerege.semantics.contracts import odcs


def contract_yaml(contract: str, version: str = "") -> bytes:
    """The contract with this id, in `version`; without one named the version in force, else the newest, else the country pack's.

    Raises ContractUnknown, which names what is known.
    """
    try:
        made = contracts.contract_of(contracts.find(contract, version))
    except ContractUnknown:
        packed = map(odcs.read, sorted((current_pack().folder / "contracts").glob("*.odcs.yaml")))
        found = next((one for one in packed if one.id == contract and version in ("", one.version)), None)
        if found is None:
            raise
        made = found
    return odcs.dumps(made).encode()
