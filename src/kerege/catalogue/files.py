"""Writing files whole or not at all: to a temporary name beside the target, then renamed; and CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from kerege.catalogue.errors import OutputExists
from kerege.semantics.codelists.spreadsheets import neutralised


@contextmanager
def written_whole(path: Path, *, replace: bool = False) -> Iterator[TextIO]:
    """A UTF-8 text file that appears at `path` when the block ends well, and leaves nothing behind when it does not.

    Raises OutputExists when something is there already, unless `replace`.
    """
    if path.exists() and not replace:
        raise OutputExists(path=str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(temporary, path)
        else:
            try:
                os.link(temporary, path)  # unlike a rename it fails when somebody made the file meanwhile
            except FileExistsError as error:
                raise OutputExists(path=str(path)) from error
            os.unlink(temporary)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class SafeWriter:
    """A CSV writer whose cells are data wherever they are opened: one that a spreadsheet would run as a formula gets ' before it."""

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file, lineterminator="\n")

    def writerow(self, cells: Iterable[Any]) -> None:
        self._writer.writerow([neutralised(c, numbers=False) if isinstance(c, str) else c for c in cells])

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        for row in rows:
            self.writerow(row)


def bytes_written_whole(path: Path, data: bytes, *, replace: bool = False) -> None:
    """`data` at `path`, whole or not at all; OutputExists when something is there already, unless `replace`."""
    if path.exists() and not replace:
        raise OutputExists(path=str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
