"""What keeps the catalogue alive: suggestions and decisions, codes nobody mapped, a register's requests, the board of ninety days, the search.

Everything here is what a steward finds on the desks after the run: codes that wait for a decision with their candidates, findings with an owner
and a count, a request that one of three reviewers has read, a board on its first day, a plan nobody applied yet. What people write, they write
in one language, and here it is Kyrgyz: a reason is nobody's to translate.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from kerege.catalogue.board import doings as board
from kerege.catalogue.codes import decisions
from kerege.catalogue.codes import unmapped as codelists_unmapped
from kerege.catalogue.inventory import doings
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.requests import doings as requests
from kerege.catalogue.search import index as search_index
from kerege.catalogue.sources import Reading
from kerege.demo.country.harmonise import AREA_CROSSWALK, AreaMatch
from kerege.demo.country.inventory import TABLES
from kerege.demo.country.linking import Settled
from kerege.demo.country.stewards import STEWARD
from kerege.identity.receipts import LedgerWriter
from kerege.semantics.pack import Pack
from kerege.semantics.suggest.evidence import candidate_sets
from kerege.services.contract_tests import recoded

CRITICAL: Final = {
    "births.csv#births": "баланын алгачкы жазуусу; үй-бүлөгө арналган ар бир кызмат ушундан башталат",
    "persons.csv#persons": "ким кайда жашаганына жараша мектеби аныкталат",
    "institutions.csv#institutions": "мектептер, алардын орундары жана аймактары",
    "institution_students.csv#institution_students": "ким мурунтан окуучу экени",
    "vaccinations.csv#vaccinations": "арыз берген ар бир үй-бүлөдөн суралат",
    "spravki.sqlite3#spravki": "күбөлүктөр чыккан кеңсе программасы; ээси убактылуу",
}

CLINIC: Final = "KOD_MO"  # the column that the health service's next release adds: the clinic that vaccinated
CALLED_BACK: Final = "В"  # and the status it adds: the certificate was called back

REVIEWERS: Final = {  # who decides for each body that reviews a register's request; invented
    "coordinating-body": "Нурбек Алиев",
    "data-protection-authority": "Жамиля Исакова",
    "statistics-office": "Улан Кадыров",
    "exchange-operator": "Азамат Токтогулов",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """Codes suggested, decided and open; unmapped codes and the columns they became findings of."""

    suggested: int
    decided: int
    waiting: int


def keep_decisions(
    match: AreaMatch, areas: Sequence[Mapping[str, str | None]], settled: Iterable[Settled], pack: Pack, now: datetime
) -> Kept:
    """Keep what was suggested and names alone did not settle, and the steward's word on what linked records settled."""
    labels = {str(area["code"]): str(area["name"] or "") for area in areas}
    by_crosswalk = {found.crosswalk: found for found in settled}
    suggested = decided = 0
    for crosswalk in sorted({AREA_CROSSWALK, *by_crosswalk}):
        found = by_crosswalk.get(crosswalk)
        links = (*found.accepted, *found.open) if found is not None else ()
        linked = {induced.source_code for induced in links}
        open_ones = [s for s in match.suggestions if s.decision != "accept" or s.source_code in linked]
        sets = candidate_sets(open_ones if crosswalk == AREA_CROSSWALK else (), links)
        units = {c.code for s in sets for c in s.candidates}
        names = {code: _name(code, pack) for code in units}
        suggested += decisions.keep_suggestions(
            crosswalk, decisions.new_run(), sets, labels if crosswalk == AREA_CROSSWALK else {}, names, now
        )
        for induced in found.accepted if found is not None else ():
            agree = f"байланышкан жазуулар: {induced.records}, дал келгени {round(100 * induced.share)} %"
            decisions.decide(
                crosswalk, induced.source_code, decisions.ACCEPTED, STEWARD, now, target=induced.target, reason=agree
            )
            decided += 1
    return Kept(suggested, decided, len(decisions.waiting(most=10_000)))


def _name(code: str, pack: Pack) -> str:
    path = pack.gazetteer.path(code)
    return path[-1].name_ru if path else ""


def count_unmapped(found: Mapping[tuple[str, str], Mapping[str, int]], pack: Pack, now: datetime) -> int:
    """Codes that no crosswalk knew on their way over the exchange, kept per column they came in; the columns' owners get findings.

    found   (mapping, canonical field) -> code -> values. Returns how many codes were touched.
    """
    tables = {table.mapping: name for name, table in TABLES.items()}
    places: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (mapping_id, target), counted in found.items():
        mapping, name = pack.mapping(mapping_id), tables.get(mapping_id)
        crosswalk = next((c for c, fields in recoded(mapping).items() if target in fields), None)
        cell = next(iter(mapping.sources_of(target)), None)
        if name is None or crosswalk is None or cell is None:
            continue
        column = mapping.source.cells.get(cell, cell).rsplit(".", 1)[-1]  # rows come flat
        places[crosswalk, f"{name}.csv#{name}.{column}"].update(counted)
    codes = 0
    for (crosswalk, place), counted in sorted(places.items()):
        version = pack.crosswalk(crosswalk).version or "1"
        codes += codelists_unmapped.keep_unmapped(crosswalk, version, place, counted, now, found_by="exchange")
    return codes


