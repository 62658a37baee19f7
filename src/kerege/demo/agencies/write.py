"""Writing a world into the agencies' folders: `civil/`, `population/`, `education/`, `health/`, each with its own kind of database.

Everything is made under a temporary name in the target folder and renamed when whole; an agency's earlier data stay until then. The truth
is not written here, and nothing here reads it.
"""

from __future__ import annotations

import csv
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from kerege.demo.agencies import civil, education, health, population
from kerege.demo.world import Record, World

AGENCIES: Final = ("civil", "population", "education", "health")


def write_agencies(world: World, folder: Path) -> dict[str, Path]:
    """Make each agency's folder anew in `folder`; returns them by name. Agencies must not be running on the old ones."""
    writers: dict[str, Callable[[World, Path], None]] = {
        "civil": _civil,
        "population": _population,
        "education": _education,
        "health": _health,
    }
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, Path] = {}
    for agency in AGENCIES:
        new, place = folder / f".{agency}.new", folder / agency
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        writers[agency](world, new)
        shutil.rmtree(place, ignore_errors=True)
        new.rename(place)
        made[agency] = place
    return made


def _civil(world: World, folder: Path) -> None:
    columns = [tag for tag, _ in civil.COLUMNS]
    names = [column for _, column in civil.COLUMNS]
    _fill(
        folder / civil.DATABASE, civil.SCHEMA, [("akt_rozhd", names, _rows(world.registers["civil.births"], columns))]
    )


def _population(world: World, folder: Path) -> None:
    with (folder / population.LOAD).open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter="\t", quoting=csv.QUOTE_NONE, escapechar="\\", lineterminator="\n")
        writer.writerow(population.FIELDS)
        writer.writerows(_rows(world.registers["population.persons"], population.FIELDS))


def _education(world: World, folder: Path) -> None:
    order = ("area_administratives", "areas", "institutions", "institution_students", "institution_places",
             "institution_catchments")  # fmt: skip
    tables = [
        (
            name,
            list(education.RESOURCES[name].columns),
            _rows(world.registers[f"education.{name}"], education.RESOURCES[name].columns),
        )
        for name in order
    ]
    _fill(folder / education.DATABASE, education.SCHEMA, tables)


def _health(world: World, folder: Path) -> None:
    columns = [name.lower() for name in health.HEADER]
    rows = _rows(world.registers["health.certificates"], health.HEADER)
    _fill(folder / health.DATABASE, health.SCHEMA, [("spravki", columns, rows)])


def _rows(records: Iterable[Record], fields: Iterable[str]) -> Iterable[tuple[str | int | None, ...]]:
    order = tuple(fields)
    return (tuple(record.row[name] for name in order) for record in records)


def _fill(path: Path, schema: str, tables: list[tuple[str, list[str], Iterable[tuple[str | int | None, ...]]]]) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON;" + schema
        )
        with connection:
            for table, columns, rows in tables:
                marks = ", ".join("?" * len(columns))
                connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608
        connection.execute("ANALYZE")
    finally:
        connection.close()
