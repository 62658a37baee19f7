"""The desk of suggestions: evidence only, a reason where it is thin, nothing refused is offered again, slips undone."""

from datetime import timedelta

import pytest
import web_desks as desks
from web_pages import check

from kerege.catalogue.codes import crosswalk_desk, decisions, unmapped, unplaced
from kerege.catalogue.codes import versions as codelists
from kerege.catalogue.errors import DecisionRefused
from kerege.catalogue.models import CodeDecision, ConceptLink, Finding
from kerege.ground import clock
from kerege.semantics.crosswalks.sssom import Crosswalk, Row
from kerege.semantics.suggest.evidence import CandidateSet, Evidenced


def test_a_slip_is_taken_back_by_its_own_hand_within_minutes_only(home, db):
    desks.suggest()
    now = clock.now()
    made = decisions.decide(desks.WALK, "М", "accepted", "one", now, target="2")
    for by, at in (("two", now), ("one", now + timedelta(minutes=16))):
        with pytest.raises(decisions.DecisionRefused):
            decisions.take_back(made.pk, by, at, crosswalk=desks.WALK, code="М")
    for crosswalk, code in ((desks.WALK, "Ж"), ("kg:other", "М")):
        with pytest.raises(decisions.DecisionRefused, match="no such decision on it"):
            decisions.take_back(made.pk, "one", now, crosswalk=crosswalk, code=code)
    decisions.take_back(made.pk, "one", now + timedelta(minutes=14), crosswalk=desks.WALK, code="М")
    assert not CodeDecision.objects.exists()


def test_a_decision_after_it_keeps_a_decision_from_being_taken_back(home, db):
    now = clock.now()
    first = decisions.decide(desks.WALK, "М", "refused", "one", now, target="2")
    decisions.decide(desks.WALK, "М", "accepted", "one", now, target="1")
    with pytest.raises(decisions.DecisionRefused, match="somebody decided"):
        decisions.take_back(first.pk, "one", now, crosswalk=desks.WALK, code="М")


def test_a_refused_candidate_is_not_offered_again(home, db):
    desks.suggest()
    decisions.decide(desks.WALK, "Ж", "refused", "one", clock.now(), target="2")
    [item] = [i for i in crosswalk_desk.queue(desks.WALK)[0] if i.code == "Ж"]
    assert [c["target"] for c in item.candidates] == ["1"]


def test_undoing_a_columns_meaning_takes_its_link_away(steward, dataset):
    address = f"/en/desks/suggestions/columns/{dataset.pk}/"
    steward.post(address, {"column": "pin", "choice": "person.pin", "do": "accept"})
    assert ConceptLink.objects.get().concept == "person.pin"
    number = CodeDecision.objects.get().pk
    assert (
        "undone"
        in check(steward.post(address, {"do": "undo", "number": number, "what": "pin"}, follow=True), "en").text
    )
    assert not ConceptLink.objects.exists()


def test_a_decision_is_undone_on_the_page_of_its_own_crosswalk_or_column_only(steward, dataset):
    desks.suggest()
    codes, columns = f"/en/desks/suggestions/codes/{desks.WALK}/", f"/en/desks/suggestions/columns/{dataset.pk}/"
    steward.post(columns, {"column": "pin", "choice": "person.pin", "do": "accept"})
    steward.post(codes, {"code": "М", "choice": "1", "do": "accept"})
    column, code = CodeDecision.objects.order_by("pk")
    for address, number, what in ((codes, column.pk, column.code), (codes, code.pk, "Ж"), (columns, column.pk, "sex")):
        page = steward.post(address, {"do": "undo", "number": number, "what": what}, follow=True)
        assert "catalogue.decision_refused" in check(page, "en").text
    assert CodeDecision.objects.count() == 2
    assert ConceptLink.objects.get().concept == "person.pin"
    steward.post(codes, {"do": "undo", "number": code.pk, "what": "М"})
    assert CodeDecision.objects.get() == column


def test_accepting_all_that_is_sure_never_takes_a_target_somebody_refused(steward, dataset):
    desks.suggest()
    decisions.decide(desks.WALK, "М", decisions.REFUSED, "steward-2", clock.now(), target="1")
    steward.post(f"/en/desks/suggestions/codes/{desks.WALK}/", {"do": "sure"})
    assert not CodeDecision.objects.filter(verdict=decisions.ACCEPTED).exists()


