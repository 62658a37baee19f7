"""What may go wrong in this room and can be acted on."""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class ReconcileError(KeregeError):
    """Every error of this room."""


class FieldsInvalid(ReconcileError):
    code = "reconcile.fields_invalid"
    message = "The list of compared fields {file} has {count} faults: {faults}."
    hint = "Correct all of them in the country pack's reconcile folder; nothing was loaded."


class DiscrepancyUnknown(ReconcileError):
    code = "reconcile.discrepancy_unknown"
    message = "There is no discrepancy {discrepancy}."
    hint = "Look it up in the queue; a settled one keeps its number."


class DiscrepancySettled(ReconcileError):
    code = "reconcile.discrepancy_settled"
    message = "The discrepancy {discrepancy} is settled already, as {status}."
    hint = "Report a new finding to the owner if the value is wrong again."


class LinkageInvalid(ReconcileError):
    code = "reconcile.linkage_invalid"
    message = "The linkage definition {file} has {count} faults: {faults}."
    hint = "Correct all of them in the country pack's reconcile/linkage folder; nothing was loaded."


class ModelInvalid(ReconcileError):
    code = "reconcile.model_invalid"
    message = "The linkage model {file} cannot be used for {definition}: {reason}."
    hint = "Train it again: kerege reconcile link --train."


class LinkageTableInvalid(ReconcileError):
    code = "reconcile.linkage_table_invalid"
    message = "The table {table} cannot be linked by {definition}: {reason}."
    hint = "Give a table that has every field of the definition as a column and numbers each record once."


class TrainingImpossible(ReconcileError):
    code = "reconcile.training_impossible"
    message = "{definition} could not be trained on {left} and {right} records ({reason})."
    hint = "Train on larger tables, or give a model trained before with --model; nothing was linked."
