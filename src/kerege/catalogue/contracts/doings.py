"""Data contracts: kept by version, published to the nodes, deprecated with a clock, retired.

    add(contract, "a.asanova", now, dataset="civil.sqlite#births")     a version, as a draft
    lifecycle.act(subject("kg:birth", "1.0.0"), "submit", ...)         and approved by a second person, as everything
    publish("kg:birth", "1.0.0", by, reason, now, ledger=log)          the nodes get it with the next configuration
    deprecate(...), reinstate(...), retire(...)

What is published is what the nodes hold answers against (`membership.set_contract`): the rules themselves go into the signed configuration. What
speaks against publishing or retiring is in `publication_reasons` and `retirement_reasons`, which the life cycle asks. What pages show is
`contracts.queries`, checking data at rest `contracts.checks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction

from kerege.catalogue.contracts.clock import may_retire
from kerege.catalogue.contracts.uses import circumstances, deprecation, uses_of
from kerege.catalogue.contracts.words import codes
from kerege.catalogue.errors import (
    ContractPlaceTaken,
    ContractUnknown,
    ContractVersionTaken,
    DatasetUnknown,
    DeprecationRefused,
    LifecycleBlocked,
)
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle.rules import Action, State, Subject
from kerege.catalogue.models import (
    ContractRoute,
    ContractVersion,
    Dataset,
    Deprecation,
    DeprecationNotice,
)
from kerege.catalogue.ownership.face import may_publish
from kerege.catalogue.search.index import contracts_changed
from kerege.exchange.ids import DataServiceId
from kerege.ground.clock import require_utc
from kerege.ground.ids import digest
from kerege.ground.text import Said
from kerege.identity.receipts import LedgerWriter
from kerege.membership import doings as membership
from kerege.membership.picture import At
from kerege.semantics.contracts import odcs
from kerege.semantics.contracts.builder import rules_of
from kerege.semantics.contracts.contract import Contract, Route
from kerege.semantics.contracts.diff import judge, parts
from kerege.semantics.contracts.findings import findings
from kerege.semantics.contracts.wire import WIRE_MODES, to_wire

KIND: Final = "contract"
# set while a doing of this module acts: the life cycle alone would change a state and leave routes, clock and nodes as they were
_ACTING: Final[ContextVar[bool]] = ContextVar("kerege_contract_doing", default=False)


def subject(contract: str, version: str) -> Subject:
    """A contract's version as the life cycle names it."""
    return Subject(KIND, contract, version)


def find(contract: str, version: str = "") -> ContractVersion:
    """A version; without one named the version in force, else the newest. Raises ContractUnknown."""
    rows = ContractVersion.objects.filter(contract=contract)
    wanted = version or lifecycle.in_force(KIND, contract) or ""
    row = rows.filter(version=wanted).first() if wanted else max(rows, key=_order, default=None)
    if row is None:
        known = sorted(set(ContractVersion.objects.values_list("contract", flat=True)))
        raise ContractUnknown(
            contract=contract, version=f" {version}" if version else "", known=", ".join(known[:20]) or "none"
        )
    return row


def _order(row: ContractVersion) -> tuple[tuple[int, int, int], datetime]:
    return parts(row.version) or (0, 0, 0), row.added_at


def contract_of(row: ContractVersion) -> Contract:
    """The contract as it was added."""
    return odcs.parse(row.document, str(row))


