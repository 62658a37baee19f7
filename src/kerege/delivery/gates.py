"""The whole gate: criteria, waivers, signatures, whether it opens, and what a broken criterion does to a permit. Pure.

Rules (delivery discipline, sections 3.2 and 3.4)
- A gate without criteria is NO-EVIDENCE. FAIL outweighs NO-EVIDENCE; only all-PASS is PASS.
- A waiver stands in for a criterion that may be waived: two people of different layers, a reason, a control in place, at most 60
  days, renewed at most once.
- All named layers sign, one person each; both owners in person; nobody signs what they collected themselves.
- A signature is over the digest of one assessment: its criteria, facts, waivers and verdict.
- Nothing here opens anything by itself. A broken criterion only ever tightens a permit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kerege.delivery.criteria import OWNER_LAYERS, Criterion, Gate, Layer
from kerege.delivery.evaluate import Evaluation, Verdict, evaluate
from kerege.delivery.facts import Evidence, Owners
from kerege.ground.clock import iso
from kerege.ground.ids import digest
from kerege.membership.states import PermitState

WAIVER_LONGEST: Final = timedelta(days=60)
WAIVER_RENEWALS: Final = 1


@dataclass(frozen=True, slots=True)
class Waiver:
    """A signed exception for one criterion of one release. `signers` are (person, layer)."""

    criterion: str
    release: str
    reason: str
    control: str
    signers: tuple[tuple[str, Layer], ...]
    valid_from: datetime
    valid_until: datetime
    renewals: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "criterion": self.criterion,
            "release": self.release,
            "reason": self.reason,
            "control": self.control,
            "signers": [[person, layer.value] for person, layer in self.signers],
            "from": iso(self.valid_from),
            "until": iso(self.valid_until),
            "renewals": self.renewals,
        }

    def digest(self) -> str:
        return digest(self.as_dict())


def waiver_faults(waiver: Waiver, criterion: Criterion) -> tuple[str, ...]:
    """Why this waiver is void; empty when it is not."""
    found = []
    if not criterion.waivable:
        found.append("the criterion cannot be waived")
    if len({p for p, _ in waiver.signers}) < 2 or len({layer for _, layer in waiver.signers}) < 2:
        found.append("it needs two people of two different layers")
    if not waiver.reason.strip() or not waiver.control.strip():
        found.append("it needs a reason and a control in place of the criterion")
    if not timedelta() < waiver.valid_until - waiver.valid_from <= WAIVER_LONGEST:
        found.append(f"it must end within {WAIVER_LONGEST.days} days")
    if waiver.renewals > WAIVER_RENEWALS:
        found.append("it was renewed once already")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Assessment:
    """One look at a gate: the verdict and everything it rests on."""

    gate: str
    gate_digest: str
    public_service: str
    release: str
    at: datetime
    verdict: Verdict
    evaluations: tuple[Evaluation, ...]
    waived: tuple[str, ...]
    waivers: tuple[str, ...]
    eased: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "gate": self.gate,
            "gate_digest": self.gate_digest,
            "public_service": self.public_service,
            "release": self.release,
            "at": iso(self.at),
            "verdict": self.verdict.value,
            "evaluations": [evaluation.as_dict() for evaluation in self.evaluations],
            "waived": list(self.waived),
            "waivers": list(self.waivers),
            "eased": list(self.eased),
        }

    def digest(self) -> str:
        """What signatures are over."""
        return digest(self.as_dict())


def assess(
    gate: Gate,
    evidence: Iterable[Evidence],
    waivers: Iterable[Waiver],
    now: datetime,
    *,
    release: str,
    eased: Sequence[str] = (),
) -> Assessment:
    """Look at the gate for `release` at `now`; `eased` says in what this edition is looser than the one before."""
    pieces = list(evidence)
    evaluations = tuple(evaluate(criterion, pieces, now, release=release) for criterion in gate.criteria)
    standing = _standing(gate, waivers, release, now)
    waived = tuple(e.criterion for e in evaluations if e.verdict is not Verdict.PASS and e.criterion in standing)
    left = [e.verdict for e in evaluations if e.criterion not in waived]
    if Verdict.FAIL in left:
        verdict = Verdict.FAIL
    elif not gate.criteria or Verdict.NO_EVIDENCE in left or not any(v is Verdict.PASS for v in left):
        verdict = Verdict.NO_EVIDENCE
    else:
        verdict = Verdict.PASS
    return Assessment(
        gate=gate.id,
        gate_digest=gate.digest(),
        public_service=gate.public_service,
        release=release,
        at=now,
        verdict=verdict,
        evaluations=evaluations,
        waived=waived,
        waivers=tuple(sorted(standing[name].digest() for name in waived)),
        eased=tuple(eased),
    )


def _standing(gate: Gate, waivers: Iterable[Waiver], release: str, now: datetime) -> dict[str, Waiver]:
    found = {}
    for waiver in waivers:
        criterion = gate.criterion(waiver.criterion)
        if criterion is None or waiver.release != release or waiver_faults(waiver, criterion):
            continue
        if waiver.valid_from <= now <= waiver.valid_until:
            found[waiver.criterion] = waiver
    return found


@dataclass(frozen=True, slots=True)
class SignOff:
    """One person's signature for one layer under the digest of one assessment."""

    person: str
    layer: Layer
    digest: str
    at: datetime


