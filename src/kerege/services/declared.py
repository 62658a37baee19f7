"""The words a declared public service is written in: what may stand in its file, and what must. Checked by `definitions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# The order in which reasons are given is the law of decisions: see docs/decisions/0070.
REASON_ORDER: Final = (
    "not_guardian",
    "under_age",
    "over_age",
    "enrolled_elsewhere",
    "outside_catchment",
    "not_vaccinated",
)
# What a request may be filled with. Both tell of a person: they may stand in a body only, never in an address that others log.
PARAMETERS: Final = ("pin", "date")
OUTCOME_KINDS: Final = ("admit", "refuse", "commission", "no-place")
EVIDENCE_IDS: Final = (
    "child.birth",
    "person.registered_address",
    "school.catchment",
    "school.places",
    "child.enrolment",
    "child.vaccination",
)
# What may be declared of a child's record that is surely not in its register: `ask` the applicant, who may hold the paper, or take it
# as a fact (`decides`) where the register constitutes it. Of a child without a birth record or an address nothing can be decided.
ABSENCE: Final[Mapping[str, tuple[str, ...]]] = {
    "child.birth": ("ask",),
    "person.registered_address": ("ask",),
    "child.enrolment": ("ask", "decides"),
    "child.vaccination": ("ask", "decides"),
}
OPEN_REASONS: Final = (
    "guardian",
    "birth_date",
    "in_catchment",
    "vaccinated",
    "enrolled_elsewhere",
    "place",
    "capacity",
    "register_unavailable",
    "child_not_found",
    "child_ambiguous",
    "application_unreadable",
    "field_differs",
    "field_not_comparable",
    "record_not_found",
    "school_unknown",
)
