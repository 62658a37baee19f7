"""Whose application is it: the child's birth record, whether the applicant is a parent in it, the child's own person record.

The first steps of the data-first way. Every step ends in *found*, *surely not there*, or *not known*; a doubt is never resolved by
taking the likelier. Linking itself is `reconcile.link`'s; the cases (missing and mistyped PINs, twins, namesakes, applicants who are
no parents) are those of docs/decisions/0072.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kerege.reconcile.link import (
    SAME,
    Entry,
    Linked,
    NoneThere,
    Unsure,
    clearly_other,
    name_relation,
    pick_one,
    pin_relation,
    same_person,
)
from kerege.semantics.normalise import names
from kerege.services.evidence import Gatherer, Reply, Source


@dataclass(slots=True)
class Child:
    """What is known of the child so far.

    birth, person    the records linked, with their sources
    guardian         True, False or None
    found_by_parent  the birth record carries the applicant's PIN
    absent           records that are surely in no register: `child.birth`, `person.registered_address`
    reasons          open reasons met on the way; links: the linkage's own reasons, for the desk
    """

    claim: Entry
    birth: Entry | None = None
    birth_source: Source | None = None
    person: Entry | None = None
    person_source: Source | None = None
    parent: Entry | None = None
    guardian: bool | None = None
    found_by_parent: bool = False
    reasons: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)

    def views(self) -> tuple[Entry, ...]:
        """The records known to be of this child, the source of truth first; the claim too, once a birth record was found for it.

        The PIN of the linked person record, the population register's own key, stands in every view: where another record lacks it
        or has it mistyped, a stranger's PIN would else go unnoticed.
        """
        known = [entry for entry in (self.birth, self.person, self.claim) if entry is not None]
        pin = self.person.usable_pin if self.person is not None else None
        return tuple(entry.with_pin(pin) for entry in known) if pin else tuple(known)

    def pins(self) -> tuple[str, ...]:
        """Every usable PIN under which a register may keep the child: also the one that the views' common PIN stands for."""
        known = (self.person, self.birth, self.claim)
        return tuple(dict.fromkeys(e.usable_pin for e in known if e is not None and e.usable_pin is not None))


