"""The truth on disk, where no agency reads: facts of each application, who is behind each register row, which rows were lost, which
area is which.

For evaluation only (wrong decisions, wrong links, wrong crosswalk rows). Refuses to write inside an agency's folder, because a process
that could read it would make every figure worthless.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from kerege.demo.world.errors import TruthInReach
from kerege.demo.world.model import World
from kerege.demo.world.regions import CIVIL, HEALTH
from kerege.ground.clock import iso

_KEYS = {
    "civil.births": "ActNo",
    "population.persons": "pin",
    "education.institution_students": "student_id",
    "health.certificates": "N_SPR",
}


def write_truth(world: World, folder: Path, *, agencies: Path | None = None) -> None:
    """Write `applications.jsonl`, `links.csv`, `lost.csv`, `areas.csv` and `regions.csv` to `folder`.

    agencies   the agencies' folder; `folder` must not lie within it, nor around it.
    """
    here = folder.resolve()
    if agencies is not None:
        there = agencies.resolve()
        if here.is_relative_to(there) or there.is_relative_to(here):
            raise TruthInReach(folder=folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = [json.dumps(asdict(t), default=_text, ensure_ascii=False, sort_keys=True) for t in world.truth]
    _replace(folder / "applications.jsonl", [line + "\n" for line in lines])
    links = [
        (table, record.row[key], record.person, " ".join(record.planted))
        for table, key in _KEYS.items()
        for record in world.registers[table]
    ]
    _table(folder / "links.csv", ("table", "key", "person", "planted"), links)
    lost = [(table, row.row[_KEYS[table]], row.person) for table, rows in world.lost.items() for row in rows]
    _table(folder / "lost.csv", ("table", "key", "person"), lost)
    units = [(a.code, a.soate, a.name) for a in world.education_areas]
    _table(folder / "areas.csv", ("education_code", "soate", "name"), units)
    regions = [
        (a, name, prefix + "0" * 9)
        for a, names in (("civil", CIVIL), ("health", HEALTH))
        for prefix, name in names.items()
    ]
    _table(folder / "regions.csv", ("agency", "wording", "soate"), regions)


def _text(value: Any) -> str:
    return iso(value) if isinstance(value, datetime) else str(value)


def _table(path: Path, header: tuple[str, ...], rows: list[Any]) -> None:
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    part.replace(path)


def _replace(path: Path, lines: list[str]) -> None:
    part = path.with_suffix(".part")
    part.write_text("".join(lines), encoding="utf-8")
    part.replace(path)
