"""What a reading cost the source: measured where that can be read, else bounded from above and said to be.

CPU of a database's own process: Linux' /proc of the backend, when it runs on this machine and may be looked at. Otherwise the time its
answers took, which is the most one connection can have used. Rows and bytes are those that left the source.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kerege.ground.text import counted

_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(slots=True)
class Cost:
    """What one source was asked for so far.

    connections   opened to it in all
    seconds       of waiting for its answers: the most CPU that one connection can have used there
    cpu_seconds   of the source's own process; None where that cannot be read
    rows, bytes   that left it
    """

    connections: int = 0
    queries: int = 0
    seconds: float = 0.0
    cpu_seconds: float | None = None
    rows: int = 0
    bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        cpu = None if self.cpu_seconds is None else round(self.cpu_seconds, 3)
        return {
            "connections": self.connections, "queries": self.queries, "seconds": round(self.seconds, 3), "cpu_seconds": cpu,
            "rows": self.rows, "bytes": self.bytes,
        }  # fmt: skip

    @property
    def text(self) -> str:
        """In a few words, for a person who runs the register."""
        if self.connections:
            cpu = (
                f"at most {self.seconds:.2f} CPU-seconds (the time its answers took; its process cannot be looked at)"
                if self.cpu_seconds is None
                else f"{self.cpu_seconds:.2f} CPU-seconds measured"
            )
            how = counted(self.connections, "connection")
            return f"{cpu}, {how}, {counted(self.rows, 'row')}, {_size(self.bytes)}"
        return f"no server asked, {counted(self.rows, 'row')}, {_size(self.bytes)} read"

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Counts the time until the source has answered."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - began


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else counted(count, "byte")


def process_cpu(pid: int, thread: int | None = None, name: str = "") -> float | None:
    """CPU-seconds of a process (or one thread of it) here; None when there is none to see, or it is not called like `name`."""
    path = Path(f"/proc/{pid}") if thread is None else Path(f"/proc/{pid}/task/{thread}")
    try:
        head, _, rest = (path / "stat").read_text().rpartition(")")
    except OSError:
        return None
    if name and name not in head.partition("(")[2]:
        return None
    words = rest.split()
    return (int(words[11]) + int(words[12])) / _TICKS


def started(pid: int) -> float | None:
    """When a process here began, in seconds since 1970; None when there is none to see."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        up = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError):
        return None
    return time.time() - up + int(words[19]) / _TICKS


def process_of_thread(thread: int) -> int | None:
    """The process here that a thread belongs to; None when there is none to see."""
    try:
        lines = Path(f"/proc/{thread}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("Tgid:")), None)
