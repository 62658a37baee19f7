"""The node's one YAML file: identity, keys, where it listens, whom it serves, what it calls. Read strictly, errors name the key.

Paths are relative to the file. What all nodes must agree on (members, servers, trust, permits) is not here but in the signed global
configuration; rights may be in either. Secrets are not here either: files and environment variables are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from kerege.exchange.faults import Spelling
from kerege.exchange.ids import ClientId, DataServiceId, MemberId, ServerId, SubsystemId
from kerege.exchange.metaservices import is_reserved
from kerege.node.config_log import log, timestamps
from kerege.node.config_reading import NOT_AMONG_CLIENTS, Section
from kerege.node.config_types import Address as Address
from kerege.node.config_types import (
    ClientSettings,
    KeySource,
    LimitSettings,
    LocalGroup,
    LocalRight,
    MonitoringSettings,
    Peer,
    SignatureSettings,
    TokenKey,
)
from kerege.node.config_types import KeySource as KeyFiles  # noqa: F401 - keys.py
from kerege.node.config_types import NodeConfig as NodeConfig
from kerege.node.config_types import Service as Service
from kerege.node.config_types import Translation as Translation
from kerege.node.config_types import is_loopback as is_loopback
from kerege.node.errors import NodeConfigInvalid

_CONNECTIONS: Final = ("http", "https", "https-certificate")
_KINDS: Final = ("rest", "openapi", "wsdl")
_NAME_IT: Final = "Name the node's own file with --config FILE, as UTF-8, readable by the node's user."


def load(file: Path) -> NodeConfig:
    """The configuration in `file`. Raises NodeConfigInvalid naming file and key."""
    return read(content_of(file), file)


def read(content: object, file: Path) -> NodeConfig:
    """The configuration that the content of `file` says. Raises NodeConfigInvalid naming file and key."""
    top = Section(content, "", file)
    server: ServerId = top.parse(ServerId, top.text("server"), "server")
    listen, keys, configuration = top.section("listen"), top.section("keys"), top.section("configuration")
    _check_listen(listen)
    clients, members = _clients(top)
    if clients_need_tls((*clients.values(), *members.values())) and not listen.has("clients_tls"):
        raise listen.bad("clients_tls", "a client connects with https, expected the address to listen on")
    if configuration.has("anchor") == configuration.has("folder"):
        raise configuration.bad("anchor", "expected either an anchor or a folder")
    groups = _local_groups(top.section("local_groups", {}))
    state = top.place("state", "state")
    out = NodeConfig(
        file=file.resolve(),
        server=server,
        clients_address=listen.address("clients"),
        clients_tls_address=listen.address_or_none("clients_tls"),
        servers_address=listen.address("servers"),
        ocsp_address=listen.address_or_none("ocsp"),
        admin_address=listen.address("admin"),
        auth=_key_source(keys.section("auth")),
        internal=_key_source(keys.section("internal")) if keys.has("internal") else None,
        sign=_sign_keys(keys),
        acme=keys.raw("acme", None),
        anchor=configuration.place_or_none("anchor"),
        configuration_folder=configuration.place_or_none("folder"),
        poll_seconds=configuration.number("poll_seconds", 60.0, 0.05),
        state=state,
        log=log(top.section("log", {})),
        timestamps=timestamps(top.section("timestamps", {})),
        monitoring=_monitoring(top),
        signatures=_signatures(top.section("signatures", {})),
        limits=_limits(top.section("limits", {}), state),
        clients=clients,
        members=members,
        services=_services(top.section("services", {}), clients, groups),
        local_groups=groups,
        peers=_peers(top.section("peers", {})),
        peer_port=int(top.number("peer_port", 5500, 1)),
        peer_ocsp_port=int(top.number("peer_ocsp_port", 5577, 1)),
        peer_tls=top.flag("tls", True),
        link=top.flag("link", True),
        lane=top.flag("lane", True),
        replay_window_seconds=top.number("replay_window_seconds", 0, 0),
        fault_spelling=Spelling(top.one_of("fault_spelling", Spelling.SNAKE.value, tuple(s.value for s in Spelling))),
        translation=_translation(top),
    )
    for section in (listen, keys, configuration, top):
        section.close()
    return out


class _Strict(yaml.SafeLoader):
    """A key that stands twice in one mapping is refused: the first would be lost without a word. `off` is a key as written."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first: dict[str, int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in first:
                problem = f"the key {key.value} stands there again, it stood in line {first[key.value]} already"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
            first[key.value] = key.start_mark.line + 1
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:bool":
                key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep)


