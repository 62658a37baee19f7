"""The node's process: puts the parts together, opens its listeners, keeps configuration and OCSP answers fresh, stops cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

import uvloop

from kerege.exchange import lane
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import KeyPair
from kerege.ground.errors import KeregeError
from kerege.node import reloading
from kerege.node.assembly import Parts, assemble
from kerege.node.conf.keeper import Picture, RefreshResult
from kerege.node.config import NodeConfig
from kerege.node.config_types import KeySource
from kerege.node.contracts.translate import TranslatorLoader, load_semantics
from kerege.node.core import Core, utc_now
from kerege.node.keys import pairs as node_keys
from kerege.node.keys.acme_client import Challenges
from kerege.node.keys.acme_orders import Hooks, Renewals
from kerege.node.listening import Listening, addresses
from kerege.node.local.admin import Admin

if TYPE_CHECKING:
    from kerege.node.lane.whole import Lane

_LOG: Final = logging.getLogger("kerege.node")
_LEAVE_SECONDS: Final = 10.0
_MOST_FILES: Final = 65536
CLIENTS_WARNING: Final = (
    "listen.clients is %s without TLS: whoever reaches that port speaks for every client of this node"
)
TLS_WARNING: Final = (
    "tls: false: messages between servers are sent in the clear and nobody is told apart; for captures only"
)


class LogLine(logging.Formatter):
    """A line of the node's log, with its moment in UTC, as everything that goes over the network has it."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")