class Identifier:
    """Finds the child of one application; asks for each thing at most once."""

    def __init__(self, gatherer: Gatherer, claim: Entry, parent_pin: str) -> None:
        self._ask = gatherer.ask
        self._parent_pin = parent_pin
        self._births: dict[str, Reply] = {}
        self._people: dict[str, Reply] = {}
        self._own_family_open = False
        self._parent_asked = False
        self.child = Child(claim)

    def identify(self) -> Child:
        """Birth record, guardian, person record, in this order; stops where the next step would stand on air."""
        child = self.child
        if not child.claim.get("given_name_key") or not child.claim.get("birth_date"):
            child.reasons.append("application_unreadable")
            return child
        if self._birth_by_parent() or self._birth_by_date():
            self._person()
            self._guardian()
        return child

    def rivals(self, dates: Sequence[str]) -> tuple[Entry, ...] | None:
        """Everybody else born on these days whom the civil or the population register knows; None when that cannot be told.

        The civil register alone is no closed world: who was born abroad is in none of its records, but lives here by the
        population register. Of a child who has no record there, nobody registered may be the child, or it cannot be told who is
        a rival and who is the child.
        """
        found = self._other_births(dates)
        if found is None:
            return None
        own = self.child.person
        for day in dict.fromkeys(dates):
            reply = self._people_born_on(day)
            if not reply.ok or not reply.complete:
                return None
            others = [entry for entry in reply.entries if own is None or not _is_same_record(entry, own)]
            if own is None and not isinstance(pick_one(self.child.views(), others), NoneThere):
                return None
            found += others
        return tuple(found)

    def _other_births(self, dates: Sequence[str]) -> list[Entry] | None:
        """Every other birth of these days; None when the civil register did not answer fully."""
        found: list[Entry] = []
        for day in dict.fromkeys(dates):
            reply = self._births_on(day)
            if not reply.ok or not reply.complete:
                return None
            found += [entry for entry in reply.entries if not self._is_own_birth(entry)]
        return found

    # -- the birth record -----------------------------------------------------------------------------------------

    def _birth_by_parent(self) -> bool:
        """The record carries the applicant's PIN, and its name is the claimed one: what nearly every application is."""
        child = self.child
        reply = self._ask("child.birth", "by_parent_pin", pin=self._parent_pin)
        if not reply.ok:
            child.reasons.append("register_unavailable")
            return False
        picked = pick_one((child.claim,), reply.entries, same_wins=True)
        if not isinstance(picked, Linked):
            self._own_family_open = isinstance(picked, Unsure) or not reply.complete
            return False
        self._take_birth(picked.records[0], reply.source, picked.reasons)
        return True

    def _birth_by_date(self) -> bool:
        """Among all born that day: the record may lack the applicant's PIN (its twin's need not), the name may be misspelled,
        or the applicant may be no parent. A similar name is accepted only of the sole record that also names the applicant."""
        child = self.child
        if child.reasons:
            return False
        reply = self._births_on(child.claim.get("birth_date") or "")
        if not reply.ok or not reply.complete:
            child.reasons.append("register_unavailable")
            return False
        picked = pick_one((child.claim,), reply.entries)
        if isinstance(picked, Unsure):
            own = tuple(entry for entry in picked.maybe if self._parent_fits(entry))
            among_own = pick_one((child.claim,), own, same_wins=True)
            if len(own) == 1 or isinstance(among_own, Linked):
                entry = among_own.records[0] if isinstance(among_own, Linked) else own[0]
                self._take_birth(entry, reply.source, (*picked.reasons, "names_the_applicant"))
                return True
        if isinstance(picked, Linked):
            self._take_birth(picked.records[0], reply.source, picked.reasons)
            return True
        if isinstance(picked, NoneThere) and not self._own_family_open:
            child.absent.add("child.birth")
        child.reasons.append("child_not_found" if "child.birth" in child.absent else "child_ambiguous")
        child.links.extend(picked.reasons)
        return False

    def _take_birth(self, entry: Entry, source: Source, reasons: Sequence[str]) -> None:
        self.child.birth, self.child.birth_source = entry, source
        self.child.found_by_parent = any(named.get("pin") == self._parent_pin for named in named_parents(entry))
        self.child.links.extend(f"civil:{reason}" for reason in reasons)

    def _births_on(self, day: str) -> Reply:
        if day not in self._births:
            self._births[day] = self._ask("child.birth", "by_birth_date", date=day)
        return self._births[day]

    def _people_born_on(self, day: str) -> Reply:
        if day not in self._people:
            self._people[day] = self._ask("person.registered_address", "by_birth_date", date=day)
        return self._people[day]

    def _is_own_birth(self, entry: Entry) -> bool:
        birth = self.child.birth
        return (
            birth is not None
            and entry.get("act_number") == birth.get("act_number")
            and entry.get("act_date") == birth.get("act_date")
        )

    # -- the child in the population register ------------------------------------------------------------------------

    def _person(self) -> None:
        child = self.child
        assert child.birth is not None
        doubtful = False
        for pin in dict.fromkeys(p for p in (child.birth.usable_pin, child.claim.usable_pin) if p):
            reply = self._ask("person.registered_address", "by_pin", pin=pin)
            if not reply.ok:
                child.reasons.append("register_unavailable")
                return
            picked = pick_one((child.birth, child.claim), reply.entries)
            if isinstance(picked, Linked) and "pin_equal" in picked.reasons[0]:
                self._take_person(picked.records[0], reply.source, picked.reasons)
                return
            doubtful = doubtful or bool(reply.entries) or not reply.complete
        self._person_by_date(doubtful)

    def _person_by_date(self, doubtful: bool) -> None:
        """By name among all born that day. `doubtful`: somebody has the child's PIN under another name, so somebody may be it."""
        child = self.child
        assert child.birth is not None
        day = child.birth.get("birth_date") or ""
        reply = self._people_born_on(day)
        if not reply.ok or not reply.complete:
            child.reasons.append("register_unavailable")
            return
        rivals = self._other_births((day,))
        own = child.views()
        fitting = [entry for entry in reply.entries if isinstance(pick_one(own, (entry,)), Linked)]
        if rivals is not None:  # whose PIN another birth record of that day carries, that is another child
            fitting = [entry for entry in fitting if not any(_by_pin(rival, entry) for rival in rivals)]
        claimed = [
            entry for entry in fitting if rivals is None or any(same_person(r, entry).verdict == SAME for r in rivals)
        ]
        if len(fitting) == 1 and not claimed:
            self._take_person(fitting[0], reply.source, ("same:name_and_date_only_one_fits",))
            return
        # Namesakes born the same day: the one who lives with the applicant, when the others do not. A stranger's address says
        # nothing, so this is only for an applicant whose own PIN stands in the birth record.
        at_home = [entry for entry in fitting if child.found_by_parent and self._lives_with_parent(entry)]
        if len(at_home) == 1:
            self._take_person(at_home[0], reply.source, ("same:name_and_date_and_household",))
            return
        if not doubtful and isinstance(pick_one(own, reply.entries), NoneThere):
            child.absent.add("person.registered_address")
        child.reasons.append("record_not_found" if "person.registered_address" in child.absent else "child_ambiguous")

    def _take_person(self, entry: Entry, source: Source, reasons: Sequence[str]) -> None:
        self.child.person, self.child.person_source = entry, source
        self.child.links.extend(f"population:{reason}" for reason in reasons)

    # -- the applicant -------------------------------------------------------------------------------------------------

    def _parent(self) -> Entry | None:
        """The applicant in the population register, by the PIN of the sign-in."""
        if not self._parent_asked:
            self._parent_asked = True
            reply = self._ask("person.registered_address", "by_pin", pin=self._parent_pin)
            found = [entry for entry in reply.entries if entry.get("pin") == self._parent_pin]
            if reply.ok and len(found) == 1:
                self.child.parent = found[0]
        return self.child.parent

    def _lives_with_parent(self, entry: Entry) -> bool:
        parent = self._parent()
        return parent is not None and same_address(entry, parent)

    def _parent_fits(self, birth: Entry) -> bool:
        """Whether a parent in this record bears the applicant's name or PIN."""
        parent = self._parent()
        return parent is not None and any(_fits(named, parent) for named in named_parents(birth))

    def _guardian(self) -> None:
        """Is the applicant a parent in the birth record? By PIN; else by full name and one thing more; else it stays open."""
        child = self.child
        assert child.birth is not None
        recorded = named_parents(child.birth)
        if child.found_by_parent:
            child.guardian = True
            return
        parent = self._parent()
        if parent is None or not recorded:
            return
        at_home = child.person is not None and same_address(child.person, parent)
        for named in recorded:
            # The full name alone is not proof: with it, a PIN only a slip of the pen away, or one registered address.
            if _fits(named, parent) and (
                pin_relation(named, parent) == "near" or (at_home and named.usable_pin is None)
            ):
                child.guardian = True
                return
        others = all(
            clearly_other(named, parent) and pin_relation(named, parent) in {"far", "unknown"} for named in recorded
        )
        if others and child.person is not None and not at_home and not self._may_mean_a_namesake(child.person):
            child.guardian = False

    def _may_mean_a_namesake(self, person: Entry) -> bool:
        """Whether another registered child of that name and day may be meant: born abroad, it has no birth record to be found by."""
        claim = self.child.claim
        if pin_relation(claim, person) == "equal":
            return False
        reply = self._people_born_on(claim.get("birth_date") or "")
        if not reply.ok or not reply.complete:
            return True
        others = (entry for entry in reply.entries if not _is_same_record(entry, person))
        return any(name_relation(claim, entry)[0] == "same" for entry in others)


