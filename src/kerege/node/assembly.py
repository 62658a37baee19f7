"""The parts of a node put together from its configuration: what `serve` then starts, reloads and stops."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from kerege.exchange import multipart
from kerege.exchange.logcrypt import LogKey
from kerege.exchange.messagelog import LogWriter
from kerege.node.carry import Carrier
from kerege.node.conf.keeper import Keeper, Picture, RefreshResult
from kerege.node.config_types import Address, LogSettings, NodeConfig
from kerege.node.connections import Connections
from kerege.node.consumer import Consumer
from kerege.node.contexts import Contexts
from kerege.node.contracts.contracting import Contracting
from kerege.node.contracts.counts import ContractCounts
from kerege.node.contracts.originals import Originals
from kerege.node.contracts.translate import TranslatorLoader, WireTranslation
from kerege.node.contracts.which import Contracts
from kerege.node.core import Core
from kerege.node.errors import NodeConfigInvalid
from kerege.node.folders import make_folder, written
from kerege.node.http.client import Pool
from kerege.node.keys.belonging import refused_everywhere
from kerege.node.keys.files import private_bytes
from kerege.node.keys.pairs import load_keys
from kerege.node.link.client import Link
from kerege.node.link.dial import dial
from kerege.node.local.admin import Admin
from kerege.node.local.descriptions import Descriptions
from kerege.node.local.health import Health
from kerege.node.local.localpages import LocalPages, from_log
from kerege.node.local.metaservices import Metaservices
from kerege.node.log.commit import CommitLog
from kerege.node.log.disksync import DiskSync
from kerege.node.log.keeping import KeepingSettings, LogKeeping
from kerege.node.log.records import Recorder
from kerege.node.ocsp.revocation import Revocation
from kerege.node.ocsp.server import OcspServer
from kerege.node.peers import Dial, Peers
from kerege.node.provider import Handler, Provider
from kerege.node.rest_consumer import RestConsumer
from kerege.node.rest_provider import Agency, RestProvider
from kerege.node.rights import Rights
from kerege.node.routes import Routes
from kerege.node.sealing import Sealing
from kerege.node.soap_consumer import SoapConsumer
from kerege.node.soap_provider import SoapProvider
from kerege.node.telling.environment import Environment
from kerege.node.telling.monitoring import Monitor, together
from kerege.node.telling.opmonitor import Store
from kerege.node.telling.telemetry import Metrics, certificates_of

if TYPE_CHECKING:
    from kerege.node.telling.tracing import Tracing

T = TypeVar("T")
ROOM = 4 * 1024 * 1024  # a message's other parts beside its body


@dataclass
class Parts:
    """A node put together and not started."""

    core: Core
    contexts: Contexts
    keeping: LogKeeping
    store: Store
    tracing: Tracing | None
    environment: Environment
    consumer: Consumer
    provider: Provider
    admin: Admin
    ocsp: OcspServer
    agency: Agency
    health: Health
    dial: Dial
    recovered: str | None


def assemble(
    config: NodeConfig,
    clock: Callable[[], datetime],
    translator: TranslatorLoader,
    refresh: Callable[[], Awaitable[RefreshResult]],
) -> Parts:
    """Everything but open listeners. Raises errors that name what to mend; the log's folder is locked from here on."""
    keys, contexts = load_keys(config), Contexts.of(config)
    keeper, log_key = Keeper.of(config, clock), read_log_key(config.log)
    for key, folder in (
        ("state", config.state),
        ("log.folder", config.log.folder),
        ("limits.spool", config.limits.spool),
    ):
        make_folder(key, folder)
    with written("state", config.state):
        connections = Connections.load(config, clock())
    with written("log.folder", config.log.folder):
        writer = LogWriter(config.log.folder, config.log.segment_bytes, log_key)
    log, limits, routes = CommitLog(writer, DiskSync.open()), config.limits, Routes(config)
    revocation = Revocation(keys, config.state, clock)
    store = Store(config.state / "monitoring.sqlite", config.monitoring.days)
    tracing = None
    if config.monitoring.traces_endpoint is not None:
        from kerege.node.telling.tracing import Tracing

        tracing = Tracing(config.server, config.monitoring.traces_endpoint, config.monitoring.traces_ratio)

    def dial_link(address: Address) -> Awaitable[Link]:
        return dial(core, address, contexts.link, core.config.limits.connect_seconds)

    memory, spool = limits.memory, limits.spool
    file = config.monitoring.file
    with written("monitoring", file.parent):
        monitor = Monitor(file, together(store.keep, tracing.keep if tracing else None), exchanges=tracing is not None)
    counts = ContractCounts(config.state, clock)
    core = Core(
        config=config,
        keys=keys,
        keeper=keeper,
        revocation=revocation,
        log=log,
        recorder=Recorder(config.log),
        sealing=Sealing(log, clock, batch=config.signatures.batch),
        monitor=monitor,
        rights=Rights(config),
        routes=routes,
        peers=Peers(
            Pool(
                limits.body + ROOM,
                limits.connect_seconds,
                contexts.wire if config.peer_tls else None,
                memory=memory,
                spool=spool,
            ),
            routes,
            revocation,
            clock,
            dial_link if config.link and config.peer_tls else None,
            config.peer_tls,
        ),
        agencies=Pool(limits.body, limits.connect_seconds, memory=memory, spool=spool),
        connections=connections,
        translation=WireTranslation(config.translation, translator),
        contracting=Contracting(
            config.server,
            Contracts(lambda: core.translation, counts.note),
            Originals(lambda: core.config.log, config.log.folder, log_key, clock),
            counts,
        ),
        clock=clock,
    )
    core.peers.forget = contexts.forget
    core.peers.own_trouble = lambda: refused_everywhere(core.config, core.keys, keeper.picture, clock())
    keeping = LogKeeping(
        log,
        keeping_settings(config, log_key),
        clock=clock,
        authorities=lambda: _now(keeper, lambda picture: picture.shared.timestamping, None),
        interval=lambda: _now(
            keeper, lambda picture: picture.private.timestamping_interval_seconds if picture.private else 60, 60
        ),
    )
    folders = (config.log.folder, config.state, limits.spool)
    environment = Environment(config.server, folders, lambda: certificates_of(core))
    agency = Agency(core)
    soap = SoapProvider(agency, limits, core)
    handlers: dict[bytes, Handler] = {
        multipart.REST_REQUEST: RestProvider(agency, core),
        multipart.SOAP: soap,
        multipart.XOP: soap,
    }
    meta = Metaservices(core, store, environment, Descriptions(config.file.parent))
    carrier = Carrier(core)
    pages = LocalPages(
        core,
        lambda client, http: core.connections.check(client, http),
        from_log(keeping.find, config.timestamps.enabled),
        keeping.stamp_now if config.timestamps.enabled else None,
    )
    health = Health(core, store, keeping.status)
    return Parts(
        core=core,
        contexts=contexts,
        keeping=keeping,
        store=store,
        tracing=tracing,
        environment=environment,
        consumer=Consumer(core, RestConsumer(core, carrier), SoapConsumer(core, carrier), pages.pages),
        provider=Provider(core, handlers, meta),
        admin=Admin(
            core,
            refresh,
            health=health,
            metrics=Metrics(core, store, keeping.status),
        ),
        ocsp=OcspServer(revocation.own_answers),
        agency=agency,
        health=health,
        dial=dial_link,
        recovered=writer.recovered,
    )


def read_log_key(settings: LogSettings) -> LogKey | None:
    """The key the log is encrypted with, None when it is not. Raises NodeKeyInvalid, NodeConfigInvalid, LogKeyWrong."""
    if settings.key_file is not None:
        return LogKey.parse(private_bytes(settings.key_file).decode("ascii", "replace"))
    if settings.key_env is None:
        return None
    found = os.environ.get(settings.key_env, "")
    if not found:
        raise NodeConfigInvalid(
            file=settings.folder, key="log.key_env", reason=f"the environment variable {settings.key_env} is not set"
        )
    return LogKey.parse(found)


def keeping_settings(config: NodeConfig, key: LogKey | None) -> KeepingSettings:
    return KeepingSettings(config.log, config.timestamps, config.state / "log-index.sqlite", key)


def _now(keeper: Keeper, of: Callable[[Picture], T], otherwise: T) -> T:
    picture = keeper.picture
    return otherwise if picture is None else of(picture)
