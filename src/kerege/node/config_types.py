"""What a node's configuration file says, as values. `config` reads them from YAML; nothing here opens a file or a socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from kerege.exchange.faults import Spelling
from kerege.exchange.ids import ClientId, DataServiceId, MemberId, ServerId, SubsystemId

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own and nobody else's."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key on a PKCS#11 token, by the labels of the token and of the key; `module` is the token's library."""

    module: Path
    token: str
    key: str


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where one key is: a PEM file, a PKCS#12 file, or a token. Exactly one of `key`, `pkcs12`, `token` is there.

    The passphrase (on a token: the PIN) comes from a file or from an environment variable, never from the configuration.
    """

    key: Path | None = None
    certificate: Path | None = None
    pkcs12: Path | None = None
    token: TokenKey | None = None
    passphrase_file: Path | None = None
    passphrase_env: str | None = None


@dataclass(frozen=True, slots=True)
class SignatureSettings:
    """style: "chain" (X-Road 7) or "parts" (the newer one); batch: one signature for messages that wait together."""

    style: str = "chain"
    batch: bool = True
    pss: bool = False


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How an information system reaches the node as this client: "http", "https" or "https-certificate" (one of these)."""

    connection: str = "http"
    certificates: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalRight:
    """A right the node's own file grants; `to` is a subsystem, "group:CODE" or "local:CODE"."""

    to: str
    method: str = "*"
    path: str = "/**"


@dataclass(frozen=True, slots=True)
class Service:
    """A data service this node calls for others. `kind` is "rest", "openapi" or "wsdl"; `description` a URL or a file."""

    id: DataServiceId
    url: str
    timeout_seconds: float
    kind: str = "rest"
    description: str | None = None
    enabled: bool = True
    notice: str = ""
    certificates: tuple[Path, ...] = ()
    rights: tuple[LocalRight, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalGroup:
    """A group that this node alone knows."""

    code: str
    description: str
    members: frozenset[ClientId]


@dataclass(frozen=True, slots=True)
class Peer:
    """Where another server is, when it is not where the global configuration says."""

    address: Address
    ocsp: Address | None = None


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """`recipients`: files with OpenPGP keys to encrypt for; none: archives are in clear. `recipients_of`: a group's own instead."""

    folder: Path
    every_seconds: float = 21600.0
    grouping: str = "none"  # none | member | subsystem
    file_bytes: int = 32 * MEGABYTE
    recipients: tuple[Path, ...] = ()
    recipients_of: Mapping[ClientId, tuple[Path, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogSettings:
    folder: Path
    segment_bytes: int = 64 * MEGABYTE
    bodies: str = "keep"  # keep | hash
    bodies_of: Mapping[SubsystemId, str] = field(default_factory=dict)
    largest_kept: int = 10 * MEGABYTE
    key_file: Path | None = None
    key_env: str | None = None
    least_free: int = 256 * MEGABYTE
    retention_days: float = 30.0
    archive: ArchiveSettings | None = None


@dataclass(frozen=True, slots=True)
class TimestampSettings:
    """`every_seconds` None: as the global configuration says. `services`: names of approved TSAs, in order; empty means all."""

    enabled: bool = True
    every_seconds: float | None = None
    acceptable_seconds: float = 14400.0
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MonitoringSettings:
    file: Path
    days: float = 7.0
    traces_endpoint: str | None = None
    traces_ratio: float = 0.01


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Bytes and counts; `memory` is how much of one body stays in memory before it goes to a file in `spool`."""

    spool: Path
    body: int = 20 * MEGABYTE
    bodies: int = 160 * MEGABYTE
    memory: int = 256 * 1024
    connections: int = 1024
    connections_per_address: int = 256
    connect_seconds: float = 10.0
    peer_seconds: float = 90.0


@dataclass(frozen=True, slots=True)
class Translation:
    """Where the mappings are: the country pack's folder, the country's full lists, the installation's own crosswalks."""

    pack: Path
    data: Path | None
    overlay: Path | None
    contracts: tuple[tuple[DataServiceId, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One node. Exactly one of `anchor` and `configuration_folder` is there."""

    file: Path
    server: ServerId
    clients_address: Address
    servers_address: Address
    admin_address: Address
    auth: KeySource
    sign: Mapping[MemberId, KeySource]
    state: Path
    log: LogSettings
    monitoring: MonitoringSettings
    limits: LimitSettings
    clients: Mapping[SubsystemId, ClientSettings]
    services: Mapping[DataServiceId, Service]
    members: Mapping[MemberId, ClientSettings] = field(default_factory=dict)  # members that call in their own name
    clients_tls_address: Address | None = None
    ocsp_address: Address | None = None
    anchor: Path | None = None
    configuration_folder: Path | None = None
    poll_seconds: float = 60.0
    internal: KeySource | None = None
    acme: Mapping[str, Any] | None = None
    signatures: SignatureSettings = SignatureSettings()
    timestamps: TimestampSettings = TimestampSettings()
    local_groups: Mapping[str, LocalGroup] = field(default_factory=dict)
    peers: Mapping[ServerId, Peer] = field(default_factory=dict)
    peer_port: int = 5500
    peer_ocsp_port: int = 5577
    peer_tls: bool = True
    link: bool = True
    lane: bool = True
    replay_window_seconds: float = 0.0
    fault_spelling: Spelling = Spelling.SNAKE
    translation: Translation | None = None
