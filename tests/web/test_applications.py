"""The officer's desk: the list and its pages, one story with its provenance, and the trace that opening it leaves."""

import json

import pytest
import web_country as country
from web_pages import check

from kerege.identity.models import PersonalDataRead
from kerege.identity.pseudonyms import open_key
from kerege.ledger.log import Ledger
from kerege.web.desks import applications

LANGUAGES = ("ky", "ru", "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_desk_is_kind_before_anything_was_submitted(officer, language):
    check(officer.get(f"/{language}/applications/"), language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_list_shows_each_case_with_its_outcome_in_words(officer, cases, language):
    page = check(officer.get(f"/{language}/applications/"), language)
    for number in ("A-2026-000101", "A-2026-000102", "A-2026-000103"):
        assert number in page.text
    assert "outside_catchment" not in page.text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("outcome=refuse", {country.REFUSE}),
        ("outcome=admit", {country.ADMIT}),
        ("status=with_officer", {country.OPEN}),
        ("status=decided", {country.ADMIT, country.REFUSE}),
        ("status=decided&outcome=refuse", {country.REFUSE}),
        ("status=withdrawn", set()),
        ("status=' OR 1=1&outcome=x", {country.ADMIT, country.REFUSE, country.OPEN}),
    ],
)
def test_the_list_is_filtered(officer, cases, query, shown):
    assert _listed(check(officer.get(f"/en/applications/?{query}"), "en")) == shown


