"""What pages, the command line and JSON show of contracts: plain dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef

from kerege.catalogue.contracts.clock import Clock
from kerege.catalogue.contracts.doings import KIND, contract_of, find, subject
from kerege.catalogue.contracts.uses import deprecation
from kerege.catalogue.contracts.words import RuleView, codes, not_run, rules_in_words
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle.queries import standing, states
from kerege.catalogue.lifecycle.rules import Action, State
from kerege.catalogue.models import ContractVersion, Deprecation, LifecycleAction
from kerege.ground.clock import iso
from kerege.ground.errors import KeregeError
from kerege.semantics.contracts.findings import Finding, findings


@dataclass(frozen=True, slots=True)
class DeprecationView:
    """A running clock. `days_left` counts what is left of the term, rounded up."""

    announced_at: datetime
    ends_at: datetime
    over: bool
    days_left: int
    reason: str
    successor: str
    told: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "announced_at": iso(self.announced_at), "ends_at": iso(self.ends_at), "over": self.over, "days_left": self.days_left,
            "reason": self.reason, "successor": self.successor, "told": list(self.told),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version in a list. `dataset` is empty where the catalogue does not know what it is about."""

    contract: str
    version: str
    name: str
    state: str
    mode: str
    owner: str
    dataset: str
    routes: tuple[str, ...]
    deprecation: DeprecationView | None
    last_run: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "contract": self.contract, "version": self.version, "name": self.name, "state": self.state, "mode": self.mode,
            "owner": self.owner, "dataset": self.dataset, "routes": list(self.routes),
            "deprecation": self.deprecation.as_dict() if self.deprecation else None, "last_run": self.last_run,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class ContractView:
    """One version in full."""

    head: VersionView
    legal_basis: str
    rules: tuple[RuleView, ...]
    not_run: tuple[dict[str, str], ...]
    findings: tuple[Finding, ...]
    versions: tuple[tuple[str, str], ...]  # (version, state), newest first

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.head.as_dict(), "legal_basis": self.legal_basis, "rules": [r.as_dict() for r in self.rules],
            "not_run": list(self.not_run), "findings": [f.as_dict() for f in self.findings],
            "versions": [{"version": v, "state": s} for v, s in self.versions],
        }  # fmt: skip


def contracts(now: datetime, contract: str = "") -> list[VersionView]:
    """Every version, those of one contract together, newest first."""
    rows = ContractVersion.objects.order_by("contract", "-added_at").select_related("dataset")
    if contract:
        rows = rows.filter(contract=contract)
    return [_view(row, now) for row in rows]


def show(contract: str, now: datetime, version: str = "") -> ContractView:
    """One version in full; see `contracts.find` for which. Raises ContractUnknown."""
    row = find(contract, version)
    made = contract_of(row)
    stand = states(KIND, [contract])
    kept = (
        ContractVersion.objects.filter(contract=contract).order_by("-added_at", "-pk").values_list("version", flat=True)
    )
    versions = tuple((v, stand.get(subject(contract, v), State.DRAFT).value) for v in kept)
    return ContractView(
        _view(row, now), made.legal_basis, rules_in_words(made), not_run(made), findings(made, codes), versions
    )


def _view(row: ContractVersion, now: datetime) -> VersionView:
    state = lifecycle.status(subject(row.contract, row.version)).state.value
    try:
        made = contract_of(row)
        mode, owner = str(made.mode), made.owner_unit or made.owner
    except KeregeError:  # added by a version that read it otherwise
        mode, owner = "", ""
    routes = tuple(f"{r.data_service} {r.path}" for r in row.routes.order_by("data_service", "path"))
    last = row.runs.order_by("-run_at").first()
    run = None if last is None else {
        "source": last.source, "rows": last.rows, "broken_rows": last.broken_rows, "kept": last.kept, "at": iso(last.run_at),
    }  # fmt: skip
    dataset = str(row.dataset) if row.dataset is not None else ""
    return VersionView(row.contract, row.version, row.name, state, mode, owner, dataset, routes, _clock(row, now), run)


def _clock(row: ContractVersion, now: datetime) -> DeprecationView | None:
    found = deprecation(row)
    if found is None:
        return None
    clock = Clock(found.announced_at, found.ends_at)
    left = clock.left(now)
    told = tuple(sorted(set(found.notices.values_list("consumer", flat=True))))
    days = left.days + bool(left.seconds or left.microseconds)
    return DeprecationView(
        found.announced_at, found.ends_at, not clock.holds(now), days, found.reason, found.successor, told
    )


@dataclass(frozen=True, slots=True)
class ContractLine:
    """A contract in the desk's list: its newest version, and the one in force ("" for none) with its state."""

    contract: str
    name: str
    versions: int
    newest: str
    newest_state: str
    in_force: str
    in_force_state: str
    owner: str


@dataclass(frozen=True, slots=True)
class ClockLine:
    """A version whose clock runs."""

    contract: str
    version: str
    ends_at: datetime
    days_left: int


def lines(start: int, most: int) -> list[ContractLine]:
    """A page of the contracts by their id; four queries for any number of contracts and versions."""
    ids = (
        ContractVersion.objects.order_by("contract").values_list("contract", flat=True).distinct()[start : start + most]
    )
    rows: dict[str, list[ContractVersion]] = {name: [] for name in ids}
    for row in ContractVersion.objects.filter(contract__in=rows).defer("document").order_by("-added_at", "-pk"):
        rows[row.contract].append(row)
    stand, in_force = standing(KIND, rows)
    newest = {r[0].pk: r[0] for r in rows.values()}
    owners = {row.pk: _owner(row) for row in ContractVersion.objects.filter(pk__in=newest)}
    out = []
    for name, versions in rows.items():
        told = [(v.version, stand.get(subject(name, v.version), State.DRAFT)) for v in versions]
        force = next((t for t in told if t[0] == in_force.get(name)), ("", ""))
        head = versions[0]
        out.append(
            ContractLine(name, head.name or name, len(told), *told[0], force[0], str(force[1]), owners.get(head.pk, ""))
        )
    return out


def _owner(row: ContractVersion) -> str:
    try:
        made = contract_of(row)
    except KeregeError:  # added by a version that read it otherwise
        return ""
    return made.owner_unit or made.owner


def clocks(now: datetime, most: int = 20) -> tuple[list[ClockLine], int]:
    """The clocks that run, the one that ends first in front, and how many there are; two queries however many contracts there are."""
    ended = LifecycleAction.objects.filter(
        kind=KIND, subject=OuterRef("contract__contract"), version=OuterRef("contract__version"), action=Action.RETIRE
    )
    rows = Deprecation.objects.filter(~Exists(ended), taken_back_at=None).order_by("ends_at", "pk")
    found = []
    for row in rows.select_related("contract").defer("contract__document")[:most]:
        left = Clock(row.announced_at, row.ends_at).left(now)
        days = left.days + bool(left.seconds or left.microseconds)
        found.append(ClockLine(row.contract.contract, row.contract.version, row.ends_at, days))
    return found, rows.count()


def contracts_of_dataset(dataset_id: int, now: datetime) -> list[VersionView]:
    """The versions that are about one dataset of the catalogue."""
    rows = ContractVersion.objects.filter(dataset_id=dataset_id).order_by("-added_at").select_related("dataset")
    return [_view(row, now) for row in rows]


__all__ = [
    "KIND", "ClockLine", "ContractLine", "ContractView", "DeprecationView", "RuleView", "VersionView", "clocks", "contracts",
    "contracts_of_dataset", "lines", "not_run", "rules_in_words", "show",
]  # fmt: skip
