"""The parent's page: only one's own, the document, and who read."""

import pytest
import web_country as country
from web_pages import check

from kerege.identity.models import PersonalDataRead

LANGUAGES = ("ky", "ru", "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_parent_without_an_application_is_told_so(parent, language):
    check(parent.get(f"/{language}/my-child/"), language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_parent_sees_the_child_the_decision_and_the_document(parent, cases, home, language):
    papers = country.lay_document(home, cases)
    page = check(parent.get(f"/{language}/my-child/"), language)
    assert "Токтосунова Айпери Бакыт кызы" in page.text
    assert papers.paper in page.text
    assert any(svg.get("role") == "img" for svg in page.all("svg"))
    assert "A-2026-000102" not in page.text


def test_a_parent_sees_who_read_with_the_ledger_entry(parent, cases, home):
    country.lay_reads(home)
    page = check(parent.get("/en/my-child/"), "en")
    for told in (
        "Ministry of Education",
        "automatic check",
        "over the exchange",
        "Birth records",
        "Admission to grade 1",
    ):
        assert told in page.text


def test_a_parent_sees_an_officer_who_just_looked(people, parent, cases, officer):
    officer.get(f"/en/applications/{country.ADMIT}/")
    text = check(parent.get("/en/my-child/"), "en").text
    assert "The application's story" in text
    assert "at the desk" in text


def test_a_changed_row_is_shown_as_changed(parent, cases, home):
    country.lay_reads(home)
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE identity_personaldataread SET purpose = 'nothing-special'")
    assert PersonalDataRead.objects.get().purpose == "nothing-special"
    assert "does not match the log" in check(parent.get("/en/my-child/"), "en").text


def test_a_revoked_document_is_shown_as_revoked(parent, cases, home):
    country.lay_document(home, cases, revoked=True)
    assert "has been revoked" in check(parent.get("/en/my-child/"), "en").text


def test_the_document_can_be_taken_away_in_both_forms(parent, cases, home):
    papers = country.lay_document(home, cases)
    wallet = parent.get(f"/ky/my-child/{country.ADMIT}/document/")
    assert wallet.content.decode() == papers.wallet
    assert "attachment" in wallet.headers["Content-Disposition"]
    assert wallet.headers["Cache-Control"] == "no-store"
    assert parent.get(f"/ky/my-child/{country.ADMIT}/document/?form=paper").content.decode() == papers.paper


@pytest.mark.parametrize("case_id", [country.REFUSE, country.OPEN, "case-unknown"])
def test_another_familys_document_answers_like_one_that_does_not_exist(parent, cases, home, case_id):
    country.lay_document(home, cases)
    assert parent.get(f"/en/my-child/{case_id}/document/").status_code == 404


def test_before_a_document_was_issued_the_page_says_when_it_will_be(parent, cases):
    assert "once the child has been admitted" in check(parent.get("/en/my-child/"), "en").text
