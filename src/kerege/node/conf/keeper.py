"""The global configuration in use: fetched, verified, kept on disk, refreshed aside with retries, never older, never stale.

One `Picture` at a time, replaced whole. What fails (unreachable, forged, older, malformed) leaves the picture as it was and is
reported; when the picture itself expires, traffic stops with a message that says when and what the last problem was. Partners of a
federation (anchors in the private parameters) are fetched likewise, each on its own: a partner that fails or expires stops traffic
with its members only. Implements X-Road's configuration client (PR-GCONF); formats and signatures are `exchange.confdir`'s, downloads
`conf.fetch`'s, what lies on disk `conf.kept`'s. Instead of an anchor a folder laid out by another configuration client may be followed
(`exchange.conflayout`).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from kerege.exchange import confdir, conflayout
from kerege.exchange.errors import (
    ConfigurationMalformed,
    ConfigurationMissing,
    ConfigurationOlder,
    ExchangeError,
)
from kerege.exchange.globalconf import Anchor
from kerege.ground.errors import KeregeError
from kerege.node.conf import fetch as conffetch
from kerege.node.conf.follower import Follower
from kerege.node.conf.kept import Floor, Floors, advice, fingerprints, folder_name, load, save
from kerege.node.conf.picture import Fetched, check_partner, expired, picture_of
from kerege.node.conf.picture import Picture as Picture
from kerege.node.config import NodeConfig
from kerege.node.errors import ConfigurationUnreachable, NodeConfigInvalid

_LOG: Final = logging.getLogger("kerege.node.configuration")
_OLD_POLLS: Final = 3
_OLD_AT_LEAST: Final = timedelta(minutes=2)
_MOST_PARTNERS: Final = 64
_SEE: Final = "See that the central server answers at that address."


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """What one refresh did: changed, unchanged, or the problem."""

    changed: bool
    problem: KeregeError | None


Listener = Callable[[Picture], Awaitable[None] | None]


def backoff(failures: int, poll_seconds: float) -> float:
    """Seconds to wait after so many failures in a row: exponential up to the poll, with full jitter, never nothing."""
    most = min(poll_seconds, 2.0 ** min(failures, 16) / 2)
    return max(random.uniform(0, most), min(0.05, most))  # noqa: S311 - jitter, not a secret


class Keeper:
    """Holds the picture in use and refreshes it."""

    def __init__(
        self,
        anchor: Anchor | None,
        state: Path,
        clock: Callable[[], datetime],
        *,
        folder: Path | None = None,
        https_first: bool = True,
        keeps: bool = True,
    ) -> None:
        self._laid_out, self._clock, self._https_first = folder, clock, https_first
        self._own = None if anchor is None else Follower(anchor, clock, https_first=https_first)
        self._source = str(folder) if anchor is None else anchor.sources[0][0]
        self._folder, self._partner_folder = state / "configuration", state / "partners"
        self._floors, self._unsaved, self._keeps = Floors(state / "newest"), set[Path](), keeps
        self._picture: Picture | None = None
        self._partners: dict[str, Follower] = {}
        self.partner_problems: dict[str, KeregeError] = {}
        self._refreshing = asyncio.Lock()
        self._listeners: list[Listener] = []
        self.problem: KeregeError | None = None
        self.last_success: datetime | None = None
        self._begun, self._over = clock(), False

    @classmethod
    def of(cls, config: NodeConfig, clock: Callable[[], datetime], *, keeps: bool = True) -> Keeper:
        """The keeper a node's configuration asks for: following an anchor, or a laid-out folder. Raises NodeConfigInvalid.

        keeps   whether what is fetched is kept on disk; a command beside the node only reads what the node kept
        """
        if config.anchor is None:
            return cls(None, config.state, clock, folder=config.configuration_folder)
        try:
            return cls(confdir.parse_anchor(config.anchor.read_bytes()), config.state, clock, keeps=keeps)
        except (OSError, ExchangeError) as problem:
            said = problem.text if isinstance(problem, ExchangeError) else problem.strerror or "it cannot be read"
            reason, do = f"{config.anchor}: {said.rstrip('.')}", "Put there the anchor that the central services give."
            raise NodeConfigInvalid(file=config.file, key="configuration.anchor", reason=reason, do=do) from None

    @property
    def picture(self) -> Picture | None:
        """The picture in use, fresh or not."""
        return self._picture

    def current(self, now: datetime) -> Picture:
        """The picture to decide on at `now`. Raises ConfigurationMissing or ConfigurationExpired."""
        picture = self._picture
        if picture is None:
            problem = self.problem.text if self.problem else "not fetched yet"
            raise ConfigurationMissing(source=self._source, problem=problem)
        if now >= picture.directory.expires:
            picture.check_fresh(now, self.problem, self.last_success)
        ends = picture.partner_ends
        if ends is not None and now >= ends:
            picture = self._picture = picture.federated(picture.partners, picture.shared.closed, now, picture)
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
        except OSError as trouble:
            _LOG.warning("the configuration kept on disk is not used: %s", advice(self._folder, trouble))
        except Exception as problem:  # noqa: BLE001 - whatever lies on disk, the node starts and fetches
            _LOG.warning("the configuration kept on disk is not used (%s)", type(problem).__name__, exc_info=problem)
        await self.refresh()

    async def refresh(self) -> RefreshResult:
        """Fetch now. Never raises for what the network, the publisher or a bug does; says it."""
        async with self._refreshing:
            try:
                fetched, problem = await self._fetch_own()
                before = self._picture
                picture = fetched or before
                changed = fetched is not None and (before is None or fetched.files != before.files)
                if fetched is not None and self._anchors(fetched):  # no partner keeps the own instance waiting
                    await self._take(self._with_kept(fetched))
                if picture is not None:  # also without a new one: partners, and OCSP answers, are kept fresh
                    await self._take(await self._with_partners(picture))
            except Exception as unforeseen:  # noqa: BLE001 - one odd answer must not end the polling
                fetched, changed, problem = None, False, _unforeseen(self._source, unforeseen)
            over = self._tell()
            if isinstance(problem, ConfigurationUnreachable) and over:
                problem = ConfigurationUnreachable(**problem.params, do=f"{over} {_SEE}")
            if fetched is not None and problem is None:
                self.problem, self.last_success = None, self._clock()
                return RefreshResult(changed, None)
            if problem is not None and (self.problem is None or self.problem.text != problem.text):
                _LOG.warning("configuration: %s", problem)
            self.problem = problem
            return RefreshResult(False, problem)

    def _tell(self) -> str:
        """Say in the log that no configuration is in force any more, or that one is again; what follows from it, empty where one is."""
        picture = self._picture
        if picture is None:
            return "There is no configuration yet, and without one no message is exchanged."
        ends = f"{picture.directory.expires:%Y-%m-%d %H:%M:%SZ}"
        was, self._over = self._over, self._clock() >= picture.directory.expires
        if self._over and not was:
            _LOG.warning("the configuration expired at %s: no message is exchanged until a newer one comes", ends)
        elif was and not self._over:
            _LOG.info("a configuration is in force again, until %s: messages are exchanged", ends)
        return (
            f"The configuration expired at {ends}, and no message is exchanged until a newer one comes."
            if self._over
            else ""
        )

    async def run(self, poll_seconds: float) -> None:
        """Refresh for ever: every `poll_seconds`, sooner after a failure, with jitter so that nodes do not knock together."""
        failures = 0 if self.problem is None else 1
        while True:
            steady = poll_seconds * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret
            await asyncio.sleep(backoff(failures, poll_seconds) if failures else steady)
            try:
                problem = (await self.refresh()).problem
            except Exception as unforeseen:  # noqa: BLE001 - the loop ends only when the node does
                problem = self.problem = _unforeseen(self._source, unforeseen)
            failures = 0 if problem is None else failures + 1

    async def _fetch_own(self) -> tuple[Picture | None, KeregeError | None]:
        """The own instance's picture from the first source that gives one, or the last problem."""
        current, problem = self._picture, None
        if self._own is None:
            try:
                return await asyncio.to_thread(self._read_folder), None
            except KeregeError as refused:
                return None, refused
            except Exception as unforeseen:  # noqa: BLE001 - as in refresh
                return None, _unforeseen(self._source, unforeseen)
        for source in self._own.sources(current.shared if current else None):
            try:
                return await asyncio.to_thread(self._fetch, source, current), None
            except KeregeError as refused:
                # an address tried only in hope of HTTPS says less than the anchor's own
                hoped = source.url not in dict(self._own.anchor.sources)
                problem = problem if hoped and problem is not None else refused
            except Exception as unforeseen:  # noqa: BLE001 - as in refresh
                problem = _unforeseen(source.url, unforeseen)
        return None, problem

    async def _with_partners(self, picture: Picture) -> Picture:
        """`picture` with the partners its private parameters name, each fetched, or as it was kept."""
        if self._own is None:
            closed = {instance: problem.text.rstrip(".") for instance, problem in self.partner_problems.items()}
            return picture.federated(picture.partners, closed, self._clock(), self._picture)
        wanted, before = self._anchors(picture), (self._picture or picture).partners
        partners = {instance: kept for instance, kept in before.items() if instance in wanted}
        known = {i: one for i, one in self._partners.items() if wanted.get(i) == one.anchor}
        self._partners = {
            i: known.get(i) or Follower(anchor, self._clock, https_first=self._https_first)
            for i, anchor in wanted.items()
        }
        tasks = [asyncio.to_thread(self._fetch_partner, one, partners.get(i)) for i, one in self._partners.items()]
        problems: dict[str, KeregeError] = {}
        for instance, (fetched, problem) in zip(self._partners, await asyncio.gather(*tasks), strict=True):
            if fetched is not None:
                partners[instance] = fetched
            if problem is not None:
                problems[instance] = problem
                known_problem = self.partner_problems.get(instance)
                if known_problem is None or known_problem.text != problem.text:
                    _LOG.warning("configuration of the partner %s: %s", instance, problem)
        self.partner_problems = problems
        closed = {instance: problem.text.rstrip(".") for instance, problem in problems.items()}
        return picture.federated(partners, closed, self._clock(), self._picture)

    def _anchors(self, picture: Picture) -> dict[str, Anchor]:
        """The partners' anchors by instance; none where a laid-out folder brings the partners itself."""
        listed = () if picture.private is None or self._own is None else picture.private.anchors[:_MOST_PARTNERS]
        return {anchor.instance: anchor for anchor in listed if anchor.instance != picture.shared.instance}

    def _with_kept(self, picture: Picture) -> Picture:
        """`picture` with what is known of its partners already."""
        before, wanted = self._picture, self._anchors(picture)
        kept = {} if before is None else {i: p for i, p in before.partners.items() if i in wanted}
        said = {} if before is None else {i: p for i, p in before.shared.closed.items() if i in wanted}
        closed = {instance: said.get(instance, "its configuration is being fetched") for instance in wanted}
        return picture.federated(kept, closed, self._clock(), before)

    async def _take(self, picture: Picture) -> None:
        for listener in self._listeners:
            outcome = listener(picture)
            if outcome is not None:
                await outcome
        self._picture = picture

    def kept(self) -> Picture | None:
        """What is kept on disk, verified anew, or what the laid-out folder holds; None when nothing is. Raises what does not hold."""
        return self._load() if self._own is not None else self._read_folder()

    # --- in a thread ---

    def _fetch(self, source: conffetch.Source, current: Picture | None) -> Picture:
        assert self._own is not None
        floor, kept = self._floor(), None if current is None else current.fetched
        fetched = self._own.fetch(source, kept, least=floor.generation)
        picture = self._as_picture(fetched, current, source.url)
        least = max(floor.rules, 0 if current is None else current.rules.version)
        if picture.rules.version < least:
            found = f"rules {picture.rules.version}"
            raise ConfigurationOlder(source=source.url, found=found, current=f"rules {least}")
        if self._save(self._folder, fetched, kept):
            signers = fingerprints(self._own.believed(picture.shared))
            self._floors.lift(
                picture.shared.instance, Floor(picture.directory.generation, picture.rules.version, signers)
            )
        return picture

    def _floor(self) -> Floor:
        """The newest that was taken; of nobody when the anchor names other signers than were believed then: a network made anew."""
        assert self._own is not None
        floor = self._floors.of(self._own.anchor.instance)
        same = not floor.signers or not floor.signers.isdisjoint(fingerprints(self._own.believed(None)))
        return floor if same else Floor()

    def _as_picture(self, fetched: Fetched, current: Picture | None, source: str) -> Picture:
        if current is not None and fetched.files == current.files:  # only signed anew: nothing to read again
            return replace(
                current, directory=fetched.directory, body=fetched.body, files=fetched.files, links=fetched.links
            )
        return picture_of(fetched, None if self._own is None else self._own.anchor.instance, source)

    def _fetch_partner(self, partner: Follower, kept: Fetched | None) -> tuple[Fetched | None, KeregeError | None]:
        """A partner's newest files, or the last problem. What was kept on disk counts until it expires."""
        instance, folder = partner.anchor.instance, self._partner_folder / folder_name(partner.anchor.instance)
        problem: KeregeError = ConfigurationMalformed(part=f"anchor of {instance}", reason="it names no usable source")
        stored, least = None, self._floors.of(instance).generation
        if kept is None:
            try:
                stored = kept = load(folder, lambda _: partner.believed(None), shared_only=True)
                if kept is not None:
                    _check_kept(kept, least)
                    check_partner(instance, kept)
            except Exception as refused:  # noqa: BLE001 - whatever lies on disk, the partner is fetched
                stored = kept = None
                _LOG.warning("what is kept of the partner %s is not used (%s)", instance, type(refused).__name__)
        for source in partner.sources(None):
            try:
                fetched = partner.fetch(source, kept, least=least, shared_only=True)
                check_partner(instance, fetched)
            except KeregeError as refused:
                problem = refused
            except Exception as unforeseen:  # noqa: BLE001 - as in refresh
                problem = _unforeseen(source.url, unforeseen)
            else:
                if self._save(folder, fetched, kept):
                    self._floors.lift(instance, Floor(fetched.directory.generation))
                return fetched, None
        return stored, problem

    def _save(self, folder: Path, fetched: Fetched, before: Fetched | None) -> bool:
        """Keep `fetched` where `before` lies, unless it is the same; whether it is kept now."""
        if not self._keeps:
            return False
        if before is not None and fetched.body == before.body and folder not in self._unsaved:
            return True
        try:
            save(folder, fetched)
        except OSError as trouble:
            self._unsaved.add(folder)
            _LOG.warning("the configuration could not be kept on disk: %s", advice(folder, trouble))
            return False
        self._unsaved.discard(folder)
        return True

    def _load(self) -> Picture | None:
        if self._own is None:
            return None
        floor, kept = self._floor(), load(self._folder, self._own.believed)
        if kept is None:
            return None
        _check_kept(kept, floor.generation)
        picture = picture_of(kept, self._own.anchor.instance, "the state folder")
        if picture.rules.version < floor.rules:
            found = f"rules {picture.rules.version}"
            raise ConfigurationOlder(source="the state folder", found=found, current=f"rules {floor.rules}")
        return picture

    def _read_folder(self) -> Picture:
        """The configuration in the laid-out folder, its partners in it. Raises what is wrong with the own instance."""
        assert self._laid_out is not None
        found = conflayout.read(self._laid_out)
        if found.own.expires is None:
            raise ConfigurationMalformed(
                part="metadata", reason="a file of the own instance does not say when it expires"
            )
        now = self._clock()
        if now >= found.own.expires:
            raise expired(
                found.own.shared.instance, found.own.expires, now, "The folder holds no newer one", served=True
            )
        picture = self._as_picture(_laid_out(found.own, found.own.expires), self._picture, self._source)
        problems: dict[str, KeregeError] = dict(found.problems)
        partners = {}
        for instance, partner in found.partners.items():
            if partner.expires is None:
                reason = "its metadata does not say when it expires"
                problems[instance] = ConfigurationMalformed(part=f"metadata of {instance}", reason=reason)
            else:
                partners[instance] = _laid_out(partner, partner.expires)
        self.partner_problems = problems
        return replace(picture, partners=partners)


def _check_kept(kept: Fetched, least: str) -> None:
    """Raises ConfigurationOlder when a newer one was taken before."""
    if kept.directory.generation < least:
        raise ConfigurationOlder(source="the state folder", found=kept.directory.generation or "none", current=least)


def _laid_out(found: conflayout.LaidOutInstance, expires: datetime) -> Fetched:
    return Fetched(confdir.Directory(expires, found.version, ()), b"", found.files)


def _unforeseen(url: str, problem: Exception) -> ConfigurationUnreachable:
    """A problem nobody thought of, with its trace in the node's own log and its class in what is told."""
    _LOG.error("configuration: unforeseen %s", type(problem).__name__, exc_info=problem)
    return ConfigurationUnreachable(url=url, reason=f"taking it up failed with {type(problem).__name__}")
