"""A catalogue of 5,000 datasets: how long a search takes, and what a DCAT-AP export with its validation costs.

The catalogue is made up (names of registers and columns in three languages, owners, concepts); the shapes are those of DCAT-AP 3.0.1 in
../shared/vectors. Search is timed by the wall clock over 400 questions, most of them as people mistype them; validation in CPU-seconds.
"""

from __future__ import annotations

import os
import random
import resource
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SHAPES = ROOT.parent / "shared/vectors/dcat-ap-3.0.1/html/shacl"
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
_THINGS = [
    "жаран",
    "өтүнүч",
    "окуучу",
    "мектеп",
    "эмдөө",
    "төрөлүү",
    "нике",
    "үй-бүлө",
    "пенсия",
    "жөлөкпул",
    "унаа",
    "айдоочу",
    "жер",
    "участок",
    "кадастр",
    "салык",
    "гражданин",
    "заявление",
    "ученик",
    "школа",
    "вакцинация",
    "рождение",
    "брак",
    "семья",
    "пенсия",
    "пособие",
    "транспорт",
    "водитель",
    "земля",
    "участок",
    "налог",
    "citizen",
    "application",
    "pupil",
    "school",
    "vaccination",
    "birth",
    "marriage",
    "family",
    "pension",
    "benefit",
    "vehicle",
    "driver",
    "land",
    "parcel",
    "tax",
    "lisense",
    "permit",
    "owner",
    "building",
    "address",
    "passport",
    "visa",
    "border",
    "customs",
    "employment",
    "vacancy",
    "hospital",
    "patient",
    "doctor",
    "court",
]
_COLUMNS = [
    "pin",
    "fio",
    "dob",
    "pol",
    "familiya",
    "imya",
    "otchestvo",
    "adres",
    "rayon",
    "oblast",
    "status",
    "data_vydachi",
    "nomer",
    "seriya",
    "kod",
    "naimenovanie",
    "birth_date",
    "last_name",
    "first_name",
    "region_code",
    "school_id",
    "issued_on",
    "valid_until",
    "amount",
    "currency",
    "phone",
    "created_at",
]
_CONCEPTS = {"pin": "person.pin", "fio": "person.name", "dob": "person.birth_date", "birth_date": "person.birth_date",
             "pol": "person.sex", "familiya": "person.surname", "last_name": "person.surname", "imya": "person.given_name"}  # fmt: skip
_QUESTIONS = [
    "жарандардын",
    "жаран",
    "гражданина",
    "pin",
    "ПИН",
    "fio",
    '"дата',
    'рождения"',
    "school",
    "мектептин",
    "окуучулар",
    "birht_date",
    "vacination",
    "унаанын",
    "transport",
    "pensiya",
    "жолокпул",
    "зем",
    "участок",
    "налога",
    "passport",
    "регион",
    "raion",
    "status",
    "birth",
    "last_name",
    "owner",
    "земельный",
    "сведения",
    "реестр",
    "каттоо",
    "citizen",
    "uchastok",
    "шкаолы",
    "водителя",
    "айдоочунун",
    "нике",
    "брака",
    "tax",
    "салыктын",
    "customs",
    "hospitl",
    "court",
]