def _is_same_record(left: Entry, right: Entry) -> bool:
    """One record of the population register: its key is the PIN; where that is unreadable, every value agrees."""
    return left.get("pin") == right.get("pin") if left.get("pin") else left.values == right.values


def _by_pin(left: Entry, right: Entry) -> bool:
    link = same_person(left, right)
    return link.verdict == SAME and link.strong


def named_parents(birth: Entry) -> tuple[Entry, ...]:
    """Mother and father as the birth record names them, each as an entry of its own."""
    found = []
    for who in ("mother", "father"):
        name, pin = birth.get(f"{who}_name"), birth.get(f"{who}_pin")
        if name is None and pin is None:
            continue
        values: dict[str, str | None] = {"pin": pin, "sex": "2" if who == "mother" else "1"}
        values |= names.person_name(name or "").keys()
        flagged = frozenset(("pin", code) for field_name, code in birth.flagged if field_name == f"{who}_pin")
        found.append(Entry(values, flagged))
    return tuple(found)


def _fits(named: Entry, parent: Entry) -> bool:
    """The same sex and the same full name, the father's name included: a shared given name and surname are common."""
    if named.get("sex") != parent.get("sex"):
        return False
    if named.get("pin") is not None and named.get("pin") == parent.get("pin"):
        return True
    whole = bool(named.get("patronymic_key")) and named.get("patronymic_key") == parent.get("patronymic_key")
    return whole and name_relation(named, parent)[0] == "same"


def same_address(left: Entry, right: Entry) -> bool:
    """One registered address, as far as both are written: unit and house equal, street and flat equal (or absent in both)."""
    needed = all(left.get(name) is not None and left.get(name) == right.get(name) for name in ("soate", "house"))
    return needed and all(left.get(name) == right.get(name) for name in ("street_key", "flat"))
