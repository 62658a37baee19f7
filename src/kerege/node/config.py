"""The node's one YAML file: identity, keys, where it listens, whom it serves, what it calls. Read strictly, errors name the key.

Paths are relative to the file. Everything that other nodes must agree on (rights, permits, contracts) is not here but in the
signed global configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from kerege.exchange.faults import Spelling
from kerege.exchange.ids import DataServiceId, MemberId, ServerId, SubsystemId
from kerege.ground.errors import KeregeError
from kerege.node.errors import NodeConfigInvalid

_MISSING: Final = object()


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
class KeyFiles:
    key: Path
    certificate: Path


@dataclass(frozen=True, slots=True)
class Service:
    """A data service this node calls for others."""

    id: DataServiceId
    url: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Translation:
    """Where the mappings are: the country pack's folder, the country's full lists, the installation's own crosswalks."""

    pack: Path
    data: Path | None
    overlay: Path | None
    contracts: tuple[tuple[DataServiceId, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NodeConfig:
    server: ServerId
    clients_address: Address
    servers_address: Address
    admin_address: Address
    auth: KeyFiles
    sign: Mapping[MemberId, KeyFiles]
    anchor: Path
    poll_seconds: float
    state: Path
    log_folder: Path
    segment_bytes: int
    monitoring_file: Path
    clients: frozenset[SubsystemId]
    services: Mapping[DataServiceId, Service]
    peers: Mapping[ServerId, Address] = field(default_factory=dict)
    peer_port: int = 5500
    body_bytes: int = 20 * 1024 * 1024
    bodies_bytes: int = 160 * 1024 * 1024
    connections: int = 1024
    connections_per_address: int = 256
    connect_seconds: float = 10.0
    peer_seconds: float = 90.0
    replay_window_seconds: float = 0.0
    fault_spelling: Spelling = Spelling.SNAKE
    translation: Translation | None = None


class _Section:
    """One mapping of the file, read strictly."""

    def __init__(self, value: Any, path: str, file: Path) -> None:
        self.file, self.path = file, path
        if not isinstance(value, Mapping):
            raise self.bad("", "expected keys and values here")
        self._value = dict(value)
        self._left = {str(key) for key in self._value}

    def bad(self, key: str, reason: str) -> NodeConfigInvalid:
        name = ".".join(part for part in (self.path, key) if part) or "(top)"
        return NodeConfigInvalid(file=self.file, key=name, reason=reason)

    def raw(self, key: str, default: Any = _MISSING) -> Any:
        self._left.discard(key)
        if key not in self._value:
            if default is _MISSING:
                raise self.bad(key, "it is required")
            return default
        return self._value[key]

    def text(self, key: str, default: Any = _MISSING) -> str:
        found = self.raw(key, default)
        if not isinstance(found, str) or not found:
            raise self.bad(key, "expected a text")
        return found

    def number(self, key: str, default: float, least: float) -> float:
        found = self.raw(key, default)
        if not isinstance(found, int | float) or isinstance(found, bool) or found < least:
            raise self.bad(key, f"expected a number of at least {least:g}")
        return float(found)

    def flag(self, key: str, default: bool) -> bool:
        found = self.raw(key, default)
        if not isinstance(found, bool):
            raise self.bad(key, "expected true or false")
        return found

    def section(self, key: str, default: Any = _MISSING) -> _Section:
        return _Section(self.raw(key, default), ".".join(p for p in (self.path, key) if p), self.file)

    def items(self) -> list[tuple[str, Any]]:
        self._left.clear()
        return [(str(key), value) for key, value in self._value.items()]

    def listing(self, key: str, default: Any = _MISSING) -> list[Any]:
        found = self.raw(key, default)
        if not isinstance(found, list):
            raise self.bad(key, "expected a list")
        return found

    def place(self, key: str, default: Any = _MISSING) -> Path:
        return (self.file.parent / self.text(key, default)).resolve()

    def address(self, key: str) -> Address:
        return self.as_address(self.text(key), key)

    def as_address(self, text: Any, key: str) -> Address:
        host, colon, port = str(text).rpartition(":")
        if not colon or not host or not port.isdecimal() or int(port) > 65535:
            raise self.bad(key, "expected host:port")
        return Address(host.strip("[]"), int(port))

    def parse(self, kind: Any, text: Any, key: str) -> Any:
        try:
            return kind.parse(str(text))
        except KeregeError as problem:
            raise self.bad(key, problem.text.rstrip(".")) from None

    def close(self) -> None:
        if self._left:
            raise self.bad(sorted(self._left)[0], "this key is not known")


def load(file: Path) -> NodeConfig:
    """The configuration in `file`. Raises NodeConfigInvalid naming file and key."""
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as problem:
        raise NodeConfigInvalid(file=file, key="(file)", reason=problem.strerror or "it cannot be read") from None
    except UnicodeDecodeError:
        raise NodeConfigInvalid(file=file, key="(file)", reason="it is not UTF-8") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "(file)"
        raise NodeConfigInvalid(file=file, key=where, reason="it is not YAML") from None
    top = _Section(data, "", file)
    server: ServerId = top.parse(ServerId, top.text("server"), "server")
    listen, keys = top.section("listen"), top.section("keys")
    configuration, log = top.section("configuration"), top.section("log", {})
    limits = top.section("limits", {})
    spelling = str(top.raw("fault_spelling", Spelling.SNAKE.value))
    if spelling not in {s.value for s in Spelling}:
        raise top.bad("fault_spelling", 'expected "7.8" or "7.7"')
    _check_listen(listen)
    clients = frozenset(top.parse(SubsystemId, text, "clients") for text in top.listing("clients", []))
    out = NodeConfig(
        server=server,
        clients_address=listen.address("clients"),
        servers_address=listen.address("servers"),
        admin_address=listen.address("admin"),
        auth=_key_files(keys.section("auth")),
        sign=_sign_keys(keys),
        anchor=configuration.place("anchor"),
        poll_seconds=configuration.number("poll_seconds", 60.0, 0.05),
        state=top.place("state", "state"),
        log_folder=log.place("folder", "log"),
        segment_bytes=int(log.number("segment_megabytes", 64, 0.001) * 1024 * 1024),
        monitoring_file=top.place("monitoring", "monitoring.jsonl"),
        clients=clients,
        services=_services(top.section("services", {}), clients),
        peers={
            top.parse(ServerId, name, "peers"): top.as_address(address, f"peers.{name}")
            for name, address in top.section("peers", {}).items()
        },
        peer_port=int(top.number("peer_port", 5500, 1)),
        body_bytes=int(limits.number("body_megabytes", 20, 0.001) * 1024 * 1024),
        bodies_bytes=int(limits.number("bodies_megabytes", 160, 0.001) * 1024 * 1024),
        connections_per_address=int(limits.number("connections_per_address", 256, 1)),
        connections=int(limits.number("connections", 1024, 1)),
        connect_seconds=limits.number("connect_seconds", 10, 0.01),
        peer_seconds=limits.number("peer_seconds", 90, 0.01),
        replay_window_seconds=top.number("replay_window_seconds", 0, 0),
        fault_spelling=Spelling(spelling),
        translation=_translation(top),
    )
    for section in (listen, keys, configuration, log, limits, top):
        section.close()
    return out


def _check_listen(listen: _Section) -> None:
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


def _key_files(section: _Section) -> KeyFiles:
    out = KeyFiles(section.place("key"), section.place("certificate"))
    section.close()
    return out


def _sign_keys(keys: _Section) -> dict[MemberId, KeyFiles]:
    out: dict[MemberId, KeyFiles] = {}
    for index, value in enumerate(keys.listing("sign")):
        section = _Section(value, f"keys.sign[{index}]", keys.file)
        member: MemberId = section.parse(MemberId, section.text("member"), "member")
        if member in out:
            raise section.bad("member", "this member has a key already")
        out[member] = _key_files(section)
    if not out:
        raise keys.bad("sign", "at least one signing key is required")
    return out


def _services(section: _Section, clients: frozenset[SubsystemId]) -> dict[DataServiceId, Service]:
    out: dict[DataServiceId, Service] = {}
    for name, value in section.items():
        service: DataServiceId = section.parse(DataServiceId, name, name)
        if service.provider not in clients:
            raise section.bad(name, f"its subsystem {service.provider} is not among clients")
        one = _Section(value, f"services.{name}", section.file)
        url = one.text("url")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise one.bad("url", "expected http(s)://host[:port][/path] without query")
        out[service] = Service(service, url, one.number("timeout_seconds", 60.0, 0.001))
        one.close()
    return out


def _translation(top: _Section) -> Translation | None:
    if top.raw("translation", None) is None:
        return None
    section = top.section("translation")
    pack = section.text("pack")
    inside = Path(__file__).parents[1] / "country" / pack
    folder = inside if "/" not in pack and inside.is_dir() else section.place("pack")
    contracts = []
    for index, value in enumerate(section.listing("contracts", [])):
        one = _Section(value, f"translation.contracts[{index}]", top.file)
        service: DataServiceId = one.parse(DataServiceId, one.text("service"), "service")
        contracts.append((service, one.text("path"), one.text("mapping")))
        one.close()
    out = Translation(
        folder,
        section.place("data") if section.raw("data", None) else None,
        section.place("overlay") if section.raw("overlay", None) else None,
        tuple(contracts),
    )
    section.close()
    return out
