"""Management requests: what a security server asks of the central services, and the SOAP message that says so.

Implements X-Road PR-MSERV (schema request.xsd): one SOAP message whose body names the server and what is to change. `management_read`
reads such messages and the answers to them, `management_proof` makes and checks what proves them, `management_wire` puts all of it
together for sending and takes it apart; whether a request fits the register is `membership`'s.
"""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from xml.sax.saxutils import escape

from kerege.exchange.confwrite import client_xml
from kerege.exchange.errors import ManagementRequestInvalid
from kerege.exchange.ids import ClientId, MemberId, ServerId

LARGEST: Final = 256 * 1024


class Kind(StrEnum):
    """The requests there are; the value is the name of the element in the SOAP body."""

    CLIENT_REG = "clientReg"
    CLIENT_DELETION = "clientDeletion"
    AUTH_CERT_REG = "authCertReg"
    AUTH_CERT_DELETION = "authCertDeletion"
    OWNER_CHANGE = "ownerChange"
    ADDRESS_CHANGE = "addressChange"
    CLIENT_DISABLE = "clientDisable"
    CLIENT_ENABLE = "clientEnable"
    CLIENT_RENAME = "clientRename"
    MAINTENANCE_ENABLE = "maintenanceModeEnable"
    MAINTENANCE_DISABLE = "maintenanceModeDisable"


# what central services let pass without an operator when its server's owner signed it, unless they set another list
AUTO_APPROVED: Final = (
    Kind.ADDRESS_CHANGE,
    Kind.CLIENT_DISABLE,
    Kind.CLIENT_ENABLE,
    Kind.CLIENT_RENAME,
    Kind.CLIENT_DELETION,
    Kind.MAINTENANCE_ENABLE,
    Kind.MAINTENANCE_DISABLE,
)
PLAIN: Final = frozenset({Kind.CLIENT_DELETION, Kind.AUTH_CERT_DELETION})  # may come without a signature
OF_CLIENT: Final = frozenset(
    {
        Kind.CLIENT_REG,
        Kind.CLIENT_DELETION,
        Kind.OWNER_CHANGE,
        Kind.CLIENT_DISABLE,
        Kind.CLIENT_ENABLE,
        Kind.CLIENT_RENAME,
    }
)

# element -> whether it must be there, by kind; the server comes first everywhere, the order is the schema's
FIELDS: Final[dict[Kind, tuple[tuple[str, bool], ...]]] = {
    Kind.CLIENT_REG: (("client", True), ("subsystemName", False)),
    Kind.CLIENT_DELETION: (("client", True),),
    Kind.AUTH_CERT_REG: (("address", False), ("authCert", True), ("dryRun", False)),
    Kind.AUTH_CERT_DELETION: (("authCert", True),),
    Kind.OWNER_CHANGE: (("client", True),),
    Kind.ADDRESS_CHANGE: (("address", True),),
    Kind.CLIENT_DISABLE: (("client", True),),
    Kind.CLIENT_ENABLE: (("client", True),),
    Kind.CLIENT_RENAME: (("client", True), ("subsystemName", True)),
    Kind.MAINTENANCE_ENABLE: (("message", False),),
    Kind.MAINTENANCE_DISABLE: (),
}


@dataclass(frozen=True, slots=True)
class ManagementRequest:
    """What is asked: of which server, and what is to change; fields that a kind does not have are None."""

    kind: Kind
    server: ServerId
    client: ClientId | None = None
    certificate: bytes | None = None  # DER of the authentication certificate
    address: str | None = None
    name: str | None = None
    message: str | None = None
    dry_run: bool = False

    @property
    def concerned(self) -> MemberId:
        """The member whose signature the request needs: the client's, else the server's owner."""
        of_client = self.kind in OF_CLIENT and self.client is not None
        return self.client.member if of_client and self.client is not None else self.server.owner


@dataclass(frozen=True, slots=True)
class Envelope:
    """A request with the header it came under."""

    request: ManagementRequest
    sender: ClientId
    provider: ClientId
    message_id: str


def invalid(reason: str) -> ManagementRequestInvalid:
    return ManagementRequestInvalid(reason=reason)


def build(request: ManagementRequest, sender: ClientId, provider: ClientId, message_id: str = "") -> bytes:
    """The SOAP message of a request. `sender` is the server's owner as client, `provider` the management subsystem."""
    name = request.kind.value
    service = client_xml("x:service", provider)
    kind = 'ns2:objectType="SUBSYSTEM"' if provider.subsystem is not None else 'ns2:objectType="MEMBER"'
    service = service.replace(kind, 'ns2:objectType="SERVICE"', 1)
    service = service.replace("</x:service>", f"<ns2:serviceCode>{name}</ns2:serviceCode></x:service>")
    return (
        '<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:x="http://x-road.eu/xsd/xroad.xsd" xmlns:ns2="http://x-road.eu/xsd/identifiers"><s:Header>'
        f"{client_xml('x:client', sender)}{service}<x:id>{escape(message_id or str(uuid.uuid4()))}</x:id>"
        "<x:protocolVersion>4.0</x:protocolVersion></s:Header>"
        f"<s:Body><x:{name}>{_server_xml(request.server)}{_fields_xml(request)}</x:{name}></s:Body></s:Envelope>"
    ).encode()


def _server_xml(server: ServerId) -> str:
    parts = (
        ("xRoadInstance", server.instance),
        ("memberClass", server.member_class),
        ("memberCode", server.member_code),
        ("serverCode", server.server),
    )
    inner = "".join(f"<ns2:{tag}>{escape(value)}</ns2:{tag}>" for tag, value in parts)
    return f'<x:server ns2:objectType="SERVER">{inner}</x:server>'


def _fields_xml(request: ManagementRequest) -> str:
    certificate = None if request.certificate is None else base64.b64encode(request.certificate).decode()
    texts = {
        "address": request.address,
        "authCert": certificate,
        "subsystemName": request.name,
        "message": request.message,
        "dryRun": "true" if request.dry_run else None,
    }
    out = []
    for tag, needed in FIELDS[request.kind]:
        if tag == "client" and request.client is not None:
            out.append(client_xml("x:client", request.client))
        elif texts.get(tag) is not None:
            out.append(f"<x:{tag}>{escape(str(texts[tag]))}</x:{tag}>")
        elif needed:
            raise invalid(f"a {request.kind} needs <{tag}>")
    return "".join(out)
