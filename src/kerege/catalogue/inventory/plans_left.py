"""What becomes of a harvest plan at the steward's desk: applied by somebody, or left with a reason. What the server can read for applying.

Applying itself is `doings.apply_plan`, which reads the source again first. A plan that is left stays, with who left it and why, and can no longer
be applied: the next harvest makes another.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from django.db import transaction

from kerege.catalogue.errors import ActionIncomplete, PlanDone, PlanUnknown
from kerege.catalogue.inventory.doings import apply_plan
from kerege.catalogue.inventory.plans import Change
from kerege.catalogue.models import Plan
from kerege.ground.clock import require_utc

Reach = Literal["here", "moved", "elsewhere"]


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan in the desk's list. `reach`: the file is here, is not where it was, or the source must be named anew (a database)."""

    plan_id: str
    source: str
    kind: str
    status: str
    made_at: datetime
    changes: int
    new: int
    changed: int
    vanished: int
    reach: Reach
    decided_by: str
    decided_reason: str
    decided_at: datetime | None
    cost: dict[str, Any]


def reach(plan: Plan) -> Reach:
    """Whether this server can read the plan's source by itself. A database's address may hold an account, so it is never kept."""
    if not plan.location:
        return "elsewhere"
    path = Path(plan.location.rpartition("://")[2])
    return "here" if path.exists() and os.access(path, os.R_OK) else "moved"


def plans(status: str = "", *, source: str = "", start: int = 0, most: int = 25) -> tuple[list[PlanRow], int]:
    """Plans, newest first, and how many there are in all; two queries. The profiles, which are large, are not read."""
    rows = Plan.objects.defer("profile", "usage").order_by("-made_at", "-pk")
    rows = rows.filter(status=status) if status else rows
    rows = rows.filter(source=source) if source else rows
    return [_row(plan) for plan in rows[start : start + most]], rows.count()


def plan(plan_id: str) -> tuple[PlanRow, tuple[Change, ...]]:
    """One plan with its changes; PlanUnknown when there is none."""
    found = Plan.objects.defer("profile", "usage").filter(plan_id=plan_id).first()
    if found is None:
        raise PlanUnknown(plan=plan_id)
    return _row(found), tuple(Change.from_dict(c) for c in found.changes)


def apply_at_desk(plan_id: str, by: str, now: datetime) -> list[Change]:
    """Apply a plan whose source this server can read, and remember who did it. Raises what `apply_plan` raises."""
    return apply_plan(plan_id, now, by=by)


@transaction.atomic
def leave_plan(plan_id: str, by: str, reason: str, now: datetime) -> None:
    """Leave a plan: nothing of it comes into the catalogue. Raises PlanUnknown, PlanDone, ActionIncomplete without a reason."""
    found = Plan.objects.select_for_update().defer("profile", "usage").filter(plan_id=plan_id).first()
    if found is None:
        raise PlanUnknown(plan=plan_id)
    if found.status != Plan.OPEN:
        raise PlanDone(plan=plan_id, status=found.status)
    why = reason.strip()
    if not why or len(why) > 500:
        raise ActionIncomplete(subject=plan_id, action="leave", field="reason", expected="1 to 500 characters")
    found.status, found.left_at = Plan.LEFT, require_utc(now)
    found.decided_by, found.decided_reason = by[:200], why
    found.save(update_fields=["status", "left_at", "decided_by", "decided_reason"])


def _row(found: Plan) -> PlanRow:
    signs = [str(c.get("sign", "")) for c in found.changes]
    return PlanRow(
        found.plan_id, found.source, found.kind, found.status, found.made_at, len(signs), signs.count("+"),
        signs.count("~"), signs.count("-"), reach(found), found.decided_by, found.decided_reason,
        found.applied_at or found.left_at, found.cost,
    )  # fmt: skip
