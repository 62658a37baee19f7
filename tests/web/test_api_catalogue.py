"""The catalogue's JSON API: what may leave, in pages, with ETags, as its OpenAPI document says."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "catalogue"))  # for `open_catalogue`

import open_catalogue as world

from kerege.catalogue import search_index
from kerege.web import routes
from kerege.web.api.catalogue import ENDPOINTS
from kerege.web.api.catalogue_openapi import address, document

pytestmark = pytest.mark.django_db
API = "/api/v1/"


@pytest.fixture
def country(visitor: Any) -> Any:
    world.fill()
    search_index.rebuild()
    return visitor


def key(country: Any) -> str:
    return str(country.get(f"{API}datasets").json()["items"][0]["id"])


def concrete(path: str, country: Any) -> str:
    values = {
        "key": key(country), "concept_id": "school.code", "list_id": "kg:sex", "crosswalk_id": "kg:civil-sex--sex", "form": "ttl",
        "ref_id": "none", "version": "1", "name": "x.csv",
    }  # fmt: skip
    return API + re.sub(r"<\w+:(\w+)>", lambda m: values[m.group(1)], path)


def test_the_document_names_every_address_and_no_other() -> None:
    served = {"/" + path.removeprefix("api/v1/") for path, *_ in routes.BARE if path.startswith("api/v1/")}
    told = {re.sub(r"<\w+:(\w+)>", r"{\1}", path) for path in served}
    assert told == set(document()["paths"]) == {address(e) for e in ENDPOINTS}
    for path, item in document()["paths"].items():
        named = {p["name"] for p in item["get"]["parameters"] if p["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))


def test_the_document_is_served(country: Any) -> None:
    served = country.get(f"{API}openapi.json").json()
    assert served == json.loads(json.dumps(document()))
    assert served["openapi"] == "3.1.0"


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_every_answer_is_as_the_document_says(country: Any, endpoint: Any) -> None:
    response = country.get(concrete(endpoint.path, country), {"q": "code"} if endpoint.name == "search" else {})
    told = document()["paths"][address(endpoint)]["get"]["responses"]
    assert str(response.status_code) in told
    assert response["Access-Control-Allow-Origin"] == "*"
    media = response["Content-Type"].split(";")[0]
    assert media in told[str(response.status_code)]["content"]
    schema = told[str(response.status_code)]["content"][media]["schema"]
    if schema.get("contentMediaType"):
        assert response.content
        return
    whole = {"components": document()["components"], **schema}
    jsonschema_rs.Draft202012Validator(whole).validate(response.json())
    if endpoint.paged and endpoint.name not in ("contracts", "reference"):
        assert response.json()["items"], "an example with nothing in it shows nothing"


def test_what_may_not_leave_is_nowhere_in_the_api(country: Any) -> None:
    text = ""
    for endpoint in ENDPOINTS:
        if endpoint.name not in ("concepts", "concept", "openapi", "crosswalks", "crosswalk", "search"):
            text += country.get(concrete(endpoint.path, country)).content.decode()
    for question in ("pin", "citizen", "budget", "director"):
        text += json.dumps(
            [
                h
                for h in country.get(f"{API}search", {"q": question}).json()["items"]
                if h["kind"] in ("dataset", "field")
            ]
        )
    for secret in ("director_pin", "citizen", "budget", "db.internal", "SECRET", "99999"):
        assert secret not in text, secret


def test_a_page_has_neighbours_and_bounds(country: Any) -> None:
    first = country.get(f"{API}concepts", {"per_page": 10})
    assert len(first.json()["items"]) == 10
    following = re.search(r'<([^>]+)>; rel="next"', first["Link"])
    assert following
    second = country.get(following.group(1)).json()
    assert second["page"] == 2
    assert second["items"] != first.json()["items"]
    for wrong in ({"per_page": 0}, {"per_page": 201}, {"page": "x"}, {"page": -1}, {"page": "9" * 30}):
        response = country.get(f"{API}concepts", wrong)
        assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")


def test_what_the_asker_has_is_not_sent_again(country: Any) -> None:
    first = country.get(f"{API}codelists")
    again = country.get(f"{API}codelists", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert country.get(f"{API}codelists", headers={"If-None-Match": '"other"'}).status_code == 200


def test_it_is_only_read(country: Any) -> None:
    for method in (country.post, country.put, country.delete, country.patch):
        assert method(f"{API}datasets").status_code in (403, 405)
    assert country.options(f"{API}datasets")["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
    assert country.get(f"{API}datasets/0000000000000000").status_code == 404
    assert country.get(f"{API}catalogue.exe").status_code == 404


def test_search_narrows_by_its_facets(country: Any) -> None:
    found = country.get(f"{API}search", {"q": "code", "kind": "field"}).json()
    assert {h["kind"] for h in found["items"]} == {"field"}
    assert country.get(f"{API}search", {"q": "code", "kind": "nonsense"}).status_code == 400
    assert found["facets"]["kind"] == {"field": found["total"]}