def test_pages_follow_each_other_without_gap_or_repeat(officer, network, monkeypatch):
    monkeypatch.setattr(applications, "PAGE", 7)
    for i in range(20):
        row = country.case(f"case-{i:012d}", f"A-{i}", minutes=i // 3)  # several share a minute
        country.act(row, ("submitted", "applicant", []))
    seen, address = [], "/en/applications/"
    for _ in range(10):
        page = check(officer.get(address), "en")
        seen += sorted(_listed(page))
        onward = [a["href"] for a in page.all("a") if a.get("rel") == "next"]
        if not onward:
            break
        address = f"/en/applications/{onward[0]}"
    assert len(seen) == 20
    assert len(set(seen)) == 20


def test_the_list_never_counts_further_than_its_limit(officer, network, monkeypatch):
    monkeypatch.setattr(applications, "COUNT_MOST", 3)
    for i in range(5):
        country.act(country.case(f"case-{i:012d}", f"A-{i}"), ("submitted", "applicant", []))
    assert "More than 3 applications" in check(officer.get("/en/applications/"), "en").text


def test_cases_of_another_public_service_are_not_on_this_desk(officer, cases):
    from kerege.services.models import Case

    other = Case.objects.create(
        case_id="case-pension000001", public_service="pension", definition_version="1", application_no="P-1", run="data_first-7",
        holder="e" * 64, school_code="", stage=1, submitted_at=cases.submitted_at,
    )  # fmt: skip
    assert "P-1" not in check(officer.get("/en/applications/"), "en").text
    officer.raise_request_exception = False
    assert officer.get(f"/en/applications/{other.case_id}/").status_code == 404
    assert not PersonalDataRead.objects.exists()


def test_a_page_after_a_case_nobody_knows_is_not_there(officer, cases):
    assert officer.get("/en/applications/?after=case-unknown").status_code == 404


def test_integration_only_runs_stay_out_of_the_usual_list(officer, cases):
    country.act(country.case("case-integration1", "A-9", run="integration_only-7"), ("submitted", "applicant", []))
    assert "case-integration1" not in _listed(check(officer.get("/en/applications/"), "en"))
    page = check(officer.get("/en/applications/?way=integration_only-7"), "en")
    assert _listed(page) == {"case-integration1"}
    assert "Integration only" in page.text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case_id", [country.ADMIT, country.REFUSE, country.OPEN])
def test_a_story_is_whole_in_every_language(officer, cases, language, case_id):
    check(officer.get(f"/{language}/applications/{case_id}/"), language)


def test_every_value_tells_where_it_came_from(officer, cases):
    text = check(officer.get(f"/en/applications/{country.ADMIT}/"), "en").text
    for told in (
        "Civil registry",
        "KG-civil-0f9a41d2",
        "kg:civil.birth-record",
        "version 1.2",
        "5e885e88",
        "Birth record",
    ):
        assert told in text


def test_codes_are_shown_in_words_and_dates_in_the_language(officer, cases):
    text = check(officer.get(f"/ru/applications/{country.ADMIT}/"), "ru").text.replace("\N{NO-BREAK SPACE}", " ")
    assert "женский" in text
    assert "15 сентября 2019 г." in text
    assert "действует" in text
    assert "Бишкек" in text
    assert "41711000000000" not in text


@pytest.mark.parametrize(("language", "told"), [("ky", "Келген калыбында"), ("ru", "Как пришло"), ("en", "As it came")])
def test_a_value_the_register_wrote_otherwise_is_shown_as_it_came(officer, cases, language, told):
    text = check(officer.get(f"/{language}/applications/{country.ADMIT}/"), language).text
    for written in ("ТОКТОСУНОВА", "15.09.2019", "Ж", "Д"):
        assert f"{told}: {written}" in text


def test_a_value_that_came_as_it_is_or_was_not_looked_at_is_shown_once(officer, cases):
    html = officer.get(f"/en/applications/{country.ADMIT}/").content.decode()
    assert html.count(country.CHILD_PIN) == 1  # written by the register as it is
    assert html.count("Айпери</b></dd>") == 1  # its letters were not looked at, so none are shown
    assert html.count("As it came") == 5


def test_a_line_read_into_street_and_house_is_shown_once_and_never_taken_for_html(officer, cases):
    html = officer.get(f"/en/applications/{country.ADMIT}/").content.decode()
    assert html.count("г. Бишкек, пр. &lt;Чуй&gt;, д. 12") == 1


def test_a_decision_gives_its_reasons_and_their_law_in_the_language(officer, cases):
    text = check(officer.get(f"/ky/applications/{country.REFUSE}/"), "ky").text
    assert "мектептин аймагына кирбейт" in text
    assert "Балдарды жалпы билим берүү уюмдарына кабыл алуунун тартиби" in text
    assert "Order on admission" not in text
    assert "Аткарылган жок" in text


def test_an_open_case_says_why_a_person_has_to_look(officer, cases):
    text = check(officer.get(f"/en/applications/{country.OPEN}/"), "en").text
    assert "Several similar records were found." in text
    assert "No evidence has been gathered" in text


def test_differences_are_named_with_the_register_that_mends_them(officer, cases):
    text = check(officer.get(f"/en/applications/{country.ADMIT}/"), "en").text
    assert "Civil registry – Health register Conflict Civil registry" in text


def test_a_value_is_never_taken_for_html(officer, cases):
    html = officer.get(f"/en/applications/{country.ADMIT}/").content.decode()
    assert "<b>Чүй" not in html
    assert "&lt;b&gt;Чүй" in html


def test_opening_a_story_is_recorded_about_the_child_and_in_the_ledger(officer, cases, home):
    for _ in range(2):
        officer.get(f"/en/applications/{country.ADMIT}/")
    reads = PersonalDataRead.objects.order_by("pk")
    assert [(r.reader, r.channel, r.data_service, r.about) for r in reads] == [
        ("officer-1", "desk", "hub/case-story", open_key(home).of(country.CHILD_PIN))
    ] * 2
    with Ledger.open(home / "ledger") as ledger:
        assert reads[1].ledger_index == ledger.size - 1


def test_without_the_childs_number_the_trace_is_kept_under_the_applicant(officer, cases):
    officer.get(f"/en/applications/{country.OPEN}/")
    assert PersonalDataRead.objects.get().about == "d" * 64


def test_a_story_that_cannot_be_recorded_is_not_shown(people, officer, cases, home):
    (home / "ledger" / "records.jsonl").unlink()
    (home / "ledger" / "records.jsonl").mkdir()
    officer.raise_request_exception = False
    response = officer.get(f"/en/applications/{country.ADMIT}/")
    assert response.status_code == 500
    assert "Токтосунова" not in response.content.decode()


@pytest.mark.parametrize("member", ["", "KG/GOV/70000003"])
def test_an_officer_whose_account_names_no_subsystem_is_shown_no_case(officer, people, cases, home, member):
    told = [one | {"member": member} if one["id"] == "officer-1" else one for one in people["people"]]
    (home / "demo-people.json").write_text(json.dumps({"people": told}, ensure_ascii=False), encoding="utf-8")
    officer.raise_request_exception = False
    response = officer.get(f"/ru/applications/{country.ADMIT}/")
    assert response.status_code == 403
    told = check(response, "ru").text
    assert "Неизвестно, для какой организации вы читаете" in told
    assert "Токтосунова" not in told.replace(
        "Айгуль Токтосунова", ""
    )  # the child's name; the officer's own is on every page
    assert not PersonalDataRead.objects.exists()


def test_an_unknown_case_is_not_there_and_leaves_no_trace(officer, cases):
    assert officer.get("/en/applications/case-unknown/").status_code == 404
    assert not PersonalDataRead.objects.exists()


def test_a_refused_visitor_leaves_no_trace_either(parent, cases):
    assert parent.get(f"/en/applications/{country.ADMIT}/").status_code == 403
    assert not PersonalDataRead.objects.exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_discrepancies_come_from_what_was_recorded_and_by_pair(visitor, cases, language):
    page = check(visitor.get(f"/{language}/discrepancies/"), language)
    pairs = [option["value"] for option in page.all("option") if option.get("value")]
    assert set(pairs) == {"civil~health", "civil~population", "population~education"}
    one = check(visitor.get(f"/{language}/discrepancies/?pair=civil~health"), language)
    assert "95" in one.text
    assert "street" not in one.text


def _listed(page):
    prefix = "/en/applications/case-"
    return {
        a["href"].removeprefix("/en/applications/").strip("/")
        for a in page.all("a")
        if a.get("href", "").startswith(prefix)
    }


def test_an_undecided_case_tells_the_officer_what_to_look_at(officer, cases):
    text = check(officer.get(f"/en/applications/{country.OPEN}/"), "en").text
    assert "Several similar records were found." in text
    assert "Tell by the parents and the date of birth which of the similar records is this child's." in text
    decided = check(officer.get(f"/en/applications/{country.ADMIT}/"), "en").text
    assert "What to look at" not in decided
