"""The global configuration's content as values: what shared, private and optional parameters say (X-Road PR-GCONF, versions 2 to 6).

`SharedParameters` answers the node's questions in constant time: which servers serve a subsystem, whose authentication certificate
is this, who is in a group. Everybody imports these from `globalconf`, which reads them from XML; writing is `confwrite`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from cryptography import x509

from kerege.exchange.ids import ClientId, MemberId, ServerId, SubsystemId

VERSIONS: Final = (2, 3, 4, 5, 6)
COSTS: Final = ("UNDEFINED", "FREE", "PAID")
CSR_FORMATS: Final = ("PEM", "DER")


@dataclass(frozen=True, slots=True)
class OcspResponder:
    url: str
    certificate: x509.Certificate | None = None
    cost: str = "UNDEFINED"  # one of COSTS; version 6


@dataclass(frozen=True, slots=True)
class Authority:
    """One CA certificate with its responders."""

    certificate: x509.Certificate
    responders: tuple[OcspResponder, ...] = ()


@dataclass(frozen=True, slots=True)
class AcmeServer:
    """Where certificates of an authority are ordered by ACME; the profile ids exist from version 4."""

    directory_url: str
    ip_address: str | None = None
    auth_profile: str | None = None
    sign_profile: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovedAuthority:
    """A certification service approved for the instance. `profile` says how its certificates name members."""

    name: str
    top: Authority
    profile: str
    intermediates: tuple[Authority, ...] = ()
    authentication_only: bool = False
    acme: AcmeServer | None = None  # from version 3
    csr_format: str = "PEM"  # one of CSR_FORMATS; version 6

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
    cost: str = "UNDEFINED"


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
class Anchor:
    """Where an instance's configuration is fetched and by whom it must be signed."""

    instance: str
    sources: tuple[tuple[str, x509.Certificate], ...]  # download URL, verification certificate


@dataclass(frozen=True, slots=True)
class PrivateParameters:
    """What only this instance's own servers read.

    management_provider  who offers the management services; a subsystem, or in old configurations a member
    anchors              partner instances; one whose certificates could not be read has no sources
    """

    instance: str
    management_provider: ClientId | None = None
    auth_cert_registration_address: str = ""
    timestamping_interval_seconds: int = 60
    auth_cert_registration_certificate: x509.Certificate | None = None
    anchors: tuple[Anchor, ...] = ()


@dataclass(frozen=True, slots=True)
class OptionalParameters:
    """What X-Road's add-ons publish in parts of their own; None is not published.

    monitoring           whether a monitoring part exists; its client may still be nobody
    """

    monitoring: bool = False
    monitoring_client: ClientId | None = None
    verify_next_update: bool | None = None
    ocsp_fetch_seconds: int | None = None
