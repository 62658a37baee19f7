"""X-Road fault codes: one engine error has one fault suffix; a server adds its prefix; two spellings exist on the wire.

Since 7.8 codes are lower snake case (`server.serverproxy.access_denied`), up to 7.7 CamelCase (`Server.ServerProxy.AccessDenied`).
Answers to clients follow PR-REST: JSON, or XML when the caller asked for it; between servers a fault is a SOAP 1.1 fault.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from xml.sax.saxutils import escape

import orjson
from lxml import etree

from kerege.exchange import errors as e
from kerege.exchange import soap_errors
from kerege.exchange.safexml import parse_xml
from kerege.ground.errors import KeregeError


class Spelling(Enum):
    """Which spelling of fault codes a node speaks."""

    SNAKE = "7.8"
    CAMEL = "7.7"


_ENVELOPE_NS: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_DETAIL_NS: Final = "urn:kerege:fault"
_LONGEST_SAID: Final = 8192

CLIENT: Final = "client"
CLIENT_PROXY: Final = "server.clientproxy"
SERVER_PROXY: Final = "server.serverproxy"

SUFFIX_OF: Final[dict[str, str]] = {
    e.IdentifierInvalid.code: "bad_request",
    e.TargetInvalid.code: "bad_request",
    e.PathRefused.code: "bad_request",
    e.HeaderMissing.code: "missing_header",
    e.HeaderInvalid.code: "bad_request",
    e.MessageMalformed.code: "invalid_message",
    e.MessageTooLarge.code: "invalid_request",
    e.HashChainInvalid.code: "invalid_hash_chain_ref",
    e.HashChainMalformed.code: "malformed_hash_chain",
    e.SignatureMalformed.code: "malformed_signature",
    e.SignatureInvalid.code: "signature_verification",
    e.SignerWrong.code: "incorrect_certificate",
    e.CertificateInvalid.code: "cert_validation",
    e.RevocationUnknown.code: "cert_validation",
    e.ConfigurationMalformed.code: "malformed_global_conf",
    e.ConfigurationForged.code: "malformed_global_conf",
    e.ConfigurationOlder.code: "malformed_global_conf",
    e.ConfigurationExpired.code: "global_conf_outdated",
    e.ConfigurationMissing.code: "global_conf_outdated",
    e.PartnerUnavailable.code: "global_conf_outdated",
    e.ManagementRequestInvalid.code: "invalid_request",
    e.ManagementRefused.code: "service_failed",
    e.ClientUnknown.code: "unknown_member",
    e.ClientDisabled.code: "unknown_member",
    e.ServiceUnknown.code: "unknown_service",
    e.MemberUnknown.code: "unknown_member",
    e.AccessDenied.code: "access_denied",
    e.PermitClosed.code: "access_denied",
    e.ResponseInconsistent.code: "inconsistent_response",
    e.PeerUnreachable.code: "network_error",
    e.PeerUntrusted.code: "ssl_authentication_failed",
    e.ProviderFailed.code: "service_failed",
    e.LogFailed.code: "logging_failed",
    e.MetaserviceInvalid.code: "invalid_request",
    e.DescriptionUnavailable.code: "service_failed",
    e.LogFull.code: "logging_failed",
    e.LogKeyWrong.code: "logging_failed",
    e.ArchiveFailed.code: "logging_failed",
    e.RecipientUnusable.code: "logging_failed",
    e.TimestampInvalid.code: "timestamping_failed",
    e.TimestampingFailed.code: "timestamping_failed",
    e.BodyRefused.code: "io_error",
    e.MaintenanceMode.code: "maintenance_mode",
    e.ServiceDisabled.code: "service_disabled",
    e.LinkMalformed.code: "invalid_message",
    e.ClientConnectionRefused.code: "ssl_authentication_failed",
    "node.token_failed": "hsm_non_operational",
    "node.key_not_ready": "token_not_active",
}

# errors that are the caller's fault: they carry the `client` prefix and HTTP 400
_CALLERS: Final = frozenset(
    {
        e.IdentifierInvalid.code,
        e.TargetInvalid.code,
        e.PathRefused.code,
        e.HeaderMissing.code,
        e.HeaderInvalid.code,
        e.MetaserviceInvalid.code,
        e.ClientConnectionRefused.code,
    }
)

SUFFIX_OF.update(
    {
        soap_errors.SoapInvalid.code: "invalid_soap",
        soap_errors.SoapMissing.code: "missing_soap",
        soap_errors.SoapIdentifierInvalid.code: "invalid_xml",
        soap_errors.SoapHeaderAbsent.code: "missing_header",
        soap_errors.SoapFieldMissing.code: "missing_header_field",
        soap_errors.SoapFieldDuplicate.code: "duplicate_header_field",
        soap_errors.SoapFieldInvalid.code: "bad_request",
        soap_errors.SoapVersionUnknown.code: "invalid_protocol_version",
        soap_errors.SoapBodyMissing.code: "missing_body",
        soap_errors.SoapBodyInvalid.code: "invalid_body",
        soap_errors.SoapHeadersInconsistent.code: "inconsistent_headers",
        soap_errors.SoapActionInvalid.code: "invalid_soap_action",
        soap_errors.ContentTypeInvalid.code: "invalid_content_type",
        soap_errors.MimeMalformed.code: "mime_parsing_failed",
        soap_errors.HttpMethodInvalid.code: "invalid_http_method",
    }
)
# the same, when the caller is an information system and not another server
_CALLERS_AT_THE_CLIENT_PROXY: Final = frozenset(
    code
    for code in SUFFIX_OF
    if code.removeprefix("exchange.").startswith(("soap_", "content_type_", "mime_", "http_method_"))
)

SUFFIX_OF[soap_errors.ServiceAnswerInvalid.code] = "service_failed"
SUFFIX_OF[e.ServiceKindWrong.code] = "service_type"
SUFFIX_OF[e.ServerUnknown.code] = "invalid_security_server"
SUFFIX_OF["node.contract_breached"] = "service_failed"
SUFFIX_OF["node.contract_unchecked"] = "service_failed"
SUFFIX_OF["node.key_not_ready"] = (
    "cannot_create_signature"  # an error of the process around, known here by its code only
)

SUFFIX_OF["node.certificate_revoked"] = "cannot_create_signature"

SUFFIX_OF.update(  # management requests, as X-Road's central server names what is wrong with them
    {
        "membership.request_unfit": "invalid_request",
        "membership.registered_already": "management_request_already_registered",
        "membership.already_so": "management_request_already_so",
        "membership.request_waits": "management_request_exists",
        "membership.server_unregistered": "management_request_server_not_found",
    }
)

# what one check among several of the same error is called
_FINER: Final[dict[tuple[str, str, str], str]] = {
    (e.SignatureInvalid.code, "check", "signature value"): "invalid_signature_value",
    (e.SignatureInvalid.code, "check", "message digest"): "invalid_signature_value",
    (e.SignatureInvalid.code, "check", "reference"): "invalid_reference",
    (e.HashChainInvalid.code, "check", "digest"): "invalid_hash_chain",
    (e.HashChainInvalid.code, "check", "result"): "invalid_hash_chain",
    (e.HashChainInvalid.code, "check", "unused inputs"): "hashchain_unused_inputs",
    (e.MessageMalformed.code, "where", "signature"): "missing_signature",
    (e.HeaderInvalid.code, "header", "X-Road-Client"): "invalid_client_identifier",
    (e.HeaderInvalid.code, "header", "X-Road-Security-Server"): "invalid_security_server",
    (soap_errors.SoapIdentifierInvalid.code, "field", "client"): "invalid_client_identifier",
    (soap_errors.SoapIdentifierInvalid.code, "field", "securityServer"): "invalid_security_server",
}
_SPELT: Final = frozenset({"client", "server", "signer"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as it travels: code in the spelling chosen, a sentence, and which check failed with what to do."""

    code: str
    message: str
    detail: str
    actor: str = ""
    reference: str = field(
        default="", compare=False
    )  # a uuid: stands in the answer and in the log of the server that made it

    @property
    def http_status(self) -> int:
        return 500 if self.code.lower().startswith("server.") else 400


