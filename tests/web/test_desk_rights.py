"""Who opens which desk, and that each is whole when nothing waits at it: denied by default."""

import pytest
from web_pages import check, signed_in

PATHS = (
    "",
    "harvests/",
    "suggestions/",
    "crosswalks/",
    "findings/",
    "contracts/",
    "board/",
    "board/print/",
    "requests/",
)


@pytest.mark.parametrize("language", ["ky", "ru", "en"])
def test_every_desk_is_whole_when_nothing_waits(steward, language):
    for path in PATHS:
        response = steward.get(f"/{language}/desks/{path}")
        assert response.status_code == 200, path
        assert response.headers["Cache-Control"] == "no-store"
        check(response, language)


def test_a_stewards_role_without_the_right_opens_no_desk(people, db):
    client = signed_in("steward-1")
    assert {client.get(f"/en/desks/{path}").status_code for path in PATHS} == {403}
    assert "this desk needs a right of its own" in check(client.get("/en/desks/"), "en").text


def test_the_clerical_desk_is_for_clerks_alone(steward, clerk):
    assert steward.get("/en/desks/pairs/").status_code == 403
    assert clerk.get("/en/desks/pairs/").status_code == 200
    assert clerk.get("/en/desks/findings/").status_code == 403


def test_a_data_owner_is_led_to_the_own_fields(data_owner, home, db, network):
    (card,) = [a for a in check(data_owner.get("/en/desks/"), "en").all("a") if "organisations/" in a.get("href", "")]
    assert check(data_owner.get(card["href"]), "en").text
