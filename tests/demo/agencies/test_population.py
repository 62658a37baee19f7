import fcntl
import os
import tempfile
import time
from pathlib import Path

import orjson
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


def search(http, url, question, **more):
    body = question if isinstance(question, bytes) else orjson.dumps(question)
    headers = {"Content-Type": more.pop("content_type", "application/json")}
    return http.request(
        more.pop("method", "POST"), url + more.pop("path", "/api/persons/search"), body=body, headers=headers
    )


def check_answers(http, url, world):
    records = world.registers["population.persons"]
    for record in records[:20]:
        answer = search(http, url, {"pin": record.row["pin"]})
        assert answer.status == 200
        assert answer.json() == {"items": [as_json(record)]}
    day = records[3].row["dob"]
    items = search(http, url, {"dob": day}).json()["items"]
    assert sorted(items, key=lambda p: p["pin"]) == sorted(
        (as_json(r) for r in records if r.row["dob"] == day), key=lambda p: p["pin"]
    )
    for nobody in ({"dob": "1899-01-01"}, {"pin": "10101190000000"}):
        answer = search(http, url, nobody)
        assert (answer.status, answer.json()) == (200, {"items": []})


def test_persons_are_found_by_pin_and_by_birth_date(running, world, http):
    assert running["population"].database.startswith("SQLite")
    check_answers(http, running["population"].url, world)


@pytest.mark.parametrize(
    "question",
    [
        b"", b"{", b"[]", b"null", b'"10101190000000"', b"\xff", {}, {"name": "x"}, {"pin": "10101190000000", "dob": "2020-01-01"},
        {"pin": "10101190000000", "x": 1}, {"pin": "123"}, {"pin": "1010119000000x"}, {"pin": "1010119000000\u0660"},
        {"pin": "10101190000000\n"}, {"pin": 10101190000000}, {"pin": ["10101190000000"]}, {"pin": None}, {"pin": "' OR 1=1"},
        {"dob": "05.01.2020"}, {"dob": "2020-02-30"}, {"dob": "2020-01-01 "}, {"dob": 2020}, {"dob": {"$gt": ""}}, {"dob": ""},
    ],
)  # fmt: skip
def test_a_bad_question_is_a_400_that_repeats_nothing(running, http, question):
    answer = search(http, running["population"].url, question)
    assert answer.status == 400
    assert set(answer.json()) == {"error", "message"}
    for part in ("1010119", "OR 1=1", "2020", "gt"):
        assert part not in answer.data.decode()


@pytest.mark.parametrize(
    "address", ["?dob=2020-01-01", "?pin=10101190000000", "?x", "/../persons/search", "/10101190000000"]
)
def test_nothing_may_stand_in_the_address_even_of_a_good_question(running, http, address):
    answer = search(http, running["population"].url, {"dob": "2020-01-01"}, path=f"/api/persons/search{address}")
    assert answer.status in {400, 404}
    assert "items" not in answer.json()
    assert "2020" not in answer.data.decode()


def test_a_question_that_does_not_say_it_is_json_is_not_read(running, http):
    url = running["population"].url
    for content_type, status in (
        ("application/json; charset=utf-8", 200),
        ("application/x-www-form-urlencoded", 415),
        ("text/json", 415),
        ("", 415),
    ):
        assert search(http, url, {"dob": "2020-01-01"}, content_type=content_type).status == status


def test_other_paths_and_methods_are_refused(running, http):
    url = running["population"].url
    assert http.request("GET", url + "/").status == 404
    assert http.request("GET", url + "/api/personsx").status == 404
    for path in ("/api/persons", "/api/persons/10101190000000", "/api/persons?dob=2020-01-01", "/api/persons/search"):
        for method in ("GET", "DELETE", "PUT", "HEAD"):
            assert search(http, url, {"pin": "10101190000000"}, method=method, path=path).status == 405
    for path in ("/api/persons", "/api/persons/", "/api/persons/10101190000000", "/api/persons/search/"):
        assert search(http, url, {"pin": "10101190000000"}, path=path).status == 404


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


@pytest.fixture
def own_temporary(monkeypatch):
    """A temporary folder that no other process uses, and that an unprivileged server may enter."""
    with tempfile.TemporaryDirectory(prefix="kerege-test-") as name:
        Path(name).chmod(0o711)
        monkeypatch.setenv("TMPDIR", name)
        yield Path(name)


needs_postgresql = pytest.mark.skipif(not has_postgresql(), reason="not there: PostgreSQL's programs")


@needs_postgresql
def test_on_postgresql_the_answers_are_the_same_and_nothing_is_left_running(folder, world, http, own_temporary):
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
    assert list(own_temporary.glob("kerege-pg-*")) == []


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
