"""The admission service's gate in the demo: measured, answered by people where only people can, signed, opened, and closed again.

What is measured comes from `measuring`; what people answer are invented documents of invented people, entered by a secretary who
signs nothing. A code list with codes left open does not pass: then two layers sign a waiver that says so, or the gate stays shut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kerege.delivery import doings, records
from kerege.delivery.criteria import FactValue, Layer, load_gate
from kerege.delivery.evaluate import Verdict
from kerege.delivery.facts import (
    CodeListFacts,
    ContractTestFacts,
    DenialProbe,
    Evidence,
    MessageLogFacts,
    Subject,
    collect_access_denials,
    collect_code_lists,
    collect_contract_tests,
    collect_message_log,
)
from kerege.delivery.gates import Waiver
from kerege.demo.country.network import ADMISSION, DATA_SERVICES, PUBLIC_SERVICE
from kerege.demo.country.people import DPO, LEGAL, POLICY_OWNER, SECRETARY, TECHNICAL_OWNER
from kerege.identity.receipts import LedgerWriter
from kerege.membership.picture import PermitRow
from kerege.semantics.pack import Pack
from kerege.services.definitions import AdmissionDefinition

SIGNERS: Final = ((TECHNICAL_OWNER, Layer.TECH), (POLICY_OWNER, Layer.POL), (LEGAL, Layer.LEGAL), (DPO, Layer.DPO))

# What the secretary enters for the criteria no machine can measure: (facts, sample). Invented, as the people are.
PAPERS: Final[dict[str, tuple[dict[str, FactValue], int]]] = {
    "G1-03": ({"elements": 12, "elements_without_basis": 0, "act_in_force": True}, 12),
    "G2-07": ({"closed": True, "risks_without_owner": 0}, 1),
    "G2-09": ({"pairs": 4, "pairs_without_agreement": 0}, 4),
    "G2-10": ({"cities": 2, "district_centres": 1, "rural_units": 4, "oblasts": 3}, 7),
    "G2-16": ({"restored": True, "minutes_to_manual_path": 90}, 1),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of measurements."""

    contracts: ContractTestFacts
    code_lists: CodeListFacts
    denials: Sequence[DenialProbe]
    messages: MessageLogFacts


@dataclass(frozen=True, slots=True)
class Opened:
    """What it took to open the gate. `waived` names criteria that passed only by a signed exception."""

    permit: PermitRow
    verdicts: dict[str, str]
    waived: tuple[str, ...]


def prepare(definition: AdmissionDefinition, pack: Pack, ledger: LedgerWriter, now: datetime) -> None:
    """Put the gate in force and register the release: the definition and every mapping it uses, by version."""
    doings.adopt_gate(load_gate(pack.folder / "gates" / "grade1-admission.yaml"), ledger, now)
    mappings = {source.mapping: pack.version(source.mapping) for source in definition.evidence.values()}
    doings.make_release(PUBLIC_SERVICE, {"definition": definition.version, "mappings": mappings}, now)


def record(measured: Measured, window_start: datetime, ledger: LedgerWriter, now: datetime) -> None:
    """Enter a round of measurements as evidence for the current release."""
    release = records.current_release(PUBLIC_SERVICE).digest
    subject = Subject(PUBLIC_SERVICE, release, window_start, now)
    for evidence in (
        collect_contract_tests(measured.contracts, subject, now),
        collect_code_lists(measured.code_lists, subject, now),
        collect_access_denials(measured.denials, subject, now),
        collect_message_log(measured.messages, subject, now),
    ):
        doings.record_evidence(evidence, ledger, now)
    doings.measure_owners(PUBLIC_SERVICE, ledger, now)


def enter_papers(ledger: LedgerWriter, now: datetime) -> None:
    """The documents people answer with, entered by the secretary."""
    release = records.current_release(PUBLIC_SERVICE).digest
    subject = Subject(PUBLIC_SERVICE, release, now, now)
    for criterion, (facts, sample) in PAPERS.items():
        doings.record_evidence(Evidence(criterion, subject, facts, sample, f"person:{SECRETARY}", now), ledger, now)


def open_gate(measured: Measured, ledger: LedgerWriter, now: datetime) -> Opened:
    """Assess, waive open codes if there are any, sign for every layer, issue the permit. Raises PermitRefused when it may not."""
    waived = _waive_open_codes(measured, ledger, now)
    assessment = doings.assess(PUBLIC_SERVICE, ledger, now)
    layers = records.gate_of(records.edition_of(PUBLIC_SERVICE)).layers
    for person, layer in SIGNERS:
        if layer in layers:
            doings.sign(assessment.assessment_id, person, layer, ledger, now)
    until = now + timedelta(days=30)
    permit = doings.issue_permit(assessment.assessment_id, ADMISSION, DATA_SERVICES, until, ledger, now)
    verdicts = {e.criterion: e.verdict.value for e in records.assessment_of(assessment).evaluations}
    return Opened(permit, verdicts, waived)


def _waive_open_codes(measured: Measured, ledger: LedgerWriter, now: datetime) -> tuple[str, ...]:
    current = records.look(PUBLIC_SERVICE, now)
    failed = [e.criterion for e in current.evaluations if e.verdict is not Verdict.PASS]
    if failed != ["G1-05"] or "G1-05" in current.waived:
        return tuple(current.waived)
    release = records.current_release(PUBLIC_SERVICE).digest
    reason = (
        f"{sum(c.unmapped_codes for c in measured.code_lists.crosswalks)} codes were left open by the suggestion engine, "
        "because two places or none fit; a steward has them"
    )
    control = "a record with such a code is flagged, never guessed, and its application goes to a clerk"
    signers = ((TECHNICAL_OWNER, Layer.TECH), (POLICY_OWNER, Layer.POL))
    waiver = Waiver("G1-05", release, reason, control, signers, now, now + timedelta(days=30))
    doings.waive(PUBLIC_SERVICE, waiver, ledger, now)
    return ("G1-05",)
