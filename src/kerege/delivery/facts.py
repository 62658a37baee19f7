"""Evidence, and the collectors that make it from raw measurements. Pure: whoever measured hands the numbers in.

A collector decides nothing. It adds up, and it counts what is *missing* as a fact of its own (services not tested, nodes not
heard, lists not seen), because a sum over what happened to be there says nothing of what was not.
Source: delivery discipline, section 3.1 (evidence types) and 3.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from kerege.delivery.criteria import FactValue
from kerege.ground.clock import iso, require_utc
from kerege.ground.ids import digest


@dataclass(frozen=True, slots=True)
class Subject:
    """What evidence is about: one release of one public service, as seen in a window of time."""

    public_service: str
    release: str
    window_start: datetime
    window_end: datetime

    def __post_init__(self) -> None:
        if require_utc(self.window_start, "window_start") > require_utc(self.window_end, "window_end"):
            raise ValueError("the window ends before it begins")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts for one criterion. `collector` is `platform:<name>` or `person:<person id>`; `sample` is what the facts rest on."""

    criterion: str
    subject: Subject
    facts: Mapping[str, FactValue]
    sample: int
    collector: str
    collected_at: datetime

    @property
    def by_platform(self) -> bool:
        return self.collector.startswith("platform:")

    @property
    def person(self) -> str | None:
        """Who collected it by hand, if someone did."""
        return self.collector.removeprefix("person:") if self.collector.startswith("person:") else None

    def as_dict(self) -> dict[str, Any]:
        return {
            "criterion": self.criterion,
            "public_service": self.subject.public_service,
            "release": self.subject.release,
            "window": [iso(self.subject.window_start), iso(self.subject.window_end)],
            "facts": dict(self.facts),
            "sample": self.sample,
            "collector": self.collector,
            "collected_at": iso(self.collected_at),
        }

    def digest(self) -> str:
        return digest(self.as_dict())


@dataclass(frozen=True, slots=True)
class ContractRun:
    """One run of one data service's contract tests against the real provider."""

    data_service: str
    mapping: str
    passed: int
    failed: int


@dataclass(frozen=True, slots=True)
class ContractTestFacts:
    """`expected` are the data services of the release; each must have been tested."""

    runs: tuple[ContractRun, ...]
    expected: frozenset[str]


def collect_contract_tests(facts: ContractTestFacts, subject: Subject, now: datetime) -> Evidence:
    """G2-01. Facts: `passed`, `failed`, `services_untested`; the sample is the number of tests run."""
    tested = {run.data_service for run in facts.runs if run.passed + run.failed > 0}
    passed, failed = sum(_count(r.passed) for r in facts.runs), sum(_count(r.failed) for r in facts.runs)
    values = {"passed": passed, "failed": failed, "services_untested": len(facts.expected - tested)}
    return _evidence("G2-01", "contract-tests", subject, values, passed + failed, now)


@dataclass(frozen=True, slots=True)
class NodeMessages:
    """One node's counts: exchanges its monitoring saw, messages its log holds for them, and how many of those verified."""

    node: str
    monitored: int
    logged: int
    verified: int


@dataclass(frozen=True, slots=True)
class MessageLogFacts:
    """Counts must be of the same thing: exchanges. `expected` are the nodes of the network."""

    nodes: tuple[NodeMessages, ...]
    expected: frozenset[str]


def collect_message_log(facts: MessageLogFacts, subject: Subject, now: datetime) -> Evidence:
    """G2-05. Facts: `monitored`, `logged`, `not_logged`, `not_verified`, `nodes_unheard`; the sample is `monitored`.

    Missing records are counted node by node, so that one node's surplus never covers another's gap.
    """
    monitored = sum(_count(node.monitored) for node in facts.nodes)
    values = {
        "monitored": monitored,
        "logged": sum(_count(node.logged) for node in facts.nodes),
        "not_logged": sum(max(0, node.monitored - node.logged) for node in facts.nodes),
        "not_verified": sum(max(0, node.logged - _count(node.verified)) for node in facts.nodes),
        "nodes_unheard": len(facts.expected - {node.node for node in facts.nodes}),
    }
    return _evidence("G2-05", "message-log", subject, values, monitored, now)


