"""Fetching from a configuration source: every fetch ends within its total deadline, whatever the source does.

A source may hang, drip single bytes, die in the middle of a body, announce more than it sends or send without end; each ends as
ConfigurationUnreachable with the reason. The time limit is `deadline`'s, which no byte renews. Runs in a thread (`keeper` calls it
there). Implements the downloads of X-Road's configuration client (PR-GCONF): HTTPS tried before HTTP, versions probed from the newest
down, files named by the directory.
"""

from __future__ import annotations

import http
import http.client
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from cryptography import x509

from kerege import __version__
from kerege.exchange.globalconf import VERSIONS, Anchor, SharedParameters
from kerege.node.conf.deadline import Deadline
from kerege.node.errors import ConfigurationUnreachable

LARGEST_DIRECTORY: Final = 1024 * 1024
LARGEST_PART: Final = 64 * 1024 * 1024
DIRECTORY_SECONDS: Final = 10.0
PART_SECONDS: Final = 60.0
_CHUNK: Final = 65536


class NotOffered(Exception):
    """The source answered 404."""


@dataclass(frozen=True, slots=True)
class Source:
    """One address of a directory and the certificates that may have signed it."""

    url: str
    certificates: tuple[x509.Certificate, ...]


def sources_of(anchor: Anchor, shared: SharedParameters | None = None, *, https_first: bool = True) -> list[Source]:
    """Where to look, in order: HTTPS addresses, then HTTP ones; the anchor's, then those the configuration itself adds.

    shared        the configuration in force: since version 3 it names the instance's central servers, so that a new server or
                  a new signing certificate is known before the anchor is changed
    https_first   also try an HTTP address over HTTPS, where it names no port of its own
    """
    found: dict[str, list[x509.Certificate]] = {}
    for url, certificate in anchor.sources:
        found.setdefault(url, []).append(certificate)
    if shared is not None and shared.instance == anchor.instance:
        hosts = {urlsplit(url).hostname: url for url, _ in anchor.sources}
        for source in shared.sources:
            if source.address in hosts:
                found[hosts[source.address]] += source.internal_certs
            elif source.internal_certs and _is_host(source.address):
                found[f"http://{source.address}/internalconf"] = list(source.internal_certs)
    out: dict[str, tuple[x509.Certificate, ...]] = {}
    for url, certificates in found.items():
        parts = urlsplit(url)
        if https_first and parts.scheme == "http" and parts.netloc and parts.netloc == (parts.hostname or ""):
            out.setdefault(urlunsplit(("https", *parts[1:])), tuple(dict.fromkeys(certificates)))
        known = out.get(url, ())
        out[url] = tuple(dict.fromkeys((*known, *certificates)))
    ordered = sorted(out.items(), key=lambda item: not item[0].startswith("https:"))
    return [Source(url, certificates) for url, certificates in ordered]


def _is_host(address: str) -> bool:
    return bool(address) and all(c.isascii() and (c.isalnum() or c in ".-") for c in address)


def versions_from(known: int | None) -> Sequence[int]:
    """The versions to ask for: the one that answered last, else all from the newest down."""
    return (known,) if known is not None else tuple(reversed(VERSIONS))


def directory_at(url: str, version: int, seconds: float = DIRECTORY_SECONDS) -> bytes:
    """The signed directory of one version. Raises NotOffered on 404, else ConfigurationUnreachable."""
    separator = "&" if "?" in url else "?"
    return get(f"{url}{separator}version={version}", url, seconds, LARGEST_DIRECTORY)


def part_at(url: str, location: str, seconds: float = PART_SECONDS) -> bytes:
    """A file of the directory: at the same host's root as X-Road publishes, or below the directory's own address."""
    parts = urlsplit(url)
    root = f"{parts.scheme}://{parts.netloc}"
    for address in (root + location, root + parts.path.rstrip("/") + location):
        with suppress(NotOffered):
            return get(address, url, seconds, LARGEST_PART)
    raise ConfigurationUnreachable(url=url, reason=f"it answered 404 for {location}")


def get(address: str, url: str, seconds: float, largest: int) -> bytes:
    """The body of a GET, within `seconds` from now and no larger than `largest`. `url` is what errors name.

    Raises NotOffered on 404, else ConfigurationUnreachable.
    """

    def bad(reason: str) -> ConfigurationUnreachable:
        return ConfigurationUnreachable(url=url, reason=reason)

    parts = urlsplit(address)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise bad("its port is not a number") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise bad("the anchor's address is not http(s)")
    connection = http.client.HTTPConnection(parts.hostname, port)
    connection.auto_open = 0  # a connection that was cut is not opened again
    limit = Deadline(seconds)
    try:
        with limit:
            connection.sock = limit.connect(parts.hostname, port, tls=parts.scheme == "https")
            body = _exchange(connection, urlunsplit(("", "", parts.path or "/", parts.query, "")), largest, bad)
            if limit.over:  # cut in a body without a length: what was read may be half of it
                raise TimeoutError
            return body
    except ConfigurationUnreachable as problem:
        if not limit.over:
            raise
        reason = problem.text
    except http.client.HTTPException as problem:  # neither an OSError nor a ValueError
        reason = f"it did not answer in valid HTTP ({type(problem).__name__})"
    except TimeoutError:
        reason = _late(seconds)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
    raise bad(_late(seconds) if limit.over else reason)


def _late(seconds: float) -> str:
    return f"it did not answer in full within {seconds:g} seconds"


def _exchange(
    connection: http.client.HTTPConnection, target: str, largest: int, bad: Callable[[str], ConfigurationUnreachable]
) -> bytes:
    connection.request("GET", target, headers={"User-Agent": f"kerege/{__version__}", "Connection": "close"})
    answer = connection.getresponse()
    if answer.status == http.HTTPStatus.NOT_FOUND:
        raise NotOffered
    if answer.status != http.HTTPStatus.OK:
        raise bad(f"it answered {answer.status} for {urlsplit(target).path}")
    if answer.length is not None and answer.length > largest:
        raise bad(f"it sends more than {largest} bytes")
    body = bytearray()
    while chunk := answer.read(_CHUNK):
        body += chunk
        if len(body) > largest:
            raise bad(f"it sends more than {largest} bytes")
    if answer.length:  # fewer bytes came than were announced
        raise bad(f"it broke off {answer.length} bytes before the end")
    return bytes(body)