def content_of(file: Path) -> object:
    """What the YAML file holds. Raises NodeConfigInvalid."""
    try:
        return yaml.load(file.read_text(encoding="utf-8"), _Strict)  # noqa: S506 - a safe loader, made stricter
    except OSError as problem:
        reason = problem.strerror or "it cannot be read"
        raise NodeConfigInvalid(file=file, key="(file)", reason=reason, place=(), do=_NAME_IT) from None
    except UnicodeDecodeError:
        raise NodeConfigInvalid(file=file, key="(file)", reason="it is not UTF-8", place=(), do=_NAME_IT) from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "(file)"
        said = getattr(problem, "problem", None) or ""
        reason = said if said.endswith("already") else f"it is not YAML: {said}" if said else "it is not YAML"
        raise NodeConfigInvalid(file=file, key=where, reason=reason, place=()) from None


def clients_need_tls(clients: Iterable[ClientSettings]) -> bool:
    return any(settings.connection != "http" for settings in clients)


def _check_listen(listen: Section) -> None:
    """What answers anybody who reaches it stays on this machine; for information systems that can be allowed, by name."""
    clients, allowed = listen.address("clients"), listen.flag("clients_without_tls", False)
    if not listen.address("admin").loopback:
        raise listen.bad("admin", "expected a loopback address: whoever reaches it reads monitoring and refreshes")
    if not clients.loopback and not allowed:
        raise listen.bad(
            "clients",
            "whoever reaches this port speaks for every client of the node; expected a loopback address, "
            "or listen.clients_without_tls: true on a network that only those clients reach",
        )


def _key_source(section: Section) -> KeySource:
    forms = [form for form in ("key", "pkcs12", "pkcs11") if section.has(form)]
    if len(forms) > 1:
        raise section.bad(forms[1], f"expected one of key, pkcs12 and pkcs11, and {forms[0]} is there")
    if section.has("passphrase_file") and section.has("passphrase_env"):
        raise section.bad("passphrase_env", "expected a passphrase from a file or from the environment, not both")
    token = None
    if forms == ["pkcs11"]:
        one = section.section("pkcs11")
        token = TokenKey(one.place("module"), one.text("token"), one.text("key"))
        one.close()
    out = KeySource(
        key=section.place("key") if not forms or forms == ["key"] else None,
        certificate=None if forms == ["pkcs12"] else section.place("certificate"),
        pkcs12=section.place_or_none("pkcs12"),
        token=token,
        passphrase_file=section.place_or_none("passphrase_file"),
        passphrase_env=section.text_or_none("passphrase_env"),
    )
    section.close()
    return out


def _sign_keys(keys: Section) -> dict[MemberId, KeySource]:
    out: dict[MemberId, KeySource] = {}
    for section in keys.sections("sign"):
        member: MemberId = section.parse(MemberId, section.text("member"), "member")
        if member in out:
            raise section.bad("member", "this member has a key already")
        out[member] = _key_source(section)
    if not out:
        raise keys.bad("sign", "at least one signing key is required")
    return out


def _signatures(section: Section) -> SignatureSettings:
    out = SignatureSettings(
        section.one_of("style", "chain", ("chain", "parts")),
        section.flag("batch", True),
        section.one_of("rsa_padding", "pkcs1", ("pkcs1", "pss")) == "pss",
    )
    section.close()
    return out


def _clients(top: Section) -> tuple[dict[SubsystemId, ClientSettings], dict[MemberId, ClientSettings]]:
    """Subsystems, and members that call in their own name (X-Road's management calls)."""
    out: dict[SubsystemId, ClientSettings] = {}
    members: dict[MemberId, ClientSettings] = {}
    for index, value in top.numbered("clients", []):
        key = f"clients[{index}]"
        if isinstance(value, str):
            client, settings = top.parse(ClientId, value, key), ClientSettings()
        else:
            one = Section(value, key, top.file, ("clients", index))
            client = one.parse(ClientId, one.text("id"), "id")
            settings = ClientSettings(one.one_of("connection", "http", _CONNECTIONS), one.places("certificates"))
            if (settings.connection == "https-certificate") != bool(settings.certificates):
                raise one.bad("certificates", "expected with connection: https-certificate, and only there")
            one.close()
        if client.member in members if client.subsystem is None else _subsystem(client) in out:
            raise top.bad(key, "this client is there already")
        if client.subsystem is None:
            members[client.member] = settings
        else:
            out[_subsystem(client)] = settings
    return out, members