def ask_for_registers(ledger: LedgerWriter, now: datetime) -> tuple[str, ...]:
    """The register of births established and taken into use; the health service asks for its own, and one of three has read the request."""
    births = {
        "name": {"ky": "Төрөлүү актыларынын реестри", "ru": "Реестр актов о рождении", "en": "Register of births"},
        "purpose": {
            "ky": "Төрөлүүнү каттоо жана аны тастыктоо", "ru": "Регистрация рождений и их подтверждение",
            "en": "Births registered, and confirmed to whoever may ask",
        },
        "legislations": [{"name": "«Жарандык абалдын актылары жөнүндө» Мыйзам (беренеси такталат)"}],
        "sources": ["births.csv", "zags.sqlite3"],
    }  # fmt: skip
    certificates = {
        "name": {
            "ky": "Эмдөө күбөлүктөрүнүн реестри", "ru": "Реестр справок о прививках",
            "en": "Register of vaccination certificates",
        },
        "purpose": {
            "ky": "Мектепке кабыл алууда эмдөөнү тастыктоо", "ru": "Подтверждение прививок при приёме в школу",
            "en": "Vaccinations confirmed when a child is admitted to school",
        },
        "legislations": [{"name": "«Коомдук саламаттык сактоо жөнүндө» Мыйзам (беренеси такталат)"}],
        "sources": ["vaccinations.csv", "spravki.sqlite3"],
    }  # fmt: skip
    for kind in ("establish", "take-into-use"):
        asked = requests.ask(
            "births", kind, births, organisation="70000001", by="Жарандык абалдын актылары бөлүмү", now=now, ledger=ledger,
            reason="мыйзам боюнча жүргүзүлөт, үй-бүлөгө арналган ар бир кызмат сурайт",
        )  # fmt: skip
        for role in asked.reviewers:
            requests.review(
                asked.request_id, role, by=REVIEWERS[role], decision="positive", now=now,
                reason="сүрөттөмөсү, ээлери жана укуктук негизи каралды", ledger=ledger,
            )  # fmt: skip
    asked = requests.ask(
        "vaccination-certificates", "establish", certificates, organisation="70000004", by="Эмдөө бөлүмү", now=now,
        ledger=ledger, reason="күбөлүктөр түнүчүндө файл менен келет; ата-эне сураганда мектепке дароо жооп керек",
    )  # fmt: skip
    first = asked.reviewers[0]
    requests.review(
        asked.request_id, first, by=REVIEWERS[first], decision="positive", now=now,
        reason="мындай реестр азырынча жок", ledger=ledger,
    )  # fmt: skip
    return tuple(f"{view.register}: {view.state.value}" for view in requests.registers(now))


def begin_board(now: datetime) -> dict[str, Any]:
    """The board's first day: what is critical, why, and how it stands."""
    board.start("1-класска кол менен тактоосуз кабыл алуу", by=STEWARD, now=now)
    for dataset, reason in CRITICAL.items():
        source, _, table = dataset.partition("#")
        board.mark_critical(source, table, reason=reason, by=STEWARD, now=now)
    board.snapshot(now)
    view = board.board(now)
    return {"critical": len(view.lines), "complete": view.complete, "done": view.done, "of": view.total}


def leave_a_plan(nightly: Path, now: datetime) -> str:
    """The file that the health service's next release will write, looked at beforehand, and the plan left for the steward to apply.

    The office sent a night's file as a sample: certificates name the clinic in a new column and may be called back, a status nobody mapped.
    """
    sample = next_release(nightly)
    options = Options(Reading(delimiter=";", counted=True), key=("N_SPR",), share=("POL", "OBLAST", "STATUS"))
    harvest = harvest_source(str(sample), options)
    return doings.make_plan(harvest, options, now, location=str(sample)).plan_id


def next_release(nightly: Path) -> Path:
    """The night's file as the next release writes it, beside it in a folder of its own; the source's name, which is the file's, stays."""
    sample = nightly.parent / "next-release" / nightly.name
    sample.parent.mkdir(exist_ok=True)
    head, *lines = nightly.read_text(encoding="utf-8-sig").splitlines()
    status = head.split(";").index("STATUS")
    out = [f"{head};{CLINIC}"]
    for number, line in enumerate(lines):
        cells = line.split(";")
        if cells[0] != "#ROWS":
            if number % 20 == 0:
                cells[status] = CALLED_BACK
            cells.append(f"MO-{number % 12 + 1:02}")
        out.append(";".join(cells))
    sample.write_text("\r\n".join(out) + "\r\n", encoding="utf-8-sig", newline="")
    return sample


def make_findable() -> int:
    """The search index, made once when everything is there."""
    return search_index.rebuild()
