"""A network laid out in a folder: keys, certificates, node configurations and an anchor; and its signed configuration published.

For the demo, for tests and for the hub's first network; the authority in it is `exchange.pki`'s TEST authority. `lay_out` keeps
what is there already and adds what is missing, so it can be called again with a larger plan. `publish` is pure but for reading
certificates: it returns the signed directory and the files to serve beside it, and the caller puts them where they are served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509

from kerege.exchange import certs, confdir, confwrite, globalconf, ocsp
from kerege.exchange import rules as rules_format
from kerege.exchange.ids import ClientId, DataServiceId, MemberId, ServerId, SubsystemId
from kerege.exchange.pki import TestAuthority, load_pair, save_pair
from kerege.exchange.rules import Rules
from kerege.node.config import is_loopback


@dataclass(frozen=True, slots=True)
class PlannedMember:
    """An organisation and its subsystems, by code."""

    id: MemberId
    name: str
    subsystems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlannedService:
    """A data service that a server calls at `url`. `kind` is "rest", "openapi" or "wsdl"."""

    id: DataServiceId
    url: str
    timeout_seconds: float = 60.0
    kind: str = "rest"


@dataclass(frozen=True, slots=True)
class PlannedServer:
    """A node: whose it is, which subsystems it serves, where it listens (one host, three ports)."""

    id: ServerId
    clients: tuple[SubsystemId, ...]
    services: tuple[PlannedService, ...]
    client_port: int
    server_port: int
    admin_port: int
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class TranslationPlan:
    """Where nodes find what they translate with; `overlay` is the installation's own crosswalks."""

    pack: str
    data: str | None = None
    overlay: str | None = None


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """Everything a network is laid out from.

    configuration_url   where nodes fetch the directory, such as http://127.0.0.1:8000/internalconf
    valid_for           how long a publication lasts; when it is over, traffic stops
    """

    instance: str
    configuration_url: str
    members: tuple[PlannedMember, ...]
    servers: tuple[PlannedServer, ...]
    groups: Mapping[str, tuple[str, tuple[ClientId, ...]]] = field(default_factory=dict)
    key_algorithm: str = "ec"
    valid_for: timedelta = timedelta(minutes=10)
    poll_seconds: float = 60.0
    ocsp_freshness_seconds: int = 3600
    member_classes: tuple[tuple[str, str], ...] = (("GOV", "Governmental organisations"),)
    translation: TranslationPlan | None = None

    @property
    def ocsp_url(self) -> str:
        return self.configuration_url.rstrip("/") + "/ocsp"

    def member_name(self, member: MemberId) -> str:
        return next((m.name for m in self.members if m.id == member), str(member))


@dataclass(frozen=True, slots=True)
class LaidOutNode:
    """One node's folder and its configuration file: start it with `kerege node --config CONFIG`."""

    id: ServerId
    folder: Path
    config: Path
    client_url: str
    admin_url: str


@dataclass(frozen=True, slots=True)
class LaidOut:
    """Where everything was put."""

    folder: Path
    authority: Path
    anchor: Path
    nodes: Mapping[str, LaidOutNode]  # by server code


@dataclass(frozen=True, slots=True)
class Published:
    """One publication. Serve `directory` at the configuration URL and each of `files` at its path below that URL.

    X-Road's own clients ask for the same paths at the root of the host, so a hub does well to answer there too.
    """

    directory: bytes
    files: Mapping[str, bytes]  # "V6/2026.../shared-params.xml", "ocsp/..."
    expires: datetime
    version: int


def sign_key_name(member: MemberId) -> str:
    """The file name (without ending) of a member's signing key in a node's keys folder."""
    return f"sign-{member.member_class}-{member.member_code}"


