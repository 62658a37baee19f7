"""What may go wrong in this room and can be acted on. No personal value ever enters a message."""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class ServicesError(KeregeError):
    """Every error of this room."""


class DefinitionUnreadable(ServicesError):
    code = "services.definition_unreadable"
    message = "The public service's definition {file} cannot be read as YAML: {detail}."
    hint = "Correct the file; the definition in use stays as it is until the new one loads."


class DefinitionInvalid(ServicesError):
    code = "services.definition_invalid"
    message = "The public service's definition {file} has {count} faults: {faults}."
    hint = "Correct all of them in the country pack; nothing was loaded."


class DefinitionMissing(ServicesError):
    code = "services.definition_missing"
    message = "The country pack has no public service {service} (looked for {file})."
    hint = "Check the identifier, or KEREGE_COUNTRY; definitions are in country/<code>/services."


class RequestUnknown(ServicesError):
    code = "services.request_unknown"
    message = "The definition of {service} knows no request {request} for the evidence {evidence}."
    hint = "Add it under evidence.{evidence}.requests in the definition."


class PayloadUnreadable(ServicesError):
    code = "services.payload_unreadable"
    message = "The answer of {data_service} cannot be read: {detail}."
    hint = "The application goes to a person; tell the register's technical owner, quoting the message id."


class NightlyListIncomplete(ServicesError):
    code = "services.nightly_list_incomplete"
    message = "The nightly list of {data_service} is cut short: {detail}."
    hint = "Nothing of it was used. Fetch again after the agency has published the whole file."


class CaseUnknown(ServicesError):
    code = "services.case_unknown"
    message = "There is no case {case}."
    hint = "Check the number on the receipt."


class RunAlreadyStored(ServicesError):
    code = "services.run_already_stored"
    message = "The case {case} already has a decision of this run; a decision is never overwritten."
    hint = "Store the run under another run identifier."
