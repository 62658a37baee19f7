"""X-Road fault codes: one engine error has one fault suffix; a server adds its prefix; two spellings exist on the wire.

Since 7.8 codes are lower snake case (`server.serverproxy.access_denied`), up to 7.7 CamelCase (`Server.ServerProxy.AccessDenied`).
Answers to clients follow PR-REST: JSON, or XML when the caller asked for it; between servers a fault is a SOAP 1.1 fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final
from xml.sax.saxutils import escape

import orjson
from lxml import etree

from kerege.exchange import errors as e
from kerege.exchange.safexml import parse_xml
from kerege.ground.errors import KeregeError


class Spelling(Enum):
    """Which spelling of fault codes a node speaks."""

    SNAKE = "7.8"
    CAMEL = "7.7"


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
    e.ClientUnknown.code: "unknown_member",
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
    e.TimestampInvalid.code: "timestamping_failed",
    e.TimestampingFailed.code: "timestamping_failed",
    e.BodyRefused.code: "io_error",
    e.MaintenanceMode.code: "maintenance_mode",
    e.ServiceDisabled.code: "service_disabled",
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
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as it travels: code in the spelling chosen, a sentence, and which check failed with what to do."""

    code: str
    message: str
    detail: str

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
        code = snake(str(error.params["fault_code"]))
        detail = str(error.params["detail"])
        return Fault(code if spelling is Spelling.SNAKE else camel(code), error.text, detail)
    suffix = SUFFIX_OF.get(error.code, "internal_error")
    prefix = CLIENT if error.code in _CALLERS else where
    code = f"{prefix}.{suffix}"
    return Fault(code if spelling is Spelling.SNAKE else camel(code), error.text, f"{error.code}: {error.next_step}")


def internal_fault(where: str, detail: str, spelling: Spelling = Spelling.SNAKE) -> Fault:
    """The fault for a bug: the reference in `detail` stands in the node's own log, the cause does not leave it."""
    code = f"{where}.internal_error"
    text = "The server failed while handling the message; nothing more is known here."
    return Fault(code if spelling is Spelling.SNAKE else camel(code), text, detail)


def wants_xml(accept: str) -> bool:
    """Whether the caller's Accept header asks for XML errors (PR-REST)."""
    kinds = {part.split(";")[0].strip().lower() for part in accept.split(",")}
    return any(kind in {"text/xml", "application/xml"} or kind == "text/*" for kind in kinds)


def to_json(fault: Fault) -> bytes:
    return orjson.dumps({"type": fault.code, "message": fault.message, "detail": fault.detail})


def to_xml(fault: Fault) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><error><type>{escape(fault.code)}</type>'
        f"<message>{escape(fault.message)}</message><detail>{escape(fault.detail)}</detail></error>"
    ).encode()


def to_soap(fault: Fault) -> bytes:
    """A SOAP 1.1 fault: what one server answers another with, also for REST."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault>'
        f"<faultcode>{escape(fault.code)}</faultcode><faultstring>{escape(fault.message)}</faultstring>"
        f"<detail><faultDetail>{escape(fault.detail)}</faultDetail></detail>"
        "</SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    ).encode()


def from_soap(data: bytes) -> Fault | None:
    """The fault in a SOAP envelope, or None when `data` is XML but holds no fault. Raises MessageMalformed."""
    try:
        root = parse_xml(data)
    except ValueError as problem:
        raise e.MessageMalformed(where="SOAP fault", reason=str(problem)) from None
    for node in root.iter():
        if isinstance(node.tag, str) and etree.QName(node).localname == "Fault":
            text = {
                etree.QName(c).localname: "".join(str(t) for t in c.itertext()).strip()
                for c in node
                if isinstance(c.tag, str)
            }
            return Fault(text.get("faultcode", ""), text.get("faultstring", ""), text.get("detail", ""))
    return None
