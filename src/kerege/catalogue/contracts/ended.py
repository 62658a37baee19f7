"""Versions whose term is over end by themselves: the clock retires them, before the nodes get their next configuration.

Whoever publishes the configuration asks here first (`web.publisher` for the hub by itself and `kerege network publish`, and the demo),
so that no node is ever given a version that has ended. A version that was superseded has no term left and ends so as well.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db.models import Exists, OuterRef

from kerege.catalogue.contracts.clock import Clock
from kerege.catalogue.contracts.doings import KIND, retire
from kerege.catalogue.errors import LifecycleRaced, LifecycleRefused
from kerege.catalogue.lifecycle.rules import Action
from kerege.catalogue.models import ContractVersion, Deprecation, LifecycleAction
from kerege.ground.clock import iso, require_utc
from kerege.identity.receipts import LedgerWriter

BY: Final = "the deprecation clock"


def end_what_is_over(now: datetime, *, ledger: LedgerWriter | None = None) -> list[ContractVersion]:
    """Retire every version whose last second is over at `now`, each in a transaction and the ledger as done by the clock; returns them.

    One that somebody reinstates or retires at this moment is left to them.
    """
    gone = LifecycleAction.objects.filter(
        kind=KIND, subject=OuterRef("contract__contract"), version=OuterRef("contract__version"), action=Action.RETIRE
    )
    running = Deprecation.objects.filter(~Exists(gone), taken_back_at=None, ends_at__lt=require_utc(now))
    ended = []
    for row in running.select_related("contract").order_by("ends_at", "pk"):
        if Clock(row.announced_at, row.ends_at).holds(now):
            continue
        version = row.contract
        try:
            retire(version.contract, version.version, BY, f"its term ended {iso(row.ends_at)}", now, ledger=ledger)
        except (LifecycleRaced, LifecycleRefused):
            continue
        ended.append(version)
    return ended
