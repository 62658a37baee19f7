import fcntl
import os
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from kerege.demo.agencies import postgresql, start_agency
from kerege.demo.agencies.errors import AgencyDidNotStart, PostgresqlUnavailable
from kerege.demo.agencies.population import read_load
from kerege.demo.agencies.postgresql import find_programs


def as_json(record):
    row = record.row
    return {
        "pin": row["pin"], "lastName": row["lastName"], "firstName": row["firstName"], "middleName": row["middleName"],
        "dob": row["dob"], "gender": row["gender"], "address": {"soate": row["soate"], "text": row["text"]},
        "registeredSince": row["registeredSince"],
    }  # fmt: skip


def check_answers(http, url, world):
    records = world.registers["population.persons"]
    for record in records[:20]:
        answer = http.request("GET", f"{url}/api/persons/{record.row['pin']}")
        assert answer.status == 200
        assert answer.json() == as_json(record)
    day = records[3].row["dob"]
    items = http.request("GET", f"{url}/api/persons?dob={day}").json()["items"]
    assert sorted(items, key=lambda p: p["pin"]) == sorted(
        (as_json(r) for r in records if r.row["dob"] == day), key=lambda p: p["pin"]
    )
    assert http.request("GET", f"{url}/api/persons?dob=1899-01-01").json() == {"items": []}
    assert http.request("GET", f"{url}/api/persons/10101190000000").status == 404


def test_persons_are_found_by_pin_and_by_birth_date(running, world, http):
    assert running["population"].database.startswith("SQLite")
    check_answers(http, running["population"].url, world)


@pytest.mark.parametrize(
    "path",
    [
        "/api/persons", "/api/persons?dob=05.01.2020", "/api/persons?dob=2020-02-30", "/api/persons?name=x", "/api/persons/123",
        "/api/persons/1010119000000x", "/api/persons?dob=2020-01-01&x=1", "/api/persons?dob='%20OR%201=1", "/api/persons?dob",
    ],
)  # fmt: skip
def test_a_bad_question_is_a_400_that_repeats_nothing(running, http, path):
    answer = http.request("GET", running["population"].url + path)
    assert answer.status == 400
    assert set(answer.json()) == {"error", "message"}
    assert "1010119" not in answer.data.decode()
    assert "OR 1=1" not in answer.data.decode()


def test_other_paths_and_methods_are_refused(running, http):
    url = running["population"].url
    assert http.request("GET", url + "/").status == 404
    assert http.request("GET", url + "/api/personsx").status == 404
    assert http.request("DELETE", url + "/api/persons/10101190000000").status == 405


def test_the_load_file_carries_every_value_through(folder, world):
    rows = list(read_load(folder / "population" / "jaran.tsv"))
    assert rows == [tuple(r.row.values()) for r in world.registers["population.persons"]]


def postgres_beneath(pid):
    return [p for p in psutil.Process(pid).children(recursive=True) if "postgres" in p.name()]


def has_postgresql():
    try:
        find_programs()
    except PostgresqlUnavailable:
        return False
    return True


needs_postgresql = pytest.mark.skipif(not has_postgresql(), reason="not there: PostgreSQL's programs")


@needs_postgresql
def test_on_postgresql_the_answers_are_the_same_and_nothing_is_left_running(folder, world, http):
    before = {p.name for p in Path(tempfile.gettempdir()).glob("kerege-pg-*")}
    began = time.monotonic()
    agency = start_agency("population", folder / "population", database="postgresql")
    try:
        assert time.monotonic() - began < 20
        assert agency.database.startswith("PostgreSQL")
        check_answers(http, agency.url, world)
        servers = postgres_beneath(agency.pid)
        assert servers
        if os.geteuid() == 0:
            assert all(p.uids().real != 0 for p in servers)
        assert not [c for p in servers for c in p.net_connections("inet")]
    finally:
        status = agency.stop()
    assert status == 0
    assert not [p for p in servers if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert {p.name for p in Path(tempfile.gettempdir()).glob("kerege-pg-*")} <= before


@needs_postgresql
def test_postgresql_ends_even_when_its_agency_is_killed(folder):
    agency = start_agency("population", folder / "population", database="postgresql")
    servers = postgres_beneath(agency.pid)
    agency.process.kill()
    agency.process.wait()
    _gone, alive = psutil.wait_procs(servers, timeout=10)
    agency.stop()
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
    left = set(Path(tempfile.gettempdir()).glob("kerege-pg-*"))
    start_agency("population", folder / "population", database="postgresql").stop()  # sweeps what the killed one left
    assert not [place for place in left if place.exists() and (place / "lock").exists() and unlocked(place)]


def unlocked(place):
    with (place / "lock").open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


@needs_postgresql
def test_programs_the_other_user_cannot_reach_are_copied_for_it(folder, world, http, tmp_path, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("not there: root, whose checkouts another user may not reach")
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o700)
    (shut / "programs").symlink_to(find_programs())
    monkeypatch.setattr(postgresql, "find_programs", lambda: shut / "programs")
    server = postgresql.start(tmp_path)
    try:
        with server.connect() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.stop()
    assert psutil.pid_exists(server.pid) is False


def test_without_its_data_the_agency_does_not_start_and_says_so(tmp_path, capfd):
    with pytest.raises(AgencyDidNotStart, match="population: no address"):
        start_agency("population", tmp_path)
    assert "demo.agency_data_missing" in capfd.readouterr().err