def fill(datasets: int) -> None:
    """A made-up catalogue of so many datasets with twelve columns each."""
    from kerege.catalogue.models import ConceptLink, Dataset, Field, LifecycleAction, Owner
    from kerege.membership.models import Member

    dice = random.Random(7)
    Member.objects.bulk_create(
        Member(code=f"KG/GOV/7{n:07}", name_ky=f"{n}-агенттик", name_ru=f"Агентство {n}", name_en=f"Agency {n}", registered_at=NOW)
        for n in range(60)
    )  # fmt: skip
    rows = []
    for n in range(datasets):
        words = dice.sample(_THINGS, 3)
        rows.append(
            Dataset(
                source=f"postgresql://db{n % 200}:5432/register", kind="postgresql", table=f"{'_'.join(words)}_{n}",
                organisation=f"KG/GOV/7{n % 60:07}", description=" ".join(dice.sample(_THINGS, 6)), rows=dice.randrange(10**6),
                profile={"name": f"t{n}", "total_rows": 1, "rows": 1, "sampled": False}, harvested_at=NOW,
            )
        )  # fmt: skip
    made = Dataset.objects.bulk_create(rows, batch_size=500)
    fields = []
    for dataset in made:
        for position, name in enumerate(dice.sample(_COLUMNS, 12)):
            told = name if dice.random() < 0.7 else f"{name}_{dice.choice(_THINGS)}"
            profile = {"name": told, "position": position, "declared_type": "text", "description": "", "rows": 1, "nulls": 0, "distinct": 1,
                       "min_length": 1, "max_length": 1, "type": "text", "date_format": "", "identifier": "", "personal": name in _CONCEPTS,
                       "masks": [], "codes": [], "codes_withheld": 0, "frequency": []}  # fmt: skip
            fields.append(
                Field(dataset=dataset, name=told, position=position, profile=profile, personal=name in _CONCEPTS)
            )
    kept = Field.objects.bulk_create(fields, batch_size=500)
    linked = [f for f in kept if f.name in _CONCEPTS]
    ConceptLink.objects.bulk_create(
        [ConceptLink(field=f, concept=_CONCEPTS[f.name], said_by="bench", linked_at=NOW) for f in linked],
        batch_size=500,
    )
    Owner.objects.bulk_create(
        [
            Owner(field=f, organisation=f.dataset.organisation, unit="Registry unit", legal_basis="Bench act, article 1", since=NOW)
            for f in kept
            if f.pk % 10
        ],
        batch_size=500,
    )  # fmt: skip
    steps = (("submit", "steward"), ("approve", "head"), ("publish", "steward"))
    LifecycleAction.objects.bulk_create(
        [
            LifecycleAction(
                kind="dataset", subject=f"{d.source}#{d.table}", version="1", number=number, action=action, by=by, reason="bench",
                evidence={}, at=NOW, digest="0" * 64,
            )
            for d in made
            for number, (action, by) in enumerate(steps, start=1)
        ],
        batch_size=500,
    )  # fmt: skip


def _cpu() -> float:
    use = resource.getrusage(resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime


def _search(questions: int) -> dict[str, float]:
    from kerege.catalogue.search import index as search_index
    from kerege.catalogue.search import questions as search

    began = _cpu()
    entries = search_index.rebuild()
    print(f"index: {entries:,} entries in {_cpu() - began:.1f} CPU-s")
    dice = random.Random(11)
    wall, cpu, empty = [], [], 0
    for n in range(questions):
        asked = " ".join(dice.sample(_QUESTIONS, 1 + n % 3)) if n % 4 else dice.choice(_QUESTIONS)
        at, used = time.perf_counter(), _cpu()
        found = search.search(asked)
        wall.append((time.perf_counter() - at) * 1000)
        cpu.append((_cpu() - used) * 1000)
        empty += not found.hits
    wall.sort()
    cpu.sort()
    p95 = wall[int(len(wall) * 0.95)]
    print(
        f"search: {questions} questions, {empty} without an answer; wall ms p50 {statistics.median(wall):.1f}, p95 {p95:.1f}, "
        f"most {wall[-1]:.1f}; CPU ms p50 {statistics.median(cpu):.1f}, p95 {cpu[int(len(cpu) * 0.95)]:.1f}"
    )
    return {"search_p95_ms": round(p95, 1)}


def _dcat() -> dict[str, float | None]:
    from kerege.catalogue.exports import dcat, dcat_check

    began = _cpu()
    graph = dcat.export()
    turtle = dcat.serialise(graph, "turtle")
    made = _cpu() - began
    print(f"DCAT-AP: {len(turtle):,} bytes of Turtle in {made:.1f} CPU-s")
    if not SHAPES.is_dir():
        print(f"not there: {SHAPES}")
        return {"dcat_check_cpu_s": None}
    began = _cpu()
    result = dcat_check.check(turtle, SHAPES)
    used = _cpu() - began
    print(f"validated against {result.shapes} shapes in {used:.1f} CPU-s: {len(result.violations)} violations")
    for line in result.violations[:5]:
        print("   ", line)
    return {"dcat_check_cpu_s": round(used, 1)}


def run(quick: bool) -> dict[str, Any]:
    """Figures of this part; the database is a file of its own that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="kerege-bench-") as folder:
        os.environ["KEREGE_HOME"] = str(Path(folder) / "home")
        os.environ.pop("KEREGE_DATABASE_URL", None)
        from kerege.web.installation import open_database

        open_database()
        fill(300 if quick else 5000)
        return _search(80 if quick else 400) | _dcat()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    print(run("--quick" in sys.argv))
