"""One verified configuration, everything the message path asks of it ready in memory.

`Fetched` is one instance's directory with its files, as fetched or as kept; `Picture` is the own instance's, with the partners in
force, read and ready. How they are kept on disk is `conf.kept`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from kerege.exchange import confdir, globalconf, rules
from kerege.exchange.errors import ConfigurationExpired, ConfigurationForged, ConfigurationMalformed
from kerege.exchange.federation import FederatedParameters, FederatedTrust
from kerege.exchange.globalconf import ApprovedAuthority, OptionalParameters, PrivateParameters, SharedParameters
from kerege.exchange.rules import Rules
from kerege.exchange.trust import Trust
from kerege.ground.errors import KeregeError

NONE_YET: Final = "its source has given no good one since the node started"


@dataclass(frozen=True)
class Link:
    """A publication that announced the certificate the next one is signed with: its directory and its shared parameters."""

    body: bytes
    shared: bytes


@dataclass(frozen=True)
class Fetched:
    """One instance's directory and files, verified. `body` is empty where they came from a laid-out folder."""

    directory: confdir.Directory
    body: bytes
    files: Mapping[str, bytes]  # by identifier
    links: tuple[Link, ...] = ()  # from the anchor to the directory's signer; none where the anchor names it


@dataclass(frozen=True)
class Picture:
    """The configuration in force: the own instance's parameters with those of its partners, rules and trust."""

    directory: confdir.Directory
    body: bytes
    files: Mapping[str, bytes]  # by identifier
    shared: FederatedParameters
    private: PrivateParameters | None
    rules: Rules
    trust: Trust
    optional: OptionalParameters = field(default_factory=OptionalParameters)
    partners: Mapping[str, Fetched] = field(default_factory=dict)  # by instance, as last fetched, expired or not
    links: tuple[Link, ...] = ()  # as in `Fetched`

    @property
    def fetched(self) -> Fetched:
        """The own instance's directory and files this picture was read from."""
        return Fetched(self.directory, self.body, self.files, self.links)

    @property
    def authorities(self) -> tuple[ApprovedAuthority, ...]:
        """Every authority a TLS peer may have its certificate from: the own instance's and its partners'."""
        return (*self.shared.authorities, *(a for p in self.shared.partners.values() for a in p.authorities))

    @cached_property
    def partner_ends(self) -> datetime | None:
        """When the first of the partners in force expires."""
        return min((self.partners[i].directory.expires for i in self.shared.partners), default=None)

    def check_fresh(self, now: datetime, problem: KeregeError | None = None, last: datetime | None = None) -> None:
        """Raises ConfigurationExpired, saying since when, why no newer one came, and when the source last gave a good one."""
        if now >= self.directory.expires:
            good = f"its source last gave a good one at {last:%Y-%m-%d %H:%M:%SZ}" if last else NONE_YET
            if isinstance(problem, ConfigurationExpired) and problem.served:
                said = f"The source answers, with one that expired at {problem.params['expired']}; {good}"
            elif problem is not None:
                said = f"No newer one came, last problem: {problem.text.rstrip('.')}; {good}"
            else:
                said = f"No newer one came; {good}"
            raise expired(
                self.shared.instance, self.directory.expires, now, said, served=said.startswith("The source answers")
            )

    def federated(
        self, partners: Mapping[str, Fetched], closed: Mapping[str, str], now: datetime, before: Picture | None
    ) -> Picture:
        """This picture with `partners`, those that expired closed; `closed`: the last problem with each.

        before   the picture in use: what was read and checked under it is not read and checked again
        """
        open_, shut = {}, dict(closed)
        for instance, partner in partners.items():
            if now >= partner.directory.expires:
                ended = f"its configuration expired at {partner.directory.expires:%Y-%m-%d %H:%M:%SZ}"
                same = closed.get(instance, "").startswith(ended)
                shut[instance] = (
                    f"{ended}, last problem: {closed[instance]}" if instance in closed and not same else ended
                )
                continue
            old = None if before is None else before.partners.get(instance)
            read = None if before is None else before.shared.partners.get(instance)
            same_files = old is not None and old.files == partner.files
            open_[instance] = read if read is not None and same_files else _partner(instance, partner)
            shut.pop(instance, None)  # what is kept is good until it expires
        shared = FederatedParameters.of(self.shared, open_, shut)
        known = before.trust.trusts if before is not None and isinstance(before.trust, FederatedTrust) else {}
        trust = FederatedTrust.of(shared, known, verify_next_update=self.optional.verify_next_update is not False)
        return replace(self, shared=shared, trust=trust, partners=dict(partners))


def expired(
    instance: str, at: datetime, now: datetime, problem: str = "No newer one came", *, served: bool = False
) -> ConfigurationExpired:
    return ConfigurationExpired(
        served=served,
        instance=instance,
        expired=f"{at:%Y-%m-%d %H:%M:%SZ}",
        now=f"{now:%Y-%m-%d %H:%M:%SZ}",
        problem=problem,
    )


def _partner(instance: str, fetched: Fetched) -> SharedParameters:
    if confdir.SHARED not in fetched.files:
        raise ConfigurationMalformed(part="directory", reason="it names no shared parameters")
    shared = globalconf.parse_shared(fetched.files[confdir.SHARED])
    if shared.instance != instance:
        raise ConfigurationForged(source=instance, reason=f"its shared parameters are of instance {shared.instance}")
    return shared


def check_partner(instance: str, fetched: Fetched) -> None:
    """Raises what makes a partner's files unusable."""
    _partner(instance, fetched)


def picture_of(fetched: Fetched, instance: str | None, source: str) -> Picture:
    """The picture that an own instance's files give, no partners in it yet. Raises what is wrong with them.

    instance   what the anchor says; None takes what the files say (a laid-out folder)
    """
    files = fetched.files
    if confdir.SHARED not in files:
        raise ConfigurationMalformed(part="directory", reason="it names no shared parameters")
    shared = globalconf.parse_shared(files[confdir.SHARED])
    # the directory's parts say an instance each; the signed content must say the same as the anchor
    if instance is not None and shared.instance != instance:
        raise ConfigurationForged(source=source, reason=f"its shared parameters are of instance {shared.instance}")
    private = globalconf.parse_private(files[confdir.PRIVATE]) if confdir.PRIVATE in files else None
    own = rules.parse(files[confdir.RULES]) if confdir.RULES in files else rules.empty(shared.instance)
    if own.instance != shared.instance:
        raise ConfigurationMalformed(part="rules", reason=f"they are of instance {own.instance}")
    federated = FederatedParameters.of(shared, {}, {})
    optional = _optional(files)
    trust = FederatedTrust.of(federated, {}, verify_next_update=optional.verify_next_update is not False)
    return Picture(
        fetched.directory, fetched.body, files, federated, private, own, trust, optional, links=fetched.links
    )


def _optional(files: Mapping[str, bytes]) -> OptionalParameters:
    next_update, interval = files.get(confdir.NEXT_UPDATE), files.get(confdir.FETCH_INTERVAL)
    monitoring = files.get(confdir.MONITORING)
    return OptionalParameters(
        monitoring is not None,
        None if monitoring is None else globalconf.parse_monitoring(monitoring),
        None if next_update is None else globalconf.parse_next_update(next_update),
        None if interval is None else globalconf.parse_fetch_interval(interval),
    )
