"""The global configuration in use: fetched, verified, kept on disk, refreshed aside with retries, never older, never stale.

One `Picture` at a time, replaced whole. What fails (unreachable, forged, older, malformed) leaves the picture as it was and is
reported; when the picture itself expires, traffic stops with a message that says when. Implements X-Road's configuration client
(PR-GCONF); formats and signatures are `exchange.confdir`'s.
"""

from __future__ import annotations

import asyncio
import http.client
import logging
import random
import shutil
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kerege.exchange import confdir, globalconf, rules
from kerege.exchange.errors import (
    ConfigurationExpired,
    ConfigurationForged,
    ConfigurationMalformed,
    ConfigurationMissing,
    ConfigurationOlder,
)
from kerege.exchange.globalconf import PrivateParameters, SharedParameters
from kerege.exchange.rules import Rules
from kerege.exchange.trust import Trust
from kerege.ground.clock import now as utc_clock
from kerege.ground.errors import KeregeError
from kerege.node.config import NodeConfig
from kerege.node.errors import ConfigurationUnreachable

_LOG: Final = logging.getLogger("kerege.node.configuration")
_TIMEOUT: Final = 10.0
_LARGEST: Final = 64 * 1024 * 1024
_DIRECTORY_FILE: Final = "directory"
_OLD_POLLS: Final = 3
_OLD_AT_LEAST: Final = timedelta(minutes=2)


@dataclass(frozen=True)
class Picture:
    """One verified configuration, everything the message path asks of it ready in memory."""

    directory: confdir.Directory
    body: bytes
    files: dict[str, bytes]  # by identifier
    shared: SharedParameters
    private: PrivateParameters | None
    rules: Rules
    trust: Trust

    def check_fresh(self, now: datetime) -> None:
        if now >= self.directory.expires:
            raise ConfigurationExpired(
                expired=f"{self.directory.expires:%Y-%m-%d %H:%M:%SZ}", now=f"{now:%Y-%m-%d %H:%M:%SZ}"
            )


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """What one refresh did: changed, unchanged, or the problem."""

    changed: bool
    problem: KeregeError | None


Listener = Callable[[Picture], Awaitable[None] | None]


