"""The approval life cycle of what the steward publishes: act, and ask how things stand.

    act(Subject("codelist", "kg:sex", "2.0"), "submit", "a.asanova", "two codes added", now)
    status(subject).state            State.SUBMITTED
    history(subject)                 every action: who, when, why, on what evidence
    in_force("codelist", "kg:sex")   the version consumers get

Actions are written once; a status is computed from them (`lifecycle.rules` holds the rules, pure). Some actions have a condition of their
kind's (an unowned attribute can't be published), some have consequences: `lifecycle.kinds` names both. Approving and what comes after it
binds and goes into the ledger that is handed in. Who may act at all is for the edge (`web`'s table of addresses; the command line trusts
whoever may run it on this machine).
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction

from kerege.catalogue.errors import (
    ActionIncomplete,
    FourEyes,
    LifecycleBlocked,
    LifecycleBreaks,
    LifecycleRaced,
    LifecycleRefused,
)
from kerege.catalogue.lifecycle import kinds as lifecycle_kinds
from kerege.catalogue.lifecycle.rules import (
    IN_FORCE,
    TRANSITIONS,
    Action,
    State,
    Step,
    Subject,
    allowed,
    rule,
    same_person,
    state_after,
    submitter,
)
from kerege.catalogue.models import Dataset, LifecycleAction
from kerege.catalogue.revision import touched
from kerege.ground.clock import iso, require_utc
from kerege.ground.ids import canonical_json, digest
from kerege.ground.text import Said
from kerege.identity import receipts
from kerege.identity.receipts import LedgerWriter

__all__ = [
    "Action",
    "ActionView",
    "State",
    "Status",
    "Subject",
    "act",
    "as_seen",
    "breaks",
    "history",
    "in_force",
    "own",
    "seen",
    "status",
    "subjects",
]

BINDING: Final = frozenset({Action.APPROVE, Action.PUBLISH, Action.DEPRECATE, Action.REINSTATE, Action.RETIRE})

_LONGEST: Final = {"by": 200, "reason": 2000}
_MOST_EVIDENCE: Final = 8192  # bytes of canonical JSON


@dataclass(frozen=True, slots=True)
class ActionView:
    """One action as it was done. `digest` is over all of it; `ledger_index` None where no ledger was handed in."""

    number: int
    action: Action
    by: str
    reason: str
    evidence: Mapping[str, Any]
    at: datetime
    leads_to: State
    digest: str
    ledger_index: int | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "action": self.action.value,
            "by": self.by,
            "reason": self.reason,
            "evidence": dict(self.evidence),
            "at": iso(self.at),
            "leads_to": self.leads_to.value,
            "ledger_index": self.ledger_index,
        }


@dataclass(frozen=True, slots=True)
class Status:
    """How a version stands: its state since when and by whom (None and empty for one nobody touched), and what the state allows."""

    subject: Subject
    state: State
    since: datetime | None
    by: str
    submitted_by: str
    allowed: tuple[Action, ...]
    actions: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.subject.kind,
            "id": self.subject.id,
            "version": self.subject.version,
            "state": self.state.value,
            "since": iso(self.since) if self.since else None,
            "by": self.by,
            "submitted_by": self.submitted_by,
            "allowed": [a.value for a in self.allowed],
            "actions": self.actions,
        }


def act(
    subject: Subject,
    action: Action | str,
    by: str,
    reason: str,
    now: datetime,
    *,
    evidence: Mapping[str, Any] | None = None,
    ledger: LedgerWriter | None = None,
    accepting: str = "",
    together: Collection[Subject] = (),
) -> ActionView:
    """Do `action` on `subject`, with who and why; returns it as written.

    evidence   what the action rests on, as canonical JSON allows it (no floats), at most 8 KiB: digests, references, counts
    ledger     where actions that bind are entered; without one the row alone remembers
    accepting  why what the action breaks (`kinds.ACCEPTABLE`) is accepted; both are written into the evidence. Empty: nothing is
    together   what is published in the same transaction after it (`lifecycle.together`)

    Raises LifecycleRefused (naming what is allowed), FourEyes, LifecycleBlocked (the kind's own condition), LifecycleBreaks, ActionIncomplete, and
    LifecycleRaced when somebody else acted on it at this moment. Nothing is written then.
    """
    wanted = _action(subject, action)
    by, reason = _filled(subject, wanted, "by", by), _filled(subject, wanted, "reason", reason)
    found = _evidence(subject, wanted, evidence)
    with transaction.atomic():
        _lock(subject)
        rows = _rows(subject)
        steps = [Step(Action(r.action), r.by) for r in rows]
        ruling = rule(steps, wanted, by)
        if not rows and wanted is not Action.DRAFT and (absent := reasons_against(subject, Action.SUBMIT, now)):
            raise LifecycleBlocked(subject=str(subject), action=wanted.value, reasons=Said.joined(absent))
        if not ruling.allowed:
            raise _refusal(subject, steps, wanted, by, ruling.reason)
        if wanted is Action.APPROVE and lifecycle_kinds.made_by(subject, by):
            raise _four_eyes(subject, steps, by, "made")
        if rows and require_utc(now) < rows[-1].at:
            raise LifecycleRefused(
                subject=str(subject), state=state_after(steps).value, action=wanted.value, allowed="the same, later",
                why=Said("before_the_last", "it would be at {is_at}, before the last action at {last_at}", is_at=iso(now), last_at=iso(rows[-1].at)),
            )  # fmt: skip
        against = reasons_against(subject, wanted, now)
        if against:
            raise LifecycleBlocked(subject=str(subject), action=wanted.value, reasons=Said.joined(against))
        if breaks := lifecycle_kinds.acceptable(subject, wanted, together):
            if not accepting.strip():
                raise LifecycleBreaks(subject=str(subject), action=wanted.value, reasons=Said.joined(breaks))
            accepted = {
                "accepted": [str(b) for b in breaks],
                "accepted_because": _filled(subject, wanted, "reason", accepting),
            }
            found = _evidence(subject, wanted, {**found, **accepted})
        body = {
            "kind": subject.kind, "id": subject.id, "version": subject.version, "number": len(rows) + 1,
            "action": wanted.value, "by": by, "reason": reason, "evidence": found, "at": iso(require_utc(now)),
        }  # fmt: skip
        row = LifecycleAction(
            kind=subject.kind, subject=subject.id, version=subject.version, number=len(rows) + 1, action=wanted.value,
            by=by, reason=reason, evidence=found, at=now, digest=digest(body),
        )  # fmt: skip
        try:
            with transaction.atomic():
                _enter(row, ledger)
        except IntegrityError as error:
            after = history(subject)
            raise LifecycleRaced(
                subject=str(subject), action=after[-1].action.value, by=after[-1].by, state=after[-1].leads_to.value
            ) from error
        lifecycle_kinds.follow(subject, wanted, by, reason, now)
        _findable(subject)
    return history(subject)[-1]


def seen(subject: Subject) -> str:
    """What somebody who looks at `subject` now sees, in a word: how many actions, and a digest of the version and what it says.

    Asked before the rest is read: what changes in between makes `as_seen` refuse once too often, and never once too rarely.
    """
    return _seen(subject, len(_rows(subject)), lifecycle_kinds.content(subject, False)[0])


@contextmanager
def as_seen(subject: Subject, word: str) -> Iterator[None]:
    """A transaction in which `subject` is what it was when `seen` gave `word`; nobody acts on it or replaces it before the end.

    Raises LifecycleRaced, naming who acted or replaced it since: what is approved is what was looked at.
    """
    with transaction.atomic():
        # before the lock, as whoever publishes a contract takes the two in this order
        content, author = lifecycle_kinds.content(subject, True)
        _lock(subject)
        rows = _rows(subject)
        if word != _seen(subject, len(rows), content):
            acted = bool(rows) and word.partition("-")[0] != str(len(rows))
            raise LifecycleRaced(
                subject=str(subject), by=rows[-1].by if acted else author or "somebody",
                action=rows[-1].action if acted else "write it anew", state=_status(subject, rows).state.value,
            )  # fmt: skip
        yield


def _seen(subject: Subject, actions: int, content: str) -> str:
    return f"{actions}-{digest([subject.kind, subject.id, subject.version, content])[:32]}"


def status(subject: Subject, as_of: datetime | None = None) -> Status:
    """How `subject` stands now, or stood at `as_of` (an action counts from its own moment on). Nobody touched it: a draft."""
    return _status(subject, [r for r in _rows(subject) if as_of is None or r.at <= as_of])


def history(subject: Subject) -> tuple[ActionView, ...]:
    """Every action on this version, oldest first."""
    return _views(_rows(subject))


def subjects(kind: str = "", state: State | str | None = None, thing: str = "") -> list[Status]:
    """Every version somebody acted on, newest action first: of one kind, in one state, of one thing (its id)."""
    only: dict[str, str] = {"kind": kind} if kind else {}
    if thing:
        only["subject"] = thing
    grouped: dict[Subject, list[LifecycleAction]] = {}
    for row in LifecycleAction.objects.filter(**only).order_by("number", "pk"):
        grouped.setdefault(Subject(row.kind, row.subject, row.version), []).append(row)
    found = [_status(s, rows) for s, rows in grouped.items()]
    wanted = State(state) if state is not None else None
    found = [s for s in found if wanted is None or s.state is wanted]
    return sorted(found, key=lambda s: (s.since is not None, s.since), reverse=True)


def in_force(
    kind: str, thing: str, as_of: datetime | None = None, *, instead: Mapping[str, State] | None = None
) -> str | None:
    """The version of `thing` that consumers get: of those published (or deprecated, when none is) the one published last; None for none.

    instead   states that versions would have in place of their own, for whoever asks what would be in force then
    """
    best: tuple[bool, datetime, str] | None = None
    rows: dict[str, list[LifecycleAction]] = {}
    for row in LifecycleAction.objects.filter(kind=kind, subject=thing).order_by("number"):
        if as_of is None or row.at <= as_of:
            rows.setdefault(row.version, []).append(row)
    for version, done in rows.items():
        state = (instead or {}).get(version) or state_after(Step(Action(r.action), r.by) for r in done)
        if state in IN_FORCE:
            published = max(r.at for r in done if r.action == Action.PUBLISH)
            best = max(best or (False, published, version), (state is State.PUBLISHED, published, version))
    return best[2] if best else None


def reasons_against(subject: Subject, action: Action | str, now: datetime) -> tuple[str, ...]:
    """Why the kind's own condition forbids `action` now; empty when nothing does (the state's rules are not asked here)."""
    return lifecycle_kinds.conditions(subject, Action(action), now)


def breaks(subject: Subject, action: Action | str, together: Collection[Subject] = ()) -> tuple[str, ...]:
    """What `action` would break now, which a steward may accept with a reason; empty when it breaks nothing."""
    return lifecycle_kinds.acceptable(subject, Action(action), together)


def _findable(subject: Subject) -> None:
    """What may leave is found by everybody: the search index is told. Named and not imported, as the conditions are."""
    told = ""
    if subject.kind == "dataset":
        source, _, table = subject.id.rpartition("#")
        found = Dataset.objects.filter(source=source, table=table).values_list("pk", flat=True).first()
        told = "" if found is None else f"dataset:{found}"
    elif subject.kind in ("codelist", "crosswalk"):
        told = f"{subject.kind}:{subject.id}"
    if told:
        importlib.import_module("kerege.catalogue.search.index").changed(told)


def _enter(row: LifecycleAction, ledger: LedgerWriter | None) -> None:
    touched()
    if ledger is not None and row.action in BINDING:
        body = {
            "kind": row.kind, "id": row.subject, "version": row.version, "number": row.number, "action": row.action,
            "by": row.by, "digest": row.digest,
        }  # fmt: skip
        row.ledger_index = receipts.write(ledger, "lifecycle", body, row.at).index
    row.save()


def _lock(subject: Subject) -> None:
    """Whoever acts on this version holds its first action's row, so that the next one reads what the one before wrote."""
    rows = LifecycleAction.objects.select_for_update()
    list(rows.filter(kind=subject.kind, subject=subject.id, version=subject.version, number=1))


