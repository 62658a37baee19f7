"""One agency as a process: arguments, the ready line on stdout, and a clean stop on SIGTERM, SIGINT or the parent's death.

The ready line is one JSON object: `{"agency", "url", "port", "pid", "database", "note", "harvest"}`. With `--with-parent` the agency ends when the
process that started it is gone, so that an interrupted demo leaves nothing running.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from kerege.demo.agencies.server import Handler, listen
from kerege.ground.errors import KeregeError

_PARENT_WATCH: Final = 0.5


@dataclass(frozen=True, slots=True)
class Arguments:
    folder: Path
    port: int
    database: str
    with_parent: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """An agency with its database open: how it answers, what runs beneath, how it is closed.

    harvest   URL of an account that may only read, for the country's stewards; empty where the database is a file
    """

    handler: Handler
    database: str
    close: Callable[[], None]
    note: str = ""
    harvest: str = ""


def arguments(agency: str, argv: list[str] | None = None) -> Arguments:
    parser = argparse.ArgumentParser(prog=f"python -m kerege.demo.agencies.{agency}")
    parser.add_argument("--folder", type=Path, required=True, help="the agency's own folder, made by write_agencies")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--database", choices=("auto", "postgresql", "sqlite"), default="auto", help="population only")
    parser.add_argument("--with-parent", action="store_true", help="end when the starting process ends")
    given = parser.parse_args(argv)
    return Arguments(given.folder, given.port, given.database, given.with_parent)


def serve(agency: str, opening: Callable[[Arguments], Opened]) -> None:
    """Run the agency until it is told to stop. Exits with 1 and one line on stderr when it cannot start."""
    given = arguments(agency)
    parent = os.getppid()
    signal.signal(signal.SIGTERM, _interrupt)  # also while the database starts
    try:
        opened = opening(given)
    except KeregeError as error:
        print(f"error    {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from error
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(agency, given, opened, parent))
    finally:
        opened.close()


def _interrupt(_signal: int, _frame: object) -> None:
    raise SystemExit(0)


async def _run(agency: str, given: Arguments, opened: Opened, parent: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await listen(opened.handler, given.folder, given.port)
    port = int(server.sockets[0].getsockname()[1])
    ready = {
        "agency": agency, "url": f"http://127.0.0.1:{port}", "port": port, "pid": os.getpid(),
        "database": opened.database, "note": opened.note, "harvest": opened.harvest,
    }  # fmt: skip
    print(json.dumps(ready), flush=True)  # noqa: T201
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _PARENT_WATCH if given.with_parent else None)
        if given.with_parent and os.getppid() != parent:
            stop.set()
    server.close()
