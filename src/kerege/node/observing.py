"""Everything that watches a node, put together from its configuration: what the core needs to wire, in one place.

`Observing` first (it makes the monitor the core carries), `attach` when the core is there, `close` when the last exchange is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from kerege.node.config_types import NodeConfig
from kerege.node.core import Core
from kerege.node.descriptions import Descriptions
from kerege.node.environment import Environment
from kerege.node.health import Health
from kerege.node.metaservices import Metaservices
from kerege.node.monitoring import Monitor, together
from kerege.node.opmonitor import Store
from kerege.node.telemetry import Metrics, Tracing, certificates_of

_CLOSE_SECONDS: Final = 10.0


class Observing:
    """The watchers of one node; made inside the running event loop's thread, before traffic."""

    def __init__(self, config: NodeConfig, clock: Callable[[], datetime]) -> None:
        self._config, self._clock = config, clock
        settings = config.monitoring
        self.store = Store(config.state / "opmonitor.db", settings.days)
        self.tracing = (
            Tracing(config.server, settings.traces_endpoint, settings.traces_ratio)
            if settings.traces_endpoint is not None
            else None
        )
        keeper = together(self.store.keep, self.tracing.keep if self.tracing else None)
        self.monitor = Monitor(settings.file, config.server, keeper)

    def attach(self, core: Core, log_status: Callable[[], Mapping[str, Any]] | None = None) -> None:
        """Make `metaservices` (for `Provider`), `health` and `metrics` (for `Admin`), and the `environment` task."""
        folders = (self._config.log.folder, self._config.state)
        self.environment = Environment(self._config.server, folders, lambda: certificates_of(core), self._clock)
        self.descriptions = Descriptions(self._config.file.parent)
        self.metaservices = Metaservices(core, self.store, self.environment, self.descriptions)
        self.health = Health(core, self.store, log_status)
        self.metrics = Metrics(core, self.store, log_status)
        core.background["environment"] = asyncio.create_task(self.environment.run())

    async def close(self) -> None:
        """Write what waits. After the listeners are closed; `core.background` is cancelled by the node."""
        self.monitor.close()
        await asyncio.to_thread(self.store.close)
        if self.tracing is not None:
            tracing = self.tracing
            await asyncio.wait({asyncio.create_task(asyncio.to_thread(tracing.close))}, timeout=_CLOSE_SECONDS)
