"""The global configuration's content, written: shared and private parameters as X-Road's version 6 XML, valid against its schema."""

from __future__ import annotations

import base64
from typing import Final
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kerege.exchange.errors import ConfigurationMalformed
from kerege.exchange.globalconf import Authority, PrivateParameters, SecurityServer, SharedParameters
from kerege.exchange.ids import ClientId

_OPEN: Final = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<ns3:conf xmlns:ns2="http://x-road.eu/xsd/identifiers" xmlns:ns3="http://x-road.eu/xsd/xroad.xsd">'
)


def _b64(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _tag(name: str, content: str) -> str:
    return f"<{name}>{escape(content)}</{name}>"


def _authority_xml(tag: str, authority: Authority) -> str:
    out = [f"<{tag}>", _tag("cert", _b64(authority.certificate))]
    for responder in authority.responders:
        out.append("<ocsp>" + _tag("url", responder.url))
        if responder.certificate is not None:
            out.append(_tag("cert", _b64(responder.certificate)))
        out.append("<costType>FREE</costType></ocsp>")
    out.append(f"</{tag}>")
    return "".join(out)


def _client_xml(tag: str, client: ClientId) -> str:
    kind = "MEMBER" if client.subsystem is None else "SUBSYSTEM"
    out = [f'<{tag} ns2:objectType="{kind}">', _tag("ns2:xRoadInstance", client.instance)]
    out += [_tag("ns2:memberClass", client.member_class), _tag("ns2:memberCode", client.member_code)]
    if client.subsystem is not None:
        out.append(_tag("ns2:subsystemCode", client.subsystem))
    return "".join(out) + f"</{tag}>"


def build_shared(shared: SharedParameters) -> bytes:
    """`shared` as version 6 XML, valid against the schema; reading it gives an equal value back."""
    out = [_OPEN, _tag("instanceIdentifier", shared.instance)]
    for source in shared.sources:
        out.append("<source>" + _tag("address", source.address))
        out += [_tag("internalVerificationCert", _b64(c)) for c in source.internal_certs]
        out += [_tag("externalVerificationCert", _b64(c)) for c in source.external_certs]
        out.append("</source>")
    for ca in shared.authorities:
        out.append("<approvedCA>" + _tag("name", ca.name))
        out.append(_tag("authenticationOnly", "true" if ca.authentication_only else "false"))
        out.append(_authority_xml("topCA", ca.top))
        out += [_authority_xml("intermediateCA", middle) for middle in ca.intermediates]
        out.append(_tag("certificateProfileInfo", ca.profile))
        out.append("<defaultCsrFormat>PEM</defaultCsrFormat></approvedCA>")
    for tsa in shared.timestamping:
        out.append("<approvedTSA>" + _tag("name", tsa.name) + _tag("url", tsa.url))
        out.append(_tag("cert", _b64(tsa.certificate)) + "<costType>FREE</costType></approvedTSA>")
    refs: dict[ClientId, str] = {}
    descriptions = dict(shared.member_classes)
    for member in shared.members:
        refs[ClientId.parse(str(member.id))] = f"id{len(refs)}"
        out.append(f'<member id="id{len(refs) - 1}"><memberClass>' + _tag("code", member.id.member_class))
        out.append(_tag("description", descriptions.get(member.id.member_class, "")) + "</memberClass>")
        out.append(_tag("memberCode", member.id.member_code) + _tag("name", member.name))
        for subsystem in member.subsystems:
            refs[ClientId.parse(f"{member.id}/{subsystem.code}")] = f"id{len(refs)}"
            out.append(f'<subsystem id="id{len(refs) - 1}">' + _tag("subsystemCode", subsystem.code))
            out.append(_tag("subsystemName", subsystem.name or subsystem.code) + "</subsystem>")
        out.append("</member>")
    out += [_server_xml(server, refs) for server in shared.servers]
    for group in shared.groups:
        out.append("<globalGroup>" + _tag("groupCode", group.code) + _tag("description", group.description))
        out += [_client_xml("groupMember", client) for client in sorted(group.members, key=str)]
        out.append("</globalGroup>")
    out.append("<globalSettings>")
    for code, description in shared.member_classes:
        out.append("<memberClass>" + _tag("code", code) + _tag("description", description) + "</memberClass>")
    out.append(_tag("ocspFreshnessSeconds", str(shared.ocsp_freshness_seconds)) + "</globalSettings></ns3:conf>\n")
    return "".join(out).encode()


def _server_xml(server: SecurityServer, refs: dict[ClientId, str]) -> str:
    def ref(client: ClientId) -> str:
        if client not in refs:
            raise ConfigurationMalformed(
                part="shared parameters", reason=f"server {server.id} names {client}, which is not among the members"
            )
        return refs[client]

    out = ["<securityServer>" + _tag("owner", ref(ClientId.parse(str(server.id.owner))))]
    out.append(_tag("serverCode", server.id.server))
    if server.address:
        out.append(_tag("address", server.address))
    out += [_tag("authCertHash", digest) for digest in sorted(server.auth_cert_hashes)]
    out += [_tag("client", ref(client)) for client in server.clients]
    if server.maintenance is not None:
        out.append("<inMaintenanceMode>" + _tag("message", server.maintenance) + "</inMaintenanceMode>")
    return "".join(out) + "</securityServer>"


def build_private(private: PrivateParameters, authority: x509.Certificate) -> bytes:
    """`private` as XML. `authority` stands where X-Road expects the management service's TLS certificate."""
    out = [_OPEN, _tag("instanceIdentifier", private.instance)]
    if private.management_provider is not None:
        out.append("<managementService>")
        out.append(_tag("authCertRegServiceAddress", private.auth_cert_registration_address))
        out.append(_tag("authCertRegServiceCert", _b64(authority)))
        out.append(_client_xml("managementRequestServiceProviderId", private.management_provider.client))
        out.append("</managementService>")
    out.append(_tag("timeStampingIntervalSeconds", str(private.timestamping_interval_seconds)) + "</ns3:conf>\n")
    return "".join(out).encode()
