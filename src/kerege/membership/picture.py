"""The network as one value, and the rules it gives the nodes (`exchange.rules`).

Pure: the queries load it from the tables, a publisher signs it. The same tables always give the same digest, so anyone can see
whether the nodes obey what the register says.

A permit says more than open or closed: it names the data services it was given for. A node knows rights and an open permit, so
while a permit carries traffic, the rights of its client to any other data service are left out of the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from kerege.exchange import rules as exchange_rules
from kerege.exchange.ids import DataServiceId, SubsystemId
from kerege.ground.ids import digest
from kerege.ground.text import Text
from kerege.membership.states import PermitState

At = Literal["consumer", "provider"]


@dataclass(frozen=True, slots=True, order=True)
class MemberRow:
    """An organisation in the network."""

    code: str
    name_en: str
    name_ky: str
    name_ru: str

    @property
    def name(self) -> Text:
        return Text(ky=self.name_ky, ru=self.name_ru, en=self.name_en)


@dataclass(frozen=True, slots=True, order=True)
class ServerRow:
    """A security server: its owner, where it answers, the certificates it shows, the clients it hosts."""

    code: str
    owner: str
    address: str
    auth_cert_sha256: tuple[str, ...]
    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class RightRow:
    """`holder` may call `method` `path` of `data_service` until the last moment of `until`."""

    holder: str
    data_service: str
    method: str
    path: str
    until: datetime
    right_id: str

    def as_rule(self) -> exchange_rules.Right:
        return exchange_rules.Right(
            id=self.right_id,
            holder=SubsystemId.parse(self.holder),
            service=DataServiceId.parse(self.data_service),
            method=self.method,
            path=self.path,
            valid_until=self.until,
        )


@dataclass(frozen=True, slots=True, order=True)
class ContractRow:
    """What the answers of `data_service` under `path` are held against and translated by, where, and what a breach does."""

    data_service: str
    path: str
    mapping: str
    at: At
    owner: str
    legal_basis: str
    mode: str = exchange_rules.OBSERVE
    translate: str = exchange_rules.ASKED
    method: str = "*"
    schema: str = ""
    check: str = ""

    def as_rule(self) -> exchange_rules.WireContract:
        """Raises ValueError when the terms do not go together."""
        return exchange_rules.WireContract(
            DataServiceId.parse(self.data_service),
            self.path,
            self.mapping,
            self.at,
            self.mode,
            self.translate,
            self.method,
            self.schema,
            self.check,
        )


@dataclass(frozen=True, slots=True, order=True)
class PermitRow:
    """The permit in force for one public service's client; `verdict_*` say where its ground stands in the ledger."""

    public_service: str
    client: str
    state: PermitState
    data_services: tuple[str, ...]
    until: datetime
    verdict_index: int
    verdict_leaf: str
    set_at: datetime

    def as_rule(self) -> exchange_rules.Permit:
        return exchange_rules.Permit(
            id=f"permit-{self.verdict_index}",
            client=SubsystemId.parse(self.client),
            public_service=self.public_service,
            state="open" if self.state.carries else "closed",
            valid_until=self.until,
            reason=f"{self.state.value}, ledger entry {self.verdict_index}",
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything a node needs to know, as of one moment."""

    instance: str
    members: tuple[MemberRow, ...]
    subsystems: tuple[str, ...]
    servers: tuple[ServerRow, ...]
    rights: tuple[RightRow, ...]
    permits: tuple[PermitRow, ...]
    public_services: tuple[tuple[str, str], ...]
    contracts: tuple[ContractRow, ...]
    central: str = ""  # digest of what the central services publish besides; empty where they hold nothing

    def rules(self, version: int = 0) -> exchange_rules.Rules:
        """What the nodes are told, as publication number `version`."""
        return exchange_rules.Rules(
            instance=self.instance,
            version=version,
            rights=tuple(right.as_rule() for right in sorted(self.rights) if self._permitted(right)),
            bindings=tuple(
                exchange_rules.Binding(SubsystemId.parse(client), name) for name, client in sorted(self.public_services)
            ),
            permits=tuple(permit.as_rule() for permit in sorted(self.permits)),
            contracts=tuple(contract.as_rule() for contract in sorted(self.contracts)),
        )

    def _permitted(self, right: RightRow) -> bool:
        permit = next((p for p in self.permits if p.client == right.holder and p.state.carries), None)
        return permit is None or right.data_service in permit.data_services

    def digest(self) -> str:
        """One hash over network and rules: equal exactly when a node would behave the same."""
        servers = [
            {
                "code": server.code,
                "owner": server.owner,
                "address": server.address,
                "certs": sorted(server.auth_cert_sha256),
                "clients": sorted(server.clients),
            }
            for server in sorted(self.servers)
        ]
        members = [{"code": member.code, "name": member.name.as_dict()} for member in sorted(self.members)]
        network: dict[str, Any] = {"members": members, "subsystems": sorted(self.subsystems), "servers": servers}
        if self.central:
            network["central"] = self.central
        return digest({"network": network, "rules": exchange_rules.build(self.rules()).decode()})
