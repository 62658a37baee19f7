"""The catalogue's JSON API: what may leave, in pages, with ETags, as its OpenAPI document says."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pyoxigraph as ox
import pytest
from django.db import transaction

sys.path.insert(0, str(Path(__file__).parents[1] / "catalogue"))  # for `open_catalogue`

import open_catalogue as world

from kerege.catalogue import revision
from kerege.catalogue.board import doings as board
from kerege.catalogue.exports import dcat, publication
from kerege.catalogue.inventory import doings, queries
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import Dataset, Field, Owner, SearchFacet
from kerege.catalogue.ownership import doings as ownership
from kerege.catalogue.search import index as search_index
from kerege.ground import clock
from kerege.membership.models import Contract, Member, Subsystem
from kerege.web import routes
from kerege.web.api import catalogue_kept
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
    served = {
        "/" + path.removeprefix("api/v1/")
        for path, _, name, _ in routes.BARE
        if path.startswith("api/v1/") and name != "api-nothing"
    }
    told = {re.sub(r"<\w+:(\w+)>", r"{\1}", path) for path in served}
    assert told == set(document()["paths"]) == {address(e) for e in ENDPOINTS}
    for path, item in document()["paths"].items():
        named = {p["name"] for p in item["get"]["parameters"] if p["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))


def test_the_document_is_served(country: Any) -> None:
    served = country.get(f"{API}openapi.json").json()
    assert served == json.loads(json.dumps(document()))
    assert served["openapi"] == "3.1.0"


def valid(response: Any, name: str) -> None:
    """The answer is as the document says of this address."""
    (endpoint,) = [e for e in ENDPOINTS if e.name == name]
    told = document()["paths"][address(endpoint)]["get"]["responses"][str(response.status_code)]["content"]
    schema = told[response["Content-Type"].split(";")[0]]["schema"]
    jsonschema_rs.Draft202012Validator({"components": document()["components"], **schema}).validate(response.json())


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
        response = method(f"{API}datasets")
        assert (response.status_code, response["Content-Type"]) == (405, "application/problem+json")
        assert response["Allow"] == "GET, HEAD, OPTIONS"
    assert country.options(f"{API}datasets")["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
    assert country.get(f"{API}datasets/0000000000000000").status_code == 404
    assert country.get(f"{API}catalogue.exe").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["nonsense", "datasets/", "datasets/0000000000000000", "concepts/none", "codelists/none/codes", "crosswalks/none", "reference/none",
     "reference/a%00b/1/x.csv", "reference/none/latest/none.csv", "catalogue.exe", "board", "codelists/kg:sex/codes/1/more"],
)  # fmt: skip
def test_what_is_not_there_is_a_problem_with_a_next_step(country: Any, path: str) -> None:
    response = country.get(API + path)
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    assert response.json()["code"] == "web.not_here"
    assert response.json()["hint"]
    assert response["Access-Control-Allow-Origin"] == "*"


def test_the_board_tells_counts_and_no_name_of_what_is_not_published(country: Any) -> None:
    assert country.get(f"{API}board").status_code == 404, "nobody began one"
    board.start("the plan", by="asanova", now=clock.now(), days=90)
    board.mark_critical(world.SOURCE, "citizen", reason="births need it", by="asanova", now=clock.now())
    board.snapshot(clock.now())
    response = country.get(f"{API}board")
    valid(response, "board")
    told = response.json()
    assert (told["critical"], told["day"], told["days"], len(told["history"])) == (1, 1, 90, 1)
    assert told["totals"]["owned"] == {"done": 3, "total": 3, "datasets": 1, "of": 1}
    for secret in ("asanova", "citizen", "db.internal", "births", "fio"):
        assert secret not in response.content.decode(), secret


def test_a_reference_dataset_is_told_with_its_versions_and_files(country: Any, settings: Any, tmp_path: Path) -> None:
    settings.HOME = tmp_path
    world.reference("kg-sex", "kg:sex", "1")
    listed = country.get(f"{API}reference")
    valid(listed, "reference")
    one = country.get(f"{API}reference/kg-sex")
    valid(one, "reference-dataset")
    assert listed.json()["items"] == [one.json()]
    assert [v["version"] for v in one.json()["versions"]] == ["1"]
    for file in one.json()["versions"][0]["files"]:
        got = country.get(f"{API}reference/kg-sex/latest/{file['name']}")
        assert hashlib.sha256(got.content).hexdigest() == file["sha256"]
        assert got["Content-Type"] == file["media_type"]
        again = country.get(f"{API}reference/kg-sex/1/{file['name']}", headers={"If-None-Match": got["ETag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_no_link_leads_past_what_the_search_ranks(country: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerege.catalogue.search.questions.REACH", 4)
    told = country.get(f"{API}search", {"q": "education", "per_page": 2})
    assert told.json()["total"] > 4
    last = [part for part in told["Link"].split(", ") if 'rel="last"' in part]
    assert "page=2" in last[0]
    after = country.get(f"{API}search", {"q": "education", "per_page": 2, "page": 2})
    assert len(after.json()["items"]) == 2
    assert 'rel="next"' not in after["Link"]
    past = country.get(f"{API}search", {"q": "education", "per_page": 2, "page": 9})
    assert past.json()["items"] == []
    assert [part for part in past["Link"].split(", ") if "page=2&" in part and 'rel="prev"' in part]


def test_every_address_in_the_dcat_export_is_answered_by_this_hub(country: Any, settings: Any, tmp_path: Path) -> None:
    settings.HOME = tmp_path
    world.reference("kg-sex", "kg:sex", "1")
    provider = Subsystem.objects.create(
        code="KG/GOV/70000003/education",
        member_id=world.organisation("KG/GOV/70000003", "").pk,
        registered_at=world.NOW,
    )
    for name, mapping in (("schools", "kg:education.school"), ("other", "kg:nobody.knows")):
        Contract.objects.create(
            provider=provider, data_service=f"{provider.code}/{name}", path="/all", mapping=mapping, at="provider",
            owner="KG/GOV/70000003", legal_basis="Education act, article 9", set_at=world.NOW,
        )  # fmt: skip
    found: dict[str, set[str]] = {}
    for quad in ox.parse(country.get(f"{API}catalogue.ttl").content, format=ox.RdfFormat.TURTLE):
        name = quad.predicate.value.rpartition("#")[2]
        if name in ("landingPage", "accessURL", "downloadURL", "endpointURL"):
            found.setdefault(name, set()).add(quad.object.value)
    assert {name: len(every) for name, every in found.items()} == {
        "landingPage": 4, "accessURL": 1, "downloadURL": 4, "endpointURL": 2,
    }  # fmt: skip
    for address_of in set().union(*found.values()):
        assert address_of.startswith("http://testserver/"), address_of
        assert country.get(address_of.removeprefix("http://testserver")).status_code == 200, address_of


def test_an_interim_owner_counts_until_its_term_is_over(country: Any) -> None:
    assert [o["attributes"] for o in country.get(f"{API}owners").json()["items"]] == [0, 3]
    field = Field.objects.get(dataset__table="school", name="budget")
    now = clock.now()
    ownership.name_interim(
        world.SOURCE, "school", "budget", organisation="KG/GOV/70000003", unit="Finance unit", legal_basis="Budget act, article 2",
        until=now + timedelta(days=9), names_lasting="KG/GOV/70000003", now=now, by="asanova",
    )  # fmt: skip
    told = country.get(f"{API}fields").json()["items"]
    assert "budget" in {f["name"] for f in told}
    assert [o["attributes"] for o in country.get(f"{API}owners").json()["items"]] == [0, 4]
    Owner.objects.filter(field=field).update(until=now)
    assert "budget" not in {f["name"] for f in country.get(f"{API}fields").json()["items"]}
    assert [o["attributes"] for o in country.get(f"{API}owners").json()["items"]] == [0, 3]


def test_an_etag_changes_with_the_answer(country: Any) -> None:
    first = country.get(f"{API}datasets")["ETag"]
    Dataset.objects.filter(table="school").update(description="changed")
    again = country.get(f"{API}datasets", headers={"If-None-Match": f'W/{first}, "x"'})
    assert again.status_code == 200
    assert again["ETag"] != first
    assert country.get(f"{API}datasets", headers={"If-None-Match": f'"x", W/{again["ETag"]}'}).status_code == 304
    assert country.get(f"{API}datasets", headers={"If-None-Match": "*"}).status_code == 304


def test_pages_together_are_everything_once(country: Any) -> None:
    whole = [c["id"] for c in country.get(f"{API}concepts", {"per_page": 200}).json()["items"]]
    address_, walked = f"{API}concepts?per_page=7", []
    while address_:
        response = country.get(address_)
        valid(response, "concepts")
        walked += [c["id"] for c in response.json()["items"]]
        following = re.search(r'<([^>]+)>; rel="next"', response["Link"])
        address_ = following.group(1) if following else ""
    assert walked == whole
    assert country.get(f"{API}concepts", {"page": 1000}).json()["items"] == []


def test_datasets_are_narrowed_by_organisation_and_by_what_may_leave_of_them(country: Any) -> None:
    def found(**query: str) -> list[str]:
        return [d["table"] for d in country.get(f"{API}datasets", query).json()["items"]]

    assert found() == found(organisation="KG/GOV/70000003") == found(concept="school.code") == ["school"]
    assert found(organisation="KG/GOV/70000002") == []
    assert found(concept="person.pin") == [], "the director's PIN stays, and so does that it is there"
    assert country.get(f"{API}concepts/person.pin").json()["held_by"] == []
    doings.set_organisation(world.SOURCE, "70000003")
    Owner.objects.update(organisation="70000003")
    for written in ("70000003", "KG/GOV/70000003"):
        assert found(organisation=written) == ["school"], "one organisation, its code written whole or bare"
    assert [o["attributes"] for o in country.get(f"{API}owners").json()["items"]] == [0, 3]


def test_without_an_index_the_search_says_when_to_come_again(country: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    SearchFacet.objects.all().delete()
    monkeypatch.setattr(search_index, "SMALL", 1)
    response = country.get(f"{API}search", {"q": "school"})
    assert (response.status_code, response["Retry-After"]) == (503, "300")
    assert response.json()["code"] == "catalogue.search_not_built"


def test_search_narrows_by_its_facets(country: Any) -> None:
    found = country.get(f"{API}search", {"q": "code", "kind": "field"}).json()
    assert {h["kind"] for h in found["items"]} == {"field"}
    assert country.get(f"{API}search", {"q": "code", "kind": "nonsense"}).status_code == 400
    assert found["facets"]["kind"] == {"field": found["total"]}


def test_a_name_in_the_host_header_costs_no_other_export_and_stands_in_the_answer(
    country: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    made, find = [], dcat.export
    monkeypatch.setattr(dcat, "export", lambda **k: made.append(1) or find(**k))
    etags = set()
    for form in ("ttl", "jsonld", "rdf"):
        for host in ("one.example", "two.example:8080", "two.example:8081"):
            told = country.get(f"{API}catalogue.{form}", headers={"Host": host})
            assert f"http://{host}/ky/catalogue/".encode() in told.content
            assert b".invalid" not in told.content
            etags.add(told.headers["ETag"])
            again = country.get(f"{API}catalogue.{form}", headers={"Host": host, "If-None-Match": told.headers["ETag"]})
            assert again.status_code == 304
    assert (len(made), len(etags)) == (3, 9)


def test_what_is_made_from_the_whole_catalogue_is_made_again_after_every_change_and_only_then(
    country: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    for module, name, find in (
        (dcat, "export", dcat.export), (publication, "published_since", publication.published_since),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, lambda *a, _n=name, _f=find, **k: made.append(_n) or _f(*a, **k))

    def asked() -> tuple[list[str], dict[str, Any]]:
        made.clear()
        told = {
            p: country.get(f"{API}{p}")
            for p in ("catalogue.ttl", "owners", "fields", "fields?concept=school.code", "datasets")
        }
        assert {r.status_code for r in told.values()} == {200}
        return sorted(set(made)), {p: r.content for p, r in told.items()}

    now = clock.now()
    first = asked()
    assert first[0] == ["export", "published_since"]
    assert asked() == ([], first[1])
    etag = country.get(f"{API}catalogue.ttl").headers["ETag"]
    assert country.get(f"{API}catalogue.ttl", headers={"If-None-Match": etag}).status_code == 304
    field = Field.objects.get(dataset__table="school", name="budget")
    place = (world.SOURCE, "school", "budget")
    member = Member.objects.order_by("pk").first()
    assert member is not None
    named = {
        "organisation": "KG/GOV/70000003",
        "unit": "Finance",
        "legal_basis": "Budget act",
        "now": now,
        "by": "asanova",
    }
    changes = [
        lambda: ownership.name_interim(*place, until=now + timedelta(days=9), names_lasting="KG/GOV/70000003", **named),
        lambda: Owner.objects.filter(field=field).update(until=clock.now()),  # as if the term had run out by now
        lambda: ownership.name_owner(*place, **named | {"now": clock.now()}),
        lambda: doings.link_concept(*place, "school.code", "steward-1", clock.now()),
        lambda: ownership.end_owner(*place, "Budget act", "closed", clock.now(), by="asanova"),
        lambda: doings.set_organisation(world.SOURCE, "70000003"),
        lambda: Member.objects.filter(pk=member.pk).update(name_ru="Другое имя"),
        lambda: monkeypatch.setattr(revision, "pack_state", lambda: (1, 1)),  # as if a file of the pack had been changed
        lambda: lifecycle.act(
            lifecycle.Subject("dataset", f"{world.SOURCE}#school", "1"), "deprecate", "asanova", "x", clock.now(), ledger=ledger
        ),
    ]  # fmt: skip
    for change in changes:
        change()
        rebuilt, told = asked()
        assert rebuilt == ["export", "published_since"], change
        catalogue_kept.forget()
        assert asked()[1] == told, "what was kept is what would be made"
    with transaction.atomic():
        doings.set_organisation(world.SOURCE, "70000001")
        transaction.set_rollback(True)
    assert asked()[0] == [], "a change that was taken back is none"


def test_a_page_of_attributes_asks_for_its_own_datasets_only(country: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = country.get(f"{API}fields").json()["items"]
    loaded: list[int] = []
    find = queries.datasets
    monkeypatch.setattr(queries, "datasets", lambda ids=None: loaded.extend([0] if ids is None else ids) or find(ids))
    pages = [country.get(f"{API}fields?per_page=1&page={n}").json() for n in range(1, len(whole) + 2)]
    assert [item for p in pages for item in p["items"]] == whole
    assert {p["total"] for p in pages} == {len(whole)}
    assert len(loaded) == len(whole), "a dataset for each attribute, none for the page past the end"
