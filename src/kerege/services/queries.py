"""What the hub shows of cases, as plain frozen values: lists, one case's whole story, counts. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kerege.ground.text import Text
from kerege.services import definitions
from kerege.services.cases import status_of
from kerege.services.definitions import AdmissionDefinition
from kerege.services.errors import CaseUnknown
from kerege.services.models import Case, CaseAction, Decision, Document, EvidenceRecord

PAGE = 50


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One line of a list."""

    case_id: str
    application_no: str
    school_code: str
    stage: int
    submitted_at: datetime
    status: str
    decision: str | None
    primary_reason: str | None


@dataclass(frozen=True, slots=True)
class ActionLine:
    kind: str
    at: datetime
    actor: str
    codes: tuple[str, ...]
    texts: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """One value with where it came from. `preview`: what this evidence is called for people; `came_as`: as the register wrote it."""

    concept: str
    preview: Text | None
    field: str
    value: str | None
    came_as: str | None
    register: str
    data_service: str
    message_id: str
    mapping_id: str
    mapping_version: str
    original_sha256: str
    fetched_at: datetime
    record_no: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReasonLine:
    code: str
    text: Text
    legal_ref: str
    legal_title: Text


@dataclass(frozen=True, slots=True)
class DecisionLine:
    kind: str
    automatic: bool
    decided_at: datetime
    definition_version: str
    reasons: tuple[ReasonLine, ...]
    facts: dict[str, object]


@dataclass(frozen=True, slots=True)
class CaseStory:
    """Everything about one case, in the order it happened; the last decision is the one in force."""

    row: CaseRow
    public_service: str
    titles: Text
    run: str
    holder: str
    actions: tuple[ActionLine, ...]
    evidence: tuple[EvidenceLine, ...]
    decisions: tuple[DecisionLine, ...]
    documents: tuple[tuple[str, str, datetime], ...]
    manual_path: Text

    def evidence_by_concept(self) -> dict[str, tuple[EvidenceLine, ...]]:
        found: dict[str, list[EvidenceLine]] = {}
        for line in self.evidence:
            found.setdefault(line.concept, []).append(line)
        return {concept: tuple(lines) for concept, lines in found.items()}


def case_list(
    *,
    public_service: str | None = None,
    run: str | None = None,
    status: str | None = None,
    holder: str | None = None,
    after: str | None = None,
    limit: int = PAGE,
) -> list[CaseRow]:
    """Cases by time of submission. `after`: the case id a previous page ended with. `status` is filtered after it is computed."""
    found = Case.objects.order_by("submitted_at", "case_id")
    if public_service is not None:
        found = found.filter(public_service=public_service)
    if run is not None:
        found = found.filter(run=run)
    if holder is not None:
        found = found.filter(holder=holder)
    if after is not None:
        last = _case(after)
        found = found.filter(submitted_at__gte=last.submitted_at).exclude(
            submitted_at=last.submitted_at, case_id__lte=last.case_id
        )
    rows: list[CaseRow] = []
    start = 0
    while len(rows) < limit:
        page = list(found[start : start + limit])
        if not page:
            break
        rows += [row for row in _rows(page) if status is None or row.status == status]
        start += limit
    return rows[:limit]


def case_counts(run: str | None = None) -> dict[str, int]:
    """Cases per status."""
    cases = Case.objects.all() if run is None else Case.objects.filter(run=run)
    return dict(Counter(row.status for row in _rows(list(cases))))


def case_story(case_id: str) -> CaseStory:
    """One case with every action, value and decision. Raises CaseUnknown."""
    case = _case(case_id)
    definition = definitions.of(case.public_service)
    actions = list(CaseAction.objects.filter(case=case).order_by("place"))
    return CaseStory(
        row=_rows([case])[0],
        public_service=case.public_service,
        titles=definition.titles,
        run=case.run,
        holder=case.holder,
        actions=tuple(_action(action, definition) for action in actions),
        evidence=tuple(
            _evidence(record, definition) for record in EvidenceRecord.objects.filter(case=case).order_by("pk")
        ),
        decisions=tuple(
            _decision(decision, definition)
            for decision in Decision.objects.filter(case=case).order_by("decided_at", "pk")
        ),
        documents=tuple(
            Document.objects.filter(case=case).order_by("pk").values_list("kind", "credential_ref", "issued_at")
        ),
        manual_path=definition.manual_path,
    )


def reason_text(code: str, definition: AdmissionDefinition) -> Text | None:
    """The wording of a reason or an open reason, in three languages."""
    if code in definition.reasons:
        return definition.reasons[code].text
    return definition.open_reasons.get(code)


def _case(case_id: str) -> Case:
    case = Case.objects.filter(case_id=case_id).first()
    if case is None:
        raise CaseUnknown(case=case_id)
    return case


def _rows(cases: Sequence[Case]) -> list[CaseRow]:
    keys = [case.pk for case in cases]
    kinds: dict[int, list[str]] = {key: [] for key in keys}
    decided: dict[int, tuple[str, str | None]] = {}
    for start in range(0, len(keys), 500):
        chunk = keys[start : start + 500]
        for pk, kind in (
            CaseAction.objects.filter(case_id__in=chunk).order_by("case_id", "place").values_list("case_id", "kind")
        ):
            kinds[pk].append(kind)
        for pk, kind, reasons in (
            Decision.objects.filter(case_id__in=chunk)
            .order_by("decided_at", "pk")
            .values_list("case_id", "kind", "reasons")
        ):
            decided[pk] = (kind, reasons[0] if reasons else None)
    return [
        CaseRow(
            case.case_id,
            case.application_no,
            case.school_code,
            case.stage,
            case.submitted_at,
            status_of(kinds[case.pk]),
            *decided.get(case.pk, (None, None)),
        )
        for case in cases
    ]


def _action(action: CaseAction, definition: AdmissionDefinition) -> ActionLine:
    texts = tuple(text for code in action.codes if (text := reason_text(code, definition)) is not None)
    return ActionLine(action.kind, action.at, action.actor, tuple(action.codes), texts)


def _evidence(record: EvidenceRecord, definition: AdmissionDefinition) -> EvidenceLine:
    source = definition.evidence.get(record.concept)
    return EvidenceLine(
        record.concept,
        source.preview if source else None,
        record.field,
        record.value,
        record.came_as,
        record.register,
        record.data_service,
        record.message_id,
        record.mapping_id,
        record.mapping_version,
        record.original_sha256,
        record.fetched_at,
        record.record_no,
        tuple(record.problems),
    )


def _decision(decision: Decision, definition: AdmissionDefinition) -> DecisionLine:
    reasons = tuple(
        ReasonLine(code, reason.text, reason.legal_ref, definition.legal_basis[reason.legal_ref].title)
        for code in decision.reasons
        if (reason := definition.reasons.get(code)) is not None
    )
    return DecisionLine(
        decision.kind,
        decision.automatic,
        decision.decided_at,
        decision.definition_version,
        reasons,
        dict(decision.facts),
    )
