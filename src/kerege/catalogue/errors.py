"""What can go wrong between a register and the catalogue, each with the place (file, row, column) and the next step.

Values never stand in these messages, with one exception: a code of a code list, which is what the steward has to look up.
"""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class CatalogueError(KeregeError):
    """Any error of this room, for `except`."""


class SourceError(CatalogueError):
    """The source could not be read as it stands; nothing was changed here."""


class SourceMissing(SourceError):
    code = "catalogue.source_missing"
    message = "{source}: there is no such file or table."
    hint = "Check the path. {known}"


class FormatUnknown(SourceError):
    code = "catalogue.format_unknown"
    message = (
        "{source}: this kind of source is not known (databases: PostgreSQL, MySQL, SQLite, DuckDB; files: CSV, TSV, XLSX, ODS, Parquet; "
        "descriptions: OpenAPI, WSDL; node:// for an exchange node)."
    )
    hint = "Rename the file to its true ending, or export it as CSV."


class SourceDown(SourceError):
    code = "catalogue.source_down"
    message = "{source}: the register does not answer ({reason})."
    hint = "The catalogue is as it was. Ask the register's technical owner, then run the same command again."


class SourceRefused(SourceError):
    code = "catalogue.source_refused"
    message = "{source}: the register refuses this account ({reason})."
    hint = "Ask the register's owner for a read-only account with SELECT on its tables."


class SourceSlow(SourceError):
    code = "catalogue.source_slow"
    message = "{source}, table {table}: no answer within {seconds} s; the query was cancelled."
    hint = "The catalogue is as it was. Try outside working hours, or take a smaller sample: --rows 10000."


class FileTruncated(SourceError):
    code = "catalogue.file_truncated"
    message = "{source}, row {row}: this looks like half a file ({reason})."
    hint = "Fetch it again and compare its size with the sender's; nothing of it was taken over."


class RowRagged(SourceError):
    code = "catalogue.row_ragged"
    message = (
        "{source}, row {row}: {found} cells where the header has {expected} columns (last readable column: {column})."
    )
    hint = "Look at that row for an unquoted separator or a line break inside a cell; correct it at the source."


class EncodingWrong(SourceError):
    code = "catalogue.encoding_wrong"
    message = "{source}, row {row}, column {column}: the bytes are not {encoding}."
    hint = "Name the right encoding, for example --encoding {guess}. In a database, correct the cell at the source."


class NotText(SourceError):
    code = "catalogue.not_text"
    message = "{source}, row {row}, column {column}: a {what} character, which no text has."
    hint = "This is no text file, or a damaged one: fetch it again. If it is UTF-16, say so with --encoding utf-16."


class CellTooLarge(SourceError):
    code = "catalogue.cell_too_large"
    message = "{source}, row {row}, column {column}: a cell is larger than {limit} characters."
    hint = "If that is meant, allow it with --max-cell; otherwise look for a missing closing quote or a file stored in a cell."


class HeaderMerged(SourceError):
    code = "catalogue.header_merged"
    message = "{source}, row {row}, column {column}: the header has merged or empty cells, so columns have no names of their own."
    hint = "Say which row holds one name per column with --header-row N, or unmerge the header in the sheet."


class HeaderTwice(SourceError):
    code = "catalogue.header_twice"
    message = "{source}, row {row}: two columns are called {column}."
    hint = "Rename one of them at the source, or choose another header row with --header-row N."


class HeaderIsData(SourceError):
    code = "catalogue.header_is_data"
    message = (
        "{source}, row {row}, column {column}: where a column's name should stand is {what}. It looks like a record."
    )
    hint = "Write the names of the columns into the first row, or say which row holds them: --header-row N."


class HeaderTooWide(SourceError):
    code = "catalogue.header_too_wide"
    message = "{source}, row {row}: it has {columns} columns, at most {limit} are read."
    hint = (
        "Look whether the separator is the right one (--delimiter). A table that is meant to be so wide can be split."
    )


class SheetTooWide(SourceError):
    code = "catalogue.sheet_too_wide"
    message = "{source}: a sheet reaches to row {rows} and column {columns}, the sheets to more than {limit} cells; most of them are empty."
    hint = "Delete what stands far outside the table (Ctrl+End shows it), or export the sheet as CSV."


