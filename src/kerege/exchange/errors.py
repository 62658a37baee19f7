"""What can be wrong with a message, a signature, a configuration or a call. Fault codes are added in `faults`, at the edge.

What only a SOAP message can have wrong with it is in `soap_errors`.
"""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class ExchangeError(KeregeError):
    """Anything the exchange engine refuses on purpose."""


class Stepped(ExchangeError):
    """`do` in place of the hint where that would lead elsewhere."""

    def __init__(self, *, do: str = "", **params: object) -> None:
        self._do = do
        super().__init__(**params)

    @property
    def next_step(self) -> str:
        return self._do or super().next_step


class IdentifierInvalid(ExchangeError):
    code = "exchange.identifier_invalid"
    message = "The {what} cannot be used: {reason}."
    hint = "Write it as instance/class/member[/subsystem[/service]], each part percent-encoded on its own."


class TargetInvalid(ExchangeError):
    code = "exchange.target_invalid"
    message = "The request target is not a data service call: {reason}."
    hint = "Call /r1/{{instance}}/{{class}}/{{member}}/{{subsystem}}/{{service}}[/path][?query]."


class PathRefused(ExchangeError):
    code = "exchange.path_refused"
    message = "The path after the service code is refused: {reason}."
    hint = "Send the path normalised: no dot segments, no empty segments, no encoded slashes or backslashes."


class HeaderMissing(ExchangeError):
    code = "exchange.header_missing"
    message = "The header {header} is required and did not come."
    hint = "Add {header}: instance/class/member[/subsystem]."


class HeaderInvalid(ExchangeError):
    code = "exchange.header_invalid"
    message = "The header {header} cannot be used: {reason}."
    hint = "Correct or remove the header {header}."


class MessageMalformed(ExchangeError):
    code = "exchange.message_malformed"
    message = "The message between servers is malformed at {where}: {reason}."
    hint = (
        "Nothing was carried out. Look at the sending server's version and at anything that rewrites bodies on the way."
    )


class MessageTooLarge(ExchangeError):
    code = "exchange.message_too_large"
    message = "The {what} is larger than the limit of {limit} bytes."
    hint = "Ask for less at a time, or raise limits.body_megabytes at both nodes."


class HashChainInvalid(ExchangeError):
    code = "exchange.hash_chain_invalid"
    message = "The hash chain does not hold ({check}): {reason}."
    hint = (
        "The message or its signature was changed after signing. Ask the sender to send again; keep both log records."
    )


class HashChainMalformed(ExchangeError):
    code = "exchange.hash_chain_malformed"
    message = "The hash chain cannot be read: {reason}."
    hint = "Look at the sending server's version; nothing was carried out."


class SignatureMalformed(ExchangeError):
    code = "exchange.signature_malformed"
    message = "The signature cannot be read: {reason}."
    hint = "Look at the sending server's version; nothing was carried out."


class SignatureInvalid(ExchangeError):
    code = "exchange.signature_invalid"
    message = "The signature does not hold ({check}): {reason}."
    hint = "The message is refused. Compare both servers' log records for this request id."


class SignerWrong(ExchangeError):
    code = "exchange.signer_wrong"
    message = "The message names {expected} as sender, its signing certificate belongs to {found}."
    hint = "The sending server must sign with a certificate of the member it speaks for."


class CertificateInvalid(ExchangeError):
    code = "exchange.certificate_invalid"
    message = "The {role} certificate {subject} is not accepted: {reason}."
    hint = "Renew or register the certificate; compare with approved authorities in the global configuration."


REVOKED = "the certificate is revoked"  # how the reason begins when a responder says so, since when after it


class RevocationUnknown(ExchangeError):
    code = "exchange.revocation_unknown"
    message = "The revocation answer for {subject} is not accepted: {reason}."
    hint = "See that the server reaches its authority's OCSP responder and that both clocks are right."

    @property
    def next_step(self) -> str:
        if not str(self.params["reason"]).startswith(REVOKED):
            return super().next_step
        return "A revoked certificate stays so: its holder orders a new one, has it registered and puts it in place."


class ConfigurationMalformed(ExchangeError):
    code = "exchange.configuration_malformed"
    message = "The global configuration cannot be read ({part}): {reason}."
    hint = "The last good configuration stays in use. Publish a correct one at the central server."


class ConfigurationForged(ExchangeError):
    code = "exchange.configuration_forged"
    message = "The global configuration from {source} is refused: {reason}."
    hint = (
        "The last good configuration stays in use. Compare the anchor's verification certificate with the publisher's."
    )


class ConfigurationOlder(ExchangeError):
    code = "exchange.configuration_older"
    message = "The global configuration from {source} is older ({found}) than the one in use ({current})."
    hint = "The newer one stays in use. Someone may be replaying old configuration; look at the publisher."


