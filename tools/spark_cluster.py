"""A real Spark cluster on this machine: a master and workers as processes on loopback, and a way to submit the mapping job to it.

For tests and benches (`make spark`, `make engines`). Processes are started in their own group and ended by their ids; ports are the
cluster's own choice; nothing listens beyond 127.0.0.1. Needs `make spark` (.venv/outside-spark) and Java 17 or later.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv" / "outside-spark"
PICKLED = ROOT / "tools" / "spark_pickled.py"
JOB = ROOT / "src" / "kerege" / "semantics" / "engines" / "spark_job.py"
STARTING = 90  # seconds a master or worker may take


def there() -> str:
    """Empty when Spark is there, else what to do."""
    return "" if (VENV / ".ready").is_file() else "not there: make spark"


def _home() -> Path:
    return next(VENV.glob("lib/python*/site-packages/pyspark"))


def _environment() -> dict[str, str]:
    python = str(VENV / "bin" / "python")
    ours = {"SPARK_HOME": str(_home()), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1"}
    return {
        **os.environ,
        **ours,
        "PYSPARK_PYTHON": python,
        "PYSPARK_DRIVER_PYTHON": python,
        "PYTHONPATH": str(ROOT / "src"),
    }


@dataclass
class Cluster:
    """A running cluster; `url` is what to give as `--master`."""

    url: str
    folder: Path
    memory: str = "2g"  # of each executor
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def submit(
        self, options: Sequence[str], *, job: Path = JOB, settings: dict[str, str] | None = None, seconds: int = 1800
    ) -> dict[str, Any]:
        """Submit a job (the mapping one unless told); answers its JSON line. RuntimeError with the end of its log when it fails."""
        chosen = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", **(settings or {})}
        conf = [part for name, value in chosen.items() for part in ("--conf", f"{name}={value}")]
        command = [str(_home() / "bin" / "spark-submit"), "--master", self.url, *conf, str(job), *options]
        log = self.folder / "driver.log"
        with log.open("wb") as errors:
            done = subprocess.run(
                command, env=_environment(), stdout=subprocess.PIPE, stderr=errors, timeout=seconds, check=False
            )
        lines = [line for line in done.stdout.decode().split("\n") if line.startswith("{")]
        if done.returncode or not lines:
            raise RuntimeError(
                f"the job ended with {done.returncode}: {(log.read_text(errors='replace') + done.stdout.decode(errors='replace'))[-3000:]}"
            )
        found: dict[str, Any] = json.loads(lines[-1])
        return found

    def mapped(self, mapping: Any, pack: Any, frame: Any, *, cores: int = 2) -> tuple[Any, dict[str, Any]]:
        """A Polars frame mapped on the cluster: (frame as `celldiff` takes it, what the job told). The columns are all text."""
        import polars as pl

        from kerege.semantics.engines import door as engines

        source, into, given = (self.folder / name for name in ("rows.parquet", "mapped", "pickle"))
        shutil.rmtree(into, ignore_errors=True)
        frame.with_row_index("_place").with_columns(pl.col("_place").cast(pl.Int64)).write_parquet(
            source, row_group_size=100_000
        )
        given.write_bytes(pickle.dumps((mapping, pack)))
        settings = {
            "spark.sql.shuffle.partitions": str(2 * cores),
            "spark.cores.max": str(cores),
            "spark.executor.cores": "1",
            "spark.sql.adaptive.enabled": "false",
            "spark.executor.memory": self.memory,
        }
        told = self.submit([str(given), str(source), str(into)], job=PICKLED, settings=settings)
        return engines.as_result(pl.read_parquet(into / "*.parquet")), told

    def workers(self) -> int:
        """How many workers the master has registered, by its own log."""
        log = (self.folder / "master.log").read_text(errors="replace")
        return len(set(re.findall(r"Registering worker (\S+)", log)))

    def cpu_seconds(self) -> float:
        """What master, workers and the executors that have ended used, user and system."""
        total = 0.0
        for process in self.processes:
            used = psutil.Process(process.pid).cpu_times()
            total += used.user + used.system + used.children_user + used.children_system
        return total


@contextmanager
def cluster(workers: int = 2, *, cores: int = 1, memory: str = "2g") -> Iterator[Cluster]:
    """A master and `workers` workers until the block ends."""
    with tempfile.TemporaryDirectory(prefix="kerege-spark-cluster-") as name:
        made = Cluster("", Path(name), memory)
        before = signal.signal(signal.SIGTERM, _interrupted)  # `timeout` ends us so: the cluster must not stay behind
        try:
            _start(
                made,
                "master",
                "org.apache.spark.deploy.master.Master",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--webui-port",
                "0",
            )
            made.url = _said(made, "master", r"Starting Spark master at (spark://\S+)")
            for number in range(workers):
                size = ("-c", str(cores), "-m", _more(memory), "-d", str(made.folder / f"work{number}"))
                kind = "org.apache.spark.deploy.worker.Worker"
                _start(made, f"worker{number}", kind, "--host", "127.0.0.1", "--webui-port", "0", *size, made.url)
            for number in range(workers):
                _said(made, f"worker{number}", r"Successfully registered with (master)")
            yield made
        finally:
            for process in reversed(made.processes):
                _end(process)
            signal.signal(signal.SIGTERM, before)


def _interrupted(number: int, _frame: Any) -> None:
    raise SystemExit(128 + number)


def _more(memory: str) -> str:
    """A worker offers more than its executor's heap, which has its overhead beside it."""
    return f"{int(memory.removesuffix('g')) + 2}g"


def _start(made: Cluster, name: str, *command: str) -> None:
    log = (made.folder / f"{name}.log").open("wb")
    with log:
        process = subprocess.Popen(
            [str(_home() / "bin" / "spark-class"), *command],
            env=_environment(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    made.processes.append(process)


def _said(made: Cluster, name: str, pattern: str) -> str:
    """Wait until a process has written what `pattern` finds."""
    log = made.folder / f"{name}.log"
    until = time.monotonic() + STARTING
    while time.monotonic() < until:
        found = re.search(pattern, log.read_text(errors="replace"))
        if found:
            return found.group(1)
        if any(process.poll() is not None for process in made.processes):
            break
        time.sleep(0.2)
    raise RuntimeError(f"Spark's {name} did not start: {log.read_text(errors='replace')[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End one process that we started, its children with it, by ids."""
    try:
        family = [*psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in family:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
