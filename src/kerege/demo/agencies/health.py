"""Health: certificates of vaccination, given out once a night as a CSV file, in the manner of an office programme.

`GET /nightly/vaccinations.csv` is the only interface: UTF-8 with BOM, `;`, header `N_SPR;FIO;DATA_R;POL;OBLAST;PIN;DATA_VYD;STATUS`, ISO
dates, and as last line `#ROWS;<n>`. The file is written once at the start from the programme's own database (`spravki`), as its night
job does, to a temporary name first: a reader never meets a half-written one (half a file comes only by `faults`).
"""

from __future__ import annotations

import csv
import io
import sqlite3
from pathlib import Path
from typing import Final

from kerege.demo.agencies.errors import AgencyDataMissing
from kerege.demo.agencies.process import Arguments, Opened, serve
from kerege.demo.agencies.server import Request, Response, problem

DATABASE: Final = "spravki.sqlite3"
NIGHTLY: Final = "/nightly/vaccinations.csv"
HEADER: Final = ("N_SPR", "FIO", "DATA_R", "POL", "OBLAST", "PIN", "DATA_VYD", "STATUS")
SCHEMA: Final = (
    "CREATE TABLE spravki (id INTEGER PRIMARY KEY, n_spr TEXT NOT NULL UNIQUE, fio TEXT NOT NULL, data_r TEXT NOT NULL,"
    " pol TEXT NOT NULL, oblast TEXT NOT NULL, pin TEXT NOT NULL, data_vyd TEXT NOT NULL, status TEXT NOT NULL);"
)


def nightly(connection: sqlite3.Connection) -> bytes:
    """The night's file, whole."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(HEADER)
    count = 0
    for row in connection.execute(
        "SELECT n_spr, fio, data_r, pol, oblast, pin, data_vyd, status FROM spravki ORDER BY id"
    ):
        writer.writerow(row)
        count += 1
    writer.writerow(("#ROWS", count))
    return b"\xef\xbb\xbf" + out.getvalue().encode()


class HealthOffice:
    """Serves the night's file as it lies on the disk, read again only when it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = 0
        self._body = b""

    def __call__(self, request: Request) -> Response:
        if request.path != NIGHTLY:
            return problem(404, f"The only file is {NIGHTLY}.")
        if request.method != "GET":
            return problem(405, "The file is fetched with GET.")
        if request.query:
            return problem(400, "The file takes no questions.")
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._stamp, self._body = stamp, self._path.read_bytes()
        except OSError:
            return problem(404, "There is no file of last night.")
        headers = {"content-disposition": 'attachment; filename="vaccinations.csv"', "etag": f'"{self._stamp:x}"'}
        return Response(200, self._body, "text/csv; charset=utf-8", headers, whole_file=True)


def open_agency(given: Arguments) -> Opened:
    database = given.folder / DATABASE
    if not database.exists():
        raise AgencyDataMissing(agency="health", file=database)
    path = given.folder / NIGHTLY.strip("/")
    path.parent.mkdir(exist_ok=True)
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        part = path.with_suffix(".part")
        part.write_bytes(nightly(connection))
        part.replace(path)
    finally:
        connection.close()
    return Opened(HealthOffice(path), f"SQLite {sqlite3.sqlite_version}, nightly CSV", lambda: None)


if __name__ == "__main__":
    serve("health", open_agency)