class ConfigurationExpired(ExchangeError):
    code = "exchange.configuration_expired"
    message = (
        "The global configuration of {instance} expired at {expired}; it is now {now}. {problem}."
        " No message is exchanged on a stale map."
    )
    hint = (
        "See that the node reaches its configuration source; kerege node check --online asks it and says what is wrong."
    )

    def __init__(self, *, served: bool = False, **params: object) -> None:
        self.served = served  # the source itself answered with it
        super().__init__(**params)

    @property
    def next_step(self) -> str:
        if not self.served:
            return super().next_step
        return "The source answers: its operator publishes anew (kerege network publish) and sees why its hub does not do so by itself (/health)."


class ConfigurationMissing(ExchangeError):
    code = "exchange.configuration_missing"
    message = "The node has no valid global configuration yet (source: {source}; last problem: {problem})."
    hint = "See that the anchor's download address answers; POST /refresh on the admin port tries again now."


class ClientUnknown(ExchangeError):
    code = "exchange.client_unknown"
    message = "{client} is not a client of this node, or not registered in the global configuration."
    hint = (
        "Register the subsystem at this node (clients: in its configuration) and at the central server."
        " A node that runs reads its file anew on SIGHUP (kill -HUP): until then a client just added is none."
    )


class ClientDisabled(ExchangeError):
    """A configuration does not tell these two apart: a client that is disabled is only left out of its server's clients."""

    code = "exchange.client_disabled"
    message = (
        "{client} takes no part at {server}: it is disabled at the central services, or not registered at that server."
    )
    hint = (
        "Disabled: kerege node request clientEnable --client {client}, at {server}. Not registered at it yet:"
        " kerege node register, and the central services approve."
    )


class ServiceUnknown(Stepped):
    code = "exchange.service_unknown"
    message = "No data service {service}: {reason}."
    hint = "Look the service up in the catalogue; the provider adds it under services: in its node's configuration."


class MemberUnknown(ExchangeError):
    code = "exchange.member_unknown"
    message = "No server is registered for {subsystem}."
    hint = "Check the identifier; the provider registers its subsystem at the central server."


class AccessDenied(Stepped):
    code = "exchange.access_denied"
    message = "{client} may not call {service} ({reason}); the server {server} refused it."
    hint = (
        "The data service's owner grants a right: under services.{service}.rights in the file of the node {server},"
        " or in the signed configuration with kerege network grant {client} {service} --until DAY --by NAME."
    )

    def __init__(self, *, server: object = "that was asked", do: str = "", **params: object) -> None:
        super().__init__(do=do, server=server, **params)


class PermitClosed(ExchangeError):
    code = "exchange.permit_closed"
    message = "Traffic of {client} for the public service {public_service} is closed ({reason})."
    hint = "The stage gate of {public_service} must pass and both owners sign; see the gate's page of the hub."


class ResponseInconsistent(ExchangeError):
    code = "exchange.response_inconsistent"
    message = "The response does not answer the request that was sent: {field} differs."
    hint = "The response is refused. Compare both servers' log records for this request id."


class PeerUnreachable(Stepped):
    code = "exchange.peer_unreachable"
    message = "The server {server} at {address} could not be reached: {reason}."
    hint = "See that it runs and that its address and port are right in the global configuration."


class PeerFault(ExchangeError):
    """The other server answered with a fault of its own; `fault_code` and `detail` are carried on unchanged."""

    code = "exchange.peer_fault"
    message = "{fault_string}"
    hint = "{detail}"


class PeerUntrusted(Stepped):
    code = "exchange.peer_untrusted"
    message = "The connection with {peer} is refused: {reason}."
    hint = "The server's authentication certificate must be registered for it in the global configuration."


class ProviderFailed(ExchangeError):
    code = "exchange.provider_failed"
    message = "The agency's system behind {service} {reason}; the server {server} asked it."
    hint = (
        "The request was not retried. The provider looks at its system and at url and timeout_seconds of the service."
    )


class LogFailed(ExchangeError):
    code = "exchange.log_failed"
    message = "The message could not be logged durably: {reason}. It was not passed on."
    hint = "Free space or mend the disk under the message log folder; the node refuses traffic until it can write."


class LogDamaged(ExchangeError):
    code = "exchange.log_damaged"
    message = "The message log {file} is damaged at byte {offset}: {reason}."
    hint = (
        "Records before that byte are whole. Copy the folder as it is; then put the file back from a copy, or start the node"
        " with an empty log folder and keep this one as evidence."
    )


class LogBusy(ExchangeError):
    code = "exchange.log_busy"
    message = "The message log folder {folder} is in use by another process."
    hint = "Stop the other node, or give this one a folder of its own."


