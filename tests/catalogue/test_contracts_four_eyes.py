"""Who decides about a contract: two people, none of whom approves what they wrote, and nobody past the contract's own doings."""

from __future__ import annotations

from datetime import timedelta

import pytest
from contract_births import ENDS, ME, NOW, OTHER, made

from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.errors import FourEyes, LifecycleBlocked, LifecycleRefused
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import Dataset

pytestmark = pytest.mark.django_db


def test_four_eyes_approve_a_contract(dataset: Dataset) -> None:
    contracts.add(made(), ME, NOW, dataset=str(dataset))
    with pytest.raises(LifecycleRefused):
        contracts.publish("kg:birth", "1.0.0", ME, "now", NOW)
    lifecycle.act(contracts.subject("kg:birth", "1.0.0"), "submit", ME, "new", NOW)
    with pytest.raises(FourEyes):
        lifecycle.act(contracts.subject("kg:birth", "1.0.0"), "approve", ME, "mine", NOW)


def test_whoever_wrote_of_a_contract_does_not_approve_it_whatever_others_wrote_after(dataset: Dataset) -> None:
    what = contracts.subject("kg:birth", "1.0.0")

    def refused(by: str) -> None:
        with pytest.raises(FourEyes, match=f"{by} made it"):
            lifecycle.act(what, "approve", by, "fine", NOW)

    contracts.add(made(), "alice", NOW)
    contracts.add(made(), "bob", NOW, dataset=str(dataset))  # says only what it is about
    assert contracts.find("kg:birth").added_by == "alice"
    contracts.add(made(name="Acts of birth"), "carol", NOW)
    lifecycle.act(what, "submit", "dora", "ready", NOW)
    for one in ("alice", "bob", "carol"):
        refused(one)
    lifecycle.act(what, "approve", "eva", "read", NOW)
    lifecycle.act(what, "return", "eva", "a word is missing", NOW)
    contracts.add(made(name="Acts of birth, all of them"), "bob", NOW)
    lifecycle.act(what, "submit", "dora", "ready again", NOW)
    refused("bob")
    lifecycle.act(what, "approve", "alice", "what I wrote was approved by another before", NOW)


def test_the_life_cycle_alone_does_not_publish_deprecate_or_retire_a_contract(dataset: Dataset) -> None:
    contracts.add(made(), ME, NOW, dataset=str(dataset))
    what = contracts.subject("kg:birth", "1.0.0")
    lifecycle.act(what, "submit", ME, "new", NOW)
    lifecycle.act(what, "approve", OTHER, "looked at", NOW)
    with pytest.raises(LifecycleBlocked, match="kerege contract publish"):
        lifecycle.act(what, "publish", ME, "past the nodes", NOW)
    contracts.publish("kg:birth", "1.0.0", ME, "agreed", NOW)
    with pytest.raises(LifecycleBlocked, match="kerege contract deprecate"):
        lifecycle.act(what, "deprecate", ME, "without a clock", NOW)
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "old", NOW)
    for action in ("reinstate", "retire"):
        with pytest.raises(LifecycleBlocked, match=f"kerege contract {action}"):
            lifecycle.act(what, action, ME, "past the clock", ENDS + timedelta(days=1))