class Keeper:
    """Holds the picture in use and refreshes it."""

    def __init__(self, anchor: confdir.Anchor, state: Path, clock: Callable[[], datetime]) -> None:
        self._anchor, self._folder, self._clock = anchor, state / "configuration", clock
        self._picture: Picture | None = None
        self._refreshing = asyncio.Lock()
        self._listeners: list[Listener] = []
        self.problem: KeregeError | None = None
        self.last_success: datetime | None = None
        self._begun = clock()

    @property
    def picture(self) -> Picture | None:
        """The picture in use, fresh or not."""
        return self._picture

    def current(self, now: datetime) -> Picture:
        """The picture to decide on at `now`. Raises ConfigurationMissing or ConfigurationExpired."""
        picture = self._picture
        if picture is None:
            problem = self.problem.text if self.problem else "not fetched yet"
            raise ConfigurationMissing(source=self._anchor.sources[0][0], problem=problem)
        if now >= picture.directory.expires:
            picture.check_fresh(now)
        return picture

    def overdue(self, poll_seconds: float, now: datetime) -> bool:
        """True when no check succeeded for several polls: the picture may still be in force, but nobody looks after it."""
        since = self.last_success or self._begun
        return now - since > max(_OLD_POLLS * timedelta(seconds=poll_seconds), _OLD_AT_LEAST)

    def on_change(self, listener: Listener) -> None:
        """Call `listener` with every new picture, before it comes into use."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Take up what is kept on disk (verified anew), then try to fetch."""
        try:
            kept = await asyncio.to_thread(self._load)
            if kept is not None:
                await self._take(kept)
        except KeregeError as problem:
            _LOG.warning("the configuration kept on disk is not used: %s", problem)
        except Exception as problem:  # noqa: BLE001 - whatever lies on disk, the node starts and fetches
            _LOG.warning("the configuration kept on disk is not used (%s)", type(problem).__name__, exc_info=problem)
        await self.refresh()

    async def refresh(self) -> RefreshResult:
        """Fetch now. Never raises for what the network, the publisher or a bug does; says it."""
        async with self._refreshing:
            problem: KeregeError | None = None
            for url in dict.fromkeys(url for url, _ in self._anchor.sources):
                try:
                    fetched = await asyncio.to_thread(self._fetch, url, self._picture)
                    changed = self._picture is None or fetched.files != self._picture.files
                    await self._take(fetched)
                except KeregeError as refused:
                    problem = refused
                    continue
                except Exception as unforeseen:  # noqa: BLE001 - one odd answer must not end the polling
                    problem = _unforeseen(url, unforeseen)
                    continue
                try:
                    await asyncio.to_thread(self._save, fetched)
                except OSError as trouble:
                    _LOG.warning("the configuration could not be kept on disk: %s", trouble.strerror)
                self.problem = None
                self.last_success = self._clock()
                return RefreshResult(changed, None)
            if problem is not None and (self.problem is None or self.problem.text != problem.text):
                _LOG.warning("configuration: %s", problem)
            self.problem = problem
            if self._picture is not None:
                try:
                    await self._take(self._picture)  # OCSP answers are kept fresh while the publisher is away
                except Exception as unforeseen:  # noqa: BLE001 - as above
                    _unforeseen(self._anchor.sources[0][0], unforeseen)
            return RefreshResult(False, problem)

    async def run(self, poll_seconds: float) -> None:
        """Refresh for ever: every `poll_seconds`, sooner after a failure, with jitter so that nodes do not knock together."""
        wait = poll_seconds if self.problem is None else min(poll_seconds, 1.0)
        while True:
            await asyncio.sleep(wait * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, not a secret
            try:
                problem = (await self.refresh()).problem
            except Exception as unforeseen:  # noqa: BLE001 - the loop ends only when the node does
                problem = self.problem = _unforeseen(self._anchor.sources[0][0], unforeseen)
            # after a failure begin again soon, then back off to the usual pace; a network error never sticks
            wait = poll_seconds if problem is None else min(poll_seconds, max(0.5, min(wait, 30.0) / 2))

    async def _take(self, picture: Picture) -> None:
        old = self._picture
        if old is not None and old.shared == picture.shared:
            picture = replace(picture, trust=old.trust)  # what was checked stays checked
        for listener in self._listeners:
            outcome = listener(picture)
            if outcome is not None:
                await outcome
        self._picture = picture

    # --- in a thread ---

    def _fetch(self, url: str, current: Picture | None) -> Picture:
        separator = "&" if "?" in url else "?"
        body = _get(f"{url}{separator}version={confdir.VERSION}", url)
        certificates = [certificate for source, certificate in self._anchor.sources if source == url]
        directory = confdir.verify_directory(body, certificates, url)
        self._check_directory(directory, url, current)
        files: dict[str, bytes] = {}
        for part in directory.parts:
            known = current.directory.part(part.identifier) if current else None
            if (
                current is not None
                and known is not None
                and (known.algorithm, known.digest) == (part.algorithm, part.digest)
            ):
                files[part.identifier] = current.files[part.identifier]
            else:
                files[part.identifier] = confdir.check_file(part, _get_part(url, part.location), url)
        picture = self._as_picture(directory, body, files, url)
        if current is not None and picture.rules.version < current.rules.version:
            raise ConfigurationOlder(
                source=url, found=f"rules {picture.rules.version}", current=f"rules {current.rules.version}"
            )
        return picture

    def _check_directory(self, directory: confdir.Directory, url: str, current: Picture | None) -> None:
        for part in directory.parts:
            if part.instance and part.instance != self._anchor.instance:
                raise ConfigurationForged(source=url, reason=f"it is of instance {part.instance}")
        if current is not None and directory.generation < current.directory.generation:
            raise ConfigurationOlder(source=url, found=directory.generation, current=current.directory.generation)
        now = self._clock()
        if now >= directory.expires:
            raise ConfigurationExpired(
                expired=f"{directory.expires:%Y-%m-%d %H:%M:%SZ}", now=f"{now:%Y-%m-%d %H:%M:%SZ}"
            )

    def _as_picture(self, directory: confdir.Directory, body: bytes, files: dict[str, bytes], source: str) -> Picture:
        picture = _picture(directory, body, files)
        # the directory's parts say an instance each; the signed content must say the same as the anchor
        if picture.shared.instance != self._anchor.instance:
            raise ConfigurationForged(
                source=source, reason=f"its shared parameters are of instance {picture.shared.instance}"
            )
        return picture

    def _save(self, picture: Picture) -> None:
        new = self._folder.with_name("configuration.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        (new / _DIRECTORY_FILE).write_bytes(picture.body)
        for identifier, content in picture.files.items():
            (new / identifier).write_bytes(content)
        old = self._folder.with_name("configuration.old")
        shutil.rmtree(old, ignore_errors=True)
        if self._folder.exists():
            self._folder.rename(old)
        new.rename(self._folder)
        shutil.rmtree(old, ignore_errors=True)

    def _load(self) -> Picture | None:
        folder = self._folder
        if not folder.exists():
            folder = self._folder.with_name("configuration.old")  # cut between the two renames
        if not (folder / _DIRECTORY_FILE).exists():
            return None
        body = (folder / _DIRECTORY_FILE).read_bytes()
        directory = confdir.verify_directory(body, [c for _, c in self._anchor.sources], "the state folder")
        files = {}
        for part in directory.parts:
            kept = folder / part.identifier
            if not kept.exists():
                raise ConfigurationMalformed(part=part.identifier, reason="the file kept on disk is gone")
            files[part.identifier] = confdir.check_file(part, kept.read_bytes(), "the state folder")
        return self._as_picture(directory, body, files, "the state folder")


def _unforeseen(url: str, problem: Exception) -> ConfigurationUnreachable:
    """A problem nobody thought of, with its trace in the node's own log and its class in what is told."""
    _LOG.error("configuration: unforeseen %s", type(problem).__name__, exc_info=problem)
    return ConfigurationUnreachable(url=url, reason=f"taking it up failed with {type(problem).__name__}")


def _picture(directory: confdir.Directory, body: bytes, files: dict[str, bytes]) -> Picture:
    if confdir.SHARED not in files:
        raise ConfigurationMalformed(part="directory", reason="it names no shared parameters")
    shared = globalconf.parse_shared(files[confdir.SHARED])
    private = globalconf.parse_private(files[confdir.PRIVATE]) if confdir.PRIVATE in files else None
    own = rules.parse(files[confdir.RULES]) if confdir.RULES in files else rules.empty(shared.instance)
    if own.instance != shared.instance:
        raise ConfigurationMalformed(part="rules", reason=f"they are of instance {own.instance}")
    return Picture(directory, body, files, shared, private, own, Trust(shared))


def _get_part(url: str, location: str) -> bytes:
    """A file of the directory: at the same host's root as X-Road publishes, or below the directory's own address."""
    parts = urlsplit(url)
    try:
        return _get(f"{parts.scheme}://{parts.netloc}{location}", url)
    except ConfigurationUnreachable:
        below = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}{location}"
        return _get(below, url)


def _get(address: str, url: str) -> bytes:
    if urlsplit(address).scheme not in {"http", "https"}:
        raise ConfigurationUnreachable(url=url, reason="the anchor's address is not http(s)")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=_TIMEOUT) as answer:
            body: bytes = answer.read(_LARGEST + 1)
    except urllib.error.HTTPError as problem:
        raise ConfigurationUnreachable(
            url=url, reason=f"it answered {problem.code} for {urlsplit(address).path}"
        ) from None
    except http.client.HTTPException as problem:  # neither an OSError nor a ValueError
        raise ConfigurationUnreachable(
            url=url, reason=f"it did not answer in valid HTTP ({type(problem).__name__})"
        ) from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "reason", None) or problem
        raise ConfigurationUnreachable(url=url, reason=str(reason)) from None
    if len(body) > _LARGEST:
        raise ConfigurationUnreachable(url=url, reason=f"it sent more than {_LARGEST} bytes")
    return body


def kept_trust(config: NodeConfig) -> Trust:
    """The trust under the configuration a node keeps on disk, for tools that read its log. Raises ConfigurationMissing."""
    anchor = confdir.parse_anchor(config.anchor.read_bytes())
    picture = Keeper(anchor, config.state, utc_clock)._load()
    if picture is None:
        raise ConfigurationMissing(source=anchor.sources[0][0], problem="none is kept on disk")
    return picture.trust