@transaction.atomic
def add(contract: Contract, by: str, now: datetime, *, dataset: str = "") -> ContractVersion:
    """Keep a version. The same again changes nothing; a draft or returned one is replaced.

    by        is kept as an author of the version, who may not approve it, beside whoever wrote of it before
    dataset   `SOURCE#TABLE` of the catalogue that the contract is about; its attributes need owners before publication

    Raises ContractVersionTaken when a version that others may rely on would change, DatasetUnknown.
    """
    row = ContractVersion.objects.select_for_update().filter(contract=contract.id, version=contract.version).first()
    found = _dataset(dataset) if dataset else (row.dataset if row is not None else None)
    if row is None or row.fingerprint != contract.fingerprint or (row.dataset is not None and row.dataset != found):
        state = lifecycle.status(subject(contract.id, contract.version)).state
        if state not in (State.DRAFT, State.RETURNED):
            raise ContractVersionTaken(
                contract=contract.id, version=contract.version, state=state.value, file=contract.file
            )
    row = row or ContractVersion(contract=contract.id, version=contract.version)
    written = row.fingerprint != contract.fingerprint
    if written or row.dataset != found:
        before = row.authors or ({row.added_by: 0} if row.pk is not None else {})
        row.authors = before | {by: len(lifecycle.history(subject(contract.id, contract.version)))}
        if written:  # who says only what it is about did not write the document
            row.name, row.document, row.fingerprint = contract.name[:300], dict(contract.document), contract.fingerprint
            row.added_at, row.added_by = require_utc(now), by
        row.dataset = found
        row.save()
        contracts_changed()
    return row


def _hold(contract: str) -> None:
    """One at a time per contract: whoever publishes, ends or takes back a version holds all of them until it is done."""
    list(
        ContractVersion.objects.select_for_update()
        .filter(contract=contract)
        .order_by("pk")
        .values_list("pk", flat=True)
    )


def _dataset(text: str) -> Dataset:
    source, _, table = text.rpartition("#")
    found = Dataset.objects.filter(source=source, table=table).first()
    if found is None:
        raise DatasetUnknown(what="dataset", name=text)
    return found


# --- what speaks against it; asked by the life cycle ---


@contextmanager
def _acting() -> Iterator[None]:
    token = _ACTING.set(True)
    try:
        yield
    finally:
        _ACTING.reset(token)


def _act(what: Subject, action: Action, *args: Any, **more: Any) -> None:
    with _acting():
        lifecycle.act(what, action, *args, **more)


_NOT_THERE: Final = Said("version_not_there", "the catalogue holds no such version; add it first")


def _elsewhere(command: str) -> tuple[str, ...]:
    return (
        ()
        if _ACTING.get()
        else (Said("by_command", "more than its state changes then: use kerege contract {command}", command=command),)
    )


def content(what: Subject, hold: bool) -> tuple[str, str]:
    """(digest of what a version says and of what dataset, who wrote it), empty for none; with `hold` `add` waits for the transaction's end."""
    if hold:
        _hold(what.id)
    row = ContractVersion.objects.filter(contract=what.id, version=what.version).select_related("dataset").first()
    return (digest([row.fingerprint, str(row.dataset or "")]), row.added_by) if row is not None else ("", "")


def authors(what: Subject) -> Sequence[str]:
    """Who wrote the document that stands here, and whoever wrote of this version since it was last approved: two looked at what is older."""
    row = ContractVersion.objects.filter(contract=what.id, version=what.version).first()
    if row is None:
        return ()
    approved = max((a.number for a in lifecycle.history(what) if a.action is Action.APPROVE), default=0)
    return tuple(dict.fromkeys((row.added_by, *(name for name, after in row.authors.items() if after >= approved))))


def submission_reasons(what: Subject, now: datetime) -> tuple[str, ...]:
    """What is approved is what was submitted: the version is there, and held until the action is written, so that `add` sees it."""
    row = ContractVersion.objects.select_for_update().filter(contract=what.id, version=what.version).first()
    return () if row is not None else (_NOT_THERE,)


def deprecation_reasons(what: Subject, now: datetime) -> tuple[str, ...]:
    """A version is deprecated with its clock only (`deprecate`)."""
    return _elsewhere("deprecate")


def reinstatement_reasons(what: Subject, now: datetime) -> tuple[str, ...]:
    """A deprecation is taken back with its clock only (`reinstate`)."""
    return _elsewhere("reinstate")


def publication_reasons(what: Subject, now: datetime) -> tuple[str, ...]:
    """Why a version cannot be published now: findings that are errors, attributes without owner, a breaking change nobody was told of."""
    row = ContractVersion.objects.filter(contract=what.id, version=what.version).first()
    if row is None:
        return (_NOT_THERE,)
    contract = contract_of(row)
    out: list[str] = [
        Said("at", "{where}: {what}", where=f.where, what=f.message)
        for f in findings(contract, codes)
        if f.severity == "error"
    ]
    if row.dataset_id is None:
        words = "the catalogue does not know which dataset it is about; name it with --dataset"
        out.append(Said("dataset_not_named", words))
    else:
        out += may_publish(row.dataset_id, now).reasons
    return (*_elsewhere("publish"), *out, *_succession(row, contract, now))


