"""The gate page: owners, criteria with their verdicts and the facts behind, signatures, the permit's history with its ledger entries.

Shows the live look and the assessment last written down; decides nothing (`delivery.gates` does).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kerege.delivery import queries
from kerege.delivery.criteria import Criterion, Layer
from kerege.delivery.errors import NotThere
from kerege.delivery.evaluate import Evaluation, Verdict
from kerege.delivery.models import AssessmentRecord, EvidenceRecord
from kerege.delivery.queries import CriterionView, GateView
from kerege.ground import clock
from kerege.ground.errors import KeregeError
from kerege.ledger.log import Ledger
from kerege.membership.picture import PermitRow
from kerege.web import formats, labels, reading
from kerege.web.words import has, term, word

SERVICE: Final = "grade1-admission"
_LOOKS: Final = {Verdict.PASS: "good", Verdict.FAIL: "bad", Verdict.NO_EVIDENCE: "wait"}


def gate(request: HttpRequest) -> HttpResponse:
    try:
        view = queries.gate_view(SERVICE, clock.now())
    except NotThere:
        return render(request, "desks/gate.html", {"view": None})
    filed = _filed(view)
    passed = sum(c.evaluation.verdict is Verdict.PASS for c in view.criteria)
    context = {
        "view": view,
        "verdict": view.now.verdict.value,
        "look": _LOOKS[view.now.verdict],
        "carries": view.permit is not None and view.permit.state.carries,
        "state": view.permit.state.value if view.permit else "none",
        "passed": passed,
        "eased": [eased(clause, view) for clause in view.eased],
        "owners": _owners(view),
        "criteria": [_criterion(criterion, filed) for criterion in view.criteria],
        "signatures": view.signatures,
        "history": [_permit(row, view) for row in reversed(view.permit_history)],
    }
    return render(request, "desks/gate.html", context)


def _owners(view: GateView) -> list[dict[str, str]]:
    """Both owners with their deputies, by name, and the office as the public service's definition words it."""
    definition = labels.definition_of(SERVICE) if labels.public_service(SERVICE) != SERVICE else None
    posts = {"policy": definition.policy_owner.post, "technical": definition.technical_owner.post} if definition else {}
    named = (
        ("policy", Layer.POL, view.owners.policy_owner, view.owners.policy_deputy),
        ("technical", Layer.TECH, view.owners.technical_owner, view.owners.technical_deputy),
    )
    return [
        {
            "layer": term("layer", layer.value),
            "name": view.owner_names.get(owner, owner),
            "deputy": view.owner_names.get(deputy, deputy),
            "post": formats.text(posts.get(kind)),
        }
        for kind, layer, owner, deputy in named
    ]


def _filed(view: GateView) -> dict[str, EvidenceRecord]:
    """The evidence that the verdicts rest on, by its digest: when it was collected and where it stands in the ledger."""
    digests = [c.evaluation.evidence for c in view.criteria if c.evaluation.evidence]
    return {record.digest: record for record in EvidenceRecord.objects.filter(digest__in=digests)}


def _criterion(shown: CriterionView, filed: Mapping[str, EvidenceRecord]) -> dict[str, Any]:
    criterion, evaluation = shown.criterion, shown.evaluation
    piece = filed.get(evaluation.evidence or "")
    return {
        "id": criterion.id,
        "version": criterion.version,
        "title": criterion.title,
        "layer": term("layer", criterion.layer.value),
        "measured": criterion.measured,
        "verdict": evaluation.verdict.value,
        "look": _LOOKS[evaluation.verdict],
        "waived": shown.waived,
        "reasons": list(dict.fromkeys(_reason(reason) for reason in evaluation.reasons)),
        "facts": [(fact_name(name), fact_value(value)) for name, value in evaluation.facts.items()],
        "sample": _sample(evaluation),
        "collected_at": piece.collected_at if piece else None,
        "ledger": piece.ledger_index if piece else None,
        "asked": [_condition(criterion, i) for i in range(len(criterion.conditions))],
    }


def _sample(evaluation: Evaluation) -> int | None:
    """How much was looked at; None where one of the facts is that number already."""
    told = [value for value in evaluation.facts.values() if not isinstance(value, bool)]
    return None if evaluation.sample in told else evaluation.sample


def _reason(code: str) -> str:
    """A reason of a verdict in words; the fact it names, in words too."""
    kind, _, detail = code.partition(": ")
    wording = term("verdict", kind)
    name = detail.split(" ", 1)[0]
    return f"{wording}: {fact_name(name)}" if has(f"fact.{name}") else wording


def eased(clause: str, view: GateView) -> str:
    """A clause of `delivery.criteria.loosened`, `G2-01 smaller sample`, with the criterion's title and in words; as it is where it has none."""
    titles = {c.criterion.id: formats.text(c.criterion.title) for c in view.criteria}
    first, _, rest = clause.partition(" ")
    what, asks, condition = rest.partition("no longer asks ")
    if asks:
        told = word("eased.no longer asks", fact=fact_name(condition.split(" ", 1)[0]))
    elif has(f"eased.{clause}"):
        return word(f"eased.{clause}")
    else:
        told = word(f"eased.{what}") if has(f"eased.{what}") else what
    return f"{titles.get(first, first)} – {told}"


def _condition(criterion: Criterion, index: int) -> str:
    condition = criterion.conditions[index]
    fact, value = fact_name(condition.fact), fact_value(condition.value)
    return (
        f"{fact}: {value}"
        if condition.comparator == "equals"
        else word(f"gate.{condition.comparator}", fact=fact, value=value)
    )


def fact_name(name: str) -> str:
    return term("fact", name)


def fact_value(value: bool | int | str) -> str:
    if isinstance(value, bool):
        return word("common.yes" if value else "common.no")
    return formats.number(value) if isinstance(value, int) else str(value)


def _permit(row: PermitRow, view: GateView) -> dict[str, Any]:
    return {
        "state": row.state.value,
        "carries": row.state.carries,
        "at": row.set_at,
        "until": row.until,
        "ledger": row.verdict_index,
        "reasons": [] if row.state.carries else _why(row, view),
    }


def _why(row: PermitRow, view: GateView) -> list[str]:
    """Why a permit was tightened: the owner's own words, or the criteria that did not pass; nothing where the ledger has neither."""
    ground = _entry(reading.ledger_folder(), row.verdict_index)
    if ground.get("reason"):
        return [str(ground["reason"])]
    looked = AssessmentRecord.objects.filter(digest=ground.get("digest", "")).first()
    if looked is None:
        return []
    titles = {c.criterion.id: formats.text(c.criterion.title) for c in view.criteria}
    broken = [e for e in looked.body["evaluations"] if e["verdict"] != Verdict.PASS.value]
    return [
        f"{titles.get(e['criterion'], e['criterion'])} – {term('gate', e['verdict'])}"
        for e in broken
        if e["criterion"] not in looked.body["waived"]
    ]


@lru_cache(maxsize=256)
def _entry(folder: Path, index: int) -> Mapping[str, Any]:
    """What stands in the ledger at `index`. Entries never change, so each is read once per process."""
    if not folder.is_dir():
        return {}
    try:
        with Ledger.open(folder) as ledger:
            return ledger.entry(index).body
    except (KeregeError, IndexError):
        return {}
