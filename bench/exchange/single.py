"""One pair of nodes alone, before the agency's nginx, as in the bench: what the instruments beside it look at."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pairs
import rival
from processes import Processes, free_ports, wait_port


@contextmanager
def one_pair(name: str, *, algorithm: str, link: bool, also: dict[str, Any] | None = None) -> Iterator[pairs.Pair]:
    """Laid out and not started, in a folder of its own that is gone at the end, with all processes. The agency answers.

    also   what its nodes' files say besides
    """
    place = pairs.PROJECT / "var"  # the disk that nodes run on, not a file system in memory
    place.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place))
    processes = Processes(folder)
    try:
        (port,) = free_ports(1)
        config = folder / "provider.conf"
        config.write_text(rival.provider(folder, port))
        nginx = processes.start("provider", ["nginx", "-c", str(config), "-p", str(folder)])
        wait_port(port, nginx, processes.log("provider"))
        url = f"http://127.0.0.1:{port}"
        yield pairs.make_pair("pair", folder / "pair", processes, url, algorithm=algorithm, link=link, also=also)
    finally:
        processes.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
