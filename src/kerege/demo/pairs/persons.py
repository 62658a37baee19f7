"""Two registers of Kyrgyz-like people without PIN, for measuring linkage: who is who is known, and kept in a column nobody links by.

The names are the country pack's stems put together at random (`world.naming`), so thousands share them: precision is harder here than in
life, the noise easier. Canonical columns, as the country's mappings would give them.
"""

from __future__ import annotations

import importlib
import random
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from kerege.demo.world import naming
from kerege.demo.world.model import PersonName, Sex
from kerege.demo.world.spelling import lose_letters
from kerege.semantics.normalise import names

if TYPE_CHECKING:
    import duckdb

PARTS: Final = ("surname", "given_name", "patronymic")
COLUMNS: Final = (
    "person",
    "surname_key",
    "given_name_key",
    "patronymic_key",
    "birth_date",
    "sex",
    "region_soate",
    "document",
)
REGIONS: Final = tuple(f"417{n:02d}000000000" for n in (*range(2, 10), 11, 21))
FIRST_DAY: Final = date(1940, 1, 1).toordinal()
LETTERS: Final = "абдеиклмнорстуы"


def people(connection: duckdb.DuckDBPyConnection, many: int, fewer: int, seed: int = 7) -> None:
    """Two registers of canonical columns. The first is `many` people; four in five of the second's `fewer` are among them, miswritten:

    a typo in the surname or given name 4 % each, ө ү ң lost 50 %, patronymic missing 15 %, region missing 10 % and moved 8 %, date slip 2 %,
    document missing 30 % and miswritten 2 %. The names are the pack's stems put together; many people share them.
    """
    pyarrow = importlib.import_module("pyarrow")  # untyped, and heavy: only when tables are made
    rng = random.Random(seed)
    stems = naming.load_stems()
    first = [_person(rng, stems, number) for number in range(many)]
    shared = int(fewer * 0.8)
    drawn = [first[n] for n in rng.sample(range(many), shared)]
    strangers = [_person(rng, stems, many + number) for number in range(fewer - shared)]
    second = [_miswritten(rng, person) for person in (*drawn, *strangers)]
    rng.shuffle(second)
    for table, rows in (("register_a", first), ("register_b", second)):
        canonical = [_canonical(row) for row in rows]
        frame = pyarrow.table({name: [row[name] for row in canonical] for name in COLUMNS})  # noqa: F841  DuckDB reads it by its name
        query = f"CREATE TABLE {table} AS SELECT row_number() OVER () AS id, * FROM frame"  # noqa: S608  one of two names above
        connection.execute(query)


def _person(rng: random.Random, stems: naming.Stems, number: int) -> dict[str, Any]:
    sex: Sex = "M" if rng.random() < 0.5 else "F"
    name = PersonName(
        naming.pick(rng, stems.surnames), "uulu" if rng.random() < 0.1 else "ov",
        naming.pick(rng, stems.male if sex == "M" else stems.female), naming.pick(rng, stems.male), "ovich",
    )  # fmt: skip
    return {
        "person": number, "surname": naming.surname(name, sex), "given_name": name.given, "patronymic": naming.patronymic(name, sex),
        "sex": "1" if sex == "M" else "2", "birth_date": date.fromordinal(FIRST_DAY + rng.randrange(29_000)).isoformat(),
        "region_soate": rng.choice(REGIONS), "document": f"ID{rng.randrange(10**7):07d}",
    }  # fmt: skip


def _miswritten(rng: random.Random, person: dict[str, Any]) -> dict[str, Any]:
    """The person as another register has them."""
    row = dict(person)
    if rng.random() < 0.5:
        row |= {part: lose_letters(row[part]) for part in PARTS}
    for part, rate in zip(PARTS[:2], (0.04, 0.04), strict=True):
        row[part] = _typo(rng, row[part]) if rng.random() < rate else row[part]
    if rng.random() < 0.15:
        row["patronymic"] = ""
    chance = rng.random()
    row["region_soate"] = None if chance < 0.10 else rng.choice(REGIONS) if chance < 0.18 else row["region_soate"]
    if rng.random() < 0.02:
        row["birth_date"] = _slip(rng, row["birth_date"])
    chance = rng.random()
    row["document"] = (
        None if chance < 0.30 else _typo(rng, row["document"], "0123456789") if chance < 0.32 else row["document"]
    )
    return row


def _typo(rng: random.Random, text: str, letters: str = LETTERS) -> str:
    at = rng.randrange(1, len(text))
    kind = rng.random()
    if kind < 0.4:
        return text[:at] + rng.choice(letters) + text[at + 1 :]
    return text[:at] + text[at + 1 :] if kind < 0.7 else text[:at] + rng.choice(letters) + text[at:]


def _slip(rng: random.Random, day: str) -> str:
    """Day and month changed round where that is a date, else another digit of the day."""
    year, month, number = day.split("-")
    return f"{year}-{number}-{month}" if int(number) <= 12 else f"{year}-{month}-{1 + rng.randrange(28):02d}"


def _canonical(row: dict[str, Any]) -> dict[str, Any]:
    """What the country's mappings make of the names: their keys."""
    keys = names.keys(row["surname"] or None, row["given_name"] or None, row["patronymic"] or None)
    return {name: keys.get(name, row.get(name)) for name in COLUMNS}
