"""The global configuration's content: shared and private parameters, read from versions 2 to 6, written as version 6.

Implements the XML of X-Road PR-GCONF (schemas v2 to v6). What is read becomes one value, `SharedParameters`, which answers the
node's questions in constant time: which servers serve a subsystem, whose authentication certificate is this, who is in a group.
The signed directory around these files is `confdir`; Kerege's own part is `rules`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from kerege.exchange.errors import ConfigurationMalformed, ExchangeError
from kerege.exchange.ids import ClientId, MemberId, ServerId, SubsystemId
from kerege.exchange.safexml import parse_xml

_ID: Final = "{http://x-road.eu/xsd/identifiers}"
_LARGEST: Final = 64 * 1024 * 1024
VERSIONS: Final = (2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True)
class OcspResponder:
    url: str
    certificate: x509.Certificate | None = None


@dataclass(frozen=True, slots=True)
class Authority:
    """One CA certificate with its responders."""

    certificate: x509.Certificate
    responders: tuple[OcspResponder, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovedAuthority:
    """A certification service approved for the instance. `profile` says how its certificates name members."""

    name: str
    top: Authority
    profile: str
    intermediates: tuple[Authority, ...] = ()
    authentication_only: bool = False

    def responders_of(self, issuer: x509.Certificate) -> tuple[OcspResponder, ...]:
        """Responders that may answer for certificates `issuer` signed; the top's when the issuer names none."""
        for authority in (self.top, *self.intermediates):
            if authority.certificate == issuer and authority.responders:
                return authority.responders
        return self.top.responders


@dataclass(frozen=True, slots=True)
class Subsystem:
    code: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    id: MemberId
    name: str
    subsystems: tuple[Subsystem, ...] = ()


@dataclass(frozen=True, slots=True)
class SecurityServer:
    """A registered server: where it listens, which authentication certificates are its, whom it serves."""

    id: ServerId
    address: str | None
    auth_cert_hashes: frozenset[str]
    clients: tuple[ClientId, ...] = ()
    maintenance: str | None = None  # the message when in maintenance mode, "" without one


@dataclass(frozen=True, slots=True)
class GlobalGroup:
    code: str
    description: str
    members: frozenset[ClientId]


@dataclass(frozen=True, slots=True)
class TimestampAuthority:
    name: str
    url: str
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class Source:
    """A central server that publishes the configuration, with its verification certificates."""

    address: str
    internal_certs: tuple[x509.Certificate, ...] = ()
    external_certs: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True)
class SharedParameters:
    """Everything public about one instance."""

    instance: str
    authorities: tuple[ApprovedAuthority, ...]
    members: tuple[Member, ...]
    servers: tuple[SecurityServer, ...]
    groups: tuple[GlobalGroup, ...] = ()
    timestamping: tuple[TimestampAuthority, ...] = ()
    member_classes: tuple[tuple[str, str], ...] = ()
    ocsp_freshness_seconds: int = 3600
    sources: tuple[Source, ...] = field(default=())

    @cached_property
    def _by_client(self) -> dict[ClientId, tuple[SecurityServer, ...]]:
        out: dict[ClientId, list[SecurityServer]] = {}
        for server in self.servers:
            for client in server.clients:
                out.setdefault(client, []).append(server)
        return {client: tuple(servers) for client, servers in out.items()}

    @cached_property
    def _by_auth_hash(self) -> dict[str, SecurityServer]:
        return {digest: server for server in self.servers for digest in server.auth_cert_hashes}

    @cached_property
    def _groups_of(self) -> dict[ClientId, frozenset[str]]:
        out: dict[ClientId, set[str]] = {}
        for group in self.groups:
            for member in group.members:
                out.setdefault(member, set()).add(group.code)
        return {member: frozenset(codes) for member, codes in out.items()}

    @cached_property
    def _members(self) -> dict[MemberId, Member]:
        return {member.id: member for member in self.members}

    @cached_property
    def _subsystems(self) -> frozenset[ClientId]:
        return frozenset(
            ClientId(m.id.instance, m.id.member_class, m.id.member_code, s.code)
            for m in self.members
            for s in m.subsystems
        )

    def member(self, member: MemberId) -> Member | None:
        return self._members.get(member)

    def is_registered(self, client: ClientId) -> bool:
        """Whether the member, or the subsystem, exists in this configuration."""
        return client in self._subsystems if client.subsystem is not None else client.member in self._members

    def servers_of(self, subsystem: SubsystemId) -> tuple[SecurityServer, ...]:
        return self._by_client.get(subsystem.client, ())

    def server_by_auth_hash(self, hashes: tuple[str, ...]) -> SecurityServer | None:
        """The server whose registered authentication certificate has one of these hashes (`certs.auth_hashes`)."""
        return next((self._by_auth_hash[h] for h in hashes if h in self._by_auth_hash), None)

    def groups_of(self, client: ClientId) -> frozenset[str]:
        return self._groups_of.get(client, frozenset())


