"""The configuration file taken up again by a running node, with no message dropped: all of what changed, or nothing.

Everything that can be refused is done first: the file read, keys and certificates loaded and their OCSP answers fetched, the country
pack read, new addresses opened. Then the parts change between two messages; a message under way ends by the rules it began under.
What would need another log, another state or another identity is refused, named by its key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from kerege.exchange.ids import MemberId
from kerege.exchange.pki import KeyPair
from kerege.exchange.xades import Signer
from kerege.node import config as configuration
from kerege.node.assembly import ROOM, Parts, keeping_settings, read_log_key
from kerege.node.config_types import NodeConfig
from kerege.node.connections import Connections
from kerege.node.contexts import PROTOCOLS
from kerege.node.contracts.translate import TranslatorLoader, WireTranslation
from kerege.node.errors import NodeConfigInvalid, NodeKeyInvalid, RestartNeeded
from kerege.node.folders import make_folder
from kerege.node.keys import pairs as node_keys
from kerege.node.keys.acme_orders import is_registered
from kerege.node.keys.pairs import NodeKeys
from kerege.node.listening import Listening, addresses
from kerege.node.log.keeping import read_recipients
from kerege.node.log.records import Recorder
from kerege.node.rights import Rights

_Of = Callable[[NodeConfig], Any]
RESTART: Final[tuple[tuple[str, _Of], ...]] = (
    ("server", lambda c: c.server),
    ("state", lambda c: c.state),
    ("tls", lambda c: c.peer_tls),
    ("configuration", lambda c: (c.anchor, c.configuration_folder, c.poll_seconds)),
    ("keys.acme", lambda c: c.acme),
    ("log.folder", lambda c: c.log.folder),
    ("log.segment_megabytes", lambda c: c.log.segment_bytes),
    ("log.key_file or log.key_env", lambda c: (c.log.key_file, c.log.key_env)),
    ("log.archive (there or not)", lambda c: c.log.archive is None),
    ("timestamps.off", lambda c: c.timestamps.enabled),
    ("timestamps.acceptable_seconds", lambda c: c.timestamps.acceptable_seconds),
    ("monitoring, monitoring_days or traces", lambda c: c.monitoring),
    ("lane", lambda c: c.lane),
    ("replay_window_seconds", lambda c: c.replay_window_seconds),
)


def needs_restart(old: NodeConfig, new: NodeConfig) -> list[str]:
    """The keys that changed and cannot be taken up by a running node."""
    return [key for key, of in RESTART if of(old) != of(new)]


@dataclass
class _Keys:
    auth: KeyPair | None
    signers: dict[MemberId, Signer]


async def reload(
    parts: Parts, listening: Listening, old: NodeConfig, loader: TranslatorLoader, use_auth: Callable[[KeyPair], Any]
) -> NodeConfig:
    """Take up the file anew; the configuration in use from now on. Raises what is wrong; then nothing has changed."""
    core = parts.core
    new = await asyncio.to_thread(configuration.load, old.file)
    changed = needs_restart(old, new)
    if changed:
        raise RestartNeeded(file=new.file, keys=", ".join(changed))
    connections = await asyncio.to_thread(Connections.load, new, core.clock())
    keys = await asyncio.to_thread(_changed_keys, old, new, parts)
    translation = await asyncio.to_thread(_translation, old, new, loader)
    settings = keeping_settings(new, read_log_key(new.log))
    if new.log.archive is not None and new.log.archive != old.log.archive:
        await asyncio.to_thread(read_recipients, new.log.archive, core.clock())
    make_folder("limits.spool", new.limits.spool)

    opened = await listening.prepare(new, connections, addresses(old))
    try:
        await _use_keys(parts, keys, use_auth)
    except BaseException:
        for listener in opened.values():
            listener.close()
        raise

    # from here on nothing can be refused and nothing is waited for
    for member in set(core.keys.signers) - set(new.sign):
        del core.keys.signers[member]
        core.keys.good_until.pop(member, None)
    core.config = new
    core.rights, core.recorder, core.connections = Rights(new), Recorder(new.log), connections
    if translation is not None:
        core.translation.take(translation)
    core.routes.use(new)
    core.sealing.use(batch=new.signatures.batch)
    parts.keeping.use(settings)
    _use_limits(parts, new)
    if old.link != new.link and new.peer_tls:
        parts.contexts.listener.set_alpn_protocols(PROTOCOLS if new.link else ["http/1.1"])
        core.peers.use_link(parts.dial if new.link else None)
    parts.agency.forget()
    parts.health.use(new)
    listening.take(opened, new)
    return new


def _changed_keys(old: NodeConfig, new: NodeConfig, parts: Parts) -> _Keys:
    """What the files hold now that is not in use, also under their old names. Raises NodeKeyInvalid, TokenFailed."""
    core = parts.core
    auth, signers = node_keys.newer(new, core.keys)
    if (old.signatures.style, old.signatures.pss) != (new.signatures.style, new.signatures.pss):
        signers = {member: node_keys.load_signer(new, member) for member in new.sign}
    picture = core.keeper.picture
    if auth is not None and new.peer_tls and picture is not None:
        known = is_registered(picture.shared, new, auth.certificate)
        if not known and is_registered(picture.shared, new, core.keys.auth.certificate):
            raise NodeKeyInvalid(
                file="keys.auth",
                reason="its certificate is not registered for this server yet (management request authCertReg); others would "
                "refuse it, so the one in use stays",
            )
    return _Keys(auth, signers)


def _translation(old: NodeConfig, new: NodeConfig, loader: TranslatorLoader) -> WireTranslation | None:
    """The country pack read anew, None when nothing was changed. Raises NodeConfigInvalid."""
    if old.translation == new.translation:
        return None
    made = WireTranslation(new.translation, loader)
    made.reload()
    if made.problem is not None:
        raise NodeConfigInvalid(file=new.file, key="translation", reason=made.problem.rstrip("."))
    return made


async def _use_keys(parts: Parts, keys: _Keys, use_auth: Callable[[KeyPair], Any]) -> None:
    """Each is in use only with its OCSP answer. Raises RevocationUnknown and the like; the old ones are all in use then."""
    core = parts.core
    if not keys.signers and keys.auth is None:
        return
    trust = core.keeper.current(core.clock()).trust
    before = NodeKeys(core.keys.auth, dict(core.keys.signers), dict(core.keys.good_until))
    try:
        for member, signer in keys.signers.items():
            await core.revocation.adopt_signer(trust, member, signer)
        if keys.auth is not None:
            await use_auth(keys.auth)
    except BaseException:  # also when the node stops meanwhile, or a token's library fails in a way of its own
        _take_back(parts, keys, before)
        raise


def _take_back(parts: Parts, keys: _Keys, before: NodeKeys) -> None:
    """Use again what was in use before; what something else (a renewal) put in place meanwhile stays."""
    held = parts.core.keys
    for member, signer in keys.signers.items():
        if held.signers.get(member) is not signer:
            continue
        held.good_until.pop(member, None)
        if member in before.signers:
            held.signers[member] = before.signers[member]
        else:
            del held.signers[member]
        if member in before.good_until:
            held.good_until[member] = before.good_until[member]
    if keys.auth is not None and held.auth is keys.auth:
        held.auth = before.auth
        parts.contexts.use_key(before.auth)


def _use_limits(parts: Parts, new: NodeConfig) -> None:
    limits = new.limits
    parts.core.agencies.use(limits.body, limits.connect_seconds, limits.memory, limits.spool)
    parts.core.peers.use_limits(limits.body + ROOM, limits.connect_seconds, limits.memory, limits.spool)
