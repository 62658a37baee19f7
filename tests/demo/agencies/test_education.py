import pytest

from kerege.demo.agencies.education import RESOURCES


def get(http, agency, path):
    return http.request("GET", agency.url + path)


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_whole_resource_comes_field_for_field_with_its_total(running, world, http, resource):
    answer = get(http, running["education"], f"/api/v5/{resource}").json()
    expected = [dict(r.row) for r in world.registers[f"education.{resource}"]]
    assert answer == {"data": expected, "total": len(expected)}


def test_pupils_are_filtered_by_birth_date_and_places_by_school(running, world, http):
    students = [dict(r.row) for r in world.registers["education.institution_students"]]
    day = students[5]["date_of_birth"]
    answer = get(http, running["education"], f"/api/v5/institution_students?date_of_birth={day}").json()
    assert answer["data"] == [s for s in students if s["date_of_birth"] == day]
    code = students[5]["institution_code"]
    places = get(http, running["education"], f"/api/v5/institution_places?institution_code={code}&grade=1").json()
    assert [p["institution_code"] for p in places["data"]] == [code]
    assert get(http, running["education"], "/api/v5/institution_places?institution_code=none").json() == {
        "data": [],
        "total": 0,
    }


def test_pages_are_parts_of_the_whole(running, http):
    whole = get(http, running["education"], "/api/v5/institution_students").json()
    parts = [
        get(http, running["education"], f"/api/v5/institution_students?_page={n}&_limit=200").json() for n in (1, 2)
    ]
    assert parts[0]["data"] + parts[1]["data"] == whole["data"][:400]
    assert {p["total"] for p in parts} == {whole["total"]}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v5/", 404),
        ("/api/v5/sqlite_master", 404),
        ("/api/v5/institutions%2F..%2Fareas", 404),
        ("/api/v5/institution_students?last_name=x", 400),
        ("/api/v5/institution_students?1=1;--=x", 400),
        ("/api/v5/areas?_limit=-1", 400),
        ("/api/v5/areas?_limit=9999999", 400),
        ("/api/v5/areas?_page=x", 400),
        ("/api/v5/areas?code=a&code=b", 400),
        ("/api/v5/areas?" + "&".join(f"a{n}=1" for n in range(30)), 400),
        ("/", 404),
    ],
)
def test_what_it_does_not_know_it_refuses_and_does_not_ignore(running, http, path, status):
    answer = get(http, running["education"], path)
    assert answer.status == status
    assert set(answer.json()) == {"error", "message"}


def test_the_register_is_read_only(running, http):
    assert http.request("POST", running["education"].url + "/api/v5/institutions", body=b"{}").status == 405
