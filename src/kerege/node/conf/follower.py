"""Following one instance's configuration: which source, which version, and what of it is believed.

Implements the choices of X-Road's configuration client (PR-GCONF, digest 2.6): sources in the anchor's order with HTTPS first and the one
that answered last before all, versions probed from 6 down to 2, files fetched only when their digest changed. A directory that is
older than the one in use, expired, or of another instance is refused. `conf.fetch` downloads, `confdir` verifies, `keeper` decides
what comes into use. Its methods wait for the network: call them in a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from cryptography import x509

from kerege.exchange import confdir
from kerege.exchange.errors import ConfigurationForged, ConfigurationOlder
from kerege.exchange.globalconf import Anchor, SharedParameters
from kerege.node.conf import fetch as conffetch
from kerege.node.conf.kept import links_to
from kerege.node.conf.picture import Fetched, expired
from kerege.node.errors import ConfigurationUnreachable

_PROBE_ANEW: Final = 30  # fetches after which a source is asked for a newer version again


class Follower:
    """Follows one instance from one anchor."""

    def __init__(self, anchor: Anchor, clock: Callable[[], datetime], *, https_first: bool = True) -> None:
        self.anchor, self._clock, self._https_first = anchor, clock, https_first
        self._versions: dict[str, int] = {}
        self._last_good = ""
        self._fetches = 0

    def believed(self, shared: SharedParameters | None) -> tuple[x509.Certificate, ...]:
        """Whose signature is believed: the anchor's certificates, and those that `shared`, when in force, announces."""
        return tuple(dict.fromkeys(c for source in self.sources(shared) for c in source.certificates))

    def sources(self, shared: SharedParameters | None) -> list[conffetch.Source]:
        found = conffetch.sources_of(self.anchor, shared, https_first=self._https_first)
        return sorted(
            found, key=lambda source: source.url != self._last_good
        )  # stable: the one that answered last first

    def fetch(
        self, source: conffetch.Source, current: Fetched | None, *, least: str = "", shared_only: bool = False
    ) -> Fetched:
        """The newest directory of `source` with its files; those whose digest did not change are not fetched again.

        least         the generation that was taken before: nothing older is
        shared_only   a partner's: only its shared parameters, and only its anchor is believed
        """
        body, version = self._directory(source)
        directory = confdir.verify_directory(body, source.certificates, source.url)
        if directory.version > version:
            raise ConfigurationForged(
                source=source.url, reason=f"version {version} was asked for, {directory.version} came"
            )
        self._check(directory, source.url, max(least, current.directory.generation if current else ""))
        files: dict[str, bytes] = {}
        for part in directory.parts:
            if shared_only and part.identifier != confdir.SHARED:
                continue
            known = current.directory.part(part.identifier) if current else None
            if (
                known is not None
                and current is not None
                and (known.algorithm, known.digest) == (part.algorithm, part.digest)
            ):
                files[part.identifier] = current.files[part.identifier]
            else:
                content = conffetch.part_at(source.url, part.location)
                files[part.identifier] = confdir.check_file(part, content, source.url)
        self._last_good = source.url
        return Fetched(directory, body, files, () if shared_only else links_to(body, current, self.believed))

    def _directory(self, source: conffetch.Source) -> tuple[bytes, int]:
        self._fetches += 1
        known = None if self._fetches % _PROBE_ANEW == 0 else self._versions.get(source.url)
        for version in conffetch.versions_from(known):
            try:
                body = conffetch.directory_at(source.url, version)
            except conffetch.NotOffered:
                continue
            self._versions[source.url] = version
            return body, version
        if known is not None:  # what was offered is gone; look for any other
            del self._versions[source.url]
            return self._directory(source)
        raise ConfigurationUnreachable(url=source.url, reason="it offers no version from 6 down to 2 (404)")

    def _check(self, directory: confdir.Directory, url: str, least: str) -> None:
        for part in directory.parts:
            if part.instance and part.instance != self.anchor.instance:
                raise ConfigurationForged(source=url, reason=f"it is of instance {part.instance}")
        if directory.generation < least:
            raise ConfigurationOlder(source=url, found=directory.generation or "none", current=least)
        now = self._clock()
        if now >= directory.expires:
            raise expired(
                self.anchor.instance, directory.expires, now, f"The source {url} serves no newer one", served=True
            )