class TableEmpty(SourceError):
    code = "catalogue.table_empty"
    message = "{source}, table {table}: it has no rows{before}."
    hint = (
        "An empty delivery is usually a broken one. If a header without rows is meant, harvest it with --accept-empty."
    )


class ColumnVanished(SourceError):
    code = "catalogue.column_vanished"
    message = "{source}: there is no column {column}. Columns now: {columns}."
    hint = "Check whether it was renamed (kerege suggest shows likely successors), then name the new one."


class KeyDuplicate(SourceError):
    code = "catalogue.key_duplicate"
    message = "{source}, row {row}, column {column}: the same key stands in row {first} already."
    hint = "A key names one record. Correct the source, or name other key columns with --key."


class CodeTwice(SourceError):
    code = "catalogue.code_twice"
    message = "{source}, row {row}, column {column}: this code stands in row {first} already, with another label."
    hint = "If both labels name the same thing (two languages), say so with --merge-labels; otherwise correct the list."


class CodeUnknown(CatalogueError):
    code = "catalogue.code_unknown"
    message = "{source}, row {row}, column {column}: the code {value} {why} {crosswalk}."
    hint = (
        "Settle it with: kerege crosswalk accept {file} {code_typed} TARGET --by NAME. "
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


class TargetUnknown(CatalogueError):
    code = "catalogue.target_unknown"
    message = (
        "{target} is none of the {known} targets that the crosswalk {crosswalk} knows; {code_given} was left as it was."
    )
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


class PlanUnknown(CatalogueError):
    code = "catalogue.plan_unknown"
    message = "There is no plan {plan}."
    hint = "List the open plans with: kerege harvest --list."


class PlanDone(CatalogueError):
    code = "catalogue.plan_done"
    message = "The plan {plan} is {status} already."
    hint = "Make a new one with: kerege harvest SOURCE --plan."


class PlanStale(CatalogueError):
    code = "catalogue.plan_stale"
    message = "{plan} was made from what {source} was then; {what} changed since. Nothing was applied."
    hint = "Look at the difference with a new plan: kerege harvest {source} --plan."


class OwnerTaken(CatalogueError):
    code = "catalogue.owner_taken"
    message = "The attribute {attribute} has an owner already: {owner}."
    hint = "An attribute has one owner. Let that owner hand it over, naming the legal basis, before another is named."


class SourceOfTruthTaken(CatalogueError):
    code = "catalogue.source_of_truth_taken"
    message = "The concept {concept} has a source of truth already: {dataset}, column {column}."
    hint = "A concept has one. End the old declaration with its legal basis before making a new one."


class ConceptUnknown(CatalogueError):
    code = "catalogue.concept_unknown"
    message = "The country pack knows no concept {concept}."
    hint = "Concepts stand in the country pack's concepts.yaml; add it there first, in three languages."


class DatasetUnknown(CatalogueError):
    code = "catalogue.dataset_unknown"
    message = "The catalogue holds no {what} {name}."
    hint = "Harvest it first: kerege harvest SOURCE --plan."


class LegalBasisMissing(CatalogueError):
    code = "catalogue.legal_basis_missing"
    message = "Naming {what} needs its legal basis, and none came."
    hint = "Name the act and article with --legal-basis."


class LifecycleRefused(CatalogueError):
    code = "catalogue.lifecycle_refused"
    message = "{subject} is {state}; the action {action} was refused: {why}."
    hint = "Allowed now: {allowed}."


class FourEyes(CatalogueError):
    code = "catalogue.four_eyes"
    message = "{subject}: {by} {did} it and may not approve it as well."
    hint = "Somebody else must approve it or return it. Allowed for {by} now: {allowed}."


class LifecycleBlocked(CatalogueError):
    code = "catalogue.lifecycle_blocked"
    message = "{subject}: the action {action} is not possible yet: {reasons}."
    hint = "Settle what is named, then do the same again; nothing was changed."


class LifecycleRaced(CatalogueError):
    code = "catalogue.lifecycle_raced"
    message = "{subject}: at this moment {by} did {action}; it is {state} now, and nothing else was done."
    hint = "Look at it again, then decide anew."


class ActionIncomplete(CatalogueError):
    code = "catalogue.action_incomplete"
    message = "The action {action} on {subject} has no valid {field}; expected {expected}."
    hint = "Say it and do the same again; nothing was changed."


class HandOverRefused(CatalogueError):
    code = "catalogue.hand_over_refused"
    message = "{by} may not hand over the attribute {attribute}, which {owner} owns."
    hint = "Only {may} may hand it over, naming the legal basis."


class UnownedAlready(CatalogueError):
    code = "catalogue.unowned_already"
    message = "The {what} has no {thing} now."
    hint = "Look at its history with kerege owner show; name the next one with kerege owner name (or kerege truth declare)."


class InterimInvalid(CatalogueError):
    code = "catalogue.interim_invalid"
    message = "An interim owner of {attribute} was not named: {what} was given, expected {expected}."
    hint = "An interim owner has an end, and somebody who must name the lasting one: --until DAY --names-lasting WHO."


class OwnershipIncomplete(CatalogueError):
    code = "catalogue.ownership_incomplete"
    message = "The {field} is missing or longer than {most} characters."
    hint = "Say it in 1 to {most} characters; nothing was changed."


class AttributesNotChosen(CatalogueError):
    code = "catalogue.attributes_not_chosen"
    message = "No attribute of {dataset} was chosen, so nobody was named for any."
    hint = "Tick the attributes that the owner answers for; to name one for all of them, tick them all."


class RolesBroken(CatalogueError):
    code = "catalogue.roles_broken"
    message = "{file}, {where}: {reason}."
    hint = "The file belongs to the country pack: put back its last good version, or correct the entry that is named."


class ShapesMissing(CatalogueError):
    code = "catalogue.shapes_missing"
    message = "{folder}: the file {file} of the DCAT-AP shapes is not there."
    hint = "Name the folder html/shacl of a DCAT-AP 3.0.1 release: kerege export dcat --check FOLDER."


class ExportInvalid(CatalogueError):
    code = "catalogue.export_invalid"
    message = "The export cannot be validated: {reason}."
    hint = "This is a fault of the export, not of what you asked for: report it with the command you ran."


class DescriptionBroken(SourceError):
    code = "catalogue.description_broken"
    message = "{source}, {place}: {reason}."
    hint = "Correct the description where it is made; nothing of it was taken over."


class DescriptionTooLarge(SourceError):
    code = "catalogue.description_too_large"
    message = "{source}, {place}: more than {limit} {what}, which no description of a data service needs."
    hint = "Look whether the file is what it says it is. A description that is meant to be so large can be split by service."


class ReferenceRefused(SourceError):
    code = "catalogue.reference_refused"
    message = (
        "{source}, {place}: it refers to something outside this document ({kind}), and nothing outside is ever fetched."
    )
    hint = "Ask its author for the description in one file (most tools call that bundling), then harvest that one."


class PackageTooLarge(SourceError):
    code = "catalogue.package_too_large"
    message = "{source}: unpacked it would be {unpacked} bytes, {ratio} times its size; it was not unpacked."
    hint = "A register's sheet is some tens of times smaller packed. Ask the sender for CSV, and where this file came from."


class NodeUnreadable(SourceError):
    code = "catalogue.node_unreadable"
    message = "{source}: what the node keeps cannot be read ({reason})."
    hint = "Run this where the node's folder is, under an account that may read it; an encrypted log needs its key."


class RequestRefused(CatalogueError):
    code = "catalogue.request_refused"
    message = "The request to {kind} the register {register} was not made: {reasons}."
    hint = "Settle what is named and ask again; see kerege register show."


class ReviewRefused(CatalogueError):
    code = "catalogue.review_refused"
    message = "{by} did not decide on {request}: {why}."
    hint = "Look at it with kerege register show; a decision is made once per role, by somebody who did not ask."


class RequestUnknown(CatalogueError):
    code = "catalogue.request_unknown"
    message = "There is no request {request}."
    hint = "List the registers and their requests with: kerege register show."


class ReconciliationSlow(CatalogueError):
    code = "catalogue.reconciliation_slow"
    message = "The batch was given up after {seconds} s: {done} of {asked} queries were answered."
    hint = "Send fewer queries in a batch, or name a type, which makes each one cheaper."


class ReconciliationInvalid(CatalogueError):
    code = "catalogue.reconciliation_invalid"
    message = "The request is not one of the Reconciliation API: {reason}."
    hint = "Look at the service's manifest (GET its address) and at docs/how-to/openrefine.md."


class BoardInvalid(CatalogueError):
    code = "catalogue.board_invalid"
    message = "The board: {what} was there, expected {expected}."
    hint = "See kerege board --help and docs/how-to/ninety-days.md; nothing was changed."


class ContractUnknown(CatalogueError):
    code = "catalogue.contract_unknown"
    message = "The catalogue holds no contract {contract}{version}; it has: {known}."
    hint = "List them with kerege contract list; add one with kerege contract publish FILE --by NAME."


class ContractVersionTaken(CatalogueError):
    code = "catalogue.contract_version_taken"
    message = "{contract} {version} is {state} already and says something else than {file}."
    hint = "What others may rely on is not changed under its number: give the contract a new version (kerege contract diff says which)."


class ContractPlaceTaken(CatalogueError):
    code = "catalogue.contract_place_taken"
    message = "Answers of {data_service} {path} are held against the contract {other} already."
    hint = "One place has one contract. Retire the other, or name another path or method."


class DeprecationRefused(CatalogueError):
    code = "catalogue.deprecation_refused"
    message = "{contract} {version} was not deprecated: {reason}."
    hint = "Name an end in the future that leaves consumers time: --ends 2027-06-30."


class CodeListRefused(CatalogueError):
    code = "catalogue.codelist_refused"
    message = "{list} {version}: {errors} errors; the first: {first}."
    hint = (
        "See all of them with kerege codelist check FILE, correct the file and import it again; nothing was taken over."
    )


class CodeListVersionTaken(CatalogueError):
    code = "catalogue.codelist_version_taken"
    message = "{list} {version} is in the catalogue already and says something else ({changes} differ)."
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


class ReferenceUnknown(CatalogueError):
    code = "catalogue.reference_unknown"
    message = "There is no reference dataset {ref_id}{version}."
    hint = "Look at what is published with: kerege reference list."


class ReferenceTaken(CatalogueError):
    code = "catalogue.reference_taken"
    message = "The version {version} of {ref_id} is published already, and a published version is never changed."
    hint = "Give it the next version with --version; what differs shows kerege reference publish {ref_id} --plan."


class ReferenceUnchanged(CatalogueError):
    code = "catalogue.reference_unchanged"
    message = "{ref_id} has the same content as its version {version}; nothing was published."
    hint = "Publish a new version when something of it changed."


class ReferenceNotApproved(CatalogueError):
    code = "catalogue.reference_not_approved"
    message = "The version {version} of {ref_id} is {state}, and only what was approved is published."
    hint = (
        "Put it forward with kerege reference propose {ref_id}, then have it submitted and approved by two people: "
        "kerege lifecycle act submit reference {ref_id} {version}, then approve."
    )


class ReferenceNotAsApproved(CatalogueError):
    code = "catalogue.reference_not_as_approved"
    message = (
        "{ref_id} {version}: what is to be published (digest {given}) is not what was approved (digest {approved})."
    )
    hint = "Publish what was approved, or have this approved under the next version: kerege reference propose {ref_id}."


class ReferenceDiffers(CatalogueError):
    code = "catalogue.reference_differs"
    message = "The {what} of {ref_id} is {there}, and {given} was given; publishing a version changes neither owner nor source."
    hint = "Leave it out to keep what is there, or publish under another id."


class ReferencePersonal(CatalogueError):
    code = "catalogue.reference_personal"
    message = "{ref_id}: the column {column} {why}, so it cannot stand in a reference dataset."
    hint = "Leave it out with --columns, or give its canonical field a concept that says it is not personal."


class ReferenceIncomplete(CatalogueError):
    code = "catalogue.reference_incomplete"
    message = "{ref_id} was not published: {reason}."
    hint = "Give the organisation, the unit that answers and the legal basis; a version is letters, digits, dots and hyphens."


class ManifestInvalid(CatalogueError):
    code = "catalogue.manifest_invalid"
    message = "{file}, line {line}: {reason}."
    hint = (
        "A DSA manifest is a CSV with the columns of data.gov.lt; correct the line, or write it anew with: spinta copy."
    )


class ImpactUnknown(CatalogueError):
    code = "catalogue.impact_unknown"
    message = "There is no {kind} {key} that anything rests on; near it: {known}."
    hint = "A code is written `LIST CODE`, a field or cell `MAPPING NAME`; lists are told by: kerege codelist list"


class SearchNotBuilt(CatalogueError):
    code = "catalogue.search_not_built"
    message = "There is no search index yet, and the catalogue is too large to make one while somebody waits."
    hint = "The hub's administrator makes it, once, in a minute at most: kerege search --rebuild"