def _subsystem(client: ClientId) -> SubsystemId:
    return SubsystemId(client.instance, client.member_class, client.member_code, client.subsystem or "")


def _services(
    section: Section, clients: Mapping[SubsystemId, ClientSettings], groups: Mapping[str, LocalGroup]
) -> dict[DataServiceId, Service]:
    out: dict[DataServiceId, Service] = {}
    for name, value in section.items():
        service: DataServiceId = section.parse(DataServiceId, name, name)
        if service.subsystem is None:
            raise section.bad(name, "it is a member's own service; data services are offered by subsystems")
        if service.provider not in clients:
            raise section.bad(name, f"its subsystem {service.provider} {NOT_AMONG_CLIENTS}")
        if is_reserved(service.service):
            raise section.bad(name, f"the code {service.service} is reserved for a service of the node itself")
        one = section.child(name, value)
        url = one.text("url")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise one.bad("url", "expected http(s)://host[:port][/path] without query")
        out[service] = Service(
            service,
            url,
            one.number("timeout_seconds", 60.0, 0.001),
            one.one_of("kind", "rest", _KINDS),
            one.text_or_none("description"),
            one.flag("enabled", True),
            one.text_or_none("notice") or "",
            one.places("certificates"),
            tuple(_right(right, groups) for right in one.sections("rights", [])),
        )
        one.close()
    return out


def _right(section: Section, groups: Mapping[str, LocalGroup]) -> LocalRight:
    to = section.text("to")
    kind, colon, code = to.partition(":")
    if colon and (kind not in {"group", "local"} or not code):
        raise section.bad("to", "expected a subsystem, group:CODE or local:CODE")
    if kind == "local" and colon and code not in groups:
        raise section.bad("to", f"the local group {code} is not among local_groups")
    if not colon:
        to = str(section.parse(SubsystemId, to, "to"))
    out = LocalRight(to, section.text("method", "*"), section.text("path", "/**"))
    if not out.path.startswith("/"):
        raise section.bad("path", "a path pattern begins with /")
    section.close()
    return out


def _local_groups(section: Section) -> dict[str, LocalGroup]:
    out = {}
    for code, value in section.items():
        one = section.child(code, value)
        members = frozenset(one.parse(ClientId, member, "members") for member in one.listing("members", []))
        out[code] = LocalGroup(code, one.text_or_none("description") or "", members)
        one.close()
    return out


def _peers(section: Section) -> dict[ServerId, Peer]:
    out: dict[ServerId, Peer] = {}
    for name, value in section.items():
        server: ServerId = section.parse(ServerId, name, name)
        if isinstance(value, str):
            out[server] = Peer(section.as_address(value, name))
            continue
        one = section.child(name, value)
        out[server] = Peer(one.address("address"), one.address_or_none("ocsp"))
        one.close()
    return out


def _monitoring(top: Section) -> MonitoringSettings:
    traces = top.section("traces", {})
    out = MonitoringSettings(
        top.place("monitoring", "monitoring.jsonl"),
        top.number("monitoring_days", 7, 0.01),
        traces.text_or_none("endpoint"),
        traces.number("ratio", 0.01, 0, 1),
    )
    traces.close()
    return out


def _limits(section: Section, state: Path) -> LimitSettings:
    out = LimitSettings(
        spool=section.place_or_none("spool") or state / "spool",
        body=section.megabytes("body_megabytes", 20),
        bodies=section.megabytes("bodies_megabytes", 160),
        memory=int(section.number("memory_kilobytes", 256, 1) * 1024),
        connections_per_address=int(section.number("connections_per_address", 256, 1)),
        connections=int(section.number("connections", 1024, 1)),
        connect_seconds=section.number("connect_seconds", 10, 0.01),
        peer_seconds=section.number("peer_seconds", 90, 0.01),
    )
    section.close()
    return out


def _translation(top: Section) -> Translation | None:
    section = top.section_or_none("translation")
    if section is None:
        return None
    pack = section.text("pack")
    inside = Path(__file__).parents[1] / "country" / pack
    folder = inside if "/" not in pack and inside.is_dir() else section.place("pack")
    contracts = []
    for one in section.sections("contracts", []):
        service: DataServiceId = one.parse(DataServiceId, one.text("service"), "service")
        contracts.append((service, one.text("path"), one.text("mapping")))
        one.close()
    out = Translation(folder, section.place_or_none("data"), section.place_or_none("overlay"), tuple(contracts))
    section.close()
    return out
