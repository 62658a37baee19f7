"""A public service at its gate: its people, its evidence, its signatures, as the tests of this room need them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kerege
from kerege.delivery import doings, records
from kerege.delivery.criteria import Layer, load_gate
from kerege.delivery.facts import (
    CodeListCounts,
    CodeListFacts,
    ContractRun,
    ContractTestFacts,
    DenialProbe,
    Evidence,
    MessageLogFacts,
    NodeMessages,
    Owners,
    Subject,
    collect_access_denials,
    collect_code_lists,
    collect_contract_tests,
    collect_message_log,
)
from kerege.delivery.models import AssessmentRecord
from kerege.exchange.ids import DataServiceId, SubsystemId
from kerege.exchange.permits import decide_permit
from kerege.ground.text import Text
from kerege.ledger.log import Ledger
from kerege.membership import queries as network

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SERVICE = "grade1-admission"
SCOPE = doings.scope_of(SERVICE)
NAME = Text(ky="Кабыл алуу", ru="Приём", en="Admission")
ADMISSION = SubsystemId("KG", "GOV", "70000003", "admission")
PERSONS = DataServiceId("KG", "GOV", "70000002", "population", "persons")
OWNERS = Owners("aida", "bermet", "chyngyz", "daniyar")
GATE = load_gate(Path(kerege.__file__).parent / "country" / "kg" / "gates" / "grade1-admission.yaml")
HUMAN = {
    "G1-03": ({"elements": 24, "elements_without_basis": 0, "act_in_force": True}, 24),
    "G2-07": ({"closed": True, "risks_without_owner": 0}, 1),
    "G2-09": ({"pairs": 4, "pairs_without_agreement": 0}, 4),
    "G2-10": ({"cities": 1, "district_centres": 1, "rural_units": 2, "oblasts": 2}, 4),
    "G2-16": ({"restored": True, "minutes_to_manual_path": 90}, 1),
}


def subject(now: datetime = NOW) -> Subject:
    return Subject(SERVICE, records.current_release(SERVICE).digest, now - timedelta(minutes=30), now)


def measured(now: datetime = NOW) -> list[Evidence]:
    about = subject(now)
    return [
        collect_contract_tests(ContractTestFacts((ContractRun("p", "m", 9, 0),), frozenset({"p"})), about, now),
        collect_message_log(MessageLogFacts((NodeMessages("n", 30, 30, 30),), frozenset({"n"})), about, now),
        collect_code_lists(CodeListFacts((CodeListCounts("c", 300, 0, 0),), frozenset({"c"})), about, now),
        collect_access_denials([DenialProbe("a", "b", "denied")] * 4, about, now),
    ]


def by_hand(criterion: str, now: datetime = NOW, person: str = "eldar") -> Evidence:
    facts, sample = HUMAN[criterion]
    return Evidence(criterion, subject(now), facts, sample, f"person:{person}", now)


def collect_everything(log: Ledger, now: datetime = NOW) -> None:
    doings.measure_owners(SERVICE, log, now)
    for evidence in [*measured(now), *(by_hand(name, now) for name in HUMAN)]:
        doings.record_evidence(evidence, log, now)


def sign_everything(log: Ledger, row: AssessmentRecord, now: datetime = NOW) -> None:
    signers = ((Layer.POL, "aida"), (Layer.TECH, "chyngyz"), (Layer.DPO, "farida"), (Layer.LEGAL, "gulnara"))
    for layer, person in signers:
        doings.sign(row.assessment_id, person, layer, log, now)


def issue(log: Ledger, row: AssessmentRecord, now: datetime = NOW, days: int = 30) -> Any:
    return doings.issue_permit(row.assessment_id, ADMISSION, [PERSONS], now + timedelta(days), log, now)


def open_gate(log: Ledger, now: datetime = NOW) -> AssessmentRecord:
    collect_everything(log, now)
    row = doings.assess(SERVICE, log, now)
    sign_everything(log, row, now)
    issue(log, row, now)
    return row


def traffic(now: datetime = NOW) -> str:
    """What a node would say to the service's traffic."""
    return decide_permit(ADMISSION.client, network.network_view(now).picture.rules(), now).reason
