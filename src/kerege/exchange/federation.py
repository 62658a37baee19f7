"""Several instances at once: the own one and its partners, told apart at every question.

Implements federation as X-Road's servers do it (PR-GCONF configurationAnchor, UG-CS): a partner's members become callable by their
own configuration, its certificates count by its own authorities, and its groups count only at home. Pure: which partners are in
force at a moment is the node's affair (`node.conf.keeper`), which makes new values when one comes or ends.

A partner's authority never vouches for another instance's members: each certificate is held against one instance's list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from cryptography import x509

from kerege.exchange import certs
from kerege.exchange.errors import CertificateInvalid, PartnerUnavailable
from kerege.exchange.globalconf import ApprovedAuthority, Member, SecurityServer, SharedParameters
from kerege.exchange.ids import ClientId, MemberId, SubsystemId
from kerege.exchange.trust import Trust
from kerege.exchange.xades_verify import SignatureFacts


@dataclass(frozen=True)
class FederatedParameters(SharedParameters):
    """The own instance's parameters, and its partners'.

    partners   shared parameters in force, by instance
    closed     partners not in force, with the reason; asking about their members raises PartnerUnavailable
    """

    partners: Mapping[str, SharedParameters] = field(default_factory=dict)
    closed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, own: SharedParameters, partners: Mapping[str, SharedParameters], closed: Mapping[str, str]
    ) -> FederatedParameters:
        plain = {f.name: getattr(own, f.name) for f in fields(SharedParameters)}
        return cls(**plain, partners=dict(partners), closed=dict(closed))

    def instance_of(self, instance: str) -> SharedParameters | None:
        """The parameters of one instance; None for one that is no partner. Raises PartnerUnavailable."""
        if instance == self.instance:
            return self
        if instance in self.closed:
            raise PartnerUnavailable(instance=instance, problem=self.closed[instance])
        return self.partners.get(instance)

    def member(self, member: MemberId) -> Member | None:
        if member.instance == self.instance:
            return super().member(member)
        partner = self.instance_of(member.instance)
        return None if partner is None else partner.member(member)

    def is_registered(self, client: ClientId) -> bool:
        if client.instance == self.instance:
            return super().is_registered(client)
        partner = self.instance_of(client.instance)
        return partner is not None and partner.is_registered(client)

    def servers_of(self, subsystem: SubsystemId) -> tuple[SecurityServer, ...]:
        if subsystem.instance == self.instance:
            return super().servers_of(subsystem)
        partner = self.instance_of(subsystem.instance)
        return () if partner is None else partner.servers_of(subsystem)

    def server_by_auth_hash(self, hashes: tuple[str, ...]) -> SecurityServer | None:
        found = super().server_by_auth_hash(hashes)
        for partner in self.partners.values():
            if found is not None:
                break
            found = partner.server_by_auth_hash(hashes)
        return found


class FederatedTrust(Trust):
    """Trust that holds each certificate against the instance it belongs to; one `Trust` per instance inside."""

    def __init__(self, shared: FederatedParameters, own: Trust, partners: Mapping[str, Trust]) -> None:
        super().__init__(shared, own.verify_next_update)
        self._own, self._partners = own, dict(partners)

    @classmethod
    def of(
        cls, shared: FederatedParameters, known: Mapping[str, Trust], *, verify_next_update: bool = True
    ) -> FederatedTrust:
        """For `shared`, with what the trusts in `known` (by instance) have checked already kept where nothing changed.

        OCSP answers of partners are held to the own instance's freshness and nextUpdate setting, as X-Road's servers do.
        """

        def trust(parameters: SharedParameters) -> Trust:
            old = known.get(parameters.instance)
            same = old is not None and old.shared == parameters and old.verify_next_update == verify_next_update
            return old if old is not None and same else Trust(parameters, verify_next_update)

        own = SharedParameters(**{f.name: getattr(shared, f.name) for f in fields(SharedParameters)})
        fresh = shared.ocsp_freshness_seconds
        partners = {i: trust(replace(p, ocsp_freshness_seconds=fresh)) for i, p in shared.partners.items()}
        return cls(shared, trust(own), partners)

    @property
    def trusts(self) -> dict[str, Trust]:
        """The trusts by instance, for the next configuration."""
        return {self._own.shared.instance: self._own, **self._partners}

    def signer(self, facts: SignatureFacts, now: datetime) -> MemberId:
        """The member that signed: of the first instance whose authorities stand behind the certificate and whose member it names."""
        try:
            return self._own.signer(facts, now)
        except CertificateInvalid as refused:
            for partner in self._partners.values():
                try:
                    return partner.signer(facts, now)
                except CertificateInvalid:
                    continue
            raise refused

    def issuer_of(
        self,
        certificate: x509.Certificate,
        role: str,
        now: datetime,
        extra: tuple[x509.Certificate, ...] = (),
    ) -> tuple[ApprovedAuthority, x509.Certificate]:
        return self._at(certificate).issuer_of(certificate, role, now, extra)

    def check_auth(self, certificate: x509.Certificate, responses: tuple[bytes, ...], now: datetime) -> None:
        self._at(certificate).check_auth(certificate, responses, now)

    def _at(self, certificate: x509.Certificate) -> Trust:
        """The trust of the instance in which the certificate is a server's; the own one where it is nobody's."""
        if not self._partners:
            return self._own
        hashes = certs.auth_hashes(certificate)
        if self._own.shared.server_by_auth_hash(hashes) is None:
            for partner in self._partners.values():
                if partner.shared.server_by_auth_hash(hashes) is not None:
                    return partner
        return self._own
