"""Events for the measures: what happened, with no attribute of an applicant."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from kerege.insight.events import ActorKind, EventFacts, EventType
from kerege.services.admission import Application, Decision, Processed
from kerege.services.events import events_of
from kerege.services.evidence import Source
from kerege.services.rules import Facts, Outcome

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RAW = {"parent_pin": "11001199012345", "school_code": "KGS-1", "stage": "1", "submitted_at": "2026-04-01T04:00:00Z"}
SOURCES = tuple(Source(register, "s", "m", "k", "1", "0" * 64, NOW) for register in ("health", "civil", "civil"))


def events(kind: str, decision: Decision | None, reasons: tuple[str, ...] = ()) -> list[EventFacts]:
    item = Processed(
        Application.of("A-1", RAW), "data_first", kind, decision, Facts(date(2019, 5, 3), True, True, False, True),
        Outcome("admit", ("admitted",)), reasons=reasons, sources=SOURCES,
    )  # fmt: skip
    rows = events_of(
        item, public_service="grade1-admission", release="2026.1", run_id="r1", at=NOW, case_ref=lambda _: "a" * 64
    )
    return [
        EventFacts(**(row | {"type": EventType(row["type"]), "actor_kind": ActorKind(row["actor_kind"])}))
        for row in rows
    ]


@pytest.mark.parametrize(
    ("kind", "decision", "reasons", "last", "qualifier", "reason"),
    [
        ("straight_through", Decision("admit", ("admitted",)), (), "decided", "granted", ""),
        ("straight_through", Decision("refuse", ("under_age",)), (), "decided", "refused", "under_age"),
        ("straight_through", Decision("no-place", ("no_place",)), (), "decided", "refused", "no_place"),
        ("straight_through", Decision("commission", ("over_age",)), (), "check_requested", "", "over_age"),
        ("manual", None, ("guardian", "place"), "check_requested", "", "guardian"),
        ("asked_again", None, ("record_not_found",), "info_requested", "", "once-only:record_not_found"),
    ],
)
def test_each_ending_is_an_event_the_measures_accept(
    kind: str, decision: Decision | None, reasons: tuple[str, ...], last: str, qualifier: str, reason: str
) -> None:
    found = events(kind, decision, reasons)
    assert all(event.faults() == [] for event in found)
    assert [event.type.value for event in found[:4]] == ["started", "submitted", "check_answered", "check_answered"]
    assert (found[-1].type.value, found[-1].qualifier, found[-1].reason_code) == (last, qualifier, reason)
    assert len({event.event_id for event in found}) == len(found)


def test_an_event_comes_never_before_the_submission() -> None:
    assert all(event.occurred_at >= datetime(2026, 4, 1, 4, tzinfo=UTC) for event in events("manual", None, ("place",)))
