"""The server's own services about services: who is there, what they offer, what a caller may use, and the descriptions.

Implements X-Road PR-META (SOAP) and PR-MREST (REST and JSON): pure builders of the answers and strict readers of the questions. The
JSON is as servers write it, which is not quite what its schema says: snake case, nothing null. Where the answers come from and the
envelope around them is `node.local.metaservices`' affair; descriptions are made anonymous by `openapi_wsdl`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson
from lxml import etree

from kerege.exchange.access import decide
from kerege.exchange.errors import MetaserviceInvalid
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.opmon_health import service_element
from kerege.exchange.opmon_query import HEALTH, OPERATIONAL
from kerege.exchange.rules import Rules

NS: Final = "http://x-road.eu/xsd/xroad.xsd"
ID_NS: Final = "http://x-road.eu/xsd/identifiers"

LIST_METHODS: Final = "listMethods"
ALLOWED_METHODS: Final = "allowedMethods"
GET_WSDL: Final = "getWsdl"
GET_OPENAPI: Final = "getOpenAPI"
METRICS: Final = "getSecurityServerMetrics"

REST_CODES: Final = frozenset({LIST_METHODS, ALLOWED_METHODS, GET_OPENAPI})
SOAP_CODES: Final = frozenset({LIST_METHODS, ALLOWED_METHODS, GET_WSDL, OPERATIONAL, HEALTH, METRICS})
MONITORING_CODES: Final = frozenset({OPERATIONAL, HEALTH, METRICS})
_RESERVED: Final = frozenset(code.lower() for code in REST_CODES | SOAP_CODES)

WSDL_ID: Final = "wsdl"


def is_reserved(code: str) -> bool:
    """Whether a provider may not give a data service this code: calls of it would never reach the provider, or only some.

    Compared without regard to case: two codes that differ in it alone are for two readers the same.
    """
    return code.lower() in _RESERVED


def is_metaservice(service: DataServiceId, protocol: str) -> bool:
    """Whether a call of `service` by `protocol` ("REST" or "SOAP") is answered by the server itself."""
    return service.service in (REST_CODES if protocol == "REST" else SOAP_CODES)


# --- who is there ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListedClient:
    id: ClientId
    name: str
    subsystem_name: str | None = None


def clients_of(shared: SharedParameters) -> list[ListedClient]:
    """All members and subsystems of an instance, a member before its subsystems."""
    out = []
    for member in shared.members:
        of = member.id
        out.append(ListedClient(ClientId(of.instance, of.member_class, of.member_code), member.name))
        for subsystem in member.subsystems:
            who = ClientId(of.instance, of.member_class, of.member_code, subsystem.code)
            out.append(ListedClient(who, member.name, subsystem.name))
    return out


def clients_xml(clients: Iterable[ListedClient]) -> bytes:
    root = etree.Element(f"{{{NS}}}clientList", nsmap={"xroad": NS, "id": ID_NS})
    for one in clients:
        node = etree.SubElement(root, f"{{{NS}}}member")
        identifier = etree.SubElement(node, f"{{{NS}}}id")
        identifier.set(f"{{{ID_NS}}}objectType", "MEMBER" if one.id.subsystem is None else "SUBSYSTEM")
        _client_parts(identifier, one.id)
        etree.SubElement(node, f"{{{NS}}}name").text = one.name
        if one.subsystem_name:
            etree.SubElement(node, f"{{{NS}}}subsystemName").text = one.subsystem_name
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)


def _client_parts(node: etree._Element, client: ClientId) -> None:
    for name, value in (
        ("xRoadInstance", client.instance),
        ("memberClass", client.member_class),
        ("memberCode", client.member_code),
        ("subsystemCode", client.subsystem),
    ):
        if value is not None:
            etree.SubElement(node, f"{{{ID_NS}}}{name}").text = value


def clients_json(clients: Iterable[ListedClient]) -> bytes:
    members = []
    for one in clients:
        identifier = {
            "object_type": "MEMBER" if one.id.subsystem is None else "SUBSYSTEM",
            "xroad_instance": one.id.instance,
            "member_class": one.id.member_class,
            "member_code": one.id.member_code,
        }
        if one.id.subsystem is not None:
            identifier["subsystem_code"] = one.id.subsystem
        entry: dict[str, Any] = {"id": identifier, "name": one.name}
        if one.subsystem_name:
            entry["subsystem_name"] = one.subsystem_name
        members.append(entry)
    return orjson.dumps({"member": members})


# --- what is offered -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offered:
    """A data service as the lists tell it. `kind` is "rest", "openapi" or "wsdl"; `endpoints` are (method, path pattern)."""

    service: DataServiceId
    kind: str = "rest"
    endpoints: tuple[tuple[str, str], ...] = ()


def allowed(
    offered: Iterable[Offered], client: ClientId, rules: Rules, groups: frozenset[str], now: datetime
) -> list[Offered]:
    """What of `offered` the caller may use now, with the endpoints it may use: those listed that a right covers whole, and of its
    rights those that are narrower than what is listed.

    A right to a part of an endpoint's paths shows as that part, so that nobody reads more into the list than the access decision
    says; and a service with no right left is not in the list at all.
    """
    out = []
    for one in offered:
        service = one.service.unversioned  # a right is for a service code, whatever its version
        rights = [
            right
            for right in rules.rights_for(service)
            if decide(
                client,
                service,
                _some_method(right.method),
                _some_path(right.path),
                replace(rules, rights=(right,)),
                groups,
                now,
            ).allowed
        ]
        if not rights:
            continue
        if one.kind == "wsdl" or any(right.method == "*" and right.path in _EVERYTHING for right in rights):
            out.append(one)
            continue
        endpoints = [(right.method, right.path) for right in rights]
        for method, path in one.endpoints:
            if any(right.method in ("*", method) and _covers(right.path, path) for right in rights):
                endpoints.append((method, path))
        listed = [e for e in dict.fromkeys(endpoints) if e[0] != "*" or e[1] not in _EVERYTHING]
        out.append(replace(one, endpoints=tuple(sorted(listed, key=lambda e: (e[1], e[0])))))
    return out


_EVERYTHING: Final = frozenset({"/**", "**"})


def _some_method(method: str) -> str:
    return "GET" if method == "*" else method


def _some_path(pattern: str) -> str:
    """A path that `pattern` covers."""
    out, index = [], 0
    while index < len(pattern):
        if pattern[index] == "\\" and index + 1 < len(pattern):
            out.append(pattern[index + 1])
            index += 2
            continue
        if pattern[index] != "*":
            out.append(pattern[index])
        index += 1
    return "".join(out)


def _covers(right: str, listed: str) -> bool:
    """Whether every path of the listed pattern is one of the right's; said only where it is plain."""
    return right == listed or (right.endswith("/**") and "*" not in right[:-3] and listed.startswith(right[:-2]))