class BodyRefused(ExchangeError):
    """A big body could not be written to, or read from, the folder for bodies."""

    code = "exchange.body_refused"
    message = "The body cannot be held on disk: {reason}."
    hint = "Nothing was carried out. Free space under limits.spool of the node, or mend that folder, and send again."


class LogFull(ExchangeError):
    code = "exchange.log_full"
    message = (
        "New messages are refused: {free} megabytes are free under the message log, at least {least} must stay free."
    )
    hint = "Free space under log.folder (archives moved away, log.retention_days lower); traffic resumes by itself."


class LogKeyWrong(ExchangeError):
    code = "exchange.log_key_wrong"
    message = "The key of the message log does not fit {file}: {reason}."
    hint = "Give the key the segment was written with (log.key_file or log.key_env); its key identifier is {key}."


class TimestampInvalid(ExchangeError):
    code = "exchange.timestamp_invalid"
    message = "The time-stamp does not hold ({check}): {reason}."
    hint = "Compare the stamping authority's certificate with the approved ones in the global configuration."


class TimestampingFailed(ExchangeError):
    code = "exchange.timestamping_failed"
    message = (
        "New messages are refused: a record has waited {waited} seconds for a time-stamp, {acceptable} are acceptable"
        " (last problem: {problem})."
    )
    hint = "See that the node reaches an approved time-stamping authority; traffic resumes with the next stamp."


class ArchiveFailed(ExchangeError):
    code = "exchange.archive_failed"
    message = "Message log records could not be archived: {reason}."
    hint = "Nothing is lost: the records stay in the log and the archiver tries again. Look at log.archive.folder."


class RecipientUnusable(ExchangeError):
    code = "exchange.recipient_unusable"
    message = "Archives cannot be encrypted for the OpenPGP key in {file}: {reason}."
    hint = "Put a current public key of the recipient there (gpg --armor --export KEY); until then records stay in the log."


class MaintenanceMode(ExchangeError):
    code = "exchange.maintenance_mode"
    message = "The server {server} is in maintenance: {notice}."
    hint = "Try again later; where the provider has other servers, they are asked by themselves."


class ServiceDisabled(ExchangeError):
    code = "exchange.service_disabled"
    message = "The data service {service} is switched off by its owner: {notice}."
    hint = "The owner of the data service switches it on again (enabled: in its node's configuration)."


class MetaserviceInvalid(ExchangeError):
    """A question to a service of the server itself that cannot be answered as it is put."""

    code = "exchange.metaservice_invalid"
    message = "The call of {service} cannot be answered: {reason}."
    hint = "Correct the request; docs/reference/exchange.md lists the server's own services with their parameters."


class DescriptionUnavailable(ExchangeError):
    code = "exchange.description_unavailable"
    message = "The description of {service} cannot be given: {reason}."
    hint = (
        "The provider looks at services.{service}.description in its node's configuration, and at what answers there."
    )


class PartnerUnavailable(ExchangeError):
    code = "exchange.partner_unavailable"
    message = "No messages are exchanged with the partner instance {instance}: {problem}."
    hint = "Traffic within the own instance goes on. See that the node reaches the partner's source; POST /refresh on the admin port tries now."


class LinkMalformed(ExchangeError):
    code = "exchange.link_malformed"
    message = "What came over the Kerege link cannot be read at {where}: {reason}."
    hint = "The link is closed and messages go over X-Road's wire. Look at the other node's version."


class ClientConnectionRefused(ExchangeError):
    code = "exchange.client_connection_refused"
    message = "{client} may not call over this connection: {reason}."
    hint = (
        "Call the node's HTTPS address (listen.clients_tls) with the certificate the node's configuration lists for this"
        " client (clients[].certificates)."
    )


class ManagementRequestInvalid(ExchangeError):
    code = "exchange.management_request_invalid"
    message = "The management request is refused: {reason}."
    hint = "Nothing was registered. The section on management requests in docs/reference/exchange.md says what each holds and who signs it."


class ManagementRefused(ExchangeError):
    code = "exchange.management_refused"
    message = "The central services refused the management request ({fault_code}): {reason}."
    hint = "Mend what they name and send the request again; the operator of the central services can say more."


class ServiceKindWrong(ExchangeError):
    code = "exchange.service_kind_wrong"
    message = "The data service {service} is of the kind {kind} and cannot be called by {asked}."
    hint = "Call it in its own protocol; the provider says kind: rest, openapi or wsdl of each service in its node's configuration."


class ServerUnknown(ExchangeError):
    code = "exchange.server_unknown"
    message = "The security server {server} is not one of those registered for {provider}."
    hint = "Leave the security server out, or name one that the provider is registered at (X-Road-Security-Server, securityServer)."