@dataclass(frozen=True, slots=True)
class PrivateParameters:
    """What only this instance's own servers read."""

    instance: str
    management_provider: SubsystemId | None = None
    auth_cert_registration_address: str = ""
    timestamping_interval_seconds: int = 60


# --- reading ---------------------------------------------------------------------------------------------------------


def _fail(part: str, reason: str) -> ConfigurationMalformed:
    return ConfigurationMalformed(part=part, reason=reason)


def _text(node: etree._Element, tag: str, part: str, *, optional: bool = False) -> str:
    child = node.find(tag)
    if child is None or child.text is None:
        if optional:
            return ""
        raise _fail(part, f"<{tag}> is missing")
    return child.text.strip()


def _certificate(text: str | None, part: str) -> x509.Certificate:
    from kerege.exchange.certs import load

    try:
        return load(base64.b64decode("".join((text or "").split()), validate=True), part)
    except ValueError:
        raise _fail(part, "a certificate is not base64") from None


def _authority(node: etree._Element, part: str) -> Authority:
    responders = []
    for responder in node.findall("ocsp"):
        cert = responder.find("cert")
        listed = None if cert is None or not cert.text else _certificate(cert.text, part)
        responders.append(OcspResponder(_text(responder, "url", part), listed))
    return Authority(_certificate(_text(node, "cert", part), part), tuple(responders))


def parse_shared(data: bytes) -> SharedParameters:
    """Shared parameters of any supported version. Raises ConfigurationMalformed."""
    part = "shared parameters"
    try:
        root = parse_xml(data, _LARGEST)
    except ValueError as problem:
        raise _fail(part, str(problem)) from None
    if etree.QName(root).localname != "conf":
        raise _fail(part, "the root is not <conf>")
    try:
        return _shared(root, part)
    except ExchangeError as problem:
        if isinstance(problem, ConfigurationMalformed):
            raise
        raise _fail(part, problem.text) from None