def test_what_somebody_else_refused_is_accepted_with_a_reason_only(db):
    desks.suggest()
    decisions.decide(desks.WALK, "М", decisions.REFUSED, "steward-2", clock.now(), target="1")
    with pytest.raises(DecisionRefused, match="steward-2 refused 1"):
        decisions.decide(desks.WALK, "М", decisions.ACCEPTED, "steward-1", clock.now(), target="1")
    decisions.decide(
        desks.WALK, "М", decisions.ACCEPTED, "steward-1", clock.now(), target="1", reason="the act says so"
    )
    assert CodeDecision.objects.filter(verdict=decisions.ACCEPTED).count() == 1


def test_a_refused_concept_is_shown_and_not_chosen_beforehand(steward, dataset):
    address = f"/en/desks/suggestions/columns/{dataset.pk}/"

    def chosen():
        page = check(steward.get(address), "en")
        first = [i for i in page.all("input") if i.get("type") == "radio" and i["id"].startswith("c1-")]
        return [i["value"] for i in first], [i["value"] for i in first if "checked" in i]

    assert chosen()[1] == ["person.pin"]
    steward.post(address, {"column": "pin", "choice": "person.pin", "do": "refuse"})
    offered, before = chosen()
    assert offered[0] == "person.pin"
    assert "person.pin" not in before


def test_the_queue_stays_on_its_page_and_steps_back_where_that_is_empty(steward, home):
    desks.suggest(extra=9)
    address = f"/en/desks/suggestions/codes/{desks.WALK}/?page=2"
    assert "М" in check(steward.get(address), "en").text
    answer = steward.post(address, {"code": "М", "choice": "1", "do": "accept"})
    assert answer.headers["Location"].endswith("?page=2")
    assert steward.get(address, follow=True).redirect_chain[0][0].endswith(f"/{desks.WALK}/")


def test_a_code_whose_candidates_nothing_tells_apart_has_none_chosen_and_asks_why(steward, home, db):
    found = tuple(Evidenced(target, 1.0, 1.0, 0, 0.0) for target in ("1", "2"))
    sets = [CandidateSet("М", found, "unsure", "close"), CandidateSet("Ж", found[:1], "unsure", "close")]
    decisions.keep_suggestions(desks.WALK, decisions.new_run(), sets, {}, {"1": "male"}, clock.now())
    address = f"/en/desks/suggestions/codes/{desks.WALK}/"
    before = check(steward.get(address), "en")
    assert [a["id"] for a in before.all("input") if "checked" in a] == ["c1-1"]  # of Ж, which has one candidate
    page = check(steward.post(address, {"code": "М", "do": "accept"}, follow=True), "en")
    assert "no candidate is chosen" in page.text
    page = check(steward.post(address, {"code": "М", "choice": "1", "do": "accept"}, follow=True), "en")
    assert "the reason is missing" in page.text
    assert [a["name"] for a in page.all("input") if "autofocus" in a] == ["reason"]
    steward.post(address, {"code": "М", "choice": "1", "do": "accept", "reason": "the form's order"})
    page = check(steward.get(address), "en")
    assert "already the target of М" in page.text
    assert not [a for a in page.all("input") if "checked" in a]


def test_a_code_that_no_crosswalk_knows_is_decided_where_its_finding_and_the_home_page_lead(steward, home, db):
    rows = (Row("ЖАЛАЛ-АБАД", "417030", literal=True, object_label="Jalal-Abad"), Row("НАРЫН", "417040", literal=True))
    codelists.import_crosswalk(Crosswalk(desks.WALK, rows, version="1"), "unit", clock.now())
    desks.lay_work(home)
    now = clock.now()
    unmapped.keep_unmapped(desks.WALK, "1", "clinic2.csv#clinic2.sex", {"ЖАЛАЛАБАД": 9, "Асанова Айпери": 1}, now)
    address = f"/en/desks/suggestions/codes/{desks.WALK}/"
    finding = Finding.objects.filter(kind="code-unknown").first()
    assert {"href": address, "class": "button"} in check(
        steward.get(f"/en/desks/findings/catalogue-{finding.pk}/"), "en"
    ).all("a")
    page = check(steward.get(address), "en")
    assert "Codes that are not shown" in page.text
    assert {a["value"] for a in page.all("input") if a.get("name") == "code" and "value" in a} >= {"X"}
    met = unplaced.met(desks.WALK)
    assert unplaced.count() == len(met)
    near = {one.code: [c["target"] for c in one.candidates] for one in unplaced.tasks(desks.WALK)}
    assert near["ЖАЛАЛАБАД"][0] == "417030"
    steward.post(address, {"code": "X", "target": "417040", "do": "accept", "reason": "the register's own shorthand"})
    assert "X" not in {row["code"] for row in unplaced.met(desks.WALK)}
    worked = crosswalk_desk.working(desks.WALK)
    assert worked.table["X"] == "417040"
    assert all(row.literal for row in worked.rows if row.subject == "X")
