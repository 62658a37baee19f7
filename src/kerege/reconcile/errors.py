"""What may go wrong in this room and can be acted on."""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class ReconcileError(KeregeError):
    """Every error of this room."""


class FieldsInvalid(ReconcileError):
    code = "reconcile.fields_invalid"
    message = "The list of compared fields {file} has {count:# fault}: {faults}."
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
    message = "The linkage definition {file} has {count:# fault}: {faults}."
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
    message = "{definition} could not be trained on {left} and {right:# record} ({reason})."
    hint = "Train on larger tables, or give a model trained before with --model; nothing was linked."


class BulkTableInvalid(ReconcileError):
    code = "reconcile.bulk_table_invalid"
    message = "The tables {left} and {right} cannot be compared: {reason}."
    hint = (
        "Give tables with the columns the definition names, in which each record has one number; nothing was compared."
    )


class KeyUnknown(ReconcileError):
    code = "reconcile.key_unknown"
    message = "No person has the key {key}."
    hint = "A key never ends: look at where it came from; it was not made here."


class MergeRefused(ReconcileError):
    code = "reconcile.merge_refused"
    message = "The keys {key} and {other} are not merged: {reason}."
    hint = "Look both up first; nothing was changed."


class SplitRefused(ReconcileError):
    code = "reconcile.split_refused"
    message = "The key {key} is not split: {reason}."
    hint = "Name the records that belong to another person, or the key whose merge is to be taken back; nothing was changed."


class TaskUnknown(ReconcileError):
    code = "reconcile.task_unknown"
    message = "There is no clerical task {task}."
    hint = "Look it up in the queue: kerege reconcile queue."


class TaskSettled(ReconcileError):
    code = "reconcile.task_settled"
    message = "The clerical task {task} is settled already, as {status}."
    hint = "Merge or split the persons' keys with a reason if that was wrong; the decisions stay as they are."


class DecisionRefused(ReconcileError):
    code = "reconcile.decision_refused"
    message = "The decision on {task} was not taken: {reason}."
    hint = "Say same, different or cannot-tell with a reason; a second review needs a second person."


class PairNotOpened(DecisionRefused):
    code = "reconcile.pair_not_opened"
    message = "{task} was decided by somebody who was not shown its two records; nothing was taken down."
    hint = "Open both records at the desk first, then decide."


class FindingUnknown(ReconcileError):
    code = "reconcile.finding_unknown"
    message = "There is no finding {finding}."
    hint = "Look it up: kerege reconcile findings."


class ActRefused(ReconcileError):
    code = "reconcile.act_refused"
    message = "The finding {finding} is {status}; it cannot be {act} now: {reason}."
    hint = "Look at its acts: kerege reconcile findings; nothing was changed."


class RulesInvalid(ReconcileError):
    code = "reconcile.rules_invalid"
    message = "The rules of settling {file} have {count:# fault}: {faults}."
    hint = "Correct all of them in the country pack's reconcile folder; nothing was loaded."


class TableUnreadable(ReconcileError):
    code = "reconcile.table_unreadable"
    message = "The file {file} cannot be read as a table ({reason})."
    hint = "Give CSV with a header line, a sheet, or Parquet (a name that ends in .parquet); nothing was compared."


class ColumnMissing(ReconcileError):
    code = "reconcile.column_missing"
    message = "The file {file} has no column {column}; it has: {known}."
    hint = "Name one of its columns, or give the file that has it; nothing was compared."


class RecordUnavailable(ReconcileError):
    code = "reconcile.record_unavailable"
    message = "A record of {register} cannot be shown: {reason}."
    hint = "Look whether the register's table is configured and can be reached; the task stays as it is, and the try is written down."


class ReaderUnknown(ReconcileError):
    code = "reconcile.reader_unknown"
    message = "Records are not shown to {person}: for which organisation they read is not known ({member})."
    hint = "Let the account say its subsystem, INSTANCE/CLASS/MEMBER/SUBSYSTEM; nobody's data was read."


class RegistersInvalid(ReconcileError):
    code = "reconcile.registers_invalid"
    message = "The list of registers {file} has {count:# fault}: {faults}."
    hint = "Correct all of them in the installation's home folder, reconcile/registers.yaml; nothing was read."


class PlacingRuns(ReconcileError):
    code = "reconcile.placing_runs"
    message = "Another placing of persons is under way ({where})."
    hint = "Wait until it has ended and start again; what is placed stays placed."