def camel(code: str) -> str:
    """`server.serverproxy.access_denied` as X-Road up to 7.7 wrote it."""
    special = {"clientproxy": "ClientProxy", "serverproxy": "ServerProxy"}
    return ".".join(special.get(p, "".join(w.capitalize() for w in p.split("_"))) for p in code.split("."))


def snake(code: str) -> str:
    """A code in either spelling, as 7.8 writes it."""
    special = {"ClientProxy": "clientproxy", "ServerProxy": "serverproxy"}
    parts = code.split(".")
    return ".".join(special.get(p, re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", p).lower()) for p in parts)


def fault_of(error: KeregeError, where: str, spelling: Spelling = Spelling.SNAKE) -> Fault:
    """The fault to answer with for `error` raised at `where` (CLIENT_PROXY or SERVER_PROXY)."""
    if isinstance(error, e.PeerFault):
        code, text, detail = (str(error.params[name]) for name in ("fault_code", "fault_string", "detail"))
        actor = str(error.params.get("actor", ""))
        return Fault(_respelt(code, spelling), text, detail, actor, str(error.params.get("reference", "")))
    prefix = CLIENT if _is_callers(error.code, where) else where
    code = f"{prefix}.{suffix_of(error)}"
    if spelling is Spelling.CAMEL:
        code = camel(code)
    return Fault(code, error.text, f"{error.code}: {error.next_step}", reference=str(uuid.uuid4()))


def suffix_of(error: KeregeError) -> str:
    """X-Road's name for what is wrong, in the spelling of 7.8, without the prefix that says where."""
    suffix = SUFFIX_OF.get(error.code, "internal_error")
    for name, value in error.params.items():
        if isinstance(value, str):
            suffix = _FINER.get((error.code, name, value), suffix)
    cause = error.params.get("cause")
    return f"{suffix}.{cause}" if suffix == "service_failed" and cause else suffix


def _is_callers(code: str, where: str) -> bool:
    return code in _CALLERS or (where == CLIENT_PROXY and code in _CALLERS_AT_THE_CLIENT_PROXY)


def _respelt(code: str, spelling: Spelling) -> str:
    """A server's code in our spelling; one that an agency's system made up (`soap:Server`) as it is."""
    if code.partition(".")[0].lower() not in _SPELT:
        return code
    return snake(code) if spelling is Spelling.SNAKE else camel(snake(code))


def internal_fault(where: str, detail: str, spelling: Spelling = Spelling.SNAKE) -> Fault:
    """The fault for a bug: the reference in `detail` stands in the node's own log, the cause does not leave it."""
    code = f"{where}.internal_error"
    text = "The server failed while handling the message; nothing more is known here."
    return Fault(code if spelling is Spelling.SNAKE else camel(code), text, detail, reference=detail)


def wants_xml(accept: str) -> bool:
    """Whether the caller's Accept header asks for XML errors (PR-REST)."""
    kinds = {part.split(";")[0].strip().lower() for part in accept.split(",")}
    return any(kind in {"text/xml", "application/xml"} or kind == "text/*" for kind in kinds)


def to_json(fault: Fault) -> bytes:
    """As PR-REST has it; `reference`, where there is one, is the uuid to look for in the log of the server that refused."""
    said = {"type": fault.code, "message": fault.message, "detail": fault.detail}
    return orjson.dumps({**said, "reference": fault.reference} if fault.reference else said)


def to_xml(fault: Fault) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><error><type>{_text(fault.code)}</type>'
        f"<message>{_text(fault.message)}</message><detail>{_text(fault.detail)}</detail></error>"
    ).encode()


def to_soap(fault: Fault) -> bytes:
    """A SOAP 1.1 fault: what a SOAP client is answered with, and one server another with, also for REST.

    `faultDetail` is the uuid to look for in this server's log, as X-Road has it; which check failed and what to do stand beside it.
    """
    actor = f"<faultactor>{_text(fault.actor)}</faultactor>" if fault.actor else ""
    beside = f'<next xmlns="{_DETAIL_NS}">{_text(fault.detail)}</next>' if fault.reference != fault.detail else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<SOAP-ENV:Envelope xmlns:SOAP-ENV="{_ENVELOPE_NS}"><SOAP-ENV:Body><SOAP-ENV:Fault>'
        f"<faultcode>{_text(fault.code)}</faultcode><faultstring>{_text(fault.message)}</faultstring>{actor}"
        f"<detail><faultDetail>{_text(fault.reference or fault.detail)}</faultDetail>{beside if fault.reference else ''}</detail>"
        "</SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    ).encode()


def from_soap(data: bytes) -> Fault | None:
    """The fault in a SOAP envelope, or None when `data` is XML but holds no fault. Raises MessageMalformed."""
    try:
        root = parse_xml(data)
    except ValueError as problem:
        raise e.MessageMalformed(where="SOAP fault", reason=str(problem)) from None
    for node in root.iter(f"{{{_ENVELOPE_NS}}}Fault"):
        return fault_in(node)
    return None


def fault_in(node: etree._Element) -> Fault:
    """What a SOAP 1.1 Fault element says; names are compared without their namespace, as agencies' systems write both."""
    found = {etree.QName(c).localname: c for c in node if isinstance(c.tag, str)}
    detail = found.get("detail")
    reference = beside = None
    if detail is not None:
        reference = next(detail.iter("{*}faultDetail"), None)
        beside = detail.find(f"{{{_DETAIL_NS}}}next")
    told = beside if beside is not None else reference if reference is not None else detail
    return Fault(
        _said(found.get("faultcode")),
        _said(found.get("faultstring")),
        _said(told),
        _said(found.get("faultactor")),
        _said(reference) if beside is not None else "",
    )


def _said(node: etree._Element | None) -> str:
    return "" if node is None else str(node.xpath("string()")).strip()[:_LONGEST_SAID]


_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _text(text: str) -> str:
    """`text` as character data of XML 1.0; what XML cannot hold becomes a question mark."""
    return escape(_NOT_XML.sub("?", text))
