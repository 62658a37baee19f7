"""What is wrong with a value of a record: a stable code, the field, how heavily it weighs. Never the value itself.

An unmapped code of a list is no personal value, and the steward must see it: it alone is carried, shortened, in `source_code`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["flag", "quarantine", "reject"]
Verdict = Literal["ok", "flagged", "quarantined", "rejected"]
SOURCE_CODE_LENGTH: Final = 40

UNMAPPED: Final = "semantics.unmapped_code"
DATE: Final = "semantics.date_unreadable"
PIN_MALFORMED: Final = "semantics.pin_malformed"
PIN_CONTRADICTS: Final = "semantics.pin_contradicts"
PHONE: Final = "semantics.phone_unreadable"
CODE: Final = "semantics.code_malformed"
NUMBER: Final = "semantics.number_unreadable"
NOT_IN_LIST: Final = "semantics.not_in_list"
PATTERN: Final = "semantics.pattern_unread"
NAME: Final = "semantics.name_unsure"
PLACE: Final = "semantics.place_unknown"
REQUIRED: Final = "semantics.required_missing"
TOO_LONG: Final = "semantics.cell_too_long"

# code -> what it means, for documents and desks
MEANINGS: Final[dict[str, str]] = {
    UNMAPPED: "a code with no counterpart in the crosswalk (or several); what happens is the crosswalk's policy",
    DATE: "not a date in any of the field's formats; the value is null",
    PIN_MALFORMED: "not 14 digits with a sex digit and a date; the value is null",
    PIN_CONTRADICTS: "the date or sex inside the PIN differs from the record's own; the value is kept",
    PHONE: "not a telephone number of its plan; the value is null",
    CODE: "a code with other characters or another length than agreed; the value is null",
    NUMBER: "not a whole number; the value is null",
    NOT_IN_LIST: "not a notation of the code list; the value is null",
    PATTERN: "a text that no line of the field's pattern reads; the value is null",
    NAME: "the order or parts of a name in one cell had to be assumed; the value is kept",
    PLACE: "a place name that is none, or several, of the gazetteer's; the value is null",
    REQUIRED: "a field that must have a value has none",
    TOO_LONG: "a cell beyond the mapping's limit; read as missing",
}
_RANK: Final[dict[Severity, int]] = {"flag": 1, "quarantine": 2, "reject": 3}
_VERDICTS: Final[tuple[Verdict, ...]] = ("ok", "flagged", "quarantined", "rejected")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field of one record."""

    field: str
    code: str
    source_code: str | None = None
    severity: Severity = "flag"

    def as_dict(self) -> dict[str, str]:
        """For messages: `field`, `code`, and `source_code` and `severity` where they say something."""
        out = {"field": self.field, "code": self.code}
        if self.source_code is not None:
            out["source_code"] = self.source_code
        if self.severity != "flag":
            out["severity"] = self.severity
        return out


def verdict_of(problems: tuple[Problem, ...] | list[Problem]) -> Verdict:
    """The record's verdict: its heaviest problem's."""
    if not problems:
        return "ok"
    return _VERDICTS[max(_RANK[p.severity] for p in problems)]
