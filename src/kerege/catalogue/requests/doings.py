"""A register's requests: asked for with its description, reviewed by role, and the register's state that follows.

    ask("births", "establish", description, organisation="70000001", by="asanova", reason="Law 5", now=now)
    review(request_id, "coordinating-body", by="bekov", decision="positive", reason="complete", now=now)
    register("births", now).state

What the platform knows itself is asked before anybody has to: a register is not taken into use while one of its attributes has no owner, and
not closed while it is the source of truth of a concept. The rules are `requests.rules` (pure); who reviews what within how many days stands
in the country pack's `roles.yaml`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from kerege.catalogue.errors import LifecycleRaced, RequestRefused, RequestUnknown, ReviewRefused
from kerege.catalogue.lifecycle.rules import same_person
from kerege.catalogue.models import Dataset, RegisterRequest, RegisterReview, SourceOfTruth
from kerege.catalogue.ownership.face import may_publish
from kerege.catalogue.ownership.roles import load_roles
from kerege.catalogue.requests import rules
from kerege.catalogue.requests.card import described, described_faults
from kerege.catalogue.requests.rules import Decision, Kind, Outcome, RegisterState, Request, Review, Standing
from kerege.ground.clock import iso, require_utc
from kerege.ground.ids import digest, new_id
from kerege.identity import receipts
from kerege.identity.receipts import LedgerWriter

__all__ = [
    "Decision",
    "Kind",
    "Outcome",
    "RegisterState",
    "RegisterView",
    "ask",
    "open_registers",
    "register",
    "registers",
    "request",
    "review",
    "views",
    "withdraw",
]

DAYS: Final = 30  # where the pack names no term


@dataclass(frozen=True, slots=True)
class RegisterView:
    """A register with all its requests, newest first. `facts` is what the platform counted itself, for reviewers; {} in lists."""

    register: str
    standing: Standing
    requests: tuple[Request, ...]
    facts: Mapping[str, int]

    @property
    def state(self) -> RegisterState:
        return self.standing.state

    @property
    def open_request(self) -> Request | None:
        return next((r for r in self.requests if r.outcome is Outcome.OPEN), None)

    def as_dict(self, now: datetime) -> dict[str, Any]:
        return {
            "register": self.register, "state": self.state.value,
            "since": iso(self.standing.since) if self.standing.since else None,
            "allowed": [k.value for k in self.standing.allowed], "description": self.standing.description,
            "coming": self.standing.coming, "facts": dict(self.facts),
            "requests": [
                {
                    "request": r.request_id, "kind": r.kind.value, "riha": rules.RIHA_KINDS[r.kind], "by": r.by,
                    "organisation": r.organisation, "reason": r.reason, "at": iso(r.at), "due": iso(r.due),
                    "outcome": r.outcome.value, "missing": list(r.missing), "overdue": r.overdue(now),
                    "terms": list(r.terms), "reviews": [v.as_dict() for v in r.reviews],
                }
                for r in self.requests
            ],
        }  # fmt: skip


@transaction.atomic
def ask(
    name: str,
    kind: Kind | str,
    description: Mapping[str, Any] | None,
    *,
    organisation: str,
    by: str,
    reason: str,
    now: datetime,
    ledger: LedgerWriter | None = None,
) -> Request:
    """Make a request for the register `name`; without a `description` the one that stands is meant again.

    Raises RequestRefused with every reason at once: what the register's state takes, an open request, a faulty description, and what the
    platform's own facts speak against.
    """
    require_utc(now)
    if kind not in set(Kind):
        raise RequestRefused(register=name[:100], kind=str(kind)[:40], reasons="its kinds are " + ", ".join(Kind))
    wanted = Kind(kind)
    list(RegisterRequest.objects.select_for_update().filter(register=name, number=1))  # one at a time per register
    before = _requests(name)
    now_standing = rules.standing(before)
    told = described(name, description or now_standing.coming or now_standing.description, organisation)
    reasons = _against(name, wanted, told, organisation, by, reason, before, now_standing, now)
    if reasons:
        raise RequestRefused(register=name, kind=wanted.value, reasons="; ".join(reasons))
    rule = load_roles().requests.get(wanted.value)
    due = now + timedelta(days=rule.days if rule else DAYS)
    body = {
        "register": name, "number": len(before) + 1, "kind": wanted.value, "description": told, "by": by.strip(),
        "organisation": organisation, "reason": reason.strip(), "reviewers": list(rule.reviewers if rule else ("coordinating-body",)),
        "due": iso(due), "at": iso(now),
    }  # fmt: skip
    row = RegisterRequest(
        request_id=new_id("request"), due=due, at=now, digest=digest(body),
        **{k: body[k] for k in ("register", "number", "kind", "description", "by", "organisation", "reason", "reviewers")},
    )  # fmt: skip
    entry = {k: body[k] for k in ("register", "number", "kind", "by", "organisation")}
    try:
        _written(row, "register-request", entry | {"request": row.request_id, "digest": row.digest}, now, ledger)
    except IntegrityError as error:
        reasons = ["another request for it was made at this moment"]
        raise RequestRefused(register=name, kind=wanted.value, reasons=reasons[0]) from error
    return request(row.request_id)


@transaction.atomic
def review(
    request_id: str,
    role: str,
    *,
    by: str,
    decision: Decision | str,
    reason: str,
    now: datetime,
    terms: str = "",
    seen: int | None = None,
    ledger: LedgerWriter | None = None,
) -> Request:
    """Decide for one reviewer's role: positive (perhaps bound to `terms`), negative or dismissed, with the reason. Raises ReviewRefused.

    seen   how many reviews the reviewer saw; LifecycleRaced when there are others by now
    """
    if decision not in {Decision.POSITIVE, Decision.NEGATIVE, Decision.DISMISSED}:
        raise ReviewRefused(request=request_id, by=by, why="a decision is positive, negative or dismissed")
    return _decide(request_id, role, by, Decision(decision), reason, terms, now, ledger, seen)


@transaction.atomic
def withdraw(request_id: str, *, by: str, reason: str, now: datetime, ledger: LedgerWriter | None = None) -> Request:
    """Take an open request back; only who made it may."""
    return _decide(request_id, "", by, Decision.WITHDRAWN, reason, "", now, ledger)


def request(request_id: str) -> Request:
    """One request with its reviews; RequestUnknown when there is none."""
    row = RegisterRequest.objects.filter(request_id=request_id).prefetch_related("reviews").first()
    if row is None:
        raise RequestUnknown(request=request_id)
    return _request(row)


def register(name: str, now: datetime) -> RegisterView:
    """A register as its requests left it; RequestUnknown when nobody ever asked for it."""
    found = _requests(name)
    if not found:
        raise RequestUnknown(request=f"for the register {name}")
    stands = rules.standing(found)
    told = stands.coming or stands.description or found[-1].description
    return RegisterView(name, stands, tuple(reversed(found)), _facts(told, now))


def open_registers() -> list[str]:
    """Registers with a request that waits for a review, by name; two queries. A register's newest request alone may be open."""
    later = RegisterRequest.objects.filter(register=OuterRef("register"), number__gt=OuterRef("number"))
    ended = RegisterReview.objects.filter(request=OuterRef("pk")).exclude(decision=Decision.POSITIVE)
    rows = (
        RegisterRequest.objects.filter(~Exists(later), ~Exists(ended))
        .order_by("register")
        .only("register", "reviewers")
    )
    return [
        row.register
        for row in rows.prefetch_related("reviews")
        if not {r.role for r in row.reviews.all()} >= set(row.reviewers)
    ]


