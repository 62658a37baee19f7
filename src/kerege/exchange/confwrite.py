"""The global configuration's content, written: every version of X-Road's parameters, each valid against its schema.

Implements the XML of X-Road PR-GCONF: shared parameters of versions 2 to 6, private parameters (versions 2 and 3 are written alike;
later directories carry version 3) and the optional parts. What a version cannot say is left out (`at_version` is the value that
remains, and what reading gives back). Authentication certificates are named by SHA-1 in version 2 and by SHA-256 from 3 on, so a
server that is published in both needs both hashes (`certs.auth_hashes`).
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Final
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kerege.exchange.errors import ConfigurationMalformed
from kerege.exchange.globalconf import (
    VERSIONS,
    AcmeServer,
    Anchor,
    ApprovedAuthority,
    Authority,
    PrivateParameters,
    SecurityServer,
    SharedParameters,
)
from kerege.exchange.ids import ClientId

NEWEST: Final = VERSIONS[-1]
_OPEN: Final = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<ns3:conf xmlns:ns2="http://x-road.eu/xsd/identifiers" xmlns:ns3="http://x-road.eu/xsd/xroad.xsd">'
)
_SHA1_BASE64: Final = 28  # characters of a SHA-1 digest in base64


def _b64(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _tag(name: str, content: str) -> str:
    return f"<{name}>{escape(content)}</{name}>"


def _bad(reason: str) -> ConfigurationMalformed:
    return ConfigurationMalformed(part="shared parameters", reason=reason)


def at_version(shared: SharedParameters, version: int) -> SharedParameters:
    """`shared` without what `version` has no words for. Raises ConfigurationMalformed when a server would lose its certificates."""
    if version not in VERSIONS:
        raise _bad(f"version {version} is none of {VERSIONS[0]} to {VERSIONS[-1]}")
    return replace(
        shared,
        sources=shared.sources if version >= 3 else (),
        authorities=tuple(_authority_at(authority, version) for authority in shared.authorities),
        timestamping=tuple(t if version >= 6 else replace(t, cost="UNDEFINED") for t in shared.timestamping),
        members=tuple(
            m if version >= 5 else replace(m, subsystems=tuple(replace(s, name=None) for s in m.subsystems))
            for m in shared.members
        ),
        servers=tuple(
            replace(
                server,
                auth_cert_hashes=_hashes_at(server, version),
                maintenance=server.maintenance if version >= 5 else None,
            )
            for server in shared.servers
        ),
    )


def _authority_at(authority: ApprovedAuthority, version: int) -> ApprovedAuthority:
    acme = authority.acme if version >= 3 else None
    if acme is not None and version == 3:
        acme = AcmeServer(acme.directory_url, acme.ip_address)
    if version >= 6:
        return replace(authority, acme=acme)

    def plain(one: Authority) -> Authority:
        return replace(one, responders=tuple(replace(r, cost="UNDEFINED") for r in one.responders))

    middles = tuple(plain(middle) for middle in authority.intermediates)
    return replace(authority, acme=acme, csr_format="PEM", top=plain(authority.top), intermediates=middles)


def _hashes_at(server: SecurityServer, version: int) -> frozenset[str]:
    chosen = frozenset(h for h in server.auth_cert_hashes if (len(h) == _SHA1_BASE64) == (version == 2))
    if server.auth_cert_hashes and not chosen:
        wanted = "SHA-1" if version == 2 else "SHA-256"
        raise _bad(
            f"server {server.id} has no {wanted} hash of its authentication certificate, version {version} needs it"
        )
    return chosen


def build_shared(shared: SharedParameters, version: int = NEWEST) -> bytes:
    """`shared` as XML of `version`, valid against its schema; reading it gives `at_version(shared, version)` back."""
    shared = at_version(shared, version)
    out = [_OPEN, _tag("instanceIdentifier", shared.instance)]
    for source in shared.sources:
        out.append("<source>" + _tag("address", source.address))
        out += [_tag("internalVerificationCert", _b64(c)) for c in source.internal_certs]
        out += [_tag("externalVerificationCert", _b64(c)) for c in source.external_certs]
        out.append("</source>")
    out += [_approved_xml(authority, version) for authority in shared.authorities]
    for tsa in shared.timestamping:
        out.append(
            "<approvedTSA>" + _tag("name", tsa.name) + _tag("url", tsa.url) + _tag("cert", _b64(tsa.certificate))
        )
        out.append((_tag("costType", tsa.cost) if version >= 6 else "") + "</approvedTSA>")
    refs: dict[ClientId, str] = {}
    out += _members_xml(shared, refs)
    out += [_server_xml(server, refs) for server in shared.servers]
    for group in shared.groups:
        out.append("<globalGroup>" + _tag("groupCode", group.code) + _tag("description", group.description))
        out += [client_xml("groupMember", client) for client in sorted(group.members, key=str)]
        out.append("</globalGroup>")
    out.append("<globalSettings>")
    for code, description in shared.member_classes:
        out.append("<memberClass>" + _tag("code", code) + _tag("description", description) + "</memberClass>")
    out.append(_tag("ocspFreshnessSeconds", str(shared.ocsp_freshness_seconds)) + "</globalSettings></ns3:conf>\n")
    return "".join(out).encode()


def _approved_xml(authority: ApprovedAuthority, version: int) -> str:
    out = ["<approvedCA>", _tag("name", authority.name)]
    out.append(_tag("authenticationOnly", "true" if authority.authentication_only else "false"))
    out.append(_authority_xml("topCA", authority.top, version))
    out += [_authority_xml("intermediateCA", middle, version) for middle in authority.intermediates]
    out.append(_tag("certificateProfileInfo", authority.profile))
    if version >= 6:
        out.append(_tag("defaultCsrFormat", authority.csr_format))
    if authority.acme is not None:
        acme = authority.acme
        out.append("<acmeServer>" + _tag("directoryURL", acme.directory_url))
        rest = (
            ("ipAddress", acme.ip_address),
            ("authenticationCertificateProfileId", acme.auth_profile),
            ("signingCertificateProfileId", acme.sign_profile),
        )
        out += [_tag(name, value) for name, value in rest if value is not None]
        out.append("</acmeServer>")
    return "".join(out) + "</approvedCA>"


def _authority_xml(tag: str, authority: Authority, version: int) -> str:
    out = [f"<{tag}>", _tag("cert", _b64(authority.certificate))]
    for responder in authority.responders:
        out.append("<ocsp>" + _tag("url", responder.url))
        if responder.certificate is not None:
            out.append(_tag("cert", _b64(responder.certificate)))
        out.append((_tag("costType", responder.cost) if version >= 6 else "") + "</ocsp>")
    return "".join(out) + f"</{tag}>"


def client_xml(tag: str, client: ClientId) -> str:
    """A member or subsystem identifier as X-Road's XML has it, with the prefix `ns2` for its namespace."""
    kind = "MEMBER" if client.subsystem is None else "SUBSYSTEM"
    out = [f'<{tag} ns2:objectType="{kind}">', _tag("ns2:xRoadInstance", client.instance)]
    out += [_tag("ns2:memberClass", client.member_class), _tag("ns2:memberCode", client.member_code)]
    if client.subsystem is not None:
        out.append(_tag("ns2:subsystemCode", client.subsystem))
    return "".join(out) + f"</{tag}>"