def _succession(row: ContractVersion, contract: Contract, now: datetime) -> list[str]:
    before = lifecycle.in_force(KIND, row.contract)
    if before is None or before == row.version:
        return []
    old = find(row.contract, before)
    found = judge(contract_of(old), contract)
    words = "it follows {before}: {reason}"
    out: list[str] = [] if found.enough else [Said("follows", words, before=before, reason=found.reason)]
    if any("consumers" in change.breaks for change in found.changes):
        ruling = may_retire(*circumstances(old, now))
        if not ruling.allowed:
            breaking = [c for c in found.changes if "consumers" in c.breaks]
            told = Said.joined(
                [
                    Said("change", "{where} {change}", where=c.where, change=c.code, message=c.message)
                    for c in breaking[:5]
                ],
                ", ",
            )
            words = "it breaks consumers of {before} ({fields}), and {before} may not end yet: {reason}"
            out.append(Said("breaks_consumers", words, before=before, fields=told, reason=ruling.reason))
    return out


def retirement_reasons(what: Subject, now: datetime) -> tuple[str, ...]:
    """Why a version cannot be retired now; one that was never in force always can."""
    if lifecycle.status(what).state not in (State.PUBLISHED, State.DEPRECATED):
        return ()
    ruling = may_retire(*circumstances(find(what.id, what.version), now))
    return (*_elsewhere("retire"), *(() if ruling.allowed else (ruling.reason,)))


# --- doings ---


@transaction.atomic
def publish(
    contract: str, version: str, by: str, reason: str, now: datetime, *, ledger: LedgerWriter | None = None,
    routes: Sequence[Route] | None = None,
) -> list[ContractRoute]:  # fmt: skip
    """Put an approved version in force, at the contract's data services or at `routes`; nodes get it with the next configuration.

    The version before it, if one was in force, is deprecated as of now. Raises LifecycleBlocked with every reason against it,
    LifecycleRefused and FourEyes (it is not approved), ContractPlaceTaken, and what `membership.set_contract` raises. Then nothing changed.
    """
    _hold(contract)
    row = find(contract, version)
    made = contract_of(row)
    before = lifecycle.in_force(KIND, contract)
    _act(
        subject(contract, version), Action.PUBLISH, by, reason, now, evidence={"sha256": row.fingerprint}, ledger=ledger
    )
    if before is not None and before != version:
        _supersede(find(contract, before), version, by, now, ledger)
    put = [_put(row, made, route, now) for route in (made.routes if routes is None else routes)]
    contracts_changed()
    return put


def _supersede(old: ContractVersion, successor: str, by: str, now: datetime, ledger: LedgerWriter | None) -> None:
    if lifecycle.status(subject(old.contract, old.version)).state is State.PUBLISHED:
        what = subject(old.contract, old.version)
        _act(what, Action.DEPRECATE, by, f"{successor} takes its place", now, ledger=ledger)
        Deprecation.objects.create(
            contract=old,
            announced_at=now,
            ends_at=now,
            reason=f"{successor} takes its place",
            by=by,
            successor=successor,
        )
    for route in old.routes.all():
        membership.drop_contract(DataServiceId.parse(route.data_service), route.path, route.method)
        route.delete()


def _put(row: ContractVersion, made: Contract, route: Route, now: datetime) -> ContractRoute:
    place = {"data_service": route.data_service, "path": route.path, "method": route.method}
    there = ContractRoute.objects.filter(**place).select_related("contract").first()
    if there is not None:
        raise ContractPlaceTaken(data_service=route.data_service, path=route.path, other=str(there.contract))
    found = made.object_named(route.schema_object)
    at: At = "provider" if route.at == "provider" else "consumer"
    membership.set_contract(
        DataServiceId.parse(route.data_service), route.path, found.mapping, owner=made.owner or made.owner_unit,
        legal_basis=made.legal_basis, now=now, at=at, mode=WIRE_MODES[made.mode], translate=route.translate, method=route.method,
        check=to_wire(rules_of(made, found.name)),
    )  # fmt: skip
    try:
        with transaction.atomic():
            return ContractRoute.objects.create(
                contract=row, **place, at=route.at, translate=route.translate, since=now
            )
    except IntegrityError as error:  # two at the same moment: the database keeps one
        other = "another contract, published this moment"
        raise ContractPlaceTaken(data_service=route.data_service, path=route.path, other=other) from error


