"""The demo's own processes: started from lists, told apart by their ids, ended only by whoever started them.

Every process says where it listens, or that it is ready, on its standard output as one JSON line; its log goes to a file in the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import urllib3

from kerege.demo.errors import ProcessDidNotStart


def free_port() -> int:
    """A port on the loopback address that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Processes:
    """A set of child processes that end with the block they were started in, newest first."""

    logs: Path
    _running: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)

    def start(
        self, name: str, arguments: list[str], *, environ: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start `python -m arguments...` with its log in `<logs>/<name>.log`; standard output stays readable here."""
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **(environ or {})},
                start_new_session=True,  # Ctrl-C reaches the demo, and the demo ends its children in order
            )
        self._running.append((name, process))
        return process

    def first_line(self, name: str, process: subprocess.Popen[bytes], seconds: float = 60.0) -> dict[str, Any]:
        """The JSON line with which `process` says it is ready; ProcessDidNotStart when it ends or stays silent."""
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if selector.select(timeout=0.2):
                    line = process.stdout.readline()
                    if line.lstrip().startswith(b"{"):
                        answer: dict[str, Any] = json.loads(line)
                        return answer
                    if not line:
                        break
                if process.poll() is not None:
                    break
        raise ProcessDidNotStart(name=name, log=self.logs / f"{name}.log")

    def wait_for(self, name: str, process: subprocess.Popen[bytes], url: str, seconds: float = 60.0) -> None:
        """Wait until `url` answers with a status below 500."""
        pool = urllib3.PoolManager(retries=False, timeout=2.0)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if pool.request("GET", url).status < 500:
                    return
            time.sleep(0.05)
        raise ProcessDidNotStart(name=name, log=self.logs / f"{name}.log")

    def stop(self) -> None:
        """End every process started here: a polite signal, up to ten seconds together, then a firm one."""
        for _, process in reversed(self._running):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        for _, process in reversed(self._running):
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._running.clear()

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
