"""Codes that names could not settle, settled by linked records: where the same person stands in two registers, their codes speak of each other.

For each code that a crosswalk left open, the records that carry it are linked by PIN to the population register, and the code is
accepted when enough of them agree (`semantics.suggest.links`). For areas, whose meaning decides a catchment, the place must besides be
one the names had allowed. What is accepted goes into the overlay with how many records spoke; the rest stays with a steward.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kerege.demo.country.harmonise import AREA_CROSSWALK, AreaMatch
from kerege.demo.country.measuring import searching
from kerege.demo.country.network import EMIS, PERSONS, VACCINATIONS
from kerege.semantics.crosswalks.sssom import Crosswalk, Row, write_sssom
from kerege.semantics.mappings.problems import UNMAPPED
from kerege.semantics.normalise.gazetteer import Gazetteer
from kerege.semantics.pack import Pack
from kerege.semantics.suggest.links import Induced, induce_from_links
from kerege.services.contract_tests import recoded
from kerege.services.evidence import Answer, Call, ExchangeClient

LINKED: Final = "semapv:InstanceBasedMatching"
ASKED: Final = 12  # persons looked up per open code; more would tell little more and read more people's data


@dataclass(frozen=True, slots=True)
class Settled:
    """What linked records said of one crosswalk's open codes."""

    crosswalk: str
    accepted: tuple[Induced, ...]
    open: tuple[Induced, ...]


def settle(
    client: ExchangeClient, answers: Iterable[Answer], pack: Pack, areas: AreaMatch, overlay: Path
) -> list[Settled]:
    """Look at the answers' open codes, link, and lay what is accepted over the pack. `areas`: what the names had allowed."""
    carriers: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for answer in answers:
        for crosswalk, code, number in _open_codes(answer, pack):
            carriers[crosswalk][code].append(number)
    allowed = {s.source_code: {c.code for c in s.candidates} for s in areas.suggestions}
    found = []
    for crosswalk, codes in sorted(carriers.items()):
        pairs = [
            (code, target)
            for code, numbers in codes.items()
            for target in _targets(client, numbers, crosswalk, pack.gazetteer)
        ]
        induced = induce_from_links(pairs)
        fits = [i for i in induced if crosswalk != AREA_CROSSWALK or i.target in allowed.get(i.source_code, set())]
        accepted = tuple(i for i in fits if i.decision == "accept")
        found.append(Settled(crosswalk, accepted, tuple(i for i in induced if i not in accepted)))
        if accepted:
            _write(pack.crosswalk(crosswalk), accepted, overlay)
    return found


def answers_with_codes(client: ExchangeClient, first_schools: Iterable[str]) -> Iterator[Answer]:
    """Canonical answers whose records carry codes of their registers: the nightly list, and the pupils of some schools."""
    yield client.send(Call(str(VACCINATIONS), purpose="harmonise"))
    for school in first_schools:
        query = (("institution_code", school),)
        yield client.send(Call(str(EMIS), path="institution_students", query=query, purpose="harmonise"))


def schools_with_open_areas(client: ExchangeClient) -> list[str]:
    """Schools whose catchment names an area nobody mapped."""
    answer = client.send(Call(str(EMIS), path="institution_catchments", purpose="harmonise"))
    return sorted({str(record["school_code"]) for record in answer.records if record.get("soate") is None})


def _open_codes(answer: Answer, pack: Pack) -> Iterator[tuple[str, str, str]]:
    """(crosswalk, the register's code, the record's PIN) for every unmapped code of a record whose PIN can be trusted."""
    if not answer.ok or not answer.mapping_id:
        return
    by_field = {
        name: crosswalk for crosswalk, names in recoded(pack.mapping(answer.mapping_id)).items() for name in names
    }
    doubtful = {p.get("record") for p in answer.problems if p.get("field") == "pin"}
    held = sorted(answer.withheld)
    for problem in answer.problems:
        place, code = problem.get("record"), problem.get("source_code")
        crosswalk = by_field.get(str(problem.get("field")))
        if problem.get("code") != UNMAPPED or crosswalk is None or not code or place in doubtful or place in held:
            continue
        assert isinstance(place, int)
        number = answer.records[place - sum(h < place for h in held)].get("pin")
        if number:
            yield crosswalk, str(code), number


def _targets(client: ExchangeClient, numbers: list[str], crosswalk: str, gazetteer: Gazetteer) -> Iterator[str]:
    """The registered place of each person: the unit itself for areas, its region for regions."""
    for number in sorted(set(numbers))[:ASKED]:
        answer = client.send(searching(PERSONS, "search", pin=number))
        for person in answer.records if answer.ok else ():
            soate = person.get("soate")
            path = gazetteer.path(soate) if soate else ()
            if path:
                yield (path[-1] if crosswalk == AREA_CROSSWALK else path[0]).soate


def _write(known: Crosswalk, accepted: tuple[Induced, ...], overlay: Path) -> None:
    literal = any(row.literal for row in known.rows)
    rows = tuple(
        Row(
            subject=i.source_code,
            object=i.target,
            justification=LINKED,
            confidence=round(i.share, 3),
            comment=f"{i.records} linked records, {round(100 * i.share)} % agree",
            literal=literal,
        )
        for i in accepted
    )
    laid = Crosswalk(known.id, rows, known.subject_source, known.object_source, known.policy, known.match, known.title)
    overlay.mkdir(parents=True, exist_ok=True)
    path = overlay / f"{known.id.partition(':')[2]}.linked.sssom.tsv"
    aside = path.with_suffix(".new")
    aside.write_bytes(write_sssom(laid, subject_prefix="code", object_prefix="soate"))
    aside.replace(path)
