"""The network as one value, and its rules as canonical JSON: the part `KEREGE-RULES` of the signed configuration.

Pure: the doings load it from the tables, the publisher writes it, the nodes parse it (`exchange.permits` owns the parsing).
The same tables always give the same bytes, so a digest says whether anything changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from kerege.ground.clock import iso
from kerege.ground.ids import canonical_json, digest
from kerege.ground.text import Text
from kerege.membership.states import PermitState

RULES_PART: Final = "KEREGE-RULES"
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

    def as_rule(self) -> dict[str, Any]:
        return {
            "holder": self.holder,
            "data_service": self.data_service,
            "method": self.method,
            "path": self.path,
            "until": iso(self.until),
        }


@dataclass(frozen=True, slots=True, order=True)
class ContractRow:
    """Which mapping the answers of `data_service` under `path` go through, and where."""

    data_service: str
    path: str
    mapping: str
    at: At
    owner: str
    legal_basis: str

    def as_rule(self) -> dict[str, Any]:
        return {"data_service": self.data_service, "path": self.path, "mapping": self.mapping, "at": self.at}


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

    def as_rule(self) -> dict[str, Any]:
        return {
            "public_service": self.public_service,
            "client": self.client,
            "state": self.state.value,
            "data_services": sorted(self.data_services),
            "until": iso(self.until),
            "verdict": {"index": self.verdict_index, "leaf": self.verdict_leaf},
        }


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

    def rules(self) -> dict[str, Any]:
        """Rights, permits, the public services that need a permit, and contracts."""
        return {
            "rights": [right.as_rule() for right in sorted(self.rights)],
            "permits": [permit.as_rule() for permit in sorted(self.permits)],
            "public_services": [{"id": name, "client": client} for name, client in sorted(self.public_services)],
            "contracts": [contract.as_rule() for contract in sorted(self.contracts)],
        }

    def rules_bytes(self) -> bytes:
        return canonical_json(self.rules())

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
        return digest(
            {
                "instance": self.instance,
                "members": members,
                "subsystems": sorted(self.subsystems),
                "servers": servers,
                "rules": self.rules(),
            }
        )
