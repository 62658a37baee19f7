"""What `kerege node check --online` asks of others: configuration, responders, time-stamping authorities, data services, peers; the clock.

Every question has a short time limit, and nothing that is fetched is kept: a node that runs beside is not disturbed.
"""

from __future__ import annotations

import asyncio
import email.utils
import http.client
import socket
import ssl
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kerege.exchange import confdir
from kerege.ground.clock import now as utc_now
from kerege.ground.errors import KeregeError
from kerege.node import connections as room
from kerege.node.check.checking import Report, set_aside
from kerege.node.conf.keeper import Keeper
from kerege.node.conf.picture import Picture
from kerege.node.config_types import NodeConfig, Service
from kerege.node.connections import Connections
from kerege.node.errors import ConfigurationUnreachable
from kerege.node.keys.files import read_certificates
from kerege.node.keys.pairs import NodeKeys, load_keys
from kerege.node.ocsp.revocation import Revocation

_SECONDS: Final = 4.0
_SKEW: Final = 30.0  # an OCSP answer or a configuration of this second would be one of the future
_AT_ONCE: Final = 16
_SEE: Final = "See that the central server answers at that address, and that a firewall lets this machine through."


def fetched(report: Report, config: NodeConfig) -> Picture | None:
    """The configuration as it is published now; told when it cannot be had."""
    if set_aside(config.anchor):
        return None
    with tempfile.TemporaryDirectory(prefix="kerege-check-") as folder:
        try:
            if config.anchor is None:
                keeper = Keeper(None, Path(folder), utc_now, folder=config.configuration_folder)
            else:
                keeper = Keeper(confdir.parse_anchor(config.anchor.read_bytes()), Path(folder), utc_now)
            problem = asyncio.run(keeper.refresh()).problem
        except KeregeError as refused:
            problem, keeper = refused, None
        except OSError as trouble:
            reason = trouble.strerror or "it cannot be read"
            report.error("check.configuration_missing", "configuration.anchor", reason, "Put the anchor there.")
            return None
    if isinstance(problem, ConfigurationUnreachable):  # how long what is kept stays good is told of that
        report.error("check.configuration_unreachable", "configuration", problem.text, _SEE)
        return None
    if problem is not None:
        report.refused("check.configuration_unreachable", "configuration", problem)
        return None
    assert keeper is not None
    report.ok("configuration", "fetched anew, and it holds")
    return keeper.picture


def look(report: Report, config: NodeConfig, picture: Picture | None) -> None:
    """Ask everybody the node will ask."""
    _clock(report, config)
    if picture is not None:
        _ocsp(report, config, picture)
        if config.timestamps.enabled:
            for one in picture.shared.timestamping:
                _reach(report, "check.timestamps_unreachable", f"timestamps ({one.name})", one.url)
    others = [(server, peer) for server, peer in config.peers.items() if server != config.server]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda service: _service(report, service), config.services.values()))
        list(
            pool.map(
                lambda peer: _peer(report, str(peer[0]), peer[1].address.host, peer[1].address.port),
                others,
            )
        )


def _clock(report: Report, config: NodeConfig) -> None:
    if config.anchor is None or set_aside(config.anchor):
        return
    try:
        url = confdir.parse_anchor(config.anchor.read_bytes()).sources[0][0]
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS)
        try:
            connection.request("HEAD", parts.path or "/")
            said = connection.getresponse().headers.get("date")
        finally:
            connection.close()
        there = email.utils.parsedate_to_datetime(said or "")
    except (KeregeError, OSError, ValueError, TypeError, http.client.HTTPException):
        return  # whether it answers at all is told elsewhere; without a date nothing can be said
    apart = (datetime.now(UTC) - there.astimezone(UTC)).total_seconds()
    if abs(apart) > _SKEW:
        report.error(
            "check.clock",
            "(clock)",
            f"this machine's clock is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} that of {parts.hostname}",
            "Set the clock by NTP (timedatectl set-ntp true): answers and signatures of the future are refused.",
        )
    else:
        report.ok("(clock)", f"within {_SKEW:.0f} s of {parts.hostname}")


def _ocsp(report: Report, config: NodeConfig, picture: Picture) -> None:
    try:
        keys = load_keys(config)
    except KeregeError:
        return  # told
    with tempfile.TemporaryDirectory(prefix="kerege-check-") as folder:
        asyncio.run(_refresh(report, config, keys, picture, Path(folder)))


async def _refresh(report: Report, config: NodeConfig, keys: NodeKeys, picture: Picture, folder: Path) -> None:
    revocation = Revocation(keys, folder, utc_now)
    try:
        await revocation.refresh_own(picture.trust)
    finally:
        revocation.close()
    now = utc_now()
    bad = {
        f"keys.sign ({member})": signer.certificate
        for member, signer in keys.signers.items()
        if not keys.ready(member, now)
    }
    if revocation.auth_until is None:
        bad["keys.auth"] = keys.auth.certificate
    said = revocation.problem.text if revocation.problem is not None else "no good answer came"
    for key, certificate in bad.items():
        revoked = keys.revoked_since(certificate)
        do = "See that the responders of the certificate's authority can be reached from here and know the certificate."
        if revoked:
            do = "It stays revoked: order a new certificate (kerege node order, or by hand), and have one for authentication registered."
        report.error("check.ocsp_unknown", key, revoked or said, do)
    if not bad:
        report.ok("keys", "every certificate has a good OCSP answer")


def _service(report: Report, service: Service) -> None:
    if set_aside(service.url):
        return
    context = None
    if service.url.startswith("https:"):
        try:
            pins = tuple(read_certificates(file)[0] for file in service.certificates)
        except KeregeError:
            return  # told
        own = room.self_signed("check", [], utc_now())
        context = Connections({}, own, {service.id: pins} if pins else {}).service_context(service)
    _reach(report, "check.service_unreachable", f"services.{service.id}.url", service.url, context)
    place = service.description
    if place is not None and "://" in place:
        _reach(report, "check.description_missing", f"services.{service.id}.description", place)


def _peer(report: Report, name: str, host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except OSError as problem:
        report.warning(
            "check.peer_unreachable",
            f"peers.{name}",
            f"{host}:{port} does not answer: {problem.strerror or problem}",
            "Ask its operator, and see that a firewall lets you through.",
        )


def _reach(report: Report, code: str, key: str, url: str, context: ssl.SSLContext | None = None) -> None:
    """Whether the address can be found and connected to, and (with a context) is who it should be."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    do = "See that the address is right, that the system runs, and that a firewall lets this machine through."
    try:
        with socket.create_connection((host, port), _SECONDS) as connection:
            if context is not None:
                context.wrap_socket(connection, server_hostname=host).close()
    except ssl.SSLError as problem:
        found = f"{host}:{port}: the TLS handshake failed ({problem.reason or 'no reason given'})"
        do = "See which certificate it shows (openssl s_client), and list that one under certificates."
        report.error(code, key, found, do)
    except OSError as problem:
        report.error(code, key, f"{host}:{port} does not answer: {problem.strerror or problem}", do)
    else:
        report.ok(key, f"{host}:{port} answers")
