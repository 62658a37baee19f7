"""Denied by default: each address for each role, signing in and out, and what a session is worth."""

import json

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from web_pages import PEOPLE, check

from kerege.web import routes
from kerege.web.access import Answer, Audience, may_open
from kerege.web.signin import ROLES, Person

PRIVATE = [
    (route.replace("<str:case_id>", "case-7fq2m9k4xw3d"), audience)
    for route, _, _, audience in routes.PAGES
    if audience is not Audience.EVERYONE
]


@given(st.sampled_from(list(Audience)), st.sets(st.sampled_from(ROLES), min_size=1))
def test_a_page_opens_only_to_its_own_role(audience, roles):
    person = Person("p", "P", frozenset(roles))
    open_ = may_open(audience, person) is Answer.OPEN
    assert open_ == (audience is Audience.EVERYONE or audience.value in roles)


@pytest.mark.parametrize("audience", list(Audience))
def test_without_signing_in_only_public_pages_open(audience):
    expected = Answer.OPEN if audience is Audience.EVERYONE else Answer.SIGN_IN
    assert may_open(audience, None) is expected


def test_private_pages_are_the_applications_and_the_childs():
    assert {route.split("/")[0] for route, _ in PRIVATE} == {"applications", "my-child"}


@pytest.mark.parametrize("language", ["ky", "ru", "en"])
@pytest.mark.parametrize(("route", "audience"), PRIVATE)
def test_a_visitor_is_asked_to_sign_in(visitor, people, language, route, audience):
    response = visitor.get(f"/{language}/{route}")
    assert response.status_code == 302
    assert response.headers["Location"].startswith(f"/{language}/sign-in/?next=%2F{language}%2F")
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("who", ["officer", "parent", "steward"])
@pytest.mark.parametrize(("route", "audience"), PRIVATE)
def test_another_role_is_refused_in_words(request, who, route, audience):
    client = request.getfixturevalue(who)
    if audience.value == who:
        assert client.get(f"/en/{route}").status_code != 403
        return
    response = client.get(f"/en/{route}")
    assert response.status_code == 403
    check(response, "en")


def test_every_page_behind_an_address_knows_its_audience():
    from kerege.web.urls import urlpatterns

    assert len(urlpatterns) == len(routes.PAGES) + len(routes.BARE)
    assert all(isinstance(pattern.callback.audience, Audience) for pattern in urlpatterns)


def test_without_a_people_file_nobody_can_sign_in(visitor, home):
    assert "not set up" in check(visitor.get("/en/sign-in/"), "en").text
    assert visitor.post("/en/sign-in/", {"person": "officer-1"}).status_code == 200
    assert visitor.get("/en/applications/").status_code == 302


def test_the_demonstration_sign_in_says_what_it_is(visitor, people):
    page = check(visitor.get("/ru/sign-in/"), "ru")
    assert "Это демонстрация" in page.text
    assert len([i for i in page.all("input") if i.get("type") == "radio"]) == len(PEOPLE["people"])


@pytest.mark.parametrize("chosen", ["", "nobody", "officer-1' OR 1=1"])
def test_an_unknown_choice_is_answered_with_an_error(visitor, people, chosen):
    response = visitor.post("/en/sign-in/", {"person": chosen})
    assert response.status_code == 400
    check(response, "en")


def test_signing_in_leads_on_to_the_page_that_was_asked_for(visitor, people):
    response = visitor.post("/ky/sign-in/", {"person": "officer-1", "next": "/ky/applications/?kind=manual"})
    assert response.headers["Location"] == "/ky/applications/?kind=manual"


@pytest.mark.parametrize(
    "onward", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)", "\\\\elsewhere"]
)
def test_signing_in_never_leads_to_another_host(visitor, people, onward):
    response = visitor.post("/en/sign-in/", {"person": "parent-1", "next": onward})
    assert response.headers["Location"] == "/en/my-child/"


def test_the_session_changes_its_key_on_signing_in(visitor, people):
    session = visitor.session
    session["before"] = "x"
    session.save()
    before = session.session_key
    visitor.post("/en/sign-in/", {"person": "officer-1"})
    assert visitor.session.session_key != before
    assert "before" not in visitor.session


def test_a_person_taken_off_the_list_is_out_at_once(officer, home):
    assert officer.get("/en/applications/").status_code == 200
    (home / "demo-people.json").write_text(json.dumps({"people": PEOPLE["people"][1:]}), encoding="utf-8")
    assert officer.get("/en/applications/").status_code == 302


def test_signing_out_ends_the_session_and_takes_a_form(officer):
    assert officer.get("/en/sign-out/").status_code == 405
    assert officer.post("/en/sign-out/").headers["Location"] == "/en/"
    assert officer.get("/en/applications/").status_code == 302


@pytest.mark.parametrize("path", ["/en/sign-in/", "/en/sign-out/", "/en/verify/"])
def test_a_form_without_its_token_is_refused_with_a_page_in_words(people, db, path):
    client = Client(enforce_csrf_checks=True)
    response = client.post(path, {"person": "officer-1", "document": "x"})
    assert response.status_code == 403
    check(response, "en")


def test_a_parent_sees_no_officers_desk_in_the_sections(parent):
    page = check(parent.get("/en/"), "en")
    links = {a.get("href") for a in page.all("a")}
    assert "/en/my-child/" in links
    assert "/en/applications/" not in links


@pytest.mark.parametrize(
    "raw",
    [
        "{",
        "[1]",
        '{"people": 3}',
        '{"people": [{"roles": ["officer"]}]}',
        '{"people": [{"id": "x", "roles": ["admin"]}]}',
    ],
)
def test_a_wrong_people_file_signs_nobody_in(visitor, home, raw):
    (home / "demo-people.json").write_text(raw, encoding="utf-8")
    client = Client(raise_request_exception=False)
    assert client.post("/en/sign-in/", {"person": "x"}).status_code == 500
    assert "sessionid" not in client.cookies
