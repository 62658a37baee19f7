"""The mapping part of `make bench-data`: our mapping on DuckDB beside the same work by hand, peers on a part of the same rows, one message.

Ours and the hand-written SQL read the same Parquet file and write a Parquet file, turn by turn in one process with two threads; the best of the
rounds counts for each, by CPU and by wall. Their cells are compared first. Peers map a bounded part of the same rows and do less of the work for each
(which flatters them); what counts is CPU for each row. The message is decoded, mapped, checked against a contract and encoded, another one each time.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson
from bench.data import peers_mapping, task

from kerege.semantics import Pack, compile_duckdb, compile_record
from kerege.semantics.contracts import odcs
from kerege.semantics.contracts.contract import Contract
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import TargetField
from kerege.semantics.mappings.translate import translate

_CODED: Final = ("sex", "marital", "citizenship", "district")


def run(quick: bool) -> dict[str, float | None]:
    """`duckdb_vs_hand_sql` (rows a CPU second, ours over the hand's), `vs_spinta`, `vs_linkml_map` (by CPU for each row), `message_us`."""
    rows = 50_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task.write(folder / "register.parquet", rows)
        pack = task.bench_pack()
        ours, ratio = _against_hand(pack, folder, rows, 1 if quick else 4)
        with duckdb.connect() as connection:
            found = connection.execute(
                "SELECT * FROM read_parquet(?) LIMIT ?", [str(folder / "register.parquet"), 20_000]
            ).fetchall()
        records = [dict(zip(task.COLUMNS, row, strict=True)) for row in found]
        tables = {name: _exact(pack, name) for name in _CODED}
        some = 300 if quick else 4_000
        linkml = peers_mapping.linkml_map(records[:some], tables, folder)
        spinta = peers_mapping.spinta(records[:some], tables, folder)
        message = _message(pack, records[: 2_000 if quick else 20_000])
    for peer, cost in (("Spinta", spinta), ("LinkML-Map", linkml)):
        if cost is not None:
            print(f"ours beside {peer}: {cost / ours:.0f} times as many rows a CPU second")
    return {
        "duckdb_vs_hand_sql": ratio,
        "vs_spinta": spinta and round(spinta / ours, 1),
        "vs_linkml_map": linkml and round(linkml / ours, 1),
        "message_us": message,
    }


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    """(CPU seconds, wall seconds) of this process with all its threads."""
    used, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime, time.perf_counter() - begun


def _against_hand(pack: Pack, folder: Path, rows: int, rounds: int) -> tuple[float, float]:
    """(our CPU seconds for each row, the hand's CPU over ours)."""
    mapped = compile_duckdb(pack.mapping("bench:person"), pack)
    hand = (task.HERE / "hand.sql").read_text("utf-8")
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        connection.execute(f"CREATE VIEW register AS SELECT * FROM read_parquet('{folder / 'register.parquet'}')")

        def ours() -> None:
            mapped.write(connection, "register", folder / "ours.parquet")

        def theirs() -> None:
            connection.execute(
                f"COPY ({hand}) TO '{folder / 'hand.parquet'}' (FORMAT parquet, ROW_GROUP_SIZE {task.ROW_GROUP})"
            )

        turns = [(_timed(ours), _timed(theirs)) for _ in range(rounds)]
        cells = ", ".join(task.FIELDS)
        query = (
            f"SELECT count(*) FROM (SELECT {cells}, _verdict FROM read_parquet('{folder / 'ours.parquet'}') "
            f"EXCEPT ALL SELECT {cells}, verdict FROM read_parquet('{folder / 'hand.parquet'}'))"
        )
        different = connection.execute(query).fetchall()[0][0]
    (cpu, wall), (hand_cpu, hand_wall) = ((min(t[n][0] for t in turns), min(t[n][1] for t in turns)) for n in (0, 1))
    print(f"{rows} rows x 12 columns to 17 fields; rows that differ from the hand-written SQL's: {different}")
    print(f"ours  {cpu:6.2f} CPU-s {wall:6.2f} s wall  {rows / cpu / 1000:5.0f} k rows a CPU-s")
    print(f"hand  {hand_cpu:6.2f} CPU-s {hand_wall:6.2f} s wall  {rows / hand_cpu / 1000:5.0f} k rows a CPU-s")
    print(f"ratio by CPU {hand_cpu / cpu:.2f}, by wall {hand_wall / wall:.2f}")
    if different:
        raise AssertionError("the two do not do the same work")
    return cpu / rows, round(hand_cpu / cpu, 3)


def _exact(pack: Pack, name: str) -> dict[str, str]:
    """The crosswalk as peers can take it: every wording by itself, as the register writes it."""
    walk = pack.crosswalk(f"bench:{name}")
    if walk.match == "exact":
        return dict(walk.table)
    return {code: target for code in task.CITIZENS if (target := walk.table.get(walk.key(code))) is not None}


def _message(pack: Pack, records: list[dict[str, str]]) -> float:
    """Microseconds of CPU for one message of eighteen canonical fields."""
    from kerege.semantics.contracts.message import compile_message

    mapping = pack.mapping("bench:person")
    year = TargetField("birth_year", ir.Take(ir.Target("birth_date"), 1, 4))
    wide = replace(mapping, fields=(*mapping.fields, year))
    own = Pack(pack.folder, pack.codelists, pack.crosswalks, {mapping.id: wide}, pack.gazetteer)
    own._mappers[mapping.id] = compile_record(wide, own)
    lists = {f"bench:{name}": frozenset(pack.crosswalk(f"bench:{name}").table.values()) for name in _CODED}
    check = compile_message(_contract([f.name for f in wide.fields]), lists.__getitem__)
    bodies = [orjson.dumps(record) for record in records]

    def one(body: bytes) -> bytes:
        translation = translate(own, mapping.id, body, "application/json")
        document = translation.as_dict()
        document["breaches"] = [[breach.as_dict() for breach in check(record)] for record in translation.records]
        return orjson.dumps(document)

    best = []
    for _ in range(3):
        begun = time.process_time()
        for body in bodies:
            one(body)
        best.append((time.process_time() - begun) / len(bodies) * 1e6)
    print(
        f"one message of {len(wide.fields)} fields: decode, map, check, encode: {min(best):.1f} us of CPU ({len(bodies)} different ones)"
    )
    return round(min(best), 1)


def _contract(fields: list[str]) -> Contract:
    """The contract of the message: types and lengths of all fields, required ones, four code lists, patterns, bounds on dates and a number."""
    properties: list[dict[str, Any]] = []
    for name in fields:
        options: dict[str, Any] = {"maxLength": 200}
        one: dict[str, Any] = {"name": name, "logicalType": "string", "logicalTypeOptions": options}
        if name in ("birth_date", "updated_at"):
            one |= {"logicalType": "date", "logicalTypeOptions": {"minimum": "1900-01-01"}}
        elif name == "birth_year":
            one |= {"logicalType": "integer", "logicalTypeOptions": {"minimum": 1900, "maximum": 2100}}
        elif name in _CODED:
            one["customProperties"] = [{"property": "codeList", "value": f"bench:{name}"}]
        elif name == "pin":
            options["pattern"] = "^[12][0-9]{13}$"
        if name in ("id", "surname", "birth_date", "pin"):
            one["required"] = True
        properties.append(one)
    document = {
        "kind": "DataContract",
        "apiVersion": "v3.1.0",
        "id": "bench:person",
        "version": "1.0.0",
        "status": "active",
    }
    return odcs.parse({**document, "schema": [{"name": "person", "properties": properties}]})
