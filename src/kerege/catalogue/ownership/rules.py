"""Who holds an attribute when, and may a dataset be published with the owners it has. Pure: tenures and a moment in, a verdict out.

A period is half-open: it begins with `since` and ends before `until`, so that a hand-over leaves no instant with two owners and none with
nobody. A publication needs an owner of every attribute that is there; an interim owner counts until its term runs out.
Source: issue 4, part 2 ("a second owner refused; an unowned attribute can't be published"); the delivery discipline, section 3.1 (an owner
who is one in name only is none; hence terms, and findings when they run out).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kerege.catalogue.lifecycle.rules import same_person
from kerege.ground.clock import iso, require_utc
from kerege.ground.text import Said

LASTING: Final = "lasting"
INTERIM: Final = "interim"

# kinds of findings (`ownership.findings`)
RAN_OUT: Final = "interim-owner-ran-out"
PUBLISHED_UNOWNED: Final = "published-without-owner"


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` on, up to but not with `until`; None is without end. Aware times only."""

    since: datetime
    until: datetime | None = None

    def __post_init__(self) -> None:
        require_utc(self.since, "since")
        if self.until is not None and require_utc(self.until, "until") < self.since:
            raise ValueError("a period ends before it begins")

    def covers(self, moment: datetime) -> bool:
        return self.since <= moment and (self.until is None or moment < self.until)

    def overlaps(self, other: Period) -> bool:
        """Whether some instant lies in both; an empty period overlaps nothing."""
        if self.empty or other.empty:
            return False
        return (other.until is None or self.since < other.until) and (self.until is None or other.since < self.until)

    @property
    def empty(self) -> bool:
        return self.until == self.since

    def ended(self, moment: datetime) -> Period:
        """The same, over at `moment` at the latest; one that had not begun is left empty."""
        last = max(self.since, moment)
        return Period(self.since, last if self.until is None else min(self.until, last))

    def as_dict(self) -> dict[str, str | None]:
        return {"since": iso(self.since), "until": iso(self.until) if self.until else None}


@dataclass(frozen=True, slots=True)
class Tenure:
    """One owner of one attribute for one period. `names_lasting` says who must name the lasting owner after an interim one."""

    organisation: str
    unit: str
    legal_basis: str
    period: Period
    kind: str = LASTING
    names_lasting: str = ""
    named_by: str = ""

    @property
    def interim(self) -> bool:
        return self.kind == INTERIM

    @property
    def who(self) -> str:
        return f"{self.organisation} {self.unit}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "organisation": self.organisation, "unit": self.unit, "legal_basis": self.legal_basis, "kind": self.kind,
            "names_lasting": self.names_lasting, "named_by": self.named_by, **self.period.as_dict(),
        }  # fmt: skip


def holder(tenures: Iterable[Tenure], at: datetime) -> Tenure | None:
    """The owner at that moment. There is at most one; should the store hold two, the later named one is not believed more: ValueError."""
    found = [t for t in tenures if t.period.covers(at)]
    if len(found) > 1:
        raise ValueError(f"two owners at {iso(at)}: {found[0].who} and {found[1].who}")
    return found[0] if found else None


def clash(tenures: Iterable[Tenure], wanted: Period) -> Tenure | None:
    """The earliest tenure that shares an instant with `wanted`, or None."""
    found = [t for t in tenures if t.period.overlaps(wanted)]
    return min(found, key=lambda t: t.period.since) if found else None


def may_hand_over(present: Tenure, by: str) -> bool:
    """The present owner may, naming the next; for an interim owner only who must name the lasting one."""
    wanted = present.names_lasting if present.interim else present.organisation
    return same_person(by, wanted) or same_member(by, wanted)


def same_member(one: str, other: str) -> bool:
    """A member by its code alone (70000001) and by its whole identifier (KG/GOV/70000001) is one; two whole ones must be equal."""
    short, long = sorted((one.strip(), other.strip()), key=lambda name: name.count("/"))
    return bool(short) and "/" not in short and "/" in long and long.rsplit("/", 1)[1] == short