@dataclass(frozen=True, slots=True)
class CodeListCounts:
    """One crosswalk's counters over the window: values looked up, values without a mapping, distinct codes among these."""

    crosswalk: str
    seen: int
    unmapped: int
    unmapped_codes: int


@dataclass(frozen=True, slots=True)
class CodeListFacts:
    """`expected` are the crosswalks the release's mappings use."""

    crosswalks: tuple[CodeListCounts, ...]
    expected: frozenset[str]


def collect_code_lists(facts: CodeListFacts, subject: Subject, now: datetime) -> Evidence:
    """G1-05. Facts: `values_seen`, `values_unmapped`, `codes_unmapped`, `lists_unseen`; the sample is `values_seen`."""
    seen = sum(_count(c.seen) for c in facts.crosswalks)
    values = {
        "values_seen": seen,
        "values_unmapped": sum(_count(c.unmapped) for c in facts.crosswalks),
        "codes_unmapped": sum(_count(c.unmapped_codes) for c in facts.crosswalks),
        "lists_unseen": len(facts.expected - {c.crosswalk for c in facts.crosswalks if c.seen > 0}),
    }
    return _evidence("G1-05", "code-lists", subject, values, seen, now)


@dataclass(frozen=True, slots=True)
class DenialProbe:
    """One call that must be refused. `outcome`: refused by the access rules, answered, or neither (an error, silence)."""

    client: str
    data_service: str
    outcome: Literal["denied", "answered", "error"]


def collect_access_denials(probes: Iterable[DenialProbe], subject: Subject, now: datetime) -> Evidence:
    """G2-04. Facts: `probes`, `denied`, `leaked`, `undecided`; the sample is the number of probes.

    Only a refusal by the rules counts as held: a node that is down refuses nobody, it merely does not answer.
    """
    outcomes = [probe.outcome for probe in probes]
    values = {
        "probes": len(outcomes),
        "denied": outcomes.count("denied"),
        "leaked": outcomes.count("answered"),
        "undecided": outcomes.count("error"),
    }
    return _evidence("G2-04", "access-denials", subject, values, len(outcomes), now)


@dataclass(frozen=True, slots=True)
class Owners:
    """The four people of a public service."""

    policy_owner: str
    policy_deputy: str
    technical_owner: str
    technical_deputy: str

    def faults(self) -> tuple[str, ...]:
        """Why these four cannot own a public service; empty when they can."""
        people = (self.policy_owner, self.policy_deputy, self.technical_owner, self.technical_deputy)
        found = []
        if not all(people):
            found.append("an owner or a deputy is missing")
        if self.policy_owner and self.policy_owner == self.technical_owner:
            found.append("the policy owner and the technical owner are one person")
        if len({p for p in people if p}) < sum(bool(p) for p in people) and not found:
            found.append("one person holds two of the four places")
        return tuple(found)


def collect_owners(owners: Owners, present: Iterable[str], subject: Subject, now: datetime) -> Evidence:
    """G1-01. Facts: `named` (of four), `different_people`, `gone`; `present` are those of the four still in office."""
    people = [
        p for p in (owners.policy_owner, owners.policy_deputy, owners.technical_owner, owners.technical_deputy) if p
    ]
    values: dict[str, FactValue] = {
        "named": len(people),
        "different_people": not owners.faults(),
        "gone": len(set(people) - set(present)),
    }
    return _evidence("G1-01", "owners", subject, values, len(people), now)


def _evidence(
    criterion: str, collector: str, subject: Subject, facts: Mapping[str, FactValue], sample: int, now: datetime
) -> Evidence:
    return Evidence(criterion, subject, dict(facts), sample, f"platform:{collector}", require_utc(now))


def _count(number: int) -> int:
    if number < 0:
        raise ValueError(f"a count is never negative, got {number}")
    return number
