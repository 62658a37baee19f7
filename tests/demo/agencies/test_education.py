import orjson
import pytest

from kerege.demo.agencies.education import RESOURCES


def get(http, agency, path):
    return http.request("GET", agency.url + path)


def search(http, agency, filters, resource="institution_students", tail="", content_type="application/json"):
    body = filters if isinstance(filters, bytes) else orjson.dumps(filters)
    url = f"{agency.url}/api/v5/{resource}/search{tail}"
    return http.request("POST", url, body=body, headers={"Content-Type": content_type})


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_whole_resource_comes_field_for_field_with_its_total(running, world, http, resource):
    answer = get(http, running["education"], f"/api/v5/{resource}").json()
    expected = [dict(r.row) for r in world.registers[f"education.{resource}"]]
    assert answer == {"data": expected, "total": len(expected)}


def test_pupils_are_searched_by_what_names_them_alone_or_together(running, world, http):
    students = [dict(r.row) for r in world.registers["education.institution_students"]]
    one = next(s for s in students if s["identity_number"])
    for names in (("date_of_birth",), ("identity_number",), ("student_id",), ("date_of_birth", "institution_code")):
        filters = {name: one[name] for name in names}
        found = [s for s in students if all(s[name] == value for name, value in filters.items())]
        assert search(http, running["education"], filters).json() == {"data": found, "total": len(found)}
    assert search(http, running["education"], {"student_id": "none"}).json() == {"data": [], "total": 0}


def test_a_search_comes_in_pages_too(running, world, http):
    code = world.registers["education.institution_students"][0].row["institution_code"]
    whole = search(http, running["education"], {"institution_code": code}).json()
    page = search(http, running["education"], {"institution_code": code}, tail="?_page=2&_limit=1").json()
    assert page == {"data": whole["data"][1:2], "total": whole["total"]}


@pytest.mark.parametrize("name", ["date_of_birth", "identity_number", "student_id"])
def test_what_names_a_person_is_refused_in_a_query_and_not_repeated(running, http, name):
    for answer in (
        get(http, running["education"], f"/api/v5/institution_students?{name}=2019-05-03"),
        search(http, running["education"], {"institution_code": "x"}, tail=f"?{name}=2019-05-03"),
    ):
        assert answer.status == 400
        assert "2019" not in answer.data.decode()


@pytest.mark.parametrize(
    "filters",
    [
        b"", b"{", b"[]", b"null", b"\xff", {}, {"last_name": "Asanov"}, {"date_of_birth": None}, {"date_of_birth": 2019},
        {"date_of_birth": ["2019-05-03"]}, {"_limit": "1"}, {"1=1;--": "Asanov"}, {"student_id": "1", "address": "Asanov"},
    ],
)  # fmt: skip
def test_a_search_it_cannot_read_is_a_400_that_repeats_nothing(running, http, filters):
    answer = search(http, running["education"], filters)
    assert answer.status == 400
    assert set(answer.json()) == {"error", "message"}
    for part in ("Asanov", "2019", "1=1"):
        assert part not in answer.data.decode()


def test_a_search_is_a_post_of_json_to_a_resource_that_names_people(running, http):
    agency = running["education"]
    filters = {"institution_code": "x"}
    assert search(http, agency, filters, tail="?institution_code=x").status == 400
    assert search(http, agency, filters, content_type="text/plain").status == 415
    assert search(http, agency, filters, resource="institution_places").status == 404
    assert search(http, agency, filters, tail="/search").status == 404
    assert get(http, agency, "/api/v5/institution_students/search").status == 405
    assert get(http, agency, "/api/v5/search").status == 404


def test_places_are_filtered_by_school(running, world, http):
    code = world.registers["education.institution_students"][5].row["institution_code"]
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
