"""What can be wrong with codes: crosswalks and code lists kept, values translated, decisions, what a change would reach."""

from __future__ import annotations

from kerege.catalogue.errors.base import CatalogueError


class CodeUnknown(CatalogueError):
    code = "catalogue.code_unknown"
    message = "{source}, row {row}, column {column}: the code {value} {why} {crosswalk}."
    hint = (
        "Settle it with: kerege crosswalk accept {file} {code_typed} TARGET --by NAME{more}. "
        "Or run with --policy quarantine (such rows are put aside) or --policy pass-and-flag (they pass, marked)."
    )


class CodeWithoutCounterpart(CodeUnknown):
    code = "catalogue.code_without_counterpart"
    message = (
        "{source}, row {row}, column {column}: the code {value} is recorded as having no counterpart in {crosswalk}."
    )
    hint = (
        "Run with --policy quarantine (such rows are put aside), null-and-flag (no value, marked) or pass-and-flag. "
        "If it has a counterpart after all: kerege crosswalk accept {file} {code_typed} TARGET --by NAME."
    )


class SourceCodeUnknown(CatalogueError):
    code = "catalogue.source_code_unknown"
    message = "{code_given} is not among the {known:# source code} that the crosswalk {crosswalk} knows; the file was left as it was."
    hint = "Look for a typing error. If the register has a new code, say so with --new-code."


class TargetUnknown(CatalogueError):
    code = "catalogue.target_unknown"
    message = "{target} is not among the {known:# target} that the crosswalk {crosswalk} knows; {code_given} was left as it was."
    hint = "Look for a typing error (kerege crosswalk open shows the candidates). If a new target is meant, say so with --new-target."


class OutputExists(CatalogueError):
    code = "catalogue.output_exists"
    message = "{path}: this file is there already and is left as it was."
    hint = "Name another file with --out, or move the old one away."


class OutputColumnTaken(CatalogueError):
    code = "catalogue.output_column_taken"
    message = "{source}: the new column {column} (from {by}) would take the place of {taken}."
    hint = "Name another one with --column {by}=NEW:CROSSWALK. What replaces a column in place is written --column {by}:CROSSWALK."


class CrosswalkNeedsDay(CatalogueError):
    code = "catalogue.crosswalk_needs_day"
    message = "What the codes of {crosswalk} mean depends on the record's day, and none was named."
    hint = "Name the column that holds it with --as-of COLUMN, or one day for all records with --as-of yyyy-mm-dd."


class CrosswalkNeedsCells(CatalogueError):
    code = "catalogue.crosswalk_needs_cells"
    message = (
        "What the codes of {crosswalk} mean depends on {cells}, which {source} does not have. Columns now: {columns}."
    )
    hint = "Where a column has another name in this register, say so: --given NAME=COLUMN. Otherwise bring the column in, or map with --mapping."


class CrosswalkBroken(CatalogueError):
    code = "catalogue.crosswalk_broken"
    message = "{file}, row {row}, column {column}: {reason}."
    hint = "A crosswalk is an SSSOM TSV; correct the row, or make it anew with: kerege crosswalk suggest."


class ConceptUnknown(CatalogueError):
    code = "catalogue.concept_unknown"
    message = "The country pack knows no concept {concept}."
    hint = "Concepts stand in the country pack's concepts.yaml; add it there first, in three languages."


class CodeListRefused(CatalogueError):
    code = "catalogue.codelist_refused"
    message = "{list} {version}: {errors:# error}; the first: {first}."
    hint = (
        "See all of them with kerege codelist check FILE, correct the file and import it again; nothing was taken over."
    )


class CodeListVersionTaken(CatalogueError):
    code = "catalogue.codelist_version_taken"
    message = "{list} {version} is in the catalogue already and says something else in {changes}."
    hint = "Give the file its own version number: --version. See what differs with: kerege codelist diff {list}@{version} FILE"


class CodeListVersionUnknown(CatalogueError):
    code = "catalogue.codelist_version_unknown"
    message = "The catalogue has no {kind} {id} {version}; it has: {known}."
    hint = "List what is there with kerege codelist list, or import the file with kerege codelist import."


class CrosswalkNotInForce(CatalogueError):
    code = "catalogue.crosswalk_not_in_force"
    message = "The version {version} of {crosswalk} is not in force (in force: {in_force}), so it settles no code."
    hint = "Have it submitted, approved and published: kerege lifecycle act; its codes are settled with that."


class DecisionRefused(CatalogueError):
    code = "catalogue.decision_refused"
    message = "The decision on the code {code_given} of {crosswalk} was not kept: {reason}."
    hint = "Say the target code, who decides (--by) and, against an earlier decision, why (--reason)."


class DecisionNeedsReason(DecisionRefused):
    code = "catalogue.decision_needs_reason"
    message = "The decision on the code {code_given} of {crosswalk} needs a reason: {why}."
    hint = "Say why in a sentence (--reason), without numbers or names of persons; or decide otherwise."


class DecisionNeedsTarget(DecisionRefused):
    code = "catalogue.decision_needs_target"
    message = "The decision on the code {code_given} of {crosswalk} names no target."
    hint = "Choose one of the candidates or name another code; where nothing fits, say that it has no counterpart."


class ImpactUnknown(CatalogueError):
    code = "catalogue.impact_unknown"
    message = "There is no {kind} {key} that anything rests on; near it: {known}."
    hint = "A code is written `LIST CODE`, a field or cell `MAPPING NAME`; lists are told by: kerege codelist list"