@dataclass(frozen=True, slots=True)
class AttributeVerdict:
    """One attribute's part of the verdict.

    reason   `owned`, `owned-in-the-interim`; against it: `unowned`, `interim-ran-out`, `owner-ended`, `owner-begins-later`
    owner    who owns it now, None when nobody does
    last     who owned it last, or will next, where nobody does now
    """

    column: str
    reason: str
    owner: Tenure | None = None
    last: Tenure | None = None

    @property
    def allowed(self) -> bool:
        return self.owner is not None

    @property
    def text(self) -> str:
        """The reason as a sentence for people who must settle it."""
        if self.owner is not None:
            return Said("owned", "{field}: owned by {who}", field=self.column, who=self.owner.who)
        if self.reason == "unowned" or self.last is None:
            return Said("unowned", "{field} has no owner", field=self.column)
        if self.reason == "owner-begins-later":
            since = iso(self.last.period.since)
            return Said(
                "owner_begins_later", "{field} has no owner until {since_at}", field=self.column, since_at=since
            )
        until = iso(self.last.period.until) if self.last.period.until else ""
        if self.reason == "interim-ran-out":
            return Said(
                "interim_ran_out",
                "{field} has no owner: the interim term of {who} ran out {until_at}, {names} must name the lasting owner",
                field=self.column, who=self.last.who, until_at=until, names=self.last.names_lasting,
            )  # fmt: skip
        return Said("owner_ended", "{field} has no owner since {until_at}", field=self.column, until_at=until)

    def as_dict(self) -> dict[str, Any]:
        return {
            "column": self.column,
            "allowed": self.allowed,
            "reason": self.reason,
            "owner": self.owner.as_dict() if self.owner else None,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """May this dataset be published at that moment, with a reason per attribute.

    against   reasons about the dataset as a whole: `no-attributes`, `vanished`
    """

    dataset: str
    at: datetime
    attributes: tuple[AttributeVerdict, ...]
    against: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return not self.against and all(a.allowed for a in self.attributes)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not, a sentence each; empty when it may."""
        words = {
            "no-attributes": Said("no_attributes", "the catalogue knows no attribute of it"),
            "vanished": Said("vanished", "it vanished from its source"),
        }
        return (*(words[a] for a in self.against), *(a.text for a in self.attributes if not a.allowed))

    def __bool__(self) -> bool:
        return self.allowed

    def as_dict(self) -> dict[str, Any]:
        return {
            "dataset": self.dataset,
            "at": iso(self.at),
            "allowed": self.allowed,
            "against": list(self.against),
            "attributes": [a.as_dict() for a in self.attributes],
        }


def judge(
    dataset: str, attributes: Sequence[tuple[str, Sequence[Tenure]]], now: datetime, *, vanished: bool = False
) -> Verdict:
    """Say whether a dataset with these attributes (name, tenures) may be published at `now`."""
    require_utc(now)
    against = ("vanished",) if vanished else () if attributes else ("no-attributes",)
    return Verdict(dataset, now, tuple(judge_attribute(name, tenures, now) for name, tenures in attributes), against)


def judge_attribute(column: str, tenures: Sequence[Tenure], now: datetime) -> AttributeVerdict:
    """The owner of one attribute at `now`, or why it has none."""
    owner = holder(tenures, now)
    if owner is not None:
        return AttributeVerdict(column, "owned-in-the-interim" if owner.interim else "owned", owner)
    real = [t for t in tenures if not t.period.empty]
    past = [t for t in real if t.period.since <= now]
    if past:
        last = max(past, key=lambda t: t.period.since)
        return AttributeVerdict(column, "interim-ran-out" if last.interim else "owner-ended", last=last)
    if real:
        return AttributeVerdict(column, "owner-begins-later", last=min(real, key=lambda t: t.period.since))
    return AttributeVerdict(column, "unowned")
