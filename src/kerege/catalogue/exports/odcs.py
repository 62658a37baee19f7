"""A data contract of the catalogue as ODCS 3.1 YAML: the writer is `semantics.odcs`, the contract the one in force."""

from __future__ import annotations

from kerege.catalogue import contracts
from kerege.semantics import odcs


def contract_yaml(contract: str, version: str = "") -> bytes:
    """The contract with this id, in `version` or the newest. Raises the contracts' own error for one that is not there."""
    return odcs.dumps(contracts.contract_of(contracts.find(contract, version))).encode()