def _shared(root: etree._Element, part: str) -> SharedParameters:
    instance = _text(root, "instanceIdentifier", part)
    authorities = []
    for node in root.findall("approvedCA"):
        top = node.find("topCA")
        if top is None:
            raise _fail(part, "an approved authority has no topCA")
        authorities.append(
            ApprovedAuthority(
                name=_text(node, "name", part),
                top=_authority(top, part),
                profile=_text(node, "certificateProfileInfo", part),
                intermediates=tuple(_authority(n, part) for n in node.findall("intermediateCA")),
                authentication_only=_text(node, "authenticationOnly", part, optional=True) == "true",
            )
        )
    members, by_ref = [], {}
    for node in root.findall("member"):
        member = MemberId(instance, _text(node, "memberClass/code", part), _text(node, "memberCode", part))
        subsystems = []
        by_ref[node.get("id")] = ClientId(instance, member.member_class, member.member_code)
        for sub in node.findall("subsystem"):
            code = _text(sub, "subsystemCode", part)
            subsystems.append(Subsystem(code, _text(sub, "subsystemName", part, optional=True) or None))
            by_ref[sub.get("id")] = ClientId(instance, member.member_class, member.member_code, code)
        members.append(Member(member, _text(node, "name", part, optional=True), tuple(subsystems)))
    return SharedParameters(
        instance=instance,
        authorities=tuple(authorities),
        members=tuple(members),
        servers=tuple(_server(node, by_ref, part) for node in root.findall("securityServer")),
        groups=tuple(_group(node, part) for node in root.findall("globalGroup")),
        timestamping=tuple(
            TimestampAuthority(
                _text(n, "name", part), _text(n, "url", part), _certificate(_text(n, "cert", part), part)
            )
            for n in root.findall("approvedTSA")
        ),
        member_classes=tuple(
            (_text(n, "code", part), _text(n, "description", part, optional=True))
            for n in root.findall("globalSettings/memberClass")
        ),
        ocsp_freshness_seconds=_integer(root, "globalSettings/ocspFreshnessSeconds", part),
        sources=tuple(
            Source(
                _text(n, "address", part),
                tuple(_certificate(c.text, part) for c in n.findall("internalVerificationCert")),
                tuple(_certificate(c.text, part) for c in n.findall("externalVerificationCert")),
            )
            for n in root.findall("source")
        ),
    )


def _integer(root: etree._Element, tag: str, part: str) -> int:
    text = _text(root, tag, part)
    if not text.isdecimal():
        raise _fail(part, f"<{tag}> is not a number")
    return int(text)


def _server(node: etree._Element, by_ref: dict[str | None, ClientId], part: str) -> SecurityServer:
    owner = by_ref.get(_text(node, "owner", part))
    if owner is None:
        raise _fail(part, "a server's owner is not among the members")
    clients = []
    for child in node.findall("client"):
        client = by_ref.get((child.text or "").strip())
        if client is None:
            raise _fail(part, "a server's client is not among the members")
        clients.append(client)
    maintenance = node.find("inMaintenanceMode")
    return SecurityServer(
        id=ServerId(owner.instance, owner.member_class, owner.member_code, _text(node, "serverCode", part)),
        address=_text(node, "address", part, optional=True) or None,
        auth_cert_hashes=frozenset("".join((h.text or "").split()) for h in node.findall("authCertHash")),
        clients=tuple(clients),
        maintenance=None if maintenance is None else _text(maintenance, "message", part, optional=True),
    )


def _identifier(node: etree._Element, part: str) -> ClientId:
    subsystem = node.find(_ID + "subsystemCode")
    return ClientId(
        _text(node, _ID + "xRoadInstance", part),
        _text(node, _ID + "memberClass", part),
        _text(node, _ID + "memberCode", part),
        None if subsystem is None else (subsystem.text or "").strip(),
    )


def _group(node: etree._Element, part: str) -> GlobalGroup:
    members = frozenset(_identifier(child, part) for child in node.findall("groupMember"))
    return GlobalGroup(_text(node, "groupCode", part), _text(node, "description", part, optional=True), members)


def parse_private(data: bytes) -> PrivateParameters:
    """Private parameters. Raises ConfigurationMalformed."""
    part = "private parameters"
    try:
        root = parse_xml(data, _LARGEST)
    except ValueError as problem:
        raise _fail(part, str(problem)) from None
    provider = root.find("managementService/managementRequestServiceProviderId")
    found = None if provider is None else _identifier(provider, part)
    return PrivateParameters(
        instance=_text(root, "instanceIdentifier", part),
        management_provider=None if found is None or found.subsystem is None else SubsystemId.parse(str(found)),
        auth_cert_registration_address=_text(root, "managementService/authCertRegServiceAddress", part, optional=True),
        timestamping_interval_seconds=_integer(root, "timeStampingIntervalSeconds", part),
    )


# --- writing (version 6) ---------------------------------------------------------------------------------------------

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
            raise _fail("shared parameters", f"server {server.id} names {client}, which is not among the members")
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
