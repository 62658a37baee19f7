"""What a node's file names, looked at on this machine and in the global configuration it keeps; nothing is asked of others.

Listen addresses, folders and space, the message log, clients, services, rights, peers, translation. Findings
and their codes are `checking`'s, keys and certificates `check.keys`'s.
"""

from __future__ import annotations

import errno
import json
import shutil
import socket
import stat
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.request import ProxyHandler, build_opener

from kerege.exchange import messagelog
from kerege.exchange.ids import ClientId, SubsystemId
from kerege.ground.errors import KeregeError
from kerege.node.assembly import read_log_key
from kerege.node.check import keys as checking_keys
from kerege.node.check.checking import Report, set_aside
from kerege.node.conf.picture import Picture
from kerege.node.config_types import Address, NodeConfig, is_loopback
from kerege.node.contracts.translate import WireTranslation, load_semantics
from kerege.node.errors import FolderUnusable, NodeConfigInvalid
from kerege.node.folders import unusable
from kerege.node.listening import addresses
from kerege.node.routes import registered_servers

_METHODS: Final = ("*", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def look(report: Report, config: NodeConfig, picture: Picture | None, now: datetime) -> None:
    """Everything that can be told without asking anybody."""
    checking_keys.look(report, config, picture, now)
    _addresses(report, config)
    _folders(report, config)
    _log(report, config)
    _translation(report, config)
    if picture is not None:
        _registered(report, config, picture)
        _rights(report, config, picture)
        _peers(report, config, picture)
        _timestamps(report, config, picture)
    _services(report, config)


# --- where the node listens ---


def _addresses(report: Report, config: NodeConfig) -> None:
    if not config.clients_address.loopback:
        report.warning(
            "check.clients_without_tls",
            "listen.clients",
            f"{config.clients_address} can be reached from elsewhere, and whoever reaches it speaks for every http client",
            "Use listen.clients_tls with certificates of the clients, and a loopback address here.",
        )
    if not config.peer_tls:
        report.warning(
            "check.tls_off",
            "tls",
            "messages between servers are sent in the clear and nobody is told apart; this is for captures only",
            "Take tls: false out.",
        )
    try:
        found = addresses(config)
    except NodeConfigInvalid:  # keys.acme; told already
        found = {}
    wanted = [(_listen_key(purpose), address) for purpose, address in found.items() if address.port]
    for number, (key, address) in enumerate(wanted):
        for other, elsewhere in wanted[:number]:
            if address.port == elsewhere.port and _overlap(address, elsewhere):
                report.error(
                    "check.address_twice",
                    key,
                    f"{address} and {elsewhere} of {other} are one address",
                    f"Give one of {key} and {other} another port.",
                )
    taken = [(key, address, problem) for key, address in wanted if (problem := _bound(address)) is not None]
    if taken and _runs(config):
        report.ok("listen", "a node of this server runs here and has the addresses", "check.running")
        return
    for key, address, problem in taken:
        if problem.errno == errno.EADDRINUSE:
            report.error(
                "check.address_taken",
                key,
                f"something listens at {address} already",
                f"Find it (ss -ltnp 'sport = :{address.port}') and stop it, or give {key} another port.",
            )
        else:
            report.error(
                "check.address_refused",
                key,
                f"this machine does not let the node listen at {address}: {problem.strerror}",
                "Use an address of this machine (ip address) and a port from 1024 on, or allow lower ones.",
            )
    if not taken and wanted:
        report.ok("listen", ", ".join(f"{key.removeprefix('listen.')} {address}" for key, address in wanted))


def _listen_key(purpose: str) -> str:
    return "keys.acme.challenge" if purpose == "acme" else f"listen.{purpose}"


def _overlap(one: Address, other: Address) -> bool:
    return one.host == other.host or bool({one.host, other.host} & _EVERYWHERE)


def _bound(address: Address) -> OSError | None:
    """What keeps the address from being listened at."""
    try:
        places = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, place in dict.fromkeys(places):
            socket.create_server(place, family=family).close()
    except OSError as problem:
        return problem
    return None


def _runs(config: NodeConfig) -> bool:
    """Whether the node at the admin address is this very server."""
    if not is_loopback(config.admin_address.host) or set_aside(config.server):
        return False
    url, opener = f"http://{config.admin_address}/health", build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            found = json.loads(answer.read(1 << 20))
    except OSError as problem:
        try:  # a node that is not well says so with status 503
            found = json.loads(getattr(problem, "read", lambda _: b"")(1 << 20))
        except (ValueError, OSError):
            return False
    except (ValueError, HTTPException):  # something else listens there
        return False
    return isinstance(found, dict) and found.get("server") == str(config.server)


# --- folders, space, log ---


def _folders(report: Report, config: NodeConfig) -> None:
    wanted = {"state": config.state, "log.folder": config.log.folder, "limits.spool": config.limits.spool}
    wanted["monitoring"] = config.monitoring.file.parent
    if config.log.archive is not None:
        wanted["log.archive.folder"] = config.log.archive.folder
    for key, folder in wanted.items():
        reason = unusable(folder)
        if reason is not None:
            problem = FolderUnusable(key=key, reason=reason, folder=folder)
            report.error("check.folder_unusable", key, reason, problem.next_step, folder)
            continue
        there = next(one for one in (folder, *folder.parents) if one.exists())
        if key in ("state", "log.folder") and folder.is_dir() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
            report.warning(
                "check.folder_open",
                key,
                f"others than its owner may read {folder}",
                "The node takes that away when it starts; see who read it until now.",
                folder,
            )
        free = shutil.disk_usage(there).free
        least = config.log.least_free if key == "log.folder" else 64 << 20
        if free < least:
            tell = report.error if key == "log.folder" else report.warning
            then = f"less than {least >> 20} MB"
            if key == "log.folder":
                then += " (log.least_free_megabytes), below which new messages are refused"
            tell(
                "check.space_low",
                key,
                f"{free >> 20} MB are free under {there}, {then}",
                "Free space, or put the folder on a larger disk.",
                folder,
            )
        else:
            report.ok(key, f"{folder}: {free >> 20} MB free")
    _left(report, config.state)


def _left(report: Report, state: Path) -> None:
    """What another user left in the state folder, by running the node once as root: the node can neither read nor replace it."""
    try:
        left = [one for one in sorted(state.iterdir()) if _owner(one) != _owner(state)]  # whoever runs the check
    except OSError:
        return  # there is none yet, or that it may not be read is told already
    for one in left:
        do = f"Give it to the node's user: chown -R --reference={state} {one}"
        report.warning("check.folder_unusable", "state", f"{one} belongs to another user than {state}", do, one)


def _owner(path: Path) -> int:
    return path.lstat().st_uid


def _log(report: Report, config: NodeConfig) -> None:
    try:
        key = read_log_key(config.log)
    except KeregeError as problem:
        report.refused("check.key_unusable", "log.key_file" if config.log.key_file else "log.key_env", problem)
        return
    if not config.log.folder.is_dir():
        return
    try:
        first = next(iter(messagelog.entries(config.log.folder, key)), None)
    except KeregeError as problem:
        report.refused("check.log_unreadable", "log.folder", problem, config.log.folder)
        return
    except OSError as trouble:
        reason = trouble.strerror or "it cannot be read"
        report.error("check.log_unreadable", "log.folder", reason, "Let the node's user read it.", config.log.folder)
        return
    report.ok("log.folder", "no message is logged yet" if first is None else "its records are read")


def _translation(report: Report, config: NodeConfig) -> None:
    if config.translation is None:
        return
    wire = WireTranslation(config.translation, load_semantics)
    wire.reload()
    if wire.problem is not None:
        report.error("check.translation", "translation", wire.problem, "Correct the country pack, or the overlay.")
    else:
        report.ok("translation", f"{config.translation.pack} is read")


# --- against the global configuration ---


def _registered(report: Report, config: NodeConfig, picture: Picture) -> None:
    if set_aside(config.server):
        return
    server = next((one for one in picture.shared.servers if one.id == config.server), None)
    if server is None:
        report.error(
            "check.server_unknown",
            "server",
            f"{config.server} is not a server of the configuration of {picture.shared.instance}",
            "Register the server (kerege node register), or correct server.",
        )
        return
    own = {ClientId(*_parts(c)) for c in config.clients}
    own |= {ClientId(m.instance, m.member_class, m.member_code) for m in config.members}
    owner = ClientId(server.id.owner.instance, server.id.owner.member_class, server.id.owner.member_code)
    for client in sorted(own - set(server.clients) - {owner}, key=str):
        nowhere = picture.shared.is_registered(client) and not registered_servers(picture.shared, client)
        if client.subsystem is not None and nowhere:
            report.error(
                "check.client_disabled",
                "clients",
                f"{client} is in the configuration, at no server: disabled at the central services, or not registered here yet",
                f"Disabled: kerege node request clientEnable --client {client}. Not registered here yet: kerege node register. "
                "Until then its calls are refused.",
            )
            continue
        report.error(
            "check.client_unknown",
            "clients",
            f"{client} is not registered at {config.server}",
            "Register it (kerege node register) and have the central services approve it; until then its calls are refused.",
        )
    for client in sorted(set(server.clients) - own, key=str):
        report.warning(
            "check.client_unserved",
            "clients",
            f"{client} is registered at this server and not in the file",
            f"Add {client} to clients, or have its registration taken back.",
        )
    if own <= set(server.clients) | {owner}:
        report.ok("clients", f"{len(own)} {'is' if len(own) == 1 else 'are'} registered at this server")


def _parts(client: SubsystemId) -> tuple[str, str, str, str]:
    return client.instance, client.member_class, client.member_code, client.subsystem


def _rights(report: Report, config: NodeConfig, picture: Picture) -> None:
    groups = {group.code for group in picture.shared.groups}
    known = picture.shared.instance_of

    def unknown(client: ClientId) -> bool:
        return known(client.instance) is not None and not picture.shared.is_registered(client)

    for service in config.services.values():
        key = f"services.{service.id}.rights"
        for right in service.rights:
            if right.method not in _METHODS:
                report.warning(
                    "check.method_unknown",
                    key,
                    f"{right.method} is no HTTP method, the right lets nothing pass",
                    f"Write one of {', '.join(_METHODS)}; * is all.",
                )
            kind, colon, code = right.to.partition(":")
            if colon and kind == "group" and code not in groups:
                report.warning(
                    "check.right_unknown",
                    key,
                    f"there is no global group {code}",
                    "Correct its code (local ones are local:CODE), or have the group made by the central services.",
                )
            elif not colon and unknown(ClientId(*_parts(SubsystemId.parse(right.to)))):
                report.warning(
                    "check.right_unknown",
                    key,
                    f"{right.to} is no subsystem of the configuration",
                    "Correct the identifier, or take the right out.",
                )
    for group in config.local_groups.values():
        for member in sorted(group.members, key=str):
            if unknown(member):
                report.warning(
                    "check.right_unknown",
                    f"local_groups.{group.code}",
                    f"{member} is not in the configuration",
                    "Correct the identifier, or take it out.",
                )


def _peers(report: Report, config: NodeConfig, picture: Picture) -> None:
    servers = {one.id for one in picture.shared.servers}
    for instance in picture.shared.partners.values():
        servers |= {one.id for one in instance.servers}
    for peer in config.peers:
        if peer not in servers:
            report.warning(
                "check.peer_unknown",
                f"peers.{peer}",
                f"{peer} is not a server of the configuration",
                "Correct the identifier, or take the entry out: it is never used.",
            )


def _timestamps(report: Report, config: NodeConfig, picture: Picture) -> None:
    approved = {one.name for one in picture.shared.timestamping}
    if not config.timestamps.enabled:
        report.ok("timestamps", "switched off")
        return
    for name in config.timestamps.services:
        if name not in approved:
            report.error(
                "check.timestamps_unknown",
                "timestamps.services",
                f"the configuration approves no time-stamping service {name}",
                f"Use one of: {', '.join(sorted(approved)) or 'it approves none'}.",
            )
    if not approved and not config.timestamps.services:
        report.warning(
            "check.timestamps_unknown",
            "timestamps",
            "the configuration approves no time-stamping authority: messages are logged without stamps",
            "Have one approved by the central services, or say timestamps: {off: true}.",
        )


# --- data services ---


def _services(report: Report, config: NodeConfig) -> None:
    for service in config.services.values():
        key = f"services.{service.id}.description"
        place = service.description
        if place is None:
            if service.kind != "rest":
                report.warning(
                    "check.description_missing",
                    key,
                    f"a data service of the kind {service.kind} has no description, so callers cannot read what it offers",
                    "Give the URL or the file of its WSDL or OpenAPI description.",
                )
        elif "://" not in place and not (config.file.parent / place).is_file():
            report.error(
                "check.description_missing",
                key,
                f"the file {place} is not there",
                "Put it there, or correct the name; it is relative to the configuration file.",
            )