class Node:
    """One exchange node. `start`, then `stop`; or `run` until a signal."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        clock: Callable[[], datetime] = utc_now,
        translator: TranslatorLoader = load_semantics,
    ) -> None:
        self._config, self._clock, self._translator = config, clock, translator
        self._reloading = asyncio.Lock()
        self._challenges = Challenges()
        self._listening: Listening | None = None
        self.renewals: Renewals | None = None
        self.parts: Parts

    @property
    def core(self) -> Core:
        return self.parts.core

    @property
    def admin(self) -> Admin:
        return self.parts.admin

    async def start(self) -> None:
        """Everything up and listening, the configuration fetched if it could be. Raises errors that name what to mend."""
        config = self._config
        if not config.clients_address.loopback:
            _LOG.warning("%s", CLIENTS_WARNING % config.clients_address)
        if not config.peer_tls:
            _LOG.warning("%s", TLS_WARNING)
        self.parts = parts = assemble(config, self._clock, self._translator, self.refresh)
        core = parts.core
        if parts.recovered:
            _LOG.warning("message log: %s", parts.recovered)

        async def prepare(picture: Picture) -> None:
            parts.contexts.add_authorities(
                certificate.certificate
                for authority in picture.authorities
                for certificate in (authority.top, *authority.intermediates)
            )
            await core.revocation.refresh_own(picture.trust)

        core.keeper.on_change(prepare)
        core.keeper.on_change(parts.health.watch)
        try:
            await asyncio.to_thread(core.translation.reload)
            await core.keeper.start()
            await parts.keeping.start()
            core.lane = native_path(parts) if config.lane else None
            self._listening = Listening(parts, self._challenges)
            self._listening.take(await self._listening.prepare(config, core.connections), config)
        except BaseException:
            await self.stop()
            raise
        self._begin()
        listed = ", ".join(f"{purpose} on {address}" for purpose, address in addresses(config).items())
        _LOG.info("%s listens: %s", config.server, listed)

    def _begin(self) -> None:
        """What must run as long as the node does."""
        parts, core, config = self.parts, self.core, self._config
        work = {
            "configuration": core.keeper.run(config.poll_seconds),
            "revocation": core.revocation.run(lambda: core.keeper.picture.trust if core.keeper.picture else None),
            "message log": parts.keeping.run(),
            "environment": parts.environment.run(),
            "contracts": core.contracting.run(),
        }
        hooks = Hooks(
            trust=lambda: core.keeper.picture.trust if core.keeper.picture else None,
            auth=self._use_auth,
            signer=self._use_signer,
        )
        self.renewals = parts.health.renewals = Renewals.of(config, self._clock, self._challenges, hooks)
        if self.renewals is not None:
            work["renewals"] = self.renewals.run()
        for name, one in work.items():
            core.background[name] = asyncio.create_task(one)

    # --- keys that change while the node runs ---

    async def _use_auth(self, pair: KeyPair) -> None:
        """From the next connection on. Raises RevocationUnknown, and OSError where the disk takes no file: the old one stays."""
        picture = self.core.keeper.picture
        assert picture is not None
        core, before = self.core, self.core.keys.auth
        await core.revocation.adopt_auth(picture.trust, pair)
        try:
            self.parts.contexts.use_key(pair)
        except BaseException:
            # a disk that is full: connections go on to show the old one, and the answers are to be about it
            core.keys.auth = before
            await core.revocation.refresh_own(picture.trust)
            raise
        core.peers.renew()

    async def _use_signer(self, member: MemberId, source: KeySource) -> None:
        """From the next message on. Raises RevocationUnknown: the old one stays."""
        picture = self.core.keeper.picture
        assert picture is not None
        signer = node_keys.make_signer(self._config, source)
        await self.core.revocation.adopt_signer(picture.trust, member, signer)

    # --- reload ---

    async def reload(self) -> None:
        """Take up what changed in the configuration file; messages under way are finished as they began.

        Raises what is wrong with the file, or RestartNeeded: nothing has changed then.
        """
        assert self._listening is not None
        async with self._reloading:
            self._config = await reloading.reload(
                self.parts, self._listening, self._config, self._translator, self._use_auth
            )
            if self.renewals is not None:
                self.renewals.config = self._config
            _LOG.info("%s: the configuration file was read again", self._config.server)

    async def refresh(self) -> RefreshResult:
        """Read the country pack and fetch the configuration again, now."""
        await asyncio.to_thread(self.core.translation.reload)
        return await self.core.keeper.refresh()

    async def stop(self) -> None:
        """Stop listening, let answers under way finish, write what waits, close the log."""
        listening = self._listening
        if listening is not None:
            listening.close()
            listening.stop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_SECONDS):
                    while listening.busy:
                        await asyncio.sleep(0.02)
        core, parts = self.core, self.parts
        for task in core.background.values():
            task.cancel()
        await asyncio.gather(*core.background.values(), return_exceptions=True)
        await parts.keeping.close()
        core.peers.close()
        core.agencies.close()
        if core.lane is not None:
            core.lane.close()
        core.revocation.close()
        await asyncio.to_thread(core.log.close)
        await core.contracting.close()
        core.monitor.close()
        await asyncio.to_thread(parts.store.close)
        if parts.tracing is not None:
            await asyncio.to_thread(parts.tracing.close)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP reads the configuration file again and fetches the global configuration."""
        await self.start()
        # what is there now stays: the collector need not look through it for every few hundred messages
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        loop = asyncio.get_running_loop()
        leave = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, leave.set)
        refreshing: set[asyncio.Task[None]] = set()

        def again() -> None:
            task = loop.create_task(self._again())
            refreshing.add(task)
            task.add_done_callback(refreshing.discard)

        loop.add_signal_handler(signal.SIGHUP, again)
        await leave.wait()
        await self.stop()

    async def _again(self) -> None:
        try:
            await self.reload()
        except KeregeError as problem:
            _LOG.error("the configuration file was not taken up: %s", problem)
        except Exception:  # noqa: BLE001 - logged with its trace; the node goes on as it was
            _LOG.exception("the configuration file was not taken up")
        await self.refresh()


def native_path(parts: Parts) -> Lane | None:
    """The native path of small messages; None, and a line in the log, where it is not compiled, or not anew after a change."""
    problem = lane.problem()
    if problem is None:
        try:
            from kerege.node.lane.whole import Lane
        except lane.NOT_THERE as found:
            problem = str(found)
        else:
            return Lane(parts.core, parts.consumer, parts.provider, parts.agency)
    _LOG.warning("all messages go the longer way, for the native modules cannot be used: %s", problem)
    return None


def _raise_descriptor_limit(config: NodeConfig) -> None:
    """As many open files as the system allows: each connection is one, and so is each towards peers and agencies."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    needed = 4 * config.limits.connections + 256  # two listeners, and for each call in one out
    if soft != resource.RLIM_INFINITY and soft < needed:
        _LOG.warning(
            "%d open files are allowed, %d connections per listener may need %d",
            soft,
            config.limits.connections,
            needed,
        )


def run(config: NodeConfig) -> None:
    """Run a node in this process until it is told to stop."""
    os.umask(0o077)
    handler = logging.StreamHandler()
    handler.setFormatter(LogLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    _raise_descriptor_limit(config)
    uvloop.run(Node(config).run())
