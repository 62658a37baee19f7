"""Starting and stopping the agencies as processes of their own, for the demo and for tests.

    with start_all(folder) as running:
        running["civil"].url

Each is waited for by its ready line. `stop` is SIGTERM, then SIGKILL after a while, and only to the processes started here.
"""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kerege.demo.agencies.errors import AgencyDidNotStart
from kerege.demo.agencies.write import AGENCIES

START_SECONDS: Final = 40.0
_STOP_SECONDS: Final = 25.0


@dataclass(frozen=True, slots=True)
class Agency:
    """A running agency. `database` says which one it uses, `note` why not another, `harvest` where its stewards may read it."""

    name: str
    url: str
    port: int
    pid: int
    database: str
    note: str
    folder: Path
    process: subprocess.Popen[bytes]
    harvest: str = ""

    def stop(self) -> int:
        """End the process and return its exit status."""
        _end(self.process)
        return int(self.process.returncode)


def start_agency(name: str, folder: Path, *, port: int = 0, database: str = "auto") -> Agency:
    """Start the agency whose own folder is `folder`; raises AgencyDidNotStart with its exit status."""
    return _ready(name, folder, _spawn(name, folder, port, database))


@contextlib.contextmanager
def start_all(
    folder: Path, *, database: str = "auto", ports: Mapping[str, int] | None = None
) -> Iterator[dict[str, Agency]]:
    """All four from `folder`/<name>, started side by side, stopped when the block ends."""
    spawned = {name: _spawn(name, folder / name, (ports or {}).get(name, 0), database) for name in AGENCIES}
    try:
        yield {name: _ready(name, folder / name, process) for name, process in spawned.items()}
    finally:
        for process in spawned.values():
            process.terminate()
        for process in spawned.values():
            _end(process)


def _spawn(name: str, folder: Path, port: int, database: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"kerege.demo.agencies.{name}", "--folder", str(folder), "--port", str(port)]
    command += ["--database", database, "--with-parent"]
    # A pipe of its own session: Ctrl-C in the terminal goes to the demo, and the demo stops its agencies in order.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)


def _ready(name: str, folder: Path, process: subprocess.Popen[bytes]) -> Agency:
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS
    line = b""
    while not line.endswith(b"\n") and time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.2)[0]:
            line = process.stdout.readline()
            if not line:
                break  # the process closed its side: it ended
    if not line:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
        status = process.poll()
        _end(process)
        raise AgencyDidNotStart(agency=name, seconds=int(START_SECONDS), status=status, folder=folder)
    ready = json.loads(line)
    return Agency(
        name=name, url=ready["url"], port=ready["port"], pid=ready["pid"], database=ready["database"], note=ready["note"],
        folder=folder, process=process, harvest=ready["harvest"],
    )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
