"""Several versions published at one moment: a code list and the crosswalks that follow it, or none of them.

A list that drops a code and a crosswalk that leads to another code instead wait for each other, each by the other's condition. Together they are
published in the order given, in one transaction: each is held against those before it, and what the first would break is asked of those after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from kerege.catalogue.lifecycle.doings import ActionView, act
from kerege.catalogue.lifecycle.rules import Action, Subject
from kerege.identity.receipts import LedgerWriter


class _Tried(Exception):
    """Everything went well, and nothing is to stay of it."""


def publish(
    subjects: Sequence[Subject], by: str, reason: str, now: datetime, *, accepting: str = "", ledger: LedgerWriter | None = None
) -> list[ActionView]:  # fmt: skip
    """Publish approved versions in this order; raises what `doings.act` raises for the first that may not, and then nothing was changed."""
    try:
        with (
            transaction.atomic()
        ):  # what a later one refuses is known before an earlier one is entered in the ledger, where it would stay
            _each(subjects, by, reason, now, accepting, None)
            raise _Tried
    except _Tried:
        pass
    with transaction.atomic():
        return _each(subjects, by, reason, now, accepting, ledger)


def _each(
    subjects: Sequence[Subject], by: str, reason: str, now: datetime, accepting: str, ledger: LedgerWriter | None
) -> list[ActionView]:
    return [
        act(one, Action.PUBLISH, by, reason, now, ledger=ledger, accepting=accepting, together=subjects[n + 1 :])
        for n, one in enumerate(subjects)
    ]
