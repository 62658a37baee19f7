"""What is no text reaches no view: a NUL in an address, a query, a form, a cookie or a question in JSON is refused, whatever database is behind."""

import json
import re

import pytest
from web_pages import check

from kerege.web import routes
from kerege.web.middleware import TextsOnly

ADDRESSES = [f"/en/{route}" for route, *_ in routes.PAGES] + [f"/{route}" for route, *_ in routes.BARE]
WITH_PARTS = [a for a in ADDRESSES if "<str:" in a or "<path:" in a or "<slug:" in a]
PLACE = re.compile(r"<(str|path|slug):\w+>")
NUMBER = re.compile(r"<(\w+):\w+>")


def addressed(route, part="a"):
    return NUMBER.sub("1", PLACE.sub(part, route))


@pytest.fixture
def views(monkeypatch):
    """No view is reached: whatever would be answered, came from before them."""
    reached = []
    monkeypatch.setattr(TextsOnly, "process_view", lambda *given: reached.append(given[1].path))
    return reached


def test_every_address_with_a_nul_in_it_leads_nowhere(visitor, views):
    assert len(WITH_PARTS) > 30
    for route in WITH_PARTS:
        response = visitor.get(addressed(route, "a%00"))
        assert response.status_code == 404, route
        kind = "application/problem+json" if route.startswith("/api/") else "text/html; charset=utf-8"
        assert response["Content-Type"] == kind, route
    assert views == []


def test_every_address_refuses_a_query_with_a_nul_in_it(visitor, views):
    for route in ADDRESSES:
        for query in ("organisation=%00", "version=1%00", "q%00=a"):
            assert visitor.get(f"{addressed(route)}?{query}").status_code == 400, route
    assert views == []


def test_the_refusal_is_a_page_for_people_and_a_problem_for_machines(visitor):
    assert "could not be read" in check(visitor.get("/en/catalogue/?organisation=%00"), "en").text
    told = visitor.get("/api/v1/datasets?organisation=%00")
    assert told["Content-Type"] == "application/problem+json"
    assert told["Access-Control-Allow-Origin"] == "*"
    assert json.loads(told.content)["status"] == 400


@pytest.mark.parametrize("multipart", [True, False])
def test_a_form_with_a_nul_in_it_is_not_read(visitor, multipart):
    how = {} if multipart else {"content_type": "application/x-www-form-urlencoded"}
    for form in ({"person": "a\0"}, {"a\0": "person"}):
        data = form if multipart else "&".join(f"{k}={v}".replace("\0", "%00") for k, v in form.items())
        assert visitor.post("/en/sign-in/", data, **how).status_code == 400


def test_a_cookie_that_is_no_text_is_none(visitor):
    visitor.cookies.load(r'sessionid="a\000b"')
    assert visitor.cookies["sessionid"].value == "a\0b"
    assert visitor.get("/en/").status_code == 200
    assert "sessionid" not in visitor.get("/en/").wsgi_request.COOKIES


def test_a_body_that_is_no_form_is_left_to_its_view(visitor):
    """The management service reads its message itself: what comes is as it was sent."""
    sent = visitor.post("/managementservice/", b"\0" * 10, content_type="application/x-www-form-urlencoded")
    assert sent.status_code != 400
    assert sent.wsgi_request.body == b"\0" * 10