def methods_json(offered: Iterable[Offered]) -> bytes:
    """listMethods and allowedMethods for REST: services of kind rest and openapi."""
    services = []
    for one in offered:
        if one.kind == "wsdl":
            continue
        entry: dict[str, Any] = {
            "member_class": one.service.member_class,
            "member_code": one.service.member_code,
            "object_type": "SERVICE",
            "service_code": one.service.service,
            "service_type": "OPENAPI" if one.kind == "openapi" else "REST",
            "xroad_instance": one.service.instance,
            "endpoint_list": [{"method": method, "path": path} for method, path in one.endpoints],
        }
        if one.service.subsystem is not None:
            entry["subsystem_code"] = one.service.subsystem
        if one.service.version is not None:
            entry["service_version"] = one.service.version
        services.append(entry)
    return orjson.dumps({"service": services})


def methods_element(code: str, offered: Iterable[Offered]) -> etree._Element:
    """The body of a SOAP listMethods or allowedMethods answer: SOAP services only."""
    root = etree.Element(f"{{{NS}}}{code}Response", nsmap={"xroad": NS, "id": ID_NS})
    for one in offered:
        if one.kind == "wsdl":
            service_element(root, f"{{{NS}}}service", one.service)
    return root


# --- descriptions ----------------------------------------------------------------------------------------------------


def read_get_wsdl(body: etree._Element) -> tuple[str, str | None]:
    """The code and the version a getWsdl element asks for. Raises MetaserviceInvalid."""
    found: dict[str, str] = {}
    for child in body:
        if not isinstance(child.tag, str):
            continue
        name = etree.QName(child).localname
        if name not in ("serviceCode", "serviceVersion") or name in found or len(child):
            raise MetaserviceInvalid(
                service=GET_WSDL, reason="it holds something else than serviceCode and serviceVersion"
            )
        found[name] = (child.text or "").strip()
    if not found.get("serviceCode"):
        raise MetaserviceInvalid(service=GET_WSDL, reason="serviceCode is missing")
    return found["serviceCode"], found.get("serviceVersion") or None


def wsdl_element(code: str, version: str | None) -> etree._Element:
    """The body of a getWsdl answer; the WSDL is the attachment."""
    root = etree.Element(f"{{{NS}}}{GET_WSDL}Response", nsmap={"xroad": NS})
    etree.SubElement(root, f"{{{NS}}}serviceCode").text = code
    if version is not None:
        etree.SubElement(root, f"{{{NS}}}serviceVersion").text = version
    return root


def wsdl_headers() -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"content-type", b"text/xml; charset=UTF-8"),
        (b"content-transfer-encoding", b"binary"),
        (b"content-id", f"<{WSDL_ID}>".encode()),
    )