def views(names: Collection[str]) -> list[RegisterView]:
    """These registers as their requests left them, in the order named, nothing counted of what the platform knows; two queries."""
    found: dict[str, list[Request]] = {name: [] for name in names}
    rows = RegisterRequest.objects.filter(register__in=found).order_by("number").prefetch_related("reviews")
    for row in rows:
        found[row.register].append(_request(row))
    return [RegisterView(name, rules.standing(r), tuple(reversed(r)), {}) for name, r in found.items() if r]


def registers(now: datetime) -> list[RegisterView]:
    """Every register somebody asked for, by name."""
    names = RegisterRequest.objects.order_by("register").values_list("register", flat=True).distinct()
    return [register(name, now) for name in names]


def _decide(
    request_id: str, role: str, by: str, decision: Decision, reason: str, terms: str, now: datetime,
    ledger: LedgerWriter | None, seen: int | None = None,
) -> Request:  # fmt: skip
    row = RegisterRequest.objects.select_for_update().filter(request_id=request_id).first()
    if row is None:
        raise RequestUnknown(request=request_id)
    asked, by, reason = _request(row), by.strip(), reason.strip()
    if seen is not None and seen != len(asked.reviews):
        last = asked.reviews[-1] if asked.reviews else None
        raise LifecycleRaced(
            subject=request_id, by=last.by if last else asked.by, action=last.decision.value if last else "ask",
            state=asked.outcome.value,
        )  # fmt: skip
    if decision is Decision.WITHDRAWN:
        why = "" if same_person(by, asked.by) else f"only {asked.by}, who made it, may withdraw it"
        why = why or ("" if asked.outcome is Outcome.OPEN else f"it is {asked.outcome.value} already")
    else:
        why = rules.against_review(asked, role, by)
    if not why and not (0 < len(reason) <= 2000 and 0 < len(by) <= 200 and len(terms) <= 2000):
        why = "it needs who and why, in at most 200 and 2000 characters"
    if not why and require_utc(now) < max([asked.at, *(r.at for r in asked.reviews)]):
        why = f"it would be at {iso(now)}, before what was done last"
    if not why and decision is Decision.POSITIVE:
        why = "; ".join(_still_against(asked, now))
    if why:
        raise ReviewRefused(request=request_id, by=by[:200], why=why)
    body = {
        "request": request_id, "role": role, "by": by, "decision": decision.value, "reason": reason, "terms": terms.strip(),
        "at": iso(require_utc(now)),
    }  # fmt: skip
    done = RegisterReview(
        request=row, role=role, by=by, decision=decision.value, reason=reason, terms=terms.strip(), at=now, digest=digest(body),
    )  # fmt: skip
    entry = {k: body[k] for k in ("request", "role", "by", "decision")} | {"digest": done.digest}
    try:
        _written(done, "register-review", entry, now, ledger)
    except IntegrityError as error:
        raise ReviewRefused(request=request_id, by=by, why="somebody decided for this role at this moment") from error
    return request(request_id)


