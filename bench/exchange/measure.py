"""One measurement: a load of fixed concurrency for a fixed time, and what it cost each process."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from processes import cpu_seconds

LUA = Path(__file__).with_name("load.lua")


class RunFailed(Exception):
    """A measurement that does not count: refused calls, lost connections, or a log that does not hold every message."""


@dataclass(frozen=True)
class Sample:
    """What one measurement gave. `cpu_ms` is per exchange and part; `records` is what both logs grew by per exchange."""

    rate: float
    p50_ms: float
    p99_ms: float
    requests: int
    cpu_ms: Mapping[str, float]


def run_load(
    url: str, *, concurrency: int, seconds: int, size: int, client: str | None, parts: Mapping[str, int], where: str
) -> Sample:
    """Load `url` with wrk and read the CPU of `parts` (name to process id) before and after. Raises RunFailed on any error."""
    before = {name: cpu_seconds(pid) for name, pid in parts.items()}
    done = subprocess.run(
        ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", "--timeout", "30s", "-s", str(LUA), url],
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "METHOD": "POST", "BYTES": str(size), "CLIENT": client or ""},
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    after = {name: cpu_seconds(pid) for name, pid in parts.items()}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        raise RunFailed(f"{where}: wrk ended with {done.returncode}: {done.stderr[-500:]}")
    seen = json.loads(lines[-1])
    wrong = {key: seen[key] for key in ("refused", "connect", "read", "write", "timeout") if seen[key]}
    if wrong or not seen["requests"]:
        raise RunFailed(f"{where}: {seen['requests']} answers, errors {wrong}")
    count = int(seen["requests"])
    return Sample(
        rate=count / seen["seconds"],
        p50_ms=seen["p50_us"] / 1000,
        p99_ms=seen["p99_us"] / 1000,
        requests=count,
        cpu_ms={name: (after[name] - before[name]) * 1000 / count for name in parts},
    )


def median(samples: list[Sample]) -> Sample:
    """The medians of each figure over the rounds."""
    names = samples[0].cpu_ms
    return Sample(
        rate=statistics.median(s.rate for s in samples),
        p50_ms=statistics.median(s.p50_ms for s in samples),
        p99_ms=statistics.median(s.p99_ms for s in samples),
        requests=sum(s.requests for s in samples),
        cpu_ms={name: statistics.median(s.cpu_ms[name] for s in samples) for name in names},
    )


def ratio(samples: list[Sample], rivals: list[Sample]) -> float:
    """The median over the rounds of the rate, in parts of the rival's rate in the same round."""
    return statistics.median(own.rate / other.rate for own, other in zip(samples, rivals, strict=True))
