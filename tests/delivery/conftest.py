"""The real ledger, and a registered service that has no evidence yet."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kerege.delivery import doings
from kerege.delivery.criteria import Layer
from kerege.identity import doings as identity
from kerege.ledger.log import Ledger
from kerege.membership import doings as membership

from .support import (
    ADMISSION,
    GATE,
    HOUR,
    NAME,
    NOW,
    OWNERS,
    PERSONS,
    SCOPE,
    SERVICE,
)


@pytest.fixture
def log(tmp_path: Path) -> Ledger:
    """The real ledger, not a list: what is written here must be canonical and provable."""
    return Ledger.open(tmp_path / "ledger")


@pytest.fixture
def service(log: Ledger) -> str:
    """Registered, with its people, its network, its gate and a release; no evidence yet."""
    identity.register_organisation("KG/GOV/70000003", NAME)
    for person in ("aida", "bermet", "chyngyz", "daniyar", "eldar", "farida", "gulnara"):
        identity.register_person(person.title(), "KG/GOV/70000003", person)
    identity.define_role("secretary", NAME, [doings.COLLECT])
    identity.define_role("dpo", NAME, [doings.sign_action(Layer.DPO)])
    identity.define_role("lawyer", NAME, [doings.sign_action(Layer.LEGAL)])
    for person, role in (("eldar", "secretary"), ("farida", "dpo"), ("gulnara", "lawyer")):
        identity.grant_role(person, role, SCOPE, NOW + timedelta(365), granted_by="aida", ledger=log, now=NOW - HOUR)
    for subsystem in (PERSONS.provider, ADMISSION):
        membership.register_member(subsystem.member, NAME, NOW)
        membership.register_subsystem(subsystem, NOW)
    membership.register_public_service(SERVICE, ADMISSION)
    membership.grant_right(ADMISSION, PERSONS, NOW + timedelta(365), ledger=log, now=NOW - HOUR)
    doings.register_service(SERVICE, NAME, OWNERS, NOW - HOUR)
    doings.make_release(SERVICE, {"mappings": ["kg:population.person/1"], "rules": "2026.1"}, NOW - HOUR)
    doings.adopt_gate(GATE, log, NOW - HOUR)
    return SERVICE
