"""The Reconciliation API: the protocol's own examples, and our live answers held against its schemas."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jsonschema_rs
import pytest

from kerege.catalogue.errors import ReconciliationInvalid, ReconciliationSlow
from kerege.catalogue.search import reconciliation as service
from kerege.ground import clock
from kerege.membership.models import Member
from kerege.semantics.suggest.codes import CodeRow, suggest_codes
from kerege.web.api import reconciliation_wire as wire

VECTORS = Path(__file__).parents[2].parent / "shared/vectors/reconciliation-api"
VERSIONS = ("0.1", "0.2", "1.0-draft")
pytestmark = [pytest.mark.django_db, pytest.mark.vectors]


def schemas(version: str) -> dict[str, Any]:
    found = {}
    for path in (VECTORS / version / "schemas").glob("*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        document.pop("$schema", None)  # it names no draft
        found[path.stem] = document
    return found


def validator(version: str, name: str) -> Any:
    if not VECTORS.is_dir():
        pytest.skip(f"not there: {VECTORS}")
    known = schemas(version)
    base = f"https://reconciliation-api.github.io/specs/{'draft' if version == '1.0-draft' else version}/schemas/"
    resources = [(base + f"{stem}.json", d) for stem, d in known.items()]
    resources.append(("http://swagger.io/v2/schema.json", known.get("openapi") or schemas("0.2")["openapi"]))
    for document in known.values():
        document.pop("$id", None)
    registry = jsonschema_rs.Registry(resources, draft=jsonschema_rs.Draft7)
    return jsonschema_rs.Draft7Validator({"$ref": f"{base}{name}.json"}, registry=registry)


def examples(kind: str) -> list[Any]:
    found = []
    for version in VERSIONS:
        for path in sorted((VECTORS / version / "examples").glob(f"*/{kind}/*.json")):
            name = path.parents[1].name
            if (VECTORS / version / "schemas" / f"{name}.json").is_file():
                found.append(pytest.param(version, name, path, id=f"{version}-{name}-{path.stem}"))
    return found or [pytest.param("", "", None, id="none", marks=pytest.mark.skip(reason=f"not there: {VECTORS}"))]


def test_all_the_examples_are_looked_at() -> None:
    if not VECTORS.is_dir():
        pytest.skip(f"not there: {VECTORS}")
    assert (len(examples("valid")), len(examples("invalid"))) == (83, 46)


@pytest.mark.parametrize(("version", "name", "path"), examples("valid"))
def test_a_valid_example_is_accepted(version: str, name: str, path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert validator(version, name).is_valid(document)
    if name == "reconciliation-query-batch" and version in ("0.1", "0.2"):
        keys, queries = wire.read_queries_02(document)
        assert len(keys) == len(queries) == len(document)
    if name == "data-extension-query":
        assert wire.read_extension(document)[0] == document["ids"]


@pytest.mark.parametrize(("version", "name", "path"), examples("invalid"))
def test_an_invalid_example_is_refused(version: str, name: str, path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert not validator(version, name).is_valid(document)
    if name == "reconciliation-query-batch":
        read = wire.read_queries_10 if version == "1.0-draft" else wire.read_queries_02
        with pytest.raises(ReconciliationInvalid):
            read(document)


@pytest.fixture
def country(visitor: Any) -> Any:
    for code, ky, ru, en in (
        ("KG/GOV/70000001", "Юстиция министрлиги", "Министерство юстиции", "Ministry of Justice"),
        ("KG/GOV/70000003", "Билим берүү министрлиги", "Министерство просвещения", "Ministry of Education"),
    ):
        Member.objects.create(code=code, name_ky=ky, name_ru=ru, name_en=en, registered_at=clock.now())
    return visitor


@pytest.mark.parametrize("name", service.SERVICES)
def test_manifests_are_valid_in_both_versions_and_name_the_version_they_speak(country: Any, name: str) -> None:
    old, new = country.get(f"/api/reconcile/{name}"), country.get(f"/api/reconcile/1.0/{name}/")
    for version, response in (("0.2", old), ("1.0-draft", new)):
        assert response.status_code == 200
        assert response["Access-Control-Allow-Origin"] == "*"
        assert response.json()["versions"] == [version]
        validator(version, "manifest").validate(response.json())


QUERIES = {
    "places": ("Бишкек", "Кара-Суу", "nowhere at all"),
    "codelists": ("мужской", "эркек", "1"),
    "organisations": ("Министерство юстиции", "министрлиги", "70000003"),
}


@pytest.mark.parametrize("name", service.SERVICES)
def test_live_answers_are_valid_in_both_versions(country: Any, name: str) -> None:
    texts = QUERIES[name]
    batch = {f"q{n}": {"query": t, "limit": 3} for n, t in enumerate(texts)}
    validator("0.2", "reconciliation-query-batch").validate(batch)
    old = country.post(f"/api/reconcile/{name}", {"queries": json.dumps(batch)})
    assert old.status_code == 200
    validator("0.2", "reconciliation-result-batch").validate(old.json())
    assert list(old.json()) == list(batch)
    asked = {"queries": [{"limit": 3, "conditions": [{"matchType": "name", "propertyValue": t}]} for t in texts]}
    validator("1.0-draft", "reconciliation-query-batch").validate(asked)
    new = country.post(f"/api/reconcile/1.0/{name}/reconcile", json.dumps(asked), content_type="application/json")
    assert new.status_code == 200
    validator("1.0-draft", "reconciliation-result-batch").validate(new.json())
    ids = [[c["id"] for c in r["candidates"]] for r in new.json()["results"]]
    assert ids == [[c["id"] for c in r["result"]] for r in old.json().values()]
    assert all(0 <= c["score"] <= 100 for r in new.json()["results"] for c in r["candidates"])
    for what in ("entity", "type", "property"):
        for version, root in (("0.2", f"/api/reconcile/{name}"), ("1.0-draft", f"/api/reconcile/1.0/{name}")):
            got = country.get(f"{root}/suggest/{what}", {"prefix": "" if what != "entity" else texts[0][:4]}).json()
            plural = {"entity": "entities", "type": "types", "property": "properties"}[what]
            validator(version, f"suggest-{plural}-response").validate(got)
            assert got["result"], (what, version)


def test_a_match_is_certain_only_where_the_suggestion_engine_would_accept(country: Any) -> None:
    of = service.service("places")
    rows = [CodeRow(e.id, e.name("ru"), None, tuple(e.wordings())) for e in of.entities.values()]
    for text in ("Бишкек", "Бишкекк", "Кара-Суу", "Ысык-Көл облусу", "Жалал-Абад", "Ош", "qqq"):
        sure = {c.entity.id for c in of.candidates(service.Query(text)) if c.match}
        found = suggest_codes([CodeRow("?", text)], rows)[0]
        assert sure <= ({found.best} if found.decision == "accept" else set()), text
    assert {c.entity.id for c in of.candidates(service.Query("Бишкек")) if c.match} == {"41711000000000"}


def test_a_code_that_two_lists_have_is_not_certain_until_the_list_is_named(country: Any) -> None:
    of = service.service("codelists")
    assert {c.match for c in of.candidates(service.Query("1"))} == {False}
    assert [(c.entity.id, c.match) for c in of.candidates(service.Query("1", types=("kg:sex",)))] == [
        ("kg:sex#1", True)
    ]


def test_a_property_that_is_not_met_costs_certainty_and_a_required_one_the_place(country: Any) -> None:
    of = service.service("places")
    district = service.Query("Ысык-Көл", conditions=(service.Condition("level", ("district",)),))
    assert [c.entity.id for c in of.candidates(district) if c.match] == ["41702215000000"]
    wrong = service.Condition("level", ("village",))
    assert not any(c.match for c in of.candidates(service.Query("Бишкек", conditions=(wrong,))))
    strict = service.Condition("level", ("village",), required=True)
    assert "41711000000000" not in {c.entity.id for c in of.candidates(service.Query("Бишкек", conditions=(strict,)))}


def test_properties_are_fetched_in_both_versions(country: Any) -> None:
    asked = {"ids": ["41702215000000", "nothing"], "properties": [{"id": "within"}, {"id": "soate"}, {"id": "unknown"}]}
    old = country.post("/api/reconcile/places", {"extend": json.dumps(asked)}).json()
    validator("0.2", "data-extension-response").validate(old)
    assert old["rows"]["41702215000000"]["within"][0]["id"] == "41702000000000"
    assert old["rows"]["nothing"]["soate"] == [{}]
    new = country.post("/api/reconcile/1.0/places/extend", json.dumps(asked), content_type="application/json").json()
    validator("1.0-draft", "data-extension-response").validate(new)
    for version, address in (
        ("0.2", "/api/reconcile/places/propose"),
        ("1.0-draft", "/api/reconcile/1.0/places/extend/propose"),
    ):
        proposal = country.get(address, {"type": "village", "limit": 3}).json()
        validator(version, "data-extension-property-proposal").validate(proposal)
        assert len(proposal["properties"]) == 3


def test_a_session_of_openrefine_from_the_manifest_to_new_columns(country: Any) -> None:
    """What OpenRefine asks, in its order and form: its addresses are those the manifest gives, its batches have ten queries."""
    manifest = country.get("/api/reconcile/places", headers={"Origin": "http://127.0.0.1:3333"}).json()

    def path(url: str) -> str:
        assert url.startswith("http://testserver/api/reconcile/places"), "OpenRefine asks where the manifest says"
        return url.removeprefix("http://testserver")

    def ask(batch: dict[str, Any]) -> dict[str, Any]:
        response = country.post(
            "/api/reconcile/places", urlencode({"queries": json.dumps(batch)}), content_type="application/x-www-form-urlencoded",
            headers={"Origin": "http://127.0.0.1:3333"},
        )  # fmt: skip
        assert (response.status_code, response["Access-Control-Allow-Origin"]) == (200, "*")
        validator("0.2", "reconciliation-result-batch").validate(response.json())
        found: dict[str, Any] = response.json()
        return found

    cells = [
        "Бишкек",
        "Ош",
        "Ысык-Көл облусу",
        "Кара-Суу",
        "Чүй",
        "Талас",
        "Нарын",
        "Баткен",
        "Жалал-Абад",
        "no such place",
    ]
    guessed = ask({f"q{n}": {"query": cell, "limit": 3} for n, cell in enumerate(cells)})  # to guess the column's type
    types = [t["id"] for answer in guessed.values() for c in answer["result"] for t in c["type"]]
    assert set(types) <= {t["id"] for t in manifest["defaultTypes"]} | {
        t["id"] for t in country.get("/api/reconcile/places/suggest/type").json()["result"]
    }
    suggested = manifest["suggest"]
    for what in ("entity", "type", "property"):
        address = path(suggested[what]["service_url"] + suggested[what]["service_path"])
        got = country.get(address, {"prefix": "" if what != "entity" else "Биш"}).json()["result"]
        assert got, what
        flyout = suggested[what].get("flyout_service_path")
        if flyout:
            told = country.get(
                path(suggested[what]["flyout_service_url"] + flyout.replace("${id}", quote(got[0]["id"])))
            )
            assert set(told.json()) == {"id", "html"}, what
            assert "<script" not in told.json()["html"]

    batch = {
        f"q{n}": {
            "query": cell, "type": types[0], "type_strict": "should",
            "properties": [{"pid": "level", "p": "Level", "v": "city"}, {"pid": "within", "v": {"id": "41711000000000", "name": "Бишкек"}}],
        }
        for n, cell in enumerate(cells)
    }  # fmt: skip
    answered = ask(batch)
    assert list(answered) == list(batch)
    assert answered["q9"]["result"] == []
    matched = [
        c["id"]
        for a in ask({f"q{n}": {"query": cell} for n, cell in enumerate(cells)}).values()
        for c in a["result"]
        if c["match"]
    ]
    assert "41711000000000" in matched

    propose = manifest["extend"]["propose_properties"]
    offered = country.get(
        path(propose["service_url"] + propose["service_path"]), {"type": types[0], "limit": 3}
    ).json()["properties"]
    wanted = {"ids": matched[:10], "properties": [{"id": p["id"], "settings": {}} for p in offered]}
    response = country.post(
        "/api/reconcile/places",
        urlencode({"extend": json.dumps(wanted)}),
        content_type="application/x-www-form-urlencoded",
    )
    validator("0.2", "data-extension-response").validate(response.json())
    assert set(response.json()["rows"]) == set(matched[:10])

    page = country.get(path(manifest["preview"]["url"].replace("{{id}}", matched[0])))
    assert (page.status_code, page["Content-Type"].split(";")[0]) == (200, "text/html")
    assert country.get(path(manifest["view"]["url"].replace("{{id}}", matched[0]))).status_code == 200


def test_the_preview_and_nothing_else_may_stand_in_a_strangers_frame(country: Any) -> None:
    for root in ("/api/reconcile/places", "/api/reconcile/1.0/places"):
        page = country.get(f"{root}/preview", {"id": "41711000000000"})
        assert page["Content-Security-Policy"] == "default-src 'none'; frame-ancestors *"
        assert "X-Frame-Options" not in page
        assert "Set-Cookie" not in page
        for other in (
            "/preview?id=none",
            "/suggest/entity?prefix=a",
            "/view?id=41711000000000",
            "/" if "1.0" in root else "",
        ):
            response = country.get(root + other)
            assert response["X-Frame-Options"] == "DENY", other
            assert "frame-ancestors 'none'" in response["Content-Security-Policy"], other
    for path in ("/", "/en/sign-in/", "/api/v1/datasets"):
        response = country.get(path)
        assert response["X-Frame-Options"] == "DENY", path
        assert "frame-ancestors 'none'" in response["Content-Security-Policy"], path


def test_a_preview_may_stand_in_a_frame_and_runs_nothing(country: Any) -> None:
    response = country.get("/api/reconcile/1.0/places/preview", {"id": "41711000000000"})
    assert "Бишкек" in response.content.decode()
    assert "X-Frame-Options" not in response
    assert "script" not in response["Content-Security-Policy"]
    assert country.get("/api/reconcile/places/preview", {"id": "<script>"}).status_code == 404


@pytest.mark.parametrize(
    "batch",
    [
        "no json", "[]", '{"q": 1}', '{"q": {}}', '{"q": {"query": 1}}', '{"q": {"query": "a", "limit": -1}}', '{"q": {"query": "a", "type": [1]}}',
        json.dumps({f"q{n}": {"query": "a"} for n in range(51)}), '{"q": {"query": "a", "properties": [{"pid": "x"}]}}', "[" * 100_000,
    ],
)  # fmt: skip
def test_a_hostile_batch_is_a_problem_with_its_reason(country: Any, batch: str) -> None:
    response = country.post("/api/reconcile/places", {"queries": batch})
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "catalogue.reconciliation_invalid"


# what JSON cannot say and Python reads, texts that cannot be written, and forms that are none
ODD: tuple[Any, ...] = (
    *(1e999, -1e999, float("nan"), 1e308, 0, -1, 10**90, True, None, [], {}, [[]], {"id": None}, {"id": "\udfff"}),
    *("\ud800", "\x00", "", "!!!", "a" * 5000, "0000-99-99", "kg:sex", "region", "Ош", "\u0663"),
)


def _value(chance: random.Random, depth: int = 0) -> Any:
    if depth < 3 and chance.random() < 0.2:
        return [_value(chance, depth + 1) for _ in range(chance.randrange(3))]
    if depth < 3 and chance.random() < 0.1:
        return {chance.choice(("id", "v", "\ud800")): _value(chance, depth + 1)}
    return chance.choice(ODD)


def _query(chance: random.Random) -> dict[str, Any]:
    """Something like a query of either version, with values that are none."""
    condition = {name: _value(chance) for name in ("pid", "v", "propertyId", "propertyValue", "required")}
    condition |= {"matchType": chance.choice(("name", "id", "property"))} if chance.random() < 0.9 else {}
    named = {"pid": "within", "propertyId": chance.choice(("within", "valid_on", "level"))}
    condition |= named if chance.random() < 0.7 else {}
    places = {"conditions": [condition]} if chance.random() < 0.5 else {"query": "Ош", "properties": [condition]}
    return places | {name: _value(chance) for name in ("type", "limit") if chance.random() < 0.4}


def test_whatever_a_query_holds_the_answer_is_one_or_a_problem(country: Any) -> None:
    country.raise_request_exception = False
    chance = random.Random(4)
    told = Counter()
    for _ in range(40):
        queries = [_query(chance), _query(chance)]
        by_key = dict(zip(("q", "\ud800" if chance.random() < 0.2 else "r"), queries, strict=True))
        asked = {"ids": chance.choice((["\ud800"], ["x"], _value(chance))), "properties": [{"id": "within"}]}
        for path, body in (("", {"queries": json.dumps(by_key)}), ("", {"extend": json.dumps(asked)})):
            told[country.post(f"/api/reconcile/places{path}", body).status_code] += 1
        for path, sent in (("reconcile", {"queries": queries[:1]}), ("extend", asked)):
            address = f"/api/reconcile/1.0/places/{path}"
            told[country.post(address, json.dumps(sent), content_type="application/json").status_code] += 1
    assert set(told) == {200, 400}


@pytest.mark.parametrize("asked", [{"query": "a\0"}, {"query": "a", "type": ["a\0"]}, {"query": "a", "\0": 1}])
def test_a_question_with_a_nul_in_it_is_refused_before_a_database_sees_it(country: Any, asked: dict[str, Any]) -> None:
    response = country.post("/api/reconcile/places", {"queries": json.dumps({"q": asked})})
    assert response.status_code == 400
    assert "a text in it holds a NUL character" in response.json()["detail"]


@pytest.mark.parametrize(
    "how",
    [
        {"content_type": "multipart/form-data"},
        {"content_type": "multipart/form-data; boundary=x", "data": b"--x\r\nbroken"},
        {"content_type": "application/x-www-form-urlencoded; charset=utf-16", "data": b"queries=%ED%A0%80"},
        {"content_type": "application/x-www-form-urlencoded", "data": b"queries=%ED%A0%80"},
        {"content_type": "application/x-www-form-urlencoded", "CONTENT_LENGTH": "many"},
    ],
)
def test_a_form_that_cannot_be_read_is_a_problem_with_its_reason(country: Any, how: dict[str, Any]) -> None:
    country.raise_request_exception = False
    response = country.generic("POST", "/api/reconcile/places", **how)
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")


def test_an_answer_that_is_known_is_spared_the_reader_and_never_who_posts(country: Any) -> None:
    known = country.get("/api/reconcile/places")["ETag"]
    assert country.get("/api/reconcile/places", HTTP_IF_NONE_MATCH=known).status_code == 304
    batch = {"queries": json.dumps({"q": {"query": "Ош"}})}
    known = country.post("/api/reconcile/places", batch)["ETag"]
    for kept in (known, "*"):
        again = country.post("/api/reconcile/places", batch, HTTP_IF_NONE_MATCH=kept)
        assert (again.status_code, again.json()["q"]["result"][0]["match"]) == (200, False)


def test_a_batch_that_takes_too_long_is_given_up(country: Any) -> None:
    ticks = iter([0.0, 0.0, 99.0])
    with pytest.raises(ReconciliationSlow, match="1 of 2"):
        service.service("places").reconcile([service.Query("Ош"), service.Query("Ош")], 10, lambda: next(ticks))


def test_other_methods_and_other_services_are_refused(country: Any) -> None:
    assert country.delete("/api/reconcile/places").status_code == 405
    assert country.get("/api/reconcile/people").status_code == 404
    assert country.options("/api/reconcile/places")["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
    assert country.post("/api/reconcile/places", {}).status_code == 400
