"""What happened, and how well it went: append-only events, and measures that say exactly what they counted.

Implements the event model and measures M01 to M13 (first cut) of the delivery discipline, section 4. An event holds no
attribute of an applicant, only a keyed pseudonym of the case; a measure names its definition's version, its cohort rule, n and
what it left out and why, and can be computed again from the events to the same value.

The face of the room:
- `events`    an event as a value that checks itself
- `cases`     events folded into case histories (pure)
- `cohorts`   which cases count, as of when; months as people in Bishkek write them
- `measures`  the measures (pure)
- `doings`    record_events, take_measurements
- `queries`   measures_view, check_stored

Leaves to others: what outsiders may see of a figure (disclosure control, not there yet), pages (`web`).
"""
