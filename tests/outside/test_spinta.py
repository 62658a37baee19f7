"""Spinta, Lithuania's data agent, serves from our exported manifest the same canonical codes that our mapping gives."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from kerege.catalogue.exports import dsa, dsa_read
from kerege.catalogue.packs import current_pack

SPINTA = Path(__file__).parents[2] / ".venv/outside-spinta/bin/spinta"
MAPPING = "kg:education.pupil"
FIELDS = ("pupil_id", "sex", "status")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, server: subprocess.Popen[bytes], log: Path) -> Any:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError:
            pytest.fail(log.read_text()[-3000:])
        except OSError:
            assert server.poll() is None, log.read_text()[-3000:]
            time.sleep(0.5)
    pytest.fail("Spinta did not answer: " + log.read_text()[-3000:])


def test_spinta_serves_the_same_canonical_rows_from_our_manifest(tmp_path: Path) -> None:
    if not SPINTA.is_file():
        pytest.skip("not there: make outside-mapping")
    pack = current_pack()
    sexes, statuses = (
        sorted(pack.crosswalk("kg:education-sex--sex").table),
        sorted(pack.crosswalk("kg:education-status--enrolment-status").table),
    )
    rows = [(f"p{n:03}", sexes[n % len(sexes)], statuses[n % len(statuses)]) for n in range(60)]
    register = tmp_path / "register.db"
    with sqlite3.connect(register) as db:
        db.execute("CREATE TABLE pupil (student_id TEXT PRIMARY KEY, gender_id TEXT, student_status TEXT)")
        db.executemany("INSERT INTO pupil VALUES (?, ?, ?)", rows)
    data, left = dsa.write(pack, [MAPPING], f"sqlite:///{register}")
    assert any("birth_date" in line for line in left), "what DSA cannot say is named"
    assert "private" in data.decode(), "attributes about people are private in the manifest"
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(
        data.decode().replace(",private,", ",open,"), encoding="utf-8"
    )  # the register is made up: let it be read
    (tmp_path / "config").mkdir()
    port, log = free_port(), tmp_path / "spinta.log"
    options = {
        "config_path": tmp_path / "config",
        "auth_server_id": "here",
        "resource_server_id": "here",
        "default_auth_client": "default",
    }
    command = [str(SPINTA), *(part for k, v in options.items() for part in ("-o", f"{k}={v}"))]
    command += ["run", "--mode", "external", "--host", "127.0.0.1", "--port", str(port), str(manifest)]
    with log.open("wb") as out:
        server = subprocess.Popen(
            command, cwd=tmp_path, stdout=out, stderr=out, env={**os.environ, "HOME": str(tmp_path)}
        )
    try:
        served = ask(f"http://127.0.0.1:{port}/datasets/gov/kg/education/Pupil", server, log)["_data"]
    finally:
        server.terminate()
        server.wait(timeout=30)
    mapper = pack.mapper(MAPPING)
    cells = dict.fromkeys(pack.mapping(MAPPING).source.cells)
    ours = [mapper(cells | {"student_id": a, "gender_id": b, "student_status": c}).values for a, b, c in rows]
    assert sorted(tuple(r[f] for f in FIELDS) for r in served) == sorted(tuple(v[f] for f in FIELDS) for v in ours)


def test_the_manifest_is_read_back_as_it_was_written() -> None:
    pack = current_pack()
    data, _ = dsa.write(pack)
    found = dsa_read.parse(data.decode())
    pupil = next(m for m in found.models if m.name.endswith("/Pupil"))
    status = next(p for p in pupil.properties if p.name == "status")
    assert {i.source: i.prepare for i in status.enum} == pack.crosswalk("kg:education-status--enrolment-status").table
