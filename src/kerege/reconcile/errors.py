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
