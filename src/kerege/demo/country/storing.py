"""What a run leaves in the hub: cases with their evidence, discrepancies, events for the measures, and reads of personal data."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from kerege.delivery import records
from kerege.demo.country import network
from kerege.demo.country.run import Country
from kerege.ground.clock import now
from kerege.identity import doings as identity
from kerege.identity import pseudonyms
from kerege.identity.pseudonyms import PseudonymKey
from kerege.identity.reads import Read
from kerege.insight import doings as insight
from kerege.insight.cohorts import Cohort
from kerege.insight.events import EventFacts, case_ref
from kerege.reconcile import doings as reconcile
from kerege.reconcile import fields
from kerege.services import doings
from kerege.services.admission import Processed
from kerege.services.definitions import AdmissionDefinition
from kerege.services.events import events_of
from kerege.services.run import RunResult

RUNS: Final = {"data_first": "data-first", "integration_only": "integration-only"}


def store(country: Country, definition: AdmissionDefinition, plain: RunResult, meant: RunResult) -> dict[str, str]:
    """Store the data-first run and everybody's reads; application id -> case id."""
    key = pseudonyms.open_key(country.options.home)
    run, at = RUNS[meant.way], now()
    case_ids = doings.store_run(meant, definition, run_id=run, now=at, holder_of=key.of, synthetic=True)
    comparisons = {case_ids[item.application.id]: item.comparisons for item in meant.processed}
    reconcile.record_comparisons(comparisons, fields.of_country(), run=run, now=at, service=network.PUBLIC_SERVICE)
    insight.record_events(_events(meant, key), at)
    insight.take_measurements(network.PUBLIC_SERVICE, Cohort.everything(at, timedelta()), at)
    for result in (plain, meant):
        reads = [read for item in result.processed for read in _reads(item, key, definition)]
        identity.record_reads(reads, country.ledger, at)
    return case_ids


def _events(run: RunResult, key: PseudonymKey) -> list[EventFacts]:
    """Events of the run. A form of the demo carries an invented date in spring; the measures' clock starts when it really came in,
    which is when the run took it up."""
    release = records.current_release(network.PUBLIC_SERVICE).digest[:12]
    at = now()
    return [
        EventFacts.of(raw)
        for item in run.processed
        for raw in events_of(
            _taken_up(item, at),
            public_service=network.PUBLIC_SERVICE,
            release=release,
            run_id=RUNS[run.way],
            at=at,
            case_ref=lambda number: case_ref(key, network.PUBLIC_SERVICE, number),
            synthetic=True,
        )
    ]


def _taken_up(item: Processed, at: datetime) -> Processed:
    return replace(item, application=replace(item.application, submitted_at=at - timedelta(seconds=item.seconds)))


def _reads(item: Processed, key: PseudonymKey, definition: AdmissionDefinition) -> list[Read]:
    """One read per message that told of this child, the nightly list among them where a row of it was used.

    Under the child's pseudonym where the child is known, else the applicant's.
    """
    born = {v.field: v.value for v in item.evidence if v.concept == "child.birth" and v.value}
    about = key.of(born.get("pin") or born.get("Pin") or item.application.parent_pin)
    basis = {evidence.data_service: evidence.legal_ref for evidence in definition.evidence.values()}
    return [
        Read(
            member=str(network.ADMISSION),
            reader=f"process:{RUNS[item.way]}",
            about=about,
            purpose=network.PUBLIC_SERVICE,
            legal_basis=basis[source.data_service],
            data_service=source.data_service,
            message_id=source.message_id,
            at=source.fetched_at,
        )
        for source in dict.fromkeys((*item.sources, *(value.source for value in item.evidence)))
        if source.message_id
    ]
