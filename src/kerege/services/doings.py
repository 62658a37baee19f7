"""What changes in this room: a run of applications is stored, an officer decides, a document is noted. One transaction each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from kerege.ground.clock import require_utc
from kerege.ground.ids import new_id
from kerege.services import cases
from kerege.services.admission import ASKED_AGAIN, MANUAL, Processed
from kerege.services.came_as import came_as
from kerege.services.definitions import AdmissionDefinition
from kerege.services.errors import CaseUnknown, RunAlreadyStored
from kerege.services.models import Case, CaseAction, Decision, Document, EvidenceRecord
from kerege.services.run import RunResult

_BATCH = 500


@transaction.atomic
def store_run(
    run: RunResult,
    definition: AdmissionDefinition,
    *,
    run_id: str,
    now: datetime,
    holder_of: Callable[[str], str],
    synthetic: bool = False,
) -> dict[str, str]:
    """Store every application of `run` as a case with its actions, evidence and decision; application id -> case id.

    holder_of   PIN -> keyed pseudonym (identity.pseudonyms); the PIN itself is not stored with the case

    All or nothing. Raises RunAlreadyStored when an application of this run is there already: a decision is never overwritten.
    """
    require_utc(now)
    numbers = {item.application.id: new_id("case") for item in run.processed}
    try:
        with transaction.atomic():
            Case.objects.bulk_create(
                [
                    _case(item, definition, run_id, numbers[item.application.id], holder_of, synthetic)
                    for item in run.processed
                ],
                batch_size=_BATCH,
            )
    except IntegrityError as error:
        raise RunAlreadyStored(case=run_id) from error
    stored = dict(Case.objects.filter(public_service=definition.id, run=run_id).values_list("application_no", "pk"))
    CaseAction.objects.bulk_create(
        [row for item in run.processed for row in _actions(item, stored[item.application.id], now)], batch_size=_BATCH
    )
    EvidenceRecord.objects.bulk_create(
        [row for item in run.processed for row in _evidence(item, stored[item.application.id])], batch_size=_BATCH
    )
    Decision.objects.bulk_create(
        [
            Decision(
                case_id=stored[item.application.id],
                kind=item.decision.kind,
                reasons=list(item.decision.reasons),
                definition_version=definition.version,
                automatic=True,
                facts=facts_as_json(item, definition),
                decided_at=now,
            )
            for item in run.processed
            if item.decision is not None
        ],
        batch_size=_BATCH,
    )
    return numbers


@transaction.atomic
def decide_by_officer(
    case_id: str, kind: str, reasons: list[str], *, officer: str, version: str, now: datetime
) -> None:
    """An officer's decision on a case the machine left open, beside what was there. Raises CaseUnknown."""
    require_utc(now)
    case = _get(case_id)
    Decision.objects.create(
        case=case, kind=kind, reasons=reasons, definition_version=version, automatic=False, facts={}, decided_at=now
    )
    _append(case, cases.DECIDED, now, officer, [kind, *reasons])


@transaction.atomic
def note_documents(issued: Iterable[tuple[str, str, str]], *, now: datetime) -> int:
    """Note issued documents as (case id, kind of document, credential reference); how many. Raises CaseUnknown."""
    require_utc(now)
    count = 0
    for case_id, kind, reference in issued:
        case = _get(case_id)
        Document.objects.create(case=case, kind=kind, credential_ref=reference, issued_at=now)
        _append(case, cases.DOCUMENT, now, "system", [kind])
        count += 1
    return count


@transaction.atomic
def withdraw(case_id: str, *, actor: str, now: datetime) -> None:
    """The applicant takes the application back. Raises CaseUnknown."""
    _append(_get(case_id), cases.WITHDRAWN, require_utc(now), actor, [])


def facts_as_json(item: Processed, definition: AdmissionDefinition) -> dict[str, Any]:
    """The facts as verdicts: no dates, names or addresses."""
    facts = item.facts
    return {
        "age_class": definition.rules.age_class(facts.birth_date) if facts.birth_date else None,
        "birth_date_disputed": bool(facts.other_birth_dates),
        "guardian": facts.guardian,
        "in_catchment": facts.in_catchment,
        "vaccinated": facts.vaccinated,
        "enrolled_elsewhere": facts.enrolled_elsewhere,
        "links": list(item.links),
    }


def _case(
    item: Processed,
    definition: AdmissionDefinition,
    run_id: str,
    case_id: str,
    holder_of: Callable[[str], str],
    synthetic: bool,
) -> Case:
    application = item.application
    return Case(
        case_id=case_id,
        public_service=definition.id,
        definition_version=definition.version,
        application_no=application.id,
        run=run_id,
        holder=holder_of(application.parent_pin),
        school_code=application.school_code,
        stage=application.stage,
        submitted_at=application.submitted_at,
        synthetic=synthetic,
    )


def _actions(item: Processed, case_pk: int, now: datetime) -> list[CaseAction]:
    rows: list[tuple[str, datetime, str, list[str]]] = [
        (cases.SUBMITTED, item.application.submitted_at, "applicant", [])
    ]
    # Values also come from lists asked for once per run, which are no source of this application alone.
    registers = {source.register for source in item.sources} | {value.source.register for value in item.evidence}
    rows.append((cases.EVIDENCE, now, "system", sorted(registers)))
    if item.decision is not None:
        rows.append((cases.DECIDED, now, "system", [item.decision.kind, *item.decision.reasons]))
    elif item.kind == MANUAL:
        rows.append((cases.TO_OFFICER, now, "system", list(item.reasons)))
    elif item.kind == ASKED_AGAIN:
        rows.append((cases.ASKED, now, "system", list(item.reasons)))
    return [
        CaseAction(case_id=case_pk, place=place, kind=kind, at=at, actor=actor, codes=codes)
        for place, (kind, at, actor, codes) in enumerate(rows, start=1)
    ]


def _evidence(item: Processed, case_pk: int) -> list[EvidenceRecord]:
    return [
        EvidenceRecord(
            case_id=case_pk,
            concept=value.concept,
            field=value.field,
            value=value.value,
            came_as=came_as(value, item.views),
            register=value.source.register,
            data_service=value.source.data_service,
            message_id=value.source.message_id,
            mapping_id=value.source.mapping_id,
            mapping_version=value.source.mapping_version,
            original_sha256=value.source.original_sha256,
            fetched_at=value.source.fetched_at,
            record_no=value.record_id,
            problems=list(value.problems),
        )
        for value in item.evidence
    ]


def _get(case_id: str) -> Case:
    case = Case.objects.filter(case_id=case_id).first()
    if case is None:
        raise CaseUnknown(case=case_id)
    return case


def _append(case: Case, kind: str, now: datetime, actor: str, codes: list[str]) -> None:
    last = CaseAction.objects.filter(case=case).aggregate(last=Max("place"))["last"] or 0
    CaseAction.objects.create(case=case, place=last + 1, kind=kind, at=now, actor=actor, codes=codes)
