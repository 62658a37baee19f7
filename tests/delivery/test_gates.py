"""The whole gate: what opens it, what never does, and what a broken criterion does to a permit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.delivery.criteria import Condition, Criterion, Gate, Layer
from kerege.delivery.evaluate import Verdict
from kerege.delivery.facts import Evidence, Owners, Subject
from kerege.delivery.gates import (
    Assessment,
    SignOff,
    Waiver,
    assess,
    consequence,
    signature_faults,
    tighter,
    verdict,
    waiver_faults,
)
from kerege.ground.text import Text
from kerege.membership.states import PermitState

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
RELEASE = "ab" * 32
NAME = Text(ky="а", ru="б", en="c")
OWNERS = Owners("aida", "bermet", "chyngyz", "daniyar")
STRICT = Criterion(
    "C-1", 1, Layer.TECH, NAME, "E-TEST", "access-denials", (Condition("leaked", "at_most", 0),), 1, timedelta(1), False
)
SOFT = Criterion(
    "C-2", 1, Layer.DPO, NAME, "E-DOC", None, (Condition("closed", "equals", True),), 1, timedelta(1), True
)
GATE = Gate("g", "grade1-admission", NAME, PermitState.PILOT, timedelta(90), (STRICT, SOFT))
SUBJECT = Subject("grade1-admission", RELEASE, NOW, NOW)
HELD = Evidence("C-1", SUBJECT, {"leaked": 0}, 4, "platform:access-denials", NOW)
CLOSED = Evidence("C-2", SUBJECT, {"closed": True}, 1, "person:eldar", NOW)
LEAKED = replace(HELD, facts={"leaked": 1})
WAIVER = Waiver(
    "C-2",
    RELEASE,
    "the officer is new",
    "weekly review",
    (("aida", Layer.POL), ("farida", Layer.DPO)),
    NOW,
    NOW + timedelta(30),
)


def look(
    evidence: Sequence[Evidence] = (HELD, CLOSED), waivers: Sequence[Waiver] = (), gate: Gate = GATE
) -> Assessment:
    return assess(gate, evidence, waivers, NOW, release=RELEASE)


def signed(assessment: Assessment, people: dict[Layer, str] | None = None) -> list[SignOff]:
    everyone = {Layer.POL: "aida", Layer.TECH: "chyngyz", Layer.DPO: "farida"} if people is None else people
    return [SignOff(person, layer, assessment.digest(), NOW) for layer, person in everyone.items()]


def test_a_gate_opens_when_all_pass_and_every_layer_signed() -> None:
    assert look().verdict is Verdict.PASS
    opening = verdict(GATE, look(), look(), OWNERS, signed(look()))
    assert (opening.opens, opening.reasons) == (True, ())


def test_a_gate_without_criteria_is_no_evidence_and_never_opens() -> None:
    empty = replace(GATE, criteria=())
    assert look(gate=empty).verdict is Verdict.NO_EVIDENCE
    assert not verdict(empty, look(gate=empty), look(gate=empty), OWNERS, signed(look(gate=empty))).opens


def test_missing_evidence_never_opens_however_many_sign() -> None:
    for evidence in ([], [HELD], [CLOSED]):
        assert look(evidence).verdict is Verdict.NO_EVIDENCE
        assert not verdict(GATE, look(evidence), look(evidence), OWNERS, signed(look(evidence))).opens


def test_a_failure_outweighs_missing_evidence() -> None:
    assert look([LEAKED]).verdict is Verdict.FAIL


@pytest.mark.parametrize("missing", [Layer.POL, Layer.TECH, Layer.DPO])
def test_the_gate_stays_shut_when_one_layer_did_not_sign(missing: Layer) -> None:
    signatures = [s for s in signed(look()) if s.layer is not missing]
    opening = verdict(GATE, look(), look(), OWNERS, signatures)
    assert (opening.opens, opening.reasons) == (False, (f"{missing} has not signed",))


def test_the_gate_stays_shut_when_only_one_owner_signed_even_for_both_layers() -> None:
    both = signed(look(), {Layer.POL: "aida", Layer.TECH: "aida", Layer.DPO: "farida"})
    reasons = verdict(GATE, look(), look(), OWNERS, both).reasons
    assert "one person signed for two layers" in reasons
    assert "TECH was not signed by its owner of today" in reasons


def test_a_deputys_signature_does_not_open() -> None:
    opening = verdict(
        GATE, look(), look(), OWNERS, signed(look(), {Layer.POL: "bermet", Layer.TECH: "chyngyz", Layer.DPO: "farida"})
    )
    assert opening.reasons == ("POL was not signed by its owner of today",)


def test_signatures_on_another_assessment_do_not_count() -> None:
    other = look([replace(HELD, sample=5), CLOSED])
    opening = verdict(GATE, look(), look(), OWNERS, signed(other))
    assert not opening.opens
    assert len(opening.reasons) == 3


def test_what_broke_after_signing_keeps_the_gate_shut() -> None:
    opening = verdict(GATE, look(), look([LEAKED, CLOSED]), OWNERS, signed(look()))
    assert opening.reasons == ("looked at again now it is FAIL",)


def test_a_gate_changed_after_signing_and_a_newer_release_keep_it_shut() -> None:
    changed = replace(GATE, permit_for=timedelta(30))
    assert "the gate changed since it was assessed" in verdict(changed, look(), look(), OWNERS, signed(look())).reasons
    newer = replace(look(), release="cd" * 32)
    assert "there is a newer release" in verdict(GATE, look(), newer, OWNERS, signed(look())).reasons


def test_owners_who_became_one_person_keep_it_shut() -> None:
    one = replace(OWNERS, technical_owner="aida")
    people = {Layer.POL: "aida", Layer.TECH: "aida", Layer.DPO: "farida"}
    assert any(r.startswith("owners:") for r in verdict(GATE, look(), look(), one, signed(look(), people)).reasons)


def test_a_waiver_stands_in_for_a_waivable_criterion_while_it_lasts() -> None:
    assessment = look([HELD], [WAIVER])
    assert (assessment.verdict, assessment.waived, assessment.waivers) == (Verdict.PASS, ("C-2",), (WAIVER.digest(),))
    over = replace(WAIVER, valid_from=NOW - timedelta(31), valid_until=NOW - timedelta(1))
    assert look([HELD], [over]).verdict is Verdict.NO_EVIDENCE
    assert look([HELD], [replace(WAIVER, release="cd" * 32)]).verdict is Verdict.NO_EVIDENCE


def test_a_waiver_of_a_privacy_criterion_is_void() -> None:
    forged = replace(WAIVER, criterion="C-1")
    assert "the criterion cannot be waived" in waiver_faults(forged, STRICT)
    assert look([LEAKED, CLOSED], [forged]).verdict is Verdict.FAIL


def test_waivers_alone_never_make_a_pass() -> None:
    only_soft = replace(GATE, criteria=(SOFT,))
    assert look([], [WAIVER], only_soft).verdict is Verdict.NO_EVIDENCE


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"signers": (("aida", Layer.POL),)}, "two people"),
        ({"signers": (("aida", Layer.POL), ("aida", Layer.DPO))}, "two people"),
        ({"signers": (("aida", Layer.POL), ("farida", Layer.POL))}, "two different layers"),
        ({"reason": " "}, "needs a reason"),
        ({"control": ""}, "control in place"),
        ({"valid_until": NOW + timedelta(61)}, "within 60 days"),
        ({"valid_until": NOW}, "within 60 days"),
        ({"renewals": 2}, "renewed once already"),
    ],
)
def test_a_void_waiver_says_why(change: dict[str, Any], fault: str) -> None:
    [found] = waiver_faults(replace(WAIVER, **change), SOFT)
    assert fault in found
    assert look([HELD], [replace(WAIVER, **change)]).verdict is Verdict.NO_EVIDENCE


def test_nobody_signs_what_they_collected() -> None:
    faults = signature_faults("eldar", Layer.DPO, GATE, OWNERS, [HELD, CLOSED], [])
    assert faults == ("they collected part of the evidence themselves",)
    assert signature_faults("farida", Layer.DPO, GATE, OWNERS, [HELD, CLOSED], []) == ()


def test_a_person_signs_once_and_a_layer_signs_once() -> None:
    given_before = [SignOff("farida", Layer.DPO, "x", NOW)]
    assert signature_faults("gulnara", Layer.DPO, GATE, OWNERS, [], given_before) == ("the layer has signed already",)
    assert "they signed for DPO already" in signature_faults("farida", Layer.POL, GATE, OWNERS, [], given_before)
    assert "this gate does not ask that layer" in signature_faults("x", Layer.ADM, GATE, OWNERS, [], [])


@pytest.mark.parametrize(
    ("evidence", "state"),
    [
        ([HELD, CLOSED], None),
        ([LEAKED, CLOSED], PermitState.CLOSED),
        ([LEAKED], PermitState.CLOSED),
        ([CLOSED], PermitState.RESTRICTED),
        ([HELD, replace(CLOSED, facts={"closed": False})], PermitState.HELD),
    ],
)
def test_what_a_broken_criterion_does_to_a_running_permit(evidence: list[Evidence], state: PermitState | None) -> None:
    assert consequence(GATE, look(evidence)) is state


def test_a_reconsideration_never_loosens() -> None:
    ranked = [PermitState.PILOT, PermitState.HELD, PermitState.RESTRICTED, PermitState.CLOSED]
    for place, current in enumerate(ranked):
        for other, proposed in enumerate(ranked):
            assert tighter(current, proposed) is (other > place)


PIECES = st.lists(
    st.sampled_from([HELD, CLOSED, LEAKED, replace(HELD, facts={}), replace(CLOSED, facts={"closed": False})]),
    max_size=3,
)


@given(PIECES, st.lists(st.just(WAIVER), max_size=1), st.sampled_from(["leaked", "closed"]))
def test_removing_any_fact_anywhere_never_opens_the_gate(
    evidence: list[Evidence], waivers: list[Waiver], removed: str
) -> None:
    # facts may be blanked, never whole pieces: that the newest piece is still there is the ledger's to show
    ordered = [
        replace(
            piece,
            collected_at=NOW - timedelta(minutes=9 - i),
            subject=replace(SUBJECT, window_start=NOW - timedelta(1), window_end=NOW - timedelta(hours=1)),
        )
        for i, piece in enumerate(evidence)
    ]
    less = [replace(piece, facts={k: v for k, v in piece.facts.items() if k != removed}) for piece in ordered]
    assert look(less, waivers).verdict is not Verdict.PASS or look(ordered, waivers).verdict is Verdict.PASS
