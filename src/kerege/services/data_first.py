"""The data-first way: decide from canonical messages, each fact from its source of truth, linked with care.

    birth date    civil; another date in the population register is held possible too
    guardian      civil (the applicant's PIN, or full name and one thing more): `child`
    in catchment  address from the population register only, lines of all schools from education
    vaccinated    the nightly list: any certificate of the child that counts
    enrolled      education's pupils born that day or under a PIN of the child: any record of the child that counts

A register that is down, a record that could not be translated, a link that is unsure: the fact stays unknown, and `rules` decides
only if it does not matter. A record that is surely not there is no proof either where the definition says `absence: ask`: then the
fact is open, and only the applicant can settle it. Nothing is ever taken from the citizen's form but who and which school is meant.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

from kerege.reconcile.compare import RecordView, view_of
from kerege.reconcile.link import Entry, Linked, NoneThere, Picked, Unsure, pick
from kerege.semantics.kg import pin as kg_pin
from kerege.services.admission import DATA_FIRST, MANUAL, Application, Processed, conclude, free_from, iso_date, unique
from kerege.services.as_written import beside
from kerege.services.catchment import Catchments, Place
from kerege.services.child import Child, Identifier
from kerege.services.definitions import AdmissionDefinition
from kerege.services.evidence import ExchangeClient, Gatherer, Reply, Source, Value, values_of
from kerege.services.rules import FACTS, UNDECIDED, Facts, Outcome

ReadApplication = Callable[[Mapping[str, str | None]], Entry]

_SHOWN: Final[dict[str, tuple[str, ...]]] = {
    "child.birth": ("surname", "given_name", "patronymic", "birth_date", "sex", "pin"),
    "person.registered_address": ("soate", "street", "house", "birth_date"),
    "child.enrolment": ("school_code", "grade", "status"),
    "child.vaccination": ("certificate_no", "status", "issued"),
}
_RECORD_ID: Final = {
    "civil": "act_number",
    "population": "pin",
    "emis": "pupil_id",
    "health": "certificate_no",
}


class DataFirst:
    """A `Way`. Build once, `prepare`, then `process` from many threads."""

    name = DATA_FIRST

    def __init__(self, client: ExchangeClient, definition: AdmissionDefinition, read: ReadApplication) -> None:
        self._client, self._definition, self._read = client, definition, read
        self._list: _Certificates = _Certificates(None)
        self._catchments: Catchments | None = None
        self._free: dict[str, int | None] = {}

    def prepare(self) -> None:
        """The nightly list, every school's catchment lines and places: once, because they are no one's personal evidence."""
        gatherer = Gatherer(self._client, self._definition, f"{self._definition.id}/run")
        self._list = _Certificates(gatherer.ask("child.vaccination", "all"))
        lines = gatherer.ask("school.catchment", "all")
        self._catchments = Catchments(lines.entries, incomplete=not lines.complete) if lines.ok else None
        places = gatherer.ask("school.places", "all")
        self._free = free_from(places, self._definition.rules.grade) if places.ok else {}

    def free_places(self) -> Mapping[str, int | None]:
        return self._free

    def process(self, application: Application) -> Processed:
        started = time.perf_counter()
        case = _Case(
            application, self._definition, Gatherer(self._client, self._definition, application.id), self._read
        )
        facts = case.settle(self._list, self._catchments)
        processed = Processed(
            application,
            self.name,
            MANUAL,
            None,
            facts,
            Outcome(UNDECIDED, ()),
            reasons=unique(case.reasons()),
            evidence=tuple(case.evidence),
            sources=tuple(case.gatherer.sources),
            views=case.record_views(),
            links=tuple(case.child.links),
            seconds=time.perf_counter() - started,
        )
        return conclude(processed, self._definition, absent=case.absent)


class _Case:
    """One application on its way: collects facts, evidence and reasons."""

    def __init__(
        self, application: Application, definition: AdmissionDefinition, gatherer: Gatherer, read: ReadApplication
    ) -> None:
        self._application, self._definition, self.gatherer = application, definition, gatherer
        self._identifier = Identifier(gatherer, read(application.raw), application.parent_pin)
        self.child: Child = self._identifier.child
        self.evidence: list[Value] = []
        self._linked: dict[str, Entry] = {"application": self.child.claim}
        self.absent: dict[str, str] = {}  # open fact -> why only the applicant can settle it

    def settle(self, certificates: _Certificates, catchments: Catchments | None) -> Facts:
        child = self._identifier.identify()
        if child.birth is None:
            if "child.birth" in child.absent:
                self.absent = dict.fromkeys(FACTS, "child_not_found")
            return Facts(None, None, None, None, None, self._application.stage)
        self._note("civil", "child.birth", child.birth, child.birth_source)
        if child.person is not None:
            self._note("population", "person.registered_address", child.person, child.person_source)
        born, others = self._birth_dates()
        return Facts(
            birth_date=born,
            in_catchment=self._in_catchment(catchments),
            vaccinated=self._vaccinated(certificates),
            enrolled_elsewhere=self._enrolled(),
            guardian=child.guardian,
            stage=self._application.stage,
            other_birth_dates=others,
        )

    def reasons(self) -> list[str]:
        return [*self.child.reasons, *(["register_unavailable"] if self.gatherer.faults else [])]

    def record_views(self) -> dict[str, RecordView]:
        """One view per register for the comparison of fields."""
        views = {}
        for register, entry in self._linked.items():
            number = entry.get(_RECORD_ID.get(register, "")) or self._application.id
            row = self._application.raw if register == "application" else entry.source
            raw = beside(register, row, entry.values)
            views[register] = view_of(register, number, raw, entry.values, entry.flagged)
        return views

    # -- facts ---------------------------------------------------------------------------------------------------------

    def _birth_dates(self) -> tuple[date | None, frozenset[date]]:
        """The civil date, and every other date a register or an equal PIN gives the child."""
        child = self.child
        assert child.birth is not None
        born = iso_date(child.birth.get("birth_date"))
        others = {iso_date(child.person.get("birth_date")) if child.person is not None else None}
        for entry in (child.birth, child.person):
            number = entry.get("pin") if entry is not None else None
            if number and kg_pin.is_valid(number) and child.person is not None and number == child.person.get("pin"):
                others.add(kg_pin.birth_date(number))
        return born, frozenset(day for day in others if day is not None and day != born)

    def _in_catchment(self, catchments: Catchments | None) -> bool | None:
        if not self._definition.asks_catchment(self._application.stage):
            return None
        if "person.registered_address" in self.child.absent:
            self.absent["in_catchment"] = "record_not_found"
        if catchments is None or self.child.person is None:
            return None
        return catchments.contains(self._application.school_code, Place.of(self.child.person))

    def _vaccinated(self, certificates: _Certificates) -> bool | None:
        if certificates.reply is None or not certificates.reply.ok:
            self.gatherer.faults.append("health")
            return None
        counts = self._definition.rules.vaccination_counts
        picked = self._pick(certificates.candidates(self.child.views()), lambda e: e.get("status") in counts)
        if isinstance(picked, NoneThere) and certificates.reply.complete:
            return self._none_there("child.vaccination", "vaccinated")
        records = (*_sure(picked), *_maybe(picked))
        good = [entry for entry in _sure(picked) if entry.get("status") in counts]
        shown = good or list(_sure(picked))
        if shown:
            self._note("health", "child.vaccination", shown[0], certificates.reply.source)
        if good:
            return True
        open_status = any(entry.get("status") is None for entry in records)
        if any(entry.get("status") in counts for entry in records) or open_status or not certificates.reply.complete:
            return None
        # A certificate that does not count decides only if it surely is the child's: else the child may have none at all.
        return False if shown or not self._definition.asks_when_absent("child.vaccination") else None

    def _enrolled(self) -> bool | None:
        """Asked for by every date and every PIN of the child: either may be miswritten there, seldom both."""
        days = {day for view in self.child.views() if (day := view.get("birth_date"))}
        ask = self.gatherer.ask
        replies = [ask("child.enrolment", "by_birth_date", date=day) for day in sorted(days)]
        replies += [ask("child.enrolment", "by_pin", pin=pin) for pin in self.child.pins()]
        if not all(reply.ok for reply in replies):
            return None
        candidates: dict[
            object, Entry
        ] = {}  # once each, by all that stands in it: one pupil may have a row at each of two schools
        for entry in (entry for reply in replies for entry in reply.entries):
            candidates.setdefault((tuple(sorted(entry.values.items())), entry.flagged), entry)
        # A withdrawn or preparatory pupil is no obstacle whoever it is, so only the others must be told apart.
        active = tuple(entry for entry in candidates.values() if self._counts(entry) is not False)
        picked = self._pick(active, lambda e: self._counts(e) is True)
        sure = _sure(picked)
        if sure:
            self._note("emis", "child.enrolment", sure[0], _source_of(replies, sure[0]).source)
        if any(self._counts(entry) for entry in sure):
            return True
        if isinstance(picked, NoneThere) and all(reply.complete for reply in replies):
            return self._none_there("child.enrolment", "enrolled_elsewhere")
        return None

    def _none_there(self, evidence_id: str, fact: str) -> bool | None:
        """The fact when the child surely has no such record: a no, or open until the applicant has been asked."""
        if not self._definition.asks_when_absent(evidence_id):
            return False
        self.absent[fact] = "record_not_found"
        return None

    def _counts(self, pupil: Entry) -> bool | None:
        """Whether this pupil record, if the child's, is an enrolment; None when its status or grade could not be read."""
        rules = self._definition.rules
        status, grade = pupil.get("status"), pupil.get("grade")
        if (status is not None and status not in rules.enrolment_counts) or grade in rules.grades_before:
            return False
        return None if status is None or grade is None else True

    # -- linking -------------------------------------------------------------------------------------------------------

    def _pick(self, candidates: Sequence[Entry], settles: Callable[[Entry], bool]) -> Picked:
        """`reconcile.pick`, asking the civil register who else was born that day only when the answer hangs on it."""
        views = self.child.views()
        picked = pick(views, candidates)
        if isinstance(picked, Unsure) and picked.rivals_needed and not any(settles(entry) for entry in picked.sure):
            days = [str(entry.get("birth_date")) for entry in (*views[:1], *picked.maybe) if entry.get("birth_date")]
            rivals = self._identifier.rivals(days)
            if rivals is not None:
                picked = pick(views, candidates, rivals)
        self.child.links.extend(getattr(picked, "reasons", ()))
        return picked

    def _note(self, register: str, concept: str, entry: Entry, source: Source | None) -> None:
        assert source is not None, "a linked record came from an answer"
        self._linked[register] = entry
        number = entry.get(_RECORD_ID[register]) or ""
        self.evidence.extend(values_of(concept, entry, source, _SHOWN[concept], number))


