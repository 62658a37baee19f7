"""The admin listener, on a loopback address: health, monitoring records, and fetching the configuration now."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson

from kerege.ground.clock import iso
from kerege.node.config import is_loopback
from kerege.node.core import Core
from kerege.node.httpserver import HttpRequest, HttpResponse
from kerege.node.keeper import RefreshResult

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?\Z")
_JSON = ((b"content-type", b"application/json; charset=utf-8"),)


class Admin:
    """Answers GET /health, GET /monitoring?since=MS and POST /refresh."""

    def __init__(self, core: Core, refresh: Callable[[], Awaitable[RefreshResult]]) -> None:
        self._core, self._refresh = core, refresh

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
        if route == ("GET", "/monitoring"):
            since = parse_qs(parts.query).get("since", ["0"])[-1]
            if not since.isdecimal() or len(since) > 15:
                return _json(400, {"error": "since is a moment in milliseconds since 1970"})
            self._core.monitor.flush()
            return _json(200, {"records": self._core.monitor.since(int(since))})
        if route == ("POST", "/refresh"):
            result = await self._refresh()
            answer: dict[str, Any] = {"ok": result.problem is None, "changed": result.changed, **self._configuration()}
            if result.problem is not None:
                answer["problem"] = result.problem.as_dict()
            return _json(200 if result.problem is None else 502, answer)
        known = parts.path in {"/health", "/monitoring", "/refresh"}
        return _json(405 if known else 404, {"error": "GET /health, GET /monitoring?since=, POST /refresh"})

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
        core, now = self._core, self._core.clock()
        problems = []
        picture = core.keeper.picture
        if picture is None or now >= picture.directory.expires:
            problems.append("there is no global configuration in force")
        if core.keeper.problem is not None:
            problems.append(str(core.keeper.problem))
        overdue = core.keeper.overdue(core.config.poll_seconds, now)
        if overdue:
            checked = core.keeper.last_success
            problems.append(f"the configuration was last checked {iso(checked) if checked else 'never'}")
        ended = sorted(name for name, task in core.background.items() if task.done())
        problems += [f"the background task {name} has ended" for name in ended]
        if core.log.failure is not None:
            problems.append(f"message log: {core.log.failure}")
        if not core.log.alive:
            problems.append("message log: its thread has ended")
        if core.revocation.problem is not None:
            problems.append(str(core.revocation.problem))
        unready = [str(member) for member in core.keys.signers if not core.keys.ready(member, now)]
        if unready:
            problems.append("no OCSP answer for signing certificates of " + ", ".join(sorted(unready)))
        until = core.revocation.auth_until
        authenticated = until is not None and now < until
        if not authenticated:
            problems.append("no OCSP answer for the authentication certificate")
        if core.translation.problem is not None:
            problems.append(f"translation: {core.translation.problem}")
        working = picture is not None and now < picture.directory.expires and not overdue and not ended
        logging = core.log.failure is None and core.log.alive
        return {
            "ok": working and logging and authenticated and not unready,
            "server": str(core.config.server),
            "problems": problems,
            **self._configuration(),
            "exchanges": {"succeeded": core.monitor.succeeded, "failed": core.monitor.failed},
            "log": {"records": core.log.records, "batches": core.log.batches},
        }


def _json(status: int, value: Any) -> HttpResponse:
    return HttpResponse(status, _JSON, orjson.dumps(value))
