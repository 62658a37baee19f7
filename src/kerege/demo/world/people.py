"""People in families: parents, one to six children, twins, single parents; names, PINs, households.

A share of the families gets a *candidate*: a child of the age to enter grade 1 (with the declared cases: too young, too old, six on
the very day). Namesakes are planted between families. PINs follow the synthetic layout of `semantics.kg.pin`: sex digit (1 female,
2 male), DDMMYYYY, five digits of serial, unique; no check digit is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final, Literal

from kerege.demo.world.dice import stream
from kerege.demo.world.dirt import Dirt
from kerege.demo.world.errors import TooFewPeople
from kerege.demo.world.model import Address, Household, Person, PersonName, Sex
from kerege.demo.world.naming import Stems, pick
from kerege.demo.world.settling import Settled

SurnameStyle = Literal["ov", "uulu"]
PatronymicStyle = Literal["ovich", "uulu"]
_FAMILY_SIZE: Final = 4.45  # people per family on the average, singles counted in; measured, used to plan
_CHILDREN: Final = ((1, 2, 3, 4, 5, 6), (17, 28, 28, 16, 7, 4))


@dataclass(slots=True)
class People:
    """The growing population; `candidates` are children who might apply, `namesakes` those planted to be taken for another."""

    persons: list[Person] = field(default_factory=list)
    households: list[Household] = field(default_factory=list)
    candidates: list[int] = field(default_factory=list)
    planned: set[int] = field(default_factory=set)  # the candidates drawn with the declared cases, not by chance
    namesakes: dict[int, int] = field(default_factory=dict)  # child -> the earlier child of the same name
    same_birth_date: set[int] = field(default_factory=set)
    twin_of: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Model:
    """Whom a planted namesake repeats."""

    child: int
    surname_root: str
    father: str
    given: str
    sex: Sex
    birth_date: date


class Populator:
    """Grows families until there are enough people. One use only."""

    def __init__(
        self, *, seed: int, dirt: Dirt, stems: Stems, settled: Settled, persons: int, applications: int, reference: date
    ) -> None:
        self._rng, self._abroad = stream(seed, "people"), stream(seed, "born-abroad")
        self._dirt, self._stems, self._settled = dirt, stems, settled
        self._wanted, self._reference, self._year = persons, reference, reference.year
        families = persons / _FAMILY_SIZE
        self._candidate_share = (applications * 1.1 + 10) / families
        if self._candidate_share > 0.97:
            needed = int((applications * 1.1 + 10) / 0.95 * _FAMILY_SIZE) + 1
            raise TooFewPeople(applications=applications, needed=needed, persons=persons)
        self._applications = applications
        self._pins: set[str] = set()
        self._models: list[_Model] = []
        self.people = People()

    def grow(self) -> People:
        while len(self.people.persons) < self._wanted or len(self.people.candidates) < self._applications:
            if self._rng.random() < 0.05:
                self._single()
            else:
                self._family()
        return self.people

    # -- households ---------------------------------------------------------------------------------------------------

    def _household(self) -> int:
        rng, settled = self._rng, self._settled
        home = settled.pick(rng)
        address = settled.address(rng, home)
        earlier = self._elsewhere(address)
        actual = self._elsewhere(address) if rng.random() < 0.15 else None
        number = len(self.people.households)
        self.people.households.append(Household(number, address, earlier, actual, ()))
        return number

    def _elsewhere(self, address: Address) -> Address:
        """Another address, in the same unit two times of three: most families move within their town."""
        rng, settled = self._rng, self._settled
        home = next(s for s in settled.settlements if s.soate == address.soate)
        while True:
            other = settled.address(rng, home if rng.random() < 0.66 else settled.pick(rng))
            if (other.soate, other.street, other.house) != (address.soate, address.street, address.house):
                return other

    def _add(
        self, household: int, sex: Sex, name: PersonName, born: date, *,
        mother: int | None = None, father: int | None = None, child: bool = False, abroad: bool = False,
    ) -> int:  # fmt: skip
        number = len(self.people.persons)
        oldest = max(born, date(self._year - 20, 1, 1))
        since = oldest + timedelta(days=self._rng.randint(0, max(0, (self._reference - oldest).days - 1)))
        role: Literal["adult", "child"] = "child" if child else "adult"
        person = Person(number, self._pin(sex, born), sex, name, born, household, since, mother, father, role, abroad)
        self.people.persons.append(person)
        home = self.people.households[household]
        self.people.households[household] = replace(home, members=(*home.members, number))
        return number

    def _pin(self, sex: Sex, born: date) -> str:
        while True:
            pin = f"{'2' if sex == 'M' else '1'}{born:%d%m%Y}{self._rng.randint(0, 99_999):05d}"
            if pin not in self._pins:
                self._pins.add(pin)
                return pin

    # -- families -----------------------------------------------------------------------------------------------------

    def _single(self) -> None:
        rng = self._rng
        sex: Sex = "M" if rng.random() < 0.5 else "F"
        born = date(self._year - rng.randint(20, 84), 1, 1) + timedelta(days=rng.randint(0, 364))
        self._add(self._household(), sex, self._adult_name(sex, pick(rng, self._stems.surnames)), born)

    def _family(self) -> None:
        rng, dirt = self._rng, self._dirt
        anchor = rng.random() < self._candidate_share
        model = rng.choice(self._models) if anchor and self._models and rng.random() < dirt.cases["namesake"] else None
        same_day = rng.random() < dirt.cases["namesake_same_birth_date"]
        births = self._births(anchor, model.birth_date if model and same_day else None)
        twins = anchor and model is None and rng.random() < dirt.cases["twins"]
        oldest = min(born for born, _ in births)
        mother_born = oldest - timedelta(days=int(365.25 * (19 + rng.random() * 10)))
        father_born = mother_born - timedelta(days=int(365.25 * (rng.random() * 8 - 1)))
        root = model.surname_root if model else pick(rng, self._stems.surnames)
        father_given = model.father if model else pick(rng, self._stems.male)
        home = self._household()
        mother, father = self._parents(home, root, father_given, mother_born, father_born)
        own_style: SurnameStyle = "uulu" if rng.random() < 0.05 else "ov"
        style: SurnameStyle = "ov" if model else own_style
        patronymic: PatronymicStyle = "uulu" if rng.random() < 0.25 else "ovich"
        used: set[str] = set()
        for born, is_anchor in births:
            sex: Sex = "M" if rng.random() < 0.51 else "F"
            given = self._given(sex, used)
            pair: tuple[str, str] | None = None
            if is_anchor and model:
                sex, given = model.sex, model.given
            second: Sex = sex
            if is_anchor and twins:
                second = sex if rng.random() < 0.6 else ("F" if sex == "M" else "M")
                pair = self._twin_names(sex, second)
                given = pair[0]
            used.add(given)
            name = PersonName(root if style == "ov" else father_given, style, given, father_given, patronymic)
            abroad = self._abroad.random() < dirt.cases["born_abroad"]
            child = self._add(home, sex, name, born, mother=mother, father=father, child=True, abroad=abroad)
            if is_anchor:
                self._note_anchor(child, name, sex, born, root, father_given, model, same_day)
                if pair:
                    used.add(pair[1])
                    twin = replace(name, given=pair[1])
                    other = self._add(home, second, twin, born, mother=mother, father=father, child=True, abroad=abroad)
                    self.people.candidates.append(other)
                    self.people.twin_of[other] = child
            elif date(self._year - 7, 9, 2) <= born <= date(self._year - 6, 9, 1):
                self.people.candidates.append(child)

    def _note_anchor(
        self,
        child: int,
        name: PersonName,
        sex: Sex,
        born: date,
        root: str,
        father: str,
        model: _Model | None,
        same: bool,
    ) -> None:
        self.people.candidates.append(child)
        self.people.planned.add(child)
        if model:
            self.people.namesakes[child] = model.child
            if same:
                self.people.same_birth_date.add(child)
        elif name.surname_style == "ov":
            self._models.append(_Model(child, root, father, name.given, sex, born))

    def _parents(
        self, home: int, root: str, father_given: str, mother_born: date, father_born: date
    ) -> tuple[int | None, int | None]:
        """Both in one household; or one of them alone with the children, the other known (living elsewhere) or not at all."""
        rng = self._rng
        own_root = root if rng.random() < 0.7 else pick(rng, self._stems.surnames)
        mother_name = self._adult_name("F", own_root)
        father_name = replace(self._adult_name("M", root), given=father_given)
        dice = rng.random()
        if dice >= 0.14:
            return self._add(home, "F", mother_name, mother_born), self._add(home, "M", father_name, father_born)
        known = rng.random() < 0.5
        if dice < 0.12:
            mother = self._add(home, "F", mother_name, mother_born)
            return mother, self._add(self._household(), "M", father_name, father_born) if known else None
        father = self._add(home, "M", father_name, father_born)
        return self._add(self._household(), "F", mother_name, mother_born) if known else None, father

    def _births(self, anchor: bool, fixed: date | None) -> list[tuple[date, bool]]:
        """Birth dates of a family's children, the anchor marked; siblings stand one to five years apart, all under 18."""
        rng = self._rng
        count = rng.choices(*_CHILDREN)[0]
        if anchor:
            first, before = fixed or self._anchor_birth(), rng.randrange(count)
        else:
            first, before = self._reference - timedelta(days=rng.randint(60, 15 * 365)), count - 1
        births = [(first, anchor)]
        older = younger = first
        for index in range(count - 1):
            gap = timedelta(days=int(365.25 * (1.1 + rng.random() * 3.4)))
            if index < before:
                older -= gap
                births.append((older, False))
            else:
                younger += gap
                births.append((younger, False))
        adult = date(self._year - 18, 9, 2)
        return sorted((b, a) for b, a in births if a or adult < b < self._reference - timedelta(days=30)) or [
            (first, anchor)
        ]

    def _anchor_birth(self) -> date:
        rng, cases, year = self._rng, self._dirt.cases, self._year
        six = date(year - 6, 9, 1)
        dice = [rng.random() for _ in range(4)]
        days = rng.randint(0, 364)
        if dice[0] < cases["too_young"]:
            return six + timedelta(days=1 + days // 2)
        if dice[1] < cases["over_age"]:
            return date(year - 8, 9, 1) - timedelta(days=days // 2)
        if dice[2] < cases["six_on_the_day"]:
            return six
        if dice[3] < 0.15:
            return date(year - 7, 9, 1) - timedelta(days=days)
        return six - timedelta(days=days)

    # -- names --------------------------------------------------------------------------------------------------------

    def _adult_name(self, sex: Sex, root: str) -> PersonName:
        rng = self._rng
        given = pick(rng, self._stems.male if sex == "M" else self._stems.female)
        style: PatronymicStyle = "uulu" if rng.random() < 0.1 else "ovich"
        return PersonName(root, "ov", given, pick(rng, self._stems.male), style)

    def _given(self, sex: Sex, used: set[str]) -> str:
        names = self._stems.male if sex == "M" else self._stems.female
        while (given := pick(self._rng, names)) in used:
            pass
        return given

    def _twin_names(self, first: Sex, second: Sex) -> tuple[str, str]:
        if first == second:
            return self._rng.choice(self._stems.twins["male" if first == "M" else "female"])
        boy, girl = self._rng.choice(self._stems.twins["mixed"])
        return (boy, girl) if first == "M" else (girl, boy)
