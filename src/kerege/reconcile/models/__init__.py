"""What this room keeps, part by part."""

from kerege.reconcile.models.desk import ClericalDecision, ClericalTask, TaskContest
from kerege.reconcile.models.discrepancies import (
    CatalogueFindingAct,
    Discrepancy,
    FieldTally,
    Finding,
    FindingAct,
    Workload,
)
from kerege.reconcile.models.persons import KeyDecision, PersonKey, PersonRecord

__all__ = [
    "CatalogueFindingAct",
    "ClericalDecision",
    "ClericalTask",
    "Discrepancy",
    "FieldTally",
    "Finding",
    "FindingAct",
    "KeyDecision",
    "PersonKey",
    "PersonRecord",
    "TaskContest",
    "Workload",
]
