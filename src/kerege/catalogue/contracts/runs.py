"""The counts of a contract held against data, kept with it: what the steward's page and the board show."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from kerege.catalogue.contracts.checks import Report
from kerege.catalogue.contracts.doings import find, subject
from kerege.catalogue.errors import ContractVersionTaken
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import ContractRun
from kerege.ground.clock import require_utc
from kerege.semantics.contracts.contract import Contract


@transaction.atomic
def keep(contract: Contract, report: Report, now: datetime) -> ContractRun:
    """Keep a report with its version. Raises ContractUnknown, and ContractVersionTaken when the catalogue's version says something else."""
    row = find(contract.id, contract.version)
    if row.fingerprint != contract.fingerprint:
        state = lifecycle.status(subject(row.contract, row.version)).state.value
        raise ContractVersionTaken(contract=row.contract, version=row.version, state=state, file=contract.file)
    return ContractRun.objects.create(
        contract=row, source=report.source[:300], rows=report.rows, broken_rows=report.broken_rows, kept=report.kept,
        report=report.as_dict(), run_at=require_utc(now),
    )  # fmt: skip
