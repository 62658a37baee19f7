"""The node's process: puts the parts together, opens the three listeners, keeps configuration and OCSP answers fresh, stops cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import uvloop

from kerege.exchange import confdir, multipart
from kerege.exchange.messagelog import LogWriter
from kerege.node.admin import Admin
from kerege.node.carry import Carrier
from kerege.node.commit import CommitLog
from kerege.node.config import Address, NodeConfig
from kerege.node.consumer import Consumer
from kerege.node.core import Core, utc_now
from kerege.node.entrance import Factory
from kerege.node.errors import AddressInUse, NodeConfigInvalid
from kerege.node.httpclient import Pool
from kerege.node.httpserver import Handler, ServerLimits
from kerege.node.keeper import Keeper, Picture, RefreshResult
from kerege.node.keys import add_authorities, load_keys, tls_context
from kerege.node.link import ALPN
from kerege.node.link_client import Link, dial
from kerege.node.link_server import LinkServer
from kerege.node.listener import Listener
from kerege.node.monitoring import Monitor
from kerege.node.peers import Peers
from kerege.node.provider import Handler as ProtocolHandler
from kerege.node.provider import Provider
from kerege.node.records import Recorder
from kerege.node.rest_consumer import RestConsumer
from kerege.node.rest_provider import Agency, RestProvider
from kerege.node.revocation import Revocation
from kerege.node.rights import Rights
from kerege.node.routes import Routes
from kerege.node.sealing import Sealing
from kerege.node.soap_consumer import SoapConsumer
from kerege.node.soap_provider import SoapProvider
from kerege.node.translate import TranslatorLoader, WireTranslation, load_semantics

_LOG: Final = logging.getLogger("kerege.node")
_LEAVE_SECONDS: Final = 10.0
_MOST_FILES: Final = 65536
CLIENTS_WARNING: Final = (
    "listen.clients is %s without TLS: whoever reaches that port speaks for every client of this node"
)


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
        self._listeners: list[Listener] = []
        self.core: Core
        self.admin: Admin

    async def start(self) -> None:
        """Everything up and listening, the configuration fetched if it could be. Raises errors that name what to mend."""
        config = self._config
        keys = load_keys(config)
        assert config.anchor is not None
        try:
            anchor = confdir.parse_anchor(config.anchor.read_bytes())
        except OSError as problem:
            raise NodeConfigInvalid(
                file=config.anchor, key="configuration.anchor", reason=problem.strerror or "it cannot be read"
            ) from None
        server_tls, client_tls = tls_context(config, server=True), tls_context(config, server=False)
        link_tls = tls_context(config, server=False)
        link_tls.set_alpn_protocols([ALPN, "http/1.1"])
        if config.link:
            server_tls.set_alpn_protocols([ALPN, "http/1.1"])

        def dial_link(address: Address) -> Awaitable[Link]:
            return dial(self.core, address, link_tls, config.limits.connect_seconds)

        if not config.clients_address.loopback:
            _LOG.warning("%s", CLIENTS_WARNING % config.clients_address)
        for folder in (config.state, config.log.folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)  # also one that an older version left open to read
        writer = LogWriter(config.log.folder, config.log.segment_bytes)
        if writer.recovered:
            _LOG.warning("message log: %s", writer.recovered)
        room = config.limits.body + 4 * 1024 * 1024  # a message's other parts beside its body
        limits, log = config.limits, CommitLog(writer)
        revocation = Revocation(keys, config.state, self._clock)
        routes = Routes(config)
        self.core = core = Core(
            config=config,
            keys=keys,
            keeper=Keeper(anchor, config.state, self._clock),
            revocation=revocation,
            log=log,
            recorder=Recorder(config.log),
            sealing=Sealing(log, self._clock, batch=config.signatures.batch),
            monitor=Monitor(config.monitoring.file, config.server),
            rights=Rights(config),
            routes=routes,
            peers=Peers(
                Pool(room, limits.connect_seconds, client_tls if config.peer_tls else None),
                routes,
                revocation,
                self._clock,
                dial_link if config.link and config.peer_tls else None,
                config.peer_tls,
            ),
            agencies=Pool(limits.body, limits.connect_seconds),
            translation=WireTranslation(config.translation, self._translator),
            clock=self._clock,
        )

        async def prepare(picture: Picture) -> None:
            authorities = [
                certificate.certificate
                for authority in picture.authorities
                for certificate in (authority.top, *authority.intermediates)
            ]
            add_authorities(server_tls, authorities)
            add_authorities(client_tls, authorities)
            add_authorities(link_tls, authorities)
            await core.revocation.refresh_own(picture.trust)

        core.keeper.on_change(prepare)
        self.admin = Admin(core, self.refresh)
        try:
            await asyncio.to_thread(core.translation.reload)
            await core.keeper.start()
            many, each = config.limits.connections, config.limits.connections_per_address
            client_limits = ServerLimits(config.limits.body, many, each, max(config.limits.bodies, config.limits.body))
            server_limits = ServerLimits(room, many, each, max(config.limits.bodies, room))
            admin_limits = ServerLimits(65536, 64, 64, 1024 * 1024)
            carrier, agency = Carrier(core), Agency(core)
            consumer = Consumer(core, RestConsumer(core, carrier), SoapConsumer(core, carrier))
            soap = SoapProvider(agency, config.limits)
            handlers: dict[bytes, ProtocolHandler] = {multipart.REST_REQUEST: RestProvider(agency)}
            handlers |= {multipart.SOAP: soap, multipart.XOP: soap}
            provider = Provider(core, handlers)
            await self._listen(config.clients_address, "clients", consumer.handle, client_limits)
            await self._listen(
                config.servers_address,
                "servers",
                provider.handle,
                server_limits,
                server_tls if config.peer_tls else None,
                link=(lambda lost: LinkServer(core, provider, lost)) if config.link else None,
            )
            await self._listen(config.admin_address, "admin", self.admin.handle, admin_limits)
        except BaseException:
            await self.stop()
            raise
        core.background["configuration"] = asyncio.create_task(core.keeper.run(config.poll_seconds))
        _LOG.info(
            "%s listens for clients on %s, for servers on %s",
            config.server,
            config.clients_address,
            config.servers_address,
        )

    async def _listen(
        self,
        address: Address,
        purpose: str,
        handler: Handler,
        limits: ServerLimits,
        tls: ssl.SSLContext | None = None,
        link: Factory | None = None,
    ) -> None:
        listener = Listener(handler, limits, tls, link=link)
        try:
            await listener.open(address)
        except OSError as problem:
            raise AddressInUse(address=address, purpose=purpose, reason=problem.strerror or "refused") from None
        self._listeners.append(listener)

    async def refresh(self) -> RefreshResult:
        """Read the country pack and fetch the configuration again, now."""
        await asyncio.to_thread(self.core.translation.reload)
        return await self.core.keeper.refresh()

    async def stop(self) -> None:
        """Stop listening, let answers under way finish, write what waits, close the log."""
        for listener in self._listeners:
            listener.close()
        connections = [connection for listener in self._listeners for connection in listener.connections]
        for connection in connections:
            connection.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                while any(connection.busy for connection in connections):
                    await asyncio.sleep(0.02)
        core = self.core
        for task in core.background.values():
            task.cancel()
        await asyncio.gather(*core.background.values(), return_exceptions=True)
        core.peers.close()
        core.agencies.close()
        await asyncio.to_thread(core.log.close)
        core.monitor.close()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP refreshes."""
        await self.start()
        loop = asyncio.get_running_loop()
        leave = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, leave.set)
        refreshing: set[asyncio.Task[RefreshResult]] = set()

        def again() -> None:
            task = loop.create_task(self.refresh())
            refreshing.add(task)
            task.add_done_callback(refreshing.discard)

        loop.add_signal_handler(signal.SIGHUP, again)
        await leave.wait()
        await self.stop()


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
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    _raise_descriptor_limit(config)
    uvloop.run(Node(config).run())
