"""Every public page, in three languages, empty and full; the switch of languages; what goes wrong."""

import pytest
from django.test import Client
from web_pages import check

from kerege.web import routes
from kerege.web.access import Audience

LANGUAGES = ("ky", "ru", "en")
CATALOGUE = ("", "concepts/", "code-lists/", "crosswalks/", "organisations/", "contracts/", "reference/", "map/")
PUBLIC = (
    *("", "discrepancies/", "network/", "gate/", "measures/", "verify/", "sign-in/"),
    *(f"catalogue/{part}" for part in CATALOGUE),
)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", PUBLIC)
def test_a_page_with_nothing_to_show_yet_is_kind_and_whole(visitor, language, path):
    response = visitor.get(f"/{language}/{path}")
    assert response.status_code == 200
    check(response, language)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", PUBLIC)
def test_a_page_after_a_run_is_whole(visitor, run, people, language, path):
    response = visitor.get(f"/{language}/{path}")
    assert response.status_code == 200
    check(response, language)


def test_every_public_page_is_looked_at_here():
    listed = {route for route, _, _, audience in routes.PAGES if audience is Audience.EVERYONE and "<" not in route}
    assert listed - {"sign-out/"} == set(PUBLIC)


@pytest.mark.parametrize(("language", "shares"), [("ky", "93,1 %"), ("ru", "93,1 %"), ("en", "93.1%")])
def test_home_shows_the_figures_of_the_run_and_hides_no_bad_one(visitor, run, language, shares):
    page = check(visitor.get(f"/{language}/"), language)
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    assert shares in text
    for figure in ("702", "54", "85", "15"):
        assert figure in text
    told = {
        "ky": "4 – 213 автоматтык чечимдин ичинен",
        "ru": "4 из всех автоматических (213)",
        "en": "4 of 213 automatic",
    }
    assert told[language] in " ".join(text.split())
    none = {
        "ky": "0 – 931 автоматтык чечимдин ичинен",
        "ru": "0 из всех автоматических (931)",
        "en": "0 of 931 automatic",
    }
    assert none[language] in " ".join(text.split())


def test_home_names_fields_in_words(visitor, run):
    text = check(visitor.get("/ky/"), "ky").text
    assert "Фамилиясы" in text
    assert "surname" not in text


def test_a_broken_summary_is_said_on_the_page_and_does_not_break_it(visitor, home):
    (home / "summary.json").write_text("{", encoding="utf-8")
    response = visitor.get("/en/")
    assert response.status_code == 200
    assert "is not a run summary" in check(response, "en").text


@pytest.mark.parametrize("path", ["/ru/catalogue/?q=%D0%BF%D0%BE%D0%BB", "/ru/network/", "/ru/"])
def test_the_language_switch_keeps_the_page_and_its_query(visitor, path):
    page = check(visitor.get(path), "ru")
    assert path.replace("/ru/", "/ky/") in [a.get("href") for a in page.all("a") if a.get("lang") == "ky"]
    assert path.replace("/ru/", "/en/") in [a.get("href") for a in page.all("a") if a.get("lang") == "en"]


def test_the_page_one_is_on_is_marked_in_the_sections(visitor):
    page = check(visitor.get("/en/network/"), "en")
    assert {a["href"] for a in page.all("a") if a.get("aria-current") == "page"} == {"/en/network/"}


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("en-GB,en;q=0.9", "en"),
        ("ru", "ru"),
        ("ky-KG", "ky"),
        ("de,ru;q=0.5", "ru"),
        ("ja", "ky"),
        ("", "ky"),
        ("*;;;", "ky"),
    ],
)
def test_the_bare_address_leads_to_the_browsers_language(visitor, header, language):
    response = visitor.get("/", headers={"accept-language": header})
    assert response.headers["Location"] == f"/{language}/"


@pytest.mark.parametrize(
    "path", ["/en/no-such-page/", "/ru/catalogue/datasets/999/", "/ky/catalogue/concepts/no.such/"]
)
def test_a_missing_page_says_so_in_its_language(visitor, path):
    response = visitor.get(path)
    assert response.status_code == 404
    check(response, path[1:3])


def test_a_language_the_hub_does_not_have_is_not_there(visitor):
    assert visitor.get("/de/").status_code == 404


def test_our_own_fault_shows_a_plain_page_and_no_inside(visitor, monkeypatch):
    client = Client(raise_request_exception=False)
    monkeypatch.setattr("kerege.web.desks.network.queries.network_view", lambda *_: 1 / 0)
    response = client.get("/ru/network/")
    assert response.status_code == 500
    text = response.content.decode()
    assert 'lang="ru"' in text
    assert "ZeroDivisionError" not in text


def test_empty_paste_is_answered_with_an_error_that_leads_to_the_field(visitor):
    response = visitor.post("/ky/verify/", {"document": "  "})
    assert response.status_code == 400
    page = check(response, "ky")
    assert any(a.get("href") == "#document" for a in page.all("a"))
    assert any(t.get("aria-invalid") == "true" for t in page.all("textarea"))


def test_without_issuers_a_document_is_not_checked_rather_than_refused(visitor):
    page = check(visitor.post("/en/verify/", {"document": "KRG1:ABC"}), "en")
    assert "The document was not checked" in page.text