def lay_out(folder: Path, network: NetworkPlan, now: datetime) -> LaidOut:
    """Write the authority, and for each server its keys, certificates, anchor and node.yaml. Existing keys are kept."""
    authority_folder = folder / "authority"
    if (authority_folder / "configuration.pem").exists():
        authority = TestAuthority.load(authority_folder)
    else:
        authority = TestAuthority.create(network.instance, now, network.key_algorithm)
        authority.save(authority_folder)
    source = (network.configuration_url, authority.configuration.certificate)
    anchor_xml = confdir.build_anchor(confdir.Anchor(network.instance, (source,)), now)
    anchor = folder / "anchor.xml"
    anchor.write_bytes(anchor_xml)

    nodes: dict[str, LaidOutNode] = {}
    for server in network.servers:
        home = folder / "nodes" / server.id.server
        keys = home / "keys"
        if not (keys / "auth.pem").exists():
            name = network.member_name(server.id.owner)
            save_pair(authority.auth_certificate(server.id, name, now, network.key_algorithm), keys, "auth")
        for member in _signers(server):
            if not (keys / f"{sign_key_name(member)}.pem").exists():
                pair = authority.sign_certificate(
                    member, network.member_name(member), server.id.server, now, network.key_algorithm
                )
                save_pair(pair, keys, sign_key_name(member))
        (home / "anchor.xml").write_bytes(anchor_xml)
        config = home / "node.yaml"
        text = yaml.safe_dump(_node_yaml(network, server), sort_keys=False, allow_unicode=True)
        temporary = config.with_name("node.yaml.new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(config)
        nodes[server.id.server] = LaidOutNode(
            server.id,
            home,
            config,
            f"http://{_own_host(server)}:{server.client_port}",
            f"http://{_own_host(server)}:{server.admin_port}",
        )
    return LaidOut(folder, authority_folder, anchor, nodes)


def _own_host(server: PlannedServer) -> str:
    """Where clients and the admin listener are: other servers may come from elsewhere, these only from the machine itself."""
    return server.host if is_loopback(server.host) else "127.0.0.1"


def _signers(server: PlannedServer) -> list[MemberId]:
    """Members with a signing key at `server`: the owner, and every member with a subsystem there."""
    return sorted({server.id.owner, *(client.member for client in server.clients)})


def _node_yaml(network: NetworkPlan, server: PlannedServer) -> dict[str, Any]:
    out: dict[str, Any] = {
        "server": str(server.id),
        "listen": {
            "clients": f"{_own_host(server)}:{server.client_port}",
            "servers": f"{server.host}:{server.server_port}",
            "admin": f"{_own_host(server)}:{server.admin_port}",
        },
        "keys": {
            "auth": {"key": "keys/auth.key", "certificate": "keys/auth.pem"},
            "sign": [
                {
                    "member": str(member),
                    "key": f"keys/{sign_key_name(member)}.key",
                    "certificate": f"keys/{sign_key_name(member)}.pem",
                }
                for member in _signers(server)
            ],
        },
        "configuration": {"anchor": "anchor.xml", "poll_seconds": network.poll_seconds},
        "clients": [str(client) for client in server.clients],
        "services": {str(s.id): _service_yaml(s) for s in server.services},
        "peers": {str(p.id): f"{p.host}:{p.server_port}" for p in network.servers},
    }
    if network.translation is not None:
        chosen = network.translation
        pairs = (("pack", chosen.pack), ("data", chosen.data), ("overlay", chosen.overlay))
        out["translation"] = {key: value for key, value in pairs if value}
    return out


def _service_yaml(service: PlannedService) -> dict[str, Any]:
    out: dict[str, Any] = {"url": service.url, "timeout_seconds": service.timeout_seconds}
    return out if service.kind == "rest" else {**out, "kind": service.kind}


def shared_parameters(folder: Path, plan: NetworkPlan) -> globalconf.SharedParameters:
    """The shared parameters of a laid-out network."""
    authority = TestAuthority.load(folder / "authority")
    servers = []
    for server in plan.servers:
        auth = x509.load_pem_x509_certificate((folder / "nodes" / server.id.server / "keys" / "auth.pem").read_bytes())
        servers.append(
            globalconf.SecurityServer(
                server.id,
                server.host,
                frozenset({certs.auth_hashes(auth)[0]}),
                tuple(client.client for client in server.clients),
            )
        )
    host = plan.configuration_url.split("//", 1)[-1].split("/", 1)[0].rsplit(":", 1)[0]
    return globalconf.SharedParameters(
        instance=plan.instance,
        authorities=(authority.approved(plan.ocsp_url),),
        members=tuple(
            globalconf.Member(m.id, m.name, tuple(globalconf.Subsystem(code) for code in m.subsystems))
            for m in plan.members
        ),
        servers=tuple(servers),
        groups=tuple(
            globalconf.GlobalGroup(code, description, frozenset(members))
            for code, (description, members) in plan.groups.items()
        ),
        member_classes=plan.member_classes,
        ocsp_freshness_seconds=plan.ocsp_freshness_seconds,
        sources=(globalconf.Source(host, (authority.configuration.certificate,)),),
    )


def publish(folder: Path, plan: NetworkPlan, rules: Rules, now: datetime, version: int) -> Published:
    """Sign the network's configuration with `rules` as publication number `version`, valid from `now`.

    Fresh OCSP answers for every certificate of the network are among the files, so that a hub that serves these files is all
    a small network needs. Call it again well before `expires`, with the same version when the rules did not change.
    """
    authority = TestAuthority.load(folder / "authority")
    numbered = Rules(rules.instance, version, rules.rights, rules.bindings, rules.permits, rules.contracts)
    contents = (
        (confdir.SHARED, confwrite.build_shared(shared_parameters(folder, plan))),
        (
            confdir.PRIVATE,
            confwrite.build_private(globalconf.PrivateParameters(plan.instance), authority.ca.certificate),
        ),
        (confdir.RULES, rules_format.build(numbered)),
    )
    expires = now + plan.valid_for
    pair = authority.configuration
    directory, located = confdir.build_directory(
        contents, plan.instance, expires, confdir.generation(now), pair.key, pair.certificate
    )
    files = {location.lstrip("/"): content for location, content in located.items()}
    for server in plan.servers:
        keys = folder / "nodes" / server.id.server / "keys"
        for name in ("auth", *(sign_key_name(member) for member in _signers(server))):
            certificate = load_pair(keys, name).certificate
            request = ocsp.request_for(certificate, authority.ca.certificate)
            files[f"ocsp/{ocsp.file_name(request)}"] = authority.ocsp_response(certificate, now)
    return Published(directory, files, expires, version)