class _Certificates:
    """The nightly list, indexed by everything a child's certificate could be found by."""

    def __init__(self, reply: Reply | None) -> None:
        self.reply = reply
        self._by: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
        for entry in reply.entries if reply is not None else ():
            for key in _blocks(entry):
                self._by[key].append(entry)

    def candidates(self, views: Sequence[Entry]) -> tuple[Entry, ...]:
        found: dict[int, Entry] = {}
        for view in views:
            for key in _blocks(view):
                found.update((id(entry), entry) for entry in self._by.get(key, ()))
        return tuple(found.values())


def _blocks(entry: Entry) -> list[tuple[str, ...]]:
    keys: list[tuple[str, ...]] = []
    if born := entry.get("birth_date"):
        keys.append(("born", born))
    if number := entry.get("pin"):
        keys.append(("pin", number))
    given, surname, father = (entry.get(f"{part}_key") for part in ("given_name", "surname", "patronymic"))
    if given and (surname or father):
        keys.append(("name", *sorted((given, surname or father or ""))))
    return keys


def _sure(picked: Picked) -> tuple[Entry, ...]:
    if isinstance(picked, Linked):
        return picked.records
    return picked.sure if isinstance(picked, Unsure) else ()


def _maybe(picked: Picked) -> tuple[Entry, ...]:
    return picked.maybe if isinstance(picked, Unsure) else ()


def _source_of(replies: Sequence[Reply], entry: Entry) -> Reply:
    return next(reply for reply in replies if any(e is entry for e in reply.entries))
