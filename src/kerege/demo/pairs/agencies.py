"""Two invented registers of the same people with conflicts put in on purpose, for measuring the work of reconciling them.

An agency's table (capitals, ө ү ң lost, dd.mm.yyyy, codes of its own, one marital code that no crosswalk knows) beside the register of
record. In 0.5 % of records each, the given name, date of birth, marital status or district really differs; a third of the districts that differ
are the person's earlier one. Every such field stands in the table `truth`, which nothing that compares may look at.
Source: reference datafirst 3.6, whose simulation this follows.
"""

from __future__ import annotations

import importlib
import random
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import kerege
from kerege.demo.world import naming
from kerege.demo.world.model import PersonName, Sex
from kerege.demo.world.spelling import lose_letters
from kerege.reconcile import fields
from kerege.reconcile.bulk import TableSide
from kerege.semantics import Pack, load_pack
from kerege.semantics.codelists.tables import read_csv
from kerege.semantics.crosswalks.sssom import read_sssom
from kerege.semantics.mappings.documents import read_mapping

if TYPE_CHECKING:
    import duckdb

FOLDER: Final = Path(__file__).with_name("pack")
RATE: Final = 0.005  # of records, in each of the four fields
DISTRICTS: Final = tuple(f"R{n:02d}" for n in range(1, 61))
MARITAL: Final = "SMDW"
WIDOWED_RATE: Final = 0.03  # the share of the code nobody mapped
FIRST_DAY: Final = date(1940, 1, 1).toordinal()
AGENCY: Final = ("NOM", "FAM", "IMYA", "OTCH", "DR", "POL", "SEM", "RAION", "DATA_Z")
REGISTER: Final = ("number", "surname", "given", "father", "born", "gender", "marital", "district", "district_since")


def compared_fields() -> fields.ComparedFields:
    """What is compared between the two."""
    return fields.load(FOLDER / "fields.yaml")


def pack() -> Pack:
    """Their mappings, code lists and crosswalks, beside the country's."""
    whole = load_pack(Path(kerege.__file__).parent / "country" / "kg")
    for path in sorted((FOLDER / "codelists").glob("*.csv")):
        prefix, _, name = path.stem.partition("-")
        whole.codelists[f"{prefix}:{name}"] = read_csv(path, f"{prefix}:{name}")
    for path in sorted((FOLDER / "crosswalks").glob("*.tsv")):
        crosswalk = read_sssom(path)
        whole.crosswalks[crosswalk.id] = crosswalk
    for path in sorted((FOLDER / "mappings").glob("*.yaml")):
        mapping = read_mapping(path)
        whole.mappings[mapping.id] = mapping
    return whole


def sides(known: Pack) -> tuple[TableSide, TableSide]:
    """The two tables as `bulk.compare_tables` takes them; the register of record tells earlier districts."""
    cells = {
        "surname": "FAM",
        "given_name": "IMYA",
        "birth_date": "DR",
        "sex": "POL",
        "marital": "SEM",
        "district": "RAION",
    }
    own = {
        "surname": "surname",
        "given_name": "given",
        "birth_date": "born",
        "sex": "gender",
        "marital": "marital",
        "district": "district",
    }
    return (
        TableSide("agency", "agency", known.mapping("pair:agency"), known, "NOM", cells),
        TableSide("register", "register", known.mapping("pair:register"), known, "number", own, "earlier"),
    )


def tables(connection: duckdb.DuckDBPyConnection, rows: int, seed: int = 5) -> int:
    """Make `agency`, `register`, `links`, `earlier` and `truth` in the connection; gives how many fields really differ."""
    pyarrow = importlib.import_module("pyarrow")  # untyped, and heavy: only when tables are made
    rng = random.Random(seed)
    stems = naming.load_stems()
    made: dict[str, list[list[Any]]] = {"agency": [], "register": [], "links": [], "earlier": [], "truth": []}
    for number in range(rows):
        _person(rng, stems, number, made)
    columns = {
        "agency": AGENCY, "register": REGISTER, "links": ("left_id", "right_id"), "earlier": ("id", "field", "value"),
        "truth": ("left_id", "field"),
    }  # fmt: skip
    for table, names in columns.items():
        cells = list(zip(*made[table], strict=True)) or [()] * len(names)
        kind = pyarrow.string()
        frame = pyarrow.table({n: pyarrow.array(c, kind) for n, c in zip(names, cells, strict=True)})  # noqa: F841  DuckDB reads it by name
        connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM frame")  # noqa: S608  one of five names above
    return len(made["truth"])


def _person(rng: random.Random, stems: naming.Stems, number: int, made: dict[str, list[list[Any]]]) -> None:
    sex: Sex = "M" if rng.random() < 0.5 else "F"
    given = stems.male if sex == "M" else stems.female
    name = PersonName(
        naming.pick(rng, stems.surnames), "ov", naming.pick(rng, given), naming.pick(rng, stems.male), "ovich"
    )
    surname, father = naming.surname(name, sex), naming.patronymic(name, sex)
    born = date.fromordinal(FIRST_DAY + rng.randrange(29_000))
    marital = "W" if rng.random() < WIDOWED_RATE else rng.choice("SMD")
    district, since = rng.choice(DISTRICTS), date(2005, 1, 1) + timedelta(days=rng.randrange(7000))
    theirs: dict[str, Any] = {"given": name.given, "born": born, "marital": marital, "district": district}
    differ = [field for field in theirs if rng.random() < RATE]
    moved = None
    for field in differ:
        if field == "given":
            theirs[field] = rng.choice([n for n in given[:40] if n[:2] != name.given[:2]])
        elif field == "born":
            theirs[field] = born + timedelta(days=rng.choice((-30, 1, 10, 365)))
        elif field == "marital":
            theirs[field] = rng.choice([m for m in MARITAL if m != marital])
        else:
            theirs[field] = moved = rng.choice([d for d in DISTRICTS if d != district])
    ids = f"A{number:07d}", f"{number:08d}"
    lost = lose_letters(f"{surname}|{theirs['given']}|{father}").upper().split("|")
    made["agency"].append(
        [ids[0], *lost, f"{theirs['born']:%d.%m.%Y}", "М" if sex == "M" else "Ж", str(1 + MARITAL.index(theirs["marital"])),
         str(100 + int(theirs["district"][1:])), f"{since + timedelta(days=30):%d.%m.%Y}"]
    )  # fmt: skip
    made["register"].append(
        [
            ids[1],
            surname,
            name.given,
            father,
            born.isoformat(),
            "1" if sex == "M" else "2",
            marital,
            district,
            since.isoformat(),
        ]
    )
    made["links"].append(list(ids))
    earlier = (
        moved if moved is not None and rng.random() < 1 / 3 else rng.choice(DISTRICTS) if rng.random() < 0.2 else None
    )
    made["earlier"].append([ids[1], "district", earlier if earlier != district else None])
    names = {"given": "given_name", "born": "birth_date", "marital": "marital", "district": "district"}
    made["truth"] += [[ids[0], names[field]] for field in differ]