def _members_xml(shared: SharedParameters, refs: dict[ClientId, str]) -> list[str]:
    out, descriptions = [], dict(shared.member_classes)
    for member in shared.members:
        client = ClientId(member.id.instance, member.id.member_class, member.id.member_code)
        refs[client] = f"id{len(refs)}"
        out.append(f'<member id="{refs[client]}"><memberClass>' + _tag("code", member.id.member_class))
        out.append(_tag("description", descriptions.get(member.id.member_class, "")) + "</memberClass>")
        out.append(_tag("memberCode", member.id.member_code) + _tag("name", member.name))
        for subsystem in member.subsystems:
            own = replace(client, subsystem=subsystem.code)
            refs[own] = f"id{len(refs)}"
            out.append(f'<subsystem id="{refs[own]}">' + _tag("subsystemCode", subsystem.code))
            out.append((_tag("subsystemName", subsystem.name) if subsystem.name else "") + "</subsystem>")
        out.append("</member>")
    return out


def _server_xml(server: SecurityServer, refs: dict[ClientId, str]) -> str:
    def ref(client: ClientId) -> str:
        if client not in refs:
            raise _bad(f"server {server.id} names {client}, which is not among the members")
        return refs[client]

    owner = server.id.owner
    out = ["<securityServer>" + _tag("owner", ref(ClientId(owner.instance, owner.member_class, owner.member_code)))]
    out.append(_tag("serverCode", server.id.server))
    if server.address:
        out.append(_tag("address", server.address))
    out += [_tag("authCertHash", digest) for digest in sorted(server.auth_cert_hashes)]
    out += [_tag("client", ref(client)) for client in server.clients]
    if server.maintenance is not None:
        message = _tag("message", server.maintenance) if server.maintenance else ""
        out.append(f"<inMaintenanceMode>{message}</inMaintenanceMode>")
    return "".join(out) + "</securityServer>"


def build_private(private: PrivateParameters, authority: x509.Certificate | None = None) -> bytes:
    """`private` as XML. Without a management provider it is read by every node but not valid against the schema, which wants one.

    authority   stands where the management service's TLS certificate is expected, when `private` names none
    """
    out = [_OPEN, _tag("instanceIdentifier", private.instance)]
    out += [_anchor_xml(anchor) for anchor in private.anchors]
    if private.management_provider is not None:
        pinned = private.auth_cert_registration_certificate or authority
        out.append("<managementService>")
        out.append(_tag("authCertRegServiceAddress", private.auth_cert_registration_address))
        if pinned is not None:
            out.append(_tag("authCertRegServiceCert", _b64(pinned)))
        out.append(client_xml("managementRequestServiceProviderId", private.management_provider))
        out.append("</managementService>")
    out.append(_tag("timeStampingIntervalSeconds", str(private.timestamping_interval_seconds)) + "</ns3:conf>\n")
    return "".join(out).encode()


def _anchor_xml(anchor: Anchor) -> str:
    out = ["<configurationAnchor>", _tag("instanceIdentifier", anchor.instance)]
    for url in dict.fromkeys(url for url, _ in anchor.sources):
        out.append("<source>" + _tag("downloadURL", url))
        out += [_tag("verificationCert", _b64(cert)) for source, cert in anchor.sources if source == url]
        out.append("</source>")
    return "".join(out) + "</configurationAnchor>"


def build_monitoring(client: ClientId | None) -> bytes:
    """Who may ask every server for monitoring data."""
    inner = client_xml("monitoringClientId", client) if client else ""
    return f"{_OPEN}<monitoringClient>{inner}</monitoringClient></ns3:conf>\n".encode()


def build_next_update(verify: bool) -> bytes:
    """Whether the nextUpdate of OCSP answers is checked."""
    return f"{_OPEN}{_tag('verifyNextUpdate', str(verify).lower())}</ns3:conf>\n".encode()


def build_fetch_interval(seconds: int) -> bytes:
    """Seconds between two fetches of OCSP answers."""
    return f"{_OPEN}{_tag('ocspFetchInterval', str(seconds))}</ns3:conf>\n".encode()
