"""Denied by default: each address for each role, signing in and out, and what a session is worth."""

import json
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import web_country as country
from django.test import Client
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st
from web_pages import PEOPLE, check

from kerege.ground import clock
from kerege.identity.access import Access
from kerege.identity.doings import revoke_grant
from kerege.identity.models import Grant, PersonalDataRead
from kerege.ledger.log import Ledger
from kerege.web import routes, words
from kerege.web.access import RIGHTS, Answer, Audience, may_open, roles_of
from kerege.web.signin import ROLES, Person

GRANTED = Access(True, "granted", "grant-1")
PRIVATE = [
    (route.replace("<str:case_id>", "case-7fq2m9k4xw3d"), audience)
    for route, _, _, audience in routes.PAGES
    if audience is not Audience.EVERYONE
]


@given(st.sampled_from(list(Audience)), st.sets(st.sampled_from(ROLES), min_size=1))
def test_a_page_opens_only_to_its_own_role(audience, roles):
    person = Person("p", "P", frozenset(roles))
    open_ = may_open(audience, person, GRANTED) is Answer.OPEN
    assert open_ == (audience is Audience.EVERYONE or bool(roles_of(audience) & roles))


@pytest.mark.parametrize("right", [None, Access(False, "no_grant"), Access(False, "ended")])
def test_the_role_alone_opens_no_officers_page(right):
    officer = Person("p", "P", frozenset(ROLES))
    assert may_open(Audience.OFFICER, officer, right) is Answer.REFUSED
    assert may_open(Audience.OFFICER, officer, GRANTED) is Answer.OPEN


def test_a_grant_alone_opens_no_officers_page_either():
    assert may_open(Audience.OFFICER, Person("p", "P", frozenset({"steward"})), GRANTED) is Answer.REFUSED
    assert may_open(Audience.OFFICER, None, GRANTED) is Answer.SIGN_IN


@pytest.mark.parametrize("audience", list(Audience))
def test_without_signing_in_only_public_pages_open(audience):
    expected = Answer.OPEN if audience is Audience.EVERYONE else Answer.SIGN_IN
    assert may_open(audience, None) is expected


def test_private_pages_are_the_applications_the_childs_and_the_desks():
    assert {route.split("/")[0] for route, _ in PRIVATE} == {"applications", "my-child", "desks"}


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
    if who in roles_of(audience):
        assert client.get(f"/en/{route}").status_code != 403
        return
    response = client.get(f"/en/{route}")
    assert response.status_code == 403
    check(response, "en")


DESK = ("applications/", f"applications/{country.ADMIT}/")


def refused_for(client, reason):
    """Both desk pages refused in every language, with the reason, nothing of a case, no trace of a read, no way kept in a cache."""
    for path in DESK:
        for language in ("ky", "ru", "en"):
            response = client.get(f"/{language}/{path}")
            assert response.status_code == 403
            assert response.headers["Cache-Control"] == "no-store"
            page = check(response, language)
            with translation.override(language):
                assert words.word(f"no-right.{reason}") in page.text
            assert "A-2026-000101" not in page.text
            assert f"/{language}/applications/" not in {a.get("href") for a in page.all("a")}
    assert not PersonalDataRead.objects.exists()


@pytest.fixture
def ungranted(people, cases):
    """Signed in as an officer by the list of people; identity knows of no grant."""
    client = Client()
    assert client.post("/en/sign-in/", {"person": "officer-1"}).status_code == 302
    return client


def test_an_officer_without_a_grant_is_refused_and_told_why(ungranted):
    refused_for(ungranted, "no_grant")


def test_a_grant_for_another_public_service_does_not_open_the_desk(ungranted, home):
    country.grant_desk(home, scope="public-service:pension")
    refused_for(ungranted, "other_scope")


def test_a_grant_for_another_action_does_not_open_the_desk(ungranted, home):
    country.grant_desk(home, actions=("services.case.decide",))
    refused_for(ungranted, "no_grant")


def test_a_grant_of_somebody_else_does_not_open_the_desk(ungranted, home):
    country.grant_desk(home, person="officer-2")
    refused_for(ungranted, "no_grant")


def test_an_expired_grant_shuts_the_desk(officer, cases):
    assert officer.get("/en/applications/").status_code == 200
    now = clock.now()
    Grant.objects.update(valid_from=now - timedelta(days=1), valid_until=now - timedelta(seconds=1))
    refused_for(officer, "ended")


def test_a_grant_that_has_not_begun_opens_nothing(officer, cases):
    Grant.objects.update(valid_from=clock.now() + timedelta(hours=1))
    refused_for(officer, "not_yet")


def test_a_revoked_grant_shuts_the_desk_at_once(officer, desk, cases, home):
    assert officer.get("/en/applications/").status_code == 200
    with Ledger.open(home / "ledger") as ledger:
        revoke_grant(desk.grant_id, by="policy", ledger=ledger, now=clock.now())
    refused_for(officer, "revoked")


def test_the_demos_officer_holds_exactly_the_right_to_look_into_cases(home, db):
    from kerege.demo.country import people as demo
    from kerege.identity.queries import access, grants_of

    now = clock.now()
    with Ledger.open(home / "ledger") as ledger:
        demo.appoint(ledger, now)
    right = RIGHTS[Audience.OFFICER]
    assert access(demo.OFFICER, right.action, right.scope, now).allowed
    assert [grant.actions for grant in grants_of(demo.OFFICER)] == [frozenset({"services.case.read"})]
    for other in (demo.POLICY_OWNER, demo.TECHNICAL_OWNER, demo.SECRETARY):
        assert not access(other, right.action, right.scope, now).allowed


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
    "onward",
    [
        "https://elsewhere.example/",
        "//elsewhere.example",
        "///elsewhere.example",
        "/\\elsewhere.example",
        "/\t/elsewhere.example",
        "\t//elsewhere.example",
        "http:elsewhere.example",
        "http:///elsewhere.example",
        "javascript:alert(1)//elsewhere",
        "\\\\elsewhere",
        "elsewhere.example",
    ],
)
def test_signing_in_only_ever_leads_to_a_path_of_this_hub(visitor, people, onward):
    asked = visitor.get("/en/sign-in/", {"next": onward}).content.decode()
    assert [f for f in re.findall(r'name="next"[^>]*', asked) if "elsewhere" in f] == []
    response = visitor.post("/en/sign-in/", {"person": "parent-1", "next": onward})
    assert response.headers["Location"] == "/en/my-child/"


def test_who_was_sent_to_sign_in_comes_back_to_the_page_asked_for(visitor, people):
    [(onward, _)] = visitor.get("/en/my-child/", follow=True).redirect_chain
    target = parse_qs(urlsplit(onward).query)["next"][0]
    response = visitor.post("/en/sign-in/", {"person": "parent-1", "next": target})
    assert response.headers["Location"] == target == "/en/my-child/"


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