def _rows(subject: Subject) -> list[LifecycleAction]:
    found = LifecycleAction.objects.filter(kind=subject.kind, subject=subject.id, version=subject.version)
    return list(found.order_by("number"))


def _status(subject: Subject, rows: Sequence[LifecycleAction]) -> Status:
    steps = [Step(Action(r.action), r.by) for r in rows]
    last = rows[-1] if rows else None
    return Status(
        subject=subject, state=state_after(steps), since=last.at if last else None, by=last.by if last else "",
        submitted_by=submitter(steps), allowed=allowed(steps), actions=len(rows),
    )  # fmt: skip


def _views(rows: Iterable[LifecycleAction]) -> tuple[ActionView, ...]:
    views, state = [], State.DRAFT
    for row in rows:
        action = Action(row.action)
        state = TRANSITIONS[state][action]
        views.append(
            ActionView(
                row.number, action, row.by, row.reason, row.evidence, row.at, state, row.digest, row.ledger_index
            )
        )
    return tuple(views)


def _refusal(
    subject: Subject, steps: Sequence[Step], action: Action, by: str, reason: str
) -> LifecycleRefused | FourEyes:
    mine = ", ".join(a.value for a in allowed(steps, by)) or "nothing"
    if reason == "own-submission":
        return _four_eyes(subject, steps, by, "submitted")
    why = Said("not_from_here", "not from here")
    if reason == "not-the-submitter":
        why = Said("not_the_submitter", "only {who}, who submitted it, may do that", who=submitter(steps))
    state = state_after(steps).value
    return LifecycleRefused(subject=str(subject), state=state, action=action.value, why=why, allowed=mine)


