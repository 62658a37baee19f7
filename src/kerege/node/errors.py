"""What can be wrong with a node's own configuration, keys and translation."""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class NodeError(KeregeError):
    """Anything the node refuses on purpose that is not a matter of the protocol."""


class _Stepped(NodeError):
    """`do` in place of the hint where the hint would lead elsewhere."""

    def __init__(self, *, do: str = "", **params: object) -> None:
        self._do = do
        super().__init__(**params)

    @property
    def next_step(self) -> str:
        return self._do or super().next_step


class NodeConfigInvalid(_Stepped):
    code = "node.config_invalid"
    message = "{file}: {key}: {reason}."
    hint = "Correct {key} in {file}; docs/reference/node.md lists every key with its form and default."


class NodeKeyInvalid(_Stepped):
    code = "node.key_invalid"
    message = "The key or certificate {file} cannot be used: {reason}."
    hint = "Put a PEM key and the certificate that belongs to it where the node's configuration says."


class FolderUnusable(_Stepped):
    code = "node.folder_unusable"
    message = "{key}: {reason}."
    hint = "Make the folder for the node's user: install -d -m 700 -o USER {folder}"


class AddressInUse(_Stepped):
    code = "node.address_in_use"
    message = "The node cannot listen on {address} for {purpose}: {reason}."
    hint = "Stop what listens there, or give listen.{purpose} another address."


class AdminCallUnknown(NodeError):
    code = "node.admin_call_unknown"
    message = "{call} is none of the calls that the admin listener answers."
    hint = "It answers {there}. Messages go to listen.clients."


class TranslationMissing(NodeError):
    code = "node.translation_missing"
    message = "No mapping is agreed for {service} at {path}, so the answer cannot be given in canonical records."
    hint = "Ask without Accept: application/vnd.kerege.canonical+json, or add a contract for this path to the rules."


class TranslationFailed(NodeError):
    code = "node.translation_failed"
    message = "The answer of {service} could not be translated by {mapping}: {reason}."
    hint = "The signed original is in the message log (request id {request_id}). Compare the mapping with what the provider sends."


class ConfigurationUnreachable(_Stepped):
    code = "node.configuration_unreachable"
    message = "The global configuration could not be fetched from {url}: {reason}."
    hint = "The last good configuration stays in use until it expires. See that the central server answers at that address."


class NoConfigurationKept(NodeError):
    code = "node.no_configuration_kept"
    message = "No global configuration is kept under {state}, so nothing can be verified."
    hint = (
        "Name one: --configuration FOLDER, unpacked from what GET /verificationconf gives on the client port of any node of the"
        " network; or let the node run once with this file."
    )


class RecordMissing(NodeError):
    code = "node.record_missing"
    message = "The message log in {folder} has no record of the exchange {request_id}."
    hint = (
        "Name it by its request id (x-road-request-id in the answer's headers), not by the message id (x-road-id). Records that"
        " were archived and cleaned are in the files of log.archive.folder."
    )


class KeyNotReady(NodeError):
    code = "node.key_not_ready"
    message = "The node cannot sign for {member}: {reason}."
    hint = "Give the node a signing key for this member (keys.sign), and see that the OCSP responder answers."


class CertificateRevoked(NodeError):
    code = "node.certificate_revoked"
    message = "The server {server} cannot sign for {member}: {reason}."
    hint = "It stays revoked: order a new certificate for the member (kerege node order, or by hand) and put it where keys.sign says on {server}."


class TokenFailed(NodeError):
    code = "node.token_failed"
    message = "The key {key} on the token {token} cannot be used: {reason}."
    hint = "See that the token is plugged in and its PKCS#11 module works (pkcs11-tool --list-slots), and that the PIN is right and not locked."


class CertificateOrderFailed(NodeError):
    code = "node.certificate_order_failed"
    message = "The certificate {purpose} could not be ordered from {authority}: {reason}."
    hint = "The certificate in use stays; the order is tried again. See keys.acme in the node's configuration (docs/reference/node.md)."


class RestartNeeded(NodeError):
    code = "node.restart_needed"
    message = "{file}: {keys} changed, and is taken up only when the node starts anew. Nothing was changed."
    hint = "Restart the node at a quiet moment, or put the old values back and reload the rest."


class RegistrationUnreachable(_Stepped):
    code = "node.registration_unreachable"
    message = "The central services at {url} did not take the request: {reason}."
    hint = "See that the address is the right one, and send again: what was taken all the same is told as asked for already."


class NodeNotRunning(NodeError):
    code = "node.not_running"
    message = "This node does not answer at {listener}: {reason}."
    hint = "Start it: kerege node --config {file}. Or send straight to the central services, with --url."


class RequestNotMade(NodeError):
    code = "node.request_not_made"
    message = "The management request {what} was not made: {reason}."
    hint = "Nothing was sent. docs/reference/node.md says what each request holds, and what a node may ask for."


class TranslationUnavailable(NodeError):
    code = "node.translation_unavailable"
    message = "This node cannot translate: {reason}."
    hint = "Give the node a country pack that loads (translation.pack in its configuration), then POST /refresh on the admin port."


class ContractBreached(NodeError):
    """An answer that does not fit a contract whose mode is `refuse`. Fields and kinds are the contract's words, never values."""

    code = "node.contract_breached"
    message = "{server} refuses the answer of {service}: it breaks the contract for {path} ({breaches})."
    hint = "The data service was called; the original is kept (request id {request_id}). Tell the data's owner; GET /contracts counts per field."


class ContractUnchecked(NodeError):
    code = "node.contract_unchecked"
    message = "{server} cannot hold the answer of {service} against the contract for {path}, which refuses what is not checked: {reason}."
    hint = "The data service was called; the original is kept (request id {request_id}). Mend what the reason names on {server}."