def signature_faults(
    person: str, layer: Layer, gate: Gate, owners: Owners, evidence: Iterable[Evidence], given: Iterable[SignOff]
) -> tuple[str, ...]:
    """Why `person` may not sign for `layer`; empty when nothing here speaks against it (the grant is checked apart).

    evidence   what the assessment rests on
    given      signatures already given on the same assessment
    """
    found = []
    if layer not in gate.layers:
        found.append("this gate does not ask that layer")
    if layer is Layer.POL and person != owners.policy_owner:
        found.append("only the policy owner signs for policy")
    if layer is Layer.TECH and person != owners.technical_owner:
        found.append("only the technical owner signs for technology")
    if any(piece.person == person for piece in evidence):
        found.append("they collected part of the evidence themselves")
    for signature in given:
        if signature.layer is layer:
            found.append("the layer has signed already")
        elif signature.person == person:
            found.append(f"they signed for {signature.layer} already")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether the gate opens, and every reason why not."""

    opens: bool
    reasons: tuple[str, ...]


def verdict(
    gate: Gate,
    signed: Assessment,
    current: Assessment,
    owners: Owners,
    signatures: Iterable[SignOff],
) -> Opening:
    """Whether the gate opens: the signed assessment passed, it still passes now, and every layer signed exactly it.

    signed    the assessment that was signed
    current   the same gate looked at again at the moment of opening, on all evidence there is by then
    """
    reasons = []
    if signed.verdict is not Verdict.PASS:
        reasons.append(f"the assessment is {signed.verdict}")
    if current.verdict is not Verdict.PASS:
        reasons.append(f"looked at again now it is {current.verdict}")
    if gate.digest() != signed.gate_digest:
        reasons.append("the gate changed since it was assessed")
    if current.release != signed.release:
        reasons.append("there is a newer release")
    valid = [s for s in signatures if s.digest == signed.digest()]
    by_layer = {s.layer: s.person for s in valid}
    if len(set(by_layer.values())) < len(by_layer):
        reasons.append("one person signed for two layers")
    for layer in gate.layers:
        if layer not in by_layer:
            reasons.append(f"{layer} has not signed")
    expected = dict(zip(OWNER_LAYERS, (owners.policy_owner, owners.technical_owner), strict=True))
    for layer, owner in expected.items():
        if layer in by_layer and by_layer[layer] != owner:
            reasons.append(f"{layer} was not signed by its owner of today")
    reasons += [f"owners: {fault}" for fault in owners.faults()]
    return Opening(not reasons, tuple(reasons))


def consequence(gate: Gate, current: Assessment) -> PermitState | None:
    """What a running permit becomes when the gate looks like this now; None when it may stay as it is.

    A failed criterion that cannot be waived closes. Evidence that grew old restricts. A failed waivable one holds: no slow month
    cuts citizens off.
    """
    states = []
    for evaluation in current.evaluations:
        if evaluation.criterion in current.waived or evaluation.verdict is Verdict.PASS:
            continue
        criterion = gate.criterion(evaluation.criterion)
        if evaluation.verdict is Verdict.NO_EVIDENCE:
            states.append(PermitState.RESTRICTED)
        elif criterion is None or not criterion.waivable:
            states.append(PermitState.CLOSED)
        else:
            states.append(PermitState.HELD)
    if not gate.criteria:
        states.append(PermitState.RESTRICTED)
    return max(states, key=_TIGHTNESS.index, default=None)


def tighter(current: PermitState, proposed: PermitState) -> bool:
    """Whether `proposed` lets less through than `current`; a reconsideration never loosens."""
    rank = {state: place for place, state in enumerate(_TIGHTNESS)}
    return rank.get(proposed, -1) > rank.get(current, -1)


_TIGHTNESS: Final = (PermitState.HELD, PermitState.RESTRICTED, PermitState.CLOSED, PermitState.NONE)
