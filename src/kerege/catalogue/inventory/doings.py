"""What changes the catalogue, one transaction each. Every doing says what it did; none of them reads a register's values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from kerege.catalogue.codes.concepts import likely_concepts, load_concepts
from kerege.catalogue.errors import (
    ConceptUnknown,
    DatasetUnknown,
    PlanDone,
    PlanStale,
    PlanUnknown,
)
from kerege.catalogue.inventory.drift import Drift, drifts, gone, undoes
from kerege.catalogue.inventory.harvest import Harvest, Options, harvest_source, named_and_marked
from kerege.catalogue.inventory.plans import Change, diff, what_moved
from kerege.catalogue.inventory.profile import TableProfile, as_column
from kerege.catalogue.inventory.usage import add_usage, counted_until
from kerege.catalogue.models import ConceptLink, Dataset, Field, Finding, Plan
from kerege.catalogue.ownership.doings import declare_source_of_truth as declare_source_of_truth
from kerege.catalogue.ownership.doings import hand_over as hand_over
from kerege.catalogue.ownership.doings import name_owner as name_owner
from kerege.catalogue.ownership.face import owner_of
from kerege.catalogue.search import index as search_index
from kerege.ground.clock import iso, require_utc
from kerege.ground.ids import digest, new_id


@dataclass(frozen=True, slots=True)
class NewFinding:
    """A finding to record: where, what, how many records."""

    kind: str
    records: int = 1
    column: str = ""
    detail: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def known_tables(source: str, only: Sequence[str] = ()) -> list[TableProfile]:
    """What the catalogue knows of a source: its present tables (or those of `only`) and columns, as harvested."""
    tables = []
    there = Dataset.objects.filter(source=source, vanished=False).order_by("table")
    for dataset in there.filter(table__in=only) if only else there:
        fields = [f.profile for f in dataset.fields.filter(vanished=False).order_by("position")]
        tables.append(TableProfile.from_dict({**dataset.profile, "fields": fields}))
    return tables


def _digest(tables: Iterable[TableProfile]) -> str:
    return digest([t.as_dict() for t in tables])


@transaction.atomic
def make_plan(
    harvest: Harvest, options: Options, now: datetime, *, location: str = "", accept_empty: bool = False
) -> Plan:
    """Store the difference between the catalogue and `harvest` as a frozen plan. The catalogue itself stays as it is.

    location   absolute path of a file, so that `apply` can read it again; databases are named anew when applying
    """
    known = known_tables(harvest.source, options.reading.tables)
    changes = diff(harvest.source, known, harvest.tables, accept_empty=accept_empty)
    changes = _with_hints(changes, harvest)
    if changes:  # a remark alone is no difference
        changes += [Change("~", "remark", table, "", remark) for table, remark in harvest.remarks]
    return Plan.objects.create(
        plan_id=new_id("plan"), source=harvest.source, kind=harvest.kind, location=location, options=options.as_dict(),
        fingerprint=harvest.fingerprint, profile_digest=harvest.digest, base_digest=_digest(known),
        profile=[t.as_dict() for t in harvest.tables], changes=[c.as_dict() for c in changes], made_at=require_utc(now),
        usage=_usage(harvest, options, now), cost=harvest.cost.as_dict(),
    )  # fmt: skip


def _usage(harvest: Harvest, options: Options, now: datetime) -> dict[str, Any]:
    if not harvest.usage:
        return {}
    return {"until": options.reading.until or iso(now), "uses": [u.as_dict() for u in harvest.usage]}


def _with_hints(changes: list[Change], harvest: Harvest) -> list[Change]:
    """New columns with the concept their name most likely means; not when the pack has no concepts."""
    concepts = load_concepts()
    fresh = {(c.table, c.column) for c in changes if c.kind == "column-new"}
    if not concepts or not fresh:
        return changes
    columns = [as_column(f, t.name, frozenset()) for t in harvest.tables for f in t.fields if (t.name, f.name) in fresh]
    likely = likely_concepts(columns, concepts)
    return [
        replace(c, reason=f"{c.reason}; perhaps {likely[c.table, c.column]}" if (c.table, c.column) in likely else f"{c.reason}; no concept yet")
        if c.kind == "column-new"
        else c
        for c in changes
    ]  # fmt: skip


def apply_plan(plan_id: str, now: datetime, *, source: str = "", by: str = "") -> list[Change]:
    """Bring exactly what the plan says into the catalogue, and remember who did it, where that is known; returns the changes applied.

    The source is read again first, outside the transaction. PlanStale, and nothing changed, when the file's bytes, the register's profile
    or the catalogue's own knowledge of it are not what they were; PlanDone when it was applied before.
    """
    plan = Plan.objects.filter(plan_id=plan_id).first()
    if plan is None:
        raise PlanUnknown(plan=plan_id)
    if plan.status != Plan.OPEN:
        raise PlanDone(plan=plan_id, status=plan.status)
    text = source or plan.location
    if not text or ("://" not in text and not Path(text).exists()):
        raise PlanStale(
            plan=plan_id, source=plan.source, what="the source is not where it was (name it anew); it may have"
        )
    options = Options.from_dict(plan.options)
    name, fingerprint = named_and_marked(text, options)
    if name != plan.source:
        raise PlanStale(plan=plan_id, source=plan.source, what="this is another source; what it is")
    if fingerprint != plan.fingerprint:  # what was put in the file's place is not parsed
        raise PlanStale(plan=plan_id, source=plan.source, what="the file's bytes")
    seen = harvest_source(text, options)
    if seen.fingerprint != plan.fingerprint:  # exchanged since
        raise PlanStale(plan=plan_id, source=plan.source, what="the file's bytes")
    if seen.digest != plan.profile_digest:
        then = [TableProfile.from_dict(t) for t in plan.profile]
        raise PlanStale(plan=plan_id, source=plan.source, what=what_moved(then, seen.tables))
    with transaction.atomic():
        _hold(plan.source)
        locked = Plan.objects.select_for_update().get(pk=plan.pk)
        if locked.status != Plan.OPEN:
            raise PlanDone(plan=plan_id, status=locked.status)
        known = known_tables(plan.source, plan.options["tables"])
        if _digest(known) != plan.base_digest:
            raise PlanStale(plan=plan_id, source=plan.source, what="what the catalogue knows of it")
        if _counted_since(locked):
            raise PlanStale(plan=plan_id, source=plan.source, what="how far its traffic was counted")
        changes = [Change.from_dict(c) for c in locked.changes]
        _write(locked, now)
        _note(locked, known, now)
        add_usage(locked.source, locked.usage)
        search_index.changed(f"source:{locked.source}")
        locked.status, locked.applied_at, locked.decided_by = Plan.APPLIED, require_utc(now), by[:200]
        locked.save(update_fields=["status", "applied_at", "decided_by"])
    return changes


def _hold(source: str) -> None:
    """One plan of a source at a time: whoever applies one holds all that are open, so that the next sees what this one wrote."""
    open_ones = Plan.objects.select_for_update().filter(source=source, status=Plan.OPEN)
    list(open_ones.order_by("pk").values_list("pk", flat=True))


def _counted_since(plan: Plan) -> bool:
    """Whether calls that the plan counted were counted by another one since."""
    until, since = counted_until(plan.source), plan.options.get("since")
    return bool(plan.usage) and until is not None and (not since or datetime.fromisoformat(since) < until)


def _write(plan: Plan, now: datetime) -> None:
    tables = [TableProfile.from_dict(t) for t in plan.profile]
    for table in tables:
        frame: dict[str, Any] = {k: v for k, v in table.as_dict().items() if k != "fields"}
        dataset, _ = Dataset.objects.update_or_create(
            source=plan.source, table=table.name,
            defaults={
                "kind": plan.kind, "rows": table.total_rows, "profile": frame, "description": table.description,
                "vanished": False, "harvested_at": now,
            },
        )  # fmt: skip
        for column in table.fields:
            Field.objects.update_or_create(
                dataset=dataset, name=column.name,
                defaults={
                    "position": column.position, "profile": column.as_dict(), "personal": column.personal, "vanished": False,
                },
            )  # fmt: skip
        dataset.fields.exclude(name__in=[f.name for f in table.fields]).update(vanished=True)
    others = Dataset.objects.filter(source=plan.source).exclude(table__in=[t.name for t in tables])
    if plan.options["tables"]:  # the rest of the source was not looked at
        others = others.filter(table__in=plan.options["tables"])
    others.update(vanished=True)


def _note(plan: Plan, known: list[TableProfile], now: datetime) -> None:
    """Record the drift a plan shows, and close what is gone, with the evidence."""
    found = [TableProfile.from_dict(t) for t in plan.profile]
    changes = [Change.from_dict(c) for c in plan.changes]
    tables = {t.name: t for t in found}
    closed: list[Drift] = []
    open_ones = Finding.objects.filter(dataset__source=plan.source, found_by="harvest", settled_at=None)
    for finding in open_ones.select_related("dataset", "field__concept_link"):
        if plan.options["tables"] and finding.dataset.table not in plan.options["tables"]:
            continue
        column = finding.field.name if finding.field else ""
        settled = (
            finding.kind == "column-new"
            and finding.field is not None
            and hasattr(finding.field, "concept_link")
            and owner_of(finding.field.pk, now) is not None
        )
        evidence = gone(finding.kind, finding.facts, tables.get(finding.dataset.table), column, settled=settled)
        if evidence:
            finding.settled_at = require_utc(now)
            finding.evidence = f"{plan.plan_id}: {evidence}"[:500]
            finding.save(update_fields=["settled_at", "evidence"])
            closed.append(Drift(finding.kind, finding.dataset.table, column, finding.detail, finding.facts))
    for drift in drifts(changes, known, found):
        if undoes(drift, closed):
            continue
        new = NewFinding(drift.kind, 1, drift.column, drift.detail, dict(drift.facts))
        record_findings(plan.source, drift.table, [new], now, found_by="harvest")


def _dataset(source: str, table: str) -> Dataset:
    found = Dataset.objects.filter(source=source, table=table).first()
    if found is None:
        raise DatasetUnknown(what="dataset", name=f"{source}#{table}")
    return found


def _field(source: str, table: str, column: str) -> Field:
    found = _dataset(source, table).fields.filter(name=column).first()
    if found is None:
        raise DatasetUnknown(what="attribute", name=f"{source}#{table}.{column}")
    return found


@transaction.atomic
def link_concept(
    source: str, table: str, column: str, concept: str, said_by: str, now: datetime, codelist: str = ""
) -> ConceptLink:
    """Say what an attribute means. A pack that ships concepts is asked whether it knows this one.

    codelist   the list its codes come from. A list that stood under another meaning goes with it; under the same one it stays unless another is named
    """
    concepts = load_concepts()
    if concepts and concept not in concepts:
        raise ConceptUnknown(concept=concept)
    field = _field(source, table, column)
    before = ConceptLink.objects.filter(field=field).first()
    if codelist or before is None or before.concept != concept:
        field.codelist = codelist
        field.save(update_fields=["codelist"])
    link, _ = ConceptLink.objects.update_or_create(
        field=field, defaults={"concept": concept, "said_by": said_by, "linked_at": require_utc(now)}
    )
    search_index.changed(f"dataset:{field.dataset_id}")
    return link


@transaction.atomic
def set_organisation(source: str, organisation: str) -> int:
    """Say which agency runs a source; returns the number of datasets it names."""
    named = Dataset.objects.filter(source=source).update(organisation=organisation)
    search_index.changed(f"source:{source}")
    return named


@transaction.atomic
def record_findings(source: str, table: str, findings: Iterable[NewFinding], now: datetime, *, found_by: str) -> int:
    """Record findings on a dataset. An open finding of the same kind, column and detail is counted up, not repeated.

    One that its owner refused, or that was withdrawn, has ended: what is seen again is a new finding with a term of its own, whose facts name the one
    `before`.
    """
    dataset = _dataset(source, table)
    count = 0
    for new in findings:
        field = dataset.fields.filter(name=new.column).first() if new.column else None
        open_ones = Finding.objects.filter(
            dataset=dataset, field=field, kind=new.kind, detail=new.detail, found_by=found_by, settled_at=None
        )
        same = open_ones.filter(ended_at=None).first()
        if same is not None:
            same.records, same.found_at = same.records + new.records, require_utc(now)
            same.save(update_fields=["records", "found_at"])
        else:
            ended = open_ones.order_by("-pk").values_list("pk", flat=True).first()
            Finding.objects.create(
                dataset=dataset, field=field, kind=new.kind, detail=new.detail, records=new.records, found_by=found_by,
                found_at=require_utc(now), first_at=now, facts=new.facts if ended is None else {**new.facts, "before": ended},
            )  # fmt: skip
        count += 1
    return count
