"""The global configuration's content: shared and private parameters, read from versions 2 to 6.

Implements the XML of X-Road PR-GCONF (schemas v2 to v6). What is read becomes one value, `SharedParameters`, which answers the
node's questions in constant time: which servers serve a subsystem, whose authentication certificate is this, who is in a group.
Writing is `confwrite`; the signed directory around these files is `confdir`; Kerege's own part is `rules`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from cryptography import x509
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
