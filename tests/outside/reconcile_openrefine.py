"""OpenRefine itself matches a table against our services: reconciles by our Reconciliation API, reads what we accepted, fetches columns.

Run by `make outside-openrefine` and not with the other tests: it starts OpenRefine (Debian's package, or the folder in KEREGE_OPENREFINE that has
`server` and `webapp`) on 127.0.0.1, and ends it. Its own checks are the point: it refuses manifests, answers and extensions it cannot read.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import pytest

FOLDER = Path(os.environ.get("KEREGE_OPENREFINE", "/usr/share/openrefine"))
PLACES = "place,within\nБаткен,\nОш облусу,\nЖайыл району,Чүйская область\nNowhere at all,\n"
OPEN = build_opener(ProxyHandler({}))  # this machine's servers are never asked through a proxy
ENGINE = json.dumps({"facets": [], "mode": "row-based"})


class OpenRefine:
    """A running OpenRefine, spoken to as its own pages do."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, command: str, **asked: str) -> Any:
        with OPEN.open(f"{self.address}/command/core/{command}?{urlencode(asked)}", timeout=60) as answer:
            return json.load(answer)

    def post(self, command: str, **told: str) -> Any:
        token = {"csrf_token": self.get("get-csrf-token")["token"]}
        with OPEN.open(f"{self.address}/command/core/{command}", urlencode(told | token).encode(), 60) as answer:
            return json.load(answer)

    def project(self, table: str) -> str:
        """A new project of a CSV table; its number."""
        token = self.get("get-csrf-token")["token"]
        parts = {
            "project-file": ('; filename="t.csv"', table),
            "project-name": ("", "t"),
            "format": ("", "text/line-based/*sv"),
        }
        parts["options"] = (
            "",
            json.dumps({"separator": ",", "headerLines": 1, "encoding": "UTF-8", "storeBlankCellsAsNulls": True}),
        )
        body = "".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'
            for name, (more, value) in parts.items()
        )
        there = HTTPConnection(self.address.removeprefix("http://"), timeout=60)
        heads = {"Content-Type": "multipart/form-data; boundary=b"}
        path = f"/command/core/create-project-from-upload?csrf_token={token}"
        there.request("POST", path, (body + "--b--\r\n").encode(), heads)
        answer = there.getresponse()  # leads to the project's page, which nobody looks at here
        there.close()
        return str(answer.headers["Location"]).rpartition("=")[2]

    def finish(self, project: str) -> None:
        """Wait for what runs in a project."""
        end = time.monotonic() + 60
        while self.get("get-processes", project=project)["processes"]:
            assert time.monotonic() < end, "OpenRefine is still busy"
            time.sleep(0.2)

    def rows(self, project: str) -> list[list[Any]]:
        found = self.get("get-rows", project=project, start="0", limit="50", engine=ENGINE)
        known = found["pool"]["recons"]
        cells = [[dict(cell or {}) for cell in row["cells"]] for row in found["rows"]]
        return [[cell | ({"r": known[str(cell["r"])]} if "r" in cell else {}) for cell in row] for row in cells]


@pytest.fixture
def openrefine(tmp_path: Path) -> Iterator[OpenRefine]:
    java = shutil.which("java")
    if java is None or not (FOLDER / "webapp").is_dir():
        pytest.skip("not there: OpenRefine (apt-get install openrefine)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = {
        "headless": "true",
        "data_dir": str(tmp_path),
        "webapp": "webapp",
        "port": port,
        "interface": "127.0.0.1",
        "host": "127.0.0.1",
    }
    process = subprocess.Popen(
        [java, "-Xmx700M", "-cp", "server/*", *(f"-Drefine.{k}={v}" for k, v in told.items()), "com.google.refine.Refine"],
        cwd=FOLDER, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    made = OpenRefine(f"http://127.0.0.1:{port}")
    try:
        for _ in range(300):
            try:
                made.get("get-version")
                break
            except (URLError, ValueError, OSError):
                time.sleep(0.2)
        yield made
    finally:
        process.kill()
        process.wait()


def reconcile(
    refine: OpenRefine, project: str, service: str, column: str, kind: dict[str, str], details: list[Any]
) -> None:
    with OPEN.open(service, timeout=60) as answer:
        manifest = json.load(answer)
    config = {
        "mode": "standard-service", "service": service, "identifierSpace": manifest["identifierSpace"],
        "schemaSpace": manifest["schemaSpace"], "type": kind, "autoMatch": True, "columnDetails": details, "limit": 0,
    }  # fmt: skip
    begun = refine.post("reconcile", project=project, columnName=column, config=json.dumps(config), engine=ENGINE)
    assert begun["code"] in ("ok", "pending"), begun
    refine.finish(project)


@pytest.mark.django_db(transaction=True)
def test_openrefine_matches_places_and_fetches_their_codes(openrefine: OpenRefine, live_server: Any) -> None:
    service = f"{live_server.url}/api/reconcile/places"
    project = openrefine.project(PLACES)
    assert [row[0].get("v") for row in openrefine.rows(project)] == [
        "Баткен",
        "Ош облусу",
        "Жайыл району",
        "Nowhere at all",
    ]
    guessed = openrefine.post("guess-types-of-column", project=project, columnName="place", service=service)
    assert guessed["code"] == "ok", guessed
    assert {t["id"] for t in guessed["types"]} >= {"region"}
    within = [{"column": "within", "propertyName": "Within", "propertyID": "within"}]
    reconcile(openrefine, project, service, "place", {"id": "", "name": ""}, within)
    cells = [row[0].get("r") or {} for row in openrefine.rows(project)]
    judged = [cell.get("j") for cell in cells]
    assert judged[1:] == ["matched", "matched", "none"], [(c.get("j"), c.get("c")) for c in cells]
    assert cells[0]["c"], "an open question has candidates"
    assert cells[1]["m"]["types"] == ["region"]
    extension = json.dumps({"properties": [{"id": "soate", "name": "SOATE code"}, {"id": "within", "name": "Within"}]})
    extended = openrefine.post(
        "extend-data", project=project, baseColumnName="place", columnInsertIndex="1", engine=ENGINE, extension=extension,
        service=service, endpoint=service, identifierSpace="x", schemaSpace="x",
    )  # fmt: skip
    assert extended["code"] in ("ok", "pending"), extended
    openrefine.finish(project)
    rows = openrefine.rows(project)
    assert rows[1][2]["v"] == cells[1]["m"]["id"]
    assert rows[2][3]["r"]["m"]["name"], "a linked property is an entity of its own"


@pytest.mark.django_db(transaction=True)
def test_openrefine_matches_codes_of_a_list(openrefine: OpenRefine, live_server: Any) -> None:
    service = f"{live_server.url}/api/reconcile/codelists"
    project = openrefine.project("sex\nмужской\nженский\nx\n")
    reconcile(openrefine, project, service, "sex", {"id": "kg:sex", "name": "Sex"}, [])
    cells = [row[0].get("r") or {} for row in openrefine.rows(project)]
    assert [(c.get("j"), (c.get("m") or {}).get("id")) for c in cells] == [
        ("matched", "kg:sex#1"), ("matched", "kg:sex#2"), ("none", None),
    ]  # fmt: skip