def _written(
    row: RegisterRequest | RegisterReview, kind: str, entry: dict[str, Any], now: datetime, ledger: LedgerWriter | None
) -> None:
    """Keep a row, and then enter it in the ledger, which forgets nothing: what the database refuses never stands there.

    Its place in the ledger completes the row within the transaction that made it; nothing of it changes afterwards.
    """
    with transaction.atomic():
        row.save()
    if ledger is not None:
        row.ledger_index = receipts.write(ledger, kind, entry, now).index
        type(row)._base_manager.filter(pk=row.pk, ledger_index=None).update(ledger_index=row.ledger_index)


def _against(
    name: str, kind: Kind, told: Mapping[str, Any], organisation: str, by: str, reason: str, before: list[Request],
    stands: Standing, now: datetime,
) -> list[str]:  # fmt: skip
    """Every reason why this request cannot be made."""
    reasons = []
    if not (0 < len(by.strip()) <= 200 and 0 < len(reason.strip()) <= 2000):
        reasons.append("it needs who asks and why")
    if kind not in stands.allowed:
        takes = ", ".join(stands.allowed) or "no request any more"
        reasons.append(f"the register is {stands.state.value} and takes {takes}")
    waiting = next((r for r in before if r.outcome is Outcome.OPEN), None)
    if waiting is not None:
        reasons.append(f"{waiting.request_id} ({waiting.kind}) is still open")
    owner = stands.description.get("owner")
    if owner and organisation != owner:
        reasons.append(f"only its owner {owner} may ask")
    reasons += described_faults(told, closing=kind is Kind.CLOSE)
    if kind is Kind.MODIFY and told == (stands.coming or stands.description):
        reasons.append("its description says nothing new")
    return reasons + _facts_against(kind, told, now)


def _still_against(asked: Request, now: datetime) -> list[str]:
    """What the platform's facts say today against what a reviewer is about to allow."""
    return _facts_against(asked.kind, asked.description, now)


def _facts_against(kind: Kind, told: Mapping[str, Any], now: datetime) -> list[str]:
    sources = [str(s) for s in told.get("sources", ())]
    datasets = list(Dataset.objects.filter(source__in=sources, vanished=False).order_by("source", "table"))
    reasons: list[str] = []
    if kind is Kind.TAKE_INTO_USE:
        there = {d.source for d in datasets}
        reasons += [f"the catalogue holds nothing of {s}" for s in sources if s not in there]
        reasons += [] if sources else ["its description names no source of the catalogue"]
        for dataset in datasets:
            open_ones = [a.column for a in may_publish(dataset.pk, now).attributes if not a.allowed]
            if open_ones:
                reasons.append(
                    f"{dataset}: no owner of {', '.join(open_ones[:5])}{' ...' if len(open_ones) > 5 else ''}"
                )
    if kind is Kind.CLOSE:
        decides = _decides(sources, now)
        if decides:
            reasons.append(f"it is still the source of truth of {', '.join(decides)}")
    return reasons


def _decides(sources: list[str], now: datetime) -> list[str]:
    rows = SourceOfTruth.objects.filter(field__dataset__source__in=sources, since__lte=now).order_by("concept")
    return sorted({r.concept for r in rows if r.until is None or r.until > now})


def _facts(told: Mapping[str, Any], now: datetime) -> dict[str, int]:
    sources = [str(s) for s in told.get("sources", ())]
    datasets = list(Dataset.objects.filter(source__in=sources, vanished=False))
    verdicts = [may_publish(d.pk, now) for d in datasets]
    attributes = [a for v in verdicts for a in v.attributes]
    return {
        "datasets": len(datasets),
        "attributes": len(attributes),
        "owned": sum(a.allowed for a in attributes),
        "decides": len(_decides(sources, now)),
    }


def _requests(name: str) -> list[Request]:
    rows = RegisterRequest.objects.filter(register=name).order_by("number").prefetch_related("reviews")
    return [_request(r) for r in rows]


def _request(row: RegisterRequest) -> Request:
    reviews = sorted(row.reviews.all(), key=lambda r: r.pk)
    return Request(
        row.request_id, row.register, Kind(row.kind), row.by, row.organisation, row.reason, row.at, row.due,
        tuple(row.reviewers), row.description,
        tuple(Review(r.role, r.by, Decision(r.decision), r.reason, r.at, r.terms) for r in reviews),
    )  # fmt: skip