@transaction.atomic
def deprecate(
    contract: str, version: str, ends: datetime, by: str, reason: str, now: datetime, *, successor: str = "",
    ledger: LedgerWriter | None = None,
) -> Deprecation:  # fmt: skip
    """Announce that a version ends, and note whom that concerns: who called its data services, who may.

    Raises DeprecationRefused when the end is not in the future, LifecycleRefused when it is not in force.
    """
    _hold(contract)
    row = find(contract, version)
    if require_utc(ends) <= now:
        raise DeprecationRefused(
            contract=contract, version=version, reason=f"its end {ends.isoformat()} is not in the future"
        )
    _act(
        subject(contract, version), Action.DEPRECATE, by, reason, now, ledger=ledger,
        evidence={"ends": ends.isoformat(), "successor": successor},
    )  # fmt: skip
    made = Deprecation.objects.create(
        contract=row, announced_at=require_utc(now), ends_at=ends, reason=reason, by=by, successor=successor
    )
    note_consumers(made, now)
    return made


@transaction.atomic
def note_consumers(made: Deprecation, now: datetime) -> list[DeprecationNotice]:
    """Note every consumer that was not noted yet; run it again after traffic was read. Returns the new ones."""
    from kerege.membership.models import Right

    routes = list(made.contract.routes.all())
    new = []
    for use in uses_of(routes):
        row, fresh = DeprecationNotice.objects.update_or_create(
            deprecation=made, consumer=use.consumer, data_service=use.data_service,
            defaults={"why": "calls", "calls": use.calls, "last_call_at": use.last_call},
            create_defaults={"why": "calls", "calls": use.calls, "last_call_at": use.last_call, "noted_at": now},
        )  # fmt: skip
        new += [row] if fresh else []
    rights = Right.objects.filter(
        data_service__in={r.data_service for r in routes}, revoked_at=None, valid_until__gte=now
    )
    for holder, service in rights.values_list("holder__code", "data_service").distinct():
        row, fresh = DeprecationNotice.objects.get_or_create(
            deprecation=made, consumer=holder, data_service=service, defaults={"why": "right", "noted_at": now}
        )
        new += [row] if fresh else []
    return new


@transaction.atomic
def reinstate(
    contract: str, version: str, by: str, reason: str, now: datetime, *, ledger: LedgerWriter | None = None
) -> None:
    """Take a deprecation back. Raises LifecycleRefused, and LifecycleBlocked when another version took its place."""
    _hold(contract)
    row = find(contract, version)
    running = deprecation(row)
    if running is not None and running.successor and lifecycle.in_force(KIND, contract) != version:
        raise LifecycleBlocked(
            subject=str(subject(contract, version)), action="reinstate", reasons=f"{running.successor} took its place"
        )
    _act(subject(contract, version), Action.REINSTATE, by, reason, now, ledger=ledger)
    row.deprecations.filter(taken_back_at=None).update(taken_back_at=require_utc(now))


@transaction.atomic
def retire(
    contract: str, version: str, by: str, reason: str, now: datetime, *, ledger: LedgerWriter | None = None
) -> None:
    """End a version. Its data services are held against nothing from the next configuration on.

    Raises LifecycleBlocked before the clock's last second is over, unless nobody uses it.
    """
    _hold(contract)
    row = find(contract, version)
    _act(subject(contract, version), Action.RETIRE, by, reason, now, ledger=ledger)
    for route in row.routes.all():
        membership.drop_contract(DataServiceId.parse(route.data_service), route.path, route.method)
        route.delete()
    contracts_changed()
