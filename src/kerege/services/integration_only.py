"""The integration-only way: the same exchange, values as they come, compared as a careful clerk's script would.

Records are looked up by PIN, exactly. Values are compared trimmed and case-folded, no more; each source's own date format is parsed,
because any script does that; each source's own status codes are known. What differs or cannot be compared (another script, another
code list) goes to a person; a record that is not found is asked of the citizen; "no pupil with this PIN" counts as not enrolled, as
such scripts do. The yardstick of the data-first way, so it is kept fair: nothing here is worse than it must be.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

from kerege.reconcile.compare import RecordView, normal, same_raw
from kerege.services import raw as raw_messages
from kerege.services.admission import (
    ASKED_AGAIN,
    INTEGRATION_ONLY,
    MANUAL,
    Application,
    Processed,
    conclude,
    unique,
)
from kerege.services.as_written import as_written
from kerege.services.definitions import AdmissionDefinition
from kerege.services.evidence import ExchangeClient, Gatherer, Reply, Value
from kerege.services.rules import UNDECIDED, Facts, Outcome

Row = Mapping[str, str | None]

# What the script's author knows of each agency's own codes.
_VACCINATED: Final = frozenset({"д", "о"})
_ENROLLED: Final = frozenset({"current", "pending_transfer"})
_PIN_LENGTH: Final = 14
_BEFORE: Final = frozenset({"0"})


class IntegrationOnly:
    """A `Way`. Build once, `prepare`, then `process` from many threads."""

    name = INTEGRATION_ONLY

    def __init__(self, client: ExchangeClient, definition: AdmissionDefinition) -> None:
        self._client, self._definition = client, definition
        self._certificates: dict[str, list[Row]] | None = None
        self._certificates_reply: Reply | None = None
        self._lines: dict[str, list[Row]] | None = None
        self._free: dict[str, int | None] = {}

    def prepare(self) -> None:
        """The nightly list by PIN, catchment lines by school, places."""
        gatherer = self._gatherer(f"{self._definition.id}/run")
        reply = gatherer.ask("child.vaccination", "all")
        self._certificates_reply = reply
        self._certificates = _by(reply.raw, "PIN") if reply.ok else None
        lines = gatherer.ask("school.catchment", "all")
        self._lines = _by(lines.raw, "institution_code") if lines.ok else None
        places = gatherer.ask("school.places", "all")
        for row in places.raw if places.ok else ():
            if row.get("grade") == self._definition.rules.grade and row.get("institution_code"):
                self._free[str(row["institution_code"])] = _free(row)

    def free_places(self) -> Mapping[str, int | None]:
        return self._free

    def process(self, application: Application) -> Processed:
        started = time.perf_counter()
        case = _Case(application, self._definition, self._gatherer(application.id))
        facts = case.settle(self._certificates, self._certificates_reply, self._lines)
        processed = Processed(
            application,
            self.name,
            MANUAL,
            None,
            facts,
            Outcome(UNDECIDED, ()),
            reasons=unique(case.reasons),
            evidence=tuple(case.evidence),
            sources=tuple(case.gatherer.sources),
            views=case.views,
            seconds=time.perf_counter() - started,
        )
        return conclude(processed, self._definition, blocked=ASKED_AGAIN if case.asked else "")

    def _gatherer(self, issue: str) -> Gatherer:
        return Gatherer(self._client, self._definition, issue, canonical=False, decode_raw=raw_messages.decode)


class _Case:
    def __init__(self, application: Application, definition: AdmissionDefinition, gatherer: Gatherer) -> None:
        self._application, self._definition, self.gatherer = application, definition, gatherer
        self._form = application.raw
        self.reasons: list[str] = []
        self.evidence: list[Value] = []
        self.asked = False
        self.views: dict[str, RecordView] = {
            "application": RecordView("application", application.id, as_written("application", self._form))
        }

    def settle(
        self, certificates: dict[str, list[Row]] | None, reply: Reply | None, lines: dict[str, list[Row]] | None
    ) -> Facts:
        stage = self._application.stage
        nothing = Facts(None, None, None, None, None, stage)
        born = script_date(self._form.get("child_birth_date"))
        birth = self._birth(born)
        if birth is None or born is None:
            return nothing
        pin = self._pin(birth)
        in_catchment = self._in_catchment(birth, pin, lines) if self._definition.asks_catchment(stage) else None
        return Facts(
            birth_date=born,
            in_catchment=in_catchment,
            vaccinated=self._vaccinated(birth, pin, certificates, reply),
            enrolled_elsewhere=self._enrolled(birth, pin),
            guardian=True,
            stage=stage,
        )

    def _birth(self, born: date | None) -> Row | None:
        """The applicant's child in the civil registry, by the PIN of the sign-in, of the form's date and name."""
        reply = self.gatherer.ask("child.birth", "by_parent_pin", pin=self._application.parent_pin)
        if not reply.ok:
            self._open("register_unavailable")
            return None
        of_date = [row for row in reply.raw if born is not None and script_date(row.get("DataRozhd")) == born]
        if not of_date:
            self._ask_again()
            return None
        name = self._form.get("child_name")
        named = [row for row in of_date if same_names(row, "Fam", "Imya", name)]
        shown = (named or of_date)[0]
        self._see("civil", shown, reply, "child.birth", "ActNo")
        if len(named) != 1:
            self._open("field_differs")
            return None
        return named[0]

    def _pin(self, birth: Row) -> str | None:
        """The child's PIN: the registry's, or the form's where the registry has none; two that differ are a person's work."""
        registered, typed = normal(birth.get("Pin")), normal(self._form.get("child_pin"))
        if registered and typed and registered != typed:
            self._open("field_differs")
            return None
        pin = registered or typed
        if len(pin) != _PIN_LENGTH or not pin.isdecimal():
            self._ask_again()
            return None
        return pin

    def _in_catchment(self, birth: Row, pin: str | None, lines: dict[str, list[Row]] | None) -> bool | None:
        if pin is None:
            return None
        reply = self.gatherer.ask("person.registered_address", "by_pin", pin=pin)
        if not reply.ok or lines is None:
            self._open("register_unavailable")
            return None
        if not reply.raw:
            self._ask_again()
            return None
        person = reply.raw[0]
        self._see("population", person, reply, "person.registered_address", "pin")
        if not same_names(birth, "Fam", "Imya", _full(person, "lastName", "firstName", "middleName")):
            self._open("field_differs")
            return None
        for line in lines.get(self._application.school_code, ()):
            # A whole unit under the same code is the only line a script can read; two area codings never meet otherwise.
            if same_raw(line.get("area_administrative_code"), person.get("soate")) and not normal(line.get("street")):
                return True
        self._open("field_not_comparable")
        return None

    def _vaccinated(
        self, birth: Row, pin: str | None, certificates: dict[str, list[Row]] | None, reply: Reply | None
    ) -> bool | None:
        if pin is None:
            return None
        if certificates is None or reply is None:
            self._open("register_unavailable")
            return None
        found = certificates.get(pin, [])
        if not found:
            self._ask_again()
            return None
        good = [row for row in found if normal(row.get("STATUS")) in _VACCINATED]
        shown = (good or found)[0]
        self._see("health", shown, reply, "child.vaccination", "N_SPR")
        same_date = script_date(shown.get("DATA_R")) == script_date(birth.get("DataRozhd"))
        if not same_date or not same_names(birth, "Fam", "Imya", shown.get("FIO")):
            self._open("field_differs")
            return None
        return bool(good)

    def _enrolled(self, birth: Row, pin: str | None) -> bool | None:
        if pin is None:
            return None
        reply = self.gatherer.ask("child.enrolment", "by_pin", pin=pin)
        if not reply.ok:
            self._open("register_unavailable")
            return None
        own = reply.raw
        if own:
            self._see("emis", own[0], reply, "child.enrolment", "student_id")
        active = [
            row
            for row in own
            if normal(row.get("student_status")) in _ENROLLED and normal(row.get("education_grade")) not in _BEFORE
        ]
        if not active:
            return False
        if all(same_names(birth, "Fam", "Imya", _full(row, "last_name", "first_name")) for row in active):
            return True
        self._open("field_not_comparable")
        return None

    def _see(self, register: str, row: Row, reply: Reply, concept: str, number: str) -> None:
        record_id = row.get(number) or ""
        fields = as_written(register, row)
        self.views[register] = RecordView(register, record_id, fields)
        self.evidence.extend(Value(concept, name, value, reply.source, record_id) for name, value in fields.items())

    def _open(self, reason: str) -> None:
        self.reasons.append(reason)

    def _ask_again(self) -> None:
        self.asked = True
        self.reasons.append("record_not_found")


def script_date(text: str | None) -> date | None:
    """A date in one of the two formats the sources use; None for anything else."""
    for pattern in ("%Y-%m-%d", "%d.%m.%Y"):
        try:
            return datetime.strptime((text or "").strip(), pattern).date()  # noqa: DTZ007 (a calendar day has no zone)
        except ValueError:
            continue
    return None


def same_names(row: Row, surname: str, given: str, other: str | None) -> bool:
    """Whether both names of `row` stand in `other`, word for word, in any order; the patronymic is not asked for, many lack it."""
    words = normal(other).split()
    wanted = [*normal(row.get(surname)).split(), *normal(row.get(given)).split()]
    return bool(wanted) and all(word in words for word in wanted)


def _full(row: Row, *names: str) -> str:
    return " ".join(part for part in ((row.get(name) or "").strip() for name in names) if part)


def _by(rows: tuple[Row, ...], name: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if key := (row.get(name) or "").strip():
            found[key].append(row)
    return dict(found)


def _free(row: Row) -> int | None:
    capacity, taken = row.get("capacity") or "", row.get("taken") or ""
    return max(0, int(capacity) - int(taken)) if capacity.isdecimal() and taken.isdecimal() else None
