"""The admin listener, on a loopback address: health, metrics, monitoring records, and fetching the configuration now."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson

from kerege.ground.clock import iso
from kerege.node.conf.keeper import RefreshResult
from kerege.node.config import is_loopback
from kerege.node.core import Core
from kerege.node.errors import AdminCallUnknown
from kerege.node.http.messages import HttpRequest, HttpResponse
from kerege.node.local.health import FAILED, Health
from kerege.node.telling.telemetry import MEDIA_TYPE, Metrics

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?\Z")
_SHOWN: Final = 100  # of a path
_PATHS: Final = frozenset({"/health", "/ready", "/live", "/metrics", "/monitoring", "/contracts", "/refresh"})
_JSON = ((b"content-type", b"application/json; charset=utf-8"),)


class Admin:
    """Answers GET /health, /ready, /live, /metrics, /monitoring?since=MS, /contracts and POST /refresh. `metrics` None: there is no GET /metrics."""

    def __init__(
        self,
        core: Core,
        refresh: Callable[[], Awaitable[RefreshResult]],
        *,
        health: Health | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._core, self._refresh, self._metrics = core, refresh, metrics
        self._parts = health or Health(core)

    async def handle(self, http: HttpRequest) -> HttpResponse:
        # a page in a browser on this machine must not get in: not under a name of its own, not by a cross-site request
        host = _HOST.match(http.header(b"host"))
        if host is None or not is_loopback(host[1]) or http.header(b"origin"):
            return _json(403, {"error": "the admin listener is called by a loopback name (Host), and by no web page"})
        parts = urlsplit(http.target)
        route = (http.method, parts.path)
        if route == ("GET", "/health"):
            health = self._health()
            return _json(200 if health["ok"] else 503, health)
        if route == ("GET", "/ready"):
            return self._ready()
        if route == ("GET", "/live"):
            return _json(200, {"live": True})
        if route == ("GET", "/metrics") and self._metrics is not None:
            return HttpResponse(200, ((b"content-type", MEDIA_TYPE.encode()),), self._metrics.render())
        if route == ("GET", "/monitoring"):
            since = parse_qs(parts.query).get("since", ["0"])[-1]
            if not since.isdecimal() or len(since) > 15:
                return _json(400, {"error": "since is a moment in milliseconds since 1970"})
            self._core.monitor.flush()
            return _json(200, {"records": self._core.monitor.since(int(since))})
        if route == ("GET", "/contracts") and self._core.contracting.counts is not None:
            return _json(200, self._core.contracting.counts.report())
        if route == ("POST", "/refresh"):
            result = await self._refresh()
            answer: dict[str, Any] = {"ok": result.problem is None, "changed": result.changed, **self._configuration()}
            if result.problem is not None:
                answer["problem"] = result.problem.as_dict()
            return _json(200 if result.problem is None else 502, answer)
        known, there = parts.path in _PATHS, "GET " + ", ".join(sorted(_PATHS - {"/refresh"})) + "; POST /refresh"
        problem = AdminCallUnknown(call=f"{http.method} {parts.path[:_SHOWN]}", there=there)
        return _json(405 if known else 404, problem.as_dict())

    def _configuration(self) -> dict[str, Any]:
        picture = self._core.keeper.picture
        if picture is None:
            return {"configuration": None}
        return {
            "configuration": {
                "instance": picture.shared.instance,
                "version": picture.rules.version,
                "generation": picture.directory.generation,
                "expires": iso(picture.directory.expires),
                "expired": self._core.clock() >= picture.directory.expires,
            }
        }

    def _health(self) -> dict[str, Any]:
        core = self._core
        parts = self._parts.parts(core.clock())
        return {
            "ok": all(part.state != FAILED for part in parts),
            "server": str(core.config.server),
            "problems": [problem for part in parts for problem in part.problems],
            "parts": {part.name: part.as_dict() for part in parts},
            **self._configuration(),
            "exchanges": {"succeeded": core.monitor.succeeded, "failed": core.monitor.failed},
            "log": {"records": core.log.records, "batches": core.log.batches},
            "contracts": {} if core.contracting.counts is None else core.contracting.counts.totals(),
        }

    def _ready(self) -> HttpResponse:
        """Whether messages would be taken now: for what sends traffic here, which needs no more than yes or no and why."""
        failed = [part for part in self._parts.parts(self._core.clock()) if part.state == FAILED]
        return _json(503 if failed else 200, {"ready": not failed, "failed": [part.name for part in failed]})


def _json(status: int, value: Any) -> HttpResponse:
    return HttpResponse(status, _JSON, orjson.dumps(value))