def _four_eyes(subject: Subject, steps: Sequence[Step], by: str, did: str) -> FourEyes:
    mine = [a.value for a in allowed(steps, by) if a is not Action.APPROVE]
    return FourEyes(subject=str(subject), by=by, did=did, allowed=", ".join(mine) or "nothing")


def own(status: Status, person: str) -> bool:
    """Whether `person` submitted or made this version, and so leaves its approval to somebody else."""
    return same_person(person, status.submitted_by) or lifecycle_kinds.made_by(status.subject, person)


def _action(subject: Subject, action: Action | str) -> Action:
    try:
        return Action(action)
    except ValueError as error:
        raise ActionIncomplete(
            subject=str(subject), action=str(action)[:40], field="a known action", expected=", ".join(Action)
        ) from error


def _filled(subject: Subject, action: Action, field: str, value: str) -> str:
    text = value.strip()
    if not text or len(text) > _LONGEST[field] or (field == "by" and not text.isprintable()):
        expected = f"1 to {_LONGEST[field]} printable characters"
        raise ActionIncomplete(subject=str(subject), action=action.value, field=field, expected=expected)
    return text


def _evidence(subject: Subject, action: Action, evidence: Mapping[str, Any] | None) -> dict[str, Any]:
    found = dict(evidence or {})
    try:
        size = len(canonical_json(found))
    except (TypeError, ValueError) as error:
        raise ActionIncomplete(
            subject=str(subject), action=action.value, field="evidence", expected="plain JSON without floats"
        ) from error
    if size > _MOST_EVIDENCE:
        raise ActionIncomplete(
            subject=str(subject), action=action.value, field="evidence", expected=f"at most {_MOST_EVIDENCE} bytes"
        )
    return found
