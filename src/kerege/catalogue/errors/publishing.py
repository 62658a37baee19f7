"""What is refused of what leaves: contracts, reference datasets, exports, search, matching."""

from __future__ import annotations

from kerege.catalogue.errors.base import CatalogueError


class ShapesMissing(CatalogueError):
    code = "catalogue.shapes_missing"
    message = "{folder}: the file {file} of the DCAT-AP shapes is not there."
    hint = "Name the folder html/shacl of a DCAT-AP 3.0.1 release: kerege export dcat --check FOLDER."


class ExportInvalid(CatalogueError):
    code = "catalogue.export_invalid"
    message = "The export cannot be validated: {reason}."
    hint = "This is a fault of the export, not of what you asked for: report it with the command you ran."


class ReconciliationSlow(CatalogueError):
    code = "catalogue.reconciliation_slow"
    message = "The batch was given up after {seconds} s: {done} of {asked:# query} {done:was|were} answered."
    hint = "Send fewer queries in a batch, or name a type, which makes each one cheaper."


class ReconciliationInvalid(CatalogueError):
    code = "catalogue.reconciliation_invalid"
    message = "The request is not one of the Reconciliation API: {reason}."
    hint = "Look at the service's manifest (GET its address) and at docs/how-to/openrefine.md."


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


class SearchNotBuilt(CatalogueError):
    code = "catalogue.search_not_built"
    message = "There is no search index yet, and the catalogue is too large to make one while somebody waits."
    hint = "The hub's administrator makes it, once, in a minute at most: kerege search --rebuild"
