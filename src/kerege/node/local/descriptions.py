"""Fetches the descriptions of this node's own data services (WSDL, OpenAPI) from where the configuration says: a URL or a file.

Bounded in size and time; redirects and references inside are not followed, so a description cannot make the node call elsewhere. Kept for
a minute, so that a curious caller does not become load on the agency's system; a failure is kept for some seconds.
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeVar
from urllib.parse import urlsplit

from kerege.exchange import openapi_wsdl
from kerege.exchange.errors import DescriptionUnavailable
from kerege.node.config_types import Service

T = TypeVar("T")

_SECONDS: Final = 15.0
_KEPT_SECONDS: Final = 60.0
_FAILURE_SECONDS: Final = 10.0
_AT_ONCE: Final = 4
_PIECE: Final = 64 * 1024
_MOST_KEPT_BYTES: Final = 64 * 1024 * 1024
_TYPES: Final = {".json": "application/json", ".yaml": "application/yaml", ".yml": "application/yaml"}


@dataclass(frozen=True, slots=True)
class Description:
    """A description as the provider wrote it, and its media type."""

    data: bytes
    media_type: str


class Descriptions:
    """The descriptions of one node's services. `folder` is what relative file names are relative to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, tuple[float, Description | DescriptionUnavailable]] = {}
        self._results: dict[tuple[str, str], tuple[bytes, Any]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def of(self, service: Service) -> Description:
        """The description as it is at the provider. Raises DescriptionUnavailable."""
        place = service.description
        if place is None:
            raise DescriptionUnavailable(service=service.id, reason="the provider has given none")
        async with self._locks.setdefault(place, asyncio.Lock()):
            found = self._kept.get(place)
            if found is None or found[0] < time.monotonic():
                async with self._room:
                    found = await asyncio.to_thread(self._fetch, service, place)
                self._keep(place, found)
        if isinstance(found[1], DescriptionUnavailable):
            raise DescriptionUnavailable(service=service.id, reason=found[1].params["reason"])
        return found[1]

    async def endpoints(self, service: Service) -> tuple[tuple[str, str], ...]:
        """The endpoints an OpenAPI description lists; none when there is no description that can be read."""
        if service.kind != "openapi" or service.description is None:
            return ()
        try:
            return await self._made(service, openapi_wsdl.endpoints)
        except DescriptionUnavailable:
            return ()

    async def anonymous(self, service: Service) -> Description:
        """The description without the provider's addresses. Raises DescriptionUnavailable."""
        work = openapi_wsdl.anonymous_wsdl if service.kind == "wsdl" else openapi_wsdl.anonymous_openapi
        data = await self._made(service, work)
        return Description(data, (await self.of(service)).media_type)

    async def _made(self, service: Service, work: Callable[[bytes], T]) -> T:
        """What `work` makes of the description: made once for the same bytes, however often it is asked for."""
        description = await self.of(service)
        key = (str(service.description), work.__name__)
        async with self._locks.setdefault("/".join(key), asyncio.Lock()):
            kept = self._results.get(key)
            if kept is None or kept[0] != description.data:
                try:
                    result: Any = await asyncio.to_thread(work, description.data)
                except ValueError as problem:
                    result = problem
                if sum(len(data) for data, _ in self._results.values()) > _MOST_KEPT_BYTES:
                    self._results.clear()
                kept = self._results[key] = (description.data, result)
        if isinstance(kept[1], ValueError):
            raise DescriptionUnavailable(service=service.id, reason=str(kept[1]))
        made: T = kept[1]
        return made

    def _keep(self, place: str, found: tuple[float, Description | DescriptionUnavailable]) -> None:
        held = sum(len(one.data) for _, one in self._kept.values() if isinstance(one, Description))
        if held > _MOST_KEPT_BYTES:
            self._kept.clear()
        self._kept[place] = found

    # --- in a thread ---

    def _fetch(self, service: Service, place: str) -> tuple[float, Description | DescriptionUnavailable]:
        try:
            description = _download(service, place) if "://" in place else self._read(place)
        except http.client.HTTPException as problem:
            reason = f"what answers there does not speak valid HTTP ({type(problem).__name__})"
        except urllib.error.HTTPError as problem:
            reason = f"it was answered with HTTP {problem.code}"
        except (OSError, ValueError) as problem:
            reason = _reason(problem)
        else:
            return time.monotonic() + _KEPT_SECONDS, description
        return time.monotonic() + _FAILURE_SECONDS, DescriptionUnavailable(service=service.id, reason=reason)

    def _read(self, place: str) -> Description:
        file = self._folder / place
        with file.open("rb") as opened:
            data = opened.read(openapi_wsdl.LARGEST + 1)
        return Description(_bounded(data), _TYPES.get(file.suffix.lower(), "text/plain"))


def _reason(problem: Exception) -> str:
    """Why, without the address: callers at other organisations read it."""
    if isinstance(problem, TimeoutError):
        return f"it did not come within {_SECONDS:g} seconds"
    inner = getattr(problem, "reason", None)
    if isinstance(inner, ssl.SSLError):
        return "the provider's certificate is not accepted"
    if isinstance(inner, Exception):
        return _reason(inner)
    if isinstance(problem, OSError):
        return f"it could not be read ({problem.strerror or type(problem).__name__})"
    return str(problem)


def _bounded(data: bytes) -> bytes:
    if len(data) > openapi_wsdl.LARGEST:
        raise ValueError(f"it is larger than {openapi_wsdl.LARGEST} bytes")
    return data


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:
        return None  # the redirect itself is then the answer, and is no description


def _download(service: Service, url: str) -> Description:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError("its address is not http(s)")
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), _NoRedirect(), urllib.request.HTTPSHandler(context=_tls(service))
    )
    ends = time.monotonic() + _SECONDS
    with opener.open(url, timeout=_SECONDS) as answer:
        pieces, size = [], 0
        while piece := answer.read1(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > openapi_wsdl.LARGEST:
                raise ValueError(f"it is larger than {openapi_wsdl.LARGEST} bytes")
            if time.monotonic() > ends:  # the socket's own limit is for each read
                raise TimeoutError
        media_type = answer.headers.get("Content-Type", "").strip()
    plain = media_type.isascii() and media_type.isprintable() and len(media_type) < 200
    return Description(b"".join(pieces), media_type if plain and media_type else "text/plain")


def _tls(service: Service) -> ssl.SSLContext:
    """The system's authorities; or only the certificates pinned for the service."""
    if not service.certificates:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the very certificate is named, whatever it is called
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for pinned in service.certificates:
        context.load_verify_locations(cafile=pinned)
    return context
