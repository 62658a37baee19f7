"""The expiry calendar from what a node keeps on disk, for tools beside the running node."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

from kerege.ground.clock import now as utc_clock
from kerege.ground.errors import KeregeError
from kerege.node.conf.keeper import Keeper
from kerege.node.conf.picture import Picture
from kerege.node.config_types import NodeConfig
from kerege.node.connections import INTERNAL
from kerege.node.keys import files as keyfiles
from kerege.node.keys.expiry import Entry, calendar, kept_revocations, kept_until
from kerege.node.keys.pairs import load_keys, own_folder


def kept_entries(config: NodeConfig, now: datetime) -> tuple[list[Entry], str]:
    """The calendar, and what kept it from being whole ("" when nothing did). Raises what is wrong with the node's own keys."""
    picture, problem = _kept_picture(config)
    trust = picture.trust if picture is not None else None
    until = kept_until(config, trust) if trust is not None else lambda _: None
    keys = load_keys(config)
    if trust is not None:
        kept_revocations(config, keys, trust, now)
    return calendar(config, keys, picture, until, now, other_certificates(config)), problem


def other_certificates(config: NodeConfig) -> list[tuple[str, x509.Certificate, str]]:
    """Certificates that are neither the node's TLS nor signing ones: towards and of information systems."""
    out = []
    internal = config.internal or keyfiles.pointed(own_folder(config, INTERNAL), keyfiles.KeySource())
    if internal is not None:
        do = "Put a new one where keys.internal says; one the node made itself is replaced at a start after its end."
        out.append(("internal certificate", keyfiles.load(internal).certificate, do))
    ask = "Ask the information system's owner for the next one and add it to certificates before."
    for client, settings in sorted(config.clients.items()):
        for file in settings.certificates:
            out.append((f"certificate of the client {client} ({file.name})", keyfiles.read_certificates(file)[0], ask))
    for service in config.services.values():
        for file in service.certificates:
            what = f"certificate behind the data service {service.id} ({file.name})"
            out.append((what, keyfiles.read_certificates(file)[0], ask))
    return out


def _kept_picture(config: NodeConfig) -> tuple[Picture | None, str]:
    try:
        keeper = Keeper.of(config, utc_clock)
        picture = keeper._load() if config.anchor is not None else keeper._read_folder()
    except KeregeError as problem:
        return None, f"The global configuration kept is not read: {problem}"
    except OSError as problem:
        return None, f"The global configuration is not read: {problem.strerror}"
    return (
        picture,
        "" if picture is not None else "No global configuration is kept yet; what depends on it is not listed.",
    )
