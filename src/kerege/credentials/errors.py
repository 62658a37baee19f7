"""What can go wrong when credentials are issued and kept, each with a next step.

Checking raises only `CredentialRefused`, and `credentials.verify` turns that into a verdict: a bad document is an answer, not an error.
"""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class CredentialsError(KeregeError):
    """Base of the room's errors, only for `except`."""


class CredentialRefused(CredentialsError):
    """A step of checking failed; `reason` is a code of `credentials.reasons`."""

    code = "credentials.refused"
    message = "The credential is refused: {reason}."
    hint = "The reasons are explained in docs/reference/credentials.md."

    def __init__(self, reason: str) -> None:
        super().__init__(reason=reason)
        self.reason = reason


class IssuerKeyInvalid(CredentialsError):
    code = "credentials.issuer_key_invalid"
    message = "The issuer key in {folder} cannot be used: {reason}."
    hint = "Restore the folder from its backup, or make a new issuer and publish a new trust list."


class IssuerExists(CredentialsError):
    code = "credentials.issuer_exists"
    message = "There is an issuer key in {folder} already."
    hint = "Load it with `load_issuer`, or choose an empty folder; a key is never overwritten."


class ClaimRefused(CredentialsError):
    code = "credentials.claim_refused"
    message = "The claim {claim} cannot be put into this credential: {reason}."
    hint = (
        "Rename or leave out the claim; registered names are set by the issuer, paper carries the least that is needed."
    )


class ValidityRefused(CredentialsError):
    code = "credentials.validity_refused"
    message = "A credential that ends at {expires} cannot be issued: {reason}."
    hint = "Choose an end after now and not past the end of the issuer's certificate, or renew the certificate first."


class PaperTooLarge(CredentialsError):
    code = "credentials.paper_too_large"
    message = "The paper credential needs {length} characters; {limit} still print well at 4 cm."
    hint = "Leave claims out; a document's details belong behind the online check."


class StatusListUnpublished(CredentialsError):
    code = "credentials.status_list_unpublished"
    message = "The status list {uri} was never published, so nothing that points to it can be checked."
    hint = "Publish it first: sign it with `to_jwt`, put it where verifiers find it, then allocate."


class StatusListFull(CredentialsError):
    code = "credentials.status_list_full"
    message = "The status list {uri} has no free index left of {size}."
    hint = "Open a new status list; the full one stays published as long as its credentials live."


class StatusListInvalid(CredentialsError):
    code = "credentials.status_list_invalid"
    message = "The status list {name} cannot be used: {reason}."
    hint = "Restore the file from its backup; nothing was changed."


class TrustListInvalid(CredentialsError):
    code = "credentials.trust_list_invalid"
    message = "The trust list {name} cannot be used: {reason}."
    hint = "Fetch the trust list again from its publisher."
