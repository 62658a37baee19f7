"""What can go wrong with events and measures."""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class InsightError(KeregeError):
    """Any error of this room."""


class EventInvalid(InsightError):
    code = "insight.event_invalid"
    message = "Event number {position} of the batch has no valid {field}; nothing of the batch was recorded."
    hint = "Give {field} as {expected}. Events never hold a person's data."


class EventKnown(InsightError):
    code = "insight.event_known"
    message = (
        "{count} of the batch's events were recorded before (the first is number {position}); nothing was recorded."
    )
    hint = "An event is recorded once. To correct one, record a new event with `correction_of`."


class MeasureUnknown(InsightError):
    code = "insight.measure_unknown"
    message = "There is no measure {name}."
    hint = "Known measures: {known}. They are described in docs/reference/measures.md."


class CohortInvalid(InsightError):
    code = "insight.cohort_invalid"
    message = "The cohort cannot be used: {reason}."
    hint = "A cohort is a window whose start lies before its end, a maturity of zero days or more and a moment to look from."
